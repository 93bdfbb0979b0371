/* SPDX-License-Identifier: BSD-3-Clause */
/* pair: one lane that seals for one that opens, by an AEAD and a backend. */
#ifndef EESP_UNIT_PAIR_H
#define EESP_UNIT_PAIR_H

#include "aead.h"
#include "ring.h"

struct pair {
    struct eesp_keyring    *keyring;
    struct eesp_lane       *tx, *rx;
    struct eesp_destination to;
};

/* Without confidentiality all bytes are readable. */
static inline int is_readable(const char *aead)
{
    return strcmp(aead, "aes-256-gmac") == 0;
}

static inline struct pair pair_open(const char *aead, const char *backend)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
    struct pair p;

    json_object_set_new(policy, "aead", json_string(aead));
    if (is_readable(aead))
        json_object_set_new(policy, "confidentiality", json_false());
    else
        json_object_set_new(policy, "crypt_offset_max", json_integer(4));
    p.keyring = ring_parse(ring);
    p.tx = lane_open(p.keyring, (struct eesp_lane_params){.rank = 1,
                                                          .backend = backend});
    p.rx = lane_open(p.keyring, (struct eesp_lane_params){.rank = 2,
                                                          .backend = backend});
    p.to = (struct eesp_destination){eesp_lane_incarnation(p.rx), 0, 2, 5};
    return p;
}

static inline void pair_close(struct pair *p)
{
    eesp_lane_destroy(p->tx);
    eesp_lane_destroy(p->rx);
    eesp_keyring_free(p->keyring);
}

/* check() with every AEAD of every backend that can be used here. */
static inline void every_pair(void (*check)(struct pair *p,
                                            const struct eesp_aead *aead))
{
    const struct eesp_aead *aead;
    unsigned i, tried = 0;

    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++) {
        struct pair p;

        if (aead->missing() != NULL)
            continue;
        p = pair_open(aead->name, aead->backend);
        check(&p, aead);
        pair_close(&p);
        tried++;
    }
    assert_true(tried >= 4);
}

#endif
