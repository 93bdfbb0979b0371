/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keygen_text: a new ring as JSON. Written by hand into one buffer of the
 * caller, because a JSON library would leave key text in memory it frees.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include "../job/base64url.h"
#include "keygen.h"

enum { KEY_LENGTH = 32 };

struct text {
    char  *buffer;
    size_t length;
};

static void add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The buffer has room for the longest ring (keygen.h); this is the backstop. */
static void add(struct text *text, const char *format, ...)
{
    size_t room = KEYGEN_TEXT_MAX - text->length;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text->buffer + text->length, room, format, args);
    va_end(args);
    text->length += length < 0 ? 0 : (size_t)length;
    if (text->length >= KEYGEN_TEXT_MAX)
        text->length = KEYGEN_TEXT_MAX - 1;
}

static void add_base64url(struct text *text, const uint8_t *p, size_t length)
{
    size_t digits = (length * 4 + 2) / 3;

    if (text->length + digits >= KEYGEN_TEXT_MAX)
        return;
    job_base64url(p, length, text->buffer + text->length);
    text->length += digits;
}

int keygen_random(void *buffer, size_t size)
{
    ssize_t got;

    do {
        got = getrandom(buffer, size, 0);
    } while (got < 0 && errno == EINTR);
    /* The kernel gives up to 256 bytes in one piece. */
    if (got < 0 || (size_t)got != size) {
        cmd_complain("no random bytes from the kernel: %s",
                     got < 0 ? strerror(errno) : "too few");
        return -1;
    }
    return 0;
}

static int add_key(struct text *text, const struct keygen_plan *plan,
                   enum eesp_level level)
{
    uint8_t key[KEY_LENGTH];
    int result = keygen_random(key, sizeof(key));

    if (result < 0)
        goto out;
    add(text, "    { \"kty\": \"oct\", \"kid\": \"%s\",\n      \"k\": \"",
        plan->level[level].id);
    add_base64url(text, key, sizeof(key));
    add(text, "\",\n      \"eesp_level\": \"%s\", \"eesp_generation\": 1, "
        "\"eesp_state\": \"current\"", eesp_level_name(level));
    if (plan->expires)
        add(text, ", \"exp\": %" PRIu64, plan->expires);
    add(text, " }");
out:
    explicit_bzero(key, sizeof(key));
    return result;
}

static void add_policy(struct text *text, const struct keygen_plan *plan,
                       unsigned spi, const char *name, const char *members)
{
    const char *comma = "";
    unsigned level;

    add(text, "    { \"spi\": %u, \"name\": \"%s\", \"profile\": \"sl1\",\n"
        "      \"kdf\": \"%s\", \"aead\": \"%s\",\n      \"levels\": {",
        spi, name, text_kdf(EESP_KDF_CMAC_AES256),
        text_aead(EESP_AEAD_AES_256_GCM));
    for (level = 0; level < EESP_LEVELS; level++) {
        if (!plan->level[level].used)
            continue;
        add(text, "%s \"%s\": \"%s\"", comma, eesp_level_name(level),
            plan->level[level].id);
        comma = ",";
    }
    add(text, " },\n      %s,\n"
        "      \"epoch\": 1, \"epoch_window\": 1, \"phase_shift\": 23,\n"
        "      \"max_payload\": %u, \"replay\": \"strict\", "
        "\"bind_destination\": true }", members, KEYGEN_MAX_PAYLOAD);
}

bool keygen_has_ranks(const struct keygen_plan *plan)
{
    return plan->level[EESP_JOB].used || plan->level[EESP_TASK].used;
}

int keygen_text(const struct keygen_plan *plan, char buffer[KEYGEN_TEXT_MAX],
                size_t *length_p)
{
    struct text text = { .buffer = buffer };
    const char *comma = "";
    unsigned level;

    add(&text, "{\n  \"keys\": [\n");
    for (level = 0; level < EESP_LEVELS; level++) {
        if (!plan->level[level].used)
            continue;
        add(&text, "%s", comma);
        comma = ",\n";
        if (add_key(&text, plan, level) < 0)
            return -1;
    }
    add(&text, "\n  ],\n  \"eesp_version\": 1,\n  \"eesp_policies\": [\n");
    if (keygen_has_ranks(plan)) {
        add_policy(&text, plan, KEYGEN_SPI_RANKS, "ranks",
                   "\"selectors\": [ \"ranks\" ], \"compact_id\": 1");
        add(&text, ",\n");
    }
    add_policy(&text, plan, KEYGEN_SPI_PAIRS, "pairs",
               "\"selectors\": [ \"source\", \"destination\" ]");
    add(&text, "\n  ]\n}\n");
    *length_p = text.length;
    return 0;
}
