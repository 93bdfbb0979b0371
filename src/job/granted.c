/* SPDX-License-Identifier: BSD-3-Clause */
#include "granted.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "names.h"

enum { KEY_TEXT = 88 };

static json_t *generations_json(const struct eesp_policy_info *info,
                                const struct eesp_grant *grant)
{
    json_t *object = json_object();
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++)
        if (info->levels & 1u << level)
            json_object_set_new(
                object, eesp_level_name((enum eesp_level)level),
                json_integer((json_int_t)grant->generations[level]));
    return object;
}

static json_t *grant_json(const struct eesp_policy_info *info,
                          const struct eesp_grant *grant,
                          const uint64_t *client)
{
    char k[KEY_TEXT], kid[EESP_KEY_ID_MAX + 1];
    json_t *key;

    snprintf(kid, sizeof(kid), "grant-%u", info->spi);
    job_base64url(grant->key, grant->length, k);
    key = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:o,s:s}", "kty", "oct",
                    "kid", kid, "k", k, "eesp_level", "master", "eesp_spi",
                    (json_int_t)info->spi, "eesp_kdf", text_kdf(grant->kdf),
                    "eesp_aead", text_aead(grant->aead), "eesp_generations",
                    generations_json(info, grant), "eesp_state",
                    eesp_key_state_name(grant->state));
    if (grant->not_before)
        json_object_set_new(key, "nbf",
                            json_integer((json_int_t)grant->not_before));
    if (grant->expires)
        json_object_set_new(key, "exp",
                            json_integer((json_int_t)grant->expires));
    if (client != NULL)
        json_object_set_new(key, "eesp_client",
                            json_integer((json_int_t)*client));
    explicit_bzero(k, sizeof(k));
    return key;
}

/* A key for each tuple that the rings hold; one of them must send. */
static int add_keys(const struct eesp_policy *policy, const uint64_t *client,
                    json_t *keys, const char *name, char why[EESP_WHY_LEN])
{
    const struct eesp_policy_info *info = eesp_policy_info(policy);
    struct eesp_grant grant;
    bool current = false;
    unsigned i;
    int ret = EESP_OK;

    for (i = 0; i < eesp_policy_grants(policy); i++) {
        ret = eesp_policy_grant(policy, i, client, &grant);
        if (ret == EESP_DROP_GENERATION)
            continue;
        if (ret != EESP_OK)
            break;
        current |= grant.state == EESP_CURRENT;
        json_array_append_new(keys, grant_json(info, &grant, client));
        explicit_bzero(&grant, sizeof(grant));
    }
    explicit_bzero(&grant, sizeof(grant));
    if (i < eesp_policy_grants(policy))
        snprintf(why, EESP_WHY_LEN, "%.200s: policy %s: no grant: %s", name,
                 info->name, eesp_strerror(ret));
    else if (!current)
        snprintf(why, EESP_WHY_LEN, "%.200s: policy %s: a level has no current "
                 "key; see: eesp show '%.150s'", name, info->name, name);
    else
        return EESP_OK;
    return EESP_ERR_KEYRING;
}

/* The policy as it stands in the file, with all its members. */
static json_t *find_policy(const json_t *document, uint32_t spi)
{
    json_t *policy;
    size_t i;

    json_array_foreach(json_object_get(document, "eesp_policies"), i, policy)
        if (json_integer_value(json_object_get(policy, "spi")) ==
            (json_int_t)spi)
            return policy;
    return NULL;
}

json_t *job_granted(const struct eesp_policy *policy, const json_t *document,
                    const uint64_t *client, const char *name,
                    char why[EESP_WHY_LEN])
{
    json_t *found = find_policy(document, eesp_policy_info(policy)->spi);
    json_t *made  = found ? json_pack("{s:[],s:i,s:[O]}", "keys",
                                      "eesp_version", 1, "eesp_policies",
                                      found) :
                            NULL;

    if (made == NULL) {
        snprintf(why, EESP_WHY_LEN, "%.200s: changed while it was read: try "
                 "again", name);
        return NULL;
    }
    if (add_keys(policy, client, json_object_get(made, "keys"), name, why) !=
        EESP_OK) {
        json_decref(made);
        return NULL;
    }
    return made;
}
