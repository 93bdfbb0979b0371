/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz: what the libFuzzer targets share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "eesp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A rule that must hold whatever the input: broken, it ends the run. */
#define FUZZ_RULE(_condition)                                             \
    do {                                                                  \
        if (!(_condition)) {                                              \
            fprintf(stderr, "%s:%d: rule broken: %s\n", __FILE__,         \
                    __LINE__, #_condition);                               \
            abort();                                                      \
        }                                                                 \
    } while (0)

/* The keyring that run.sh made for this target. */
static inline const char *fuzz_ring(void)
{
    const char *path = getenv("EESP_FUZZ_RING");

    FUZZ_RULE(path != NULL);
    return path;
}

/*
 * Byte by byte: libFuzzer watches memcmp(), and would put the packet that was
 * sealed into its next input.
 */
static inline int fuzz_same(const uint8_t *a, size_t a_length,
                            const uint8_t *b, size_t b_length)
{
    uint8_t differs = 0;
    size_t i;

    for (i = 0; i < a_length && i < b_length; i++)
        differs |= a[i] ^ b[i];
    return a_length == b_length && differs == 0;
}

/*
 * Changes packet as data says, 4 bytes a change: kind, place (2), value. Its
 * new length, up to room.
 */
static inline size_t fuzz_change(uint8_t *packet, size_t length, size_t room,
                                 const uint8_t *data, size_t size)
{
    for (; size >= 4; data += 4, size -= 4) {
        size_t place = (size_t)data[1] << 8 | data[2];

        switch (data[0] & 7) {
        case 0: /* cut */
            length = place < length ? place : length;
            break;
        case 1: /* longer */
            if (length + data[3] <= room) {
                memset(packet + length, data[3], data[3]);
                length += data[3];
            }
            break;
        case 2: /* set */
            if (length > 0)
                packet[place % length] = data[3];
            break;
        case 3: /* from the end */
            if (length > 0)
                packet[length - 1 - place % length] ^= data[3];
            break;
        default:
            if (length > 0)
                packet[place % length] ^= data[3];
        }
    }
    return length;
}

/*
 * In place of libc's, for targets that include FUZZ_RANDOM: the same input
 * must do the same again.
 */
#ifdef FUZZ_RANDOM
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    static uint64_t state = 1;
    uint8_t *p = buffer;
    size_t i;

    (void)flags;
    for (i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        p[i]  = (uint8_t)(state >> 56);
    }
    return (ssize_t)length;
}
#endif

#endif
