/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Granted keys: derivation keys in place of root keys, one for each tuple of
 * generations. The rings of their policy get keys without bytes, which only
 * say what generations there are.
 */
#include <string.h>

#include "aead.h"
#include "keyring_policy.h"

int eesp_keyring_is_granted(const json_t *object)
{
    const char *level = json_string_value(json_object_get(object,
                                                          "eesp_level"));

    return level != NULL && strcmp(level, "master") == 0;
}

static int parse_generations(struct eesp_granted *granted,
                             const json_t *object, const char *what,
                             const char *name, char why[EESP_WHY_LEN])
{
    const json_t *list = json_object_get(object, "eesp_generations");
    const char *member;
    json_t *value;
    int level;

    json_object_foreach((json_t *)list, member, value) {
        json_int_t number = json_integer_value(value);

        for (level = 0; level < EESP_LEVELS; level++)
            if (strcmp(member, eesp_level_name((enum eesp_level)level)) == 0)
                break;
        if (level == EESP_LEVELS || !json_is_integer(value) || number < 0 ||
            number > UINT32_MAX)
            return eesp_keyring_refuse(why, name, "%s: \"eesp_generations\": "
                                       "\"%.40s\" must be one of domain, "
                                       "tenant, job, task, with a whole "
                                       "number from 0 to 4294967295", what,
                                       member);
        granted->generations[level] = (uint32_t)number;
        granted->levels |= 1u << level;
    }
    if (granted->levels == 0)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_generations\" must "
                                   "name the generation of at least one level",
                                   what);
    return EESP_OK;
}

static int parse_algorithms(struct eesp_granted *granted, const json_t *object,
                            const char *what, const char *name,
                            char why[EESP_WHY_LEN])
{
    const char *kdf  = json_string_value(json_object_get(object, "eesp_kdf"));
    const char *aead = json_string_value(json_object_get(object, "eesp_aead"));
    const struct eesp_kdf *found = kdf ? eesp_kdf_by_name(kdf) : NULL;

    if (found == NULL)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_kdf\" is not the "
                                   "name of a kdf", what);
    granted->kdf  = (enum eesp_kdf_id)found->id;
    granted->aead = aead ? (enum eesp_aead_id)eesp_aead_id_by_name(aead) : 0;
    if (granted->aead == 0)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_aead\" is not the "
                                   "name of an aead", what);
    if (granted->key.info.length != found->key_length)
        return eesp_keyring_refuse(why, name, "%s: \"k\" has %zu bytes, \"%s\" "
                                   "needs %zu", what, granted->key.info.length,
                                   kdf, found->key_length);
    return EESP_OK;
}

/* Those of one SPI and pair of algorithms differ in their generations. */
static int check_others(const struct eesp_keyring *keyring,
                        const struct eesp_granted *granted, const char *what,
                        const char *name, char why[EESP_WHY_LEN])
{
    const char *member = NULL;
    unsigned i;

    for (i = 0; i < keyring->granted_count && member == NULL; i++) {
        const struct eesp_granted *other = &keyring->granted[i];

        if (other->spi != granted->spi)
            continue;
        if (other->has_client != granted->has_client ||
            other->client != granted->client)
            member = "another \"eesp_client\" than";
        else if (other->levels != granted->levels)
            member = "other levels in \"eesp_generations\" than";
        else if (other->kdf != granted->kdf || other->aead != granted->aead)
            continue;
        else if (memcmp(other->generations, granted->generations,
                        sizeof(granted->generations)) == 0)
            member = "the same \"eesp_generations\" as";
        else if (other->key.info.state == EESP_CURRENT &&
                 granted->key.info.state == EESP_CURRENT)
            member = "\"eesp_state\" \"current\" like";
    }
    return member ? eesp_keyring_refuse(why, name, "%s: has %s another granted "
                                        "key of SPI %u", what, member,
                                        granted->spi) :
                    EESP_OK;
}

int eesp_keyring_parse_granted(struct eesp_keyring *keyring,
                               const json_t *object, const char *what,
                               const char *name, char why[EESP_WHY_LEN])
{
    static const char *const known[] = {
        "eesp_level", "eesp_state", "eesp_spi", "eesp_kdf", "eesp_aead",
        "eesp_generations", "eesp_client", NULL};
    struct eesp_granted *granted = &keyring->granted[keyring->granted_count];
    struct eesp_key_info *info   = &granted->key.info;
    uint64_t spi = 0;
    int ret = eesp_keyring_parse_key(&granted->key, object, known, what, name,
                                     why);

    if (ret == EESP_OK)
        ret = eesp_keyring_integer(object, "eesp_spi", UINT32_MAX, &spi, what,
                                   name, why);
    if (ret == EESP_OK && spi == 0)
        ret = eesp_keyring_refuse(why, name, "%s: \"eesp_spi\" must be a "
                                  "number from 1 to 4294967295", what);
    granted->spi        = (uint32_t)spi;
    granted->has_client = json_object_get(object, "eesp_client") != NULL;
    if (ret == EESP_OK)
        ret = eesp_keyring_integer(object, "eesp_client", INT64_MAX,
                                   &granted->client, what, name, why);
    if (ret == EESP_OK)
        ret = parse_algorithms(granted, object, what, name, why);
    if (ret == EESP_OK)
        ret = parse_generations(granted, object, what, name, why);
    if (ret == EESP_OK)
        ret = check_others(keyring, granted, what, name, why);
    if (ret != EESP_OK)
        return ret;
    if (info->state == EESP_PREVIOUS && info->expires != 0 &&
        info->expires <= keyring->loaded)
        explicit_bzero(granted, sizeof(*granted)); /* retired: erased */
    else
        keyring->granted_count++;
    return EESP_OK;
}

const struct eesp_granted *
eesp_granted_find(const struct eesp_keyring *keyring, uint32_t spi,
                  enum eesp_kdf_id kdf, enum eesp_aead_id aead,
                  const uint32_t generations[EESP_LEVELS])
{
    unsigned i;

    for (i = 0; i < keyring->granted_count; i++) {
        const struct eesp_granted *granted = &keyring->granted[i];

        if (granted->spi == spi && granted->kdf == kdf &&
            granted->aead == aead &&
            memcmp(granted->generations, generations,
                   sizeof(granted->generations)) == 0)
            return granted;
    }
    return NULL;
}

int eesp_keyring_check_granted(const struct eesp_keyring *keyring,
                               const char *name, char why[EESP_WHY_LEN])
{
    unsigned i;

    for (i = 0; i < keyring->granted_count; i++) {
        const struct eesp_granted *granted = &keyring->granted[i];

        if (eesp_keyring_policy_spi(keyring, granted->spi) == NULL)
            return eesp_keyring_refuse(why, name, "granted key \"%s\": no "
                                       "policy has the \"eesp_spi\" %u",
                                       granted->key.info.id, granted->spi);
    }
    return EESP_OK;
}

int eesp_policy_find_granted(const struct eesp_policy_parser *p)
{
    const struct eesp_keyring *keyring = p->keyring;
    unsigned i, k, any = 0;

    for (i = 0; i < keyring->granted_count; i++) {
        const struct eesp_granted *granted = &keyring->granted[i];
        struct eesp_suite *suite           = NULL;

        if (granted->spi != p->policy->info.spi)
            continue;
        any = 1;
        for (k = 0; k < p->policy->suites_count && suite == NULL; k++)
            if (p->policy->suites[k].kdf->id == (uint8_t)granted->kdf &&
                p->policy->suites[k].aead == granted->aead)
                suite = &p->policy->suites[k];
        if (suite == NULL)
            return eesp_keyring_refuse(p->why, p->name, "%s: neither \"kdf\" "
                                       "and \"aead\" nor \"receive\" has the "
                                       "algorithms of its granted key \"%s\"; "
                                       "make them anew with eesp grant",
                                       p->what, granted->key.info.id);
        if (granted->key.info.state == EESP_CURRENT)
            suite->granted = granted;
    }
    for (k = 0; k < p->policy->suites_count && any; k++)
        if (p->policy->suites[k].granted == NULL)
            return eesp_keyring_refuse(p->why, p->name, "%s: none of its "
                                       "granted keys for a pair of kdf and "
                                       "aead has \"eesp_state\" \"current\"; "
                                       "make them anew with eesp grant",
                                       p->what);
    return EESP_OK;
}

static int refuse(const struct eesp_policy_parser *p, const char *what)
{
    return eesp_keyring_refuse(p->why, p->name, "%s: %s its granted keys; make "
                               "them anew with eesp grant", p->what, what);
}

/* The key of that name in the policy's ring, found or made; -1: it cannot be. */
static int ring_key(const struct eesp_policy_parser *p, int level,
                    uint32_t generation, int state)
{
    struct eesp_keyring *keyring = p->keyring;
    const char *id               = p->policy->info.key_id[level];
    struct eesp_key_info *info;
    unsigned i;

    for (i = 0; i < keyring->keys_count; i++) {
        info = &keyring->keys[i].info;
        if ((int)info->level != level || strcmp(info->id, id) != 0)
            continue;
        if ((int64_t)info->generation - (int64_t)info->state !=
            (int64_t)generation - state)
            return -1;
        if ((int)info->state == state)
            return (int)i;
    }
    if (keyring->keys_count == EESP_KEYS_MAX)
        return -1;
    info = &keyring->keys[keyring->keys_count].info;
    memset(info, 0, sizeof(*info));
    strcpy(info->id, id);
    info->level      = (enum eesp_level)level;
    info->state      = (enum eesp_key_state)state;
    info->generation = generation;
    return (int)keyring->keys_count++;
}

static int take(const struct eesp_policy_parser *p,
                const struct eesp_granted *granted)
{
    const struct eesp_granted *current = p->policy->suites[0].granted;
    int level;

    for (level = 0; level < EESP_LEVELS; level++) {
        int64_t step = (int64_t)granted->generations[level] -
                       (int64_t)current->generations[level];
        int key;

        if (!(granted->levels & 1u << level))
            continue;
        if (step < -1 || step > 1)
            return refuse(p, "more than one step lies between "
                             "\"eesp_generations\" of");
        key = ring_key(p, level, granted->generations[level],
                       EESP_CURRENT + (int)step);
        if (key < 0)
            return refuse(p, "other keys of this keyring do not agree with "
                             "\"eesp_generations\" of");
        p->policy->ring[level][EESP_CURRENT + step] = key;
    }
    return EESP_OK;
}

int eesp_policy_take_granted(const struct eesp_policy_parser *p)
{
    const struct eesp_policy_info *info = &p->policy->info;
    const struct eesp_granted *current  = p->policy->suites[0].granted;
    unsigned i, roots = 0;
    int level, state, ret = EESP_OK;

    if (current == NULL)
        return EESP_OK;
    if (current->levels != info->levels)
        return refuse(p, "\"levels\" are not the \"eesp_generations\" of");
    if (current->has_client && info->client == EESP_CLIENT_NONE)
        return refuse(p, "\"client\" is missing beside the \"eesp_client\" of");
    for (level = 0; level < EESP_LEVELS; level++)
        for (state = 0; state < EESP_STATES; state++)
            if (p->policy->ring[level][state] >= 0)
                roots |= 1u << level;
    if (roots == info->levels)
        return refuse(p, "the root keys are there beside");
    for (i = 1; i < p->policy->suites_count; i++)
        if (memcmp(p->policy->suites[i].granted->generations,
                   current->generations, sizeof(current->generations)) != 0)
            return refuse(p, "the current ones of two pairs of kdf and aead "
                             "differ in \"eesp_generations\" of");
    for (i = 0; i < p->keyring->granted_count && ret == EESP_OK; i++)
        if (p->keyring->granted[i].spi == info->spi)
            ret = take(p, &p->keyring->granted[i]);
    return ret;
}
