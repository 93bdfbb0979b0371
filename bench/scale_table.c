/* SPDX-License-Identifier: BSD-3-Clause */
#include "scale_table.h"

#include <err.h>
#include <stdlib.h>

#include "bench.h"
#include "eesp.h"
#include "wire.h"

enum { PACKET = 64, BATCH = 16 };

struct table {
    const struct eesp_aead *aead;
    unsigned                peers;
    uint64_t                random;
    uint8_t                *keys; /* to and from each peer */
};

static size_t stride(const struct eesp_aead *aead)
{
    return (aead->key_size + 63) & ~(size_t)63;
}

double table_bytes(const struct eesp_aead *aead, unsigned peers)
{
    return 2.0 * peers * (double)stride(aead);
}

static uint8_t *key_at(const struct table *table, unsigned peer, int part)
{
    return table->keys +
           ((size_t)peer * 2 + (size_t)part) * stride(table->aead);
}

struct table *table_open(const struct eesp_aead *aead, unsigned peers)
{
    struct table *table = calloc(1, sizeof(*table));
    uint8_t key[EESP_AEAD_KEY_MAX] = {0};
    unsigned i;
    int part;

    if (table == NULL)
        err(1, "%u sessions", peers);
    table->aead   = aead;
    table->peers  = peers;
    table->random = 1;
    table->keys   = aligned_alloc(64, 2 * (size_t)peers * stride(aead));
    if (table->keys == NULL)
        err(1, "%u sessions", peers);
    for (i = 0; i < peers; i++) {
        memcpy(key, &i, sizeof(i));
        for (part = 0; part < 2; part++)
            if (aead->open(key_at(table, i, part)) != EESP_OK ||
                aead->expand(key_at(table, i, part), key) != EESP_OK)
                errx(1, "%s: no key", aead->backend);
    }
    return table;
}

void table_close(struct table *table)
{
    unsigned i;

    for (i = 0; i < table->peers; i++) {
        table->aead->close(key_at(table, i, 0));
        table->aead->close(key_at(table, i, 1));
    }
    free(table->keys);
    free(table);
}

static unsigned draw(struct table *table)
{
    table->random = table->random * 6364136223846793005u +
                    1442695040888963407u;
    return (unsigned)((table->random >> 32) % table->peers);
}

void table_run(void *arg, uint64_t calls, double *ns)
{
    static uint8_t packets[BATCH][PACKET], icv[BATCH][EESP_ICV_LEN];
    static uint8_t payload[PACKET], plain[PACKET], aad[36];
    struct table *table = arg;
    struct iovec iov    = {payload, PACKET};
    uint64_t spent[2]   = {0, 0}, start, call;
    uint8_t nonce[BATCH][EESP_NONCE_LEN] = {{0}};
    unsigned peer[BATCH], i;
    int failed = 0;

    for (call = 0; call < calls; call++) {
        for (i = 0; i < BATCH; i++) {
            peer[i] = draw(table);
            memcpy(nonce[i], &table->random, sizeof(table->random));
        }
        start = bench_clock();
        for (i = 0; i < BATCH; i++)
            failed |= table->aead->seal(key_at(table, peer[i], 0), nonce[i],
                                        aad, sizeof(aad), &iov, 1, packets[i],
                                        icv[i]);
        spent[0] += bench_clock() - start;
        start = bench_clock();
        for (i = 0; i < BATCH; i++)
            failed |= table->aead->decrypt(key_at(table, peer[i], 1), nonce[i],
                                           aad, sizeof(aad), packets[i],
                                           PACKET, plain, icv[i]);
        spent[1] += bench_clock() - start;
    }
    if (failed)
        errx(1, "a packet of a session was not opened");
    for (i = 0; i < BENCH_PARTS; i++)
        ns[i] += (double)spent[i] / (double)(calls * BATCH);
}
