/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_units: numbers of XTS data units under one key, each used once.
 *
 * A key is one receiver's. The receiver takes numbers, always upwards, and
 * tells them to whoever sends to it; the sender uses them in the order in which
 * they were taken and refuses what lies below. So a number comes twice neither
 * by two senders (one receiver gives them out) nor by a receiver that errs.
 *
 * XTS's tweak is 16 bytes, little endian: number, then zeros.
 */
#ifndef VERBS_SHIM_DATA_UNITS_H
#define VERBS_SHIM_DATA_UNITS_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

/*
 * Every card with XTS knows it. 2^36 units are 2^44 AES blocks, the most that
 * IEEE 1619-2018 lets one key have; nothing starts anew behind the last.
 */
#define DATA_UNIT 4096u
#define DATA_UNITS ((uint64_t)1 << 36)

enum { TWEAK_LEN = 16 };

/* How many numbers length bytes need; 0 is no length. */
static inline uint64_t data_units(uint64_t length)
{
    return length / DATA_UNIT + (length % DATA_UNIT != 0);
}

/* Receiver: the next count numbers, from *unit0_p. -EOVERFLOW at the end. */
static inline int data_units_take(uint64_t *next, uint64_t count,
                                  uint64_t *unit0_p)
{
    if (count == 0 || count > DATA_UNITS - *next)
        return -EOVERFLOW;
    *unit0_p = *next;
    *next += count;
    return 0;
}

/* Sender: those that the receiver told. -ESTALE: used or passed over. */
static inline int data_units_use(uint64_t *lowest, uint64_t count,
                                 uint64_t unit0)
{
    if (unit0 < *lowest)
        return -ESTALE;
    if (unit0 >= DATA_UNITS || count == 0 || count > DATA_UNITS - unit0)
        return -EOVERFLOW;
    *lowest = unit0 + count;
    return 0;
}

static inline void data_unit_tweak(uint64_t unit0, uint8_t tweak[TWEAK_LEN])
{
    int i;

    memset(tweak, 0, TWEAK_LEN);
    for (i = 0; i < 8; i++)
        tweak[i] = (uint8_t)(unit0 >> 8 * i);
}

#endif
