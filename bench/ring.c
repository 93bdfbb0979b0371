/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: a ring of slots in shared memory between two cores, the one sends, the
 * other receives, with nothing else around: the limit of what a transport over
 * shared memory can do. plain: copied in and copied out. sealed: into the slot,
 * opened out of it, under one key or a ring of keys, from as many sources in
 * turn; 512 keys are kept, of 4096 each is derived again. steps: sealed step by
 * step, beside: into memory of the sender's own, and copied in
 * (ucx_plugin/ways.h).
 */
#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "keyring_text.h"
#include "lane.h"

enum { SLOTS = 16, ROOM = 256, OWN_RANK = 1, FIRST_RANK = 2,
       KEYS_MAX = 4096, WINDOW_NS = 2000000 };

struct slot {
    /* Of the packet in it, counted from 1; written last. */
    _Alignas(64) _Atomic uint64_t number;
    size_t length;
    _Alignas(64) uint8_t data[];
};

struct job {
    size_t                size;
    unsigned              keys; /* 0: plain */
    int                   steps, beside;
    struct eesp_lane     *tx, *rx;
    uint64_t              sequence; /* of all sources alike */
    struct bench_spread   ns;
    uint64_t              packets; /* of a window */
};

static const struct {
    const char *name;
    unsigned    keys;
    int         steps, beside;
} modes[] = {
    {"plain", 0, 0, 0}, {"1", 1, 0, 0}, {"1 steps", 1, 1, 0},
    {"1 beside", 1, 0, 1}, {"64", 64, 0, 0}, {"4096", KEYS_MAX, 0, 0}};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static struct eesp_keyring *keyring;
static uint64_t incarnations[KEYS_MAX]; /* of the sources */
static uint8_t *ring; /* shared */
static size_t stride;
static uint8_t *source, *beside, *user;

/* What the receiver is to do; its answer. */
static struct job *current;
static uint64_t first, count; /* packets, numbered as in the slots */
static _Alignas(64) _Atomic uint64_t ordered;
static _Alignas(64) _Atomic uint64_t taken; /* number of the last one */

static const char keyring_text[] = BENCH_KEYRING(
    "\"selectors\": [\"ranks\"], \"compact_id\": 1,"
    " \"phase_shift\": 24, \"replay\": \"strict\","
    " \"bind_destination\": true");

static struct slot *slot_of(uint64_t number)
{
    return (struct slot *)(ring + (number % SLOTS) * stride);
}

static void relax(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static size_t seal_next(struct job *job, uint8_t *to)
{
    struct iovec iov          = {source, job->size};
    struct eesp_header header = job->tx->sending;
    unsigned from             = (unsigned)(job->sequence % job->keys);
    size_t length;

    header.source_rank      = FIRST_RANK + from;
    header.destination_rank = OWN_RANK;
    header.incarnation      = incarnations[from];
    header.sequence         = ++job->sequence;
    if (eesp_seal_fields(job->tx, &header,
                         (unsigned)job->tx->policy->send,
                         eesp_lane_incarnation(job->rx), &iov, 1, to,
                         job->size + ROOM, &length) != EESP_OK)
        errx(1, "a packet was not sealed");
    return length;
}

static void send_next(struct job *job, uint64_t number)
{
    struct slot *slot = slot_of(number);

    if (job->beside) {
        slot->length = seal_next(job, beside);
        memcpy(slot->data, beside, slot->length);
    } else if (job->keys > 0) {
        slot->length = seal_next(job, slot->data);
    } else {
        slot->length = job->size;
        memcpy(slot->data, source, job->size);
    }
    atomic_store_explicit(&slot->number, number, memory_order_release);
}

static void receive_next(struct job *job, uint64_t number)
{
    struct slot *slot = slot_of(number);
    struct eesp_opened opened;

    while (atomic_load_explicit(&slot->number, memory_order_acquire) != number)
        relax();
    if (job->keys == 0)
        memcpy(user, slot->data, slot->length);
    else if (eesp_open(job->rx, slot->data, slot->length, user,
                       job->size + ROOM, &opened) != EESP_OK ||
             opened.length != job->size)
        errx(1, "a packet was not opened");
    atomic_store_explicit(&taken, number, memory_order_release);
}

static void *receiver(void *arg)
{
    uint64_t seen = 0, order, i;

    (void)arg;
    bench_pin_nth(1);
    for (;;) {
        while ((order = atomic_load_explicit(&ordered,
                                             memory_order_acquire)) == seen)
            relax();
        seen = order;
        if (current == NULL)
            return NULL;
        for (i = 0; i < count; i++)
            receive_next(current, first + i);
    }
}

/* Nanoseconds of one of so many packets, until the last has been taken. */
static double stream(struct job *job, uint64_t packets)
{
    static uint64_t last;
    uint64_t start, number;
    const uint8_t *arrived;

    current = job;
    first   = last + 1;
    count   = packets;
    last   += packets;
    atomic_fetch_add_explicit(&ordered, 1, memory_order_release);
    start = bench_clock();
    for (number = first; number <= last; number++) {
        while (number > SLOTS + atomic_load_explicit(&taken,
                                                     memory_order_acquire))
            relax();
        send_next(job, number);
    }
    while (atomic_load_explicit(&taken, memory_order_acquire) < last)
        relax();
    start   = bench_clock() - start;
    arrived = user + (job->keys > 0 ? EESP_PAYLOAD_OFFSET : 0);
    if (memcmp(arrived, source, job->size) != 0)
        errx(1, "received data is wrong at %zu bytes", job->size);
    return (double)start / (double)packets;
}

static struct eesp_lane *open_lane(uint32_t rank)
{
    struct eesp_lane_params params = {
        .keyring = keyring,
        .policy  = eesp_keyring_policy_at(keyring, 0),
        .rank    = rank,
    };
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

static void *buffer(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        err(1, "%zu bytes", size);
    memset(p, 0x5a, size);
    return p;
}

static void measure(struct job *jobs, unsigned n, unsigned windows)
{
    double *ns = calloc((size_t)n * windows, sizeof(*ns));
    unsigned i, w;

    if (ns == NULL)
        err(1, "ring");
    for (i = 0; i < n; i++) { /* every key once, and how long it takes */
        stream(&jobs[i], jobs[i].keys + 64);
        jobs[i].packets = 64;
        jobs[i].packets = (uint64_t)(WINDOW_NS / stream(&jobs[i], 64)) + 16;
    }
    for (w = 0; w < windows; w++)
        for (i = 0; i < n; i++)
            ns[i * windows + w] = stream(&jobs[i], jobs[i].packets);
    for (i = 0; i < n; i++)
        jobs[i].ns = bench_spread(ns + i * windows, windows);
    free(ns);
}

static void print(const struct job *jobs, unsigned n, FILE *csv)
{
    unsigned i;

    printf("Ring in shared memory, %d slots, two cores: ns per packet: median "
           "[25 %% 75 %%]\n%8s %8s  %-26s %8s %8s\n", SLOTS, "bytes", "keys",
           "ns", "GB/s", "of plain");
    if (csv != NULL)
        fprintf(csv, "bytes,keys,ns_25,ns_median,ns_75,of_plain\n");
    for (i = 0; i < n; i++) {
        const struct job *job = &jobs[i], *plain = &jobs[i / MODES * MODES];
        const char *keys = modes[i % MODES].name;

        printf("%8zu %8s  %8.1f [%7.1f %7.1f] %8.2f %8.2f\n", job->size,
               keys, job->ns.median, job->ns.low,
               job->ns.high, (double)job->size / job->ns.median,
               plain->ns.median / job->ns.median);
        if (csv != NULL)
            fprintf(csv, "%zu,%s,%.2f,%.2f,%.2f,%.4f\n", job->size, keys,
                    job->ns.low, job->ns.median, job->ns.high,
                    plain->ns.median / job->ns.median);
    }
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    static const size_t sizes[] = {64, 1024, 8192, 65000};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    static struct job jobs[SIZES * MODES];
    char why[EESP_WHY_LEN];
    unsigned windows = 41, i;
    pthread_t thread;
    FILE *csv = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: ring [--windows N] [--csv FILE]");
    }
    if (eesp_keyring_parse("bench", keyring_text, strlen(keyring_text),
                           &keyring, why) != EESP_OK)
        errx(1, "%s", why);
    stride = (sizeof(struct slot) + sizes[SIZES - 1] + ROOM + 63) &
             ~(size_t)63;
    ring   = buffer(SLOTS * stride);
    source = buffer(sizes[SIZES - 1] + ROOM);
    beside = buffer(sizes[SIZES - 1] + ROOM);
    user   = buffer(sizes[SIZES - 1] + 2 * ROOM);
    for (i = 0; i < KEYS_MAX; i++)
        incarnations[i] = (uint64_t)random() << 32 | (uint64_t)random();
    for (i = 0; i < SIZES * MODES; i++) {
        jobs[i].size   = sizes[i / MODES];
        jobs[i].keys   = modes[i % MODES].keys;
        jobs[i].beside = modes[i % MODES].beside;
        jobs[i].tx     = open_lane(0);
        jobs[i].rx     = open_lane(OWN_RANK);
        eesp_lane_stepwise(jobs[i].tx, modes[i % MODES].steps);
    }
    if (pthread_create(&thread, NULL, receiver, NULL) != 0)
        err(1, "thread");
    bench_pin_nth(0);
    measure(jobs, SIZES * MODES, windows);
    current = NULL;
    atomic_fetch_add_explicit(&ordered, 1, memory_order_release);
    pthread_join(thread, NULL);
    print(jobs, SIZES * MODES, csv);
    for (i = 0; i < SIZES * MODES; i++) {
        eesp_lane_destroy(jobs[i].tx);
        eesp_lane_destroy(jobs[i].rx);
    }
    eesp_keyring_free(keyring);
    return csv != NULL && fclose(csv) != 0;
}
