/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_order: flush, fence, pending requests and events. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "uct_check.h"

static struct two two;
static unsigned next_number; /* of the message that must come next */

static ucs_status_t in_order(struct side *side, void *data, size_t length,
                             unsigned flags)
{
    (void)side, (void)flags;
    pattern_check(data, length, next_number++);
    return UCS_OK;
}

static void open_in_order(void)
{
    two_open(&two, NULL);
    two.sides[1].receive = in_order;
    next_number          = 0;
}

/* ---- Flush -------------------------------------------------------------- */

static unsigned flushed;

static void flush_done(uct_completion_t *completion)
{
    check(completion->status == UCS_OK, "flush: %s",
          ucs_status_string(completion->status));
    flushed++;
}

static void flush_ep(uct_ep_h ep)
{
    uct_completion_t done = {.func = flush_done, .count = 1, .status = UCS_OK};
    ucs_status_t status;

    flushed = 0;
    while ((status = uct_ep_flush(ep, 0, &done)) == UCS_ERR_NO_RESOURCE)
        progress_all();
    check(status == UCS_OK || status == UCS_INPROGRESS, "flush: %s",
          ucs_status_string(status));
    while (status == UCS_INPROGRESS && flushed == 0)
        progress_all();
}

static void flush_iface(uct_iface_h iface)
{
    ucs_status_t status;

    while ((status = uct_iface_flush(iface, 0, NULL)) == UCS_INPROGRESS ||
           status == UCS_ERR_NO_RESOURCE)
        progress_all();
    check(status == UCS_OK, "iface flush: %s", ucs_status_string(status));
}

void group_flush(void)
{
    uct_completion_t done = {.func = flush_done, .count = 1, .status = UCS_OK};

    open_in_order();
    flush_ep(two.eps[0]); /* nothing to flush */
    for (unsigned i = 0; i < 400; i++) {
        side_send(two.eps[0], 1 + i * 17 % 8000, i);
        if (i % 40 == 20) {
            check_ok(uct_ep_fence(two.eps[0], 0));
            flush_ep(two.eps[0]);
        }
        if (i % 40 == 0) {
            check_ok(uct_iface_fence(two.sides[0].iface, 0));
            flush_iface(two.sides[0].iface);
        }
    }
    flush_ep(two.eps[0]);
    flush_iface(two.sides[0].iface);
    side_expect(&two.sides[1], 400);
    check(uct_iface_flush(two.sides[0].iface, 0, &done) ==
              UCS_ERR_UNSUPPORTED,
          "an interface's flush with a completion");
    if (two.sides[0].attr.cap.flags & UCT_IFACE_FLAG_EP_CHECK)
        check_ok(uct_ep_check(two.eps[0], 0, NULL));
    two_close(&two);
}

/* ---- Pending ------------------------------------------------------------ */

#define REQUESTS 50
#define SMALL    200

struct request {
    uct_pending_req_t super;
    uct_ep_h ep;
    unsigned number;
    unsigned calls, sent, purged;
};

static struct request requests[2 * REQUESTS];
static unsigned purge_order;

static ucs_status_t send_request(uct_pending_req_t *self)
{
    struct request *request = (struct request *)self;
    ucs_status_t status     = side_try_send(request->ep, SMALL, request->number);

    request->calls++;
    if (status == UCS_OK)
        request->sent++;
    return status;
}

static void purge_request(uct_pending_req_t *self, void *arg)
{
    struct request *request = (struct request *)self;

    check(arg == &purge_order, "another argument");
    request->purged = ++purge_order;
}

/* Adds `count` of them; numbers go on after `sent` messages. */
static void add_requests(uct_ep_h ep, struct request *first, unsigned count,
                         unsigned sent)
{
    ucs_status_t status;

    for (unsigned i = 0; i < count; i++) {
        memset(&first[i], 0, sizeof(first[i]));
        first[i].super.func = send_request;
        first[i].ep         = ep;
        first[i].number     = sent + i;
        status = uct_ep_pending_add(ep, &first[i].super, 0);
        check(status == UCS_OK, "request %u: %s", i, ucs_status_string(status));
    }
}

/* Nothing may overtake a request that waits. */
static void check_blocked(void)
{
    uct_iov_t iov = {.buffer = "text", .length = 4, .count = 1};

    check(side_try_send(two.eps[0], SMALL, 0) == UCS_ERR_NO_RESOURCE, "bcopy");
    check(uct_ep_am_short(two.eps[0], SIDE_AM, 0, NULL, 0) ==
              UCS_ERR_NO_RESOURCE, "short");
    check(uct_ep_am_short_iov(two.eps[0], SIDE_AM, &iov, 1) ==
              UCS_ERR_NO_RESOURCE, "short iov");
    check(uct_ep_am_zcopy(two.eps[0], SIDE_AM, NULL, 0, &iov, 1, 0, NULL) ==
              UCS_ERR_NO_RESOURCE, "zcopy");
    check(uct_ep_flush(two.eps[0], 0, NULL) == UCS_ERR_NO_RESOURCE, "flush");
    check(uct_iface_flush(two.sides[0].iface, 0, NULL) == UCS_INPROGRESS,
          "iface flush");
}

void group_pending(void)
{
    unsigned sent;
    ucs_status_t status;

    for (int round = 0; round < 3; round++) {
        open_in_order();
        sent = side_fill(&two.sides[0], two.eps[0], SMALL, 0);
        if (sent == 0) {
            skipped("this lower always has room");
            two_close(&two);
            return;
        }
        add_requests(two.eps[0], requests, REQUESTS, sent);
        check_blocked();
        uct_worker_progress(two.places[0].worker);
        check_blocked();
        /* Not even when the lower has room again. */
        for (unsigned i = 0; i < 10000; i++)
            uct_worker_progress(two.places[1].worker);
        check_blocked();

        side_expect(&two.sides[1], sent + REQUESTS);
        for (unsigned i = 0; i < REQUESTS; i++)
            check(requests[i].sent == 1 && requests[i].purged == 0,
                  "request %u was sent %u times", i, requests[i].sent);
        flush_ep(two.eps[0]);
        flush_iface(two.sides[0].iface);
        status = uct_ep_pending_add(two.eps[0], &requests[0].super, 0);
        check(status == UCS_ERR_BUSY, "with room: %s",
              ucs_status_string(status));
        side_send(two.eps[0], SMALL, next_number);
        side_expect(&two.sides[1], sent + REQUESTS + 1);
        two_close(&two);
    }
}

/* Purging one endpoint gives back all its requests, in order, unsent, and
 * leaves another endpoint's. */
void group_purge(void)
{
    unsigned sent;
    uct_ep_h other;

    open_in_order();
    other = side_connect(&two.sides[0], &two.sides[1]);
    sent  = side_fill(&two.sides[0], two.eps[0], SMALL, 0);
    if (sent == 0) {
        skipped("this lower always has room");
    } else {
        add_requests(two.eps[0], requests, REQUESTS, sent);
        purge_order = 0;
        uct_ep_pending_purge(two.eps[0], purge_request, &purge_order);
        for (unsigned i = 0; i < REQUESTS; i++)
            check(requests[i].purged == i + 1 && requests[i].sent == 0,
                  "request %u was the %u. given back, sent %u times", i,
                  requests[i].purged, requests[i].sent);
        uct_ep_pending_purge(two.eps[0], purge_request, &purge_order);
        check(purge_order == REQUESTS, "given back twice");
        uct_ep_pending_purge(other, purge_request, &purge_order);
        check(purge_order == REQUESTS, "another endpoint's");

        side_expect(&two.sides[1], sent);
        flush_iface(two.sides[0].iface);
        side_send(two.eps[0], SMALL, sent);
        side_expect(&two.sides[1], sent + 1);

        /* Now both endpoints wait; one's messages may overtake the other's. */
        two.sides[1].receive = NULL;
        sent += 1 + side_fill(&two.sides[0], two.eps[0], SMALL, 0);
        sent += side_fill(&two.sides[0], other, SMALL, 0);
        add_requests(two.eps[0], requests, REQUESTS, 0);
        add_requests(other, requests + REQUESTS, REQUESTS, 0);
        uct_ep_pending_purge(two.eps[0], purge_request, &purge_order);
        check(purge_order == 2 * REQUESTS, "%u given back", purge_order);
        sent += REQUESTS;
        side_expect(&two.sides[1], sent);
    }
    uct_ep_destroy(other);
    two_close(&two);
}

/* ---- Events ------------------------------------------------------------- */

static int readable(int fd, int milliseconds)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    int n;

    do {
        n = poll(&pollfd, 1, milliseconds);
    } while (n < 0 && errno == EINTR);
    check(n >= 0, "poll: %s", strerror(errno));
    return n;
}

/* Armed, with nothing left to do. */
static void arm(const struct side *side, unsigned events)
{
    ucs_status_t status;

    while ((status = uct_iface_event_arm(side->iface, events)) == UCS_ERR_BUSY)
        uct_worker_progress(side->place->worker);
    check(status == UCS_OK, "arm: %s", ucs_status_string(status));
}

void group_event(void)
{
    struct side *to = &two.sides[1];
    int fd;

    open_in_order();
    if (!(to->attr.cap.event_flags & UCT_IFACE_FLAG_EVENT_FD)) {
        skipped("this lower has no event file");
        two_close(&two);
        return;
    }
    check_ok(uct_iface_event_fd_get(to->iface, &fd));
    for (unsigned i = 0; i < 200; i++) {
        size_t n = i % 3 == 0 ? 0 : 1 + i * 97 % 6000;

        stage("asleep before message %u", i);
        arm(to, UCT_EVENT_RECV | UCT_EVENT_SEND_COMP);
        if (i % 50 == 0)
            check(!readable(fd, 0), "awake without a message");
        side_send(two.eps[0], n, i);
        while (to->received == i) {
            check(readable(fd, 5000), "no wakeup in 5 s");
            while (uct_worker_progress(to->place->worker) != 0)
                ;
            if (to->received == i)
                arm(to, UCT_EVENT_RECV | UCT_EVENT_SEND_COMP);
        }
    }
    two_close(&two);
}

/* Asleep until requests that wait can be sent. */
void group_event_send(void)
{
    struct side *from = &two.sides[0];
    unsigned sent;
    int fd, rounds = 0;

    open_in_order();
    if (!(from->attr.cap.event_flags & UCT_IFACE_FLAG_EVENT_FD) ||
        !(from->attr.cap.event_flags & UCT_IFACE_FLAG_EVENT_SEND_COMP)) {
        skipped("this lower tells nothing of sends");
        two_close(&two);
        return;
    }
    sent = side_fill(from, two.eps[0], SMALL, 0);
    check_ok(uct_iface_event_fd_get(from->iface, &fd));
    add_requests(two.eps[0], requests, REQUESTS, sent);
    while (two.sides[1].received < sent + REQUESTS) {
        check(rounds++ < 100000, "%u of %u came", two.sides[1].received,
              sent + REQUESTS);
        uct_worker_progress(two.places[1].worker);
        if (requests[REQUESTS - 1].sent ||
            uct_iface_event_arm(from->iface,
                                UCT_EVENT_RECV | UCT_EVENT_SEND_COMP) ==
                UCS_ERR_BUSY ||
            readable(fd, 1))
            uct_worker_progress(two.places[0].worker);
    }
    two_close(&two);
}
