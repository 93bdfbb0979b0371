/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nonces: makes very many nonces by the code that issues them, over threads,
 * lanes, restarts, forks, leases of pools, rotations and new incarnations, and
 * looks whether one came twice under one data key.
 *
 *     nonces [--count N] [--memory MB] [--fault NAME]
 *
 * A data key is named by SPI, generations and context; the IV mask is part of
 * it, so a nonce is compared before the mask. What is random is drawn from a
 * seed, so that each pass makes the same nonces again: getrandom() below stands
 * in front of the kernel's. One packet in 64 is sealed by eesp_seal() and read
 * back; for the others the same functions are called without the cipher.
 * Faults are put in to see that they are found.
 */
#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "context.h"
#include "lane.h"
#include "seen.h"

enum { THREADS = 2, POLICIES = 3, RINGS = 3, RANKS = 8, PEERS = 5, POOL_MAX = 4,
       LIFE = 20000, CHILD = 4000, SEALED_ONE_IN = 64, PACKET = 512 };

static const char *const faults[] = {"none", "counter", "lease", "fork",
                                     "incarnation"};
enum { NONE, COUNTER, LEASE, FORK, INCARNATION };

static struct seen *seen;
static uint64_t quota; /* of each thread */
static int fault;
static const struct eesp_keyring *rings[RINGS];
static __thread uint64_t state; /* of what stands for random here */

static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    uint8_t *p = buffer;
    size_t i;

    (void)flags;
    for (i = 0; i < length; i += 8) {
        uint64_t value = draw();

        memcpy(p + i, &value, length - i < 8 ? length - i : 8);
    }
    return (ssize_t)length;
}

/* ---- One nonce ---------------------------------------------------------- */

struct thing {
    uint32_t spi;
    uint8_t  generations[EESP_LEVELS];
    uint8_t  nonce[EESP_NONCE_LEN + 4];
    uint8_t  context[EESP_CONTEXT_MAX] __attribute__((aligned(8)));
};

static void note(const struct eesp_lane *lane, const struct eesp_header *header,
                 uint64_t destination_incarnation)
{
    static const uint8_t no_mask[EESP_NONCE_LEN];
    struct thing thing = {.spi = header->spi};
    size_t length;

    memcpy(thing.generations, header->generations, EESP_LEVELS);
    eesp_lane_nonce(lane, header, no_mask, thing.nonce);
    length = eesp_context_build(&lane->policy->info, header,
                                destination_incarnation, thing.context);
    memset(thing.context + length, 0, -length & 7);
    seen_note(seen, &thing, offsetof(struct thing, context) +
                                ((length + 7) & ~(size_t)7));
}

/* As a packet goes out; EESP_ERR_LEASE is an answer, too. */
static int issue(struct eesp_lane *lane, const struct eesp_destination *to,
                 int seal)
{
    struct eesp_header header;
    uint8_t packet[PACKET];
    size_t length;
    int ret;

    if (seal) {
        ret = eesp_seal(lane, to, NULL, 0, packet, sizeof(packet), &length);
        if (ret == EESP_OK &&
            eesp_header_parse(packet, length, &header) != EESP_OK)
            errx(1, "a sealed packet cannot be read");
        header.flags = lane->sending.flags; /* compact ones do not say */
    } else {
        memcpy(&header, &lane->sending, EESP_HEADER_COMMON);
        header.session_id = to->session_id;
        header.source_id  = lane->id;
        ret = lane->policy->info.partitions == 0 ?
                  eesp_nonce_take(lane->nonce, &header.incarnation,
                                  &header.sequence) :
                  eesp_nonce_take_leased(lane->nonce, &header.incarnation,
                                         &header.session_id, &header.sequence);
    }
    if (ret != EESP_OK)
        return ret;
    memcpy(header.generations, lane->sending.generations, EESP_LEVELS);
    header.selectors        = lane->policy->info.selectors;
    header.destination_rank = to->rank;
    header.destination_id   = to->id;
    note(lane, &header, to->incarnation);
    return EESP_OK;
}

static uint64_t issue_many(struct eesp_lane *lane, uint64_t count)
{
    uint64_t done = 0, i;

    for (i = 0; i < count; i++) {
        uint64_t x = draw();
        struct eesp_destination to = {
            .incarnation = x % PEERS + 1, .id = 7 + x % PEERS,
            .rank = (uint32_t)(x >> 8) % PEERS,
            .session_id = (uint16_t)((x >> 16) % 2)};

        done += issue(lane, &to, i % SEALED_ONE_IN == 0) == EESP_OK;
        if (fault == COUNTER && i == 100)
            lane->nonce->next -= 10;
    }
    return done;
}

/* ---- Lives -------------------------------------------------------------- */

/* A child goes on with the lane of its parent. */
static pid_t split(struct eesp_lane *lane, uint64_t salt)
{
    struct eesp_nonce before = *lane->nonce;
    int pool                 = lane->policy->info.partitions != 0;
    uint64_t done;
    pid_t pid = fork();

    if (pid < 0)
        err(1, "fork");
    if (pid > 0)
        return pid;
    state ^= salt;
    if (fault == FORK)
        *lane->nonce = before;
    done = issue_many(lane, CHILD);
    _exit(done != (pool && fault != FORK ? 0u : (unsigned)CHILD));
}

static void join(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || status != 0)
        errx(1, "a child issued what it must not, or not what it must");
}

static struct eesp_lane *open_lane(unsigned policy, uint32_t rank)
{
    struct eesp_lane_params params = {
        .keyring = rings[0], .policy = eesp_keyring_policy_at(rings[0], policy),
        .key_cache = 4, .rank = rank, .id = rank};
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

static void lease(struct eesp_lane *lane, uint64_t incarnation,
                  uint16_t partition)
{
    struct eesp_lease given = {.incarnation = incarnation,
                               .partition   = partition};

    if (eesp_lane_lease(lane, &given) != EESP_OK)
        errx(1, "a lease was refused");
    if (eesp_lane_lease(lane, &given) != EESP_ERR_LEASE)
        errx(1, "a lease was taken twice");
    if (fault == LEASE)
        lane->nonce->partition = 0;
}

static void rotate(struct eesp_lane *lane, unsigned ring)
{
    char why[EESP_WHY_LEN];

    if (eesp_lane_reload(lane, rings[ring], why) != EESP_OK)
        errx(1, "%s", why);
}

/* From the start of a lane, or of the lanes of a pool, to its end. */
static uint64_t live(uint64_t number)
{
    unsigned policy = (unsigned)(number % POLICIES), lanes = 1, i;
    struct eesp_lane *lane[POOL_MAX];
    uint64_t incarnation, done = 0;
    pid_t child = 0;

    state = fault == INCARNATION ? 1 : (number + 1) * 0xd6e8feb86659fd93u;
    incarnation = draw();
    if (policy == 2)
        lanes = 1 + (unsigned)(draw() % POOL_MAX);
    for (i = 0; i < lanes; i++) {
        lane[i] = open_lane(policy, (uint32_t)(number / POLICIES % RANKS));
        if (policy == 2 && fault != INCARNATION)
            lease(lane[i], incarnation, (uint16_t)i);
    }
    for (i = 0; i < lanes; i++) {
        uint64_t what = draw();

        done += issue_many(lane[i], LIFE / lanes / 2);
        if (what % 8 == 0)
            child = split(lane[i], number ^ 0x5555555555555555u);
        if ((what >> 4) % 8 < 3)
            rotate(lane[i], 1 + (what >> 8) % (RINGS - 1));
        if ((what >> 16) % 8 == 0 && policy != 2)
            eesp_lane_reincarnate(lane[i]);
        done += issue_many(lane[i], LIFE / lanes / 2);
        if (child > 0) {
            join(child);
            done += policy == 2 ? 0 : CHILD;
            child = 0;
        }
    }
    for (i = 0; i < lanes; i++)
        eesp_lane_destroy(lane[i]);
    return done;
}

static void *work(void *arg)
{
    uint64_t number = (uintptr_t)arg, done = 0;

    for (; done < quota; number += THREADS)
        done += live(number);
    return NULL;
}

/* In a process of its own: what was leased there is not leased in the next. */
static void run_pass(void)
{
    pthread_t thread[THREADS];
    uintptr_t i;
    int status;
    pid_t pid = fork();

    if (pid < 0)
        err(1, "fork");
    if (pid > 0) {
        if (waitpid(pid, &status, 0) != pid || status != 0)
            errx(1, "a pass failed");
        return;
    }
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, work, (void *)i) != 0)
            errx(1, "no thread");
    for (i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    _exit(0);
}

/* ---- Keyrings ----------------------------------------------------------- */

/* Generations g - 1, g and g + 1 of a key; ranks, ids, and a pool. */
static struct eesp_keyring *make_ring(unsigned g, unsigned epoch)
{
    static const char *const states[] = {"previous", "current", "next"};
    char text[4096], why[EESP_WHY_LEN];
    struct eesp_keyring *keyring;
    int n = snprintf(text, sizeof(text), "{\"eesp_version\":1,\"keys\":[");
    unsigned i;

    for (i = 0; i < 3; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "%s{\"kty\":\"oct\",\"kid\":\"j\",\"eesp_level\":\"job\","
                      "\"eesp_generation\":%u,\"eesp_state\":\"%s\",\"k\":"
                      "\"%c%042d\"}", i ? "," : "", g - 1 + i, states[i],
                      'A' + (int)(g + i), 0);
    snprintf(text + n, sizeof(text) - (size_t)n,
             "],\"eesp_policies\":["
             "{\"spi\":1,\"name\":\"ranks\",\"profile\":\"sl1\",\"kdf\":"
             "\"cmac-aes256\",\"aead\":\"aes-256-gcm\",\"levels\":{\"job\":\"j\"},"
             "\"selectors\":[\"ranks\"],\"compact_id\":1,\"phase_shift\":12,"
             "\"replay\":\"off\",\"epoch\":%u},"
             "{\"spi\":2,\"name\":\"pairs\",\"profile\":\"sl1\",\"kdf\":"
             "\"cmac-aes256\",\"aead\":\"aes-256-gcm\",\"levels\":{\"job\":\"j\"},"
             "\"selectors\":[\"source\",\"destination\"],\"phase_shift\":12,"
             "\"replay\":\"off\",\"epoch\":%u},"
             "{\"spi\":3,\"name\":\"pool\",\"profile\":\"sl1\",\"kdf\":"
             "\"cmac-aes256\",\"aead\":\"aes-256-gcm\",\"levels\":{\"job\":\"j\"},"
             "\"selectors\":[\"source\",\"destination\"],\"phase_shift\":12,"
             "\"partitioned\":true,\"replay\":\"off\",\"epoch\":%u}]}",
             epoch, epoch, epoch);
    if (eesp_keyring_parse("nonces", text, strlen(text), &keyring, why) !=
        EESP_OK)
        errx(1, "%s", why);
    return keyring;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'c'},
        {"memory", required_argument, NULL, 'm'},
        {"fault", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0}};
    uint64_t count = 1000000, memory = 512;
    size_t suspects = 0, twice = 0;
    double start = seconds();
    unsigned pass;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            count = strtoull(optarg, NULL, 10);
        else if (option == 'm')
            memory = strtoull(optarg, NULL, 10);
        else if (option == 'f')
            for (fault = INCARNATION; fault > NONE &&
                 strcmp(faults[fault], optarg) != 0; fault--)
                ;
        else
            errx(2, "usage: nonces [--count N] [--memory MB] [--fault NAME]");
    }
    rings[0] = make_ring(5, 1);
    rings[1] = make_ring(5, 2);
    rings[2] = make_ring(6, 2);
    quota    = count / THREADS;
    seen     = seen_create(count + 4 * THREADS * LIFE, memory << 20);
    for (pass = 0; pass < seen_passes(seen); pass++) {
        seen_start(seen, pass);
        run_pass();
        suspects += seen_finish(seen, pass);
        fprintf(stderr, "pass %u of %u: %.0f s, %zu suspects\n", pass + 1,
                seen_passes(seen), seconds() - start, suspects);
    }
    if (suspects > 0) {
        seen_start(seen, pass);
        run_pass();
        twice = seen_finish(seen, pass);
    }
    printf("%llu nonces in %u passes of %zu MB, %.0f s: %zu came twice\n",
           (unsigned long long)seen_total(seen), pass, seen_bytes(seen) >> 20,
           seconds() - start, twice);
    return twice != 0;
}
