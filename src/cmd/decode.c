/* SPDX-License-Identifier: BSD-3-Clause */
#include "decode.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eesp_tss.h"

struct decode_options {
    const char         *keyring, *keylog, *pcap;
    struct open_options open;
    bool                as_json, quiet, limited;
    uint64_t            limit;
    struct others_options others;
    const char         *aad;
};

/* One run over the input, to learn receivers or to open packets. */
struct decoder {
    struct decode_sink sink; /* first: the callbacks get its address */
    struct peers      *peers;
    struct keylog     *keylog; /* NULL: the keyring opens */
    struct opener     *opener;
    struct report      report;
};

static void print_help(void)
{
    printf(
        "Usage: eesp decode [--keyring FILE] [OPTION]...\n\n"
        "Reads packets, one a line in hexadecimal, from standard input (# "
        "starts a\ncomment) or from a capture file, and shows the header, the "
        "keys and the payload\nof each. What a capture says about its "
        "receivers is learned from what they sent.\n\n"
        "  --keyring FILE           default: $%s, or\n"
        "                           %s\n"
        "  --keylog FILE            open with the keys that UCX_EESP_KEYLOG has "
        "written\n"
        "  --pcap FILE              capture of UCX's tcp transport or of UDP; "
        "- for\n                           standard input\n"
        "  --psp                    PSP packets (UDP port 1000), on their "
        "own or in EESP;\n                           opened with --keyring "
        "only\n"
        "  --tss                    UEC TSS packets, the same\n"
        "  --aad HEX                what stands in front of each TSS header\n"
        "  --rank N                 the receiver's rank\n"
        "  --id HEX                 the receiver's id (selector destination)\n"
        "  --dst-incarnation HEX    the receiver's incarnation\n"
        "  --json                   one JSON object a line\n"
        "  --limit N                show the first N only, check all\n"
        "  --quiet                  only the summary\n"
        "  -h, --help               this text\n\n"
        "Exit code: 1 if a packet does not open, if UCX sent data that is not "
        "sealed\n(\"not EESP\"), or if there is no packet at all. Start a "
        "capture before the job:\nof a connection without its beginning, only "
        "sealed data is recognised.\n\n"
        "Examples:\n"
        "  eesp decode --keyring keyring.jwks < packets.hex\n"
        "  tcpdump -i lo -B 65536 -w job.pcap tcp\n"
        "  eesp decode --keyring keyring.jwks --pcap job.pcap --limit 10\n"
        "  eesp decode --pcap job.pcap --json |\n"
        "    jq -r 'select(.type == \"packet\" and .opened).payload'\n",
        CMD_KEYRING_VARIABLE, CMD_DEFAULT_KEYRING);
}

/* ---- The two runs ----------------------------------------------------------- */

static void learn(struct decode_sink *sink, const struct decode_packet *packet)
{
    struct decoder *decoder = (struct decoder *)sink;
    struct eesp_header header;

    if (eesp_header_parse(packet->bytes, packet->length, &header) == EESP_OK &&
        !sink->keylog && eesp_keyring_policy_spi(sink->keyring, header.spi))
        peers_learn(decoder->peers, &header);
}

static void ignore_event(struct decode_sink *sink, enum decode_event event,
                         const char *where, const char *text)
{
    (void)sink;
    (void)event;
    (void)where;
    (void)text;
}

static void open_one(struct decode_sink *sink,
                     const struct decode_packet *packet)
{
    struct decoder *decoder = (struct decoder *)sink;
    struct open_result result;

    opener_open(decoder->opener, packet, &result);
    report_packet(&decoder->report, packet, &result);
}

static void show_event(struct decode_sink *sink, enum decode_event event,
                       const char *where, const char *text)
{
    struct decoder *decoder = (struct decoder *)sink;

    report_event(&decoder->report, event, where, text);
}

static int run(struct decoder *decoder, int fd, off_t start, const char *pcap)
{
    if (lseek(fd, start, SEEK_SET) < 0) {
        cmd_complain("cannot read the input twice: %s", strerror(errno));
        return -1;
    }
    decoder->sink.streams = (struct decode_streams){ 0 };
    return pcap ? decode_pcap(fd, pcap, &decoder->sink)
                : decode_hex(fd, &decoder->sink);
}

static int run_twice(struct decoder *decoder, int fd,
                     const struct decode_options *options)
{
    off_t start = lseek(fd, 0, SEEK_CUR);
    int result;

    decoder->peers = peers_new();
    decoder->sink.packet = learn;
    decoder->sink.event = ignore_event;
    result = run(decoder, fd, start, options->pcap);
    if (result < 0)
        goto out;
    decoder->opener = opener_new(decoder->sink.keyring, decoder->keylog,
                                 &options->open, decoder->peers);
    decoder->sink.packet = open_one;
    decoder->sink.event = show_event;
    result = run(decoder, fd, start, options->pcap);
out:
    opener_free(decoder->opener);
    peers_free(decoder->peers);
    return result;
}

/* ---- Input --------------------------------------------------------------------- */

/* What comes out of a pipe can be read twice only from a copy. */
static int spool(int from)
{
    FILE *copy = tmpfile();
    char buffer[65536];
    ssize_t got = -1;
    int fd = -1;

    if (!copy)
        goto out;
    while ((got = read(from, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || fwrite(buffer, 1, (size_t)got, copy) != (size_t)got)
            break;
    }
    if (got == 0 && fflush(copy) == 0 && lseek(fileno(copy), 0, SEEK_SET) == 0)
        fd = dup(fileno(copy));
out:
    if (fd < 0)
        cmd_complain("cannot copy the input to a temporary file: %s",
                     strerror(errno));
    if (copy)
        fclose(copy);
    return fd;
}

/* A descriptor that can be set back, or -1 after a complaint. */
static int open_input(const char *path)
{
    int fd, copy;

    fd = !path || strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
                                         : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cmd_complain("cannot read %s: %s", path ? path : "standard input",
                     strerror(errno));
        return -1;
    }
    if (lseek(fd, 0, SEEK_CUR) >= 0)
        return fd;
    copy = spool(fd);
    close(fd);
    return copy;
}

static int decode(const struct decode_options *options)
{
    struct decoder decoder = {
        .report = { .as_json = options->as_json, .quiet = options->quiet,
                    .limited = options->limited, .left = options->limit },
    };
    struct report *report = &decoder.report;
    struct eesp_keyring *keyring = NULL;
    const char *path;
    int fd = -1, result = CMD_FAILED;

    if (options->others.protocol != DECODE_EESP) {
        fd = open_input(options->pcap);
        if (fd < 0)
            return CMD_FAILED;
        result = decode_others(&options->others, fd);
        close(fd);
        return result;
    }
    if (options->keylog) {
        path = options->keylog;
        decoder.sink.keylog = decoder.keylog = keylog_load(path);
    } else {
        keyring = cmd_load_keyring(options->keyring, &path);
    }
    if (!keyring && !decoder.keylog)
        goto out;
    decoder.sink.keyring = report->keyring = keyring;
    fd = open_input(options->pcap);
    if (fd < 0 || run_twice(&decoder, fd, options) < 0)
        goto out;
    report_summary(report, &decoder.sink.streams, options->pcap != NULL);
    if (report->packets == 0)
        cmd_complain("no EESP packet for the %s of %s in %s",
                     keyring ? "policies" : "keys", path,
                     options->pcap ? options->pcap : "standard input");
    if (report->packets && !report->failed && !report->not_eesp)
        result = CMD_OK;
out:
    if (fd >= 0)
        close(fd);
    keylog_free(decoder.keylog);
    eesp_keyring_free(keyring);
    return result;
}

/* ---- Command line --------------------------------------------------------------- */

/* Digits of --aad into bytes. */
static int parse_aad(struct others_options *others, const char *text)
{
    size_t n = strlen(text) / 2;
    char pair[3] = { 0 }, *end;

    if (strlen(text) % 2 != 0 || n == 0 || n > EESP_TSS_AAD_MAX)
        goto refuse;
    for (others->aad_length = 0; others->aad_length < n; others->aad_length++) {
        memcpy(pair, text + 2 * others->aad_length, 2);
        if (!strchr("0123456789abcdefABCDEF", pair[0]))
            goto refuse;
        others->aad[others->aad_length] = (uint8_t)strtoul(pair, &end, 16);
        if (*end)
            goto refuse;
    }
    return 0;
refuse:
    cmd_complain("--aad '%s' is not 1 to %d bytes in hexadecimal", text,
                 EESP_TSS_AAD_MAX);
    return -1;
}

/* Other than EESP: what an option is good for there. */
static int check_others(const struct decode_options *options)
{
    const struct open_options *as = &options->open;
    bool psp = options->others.protocol == DECODE_PSP;

    if (options->as_json || options->limited || options->quiet ||
        as->has_rank || as->has_id || as->has_incarnation || options->keylog ||
        (psp && options->aad) || (!psp && options->pcap)) {
        cmd_complain(psp ? "--psp goes with --keyring and --pcap only"
                         : "--tss goes with --keyring and --aad only, and "
                           "takes hexadecimal from standard input");
        return -1;
    }
    if (options->aad && !options->keyring) {
        cmd_complain("--aad is for opening packets: it needs --keyring");
        return -1;
    }
    return 0;
}

static int parse_option(struct decode_options *options, int option)
{
    struct open_options *as = &options->open;
    uint64_t rank = 0;
    int result = 0;

    switch (option) {
    case 'k':
        options->keyring = options->others.keyring = optarg;
        break;
    case 'K':
        options->keylog = optarg;
        break;
    case 'p':
        options->pcap = options->others.pcap = optarg;
        break;
    case 'r':
        result = cmd_parse_number("rank", optarg, 10, UINT32_MAX, &rank);
        as->given.rank = (uint32_t)rank;
        as->has_rank = true;
        break;
    case 'i':
        result = cmd_parse_number("id", optarg, 16, UINT64_MAX, &as->given.id);
        as->has_id = true;
        break;
    case 'd':
        result = cmd_parse_number("dst-incarnation", optarg, 16, UINT64_MAX,
                                  &as->given.incarnation);
        as->has_incarnation = true;
        break;
    case 'j':
        options->as_json = true;
        break;
    case 'l':
        result = cmd_parse_number("limit", optarg, 10, UINT64_MAX,
                                  &options->limit);
        options->limited = true;
        break;
    case 'P':
        options->others.protocol = DECODE_PSP;
        break;
    case 'T':
        options->others.protocol = DECODE_TSS;
        break;
    case 'a':
        options->aad = optarg;
        result = parse_aad(&options->others, optarg);
        break;
    case 'q':
        options->quiet = true;
        break;
    default:
        result = -1;
    }
    return result;
}

int decode_main(int argc, char *argv[])
{
    static const struct option names[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "keylog", required_argument, NULL, 'K' },
        { "pcap", required_argument, NULL, 'p' },
        { "psp", no_argument, NULL, 'P' },
        { "tss", no_argument, NULL, 'T' },
        { "aad", required_argument, NULL, 'a' },
        { "rank", required_argument, NULL, 'r' },
        { "id", required_argument, NULL, 'i' },
        { "dst-incarnation", required_argument, NULL, 'd' },
        { "json", no_argument, NULL, 'j' },
        { "limit", required_argument, NULL, 'l' },
        { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct decode_options options = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CMD_OK;
        }
        if (parse_option(&options, option) < 0)
            return cmd_usage("decode");
    }
    if (options.others.protocol != DECODE_EESP) {
        if (check_others(&options) < 0)
            return cmd_usage("decode");
    } else if (options.keylog &&
               (options.keyring || options.open.has_rank ||
                options.open.has_id || options.open.has_incarnation)) {
        cmd_complain("--keylog says who receives, and needs no --keyring");
        return cmd_usage("decode");
    } else if (options.aad) {
        cmd_complain("--aad goes with --tss only");
        return cmd_usage("decode");
    }
    if (optind < argc) {
        cmd_complain("unexpected argument '%s'; a capture file is given with "
                     "--pcap", argv[optind]);
        return cmd_usage("decode");
    }
    return decode(&options);
}
