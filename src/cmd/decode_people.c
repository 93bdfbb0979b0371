/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_people: packets and events as text for people. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "decode.h"

static const char *hint(const struct open_result *result)
{
    if (result->error == EESP_DROP_AUTH && result->guessed)
        return "if the keys are right, the receiver is not known: it sent "
               "nothing in this input; give --dst-incarnation and --rank";
    return NULL;
}

static void line(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line(const char *name, const char *format, ...)
{
    va_list args;

    printf("  %-12s ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void print_ends(const struct open_result *result)
{
    const struct eesp_header *header = &result->header;
    bool opened = result->error == EESP_OK;

    if (header->selectors & EESP_SELECT_RANKS)
        line("source", "rank %" PRIu32 ", incarnation %016" PRIx64,
             header->source_rank, header->incarnation);
    else if (header->selectors & EESP_SELECT_SOURCE)
        line("source", "id %016" PRIx64 ", incarnation %016" PRIx64,
             header->source_id, header->incarnation);
    else
        line("source", "incarnation %016" PRIx64, header->incarnation);
    if (header->compact && !opened)
        line("destination", "rank with low 16 bits %" PRIu32,
             header->destination_rank);
    else if (header->selectors & EESP_SELECT_RANKS)
        line("destination", "rank %" PRIu32,
             header->compact ? result->receiver.rank
                             : header->destination_rank);
    if (header->selectors & EESP_SELECT_DESTINATION)
        line("destination", "id %016" PRIx64, header->destination_id);
    if (opened && result->bound)
        line("bound to", "incarnation %016" PRIx64,
             result->receiver.incarnation);
}

static void print_keys(const struct eesp_keyring *keyring,
                       const struct open_result *result)
{
    const struct eesp_header *header = &result->header;
    struct eesp_key_info key;
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(result->policy->levels & 1u << level))
            continue;
        if (opener_key(keyring, result, level, &key))
            line("key", "%-6s  %s, generation %" PRIu32 ", %s",
                 eesp_level_name(level), key.id, key.generation,
                 eesp_key_state_name(key.state));
        else
            line("key", "%-6s  %s, generation %u mod %d: not in the keyring",
                 eesp_level_name(level), result->policy->key_id[level],
                 header->generations[level], header->compact ? 4 : 256);
    }
}

static void print_form(const struct eesp_header *header)
{
    static const char *const others[] = {
        [EESP_PROFILE_PSP] = " (PSP keying: see --psp)",
        [EESP_PROFILE_TSS] = " (TSS keying: see --tss)",
    };
    const char *other = header->profile < EESP_PROFILES
                            ? others[header->profile] : NULL;
    char text[TEXT_MAX];

    if (header->compact)
        line("form", "compact, combination id %u", header->combination_id);
    else
        line("form", "full, profile %u%s, %s, %s, selectors %s, flags "
             "0x%02x, phase 2^%u", header->profile, other ? other : "",
             text_kdf(header->kdf), text_aead(header->aead),
             text_selectors(header->selectors, text), header->flags,
             header->phase_shift);
}

static void print_header(const struct report *report,
                         const struct open_result *result)
{
    const struct eesp_header *header = &result->header;

    line("policy", "%s, SPI 0x%08" PRIx32,
         result->policy ? result->policy->name
                        : report->keyring ? "none" : "not in a key log",
         header->spi);
    print_form(header);
    line("session id", "%u", header->session_id);
    line("epoch", "%u", header->epoch);
    line("sequence", "%" PRIu64, header->sequence);
    print_ends(result);
    if (result->policy)
        print_keys(report->keyring, result);
}

static void print_payload(const struct decode_packet *packet,
                          const struct open_result *result)
{
    char *hex = report_payload(result);

    line("next header", "%u", result->opened.next_header);
    if (packet->ucx && result->opened.length >= REPORT_UCX_HEADER)
        line("am id", "%u", result->opened.payload[0]);
    printf("payload: %s\n", hex);
    free(hex);
}

void people_packet(const struct report *report,
                   const struct decode_packet *packet,
                   const struct open_result *result)
{
    printf("packet %" PRIu64 ": %s, %zu bytes\n", report->packets,
           packet->where, packet->length);
    if (packet->time)
        line("captured", "%s", packet->time);
    if (result->has_header)
        print_header(report, result);
    if (result->error == EESP_OK)
        print_payload(packet, result);
    else
        printf("error: %s\n", eesp_strerror(result->error));
    if (hint(result))
        printf("hint: %s\n", hint(result));
}

void people_event(const struct report *report, enum decode_event event,
                  const char *where, const char *text)
{
    if (event == DECODE_BAD_INPUT)
        printf("packet %" PRIu64 ": %s\nerror: %s\n", report->packets, where,
               text);
    else if (event == DECODE_NOT_EESP)
        printf("not EESP: %s: %s\n", where, text);
    else
        printf("gap of %s: %s\n", text, where);
}
