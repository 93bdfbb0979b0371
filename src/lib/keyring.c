/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <time.h>

#include "master.h"
#include "secret.h"

static const char *const level_names[EESP_LEVELS] = {
    [EESP_DOMAIN] = "domain",
    [EESP_TENANT] = "tenant",
    [EESP_JOB]    = "job",
    [EESP_TASK]   = "task",
};
static const char *const state_names[EESP_STATES] = {
    [EESP_PREVIOUS] = "previous",
    [EESP_CURRENT]  = "current",
    [EESP_NEXT]     = "next",
};

const char *eesp_level_name(enum eesp_level level)
{
    return (unsigned)level < EESP_LEVELS ? level_names[level] : "unknown";
}

const char *eesp_key_state_name(enum eesp_key_state state)
{
    return (unsigned)state < EESP_STATES ? state_names[state] : "unknown";
}

uint64_t eesp_boot_seconds(void)
{
    struct timespec now;

    return clock_gettime(CLOCK_BOOTTIME, &now) ? 0 : (uint64_t)now.tv_sec;
}

int eesp_keyring_refuse(char why[EESP_WHY_LEN], const char *name,
                        const char *format, ...)
{
    va_list args;
    int used = snprintf(why, EESP_WHY_LEN, "%.200s: ", name);

    va_start(args, format);
    vsnprintf(why + used, (size_t)(EESP_WHY_LEN - used), format, args);
    va_end(args);
    return EESP_ERR_KEYRING;
}

void eesp_keyring_number_what(char *what, size_t size, const char *noun,
                              unsigned number)
{
    snprintf(what, size, "%s %u", noun, number);
}

static int parse_document(struct eesp_keyring *keyring, json_t *document,
                          const char *name, char why[EESP_WHY_LEN])
{
    static const char *const known[] = {"eesp_version", "eesp_policies", NULL};
    json_t *keys = json_object_get(document, "keys");
    json_t *policies = json_object_get(document, "eesp_policies");
    json_t *version = json_object_get(document, "eesp_version");
    int ret;

    if (!json_is_object(document))
        return eesp_keyring_refuse(why, name, "not a JSON object; make a "
                                   "keyring with eesp keygen");
    ret = eesp_keyring_check_members(document, known, "keyring", name, why);
    if (ret != EESP_OK)
        return ret;
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return eesp_keyring_refuse(why, name, "eesp_version must be 1");
    if (!json_is_array(keys) || json_array_size(keys) == 0)
        return eesp_keyring_refuse(why, name, "member \"keys\" must be a "
                                   "non-empty array");
    if (!json_is_array(policies) || json_array_size(policies) == 0)
        return eesp_keyring_refuse(why, name, "member \"eesp_policies\" must "
                                   "be a non-empty array");
    ret = eesp_keyring_parse_keys(keyring, keys, name, why);
    if (ret == EESP_OK)
        ret = eesp_keyring_parse_policies(keyring, policies, name, why);
    if (ret == EESP_OK)
        ret = eesp_keyring_check_granted(keyring, name, why);
    if (ret == EESP_OK)
        ret = eesp_masters_derive(keyring, name, why);
    return ret;
}

/*
 * jansson copies key text while it parses and frees the copies as they are.
 * While we parse, its allocator wipes what it frees. What it hands out stays
 * plain malloc memory, so another thread inside jansson at that time is only
 * served more carefully. If the program gave jansson an allocator of its own,
 * that one stays.
 */
static pthread_mutex_t json_lock = PTHREAD_MUTEX_INITIALIZER;

static void wiping_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/*
 * jansson's text ends with the token it stood at, which may be half of a key.
 * Only where a member stands twice is it the member's name.
 */
static void hide_token(json_error_t *error)
{
    char *token = strstr(error->text, " near '");

    if (token != NULL && json_error_code(error) != json_error_duplicate_key)
        *token = '\0';
}

/* Where jansson made its text: it wipes none of its stack. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t frame[16384];

    explicit_bzero(frame, sizeof(frame));
}

static int parse_json(struct eesp_keyring *keyring, const char *name,
                      const void *text, size_t length, char why[EESP_WHY_LEN])
{
    json_error_t error;
    json_malloc_t old_malloc;
    json_free_t old_free;
    json_t *document;
    int ret;

    pthread_mutex_lock(&json_lock);
    json_get_alloc_funcs(&old_malloc, &old_free);
    if (old_malloc == malloc && old_free == free)
        json_set_alloc_funcs(malloc, wiping_free);
    document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        hide_token(&error);
        wipe_stack();
        ret = eesp_keyring_refuse(why, name, "line %d: not a keyring (%s); "
                                  "make one with eesp keygen", error.line,
                                  error.text);
    } else {
        ret = parse_document(keyring, document, name, why);
    }
    explicit_bzero(&error, sizeof(error));
    json_decref(document);
    json_set_alloc_funcs(old_malloc, old_free);
    pthread_mutex_unlock(&json_lock);
    return ret;
}

int eesp_keyring_parse(const char *name, const void *text, size_t length,
                       struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    struct eesp_keyring *keyring = calloc(1, sizeof(*keyring));
    int ret                      = EESP_ERR_MEMORY;

    *keyring_p = NULL;
    if (keyring != NULL) {
        keyring->keys    = eesp_secret_alloc(EESP_KEYS_MAX *
                                             sizeof(*keyring->keys));
        keyring->granted = eesp_secret_alloc(EESP_KEYS_MAX *
                                             sizeof(*keyring->granted));
        keyring->bit_keys = eesp_secret_alloc(EESP_BIT_KEYS_MAX *
                                              sizeof(*keyring->bit_keys));
    }
    if (keyring == NULL || keyring->keys == NULL || keyring->granted == NULL ||
        keyring->bit_keys == NULL) {
        snprintf(why, EESP_WHY_LEN, "%.200s: out of memory", name);
        goto out;
    }
    keyring->loaded      = (uint64_t)time(NULL);
    keyring->loaded_boot = eesp_boot_seconds();
    ret = parse_json(keyring, name, text, length, why);
    if (ret == EESP_OK) {
        *keyring_p = keyring;
        keyring    = NULL;
    }
out:
    eesp_keyring_free(keyring);
    return ret;
}

void eesp_keyring_free(struct eesp_keyring *keyring)
{
    unsigned i;

    if (keyring == NULL)
        return;
    for (i = 0; i < EESP_POLICIES_MAX; i++)
        free(keyring->policies[i].proxies);
    eesp_secret_free(keyring->masters, keyring->masters_size);
    eesp_secret_free(keyring->granted,
                     EESP_KEYS_MAX * sizeof(*keyring->granted));
    eesp_secret_free(keyring->bit_keys,
                     EESP_BIT_KEYS_MAX * sizeof(*keyring->bit_keys));
    eesp_secret_free(keyring->keys, EESP_KEYS_MAX * sizeof(*keyring->keys));
    free(keyring);
}

unsigned eesp_keyring_keys(const struct eesp_keyring *keyring)
{
    return keyring->keys_count;
}

void eesp_keyring_key(const struct eesp_keyring *keyring, unsigned index,
                      struct eesp_key_info *info)
{
    memset(info, 0, sizeof(*info));
    if (index < keyring->keys_count)
        *info = keyring->keys[index].info;
}

unsigned eesp_keyring_policies(const struct eesp_keyring *keyring)
{
    return keyring->policies_count;
}

const struct eesp_policy *
eesp_keyring_policy_at(const struct eesp_keyring *keyring, unsigned index)
{
    return index < keyring->policies_count ? &keyring->policies[index] : NULL;
}

const struct eesp_policy *
eesp_keyring_policy_spi(const struct eesp_keyring *keyring, uint32_t spi)
{
    unsigned i;

    for (i = 0; i < keyring->policies_count; i++)
        if (keyring->policies[i].info.spi == spi)
            return &keyring->policies[i];
    return NULL;
}

const struct eesp_policy *
eesp_keyring_policy(const struct eesp_keyring *keyring, const char *name)
{
    unsigned long long spi;
    unsigned i;
    char *end;

    for (i = 0; i < keyring->policies_count; i++)
        if (strcmp(keyring->policies[i].info.name, name) == 0)
            return &keyring->policies[i];
    if (name[0] < '0' || name[0] > '9') /* no policy name begins with one */
        return NULL;
    spi = strtoull(name, &end, strncmp(name, "0x", 2) == 0 ? 16 : 10);
    if (*end != '\0' || spi > UINT32_MAX)
        return NULL;
    return eesp_keyring_policy_spi(keyring, (uint32_t)spi);
}

const struct eesp_policy_info *
eesp_policy_info(const struct eesp_policy *policy)
{
    return &policy->info;
}
