/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin: the objects of the UCX transport "eesp" and how they lie on each
 * other. Above, UCT's internal interface; below, only UCT's public one.
 *
 *     component -> MD (keyring, policy, identity, lower devices)
 *                  -> interface (one lower interface, one lane of libeesp)
 *                     -> endpoint (one lower endpoint, one Session ID)
 *
 * An active message is sealed in the pack callback of the lower's am_bcopy, so
 * that its sequence number is taken only once the lower has room (but for those
 * that fit into a line of a FIFO); it is opened in the lower's active-message
 * callback.
 */
#ifndef EESP_PLUGIN_H
#define EESP_PLUGIN_H

#include "config.h"

/*
 * In a UCX with assertions, as the distribution's is, the lock of an async
 * context is longer, and the context's mode lies behind it. With the other
 * layout UCS_ASYNC_BLOCK() would take no lock, and damage it: lower_iface.c
 * looks. The assertions themselves are not wanted in what is inlined here.
 */
#include <ucs/debug/assert.h>
#undef UCS_ENABLE_ASSERT
#define UCS_ENABLE_ASSERT 1
#include <ucs/async/async.h>
#undef UCS_ENABLE_ASSERT
#define UCS_ENABLE_ASSERT 0

#include <ucs/datastruct/khash.h>
#include <ucs/datastruct/list.h>
#include <ucs/datastruct/mpool.h>
#include <ucs/datastruct/queue.h>
#include <ucs/type/class.h>
#include <ucs/type/spinlock.h>
#include <uct/base/uct_component.h>
#include <uct/base/uct_iface.h>
#include <uct/base/uct_md.h>

#include "eesp.h"
#include "ways.h"
#include "../src/source/source.h"

/*
 * Payload of an EESP packet inside UCX: active-message id 1 | low 56 bits of the
 * sequence number of the message before it on the same endpoint, 0: none | data.
 */
#define EESP_AM_HEADER   8
#define EESP_AM_PREVIOUS UCS_MASK(56)
/*
 * The lower's active-message ids that we use, the real one is sealed. The second
 * is for ids whose handlers may run in UCX's own thread, on lowers that call
 * them there: only so a sealed wire-up message is answered while the program
 * computes, as UCP wants it from the transport that connects others.
 */
#define EESP_AM_LOWER       0
#define EESP_AM_LOWER_ASYNC 1
#define EESP_AM_LOWER_LAST  2
/* And, with so many bytes of padding added, those of data packets: rma.h. */
#define EESP_AM_LOWER_DATA  2
#define EESP_AM_MAX_IOV 16 /* of am_zcopy; two more parts are ours */

/* ---- identity.c -------------------------------------------------------- */

/* Who this process is to its peers (architecture, "Identity"). */
typedef struct uct_eesp_identity {
    int      has_rank; /* a launcher or UCX_EESP_RANK has told */
    uint32_t rank;
    uint64_t name_space; /* hash of the launcher's namespace */
    char     name[64];   /* the start of its text, for people */
    uint64_t process;    /* random, the same for all contexts of a process */
} uct_eesp_identity_t;

ucs_status_t uct_eesp_identity_find(const char *rank_config,
                                    uct_eesp_identity_t *identity);

/* ---- MD: md.c ---------------------------------------------------------- */

/* What a network card may do of the sealing: UCX_EESP_OFFLOAD. */
typedef enum uct_eesp_offload {
    UCT_EESP_OFFLOAD_OFF,
    UCT_EESP_OFFLOAD_AEAD,     /* what is as strong as our AEAD: no card is */
    UCT_EESP_OFFLOAD_CONF,     /* AES-XTS: confidential only */
    UCT_EESP_OFFLOAD_CONF_MAC,
    UCT_EESP_OFFLOAD_LAST
} uct_eesp_offload_t;

typedef struct uct_eesp_md_config {
    uct_md_config_t        super;
    char                  *keyring;
    char                  *policy;
    char                  *rank;
    char                  *backend;
    ucs_config_names_array_t lower;
    char                  *stat_dir;
    char                  *audit;
    char                  *keylog;
    int                    fips;
    uct_eesp_offload_t     offload;
    unsigned               key_cache;
    unsigned               replay_table;
    double                 reload_interval;
    int                    rma;
} uct_eesp_md_config_t;

/* A device of another transport that carries our packets. */
typedef struct uct_eesp_lower {
    uct_component_h        component;
    uct_md_h               md;
    uct_tl_resource_desc_t resource;
    char                   name[UCT_DEVICE_NAME_MAX]; /* of our device */
} uct_eesp_lower_t;

/* A keyring in use; the MD and interfaces hold it. users: under md->lock. */
typedef struct uct_eesp_ring {
    struct eesp_keyring *keyring;
    unsigned             users;
    int                  stale; /* it was seen that it has to be read anew */
} uct_eesp_ring_t;

/* The page of this context in shared memory: stat.c. */
typedef struct uct_eesp_stat uct_eesp_stat_t;

/* What the lines of audit.c tell. */
typedef struct uct_eesp_audit {
    char                *where;
    int                  started;
    int                  told;    /* that a line was lost */
    pid_t                owner;
    unsigned             context; /* number of it in this process */
    time_t               begun;
    char                 backend[32];
    unsigned             peers;   /* the most at one time, under md->lock */
    struct eesp_counters sum;     /* of interfaces that are closed, likewise */
} uct_eesp_audit_t;

/* A process behind an identity, and our endpoints to it. */
typedef struct uct_eesp_process {
    uint64_t id;
    unsigned endpoints;
} uct_eesp_process_t;

KHASH_MAP_INIT_INT64(uct_eesp_process, uct_eesp_process_t)

struct uct_eesp_region;
KHASH_MAP_INIT_INT64(uct_eesp_region, struct uct_eesp_region*)

typedef struct uct_eesp_md {
    uct_md_t                    super;
    uct_eesp_ring_t            *ring; /* the newest keyring, see ring.c */
    uint64_t                    ring_serial; /* counts replacements */
    struct eesp_source_seen     ring_seen;   /* as read last */
    double                      reload_interval; /* seconds */
    int                         ring_timer;  /* -1: none */
    struct eesp_policy_info     info;     /* of the policy; but for its epoch,
                                             replacements have the same */
    size_t                      overhead; /* eesp_overhead() of it */
    uct_eesp_identity_t         identity;
    char                       *keyring_name;
    char                       *backend; /* NULL: best */
    char                       *stat_dir;
    uct_eesp_stat_t            *stat;    /* NULL: none is kept; see stat.c */
    int                         stat_off; /* none could be made */
    uct_eesp_audit_t            audit;
    int                         keylog;   /* descriptor, -1: none */
    ucs_list_link_t             ifaces;  /* under lock */
    unsigned                    key_cache, replay_table;
    uct_md_h                   *lower_mds;
    unsigned                    num_lower_mds;
    uct_eesp_lower_t           *lowers;
    unsigned                    num_lowers;
    /* (namespace, rank) -> process, as long as there are endpoints to it:
     * shows two processes with one identity at one time. Guarded by lock:
     * workers may have own threads. Who holds a worker's lock, or the card's,
     * may take this one; who holds this one takes neither. */
    khash_t(uct_eesp_process)   processes;
    ucs_recursive_spinlock_t    lock;
    int                         rma;     /* UCX_EESP_RMA */
    struct uct_eesp_card       *card;    /* of UCX_EESP_OFFLOAD; NULL: none */
    uint64_t                    card_bytes; /* that it brought, opened */
    khash_t(uct_eesp_region)    regions; /* by the start of their key; lock */
    uint8_t                     keys[1024]; /* random, for regions to come */
    unsigned                    num_keys;
} uct_eesp_md_t;

extern ucs_config_field_t uct_eesp_md_config_table[];
ucs_status_t uct_eesp_md_open(uct_component_t *component, const char *md_name,
                              const uct_md_config_t *config, uct_md_h *md_p);
ucs_status_t uct_eesp_query_devices(uct_md_h tl_md,
                                    uct_tl_device_resource_t **devices_p,
                                    unsigned *num_devices_p);

/* rma_region.c */
ucs_status_t uct_eesp_mem_reg(uct_md_h tl_md, void *address, size_t length,
                              unsigned flags, uct_mem_h *memh_p);
ucs_status_t uct_eesp_mem_dereg(uct_md_h tl_md,
                                const uct_md_mem_dereg_params_t *params);
ucs_status_t uct_eesp_mkey_pack(uct_md_h tl_md, uct_mem_h memh,
                                const uct_md_mkey_pack_params_t *params,
                                void *rkey_buffer);
ucs_status_t uct_eesp_rkey_unpack(uct_component_t *component,
                                  const void *rkey_buffer, uct_rkey_t *rkey_p,
                                  void **handle_p);
ucs_status_t uct_eesp_rkey_release(uct_component_t *component, uct_rkey_t rkey,
                                   void *handle);
/* Bytes of a packed key, also where RMA is off: a peer cannot know. */
#define UCT_EESP_RKEY_LEN 16

/* Whether the user asked for this transport: says how loud a refusal is. */
int uct_eesp_is_wanted(void);
#define uct_eesp_refuse(_fmt, ...) \
    ucs_log(uct_eesp_is_wanted() ? UCS_LOG_LEVEL_ERROR : UCS_LOG_LEVEL_DIAG, \
            "eesp: " _fmt, ## __VA_ARGS__)

/* ---- ring.c ------------------------------------------------------------ */

/* Reads the keyring for the first time. */
ucs_status_t uct_eesp_ring_load(uct_eesp_md_t *md);
/* Makes and drops a lane: whether it can seal, after a move to next if any. */
int uct_eesp_ring_try(const uct_eesp_md_t *md,
                      const struct eesp_keyring *keyring,
                      const struct eesp_keyring *next, char why[EESP_WHY_LEN]);
/* The newest one, to be put back; *serial_p is its number. */
uct_eesp_ring_t *uct_eesp_ring_get(uct_eesp_md_t *md, uint64_t *serial_p);
void uct_eesp_ring_put(uct_eesp_md_t *md, uct_eesp_ring_t *ring);
/* Looks for replacements from now on; more than once does no harm. */
ucs_status_t uct_eesp_ring_watch(uct_eesp_md_t *md);
void uct_eesp_ring_unwatch(uct_eesp_md_t *md);
struct uct_eesp_iface;
void uct_eesp_iface_follow(struct uct_eesp_iface *iface);

/* ---- stat.c ------------------------------------------------------------ */

/* Called with the first interface; again does no harm. */
void uct_eesp_stat_open(uct_eesp_md_t *md);
void uct_eesp_stat_close(uct_eesp_md_t *md);
/* Counts what this interface does, and did. */
void uct_eesp_stat_add(struct uct_eesp_iface *iface);
void uct_eesp_stat_remove(struct uct_eesp_iface *iface);
/* A keyring was taken in the place of old. */
void uct_eesp_stat_ring(uct_eesp_md_t *md, const struct eesp_keyring *old);
/* A lane has moved on to it, or messages have come since. */
void uct_eesp_stat_moved(uct_eesp_md_t *md);
void uct_eesp_stat_refused(uct_eesp_md_t *md, const char *why);
/* The key rings of the newest keyring, by level; returns its epoch. */
struct eesp_stat_level;
uint16_t uct_eesp_stat_levels(const uct_eesp_md_t *md,
                              struct eesp_stat_level *levels);

/* ---- audit.c ----------------------------------------------------------- */

/* Whether that is something to write lines to. */
int uct_eesp_audit_is_place(const char *where);
/* Called for each interface: the first line, once; an error: it is not there. */
ucs_status_t uct_eesp_audit_start(struct uct_eesp_iface *iface);
/* An interface closes: counts what it did. */
void uct_eesp_audit_count(struct uct_eesp_iface *iface);
/* A keyring was taken, or not. By the thread that looks after it. */
void uct_eesp_audit_ring(uct_eesp_md_t *md);
void uct_eesp_audit_refused(uct_eesp_md_t *md, const char *why);
void uct_eesp_audit_end(uct_eesp_md_t *md);

/* ---- keylog.c ---------------------------------------------------------- */

/* path: "none" or a file. */
ucs_status_t uct_eesp_keylog_open(uct_eesp_md_t *md, const char *path);
ucs_status_t uct_eesp_keylog_add(struct uct_eesp_iface *iface);
void uct_eesp_keylog_close(uct_eesp_md_t *md);

/* ---- lower.c ----------------------------------------------------------- */

ucs_status_t uct_eesp_lower_find(uct_eesp_md_t *md,
                                 const ucs_config_names_array_t *wanted);
void uct_eesp_lower_release(uct_eesp_md_t *md);
int uct_eesp_lower_is_spare(const uct_eesp_md_t *md,
                            const uct_eesp_lower_t *lower);
const uct_eesp_lower_t *uct_eesp_lower_by_name(const uct_eesp_md_t *md,
                                               const char *name);

/* ---- address.c --------------------------------------------------------- */

/* Our part of an interface address; the lower's address follows. */
#define UCT_EESP_ADDRESS_LEN 52
/* In which it has lengths of packets, in 16 bits. */
#define UCT_EESP_ADDRESS_UNIT 32
/* In front of the lower's endpoint address the Session ID of ours comes, too. */
#define UCT_EESP_EP_ADDRESS_LEN (UCT_EESP_ADDRESS_LEN + 2)
/* UCX 1.13 packs an address's length into six bits. */
#define UCT_EESP_ADDRESS_MAX 63

typedef struct uct_eesp_address {
    uint16_t lower_id;
    int      rma;           /* it serves rma.h's requests */
    int      offload;       /* and offload.h's */
    uint32_t rank;
    uint32_t spi;
    uint8_t  generations[EESP_LEVELS];
    uint64_t name_space;
    uint64_t process;
    uint64_t incarnation;
    uint8_t  check_value[EESP_CHECK_VALUE_LEN];
    uint32_t max_packet;    /* the longest that it will send */
    uint32_t rx_max_packet; /* the longest that it takes */
} uct_eesp_address_t;

struct uct_eesp_iface;

/* Names the lower transport, so that its address reaches no other kind. */
uint16_t uct_eesp_lower_id(const char *tl_name);
ucs_status_t uct_eesp_address_pack(struct uct_eesp_iface *iface, void *out);
/* 0 if the format is another version's. */
int uct_eesp_address_unpack(const void *in, uct_eesp_address_t *address);
/* Whether it is an address of the same lower transport as iface's. */
int uct_eesp_address_is_lowers(const struct uct_eesp_iface *iface,
                               const uct_eesp_address_t *address);
/* Wire-up check: 0, after one line of log, if this peer must be refused. */
int uct_eesp_address_accept(struct uct_eesp_iface *iface,
                            const uct_eesp_address_t *address);
/* Counts an endpoint to this peer; UCS_ERR_REJECTED as above. */
ucs_status_t uct_eesp_address_enter(uct_eesp_md_t *md,
                                    const uct_eesp_address_t *address,
                                    uint64_t *identity_p);
void uct_eesp_address_leave(uct_eesp_md_t *md, uint64_t identity);

/* ---- interface: iface.c ------------------------------------------------ */

typedef struct uct_eesp_iface_config {
    uct_iface_config_t super;
    size_t             seg_size;
} uct_eesp_iface_config_t;

KHASH_SET_INIT_INT64(uct_eesp_incarnation)
KHASH_MAP_INIT_INT64(uct_eesp_ep, uct_ep_h)

typedef struct uct_eesp_rma uct_eesp_rma_t; /* rma.h */
typedef struct uct_eesp_mover uct_eesp_mover_t; /* offload.h */

typedef struct uct_eesp_iface {
    uct_base_iface_t          super;
    uct_iface_h               lower;
    const uct_eesp_lower_t   *lower_dev;
    uct_iface_attr_t          lower_attr;
    struct eesp_lane         *lane;
    uct_eesp_ring_t          *ring;        /* that the lane has its keys from */
    uint64_t                  ring_serial;
    uct_worker_cb_id_t        follow_id;   /* under the MD's lock */
    ucs_list_link_t           list;        /* of the MD, see stat.c */
    struct eesp_counters      counted;     /* of what the lane has done */
    int                       p2p;         /* the lower connects endpoint to
                                              endpoint, not to interface */
    int                       async;       /* it calls handlers in a thread */
    ucs_queue_head_t          deferred;    /* from there to the program's */
    uct_worker_cb_id_t        deferred_id;
    size_t                    max_data;    /* of a message of ours */
    size_t                    max_am;      /* of an active message of UCP's */
    size_t                    max_short;   /* of a short one, of a header */
    size_t                    max_packet;     /* that the lower sends */
    size_t                    rx_max_packet;  /* that it can receive */
    size_t                    max_inline;  /* payload whose packet fits into an
                                              element of the lower's FIFO */
    uint8_t                  *scratch;     /* header and packed data, private */
    uint8_t                  *beside;      /* ways.h; NULL: the lower's segments
                                              are not in shared memory */
    uct_eesp_ways_t           opening;     /* of long packets, of all peers */
    size_t                    rx_front;    /* bytes before data in an element */
    size_t                    rx_headroom;
    ucs_mpool_t               rx_mp;
    uct_recv_desc_t           rx_release;
    long                      num_pending; /* requests in all our queues */
    uint64_t                 *sessions;    /* bitmap of Session IDs in use */
    uint16_t                  next_session;
    ucs_list_link_t           eps;
    khash_t(uct_eesp_ep)      by_lower;    /* lower endpoint -> ours */
    ucs_recursive_spinlock_t  lock;        /* of eps and by_lower: the lower
                                              may report from another thread */
    khash_t(uct_eesp_incarnation) known;   /* incarnations of peers */
    int                       failed;      /* a message is lost for good */
    int                       failure_handled; /* by somebody, once */
    int                       told_unknown;
    uct_worker_cb_id_t        fail_id;
    uct_eesp_rma_t           *rma;         /* NULL: none is offered */
    uct_eesp_mover_t         *offload;     /* NULL: no card for this one */
} uct_eesp_iface_t;

UCS_CLASS_DECLARE(uct_eesp_iface_t, uct_md_h, uct_worker_h,
                  const uct_iface_params_t*, const uct_iface_config_t*);
UCS_CLASS_DECLARE_NEW_FUNC(uct_eesp_iface_t, uct_iface_t, uct_md_h,
                           uct_worker_h, const uct_iface_params_t*,
                           const uct_iface_config_t*);
extern ucs_config_field_t uct_eesp_iface_config_table[];

/* What a lower must offer, and one of the ways to connect. */
#define UCT_EESP_LOWER_NEEDS \
    (UCT_IFACE_FLAG_AM_BCOPY | UCT_IFACE_FLAG_PENDING | \
     UCT_IFACE_FLAG_CB_SYNC)
#define UCT_EESP_LOWER_CONNECTS \
    (UCT_IFACE_FLAG_CONNECT_TO_IFACE | UCT_IFACE_FLAG_CONNECT_TO_EP)
/* What is sent over tcp, and what every peer's interface takes at least: 64 KiB
 * and what UCP, eesp and tcp put around them. */
#define UCT_EESP_SEG_DEFAULT 66560

#define UCT_EESP_INLINE_MAX   256 /* bytes of a packet */

/* segment.c: sets the lower's segment size, UCS_MEMUNITS_AUTO: a good one. */
ucs_status_t uct_eesp_segment_set(uct_iface_config_t *config,
                                  const char *tl_name, size_t seg_size);
size_t uct_eesp_segment_am(const uct_eesp_lower_t *lower, size_t seg_size,
                           size_t max_packet, size_t max_data);
void uct_eesp_segment_limits(const uct_eesp_lower_t *lower,
                             const uct_iface_attr_t *attr, size_t *send_p,
                             size_t *receive_p);

/* lower_iface.c: opens iface->lower, and fills what depends on it. */
ucs_status_t uct_eesp_lower_open(uct_eesp_iface_t *iface, uct_worker_h worker,
                                 const uct_iface_params_t *params,
                                 size_t seg_size);
ucs_status_t uct_eesp_lower_check(uct_eesp_iface_t *iface);

uct_eesp_md_t *uct_eesp_iface_md(const uct_eesp_iface_t *iface);
ucs_status_t uct_eesp_iface_know(uct_eesp_iface_t *iface,
                                 uint64_t incarnation);

/* Before each message: has the keyring been replaced? */
static UCS_F_ALWAYS_INLINE void uct_eesp_iface_check_ring(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = ucs_derived_of(iface->super.md, uct_eesp_md_t);

    if (ucs_unlikely(__atomic_load_n(&md->ring_serial, __ATOMIC_ACQUIRE) !=
                     iface->ring_serial)) {
        uct_eesp_iface_follow(iface);
    }
}

/*
 * What the thread of an async lower shares with the program's: lane, pool,
 * scratch, queues. The lower holds the same lock when it calls us.
 */
static UCS_F_ALWAYS_INLINE void uct_eesp_enter(uct_eesp_iface_t *iface)
{
    if (ucs_unlikely(iface->async)) {
        UCS_ASYNC_BLOCK(iface->super.worker->async);
    }
}

static UCS_F_ALWAYS_INLINE void uct_eesp_leave(uct_eesp_iface_t *iface)
{
    if (ucs_unlikely(iface->async)) {
        UCS_ASYNC_UNBLOCK(iface->super.worker->async);
    }
}

void uct_eesp_iface_vfs_refresh(uct_iface_h tl_iface); /* vfs.c */

/* ---- receive: rx.c ----------------------------------------------------- */

ucs_status_t uct_eesp_rx_init(uct_eesp_iface_t *iface,
                              const uct_iface_params_t *params);
void uct_eesp_rx_cleanup(uct_eesp_iface_t *iface);
/* For all that opens packets: what becomes of one that does not open, of a
 * message that is lost, and whether this one follows the one before. */
void uct_eesp_rx_refused(uct_eesp_iface_t *iface, int error, const void *packet,
                         size_t length, const struct eesp_opened *opened);
void uct_eesp_rx_fail(uct_eesp_iface_t *iface, const char *reason,
                      const struct eesp_opened *opened);
int uct_eesp_rx_follows(uct_eesp_iface_t *iface,
                        const struct eesp_opened *opened);

/* ---- endpoint: ep.c, send.c, pending.c ---------------------------------- */

struct uct_eesp_ep;

/*
 * Messages of an endpoint under one active-message id of the lower. They keep
 * their order among themselves: so each has a Session ID and a queue.
 */
typedef struct uct_eesp_channel {
    struct uct_eesp_ep     *ep;
    struct eesp_destination destination;
    uint64_t                last;     /* sequence number of the last message */
    uct_eesp_ways_t         sealing;  /* of long packets */
    /* Own pending queue: the lower holds one request for all of it. */
    ucs_queue_head_t        pending;
    uct_pending_req_t       lower_req;
    int                     lower_req_added;
    const void             *announced; /* whose data packets the peer expects, */
    uint32_t                announced_token; /* rma_job.c: for which endpoint */
} uct_eesp_channel_t;

typedef struct uct_eesp_ep {
    uct_base_ep_t           super;
    uct_ep_h                lower;
    ucs_list_link_t         list;
    int                     failed;
    int                     dispatching; /* requests of a channel */
    int                     has_peer; /* whose identity is counted */
    uint64_t                identity; /* of the peer, in the MD's processes */
    int                     peer_rma; /* the peer serves rma.h's requests */
    uint16_t                peer_session; /* endpoint to endpoint: the first
                                             of the one at the other end */
    int                     peer_offload; /* and offload.h's */
    struct uct_eesp_rma_ep *rma;      /* NULL: no request yet */
    struct uct_eesp_rma_peer *serves; /* answers go to it over this endpoint */
    int                     hidden;   /* and for nothing else: it is ours */
    unsigned                num_channels;
    uct_eesp_channel_t      channels[EESP_AM_LOWER_LAST];
} uct_eesp_ep_t;

static UCS_F_ALWAYS_INLINE uct_eesp_iface_t *
uct_eesp_ep_iface(const uct_eesp_ep_t *ep)
{
    return ucs_derived_of(ep->super.super.iface, uct_eesp_iface_t);
}

UCS_CLASS_DECLARE_NEW_FUNC(uct_eesp_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DECLARE_DELETE_FUNC(uct_eesp_ep_t, uct_ep_t);

ucs_status_t uct_eesp_ep_am_short(uct_ep_h tl_ep, uint8_t id, uint64_t header,
                                  const void *payload, unsigned length);
ucs_status_t uct_eesp_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                      const uct_iov_t *iov, size_t iovcnt);
ssize_t uct_eesp_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id,
                             uct_pack_callback_t pack_cb, void *arg,
                             unsigned flags);
ucs_status_t uct_eesp_ep_am_zcopy(uct_ep_h tl_ep, uint8_t id,
                                  const void *header, unsigned header_length,
                                  const uct_iov_t *iov, size_t iovcnt,
                                  unsigned flags, uct_completion_t *comp);
ucs_status_t uct_eesp_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                     unsigned flags);
void uct_eesp_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                               void *arg);
void uct_eesp_channel_init(uct_eesp_channel_t *channel, uct_eesp_ep_t *ep);
void uct_eesp_ep_pending_cleanup(uct_eesp_ep_t *ep);
ucs_status_t uct_eesp_ep_flush(uct_ep_h tl_ep, unsigned flags,
                               uct_completion_t *comp);
ucs_status_t uct_eesp_ep_fence(uct_ep_h tl_ep, unsigned flags);
ucs_status_t uct_eesp_ep_check(uct_ep_h tl_ep, unsigned flags,
                               uct_completion_t *comp);
ucs_status_t uct_eesp_ep_query(uct_ep_h tl_ep, uct_ep_attr_t *attr);
ucs_status_t uct_eesp_ep_get_address(uct_ep_h tl_ep, uct_ep_addr_t *addr);
ucs_status_t uct_eesp_ep_connect_to_ep(uct_ep_h tl_ep,
                                       const uct_device_addr_t *dev_addr,
                                       const uct_ep_addr_t *ep_addr);

/*
 * Sends wait behind requests that wait: order, and pitfall 1 of flush. Not those
 * of a request whose turn it is, whichever channel it waited in (UCP queues its
 * wire-up replies as any other message): the lower lets none of the other
 * channel's go before this one is done.
 */
static UCS_F_ALWAYS_INLINE int
uct_eesp_channel_blocked(const uct_eesp_channel_t *channel)
{
    return ucs_unlikely(!ucs_queue_is_empty(&channel->pending)) &&
           !channel->ep->dispatching;
}

/* Sends parts behind the id, at once or not at all; the channel must not be
 * blocked. */
ucs_status_t uct_eesp_ep_post(uct_eesp_ep_t *ep, uint8_t id, uint8_t lower_id,
                              const struct iovec *parts, unsigned count);
/* Behind the id: message, and what is packed; returns its length. */
ssize_t uct_eesp_ep_post_packed(uct_eesp_ep_t *ep, uint8_t id,
                                const void *message, size_t message_length,
                                uct_pack_callback_t pack_cb, void *arg);

/* ---- component.c ------------------------------------------------------- */

extern uct_component_t uct_eesp_component;

#endif
