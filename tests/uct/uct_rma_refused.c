/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_rma_refused: requests outside of what was given, and memory that is given no more. */
#include <string.h>

#include "uct_rma_side.h"

/* That this is refused, and changes nothing at the target. */
static void refused_put(size_t n, size_t offset, uct_rkey_t key)
{
    memset(local, 0x11, n);
    for (enum kind kind = SHORT; kind < KINDS; kind++) {
        ucs_status_t status;

        if (n > longest(kind, 0))
            continue;
        stage("refused put of kind %d, %zu bytes at %zu", kind, n, offset);
        status = put(kind, n, offset, key);
        if (kind == ZCOPY) {
            check(status < 0, "put: %s", ucs_status_string(status));
            check_ok(flush()); /* told already */
        } else {
            check_ok(status);
            status = kind == SHORT ? flush() : iface_flush();
            check(status < 0, "flush after put: %s", ucs_status_string(status));
            check_ok(flush());
            check_ok(iface_flush());
        }
    }
}

static void refused(size_t n, size_t offset, uct_rkey_t key)
{
    size_t word     = offset > SIZE ? offset : offset + n - 8;
    uint64_t result = 7;
    uct_completion_t comp;
    ucs_status_t status;

    refused_put(n, offset, key);
    memset(local, 0x22, n);
    for (enum kind kind = BCOPY; kind < KINDS; kind++) {
        if (n > longest(kind, 1))
            continue;
        stage("refused get of kind %d, %zu bytes at %zu", kind, n, offset);
        status = get(kind, n, offset, key);
        check(status < 0, "get: %s", ucs_status_string(status));
        check(local[0] == 0x22 && local[n - 1] == 0x22, "it brought something");
    }
    if (n < 8)
        return;
    stage("refused atomics");
    status = FINISH(comp, uct_ep_atomic64_fetch(ep, UCT_ATOMIC_OP_ADD, 1,
                                                &result, remote(word), key,
                                                &comp));
    check(status < 0 && result == 7, "fetch: %s", ucs_status_string(status));
    check_ok(FINISH(comp, uct_ep_atomic64_post(ep, UCT_ATOMIC_OP_ADD, 1,
                                               remote(word), key)));
    check(flush() < 0, "flush after a refused atomic");
}

static void check_untouched(void)
{
    for (size_t i = 0; i < SIZE + 2 * EDGE; i++)
        check(memory[i] == 0xa5, "byte %zu was written", i);
}

void group_refused(void)
{
    uint8_t wrong[64];
    uct_rkey_bundle_t other;
    static const size_t sizes[] = {8, 2048, 5000, 60000};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (unsigned i = 0; i < 4; i++) {
        size_t n = fitting(sizes[i]);

        refused(n, SIZE - n + 8, rkey.rkey);  /* ends outside */
        refused(n, (size_t)-8, rkey.rkey);    /* begins outside */
        refused(n, SIZE + 4096, rkey.rkey);
        refused(n, (size_t)1 << 63, rkey.rkey);
    }
    refused(8, SIZE - 8 + 1, rkey.rkey);

    /* Each bit of a key matters. */
    check_ok(uct_md_mkey_pack(places[1].md, memh, wrong));
    for (unsigned bit = 0; bit < 8 * places[1].md_attr.rkey_packed_size;
         bit += 7) {
        wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_ok(uct_rkey_unpack(component, wrong, &other));
        refused(3000, 0, other.rkey);
        check_ok(uct_rkey_release(component, &other));
        wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    check_untouched();

    /* After all that the endpoint still works. */
    pattern_fill(local, 3000, 3);
    check_ok(put(ZCOPY, 3000, 0, rkey.rkey));
    pattern_check(window(), 3000, 3);
    memset(window(), 0xa5, 3000);

    /* A region that is gone, and one of other rights. */
    check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    refused(8, 0, rkey.rkey);
    refused(fitting(60000), 0, rkey.rkey);
    check_ok(uct_rkey_release(component, &rkey));
    open_window(UCT_MD_MEM_ACCESS_REMOTE_GET);
    refused_put(fitting(5000), 0, rkey.rkey);
    refused_put(8, 0, rkey.rkey);
    check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
    close_window();
    open_window(UCT_MD_MEM_ACCESS_REMOTE_PUT);
    check(get(ZCOPY, 5000, 0, rkey.rkey) < 0, "got what may be put only");
    check(get(BCOPY, 8, 0, rkey.rkey) < 0, "got what may be put only");
    check_untouched();
    rma_close();
}

/* Deregistered while it is read: gets end with an error, and bring nothing of
 * what lies there later. The lower is full of replies that nobody takes. */
void group_invalidated(void)
{
    enum { GETS = 12 };
    static uct_completion_t comps[GETS];
    uct_iov_t iov = {.count = 1, .length = SIZE};
    ucs_status_t status;
    unsigned refused_gets = 0;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    check_ok(put(SHORT, 8, 0, rkey.rkey)); /* connected */
    check_ok(flush());
    iov.buffer = local;
    iov.memh   = local_memh;
    memset(window(), 0x66, SIZE);
    for (unsigned i = 0; i < GETS; i++) {
        comps[i] = (uct_completion_t)COMPLETION;
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                          &comps[i])) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    for (unsigned i = 0; i < 2000; i++)
        uct_worker_progress(places[1].worker);
    check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    memset(window(), 0x77, SIZE);
    check_ok(flush());
    for (unsigned i = 0; i < GETS; i++) {
        check(comps[i].count == 0, "get %u did not end", i);
        refused_gets += comps[i].status != UCS_OK;
    }
    check(refused_gets > 0, "%u gets of memory that was gone", GETS);
    for (size_t i = 0; i < SIZE; i++)
        check(local[i] != 0x77, "byte %zu came after deregistration", i);
    /* Gets go on, after one that broke off in its middle. */
    check_ok(uct_rkey_release(component, &rkey));
    open_window(UCT_MD_MEM_ACCESS_ALL);
    pattern_fill(window(), 5000, 9);
    check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
    pattern_check(local, 5000, 9);
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    rma_close();
}
