/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_tcp: puts the bytes of TCP connections back in order. Bytes seen
 * twice are dropped; segments from beyond a hole wait in bounded memory for
 * what is missing, until it is taken for lost by the capture.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

enum {
    FLAG_FIN = 0x01, FLAG_SYN = 0x02, FLAG_RST = 0x04, FLAG_ACK = 0x10,
    BUCKETS = 4096,
    HELD_MAX = 4 << 20,  /* bytes beyond a hole, each direction */
    TIME_MAX = 40,
};

/* A segment that came too early. */
struct held {
    struct held *next;
    uint32_t     sequence;
    uint64_t     frame;
    char         time[TIME_MAX];
    size_t       length;
    uint8_t      bytes[];
};

/* One direction. */
struct side {
    uint8_t           address[2][16];
    uint16_t          port[2];
    bool              synced; /* first and expected are valid */
    uint32_t          first, expected;
    struct held      *held;   /* in order of sequence */
    size_t            held_bytes;
    uint64_t          frame;  /* last one with bytes */
    struct ucx_stream ucx;
};

struct connection {
    struct connection *next; /* of the bucket */
    struct side        side[2];
    enum ucx_verdict   verdict;
    bool               has_bytes;
    struct stream_tally tally;
};

struct tcp_table {
    struct decode_sink *sink;
    struct connection  *bucket[BUCKETS];
};

static void print_end(char *text, size_t size, const uint8_t address[16],
                      uint16_t port)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    char name[INET6_ADDRSTRLEN] = "?";

    if (memcmp(address, mapped, sizeof(mapped)) == 0) {
        inet_ntop(AF_INET, address + 12, name, sizeof(name));
        snprintf(text, size, "%s:%u", name, port);
    } else {
        inet_ntop(AF_INET6, address, name, sizeof(name));
        snprintf(text, size, "[%s]:%u", name, port);
    }
}

void tcp_where(char where[static DECODE_WHERE_MAX], uint64_t frame,
               const uint8_t address[2][16], const uint16_t port[2])
{
    char end[2][INET6_ADDRSTRLEN + 10];

    print_end(end[0], sizeof(end[0]), address[0], port[0]);
    print_end(end[1], sizeof(end[1]), address[1], port[1]);
    snprintf(where, DECODE_WHERE_MAX, "frame %" PRIu64 ", %s > %s", frame,
             end[0], end[1]);
}

/* ---- Bytes in order ---------------------------------------------------------- */

/* Calls for the parser with what the side's bytes are labelled with. */
static void parse(struct side *side, struct decode_sink *sink,
                  const char *time)
{
    char where[DECODE_WHERE_MAX];
    struct ucx_place place = { .where = where, .time = time };

    tcp_where(where, side->frame, side->address, side->port);
    ucx_parse(&side->ucx, sink, &place);
}

static void decide(struct connection *connection, struct side *side,
                   struct decode_sink *sink, const char *time, bool last)
{
    struct side *other = &connection->side[side == connection->side];

    connection->verdict = ucx_classify(&side->ucx, sink, last);
    if (connection->verdict == UCX_NO) {
        ucx_free(&side->ucx);
        ucx_free(&other->ucx);
    } else if (connection->verdict == UCX_YES) {
        other->ucx.searching = !other->ucx.from_start;
        parse(side, sink, time);
        parse(other, sink, time);
    }
}

static void deliver(struct connection *connection, struct side *side,
                    struct decode_sink *sink, const uint8_t *bytes,
                    size_t length, uint64_t frame, const char *time)
{
    connection->has_bytes = true;
    connection->tally.bytes[side != connection->side] += length;
    side->frame = frame;
    if (connection->verdict == UCX_NO)
        return; /* decided while held segments drained */
    ucx_append(&side->ucx, bytes, length);
    if (connection->verdict == UCX_YES)
        parse(side, sink, time);
    else
        decide(connection, side, sink, time, false);
}

/* The next length bytes will not come any more. */
static void gap(struct connection *connection, struct side *side,
                struct decode_sink *sink, uint32_t length)
{
    char where[DECODE_WHERE_MAX];
    struct ucx_place place = { .where = where };

    side->expected += length;
    if (connection->verdict == UCX_UNDECIDED)
        ucx_gap_undecided(&side->ucx);
    if (connection->verdict != UCX_YES)
        return;
    tcp_where(where, side->held->frame, side->address, side->port);
    ucx_gap(&side->ucx, sink, &place, length);
}

/* Takes the segment if its bytes are due or partly due; false: too early. */
static bool accept_bytes(struct connection *connection, struct side *side,
                         struct decode_sink *sink, uint32_t sequence,
                         const uint8_t *bytes, size_t length, uint64_t frame,
                         const char *time)
{
    uint32_t behind = side->expected - sequence; /* bytes seen before */

    if ((int32_t)behind < 0)
        return false;
    if (behind < length) {
        side->expected += (uint32_t)(length - behind);
        deliver(connection, side, sink, bytes + behind, length - behind,
                frame, time);
    }
    return true;
}

static void drain(struct connection *connection, struct side *side,
                  struct decode_sink *sink)
{
    struct held *held;

    while ((held = side->held) != NULL &&
           accept_bytes(connection, side, sink, held->sequence, held->bytes,
                        held->length, held->frame, held->time)) {
        side->held = held->next;
        side->held_bytes -= sizeof(*held) + held->length;
        free(held);
    }
}

static void hold(struct side *side, const struct tcp_segment *segment)
{
    struct held *held = cmd_realloc(NULL, sizeof(*held) + segment->length);
    struct held **place = &side->held;

    held->sequence = segment->sequence;
    held->frame = segment->frame;
    held->length = segment->length;
    snprintf(held->time, sizeof(held->time), "%s", segment->time);
    memcpy(held->bytes, segment->bytes, segment->length);
    while (*place && (int32_t)((*place)->sequence - held->sequence) <= 0)
        place = &(*place)->next;
    held->next = *place;
    *place = held;
    side->held_bytes += sizeof(*held) + held->length;
}

/* Gives up waiting, until at most max bytes are held. */
static void flush(struct connection *connection, struct side *side,
                  struct decode_sink *sink, size_t max)
{
    while (side->held && side->held_bytes > max) {
        gap(connection, side, sink, side->held->sequence - side->expected);
        drain(connection, side, sink);
    }
}

/* ---- Connections --------------------------------------------------------------- */

static void close_connection(struct connection *connection,
                             struct decode_sink *sink)
{
    char where[DECODE_WHERE_MAX];
    struct ucx_place place = { .where = where };
    struct decode_stream stream = {
        .address = connection->side[0].address,
        .port = connection->side[0].port, .tally = &connection->tally,
    };
    struct side *side;

    sink->tally = &connection->tally;
    for (side = connection->side; side < connection->side + 2; side++) {
        flush(connection, side, sink, 0);
        if (connection->verdict == UCX_UNDECIDED)
            decide(connection, side, sink, NULL, true);
    }
    for (side = connection->side; side < connection->side + 2; side++) {
        if (connection->verdict == UCX_YES) {
            tcp_where(where, side->frame, side->address, side->port);
            ucx_end(&side->ucx, sink, &place);
        }
        ucx_free(&side->ucx);
    }
    if (connection->verdict == UCX_YES)
        sink->streams.ucx_streams++;
    else if (connection->has_bytes)
        sink->streams.other_streams++;
    connection->tally.ucx = connection->verdict == UCX_YES;
    if (sink->stream)
        sink->stream(sink, &stream);
    sink->tally = NULL;
}

static bool is_side(const struct side *side, const struct tcp_segment *segment)
{
    return side->port[0] == segment->port[0] &&
           side->port[1] == segment->port[1] &&
           memcmp(side->address, segment->address, sizeof(side->address)) == 0;
}

/* The same for both directions. */
static unsigned hash(const struct tcp_segment *segment)
{
    unsigned h = (unsigned)segment->port[0] + segment->port[1], i;

    for (i = 0; i < sizeof(segment->address[0]); i++)
        h += (unsigned)(segment->address[0][i] + segment->address[1][i])
             << i % 8;
    return h * 2654435761u >> 20; /* 12 bits: BUCKETS */
}

static void init_sides(struct connection *connection,
                       const struct tcp_segment *segment)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        struct side *side = &connection->side[i];

        *side = (struct side){ .ucx = { .from_start = false } };
        memcpy(side->address[0], segment->address[i], 16);
        memcpy(side->address[1], segment->address[1 - i], 16);
        side->port[0] = segment->port[i];
        side->port[1] = segment->port[1 - i];
    }
    connection->verdict = UCX_UNDECIDED;
    connection->has_bytes = false;
    connection->tally = (struct stream_tally){ .ucx = false };
}

static struct connection *find(struct tcp_table *table,
                               const struct tcp_segment *segment)
{
    struct connection **bucket = &table->bucket[hash(segment)], *connection;

    for (connection = *bucket; connection; connection = connection->next)
        if (is_side(&connection->side[0], segment) ||
            is_side(&connection->side[1], segment))
            return connection;
    connection = cmd_realloc(NULL, sizeof(*connection));
    init_sides(connection, segment);
    connection->next = *bucket;
    *bucket = connection;
    return connection;
}

/* The numbers of a connection start here, maybe in place of an older one. */
static void open_side(struct connection *connection, struct side *side,
                      struct decode_sink *sink,
                      const struct tcp_segment *segment)
{
    uint32_t first = segment->sequence + 1;
    struct side *other;

    if (side->synced && side->first == first)
        return; /* sent again */
    if (side->synced) {
        close_connection(connection, sink);
        init_sides(connection, segment);
        side = &connection->side[0];
    }
    other = &connection->side[side == connection->side];
    side->synced = true;
    side->first = side->expected = first;
    side->ucx.from_start = true;
    side->ucx.connector = !(segment->flags & FLAG_ACK);
    if (segment->flags & FLAG_ACK && !other->synced) {
        other->synced = true;
        other->first = other->expected = segment->acknowledged;
        other->ucx.from_start = true;
        other->ucx.connector = true;
    }
}

struct tcp_table *tcp_new(struct decode_sink *sink)
{
    struct tcp_table *table = cmd_realloc(NULL, sizeof(*table));

    memset(table, 0, sizeof(*table));
    table->sink = sink;
    return table;
}

void tcp_add(struct tcp_table *table, const struct tcp_segment *segment)
{
    struct connection *connection = find(table, segment);
    struct tcp_segment data = *segment;
    struct side *side;

    side = &connection->side[!is_side(&connection->side[0], segment)];
    if (segment->flags & FLAG_SYN) {
        open_side(connection, side, table->sink, segment);
        side = &connection->side[!is_side(&connection->side[0], segment)];
        data.sequence++; /* the SYN itself has a number */
    }
    if (connection->verdict == UCX_NO)
        connection->tally.bytes[side != connection->side] += data.length;
    if (data.length == 0 || connection->verdict == UCX_NO)
        return;
    table->sink->tally = &connection->tally;
    if (!side->synced) {
        side->synced = true;
        side->first = side->expected = data.sequence;
    }
    if (accept_bytes(connection, side, table->sink, data.sequence, data.bytes,
                     data.length, data.frame, data.time)) {
        drain(connection, side, table->sink);
    } else {
        hold(side, &data);
        flush(connection, side, table->sink, HELD_MAX);
    }
    table->sink->tally = NULL;
}

void tcp_finish(struct tcp_table *table)
{
    struct connection *connection, *next;
    unsigned i;

    for (i = 0; i < BUCKETS; i++)
        for (connection = table->bucket[i]; connection; connection = next) {
            next = connection->next;
            close_connection(connection, table->sink);
            free(connection);
        }
    free(table);
}
