/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stat_formats: running processes as JSON, and in the text format of
 * Prometheus (exposition format 0.0.4). Texts are printable ASCII here.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "cmd.h"
#include "stat.h"

/* ---- JSON ---------------------------------------------------------------- */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *lowers_json(const struct eesp_stat_page *p)
{
    json_t *list = json_array(), *object, *dropped;
    unsigned i, k;

    for (i = 0; i < EESP_STAT_LOWERS && p->lowers[i].name[0]; i++) {
        const struct eesp_stat_lower *lower = &p->lowers[i];

        object = json_pack("{s:s, s:s}", "lower", lower->name, "backend",
                           lower->backend);
        json_object_set_new(object, "sealed", number(lower->sealed));
        json_object_set_new(object, "opened", number(lower->opened));
        json_object_set_new(object, "sealed_bytes",
                            number(lower->sealed_bytes));
        json_object_set_new(object, "opened_bytes",
                            number(lower->opened_bytes));
        json_object_set_new(object, "derived", number(lower->derived));
        json_object_set_new(object, "cached", number(lower->cached));
        json_object_set_new(object, "opened_previous",
                            number(lower->previous));
        dropped = json_object();
        for (k = 0; k < EESP_STAT_REASONS; k++)
            if (lower->dropped[k])
                json_object_set_new(dropped, eesp_strerror(-(int)k),
                                    number(lower->dropped[k]));
        json_object_set_new(object, "dropped", dropped);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *levels_json(const struct eesp_stat_page *p)
{
    json_t *list = json_array();
    unsigned i, k;

    for (i = 0; i < EESP_LEVELS; i++)
        for (k = 0; k < EESP_STATES; k++) {
            const struct eesp_stat_level *level = &p->levels[i];
            json_t *object;

            if (!level->held[k])
                continue;
            object = json_pack("{s:s, s:s, s:s, s:I}", "level",
                               eesp_level_name((enum eesp_level)i), "id",
                               level->id, "state",
                               eesp_key_state_name((enum eesp_key_state)k),
                               "generation", (json_int_t)level->generation[k]);
            json_object_set_new(object, "expires", level->expires[k]
                                    ? number(level->expires[k]) : json_null());
            json_array_append_new(list, object);
        }
    return list;
}

static json_t *process_json(const struct page *page)
{
    const struct eesp_stat_page *p = &page->p;
    json_t *o = json_pack(
        "{s:i, s:b, s:i, s:s, s:s, s:I, s:I, s:i}", "pid", p->pid, "alive",
        page->alive, "uid", (int)p->uid, "command", p->command, "namespace",
        p->name_space, "started", (json_int_t)p->started, "updated",
        (json_int_t)p->updated, "peers", (int)p->peers);

    json_object_set_new(o, "rank", p->has_rank ? number(p->rank)
                                               : json_null());
    json_object_set_new(o, "policy", json_string(p->policy));
    json_object_set_new(o, "spi", number(p->spi));
    json_object_set_new(o, "kdf", json_string(text_kdf(p->kdf)));
    json_object_set_new(o, "aead", json_string(text_aead(p->aead)));
    json_object_set_new(o, "confidentiality",
                        json_boolean(p->confidentiality));
    json_object_set_new(o, "epoch", number(p->epoch));
    json_object_set_new(o, "fips", json_boolean(p->fips));
    json_object_set_new(o, "keylog", json_boolean(p->keylog));
    json_object_set_new(o, "offload", json_string(p->offload));
    json_object_set_new(o, "transports", json_string(p->transports));
    json_object_set_new(o, "keyring", json_string(p->keyring));
    json_object_set_new(o, "keyring_serial", number(p->serial));
    json_object_set_new(o, "keyring_drained", number(p->drained));
    json_object_set_new(o, "keyring_loaded", number(p->loaded));
    json_object_set_new(o, "keyring_refused", number(p->refused));
    json_object_set_new(o, "keyring_refusing", json_boolean(p->refusing));
    if (p->refused)
        json_object_set_new(o, "keyring_refused_why",
                            json_string(p->refused_why));
    json_object_set_new(o, "keys", levels_json(p));
    json_object_set_new(o, "lowers", lowers_json(p));
    return o;
}

void stat_json(const struct pages *pages)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < pages->count; i++)
        json_array_append_new(list, process_json(&pages->page[i]));
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

/* ---- Prometheus ------------------------------------------------------------ */

static void label(const char *name, const char *value, bool last)
{
    printf("%s=\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        putchar(*value);
    }
    printf(last ? "\"" : "\",");
}

/* name{pid=..,rank=..,..  without the closing brace */
static void start(const char *name, const struct eesp_stat_page *p)
{
    char text[16];

    printf("eesp_%s{pid=\"%d\",uid=\"%u\",", name, p->pid, p->uid);
    snprintf(text, sizeof(text), "%" PRIu32, p->rank);
    label("rank", p->has_rank ? text : "", false);
    label("namespace", p->name_space, false);
    label("command", p->command, false);
    label("policy", p->policy, true);
}

static void head(const char *name, const char *type, const char *help)
{
    printf("# HELP eesp_%s %s\n# TYPE eesp_%s %s\n", name, help, name, type);
}

static const struct {
    const char *name, *help;
    size_t      offset;
} counters[] = {
#define COUNTER(_name, _member, _help) \
    { _name, _help, offsetof(struct eesp_stat_lower, _member) }
    COUNTER("sealed_packets_total", sealed, "Packets sealed."),
    COUNTER("opened_packets_total", opened, "Packets opened."),
    COUNTER("sealed_bytes_total", sealed_bytes, "Bytes sealed."),
    COUNTER("opened_bytes_total", opened_bytes, "Bytes opened."),
    COUNTER("keys_derived_total", derived, "Data keys derived."),
    COUNTER("key_cache_hits_total", cached, "Data keys found in the cache."),
    COUNTER("opened_previous_packets_total", previous,
            "Packets opened with a previous root key."),
#undef COUNTER
};

static void print_counters(const struct pages *pages)
{
    size_t i, k;
    unsigned n;

    for (k = 0; k < sizeof(counters) / sizeof(counters[0]); k++) {
        head(counters[k].name, "counter", counters[k].help);
        for (i = 0; i < pages->count; i++)
            for (n = 0; n < EESP_STAT_LOWERS; n++) {
                const struct eesp_stat_page *p = &pages->page[i].p;
                uint64_t value;

                if (!p->lowers[n].name[0])
                    continue;
                memcpy(&value, (const char *)&p->lowers[n] +
                       counters[k].offset, sizeof(value));
                start(counters[k].name, p);
                printf(",");
                label("lower", p->lowers[n].name, false);
                label("backend", p->lowers[n].backend, true);
                printf("} %" PRIu64 "\n", value);
            }
    }
}

static void print_dropped(const struct pages *pages)
{
    size_t i;
    unsigned n;
    int k;

    head("dropped_packets_total", "counter", "Packets refused, by reason.");
    for (i = 0; i < pages->count; i++)
        for (n = 0; n < EESP_STAT_LOWERS; n++)
            for (k = -EESP_DROP_LENGTH; k < -EESP_ERROR_MIN; k++) {
                const struct eesp_stat_lower *lower =
                    &pages->page[i].p.lowers[n];

                if (!lower->name[0])
                    continue;
                start("dropped_packets_total", &pages->page[i].p);
                printf(",");
                label("lower", lower->name, false);
                label("reason", eesp_strerror(-k), true);
                printf("} %" PRIu64 "\n", lower->dropped[k]);
            }
}

/* One number for each key that a process holds. */
static void print_keys(const struct pages *pages, const char *name,
                       const char *help, bool expiry)
{
    unsigned level, state;
    size_t i;

    head(name, "gauge", help);
    for (i = 0; i < pages->count; i++)
        for (level = 0; level < EESP_LEVELS; level++)
            for (state = 0; state < EESP_STATES; state++) {
                const struct eesp_stat_level *l =
                    &pages->page[i].p.levels[level];

                if (!l->held[state] || (expiry && !l->expires[state]))
                    continue;
                start(name, &pages->page[i].p);
                printf(",");
                label("level", eesp_level_name((enum eesp_level)level), false);
                label("id", l->id, false);
                label("state",
                      eesp_key_state_name((enum eesp_key_state)state), true);
                printf("} %" PRIu64 "\n", expiry ? l->expires[state]
                                                 : l->generation[state]);
            }
}

static uint64_t serial(const struct page *page)
{
    return page->p.serial;
}

static uint64_t refused(const struct page *page)
{
    return page->p.refused;
}

static uint64_t refusing(const struct page *page)
{
    return page->p.refusing;
}

static uint64_t peers(const struct page *page)
{
    return page->p.peers;
}

static uint64_t is_alive(const struct page *page)
{
    return page->alive;
}

static uint64_t confidential(const struct page *page)
{
    return page->p.confidentiality;
}

static const struct {
    const char *name, *type, *help;
    uint64_t  (*value)(const struct page *page);
} numbers[] = {
    { "up", "gauge", "1: the process lives, 0: it was killed.", is_alive },
    { "confidentiality", "gauge", "0: payloads are readable.", confidential },
    { "peers", "gauge", "Processes that it has endpoints to.", peers },
    { "keyring_serial", "gauge", "Keyrings taken, the first is 1.", serial },
    { "keyring_refused_total", "counter",
      "New keyrings that were not taken: the last good keys stayed.",
      refused },
    { "keyring_refusing", "gauge",
      "1: the keyring that is there now was not taken.", refusing },
};

void stat_prometheus(const struct pages *pages)
{
    size_t i, k;

    for (k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
        head(numbers[k].name, numbers[k].type, numbers[k].help);
        for (i = 0; i < pages->count; i++) {
            start(numbers[k].name, &pages->page[i].p);
            printf("} %" PRIu64 "\n", numbers[k].value(&pages->page[i]));
        }
    }
    print_counters(pages);
    print_dropped(pages);
    print_keys(pages, "key_generation", "Generation of a root key that the "
               "process holds.", false);
    print_keys(pages, "key_expiry_timestamp_seconds", "When a root key "
               "expires.", true);
}
