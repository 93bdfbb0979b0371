/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_limits: what the transport does when the system gives it no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "uct_check.h"

/* Sets the soft limit; gives back what it was. */
static rlim_t limit(int resource, rlim_t value)
{
    struct rlimit rlimit;
    rlim_t before;

    check(getrlimit(resource, &rlimit) == 0, "getrlimit");
    before          = rlimit.rlim_cur;
    rlimit.rlim_cur = value < rlimit.rlim_max ? value : rlimit.rlim_max;
    check(setrlimit(resource, &rlimit) == 0, "setrlimit");
    return before;
}

static rlim_t address_space(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long pages;

    check(statm != NULL && fscanf(statm, "%lu", &pages) == 1, "statm");
    fclose(statm);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Opens and closes an interface, and its MD too, under a limit. */
static ucs_status_t try_all(struct place *place, int resource, rlim_t value)
{
    rlim_t before = limit(resource, value);
    ucs_status_t status;
    struct side side;
    uct_md_h md;

    status = place_try_md(&md);
    if (status == UCS_OK) {
        status = side_try_iface(&side, place, NULL);
        limit(resource, before);
        uct_md_close(md);
    }
    limit(resource, before);
    if (status == UCS_OK)
        uct_iface_close(side.iface);
    return status;
}

/* Memory ends at each point of opening in turn: refused there. */
static void sweep_memory(struct place *place)
{
    enum { STEP = 128 * 1024, STEPS = 1000 };
    unsigned refused = 0, well = 0;

    for (unsigned i = 0; i < STEPS && well < 10; i++) {
        stage("%u KiB more memory", i * STEP / 1024);
        if (try_all(place, RLIMIT_AS, address_space() + i * (rlim_t)STEP) ==
            UCS_OK)
            well++;
        else
            refused++;
    }
    check(refused > 5 && well == 10, "refused %u times, went well %u times",
          refused, well);
}

/* Nothing is left behind: a second time needs no further memory. */
void group_memory(void)
{
    enum { GROWTH = 256 };
    struct place place;
    struct side side;
    long before;

    place_open(&place);
    side_open(&side, &place, NULL); /* as in group_files() */
    check_ok(try_all(&place, RLIMIT_AS, RLIM_INFINITY));
    sweep_memory(&place);
    before = resident();
    sweep_memory(&place);
    check_growth(before, GROWTH);
    side_close(&side);
    place_close(&place);
}

void group_files(void)
{
    enum { MOST = 64 };
    unsigned refused = 0, well = 0;
    struct place place;
    struct side side;
    int first;

    place_open(&place);
    /* UCX's own thread, whose start asserts, is running then. */
    side_open(&side, &place, NULL);
    check_ok(try_all(&place, RLIMIT_NOFILE, 1024));
    first = dup(0);
    close(first);
    for (unsigned i = 0; i < MOST && well < 3; i++) {
        stage("%u more files", i);
        if (try_all(&place, RLIMIT_NOFILE, (rlim_t)first + i) == UCS_OK)
            well++;
        else
            refused++;
    }
    check(refused > 0 && well == 3, "refused %u times, went well %u times",
          refused, well);
    check(dup(0) == first, "files were left open");
    side_close(&side);
    place_close(&place);
}

static ucs_status_t keep_all(struct side *side, void *data, size_t length,
                             unsigned flags)
{
    (void)side, (void)data, (void)length;
    return flags & UCT_CB_PARAM_FLAG_DESC ? UCS_INPROGRESS : UCS_OK;
}

/* The program keeps all that it receives, until there is no memory to receive
 * more. A message cannot be dropped: the process ends, and says why. */
void group_starved(void)
{
    struct two two;

    two_open(&two, NULL);
    two.sides[1].receive = keep_all;
    limit(RLIMIT_AS, address_space() + (32 << 20));
    for (unsigned i = 0; i < 100000; i++)
        side_send(two.eps[0], two.sides[0].attr.cap.am.max_bcopy, i);
    check(0, "still there after %u messages", two.sides[1].received);
}
