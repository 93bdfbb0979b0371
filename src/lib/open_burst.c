/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open_burst: packets that have come together are opened together, where the
 * kernel of lanes.h can. They pass the checks of open.c in their order, before
 * and again after: what one of them changes in the replay table holds for the
 * next.
 */
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "incoming.h"
#include "lanes.h"
#include "underway.h"

/* Fewer gain little: bench/bursts. */
enum { TOGETHER_MIN = 4 };

struct waiting {
    struct eesp_open_item *item;
    struct eesp_incoming   in;
};

static unsigned count_result(struct eesp_lane *lane,
                             struct eesp_open_item *item, int ret)
{
    item->result = ret;
    if (ret == EESP_OK) {
        lane->counters.opened++;
        lane->counters.opened_bytes += item->opened.length;
    } else {
        lane->counters.dropped[-ret]++;
    }
    return ret == EESP_OK;
}

static void stage(struct eesp_lane *lane, unsigned i, struct waiting *p)
{
    const uint8_t *body = (const uint8_t *)p->item->packet +
                          p->in.header.length;
    struct eesp_lanes_packet *to = &lane->lanes->packet[i];

    eesp_lane_lanes_stage(lane, i, &p->in.header, p->in.copy,
                          eesp_lane_incarnation(lane), p->in.body);
    memcpy(to->data, body, p->in.body);
    memcpy(to->icv, body + p->in.body, EESP_ICV_LEN);
}

static unsigned open_together(struct eesp_lane *lane, struct waiting *waiting,
                              unsigned count,
                              const struct eesp_lanes_keys *keys)
{
    struct eesp_lanes *w = lane->lanes;
    unsigned i, bad, opened = 0;

    w->packets = count;
    for (i = 0; i < count; i++)
        stage(lane, i, &waiting[i]);
    bad = eesp_lanes_decrypt(w, keys);
    for (i = 0; i < count; i++) {
        struct waiting *p = &waiting[i];
        int ret           = EESP_DROP_AUTH;

        if (!(bad >> i & 1)) {
            memcpy(p->item->plaintext, w->packet[i].data, p->in.body);
            ret = eesp_open_accept(lane, &p->in, p->item->plaintext,
                                   &p->item->opened);
        }
        if (ret == EESP_OK)
            eesp_underway_opened(lane, &p->in.header);
        opened += count_result(lane, p->item, ret);
    }
    lane->counters.derived += count;
    return opened;
}

static unsigned open_one(struct eesp_lane *lane, struct eesp_open_item *item)
{
    item->result = eesp_open(lane, item->packet, item->length,
                             item->plaintext, item->size, &item->opened);
    return item->result == EESP_OK;
}

static unsigned flush(struct eesp_lane *lane, struct waiting *waiting,
                      unsigned count)
{
    struct eesp_lanes_keys keys;
    unsigned i, opened = 0;

    if (count >= TOGETHER_MIN &&
        eesp_lane_lanes_keys(lane, (unsigned)waiting[0].in.master, &keys))
        return open_together(lane, waiting, count, &keys);
    for (i = 0; i < count; i++)
        opened += open_one(lane, waiting[i].item);
    return opened;
}

unsigned eesp_open_burst(struct eesp_lane *lane, struct eesp_open_item *items,
                         unsigned count)
{
    struct waiting waiting[EESP_LANES];
    unsigned i, n = 0, opened = 0;
    int ret;

    for (i = 0; i < count; i++) {
        struct eesp_open_item *item = &items[i];
        struct eesp_incoming *in    = &waiting[n].in;

        if (lane->lanes == NULL) {
            opened += open_one(lane, item);
            continue;
        }
        clear_struct(&item->opened, offsetof(struct eesp_opened, origin));
        ret = eesp_open_admit(lane, item->packet, item->length, item->size, in,
                              &item->opened);
        if (ret == EESP_OK && in->suite == 0 &&
            in->header.length == lane->header_length &&
            eesp_lane_lanes_take(lane, &in->header, in->body) &&
            (n == 0 || in->master == waiting[0].in.master)) {
            waiting[n++].item = item;
            if (n == EESP_LANES) {
                opened += flush(lane, waiting, n);
                n       = 0;
            }
            continue;
        }
        /* In order: those that wait may change what becomes of this one. */
        opened += flush(lane, waiting, n) + open_one(lane, item);
        n       = 0;
    }
    return opened + flush(lane, waiting, n);
}
