/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kdf: the side-by-side CMACs against one CMAC at a time by libcrypto, and
 * that in turn against NIST's CAVP cases where their package is installed.
 */
#include "unit.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "context.h"
#include "kdf.h"

#define CAVP "/KDF/nist-800-108-KBKDF-CTR.txt"

/* SP 800-108r1 section 4.1 with an 8-bit counter before the fixed data. */
static void reference(const char *cipher, const uint8_t *key, size_t key_length,
                      const uint8_t *fixed, size_t fixed_length, uint8_t *out,
                      size_t length)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)cipher,
                                         0),
        OSSL_PARAM_construct_end()};
    uint8_t i = 0;

    assert_non_null(mac);
    while (length > 0) {
        EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
        uint8_t block[16];
        size_t n = length < 16 ? length : 16, made;

        i++;
        assert_int_equal(EVP_MAC_init(ctx, key, key_length, params), 1);
        assert_int_equal(EVP_MAC_update(ctx, &i, 1), 1);
        assert_int_equal(EVP_MAC_update(ctx, fixed, fixed_length), 1);
        assert_int_equal(EVP_MAC_final(ctx, block, &made, sizeof(block)), 1);
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

static void compare(void *state, const uint8_t *key, const char label[2],
                    const uint8_t *context, size_t n, size_t length)
{
    uint8_t fixed[2 + 1 + EESP_CONTEXT_MAX + 2];
    uint8_t wanted[EESP_DERIVE_MAX], made[EESP_DERIVE_MAX + 1];

    memcpy(fixed, label, 2);
    fixed[2] = 0;
    memcpy(fixed + 3, context, n);
    fixed[3 + n] = (uint8_t)(8 * length >> 8);
    fixed[4 + n] = (uint8_t)(8 * length);
    reference("AES-256-CBC", key, 32, fixed, n + 5, wanted, length);
    made[length] = 0xa5;
    assert_int_equal(eesp_kdf_cmac_aes256.derive(state, label, context, n,
                                                 made, length),
                     EESP_OK);
    assert_memory_equal(made, wanted, length);
    assert_int_equal(made[length], 0xa5);
}

static void every_length(void **unused)
{
    uint8_t key[32], context[EESP_CONTEXT_MAX];
    size_t n, length;

    (void)unused;
    for (n = 0; n <= EESP_CONTEXT_MAX; n++) {
        void *state;

        RAND_bytes(key, sizeof(key));
        RAND_bytes(context, sizeof(context));
        state = state_new(&eesp_kdf_cmac_aes256, key);
        for (length = 1; length <= EESP_DERIVE_MAX; length++)
            compare(state, key, length & 1 ? "S1" : "SK", context, n, length);
        state_free(&eesp_kdf_cmac_aes256, state);
    }
}

/* A state takes another key, and nothing of the old one stays. */
static void change_key(void **unused)
{
    uint8_t keys[20][32], context[EESP_CONTEXT_MAX] = {0};
    void *state;
    int i;

    (void)unused;
    RAND_bytes(keys[0], sizeof(keys));
    state = state_new(&eesp_kdf_cmac_aes256, keys[0]);
    for (i = 0; i < 40; i++) {
        assert_int_equal(eesp_kdf_cmac_aes256.key(state, keys[i * 7 % 20]),
                         EESP_OK);
        compare(state, keys[i * 7 % 20], "S1", context, 40, 44);
    }
    state_free(&eesp_kdf_cmac_aes256, state);
}

static void limits(void **unused)
{
    static const size_t bad[] = {0, EESP_DERIVE_MAX + 1, SIZE_MAX};
    uint8_t key[32] = {0}, context[EESP_CONTEXT_MAX + 1] = {0};
    uint8_t out[EESP_DERIVE_MAX + 1];
    void *state = state_new(&eesp_kdf_cmac_aes256, key);
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(eesp_kdf_cmac_aes256.derive(state, "S1", context, 8,
                                                     out, bad[i]),
                         EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_kdf_cmac_aes256.derive(state, "S1", context,
                                                 sizeof(context), out, 44),
                     EESP_ERR_ARGUMENT);
    state_free(&eesp_kdf_cmac_aes256, state);
}

static void names(void **unused)
{
    const struct eesp_kdf *kdf = eesp_kdf_by_name("cmac-aes256");

    (void)unused;
    assert_ptr_equal(kdf, &eesp_kdf_cmac_aes256);
    assert_ptr_equal(kdf, eesp_kdf_by_id(EESP_KDF_CMAC_AES256));
    assert_null(eesp_kdf_by_name("cmac-aes25"));
    assert_null(eesp_kdf_by_name("cmac-aes256 "));
    assert_null(eesp_kdf_by_id(0));
    assert_null(eesp_kdf_by_id(2));
    assert_true(kdf->key_length <= EESP_KDK_MAX);
    assert_int_equal(eesp_kdf_selftest(), EESP_OK);
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
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests_name("kdf", tests, NULL, NULL);
}
