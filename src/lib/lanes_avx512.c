/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel of lanes.h. Groups of four packets do not depend on each other:
 * with two of them one group's instructions run while the other's wait for
 * their results.
 */
#include "lanes.h"

#if defined(__x86_64__)

#include <cpuid.h>

#include "lanes_rows.h"

/* Compilers of Debian 12 do not all know vaes and vpclmulqdq by name. */
int eesp_lanes_cpu(void)
{
    unsigned a, b, c, d;

    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("aes") &&
           __builtin_cpu_supports("pclmul") &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (c & (bit_VAES | bit_VPCLMULQDQ)) == (bit_VAES | bit_VPCLMULQDQ);
}

/* Bytes of a row that packets have, from byte offset on. */
PART __mmask64 present(const struct eesp_lanes_packet p[4], unsigned offset)
{
    __mmask64 mask = 0;
    int i;

#pragma GCC unroll 4
    for (i = 3; i >= 0; i--) {
        unsigned n = p[i].length > offset ? p[i].length - offset : 0;

        mask = mask << 16 | (n < 16 ? (1u << n) - 1 : 0xffff);
    }
    return mask;
}

/* Lengths of associated data and data in bits, as POLYVAL takes them. */
PART row length_block(const struct eesp_lanes *w, int g)
{
    const struct eesp_lanes_packet *p = &w->packet[4 * g];
    long long aad                     = 8LL * w->aad_length;

    return _mm512_set_epi64(aad, 8LL * p[3].length, aad, 8LL * p[2].length,
                            aad, 8LL * p[1].length, aad, 8LL * p[0].length);
}

/* No trace of keys in registers that the caller's callees might save. */
PART void wipe_registers(void)
{
    __asm__ volatile("vzeroall\n\t"
                     "vpxord %%zmm16, %%zmm16, %%zmm16\n\t"
                     "vpxord %%zmm17, %%zmm17, %%zmm17\n\t"
                     "vpxord %%zmm18, %%zmm18, %%zmm18\n\t"
                     "vpxord %%zmm19, %%zmm19, %%zmm19\n\t"
                     "vpxord %%zmm20, %%zmm20, %%zmm20\n\t"
                     "vpxord %%zmm21, %%zmm21, %%zmm21\n\t"
                     "vpxord %%zmm22, %%zmm22, %%zmm22\n\t"
                     "vpxord %%zmm23, %%zmm23, %%zmm23\n\t"
                     "vpxord %%zmm24, %%zmm24, %%zmm24\n\t"
                     "vpxord %%zmm25, %%zmm25, %%zmm25\n\t"
                     "vpxord %%zmm26, %%zmm26, %%zmm26\n\t"
                     "vpxord %%zmm27, %%zmm27, %%zmm27\n\t"
                     "vpxord %%zmm28, %%zmm28, %%zmm28\n\t"
                     "vpxord %%zmm29, %%zmm29, %%zmm29\n\t"
                     "vpxord %%zmm30, %%zmm30, %%zmm30\n\t"
                     "vpxord %%zmm31, %%zmm31, %%zmm31"
                     ::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                       "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
                       "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                       "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",
                       "xmm31", "memory");
}

#ifdef __OPTIMIZE__
enum { FRAME = 4096 };
#else
enum { FRAME = 65536 };
#endif

/* What the compiler had no register for lay where this frame is. */
KERNEL static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t frame[FRAME];
    unsigned i;

    for (i = 0; i < FRAME; i += sizeof(row))
        store(frame + i, _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(frame) : "memory");
}

/* Packets whose rows differ from zero, one bit each. */
PART unsigned differing(row x)
{
    unsigned halves = _mm512_test_epi64_mask(x, x);
    unsigned packets = 0;
    int i;

#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
        packets |= ((halves >> (2 * i) & 3) != 0) << i;
    return packets;
}

PART __mmask8 halves_of(__mmask64 bytes)
{
    __mmask8 halves = 0;
    int i;

#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
        halves |= (__mmask8)((bytes >> (16 * i) & 1) * (3u << (2 * i)));
    return halves;
}

PART unsigned work(struct eesp_lanes *w, const struct eesp_lanes_keys *keys,
                   const int groups, const int sealing)
{
    row mac[GROUPS][MACS], x[GROUPS][CHUNK];
    row h[GROUPS], tag[GROUPS], sum[GROUPS];
    row counters[GROUPS];
    unsigned longest = 0, block, bad = 0, i;
    int g, k;

    for (i = w->packets; i < 4 * (unsigned)groups; i++)
        w->packet[i].length = 0; /* computed, too, and of no use */
    derive(w, keys, mac, groups);
    expand(w, mac, groups);
#pragma GCC unroll 2
    for (g = 0; g < groups; g++) {
        /* IV: masked, its last word is the block counter. */
        counters[g] = _mm512_mask_mov_epi32(
            _mm512_xor_si512(mac[g][2], gather(w->packet[4 * g].iv)), 0x8888,
            _mm512_setzero_si512());
        x[g][0] = _mm512_setzero_si512();
        x[g][1] = _mm512_or_si512(counters[g], words(1 << 24, 0, 0, 0));
    }
    encrypt(w, x, groups, 2);
#pragma GCC unroll 2
    for (g = 0; g < groups; g++) {
        h[g]   = times_x(swap_bytes(x[g][0]));
        tag[g] = x[g][1];
        sum[g] = _mm512_setzero_si512();
    }
    for (block = 0; block * EESP_AES_BLOCK < w->aad_length; block++)
#pragma GCC unroll 2
        for (g = 0; g < groups; g++)
            sum[g] = multiply(
                _mm512_xor_si512(
                    sum[g], swap_bytes(gather(w->packet[4 * g].aad +
                                              EESP_AES_BLOCK * block))),
                h[g]);
    for (i = 0; i < w->packets; i++)
        if (w->packet[i].length > longest)
            longest = w->packet[i].length;
    for (block = 0; block * EESP_AES_BLOCK < longest; block += CHUNK) {
#pragma GCC unroll 2
        for (g = 0; g < groups; g++)
#pragma GCC unroll 4
            for (k = 0; k < CHUNK; k++)
                x[g][k] = _mm512_or_si512(
                    counters[g], words((int)((block + 2 + k) << 24), 0, 0, 0));
        encrypt(w, x, groups, CHUNK);
        for (k = 0; k < CHUNK &&
                    (block + k) * EESP_AES_BLOCK < longest; k++)
#pragma GCC unroll 2
            for (g = 0; g < groups; g++) {
                struct eesp_lanes_packet *p = &w->packet[4 * g];
                const unsigned offset = (block + k) * EESP_AES_BLOCK;
                const __mmask64 bytes = present(p, offset);
                row in  = _mm512_maskz_mov_epi8(bytes,
                                                gather(p->data + offset));
                row out = _mm512_maskz_mov_epi8(
                    bytes, _mm512_xor_si512(in, x[g][k]));

                scatter(p->data + offset, out);
                sum[g] = _mm512_mask_mov_epi64(
                    sum[g], halves_of(bytes),
                    multiply(_mm512_xor_si512(
                                 sum[g], swap_bytes(sealing ? out : in)),
                             h[g]));
            }
    }
#pragma GCC unroll 2
    for (g = 0; g < groups; g++) {
        sum[g] = multiply(
            _mm512_xor_si512(sum[g], length_block(w, g)),
            h[g]);
        tag[g] = _mm512_xor_si512(tag[g], swap_bytes(sum[g]));
        if (sealing)
            scatter(w->packet[4 * g].icv, tag[g]);
        else
            bad |= differing(_mm512_xor_si512(tag[g], gather(w->packet[4 * g].icv)))
                   << (4 * g);
    }
    return bad;
}

PART void wipe_keys(struct eesp_lanes *w)
{
    int g, i;

    for (g = 0; g < GROUPS; g++)
        for (i = 0; i <= ROUNDS; i++)
            store(w->round_keys[g][i], _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(w) : "memory");
}

KERNEL void eesp_lanes_avx512_seal(struct eesp_lanes *w,
                                   const struct eesp_lanes_keys *keys)
{
    if (w->packets > 4)
        work(w, keys, 2, 1);
    else
        work(w, keys, 1, 1);
    wipe_registers();
    wipe_keys(w);
    wipe_stack();
}

KERNEL unsigned eesp_lanes_avx512_decrypt(struct eesp_lanes *w,
                                          const struct eesp_lanes_keys *keys)
{
    unsigned bad = w->packets > 4 ? work(w, keys, 2, 0) : work(w, keys, 1, 0);

    wipe_registers();
    wipe_keys(w);
    wipe_stack();
    return bad & ((1u << w->packets) - 1);
}

#else

int eesp_lanes_cpu(void)
{
    return 0;
}

void eesp_lanes_avx512_seal(struct eesp_lanes *w,
                            const struct eesp_lanes_keys *keys)
{
    (void)w;
    (void)keys;
}

unsigned eesp_lanes_avx512_decrypt(struct eesp_lanes *w,
                                   const struct eesp_lanes_keys *keys)
{
    (void)w;
    (void)keys;
    return (1u << EESP_LANES) - 1;
}

#endif
