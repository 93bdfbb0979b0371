/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale: one process plays N ranks of a job, 2 to 1 000 000, who send packets
 * of 64 bytes to each other at random. Each packet is sealed as its source
 * would seal it and opened as its destination would. What does a packet cost,
 * and what must be kept?
 *
 *   derived   any rank to any other; every packet has a key of its own, which
 *             both ends derive
 *   looked-up the same, and the time to look up the address of source and
 *             destination (16 bytes of each rank, no keys) counts, too; packets
 *             wait in a queue of 16, and while one is sealed, the addresses of
 *             the next are brought near
 *   cached    one rank and N peers; a key lasts 2^24 packets, 512 are kept
 *   replay    one rank and N peers, whom it follows in a replay table
 *   sessions  one rank and its sessions with N peers, as TLS or IPsec has them:
 *             an expanded key for each direction, in a table. The bare AEAD:
 *             no headers, checks or searches, so in favour of the sessions
 */
#include "aead.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "keyring_text.h"
#include "lane.h"
#include "scale_table.h"

enum { PACKET = 64, ROOM = 192, BATCH = 16, COUNTS_MAX = 12, OWN_RANK = 1 };
enum { KEPT_FEW = 4, KEPT_MANY = 512 };
enum mode { DERIVED, LOOKED_UP, CACHED, REPLAY, SESSIONS, MODES };

static const char *const mode_names[MODES] = {"derived", "looked-up", "cached",
                                              "replay", "sessions"};

/* What a rank is: its run, and how many packets it has sent. */
struct rank {
    uint64_t incarnation, sequence;
};

struct job {
    enum mode            mode;
    unsigned             ranks;
    struct eesp_keyring *keyring;
    struct eesp_lane    *tx, *rx;
    struct eesp_lane    *peers; /* seals for them where tx is one rank's */
    struct rank         *rank;
    struct table        *table; /* SESSIONS */
    uint64_t             random;
    double               key_bytes; /* that are kept, whoever the peers are */
    double               grown;     /* bytes of memory by hearing all */
};

static const char keyring_text[] = BENCH_KEYRING(
    "\"selectors\": [\"ranks\"], \"bind_destination\": true,"
    " \"phase_shift\": %d, \"replay\": \"%s\"");

static const struct eesp_aead *aead;

/* A line of /proc that begins with name, in bytes. */
static double proc_bytes(const char *file, const char *name)
{
    char line[256];
    double kib = -1;
    FILE *f    = fopen(file, "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = atof(line + strlen(name));
    if (f == NULL || kib < 0)
        errx(1, "%s: no %s", file, name);
    fclose(f);
    return kib * 1024;
}

static double resident(void)
{
    return proc_bytes("/proc/self/status", "VmRSS:");
}

static unsigned draw(struct job *job, unsigned below)
{
    job->random = job->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((job->random >> 32) % below);
}

/* ---- Ranks with the library --------------------------------------------- */

static struct eesp_lane *open_lane(const struct job *job, uint32_t rank,
                                   unsigned kept)
{
    struct eesp_lane_params params = {
        .keyring      = job->keyring,
        .policy       = eesp_keyring_policy_at(job->keyring, 0),
        .replay_table = job->mode == REPLAY ? job->ranks : 1,
        .key_cache    = kept,
        .rank         = rank,
    };
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

/* All addresses, as who keeps a million would: in large pages, where there are
 * any (libeesp does the same with its replay table). */
static struct rank *open_addresses(unsigned ranks)
{
    const size_t huge = 2u << 20;
    size_t size       = ranks * sizeof(struct rank);
    struct rank *rank;

    if (size < huge) {
        rank = calloc(1, size);
    } else {
        size = (size + huge - 1) & ~(huge - 1);
        rank = aligned_alloc(huge, size);
        if (rank != NULL)
            madvise(rank, size, MADV_HUGEPAGE);
        if (rank != NULL)
            memset(rank, 0, size);
    }
    if (rank == NULL)
        err(1, "%u ranks", ranks);
    return rank;
}

static void open_ranks(struct job *job)
{
    unsigned kept = job->mode == CACHED ? KEPT_MANY : KEPT_FEW, i;
    char text[2 * sizeof(keyring_text)], why[EESP_WHY_LEN];

    snprintf(text, sizeof(text), keyring_text, job->mode == CACHED ? 24 : 0,
             job->mode == REPLAY ? "strict" : "off");
    if (eesp_keyring_parse("bench", text, strlen(text), &job->keyring, why) !=
        EESP_OK)
        errx(1, "%s", why);
    job->tx    = open_lane(job, 0, kept);
    job->rx    = open_lane(job, OWN_RANK, kept);
    job->peers = open_lane(job, 0, KEPT_FEW);
    job->rank  = open_addresses(job->ranks);
    for (i = 0; i < job->ranks; i++)
        job->rank[i].incarnation = (uint64_t)draw(job, UINT32_MAX) << 32 |
                                   draw(job, UINT32_MAX);
    job->rank[OWN_RANK].incarnation = eesp_lane_incarnation(job->rx);
    job->key_bytes = 2.0 * kept *
                     (double)(sizeof(struct eesp_key_slot) + aead->key_size);
}

/* A packet under way: whose, to whom. */
struct trip {
    unsigned    from, to;
    struct rank source, destination; /* copies */
};

static void look_up(struct job *job, struct trip *trip)
{
    job->rank[trip->from].sequence++;
    trip->source      = job->rank[trip->from];
    trip->destination = job->rank[trip->to];
}

static void bring_near(const struct job *job, const struct trip *trip)
{
    __builtin_prefetch(&job->rank[trip->from], 1);
    __builtin_prefetch(&job->rank[trip->to]);
}

/* Two that differ; one rank and its peers: from it or to it. */
static void draw_trip(struct job *job, int incoming, struct trip *trip)
{
    unsigned one = job->mode == CACHED || job->mode == REPLAY ?
                       OWN_RANK : draw(job, job->ranks);
    unsigned other = draw(job, job->ranks - 1);

    other     += other >= one;
    trip->from = incoming ? other : one;
    trip->to   = incoming ? one : other;
    if (job->mode != LOOKED_UP)
        look_up(job, trip);
}

static void seal_one(struct eesp_lane *lane, const struct trip *trip,
                     uint8_t packet[PACKET + ROOM], size_t *length)
{
    static uint8_t payload[PACKET];
    struct iovec iov          = {payload, PACKET};
    struct eesp_header header = lane->sending;

    header.source_rank      = trip->from;
    header.destination_rank = trip->to;
    header.incarnation      = trip->source.incarnation;
    header.sequence         = trip->source.sequence;
    if (eesp_seal_fields(lane, &header, (unsigned)lane->policy->send,
                         trip->destination.incarnation, &iov, 1, packet,
                         PACKET + ROOM, length) != EESP_OK)
        errx(1, "a packet was not sealed");
}

static void open_one(struct job *job, const struct trip *trip,
                     const uint8_t *packet, size_t length)
{
    static uint8_t plain[PACKET + ROOM];
    struct eesp_opened opened;

    if (job->mode == DERIVED || job->mode == LOOKED_UP)
        eesp_lane_impersonate(job->rx, trip->to, 0,
                              trip->destination.incarnation);
    if (eesp_open(job->rx, packet, length, plain, sizeof(plain), &opened) !=
            EESP_OK ||
        opened.length != PACKET)
        errx(1, "a packet was not opened");
}

/* Part 0: seal, part 1: open. */
static void run_ranks(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    static uint8_t packets[BATCH][PACKET + ROOM], sealed[PACKET + ROOM];
    struct job *job   = arg;
    uint64_t spent[2] = {0, 0}, start, call;
    struct trip out[BATCH], in[BATCH];
    size_t length = 0, n;
    unsigned i;

    for (call = 0; call < calls; call++) {
        for (i = 0; i < BATCH; i++) {
            draw_trip(job, 1, &in[i]);
            if (job->mode == LOOKED_UP)
                look_up(job, &in[i]);
            seal_one(job->peers, &in[i], packets[i], &length);
            draw_trip(job, 0, &out[i]);
        }
        start = bench_clock();
        for (i = 0; i < BATCH; i++) {
            if (job->mode == LOOKED_UP && i + 1 < BATCH)
                bring_near(job, &out[i + 1]);
            if (job->mode == LOOKED_UP)
                look_up(job, &out[i]);
            seal_one(job->tx, &out[i], sealed, &n);
        }
        spent[0] += bench_clock() - start;
        start = bench_clock();
        for (i = 0; i < BATCH; i++)
            open_one(job, &in[i], packets[i], length);
        spent[1] += bench_clock() - start;
    }
    for (i = 0; i < BENCH_PARTS; i++)
        ns[i] += (double)spent[i] / (double)(calls * BATCH);
}

/* Every rank sends once, so that none is new when it is measured. */
static void hear_ranks(struct job *job)
{
    uint8_t packet[PACKET + ROOM];
    double before = resident();
    struct trip trip;
    size_t length;

    for (trip.from = 0; trip.from < job->ranks; trip.from++) {
        trip.to = OWN_RANK;
        if (trip.from == trip.to)
            continue;
        look_up(job, &trip);
        seal_one(job->peers, &trip, packet, &length);
        open_one(job, &trip, packet, length);
    }
    job->grown = resident() - before;
}

/* ---- All of it ----------------------------------------------------------- */

static void open_sessions(struct job *job)
{
    double before = resident();

    job->table     = table_open(aead, job->ranks);
    job->grown     = resident() - before;
    job->key_bytes = table_bytes(aead, job->ranks);
}

static void open_job(struct job *job)
{
    job->random = 1;
    if (job->mode == SESSIONS) {
        open_sessions(job);
        return;
    }
    open_ranks(job);
    hear_ranks(job);
}

static void close_job(struct job *job)
{
    if (job->mode == SESSIONS) {
        table_close(job->table);
        return;
    }
    eesp_lane_destroy(job->tx);
    eesp_lane_destroy(job->rx);
    eesp_lane_destroy(job->peers);
    eesp_keyring_free(job->keyring);
    free(job->rank);
}

static void print(const struct job *jobs, const struct bench_case *cases,
                  unsigned count, FILE *csv)
{
    const struct bench_spread *seal, *open;
    double all, few = 0;
    unsigned i;

    printf("%-9s %9s  %-22s %-22s %8s %12s %12s %10s\n", "", "ranks",
           "seal ns [25 % 75 %]", "open ns [25 % 75 %]", "of least",
           "key state", "of a rank", "grown by");
    if (csv != NULL)
        fprintf(csv, "mode,ranks,seal_25,seal_ns,seal_75,open_25,open_ns,"
                     "open_75,ratio,key_bytes,grown_bytes\n");
    for (i = 0; i < count; i++) {
        seal = &cases[i].part[0];
        open = &cases[i].part[1];
        all  = seal->median + open->median;
        if (i == 0 || jobs[i].mode != jobs[i - 1].mode)
            few = all;
        printf("%-9s %9u  %6.1f [%6.1f %6.1f] %6.1f [%6.1f %6.1f] %8.3f "
               "%10.0f B %10.1f B %8.0f B\n",
               mode_names[jobs[i].mode], jobs[i].ranks, seal->median,
               seal->low, seal->high, open->median, open->low, open->high,
               all / few, jobs[i].key_bytes,
               jobs[i].mode == SESSIONS ?
                   jobs[i].key_bytes / jobs[i].ranks : 0.0,
               jobs[i].grown);
        if (csv != NULL)
            fprintf(csv, "%s,%u,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.4f,%.0f,%.0f\n",
                    mode_names[jobs[i].mode], jobs[i].ranks, seal->low,
                    seal->median, seal->high, open->low, open->median,
                    open->high, all / few, jobs[i].key_bytes, jobs[i].grown);
    }
}

/* Sessions of so many would not fit into half of what is free. */
static int too_many(enum mode mode, unsigned ranks)
{
    double needed = table_bytes(aead, ranks);

    if (mode != SESSIONS ||
        needed < proc_bytes("/proc/meminfo", "MemAvailable:") / 2)
        return 0;
    fprintf(stderr, "scale: sessions with %u peers left out: they take %.0f "
            "MB\n", ranks, needed / 1e6);
    return 1;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    static const char *const usual[] = {"2", "10", "100", "1000", "10000",
                                        "100000", "1000000", NULL};
    static struct job jobs[MODES * COUNTS_MAX];
    static struct bench_case cases[MODES * COUNTS_MAX];
    unsigned windows = 101, count = 0, i;
    const char *const *text;
    FILE *csv = NULL;
    int option, mode;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: scale [--windows N] [--csv FILE] [RANKS...]");
    }
    if (argc - optind > COUNTS_MAX)
        errx(2, "more than %d numbers of ranks", COUNTS_MAX);
    aead = eesp_aead_find(EESP_AEAD_AES_256_GCM, NULL);
    if (aead == NULL)
        errx(1, "no usable backend; see: eesp selftest");
    bench_pin();
    for (mode = 0; mode < MODES; mode++) {
        text = optind < argc ? (const char *const *)argv + optind : usual;
        for (; *text != NULL; text++) {
            int ranks = atoi(*text);

            if (ranks < 2 || ranks > 16 << 20)
                errx(2, "%s: not a number of ranks", *text);
            if (too_many(mode, (unsigned)ranks))
                continue;
            jobs[count] = (struct job){.mode = mode, .ranks = (unsigned)ranks};
            open_job(&jobs[count]);
            cases[count].run = mode == SESSIONS ? table_run : run_ranks;
            cases[count].arg = &jobs[count];
            if (mode == SESSIONS)
                cases[count].arg = jobs[count].table;
            count++;
        }
    }
    bench_measure(cases, count, windows);
    print(jobs, cases, count, csv);
    for (i = 0; i < count; i++)
        close_job(&jobs[i]);
    return csv != NULL && fclose(csv) != 0;
}
