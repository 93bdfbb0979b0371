/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode: from captured bytes to opened packets.
 *
 *     decode_hex, decode_pcap     input -> packets
 *     decode_tcp, decode_ucx        (TCP streams -> UCX frames -> packets)
 *     decode_roce                   (RoCEv2 -> UCX messages -> packets)
 *     decode_peers                who the receivers are
 *     decode_open                 packet -> payload, by a keyring
 *     decode_keylog                             or by a key log
 *     decode_report               counts and output
      decode_people, decode_json  for people, for machines
 *     decode                      the subcommand
 */
#ifndef EESP_DECODE_H
#define EESP_DECODE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "cmd.h"

/* Longer than any packet: max_payload is at most 1 MiB. */
#define DECODE_PACKET_MAX (2u << 20)

/* ---- Input --------------------------------------------------------------- */

#define DECODE_WHERE_MAX 160

struct decode_packet {
    const uint8_t *bytes;
    size_t         length;
    const char    *where;  /* "line 3" */
    const char    *time;   /* of capture, NULL: not known */
    bool           ucx;    /* was the data of a message of UCX */
};

enum decode_event {
    DECODE_BAD_INPUT, /* not hexadecimal: counts as a failed packet */
    DECODE_NOT_EESP,  /* data that is not sealed */
    DECODE_GAP,       /* bytes that the capture lacks */
};

/* What an input found beside packets and events. */
struct decode_streams {
    uint64_t setup_frames;  /* UCX's own: connection, keepalive */
    uint64_t ucx_streams;   /* TCP connections of UCX, directions of RC */
    uint64_t other_streams; /* and others, left alone */
    uint64_t fragments;     /* of IP, left alone */
    uint64_t gap_bytes;
};

/* What was found on one TCP connection: the sink's callbacks fill it. */
struct stream_tally {
    uint64_t bytes[2]; /* each direction */
    bool     ucx;      /* it is one of UCX's */
    uint64_t packets, opened, bad;
    uint32_t spi;      /* of the last that opened */
    unsigned aead;
    char     what[DECODE_WHERE_MAX + 200]; /* the first that is bad */
};

/* A connection whose end was seen, or the capture's. */
struct decode_stream {
    const uint8_t            (*address)[16]; /* of both ends; IPv4 mapped */
    const uint16_t            *port;
    const struct stream_tally *tally;
};

/* Takes what an input finds. */
struct decode_sink {
    const struct eesp_keyring *keyring; /* both NULL: PSP, not EESP */
    const struct keylog       *keylog;
    void (*packet)(struct decode_sink *sink,
                   const struct decode_packet *packet);
    void (*event)(struct decode_sink *sink, enum decode_event event,
                  const char *where, const char *text);
    /* May be NULL. */
    void (*stream)(struct decode_sink *sink,
                   const struct decode_stream *stream);
    struct stream_tally *tally; /* of what is told now, NULL: not TCP */
    struct decode_streams streams;
    bool empty_lines; /* each is an empty packet; else they are left out */
};

/* Both read from the position of fd to its end: 0, or -1 after a complaint. */
int decode_hex(int fd, struct decode_sink *sink);
int decode_pcap(int fd, const char *name, struct decode_sink *sink);

/* Starts like a packet under a policy of the keyring, or a key of the log. */
bool decode_is_eesp(const struct decode_sink *sink, const uint8_t *bytes,
                    size_t length);

enum decode_protocol { DECODE_EESP, DECODE_PSP, DECODE_TSS };

/* PSP or TSS. */
struct others_options {
    enum decode_protocol protocol;
    const char *keyring;    /* NULL: headers only */
    const char *pcap;       /* NULL: hexadecimal */
    uint8_t     aad[64];    /* in front of each TSS header */
    size_t      aad_length;
};

/* Shows packets of either input: exit code. */
int decode_others(const struct others_options *options, int fd);

/* ---- UCX framing ---------------------------------------------------------
 * One direction of a TCP connection, from its bytes in order.
 */
enum ucx_verdict { UCX_UNDECIDED, UCX_YES, UCX_NO };

struct ucx_stream {
    uint8_t *bytes;      /* not yet consumed */
    size_t   used, size;
    uint64_t skip;       /* next bytes that belong to no frame */
    uint64_t searched;   /* bytes thrown away in search of a frame */
    bool     searching;  /* where the next frame starts is not known */
    bool     from_start; /* nothing is missing before the bytes */
    bool     connector;  /* side that opened the connection */
};

/* What the events of a stream are labelled with. */
struct ucx_place {
    const char *where, *time;
};

void ucx_append(struct ucx_stream *stream, const uint8_t *bytes,
                size_t length);
/* Whether the bytes held are UCX's; last: no more will come. */
enum ucx_verdict ucx_classify(struct ucx_stream *stream,
                              const struct decode_sink *sink, bool last);
/* Gives the sink every frame that is complete. */
void ucx_parse(struct ucx_stream *stream, struct decode_sink *sink,
               const struct ucx_place *place);
/* length bytes are missing here: before or after the verdict. */
void ucx_gap_undecided(struct ucx_stream *stream);
void ucx_gap(struct ucx_stream *stream, struct decode_sink *sink,
             const struct ucx_place *place, uint64_t length);
/* No more bytes will come. */
void ucx_end(struct ucx_stream *stream, struct decode_sink *sink,
             const struct ucx_place *place);
void ucx_free(struct ucx_stream *stream);

/* ---- TCP reassembly ------------------------------------------------------- */

struct tcp_segment {
    uint8_t        address[2][16]; /* source, destination; IPv4 mapped */
    uint16_t       port[2];
    uint32_t       sequence, acknowledged;
    uint8_t        flags;
    const uint8_t *bytes;
    size_t         length;
    uint64_t       frame;  /* number in the capture */
    const char    *time;
};

struct tcp_table;

struct tcp_table *tcp_new(struct decode_sink *sink);
void tcp_add(struct tcp_table *table, const struct tcp_segment *segment);
/* Flushes what is held, and frees. */
void tcp_finish(struct tcp_table *table);

/* "frame 7, 10.0.0.1:9 > 10.0.0.2:10" */
void tcp_where(char where[static DECODE_WHERE_MAX], uint64_t frame,
               const uint8_t address[2][16], const uint16_t port[2]);

/* ---- RoCEv2 --------------------------------------------------------------- */

#define ROCE_PORT 4791

struct roce;

struct roce *roce_new(struct decode_sink *sink);
/* segment is a datagram to ROCE_PORT: without sequence numbers and flags. */
void roce_add(struct roce *roce, const struct tcp_segment *segment);
void roce_free(struct roce *roce);

/* ---- Receivers ------------------------------------------------------------
 * Who sent something is also who may receive: the incarnation under which it
 * sends is, at first, the one to which its peers bind their packets.
 */
struct receiver {
    uint32_t rank;
    uint64_t id;
    uint64_t incarnation;
};

enum { PEERS_NONE = -1 };

struct peers;

struct peers *peers_new(void);
void peers_free(struct peers *peers);
void peers_learn(struct peers *peers, const struct eesp_header *header);
/*
 * Goes through those whom header may be meant for: start with PEERS_NONE;
 * PEERS_NONE again at the end. Fills *receiver.
 */
int32_t peers_next(const struct peers *peers, int32_t cursor,
                   const struct eesp_header *header,
                   struct receiver *receiver);

/* ---- Opening --------------------------------------------------------------- */

struct open_options {
    bool            has_rank, has_id, has_incarnation;
    struct receiver given; /* by the user: before what was learned */
};

/* What became of one packet. */
struct open_result {
    int                            error;      /* EESP_OK: opened */
    bool                           has_header;
    struct eesp_header             header;
    const struct eesp_policy_info *policy;     /* NULL: not known */
    struct receiver                receiver;   /* last one tried */
    bool                           guessed;    /* nobody named the receiver */
    bool                           bound;      /* opened: to its incarnation */
    struct eesp_opened             opened;
};

struct opener;

/* With keylog, which may be NULL, keyring is not looked at. */
struct opener *opener_new(const struct eesp_keyring *keyring,
                          struct keylog *keylog,
                          const struct open_options *options,
                          const struct peers *peers);
/* The payload in result is good until the next call. */
void opener_open(struct opener *opener, const struct decode_packet *packet,
                 struct open_result *result);
void opener_free(struct opener *opener);

/*
 * The key of a level that header names, resolved to its full generation:
 * false if the ring does not hold it.
 */
bool opener_key(const struct eesp_keyring *keyring,
                const struct open_result *result, enum eesp_level level,
                struct eesp_key_info *key);

/* ---- Key log ---------------------------------------------------------------- */

/* NULL after a complaint. */
struct keylog *keylog_load(const char *path);
void keylog_free(struct keylog *keylog);
/* Whether it has a key of that SPI. */
bool keylog_knows(const struct keylog *keylog, uint32_t spi);
/* Opens a packet whose header result has; see opener_open(). */
void keylog_open(struct keylog *keylog, const struct decode_packet *packet,
                 struct open_result *result);

/* ---- Output ---------------------------------------------------------------- */

struct report {
    const struct eesp_keyring *keyring;
    bool     as_json, quiet;
    bool     limited;
    uint64_t left;           /* to print, if limited */
    uint64_t packets, opened, failed, not_eesp, gaps;
};

void report_packet(struct report *report, const struct decode_packet *packet,
                   const struct open_result *result);
void report_event(struct report *report, enum decode_event event,
                  const char *where, const char *text);
void report_summary(const struct report *report,
                    const struct decode_streams *streams, bool pcap);

/* Digits of an opened payload, to be freed. */
char *report_payload(const struct open_result *result);

/* The message data of UCX follows active-message id(1) | 0(7). */
#define REPORT_UCX_HEADER 8

void people_packet(const struct report *report,
                   const struct decode_packet *packet,
                   const struct open_result *result);
void people_event(const struct report *report, enum decode_event event,
                  const char *where, const char *text);
void json_packet(const struct report *report,
                 const struct decode_packet *packet,
                 const struct open_result *result);
void json_event(const char *type, const char *where, const char *text);
void json_summary(const struct report *report,
                  const struct decode_streams *streams);

#endif
