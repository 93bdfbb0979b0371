/* SPDX-License-Identifier: BSD-3-Clause */
/* iface: one lower interface and the lane that seals and opens on it. */
#include "rma.h"

#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/stubs.h>
#include <ucs/sys/string.h>

/*
 * Seal and open of one message, and what AES leaves of a lower's bandwidth: UCP
 * weighs transports with it. Beside self, UCP must find self
 * faster for memory access to the process itself, as for atomics: it takes both
 * from one transport then, whose fence orders them. Open MPI needs that, which
 * waits for a put by an atomic behind a fence.
 */
#define UCT_EESP_OVERHEAD  50e-9
#define UCT_EESP_BANDWIDTH 8.5e9
/*
 * Over shared memory less than UCX_BCOPY_BW, by which UCP weighs several eager
 * messages against a rendezvous: it begins with that at 114 KiB then, not as soon
 * as one message does not suffice. Until there eager ones are faster, whose copy
 * costs less than to exchange three sealed messages more (bench/segments).
 */
#define UCT_EESP_BANDWIDTH_SHM 5e9

/* What of the lower shows through. */
#define UCT_EESP_LOWER_SHOWS \
    (UCT_EESP_LOWER_NEEDS | UCT_IFACE_FLAG_CB_ASYNC | UCT_IFACE_FLAG_EP_CHECK | \
     UCT_IFACE_FLAG_EP_KEEPALIVE | UCT_IFACE_FLAG_ERRHANDLE_PEER_FAILURE)

ucs_config_field_t uct_eesp_iface_config_table[] = {
    {"", "", NULL, ucs_offsetof(uct_eesp_iface_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_iface_config_table)},

    {"SEG_SIZE", "auto",
     "Segment of the lower transport, the longest packet: 512 to 1m over tcp,\n"
     "to 65472 over posix and sysv. One packet is one key, one nonce and one\n"
     "ICV, so larger ones cost less per byte. 'auto' is what the lower's own\n"
     "variable says if it is set (UCX_POSIX_SEG_SIZE, UCX_TCP_TX_SEG_SIZE),\n"
     "else 65 KiB; over shared memory UCP's own messages are cut at 32 KiB then.\n"
     "No process may send more than its peers take.",
     ucs_offsetof(uct_eesp_iface_config_t, seg_size),
     UCS_CONFIG_TYPE_MEMUNITS},

    {NULL}
};

uct_eesp_md_t *uct_eesp_iface_md(const uct_eesp_iface_t *iface)
{
    return ucs_derived_of(iface->super.md, uct_eesp_md_t);
}

ucs_status_t uct_eesp_iface_know(uct_eesp_iface_t *iface, uint64_t incarnation)
{
    int ret;

    ucs_recursive_spin_lock(&iface->lock);
    kh_put(uct_eesp_incarnation, &iface->known, incarnation, &ret);
    ucs_recursive_spin_unlock(&iface->lock);
    return ret < 0 ? UCS_ERR_NO_MEMORY : UCS_OK;
}

static ucs_status_t uct_eesp_iface_query(uct_iface_h tl_iface,
                                         uct_iface_attr_t *attr)
{
    uct_eesp_iface_t *iface       = ucs_derived_of(tl_iface, uct_eesp_iface_t);
    const uct_iface_attr_t *lower = &iface->lower_attr;
    double most                   = iface->beside != NULL ?
                                    UCT_EESP_BANDWIDTH_SHM :
                                    UCT_EESP_BANDWIDTH;

    uct_base_iface_query(&iface->super, attr);

    attr->device_addr_len = lower->device_addr_len;
    attr->iface_addr_len  = UCT_EESP_ADDRESS_LEN + lower->iface_addr_len;
    attr->ep_addr_len     = iface->p2p ?
                            UCT_EESP_EP_ADDRESS_LEN + lower->ep_addr_len : 0;
    attr->max_conn_priv   = 0;

    attr->cap.flags       = (lower->cap.flags & UCT_EESP_LOWER_SHOWS) |
                            UCT_IFACE_FLAG_AM_SHORT | UCT_IFACE_FLAG_AM_ZCOPY |
                            (iface->p2p ? UCT_IFACE_FLAG_CONNECT_TO_EP :
                                          UCT_IFACE_FLAG_CONNECT_TO_IFACE);
    attr->cap.event_flags = lower->cap.event_flags;

    attr->cap.am.max_short       = iface->max_short;
    attr->cap.am.max_bcopy       = iface->max_am;
    attr->cap.am.min_zcopy       = 0;
    attr->cap.am.max_zcopy       = iface->max_am;
    attr->cap.am.opt_zcopy_align = 1;
    attr->cap.am.align_mtu       = 1;
    attr->cap.am.max_hdr         = iface->max_short;
    attr->cap.am.max_iov         = EESP_AM_MAX_IOV;

    if ((iface->rma != NULL) &&
        !uct_eesp_lower_is_spare(uct_eesp_iface_md(iface), iface->lower_dev)) {
        uct_eesp_rma_query(iface, attr);
    }

    attr->overhead            = lower->overhead + UCT_EESP_OVERHEAD;
    attr->latency             = lower->latency;
    attr->bandwidth.dedicated = ucs_min(lower->bandwidth.dedicated, most);
    attr->bandwidth.shared    = ucs_min(lower->bandwidth.shared, most);
    attr->priority            = lower->priority;
    attr->max_num_eps         = lower->max_num_eps;
    attr->dev_num_paths       = lower->dev_num_paths;
    return UCS_OK;
}

static ucs_status_t
uct_eesp_iface_get_device_address(uct_iface_h tl_iface,
                                  uct_device_addr_t *addr)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);

    return uct_iface_get_device_address(iface->lower, addr);
}

static ucs_status_t uct_eesp_iface_get_address(uct_iface_h tl_iface,
                                               uct_iface_addr_t *addr)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);
    ucs_status_t status;

    status = uct_eesp_address_pack(iface, addr);
    if (status != UCS_OK) {
        return status;
    }
    return uct_iface_get_address(iface->lower,
                                 UCS_PTR_BYTE_OFFSET(addr,
                                                     UCT_EESP_ADDRESS_LEN));
}

/* A peer that could not read us is refused here, before anything is sent. */
static int uct_eesp_iface_is_reachable(const uct_iface_h tl_iface,
                                       const uct_device_addr_t *dev_addr,
                                       const uct_iface_addr_t *iface_addr)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);
    uct_eesp_address_t address;

    if (iface_addr == NULL) { /* UCP may know the device only */
        return uct_iface_is_reachable(iface->lower, dev_addr, NULL);
    }

    /* The device address of another lower would be misread by this one. */
    return uct_eesp_address_unpack(iface_addr, &address) &&
           uct_eesp_address_is_lowers(iface, &address) &&
           uct_iface_is_reachable(iface->lower, dev_addr,
                                  UCS_PTR_BYTE_OFFSET(iface_addr,
                                                      UCT_EESP_ADDRESS_LEN)) &&
           uct_eesp_address_accept(iface, &address);
}

/*
 * Shared-memory lowers of UCX report a flush as done while requests wait in
 * their queues: ours are counted, and while there are any nothing is flushed.
 */
static ucs_status_t uct_eesp_iface_flush(uct_iface_h tl_iface, unsigned flags,
                                         uct_completion_t *comp)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);
    ucs_status_t status;

    if (comp != NULL) {
        return UCS_ERR_UNSUPPORTED; /* as all lowers */
    }
    if (iface->num_pending > 0) {
        return UCS_INPROGRESS;
    }
    if (iface->rma != NULL) {
        uct_eesp_enter(iface);
        status = uct_eesp_rma_iface_flush(iface);
        uct_eesp_leave(iface);
        if (status != UCS_OK) {
            return status;
        }
    }
    return uct_iface_flush(iface->lower, flags, comp);
}

static ucs_status_t uct_eesp_iface_fence(uct_iface_h tl_iface, unsigned flags)
{
    return uct_iface_fence(ucs_derived_of(tl_iface, uct_eesp_iface_t)->lower,
                           flags);
}

static void uct_eesp_iface_progress_enable(uct_iface_h tl_iface,
                                           unsigned flags)
{
    uct_iface_progress_enable(
            ucs_derived_of(tl_iface, uct_eesp_iface_t)->lower, flags);
}

static void uct_eesp_iface_progress_disable(uct_iface_h tl_iface,
                                            unsigned flags)
{
    uct_iface_progress_disable(
            ucs_derived_of(tl_iface, uct_eesp_iface_t)->lower, flags);
}

static unsigned uct_eesp_iface_progress(uct_iface_h tl_iface)
{
    return uct_iface_progress(
            ucs_derived_of(tl_iface, uct_eesp_iface_t)->lower);
}

static ucs_status_t uct_eesp_iface_event_fd_get(uct_iface_h tl_iface,
                                                int *fd_p)
{
    return uct_iface_event_fd_get(
            ucs_derived_of(tl_iface, uct_eesp_iface_t)->lower, fd_p);
}

static ucs_status_t uct_eesp_iface_event_arm(uct_iface_h tl_iface,
                                             unsigned events)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);

    if ((iface->rma != NULL) && uct_eesp_rma_owes(iface)) {
        return UCS_ERR_BUSY;
    }
    return uct_iface_event_arm(iface->lower, events);
}

static ucs_status_t uct_eesp_iface_open_lane(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md              = uct_eesp_iface_md(iface);
    struct eesp_lane_params params = {
        .backend      = md->backend,
        .key_cache    = md->key_cache,
        .replay_table = md->replay_table,
        .rank         = md->identity.rank,
        .id           = md->identity.process,
    };
    char why[EESP_WHY_LEN];
    ucs_status_t status;

    iface->ring    = uct_eesp_ring_get(md, &iface->ring_serial);
    params.keyring = iface->ring->keyring;
    params.policy  = eesp_keyring_policy_spi(params.keyring, md->info.spi);
    if (eesp_lane_create(&params, &iface->lane, why) != EESP_OK) {
        uct_eesp_refuse("%s", why);
        return UCS_ERR_UNSUPPORTED;
    }
    ucs_debug("eesp: %s/%s sealed by %s under policy %s",
              iface->lower_dev->resource.tl_name, iface->lower_dev->name,
              eesp_lane_backend(iface->lane),
              md->info.name);
    status = uct_eesp_keylog_add(iface);
    if (status == UCS_OK) {
        status = uct_eesp_audit_start(iface);
    }
    if (status != UCS_OK) {
        return status;
    }
    uct_eesp_stat_open(md);
    uct_eesp_stat_add(iface);
    return uct_eesp_ring_watch(md);
}

static uct_iface_ops_t uct_eesp_iface_ops;
static uct_iface_internal_ops_t uct_eesp_iface_internal_ops;

/* Everything that the cleanup may look at; UCS does not zero objects. */
static void uct_eesp_iface_clear(uct_eesp_iface_t *iface)
{
    iface->lower        = NULL;
    iface->lane         = NULL;
    iface->ring         = NULL;
    iface->scratch      = NULL;
    iface->beside       = NULL;
    iface->opening      = (uct_eesp_ways_t){.count = 0};
    iface->max_inline   = 0;
    iface->rma          = NULL;
    iface->offload      = NULL;
    iface->sessions     = NULL;
    iface->next_session = 0;
    iface->num_pending  = 0;
    iface->p2p          = 0;
    iface->async        = 0;
    iface->deferred_id  = UCS_CALLBACKQ_ID_NULL;
    ucs_queue_head_init(&iface->deferred);
    iface->failed       = 0;
    iface->told_unknown = 0;
    iface->rx_front     = 0;

    iface->failure_handled = 0;
    iface->fail_id      = UCS_CALLBACKQ_ID_NULL;
    iface->follow_id    = UCS_CALLBACKQ_ID_NULL;
    memset(&iface->lower_attr, 0, sizeof(iface->lower_attr));
    memset(&iface->counted, 0, sizeof(iface->counted));
    ucs_list_head_init(&iface->eps);
    ucs_list_head_init(&iface->list);
    kh_init_inplace(uct_eesp_ep, &iface->by_lower);
    kh_init_inplace(uct_eesp_incarnation, &iface->known);
    ucs_recursive_spinlock_init(&iface->lock, 0);
}

static void uct_eesp_iface_release(uct_eesp_iface_t *iface)
{
    uct_worker_progress_unregister_safe(&iface->super.worker->super,
                                        &iface->fail_id);
    uct_eesp_rma_cleanup(iface);
    if (iface->lower != NULL) {
        uct_iface_close(iface->lower);
    }
    uct_eesp_rx_cleanup(iface);
    uct_eesp_stat_remove(iface);
    uct_worker_progress_unregister_safe(&iface->super.worker->super,
                                        &iface->follow_id);
    eesp_lane_destroy(iface->lane);
    uct_eesp_ring_put(uct_eesp_iface_md(iface), iface->ring);
    ucs_free(iface->scratch);
    ucs_free(iface->beside);
    ucs_free(iface->sessions);
    kh_destroy_inplace(uct_eesp_ep, &iface->by_lower);
    kh_destroy_inplace(uct_eesp_incarnation, &iface->known);
    ucs_recursive_spinlock_destroy(&iface->lock);
}

static size_t uct_eesp_iface_max_inline(const uct_eesp_iface_t *iface)
{
    size_t overhead = uct_eesp_iface_md(iface)->overhead;
    size_t max      = ucs_min(iface->lower_attr.cap.am.max_short,
                              UCT_EESP_INLINE_MAX);

    return ((iface->lower_attr.cap.flags & UCT_IFACE_FLAG_AM_SHORT) &&
            (max > overhead)) ? max - overhead : 0;
}

/* ud beside another lower of its port: for wire-up of that one's endpoints. UCP
 * would cut long messages in two for them. */
static int uct_eesp_iface_assists(const uct_eesp_iface_t *iface)
{
    return iface->async && (strcmp(iface->lower_dev->name,
                                   iface->lower_dev->resource.dev_name) != 0);
}

/*
 * Not to itself, where the lower calls handlers while it sends: an answer would
 * come before its request is posted. UCP emulates it there, or takes another
 * lower, which all reach their own process.
 */
static int uct_eesp_iface_does_rma(const uct_eesp_iface_t *iface)
{
    return uct_eesp_iface_md(iface)->rma && !uct_eesp_iface_assists(iface) &&
           (iface->lower_dev->resource.dev_type != UCT_DEVICE_TYPE_SELF) &&
           (iface->max_data >= 2 * UCT_EESP_RMA_MESSAGE_MAX);
}

static ucs_status_t uct_eesp_iface_fill(uct_eesp_iface_t *iface,
                                        uct_worker_h worker,
                                        const uct_iface_params_t *params,
                                        const uct_eesp_iface_config_t *config)
{
    ucs_status_t status;

    status = uct_eesp_lower_open(iface, worker, params, config->seg_size);
    if (status == UCS_OK) {
        status = uct_eesp_lower_check(iface);
    }
    if (status == UCS_OK) {
        status = uct_eesp_iface_open_lane(iface);
    }
    if (status != UCS_OK) {
        return status;
    }

    iface->max_am   = uct_eesp_segment_am(iface->lower_dev, config->seg_size,
                                          iface->max_packet, iface->max_data);
    iface->scratch  = ucs_malloc(EESP_AM_HEADER + iface->max_data,
                                 "eesp scratch");
    iface->sessions = ucs_calloc(65536 / 64, sizeof(uint64_t),
                                 "eesp sessions");
    if ((iface->scratch == NULL) || (iface->sessions == NULL)) {
        return UCS_ERR_NO_MEMORY;
    }
    if (iface->lower_dev->resource.dev_type == UCT_DEVICE_TYPE_SHM) {
        iface->beside     = ucs_malloc(iface->max_packet, "eesp beside");
        iface->max_inline = uct_eesp_iface_max_inline(iface);
        if (iface->beside == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
    }
    status = uct_eesp_rx_init(iface, params);
    return ((status == UCS_OK) && uct_eesp_iface_does_rma(iface)) ?
           uct_eesp_rma_init(iface) : status;
}

UCS_CLASS_INIT_FUNC(uct_eesp_iface_t, uct_md_h tl_md, uct_worker_h worker,
                    const uct_iface_params_t *params,
                    const uct_iface_config_t *tl_config)
{
    uct_eesp_md_t *md = ucs_derived_of(tl_md, uct_eesp_md_t);
    ucs_status_t status;

    UCT_CHECK_PARAM(params->field_mask & UCT_IFACE_PARAM_FIELD_OPEN_MODE,
                    "UCT_IFACE_PARAM_FIELD_OPEN_MODE is not defined");
    if (!(params->open_mode & UCT_IFACE_OPEN_MODE_DEVICE)) {
        return UCS_ERR_UNSUPPORTED;
    }

    UCS_CLASS_CALL_SUPER_INIT(uct_base_iface_t, &uct_eesp_iface_ops,
                              &uct_eesp_iface_internal_ops, tl_md, worker,
                              params, tl_config);

    uct_eesp_iface_clear(self);
    self->lower_dev = uct_eesp_lower_by_name(md, params->mode.device.dev_name);
    if (self->lower_dev == NULL) {
        uct_eesp_iface_release(self);
        return UCS_ERR_NO_DEVICE;
    }

    status = uct_eesp_iface_fill(self, worker, params,
                                 ucs_derived_of(tl_config,
                                                uct_eesp_iface_config_t));
    if (status != UCS_OK) {
        uct_eesp_iface_release(self);
    }
    return status;
}

static UCS_CLASS_CLEANUP_FUNC(uct_eesp_iface_t)
{
    struct eesp_counters counters;

    eesp_lane_counters(self->lane, &counters);
    ucs_debug("eesp: %s: sealed %lu, opened %lu, derived %lu, dropped as "
              "replay %lu, as forged %lu", self->lower_dev->name,
              counters.sealed, counters.opened, counters.derived,
              counters.dropped[-EESP_DROP_REPLAY],
              counters.dropped[-EESP_DROP_AUTH]);
    uct_eesp_audit_count(self);
    uct_eesp_iface_release(self);
}

UCS_CLASS_DEFINE(uct_eesp_iface_t, uct_base_iface_t);
UCS_CLASS_DEFINE_NEW_FUNC(uct_eesp_iface_t, uct_iface_t, uct_md_h,
                          uct_worker_h, const uct_iface_params_t*,
                          const uct_iface_config_t*);
static UCS_CLASS_DEFINE_DELETE_FUNC(uct_eesp_iface_t, uct_iface_t);

static uct_iface_internal_ops_t uct_eesp_iface_internal_ops = {
    .iface_estimate_perf = uct_base_iface_estimate_perf,
    .iface_vfs_refresh   = uct_eesp_iface_vfs_refresh,
    .ep_query            = uct_eesp_ep_query,
    .ep_invalidate       = (uct_ep_invalidate_func_t)
                           ucs_empty_function_return_unsupported,
};

static uct_iface_ops_t uct_eesp_iface_ops = {
    .ep_am_short              = uct_eesp_ep_am_short,
    .ep_am_short_iov          = uct_eesp_ep_am_short_iov,
    .ep_am_bcopy              = uct_eesp_ep_am_bcopy,
    .ep_am_zcopy              = uct_eesp_ep_am_zcopy,
    .ep_put_short             = uct_eesp_ep_put_short,
    .ep_put_bcopy             = uct_eesp_ep_put_bcopy,
    .ep_put_zcopy             = uct_eesp_ep_put_zcopy,
    .ep_get_bcopy             = uct_eesp_ep_get_bcopy,
    .ep_get_zcopy             = uct_eesp_ep_get_zcopy,
    .ep_atomic_cswap64        = uct_eesp_ep_atomic_cswap64,
    .ep_atomic_cswap32        = uct_eesp_ep_atomic_cswap32,
    .ep_atomic64_post         = uct_eesp_ep_atomic64_post,
    .ep_atomic32_post         = uct_eesp_ep_atomic32_post,
    .ep_atomic64_fetch        = uct_eesp_ep_atomic64_fetch,
    .ep_atomic32_fetch        = uct_eesp_ep_atomic32_fetch,
    .ep_pending_add           = uct_eesp_ep_pending_add,
    .ep_pending_purge         = uct_eesp_ep_pending_purge,
    .ep_flush                 = uct_eesp_ep_flush,
    .ep_fence                 = uct_eesp_ep_fence,
    .ep_check                 = uct_eesp_ep_check,
    .ep_get_address           = uct_eesp_ep_get_address,
    .ep_connect_to_ep         = uct_eesp_ep_connect_to_ep,
    .ep_create                = UCS_CLASS_NEW_FUNC_NAME(uct_eesp_ep_t),
    .ep_destroy               = UCS_CLASS_DELETE_FUNC_NAME(uct_eesp_ep_t),
    .iface_flush              = uct_eesp_iface_flush,
    .iface_fence              = uct_eesp_iface_fence,
    .iface_progress_enable    = uct_eesp_iface_progress_enable,
    .iface_progress_disable   = uct_eesp_iface_progress_disable,
    .iface_progress           = uct_eesp_iface_progress,
    .iface_event_fd_get       = uct_eesp_iface_event_fd_get,
    .iface_event_arm          = uct_eesp_iface_event_arm,
    .iface_close              = UCS_CLASS_DELETE_FUNC_NAME(uct_eesp_iface_t),
    .iface_query              = uct_eesp_iface_query,
    .iface_get_device_address = uct_eesp_iface_get_device_address,
    .iface_get_address        = uct_eesp_iface_get_address,
    .iface_is_reachable       = uct_eesp_iface_is_reachable,
};
