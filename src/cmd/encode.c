/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * encode: payloads from standard input become packets of one policy.
 *
 * No nonce is used twice. Each start makes one lane, whose incarnation is 64
 * fresh random bits of the kernel; it enters the derivation of data key and IV
 * mask, so two starts share a key only if they draw the same bits. Within one
 * start that lane seals every packet and numbers them from 1 up; it refuses to
 * seal before the number could wrap. Under a policy with partitions the same
 * holds: the process is a pool of its own, with an incarnation drawn here and
 * one lease of it, and nobody else can be given that lease.
 */
#include "encode.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "decode.h"

struct encode_options {
    const char        *keyring, *policy;
    struct encode_ends ends;
    bool               has_incarnation;
    uint64_t           crypt_offset;
};

/* One run over the input. */
struct encoder {
    struct decode_sink           sink; /* first: callbacks get its address */
    const struct encode_options *options;
    const struct eesp_policy_info *policy;
    struct eesp_lane            *lane;
    uint8_t                     *packet;
    char                        *text; /* of the packet */
    size_t                       size;
    bool                         failed;
};

static void print_help(void)
{
    printf(
        "Usage: eesp encode [--keyring FILE] [--policy NAME] [OPTION]...\n\n"
        "Seals payloads, one a line in hexadecimal, from standard input (# "
        "starts a\ncomment, an empty line is an empty payload), and writes one "
        "packet a line, in\nhexadecimal, as `eesp decode' reads them. Each "
        "start is a sender of its own: it\ndraws a new incarnation and numbers "
        "its packets from 1.\n\n"
        "  --keyring FILE         default: $%s, or\n"
        "                         %s\n"
        "  --policy NAME          policy of the keyring, by name or SPI "
        "(default: the\n                         only one)\n"
        "  --dst-incarnation HEX  the receiver's incarnation, if the policy "
        "binds to it\n"
        "  --session N            Session ID, 0 to 65535; with partitions, the "
        "partition\n                         (default: 0)\n"
        "  --crypt-offset N       leave N units of 4 bytes readable\n"
        "  -h, --help             this text\n\n"
        "What the policy selects, all of it and nothing else:\n\n"
        "  --rank N               rank of the sender\n"
        "  --dst-rank N           rank of the receiver\n"
        "  --source HEX           64-bit id of the sender\n"
        "  --destination HEX      64-bit id of the receiver\n"
        "  --flow HEX             64 bits; so are the next four\n"
        "  --device HEX\n"
        "  --task HEX\n"
        "  --job HEX\n"
        "  --tenant HEX\n"
        "  --vm HEX               128 bits, all 32 digits\n"
        "  --ipv4 SRC,DST         addresses of sender and receiver\n"
        "  --ipv6 SRC,DST\n"
        "  --tuple4 SRC,DST,SPORT,DPORT,PROTOCOL\n"
        "  --tuple6 SRC,DST,SPORT,DPORT,PROTOCOL\n\n"
        "Examples:\n"
        "  echo 68656c6c6f | eesp encode --keyring keyring.jwks --policy "
        "ranks \\\n    --rank 0 --dst-rank 1 --dst-incarnation 22 |\n"
        "    eesp decode --keyring keyring.jwks --dst-incarnation 22 --rank 1"
        "\n",
        CMD_KEYRING_VARIABLE, CMD_DEFAULT_KEYRING);
}

/* ---- Sealing --------------------------------------------------------------- */

static void seal_one(struct decode_sink *sink,
                     const struct decode_packet *payload)
{
    struct encoder *encoder = (struct encoder *)sink;
    const struct encode_ends *ends = &encoder->options->ends;
    struct eesp_seal_options options = {
        .values = &ends->values,
        .crypt_offset = (unsigned)encoder->options->crypt_offset,
    };
    struct iovec iov = { .iov_base = (void *)(uintptr_t)payload->bytes,
                         .iov_len = payload->length };
    size_t length;
    int error;

    if (encoder->failed)
        return;
    if (payload->length > encoder->policy->max_payload) {
        cmd_complain("%s: %zu bytes, but policy %s has max_payload %" PRIu32,
                     payload->where, payload->length, encoder->policy->name,
                     encoder->policy->max_payload);
        encoder->failed = true;
        return;
    }
    error = eesp_seal_with(encoder->lane, &ends->destination, &options, &iov,
                           1, encoder->packet, encoder->size, &length);
    if (error != EESP_OK) {
        cmd_complain("%s: cannot seal under policy %s: %s", payload->where,
                     encoder->policy->name, eesp_strerror(error));
        encoder->failed = true;
        return;
    }
    text_hex(encoder->packet, length, encoder->text);
    puts(encoder->text);
}

static void refuse_line(struct decode_sink *sink, enum decode_event event,
                        const char *where, const char *text)
{
    struct encoder *encoder = (struct encoder *)sink;

    (void)event;
    if (!encoder->failed)
        cmd_complain("%s: %s", where, text);
    encoder->failed = true;
}

/* The one lease of a pool that nobody else knows of. */
static int take_lease(struct eesp_lane *lane, uint16_t partition)
{
    struct eesp_lease lease = { .partition = partition };

    if (getrandom(&lease.incarnation, sizeof(lease.incarnation), 0) !=
        sizeof(lease.incarnation))
        return EESP_ERR_CRYPTO;
    return eesp_lane_lease(lane, &lease);
}

static int make_lane(struct encoder *encoder,
                     const struct eesp_keyring *keyring,
                     const struct eesp_policy *policy)
{
    const struct encode_ends *ends = &encoder->options->ends;
    struct eesp_lane_params params = {
        .keyring = keyring,
        .policy = policy,
        .rank = ends->source_rank,
        .id = ends->source_id,
        .replay_table = 16, /* such a lane opens nothing */
    };
    char why[EESP_WHY_LEN];
    int error;

    if (eesp_lane_create(&params, &encoder->lane, why) != EESP_OK) {
        cmd_complain("%s", why);
        encoder->lane = NULL;
        return -1;
    }
    if (!encoder->policy->partitions)
        return 0;
    error = take_lease(encoder->lane, ends->destination.session_id);
    if (error != EESP_OK) {
        cmd_complain("policy %s: no lease of partition %u: %s",
                     encoder->policy->name, ends->destination.session_id,
                     eesp_strerror(error));
        return -1;
    }
    return 0;
}

static int seal_all(struct encoder *encoder,
                    const struct eesp_keyring *keyring,
                    const struct eesp_policy *policy)
{
    int result = -1;

    encoder->size = encoder->policy->max_payload + eesp_overhead(policy);
    encoder->packet = cmd_realloc(NULL, encoder->size);
    encoder->text = cmd_realloc(NULL, 2 * encoder->size + 1);
    if (make_lane(encoder, keyring, policy) == 0 &&
        decode_hex(STDIN_FILENO, &encoder->sink) == 0 && !encoder->failed)
        result = 0;
    if (encoder->lane)
        eesp_lane_destroy(encoder->lane);
    free(encoder->packet);
    free(encoder->text);
    return result;
}

/* ---- The policy, and whether the options fit it ------------------------------ */

static const struct eesp_policy *
choose_policy(const struct eesp_keyring *keyring, const char *path,
              const char *name)
{
    const struct eesp_policy *policy;

    if (!name) {
        if (eesp_keyring_policies(keyring) == 1)
            return eesp_keyring_policy_at(keyring, 0);
        if (eesp_keyring_policies(keyring) == 0) {
            cmd_complain("%s has no policy of profile sl1: encode makes "
                         "packets of that profile only", path);
            return NULL;
        }
        cmd_complain("%s has %u policies: choose one with --policy (`eesp "
                     "show' lists them)", path,
                     eesp_keyring_policies(keyring));
        return NULL;
    }
    policy = eesp_keyring_policy(keyring, name);
    if (!policy)
        cmd_complain("%s has no policy '%s' (`eesp show' lists them)", path,
                     name);
    return policy;
}

static int check_options(const struct encode_options *options,
                         const struct eesp_policy_info *policy)
{
    unsigned session = options->ends.destination.session_id;

    if (encode_check_selectors(&options->ends, policy) < 0)
        return -1;
    if (policy->bind_destination && !options->has_incarnation) {
        cmd_complain("policy %s binds to the receiver: give its "
                     "--dst-incarnation", policy->name);
        return -1;
    }
    if (!policy->bind_destination && options->has_incarnation) {
        cmd_complain("--dst-incarnation: policy %s does not bind to the "
                     "receiver", policy->name);
        return -1;
    }
    if (options->crypt_offset > policy->crypt_offset_max) {
        cmd_complain("--crypt-offset: policy %s has crypt_offset_max %u",
                     policy->name, policy->crypt_offset_max);
        return -1;
    }
    if (policy->partitions && session >= policy->partitions) {
        cmd_complain("--session: policy %s has the partitions 0 to %u",
                     policy->name, policy->partitions - 1);
        return -1;
    }
    return 0;
}

static int encode(const struct encode_options *options)
{
    struct encoder encoder = {
        .sink = { .packet = seal_one, .event = refuse_line,
                  .empty_lines = true },
        .options = options,
    };
    const struct eesp_policy *policy;
    struct eesp_keyring *keyring;
    const char *path;
    int result = CMD_FAILED;

    keyring = cmd_load_keyring(options->keyring, &path);
    if (!keyring)
        return CMD_FAILED;
    policy = choose_policy(keyring, path, options->policy);
    if (!policy)
        goto out;
    encoder.policy = eesp_policy_info(policy);
    if (check_options(options, encoder.policy) < 0)
        result = cmd_usage("encode");
    else if (seal_all(&encoder, keyring, policy) == 0)
        result = CMD_OK;
out:
    eesp_keyring_free(keyring);
    return result;
}

/* ---- Command line ------------------------------------------------------------ */

enum { OPTION_SELECTOR = 256 }; /* + number of its bit */

static int parse_rank(const char *option, uint32_t *rank, bool *given)
{
    uint64_t value = 0;
    int result = cmd_parse_number(option, optarg, 10, UINT32_MAX, &value);

    *rank = (uint32_t)value;
    *given = true;
    return result;
}

static int parse_option(struct encode_options *options, int option)
{
    struct encode_ends *ends = &options->ends;
    uint64_t session = 0;
    int result = 0;

    if (option > OPTION_SELECTOR)
        return encode_parse_selector(ends, (unsigned)option - OPTION_SELECTOR,
                                     optarg);
    switch (option) {
    case 'k':
        options->keyring = optarg;
        break;
    case 'p':
        options->policy = optarg;
        break;
    case 'r':
        result = parse_rank("rank", &ends->source_rank,
                            &ends->has_source_rank);
        break;
    case 'R':
        result = parse_rank("dst-rank", &ends->destination.rank,
                            &ends->has_destination_rank);
        break;
    case 'd':
        result = cmd_parse_number("dst-incarnation", optarg, 16, UINT64_MAX,
                                  &ends->destination.incarnation);
        options->has_incarnation = true;
        break;
    case 's':
        result = cmd_parse_number("session", optarg, 10, UINT16_MAX, &session);
        ends->destination.session_id = (uint16_t)session;
        break;
    case 'c':
        result = cmd_parse_number("crypt-offset", optarg, 10, 63,
                                  &options->crypt_offset);
        break;
    default:
        result = -1;
    }
    return result;
}

int encode_main(int argc, char *argv[])
{
    static const struct option names[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "policy", required_argument, NULL, 'p' },
        { "dst-incarnation", required_argument, NULL, 'd' },
        { "session", required_argument, NULL, 's' },
        { "crypt-offset", required_argument, NULL, 'c' },
        { "rank", required_argument, NULL, 'r' },
        { "dst-rank", required_argument, NULL, 'R' },
        { "source", required_argument, NULL, OPTION_SELECTOR + 1 },
        { "destination", required_argument, NULL, OPTION_SELECTOR + 2 },
        { "flow", required_argument, NULL, OPTION_SELECTOR + 3 },
        { "device", required_argument, NULL, OPTION_SELECTOR + 4 },
        { "vm", required_argument, NULL, OPTION_SELECTOR + 5 },
        { "task", required_argument, NULL, OPTION_SELECTOR + 6 },
        { "job", required_argument, NULL, OPTION_SELECTOR + 7 },
        { "ipv4", required_argument, NULL, OPTION_SELECTOR + 8 },
        { "ipv6", required_argument, NULL, OPTION_SELECTOR + 9 },
        { "tuple4", required_argument, NULL, OPTION_SELECTOR + 10 },
        { "tuple6", required_argument, NULL, OPTION_SELECTOR + 11 },
        { "tenant", required_argument, NULL, OPTION_SELECTOR + 12 },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct encode_options options = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CMD_OK;
        }
        if (parse_option(&options, option) < 0)
            return cmd_usage("encode");
    }
    if (optind < argc) {
        cmd_complain("unexpected argument '%s'; payloads come from standard "
                     "input", argv[optind]);
        return cmd_usage("encode");
    }
    return encode(&options);
}
