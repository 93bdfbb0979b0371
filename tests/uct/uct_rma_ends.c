/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_rma_ends: cancelled, woken up, killed. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "uct_rma_side.h"

/* A flush with CANCEL, and an endpoint that is destroyed: completions come. */
void group_cancelled(void)
{
    static uct_completion_t comps[MANY];
    uct_iov_t iov = {.count = 1, .length = 5000};
    unsigned posted;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    iov.buffer = local;
    iov.memh   = local_memh;
    for (int round = 0; round < 2; round++) {
        done_calls = 0;
        for (posted = 0; posted < MANY; posted++) {
            comps[posted] = (uct_completion_t)COMPLETION;
            if (uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                 &comps[posted]) != UCS_INPROGRESS)
                break;
        }
        if (round == 0) {
            ucs_status_t status = uct_ep_flush(ep, UCT_FLUSH_FLAG_CANCEL, NULL);

            /* What the lower says of its own part. */
            check(status == UCS_OK || status == UCS_INPROGRESS ||
                      status == UCS_ERR_NO_RESOURCE, "%s",
                  ucs_status_string(status));
            check(done_calls == posted, "%u of %u", done_calls, posted);
        }
        uct_ep_destroy(ep);
        check(done_calls == posted, "%u of %u", done_calls, posted);
        for (unsigned i = 0; i < posted; i++)
            check(comps[i].status == UCS_ERR_CANCELED, "%s",
                  ucs_status_string(comps[i].status));
        /* Late replies find nobody, and another endpoint works. */
        ep = side_connect(&from, &to);
        pattern_fill(window(), 5000, 4);
        check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
        pattern_check(local, 5000, 4);
    }
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    rma_close();
}

/* Two endpoints to one target: what is asked over one of them is answered whether
 * there is the other or not. */
void group_rma_pairs(void)
{
    uct_ep_h first, second;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    first = ep;
    ep = second = side_connect(&from, &to);
    for (unsigned i = 0; i < 3; i++) {
        stage("get %u of two endpoints", i);
        pattern_fill(window(), 5000, i);
        check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
        pattern_check(local, 5000, i);
        ep = i == 0 ? first : second;
        if (i == 1)
            uct_ep_destroy(first);
    }
    rma_close();
}

static void arm(const struct side *side)
{
    while (uct_iface_event_arm(side->iface, UCT_EVENT_RECV |
                                                UCT_EVENT_SEND_COMP) ==
           UCS_ERR_BUSY)
        while (uct_worker_progress(side->place->worker) != 0)
            ;
}

/* Both sleep until the other has something for them. */
void group_rma_event(void)
{
    int fds[2];

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    if (!(from.attr.cap.event_flags & UCT_IFACE_FLAG_EVENT_FD)) {
        skipped("this lower has no event file");
        rma_close();
        return;
    }
    check_ok(get(ZCOPY, 8, 0, rkey.rkey)); /* connected */
    check_ok(uct_iface_event_fd_get(from.iface, &fds[0]));
    check_ok(uct_iface_event_fd_get(to.iface, &fds[1]));
    for (unsigned i = 0; i < 100; i++) {
        size_t n = i % 2 ? 8 : fitting(50000);
        uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                         .count = 1};
        uct_completion_t comp = COMPLETION;
        ucs_status_t status;

        stage("asleep before request %u", i);
        pattern_fill(i % 4 < 2 ? window() : local, n, i);
        arm(&to);
        status = i % 4 < 2 ? uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                              &comp) :
                             uct_ep_put_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                              &comp);
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
        while (comp.count != 0) {
            struct pollfd polls[2] = {{.fd = fds[0], .events = POLLIN},
                                      {.fd = fds[1], .events = POLLIN}};

            while (uct_worker_progress(places[0].worker) != 0)
                ;
            if (comp.count == 0)
                break;
            arm(&from);
            arm(&to);
            if (comp.count == 0)
                break;
            check(poll(polls, 2, 5000) > 0, "no wakeup in 5 s");
            if (polls[1].revents)
                while (uct_worker_progress(places[1].worker) != 0)
                    ;
        }
        check_ok(comp.status);
        pattern_check(i % 4 < 2 ? local : window(), n, i);
    }
    memset(window(), 0xa5, SIZE);
    rma_close();
}

/* What the requester needs to know. */
struct offer {
    struct address address;
    uint64_t at;
    uint8_t key[64];
};

/* Serves until it is killed. */
static void serve_forever(const struct pair *pair)
{
    struct address *requester;
    struct offer offer;
    uct_ep_h partner = NULL;
    size_t length;

    pattern_fill(window(), SIZE, 6);
    if (side_is_p2p(&to))
        partner = side_begin(&to, &offer.address);
    else
        side_address(&to, &offer.address);
    offer.at = remote(0);
    check_ok(uct_md_mkey_pack(places[1].md, memh, offer.key));
    pair_put(pair, &offer, sizeof(offer));
    if (side_is_p2p(&to)) {
        requester = pair_get(pair, &length);
        side_join(partner, requester);
        pair_put(pair, "", 1);
    }
    for (;;)
        progress_all();
}

/* An endpoint to the other process's. */
static uct_ep_h connect_to(const struct pair *pair, const struct address *to_)
{
    struct address own;
    size_t length;
    uct_ep_h made;

    if (side_is_p2p(&from)) {
        made = side_begin(&from, &own);
        side_join(made, to_);
        pair_put(pair, &own, sizeof(own));
        free(pair_get(pair, &length));
    } else {
        check_ok(side_try_connect(&from, to_, &made));
    }
    return made;
}

/* The target is killed while it answers: what was asked ends with an error, and
 * what had arrived is right. */
void group_killed(void)
{
    static uct_completion_t comps[MANY];
    uct_iov_t iov = {.count = 1, .length = SIZE};
    struct pair pair;
    struct offer *offer;
    ucs_status_t status;
    size_t length;
    int tries = 0, wait_status;

    pair_of_check(&pair);
    if (!rma_open(UCT_MD_MEM_ACCESS_ALL)) {
        if (pair.side == 1)
            exit(0);
        pair_finish(&pair);
        return;
    }
    if (pair.side == 1)
        serve_forever(&pair);

    offer = pair_get(&pair, &length);
    uct_ep_destroy(ep);
    ep = connect_to(&pair, &offer->address);
    check_ok(uct_rkey_release(component, &rkey));
    check_ok(uct_rkey_unpack(component, offer->key, &rkey));
    iov.buffer = local;
    iov.memh   = local_memh;
    done_calls = 0;
    for (unsigned i = 0; i < MANY; i++) {
        comps[i] = (uct_completion_t)COMPLETION;
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, offer->at, rkey.rkey,
                                          &comps[i])) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    while (done_calls == 0)
        progress_all();
    check(kill(pair.peer, SIGKILL) == 0, "kill");
    check(waitpid(pair.peer, &wait_status, 0) == pair.peer, "waitpid");
    while (from.errors == 0 && done_calls < MANY) {
        progress_all();
        if (tries++ % 1000 == 0)
            (void)uct_ep_check(ep, 0, NULL);
    }
    check(done_calls < MANY, "all of it had come before");
    (void)uct_ep_flush(ep, UCT_FLUSH_FLAG_CANCEL, NULL);
    check(done_calls == MANY, "%u of %u ended", done_calls, MANY);
    for (unsigned i = 0; i < MANY; i++)
        check(comps[i].status == UCS_OK ||
                  comps[i].status == UCS_ERR_CANCELED, "%s",
              ucs_status_string(comps[i].status));
    pattern_check(local, SIZE, 6);
    free(offer);
    rma_close();
}
