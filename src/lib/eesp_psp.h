/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp_psp.h - keys and packets of the PSP Security Protocol (PSP Architecture
 * Specification), in one of two forms:
 *
 *     EESP_PSP_PACKET   as UDP to port 1000 carries them: PSP header .. ICV
 *     EESP_PSP_IN_EESP  PSP's keys in EESP packets (option format 1, profile 1)
 *
 * The receiver owns two master keys and keeps nothing per sender. It issues a
 * grant, an SPI and its key, to a sender; the way there must be confidential
 * and authenticated. Transport and tunnel mode differ in the payload only.
 *
 *     eesp_psp_receiver_create(NULL, NULL, &receiver);
 *     eesp_psp_issue(receiver, EESP_PSP_AES_GCM_256, EESP_PSP_PACKET, &grant);
 *                                            ... to the sender, who does
 *     eesp_psp_sa_create(&grant, NULL, &sa);
 *     eesp_psp_seal(sa, &options, payload, n, packet, sizeof(packet), &length);
 *                                            ... and back here
 *     eesp_psp_open(receiver, packet, length, body, sizeof(body), &opened);
 *
 * PSP has no replay protection: that is up to the payload's protocol. A
 * receiver or SA serves one thread at a time. Lengths are in bytes, errors are
 * those of eesp.h.
 */
#ifndef EESP_PSP_H
#define EESP_PSP_H

#include "eesp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EESP_PSP_PORT       1000 /* UDP destination port */
#define EESP_PSP_MASTER_LEN 32
#define EESP_PSP_KEY_MAX    32
#define EESP_PSP_HEADER_LEN 16 /* without virtualization cookie */
#define EESP_PSP_COOKIE_LEN 8
#define EESP_PSP_ICV_LEN    16
/* Most bytes a packet is longer than its payload. */
#define EESP_PSP_OVERHEAD \
    (EESP_PSP_HEADER_LEN + EESP_PSP_COOKIE_LEN + EESP_PSP_ICV_LEN)
#define EESP_PSP_EESP_OVERHEAD 67 /* the same for EESP_PSP_IN_EESP */

enum eesp_psp_version {
    EESP_PSP_AES_GCM_128  = 0,
    EESP_PSP_AES_GCM_256  = 1,
    EESP_PSP_AES_GMAC_128 = 2, /* is parsed, not sealed and not opened */
    EESP_PSP_AES_GMAC_256 = 3  /* same */
};

enum eesp_psp_form { EESP_PSP_PACKET, EESP_PSP_IN_EESP };

/* ---- Header ------------------------------------------------------------- */

struct eesp_psp_header {
    uint8_t  next_header;     /* IP protocol of the payload; 4, 41: tunnel */
    uint8_t  version;         /* enum eesp_psp_version */
    uint8_t  sample, drop;    /* S and D, 0 or 1 */
    uint8_t  crypt_offset;    /* units of 4 bytes after the first 16 bytes, the
                                 cookie included, that stay readable */
    uint8_t  has_cookie;      /* V */
    uint8_t  cookie_readable; /* cookie is filled: not encrypted, or opened */
    uint8_t  master;          /* which master key: bit 31 of the SPI */
    uint32_t spi;
    uint64_t iv;
    uint64_t cookie;          /* virtualization cookie */
    size_t   length;          /* of the header, with the cookie */
};

/*
 * Reads a header without any key. EESP_DROP_LENGTH, _VERSION (unknown version,
 * reserved bits), _OPTION (Hdr Ext Len is not that of the V bit) or _OFFSET.
 */
EESP_API int eesp_psp_parse(const void *packet, size_t length,
                            struct eesp_psp_header *header);

/* ---- Receiver ----------------------------------------------------------- */

struct eesp_psp_receiver;

/* Secret. The receiver's copy is to be wiped as soon as it is delivered. */
struct eesp_psp_grant {
    uint32_t spi;
    uint8_t  version;
    uint8_t  form;                  /* enum eesp_psp_form: no other */
    uint8_t  key[EESP_PSP_KEY_MAX]; /* version 0: the first 16 bytes */
};

/*
 * master NULL: draws both master keys, which never leave the receiver, so that
 * SPIs of an earlier process mean nothing here. Else copies them (key 0, key
 * 1): such a receiver opens, and never issues nor rotates, since nobody can
 * tell which SPIs those keys have issued before. backend as in
 * eesp_lane_params; EESP_ERR_UNSUPPORTED if there is none.
 */
EESP_API int
eesp_psp_receiver_create(const uint8_t master[2][EESP_PSP_MASTER_LEN],
                         const char *backend,
                         struct eesp_psp_receiver **receiver_p);
/* Policies of profile "psp" in a keyring; texts belong to it. */
struct eesp_psp_policy {
    const char *name, *key_id;
    unsigned    keys; /* bit n: master key n is there */
};

/* Number index; EESP_ERR_ARGUMENT: there is none. */
EESP_API int eesp_psp_policy(const struct eesp_keyring *keyring,
                             unsigned index, struct eesp_psp_policy *policy);

/*
 * With the master keys of policy number index, which are copied; opens, as
 * above. A packet of a master key that is not there is EESP_DROP_GENERATION.
 */
EESP_API int
eesp_psp_receiver_from(const struct eesp_keyring *keyring, unsigned index,
                       const char *backend,
                       struct eesp_psp_receiver **receiver_p);
EESP_API void eesp_psp_receiver_destroy(struct eesp_psp_receiver *receiver);

/*
 * A new SPI of the current master key and its key, for version 0 or 1 and one
 * of the two forms, since in both it would use a nonce twice. No SPI
 * is issued twice under one master key: EESP_ERR_LIMIT after 2^31 - 1 of them.
 * EESP_ERR_LEASE in the child of a fork, and where master keys were given.
 */
EESP_API int eesp_psp_issue(struct eesp_psp_receiver *receiver,
                            unsigned version, enum eesp_psp_form form,
                            struct eesp_psp_grant *grant);

/*
 * Draws a new master key over the one that is not current and makes it the
 * current one. Grants end with the second rotation after they were issued.
 */
EESP_API int eesp_psp_rotate(struct eesp_psp_receiver *receiver);

struct eesp_psp_opened {
    struct eesp_psp_header header;
    const uint8_t         *payload; /* inside the body buffer */
    size_t                 length;  /* of the payload */
};

/*
 * Opens packet into body, which gets cookie and payload; it must not overlap
 * packet and needs room for size >= length bytes. After any failure body holds
 * nothing of the packet. EESP_DROP_x as eesp_psp_parse(), _GENERATION (above),
 * _AUTH, or
 * EESP_ERR_UNSUPPORTED for versions 2 and 3.
 */
EESP_API int eesp_psp_open(struct eesp_psp_receiver *receiver,
                           const void *packet, size_t length, void *body,
                           size_t size, struct eesp_psp_opened *opened);

/*
 * The same for a packet of EESP_PSP_IN_EESP; its header has no cookie, sample
 * or drop. body gets Payload Info Header, payload and padding. EESP_DROP_x as
 * eesp_header_parse(), _POLICY (not plain profile 1), _PAYLOAD or _AUTH.
 */
EESP_API int eesp_psp_open_eesp(struct eesp_psp_receiver *receiver,
                                const void *packet, size_t length, void *body,
                                size_t size, struct eesp_psp_opened *opened);

/* ---- Sender ------------------------------------------------------------- */

struct eesp_psp_sa;

/*
 * Takes the grant over and wipes it, whatever the result. A grant serves one
 * SA of one process: EESP_ERR_LEASE if this process, or before a fork its
 * parent, has used it. A restarted process needs a new one: a grant on its way
 * through a file goes by the two functions below.
 */
EESP_API int eesp_psp_sa_create(struct eesp_psp_grant *grant,
                                const char *backend,
                                struct eesp_psp_sa **sa_p);
EESP_API void eesp_psp_sa_destroy(struct eesp_psp_sa *sa);

/*
 * Writes grant into a new file of mode 0600, one line of text, and has it on
 * stable storage when it returns. EESP_ERR_KEYRING with why, which names the
 * file. The grant is left to the caller to wipe.
 */
EESP_API int eesp_psp_grant_save(const struct eesp_psp_grant *grant,
                                 const char *path, char why[EESP_WHY_LEN]);

/*
 * eesp_psp_sa_create() from such a file, which is gone from stable storage
 * before the SA exists: of all processes that try, one gets it, and none after a
 * crash. EESP_ERR_KEYRING with why; a file that is refused stays where it is.
 */
EESP_API int eesp_psp_sa_load(const char *path, const char *backend,
                              struct eesp_psp_sa **sa_p,
                              char why[EESP_WHY_LEN]);

/* What a packet has of its own. */
struct eesp_psp_options {
    uint8_t  next_header;
    uint8_t  sample, drop;
    uint8_t  crypt_offset; /* 0..63, and no more than cookie and payload; in
                              EESP from the Payload Info Header on */
    uint8_t  has_cookie;
    uint64_t cookie;
};

/*
 * Seals payload into packet, of the form that the grant was for; it must not
 * overlap it and has room for size bytes. In EESP sample, drop and cookie must
 * be 0: EESP_ERR_ARGUMENT. The IV is taken here from a counter that starts at a
 * random number and never goes back. EESP_ERR_LEASE in the child of a fork,
 * EESP_ERR_LIMIT at the counter's end. On error nothing of the payload is in
 * packet.
 */
EESP_API int eesp_psp_seal(struct eesp_psp_sa *sa,
                           const struct eesp_psp_options *options,
                           const void *payload, size_t payload_length,
                           void *packet, size_t size, size_t *length_p);

#ifdef __cplusplus
}
#endif
#endif
