/* SPDX-License-Identifier: BSD-3-Clause */
/* rotate_steps: one ring, or the epochs, of a keyring a step further. */
#include <string.h>
#include <time.h>

#include "../job/base64url.h"
#include "keygen.h"
#include "rotate.h"

enum { KEY_LENGTH = 32, KEY_TEXT = 44 };

static const char *member(const json_t *key, const char *name)
{
    const char *text = json_string_value(json_object_get(key, name));

    return text ? text : "";
}

/* The file was checked before. */
int rotation_find(struct rotation *r)
{
    const char *kid = r->kid;
    json_t *key;
    size_t i;
    int state;

    memset(r->key, 0, sizeof(r->key));
    json_array_foreach(json_object_get(r->document, "keys"), i, key) {
        if (strcmp(member(key, "eesp_level"), r->level) != 0 ||
            (r->kid && strcmp(member(key, "kid"), r->kid) != 0))
            continue;
        if (kid && strcmp(member(key, "kid"), kid) != 0) {
            cmd_complain("%s: level %s has the keys %s and %s: choose with "
                         "--kid ID", r->path, r->level, kid,
                         member(key, "kid"));
            return -1;
        }
        kid = member(key, "kid");
        for (state = 0; state < EESP_STATES; state++)
            if (strcmp(member(key, "eesp_state"),
                       eesp_key_state_name((enum eesp_key_state)state)) == 0)
                r->key[state] = key;
    }
    if (!r->key[EESP_CURRENT]) {
        cmd_complain("%s: no current %s key%s%s; see: eesp show '%s'", r->path,
                     r->level, r->kid ? " " : "", r->kid ? r->kid : "",
                     r->path);
        return -1;
    }
    r->kid = kid;
    return 0;
}

static int refuse(const struct rotation *r, const char *what, const char *step)
{
    cmd_complain("%s: %s key %s %s; run: eesp rotate --keyring '%s' --level "
                 "%s --kid %s %s", r->path, r->level, r->kid, what, r->path,
                 r->level, r->kid, step);
    return -1;
}

static int set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return 0;
    cmd_complain("out of memory");
    return -1;
}

static int stage(struct rotation *r)
{
    json_int_t generation = json_integer_value(
        json_object_get(r->key[EESP_CURRENT], "eesp_generation"));
    uint8_t bytes[KEY_LENGTH];
    char k[KEY_TEXT];
    json_t *key;
    int result = -1;

    if (r->key[EESP_NEXT])
        return refuse(r, "has a staged next key", "promote");
    if (generation == UINT32_MAX) {
        cmd_complain("%s: %s key %s has used up its generations: make a key "
                     "with another id", r->path, r->level, r->kid);
        return -1;
    }
    if (keygen_random(bytes, sizeof(bytes)) == 0) {
        job_base64url(bytes, sizeof(bytes), k);
        key = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s}", "kty", "oct", "kid",
                        r->kid, "k", k, "eesp_level", r->level,
                        "eesp_generation", generation + 1, "eesp_state",
                        "next");
        if (key && r->expires)
            set(key, "exp", json_integer((json_int_t)r->expires));
        result = json_array_append_new(json_object_get(r->document, "keys"),
                                       key);
        if (result < 0)
            cmd_complain("out of memory");
    }
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(k, sizeof(k));
    return result;
}

static int promote(struct rotation *r)
{
    json_t *exp = json_object_get(r->key[EESP_NEXT], "exp");
    json_t *nbf = json_object_get(r->key[EESP_NEXT], "nbf");
    json_int_t now = (json_int_t)time(NULL);

    if (!r->key[EESP_NEXT])
        return refuse(r, "has no staged next key", "stage");
    if (r->key[EESP_PREVIOUS])
        return refuse(r, "still has a previous key", "retire");
    if ((exp && json_integer_value(exp) <= now) ||
        (nbf && json_integer_value(nbf) > now)) {
        cmd_complain("%s: the next %s key %s could not send now: its lifetime "
                     "is over or has not begun; see: eesp show '%s'", r->path,
                     r->level, r->kid, r->path);
        return -1;
    }
    return set(r->key[EESP_CURRENT], "eesp_state", json_string("previous")) |
           set(r->key[EESP_NEXT], "eesp_state", json_string("current"));
}

static int retire(struct rotation *r)
{
    json_t *keys = json_object_get(r->document, "keys"), *key;
    size_t i;

    if (!r->key[EESP_PREVIOUS])
        return refuse(r, "has no previous key", r->key[EESP_NEXT] ? "promote" :
                                                                    "stage");
    json_array_foreach(keys, i, key)
        if (key == r->key[EESP_PREVIOUS])
            return json_array_remove(keys, i);
    return -1;
}

bool rotation_raises(const struct rotation *r,
                     const struct eesp_policy_info *info)
{
    return !r->policy || strcmp(r->policy, info->name) == 0;
}

/* Serial numbers of 16 bits; 0 if the policy does not say. */
static int raise_epoch(struct rotation *r)
{
    json_t *policies = json_object_get(r->document, "eesp_policies"), *policy;
    unsigned raised = 0;
    size_t i;

    json_array_foreach(policies, i, policy) {
        json_int_t epoch = json_integer_value(json_object_get(policy,
                                                              "epoch"));

        if ((r->policy && strcmp(member(policy, "name"), r->policy) != 0) ||
            strcmp(member(policy, "profile"), "sl1") != 0)
            continue;
        if (set(policy, "epoch", json_integer((epoch + 1) & 0xffff)) < 0)
            return -1;
        raised++;
    }
    if (raised)
        return 0;
    cmd_complain("%s: no policy %s of profile sl1; see: eesp show '%s'",
                 r->path, r->policy ? r->policy : "", r->path);
    return -1;
}

const struct rotation_step *rotation_step(const char *name)
{
    static const struct rotation_step steps[] = {
        { "stage", true, stage },
        { "promote", true, promote },
        { "retire", true, retire },
        { "epoch", false, raise_epoch },
    };
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (strcmp(name, steps[i].name) == 0)
            return &steps[i];
    return NULL;
}
