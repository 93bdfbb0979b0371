/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_ucx: frames of UCX's tcp transport (1.13 and later, as little-endian
 * hosts send them). The connecting side starts with a magic number of 8 bytes;
 * then each side sends frames of id(1) | length(4) | data. Ids below 32 are
 * messages of the layer above, the rest are tcp's own.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

enum {
    MAGIC_LENGTH  = 8,
    HEADER_LENGTH = 5,
    ID_MESSAGES   = 32, /* ids below are messages */
    ID_CONNECTION = 32,
    ID_PUT        = 33, /* its payload follows the frame, uncounted */
    ID_PUT_ACK    = 34,
    ID_KEEPALIVE  = 35,
    PUT_LENGTH    = 20, /* address(8) | length(8) | number(4) */
    ACK_LENGTH    = 4,
    CONNECTION_MIN = 4,
    CONNECTION_MAX = 256,
    SPI_END       = 8,       /* of the packet bytes that name the policy */
    ANCHOR_LENGTH = HEADER_LENGTH + SPI_END,
    SEARCH_MAX    = 1 << 20, /* before a stream counts as somebody else's */
    UNDECIDED_MAX = 1 << 16, /* held of the side that does not decide */
    EXCERPT       = 16,      /* bytes shown of data that is not EESP */
};

static const uint8_t magic[MAGIC_LENGTH] = { 0x78, 0x56, 0x34, 0x12,
                                             0xbe, 0xba, 0xfe, 0xca };

static uint32_t frame_length(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p + 1, sizeof(v));
    return le32toh(v);
}

bool decode_is_eesp(const struct decode_sink *sink, const uint8_t *bytes,
                    size_t length)
{
    uint32_t spi;

    if (length < SPI_END || bytes[0] != 0x80)
        return false;
    memcpy(&spi, bytes + 4, sizeof(spi));
    return sink->keylog
               ? keylog_knows(sink->keylog, be32toh(spi))
               : eesp_keyring_policy_spi(sink->keyring, be32toh(spi)) != NULL;
}

void ucx_append(struct ucx_stream *stream, const uint8_t *bytes, size_t length)
{
    if (stream->size - stream->used < length) {
        stream->size = 2 * (stream->used + length);
        stream->bytes = cmd_realloc(stream->bytes, stream->size);
    }
    memcpy(stream->bytes + stream->used, bytes, length);
    stream->used += length;
}

static void consume(struct ucx_stream *stream, size_t length)
{
    stream->used -= length;
    if (length && stream->used)
        memmove(stream->bytes, stream->bytes + length, stream->used);
}

void ucx_free(struct ucx_stream *stream)
{
    free(stream->bytes);
    stream->bytes = NULL;
    stream->used = stream->size = 0;
}

/* ---- Finding frames -------------------------------------------------------- */

/* Whether a frame of tcp itself has a length that it can have. */
static bool is_own_frame(unsigned id, uint32_t length)
{
    switch (id) {
    case ID_CONNECTION:
        return length >= CONNECTION_MIN && length <= CONNECTION_MAX;
    case ID_PUT:
        return length == PUT_LENGTH;
    case ID_PUT_ACK:
        return length == ACK_LENGTH;
    case ID_KEEPALIVE:
        return length == 0;
    default:
        return false;
    }
}

/*
 * A frame that holds a packet of the keyring: safe enough to find the place in
 * a stream again. Undecided until the whole frame is there.
 */
static enum ucx_verdict is_anchor(const struct decode_sink *sink,
                                  const uint8_t *p, size_t length)
{
    struct eesp_header header;

    if (length < ANCHOR_LENGTH)
        return UCX_UNDECIDED;
    if (p[0] >= ID_MESSAGES || frame_length(p) > DECODE_PACKET_MAX ||
        !decode_is_eesp(sink, p + HEADER_LENGTH, SPI_END))
        return UCX_NO;
    if (length - HEADER_LENGTH < frame_length(p))
        return UCX_UNDECIDED;
    return eesp_header_parse(p + HEADER_LENGTH, frame_length(p), &header) ==
           EESP_OK ? UCX_YES : UCX_NO;
}

/* Throws bytes away up to the next anchor, or what may become one. */
static enum ucx_verdict search(struct ucx_stream *stream,
                               const struct decode_sink *sink)
{
    enum ucx_verdict verdict = UCX_NO;
    size_t at;

    for (at = 0; at < stream->used; at++) {
        verdict = is_anchor(sink, stream->bytes + at, stream->used - at);
        if (verdict != UCX_NO)
            break;
    }
    consume(stream, at);
    stream->searched += at;
    return verdict == UCX_YES ? UCX_YES : UCX_UNDECIDED;
}

enum ucx_verdict ucx_classify(struct ucx_stream *stream,
                              const struct decode_sink *sink, bool last)
{
    size_t length = stream->used < MAGIC_LENGTH ? stream->used : MAGIC_LENGTH;
    bool same = length > 0 && memcmp(stream->bytes, magic, length) == 0;

    if (same && length == MAGIC_LENGTH) {
        consume(stream, MAGIC_LENGTH);
        stream->searching = false;
        return UCX_YES;
    }
    if (stream->from_start && stream->connector)
        return same || length == 0 ? UCX_UNDECIDED : UCX_NO;
    /* The accepting side sends no magic number: the other one decides. */
    if (stream->from_start && !last && stream->used <= UNDECIDED_MAX)
        return UCX_UNDECIDED;
    stream->from_start = false;
    stream->searching = true;
    if (search(stream, sink) == UCX_YES)
        return UCX_YES;
    return stream->searched > SEARCH_MAX ? UCX_NO : UCX_UNDECIDED;
}

/* ---- Reading frames --------------------------------------------------------- */

static void not_eesp(struct decode_sink *sink, const struct ucx_place *place,
                     const char *what, uint64_t length, const uint8_t *bytes,
                     size_t available)
{
    char text[DECODE_WHERE_MAX], hex[2 * EXCERPT + 1];
    size_t shown = available < EXCERPT ? available : EXCERPT;

    text_hex(bytes, shown, hex);
    snprintf(text, sizeof(text), "%s, %" PRIu64 " bytes%s%s%s", what, length,
             shown ? ": " : "", hex, available > shown ? "..." : "");
    sink->event(sink, DECODE_NOT_EESP, place->where, text);
}

static void message(struct decode_sink *sink, const struct ucx_place *place,
                    unsigned id, const uint8_t *data, size_t length)
{
    struct decode_packet packet = {
        .bytes = data, .length = length, .where = place->where,
        .time = place->time, .ucx = true,
    };
    char what[32];

    if (decode_is_eesp(sink, data, length)) {
        sink->packet(sink, &packet);
        return;
    }
    snprintf(what, sizeof(what), "UCX message id %u", id);
    not_eesp(sink, place, what, length, data, length);
}

/* A put without bytes is how tcp flushes. */
static void put(struct ucx_stream *stream, struct decode_sink *sink,
                const struct ucx_place *place, const uint8_t *data)
{
    uint64_t length;

    memcpy(&length, data + 8, sizeof(length));
    length = le64toh(length);
    stream->skip = length;
    if (length)
        not_eesp(sink, place, "UCX put", length, NULL, 0);
    else
        sink->streams.setup_frames++;
}

/* Length of the whole frame at p, or 0 if no frame can start so. */
static size_t whole_length(const uint8_t *p)
{
    uint32_t length = frame_length(p);

    if (p[0] < ID_MESSAGES ? length > DECODE_PACKET_MAX
                           : !is_own_frame(p[0], length))
        return 0;
    return HEADER_LENGTH + (size_t)length;
}

/* One frame from p on: its length, or 0 if it is not all there. */
static size_t parse_frame(struct ucx_stream *stream, struct decode_sink *sink,
                          const struct ucx_place *place, const uint8_t *p,
                          size_t available)
{
    size_t whole;

    if (available < HEADER_LENGTH)
        return 0;
    whole = whole_length(p);
    if (whole == 0) {
        not_eesp(sink, place, "no frame of UCX", available, p, available);
        stream->searching = true;
        stream->searched = 0;
        return HEADER_LENGTH;
    }
    if (available < whole)
        return 0;
    if (p[0] < ID_MESSAGES)
        message(sink, place, p[0], p + HEADER_LENGTH, whole - HEADER_LENGTH);
    else if (p[0] == ID_PUT)
        put(stream, sink, place, p + HEADER_LENGTH);
    else
        sink->streams.setup_frames++;
    return whole;
}

/* Skipped bytes are gone, and a search gave up or came to a frame. */
static bool ready(struct ucx_stream *stream, struct decode_sink *sink,
                  const struct ucx_place *place)
{
    size_t length = stream->used;
    uint64_t before = stream->searched;

    if (stream->skip < length)
        length = (size_t)stream->skip;
    consume(stream, length);
    stream->skip -= length;
    if (stream->skip == 0 && stream->searching) {
        stream->searching = search(stream, sink) != UCX_YES;
        if (before <= SEARCH_MAX && stream->searched > SEARCH_MAX)
            not_eesp(sink, place, "no packet after a gap", stream->searched,
                     NULL, 0);
    }
    return stream->used && stream->skip == 0 && !stream->searching;
}

void ucx_parse(struct ucx_stream *stream, struct decode_sink *sink,
               const struct ucx_place *place)
{
    size_t at, length;

    while (ready(stream, sink, place)) {
        at = 0;
        do {
            length = parse_frame(stream, sink, place, stream->bytes + at,
                                 stream->used - at);
            at += length;
        } while (length && stream->skip == 0 && !stream->searching);
        consume(stream, at);
        if (length == 0)
            break;
    }
}

/* ---- Gaps -------------------------------------------------------------------- */

void ucx_gap_undecided(struct ucx_stream *stream)
{
    stream->used = 0;
    stream->from_start = false;
}

static void report_gap(struct decode_sink *sink, const struct ucx_place *place,
                       uint64_t length, const char *note)
{
    char text[80];

    sink->streams.gap_bytes += length;
    snprintf(text, sizeof(text), "%" PRIu64 " bytes%s", length, note);
    sink->event(sink, DECODE_GAP, place->where, text);
}

/* Bytes that the frame begun still needs, as far as its header is there. */
static uint64_t wanted(const struct ucx_stream *stream)
{
    if (stream->skip)
        return stream->skip;
    if (stream->searching || stream->used < HEADER_LENGTH)
        return 0;
    return whole_length(stream->bytes) - stream->used;
}

void ucx_gap(struct ucx_stream *stream, struct decode_sink *sink,
             const struct ucx_place *place, uint64_t length)
{
    uint64_t missing = wanted(stream);

    report_gap(sink, place, length, "");
    stream->used = 0;
    /* Inside a frame its end is known; otherwise a frame must be found. */
    stream->skip = length <= missing ? missing - length : 0;
    if (length > missing) {
        stream->searching = true;
        stream->searched = 0;
    }
}

void ucx_end(struct ucx_stream *stream, struct decode_sink *sink,
             const struct ucx_place *place)
{
    uint64_t missing = wanted(stream);

    if (missing)
        report_gap(sink, place, missing, " at the end of the stream");
}
