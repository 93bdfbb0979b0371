/* SPDX-License-Identifier: BSD-3-Clause */
#include "aes256.h"

#include <pthread.h>
#include <string.h>

#include "bytes.h"
#include "eesp.h"
#include "fips.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AESNI __attribute__((target("aes,sse2")))

static int have_aesni(void)
{
    return __builtin_cpu_supports("aes");
}

/* Word i depends on all words before it in its half. */
AESNI static inline __m128i fold(__m128i half, __m128i assist)
{
    half = _mm_xor_si128(half, _mm_slli_si128(half, 4));
    half = _mm_xor_si128(half, _mm_slli_si128(half, 8));
    return _mm_xor_si128(half, assist);
}

#define EXPAND(_i, _rcon)                                                \
    a = fold(a, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(b, _rcon),   \
                                  0xff));                                \
    _mm_store_si128(k + (_i), a);                                        \
    if ((_i) < 14) {                                                     \
        b = fold(b, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(a, 0),   \
                                      0xaa));                            \
        _mm_store_si128(k + (_i) + 1, b);                                \
    }

AESNI static void aesni_key(struct eesp_aes256 *aes, const uint8_t key[32])
{
    __m128i *k = (__m128i *)aes->round_keys;
    __m128i a  = _mm_loadu_si128((const __m128i *)key);
    __m128i b  = _mm_loadu_si128((const __m128i *)(key + 16));

    _mm_store_si128(k, a);
    _mm_store_si128(k + 1, b);
    EXPAND(2, 0x01)
    EXPAND(4, 0x02)
    EXPAND(6, 0x04)
    EXPAND(8, 0x08)
    EXPAND(10, 0x10)
    EXPAND(12, 0x20)
    EXPAND(14, 0x40)
}

/* n is constant where these are inlined: the blocks stay in registers. */
AESNI static inline __attribute__((always_inline)) void
encrypt_registers(const __m128i *k, __m128i s[4], const size_t n)
{
    size_t i;
    int round;

#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        s[i] = _mm_xor_si128(s[i], k[0]);
#pragma GCC unroll 14
    for (round = 1; round < 14; round++) {
        __m128i key = k[round];

#pragma GCC unroll 4
        for (i = 0; i < n; i++)
            s[i] = _mm_aesenc_si128(s[i], key);
    }
#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        s[i] = _mm_aesenclast_si128(s[i], k[14]);
}

AESNI static inline __attribute__((always_inline)) void
encrypt_side_by_side(const __m128i *k, __m128i *p, const size_t n)
{
    __m128i s[4];
    size_t i;

#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        s[i] = _mm_loadu_si128(p + i);
    encrypt_registers(k, s, n);
#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        _mm_storeu_si128(p + i, s[i]);
}

AESNI static inline __attribute__((always_inline)) void
macs_side_by_side(const __m128i *k, const __m128i *message, size_t blocks,
                  const __m128i *mask, __m128i *macs, const size_t n)
{
    __m128i s[4], block;
    size_t i;

#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        s[i] = _mm_cvtsi32_si128((int)i + 1);
    for (; blocks > 0; blocks--) {
        block = _mm_loadu_si128(message++);
        if (blocks == 1)
            block = _mm_xor_si128(block, _mm_loadu_si128(mask));
#pragma GCC unroll 4
        for (i = 0; i < n; i++)
            s[i] = _mm_xor_si128(s[i], block);
        encrypt_registers(k, s, n);
    }
#pragma GCC unroll 4
    for (i = 0; i < n; i++)
        _mm_storeu_si128(macs + i, s[i]);
    wipe_small(s, sizeof(s)); /* keys, if the compiler had them in memory */
}

AESNI static void aesni_cbc_macs(const struct eesp_aes256 *aes,
                                 const uint8_t *message, size_t blocks,
                                 const uint8_t *mask, uint8_t *macs,
                                 size_t count)
{
    const __m128i *k = (const __m128i *)aes->round_keys;
    const __m128i *m = (const __m128i *)message;
    const __m128i *x = (const __m128i *)mask;
    __m128i *p       = (__m128i *)macs;

    switch (count) {
    case 4:
        macs_side_by_side(k, m, blocks, x, p, 4);
        break;
    case 3:
        macs_side_by_side(k, m, blocks, x, p, 3);
        break;
    case 2:
        macs_side_by_side(k, m, blocks, x, p, 2);
        break;
    case 1:
        macs_side_by_side(k, m, blocks, x, p, 1);
        break;
    }
}

AESNI static void aesni_encrypt(const struct eesp_aes256 *aes, uint8_t *blocks,
                                size_t count)
{
    const __m128i *k = (const __m128i *)aes->round_keys;
    __m128i *p       = (__m128i *)blocks;

    for (; count > 4; count -= 4, p += 4)
        encrypt_side_by_side(k, p, 4);
    switch (count) {
    case 4:
        encrypt_side_by_side(k, p, 4);
        break;
    case 3:
        encrypt_side_by_side(k, p, 3);
        break;
    case 2:
        encrypt_side_by_side(k, p, 2);
        break;
    case 1:
        encrypt_side_by_side(k, p, 1);
        break;
    }
}

#else

static int have_aesni(void)
{
    return 0;
}

static void aesni_key(struct eesp_aes256 *aes, const uint8_t key[32])
{
    (void)aes;
    (void)key;
}

static void aesni_encrypt(const struct eesp_aes256 *aes, uint8_t *blocks,
                          size_t count)
{
    (void)aes;
    (void)blocks;
    (void)count;
}

static void aesni_cbc_macs(const struct eesp_aes256 *aes,
                           const uint8_t *message, size_t blocks,
                           const uint8_t *mask, uint8_t *macs, size_t count)
{
    (void)aes;
    (void)message;
    (void)blocks;
    (void)mask;
    (void)macs;
    (void)count;
}

#endif

static EVP_CIPHER *aes_256_ecb;
static pthread_once_t aes_once = PTHREAD_ONCE_INIT;

/* Kept for the life of the process: a fetch costs as much as 20 packets. */
static void fetch_aes(void)
{
    aes_256_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
}

int eesp_aes256_open(struct eesp_aes256 *aes)
{
    memset(aes, 0, sizeof(*aes));
    if (eesp_fips_missing() != NULL)
        return EESP_ERR_UNSUPPORTED; /* PSP, TSS: see kdf_fips.c for SL1 */
    if (have_aesni())
        return EESP_OK;
    pthread_once(&aes_once, fetch_aes);
    if (aes_256_ecb == NULL)
        return EESP_ERR_CRYPTO;
    aes->evp = EVP_CIPHER_CTX_new();
    return aes->evp ? EESP_OK : EESP_ERR_MEMORY;
}

int eesp_aes256_key(struct eesp_aes256 *aes, const uint8_t key[32])
{
    if (aes->evp == NULL) {
        aesni_key(aes, key);
        return EESP_OK;
    }
    return EVP_EncryptInit_ex2(aes->evp, aes_256_ecb, key, NULL, NULL) == 1 &&
                   EVP_CIPHER_CTX_set_padding(aes->evp, 0) == 1 ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

int eesp_aes256_encrypt(struct eesp_aes256 *aes, uint8_t *blocks, size_t count)
{
    int done, length = (int)count * EESP_AES_BLOCK;

    if (aes->evp == NULL) {
        aesni_encrypt(aes, blocks, count);
        return EESP_OK;
    }
    return EVP_EncryptUpdate(aes->evp, blocks, &done, blocks, length) == 1 &&
                   done == length ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

int eesp_aes256_cbc_macs(struct eesp_aes256 *aes, const uint8_t *message,
                         size_t blocks, const uint8_t mask[EESP_AES_BLOCK],
                         uint8_t *macs, size_t count)
{
    int ret = EESP_OK;
    size_t i, k;

    if (aes->evp == NULL) {
        aesni_cbc_macs(aes, message, blocks, mask, macs, count);
        return EESP_OK;
    }
    memset(macs, 0, count * EESP_AES_BLOCK);
    for (i = 0; i < count; i++)
        macs[i * EESP_AES_BLOCK] = (uint8_t)(i + 1);
    for (; blocks > 0 && ret == EESP_OK; blocks--) {
        for (i = 0; i < count; i++)
            for (k = 0; k < EESP_AES_BLOCK; k++)
                macs[i * EESP_AES_BLOCK + k] ^=
                    message[k] ^ (blocks == 1 ? mask[k] : 0);
        message += EESP_AES_BLOCK;
        ret      = eesp_aes256_encrypt(aes, macs, count);
    }
    return ret;
}

/* libcrypto cleanses its own key schedule. */
void eesp_aes256_close(struct eesp_aes256 *aes)
{
    EVP_CIPHER_CTX_free(aes->evp);
    explicit_bzero(aes, sizeof(*aes));
}
