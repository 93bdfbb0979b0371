/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_json: packets and events as JSON, one object a line. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "decode.h"

static json_t *hex64_json(uint64_t value)
{
    return json_sprintf("%016" PRIx64, value);
}

static json_t *keys_json(const struct eesp_keyring *keyring,
                         const struct open_result *result)
{
    json_t *keys = json_array();
    struct eesp_key_info key;
    unsigned level;
    bool found;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(result->policy->levels & 1u << level))
            continue;
        found = opener_key(keyring, result, level, &key);
        json_array_append_new(
            keys,
            json_pack("{s:s, s:s, s:o, s:o}", "level", eesp_level_name(level),
                      "id", result->policy->key_id[level], "generation",
                      found ? json_integer((json_int_t)key.generation)
                            : json_null(),
                      "state",
                      found ? json_string(eesp_key_state_name(key.state))
                            : json_null()));
    }
    return keys;
}

static void add_full_json(json_t *object, const struct eesp_header *header)
{
    json_object_set_new(object, "profile", json_integer(header->profile));
    json_object_set_new(object, "kdf", json_string(text_kdf(header->kdf)));
    json_object_set_new(object, "aead", json_string(text_aead(header->aead)));
    json_object_set_new(object, "flags", json_integer(header->flags));
    json_object_set_new(object, "phase_shift",
                        json_integer(header->phase_shift));
}

/* Values of 64 bits are hexadecimal text: JSON readers round big numbers. */
static json_t *header_json(const struct eesp_header *header)
{
    char text[TEXT_MAX];
    json_t *object = json_pack(
        "{s:I, s:i, s:b, s:s, s:i, s:o, s:o, s:i}", "spi",
        (json_int_t)header->spi, "session_id", (int)header->session_id,
        "compact", header->compact, "selectors",
        text_selectors(header->selectors, text), "epoch", (int)header->epoch,
        "incarnation", hex64_json(header->incarnation), "sequence",
        hex64_json(header->sequence), "length", (int)header->length);

    if (header->compact)
        json_object_set_new(object, "combination_id",
                            json_integer(header->combination_id));
    else
        add_full_json(object, header);
    if (header->selectors & EESP_SELECT_RANKS) {
        json_object_set_new(object, "source_rank",
                            json_integer(header->source_rank));
        json_object_set_new(object, "destination_rank",
                            json_integer(header->destination_rank));
    }
    if (header->selectors & EESP_SELECT_SOURCE)
        json_object_set_new(object, "source_id",
                            hex64_json(header->source_id));
    if (header->selectors & EESP_SELECT_DESTINATION)
        json_object_set_new(object, "destination_id",
                            hex64_json(header->destination_id));
    return object;
}

static void add_payload_json(json_t *object, const struct decode_packet *packet,
                             const struct open_result *result)
{
    char *hex = report_payload(result);

    json_object_set_new(object, "payload", json_string(hex));
    free(hex);
    json_object_set_new(object, "next_header",
                        json_integer(result->opened.next_header));
    if (packet->ucx && result->opened.length >= REPORT_UCX_HEADER)
        json_object_set_new(object, "am_id",
                            json_integer(result->opened.payload[0]));
    if (result->bound)
        json_object_set_new(object, "destination_incarnation",
                            hex64_json(result->receiver.incarnation));
    if (result->header.selectors & EESP_SELECT_RANKS)
        json_object_set_new(object, "destination_rank",
                            json_integer(result->receiver.rank));
}

static void dump_line(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

void json_packet(const struct report *report,
                 const struct decode_packet *packet,
                 const struct open_result *result)
{
    bool opened = result->error == EESP_OK;
    json_t *object = json_pack("{s:s, s:I, s:s, s:I, s:b}", "type", "packet",
                               "number", (json_int_t)report->packets, "where",
                               packet->where, "length",
                               (json_int_t)packet->length, "opened", opened);

    if (packet->time)
        json_object_set_new(object, "time", json_string(packet->time));
    if (result->has_header)
        json_object_set_new(object, "header", header_json(&result->header));
    if (result->policy) {
        json_object_set_new(object, "policy",
                            json_string(result->policy->name));
        json_object_set_new(object, "keys",
                            keys_json(report->keyring, result));
    }
    if (opened)
        add_payload_json(object, packet, result);
    else
        json_object_set_new(object, "error",
                            json_string(eesp_strerror(result->error)));
    dump_line(object);
}

void json_event(const char *type, const char *where, const char *text)
{
    dump_line(json_pack("{s:s, s:s, s:s}", "type", type, "where", where,
                        "text", text));
}

void json_summary(const struct report *report,
                  const struct decode_streams *streams)
{
    dump_line(json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "type",
        "summary", "packets", (json_int_t)report->packets, "opened",
        (json_int_t)report->opened, "failed", (json_int_t)report->failed,
        "not_eesp", (json_int_t)report->not_eesp, "gaps",
        (json_int_t)report->gaps, "gap_bytes", (json_int_t)streams->gap_bytes,
        "setup_frames", (json_int_t)streams->setup_frames, "ucx_streams",
        (json_int_t)streams->ucx_streams, "other_streams",
        (json_int_t)streams->other_streams, "fragments",
        (json_int_t)streams->fragments));
}
