/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What uct_check does with UCT: opens transport eesp by itself, without UCP.
 *
 *     struct place a, b;              worker and MD, as a UCP context has
 *     struct side from, to;           interfaces
 *
 *     place_open(&a); place_open(&b);
 *     side_open(&from, &a, NULL); side_open(&to, &b, NULL);
 *     ep = side_connect(&from, &to);
 *     ...
 *     uct_ep_destroy(ep); side_close(&to); ... place_close(&a);
 */
#ifndef TESTS_UCT_UCT_SIDE_H
#define TESTS_UCT_UCT_SIDE_H

#include <uct/api/uct.h>

#include "uct.h"

struct place {
    ucs_async_context_t *async;
    uct_worker_h worker;
    uct_md_h md;
    uct_md_attr_t md_attr;
    char device[UCT_DEVICE_NAME_MAX];
};

void place_open(struct place *place);
/* With the worker's lock of this kind; else it is a spinlock. */
void place_open_with(struct place *place, ucs_async_mode_t mode);
/* The MD alone, which may be refused. */
ucs_status_t place_try_md(uct_md_h *md_p);
void place_close(struct place *place);
/* Of all open places, once. */
void progress_all(void);

struct side_options {
    size_t headroom;
    size_t alignment; /* 0: not asked for */
    size_t align_offset;
};

enum { PARTNERS = 16 };

struct side {
    struct place *place;
    uct_iface_h iface;
    uct_iface_attr_t attr;
    /* Called for each message; NULL: it is copied to `data`. */
    ucs_status_t (*receive)(struct side *side, void *data, size_t length,
                            unsigned flags);
    unsigned received;
    uint8_t *data; /* of the last message */
    size_t length;
    unsigned errors; /* calls of the error handler */
    /* Other ends of endpoints to here, where there must be some. */
    uct_ep_h partners[PARTNERS];
    unsigned num_partners;
};

#define SIDE_AM 5 /* the active-message id that sides listen to */

void side_open(struct side *side, struct place *place,
               const struct side_options *options);
/* The interface alone, which may be refused; without handlers or progress. */
ucs_status_t side_try_iface(struct side *side, struct place *place,
                            const struct side_options *options);
void side_close(struct side *side);

/* The addresses as they travel, and endpoints by them. Over lowers that connect
 * endpoint to endpoint (side_is_p2p()), each end is begun, and joined by the
 * address of the other; side_connect() does both. */
struct address {
    uint8_t device[64], iface[64];
};
void side_address(const struct side *side, struct address *address);
ucs_status_t side_try_connect(const struct side *from,
                              const struct address *to, uct_ep_h *ep_p);
int side_is_p2p(const struct side *side);
uct_ep_h side_begin(const struct side *side, struct address *address);
void side_join(uct_ep_h ep, const struct address *other);
uct_ep_h side_connect(const struct side *from, struct side *to);

/* Sends n bytes, as soon as there is room, of the pattern of this seed. */
void side_send(uct_ep_h ep, size_t n, uint64_t seed);
/* One try: UCS_OK or what kept it from being sent. */
ucs_status_t side_try_send(uct_ep_h ep, size_t n, uint64_t seed);
/* Until `count` messages have come here altogether; no more must come. */
void side_expect(struct side *side, unsigned count);
/* That the last one is of n bytes and of this seed. */
void side_check_last(const struct side *side, size_t n, uint64_t seed);

/* Sends until there is no room, without progress at the receiver. Gives the
 * number of messages sent, of n bytes and seeds that count up from `seed`; 0 if
 * there is always room. */
unsigned side_fill(const struct side *from, uct_ep_h ep, size_t n,
                   uint64_t seed);

/* Two sides with a place each and an endpoint there and back: what most groups
 * start from. */
struct two {
    struct place places[2];
    struct side sides[2];
    uct_ep_h eps[2]; /* of sides[0] to sides[1], and back */
};

void two_open(struct two *two, const struct side_options *options);
void two_close(struct two *two);

/* A group that does not apply says why. */
void skipped(const char *why);

#endif
