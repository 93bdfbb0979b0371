/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lanes: derivation, key expansion and AES-256-GCM of up to eight short packets
 * with a key each, side by side: one packet in each 128-bit lane of AVX-512
 * registers (VAES, VPCLMULQDQ). A key is made, used once and gone.
 *
 *     eesp_lanes_missing()                NULL: this CPU has it, and right
 *     w = eesp_lanes_open();
 *     w->packets = n;                     and fill in n of w->packet
 *     eesp_lanes_seal(w, &keys);          their data and icv are there
 *     eesp_lanes_close(w);                wipes
 *
 * Time depends on lengths, never on keys or data. What it leaves behind in
 * registers, on the stack and in w is wiped, but for the data.
 */
#ifndef EESP_LANES_H
#define EESP_LANES_H

#include <stdint.h>

#include "aes256.h"

enum {
    EESP_LANES         = 8,
    EESP_LANES_MESSAGE = 4 * EESP_AES_BLOCK,  /* bytes of the KDF's input */
    EESP_LANES_AAD     = 4 * EESP_AES_BLOCK,
    EESP_LANES_DATA    = 17 * EESP_AES_BLOCK, /* bytes of a packet's body */
    EESP_LANES_ROUND_KEYS = 15
};

struct eesp_lanes_packet {
    /* Whole blocks: 0, where the counter goes, and the padded fixed data. */
    uint8_t  message[EESP_LANES_MESSAGE];
    uint8_t  iv[EESP_AES_BLOCK]; /* 12 bytes, to be masked */
    uint8_t  aad[EESP_LANES_AAD]; /* then zeros */
    uint8_t  icv[EESP_AES_BLOCK];
    uint8_t  data[EESP_LANES_DATA]; /* in place; what is behind it is lost */
    unsigned length;                /* bytes of data */
};

/* In secret memory. Of every packet: blocks of message, bytes of aad. */
struct eesp_lanes {
    struct eesp_lanes_packet packet[EESP_LANES];
    unsigned packets;
    unsigned message_blocks, aad_length;
    /* Of four packets side by side. */
    uint8_t round_keys[EESP_LANES / 4][EESP_LANES_ROUND_KEYS][64];
} __attribute__((aligned(64)));

/* Of the prepared derivation key: see eesp_kdf_cmac_keys(). */
struct eesp_lanes_keys {
    const uint8_t *round_keys; /* 15 * 16 */
    const uint8_t *mask;       /* subkey for the last block of the message */
};

/* What is missing here, or wrong: NULL if nothing. Fixed for the process. */
const char *eesp_lanes_missing(void);
/* The same, tested anew against libcrypto: EESP_OK or EESP_ERR_x. */
int eesp_lanes_selftest(void);

/* Where nothing is missing. NULL: no memory. */
struct eesp_lanes *eesp_lanes_open(void);
void eesp_lanes_close(struct eesp_lanes *w);

void eesp_lanes_seal(struct eesp_lanes *w, const struct eesp_lanes_keys *keys);
/* Bit i: packet i is not authentic, and its data is wiped. */
unsigned eesp_lanes_decrypt(struct eesp_lanes *w,
                            const struct eesp_lanes_keys *keys);

/* The kernel itself, on a CPU that has it: lanes_avx512.c. */
int eesp_lanes_cpu(void);
void eesp_lanes_avx512_seal(struct eesp_lanes *w,
                            const struct eesp_lanes_keys *keys);
unsigned eesp_lanes_avx512_decrypt(struct eesp_lanes *w,
                                   const struct eesp_lanes_keys *keys);

#endif
