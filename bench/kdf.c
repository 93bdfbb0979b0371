/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kdf: what a key costs. First the derivation of one SL1 data key and IV mask
 * (44 bytes), beside the ways libcrypto offers; then whole packets of 64 bytes
 * whose key is at hand, or is derived and expanded for every packet.
 */
#include "kdf.h"

#include <err.h>
#include <getopt.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bytes.h"
#include "ends.h"

/*
 * A cache for 4 keys and 1000 peers: every packet derives. What the sender
 * calls a peer, a Session ID, is another key at both ends.
 */
enum { PEERS = 1000, SMALL_CACHE = 4, PACKET = 64, ROOM = 192, BATCH = 16 };
/* Context with ranks, and a derived data key with its IV mask. */
enum { CONTEXT = 40, OUT = 44, BLOCK = 16, CMAC_KEY = 32, ROWS_MAX = 32, BACKENDS_MAX = 8,
       KDFS_MAX = 8 };

static uint8_t key[EESP_KDK_MAX], context[CONTEXT];

/* ---- Derivation --------------------------------------------------------- */

static struct keyed {
    const struct eesp_kdf *kdf;
    void                  *state;
} kdfs[KDFS_MAX], *keyed = kdfs; /* the first is CMAC-AES-256 */
static EVP_MAC_CTX *mac;
static EVP_KDF *kbkdf;
static EVP_KDF_CTX *kbkdf_keyed;

/* Times calls of derive as part 0; each has another context. */
static void run_derive(void (*derive)(uint8_t out[static OUT]), uint64_t calls,
                       double ns[BENCH_PARTS])
{
    uint64_t start = bench_clock(), i;
    uint8_t out[OUT + BLOCK];

    for (i = 0; i < calls; i++) {
        store64(context + 8, i);
        derive(out);
    }
    ns[0] += (double)(bench_clock() - start) / (double)calls;
}

static void derive_eesp(uint8_t out[static OUT])
{
    if (keyed->kdf->derive(keyed->state, EESP_LABEL_DATA_KEY, context, CONTEXT,
                           out, OUT) != EESP_OK)
        errx(1, "eesp_kdf failed");
}

/* The same by EVP_MAC, one CMAC after the other. */
static void derive_mac(uint8_t out[static OUT])
{
    uint8_t message[1 + 2 + 1 + CONTEXT + 2] = {0, 'S', '1', 0}, block[BLOCK];
    size_t done, offset, length;

    memcpy(message + 4, context, CONTEXT);
    store16(message + 4 + CONTEXT, 8 * OUT);
    for (offset = 0; offset < OUT; offset += BLOCK) {
        message[0]++;
        length = OUT - offset < BLOCK ? OUT - offset : BLOCK;
        if (EVP_MAC_init(mac, NULL, 0, NULL) != 1 ||
            EVP_MAC_update(mac, message, sizeof(message)) != 1 ||
            EVP_MAC_final(mac, block, &done, sizeof(block)) != 1)
            errx(1, "EVP_MAC failed");
        memcpy(out + offset, block, length);
    }
}

/*
 * EVP_KDF has a counter of 32 bits and a length of 32 bits: 5 bytes of context
 * less, and it works on as many blocks.
 */
static void kbkdf_derive(EVP_KDF_CTX *ctx, int set_key, uint8_t *out)
{
    OSSL_PARAM params[6], *p = params;

    if (set_key) {
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC,
                                                (char *)"CMAC", 0);
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_CIPHER,
                                                (char *)"AES-256-CBC", 0);
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key,
                                                 CMAC_KEY);
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
                                                 (char *)"S1", 2);
    }
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, context,
                                             CONTEXT - 5);
    *p   = OSSL_PARAM_construct_end();
    if (EVP_KDF_derive(ctx, out, OUT, params) != 1)
        errx(1, "EVP_KDF failed");
}

static void derive_kbkdf(uint8_t out[static OUT])
{
    kbkdf_derive(kbkdf_keyed, 0, out);
}

static void derive_kbkdf_anew(uint8_t out[static OUT])
{
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kbkdf);

    kbkdf_derive(ctx, 1, out);
    EVP_KDF_CTX_free(ctx);
}

/* arg: one of kdfs. */
static void run_eesp(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    keyed = arg;
    run_derive(derive_eesp, calls, ns);
}

static void run_mac(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    (void)arg;
    run_derive(derive_mac, calls, ns);
}

static void run_kbkdf(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    (void)arg;
    run_derive(derive_kbkdf, calls, ns);
}

static void run_kbkdf_anew(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    (void)arg;
    run_derive(derive_kbkdf_anew, calls, ns);
}

/* Keys everything, and finds that two ways to one key agree. */
static void prepare_derivation(void)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER,
                                         (char *)"AES-256-CBC", 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    uint8_t ours[OUT], theirs[OUT];
    unsigned i;

    memset(key, 0x42, sizeof(key));
    for (i = 0; i < eesp_kdfs() && i < KDFS_MAX; i++) {
        const struct eesp_kdf *kdf = eesp_kdf_at(i);

        kdfs[i] = (struct keyed){kdf, calloc(1, kdf->state_size)};
        if (kdfs[i].state == NULL || kdf->open(kdfs[i].state) != EESP_OK ||
            kdf->key(kdfs[i].state, key) != EESP_OK)
            errx(1, "no %s", kdf->name);
    }
    kbkdf       = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    mac         = cmac ? EVP_MAC_CTX_new(cmac) : NULL;
    kbkdf_keyed = kbkdf ? EVP_KDF_CTX_new(kbkdf) : NULL;
    if (mac == NULL ||
        EVP_MAC_init(mac, key, CMAC_KEY, params) != 1 ||
        kbkdf_keyed == NULL)
        errx(1, "no CMAC or KBKDF");
    kbkdf_derive(kbkdf_keyed, 1, ours);
    derive_eesp(ours);
    derive_mac(theirs);
    if (memcmp(ours, theirs, OUT) != 0)
        errx(1, "libeesp and EVP_MAC derive different keys");
    EVP_MAC_free(cmac);
}

/* ---- Packets ------------------------------------------------------------ */

struct job {
    struct ends ends;
    unsigned    peers, next;
};

/* Part 0: seal, part 1: open. */
static void run_packets(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    static uint8_t payload[PACKET], packets[BATCH][PACKET + ROOM];
    static uint8_t plain[PACKET + ROOM];
    struct job *job     = arg;
    struct iovec iov    = {payload, PACKET};
    uint64_t spent[2]   = {0, 0}, start, call;
    struct eesp_opened opened;
    size_t length = 0;
    int failed = 0, i;

    for (call = 0; call < calls; call++) {
        start = bench_clock();
        for (i = 0; i < BATCH; i++) {
            job->next = job->next + 1 < job->peers ? job->next + 1 : 0;
            job->ends.to.session_id = (uint16_t)job->next;
            failed |= eesp_seal(job->ends.tx, &job->ends.to, &iov, 1,
                                packets[i], sizeof(packets[i]), &length);
        }
        spent[0] += bench_clock() - start;
        start = bench_clock();
        for (i = 0; i < BATCH; i++)
            failed |= eesp_open(job->ends.rx, packets[i], length, plain,
                                sizeof(plain), &opened);
        spent[1] += bench_clock() - start;
    }
    if (failed)
        errx(1, "a packet was not sealed or not opened");
    for (i = 0; i < BENCH_PARTS; i++)
        ns[i] += (double)spent[i] / (double)(calls * BATCH);
}

/* Every packet, or only the first, was derived for. */
static void check_packets(const struct job *job)
{
    struct eesp_counters tx;

    eesp_lane_counters(job->ends.tx, &tx);
    if (!ends_agree(&job->ends) ||
        (job->peers > 1 ? tx.derived != tx.sealed : tx.derived != 1))
        errx(1, "packets dropped, or %lu derivations for %lu packets",
             (unsigned long)tx.derived, (unsigned long)tx.sealed);
}

/* ---- Table -------------------------------------------------------------- */

struct row {
    char what[64];
    int  part;
};

static void print_row(const struct row *row, const struct bench_case *c,
                      FILE *csv)
{
    const struct bench_spread *r = &c->part[row->part];

    printf("%-52s %9.1f  [%.1f %.1f]\n", row->what, r->median, r->low,
           r->high);
    if (csv != NULL)
        fprintf(csv, "\"%s\",%.2f,%.2f,%.2f\n", row->what, r->low, r->median,
                r->high);
}

static void print_packets(const struct bench_case *c, const char *backend,
                          const char *how, FILE *csv)
{
    struct row row;

    for (row.part = 0; row.part < BENCH_PARTS; row.part++) {
        snprintf(row.what, sizeof(row.what), "%-16s %s 64 B, %s", backend,
                 row.part == 0 ? "seal" : "open", how);
        print_row(&row, c, csv);
    }
}

static void measure(unsigned windows, FILE *csv)
{
    struct row ways[KDFS_MAX + 3] = {
        {"derive 44 bytes: EVP_MAC CMAC, keyed once", 0},
        {"derive 44 bytes: EVP_KDF KBKDF, keyed once", 0},
        {"derive 44 bytes: EVP_KDF KBKDF, new context each", 0}};
    struct bench_case cases[ROWS_MAX] = {
        {run_mac, NULL, {{0, 0, 0}}, 0},
        {run_kbkdf, NULL, {{0, 0, 0}}, 0},
        {run_kbkdf_anew, NULL, {{0, 0, 0}}, 0}};
    static struct job jobs[2 * BACKENDS_MAX];
    const char *names[BACKENDS_MAX];
    struct eesp_backend_info info;
    double ignored[BENCH_PARTS] = {0};
    unsigned count = 0, i, j, first = 3;

    for (i = 0; i < KDFS_MAX && kdfs[i].kdf != NULL; i++, first++) {
        cases[first].run = run_eesp;
        cases[first].arg = &kdfs[i];
        snprintf(ways[first].what, sizeof(ways[first].what),
                 "derive 44 bytes: libeesp %s", kdfs[i].kdf->name);
    }
    for (i = 0; i < eesp_backends() && count < BACKENDS_MAX; i++) {
        eesp_backend(i, &info);
        if (!info.available || strcmp(info.algorithm, "aes-256-gcm") != 0)
            continue;
        for (j = 2 * count; j < 2 * count + 2; j++) {
            jobs[j].peers = j % 2 ? PEERS : 1;
            ends_open(&jobs[j].ends, info.name, j % 2 ? SMALL_CACHE : 0);
            /* Every peer once: later packets find memory where they go. */
            run_packets(&jobs[j], PEERS / BATCH + 1, ignored);
            cases[first + j].run = run_packets;
            cases[first + j].arg = &jobs[j];
        }
        names[count++] = info.name;
    }
    bench_measure(cases, first + 2 * count, windows);
    for (i = 0; i < first; i++)
        print_row(&ways[i], &cases[i], csv);
    for (j = 0; j < 2 * count; j++) {
        check_packets(&jobs[j]);
        print_packets(&cases[first + j], names[j / 2],
                      j % 2 ? "derived each" : "key at hand", csv);
        ends_close(&jobs[j].ends);
    }
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    unsigned windows = 101;
    FILE *csv        = NULL;
    int option;
    unsigned i;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: kdf [--windows N] [--csv FILE]");
    }
    bench_pin();
    prepare_derivation();
    if (csv != NULL)
        fprintf(csv, "what,ns_25,ns_median,ns_75\n");
    printf("%-52s %9s  [25 %% 75 %%]\n", "", "ns");
    measure(windows, csv);
    if (csv != NULL && fclose(csv) != 0)
        err(1, "csv");
    for (i = 0; i < KDFS_MAX && kdfs[i].kdf != NULL; i++) {
        kdfs[i].kdf->close(kdfs[i].state);
        free(kdfs[i].state);
    }
    EVP_MAC_CTX_free(mac);
    EVP_KDF_CTX_free(kbkdf_keyed);
    EVP_KDF_free(kbkdf);
    return 0;
}
