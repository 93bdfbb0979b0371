/* SPDX-License-Identifier: BSD-3-Clause */
/* lower_iface: opens the lower interface of a device and checks that it will do. */
#include "rma.h"

#include <ucs/sys/math.h>

/* The lower names its own endpoint: UCP knows ours. */
static ucs_status_t uct_eesp_lower_error(void *arg, uct_ep_h lower_ep,
                                               ucs_status_t status)
{
    uct_eesp_iface_t *iface = arg;
    uct_ep_h ep             = NULL;
    khiter_t iter;

    ucs_recursive_spin_lock(&iface->lock);
    iter = kh_get(uct_eesp_ep, &iface->by_lower, (uintptr_t)lower_ep);
    if (iter != kh_end(&iface->by_lower)) {
        ep = kh_value(&iface->by_lower, iter);
    }
    ucs_recursive_spin_unlock(&iface->lock);

    if (ep == NULL) {
        ucs_debug("eesp: %s on a lower endpoint that is gone",
                  ucs_status_string(status));
        return UCS_OK;
    }
    uct_eesp_rma_peer_failed(ucs_derived_of(ep, uct_eesp_ep_t));
    if (ucs_derived_of(ep, uct_eesp_ep_t)->hidden) {
        return UCS_OK; /* the program does not know it */
    }
    return uct_iface_handle_ep_err(&iface->super.super, ep, status);
}

/* The device's lower interface, with our segment size where it has one. */
ucs_status_t uct_eesp_lower_open(uct_eesp_iface_t *iface, uct_worker_h worker,
                                 const uct_iface_params_t *params,
                                 size_t seg_size)
{
    const uct_eesp_lower_t *dev  = iface->lower_dev;
    uct_iface_params_t lower_par = *params;
    uct_iface_config_t *config;
    ucs_status_t status;

    status = uct_md_iface_config_read(dev->md, dev->resource.tl_name, NULL,
                                      NULL, &config);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_segment_set(config, dev->resource.tl_name, seg_size);
    if (status == UCS_OK) {
        lower_par.mode.device.tl_name  = dev->resource.tl_name;
        lower_par.mode.device.dev_name = dev->resource.dev_name;
        lower_par.field_mask          |= UCT_IFACE_PARAM_FIELD_ERR_HANDLER |
                                         UCT_IFACE_PARAM_FIELD_ERR_HANDLER_ARG;
        lower_par.err_handler          = uct_eesp_lower_error;
        lower_par.err_handler_arg      = iface;
        /* The lower's data is ciphertext: it needs no headroom of UCP's. */
        lower_par.field_mask          &= ~(UCT_IFACE_PARAM_FIELD_AM_ALIGNMENT |
                                           UCT_IFACE_PARAM_FIELD_AM_ALIGN_OFFSET);
        lower_par.rx_headroom          = 0;
        status = uct_iface_open(dev->md, worker, &lower_par, config,
                                &iface->lower);
    }
    uct_config_release(config);
    return status;
}

/* Whether UCX's locks lie where this build has them: see plugin.h. */
static int uct_eesp_lower_knows_locks(void)
{
    static const ucs_async_mode_t modes[] = {UCS_ASYNC_MODE_THREAD_SPINLOCK,
                                             UCS_ASYNC_MODE_THREAD_MUTEX,
                                             UCS_ASYNC_MODE_POLL};
    int fits = 1;
    ucs_async_context_t *async;
    size_t i;

    for (i = 0; fits && (i < ucs_static_array_size(modes)); ++i) {
        if (ucs_async_context_create(modes[i], &async) != UCS_OK) {
            return 0;
        }
        fits = async->mode == modes[i];
        ucs_async_context_destroy(async);
    }
    return fits;
}

ucs_status_t uct_eesp_lower_check(uct_eesp_iface_t *iface)
{
    const char *tl_name = iface->lower_dev->resource.tl_name;
    uct_eesp_md_t *md   = uct_eesp_iface_md(iface);
    size_t overhead     = md->overhead + EESP_AM_HEADER;
    uct_iface_attr_t *attr = &iface->lower_attr;
    ucs_status_t status;
    size_t longest;

    status = uct_iface_query(iface->lower, attr);
    if (status != UCS_OK) {
        return status;
    }

    if (!ucs_test_all_flags(attr->cap.flags, UCT_EESP_LOWER_NEEDS) ||
        !(attr->cap.flags & UCT_EESP_LOWER_CONNECTS)) {
        uct_eesp_refuse("UCX_EESP_LOWER: transport %s cannot carry sealed "
                        "messages (it lacks am_bcopy, pending, synchronous "
                        "callbacks or a way to connect)", tl_name);
        return UCS_ERR_UNSUPPORTED;
    }

    iface->p2p   = !(attr->cap.flags & UCT_IFACE_FLAG_CONNECT_TO_IFACE);
    iface->async = !!(attr->cap.flags & UCT_IFACE_FLAG_CB_ASYNC);
    if (iface->async && !uct_eesp_lower_knows_locks()) {
        uct_eesp_refuse("UCX_EESP_LOWER: transport %s shares a lock with its "
                        "thread that this build cannot take: use a UCX built "
                        "with assertions, as Debian's is", tl_name);
        return UCS_ERR_UNSUPPORTED;
    }
    longest      = UCT_EESP_ADDRESS_LEN + attr->iface_addr_len;
    if (iface->p2p) {
        longest = ucs_max(longest, UCT_EESP_EP_ADDRESS_LEN + attr->ep_addr_len);
    }
    if (longest > UCT_EESP_ADDRESS_MAX) {
        uct_eesp_refuse("addresses of transport %s are %zu bytes too long for "
                        "this UCX", tl_name, longest - UCT_EESP_ADDRESS_MAX);
        return UCS_ERR_UNSUPPORTED;
    }

    uct_eesp_segment_limits(iface->lower_dev, attr, &iface->max_packet,
                            &iface->rx_max_packet);
    if (iface->max_packet < overhead + 256) {
        uct_eesp_refuse("segments of transport %s are too short: %zu bytes",
                        tl_name, iface->max_packet);
        return UCS_ERR_UNSUPPORTED;
    }

    iface->max_data  = ucs_min(iface->max_packet - overhead,
                               md->info.max_payload - EESP_AM_HEADER);
    iface->max_short = ucs_min(iface->max_data, 2048);
    return UCS_OK;
}
