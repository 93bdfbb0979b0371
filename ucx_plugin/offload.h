/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload: large gets whose data the network card moves from memory to memory,
 * as AES-XTS on the wire. UCX_EESP_OFFLOAD=conf: confidential only, changes are
 * not noticed; conf+mac: the CPUs make and check a tag of the data. All else
 * stays sealed, and so do these gets wherever a card or a peer cannot: that is
 * stronger.
 *
 *     offload_card.c   the MD's card: device and protection domain
 *     offload.c        an interface's keys
 *     offload_tag.c    tags of conf+mac
 *     offload_link.c   QPs to peers
 *     offload_get.c    the requester, whose memory is written to
 *     offload_serve.c  the target, whose card writes
 *
 * UCT's QPs and PD cannot be reached: an RC QP of ours lies beside the lower's,
 * in a PD of ours, for each endpoint that asks and the peer that it asks. What
 * sets it up are messages of rma.h, sealed like all:
 *
 *     OFFER    request  .. QP of the requester
 *     ACCEPT   reply    .. QP of the target; with a status, none
 *     FETCH    request  GET, .. rkey 4 | zero 2 | epoch 2 | generations 4 |
 *              key number 8 | data unit 8: the target is to write there
 *     WRITTEN  reply    .. bytes behind the last whole block of 16 | tag 16
 *              (conf+mac): it has
 *
 * Keys are those of label "SX" of the requester's interface, which gives out
 * the numbers of data units. Its memory is attached to an rkey before FETCH is sent
 * and detached before the get completes. A target that cannot write answers as
 * it answers a GET, and is not asked to again.
 */
#ifndef EESP_OFFLOAD_H
#define EESP_OFFLOAD_H

#include "rma.h"

#include "wire.h"

/* Shorter ones cost more that way; longer ones are cut by UCP. */
#define UCT_EESP_OFFLOAD_MIN 16384
#define UCT_EESP_OFFLOAD_MAX 1048576
#define UCT_EESP_XTS_BLOCK   16

/* QP 4 | PSN 4 | LID 2 | MTU 1 | tags 1 | GID 16 | process 8 | rank 4 */
#define UCT_EESP_OFFER_LEN 40
#define UCT_EESP_GRANT_LEN 28
#define UCT_EESP_FETCH_LEN (UCT_EESP_RMA_REQUEST + 8 + UCT_EESP_GRANT_LEN)

#ifdef UCT_EESP_HAVE_OFFLOAD
#include <infiniband/verbs.h>

#include "../verbs_shim/eesp_verbs.h"

/* Of the MD. The lock: memory may be deregistered by another thread. */
struct uct_eesp_card {
    const struct vcc_backend *backend;
    struct ibv_context       *ctx;
    struct ibv_pd            *pd;
    char                      name[UCT_DEVICE_NAME_MAX]; /* with its port */
    uint8_t                   port;
    int                       gid_index;
    union ibv_gid             gid;
    struct ibv_port_attr      attr;
    int                       mac; /* conf+mac */
    ucs_recursive_spinlock_t  lock;
};

/* A requester's key in the card and, of conf+mac, that of its tags. */
typedef struct uct_eesp_offload_key {
    ucs_list_link_t          list; /* of our own, while memory is attached */
    struct vcc_key          *card;
    struct uct_eesp_tag_key *tag;
    struct eesp_offload_receiver whose;
} uct_eesp_offload_key_t;

/* Of an interface. */
struct uct_eesp_mover {
    uct_eesp_iface_t            *iface;
    struct uct_eesp_card        *card;
    struct vcc_dev              *dev;
    ucs_list_link_t              keys;   /* the newest first */
    struct eesp_offload_receiver whose;  /* it, or the one to come */
    uint64_t                     serial; /* of the keyring that it is of */
    ucs_list_link_t              writing; /* links whose fetch is at the card */
    uct_worker_cb_id_t           progress_id;
    unsigned                     rounds; /* of progress */
    unsigned                     told;
};

/* One QP, of a requester or of a target. */
typedef struct uct_eesp_offload_link {
    uct_eesp_mover_t        *of;
    struct ibv_cq           *cq;
    struct ibv_qp           *qp;
    uint32_t                 psn, rank; /* rank: of the peer, for people */
    int                      up, failed;
    /* Requester: */
    uint64_t                 arrived, written; /* as seen, as told */
    uint64_t                 attached, configured; /* likewise */
    unsigned                 gets;
    /* Target: */
    struct uct_eesp_rma_peer *peer;
    uint32_t                 token, peer_rank;
    uint64_t                 peer_id; /* as it has offered */
    uct_eesp_offload_key_t  *key;
    ucs_list_link_t          list;    /* of writing */
    int                      writing;
    struct uct_eesp_fetch   *fetch; /* at the card */
} uct_eesp_offload_link_t;

/* A get at the requester's card. */
typedef struct uct_eesp_offload_get {
    uct_eesp_offload_link_t *link;
    uct_eesp_offload_key_t  *key;
    struct ibv_mr           *mr;
    struct vcc_mem          *mem;
    int                      written; /* so the target says */
} uct_eesp_offload_get_t;

typedef enum {
    UCT_EESP_FETCH_ASKED,
    UCT_EESP_FETCH_WRITING,
    UCT_EESP_FETCH_WRITTEN,
    UCT_EESP_FETCH_FAILED
} uct_eesp_fetch_state_t;

/* A get at the target's. */
typedef struct uct_eesp_fetch {
    uct_eesp_fetch_state_t   state;
    uint32_t                 token; /* of the endpoint that asks */
    uint32_t                 rkey;
    uint64_t                 unit0;
    struct eesp_offload_receiver whose; /* key */
    uint8_t                  tag[EESP_ICV_LEN];
    /* While at the card: */
    uct_eesp_offload_link_t *link;
    ucs_list_link_t          list; /* of its region */
    struct ibv_mr           *mr;
    struct vcc_mem          *mem;
} uct_eesp_fetch_t;

/* Work requests' ids: UMRs have their memory's address. */
#define UCT_EESP_WR_RECEIVE 1
#define UCT_EESP_WR_WRITE   2

/* offload_card.c: the setting's name; whether the device was removed. */
const char *uct_eesp_card_setting(int mac);
int uct_eesp_card_ended(const struct uct_eesp_card *card);

/* offload_link.c. NULL: no memory. */
uct_eesp_offload_link_t *uct_eesp_offload_link_create(uct_eesp_mover_t *of,
                                                      uint32_t rank);
/* Makes its QP. access: the peer's, to what is attached. 0: it has failed. */
int uct_eesp_offload_link_open(uct_eesp_offload_link_t *link, unsigned access);
void uct_eesp_offload_link_destroy(uct_eesp_offload_link_t *link);
void uct_eesp_offload_link_pack(const uct_eesp_offload_link_t *link,
                                uint8_t *out);
/* To what the peer has packed: 0 if that fails. */
int uct_eesp_offload_link_connect(uct_eesp_offload_link_t *link,
                                  const uint8_t *in);
/* Takes what is complete; a failure fails the link. */
void uct_eesp_offload_link_poll(uct_eesp_offload_link_t *link);
/* No more by this link, which is said once. */
void uct_eesp_offload_link_fail(uct_eesp_offload_link_t *link, const char *why);
/* Ends a card's access to memory before it returns. */
void uct_eesp_offload_detach(uct_eesp_offload_link_t *link,
                             struct vcc_mem *mem, struct ibv_mr *mr);

/* offload.c: our own for gets, and a peer's; NULL: there is none. */
uct_eesp_offload_key_t *uct_eesp_offload_own_key(uct_eesp_mover_t *of);
uct_eesp_offload_key_t *
uct_eesp_offload_key_create(uct_eesp_mover_t *of,
                            const struct eesp_offload_receiver *whose);
/* 0: memory is attached by it, and it stays. */
int uct_eesp_offload_key_destroy(const uct_eesp_mover_t *of,
                                 uct_eesp_offload_key_t *key);

/* offload_tag.c: NULL, 0: the AEAD refuses. */
struct uct_eesp_tag_key *uct_eesp_tag_key_create(const uint8_t *bytes);
void uct_eesp_tag_key_destroy(struct uct_eesp_tag_key *key);
int uct_eesp_tag_make(struct uct_eesp_tag_key *key, uint64_t unit0,
                      const void *data, size_t length,
                      uint8_t tag[EESP_ICV_LEN]);
int uct_eesp_tag_fits(struct uct_eesp_tag_key *key, uint64_t unit0,
                      const void *data, size_t length,
                      const uint8_t tag[EESP_ICV_LEN]);

/* offload_serve.c */
void uct_eesp_offload_serve_cleanup(uct_eesp_mover_t *of);

/* ---- For the rest of the plugin ----------------------------------------- */

/* Why there is none is told, and all is sealed. mac: conf+mac. */
void uct_eesp_card_open(uct_eesp_md_t *md, int mac);
void uct_eesp_card_close(uct_eesp_md_t *md);
/* As page and audit have it: "none", "confidentiality only", "conf+mac". */
const char *uct_eesp_card_offload(const uct_eesp_md_t *md);

void uct_eesp_offload_init(uct_eesp_iface_t *iface);
void uct_eesp_offload_cleanup(uct_eesp_iface_t *iface);
/* Whether the card has something in hand, which progress has to end. */
int uct_eesp_offload_works(const uct_eesp_iface_t *iface);

/* offload_get.c */
/* A link is offered, if there is none. */
void uct_eesp_offload_offer(uct_eesp_rma_ep_t *rma);
/* UCS_ERR_UNSUPPORTED: it is to be sealed. */
ucs_status_t uct_eesp_offload_get(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  uint64_t remote_addr, uct_rkey_t rkey,
                                  uct_completion_t *comp);
void uct_eesp_offload_accepted(uct_eesp_rma_ep_t *rma,
                               const uct_eesp_rma_message_t *message);
void uct_eesp_offload_written(uct_eesp_rma_ep_t *rma, uint64_t number,
                              const uct_eesp_rma_message_t *message);
/* Its answer comes sealed. */
void uct_eesp_offload_sealed(uct_eesp_rma_op_t *op);
/* Before it completes: the card does not reach its memory any more. */
void uct_eesp_offload_release(uct_eesp_rma_op_t *op);
void uct_eesp_offload_leave(uct_eesp_rma_ep_t *rma);

/* offload_serve.c */
void uct_eesp_offload_offered(uct_eesp_rma_peer_t *peer,
                              const uct_eesp_rma_message_t *message);
ucs_status_t uct_eesp_offload_send_accept(uct_eesp_rma_peer_t *peer,
                                          const uct_eesp_rma_job_t *job);
/* What a FETCH says besides a GET; NULL: it is answered as a GET. */
struct uct_eesp_fetch *
uct_eesp_offload_asked(uct_eesp_rma_peer_t *peer,
                       const uct_eesp_rma_message_t *message);
/* UCS_ERR_BUSY: the card works; UCS_ERR_UNSUPPORTED: it is to be sealed. */
ucs_status_t uct_eesp_offload_serve(uct_eesp_rma_peer_t *peer,
                                    uct_eesp_rma_job_t *job);
void uct_eesp_offload_drop(uct_eesp_rma_peer_t *peer, uct_eesp_rma_job_t *job);
void uct_eesp_offload_peer_leave(uct_eesp_rma_peer_t *peer);
/* A region ends: no card reads it any more. */
void uct_eesp_offload_revoke(uct_eesp_md_t *md, uct_eesp_region_t *region);

#else /* built without libmlx5's header */

static inline void uct_eesp_card_open(uct_eesp_md_t *md, int mac)
{
    if (uct_eesp_is_wanted()) {
        ucs_warn("eesp: UCX_EESP_OFFLOAD=%s: this build has no card's (see "
                 "ibverbs in configure's summary): all is sealed by the CPU",
                 mac ? "conf+mac" : "conf");
    }
}
static inline void uct_eesp_card_close(uct_eesp_md_t *md) {}
static inline const char *uct_eesp_card_offload(const uct_eesp_md_t *md)
{
    return "none";
}
static inline void uct_eesp_offload_init(uct_eesp_iface_t *iface) {}
static inline void uct_eesp_offload_cleanup(uct_eesp_iface_t *iface) {}
static inline int uct_eesp_offload_works(const uct_eesp_iface_t *iface)
{
    return 0;
}
static inline void uct_eesp_offload_offer(uct_eesp_rma_ep_t *rma) {}
static inline ucs_status_t
uct_eesp_offload_get(uct_ep_h tl_ep, const uct_iov_t *iov, uint64_t remote_addr,
                     uct_rkey_t rkey, uct_completion_t *comp)
{
    return UCS_ERR_UNSUPPORTED;
}
static inline void
uct_eesp_offload_accepted(uct_eesp_rma_ep_t *rma,
                          const uct_eesp_rma_message_t *message) {}
static inline void
uct_eesp_offload_written(uct_eesp_rma_ep_t *rma, uint64_t number,
                         const uct_eesp_rma_message_t *message) {}
static inline void uct_eesp_offload_sealed(uct_eesp_rma_op_t *op) {}
static inline void uct_eesp_offload_release(uct_eesp_rma_op_t *op) {}
static inline void uct_eesp_offload_leave(uct_eesp_rma_ep_t *rma) {}
static inline void
uct_eesp_offload_offered(uct_eesp_rma_peer_t *peer,
                         const uct_eesp_rma_message_t *message) {}
static inline ucs_status_t
uct_eesp_offload_send_accept(uct_eesp_rma_peer_t *peer,
                             const uct_eesp_rma_job_t *job)
{
    return UCS_OK;
}
static inline struct uct_eesp_fetch *
uct_eesp_offload_asked(uct_eesp_rma_peer_t *peer,
                       const uct_eesp_rma_message_t *message)
{
    return NULL;
}
static inline ucs_status_t uct_eesp_offload_serve(uct_eesp_rma_peer_t *peer,
                                                  uct_eesp_rma_job_t *job)
{
    return UCS_ERR_UNSUPPORTED;
}
static inline void uct_eesp_offload_drop(uct_eesp_rma_peer_t *peer,
                                         uct_eesp_rma_job_t *job) {}
static inline void uct_eesp_offload_peer_leave(uct_eesp_rma_peer_t *peer) {}
static inline void uct_eesp_offload_revoke(uct_eesp_md_t *md,
                                           uct_eesp_region_t *region) {}
#endif

#endif
