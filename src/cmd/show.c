/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "cmd.h"
#include "show.h"

static void print_help(void)
{
    printf("Usage: eesp show [--json] [FILE]\n\n"
           "Shows the keys and policies of a keyring file, never the bytes of "
           "a key.\nWithout FILE it is the one that $%s names, or\n%s.\n\n"
           "  --keyring FILE  the same as FILE\n"
           "  --json          for machines\n"
           "  -h, --help      this text\n\n"
           "Exit code: 1 if the keyring is refused.\n\n"
           "Examples:\n"
           "  eesp show keyring.jwks\n"
           "  eesp show --json keyring.jwks | jq '.keys[] | select(.level "
           "== \"job\")'\n", CMD_KEYRING_VARIABLE, CMD_DEFAULT_KEYRING);
}

/* ---- Tables ------------------------------------------------------------- */

static const char *remaining(const struct eesp_key_info *key, uint64_t now,
                             char text[static TEXT_MAX])
{
    if (key->length == 0)
        return "granted";
    if (key->not_before > now)
        return "not yet valid";
    if (key->expires == 0)
        return "no end";
    if (key->expires <= now)
        return "EXPIRED";
    return text_duration(key->expires - now, text);
}

static void print_keys(const struct eesp_keyring *keyring)
{
    static const char *const titles[] = { "LEVEL", "ID", "STATE",
                                          "GENERATION", "BITS", "NOT BEFORE",
                                          "EXPIRES", "REMAINING" };
    struct table *table = table_new(titles, 8);
    uint64_t now = (uint64_t)time(NULL);
    struct eesp_key_info key;
    char text[TEXT_MAX];
    unsigned i;

    for (i = 0; i < eesp_keyring_keys(keyring); i++) {
        eesp_keyring_key(keyring, i, &key);
        table_add(table, "%s", eesp_level_name(key.level));
        table_add(table, "%s", key.id);
        table_add(table, "%s", eesp_key_state_name(key.state));
        table_add(table, "%" PRIu32, key.generation);
        table_add(table, "%zu", key.length * 8);
        table_add(table, "%s", text_time(key.not_before, text));
        table_add(table, "%s", text_time(key.expires, text));
        table_add(table, "%s", remaining(&key, now, text));
    }
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
}

/* "domain:cluster-a job:job-42" */
static void add_levels(struct table *table,
                       const struct eesp_policy_info *policy)
{
    char *text = cmd_printf("%s", ""), *longer;
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(policy->levels & 1u << level))
            continue;
        longer = cmd_printf("%s%s%s:%s", text, *text ? " " : "",
                            eesp_level_name(level), policy->key_id[level]);
        free(text);
        text = longer;
    }
    table_add(table, "%s", text);
    free(text);
}

static void print_policies(const struct eesp_keyring *keyring)
{
    static const char *const titles[] = {
        "POLICY", "SPI", "KDF", "AEAD", "SELECTORS", "FORMAT", "EPOCH",
        "PHASE", "REPLAY", "BOUND", "KEYS BY LEVEL",
    };
    struct table *table = table_new(titles, 11);
    const struct eesp_policy_info *policy;
    char text[TEXT_MAX];
    unsigned i;

    for (i = 0; i < eesp_keyring_policies(keyring); i++) {
        policy = eesp_policy_info(eesp_keyring_policy_at(keyring, i));
        table_add(table, "%s", policy->name[0] ? policy->name : "-");
        table_add(table, "0x%08" PRIx32, policy->spi);
        table_add(table, "%s", text_kdf(policy->kdf));
        if (policy->receive_count)
            table_add(table, "%s (+%u)", text_aead(policy->aead),
                      policy->receive_count);
        else
            table_add(table, "%s", text_aead(policy->aead));
        table_add(table, "%s", text_selectors(policy->selectors, text));
        if (policy->compact_id)
            table_add(table, "compact %u", policy->compact_id);
        else
            table_add(table, "full");
        table_add(table, "%u +-%u", policy->epoch, policy->epoch_window);
        table_add(table, "2^%u", policy->phase_shift);
        table_add(table, "%s", text_replay(policy->replay));
        table_add(table, "%s", policy->bind_destination ? "yes" : "no");
        add_levels(table, policy);
    }
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
}

/* ---- JSON --------------------------------------------------------------- */

static json_t *time_json(uint64_t seconds)
{
    return seconds ? json_integer((json_int_t)seconds) : json_null();
}

static json_t *key_json(const struct eesp_key_info *key)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "level",
                     eesp_level_name(key->level), "id", key->id, "state",
                     eesp_key_state_name(key->state), "generation",
                     (json_int_t)key->generation, "bits",
                     (json_int_t)key->length * 8, "not_before",
                     time_json(key->not_before), "expires",
                     time_json(key->expires));
}

static json_t *policy_json(const struct eesp_policy_info *policy)
{
    static const char *const clients[] = { "none", "source", "destination" };
    json_t *levels = json_object(), *selectors = json_array();
    json_t *receive = json_array();
    unsigned i;

    for (i = 0; i < EESP_LEVELS; i++)
        if (policy->levels & 1u << i)
            json_object_set_new(levels, eesp_level_name(i),
                                json_string(policy->key_id[i]));
    for (i = 0; eesp_selector_name(i) != NULL; i++)
        if (policy->selectors & 1u << i)
            json_array_append_new(selectors,
                                  json_string(eesp_selector_name(i)));
    for (i = 0; i < policy->receive_count; i++)
        json_array_append_new(
            receive, json_pack("{s:s, s:s}", "kdf",
                               text_kdf(policy->receive[i].kdf), "aead",
                               text_aead(policy->receive[i].aead)));
    return json_pack(
        "{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:s, s:i, "
        "s:b, s:b, s:b, s:s, s:i, s:i, s:i, s:I, s:I}",
        "name", policy->name, "spi", (json_int_t)policy->spi, "kdf",
        text_kdf(policy->kdf), "aead", text_aead(policy->aead),
        "receive", receive, "levels", levels, "selectors", selectors,
        "compact_id", (int)policy->compact_id, "epoch", (int)policy->epoch,
        "epoch_window", (int)policy->epoch_window, "phase_shift",
        (int)policy->phase_shift, "replay", text_replay(policy->replay),
        "replay_window", (int)policy->replay_window, "bind_destination",
        policy->bind_destination, "confidentiality", policy->confidentiality,
        "commit", policy->commit, "client", clients[policy->client],
        "crypt_offset_max", (int)policy->crypt_offset_max, "partitions",
        (int)policy->partitions, "proxies", (int)policy->proxies,
        "max_payload", (json_int_t)policy->max_payload, "domain_id",
        (json_int_t)policy->domain_id);
}

/* A file name need not be UTF-8, a JSON string must. */
static json_t *path_json(const char *path)
{
    json_t *text = json_string(path);

    return text ? text : json_null();
}

static void print_json(const struct eesp_keyring *keyring, const char *path)
{
    json_t *keys = json_array(), *policies = json_array(), *all;
    struct eesp_key_info key;
    unsigned i;

    for (i = 0; i < eesp_keyring_keys(keyring); i++) {
        eesp_keyring_key(keyring, i, &key);
        json_array_append_new(keys, key_json(&key));
    }
    for (i = 0; i < eesp_keyring_policies(keyring); i++)
        json_array_append_new(
            policies,
            policy_json(eesp_policy_info(eesp_keyring_policy_at(keyring, i))));
    all = json_pack("{s:o, s:o, s:o, s:o, s:o}", "keyring", path_json(path),
                    "keys", keys, "policies", policies, "psp",
                    show_psp_json(keyring), "tss", show_tss_json(keyring));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int show(const char *path, bool as_json)
{
    struct eesp_keyring *keyring = cmd_load_keyring(path, &path);

    if (!keyring)
        return CMD_FAILED;
    if (as_json) {
        print_json(keyring, path);
    } else {
        printf("Keyring %s\n", path);
        if (eesp_keyring_keys(keyring))
            print_keys(keyring);
        if (eesp_keyring_policies(keyring))
            print_policies(keyring);
        show_psp(keyring);
        show_tss(keyring);
    }
    eesp_keyring_free(keyring);
    return CMD_OK;
}

int show_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *path = NULL;
    bool as_json = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            path = optarg;
            break;
        case 'j':
            as_json = true;
            break;
        case 'h':
            print_help();
            return CMD_OK;
        default:
            return cmd_usage("show");
        }
    }
    if (!path && optind < argc)
        path = argv[optind++];
    if (optind < argc) {
        cmd_complain("unexpected argument '%s': show takes one file",
                     argv[optind]);
        return cmd_usage("show");
    }
    return show(path, as_json);
}
