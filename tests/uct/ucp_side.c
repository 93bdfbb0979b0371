/* SPDX-License-Identifier: BSD-3-Clause */
#include "ucp_side.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

#include "uct.h"

#define ASLEEP_MS 10000 /* nobody needs so long to answer: a lost wakeup */

struct ucp_side ucp_side = {.event = -1};

void ucp_side_open(int wakeup)
{
    ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
        .features   = UCP_SIDE_FEATURES | (wakeup ? UCP_FEATURE_WAKEUP : 0),
        .name       = "eesp-test",
    };
    ucp_worker_params_t worker_params = {
        .field_mask  = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };
    ucp_config_t *config;

    check_ok(ucp_config_read(NULL, NULL, &config));
    check_ok(ucp_init(&params, config, &ucp_side.context));
    ucp_config_release(config);
    check_ok(ucp_worker_create(ucp_side.context, &worker_params,
                               &ucp_side.worker));
    if (wakeup)
        check_ok(ucp_worker_get_efd(ucp_side.worker, &ucp_side.event));
}

void ucp_side_close(void)
{
    ucp_worker_destroy(ucp_side.worker);
    ucp_cleanup(ucp_side.context);
}

/* To be called only when progress has found nothing to do. */
static void sleep_on_event(int fd)
{
    struct pollfd fds[2] = {{.fd = ucp_side.event, .events = POLLIN},
                            {.fd = fd, .events = POLLIN}};
    ucs_status_t status;
    int n;

    status = ucp_worker_arm(ucp_side.worker);
    if (status == UCS_ERR_BUSY)
        return;
    check(status == UCS_OK, "arm: %s", ucs_status_string(status));
    do {
        n = poll(fds, 2, ASLEEP_MS);
    } while (n < 0 && errno == EINTR);
    check(n >= 0, "poll: %s", strerror(errno));
    check(n > 0, "no wakeup in %d s", ASLEEP_MS / 1000);
}

void ucp_side_wait(int fd)
{
    if (ucp_worker_progress(ucp_side.worker) != 0)
        return;
    if (ucp_side.event >= 0)
        sleep_on_event(fd);
    else
        sched_yield();
}

ucs_status_t ucp_side_finish(ucs_status_ptr_t request)
{
    ucs_status_t status;

    if (!UCS_PTR_IS_PTR(request))
        return UCS_PTR_STATUS(request);
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
        ucp_side_wait(-1);
    ucp_request_free(request);
    return status;
}

void ucp_side_flush(ucp_ep_h ep)
{
    ucp_request_param_t param = {.op_attr_mask = 0};

    check_ok(ucp_side_finish(ucp_ep_flush_nbx(ep, &param)));
}

void ucp_side_close_ep(ucp_ep_h ep, int force)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags        = force ? UCP_EP_CLOSE_FLAG_FORCE : 0,
    };
    ucs_status_t status = ucp_side_finish(ucp_ep_close_nbx(ep, &param));

    /* The peer may have closed first. */
    check(status == UCS_OK || status == UCS_ERR_CONNECTION_RESET ||
              status == UCS_ERR_ENDPOINT_TIMEOUT || force,
          "close: %s", ucs_status_string(status));
}
