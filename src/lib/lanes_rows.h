/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lanes_rows: four packets' blocks in one register, and what the kernel of
 * lanes.h does with them: AES-256 under one key or a key each, key derivation
 * and expansion, and GHASH, which is computed as POLYVAL of swapped bytes (RFC
 * 8452, appendix A): that saves the bit reflection.
 */
#ifndef EESP_LANES_ROWS_H
#define EESP_LANES_ROWS_H

#include <immintrin.h>

#include "lanes.h"

#define KERNEL                                                           \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,vaes,"     \
                          "vpclmulqdq,aes,pclmul")))
/* Group and block counts are constants where this is inlined. */
#define PART KERNEL static inline __attribute__((always_inline))

typedef __m512i row;

enum { GROUPS = EESP_LANES / 4, ROUNDS = 14, MACS = 3, CHUNK = 4 };

PART row load(const uint8_t from[64])
{
    return _mm512_loadu_si512((const void *)from);
}

PART void store(uint8_t to[64], row x)
{
    _mm512_storeu_si512((void *)to, x);
}

PART __m128i load_block(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

PART void store_block(uint8_t *to, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)to, x);
}

/* A block of each of four packets, of which p is that of the first. */
PART row gather(const uint8_t *p)
{
    const size_t next = sizeof(struct eesp_lanes_packet);
    row x             = _mm512_castsi128_si512(load_block(p));

    x = _mm512_inserti32x4(x, load_block(p + next), 1);
    x = _mm512_inserti32x4(x, load_block(p + 2 * next), 2);
    return _mm512_inserti32x4(x, load_block(p + 3 * next), 3);
}

PART void scatter(uint8_t *p, row x)
{
    const size_t next = sizeof(struct eesp_lanes_packet);

    store_block(p, _mm512_castsi512_si128(x));
    store_block(p + next, _mm512_extracti32x4_epi32(x, 1));
    store_block(p + 2 * next, _mm512_extracti32x4_epi32(x, 2));
    store_block(p + 3 * next, _mm512_extracti32x4_epi32(x, 3));
}

/* One block for all four packets. */
PART row same(const uint8_t block[EESP_AES_BLOCK])
{
    return _mm512_broadcast_i32x4(load_block(block));
}

PART row words(int w3, int w2, int w1, int w0)
{
    return _mm512_broadcast_i32x4(_mm_set_epi32(w3, w2, w1, w0));
}

PART row swap_bytes(row x)
{
    return _mm512_shuffle_epi8(
        x, words(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f));
}

/* ---- Keys --------------------------------------------------------------- */

/*
 * SP 800-108 counter mode with CMAC: three MACs of each packet's message, whose
 * first byte is the counter. mac[0] and mac[1] are the key.
 */
PART void derive(const struct eesp_lanes *w, const struct eesp_lanes_keys *keys,
                 row mac[][MACS], const int groups)
{
    unsigned block;
    int g, i, round;

#pragma GCC unroll 2
    for (g = 0; g < groups; g++)
#pragma GCC unroll 3
        for (i = 0; i < MACS; i++)
            mac[g][i] = words(0, 0, 0, i + 1);
    for (block = 0; block < w->message_blocks; block++) {
        row key = same(keys->round_keys);

        if (block + 1 == w->message_blocks)
            key = _mm512_xor_si512(key, same(keys->mask));
#pragma GCC unroll 2
        for (g = 0; g < groups; g++) {
            row x = _mm512_xor_si512(key, gather(w->packet[4 * g].message +
                                                    EESP_AES_BLOCK * block));

#pragma GCC unroll 3
            for (i = 0; i < MACS; i++)
                mac[g][i] = _mm512_xor_si512(mac[g][i], x);
        }
#pragma GCC unroll 13
        for (round = 1; round < ROUNDS; round++) {
            key = same(keys->round_keys + EESP_AES_BLOCK * round);
#pragma GCC unroll 2
            for (g = 0; g < groups; g++)
#pragma GCC unroll 3
                for (i = 0; i < MACS; i++)
                    mac[g][i] = _mm512_aesenc_epi128(mac[g][i], key);
        }
        key = same(keys->round_keys + EESP_AES_BLOCK * ROUNDS);
#pragma GCC unroll 2
        for (g = 0; g < groups; g++)
#pragma GCC unroll 3
            for (i = 0; i < MACS; i++)
                mac[g][i] = _mm512_aesenclast_epi128(mac[g][i], key);
    }
}

/* Each word of a round key depends on all before it in the one two back. */
PART row running_sum(row x)
{
    x = _mm512_xor_si512(x, _mm512_bslli_epi128(x, 4));
    return _mm512_xor_si512(x, _mm512_bslli_epi128(x, 8));
}

/*
 * FIPS 197 key expansion. The last AES round of a block of four equal columns
 * is SubWord() in each: its rows have nothing to shift.
 */
PART void expand(struct eesp_lanes *w, row mac[][MACS], const int groups)
{
    const row last = _mm512_set1_epi32(0x0f0e0d0c);
    const row last_rotated = _mm512_set1_epi32(0x0c0f0e0d);
    row even[GROUPS], odd[GROUPS];
    int g, i;

#pragma GCC unroll 2
    for (g = 0; g < groups; g++) {
        even[g] = mac[g][0];
        odd[g]  = mac[g][1];
        store(w->round_keys[g][0], even[g]);
        store(w->round_keys[g][1], odd[g]);
    }
#pragma GCC unroll 7
    for (i = 2; i <= ROUNDS; i += 2) {
        const row constant = _mm512_set1_epi32(1 << (i / 2 - 1));

#pragma GCC unroll 2
        for (g = 0; g < groups; g++) {
            even[g] = _mm512_xor_si512(
                running_sum(even[g]),
                _mm512_aesenclast_epi128(
                    _mm512_shuffle_epi8(odd[g], last_rotated), constant));
            store(w->round_keys[g][i], even[g]);
            if (i == ROUNDS)
                continue;
            odd[g] = _mm512_xor_si512(
                running_sum(odd[g]),
                _mm512_aesenclast_epi128(_mm512_shuffle_epi8(even[g], last),
                                         _mm512_setzero_si512()));
            store(w->round_keys[g][i + 1], odd[g]);
        }
    }
}

/* Each packet's blocks under its own key. */
PART void encrypt(const struct eesp_lanes *w, row x[][CHUNK], const int groups,
                  const int blocks)
{
    int g, i, round;

#pragma GCC unroll 2
    for (g = 0; g < groups; g++)
#pragma GCC unroll 4
        for (i = 0; i < blocks; i++)
            x[g][i] = _mm512_xor_si512(x[g][i], load(w->round_keys[g][0]));
#pragma GCC unroll 13
    for (round = 1; round < ROUNDS; round++)
#pragma GCC unroll 2
        for (g = 0; g < groups; g++) {
            row key = load(w->round_keys[g][round]);

#pragma GCC unroll 4
            for (i = 0; i < blocks; i++)
                x[g][i] = _mm512_aesenc_epi128(x[g][i], key);
        }
#pragma GCC unroll 2
    for (g = 0; g < groups; g++)
#pragma GCC unroll 4
        for (i = 0; i < blocks; i++)
            x[g][i] = _mm512_aesenclast_epi128(
                x[g][i], load(w->round_keys[g][ROUNDS]));
}

/* ---- POLYVAL ------------------------------------------------------------ */

#define POLYNOMIAL words((int)0xc2000000, 0, 0, 1) /* without x^128 */

/* Times x: turns the H of GHASH into that of POLYVAL. */
PART row times_x(row h)
{
    row carry = _mm512_srai_epi32(_mm512_shuffle_epi32(h, 0xff), 31);
    row twice = _mm512_or_si512(
        _mm512_slli_epi64(h, 1),
        _mm512_bslli_epi128(_mm512_srli_epi64(h, 63), 8));

    return _mm512_xor_si512(twice, _mm512_and_si512(carry, POLYNOMIAL));
}

/* Product over x^128: Montgomery's reduction, one half at a time. */
PART row multiply(row a, row b)
{
    const row polynomial = POLYNOMIAL;
    row low    = _mm512_clmulepi64_epi128(a, b, 0x00);
    row high   = _mm512_clmulepi64_epi128(a, b, 0x11);
    row middle = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x01),
                                  _mm512_clmulepi64_epi128(a, b, 0x10));
    int i;

    low  = _mm512_xor_si512(low, _mm512_bslli_epi128(middle, 8));
    high = _mm512_xor_si512(high, _mm512_bsrli_epi128(middle, 8));
#pragma GCC unroll 2
    for (i = 0; i < 2; i++)
        low = _mm512_xor_si512(
            _mm512_shuffle_epi32(low, _MM_PERM_BADC),
            _mm512_clmulepi64_epi128(low, polynomial, 0x10));
    return _mm512_xor_si512(high, low);
}

#endif
