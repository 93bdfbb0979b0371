/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_rma: put and get, many at a time, in order, both ways. */
#include <string.h>

#include "uct_rma_side.h"

/* Put, flush, and look: what a flush says is done is there. */
void group_put(void)
{
    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (enum kind kind = SHORT; kind < KINDS; kind++) {
        size_t max = longest(kind, 0), n = 0;

        for (;;) {
            size_t offset = n % 61;

            stage("put of kind %d, %zu bytes", kind, n);
            pattern_fill(local, n, n + kind);
            memset(window(), 0x5a, offset + n + 1);
            check_ok(put(kind, n, offset, rkey.rkey));
            check_ok(n & 1 ? flush() : iface_flush());
            pattern_check(window() + offset, n, n + kind);
            check(window()[offset + n] == 0x5a, "one byte too far");
            check(offset == 0 || window()[offset - 1] == 0x5a, "before");
            if (n == max)
                break;
            n = n < 100 ? n + 1 : n * 9 / 7;
            n = n < max ? n : max;
        }
    }
    rma_close();
}

void group_get(void)
{
    static const size_t sizes[] = {1, 7, 8, 100, 2047, 2048, 2049, 4099, 65000,
                                   65536, 70001, 1 << 20, (3 << 20) - 77};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (enum kind kind = BCOPY; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            size_t n = sizes[i], offset = n % 61;

            if (n > longest(kind, 1))
                continue;
            stage("get of kind %d, %zu bytes", kind, n);
            pattern_fill(window() + offset, n, n + kind);
            memset(local, 0x5a, n + 1);
            check_ok(get(kind, n, offset, rkey.rkey));
            pattern_check(local, n, n + kind);
            check(local[n] == 0x5a, "one byte too far");
        }
    }
    check_ok(flush());
    rma_close();
}

/* Puts, active messages and gets in one order, and many at once: replies that
 * find no room wait, and a flush for all of them. */
void group_rma_many(void)
{
    enum { PART = SIZE / MANY };
    static uct_completion_t comps[MANY];
    size_t n = PART - 13;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    pattern_fill(window(), SIZE, 1);
    done_calls = 0;
    for (unsigned i = 0; i < MANY; i++) {
        uct_iov_t iov = {.buffer = local + i * PART, .length = n,
                         .memh = local_memh, .count = 1};
        ucs_status_t status;

        comps[i] = (uct_completion_t)COMPLETION;
        /* Only the requester makes progress: the target is busy. */
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, remote(i * PART),
                                          rkey.rkey, &comps[i])) ==
               UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    check_ok(flush());
    check(done_calls >= MANY, "%u of %u gets done after a flush", done_calls,
          MANY);
    for (unsigned i = 0; i < MANY; i++)
        check(memcmp(local + i * PART, window() + i * PART, n) == 0,
              "get %u has brought something else", i);

    for (unsigned i = 0; i < 500; i++) {
        pattern_fill(local, 8, i);
        check_ok(put(i & 1 ? SHORT : BCOPY, 8, 8 * i, rkey.rkey));
        if (i % 5 == 0)
            side_send(ep, 8, i);
    }
    side_expect(&to, 100);
    check_ok(iface_flush());
    for (unsigned i = 0; i < 500; i++)
        pattern_check(window() + 8 * i, 8, i);
    rma_close();
}

/* An active message is not seen before the put that was posted before it. */
void group_rma_order(void)
{
    static const size_t sizes[] = {8, 3000, 60000};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (unsigned i = 0; i < 300; i++) {
        size_t n = fitting(sizes[i % 3]);
        uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                         .count = 1};
        uct_completion_t comp = COMPLETION;
        ucs_status_t status;

        pattern_fill(local, n, i);
        while ((status = uct_ep_put_zcopy(ep, &iov, 1, remote(i % 7), rkey.rkey,
                                          &comp)) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
        check_ok(uct_ep_fence(ep, 0));
        side_send(ep, 4, i);
        while (to.received == i)
            progress_all();
        pattern_check(window() + i % 7, n, i);
        while (comp.count != 0)
            progress_all();
        check_ok(comp.status);
    }
    rma_close();
}

/* What one side of a conversation reads, writes and says. */
struct talk {
    uct_ep_h ep;
    uct_rkey_bundle_t rkey;
    uint8_t *theirs, *mine; /* lower half: read, upper: written */
    uct_completion_t get, put[4];
    size_t piece, at; /* of puts, piece after piece */
    unsigned said, puts;
};

static void talk_start(struct talk *talk, int i, uct_mem_h memh_)
{
    uint8_t packed[64];

    check_ok(uct_md_mkey_pack(places[!i].md, memh_, packed));
    check_ok(uct_rkey_unpack(component, packed, &talk->rkey));
    talk->get   = (uct_completion_t){.func = done_call};
    talk->said  = 0;
    talk->piece = SIZE / 2 / 64;
    while (talk->piece > longest(ZCOPY, 0))
        talk->piece /= 2;
    for (int k = 0; k < 4; k++)
        talk->put[k] = talk->get;
}

/* One try at each that is not under way. */
static void talk_on(struct talk *talk)
{
    uct_iov_t iov = {.buffer = talk->mine, .length = SIZE / 2, .count = 1};

    if (talk->get.count == 0) {
        talk->get = (uct_completion_t)COMPLETION;
        if (uct_ep_get_zcopy(talk->ep, &iov, 1, (uintptr_t)talk->theirs,
                             talk->rkey.rkey, &talk->get) != UCS_INPROGRESS)
            talk->get.count = 0;
    }
    for (int k = 0; k < 4; k++) {
        if (talk->put[k].count != 0)
            continue;
        iov.buffer   = talk->mine + talk->at;
        iov.length   = talk->piece;
        talk->put[k] = (uct_completion_t)COMPLETION;
        if (uct_ep_put_zcopy(talk->ep, &iov, 1,
                             (uintptr_t)talk->theirs + SIZE / 2 + talk->at,
                             talk->rkey.rkey,
                             &talk->put[k]) != UCS_INPROGRESS) {
            talk->put[k].count = 0;
            break;
        }
        talk->at = (talk->at + talk->piece) % (SIZE / 2);
        talk->puts++;
        progress_all();
    }
    if (side_try_send(talk->ep, 100, talk->said) == UCS_OK)
        talk->said++;
}

/* Each is requester and target, over endpoints that carry messages, too: gets of
 * both, puts and messages share them. Then the target's goes, in the middle. */
void group_rma_both(void)
{
    struct talk talks[2];
    unsigned enough;
    uct_mem_h mine;
    uct_ep_h back;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    back = side_connect(&to, &from);
    check_ok(uct_md_mem_reg(places[0].md, local, SIZE, UCT_MD_MEM_ACCESS_ALL,
                            &mine));
    talks[0] = (struct talk){.ep = ep, .theirs = window(), .mine = local};
    talks[1] = (struct talk){.ep = back, .theirs = local, .mine = window()};
    pattern_fill(window(), SIZE / 2, 5);
    pattern_fill(local, SIZE / 2, 5);
    talk_start(&talks[0], 0, memh);
    talk_start(&talks[1], 1, mine);
    enough = SIZE / 2 / talks[0].piece + 36;
    for (unsigned round = 0;
         talks[0].puts < enough || talks[1].puts < enough; round++) {
        talk_on(&talks[round % 2]);
        progress_all();
    }
    /* The get of `ep` is answered over `back`, which goes while it is. */
    while (talks[0].get.count == 0)
        talk_on(&talks[0]);
    for (int i = 0; i < 20; i++)
        uct_worker_progress(places[1].worker);
    uct_ep_destroy(back);
    check_ok(flush());
    check(talks[0].get.count == 0, "the get is not done after a flush");
    check_ok(talks[0].get.status);
    stage("after the endpoint that answered");
    check_ok(get(ZCOPY, SIZE / 2, 0, rkey.rkey));
    check_ok(flush());
    pattern_check(local, SIZE / 2, 5);
    pattern_check(window(), SIZE / 2, 5);
    pattern_check(window() + SIZE / 2, SIZE / 2, 5);
    pattern_check(local + SIZE / 2, SIZE / 2, 5);
    check(to.received == talks[0].said, "%u of %u messages came", to.received,
          talks[0].said);
    for (int i = 0; i < 2; i++)
        check_ok(uct_rkey_release(component, &talks[i].rkey));
    check_ok(uct_md_mem_dereg(places[0].md, mine));
    rma_close();
}
