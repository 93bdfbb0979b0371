/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "granted.h"

enum { ROOT_MAX = 64, KEY_TEXT = 88 };

static void wiping_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/* The job's id in place of the cluster's; its root in place of the bytes. */
static int replace_key(json_t *key, const char *kid, const struct eesp_job *job)
{
    const char *k = json_string_value(json_object_get(key, "k"));
    uint8_t root[ROOT_MAX], own[EESP_JOB_ROOT_LEN];
    char text[KEY_TEXT];
    int length = k ? job_base64url_bytes(k, root, sizeof(root)) : -1;
    int ret    = EESP_ERR_KEYRING;

    if (length > 0)
        ret = eesp_job_root(root, (size_t)length, job, own);
    if (ret == EESP_OK) {
        job_base64url(own, sizeof(own), text);
        json_object_set_new(key, "k", json_string(text));
        json_object_set_new(key, "kid", json_string(kid));
    }
    explicit_bzero(root, sizeof(root));
    explicit_bzero(own, sizeof(own));
    explicit_bzero(text, sizeof(text));
    return ret;
}

static int replace_keys(json_t *keys, const char *old, const char *kid,
                        const struct eesp_job *job)
{
    const char *level, *id;
    json_t *key;
    size_t i;
    int ret = EESP_OK;

    json_array_foreach(keys, i, key) {
        level = json_string_value(json_object_get(key, "eesp_level"));
        id    = json_string_value(json_object_get(key, "kid"));
        if (ret == EESP_OK && level && id && strcmp(level, "job") == 0 &&
            strcmp(id, old) == 0)
            ret = replace_key(key, kid, job);
    }
    return ret;
}

/* That policy alone, whose job is ours. NULL: there is none. */
static json_t *only_policy(const json_t *document, uint32_t spi,
                           const char *kid)
{
    json_t *policies = json_object_get(document, "eesp_policies");
    json_t *policy, *only = NULL;
    size_t i;

    json_array_foreach(policies, i, policy)
        if (json_integer_value(json_object_get(policy, "spi")) ==
            (json_int_t)spi)
            only = json_pack("[O]", policy);
    if (only != NULL)
        json_object_set_new(json_object_get(json_array_get(only, 0), "levels"),
                            "job", json_string(kid));
    return only;
}

/* The cluster's document becomes the job's. */
static int make_own(json_t *document, const struct eesp_policy_info *info,
                    const struct eesp_job *job)
{
    char kid[EESP_KEY_ID_MAX + 1];
    json_t *only;

    snprintf(kid, sizeof(kid), "job-%u.%u", job->job, job->step);
    only = only_policy(document, info->spi, kid);
    if (only == NULL)
        return EESP_ERR_KEYRING;
    json_object_set_new(document, "eesp_policies", only);
    return replace_keys(json_object_get(document, "keys"),
                        info->key_id[EESP_JOB], kid, job);
}

static char *grant(json_t *document, uint32_t spi, const char *name,
                   char why[EESP_WHY_LEN])
{
    char *whole = json_dumps(document, JSON_COMPACT), *text = NULL, policy[16];
    struct eesp_keyring *keyring = NULL;
    json_t *granted              = NULL;

    snprintf(policy, sizeof(policy), "%u", spi);
    if (whole == NULL)
        snprintf(why, EESP_WHY_LEN, "%.200s: out of memory", name);
    else if (eesp_keyring_parse(name, whole, strlen(whole), &keyring, why) ==
             EESP_OK)
        granted = job_granted(eesp_keyring_policy(keyring, policy), document,
                              NULL, name, why);
    if (granted != NULL)
        text = json_dumps(granted, JSON_COMPACT);
    json_decref(granted);
    eesp_keyring_free(keyring);
    wiping_free(whole);
    return text;
}

/* Loaded for its checks of owner, mode and content. */
static char *from_file(const char *path, const char *policy_name,
                       const struct eesp_job *job, char why[EESP_WHY_LEN])
{
    const struct eesp_policy_info *info;
    const struct eesp_policy *policy;
    struct eesp_keyring *keyring;
    json_t *document;
    char *text = NULL;

    if (eesp_keyring_load(path, &keyring, why) != EESP_OK)
        return NULL;
    document = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    policy   = eesp_keyring_policy(keyring, policy_name);
    info     = policy ? eesp_policy_info(policy) : NULL;
    if (info == NULL)
        snprintf(why, EESP_WHY_LEN, "%.150s: no policy %.60s; see: eesp show "
                 "'%.150s'", path, policy_name, path);
    else if (!(info->levels & 1u << EESP_JOB))
        snprintf(why, EESP_WHY_LEN, "%.150s: policy %.60s has no job level: "
                 "all jobs would share its keys; make one with: eesp keygen "
                 "--levels domain,job", path, policy_name);
    else if (document == NULL || make_own(document, info, job) != EESP_OK)
        snprintf(why, EESP_WHY_LEN, "%.200s: its job keys are no root keys, "
                 "or it changed while it was read", path);
    else
        text = grant(document, info->spi, path, why);
    json_decref(document);
    eesp_keyring_free(keyring);
    return text;
}

char *job_of_cluster(const char *path, const char *policy,
                     const struct eesp_job *job, char why[EESP_WHY_LEN])
{
    json_malloc_t old_malloc;
    json_free_t old_free;
    char *text;

    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(malloc, wiping_free);
    text = from_file(path, policy, job, why);
    json_set_alloc_funcs(old_malloc, old_free);
    return text;
}
