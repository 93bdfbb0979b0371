/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_rma_gets: many gets on their way at once, of which only the first is
 * announced: what comes goes to the one that asked for it. */
#include <string.h>

#include "uct_rma_side.h"

enum { BATCH = 20, BATCHES = 30, SLOT = 131072 };

static uct_completion_t comps[BATCH];
static ucs_status_t expected[BATCH];
static size_t starts[BATCH], lengths[BATCH];

static uint8_t *slot(unsigned i)
{
    return local + (size_t)i * SLOT;
}

static void post(uct_ep_h by, unsigned i, unsigned number)
{
    static const size_t sizes[] = {130000, 3000, 66000, 100, 40000, 16384, 8};
    uct_iov_t iov = {.buffer = slot(i), .count = 1, .memh = local_memh};
    ucs_status_t status;

    iov.length  = lengths[i] = sizes[number % 7];
    starts[i]   = (size_t)number * 9973 % (SIZE - SLOT);
    expected[i] = UCS_OK;
    if (number % 11 == 10) { /* ends outside */
        starts[i]   = SIZE - lengths[i] + 1;
        expected[i] = UCS_ERR_OUT_OF_RANGE;
    }
    comps[i] = (uct_completion_t)COMPLETION;
    memset(slot(i), 0x11, SLOT);
    while ((status = uct_ep_get_zcopy(by, &iov, 1, remote(starts[i]),
                                      rkey.rkey, &comps[i])) ==
           UCS_ERR_NO_RESOURCE)
        progress_all();
    check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
}

static void finish(unsigned i)
{
    while (comps[i].count != 0)
        progress_all();
    check(comps[i].status == expected[i], "get %u: %s", i,
          ucs_status_string(comps[i].status));
    if (expected[i] == UCS_OK)
        check(memcmp(slot(i), window() + starts[i], lengths[i]) == 0,
              "get %u of %zu bytes brought something else", i, lengths[i]);
    for (size_t b = expected[i] == UCS_OK ? lengths[i] : 0; b < SLOT; b++)
        if (slot(i)[b] != 0x11) {
            check(0, "get %u of %zu bytes: byte %zu was written", i,
                  lengths[i], b);
            break;
        }
}

/* Ends what has been posted; its data comes, and must not go anywhere. */
static void cancel(unsigned posted)
{
    ucs_status_t status;

    /* What the lower says of its own part. */
    status = uct_ep_flush(ep, UCT_FLUSH_FLAG_CANCEL, NULL);
    check(status == UCS_OK || status == UCS_ERR_NO_RESOURCE, "%s",
          ucs_status_string(status));
    for (unsigned i = 0; i < posted; i++)
        check(comps[i].count == 0, "get %u is not ended", i);
    for (unsigned i = 0; i < posted; i++)
        memset(slot(i), 0x11, SLOT);
}

void group_gets(void)
{
    uct_ep_h second;
    unsigned number = 0;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    second = side_connect(&from, &to);
    pattern_fill(window(), SIZE, 5);
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        unsigned cancelled = batch % 3 == 2 ? BATCH / 2 : 0;

        for (unsigned i = 0; i < cancelled; i++)
            post(ep, i, number++);
        if (cancelled > 0)
            cancel(cancelled);
        for (unsigned i = cancelled; i < BATCH; i++)
            post(batch % 2 && i / 3 % 2 ? second : ep, i, number++);
        for (unsigned i = cancelled; i < BATCH; i++)
            finish(i);
        for (unsigned i = 0; i < cancelled; i++)
            for (size_t b = 0; b < SLOT; b++)
                if (slot(i)[b] != 0x11) {
                    check(0, "cancelled get %u: byte %zu was written", i, b);
                    break;
                }
    }
    check_ok(flush());
    uct_ep_destroy(second);
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    rma_close();
}
