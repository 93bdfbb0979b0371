/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kdf: every KDF against libcrypto's EVP_MAC and EVP_KDF, and those in turn
 * against NIST's CAVP cases where their package is installed.
 */
#include "unit.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "context.h"
#include "kdf.h"

#define CAVP "/KDF/nist-800-108-KBKDF-CTR.txt"

/*
 * SP 800-108r1 section 4.1 with an 8-bit counter before the fixed data. prf:
 * "AES-256-CBC" stands for CMAC, "SHA256" for HMAC.
 */
static void reference(const char *prf, const uint8_t *key, size_t key_length,
                      const uint8_t *fixed, size_t fixed_length, uint8_t *out,
                      size_t length)
{
    int cmac     = strncmp(prf, "AES", 3) == 0;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, cmac ? "CMAC" : "HMAC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(cmac ? OSSL_MAC_PARAM_CIPHER :
                                                OSSL_MAC_PARAM_DIGEST,
                                         (char *)prf, 0),
        OSSL_PARAM_construct_end()};
    uint8_t i = 0;

    assert_non_null(mac);
    while (length > 0) {
        EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
        uint8_t block[64];
        size_t size, n;

        i++;
        assert_int_equal(EVP_MAC_init(ctx, key, key_length, params), 1);
        assert_int_equal(EVP_MAC_update(ctx, &i, 1), 1);
        assert_int_equal(EVP_MAC_update(ctx, fixed, fixed_length), 1);
        assert_int_equal(EVP_MAC_final(ctx, block, &size, sizeof(block)), 1);
        n = length < size ? length : size;
        memcpy(out, block, n);
        out    += n;
        length -= n;
        EVP_MAC_CTX_free(ctx);
    }
    EVP_MAC_free(mac);
}

static void *state_new(const struct eesp_kdf *kdf, const uint8_t *key)
{
    void *state = calloc(1, kdf->state_size);

    assert_non_null(state);
    assert_int_equal(kdf->open(state), EESP_OK);
    assert_int_equal(kdf->key(state, key), EESP_OK);
    return state;
}

static void state_free(const struct eesp_kdf *kdf, void *state)
{
    kdf->close(state);
    free(state);
}

/* RFC 5869 section 2.3 by libcrypto's EVP_KDF, which shares no code. */
static void hkdf(const char *digest, const uint8_t *key, size_t key_length,
                 const uint8_t *info, size_t info_length, uint8_t *out,
                 size_t length)
{
    EVP_KDF *kdf     = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int mode         = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key,
                                          key_length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
                                          info_length),
        OSSL_PARAM_construct_end()};

    assert_int_equal(EVP_KDF_derive(ctx, out, length, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static void wanted_output(const struct eesp_kdf *kdf, const uint8_t *key,
                          const uint8_t *fixed, size_t n, uint8_t *out,
                          size_t length)
{
    switch (kdf->id) {
    case EESP_KDF_CMAC_AES256:
        reference("AES-256-CBC", key, kdf->key_length, fixed, n, out, length);
        break;
    case EESP_KDF_HMAC_SHA256:
        reference("SHA256", key, kdf->key_length, fixed, n, out, length);
        break;
    case EESP_KDF_HKDF_SHA256:
        hkdf("SHA256", key, kdf->key_length, fixed, n, out, length);
        break;
    case EESP_KDF_HKDF_SHA384:
        hkdf("SHA384", key, kdf->key_length, fixed, n, out, length);
        break;
    case EESP_KDF_HKDF_SHA512:
        hkdf("SHA512", key, kdf->key_length, fixed, n, out, length);
        break;
    default:
        fail_msg("KDF %u has no reference", kdf->id);
    }
}

static void compare(const struct eesp_kdf *kdf, void *state,
                    const uint8_t *key, const char label[2],
                    const uint8_t *context, size_t n, size_t length)
{
    uint8_t fixed[2 + 1 + EESP_CONTEXT_MAX + 2];
    uint8_t wanted[EESP_DERIVE_MAX], made[EESP_DERIVE_MAX + 1];

    memcpy(fixed, label, 2);
    fixed[2] = 0;
    memcpy(fixed + 3, context, n);
    fixed[3 + n] = (uint8_t)(8 * length >> 8);
    fixed[4 + n] = (uint8_t)(8 * length);
    wanted_output(kdf, key, fixed, n + 5, wanted, length);
    made[length] = 0xa5;
    assert_int_equal(kdf->derive(state, label, context, n, made, length),
                     EESP_OK);
    assert_memory_equal(made, wanted, length);
    assert_int_equal(made[length], 0xa5);
}

#define for_each_kdf(_i, _kdf) \
    for (_i = 0; ((_kdf) = eesp_kdf_at(_i)) != NULL; _i++)

static void every_length(void **unused)
{
    uint8_t key[EESP_KDK_MAX], context[EESP_CONTEXT_MAX];
    const struct eesp_kdf *kdf;
    size_t n, length;
    unsigned i;

    (void)unused;
    for_each_kdf(i, kdf)
        for (n = 0; n <= EESP_CONTEXT_MAX; n += n < 64 ? 1 : 16) {
            void *state;

            RAND_bytes(key, sizeof(key));
            RAND_bytes(context, sizeof(context));
            state = state_new(kdf, key);
            for (length = 1; length <= EESP_DERIVE_MAX; length++)
                compare(kdf, state, key, length & 1 ? "S1" : "SK", context, n,
                        length);
            state_free(kdf, state);
        }
}

/* A state takes another key, and nothing of the old one stays. */
static void change_key(void **unused)
{
    uint8_t keys[20][EESP_KDK_MAX], context[EESP_CONTEXT_MAX] = {0};
    const struct eesp_kdf *kdf;
    unsigned i, j;

    (void)unused;
    RAND_bytes(keys[0], sizeof(keys));
    for_each_kdf(j, kdf) {
        void *state = state_new(kdf, keys[0]);

        for (i = 0; i < 40; i++) {
            assert_int_equal(kdf->key(state, keys[i * 7 % 20]), EESP_OK);
            compare(kdf, state, keys[i * 7 % 20], "S1", context, 40, 44);
        }
        state_free(kdf, state);
    }
}

static void limits(void **unused)
{
    static const size_t bad[] = {0, EESP_DERIVE_MAX + 1, SIZE_MAX};
    uint8_t key[EESP_KDK_MAX] = {0}, context[EESP_CONTEXT_MAX + 1] = {0};
    uint8_t out[EESP_DERIVE_MAX + 1];
    const struct eesp_kdf *kdf;
    unsigned i, j;

    (void)unused;
    for_each_kdf(j, kdf) {
        void *state = state_new(kdf, key);

        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            assert_int_equal(kdf->derive(state, "S1", context, 8, out, bad[i]),
                             EESP_ERR_ARGUMENT);
        assert_int_equal(kdf->derive(state, "S1", context, sizeof(context),
                                     out, 44),
                         EESP_ERR_ARGUMENT);
        state_free(kdf, state);
    }
}

/* After close nothing of the key is left in the state. */
static void close_wipes(void **unused)
{
    uint8_t key[EESP_KDK_MAX];
    const struct eesp_kdf *kdf;
    unsigned i;
    size_t j;

    (void)unused;
    RAND_bytes(key, sizeof(key));
    for_each_kdf(i, kdf) {
        uint8_t *state = state_new(kdf, key);

        kdf->close(state);
        for (j = 0; j < kdf->state_size; j++)
            assert_int_equal(state[j], 0);
        free(state);
    }
}

static void names(void **unused)
{
    static const struct {
        unsigned    id;
        const char *name;
        size_t      key_length;
    } all[] = {{1, "cmac-aes256", 32}, {2, "hkdf-sha256", 32},
               {3, "hkdf-sha384", 48}, {4, "hkdf-sha512", 64},
               {5, "hmac-sha256", 32}};
    unsigned i;

    (void)unused;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct eesp_kdf *kdf = eesp_kdf_by_name(all[i].name);

        assert_non_null(kdf);
        assert_ptr_equal(kdf, eesp_kdf_at(i));
        assert_ptr_equal(kdf, eesp_kdf_by_id(all[i].id));
        assert_string_equal(eesp_kdf_name(i), all[i].name);
        assert_int_equal(kdf->id, all[i].id);
        assert_int_equal(kdf->key_length, all[i].key_length);
        assert_int_equal(eesp_kdf_selftest(kdf), EESP_OK);
    }
    assert_int_equal(eesp_kdfs(), i);
    assert_null(eesp_kdf_at(i));
    assert_null(eesp_kdf_name(i));
    assert_null(eesp_kdf_by_name("cmac-aes25"));
    assert_null(eesp_kdf_by_name("cmac-aes256 "));
    assert_null(eesp_kdf_by_id(0));
    assert_null(eesp_kdf_by_id(6));
}

static void hex_member(const char *line, const char *member, uint8_t *out,
                       size_t size, size_t *length)
{
    size_t n = strlen(member);

    if (strncmp(line, member, n) == 0 && strncmp(line + n, " = ", 3) == 0)
        *length = unhex(line + n + 3, out, size);
}

/*
 * NIST's fixed data are random bytes, which derive() cannot be given: its own
 * has a form. So the cases vouch for the reference, and that for derive().
 */
static void cavp(void **unused)
{
    const char *dir = getenv("CRYPTOGRAPHY_VECTORS");
    uint8_t key[64], fixed[128], wanted[128], made[128];
    size_t key_length = 0, fixed_length = 0, length = 0;
    char path[400], line[1024];
    const char *cipher = NULL;
    unsigned cases = 0;
    int wanted_form = 0;
    FILE *file;

    (void)unused;
    snprintf(path, sizeof(path), "%s" CAVP,
             dir ? dir : "/usr/lib/python3/dist-packages/cryptography_vectors");
    file = fopen(path, "r");
    if (file == NULL) {
        print_message("SKIPPED: no %s; apt install "
                      "python3-cryptography-vectors\n", path);
        skip();
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strncmp(line, "[PRF=", 5) == 0)
            cipher = strcmp(line, "[PRF=CMAC_AES128]") == 0 ? "AES-128-CBC" :
                     strcmp(line, "[PRF=CMAC_AES256]") == 0 ? "AES-256-CBC" :
                     strcmp(line, "[PRF=HMAC_SHA256]") == 0 ? "SHA256" :
                                                              NULL;
        if (strncmp(line, "[CTRLOCATION=", 13) == 0)
            wanted_form = strstr(line, "BEFORE_FIXED") != NULL;
        if (strncmp(line, "[RLEN=", 6) == 0)
            wanted_form = wanted_form && strstr(line, "=8_BITS") != NULL;
        hex_member(line, "KI", key, sizeof(key), &key_length);
        hex_member(line, "FixedInputData", fixed, sizeof(fixed),
                   &fixed_length);
        hex_member(line, "KO", wanted, sizeof(wanted), &length);
        if (length > 0 && cipher != NULL && wanted_form) {
            reference(cipher, key, key_length, fixed, fixed_length, made,
                      length);
            assert_memory_equal(made, wanted, length);
            cases++;
        }
        length = 0;
    }
    fclose(file);
    print_message("%u CAVP cases\n", cases);
    assert_true(cases >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cavp),       cmocka_unit_test(every_length),
        cmocka_unit_test(change_key), cmocka_unit_test(limits),
        cmocka_unit_test(close_wipes), cmocka_unit_test(names),
    };

    return cmocka_run_group_tests_name("kdf", tests, NULL, NULL);
}
