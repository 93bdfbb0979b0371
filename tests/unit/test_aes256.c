/* SPDX-License-Identifier: BSD-3-Clause */
/* aes256: FIPS 197, and libcrypto on many keys; whichever engine runs here. */
#include "unit.h"

#include "aes256.h"
#include "secret.h"

/* FIPS 197, appendix C.3. */
static void fips_197(void **unused)
{
    struct eesp_aes256 aes;
    uint8_t key[32], block[16], expected[16];

    (void)unused;
    unhex("000102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f", key, sizeof(key));
    unhex("00112233445566778899aabbccddeeff", block, sizeof(block));
    unhex("8ea2b7ca516745bfeafc49904b496089", expected, sizeof(expected));
    assert_int_equal(eesp_aes256_open(&aes), EESP_OK);
    assert_int_equal(eesp_aes256_key(&aes, key), EESP_OK);
    assert_int_equal(eesp_aes256_encrypt(&aes, block, 1), EESP_OK);
    assert_memory_equal(block, expected, sizeof(block));
    eesp_aes256_close(&aes);
}

static void like_libcrypto(void **unused)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    struct eesp_aes256 aes;
    uint8_t key[32], ours[9 * 16], theirs[9 * 16];
    int i, done;

    (void)unused;
    assert_int_equal(eesp_aes256_open(&aes), EESP_OK);
    for (i = 0; i < 2000; i++) {
        size_t count = (size_t)i % 9 + 1;

        assert_int_equal(eesp_random(key, sizeof(key)), EESP_OK);
        assert_int_equal(eesp_random(ours, sizeof(ours)), EESP_OK);
        assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_ecb(), NULL, key,
                                            NULL), 1);
        EVP_CIPHER_CTX_set_padding(ctx, 0);
        assert_int_equal(EVP_EncryptUpdate(ctx, theirs, &done, ours,
                                           (int)(16 * count)), 1);
        assert_int_equal(eesp_aes256_key(&aes, key), EESP_OK);
        assert_int_equal(eesp_aes256_encrypt(&aes, ours, count), EESP_OK);
        assert_memory_equal(ours, theirs, 16 * count);
    }
    eesp_aes256_close(&aes);
    EVP_CIPHER_CTX_free(ctx);
}

/* CBC of libcrypto without IV: the last block is the MAC. */
static void macs_like_libcrypto(void **unused)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    static const uint8_t no_iv[16];
    struct eesp_aes256 aes;
    uint8_t key[32], mask[16], message[5 * 16], macs[4 * 16];
    uint8_t input[sizeof(message)], theirs[sizeof(message)];
    int i, n, k, done;

    (void)unused;
    assert_int_equal(eesp_aes256_open(&aes), EESP_OK);
    for (i = 0; i < 500; i++) {
        size_t blocks = (size_t)i % 5 + 1, count = (size_t)i / 5 % 4 + 1;

        assert_int_equal(eesp_random(key, sizeof(key)), EESP_OK);
        assert_int_equal(eesp_random(mask, sizeof(mask)), EESP_OK);
        assert_int_equal(eesp_random(message, sizeof(message)), EESP_OK);
        assert_int_equal(eesp_aes256_key(&aes, key), EESP_OK);
        assert_int_equal(eesp_aes256_cbc_macs(&aes, message, blocks, mask,
                                              macs, count), EESP_OK);
        for (n = 0; n < (int)count; n++) {
            memcpy(input, message, sizeof(input));
            input[0] ^= (uint8_t)(n + 1);
            for (k = 0; k < 16; k++)
                input[16 * (blocks - 1) + (size_t)k] ^= mask[k];
            assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL,
                                                key, no_iv), 1);
            EVP_CIPHER_CTX_set_padding(ctx, 0);
            assert_int_equal(EVP_EncryptUpdate(ctx, theirs, &done, input,
                                               (int)(16 * blocks)), 1);
            assert_memory_equal(macs + 16 * n, theirs + 16 * (blocks - 1), 16);
        }
    }
    eesp_aes256_close(&aes);
    EVP_CIPHER_CTX_free(ctx);
}

static void closed_is_wiped(void **unused)
{
    static const struct eesp_aes256 zero;
    struct eesp_aes256 aes;
    uint8_t key[32] = {1};

    (void)unused;
    assert_int_equal(eesp_aes256_open(&aes), EESP_OK);
    assert_int_equal(eesp_aes256_key(&aes, key), EESP_OK);
    eesp_aes256_close(&aes);
    assert_memory_equal(&aes, &zero, sizeof(aes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fips_197),
        cmocka_unit_test(like_libcrypto),
        cmocka_unit_test(macs_like_libcrypto),
        cmocka_unit_test(closed_is_wiped),
    };

    return cmocka_run_group_tests_name("aes256", tests, NULL, NULL);
}
