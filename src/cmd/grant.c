/* SPDX-License-Identifier: BSD-3-Clause */
/* grant: a keyring with the derivation keys of one policy, without roots. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../job/granted.h"
#include "keygen.h"

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
    json_t *document = NULL, *made = NULL;
    char why[EESP_WHY_LEN];
    char *text = NULL;
    int result = -1;

    if (!keyring)
        return CMD_FAILED;
    policy = choose(order, keyring);
    if (!policy)
        goto out;
    json_set_alloc_funcs(malloc, cmd_wiping_free);
    document = json_load_file(order->path, JSON_REJECT_DUPLICATES, NULL);
    made = job_granted(policy, document,
                       order->has_client ? &order->client : NULL, order->path,
                       why);
    if (!made) {
        cmd_complain("%s", why);
        goto out;
    }
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
