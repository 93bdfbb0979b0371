/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Algorithms of a policy: "kdf" and "aead" seal and open, the pairs of
 * "receive" open only, so that the members of a group can change to others one
 * by one.
 *
 *     "kdf": "cmac-aes256", "aead": "aes-256-gcm",
 *     "receive": [ { "kdf": "hkdf-sha256", "aead": "chacha20-poly1305" } ]
 */
#include <string.h>

#include "aead.h"
#include "keyring_policy.h"

static int refuse_name(const struct eesp_policy_parser *p, const char *member,
                       const char *text, const char *names)
{
    if (text == NULL)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"%s\" must be a "
                                   "string", p->what, member);
    return eesp_keyring_refuse(p->why, p->name, "%s: %s \"%.40s\" is not one "
                               "of: %s", p->what, member, text, names);
}

/* "kdf" and "aead" of object. */
static int parse_pair(const struct eesp_policy_parser *p, const json_t *object,
                      struct eesp_suite *suite)
{
    const char *kdf  = json_string_value(json_object_get(object, "kdf"));
    const char *aead = json_string_value(json_object_get(object, "aead"));

    suite->kdf = kdf ? eesp_kdf_by_name(kdf) : NULL;
    if (suite->kdf == NULL)
        return refuse_name(p, "kdf", kdf, "cmac-aes256, hkdf-sha256, "
                           "hkdf-sha384, hkdf-sha512, hmac-sha256");
    suite->aead = aead ? (enum eesp_aead_id)eesp_aead_id_by_name(aead) : 0;
    if (suite->aead == 0)
        return refuse_name(p, "aead", aead, "aes-128-gcm, aes-256-gcm, "
                           "chacha20-poly1305, aes-256-gcm-siv, "
                           "aes-256-gmac");
    return EESP_OK;
}

/* A pair of "receive"; that of the policy itself may be among them. */
static int add_pair(const struct eesp_policy_parser *p, const json_t *object)
{
    struct eesp_policy *policy    = p->policy;
    struct eesp_policy_info *info = &policy->info;
    struct eesp_suite *suite      = &policy->suites[policy->suites_count];
    unsigned i;
    int ret;

    if (json_object_size(object) != 2)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"receive\" must be a "
                                   "list of {\"kdf\": NAME, \"aead\": NAME}",
                                   p->what);
    ret = parse_pair(p, object, suite);
    if (ret != EESP_OK)
        return ret;
    for (i = 0; i < policy->suites_count; i++)
        if (policy->suites[i].kdf == suite->kdf &&
            policy->suites[i].aead == suite->aead)
            break;
    if (i == 0)
        return EESP_OK;
    if (i < policy->suites_count)
        return eesp_keyring_refuse(p->why, p->name, "%s: \"receive\" names a "
                                   "pair of kdf and aead twice", p->what);
    info->receive[info->receive_count].kdf  =
        (enum eesp_kdf_id)suite->kdf->id;
    info->receive[info->receive_count].aead = suite->aead;
    info->receive_count++;
    policy->suites_count++;
    return EESP_OK;
}

int eesp_policy_parse_suites(const struct eesp_policy_parser *p)
{
    const json_t *receive         = json_object_get(p->object, "receive");
    struct eesp_policy *policy    = p->policy;
    struct eesp_policy_info *info = &policy->info;
    const json_t *object;
    size_t i;
    int ret = parse_pair(p, p->object, &policy->suites[0]);

    if (ret != EESP_OK)
        return ret;
    policy->suites_count = 1;
    info->kdf            = (enum eesp_kdf_id)policy->suites[0].kdf->id;
    info->aead           = policy->suites[0].aead;
    if (receive != NULL &&
        (!json_is_array(receive) ||
         json_array_size(receive) > EESP_SUITES_MAX - 1))
        return eesp_keyring_refuse(p->why, p->name, "%s: \"receive\" must be a "
                                   "list of at most %d pairs", p->what,
                                   EESP_SUITES_MAX - 1);
    json_array_foreach((json_t *)receive, i, object) {
        ret = add_pair(p, object);
        if (ret != EESP_OK)
            return ret;
    }
    return EESP_OK;
}
