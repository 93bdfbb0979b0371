/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_peers: ranks and ids that were seen to send, with incarnations. The
 * hash takes the low 16 bits alone, since a compact packet names no more of
 * its destination rank.
 */
#include <stdlib.h>

#include "decode.h"

enum {
    BUCKETS    = 4096,
    PEERS_MAX  = 1 << 20, /* garbage must not fill the memory */
    BUCKET_MAX = 4096,    /* nor make each look-up slow */
};

struct peer {
    uint64_t name; /* rank or id */
    uint64_t incarnation;
    bool     is_rank;
    int32_t  next; /* of the bucket */
};

struct peers {
    struct peer *peers;
    int32_t      used, size;
    int32_t      bucket[BUCKETS];
    uint16_t     length[BUCKETS];
};

static unsigned bucket_of(uint64_t name)
{
    return (unsigned)(name & (BUCKETS - 1));
}

struct peers *peers_new(void)
{
    struct peers *peers = cmd_realloc(NULL, sizeof(*peers));
    unsigned i;

    *peers = (struct peers){ 0 };
    for (i = 0; i < BUCKETS; i++)
        peers->bucket[i] = PEERS_NONE;
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    free(peers->peers);
    free(peers);
}

void peers_learn(struct peers *peers, const struct eesp_header *header)
{
    struct peer peer = { .incarnation = header->incarnation };
    unsigned bucket;
    int32_t i;

    if (header->selectors & EESP_SELECT_RANKS) {
        peer.is_rank = true;
        peer.name = header->source_rank;
    } else if (header->selectors & EESP_SELECT_SOURCE) {
        peer.name = header->source_id;
    } else {
        return;
    }
    bucket = bucket_of(peer.name);
    for (i = peers->bucket[bucket]; i != PEERS_NONE; i = peers->peers[i].next)
        if (peers->peers[i].name == peer.name &&
            peers->peers[i].incarnation == peer.incarnation &&
            peers->peers[i].is_rank == peer.is_rank)
            return;
    if (peers->used == PEERS_MAX || peers->length[bucket] == BUCKET_MAX)
        return;
    if (peers->used == peers->size) {
        peers->size = peers->size ? 2 * peers->size : 64;
        peers->peers = cmd_realloc(peers->peers,
                                   (size_t)peers->size * sizeof(peer));
    }
    peer.next = peers->bucket[bucket];
    peers->peers[peers->used] = peer;
    peers->bucket[bucket] = peers->used++;
    peers->length[bucket]++;
}

static bool matches(const struct peer *peer, const struct eesp_header *header)
{
    if (header->compact)
        return peer->is_rank &&
               (peer->name & 0xffff) == header->destination_rank;
    if (header->selectors & EESP_SELECT_RANKS)
        return peer->is_rank && peer->name == header->destination_rank;
    return !peer->is_rank && peer->name == header->destination_id;
}

int32_t peers_next(const struct peers *peers, int32_t cursor,
                   const struct eesp_header *header,
                   struct receiver *receiver)
{
    uint64_t name = header->selectors & EESP_SELECT_RANKS
                        ? header->destination_rank : header->destination_id;

    cursor = cursor == PEERS_NONE ? peers->bucket[bucket_of(name)]
                                  : peers->peers[cursor].next;
    while (cursor != PEERS_NONE && !matches(&peers->peers[cursor], header))
        cursor = peers->peers[cursor].next;
    if (cursor != PEERS_NONE) {
        const struct peer *peer = &peers->peers[cursor];

        receiver->incarnation = peer->incarnation;
        if (peer->is_rank)
            receiver->rank = (uint32_t)peer->name;
        else
            receiver->id = peer->name;
    }
    return cursor;
}
