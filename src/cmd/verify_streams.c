/* SPDX-License-Identifier: BSD-3-Clause */
/* verify_streams: what each connection carried, and what that makes it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verify.h"

struct reader {
    struct decode_sink        sink; /* first: the callbacks get its address */
    struct peers             *peers;
    struct opener            *opener;
    const struct expectation *expected;
    const struct owners      *owners;
    struct streams           *streams;
};

/* ---- Packets ----------------------------------------------------------------- */

static void learn(struct decode_sink *sink, const struct decode_packet *packet)
{
    struct reader *reader = (struct reader *)sink;
    struct eesp_header header;

    if (eesp_header_parse(packet->bytes, packet->length, &header) == EESP_OK &&
        eesp_keyring_policy_spi(sink->keyring, header.spi))
        peers_learn(reader->peers, &header);
}

static void ignore(struct decode_sink *sink, enum decode_event event,
                   const char *where, const char *text)
{
    (void)sink;
    (void)event;
    (void)where;
    (void)text;
}

/* The first thing that is wrong is what is told. */
static void blame(struct stream_tally *tally, const char *where,
                  const char *what)
{
    tally->bad++;
    if (!tally->what[0])
        snprintf(tally->what, sizeof(tally->what), "%s: %s", where, what);
}

static void note_generations(struct reader *reader,
                             const struct open_result *result)
{
    struct streams *streams = reader->streams;
    struct eesp_key_info key;
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(result->policy->levels & 1u << level) ||
            !opener_key(reader->sink.keyring, result, level, &key))
            continue;
        if (key.generation < streams->first[level])
            streams->first[level] = key.generation;
        if (key.generation > streams->last[level])
            streams->last[level] = key.generation;
    }
}

static void open_one(struct decode_sink *sink,
                     const struct decode_packet *packet)
{
    struct reader *reader = (struct reader *)sink;
    struct stream_tally *tally = sink->tally;
    struct open_result result;

    opener_open(reader->opener, packet, &result);
    if (!tally)
        return; /* UDP: nothing of UCX's tcp */
    tally->packets++;
    if (result.error != EESP_OK) {
        blame(tally, packet->where, eesp_strerror(result.error));
        return;
    }
    if (reader->expected->has_spi &&
        result.header.spi != reader->expected->spi) {
        blame(tally, packet->where, "opens, but under another policy");
        return;
    }
    if (!reader->expected->has_spi && !result.policy->confidentiality) {
        blame(tally, packet->where, "readable: its policy does not encrypt");
        return;
    }
    tally->opened++;
    tally->spi = result.header.spi;
    tally->aead = result.header.compact ? (unsigned)result.policy->aead
                                        : result.header.aead;
    note_generations(reader, &result);
}

static void show_event(struct decode_sink *sink, enum decode_event event,
                       const char *where, const char *text)
{
    static const char *const types[] = { "not a packet", "in clear",
                                         "not captured" };
    char what[200];

    if (!sink->tally)
        return;
    snprintf(what, sizeof(what), "%s: %s", types[event], text);
    blame(sink->tally, where, what);
}

/* ---- Streams ----------------------------------------------------------------- */

static bool of_launcher(const struct owner *owner)
{
    return owner->process && owner->process->launcher;
}

static enum stream_kind kind_of(const struct stream *stream)
{
    const struct stream_tally *tally = &stream->tally;
    const struct owner *end = stream->end;

    if (end[0].kind != OWNER_JOB && end[1].kind != OWNER_JOB)
        return end[0].kind == OWNER_UNKNOWN || end[1].kind == OWNER_UNKNOWN
                   ? STREAM_UNKNOWN : STREAM_FOREIGN;
    /* UCX's are the ranks', whatever process has them. */
    if (tally->ucx)
        return tally->bad ? STREAM_CLEAR
                          : tally->packets ? STREAM_SEALED : STREAM_SETUP;
    return of_launcher(&end[0]) || of_launcher(&end[1]) ? STREAM_LAUNCHER
                                                        : STREAM_CLEAR;
}

static void add_stream(struct decode_sink *sink,
                       const struct decode_stream *closed)
{
    struct reader *reader = (struct reader *)sink;
    struct streams *streams = reader->streams;
    struct stream stream = { .tally = *closed->tally };
    unsigned i;

    if (stream.tally.bytes[0] + stream.tally.bytes[1] == 0)
        return;
    memcpy(stream.address, closed->address, sizeof(stream.address));
    memcpy(stream.port, closed->port, sizeof(stream.port));
    for (i = 0; i < 2; i++)
        stream.end[i] = owners_find(reader->owners, stream.address[i],
                                    stream.port[i], stream.address[!i],
                                    stream.port[!i]);
    stream.kind = kind_of(&stream);
    if (stream.kind == STREAM_CLEAR && !stream.tally.what[0])
        snprintf(stream.tally.what, sizeof(stream.tally.what),
                 "not UCX's framing: nothing of it is sealed");
    streams->stream = cmd_realloc(streams->stream, (streams->count + 1) *
                                  sizeof(stream));
    streams->stream[streams->count++] = stream;
}

int streams_read(struct streams *streams, int fd,
                 const struct expectation *expected,
                 const struct owners *owners)
{
    struct reader reader = {
        .sink = { .keyring = expected->keyring, .packet = learn,
                  .event = ignore },
        .peers = peers_new(), .expected = expected, .owners = owners,
        .streams = streams,
    };
    const struct open_options options = { .has_rank = false };
    int result;

    memset(streams, 0, sizeof(*streams));
    memset(streams->first, 0xff, sizeof(streams->first));
    result = decode_pcap(fd, "the capture", &reader.sink);
    if (result == 0 && lseek(fd, 0, SEEK_SET) == 0) {
        reader.opener = opener_new(expected->keyring, NULL, &options,
                                   reader.peers);
        reader.sink.packet = open_one;
        reader.sink.event = show_event;
        reader.sink.stream = add_stream;
        result = decode_pcap(fd, "the capture", &reader.sink);
    }
    opener_free(reader.opener);
    peers_free(reader.peers);
    return result;
}

void streams_free(struct streams *streams)
{
    free(streams->stream);
}
