/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_pcap: from a capture file down to TCP segments and UDP datagrams.
 * Every length is checked against what was captured; frames of other kinds are
 * passed over.
 */
#include "eesp_config.h"

#include "decode.h"
#include "eesp_psp.h"

#ifdef HAVE_PCAP

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd,
    ETHER_VLAN = 0x8100, ETHER_QINQ = 0x88a8,
    PROTO_HOPS = 0, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44, PROTO_OPTIONS = 60,
};

struct capture {
    struct decode_sink *sink;
    struct tcp_table   *tcp;
    struct roce        *roce;
    struct tcp_segment  segment; /* the frame that is being read */
    char                time[40];
};

/* The bytes that are left of a frame. */
struct rest {
    const uint8_t *p;
    size_t         length;
};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Steps over length bytes; false if they were not captured. */
static bool step(struct rest *rest, size_t length)
{
    if (rest->length < length)
        return false;
    rest->p += length;
    rest->length -= length;
    return true;
}

static void trim(struct rest *rest, size_t length)
{
    if (rest->length > length)
        rest->length = length;
}

/* ---- Transport ------------------------------------------------------------- */

static void read_tcp(struct capture *capture, struct rest rest)
{
    struct tcp_segment *segment = &capture->segment;
    const uint8_t *p = rest.p;

    if (rest.length < 20 || (p[12] >> 4) < 5 ||
        !step(&rest, (p[12] >> 4) * 4u))
        return;
    segment->port[0] = (uint16_t)get16(p);
    segment->port[1] = (uint16_t)get16(p + 2);
    segment->sequence = get32(p + 4);
    segment->acknowledged = get32(p + 8);
    segment->flags = p[13];
    segment->bytes = rest.p;
    segment->length = rest.length;
    tcp_add(capture->tcp, segment);
}

static bool reads_eesp(const struct capture *capture)
{
    return capture->sink->keyring || capture->sink->keylog;
}

static void read_udp(struct capture *capture, struct rest rest)
{
    struct tcp_segment *segment = &capture->segment;
    char where[DECODE_WHERE_MAX];
    struct decode_packet packet = { .where = where, .time = segment->time };
    const uint8_t *p = rest.p;

    if (!step(&rest, 8))
        return;
    if (get16(p + 4) >= 8)
        trim(&rest, get16(p + 4) - 8);
    segment->port[0] = (uint16_t)get16(p);
    segment->port[1] = (uint16_t)get16(p + 2);
    if (reads_eesp(capture) && segment->port[1] == ROCE_PORT) {
        segment->bytes = rest.p;
        segment->length = rest.length;
        roce_add(capture->roce, segment);
        return;
    }
    if (reads_eesp(capture)
            ? !decode_is_eesp(capture->sink, rest.p, rest.length)
            : get16(p + 2) != EESP_PSP_PORT)
        return;
    tcp_where(where, segment->frame, segment->address, segment->port);
    packet.bytes = rest.p;
    packet.length = rest.length;
    capture->sink->packet(capture->sink, &packet);
}

static void read_transport(struct capture *capture, unsigned proto,
                           struct rest rest)
{
    if (proto == PROTO_TCP && reads_eesp(capture))
        read_tcp(capture, rest);
    else if (proto == PROTO_UDP)
        read_udp(capture, rest);
}

/* ---- IP ------------------------------------------------------------------------ */

static void map_ipv4(uint8_t out[16], const uint8_t address[4])
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, address, 4);
}

static void read_ipv4(struct capture *capture, struct rest rest)
{
    const uint8_t *p = rest.p;
    size_t header;

    if (rest.length < 20 || p[0] >> 4 != 4)
        return;
    header = (p[0] & 15) * 4u;
    /* 0 where the network card splits what the host sends as one. */
    if (get16(p + 2))
        trim(&rest, get16(p + 2));
    if (header < 20 || !step(&rest, header))
        return;
    if (get16(p + 6) & 0x3fff) {
        capture->sink->streams.fragments++;
        return;
    }
    map_ipv4(capture->segment.address[0], p + 12);
    map_ipv4(capture->segment.address[1], p + 16);
    read_transport(capture, p[9], rest);
}

static void read_ipv6(struct capture *capture, struct rest rest)
{
    const uint8_t *p = rest.p;
    unsigned next;

    if (!step(&rest, 40) || p[0] >> 4 != 6)
        return;
    memcpy(capture->segment.address[0], p + 8, 16);
    memcpy(capture->segment.address[1], p + 24, 16);
    if (get16(p + 4))
        trim(&rest, get16(p + 4));
    next = p[6];
    while (next == PROTO_HOPS || next == PROTO_ROUTING ||
           next == PROTO_OPTIONS) {
        p = rest.p;
        if (rest.length < 8 || !step(&rest, (p[1] + 1u) * 8))
            return;
        next = p[0];
    }
    if (next == PROTO_FRAGMENT)
        capture->sink->streams.fragments++;
    else
        read_transport(capture, next, rest);
}

static void read_ip(struct capture *capture, struct rest rest)
{
    if (rest.length && rest.p[0] >> 4 == 4)
        read_ipv4(capture, rest);
    else if (rest.length && rest.p[0] >> 4 == 6)
        read_ipv6(capture, rest);
}

/* ---- Link ---------------------------------------------------------------------- */

/* By the type at p, whose payload starts after it. */
static void read_ethertype(struct capture *capture, struct rest rest)
{
    unsigned type;

    do {
        if (rest.length < 2)
            return;
        type = get16(rest.p);
        step(&rest, 2);
    } while ((type == ETHER_VLAN || type == ETHER_QINQ) && step(&rest, 2));
    if (type == ETHER_IPV4 || type == ETHER_IPV6)
        read_ip(capture, rest);
}

static void read_link(struct capture *capture, int link, struct rest rest)
{
    switch (link) {
    case DLT_EN10MB:
        if (step(&rest, 12))
            read_ethertype(capture, rest);
        break;
    case DLT_LINUX_SLL:
        if (step(&rest, 14))
            read_ethertype(capture, rest);
        break;
#ifdef DLT_LINUX_SLL2
    case DLT_LINUX_SLL2: {
        unsigned type = rest.length < 2 ? 0 : get16(rest.p);

        if (step(&rest, 20) && (type == ETHER_IPV4 || type == ETHER_IPV6))
            read_ip(capture, rest);
        break;
    }
#endif
    case DLT_NULL:
    case DLT_LOOP:
        if (step(&rest, 4))
            read_ip(capture, rest);
        break;
    default: /* DLT_RAW; can_read() lets nothing else pass */
        read_ip(capture, rest);
    }
}

static bool can_read(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_LINUX_SLL:
#ifdef DLT_LINUX_SLL2
    case DLT_LINUX_SLL2:
#endif
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_RAW:
        return true;
    default:
        return false;
    }
}

/* ---- File ------------------------------------------------------------------------ */

static void print_time(char *text, size_t size, const struct timeval *when)
{
    char seconds[32] = "?";
    struct tm tm;

    if (gmtime_r(&when->tv_sec, &tm))
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, size, "%s.%06uZ", seconds,
             (unsigned)when->tv_usec % 1000000);
}

static void read_frames(pcap_t *pcap, struct decode_sink *sink)
{
    struct capture capture = { .sink = sink, .tcp = tcp_new(sink),
                               .roce = roce_new(sink) };
    struct pcap_pkthdr *header;
    char where[DECODE_WHERE_MAX];
    const uint8_t *bytes;
    int link = pcap_datalink(pcap), got;

    capture.segment.time = capture.time;
    while ((got = pcap_next_ex(pcap, &header, &bytes)) == 1) {
        capture.segment.frame++;
        print_time(capture.time, sizeof(capture.time), &header->ts);
        read_link(&capture, link,
                  (struct rest){ .p = bytes, .length = header->caplen });
    }
    tcp_finish(capture.tcp);
    roce_free(capture.roce);
    /* A file that was cut off: what came before still counts. */
    if (got == PCAP_ERROR) {
        snprintf(where, sizeof(where), "after frame %" PRIu64,
                 capture.segment.frame);
        sink->event(sink, DECODE_BAD_INPUT, where, pcap_geterr(pcap));
    }
}

int decode_pcap(int fd, const char *name, struct decode_sink *sink)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = NULL;
    FILE *in = NULL;
    int copy, result = -1;

    copy = dup(fd);
    if (copy >= 0)
        in = fdopen(copy, "r");
    if (!in) {
        cmd_complain("cannot read %s: %s", name, strerror(errno));
        return -1;
    }
    pcap = pcap_fopen_offline(in, why);
    if (!pcap) {
        cmd_complain("%s is not a capture file: %s", name, why);
        fclose(in);
        return -1;
    }
    if (!can_read(pcap_datalink(pcap))) {
        cmd_complain("%s: link type %d is not supported (Ethernet, Linux "
                     "\"any\", loopback and raw IP are)", name,
                     pcap_datalink(pcap));
        goto out;
    }
    read_frames(pcap, sink);
    result = 0;
out:
    pcap_close(pcap); /* and in */
    return result;
}

#else

int decode_pcap(int fd, const char *name, struct decode_sink *sink)
{
    (void)fd;
    (void)sink;
    cmd_complain("cannot read %s: not built with libpcap (install "
                 "libpcap-dev and rebuild)", name);
    return -1;
}

#endif
