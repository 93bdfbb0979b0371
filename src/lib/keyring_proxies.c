/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proxies of a policy (wire-format section 13): which sender may say of which
 * domains that a packet comes from there.
 *
 *     "proxies": [ { "id": 5, "domains": [ 17, 18 ] } ]
 *
 * id is the proxy's rank or, without selector ranks, its source id.
 */
#include <stdlib.h>

#include "keyring_policy.h"

static int refuse(const struct eesp_policy_parser *p, const char *rule)
{
    return eesp_keyring_refuse(p->why, p->name, "%s: \"proxies\" %s", p->what,
                               rule);
}

/* Non-negative number up to max, -1: it is none. */
static int64_t number(const json_t *value, int64_t max)
{
    json_int_t n = json_integer_value(value);

    return json_is_integer(value) && n >= 0 && n <= max ? n : -1;
}

static int add(const struct eesp_policy_parser *p, uint64_t id,
               uint32_t domain)
{
    struct eesp_policy *policy = p->policy;

    if (domain == policy->info.domain_id)
        return refuse(p, "must not name the policy's own domain_id");
    if (eesp_policy_may_speak(policy, id, domain))
        return refuse(p, "names a domain twice for one id");
    if (policy->info.proxies == EESP_PROXIES_MAX)
        return refuse(p, "has more than 1024 pairs of id and domain");
    policy->proxies[policy->info.proxies++] =
        (struct eesp_proxy){.id = id, .domain = domain};
    return EESP_OK;
}

static int parse_proxy(const struct eesp_policy_parser *p, const json_t *object)
{
    static const char form[] =
        "must be a list of {\"id\": NUMBER, \"domains\": [NUMBER, ...]}";
    const json_t *domains = json_object_get(object, "domains");
    int64_t id = number(json_object_get(object, "id"), INT64_MAX), domain;
    const json_t *value;
    size_t i;
    int ret;

    if (id < 0 || json_object_size(object) != 2 ||
        json_array_size(domains) == 0)
        return refuse(p, form);
    json_array_foreach(domains, i, value) {
        domain = number(value, UINT32_MAX);
        if (domain < 0)
            return refuse(p, form);
        ret = add(p, (uint64_t)id, (uint32_t)domain);
        if (ret != EESP_OK)
            return ret;
    }
    return EESP_OK;
}

int eesp_policy_parse_proxies(const struct eesp_policy_parser *p)
{
    const json_t *proxies = json_object_get(p->object, "proxies"), *object;
    size_t i;
    int ret;

    if (proxies == NULL)
        return EESP_OK;
    if (json_array_size(proxies) == 0)
        return refuse(p, "must be a non-empty list");
    if (p->policy->info.domain_id == 0)
        return refuse(p, "needs a domain_id other than 0");
    p->policy->proxies = calloc(EESP_PROXIES_MAX, sizeof(struct eesp_proxy));
    if (p->policy->proxies == NULL)
        return refuse(p, "cannot be read: out of memory");
    json_array_foreach(proxies, i, object) {
        ret = parse_proxy(p, object);
        if (ret != EESP_OK)
            return ret;
    }
    return EESP_OK;
}

int eesp_policy_may_speak(const struct eesp_policy *policy, uint64_t id,
                          uint32_t domain)
{
    unsigned i;

    for (i = 0; i < policy->info.proxies; i++)
        if (policy->proxies[i].id == id && policy->proxies[i].domain == domain)
            return 1;
    return 0;
}
