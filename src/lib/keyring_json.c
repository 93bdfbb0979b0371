/* SPDX-License-Identifier: BSD-3-Clause */
/* Root keys of a keyring: JSON Web Keys (RFC 7517) with eesp_ members. */
#include <string.h>

#include "keyring.h"

int eesp_name_valid(const char *id, size_t max)
{
    size_t length = strlen(id);

    return length >= 1 && length <= max &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                      "0123456789._:-") == length;
}

static int in_list(const char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return 1;
    return 0;
}

int eesp_keyring_check_members(const json_t *object, const char *const *known,
                               const char *what, const char *name,
                               char why[EESP_WHY_LEN])
{
    const char *member;
    json_t *value;

    json_object_foreach((json_t *)object, member, value) {
        if (strncmp(member, "eesp_", 5) == 0 && !in_list(known, member))
            return eesp_keyring_refuse(why, name, "%s: unknown member "
                                       "\"%.40s\"", what, member);
    }
    return EESP_OK;
}

int eesp_keyring_integer(const json_t *object, const char *member,
                         uint64_t max, uint64_t *out, const char *what,
                         const char *name, char why[EESP_WHY_LEN])
{
    const json_t *value = json_object_get(object, member);
    json_int_t number;

    if (value == NULL)
        return EESP_OK;
    number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number > max)
        return eesp_keyring_refuse(why, name, "%s: \"%s\" must be a whole "
                                   "number from 0 to %llu", what, member,
                                   (unsigned long long)max);
    *out = (uint64_t)number;
    return EESP_OK;
}

/* Value of one base64url character (RFC 4648 section 5), -1: none. */
static int base64url_value(char c)
{
    /* No table lookup: the position of a key character stays out of cache. */
    int v = -1;

    v += ((('A' - 1 - c) & (c - ('Z' + 1))) >> 31) & (c - 'A' + 1);
    v += ((('a' - 1 - c) & (c - ('z' + 1))) >> 31) & (c - 'a' + 27);
    v += ((('0' - 1 - c) & (c - ('9' + 1))) >> 31) & (c - '0' + 53);
    v += ((('-' - 1 - c) & (c - ('-' + 1))) >> 31) & 63;
    v += ((('_' - 1 - c) & (c - ('_' + 1))) >> 31) & 64;
    return v;
}

/* Decodes text into bytes; its length, or -1 if malformed or over max. */
static int base64url_decode(const char *text, uint8_t *bytes, size_t max)
{
    size_t length = strlen(text), done = 0, i;
    uint32_t bits = 0;
    int have      = 0;

    for (i = 0; i < length; i++) {
        int v = base64url_value(text[i]);

        if (v < 0)
            return -1;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (done == max)
                return -1;
            bytes[done++] = (uint8_t)(bits >> have);
        }
    }
    /* Left-over bits of a well-formed text are zero. */
    return length % 4 != 1 && (bits & ((1u << have) - 1)) == 0 ? (int)done :
                                                                 -1;
}

/* Index of value in a list of names, -1: not there. */
static int find_name(const json_t *value,
                     const char *(*name_of)(unsigned index), unsigned count)
{
    const char *text = json_string_value(value);
    unsigned i;

    for (i = 0; text != NULL && i < count; i++)
        if (strcmp(text, name_of(i)) == 0)
            return (int)i;
    return -1;
}

static const char *level_name(unsigned i)
{
    return eesp_level_name((enum eesp_level)i);
}

static const char *state_name(unsigned i)
{
    return eesp_key_state_name((enum eesp_key_state)i);
}

static int parse_bytes(struct eesp_key *key, const json_t *object,
                       const char *what, const char *name,
                       char why[EESP_WHY_LEN])
{
    const char *text = json_string_value(json_object_get(object, "k"));
    int length;

    if (text == NULL)
        return eesp_keyring_refuse(why, name, "%s: \"k\" must be a base64url "
                                   "string", what);
    length = base64url_decode(text, key->bytes, EESP_KEY_MAX);
    if (length < 0)
        return eesp_keyring_refuse(why, name, "%s: \"k\" is not base64url of "
                                   "at most %d bytes", what, EESP_KEY_MAX);
    if (length < EESP_KEY_MIN)
        return eesp_keyring_refuse(why, name, "%s: \"k\" is %d bytes short of "
                                   "the %d that a root key needs; make one "
                                   "with eesp keygen", what,
                                   EESP_KEY_MIN - length, EESP_KEY_MIN);
    key->info.length = (size_t)length;
    return EESP_OK;
}

int eesp_keyring_parse_secret(struct eesp_key *key, const json_t *object,
                              const char *const *known, const char *what,
                              const char *name, char why[EESP_WHY_LEN])
{
    const char *kty = json_string_value(json_object_get(object, "kty"));
    const char *kid = json_string_value(json_object_get(object, "kid"));
    int ret;

    if (kty == NULL || strcmp(kty, "oct") != 0)
        return eesp_keyring_refuse(why, name, "%s: \"kty\" must be \"oct\"",
                                   what);
    if (kid == NULL || !eesp_name_valid(kid, EESP_KEY_ID_MAX))
        return eesp_keyring_refuse(why, name, "%s: \"kid\" must be 1 to %d "
                                   "characters of A-Za-z0-9._:-", what,
                                   EESP_KEY_ID_MAX);
    ret = eesp_keyring_check_members(object, known, what, name, why);
    if (ret != EESP_OK)
        return ret;
    strcpy(key->info.id, kid); /* length checked by eesp_name_valid() */
    return parse_bytes(key, object, what, name, why);
}

int eesp_keyring_parse_key(struct eesp_key *key, const json_t *object,
                           const char *const *known, const char *what,
                           const char *name, char why[EESP_WHY_LEN])
{
    int state, ret;

    ret = eesp_keyring_parse_secret(key, object, known, what, name, why);
    if (ret != EESP_OK)
        return ret;
    state = find_name(json_object_get(object, "eesp_state"), state_name,
                      EESP_STATES);
    if (state < 0)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_state\" must be "
                                   "previous, current or next", what);
    ret = eesp_keyring_integer(object, "nbf", INT64_MAX,
                               &key->info.not_before, what, name, why);
    if (ret == EESP_OK)
        ret = eesp_keyring_integer(object, "exp", INT64_MAX,
                                   &key->info.expires, what, name, why);
    if (ret != EESP_OK)
        return ret;
    /* 0 stands for no end in key->info: it must not come to mean that. */
    if (json_object_get(object, "exp") != NULL && key->info.expires == 0)
        return eesp_keyring_refuse(why, name, "%s: \"exp\" 0 is in 1970; leave "
                                   "it out for a key without end", what);
    key->info.state = (enum eesp_key_state)state;
    return EESP_OK;
}

static int parse_root(struct eesp_key *key, const json_t *object,
                      const char *what, const char *name,
                      char why[EESP_WHY_LEN])
{
    static const char *const known[] = {"eesp_level", "eesp_generation",
                                        "eesp_state", NULL};
    uint64_t generation = 0;
    int level, ret;

    ret = eesp_keyring_parse_key(key, object, known, what, name, why);
    if (ret != EESP_OK)
        return ret;
    level = find_name(json_object_get(object, "eesp_level"), level_name,
                      EESP_LEVELS);
    if (level < 0)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_level\" must be "
                                   "domain, tenant, job, task, master, psp or "
                                   "tss", what);
    if (json_object_get(object, "eesp_generation") == NULL)
        return eesp_keyring_refuse(why, name, "%s: \"eesp_generation\" is "
                                   "missing", what);
    ret = eesp_keyring_integer(object, "eesp_generation", UINT32_MAX,
                               &generation, what, name, why);
    key->info.level      = (enum eesp_level)level;
    key->info.generation = (uint32_t)generation;
    return ret;
}

static int same_ring(const struct eesp_key_info *a,
                     const struct eesp_key_info *b)
{
    return a->level == b->level && strcmp(a->id, b->id) == 0;
}

/* A ring has one key a state, and generations that follow each other. */
static int check_ring(const struct eesp_keyring *keyring,
                      const struct eesp_key_info *key, const char *name,
                      char why[EESP_WHY_LEN])
{
    unsigned i;

    for (i = 0; i < keyring->keys_count; i++) {
        const struct eesp_key_info *other = &keyring->keys[i].info;
        int64_t step = (int64_t)key->state - (int64_t)other->state;

        if (!same_ring(key, other))
            continue;
        if (step == 0)
            return eesp_keyring_refuse(why, name, "%s key \"%s\": two keys "
                                       "are \"%s\"",
                                       eesp_level_name(key->level), key->id,
                                       eesp_key_state_name(key->state));
        if ((int64_t)key->generation - (int64_t)other->generation != step)
            return eesp_keyring_refuse(why, name, "%s key \"%s\": generations "
                                       "%u and %u do not follow each other",
                                       eesp_level_name(key->level), key->id,
                                       other->generation, key->generation);
    }
    return EESP_OK;
}

/* A retired key is erased, not kept for its last packet. */
static void erase_retired(struct eesp_keyring *keyring)
{
    struct eesp_key *keys = keyring->keys;
    unsigned i, kept = 0;

    for (i = 0; i < keyring->keys_count; i++) {
        const struct eesp_key_info *info = &keys[i].info;

        if (info->state == EESP_PREVIOUS && info->expires != 0 &&
            info->expires <= keyring->loaded)
            continue;
        if (kept != i)
            keys[kept] = keys[i];
        kept++;
    }
    explicit_bzero(&keys[kept], (keyring->keys_count - kept) * sizeof(*keys));
    keyring->keys_count = kept;
}

int eesp_keyring_parse_keys(struct eesp_keyring *keyring, json_t *keys,
                            const char *name, char why[EESP_WHY_LEN])
{
    char what[32];
    json_t *object;
    size_t i;
    int ret;

    if (json_array_size(keys) > EESP_KEYS_MAX)
        return eesp_keyring_refuse(why, name, "more than %d keys",
                                   EESP_KEYS_MAX);
    json_array_foreach(keys, i, object) {
        struct eesp_key *key = &keyring->keys[keyring->keys_count];

        eesp_keyring_number_what(what, sizeof(what), "key", (unsigned)i + 1);
        if (eesp_keyring_is_granted(object) ||
            eesp_keyring_is_bit_key(object)) {
            ret = (eesp_keyring_is_granted(object) ?
                       eesp_keyring_parse_granted :
                       eesp_keyring_parse_bit_key)(keyring, object, what, name,
                                                   why);
            if (ret != EESP_OK)
                return ret;
            continue;
        }
        ret = parse_root(key, object, what, name, why);
        if (ret == EESP_OK)
            ret = check_ring(keyring, &key->info, name, why);
        if (ret != EESP_OK)
            return ret;
        keyring->keys_count++;
    }
    erase_retired(keyring);
    return EESP_OK;
}
