/* SPDX-License-Identifier: BSD-3-Clause
 *
 * uct_check [GROUP...]: transport eesp through UCT's own interface, as UCP uses
 * it but nearer to its limits. Mostly both sides are in this process, so that
 * what one of them does not do (progress, release) is under control.
 */
#include "uct_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char **arguments;

void pair_of_check(struct pair *pair)
{
    pair_start(pair, arguments);
}

/* Two processes, which send to each other at once. */
static void group_processes(void)
{
    enum { COUNT = 2000 };
    struct pair pair;
    struct place place;
    struct side side;
    struct address own, *other;
    size_t length;
    unsigned sent = 0;
    uct_ep_h ep;

    pair_start(&pair, arguments);
    place_open(&place);
    side_open(&side, &place, NULL);
    side_address(&side, &own);
    pair_put(&pair, &own, sizeof(own));
    other = pair_get(&pair, &length);
    check(uct_iface_is_reachable(side.iface, (void *)other->device,
                                 (void *)other->iface), "not reachable");
    check_ok(side_try_connect(&side, other, &ep));
    free(other);

    while (side.received < COUNT || sent < COUNT) {
        unsigned before = side.received;

        if (sent < COUNT &&
            side_try_send(ep, sent * 31 % side.attr.cap.am.max_bcopy, sent) ==
                UCS_OK)
            sent++;
        /* One at a time, or the last would hide the others. */
        while (uct_iface_progress(side.iface) != 0 && side.received == before)
            ;
        if (side.received == before + 1)
            side_check_last(&side, before * 31 % side.attr.cap.am.max_bcopy,
                            before);
    }
    while (uct_iface_flush(side.iface, 0, NULL) == UCS_INPROGRESS)
        progress_all();
    pair_put(&pair, "", 1);
    free(pair_get(&pair, &length));
    uct_ep_destroy(ep);
    side_close(&side);
    place_close(&place);
    pair_finish(&pair);
    if (pair.side == 1)
        exit(0);
}

int main(int argc, char **argv)
{
    static const struct group groups[] = {
        {"processes", group_processes},
        {"short", group_short},
        {"bcopy", group_bcopy},
        {"zcopy", group_zcopy},
        {"limits", group_limits},
        {"ids", group_ids},
        {"headroom", group_headroom},
        {"alignment", group_alignment},
        {"kept", group_kept},
        {"async", group_async},
        {"flush", group_flush},
        {"pending", group_pending},
        {"purge", group_purge},
        {"event", group_event},
        {"event_send", group_event_send},
        {"several", group_several},
        {"loop", group_loop},
        {"endpoints", group_endpoints},
        {"address", group_address},
        {"sessions", group_sessions},
        {"table", group_table},
        {"memory", group_memory},
        {"files", group_files},
        {"rotated", group_rotated},
        {"put", group_put},
        {"get", group_get},
        {"rma_many", group_rma_many},
        {"rma_order", group_rma_order},
        {"rma_both", group_rma_both},
        {"rma_pairs", group_rma_pairs},
        {"rma_event", group_rma_event},
        {"atomics", group_atomics},
        {"refused", group_refused},
        {"invalidated", group_invalidated},
        {"cancelled", group_cancelled},
        {"gets", group_gets},
        {"killed", group_killed},
        {NULL, NULL},
    };
    int ret;

    arguments = argv;
    deadline(100);
    /* Ends the process, so it is not among the groups that run unnamed. */
    if (argc == 2 && strcmp(argv[1], "starved") == 0)
        group_starved();
    ret = run_groups(groups, argc, argv);
    if (ret == 0)
        puts("uct_check: ok");
    return ret;
}
