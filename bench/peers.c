/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peers: what the number of peers costs. Packets of 64 bytes to and from peers
 * drawn at random among 1, 1000 and 1 000 000, where every packet derives its
 * key (phase_shift 0), with the replay table off and on; and the memory that a
 * process has more after it has heard all of them.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "lane.h"

enum { PACKET = 64, ROOM = 192, BATCH = 16, SIZES = 3, MODES = 2,
       CASES = SIZES * MODES, FIRST_RANK = 2, OWN_RANK = 1 };

static const unsigned sizes[SIZES]     = {1, 1000, 1000000};
static const char *const modes[MODES] = {"off", "strict"};

/* A key that everybody knows: nothing sealed here goes anywhere. */
static const char keyring_text[] =
    "{\"keys\": [{\"kty\": \"oct\", \"kid\": \"j\", \"k\": "
    "\"QSBrZXkgZm9yIGJlbmNoIG9ubHksIG5vdCBzZWNyZXQ\","
    " \"eesp_level\": \"job\", \"eesp_generation\": 1,"
    " \"eesp_state\": \"current\"}], \"eesp_version\": 1,"
    " \"eesp_policies\": [{\"spi\": 65537, \"name\": \"ranks\","
    " \"profile\": \"sl1\", \"kdf\": \"cmac-aes256\", \"aead\":"
    " \"aes-256-gcm\", \"levels\": {\"job\": \"j\"}, \"selectors\":"
    " [\"ranks\"], \"compact_id\": 1, \"phase_shift\": 0,"
    " \"replay\": \"%s\"}]}";

struct job {
    const char          *replay;
    unsigned             peers;
    struct eesp_keyring *keyring;
    struct eesp_lane    *tx, *rx;
    uint64_t             random, sequence;
    double               grown; /* bytes of memory for each peer */
};

static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long all, pages;

    if (f == NULL || fscanf(f, "%lu %lu", &all, &pages) != 2)
        err(1, "/proc/self/statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct eesp_lane *open_lane(const struct job *job, uint32_t rank)
{
    struct eesp_lane_params params = {
        .keyring      = job->keyring,
        .policy       = eesp_keyring_policy_at(job->keyring, 0),
        .replay_table = job->peers,
        .rank         = rank,
    };
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

static void open_job(struct job *job)
{
    char text[2 * sizeof(keyring_text)], why[EESP_WHY_LEN];

    snprintf(text, sizeof(text), keyring_text, job->replay);
    if (eesp_keyring_parse("bench", text, strlen(text), &job->keyring, why) !=
        EESP_OK)
        errx(1, "%s", why);
    job->tx     = open_lane(job, 0);
    job->rx     = open_lane(job, OWN_RANK);
    job->random = 1;
}

static uint32_t random_peer(struct job *job)
{
    job->random = job->random * 6364136223846793005u + 1442695040888963407u;
    return FIRST_RANK + (uint32_t)((job->random >> 33) % job->peers);
}

/* As that peer would seal it: each is another rank and incarnation. */
static void seal_from(struct job *job, uint32_t peer,
                      uint8_t packet[PACKET + ROOM], size_t *length)
{
    static uint8_t payload[PACKET];
    struct iovec iov          = {payload, PACKET};
    struct eesp_header header = job->tx->sending;

    header.source_rank      = peer;
    header.destination_rank = OWN_RANK;
    header.incarnation      = peer * 0x9e3779b97f4a7c15u;
    header.sequence         = ++job->sequence;
    if (eesp_seal_fields(job->tx, &header,
                         (unsigned)job->tx->policy->send,
                         eesp_lane_incarnation(job->rx), &iov, 1, packet,
                         PACKET + ROOM, length) != EESP_OK)
        errx(1, "a packet was not sealed");
}

static void open_one(struct job *job, const uint8_t *packet, size_t length)
{
    static uint8_t plain[PACKET + ROOM];
    struct eesp_opened opened;

    if (eesp_open(job->rx, packet, length, plain, sizeof(plain), &opened) !=
        EESP_OK)
        errx(1, "a packet was not opened");
}

/* Part 0: seal, part 1: open. */
static void run_packets(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    static uint8_t payload[PACKET], packets[BATCH][PACKET + ROOM];
    static uint8_t sealed[PACKET + ROOM];
    struct job *job     = arg;
    struct iovec iov    = {payload, PACKET};
    uint64_t spent[2]   = {0, 0}, start, call;
    size_t length       = 0, n;
    int i;

    for (call = 0; call < calls; call++) {
        for (i = 0; i < BATCH; i++)
            seal_from(job, random_peer(job), packets[i], &n);
        start = bench_clock();
        for (i = 0; i < BATCH; i++) {
            struct eesp_destination to = {.rank = random_peer(job)};

            to.incarnation = to.rank * 0x9e3779b97f4a7c15u;
            if (eesp_seal(job->tx, &to, &iov, 1, sealed, sizeof(sealed),
                          &length) != EESP_OK)
                errx(1, "a packet was not sealed");
        }
        spent[0] += bench_clock() - start;
        start = bench_clock();
        for (i = 0; i < BATCH; i++)
            open_one(job, packets[i], n);
        spent[1] += bench_clock() - start;
    }
    for (i = 0; i < BENCH_PARTS; i++)
        ns[i] += (double)spent[i] / (double)(calls * BATCH);
}

/* All peers once, so that none is new when it is measured. */
static void hear_all(struct job *job)
{
    uint8_t packet[PACKET + ROOM];
    size_t length, before;
    unsigned peer;

    seal_from(job, FIRST_RANK, packet, &length);
    open_one(job, packet, length);
    before = resident();
    for (peer = 1; peer < job->peers; peer++) {
        seal_from(job, FIRST_RANK + peer, packet, &length);
        open_one(job, packet, length);
    }
    job->grown = job->peers > 1 ? ((double)resident() - (double)before) /
                                      (job->peers - 1) : 0;
}

static void print(const struct job *jobs, const struct bench_case *cases,
                  FILE *csv)
{
    int i;

    printf("replay     peers    seal ns [25 %% 75 %%]        open ns [25 %% 75 "
           "%%]     of one   bytes/peer\n");
    for (i = 0; i < CASES; i++) {
        const struct bench_spread *seal = &cases[i].part[0];
        const struct bench_spread *open = &cases[i].part[1];
        const struct bench_case *one    = &cases[i / SIZES * SIZES];
        double ratio = (seal->median + open->median) /
                       (one->part[0].median + one->part[1].median);

        printf("%-6s %9u %8.1f [%.1f %.1f] %9.1f [%.1f %.1f] %8.3f %10.1f\n",
               jobs[i].replay, jobs[i].peers, seal->median, seal->low,
               seal->high, open->median, open->low, open->high, ratio,
               jobs[i].grown);
        if (csv != NULL)
            fprintf(csv, "%s,%u,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.4f,%.1f\n",
                    jobs[i].replay, jobs[i].peers, seal->low, seal->median,
                    seal->high, open->low, open->median, open->high, ratio,
                    jobs[i].grown);
    }
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    static struct job jobs[CASES];
    struct bench_case cases[CASES];
    unsigned windows = 101;
    FILE *csv        = NULL;
    int option, i;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: peers [--windows N] [--csv FILE]");
    }
    if (csv != NULL)
        fprintf(csv, "replay,peers,seal_25,seal_ns,seal_75,open_25,open_ns,"
                     "open_75,ratio,bytes_per_peer\n");
    bench_pin();
    for (i = 0; i < CASES; i++) {
        jobs[i] = (struct job){.replay = modes[i / SIZES],
                               .peers  = sizes[i % SIZES]};
        open_job(&jobs[i]);
        hear_all(&jobs[i]);
        cases[i] = (struct bench_case){.run = run_packets, .arg = &jobs[i]};
    }
    bench_measure(cases, CASES, windows);
    print(jobs, cases, csv);
    for (i = 0; i < CASES; i++) {
        eesp_lane_destroy(jobs[i].tx);
        eesp_lane_destroy(jobs[i].rx);
        eesp_keyring_free(jobs[i].keyring);
    }
    return csv != NULL && fclose(csv) != 0;
}
