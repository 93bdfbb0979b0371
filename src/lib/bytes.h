/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes: big-endian integers at any address, and zeros. */
#ifndef EESP_BYTES_H
#define EESP_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static inline void store16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}

/* Zeros, without the slow start of the instruction for long strings. */
static inline void clear_struct(void *object, const size_t size)
{
    uint8_t *p = object;
    size_t i;

#pragma GCC unroll 16
    for (i = 0; i + 16 <= size; i += 16)
        memset(p + i, 0, 16);
    memset(p + i, 0, size - i);
}

/* explicit_bzero() of a few bytes on the hot path. */
static inline void wipe_small(void *secret, const size_t size)
{
    clear_struct(secret, size);
    __asm__ __volatile__("" : : "r"(secret) : "memory"); /* it is read, so: */
}

/*
 * memcpy() of a few words, without a call. Not for secrets: they would stay in
 * registers that functions called next save on the stack.
 */
static inline void copy_words(uint8_t *to, const uint8_t *from, size_t size)
{
    for (; size >= 8; size -= 8, to += 8, from += 8) {
        memcpy(to, from, 8);
        __asm__("" : "+r"(to)); /* it stays a loop */
    }
    for (; size > 0; size--) {
        *to++ = *from++;
        __asm__("" : "+r"(to));
    }
}

#endif
