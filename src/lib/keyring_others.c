/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and policies of the profiles "psp" and "tss". They have no levels,
 * generations or rings: two keys of one id, told apart by one bit of the packet,
 * "eesp_master" (PSP: bit 31 of the SPI) or "eesp_an" (TSS).
 */
#include <string.h>

#include "keyring_policy.h"

enum { COUNTER_BITS = 48, SDI_MAX = 0xffffff, SHIFT_MAX = 47 };

static const struct {
    const char *profile, *bit; /* "eesp_level" too */
} kinds[EESP_PROFILES] = {
    [EESP_PROFILE_PSP] = {"psp", "eesp_master"},
    [EESP_PROFILE_TSS] = {"tss", "eesp_an"},
};

static enum eesp_profile find_kind(const json_t *value)
{
    const char *text = json_string_value(value);
    int i;

    for (i = EESP_PROFILE_PSP; text != NULL && i < EESP_PROFILES; i++)
        if (strcmp(text, kinds[i].profile) == 0)
            return (enum eesp_profile)i;
    return EESP_PROFILE_SL1;
}

/* ---- Keys ---------------------------------------------------------------- */

int eesp_keyring_is_bit_key(const json_t *object)
{
    return find_kind(json_object_get(object, "eesp_level")) !=
           EESP_PROFILE_SL1;
}

static const struct eesp_bit_key *find_key(const struct eesp_keyring *keyring,
                                           enum eesp_profile profile,
                                           const char *id, unsigned bit)
{
    unsigned i;

    for (i = 0; i < keyring->bit_keys_count; i++)
        if (keyring->bit_keys[i].profile == profile &&
            keyring->bit_keys[i].bit == bit &&
            strcmp(keyring->bit_keys[i].id, id) == 0)
            return &keyring->bit_keys[i];
    return NULL;
}

int eesp_keyring_parse_bit_key(struct eesp_keyring *keyring,
                               const json_t *object, const char *what,
                               const char *name, char why[EESP_WHY_LEN])
{
    enum eesp_profile profile =
        find_kind(json_object_get(object, "eesp_level"));
    const char *const known[]  = {"eesp_level", kinds[profile].bit, NULL};
    struct eesp_bit_key *key = &keyring->bit_keys[keyring->bit_keys_count];
    struct eesp_key *scratch;
    uint64_t bit = 0;
    int ret;

    if (keyring->bit_keys_count == EESP_BIT_KEYS_MAX)
        return eesp_keyring_refuse(why, name, "more than %d keys of psp and "
                                   "tss", EESP_BIT_KEYS_MAX);
    if (json_object_get(object, "nbf") || json_object_get(object, "exp"))
        return eesp_keyring_refuse(why, name, "%s: %s keys have no \"nbf\" or "
                                   "\"exp\": their manager replaces them",
                                   what, kinds[profile].profile);
    if (json_object_get(object, kinds[profile].bit) == NULL)
        return eesp_keyring_refuse(why, name, "%s: \"%s\" must be 0 or 1", what,
                                   kinds[profile].bit);
    ret = eesp_keyring_integer(object, kinds[profile].bit, 1, &bit, what, name,
                               why);
    if (ret != EESP_OK)
        return ret;
    /* The next free root key is a place for it: secret, and wiped here. */
    if (keyring->keys_count == EESP_KEYS_MAX)
        return eesp_keyring_refuse(why, name, "more than %d keys",
                                   EESP_KEYS_MAX);
    scratch = &keyring->keys[keyring->keys_count];
    ret     = eesp_keyring_parse_secret(scratch, object, known, what, name, why);
    if (ret == EESP_OK && scratch->info.length != sizeof(key->bytes))
        ret = eesp_keyring_refuse(why, name, "%s: \"k\" has %zu bytes; a %s "
                                  "key has %zu", what, scratch->info.length,
                                  kinds[profile].profile, sizeof(key->bytes));
    if (ret == EESP_OK &&
        find_key(keyring, profile, scratch->info.id, (unsigned)bit) != NULL)
        ret = eesp_keyring_refuse(why, name, "%s key \"%s\": two keys have "
                                  "\"%s\" %u", kinds[profile].profile,
                                  scratch->info.id, kinds[profile].bit,
                                  (unsigned)bit);
    if (ret == EESP_OK) {
        key->profile = profile;
        key->bit     = (unsigned)bit;
        strcpy(key->id, scratch->info.id);
        memcpy(key->bytes, scratch->bytes, sizeof(key->bytes));
        keyring->bit_keys_count++;
    }
    explicit_bzero(scratch, sizeof(*scratch));
    return ret;
}

/* ---- Policies ------------------------------------------------------------ */

int eesp_policy_is_other(const json_t *object)
{
    return find_kind(json_object_get(object, "profile")) != EESP_PROFILE_SL1;
}

static int only_known(const struct eesp_policy_parser *p,
                      const char *const *known)
{
    const char *member;
    json_t *value;
    int i;

    json_object_foreach((json_t *)p->object, member, value) {
        for (i = 0; known[i] != NULL && strcmp(known[i], member) != 0; i++)
            ;
        if (known[i] == NULL)
            return eesp_keyring_refuse(p->why, p->name, "%s: unknown policy "
                                       "member \"%.40s\"", p->what, member);
    }
    return EESP_OK;
}

static int parse_keys(const struct eesp_policy_parser *p, const char *member,
                      struct eesp_other_policy *policy)
{
    const char *id = json_string_value(json_object_get(p->object, member));
    unsigned bit;

    if (id == NULL || !eesp_name_valid(id, EESP_KEY_ID_MAX))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"%s\" must be a key "
                                   "id", p->what, member);
    for (bit = 0; bit < 2; bit++)
        policy->key[bit] = find_key(p->keyring, policy->profile, id, bit);
    if (policy->key[0] == NULL && policy->key[1] == NULL)
        return eesp_keyring_refuse(p->why, p->name, "%s: no %s key has the id "
                                   "\"%s\"", p->what,
                                   kinds[policy->profile].profile, id);
    strcpy(policy->key_id, id);
    return EESP_OK;
}

static int parse_mode(const struct eesp_policy_parser *p,
                      struct eesp_tss_params *tss)
{
    static const char *const modes[] = {
        [EESP_TSS_DIRECT] = "direct", [EESP_TSS_CLUSTER] = "cluster",
        [EESP_TSS_SERVER] = "server"};
    const char *text = json_string_value(json_object_get(p->object, "mode"));
    int i;

    for (i = 0; text != NULL && i < 3; i++)
        if (strcmp(text, modes[i]) == 0) {
            tss->mode = (enum eesp_tss_mode)i;
            return EESP_OK;
        }
    return eesp_keyring_refuse(p->why, p->name, "%s: \"mode\" must be direct, "
                               "cluster or server", p->what);
}

static int parse_numbers(const struct eesp_policy_parser *p,
                         struct eesp_other_policy *policy)
{
    struct {
        const char *member;
        uint64_t    max, value;
    } n[] = {
        {"sdi", SDI_MAX, 0},          {"epoch", UINT16_MAX, 0},
        {"epoch_age", 0x7fff, 0},     {"rekey_shift", SHIFT_MAX, 0},
        {"rekey_mask", ((uint64_t)1 << COUNTER_BITS) - 1, 0},
    };
    struct eesp_tss_params *tss = &policy->tss;
    size_t i;
    int ret;

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        ret = eesp_keyring_integer(p->object, n[i].member, n[i].max,
                                   &n[i].value, p->what, p->name, p->why);
        if (ret != EESP_OK)
            return ret;
    }
    if (json_object_get(p->object, "sdi") == NULL)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"sdi\" is missing",
                                   p->what);
    tss->sdi         = (uint32_t)n[0].value;
    policy->epoch    = (uint16_t)n[1].value;
    tss->epoch_age   = (uint16_t)n[2].value;
    tss->rekey_shift = (unsigned)n[3].value;
    tss->rekey_mask  = n[4].value;
    if (tss->mode != EESP_TSS_CLUSTER && (tss->rekey_mask || tss->rekey_shift))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"rekey_mask\" and "
                                   "\"rekey_shift\" need \"mode\": \"cluster\"",
                                   p->what);
    return EESP_OK;
}

static int check_unique(const struct eesp_policy_parser *p,
                        const struct eesp_other_policy *policy)
{
    unsigned i;

    for (i = 0; i < p->keyring->others_count; i++) {
        const struct eesp_other_policy *other = &p->keyring->others[i];

        if (policy->profile == EESP_PROFILE_TSS &&
            other->profile == EESP_PROFILE_TSS &&
            other->tss.sdi == policy->tss.sdi)
            return eesp_keyring_refuse(p->why, p->name, "%s: SDI %u is in use "
                                       "by another policy", p->what,
                                       policy->tss.sdi);
    }
    return EESP_OK;
}

int eesp_policy_parse_other(const struct eesp_policy_parser *p)
{
    static const char *const psp[] = {"name", "profile", "master", NULL};
    static const char *const tss[] = {"name", "profile", "key", "sdi", "mode",
                                      "epoch", "epoch_age", "rekey_mask",
                                      "rekey_shift", NULL};
    struct eesp_other_policy *policy =
        &p->keyring->others[p->keyring->others_count];
    int is_tss, ret;

    if (p->keyring->others_count == EESP_OTHERS_MAX)
        return eesp_keyring_refuse(p->why, p->name, "more than %d policies of "
                                   "psp and tss", EESP_OTHERS_MAX);
    policy->profile = find_kind(json_object_get(p->object, "profile"));
    is_tss          = policy->profile == EESP_PROFILE_TSS;
    ret = only_known(p, is_tss ? tss : psp);
    if (ret == EESP_OK)
        ret = eesp_policy_parse_name(p, policy->name);
    if (ret == EESP_OK)
        ret = parse_keys(p, is_tss ? "key" : "master", policy);
    if (ret == EESP_OK && is_tss)
        ret = parse_mode(p, &policy->tss);
    if (ret == EESP_OK && is_tss)
        ret = parse_numbers(p, policy);
    if (ret == EESP_OK)
        ret = check_unique(p, policy);
    if (ret == EESP_OK)
        p->keyring->others_count++;
    return ret;
}

/* ---- Who asks ------------------------------------------------------------ */

const struct eesp_other_policy *
eesp_keyring_other(const struct eesp_keyring *keyring,
                   enum eesp_profile profile, unsigned index)
{
    unsigned i;

    for (i = 0; i < keyring->others_count; i++)
        if (keyring->others[i].profile == profile && index-- == 0)
            return &keyring->others[i];
    return NULL;
}

const struct eesp_other_policy *
eesp_keyring_other_name(const struct eesp_keyring *keyring, const char *name)
{
    unsigned i;

    for (i = 0; i < keyring->others_count; i++)
        if (strcmp(keyring->others[i].name, name) == 0)
            return &keyring->others[i];
    return NULL;
}
