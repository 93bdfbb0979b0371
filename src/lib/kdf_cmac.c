/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SP 800-108r1 counter mode with CMAC-AES-256 (SP 800-38B) as PRF and an 8-bit
 * counter. The up to four CMACs of one output differ in their first byte only,
 * so they run side by side, in registers from first to last block. libcrypto's
 * EVP_KDF takes 20 to 40 times as long (bench/kdf).
 */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "aead.h"
#include "aes256.h"
#include "bytes.h"
#include "eesp.h"
#include "kdf.h"
#include "lanes.h"

enum { BLOCK = EESP_AES_BLOCK, BLOCKS_MAX = EESP_DERIVE_MAX / BLOCK,
       DATA_KEY = 32 + EESP_NONCE_LEN, /* with its IV mask */
       RANKS = EESP_CONTEXT_FIXED + 8, IDS = EESP_CONTEXT_FIXED + 16 };

struct cmac_state {
    struct eesp_aes256 aes;
    uint8_t            k1[BLOCK], k2[BLOCK]; /* subkeys, SP 800-38B 6.1 */
};

static int cmac_open(void *state)
{
    return eesp_aes256_open(&((struct cmac_state *)state)->aes);
}

/* Doubling in GF(2^128), without a branch on secret bits. */
static void double_block(const uint8_t in[BLOCK], uint8_t out[BLOCK])
{
    uint8_t carry = in[0] >> 7;
    int i;

    for (i = 0; i < BLOCK - 1; i++)
        out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
    out[BLOCK - 1] = (uint8_t)(in[BLOCK - 1] << 1 ^ (0x87 & -carry));
}

static int cmac_key(void *state, const uint8_t *key)
{
    struct cmac_state *s = state;
    uint8_t zero[BLOCK]  = {0};
    int ret              = eesp_aes256_key(&s->aes, key);

    if (ret == EESP_OK)
        ret = eesp_aes256_encrypt(&s->aes, zero, 1);
    double_block(zero, s->k1);
    double_block(s->k1, s->k2);
    explicit_bzero(zero, sizeof(zero));
    return ret;
}

static void xor_block(uint8_t *out, const uint8_t *in)
{
    uint64_t a[2], b[2];

    memcpy(a, out, BLOCK);
    memcpy(b, in, BLOCK);
    a[0] ^= b[0];
    a[1] ^= b[1];
    memcpy(out, a, BLOCK);
}

/*
 * message: 0, where each MAC has its counter, and the fixed data, size bytes,
 * with room for a block behind. Where this is inlined sizes may be constant.
 */
static inline __attribute__((always_inline)) int
counter_mode(struct cmac_state *s, uint8_t *message, size_t size, uint8_t *out,
             size_t length)
{
    uint8_t macs[BLOCKS_MAX * BLOCK];
    size_t n     = (length + BLOCK - 1) / BLOCK;
    size_t whole = (size + BLOCK - 1) / BLOCK * BLOCK;
    const uint8_t *subkey = s->k1;
    int ret;

    if (size < whole) {
        memset(message + size, 0, BLOCK); /* beyond whole: one size */
        message[size] = 0x80;
        subkey        = s->k2;
    }
    ret = eesp_aes256_cbc_macs(&s->aes, message, whole / BLOCK, subkey, macs,
                               n);
    if (ret == EESP_OK)
        memcpy(out, macs, length);
    wipe_small(macs, sizeof(macs));
    return ret;
}

static inline __attribute__((always_inline)) int
derive(struct cmac_state *s, const char label[2], const uint8_t *context,
       size_t context_length, uint8_t *out, size_t length)
{
    uint8_t message[1 + EESP_FIXED_DATA_MAX + BLOCK];
    size_t size;

    if (length == 0 || length > EESP_DERIVE_MAX ||
        context_length > EESP_CONTEXT_MAX)
        return EESP_ERR_ARGUMENT;
    message[0] = 0;
    size       = 1 + eesp_fixed_data(label, context, context_length, length,
                                     message + 1);
    return counter_mode(s, message, size, out, length);
}

int eesp_kdf_cmac_fixed(void *state, const uint8_t *fixed, size_t size,
                        uint8_t *out, size_t length)
{
    uint8_t message[1 + EESP_FIXED_DATA_MAX + BLOCK] = {0};

    if (length == 0 || length > EESP_DERIVE_MAX || size > EESP_FIXED_DATA_MAX)
        return EESP_ERR_ARGUMENT;
    memcpy(message + 1, fixed, size);
    return counter_mode(state, message, 1 + size, out, length);
}

#ifdef __SSE2__

/*
 * A data key from a context of a constant number of words, as most packets
 * have: each block of the message is put together in a register and read back
 * as it was written. Of parts that were written one by one, the first AES round
 * would have to wait until they are in the cache.
 */
static inline __attribute__((always_inline)) int
derive_data_key(struct cmac_state *s, const char label[2],
                const uint8_t *context, const size_t words, uint8_t *out)
{
    __m128i message[EESP_AES_BLOCK / 4];
    uint8_t macs[3 * BLOCK];
    uint64_t word[2] = {0, 0};
    uint64_t carry   = (uint64_t)(uint8_t)label[0] << 8 |
                     (uint64_t)(uint8_t)label[1] << 16;
    const uint64_t end = htobe16(8 * DATA_KEY) | 0x80 << 16;
    size_t i;
    int ret;

#pragma GCC unroll 8
    for (i = 0; i <= words; i++) {
        uint64_t next = end;

        if (i < words)
            memcpy(&next, context + 8 * i, sizeof(next));
        word[i % 2] = carry | next << 32;
        carry       = next >> 32;
        if (i % 2 == 1 || i == words)
            message[i / 2] = _mm_set_epi64x(
                (long long)(i % 2 ? word[1] : 0), (long long)word[0]);
    }
    ret = eesp_aes256_cbc_macs(&s->aes, (const uint8_t *)message,
                               words / 2 + 1, s->k2, macs, 3);
    if (ret == EESP_OK)
        memcpy(out, macs, DATA_KEY);
    wipe_small(macs, sizeof(macs));
    return ret;
}

#else

static inline int derive_data_key(struct cmac_state *s, const char label[2],
                                  const uint8_t *context, size_t words,
                                  uint8_t *out)
{
    return derive(s, label, context, 8 * words, out, DATA_KEY);
}

#endif

/* Contexts with two ranks, or two ids, are what most packets have. */
static int cmac_derive(void *state, const char label[2],
                       const uint8_t *context, size_t context_length,
                       uint8_t *out, size_t length)
{
    if (length == DATA_KEY && context_length == RANKS)
        return derive_data_key(state, label, context, RANKS / 8, out);
    if (length == DATA_KEY && context_length == IDS)
        return derive_data_key(state, label, context, IDS / 8, out);
    return derive(state, label, context, context_length, out, length);
}

int eesp_kdf_cmac_keys(const void *state, size_t size,
                       struct eesp_lanes_keys *keys)
{
    const struct cmac_state *s = state;

    if (s->aes.evp != NULL)
        return 0;
    keys->round_keys = s->aes.round_keys[0];
    keys->mask       = size % BLOCK == 0 ? s->k1 : s->k2;
    return 1;
}

int eesp_kdf_cmac_blocks(void *state, uint8_t *blocks, size_t count)
{
    struct cmac_state *s = state;
    size_t i;

    for (i = 0; i < count; i++)
        xor_block(blocks + i * BLOCK, s->k1);
    return eesp_aes256_encrypt(&s->aes, blocks, count);
}

static void cmac_close(void *state)
{
    struct cmac_state *s = state;

    eesp_aes256_close(&s->aes);
    explicit_bzero(s, sizeof(*s));
}

const struct eesp_kdf eesp_kdf_cmac_aes256 = {
    .id         = EESP_KDF_CMAC_AES256,
    .name       = "cmac-aes256",
    .key_length = 32,
    .state_size = sizeof(struct cmac_state),
    .open       = cmac_open,
    .key        = cmac_key,
    .derive     = cmac_derive,
    .close      = cmac_close,
};
