/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: ns per seal and per open of a packet by each backend, through the
 * library (eesp_seal() and eesp_open(): key at hand, strict replay) and
 * through the bare AEAD object; then the fit F(s) = a + b s.
 */
#include "aead.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ends.h"
#include "wire.h"

enum { BACKENDS_MAX = 8, SIZES_MAX = 16, SIZE_MAX_BYTES = 1 << 26 };
/* Packets between two looks at the clock, as many as stay in the L1 cache. */
enum { BATCH_MAX = 16, BATCH_BYTES = 8192, ROOM = 256 };
/* Associated data: a header in the compact form with ranks. */
enum { AAD_LENGTH = 36 };

enum { LIBRARY, AEAD, THROUGHS };
enum { JOBS_MAX = THROUGHS * SIZES_MAX * BACKENDS_MAX };
static const char *const through_names[] = {"library", "aead"};
static const char *const part_names[]    = {"seal", "open"};

/* One backend, reached in one way. */
struct subject {
    const struct eesp_aead *aead;
    struct ends             ends; /* LIBRARY */
    void                   *key;  /* AEAD */
    uint64_t                counter;
};

/* A subject at work on one size. */
struct job {
    struct subject *subject;
    size_t          size, stride, batch;
};

static uint8_t *source, *packets, *plain; /* shared by all jobs */
static double clock_cost;

static const struct eesp_aead *backends[BACKENDS_MAX];
static unsigned backends_count;
static size_t sizes[SIZES_MAX] = {64, 256, 1024, 4096, 8192, 16384, 65536,
                                  1 << 20};
static unsigned sizes_count    = 8;
/* Median 0: not measured. */
static struct bench_spread results[THROUGHS][BENCH_PARTS][SIZES_MAX]
                                  [BACKENDS_MAX];

static void add_times(const struct job *job, uint64_t calls,
                      const uint64_t spent[BENCH_PARTS],
                      double ns[BENCH_PARTS])
{
    double n = (double)(calls * job->batch);
    int part;

    for (part = 0; part < BENCH_PARTS; part++)
        ns[part] += ((double)spent[part] - (double)calls * clock_cost) / n;
}

static void run_library(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    const struct job *job = arg;
    struct ends *ends     = &job->subject->ends;
    struct iovec iov      = {source, job->size};
    uint64_t spent[2]     = {0, 0}, start, call;
    struct eesp_opened opened;
    size_t length = 0, i;
    int failed    = 0;

    for (call = 0; call < calls; call++) {
        start = bench_clock();
        for (i = 0; i < job->batch; i++)
            failed |= eesp_seal(ends->tx, &ends->to, &iov, 1,
                                packets + i * job->stride, job->stride,
                                &length);
        spent[0] += bench_clock() - start;
        start = bench_clock();
        for (i = 0; i < job->batch; i++)
            failed |= eesp_open(ends->rx, packets + i * job->stride, length,
                                plain, job->stride, &opened);
        spent[1] += bench_clock() - start;
    }
    if (failed || memcmp(plain + EESP_PAYLOAD_OFFSET, source, job->size) != 0)
        errx(1, "%s: library: wrong at %zu bytes",
             job->subject->aead->backend, job->size);
    add_times(job, calls, spent, ns);
}

static void run_aead(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    static const uint8_t aad[AAD_LENGTH];
    const struct job *job         = arg;
    struct subject *s             = job->subject;
    uint8_t nonce[EESP_NONCE_LEN] = {0}, *packet;
    struct iovec iov              = {source, job->size};
    uint64_t spent[2]             = {0, 0}, start, call, counter;
    size_t i;
    int failed = 0;

    for (call = 0; call < calls; call++) {
        start = bench_clock();
        for (i = 0; i < job->batch; i++) {
            packet = packets + i * job->stride;
            s->counter++;
            memcpy(nonce, &s->counter, sizeof(s->counter));
            failed |= s->aead->seal(s->key, nonce, aad, sizeof(aad), &iov, 1,
                                    packet, packet + job->size);
        }
        spent[0] += bench_clock() - start;
        start   = bench_clock();
        counter = s->counter - job->batch;
        for (i = 0; i < job->batch; i++) {
            packet = packets + i * job->stride;
            counter++;
            memcpy(nonce, &counter, sizeof(counter));
            failed |= s->aead->decrypt(s->key, nonce, aad, sizeof(aad), packet,
                                       job->size, plain, packet + job->size);
        }
        spent[1] += bench_clock() - start;
    }
    if (failed || memcmp(plain, source, job->size) != 0)
        errx(1, "%s: aead: wrong at %zu bytes", s->aead->backend, job->size);
    add_times(job, calls, spent, ns);
}

static void open_subject(struct subject *s, unsigned through)
{
    uint8_t key[EESP_AEAD_KEY_MAX];

    if (through == LIBRARY) {
        ends_open(&s->ends, s->aead->backend, 0);
        return;
    }
    s->key = aligned_alloc(64, (s->aead->key_size + 63) & ~(size_t)63);
    memset(key, 0x42, sizeof(key));
    if (s->key == NULL || s->aead->open(s->key) != EESP_OK ||
        s->aead->expand(s->key, key) != EESP_OK)
        errx(1, "%s: no key", s->aead->backend);
}

static void close_subject(struct subject *s, unsigned through)
{
    if (through == AEAD) {
        s->aead->close(s->key);
        free(s->key);
        return;
    }
    if (!ends_agree(&s->ends))
        errx(1, "%s: packets were dropped", s->aead->backend);
    ends_close(&s->ends);
}

static struct job make_job(struct subject *subject, size_t bytes)
{
    size_t batch = BATCH_BYTES / (bytes ? bytes : 1);

    return (struct job){
        subject, bytes, (bytes + ROOM + 63) & ~(size_t)63,
        batch < 1 ? 1 : batch > BATCH_MAX ? BATCH_MAX : batch};
}

/* Everything in turns. */
static void measure(unsigned throughs, unsigned windows)
{
    static struct subject subjects[THROUGHS][BACKENDS_MAX];
    static struct job jobs[JOBS_MAX];
    static struct bench_case cases[JOBS_MAX];
    struct bench_spread *to[JOBS_MAX][BENCH_PARTS];
    unsigned through, i, j, part, n = 0;
    size_t library_limit;

    for (through = 0; through < throughs; through++)
        for (i = 0; i < backends_count; i++) {
            subjects[through][i].aead = backends[i];
            open_subject(&subjects[through][i], through);
        }
    library_limit = ends_max_payload(&subjects[LIBRARY][0].ends);
    for (through = 0; through < throughs; through++)
        for (j = 0; j < sizes_count; j++)
            for (i = 0; i < backends_count; i++) {
                if (through == LIBRARY && sizes[j] > library_limit)
                    continue;
                jobs[n]      = make_job(&subjects[through][i], sizes[j]);
                cases[n].run = through == AEAD ? run_aead : run_library;
                cases[n].arg = &jobs[n];
                for (part = 0; part < BENCH_PARTS; part++)
                    to[n][part] = &results[through][part][j][i];
                n++;
            }
    bench_measure(cases, n, windows);
    while (n-- > 0)
        for (part = 0; part < BENCH_PARTS; part++)
            *to[n][part] = cases[n].part[part];
    for (through = 0; through < throughs; through++)
        for (i = 0; i < backends_count; i++)
            close_subject(&subjects[through][i], through);
}

static int is_ipsecmb(unsigned backend)
{
    return strncmp(backends[backend]->backend, "ipsec-mb", 8) == 0;
}

/* Where openssl is, and the best ipsec-mb: 0 if both were measured. */
static int find_rivals(unsigned *openssl, unsigned *ipsecmb)
{
    *openssl = *ipsecmb = BACKENDS_MAX;
    for (unsigned i = backends_count; i-- > 0;) {
        if (is_ipsecmb(i))
            *ipsecmb = i;
        else
            *openssl = i;
    }
    return *openssl < BACKENDS_MAX && *ipsecmb < BACKENDS_MAX ? 0 : -1;
}

static void print_fit(unsigned through, int part)
{
    double s[SIZES_MAX], f[SIZES_MAX], a, b, slope[BACKENDS_MAX] = {0};
    unsigned i, j, n, openssl, ipsecmb;

    for (i = 0; i < backends_count; i++) {
        for (j = n = 0; j < sizes_count; j++)
            if (results[through][part][j][i].median > 0) {
                s[n]   = (double)sizes[j];
                f[n++] = results[through][part][j][i].median;
            }
        if (n < 3)
            return;
        bench_fit(s, f, n, &a, &b);
        slope[i] = b;
        printf("%-16s F(s) = %6.1f + %.4f s ns   %6.2f GB/s in bulk\n",
               backends[i]->backend, a, b, 1 / b);
    }
    if (find_rivals(&openssl, &ipsecmb) == 0)
        printf("Bulk speed, ipsec-mb / openssl: %.2f\n",
               slope[openssl] / slope[ipsecmb]);
}

static void print_block(unsigned through, int part)
{
    unsigned i, j, openssl, ipsecmb;
    int rivals = find_rivals(&openssl, &ipsecmb) == 0;

    printf("\n%s through the %s, ns per packet: median [25 %% 75 %%]\n%8s",
           part_names[part], through_names[through], "bytes");
    for (i = 0; i < backends_count; i++)
        printf("  %25s", backends[i]->backend);
    printf("%s\n", rivals ? "  openssl/ipsec-mb" : "");
    for (j = 0; j < sizes_count; j++) {
        const struct bench_spread *row = results[through][part][j];

        if (row[0].median == 0)
            continue;
        printf("%8zu", sizes[j]);
        for (i = 0; i < backends_count; i++)
            printf("  %8.1f [%6.*f %6.*f]", row[i].median,
                   row[i].high < 1000, row[i].low, row[i].high < 1000,
                   row[i].high);
        if (rivals)
            printf("  %16.2f", row[openssl].median / row[ipsecmb].median);
        putchar('\n');
    }
    print_fit(through, part);
}

static void write_csv(const char *path)
{
    FILE *f = fopen(path, "w");
    unsigned through, part, i, j;

    if (f == NULL)
        err(1, "%s", path);
    fprintf(f, "through,operation,backend,bytes,ns_25,ns_median,ns_75\n");
    for (through = 0; through < THROUGHS; through++)
        for (part = 0; part < BENCH_PARTS; part++)
            for (j = 0; j < sizes_count; j++)
                for (i = 0; i < backends_count; i++) {
                    struct bench_spread r = results[through][part][j][i];

                    if (r.median > 0)
                        fprintf(f, "%s,%s,%s,%zu,%.2f,%.2f,%.2f\n",
                                through_names[through], part_names[part],
                                backends[i]->backend, sizes[j], r.low,
                                r.median, r.high);
                }
    if (fclose(f) != 0)
        err(1, "%s", path);
}

/* Every usable backend, or the best whose name begins with wanted. */
static void find_backends(const char *wanted)
{
    const struct eesp_aead *aead;
    unsigned i;

    if (wanted != NULL) {
        backends[0]    = eesp_aead_find(EESP_AEAD_AES_256_GCM,
                                        strcmp(wanted, "auto") ? wanted : NULL);
        backends_count = backends[0] != NULL;
    } else {
        for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++)
            if (aead->id == EESP_AEAD_AES_256_GCM && !aead->missing() &&
                backends_count < BACKENDS_MAX)
                backends[backends_count++] = aead;
    }
    if (backends_count == 0)
        errx(1, "no usable backend; see: eesp selftest");
}

static size_t take_sizes(char *const *texts)
{
    size_t largest = 0;
    unsigned i;
    char *end;

    if (*texts != NULL)
        sizes_count = 0; /* none of the defaults */
    for (; *texts != NULL; texts++) {
        if (sizes_count == SIZES_MAX)
            errx(2, "more than %d sizes", SIZES_MAX);
        sizes[sizes_count] = strtoul(*texts, &end, 10);
        if (*end != '\0' || sizes[sizes_count] > SIZE_MAX_BYTES)
            errx(2, "not a size in bytes: %s", *texts);
        sizes_count++;
    }
    for (i = 0; i < sizes_count; i++)
        if (sizes[i] > largest)
            largest = sizes[i];
    return largest;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'b'},
        {"csv", required_argument, NULL, 'c'},
        {"library", no_argument, NULL, 'l'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    const char *csv = NULL, *backend = NULL;
    unsigned through, throughs = THROUGHS, windows = 101;
    size_t largest;
    int part;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'b')
            backend = optarg;
        else if (option == 'c')
            csv = optarg;
        else if (option == 'l')
            throughs = LIBRARY + 1;
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else
            errx(2, "usage: seal [--backend NAME] [--library] [--windows N] "
                 "[--csv FILE] [BYTES...]");
    }
    largest = take_sizes(argv + optind);
    bench_pin();
    find_backends(backend);
    clock_cost = bench_clock_cost();
    source     = bench_buffer(largest + ROOM);
    plain      = bench_buffer(largest + ROOM + 64);
    packets    = bench_buffer(largest + BATCH_BYTES + BATCH_MAX * (ROOM + 64));
    measure(throughs, windows);

    printf("AES-256-GCM, %u undisturbed windows each, all in turns\n", windows);
    for (through = 0; through < throughs; through++)
        for (part = 0; part < BENCH_PARTS; part++)
            print_block(through, part);
    if (csv != NULL)
        write_csv(csv);
    return 0;
}
