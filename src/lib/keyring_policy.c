/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies of a keyring: one per SPI. A member that is not known, a value that
 * is not known or a combination that breaks a rule of the wire format refuses
 * the whole keyring: a misspelt switch must not weaken a policy.
 */
#include <string.h>

#include "keyring_policy.h"
#include "wire.h"

enum { PHASE_SHIFT_MAX = 48, PAYLOAD_MAX = 1 << 20, CRYPT_OFFSET_MAX = 63,
       PARTITIONS_MAX = 65536, PARTITIONS_DEFAULT = 16,
       WINDOW_MAX = 65536, WINDOW_DEFAULT = 1024 };

static const char *const known_members[] = {
    "spi", "name", "profile", "kdf", "aead", "levels", "selectors",
    "compact_id", "epoch", "epoch_window", "phase_shift", "replay",
    "bind_destination", "confidentiality", "max_payload", "domain_id",
    "proxies", "commit", "client", "crypt_offset_max", "partitioned",
    "partitions", "replay_window", "receive", NULL};

static int only_known_members(const struct eesp_policy_parser *p)
{
    const char *member;
    json_t *value;
    int i;

    json_object_foreach((json_t *)p->object, member, value) {
        for (i = 0; known_members[i] != NULL; i++)
            if (strcmp(known_members[i], member) == 0)
                break;
        if (known_members[i] == NULL)
            return eesp_keyring_refuse(p->why, p->name, "%s: unknown policy "
                                       "member \"%.40s\"", p->what, member);
    }
    return EESP_OK;
}

/* Member that must be there and a string: NULL and a message otherwise. */
static const char *need_string(const struct eesp_policy_parser *p,
                               const char *member)
{
    const char *text = json_string_value(json_object_get(p->object, member));

    if (text == NULL)
        eesp_keyring_refuse(p->why, p->name, "%s: \"%s\" must be a string",
                            p->what, member);
    return text;
}

int eesp_policy_parse_name(const struct eesp_policy_parser *p,
                           char name[EESP_POLICY_NAME_MAX + 1])
{
    const char *text = need_string(p, "name");

    if (text == NULL)
        return EESP_ERR_KEYRING;
    /* A number in place of a name is an SPI. */
    if (!eesp_name_valid(text, EESP_POLICY_NAME_MAX) ||
        (text[0] >= '0' && text[0] <= '9'))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"name\" must be 1 "
                                   "to %d characters of A-Za-z0-9._:-, the "
                                   "first no digit", p->what,
                                   EESP_POLICY_NAME_MAX);
    if (eesp_keyring_policy(p->keyring, text) != NULL ||
        eesp_keyring_other_name(p->keyring, text) != NULL)
        return eesp_keyring_refuse(p->why, p->name, "%s: name \"%s\" is in "
                                   "use by another policy", p->what, text);
    strcpy(name, text);
    return EESP_OK;
}

static int parse_profile(const struct eesp_policy_parser *p)
{
    const char *profile = need_string(p, "profile");

    if (profile == NULL)
        return EESP_ERR_KEYRING;
    if (strcmp(profile, "sl1") != 0)
        return eesp_keyring_refuse(p->why, p->name, "%s: profile \"%.40s\" is "
                                   "not one of: sl1, psp, tss", p->what,
                                   profile);
    return EESP_OK;
}

/* Member that is true or false; absent: *out stays. */
static int parse_switch(const struct eesp_policy_parser *p,
                        const char *member, int *out)
{
    const json_t *value = json_object_get(p->object, member);

    if (value != NULL && !json_is_boolean(value))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"%s\" must be true "
                                   "or false", p->what, member);
    if (value != NULL)
        *out = json_is_true(value);
    return EESP_OK;
}

/* How many leases a pool has, for the data limit of the key they share. */
static int parse_partitions(const struct eesp_policy_parser *p)
{
    uint64_t partitions = PARTITIONS_DEFAULT;
    int partitioned = 0, ret;

    ret = parse_switch(p, "partitioned", &partitioned);
    if (ret == EESP_OK)
        ret = eesp_keyring_integer(p->object, "partitions", PARTITIONS_MAX,
                                   &partitions, p->what, p->name, p->why);
    if (ret != EESP_OK)
        return ret;
    if (partitions == 0 ||
        (!partitioned && json_object_get(p->object, "partitions") != NULL))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"partitions\" must "
                                   "be a number from 1, and needs "
                                   "\"partitioned\": true", p->what);
    p->policy->info.partitions = partitioned ? (unsigned)partitions : 0;
    return EESP_OK;
}

static int parse_switches(const struct eesp_policy_parser *p)
{
    struct eesp_policy_info *info = &p->policy->info;
    int ret;

    info->bind_destination = 1;
    info->confidentiality  = 1;
    ret = parse_switch(p, "bind_destination", &info->bind_destination);
    if (ret == EESP_OK)
        ret = parse_switch(p, "confidentiality", &info->confidentiality);
    if (ret == EESP_OK)
        ret = parse_switch(p, "commit", &info->commit);
    if (ret == EESP_OK)
        ret = parse_partitions(p);
    info->flags = (info->bind_destination ? EESP_FLAG_BOUND : 0) |
                  (info->partitions ? EESP_FLAG_PARTITION : 0) |
                  (info->commit ? EESP_FLAG_COMMITTED : 0);
    return ret;
}

static int parse_client(const struct eesp_policy_parser *p)
{
    const json_t *client = json_object_get(p->object, "client");
    const char *text     = json_string_value(client);

    if (client == NULL)
        return EESP_OK;
    if (text != NULL && strcmp(text, "source") == 0)
        p->policy->info.client = EESP_CLIENT_SOURCE;
    else if (text != NULL && strcmp(text, "destination") == 0)
        p->policy->info.client = EESP_CLIENT_DESTINATION;
    else
        return eesp_keyring_refuse(p->why, p->name, "%s: client \"%.40s\" is "
                                   "not one of: source, destination", p->what,
                                   text ? text : "(not a string)");
    return EESP_OK;
}

/* Fills the ring of one level from the keys that carry id. */
static int find_ring(const struct eesp_policy_parser *p, int level,
                     const char *id)
{
    int found = 0;
    unsigned i;

    for (i = 0; i < p->keyring->keys_count; i++) {
        const struct eesp_key_info *key = &p->keyring->keys[i].info;

        if (key->length != 0 && (int)key->level == level &&
            strcmp(key->id, id) == 0) {
            p->policy->ring[level][key->state] = (int)i;
            found                              = 1;
        }
    }
    return found;
}

static int parse_levels(const struct eesp_policy_parser *p)
{
    const json_t *levels          = json_object_get(p->object, "levels");
    struct eesp_policy_info *info = &p->policy->info;
    const char *member, *id;
    json_t *value;
    int level, state;

    for (level = 0; level < EESP_LEVELS; level++)
        for (state = 0; state < EESP_STATES; state++)
            p->policy->ring[level][state] = -1;
    json_object_foreach((json_t *)levels, member, value) {
        for (level = 0; level < EESP_LEVELS; level++)
            if (strcmp(member, eesp_level_name((enum eesp_level)level)) == 0)
                break;
        id = json_string_value(value);
        if (level == EESP_LEVELS || id == NULL ||
            !eesp_name_valid(id, EESP_KEY_ID_MAX))
            return eesp_keyring_refuse(p->why, p->name, "%s: \"levels\": "
                                       "\"%.40s\" must be one of domain, "
                                       "tenant, job, task, with a key id",
                                       p->what, member);
        if (!find_ring(p, level, id) &&
            p->policy->suites[0].granted == NULL)
            return eesp_keyring_refuse(p->why, p->name, "%s: no %s key has "
                                       "the id \"%s\"", p->what, member, id);
        info->levels |= 1u << level;
        strcpy(info->key_id[level], id);
    }
    if (info->levels == 0)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"levels\" must name "
                                   "a key for at least one level", p->what);
    return EESP_OK;
}

static int parse_selectors(const struct eesp_policy_parser *p)
{
    const json_t *selectors = json_object_get(p->object, "selectors");
    struct eesp_policy_info *info = &p->policy->info;
    json_t *value;
    size_t i;

    json_array_foreach(selectors, i, value) {
        const char *text = json_string_value(value);
        unsigned bit     = text ? eesp_selector_by_name(text) : 0;

        if (bit == 0 || (info->selectors & bit))
            return eesp_keyring_refuse(p->why, p->name, "%s: \"selectors\": "
                                       "\"%.40s\" is repeated or not one of: "
                                       "ranks, source, destination, flow, "
                                       "device, vm, task, job, tenant, ipv4, "
                                       "ipv6, tuple4, tuple6", p->what,
                                       text ? text : "(not a string)");
        info->selectors |= bit;
    }
    if (info->selectors == 0)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"selectors\" must "
                                   "be a non-empty array", p->what);
    return EESP_OK;
}

/* Numbers of the window; the bits of a source are in words of 64. */
static int parse_window(const struct eesp_policy_parser *p)
{
    struct eesp_policy_info *info = &p->policy->info;
    uint64_t window               = WINDOW_DEFAULT;
    int ret = eesp_keyring_integer(p->object, "replay_window", WINDOW_MAX,
                                   &window, p->what, p->name, p->why);

    if (ret != EESP_OK)
        return ret;
    if (window == 0 || window % 64 != 0 ||
        (info->replay != EESP_REPLAY_WINDOW &&
         json_object_get(p->object, "replay_window") != NULL))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"replay_window\" "
                                   "must be a multiple of 64, and needs "
                                   "\"replay\": \"window\"", p->what);
    info->replay_window = info->replay == EESP_REPLAY_WINDOW ?
                              (unsigned)window :
                              0;
    return EESP_OK;
}

static int parse_replay(const struct eesp_policy_parser *p)
{
    const json_t *replay = json_object_get(p->object, "replay");
    const char *text     = json_string_value(replay);
    struct eesp_policy_info *info = &p->policy->info;

    if (replay == NULL || (text && strcmp(text, "strict") == 0))
        info->replay = EESP_REPLAY_STRICT;
    else if (text != NULL && strcmp(text, "window") == 0)
        info->replay = EESP_REPLAY_WINDOW;
    else if (text != NULL && strcmp(text, "off") == 0)
        info->replay = EESP_REPLAY_OFF;
    else
        return eesp_keyring_refuse(p->why, p->name, "%s: replay \"%.40s\" is "
                                   "not one of: strict, window, off", p->what,
                                   text ? text : "(not a string)");
    return parse_window(p);
}

static int parse_numbers(const struct eesp_policy_parser *p)
{
    struct eesp_policy_info *info = &p->policy->info;
    struct {
        const char *member;
        uint64_t    max, value;
    } n[] = {
        {"spi", UINT32_MAX, 0},       {"compact_id", 255, 0},
        {"epoch", UINT16_MAX, 0},     {"epoch_window", 0x7fff, 1},
        {"phase_shift", PHASE_SHIFT_MAX, 24},
        {"max_payload", PAYLOAD_MAX, 65536},
        {"domain_id", UINT32_MAX, 0}, {"crypt_offset_max", CRYPT_OFFSET_MAX, 0},
    };
    size_t i;

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        int ret = eesp_keyring_integer(p->object, n[i].member, n[i].max,
                                       &n[i].value, p->what, p->name, p->why);
        if (ret != EESP_OK)
            return ret;
    }
    info->spi          = (uint32_t)n[0].value;
    info->compact_id   = (unsigned)n[1].value;
    info->epoch        = (uint16_t)n[2].value;
    info->epoch_window = (uint16_t)n[3].value;
    info->phase_shift  = (unsigned)n[4].value;
    info->max_payload  = (uint32_t)n[5].value;
    info->domain_id    = (uint32_t)n[6].value;
    info->crypt_offset_max = (unsigned)n[7].value;
    if (info->spi == 0)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"spi\" must be a "
                                   "number from 1 to 4294967295", p->what);
    if (eesp_keyring_policy_spi(p->keyring, info->spi) != NULL)
        return eesp_keyring_refuse(p->why, p->name, "%s: SPI %u is in use by "
                                   "another policy", p->what, info->spi);
    return EESP_OK;
}

static int check_rules(const struct eesp_policy_parser *p)
{
    const char *rule = eesp_policy_broken_rule(&p->policy->info);

    return rule ? eesp_keyring_refuse(p->why, p->name, "%s: %s", p->what,
                                      rule) :
                  EESP_OK;
}

static int parse_policy(const struct eesp_policy_parser *p)
{
    int ret;

    if (!json_is_object(p->object))
        return eesp_keyring_refuse(p->why, p->name, "%s: not an object",
                                   p->what);
    ret = only_known_members(p);
    if (ret == EESP_OK)
        ret = parse_numbers(p);
    if (ret == EESP_OK)
        ret = eesp_policy_parse_name(p, p->policy->info.name);
    if (ret == EESP_OK)
        ret = parse_profile(p);
    if (ret == EESP_OK)
        ret = eesp_policy_parse_suites(p);
    if (ret == EESP_OK)
        ret = eesp_policy_find_granted(p);
    if (ret == EESP_OK)
        ret = parse_levels(p);
    if (ret == EESP_OK)
        ret = parse_selectors(p);
    if (ret == EESP_OK)
        ret = parse_switches(p);
    if (ret == EESP_OK)
        ret = parse_replay(p);
    if (ret == EESP_OK)
        ret = parse_client(p);
    if (ret == EESP_OK)
        ret = eesp_policy_take_granted(p);
    if (ret == EESP_OK)
        ret = eesp_policy_parse_proxies(p);
    if (ret == EESP_OK)
        ret = check_rules(p);
    return ret;
}

int eesp_keyring_parse_policies(struct eesp_keyring *keyring,
                                const json_t *policies, const char *name,
                                char why[EESP_WHY_LEN])
{
    char what[32];
    json_t *object;
    size_t i;
    int ret = EESP_OK;

    if (json_array_size(policies) > EESP_POLICIES_MAX)
        return eesp_keyring_refuse(why, name, "more than %d policies",
                                   EESP_POLICIES_MAX);
    json_array_foreach(policies, i, object) {
        struct eesp_policy_parser p = {.keyring = keyring,
                           .policy  =
                               &keyring->policies[keyring->policies_count],
                           .object  = object,
                           .name    = name,
                           .what    = what,
                           .why     = why};

        eesp_keyring_number_what(what, sizeof(what), "policy",
                                 (unsigned)i + 1);
        if (eesp_policy_is_other(object)) {
            ret = eesp_policy_parse_other(&p);
        } else {
            p.policy->keyring = keyring;
            ret               = parse_policy(&p);
            keyring->policies_count += ret == EESP_OK;
        }
        if (ret != EESP_OK)
            break;
    }
    return ret;
}
