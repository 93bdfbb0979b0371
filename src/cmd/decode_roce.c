/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_roce: RoCEv2 datagrams (InfiniBand Architecture, Annex A17) and in
 * them the messages of UCX's transports rc and ud, as little-endian hosts send
 * them:
 *
 *     BTH 12 | RC: SEND first, middle, last or only
 *                  id(1) | data, over all parts of a message
 *            | UD: DETH 8 | kind(4) psn(2) acknowledged(2) | data
 *     padding | ICRC 4
 *
 * What one-sided operations carry is never sealed, so it is told of.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

enum {
    BTH_LENGTH = 12, DETH_LENGTH = 8, RETH_LENGTH = 16, AETH_LENGTH = 4,
    EXTRA_LENGTH = 4, /* immediate data, or a key to invalidate */
    ICRC_LENGTH = 4, UD_LENGTH = 8,
    TRANSPORT_RC = 0, TRANSPORT_UD = 3, /* upper three bits of the opcode */
    UD_SEND = 4, UD_SEND_IMMEDIATE = 5,
    PSN_MASK = 0xffffff, PSN_HALF = 0x800000,
    QP_MANAGEMENT = 1,
    ID_SHIFT = 27,   /* of kind: id of a message */
    RC_ID_MASK = 31, /* the rest tells of credits */
    FLOWS_MAX = 1 << 16,
    EXCERPT = 16,
};

#define UD_MESSAGE (UINT32_C(1) << 24)
#define UD_PUT     (UINT32_C(1) << 28)

/* RC's opcodes: what a packet does, and what stands before its data. */
static const struct operation {
    enum { NOTHING, SEND, WRITE, READ, ATOMIC } what;
    bool   first, last;
    size_t headers;
} operations[32] = {
    [0] = { SEND, true, false, 0 },
    [1] = { SEND, false, false, 0 },
    [2] = { SEND, false, true, 0 },
    [3] = { SEND, false, true, EXTRA_LENGTH },
    [4] = { SEND, true, true, 0 },
    [5] = { SEND, true, true, EXTRA_LENGTH },
    [6] = { WRITE, true, false, RETH_LENGTH },
    [7] = { WRITE, false, false, 0 },
    [8] = { WRITE, false, true, 0 },
    [9] = { WRITE, false, true, EXTRA_LENGTH },
    [10] = { WRITE, true, true, RETH_LENGTH },
    [11] = { WRITE, true, true, RETH_LENGTH + EXTRA_LENGTH },
    [13] = { READ, true, false, AETH_LENGTH },
    [14] = { READ, false, false, 0 },
    [15] = { READ, false, true, AETH_LENGTH },
    [16] = { READ, true, true, AETH_LENGTH },
    [19] = { ATOMIC, true, true, 0 },
    [20] = { ATOMIC, true, true, 0 },
    [22] = { SEND, false, true, EXTRA_LENGTH },
    [23] = { SEND, true, true, EXTRA_LENGTH },
};

/* Requests of one queue pair to another: it is named by its receiver's. */
struct flow {
    struct flow *next;
    uint8_t      address[2][16];
    uint32_t     qp;
    uint32_t     psn;     /* of the next packet */
    bool         open;    /* in a message whose start was seen */
    uint8_t     *bytes;   /* of it */
    size_t       used, size;
};

struct roce {
    struct decode_sink *sink;
    struct flow        *flows;
    unsigned            count;
};

/* One datagram that is being read. */
struct datagram {
    const struct tcp_segment *segment;
    const char               *where;
    const uint8_t            *bytes;
    size_t                    length;
};

struct roce *roce_new(struct decode_sink *sink)
{
    struct roce *roce = cmd_realloc(NULL, sizeof(*roce));

    *roce = (struct roce){ .sink = sink };
    return roce;
}

void roce_free(struct roce *roce)
{
    struct flow *flow;

    while ((flow = roce->flows)) {
        roce->flows = flow->next;
        free(flow->bytes);
        free(flow);
    }
    free(roce);
}

static uint32_t get24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static bool step(struct datagram *datagram, size_t length)
{
    if (datagram->length < length)
        return false;
    datagram->bytes += length;
    datagram->length -= length;
    return true;
}

static void not_eesp(struct roce *roce, const struct datagram *datagram,
                     const char *what, const uint8_t *bytes, size_t length)
{
    char text[DECODE_WHERE_MAX], hex[2 * EXCERPT + 1];
    size_t shown = length < EXCERPT ? length : EXCERPT;

    text_hex(bytes, shown, hex);
    snprintf(text, sizeof(text), "%s, %zu bytes: %s%s", what, length, hex,
             length > shown ? "..." : "");
    roce->sink->event(roce->sink, DECODE_NOT_EESP, datagram->where, text);
}

/* A message of UCX; an empty one tells of credits. */
static void message(struct roce *roce, const struct datagram *datagram,
                    unsigned id, const uint8_t *bytes, size_t length)
{
    struct decode_packet packet = {
        .bytes = bytes, .length = length, .where = datagram->where,
        .time = datagram->segment->time, .ucx = true,
    };
    char what[32];

    if (length == 0) {
        roce->sink->streams.setup_frames++;
    } else if (decode_is_eesp(roce->sink, bytes, length)) {
        roce->sink->packet(roce->sink, &packet);
    } else {
        snprintf(what, sizeof(what), "UCX message id %u", id);
        not_eesp(roce, datagram, what, bytes, length);
    }
}

/* ---- UD -------------------------------------------------------------------- */

static void read_ud(struct roce *roce, unsigned opcode, uint32_t qp,
                    struct datagram *datagram)
{
    uint32_t kind;

    if ((opcode != UD_SEND && opcode != UD_SEND_IMMEDIATE) ||
        !step(datagram, DETH_LENGTH + (opcode == UD_SEND_IMMEDIATE
                                           ? EXTRA_LENGTH : 0)))
        return;
    if (qp == QP_MANAGEMENT) {
        roce->sink->streams.setup_frames++;
        return;
    }
    if (datagram->length < UD_LENGTH) {
        not_eesp(roce, datagram, "datagram", datagram->bytes,
                 datagram->length);
        return;
    }
    memcpy(&kind, datagram->bytes, sizeof(kind));
    kind = le32toh(kind);
    step(datagram, UD_LENGTH);
    if (kind & UD_MESSAGE)
        message(roce, datagram, kind >> ID_SHIFT, datagram->bytes,
                datagram->length);
    else if ((kind & UD_PUT) && datagram->length)
        not_eesp(roce, datagram, "UCX put", datagram->bytes,
                 datagram->length);
    else
        roce->sink->streams.setup_frames++;
}

/* ---- RC -------------------------------------------------------------------- */

static struct flow *flow_of(struct roce *roce,
                            const struct tcp_segment *segment, uint32_t qp,
                            uint32_t psn)
{
    struct flow **place, *flow;

    /* The last ones used are in front. */
    for (place = &roce->flows; (flow = *place); place = &flow->next)
        if (flow->qp == qp && memcmp(flow->address, segment->address,
                                     sizeof(flow->address)) == 0) {
            *place = flow->next;
            break;
        }
    if (!flow) {
        if (roce->count == FLOWS_MAX)
            return NULL;
        roce->count++;
        roce->sink->streams.ucx_streams++;
        flow = cmd_realloc(NULL, sizeof(*flow));
        *flow = (struct flow){ .qp = qp, .psn = psn };
        memcpy(flow->address, segment->address, sizeof(flow->address));
    }
    flow->next = roce->flows;
    roce->flows = flow;
    return flow;
}

static void append(struct flow *flow, const uint8_t *bytes, size_t length)
{
    if (flow->size - flow->used < length) {
        flow->size = 2 * (flow->used + length);
        flow->bytes = cmd_realloc(flow->bytes, flow->size);
    }
    memcpy(flow->bytes + flow->used, bytes, length);
    flow->used += length;
}

/* Whether it comes next; what was sent again is passed over. */
static bool in_turn(struct roce *roce, struct flow *flow, uint32_t psn,
                    const struct datagram *datagram)
{
    uint32_t ahead = (psn - flow->psn) & PSN_MASK;
    char text[64];

    if (ahead >= PSN_HALF)
        return false;
    if (ahead) {
        snprintf(text, sizeof(text), "%" PRIu32 " packets of RC are missing",
                 ahead);
        roce->sink->event(roce->sink, DECODE_GAP, datagram->where, text);
        flow->open = false;
    }
    flow->psn = (psn + 1) & PSN_MASK;
    return true;
}

static void read_send(struct roce *roce, struct flow *flow,
                      const struct operation *operation,
                      const struct datagram *datagram)
{
    if (operation->first) {
        flow->open = true;
        flow->used = 0;
    } else if (!flow->open) {
        return; /* the end of a message whose start is missing */
    }
    if (flow->used + datagram->length > DECODE_PACKET_MAX + 1) {
        not_eesp(roce, datagram, "too long a message", datagram->bytes,
                 datagram->length);
        flow->open = false;
        return;
    }
    append(flow, datagram->bytes, datagram->length);
    if (!operation->last)
        return;
    flow->open = false;
    if (flow->used)
        message(roce, datagram, flow->bytes[0] & RC_ID_MASK, flow->bytes + 1,
                flow->used - 1);
}

static void read_rc(struct roce *roce, const struct operation *operation,
                    uint32_t qp, uint32_t psn, struct datagram *datagram)
{
    static const char *const names[] = { "", "SEND", "RDMA WRITE",
                                         "RDMA READ", "atomic operation" };
    struct flow *flow;

    if (operation->what == NOTHING || !step(datagram, operation->headers))
        return;
    /* Responses have the numbers of the other direction's requests. */
    if (operation->what != READ) {
        flow = flow_of(roce, datagram->segment, qp, psn);
        if (!flow || !in_turn(roce, flow, psn, datagram))
            return;
        if (operation->what == SEND) {
            read_send(roce, flow, operation, datagram);
            return;
        }
    }
    if (datagram->length)
        not_eesp(roce, datagram, names[operation->what], datagram->bytes,
                 datagram->length);
    else
        roce->sink->streams.setup_frames++; /* how UCX flushes and probes */
}

/* ---- Datagram -------------------------------------------------------------- */

void roce_add(struct roce *roce, const struct tcp_segment *segment)
{
    const uint8_t *bth = segment->bytes;
    char where[DECODE_WHERE_MAX];
    struct datagram datagram = { .segment = segment, .where = where };
    size_t tail;

    if (segment->length < BTH_LENGTH + ICRC_LENGTH)
        return;
    tail = ICRC_LENGTH + (bth[1] >> 4 & 3u);
    if (segment->length < BTH_LENGTH + tail)
        return;
    tcp_where(where, segment->frame, segment->address, segment->port);
    datagram.bytes = bth + BTH_LENGTH;
    datagram.length = segment->length - BTH_LENGTH - tail;
    if (bth[0] >> 5 == TRANSPORT_UD)
        read_ud(roce, bth[0] & 31u, get24(bth + 5), &datagram);
    else if (bth[0] >> 5 == TRANSPORT_RC)
        read_rc(roce, &operations[bth[0] & 31], get24(bth + 5),
                get24(bth + 9), &datagram);
}
