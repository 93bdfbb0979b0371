/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame: what lies behind the header of an EESP packet, whatever its profile:
 * Payload Info Header, payload, padding, ICV; its first 4 * crypt offset bytes
 * may be readable and are then associated data, too.
 */
#ifndef EESP_FRAME_H
#define EESP_FRAME_H

#include "aead.h"
#include "wire.h"

/* One expanded key and what it is used with for one packet. */
struct eesp_frame_key {
    const struct eesp_aead *aead;
    void                   *key;
    uint8_t                 nonce[EESP_NONCE_LEN];
};

struct eesp_frame {
    const uint8_t *payload; /* inside the plaintext buffer */
    size_t         length;
    uint8_t        next_header;
};

/*
 * Plaintext of body bytes: Payload Info Header, payload, padding. It is
 * authentic, and what frames the payload decides what happens next.
 */
int eesp_frame_check(size_t max_payload, const uint8_t *plaintext, size_t body,
                     struct eesp_frame *frame);

/*
 * Decrypts body bytes behind the header, the readable ones in front. aad has
 * the header and room for EESP_EXPOSED_MAX bytes behind it.
 */
int eesp_frame_decrypt(const struct eesp_frame_key *key,
                       const struct eesp_header *header, uint8_t *aad,
                       const uint8_t *packet, size_t body, uint8_t *plaintext,
                       const uint8_t *icv);

/*
 * Profiles 1 and 2, where the IV stands in place of the sequence number:
 * writes header, which has its fields but for length, and payload into packet.
 * EESP_ERR_SPACE; EESP_ERR_ARGUMENT: more is to be readable than there is. On
 * error nothing of the payload is in packet.
 */
int eesp_frame_seal(const struct eesp_frame_key *key,
                    struct eesp_header *header, uint8_t next_header,
                    const void *payload, size_t payload_length, void *packet,
                    size_t size, size_t *length_p);

/* Length of what eesp_frame_seal() makes, at most. */
size_t eesp_frame_overhead(const struct eesp_header *header);

/*
 * The other direction. Reads the header once into copy, which is associated
 * data then; EESP_DROP_x of eesp_header_parse(), or EESP_DROP_POLICY unless
 * all that profile has no use for is 0.
 */
struct eesp_frame_in {
    struct eesp_header header;
    uint8_t            copy[EESP_HEADER_MAX + EESP_EXPOSED_MAX];
};

int eesp_frame_read(struct eesp_frame_in *in, unsigned profile,
                    const void *packet, size_t length);
int eesp_frame_open(struct eesp_frame_in *in, const struct eesp_frame_key *key,
                    const void *packet, size_t length, void *plaintext,
                    struct eesp_frame *frame);

#endif
