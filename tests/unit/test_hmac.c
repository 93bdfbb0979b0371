/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hmac: RFC 4231 (HMAC with SHA-2), RFC 5869 (HKDF-Expand) and the Sub SA keys
 * of tests/vectors/eesp/sskdf_hkdf.json.
 */
#include "unit.h"

#include <jansson.h>

#include "hmac.h"

/* RFC 4231 test cases 1, 2 and 3. */
static const struct {
    const char *key, *data, *mac[3];
} cases[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     {"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
      "faea9ea9076ede7f4af152e8b2fa9cb6",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
      "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"}},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     {"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
      "8e2240ca5e69e2c78b3239ecfab21649",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
      "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"}},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddddddddddddddddddddddd",
     {"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
      "2a5ab39dc13814b94e3ab6e101a34f27",
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
      "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"}},
};

static void rfc4231(void **unused)
{
    size_t c, cut, n, key_length;
    struct eesp_hmac hmac;
    int sha;

    (void)unused;
    for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
        for (sha = EESP_SHA_256; sha <= EESP_SHA_512; sha++) {
            uint8_t key[64], data[64], wanted[64], mac[EESP_HMAC_MAX];

            key_length = unhex(cases[c].key, key, sizeof(key));
            n          = unhex(cases[c].data, data, sizeof(data));
            assert_int_equal(unhex(cases[c].mac[sha], wanted, sizeof(wanted)),
                             eesp_hmac_length((enum eesp_sha)sha));
            assert_int_equal(eesp_hmac_key(&hmac, (enum eesp_sha)sha, key,
                                           key_length),
                             EESP_OK);
            for (cut = 0; cut <= n; cut++) { /* and again: the state stays */
                struct iovec parts[2] = {{data, cut}, {data + cut, n - cut}};

                assert_int_equal(eesp_hmac(&hmac, parts, 2, mac), EESP_OK);
                assert_memory_equal(mac, wanted,
                                    eesp_hmac_length((enum eesp_sha)sha));
            }
        }
    assert_int_equal(eesp_hmac_key(&hmac, EESP_SHA_256, (uint8_t[65]){0}, 65),
                     EESP_ERR_ARGUMENT);
}

/* RFC 5869 test case 1, second step. */
static void rfc5869(void **unused)
{
    uint8_t prk[32], info[10], wanted[42], out[255 * 32 + 1];
    struct eesp_hmac hmac;

    (void)unused;
    unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
          prk, sizeof(prk));
    unhex("f0f1f2f3f4f5f6f7f8f9", info, sizeof(info));
    unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
          "34007208d5b887185865", wanted, sizeof(wanted));
    assert_int_equal(eesp_hmac_key(&hmac, EESP_SHA_256, prk, sizeof(prk)),
                     EESP_OK);
    assert_int_equal(eesp_hkdf_expand(&hmac, info, sizeof(info), out, 42),
                     EESP_OK);
    assert_memory_equal(out, wanted, sizeof(wanted));
    assert_int_equal(eesp_hkdf_expand(&hmac, info, 10, out, 255 * 32),
                     EESP_OK);
    assert_int_equal(eesp_hkdf_expand(&hmac, info, 10, out, 255 * 32 + 1),
                     EESP_ERR_ARGUMENT);
}

static const char *text(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* SSKDF(root, Session ID) of plain EESP is HKDF-Expand. */
static void sub_sa_keys(void **unused)
{
    static const char *const names[] = {
        "SSKDF_HKDF_SHA2_256", "SSKDF_HKDF_SHA2_384", "SSKDF_HKDF_SHA2_512"};
    char path[512];
    json_t *file, *v;
    unsigned done = 0;
    size_t i;

    (void)unused;
    snprintf(path, sizeof(path), "%s/sskdf_hkdf.json", vectors_dir("eesp"));
    file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    json_array_foreach(json_object_get(file, "vectors"), i, v) {
        uint8_t root[64], session[2], wanted[64], out[64];
        size_t n = unhex(text(v, "root"), root, sizeof(root));
        size_t length = unhex(text(v, "keymat"), wanted, sizeof(wanted));
        struct eesp_hmac hmac;
        int sha;

        for (sha = EESP_SHA_256; sha < EESP_SHA_512; sha++)
            if (strcmp(text(v, "sskdf"), names[sha]) == 0)
                break;
        unhex(text(v, "session_id"), session, sizeof(session));
        assert_int_equal(eesp_hmac_key(&hmac, (enum eesp_sha)sha, root, n),
                         EESP_OK);
        assert_int_equal(eesp_hkdf_expand(&hmac, session, 2, out, length),
                         EESP_OK);
        assert_memory_equal(out, wanted, length);
        done++;
    }
    assert_int_equal(done, 24);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc4231),
        cmocka_unit_test(rfc5869),
        cmocka_unit_test(sub_sa_keys),
    };

    return cmocka_run_group_tests_name("hmac", tests, NULL, NULL);
}
