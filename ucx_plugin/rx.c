/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rx: the lower's messages are opened into private memory, never in place: a
 * shared-memory peer still has the segment mapped.
 *
 * Element of the pool, aligned so that UCP's data is:
 *
 *     .. | release 8 | headroom | data
 *          Payload Info Header 4, am header 8 end where data begins
 *
 * The release pointer and UCP's use of the headroom come after the opening.
 */
#include "ahead.h"
#include "rma.h"

#include <ucs/arch/cpu.h>
#include <ucs/datastruct/mpool.inl>
#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/string.h>

#include "bytes.h"
#include "wire.h"

#define UCT_EESP_DAMAGED_BITS 4
#define UCT_EESP_TELL_UNKNOWN 8
#define UCT_EESP_RX_PREFIX (EESP_PAYLOAD_OFFSET + EESP_AM_HEADER)

static void uct_eesp_rx_release(uct_recv_desc_t *self, void *desc)
{
    uct_eesp_iface_t *iface = ucs_container_of(self, uct_eesp_iface_t,
                                               rx_release);

    uct_eesp_enter(iface);
    ucs_mpool_put_inline(UCS_PTR_BYTE_OFFSET(desc, iface->rx_headroom -
                                             (ptrdiff_t)iface->rx_front));
    uct_eesp_leave(iface);
}

/*
 * A lost message under a protocol that never repeats: every endpoint of this
 * interface fails; if nobody handles that, the process must not go on.
 */
static unsigned uct_eesp_rx_fail_progress(void *arg)
{
    uct_eesp_iface_t *iface = arg;
    unsigned handled        = 0;
    uct_eesp_ep_t *ep;
    ucs_status_t status;
    int found;

    iface->fail_id = UCS_CALLBACKQ_ID_NULL;
    do {
        /* The handler may destroy endpoints: look again after each. */
        found = 0;
        ucs_recursive_spin_lock(&iface->lock);
        ucs_list_for_each(ep, &iface->eps, list) {
            if (!ep->failed && !ep->hidden) {
                found = ep->failed = 1;
                break;
            }
        }
        ucs_recursive_spin_unlock(&iface->lock);
        if (found) {
            status = uct_iface_handle_ep_err(&iface->super.super,
                                             &ep->super.super,
                                             UCS_ERR_CONNECTION_RESET);
            handled += status == UCS_OK;
        }
    } while (found);

    iface->failed          = 0; /* endpoints made later can fail again */
    iface->failure_handled |= handled != 0;
    if (!iface->failure_handled) {
        ucs_fatal("eesp: authentication: a message is lost and the program "
                  "handles no endpoint error: stopping");
    }
    return 1;
}

void uct_eesp_rx_fail(uct_eesp_iface_t *iface, const char *reason,
                      const struct eesp_opened *opened)
{
    char who[64] = "";

    if (iface->failed) {
        return;
    }

    iface->failed = 1;
    if (opened->has_source) {
        snprintf(who, sizeof(who), " %lu of rank %u", opened->sequence,
                 opened->source_rank);
    }
    ucs_error("eesp: authentication: packet%s over %s/%s refused (%s): a "
              "message is lost, all endpoints on this device fail", who,
              iface->lower_dev->resource.tl_name, iface->lower_dev->name,
              reason);
    /* Not from inside the lower's callback: it still uses its endpoint. */
    uct_worker_progress_register_safe(&iface->super.worker->super,
                                      uct_eesp_rx_fail_progress, iface,
                                      UCS_CALLBACKQ_FLAG_ONESHOT,
                                      &iface->fail_id);
}

/*
 * Whether a refused packet is a peer's, by the source incarnation at its place
 * in our packets: 64 random bits that nobody off the path knows. Up to
 * UCT_EESP_DAMAGED_BITS wrong ones make a damaged peer's packet, not a
 * stranger's: whatever bit was flipped on the way, the loss is noticed.
 */
static int uct_eesp_rx_is_peers(uct_eesp_iface_t *iface,
                                const uint8_t *packet, size_t length)
{
    size_t offset = uct_eesp_iface_md(iface)->info.compact_id ?
                    EESP_COMPACT_INCARNATION : EESP_FULL_INCARNATION;
    int found = 0;
    uint64_t incarnation;
    khiter_t iter;

    if (length < offset + sizeof(incarnation)) {
        return 0;
    }

    incarnation = load64(packet + offset);
    ucs_recursive_spin_lock(&iface->lock);
    for (iter = kh_begin(&iface->known);
         !found && (iter != kh_end(&iface->known)); ++iter) {
        found = kh_exist(&iface->known, iter) &&
                (ucs_popcount(kh_key(&iface->known, iter) ^ incarnation) <=
                 UCT_EESP_DAMAGED_BITS);
    }
    ucs_recursive_spin_unlock(&iface->lock);
    return found;
}

/* A packet that came twice has done no harm; one damaged into that look has. */
static int uct_eesp_rx_is_replay(uct_eesp_iface_t *iface, int error,
                                 const void *packet, size_t length)
{
    int replay = 0;
    void *scratch;

    if (error != EESP_DROP_REPLAY) {
        return 0;
    }

    scratch = ucs_mpool_get(&iface->rx_mp);
    if (scratch != NULL) {
        replay = eesp_verify(iface->lane, packet, length, scratch,
                             iface->rx_max_packet) == EESP_OK;
        ucs_mpool_put(scratch);
    }
    return replay;
}

void uct_eesp_rx_refused(uct_eesp_iface_t *iface, int error, const void *packet,
                         size_t length, const struct eesp_opened *opened)
{
    if (uct_eesp_rx_is_replay(iface, error, packet, length)) {
        ucs_debug("eesp: replayed packet %lu of rank %u dropped",
                  opened->sequence, opened->source_rank);
    } else if (uct_eesp_rx_is_peers(iface, packet, length)) {
        uct_eesp_rx_fail(iface, eesp_strerror(error), opened);
    } else if (length == 0) {
        ucs_warn("eesp: a peer on %s/%s could not seal a message: see its log",
                 iface->lower_dev->resource.tl_name, iface->lower_dev->name);
    } else if (iface->told_unknown++ < UCT_EESP_TELL_UNKNOWN) {
        ucs_warn("eesp: authentication: packet of an unknown sender over %s/%s "
                 "dropped (%s)%s", iface->lower_dev->resource.tl_name,
                 iface->lower_dev->name, eesp_strerror(error),
                 iface->told_unknown == UCT_EESP_TELL_UNKNOWN ?
                 "; further ones are only counted" : "");
    }
}

/*
 * Every message names the one before it on its endpoint, under the seal. The
 * lower keeps order, so any other one means that messages were taken out on
 * the way. 0 opens an endpoint. (The loss of an endpoint's last message cannot
 * be told from its end.)
 */
int uct_eesp_rx_follows(uct_eesp_iface_t *iface,
                        const struct eesp_opened *opened)
{
    uint64_t before = load64(opened->payload) & EESP_AM_PREVIOUS;

    return (before == (opened->previous & EESP_AM_PREVIOUS)) ||
           (before == 0) ||
           (uct_eesp_iface_md(iface)->info.replay == EESP_REPLAY_OFF);
}

/* Ids that a message may have: rma.h's are for the program's thread. */
static UCS_F_ALWAYS_INLINE unsigned
uct_eesp_rx_ids(const uct_eesp_iface_t *iface, int channel)
{
    return (iface->rma != NULL) && (channel == EESP_AM_LOWER) ?
           UCT_EESP_RMA_PACKET : UCT_AM_ID_MAX;
}

/* Opens into data; 0 after telling why it was refused. */
static int uct_eesp_rx_open(uct_eesp_iface_t *iface, void *packet,
                            size_t length, uint8_t *data, int channel,
                            struct eesp_opened *opened)
{
    uct_eesp_trial_t trial;
    int ret;

    trial = uct_eesp_ahead_begin(iface, packet, length);
    uct_eesp_iface_check_ring(iface);
    ret = eesp_open(iface->lane, packet, length, data - UCT_EESP_RX_PREFIX,
                    UCT_EESP_RX_PREFIX + iface->rx_max_packet, opened);
    uct_eesp_ahead_end(iface, length, &trial);

    if ((ret == EESP_OK) && ((opened->next_header != EESP_NEXT_HEADER) ||
                             (opened->length < EESP_AM_HEADER) ||
                             (opened->payload[0] >=
                              uct_eesp_rx_ids(iface, channel)))) {
        ret = EESP_DROP_PAYLOAD;
    }
    if (ucs_unlikely(ret != EESP_OK)) {
        uct_eesp_rx_refused(iface, ret, packet, length, opened);
        return 0;
    }
    if (ucs_unlikely(!uct_eesp_rx_follows(iface, opened))) {
        uct_eesp_rx_fail(iface, "messages before it are missing", opened);
        return 0;
    }
    return !iface->failed; /* nothing passes a lost message */
}

/* A message out of the lower's thread for a handler of the program's. */
typedef struct uct_eesp_rx_deferred {
    ucs_queue_elem_t queue;
    size_t           length;
    uint8_t          id;
    uint8_t          data[];
} uct_eesp_rx_deferred_t;

static uct_eesp_rx_deferred_t *uct_eesp_rx_pull_deferred(uct_eesp_iface_t *iface)
{
    uct_eesp_rx_deferred_t *deferred = NULL;

    uct_eesp_enter(iface);
    if (!ucs_queue_is_empty(&iface->deferred)) {
        deferred = ucs_queue_pull_elem_non_empty(&iface->deferred,
                                                 uct_eesp_rx_deferred_t, queue);
    }
    uct_eesp_leave(iface);
    return deferred;
}

/* It holds plaintext. */
static void uct_eesp_rx_free_deferred(uct_eesp_rx_deferred_t *deferred)
{
    explicit_bzero(deferred->data, deferred->length);
    ucs_free(deferred);
}

static unsigned uct_eesp_rx_deferred_progress(void *arg)
{
    uct_eesp_iface_t *iface = arg;
    unsigned count          = 0;
    uct_eesp_rx_deferred_t *deferred;

    iface->deferred_id = UCS_CALLBACKQ_ID_NULL;
    while ((deferred = uct_eesp_rx_pull_deferred(iface)) != NULL) {
        (void)uct_iface_invoke_am(&iface->super, deferred->id, deferred->data,
                                  deferred->length, 0);
        uct_eesp_rx_free_deferred(deferred);
        ++count;
    }
    return count;
}

static void uct_eesp_rx_defer(uct_eesp_iface_t *iface, uint8_t id,
                              const void *data, size_t length)
{
    uct_eesp_rx_deferred_t *deferred = ucs_malloc(sizeof(*deferred) + length,
                                                  "eesp deferred");

    if (deferred == NULL) {
        ucs_fatal("eesp: no memory to receive a message");
    }
    deferred->id     = id;
    deferred->length = length;
    memcpy(deferred->data, data, length);
    ucs_queue_push(&iface->deferred, &deferred->queue);
    uct_worker_progress_register_safe(&iface->super.worker->super,
                                      uct_eesp_rx_deferred_progress, iface,
                                      UCS_CALLBACKQ_FLAG_ONESHOT,
                                      &iface->deferred_id);
}

static UCS_F_ALWAYS_INLINE ucs_status_t
uct_eesp_rx_message(uct_eesp_iface_t *iface, void *packet, size_t length,
                    int channel)
{
    unsigned flags;
    struct eesp_opened opened;
    uint8_t *element, *data, id;
    ucs_status_t status;

    element = ucs_mpool_get_inline(&iface->rx_mp);
    if (ucs_unlikely(element == NULL)) {
        ucs_fatal("eesp: no memory to receive a message");
    }

    data = element + iface->rx_front;
    if (ucs_unlikely(!uct_eesp_rx_open(iface, packet, length, data, channel,
                                       &opened))) {
        ucs_mpool_put_inline(element);
        return UCS_OK;
    }
    if (ucs_unlikely(!opened.known)) {
        (void)uct_eesp_iface_know(iface, opened.incarnation);
    }

    /* UCP may keep a long message where it is. A short one it copies: or each
     * of a flood of unexpected ones would hold an element of full length. */
    flags = opened.length > iface->rx_max_packet / 8 ?
            UCT_CB_PARAM_FLAG_DESC : 0;
    id    = opened.payload[0]; /* the release pointer may take its place */
    if (ucs_unlikely(channel == EESP_AM_LOWER_ASYNC) &&
        !(iface->super.am[id].flags & UCT_CB_FLAG_ASYNC)) {
        uct_eesp_rx_defer(iface, id, data, opened.length - EESP_AM_HEADER);
        ucs_mpool_put_inline(element);
        return UCS_OK;
    }
    if (ucs_unlikely(id >= UCT_AM_ID_MAX)) {
        uct_eesp_rma_message(iface, id, data, opened.length - EESP_AM_HEADER,
                             &opened);
        ucs_mpool_put_inline(element);
        return UCS_OK;
    }
    uct_recv_desc(data - iface->rx_headroom) = &iface->rx_release;
    status = uct_iface_invoke_am(&iface->super, id, data,
                                 opened.length - EESP_AM_HEADER, flags);
    if (status == UCS_OK) {
        ucs_mpool_put_inline(element);
    }
    return UCS_OK;
}

static ucs_status_t uct_eesp_rx_am(void *arg, void *packet, size_t length,
                                   unsigned flags)
{
    uct_eesp_iface_t *iface = arg;
    ucs_status_t status;

    uct_eesp_enter(iface);
    status = uct_eesp_rx_message(iface, packet, length, EESP_AM_LOWER);
    uct_eesp_leave(iface);
    return status;
}

static ucs_status_t uct_eesp_rx_am_async(void *arg, void *packet, size_t length,
                                         unsigned flags)
{
    uct_eesp_iface_t *iface = arg;
    ucs_status_t status;

    uct_eesp_enter(iface);
    status = uct_eesp_rx_message(iface, packet, length, EESP_AM_LOWER_ASYNC);
    uct_eesp_leave(iface);
    return status;
}

static ucs_mpool_ops_t uct_eesp_rx_mpool_ops = {
    .chunk_alloc   = ucs_mpool_chunk_malloc,
    .chunk_release = ucs_mpool_chunk_free,
};

ucs_status_t uct_eesp_rx_init(uct_eesp_iface_t *iface,
                              const uct_iface_params_t *params)
{
    size_t align, align_offset, element;
    ucs_status_t status;

    iface->rx_release.cb = uct_eesp_rx_release;
    iface->rx_headroom   = (params->field_mask &
                            UCT_IFACE_PARAM_FIELD_RX_HEADROOM) ?
                           params->rx_headroom : 0;
    iface->rx_front      = ucs_align_up(ucs_max(iface->rx_headroom +
                                                sizeof(uct_recv_desc_t*),
                                                UCT_EESP_RX_PREFIX),
                                        sizeof(uct_recv_desc_t*));
    element              = iface->rx_front + iface->rx_max_packet;

    status = uct_iface_param_am_alignment(params, iface->max_data,
                                          iface->rx_front, iface->rx_front,
                                          &align, &align_offset);
    if (status != UCS_OK) {
        goto err;
    }

    status = ucs_mpool_init(&iface->rx_mp, 0, element, align_offset, align, 64,
                            UINT_MAX, &uct_eesp_rx_mpool_ops, "eesp_rx");
    if (status != UCS_OK) {
        goto err;
    }

    status = uct_iface_set_am_handler(iface->lower, EESP_AM_LOWER,
                                      uct_eesp_rx_am, iface, 0);
    if ((status == UCS_OK) && iface->async) {
        status = uct_iface_set_am_handler(iface->lower, EESP_AM_LOWER_ASYNC,
                                          uct_eesp_rx_am_async, iface,
                                          UCT_CB_FLAG_ASYNC);
    }
    if (status == UCS_OK) {
        return UCS_OK;
    }

    ucs_mpool_cleanup(&iface->rx_mp, 1);
err:
    iface->rx_front = 0; /* there is no pool to clean up */
    return status;
}

void uct_eesp_rx_cleanup(uct_eesp_iface_t *iface)
{
    uct_eesp_rx_deferred_t *deferred;

    uct_worker_progress_unregister_safe(&iface->super.worker->super,
                                        &iface->deferred_id);
    while ((deferred = uct_eesp_rx_pull_deferred(iface)) != NULL) {
        uct_eesp_rx_free_deferred(deferred);
    }
    if (iface->rx_front != 0) {
        ucs_mpool_cleanup(&iface->rx_mp, 1);
    }
}
