/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_life: many objects, made and given up again, and where they end. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uct_check.h"

/* ---- Several ------------------------------------------------------------ */

#define IFACES 3
#define EPS    4 /* between each two of them */

/* Two contexts with several interfaces each: what is sent to one of them comes
 * there and nowhere else. */
void group_several(void)
{
    static struct place places[2];
    static struct side sides[2][IFACES];
    static uct_ep_h eps[2][IFACES][IFACES][EPS];
    unsigned count = 0;

    for (int p = 0; p < 2; p++) {
        place_open(&places[p]);
        for (int i = 0; i < IFACES; i++)
            side_open(&sides[p][i], &places[p], NULL);
    }
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < IFACES; i++)
            for (int j = 0; j < IFACES; j++)
                for (int e = 0; e < EPS; e++)
                    eps[p][i][j][e] = side_connect(&sides[p][i], &sides[!p][j]);

    for (int round = 0; round < 5; round++)
        for (int p = 0; p < 2; p++)
            for (int i = 0; i < IFACES; i++)
                for (int j = 0; j < IFACES; j++)
                    for (int e = 0; e < EPS; e++) {
                        struct side *to = &sides[!p][j];

                        stage("from %d.%d.%d to %d", p, i, e, j);
                        side_send(eps[p][i][j][e], 50 + count % 900, count);
                        side_expect(to, to->received + 1);
                        side_check_last(to, 50 + count % 900, count);
                        count++;
                    }

    /* One endpoint of two goes: the other works on. */
    for (int i = 0; i < IFACES; i++)
        for (int j = 0; j < IFACES; j++)
            for (int e = 0; e < EPS; e += 2)
                uct_ep_destroy(eps[0][i][j][e]);
    for (int i = 0; i < IFACES; i++)
        for (int j = 0; j < IFACES; j++)
            for (int e = 1; e < EPS; e += 2) {
                side_send(eps[0][i][j][e], 77, count);
                side_expect(&sides[1][j], sides[1][j].received + 1);
                side_check_last(&sides[1][j], 77, count++);
                uct_ep_destroy(eps[0][i][j][e]);
            }
    for (int i = 0; i < IFACES; i++)
        for (int j = 0; j < IFACES; j++)
            for (int e = 0; e < EPS; e++)
                uct_ep_destroy(eps[1][i][j][e]);
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < IFACES; i++) {
            check(sides[p][i].errors == 0, "%u errors", sides[p][i].errors);
            side_close(&sides[p][i]);
        }
        place_close(&places[p]);
    }
}

/* ---- Again and again ---------------------------------------------------- */

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    check(dir != NULL, "/proc/self/fd");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static ucs_status_t keep_first(struct side *side, void *data, size_t length,
                               unsigned flags)
{
    (void)length;
    if (!(flags & UCT_CB_PARAM_FLAG_DESC) || side->received > 1)
        return UCS_OK;
    memcpy(side->data, &data, sizeof(data));
    return UCS_INPROGRESS;
}

static void live_once(unsigned number)
{
    struct two two;
    void *kept;

    two_open(&two, NULL);
    two.sides[1].receive = keep_first;
    for (unsigned i = 0; i < 5; i++)
        side_send(two.eps[0], two.sides[0].attr.cap.am.max_bcopy, number);
    side_expect(&two.sides[1], 5);
    memcpy(&kept, two.sides[1].data, sizeof(kept));
    uct_iface_release_desc(kept);
    if (number % 2 == 0) /* with messages on the way */
        (void)side_try_send(two.eps[1], 100, number);
    two_close(&two);
}

void group_loop(void)
{
    enum { WARM = 40, HALF = 170, LOOPS = 300, GROWTH = 512 };
    long before = 0, middle = 0, after;
    unsigned files = 0;

    for (unsigned i = 0; i < LOOPS; i++) {
        stage("loop %u", i);
        live_once(i);
        if (i == WARM) {
            before = resident();
            files  = open_files();
        }
        if (i == HALF)
            middle = resident();
    }
    /* What leaks grows in both halves; the allocator may take more once. */
    after = resident();
    check_growth(middle - before < after - middle ? after - (middle - before) :
                 middle, GROWTH);
    check(open_files() <= files, "%u files grew to %u", files, open_files());
}

/* Endpoints alone, on one interface. Each is a new source to the receiver, whose
 * replay table fills the memory that it has from the start. */
void group_endpoints(void)
{
    enum { WARM = 3000, LOOPS = 9000, GROWTH = 1024 };
    struct two two;
    long before = 0;
    uct_ep_h ep;

    two_open(&two, NULL);
    for (unsigned i = 0; i < LOOPS; i++) {
        stage("endpoint %u", i);
        ep = side_connect(&two.sides[0], &two.sides[1]);
        side_send(ep, 64, i);
        side_expect(&two.sides[1], i + 1);
        side_check_last(&two.sides[1], 64, i);
        uct_ep_destroy(ep);
        if (i == WARM)
            before = resident();
    }
    check_growth(before, GROWTH);
    two_close(&two);
}

/* ---- Limits ------------------------------------------------------------- */

/* A Session ID has 16 bits. Only over `self` are so many endpoints cheap. */
void group_sessions(void)
{
    enum { SESSIONS = 65536 };
    static uct_ep_h eps[SESSIONS + 1];
    struct place place;
    struct side side;
    struct address address;
    const char *lower = getenv("UCX_EESP_LOWER");

    if (lower == NULL || strcmp(lower, "self") != 0) {
        skipped("needs UCX_EESP_LOWER=self");
        return;
    }

    place_open(&place);
    side_open(&side, &place, NULL);
    side_address(&side, &address);
    for (unsigned i = 0; i < SESSIONS; i++) {
        stage("endpoint %u", i);
        check_ok(side_try_connect(&side, &address, &eps[i]));
    }
    stage("one endpoint too many");
    check(side_try_connect(&side, &address, &eps[SESSIONS]) ==
              UCS_ERR_EXCEEDS_LIMIT, "was made");
    stage("the first and the last endpoint");
    side_send(eps[0], 100, 1);
    side_send(eps[SESSIONS - 1], 100, 2);
    side_expect(&side, 2);
    side_check_last(&side, 100, 2);
    stage("one given up, one made");
    uct_ep_destroy(eps[777]);
    check_ok(side_try_connect(&side, &address, &eps[777]));
    side_send(eps[777], 100, 3);
    side_expect(&side, 3);
    side_check_last(&side, 100, 3);
    for (unsigned i = 0; i < SESSIONS; i++)
        uct_ep_destroy(eps[i]);
    side_close(&side);
    place_close(&place);
}

/* With UCX_EESP_REPLAY_TABLE=1: one sending endpoint can be followed; the
 * messages of a second one are refused, and its fate is told. */
void group_table(void)
{
    struct two two;
    uct_ep_h second;

    setenv("UCX_EESP_REPLAY_TABLE", "1", 1);
    two_open(&two, NULL);
    second = side_connect(&two.sides[0], &two.sides[1]);
    side_send(two.eps[0], 100, 1);
    side_expect(&two.sides[1], 1);
    side_send(second, 100, 2);
    while (two.sides[1].errors == 0)
        progress_all();
    check(two.sides[1].received == 1, "the refused message was delivered");
    side_send(two.eps[0], 100, 3);
    side_expect(&two.sides[1], 2);
    side_check_last(&two.sides[1], 100, 3);
    check(two.sides[1].errors == 1, "%u errors", two.sides[1].errors);
    uct_ep_destroy(second);
    two_close(&two);
}

/* ---- Addresses ---------------------------------------------------------- */

static void refused(struct two *two, struct address *bad)
{
    uct_ep_h ep;

    check(!uct_iface_is_reachable(two->sides[0].iface, (void *)bad->device,
                                  (void *)bad->iface), "reachable");
    check(side_try_connect(&two->sides[0], bad, &ep) == UCS_ERR_UNREACHABLE,
          "an endpoint was made");
}

/* An address that is not ours, or damaged, makes no endpoint. */
void group_address(void)
{
    struct two two;
    struct address good, bad;

    two_open(&two, NULL);
    side_address(&two.sides[1], &good);
    for (size_t byte = 0; byte < 48; byte++) {
        if (byte >= 16 && byte < 40) /* names of a peer: any can be */
            continue;
        if (byte >= 4 && byte < 8) /* its rank */
            continue;
        stage("byte %zu of the address", byte);
        bad = good;
        bad.iface[byte] ^= 0x40;
        refused(&two, &bad);
    }

    stage("a peer that sends more than is taken here");
    bad = good;
    memset(bad.iface + 48, 0xff, 2);
    refused(&two, &bad);
    stage("a peer that takes less than is sent here");
    bad = good;
    bad.iface[50] = 0;
    refused(&two, &bad);
    two_close(&two);
}
