/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane: the engine behind eesp_seal() and eesp_open(), one thread at a time.
 * Everything is allocated when it is created.
 */
#ifndef EESP_LANE_H
#define EESP_LANE_H

#include "aead.h"
#include "keycache.h"
#include "keyring.h"
#include "nonce.h"
#include "replay.h"
#include "wire.h"

/*
 * Up to this many bytes of plaintext are gathered and sealed in one call; all
 * of it where the AEAD takes one piece only.
 */
#define EESP_GATHER_MAX 2048
/* Of more than that so many, some blocks of every AEAD. */
#define EESP_GATHER_FIRST 64

/* Keys under one of the policy's suites. */
struct eesp_lane_suite {
    const struct eesp_aead *aead;
    struct eesp_keycache   *keys;
    /* Prepared derivation keys of every generation tuple, secret memory. */
    uint8_t *kdf_states;
    size_t   kdf_stride, kdf_size;
    unsigned kdf_open; /* the last one is for client keys */
    /* What eesp_master_find() said last; seen_mask 0: nothing yet. */
    uint32_t seen_generations;
    unsigned seen_mask;
    int      seen_master;
};

struct eesp_lane {
    const struct eesp_policy *policy;
    struct eesp_nonce        *nonce;
    struct eesp_replay_table *replay; /* NULL: off */
    struct eesp_lane_suite    suites[EESP_SUITES_MAX]; /* 0 seals */
    size_t   client_offset; /* of the client's id in a context, 0: no client */
    struct eesp_header sending; /* what all headers sealed here share */
    size_t   header_length;
    uint32_t rank;
    uint64_t id;
    uint16_t epoch_floor; /* the epoch at the start */
    unsigned expect; /* selectors whose values must be the own ones */
    int      stepwise; /* see eesp_lane_stepwise() */
    int      impersonating; /* decoder: no sealing, no replay */
    uint64_t impersonated;  /* incarnation of the receiver it plays */
    struct eesp_counters counters;
    struct eesp_underway *underway;
    size_t   gather_size;
    uint8_t *gather; /* secret memory: holds plaintext */
    struct eesp_lanes *lanes; /* of bursts; NULL: packet by packet */
    void (*keylog)(void *arg, const char *line); /* NULL: none, as always */
    void    *keylog_arg;
};

/* The parts that depend on the keyring: made at the start and by a reload. */
int eesp_lane_open_kdf(struct eesp_lane *lane);
void eesp_lane_close_kdf(struct eesp_lane *lane);
void eesp_lane_fill_sending(struct eesp_lane *lane);

/*
 * Expanded data key and IV mask of name under a suite: from its cache, or
 * derived into the cache's spare slot, then *derived is 1 and the caller
 * inserts or leaves it.
 */
int eesp_lane_key(struct eesp_lane *lane, unsigned suite,
                  struct eesp_key_name *name, struct eesp_key_slot **slot_p,
                  int *derived);

/* Key | IV mask of name, out has room for both; the caller wipes it. */
int eesp_lane_data_key(const struct eesp_lane *lane, unsigned suite,
                       const struct eesp_key_name *name, uint8_t *out);
/* Tells the key log of a key that has proved good. */
void eesp_lane_log_key(const struct eesp_lane *lane, unsigned suite,
                       const struct eesp_key_name *name);

/*
 * The kernel for bursts where the policy's algorithms and this CPU have one and
 * the caller has named no other backend; else none, which is no error.
 */
int eesp_lane_open_lanes(struct eesp_lane *lane, const char *backend);
/* Its derivation key of a tuple of generations; 0: there is none. */
struct eesp_lanes_keys;
int eesp_lane_lanes_keys(const struct eesp_lane *lane, unsigned master,
                         struct eesp_lanes_keys *keys);
/* Whether a packet is one for it. */
int eesp_lane_lanes_take(const struct eesp_lane *lane,
                         const struct eesp_header *header, size_t body);
/* Fills in packet i but for its data. */
void eesp_lane_lanes_stage(struct eesp_lane *lane, unsigned i,
                           const struct eesp_header *header,
                           const uint8_t *built,
                           uint64_t destination_incarnation, size_t body);

/*
 * (SID 4 | sequence 8) XOR IVMASK or, under flag P, (SID 4 | Session ID 2 |
 * sequence 6) XOR IVMASK: wire-format section 7.
 */
void eesp_lane_nonce(const struct eesp_lane *lane,
                     const struct eesp_header *header,
                     const uint8_t mask[EESP_NONCE_LEN],
                     uint8_t nonce[EESP_NONCE_LEN]);

/*
 * eesp_seal() with every field of the header given, for tests of the wire
 * format. Whoever calls it answers for the nonce: not exported.
 */
int eesp_seal_fields(struct eesp_lane *lane, struct eesp_header *header,
                     unsigned master, uint64_t destination_incarnation,
                     const struct iovec *iov, unsigned iovcnt, void *packet,
                     size_t size, size_t *length_p);

#endif
