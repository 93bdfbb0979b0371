/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal_burst: packets that are ready together are sealed together, where the
 * kernel of lanes.h can: it needs no cached key, and less time than one takes.
 * The packets are those that eesp_seal() would make one after the other.
 */
#include <string.h>

#include "context.h"
#include "lane.h"
#include "lanes.h"
#include "seal_begin.h"
#include "underway.h"

/* Fewer gain little: bench/bursts. */
enum { TOGETHER_MIN = 4 };

struct waiting {
    struct eesp_seal_item *item;
    struct eesp_header     header;
    size_t                 payload;
};

/* Payload Info Header, parts and padding. */
static size_t stage_body(struct eesp_lane *lane, unsigned i,
                         const struct waiting *p)
{
    uint8_t *out     = lane->lanes->packet[i].data;
    unsigned padding = eesp_padding(p->payload), k;
    size_t body      = EESP_INFO_LEN + p->payload + padding;

    memset(out, 0, EESP_INFO_LEN);
    out[2] = EESP_NEXT_HEADER;
    out[3] = (uint8_t)padding;
    out += EESP_INFO_LEN;
    for (k = 0; k < p->item->iovcnt; k++) {
        if (p->item->iov[k].iov_len > 0)
            memcpy(out, p->item->iov[k].iov_base, p->item->iov[k].iov_len);
        out += p->item->iov[k].iov_len;
    }
    memset(out, 0, padding);
    return body;
}

/* Header last: packet may be memory that another process watches. */
static void hand_out(const struct eesp_lane *lane, unsigned i,
                     const struct eesp_header *header,
                     struct eesp_seal_item *item)
{
    const struct eesp_lanes_packet *p = &lane->lanes->packet[i];
    uint8_t *packet                   = item->packet;

    memcpy(packet + header->length, p->data, p->length);
    memcpy(packet + header->length + p->length, p->icv, EESP_ICV_LEN);
    memcpy(packet, p->aad, header->length);
    item->length = header->length + p->length + EESP_ICV_LEN;
}

static void seal_together(struct eesp_lane *lane, struct waiting *waiting,
                          unsigned count, const struct eesp_lanes_keys *keys)
{
    uint8_t built[EESP_HEADER_MAX];
    unsigned i;

    lane->lanes->packets = count;
    for (i = 0; i < count; i++) {
        struct waiting *p = &waiting[i];

        eesp_header_build(&p->header, built);
        eesp_lane_lanes_stage(lane, i, &p->header, built,
                              p->item->destination->incarnation,
                              stage_body(lane, i, p));
    }
    eesp_lanes_seal(lane->lanes, keys);
    for (i = 0; i < count; i++) {
        hand_out(lane, i, &waiting[i].header, waiting[i].item);
        eesp_underway_sealed(lane, &waiting[i].header);
        lane->counters.sealed_bytes += waiting[i].payload;
    }
    lane->counters.sealed  += count;
    lane->counters.derived += count;
}

/* Their numbers are taken: all of them are sealed, one way or the other. */
static unsigned flush(struct eesp_lane *lane, struct waiting *waiting,
                      unsigned count)
{
    unsigned master = (unsigned)lane->policy->send, i, sealed = 0;
    struct eesp_lanes_keys keys;

    if (count >= TOGETHER_MIN && eesp_lane_lanes_keys(lane, master, &keys)) {
        seal_together(lane, waiting, count, &keys);
        return count;
    }
    for (i = 0; i < count; i++) {
        struct waiting *p = &waiting[i];

        p->item->result = eesp_seal_fields(
            lane, &p->header, master, p->item->destination->incarnation,
            p->item->iov, p->item->iovcnt, p->item->packet, p->item->size,
            &p->item->length);
        sealed += p->item->result == EESP_OK;
    }
    return sealed;
}

static int is_short(const struct eesp_lane *lane,
                    const struct eesp_seal_item *item)
{
    size_t payload = 0;
    unsigned i;

    for (i = 0; i < item->iovcnt && i < EESP_IOV_MAX; i++) {
        if (item->iov[i].iov_len > EESP_LANES_DATA - payload)
            return 0;
        payload += item->iov[i].iov_len;
    }
    return eesp_lane_lanes_take(lane, &lane->sending,
                                EESP_INFO_LEN + payload +
                                    eesp_padding(payload));
}

unsigned eesp_seal_burst(struct eesp_lane *lane, struct eesp_seal_item *items,
                         unsigned count)
{
    struct waiting waiting[EESP_LANES];
    unsigned i, n = 0, sealed = 0;

    for (i = 0; i < count; i++) {
        struct eesp_seal_item *item = &items[i];

        item->length = 0;
        if (!is_short(lane, item)) {
            /* Those that wait have their numbers, which come before. */
            item->result = eesp_seal(lane, item->destination, item->iov,
                                     item->iovcnt, item->packet, item->size,
                                     &item->length);
            sealed += item->result == EESP_OK;
            continue;
        }
        item->result = eesp_seal_begin(lane, item->destination, NULL,
                                       item->iov, item->iovcnt, item->size,
                                       &waiting[n].header,
                                       &waiting[n].payload);
        if (item->result != EESP_OK)
            continue;
        waiting[n++].item = item;
        if (n == EESP_LANES) {
            sealed += flush(lane, waiting, n);
            n       = 0;
        }
    }
    return sealed + flush(lane, waiting, n);
}
