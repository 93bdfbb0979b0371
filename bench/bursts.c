/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bursts: short packets to many peers, a key of its own derived for each: one by
 * one with eesp_seal() and eesp_open(), and in bursts. Beside them one by one to
 * a single peer, whose key is at hand.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ends.h"

enum { PEERS = 1000, SMALL_CACHE = 4, PAYLOAD_MAX = 256, ROOM = 128,
       BATCH = 48, LENGTHS = 4, WAYS = 5 };

static const unsigned lengths[LENGTHS] = {8, 64, 128, PAYLOAD_MAX};

/* burst 0: one by one. */
struct way {
    const char *name;
    unsigned    burst, peers;
};

static const struct way ways[WAYS] = {
    {"key at hand", 0, 1}, {"derived", 0, PEERS}, {"bursts of 4", 4, PEERS},
    {"bursts of 6", 6, PEERS}, {"bursts of 8", 8, PEERS}};

struct job {
    const struct way *way;
    struct ends       ends;
    unsigned          length, next;
    struct eesp_destination to[BATCH];
};

static uint8_t payload[PAYLOAD_MAX], packets[BATCH][PAYLOAD_MAX + ROOM];
static uint8_t plain[BATCH][PAYLOAD_MAX + ROOM];

/* What the sender calls a peer, a Session ID, is another key at both ends. */
static void next_peers(struct job *job)
{
    unsigned i;

    for (i = 0; i < BATCH; i++) {
        job->next           = job->next + 1 < job->way->peers ? job->next + 1 :
                                                                0;
        job->to[i]          = job->ends.to;
        job->to[i].session_id = (uint16_t)job->next;
    }
}

static unsigned seal(struct job *job, struct eesp_seal_item *items)
{
    unsigned i, sealed = 0, burst = job->way->burst;

    if (burst != 0) {
        for (i = 0; i < BATCH; i += burst)
            sealed += eesp_seal_burst(job->ends.tx, items + i, burst);
        return sealed;
    }
    for (i = 0; i < BATCH; i++)
        sealed += eesp_seal(job->ends.tx, items[i].destination, items[i].iov, 1,
                            items[i].packet, items[i].size,
                            &items[i].length) == EESP_OK;
    return sealed;
}

static unsigned open_all(struct job *job, struct eesp_open_item *items)
{
    unsigned i, opened = 0, burst = job->way->burst;

    if (burst != 0) {
        for (i = 0; i < BATCH; i += burst)
            opened += eesp_open_burst(job->ends.rx, items + i, burst);
        return opened;
    }
    for (i = 0; i < BATCH; i++)
        opened += eesp_open(job->ends.rx, items[i].packet, items[i].length,
                            items[i].plaintext, items[i].size,
                            &items[i].opened) == EESP_OK;
    return opened;
}

/* Part 0: seal, part 1: open. */
static void run(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    static struct eesp_seal_item out[BATCH];
    static struct eesp_open_item in[BATCH];
    struct job *job   = arg;
    struct iovec iov  = {payload, job->length};
    uint64_t spent[2] = {0, 0}, start, call;
    unsigned i;

    for (call = 0; call < calls; call++) {
        next_peers(job);
        for (i = 0; i < BATCH; i++)
            out[i] = (struct eesp_seal_item){
                .destination = &job->to[i], .iov = &iov, .iovcnt = 1,
                .packet = packets[i], .size = sizeof(packets[i])};
        start = bench_clock();
        if (seal(job, out) != BATCH)
            errx(1, "a packet was not sealed");
        spent[0] += bench_clock() - start;
        for (i = 0; i < BATCH; i++)
            in[i] = (struct eesp_open_item){
                .packet = packets[i], .length = out[i].length,
                .plaintext = plain[i], .size = sizeof(plain[i])};
        start = bench_clock();
        if (open_all(job, in) != BATCH)
            errx(1, "a packet was not opened");
        spent[1] += bench_clock() - start;
    }
    for (i = 0; i < BENCH_PARTS; i++)
        ns[i] += (double)spent[i] / (double)(calls * BATCH);
}

static void print(const struct job *jobs, const struct bench_case *cases,
                  int part, FILE *csv)
{
    unsigned i, k;

    printf("\n%s, ns per packet: median [25 %% 75 %%]; of \"derived\"\n%8s",
           part == 0 ? "seal" : "open", "bytes");
    for (k = 0; k < WAYS; k++)
        printf("%25s", ways[k].name);
    for (i = 0; i < LENGTHS; i++) {
        double derived = cases[i * WAYS + 1].part[part].median;

        printf("\n%8u", lengths[i]);
        for (k = 0; k < WAYS; k++) {
            const struct bench_spread *r = &cases[i * WAYS + k].part[part];

            printf("  %6.1f [%5.1f %5.1f]%4.2f", r->median, r->low, r->high,
                   r->median / derived);
            if (csv != NULL)
                fprintf(csv, "%s,%u,\"%s\",%.2f,%.2f,%.2f\n",
                        part == 0 ? "seal" : "open", jobs[i * WAYS + k].length,
                        ways[k].name, r->low, r->median, r->high);
        }
    }
    putchar('\n');
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    static struct job jobs[LENGTHS * WAYS];
    struct bench_case cases[LENGTHS * WAYS];
    unsigned windows = 101, i;
    FILE *csv        = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: bursts [--windows N] [--csv FILE]");
    }
    bench_pin();
    for (i = 0; i < LENGTHS * WAYS; i++) {
        double ignored[BENCH_PARTS] = {0};

        jobs[i] = (struct job){.way = &ways[i % WAYS],
                               .length = lengths[i / WAYS]};
        ends_open(&jobs[i].ends, NULL, i % WAYS == 0 ? 0 : SMALL_CACHE);
        /* Every peer once: later packets find memory where they go. */
        run(&jobs[i], PEERS / BATCH + 1, ignored);
        cases[i] = (struct bench_case){run, &jobs[i], {{0, 0, 0}}, 0};
    }
    bench_measure(cases, LENGTHS * WAYS, windows);
    if (csv != NULL)
        fprintf(csv, "what,bytes,how,ns_25,ns_median,ns_75\n");
    printf("%s; side by side: %s\n", eesp_lane_backend(jobs[0].ends.tx),
           eesp_burst_selftest() == EESP_OK ? "yes" : "not on this CPU");
    print(jobs, cases, 0, csv);
    print(jobs, cases, 1, csv);
    if (csv != NULL && fclose(csv) != 0)
        err(1, "csv");
    for (i = 0; i < LENGTHS * WAYS; i++) {
        if (!ends_agree(&jobs[i].ends))
            errx(1, "packets were dropped");
        ends_close(&jobs[i].ends);
    }
    return 0;
}
