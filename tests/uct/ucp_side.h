/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One UCP context and worker, and waiting on it: by polling, or asleep on the
 * worker's event file (UCP_FEATURE_WAKEUP).
 */
#ifndef TESTS_UCT_UCP_SIDE_H
#define TESTS_UCT_UCP_SIDE_H

#include <ucp/api/ucp.h>

struct ucp_side {
    ucp_context_h context;
    ucp_worker_h worker;
    int event; /* -1: by polling */
};

extern struct ucp_side ucp_side;

#define UCP_SIDE_FEATURES                                                      \
    (UCP_FEATURE_TAG | UCP_FEATURE_STREAM | UCP_FEATURE_AM | UCP_FEATURE_RMA | \
     UCP_FEATURE_AMO32 | UCP_FEATURE_AMO64)

void ucp_side_open(int wakeup);
void ucp_side_close(void);

/* Makes progress, or sleeps until there may be some or, unless it is -1, fd can
 * be read. */
void ucp_side_wait(int fd);

/* Waits for a request and frees it; its status, or that of a send or receive
 * that was complete or refused at once. */
ucs_status_t ucp_side_finish(ucs_status_ptr_t request);

/* Everything sent so far has arrived. */
void ucp_side_flush(ucp_ep_h ep);

/* Closes; by force: without asking the peer, who may be gone. */
void ucp_side_close_ep(ucp_ep_h ep, int force);

#endif
