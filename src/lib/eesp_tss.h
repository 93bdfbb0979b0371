/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp_tss.h - keys and packets of the Transport Security Sublayer of the Ultra
 * Ethernet Specification (1.0.1, section 3.7), AES-256-GCM, in one of two forms:
 *
 *     EESP_TSS_PACKET   TSS header .. ICV
 *     EESP_TSS_IN_EESP  TSS's keys in EESP packets (option format 1, profile 2)
 *
 * The ends of a secure domain share a key for each of two association numbers
 * (AN). What seals a packet is found from its header:
 *
 *     direct    the shared key itself, no IV mask
 *     cluster   a key and IV mask of the source's SSI, epoch and rekey field
 *     server    a key and IV mask of the client's SSI and epoch; the server
 *               holds the shared key, a client only a grant of 44 bytes
 *
 *     struct eesp_tss_params par = {
 *         .mode = EESP_TSS_CLUSTER, .sdi = 1, .ssi = 7 };
 *     eesp_tss_create(&par, &tss);
 *     eesp_tss_set_key(tss, 0, key, epoch);
 *     eesp_tss_send_from(tss, 0, epoch, 0, EESP_TSS_COUNTERS);
 *     eesp_tss_seal(tss, &at, payload, n, packet, sizeof(packet), &length);
 *     eesp_tss_open(tss, &at, packet, length, body, sizeof(body), &opened);
 *
 * TSS has no replay protection: that is up to PDS, above it. Packets always
 * name their source (SP = 1). An SSI belongs to one sender of a secure domain:
 * two that share it would share keys and nonces. An end serves one thread at a
 * time. Lengths are in bytes, errors are those of eesp.h.
 */
#ifndef EESP_TSS_H
#define EESP_TSS_H

#include "eesp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EESP_TSS_KEY_LEN    32
#define EESP_TSS_MASK_LEN   12 /* IV mask */
#define EESP_TSS_HEADER_LEN 16 /* with SSI */
#define EESP_TSS_ICV_LEN    16
#define EESP_TSS_OVERHEAD   (EESP_TSS_HEADER_LEN + EESP_TSS_ICV_LEN)
#define EESP_TSS_EESP_OVERHEAD 75 /* the same for EESP_TSS_IN_EESP */
#define EESP_TSS_AAD_MAX    36 /* in front of the header */
#define EESP_TSS_COUNTERS   ((uint64_t)1 << 48) /* of one epoch */

enum eesp_tss_form { EESP_TSS_PACKET, EESP_TSS_IN_EESP };
enum eesp_tss_mode { EESP_TSS_DIRECT, EESP_TSS_CLUSTER, EESP_TSS_SERVER };

/* ---- Header ------------------------------------------------------------- */

struct eesp_tss_header {
    uint8_t  has_ssi; /* SP */
    uint8_t  an;      /* association number, 0 or 1 */
    uint32_t sdi;     /* secure domain id, 24 bits */
    uint32_t ssi;     /* secure source id */
    uint16_t epoch;   /* TSC, its upper 16 bits */
    uint64_t counter; /* and its lower 48 */
    size_t   length;  /* of the header */
};

/*
 * Reads a header without any key. EESP_DROP_LENGTH, or EESP_DROP_VERSION:
 * another type than 1, or the reserved bit.
 */
EESP_API int eesp_tss_parse(const void *packet, size_t length,
                            struct eesp_tss_header *header);

/* ---- End of a secure domain --------------------------------------------- */

struct eesp_tss;

struct eesp_tss_params {
    enum eesp_tss_form form; /* of what is sealed and opened */
    enum eesp_tss_mode mode;
    uint32_t    sdi;         /* less than 2^24 */
    uint64_t    ssi;         /* own; less than 2^32 */
    int         ranks;       /* in EESP: the SSI is a rank, and packets name
                                that of their destination; else a source id.
                                Ranks repeat: each job needs keys of its own */
    int         server;      /* server mode: the end that holds the key */
    int         any;         /* tools: opens what any end sent to any, as the
                                server in server mode; does not seal */
    uint64_t    rekey_mask;  /* of the counter, cluster mode; 48 bits */
    unsigned    rekey_shift; /* 0 .. 47 */
    uint16_t    epoch_age;   /* epochs before the current one that open */
    const char *backend;     /* as in eesp_lane_params */
};

/* EESP_ERR_ARGUMENT, _MEMORY, _UNSUPPORTED (no such backend) or _CRYPTO. */
EESP_API int eesp_tss_create(const struct eesp_tss_params *params,
                             struct eesp_tss **tss_p);
EESP_API void eesp_tss_destroy(struct eesp_tss *tss);

/* Policies of profile "tss" in a keyring; texts belong to it. */
struct eesp_tss_policy {
    const char *name, *key_id;
    unsigned    keys; /* bit n: the key of AN n is there */
    struct eesp_tss_params params; /* mode, sdi, rekey_x and epoch_age */
    uint16_t    epoch;
};

/* Number index; EESP_ERR_ARGUMENT: there is none. */
EESP_API int eesp_tss_policy(const struct eesp_keyring *keyring,
                             unsigned index, struct eesp_tss_policy *policy);

/*
 * An end with the keys and epoch of policy number index: own says form, ssi,
 * ranks, server, any and backend, the rest is not looked at.
 */
EESP_API int eesp_tss_create_from(const struct eesp_keyring *keyring,
                                  unsigned index,
                                  const struct eesp_tss_params *own,
                                  struct eesp_tss **tss_p);

/*
 * Key of an association number, and the current epoch, from the manager of the
 * domain. What was there is wiped: sealing under it ends, and its counters are
 * free for the new key. The same key again sets the epoch only, which must not
 * go back (serial arithmetic of 16 bits). EESP_ERR_ARGUMENT for a client of a
 * server: it has grants.
 */
EESP_API int eesp_tss_set_key(struct eesp_tss *tss, unsigned an,
                              const uint8_t key[EESP_TSS_KEY_LEN],
                              uint16_t epoch);

/* Secret. What a client of a server needs in one epoch, and no more. */
struct eesp_tss_grant {
    uint8_t  an;
    uint16_t epoch;
    uint32_t ssi;                     /* the client's */
    uint8_t  key[EESP_TSS_KEY_LEN];
    uint8_t  mask[EESP_TSS_MASK_LEN];
};

/* By the server. The way to the client must be confidential. */
EESP_API int eesp_tss_grant(struct eesp_tss *tss, unsigned an, uint16_t epoch,
                            uint64_t client, struct eesp_tss_grant *grant);
/*
 * By the client, whose SSI it must be. Two grants of an AN are kept, so that
 * the next epoch's comes in time. The grant is left to the caller to wipe.
 */
EESP_API int eesp_tss_set_grant(struct eesp_tss *tss,
                                const struct eesp_tss_grant *grant);

/* ---- Packets ------------------------------------------------------------ */

/*
 * From now on seals under an, in epoch, with the counters from first to before
 * limit. Nothing is sealed before this call. Only the caller knows that these
 * counters were never used with this key, SSI and epoch:
 *
 *     a fresh epoch      from the manager, for this start: 0 and
 *                        EESP_TSS_COUNTERS
 *     persisted counter  limit is on stable storage before this call, and
 *                        first is what was there before
 *
 * EESP_ERR_LEASE: this process was given some of them before. EESP_ERR_ARGUMENT
 * for a range that is none, or another epoch than that of the key or of the
 * newest grant; EESP_DROP_GENERATION without any. In server mode a client's
 * counters are those below 2^47 and the server's as many above, so that both
 * may use one SDI; first and limit count from 0 for both.
 */
EESP_API int eesp_tss_send_from(struct eesp_tss *tss, unsigned an,
                                uint16_t epoch, uint64_t first,
                                uint64_t limit);

/* Where a packet stands. */
struct eesp_tss_place {
    uint32_t    client; /* server: whom to; else not looked at */
    uint32_t    rank;   /* ranks: whom to */
    const void *aad;    /* in front of the TSS header, authenticated: addresses
                           and entropy header; NULL: none, as in EESP */
    size_t      aad_length;
};

/*
 * Seals payload into packet: header, ciphertext, ICV; they must not overlap. In
 * EESP the Next Header is EESP_NEXT_HEADER.
 * EESP_ERR_LEASE before eesp_tss_send_from(), beyond its limit, and in the
 * child of a fork; EESP_ERR_LIMIT at the end of all counters. On error nothing
 * of the payload is in packet.
 */
EESP_API int eesp_tss_seal(struct eesp_tss *tss,
                           const struct eesp_tss_place *place,
                           const void *payload, size_t payload_length,
                           void *packet, size_t size, size_t *length_p);

struct eesp_tss_opened {
    struct eesp_tss_header header;
    const uint8_t         *payload; /* inside the body buffer */
    size_t                 length;
    uint8_t                next_header; /* in EESP, else 0 */
};

/*
 * Opens packet into body, which has room for size >= length bytes and must not
 * overlap it. After any failure body holds nothing of the packet. EESP_DROP_x
 * as eesp_header_parse() and _PAYLOAD in EESP;
 * EESP_DROP_LENGTH, _VERSION, _SPI (SDI), _POLICY (no SSI), _GENERATION (no key
 * of that AN), _EPOCH, _DESTINATION (came from this end, or is not meant for
 * it) or _AUTH.
 */
EESP_API int eesp_tss_open(struct eesp_tss *tss,
                           const struct eesp_tss_place *place,
                           const void *packet, size_t length, void *body,
                           size_t size, struct eesp_tss_opened *opened);

#ifdef __cplusplus
}
#endif

#endif
