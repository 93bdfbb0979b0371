/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma: put, get and atomics as sealed messages that the target's plugin serves.
 *
 *     rma_region.c  memory that peers may reach, and its keys
 *     rma_send.c    the requester: requests (atomics: rma_amo.c)
 *     rma_reply.c   the requester: replies, flush
 *     rma_serve.c   the target: requests (atomics: rma_atomic.c)
 *     rma_peer.c    the target: who asks, and over what it is answered
 *     rma_job.c     the target: replies, which may have to wait
 *     rma_data.c    data packets, opened where their data belongs
 *
 * All messages go on an endpoint's first channel, in one order with active
 * messages: so the target serves them in the order in which they were posted,
 * and its replies come in that order. That channel is the program's thread's
 * alone, also where the lower has one; what both use is locked. Each request has a number, counted by its
 * endpoint; a reply to one acknowledges all before it. Behind the 8 bytes that
 * every message has (their first byte is the type):
 *
 *     request    token 4 | zero 4 | number 8 | key 16 | address 8 | ..
 *       HELLO      token 4 | lengths 2, 2 | number 8 | interface address |
 *                  device address: where replies go, before the first request;
 *                  not where lowers connect endpoint to endpoint
 *       PUT        .. flags 8 | data
 *       CURSOR     ..: data packets follow, which are put there one by one
 *       GET        .. flags 8 | length 8
 *       ATOMIC     .. flags 8 | value 8 | compare 8
 *       ASK        token 4 | zero 4 | number 8: wants an acknowledgement
 *     reply      token 4 | status 4 | number 8 | ..
 *       ACK        -
 *       VALUE      .. value 8
 *       DATA       .. data, all of it
 *       STREAM     .. offset 8: data packets follow, and those of the next gets
 *       REFUSED    .. first 8: requests from there to number, by status
 *
 * token names the requester's endpoint. Data packets come under other ids of
 * the lower, since where they belong must be known before they are opened:
 * what a CURSOR or STREAM, which is authentic, has said. That they are opened
 * in order is seen by the number of the packet before, which each names.
 */
#ifndef EESP_RMA_H
#define EESP_RMA_H

#include "plugin.h"

/* Types of message, behind UCT's ids of active messages. */
enum {
    UCT_EESP_RMA_HELLO = UCT_AM_ID_MAX,
    UCT_EESP_RMA_PUT,
    UCT_EESP_RMA_CURSOR,
    UCT_EESP_RMA_GET,
    UCT_EESP_RMA_ATOMIC,
    UCT_EESP_RMA_ASK,
    UCT_EESP_RMA_OFFER, /* offload.h */
    UCT_EESP_RMA_FETCH,
    UCT_EESP_RMA_ACK,
    UCT_EESP_RMA_VALUE,
    UCT_EESP_RMA_DATA,
    UCT_EESP_RMA_STREAM,
    UCT_EESP_RMA_REFUSED,
    UCT_EESP_RMA_ACCEPT, /* offload.h */
    UCT_EESP_RMA_WRITTEN,
    UCT_EESP_RMA_PACKET, /* of data */
    UCT_EESP_RMA_LAST
};

/* Peers before it is asked which of them are alive. */
#define UCT_EESP_RMA_SWEEP 16u

#define UCT_EESP_RMA_KEY UCT_EESP_RKEY_LEN

/* Bytes behind the 8 of every message. */
#define UCT_EESP_RMA_HEAD    16 /* token, status, number */
#define UCT_EESP_RMA_REQUEST (UCT_EESP_RMA_HEAD + UCT_EESP_RMA_KEY + 8)
#define UCT_EESP_RMA_PUT_LEN (UCT_EESP_RMA_REQUEST + 8)
#define UCT_EESP_RMA_GET_LEN (UCT_EESP_RMA_REQUEST + 16)
#define UCT_EESP_RMA_ATOMIC_LEN (UCT_EESP_RMA_REQUEST + 24)
#define UCT_EESP_RMA_MESSAGE_MAX UCT_EESP_RMA_ATOMIC_LEN

/* Flags: PUT wants an acknowledgement, GET a reply in one piece or, before its
 * data, a STREAM. ATOMIC has operation 1 | bytes 1 | whether it fetches 1. */
#define UCT_EESP_RMA_FLAG_ACK      1
#define UCT_EESP_RMA_FLAG_PIECE    1
#define UCT_EESP_RMA_FLAG_ANNOUNCE 2
#define UCT_EESP_RMA_CSWAP      UCT_ATOMIC_OP_LAST

/* See uct_eesp_rma_max_copy(). */
#define UCT_EESP_RMA_COPY_MAX 2048

/* Bytes of the first data packet of a get that is alone: uct_eesp_rma_job_chunk() */
#define UCT_EESP_RMA_OVERLAP 16384u

/* ---- rma_region.c ------------------------------------------------------ */

typedef struct uct_eesp_region {
    uintptr_t    address;
    size_t       length;
    unsigned     access; /* UCT_MD_MEM_ACCESS_x */
    int          has_key;
    uint8_t      key[UCT_EESP_RMA_KEY];
    unsigned     users;  /* are in it now; under the MD's lock */
    ucs_list_link_t fetches; /* of it, at the card; under its lock */
} uct_eesp_region_t;

/* A memory access that is asked for. */
typedef struct uct_eesp_access {
    uint8_t      key[UCT_EESP_RMA_KEY];
    uint64_t     address;
} uct_eesp_access_t;

/*
 * The region of an access, if it allows `right` to all of length bytes: until
 * uct_eesp_region_put() it does not go away. UCS_ERR_INVALID_ADDR: no such key;
 * UCS_ERR_OUT_OF_RANGE; UCS_ERR_REJECTED: no such right.
 */
ucs_status_t uct_eesp_region_get(uct_eesp_md_t *md,
                                 const uct_eesp_access_t *access,
                                 uint64_t length, unsigned right,
                                 uct_eesp_region_t **region_p);
void uct_eesp_region_put(uct_eesp_md_t *md, uct_eesp_region_t *region);

/* ---- Requester --------------------------------------------------------- */

typedef enum {
    UCT_EESP_RMA_OP_DONE,  /* a put's: it is done */
    UCT_EESP_RMA_OP_FLUSH, /* all before it is done */
    UCT_EESP_RMA_OP_VALUE, /* an atomic's */
    UCT_EESP_RMA_OP_PIECE, /* get into unpack_cb */
    UCT_EESP_RMA_OP_BUFFER /* get into memory */
} uct_eesp_rma_op_type_t;

/* What waits for a reply. */
typedef struct uct_eesp_rma_op {
    ucs_queue_elem_t       queue;
    uct_eesp_rma_op_type_t type;
    uint64_t               number;
    uct_completion_t      *comp;
    ucs_status_t           status;
    void                  *result; /* value, buffer or unpack_cb's argument */
    size_t                 length, received;
    uct_unpack_callback_t  unpack_cb;
    struct uct_eesp_offload_get *get; /* by the card; else NULL */
} uct_eesp_rma_op_t;

/* A requester's side of an endpoint, made with its first request. */
typedef struct uct_eesp_rma_ep {
    uct_eesp_ep_t         *ep;
    uint32_t               token;
    int                    introduced; /* HELLO was sent */
    uint64_t               number;     /* of the last request */
    uint64_t               acked;      /* all up to it are done */
    uint64_t               awaited;    /* an answer comes for all up to it */
    ucs_status_t           refused;    /* of requests without completion, until
                                          a flush reports it */
    ucs_queue_head_t       ops;        /* by number */
    int                    announce;   /* the next get wants a STREAM, as data */
    uint64_t               abandoned;  /* of gets up to here may still come */
    ucs_list_link_t        busy;       /* of the interface, if number > acked */
    /* Where the target puts the next data packet, if it is request number: */
    uct_eesp_access_t      cursor;
    uint64_t               cursor_number;
    struct uct_eesp_offload_link *link; /* of the card */
} uct_eesp_rma_ep_t;

/* ---- Target ------------------------------------------------------------ */

/* A reply on its way. */
typedef struct uct_eesp_rma_job {
    ucs_queue_elem_t  queue;
    uint8_t           type; /* of the message; GET: data of a region */
    int               piece;
    int               announce; /* GET: the requester wants a STREAM */
    uint32_t          token;
    uint64_t          number;
    uint64_t          first;  /* REFUSED */
    ucs_status_t      status;
    uint64_t          value;
    uct_eesp_access_t access; /* GET: of what remains */
    uint64_t          length; /* of it */
    uint64_t          offset;
    struct uct_eesp_fetch *fetch; /* GET by the card; else NULL */
} uct_eesp_rma_job_t;

/* A requesting interface, by its incarnation, and our endpoint to it. Over lowers
 * that connect endpoint to endpoint, a requesting endpoint, and ours that it is
 * connected to. */
typedef struct uct_eesp_rma_peer {
    uct_eesp_iface_t      *iface;
    uct_eesp_ep_t         *ep;        /* NULL: not yet made */
    int                    failed;    /* nothing goes there any more */
    uint64_t               index;     /* by which it is found */
    uint64_t               incarnation;
    uint16_t               session;   /* endpoint to endpoint */
    ucs_list_link_t        visit;     /* an endpoint is to be made or closed */
    int                    visits;
    uint64_t               iface_addr[16], dev_addr[32]; /* aligned */
    ucs_queue_head_t       jobs;
    uct_pending_req_t      req;       /* in the endpoint's queue, if waiting */
    int                    waiting;
    /* An acknowledgement that may wait for more: */
    ucs_list_link_t        owing;
    int                    owes;
    uint32_t               owed_token;
    uint64_t               owed_number;
    struct uct_eesp_offload_link *link; /* of the card */
} uct_eesp_rma_peer_t;

/* Where the data packets of a peer's channel go. */
typedef struct uct_eesp_rma_cursor {
    uint64_t          incarnation;
    uint16_t          session;
    uint8_t           type;  /* CURSOR or STREAM */
    uint32_t          token;
    uint64_t          number;
    int               next;   /* STREAM: it is done, data is the next get's */
    uct_eesp_access_t access; /* CURSOR */
    uint64_t          offset; /* STREAM */
} uct_eesp_rma_cursor_t;

KHASH_MAP_INIT_INT(uct_eesp_rma_ep, uct_eesp_rma_ep_t*)
KHASH_MAP_INIT_INT64(uct_eesp_rma_peer, uct_eesp_rma_peer_t*)
KHASH_MAP_INIT_INT64(uct_eesp_rma_cursor, uct_eesp_rma_cursor_t)

/* An id of the lower for data packets with so many bytes of padding. */
typedef struct uct_eesp_rma_padded {
    struct uct_eesp_iface *iface;
    unsigned               padding;
} uct_eesp_rma_padded_t;

/* Of an interface. */
struct uct_eesp_rma {
    khash_t(uct_eesp_rma_ep)     eps; /* by token */
    uint32_t                     next_token;
    ucs_list_link_t              busy;
    ucs_mpool_t                  ops;
    khash_t(uct_eesp_rma_peer)   peers; /* by incarnation, or sender */
    ucs_mpool_t                  jobs;
    unsigned                     sweep_at;
    /* For the next round of progress: peers to visit, acknowledgements. */
    ucs_list_link_t              visits, owing;
    uct_worker_cb_id_t           later_id;
    khash_t(uct_eesp_rma_cursor) cursors;
    uct_eesp_rma_padded_t        padded[4];
    ucs_status_t                 refused; /* until a flush reports it */
    unsigned                     told;    /* of refusals */
};

#define UCT_EESP_RMA_TELL 8

/* A message of this file's, behind its first 8 bytes. */
typedef struct uct_eesp_rma_message {
    uint8_t                    type;
    const uint8_t             *data;
    size_t                     length;
    const struct eesp_opened  *opened; /* who has sent it */
} uct_eesp_rma_message_t;

static UCS_F_ALWAYS_INLINE uct_eesp_iface_t *
uct_eesp_rma_iface(const uct_eesp_rma_ep_t *rma)
{
    return uct_eesp_ep_iface(rma->ep);
}

/* An endpoint that sends to us. */
static UCS_F_ALWAYS_INLINE uint64_t uct_eesp_rma_sender(uint64_t incarnation,
                                                        uint16_t session)
{
    return incarnation ^ (session * 0x9e3779b97f4a7c15ul);
}

/* How much one data packet holds: without padding if more follow. */
static UCS_F_ALWAYS_INLINE size_t
uct_eesp_rma_chunk(const uct_eesp_iface_t *iface)
{
    return ucs_align_down_pow2(iface->max_data, 64);
}

size_t uct_eesp_rma_max_bcopy(const uct_eesp_iface_t *iface); /* of one message */

/* Up to this many bytes go in one message and are copied, which costs less than
 * the message that announces data packets. */
static UCS_F_ALWAYS_INLINE size_t
uct_eesp_rma_max_copy(const uct_eesp_iface_t *iface)
{
    return ucs_min(UCT_EESP_RMA_COPY_MAX, uct_eesp_rma_max_bcopy(iface));
}

/* rma.c: NULL if there is no memory. */
uct_eesp_rma_ep_t *uct_eesp_rma_ep_create(uct_eesp_ep_t *ep);

/* rma_send.c, of every request: its endpoint can send now, and be answered, and
 * no other thread comes between until its end; its key and address behind its
 * number; it is on its way, and answered by itself if `awaited`. */
ucs_status_t uct_eesp_rma_begin(uct_ep_h tl_ep, uct_eesp_rma_ep_t **rma_p);
static UCS_F_ALWAYS_INLINE void uct_eesp_rma_end(const uct_eesp_rma_ep_t *rma)
{
    uct_eesp_leave(uct_eesp_rma_iface(rma));
}
void uct_eesp_rma_request(const uct_eesp_rma_ep_t *rma, uct_rkey_t rkey,
                          uint64_t address, uint8_t *out);
void uct_eesp_rma_posted(uct_eesp_rma_ep_t *rma, int awaited);
/* Of those that have an op, which is given back if it could not be sent. */
uct_eesp_rma_op_t *uct_eesp_rma_op_get(uct_eesp_rma_ep_t *rma,
                                       uct_eesp_rma_op_type_t type,
                                       uct_completion_t *comp);
ucs_status_t uct_eesp_rma_post_op(uct_eesp_rma_ep_t *rma, uint8_t id,
                                  const struct iovec *parts, unsigned count,
                                  uct_eesp_rma_op_t *op);
/* The target is asked for an acknowledgement, if none is coming. */
ucs_status_t uct_eesp_rma_ask(uct_eesp_rma_ep_t *rma);

/* rma_data.c */
ucs_status_t uct_eesp_rma_send_packet(uct_eesp_ep_t *ep, const void *data,
                                      size_t length);
void uct_eesp_rma_cursor_set(uct_eesp_iface_t *iface,
                             const struct eesp_opened *opened,
                             const uct_eesp_rma_cursor_t *cursor);
ucs_status_t uct_eesp_rma_data_init(uct_eesp_iface_t *iface);

/* rma_reply.c */
void uct_eesp_rma_handle_reply(uct_eesp_iface_t *iface,
                               const uct_eesp_rma_message_t *message);
/* Where the next length bytes of a stream go; NULL: nobody waits for them. */
void *uct_eesp_rma_stream_place(uct_eesp_iface_t *iface,
                                const uct_eesp_rma_cursor_t *cursor,
                                size_t length);
/* They are there: moves the cursor behind them. */
void uct_eesp_rma_stream_advance(uct_eesp_iface_t *iface,
                                 uct_eesp_rma_cursor_t *cursor,
                                 size_t length);
/* NULL: none waits. */
uct_eesp_rma_op_t *uct_eesp_rma_op_find(uct_eesp_rma_ep_t *rma, uint64_t number,
                                        uct_eesp_rma_op_type_t type);
/* All up to number are done; answered: the one that got its data. */
void uct_eesp_rma_settle(uct_eesp_rma_ep_t *rma, uint64_t number,
                         const uct_eesp_rma_op_t *answered);
/* Whatever waits for replies on this endpoint ends with this status. */
void uct_eesp_rma_cancel(uct_eesp_rma_ep_t *rma, ucs_status_t status);

/* rma_serve.c */
void uct_eesp_rma_handle_request(uct_eesp_iface_t *iface,
                                 const uct_eesp_rma_message_t *message);
void uct_eesp_rma_refuse(uct_eesp_rma_peer_t *peer, uint32_t token,
                         uint64_t number, ucs_status_t status,
                         const struct eesp_opened *opened);

/* rma_peer.c */
void uct_eesp_rma_hello(uct_eesp_iface_t *iface,
                        const uct_eesp_rma_message_t *message);
/* NULL, once told: it has not introduced itself, or is at no endpoint's end. */
uct_eesp_rma_peer_t *uct_eesp_rma_peer(uct_eesp_iface_t *iface,
                                       const struct eesp_opened *opened);
void uct_eesp_rma_peer_visit(uct_eesp_rma_peer_t *peer);
void uct_eesp_rma_peer_later(uct_eesp_rma_peer_t *peer);
/* Nothing more goes there: it is closed by the next round of progress. */
void uct_eesp_rma_peer_fail(uct_eesp_rma_peer_t *peer);
void uct_eesp_rma_peers_destroy(uct_eesp_iface_t *iface);

/* rma_atomic.c: 0 if there is no such operation. */
int uct_eesp_rma_execute(void *word, uint8_t opcode, uint8_t size,
                         uint64_t value, uint64_t compare, uint64_t *before_p);

/* rma_job.c */
ucs_status_t uct_eesp_rma_job_post(uct_eesp_rma_peer_t *peer,
                                   const uct_eesp_rma_job_t *job, uint8_t type,
                                   const uint64_t *value, const void *data,
                                   size_t length);
void uct_eesp_rma_job_add(uct_eesp_rma_peer_t *peer,
                          const uct_eesp_rma_job_t *job);
/* An acknowledgement, together with others that come now. */
void uct_eesp_rma_owe(uct_eesp_rma_peer_t *peer, uint32_t token,
                      uint64_t number);
/* What waits is sent, as soon as there is an endpoint and room. */
void uct_eesp_rma_jobs_start(uct_eesp_rma_peer_t *peer);
void uct_eesp_rma_jobs_clear(uct_eesp_rma_peer_t *peer);
/* The next data packet to it follows nothing. */
void uct_eesp_rma_unannounce(uct_eesp_rma_peer_t *peer);
/* Takes its request out of its endpoint's queue. */
void uct_eesp_rma_withdraw(uct_eesp_rma_peer_t *peer);
void uct_eesp_rma_later(uct_eesp_iface_t *iface);

/* ---- For the rest of the plugin ------------------------------------------- */

ucs_status_t uct_eesp_rma_init(uct_eesp_iface_t *iface);
void uct_eesp_rma_cleanup(uct_eesp_iface_t *iface);
void uct_eesp_rma_query(const uct_eesp_iface_t *iface, uct_iface_attr_t *attr);
void uct_eesp_rma_message(uct_eesp_iface_t *iface, uint8_t type,
                          const uint8_t *data, size_t length,
                          const struct eesp_opened *opened);
/* The lower has lost an endpoint: a requester may be answered over it. */
void uct_eesp_rma_peer_failed(uct_eesp_ep_t *ep);
/* It is destroyed: answers that come find another way. */
void uct_eesp_rma_peer_leave(uct_eesp_ep_t *ep);
/* Whether a request in a queue is ours; if so it is forgotten. */
int uct_eesp_rma_forget(uct_pending_req_t *req);
/* Whether something is left for the next round of progress. */
int uct_eesp_rma_owes(const uct_eesp_iface_t *iface);
/* UCS_OK: all requests are done, and none was refused. */
ucs_status_t uct_eesp_rma_flush(uct_eesp_ep_t *ep, unsigned flags,
                                uct_completion_t *comp);
ucs_status_t uct_eesp_rma_iface_flush(uct_eesp_iface_t *iface);
void uct_eesp_rma_ep_destroy(uct_eesp_ep_t *ep);

ucs_status_t uct_eesp_ep_put_short(uct_ep_h tl_ep, const void *buffer,
                                   unsigned length, uint64_t remote_addr,
                                   uct_rkey_t rkey);
ssize_t uct_eesp_ep_put_bcopy(uct_ep_h tl_ep, uct_pack_callback_t pack_cb,
                              void *arg, uint64_t remote_addr, uct_rkey_t rkey);
ucs_status_t uct_eesp_ep_put_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                   size_t iovcnt, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp);
ucs_status_t uct_eesp_ep_get_bcopy(uct_ep_h tl_ep,
                                   uct_unpack_callback_t unpack_cb, void *arg,
                                   size_t length, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp);
ucs_status_t uct_eesp_ep_get_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                   size_t iovcnt, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp);
ucs_status_t uct_eesp_ep_atomic_cswap64(uct_ep_h ep, uint64_t compare,
                                        uint64_t swap, uint64_t remote_addr,
                                        uct_rkey_t rkey, uint64_t *result,
                                        uct_completion_t *comp);
ucs_status_t uct_eesp_ep_atomic_cswap32(uct_ep_h ep, uint32_t compare,
                                        uint32_t swap, uint64_t remote_addr,
                                        uct_rkey_t rkey, uint32_t *result,
                                        uct_completion_t *comp);
ucs_status_t uct_eesp_ep_atomic64_post(uct_ep_h ep, unsigned opcode,
                                       uint64_t value, uint64_t remote_addr,
                                       uct_rkey_t rkey);
ucs_status_t uct_eesp_ep_atomic32_post(uct_ep_h ep, unsigned opcode,
                                       uint32_t value, uint64_t remote_addr,
                                       uct_rkey_t rkey);
ucs_status_t uct_eesp_ep_atomic64_fetch(uct_ep_h ep, unsigned opcode,
                                        uint64_t value, uint64_t *result,
                                        uint64_t remote_addr, uct_rkey_t rkey,
                                        uct_completion_t *comp);
ucs_status_t uct_eesp_ep_atomic32_fetch(uct_ep_h ep, unsigned opcode,
                                        uint32_t value, uint32_t *result,
                                        uint64_t remote_addr, uct_rkey_t rkey,
                                        uct_completion_t *comp);

#endif
