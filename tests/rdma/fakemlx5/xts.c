/* SPDX-License-Identifier: BSD-3-Clause */
/* xts: AES-XTS of OpenSSL, data unit by data unit. */
#include "fakemlx5.h"

#include <openssl/evp.h>

int fake_xts(int encrypt, const uint8_t *key, size_t key_length,
             const uint8_t tweak[16], const uint8_t *in, size_t length,
             uint8_t *out)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(
        NULL, key_length == 64 ? "AES-256-XTS" : "AES-128-XTS", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done, result = -1;

    if (cipher != NULL && ctx != NULL &&
        EVP_CipherInit_ex2(ctx, cipher, key, tweak, encrypt, NULL) == 1 &&
        EVP_CipherUpdate(ctx, out, &done, in, (int)length) == 1 &&
        done == (int)length)
        result = 0;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return result;
}

void fake_tweak_add(uint8_t tweak[16], uint64_t units)
{
    unsigned carry = 0;
    int i;

    for (i = 0; i < 16; i++) {
        carry += tweak[i] + (i < 8 ? (unsigned)(units >> 8 * i & 0xff) : 0);
        tweak[i] = (uint8_t)carry;
        carry >>= 8;
    }
}
