/* SPDX-License-Identifier: BSD-3-Clause */
/* grant: a keyring with the derivation keys of one policy, without roots. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "keygen.h"

enum { KEY_TEXT = 88 };

struct order {
    const char *path, *policy, *out;
    bool        has_client, force;
    uint64_t    client;
};

static void print_help(void)
{
    printf(
        "Usage: eesp grant [--keyring FILE] --policy NAME [OPTION]... "
        "--out FILE\n\n"
        "Makes a keyring that opens and seals packets of one policy and holds "
        "no root\nkey, only what is derived from them. After each eesp rotate "
        "make it anew.\n\n"
        "  --keyring FILE    keyring with the root keys (default:\n"
        "                    $UCX_EESP_KEYRING or %s)\n"
        "  --policy NAME     policy, by its name or SPI\n"
        "  --client ID       the key of this client only (number); the policy\n"
        "                    needs \"client\"\n"
        "  --out FILE        new file, mode 0600\n"
        "  --force           overwrite an existing file\n"
        "  -h, --help        this text\n\n"
        "Examples:\n"
        "  eesp grant --keyring keyring.jwks --policy ranks --out job.jwks\n"
        "  eesp grant --policy storage --client 42 --out client-42.jwks\n",
        CMD_DEFAULT_KEYRING);
}

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

static json_t *grant_json(const struct order *order,
                          const struct eesp_policy_info *info,
                          const struct eesp_grant *grant)
{
    char k[KEY_TEXT], kid[EESP_KEY_ID_MAX + 1];
    json_t *key;

    snprintf(kid, sizeof(kid), "grant-%u", info->spi);
    keygen_base64url(grant->key, grant->length, k);
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
    if (order->has_client)
        json_object_set_new(key, "eesp_client",
                            json_integer((json_int_t)order->client));
    explicit_bzero(k, sizeof(k));
    return key;
}

/* A key for each tuple that the rings hold; one of them must send. */
static int add_keys(const struct order *order,
                    const struct eesp_policy *policy, json_t *keys)
{
    struct eesp_grant grant;
    bool current = false;
    unsigned i;
    int ret = EESP_OK;

    for (i = 0; i < eesp_policy_grants(policy); i++) {
        ret = eesp_policy_grant(policy, i,
                                order->has_client ? &order->client : NULL,
                                &grant);
        if (ret == EESP_DROP_GENERATION)
            continue;
        if (ret != EESP_OK)
            break;
        current |= grant.state == EESP_CURRENT;
        json_array_append_new(keys, grant_json(order, eesp_policy_info(policy),
                                               &grant));
        explicit_bzero(&grant, sizeof(grant));
    }
    explicit_bzero(&grant, sizeof(grant));
    if (i < eesp_policy_grants(policy))
        cmd_complain("%s: policy %s: no grant: %s", order->path, order->policy,
                     eesp_strerror(ret));
    else if (!current)
        cmd_complain("%s: policy %s: a level has no current key; see: eesp "
                     "show '%s'", order->path, order->policy, order->path);
    else
        return 0;
    return -1;
}

/* The policy as it stands in the file, with all its members. */
static json_t *find_policy(json_t *document, uint32_t spi)
{
    json_t *policy;
    size_t i;

    json_array_foreach(json_object_get(document, "eesp_policies"), i, policy)
        if (json_integer_value(json_object_get(policy, "spi")) ==
            (json_int_t)spi)
            return policy;
    return NULL;
}

/* What the library would refuse is not written. */
static int save(const struct order *order, const char *text)
{
    struct eesp_keyring *made = NULL;
    char why[EESP_WHY_LEN];
    int result = -1;

    if (!text)
        cmd_complain("out of memory");
    else if (eesp_keyring_parse(order->out, text, strlen(text), &made, why) !=
             EESP_OK)
        cmd_complain("%s", why);
    else
        result = newfile_write(order->out, text, strlen(text), order->force);
    eesp_keyring_free(made);
    return result;
}

static const struct eesp_policy *choose(const struct order *order,
                                        const struct eesp_keyring *keyring)
{
    const struct eesp_policy *policy = eesp_keyring_policy(keyring,
                                                           order->policy);

    if (!policy)
        cmd_complain("%s: no policy %s; see: eesp show '%s'", order->path,
                     order->policy, order->path);
    else if (order->has_client &&
             eesp_policy_info(policy)->client == EESP_CLIENT_NONE)
        cmd_complain("%s: policy %s has no \"client\", so --client ID has no "
                     "key of its own: leave it out", order->path,
                     order->policy);
    else
        return policy;
    return NULL;
}

static int grant(struct order *order)
{
    struct eesp_keyring *keyring = cmd_load_keyring(order->path, &order->path);
    const struct eesp_policy *policy = NULL;
    json_t *document = NULL, *made = NULL, *keys, *found;
    char *text = NULL;
    int result = -1;

    if (!keyring)
        return CMD_FAILED;
    policy = choose(order, keyring);
    if (!policy)
        goto out;
    json_set_alloc_funcs(malloc, cmd_wiping_free);
    document = json_load_file(order->path, JSON_REJECT_DUPLICATES, NULL);
    found = find_policy(document, eesp_policy_info(policy)->spi);
    made = json_pack("{s:[],s:i,s:[O]}", "keys", "eesp_version", 1,
                     "eesp_policies", found);
    if (!made) {
        cmd_complain("%s: changed while it was read: try again", order->path);
        goto out;
    }
    keys = json_object_get(made, "keys");
    if (add_keys(order, policy, keys) < 0)
        goto out;
    text = json_dumps(made, JSON_INDENT(2));
    result = save(order, text);
    if (result == 0 && !order->has_client &&
        eesp_policy_info(policy)->levels == 1u << EESP_DOMAIN)
        cmd_complain("warning: policy %s has the domain level alone: this is "
                     "the key of the whole domain for its SPI", order->policy);
out:
    cmd_wiping_free(text);
    json_decref(made);
    json_decref(document);
    eesp_keyring_free(keyring);
    return result < 0 ? CMD_FAILED : CMD_OK;
}

static int parse_client(const char *text, struct order *order)
{
    char *end;

    errno = 0;
    order->client = strtoull(text, &end, 0);
    order->has_client = true;
    if (*text >= '0' && *text <= '9' && !*end && errno == 0 &&
        order->client <= INT64_MAX)
        return 0;
    cmd_complain("--client: '%s' is not a number from 0 to "
                 "9223372036854775807", text);
    return -1;
}

int grant_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "policy", required_argument, NULL, 'p' },
        { "client", required_argument, NULL, 'c' },
        { "out", required_argument, NULL, 'o' },
        { "force", no_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct order order = { 0 };
    int option, result = 0;

    while (result == 0 &&
           (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'k': order.path = optarg; break;
        case 'p': order.policy = optarg; break;
        case 'c': result = parse_client(optarg, &order); break;
        case 'o': order.out = optarg; break;
        case 'f': order.force = true; break;
        case 'h': print_help(); return CMD_OK;
        default: result = -1;
        }
    }
    if (result == 0 && optind < argc) {
        cmd_complain("unexpected argument '%s'", argv[optind]);
        result = -1;
    }
    if (result == 0 && (!order.policy || !order.out)) {
        cmd_complain("grant needs --policy and --out");
        result = -1;
    }
    return result < 0 ? cmd_usage("grant") : grant(&order);
}
