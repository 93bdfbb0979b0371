/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timing: does the time to refuse a packet tell where it is wrong? Two kinds
 * of wrong packets in random order, Welch's t of their times (the method of
 * dudect: Reparaz, Balasch, Verbauwhede, 2017), the slowest tenth left out.
 * The median of five rounds must be below 4.5, at one of three tries: what the code
 * tells it tells each time, a neighbour on the machine does not. The control, a
 * comparison that ends at the first difference, must be far above.
 *
 * Runs where valgrind cannot: on the CPU itself, AVX-512 included.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aead.h"
#include "eesp.h"
#include "kdf.h"
#include "lanes.h"
#include "secret.h"
#include "wire.h"

enum { PACKETS = 20000, ROUNDS = 5, TRIES = 3, LENGTH = 1024, ICV = 16,
       SHORT = 256 };
#define T_LIMIT 4.5

static uint8_t text[LENGTH], sealed[LENGTH + ICV];
static uint8_t wrong[2][LENGTH + 64] __attribute__((aligned(64)));
static uint8_t plain[LENGTH];
static const uint8_t nonce[EESP_NONCE_LEN] = {7}, aad[24] = {9};
static const struct eesp_aead *aead; /* NULL: the control, or: */
static struct eesp_lanes *lanes;
static struct eesp_lanes_keys lanes_keys;
static void *key;
static int failed, passed;

static uint64_t now(void)
{
#ifdef __x86_64__
    unsigned aux;
    uint64_t t = __builtin_ia32_rdtscp(&aux);

    __builtin_ia32_lfence();
    return t;
#else
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

static __attribute__((noinline)) int compare_until_it_differs(const uint8_t *a,
                                                              const uint8_t *b)
{
    int i;

    for (i = 0; i < ICV; i++)
        if (((const volatile uint8_t *)a)[i] != b[i])
            return EESP_DROP_AUTH;
    return EESP_OK;
}

static int refuse(const uint8_t *packet)
{
    if (lanes != NULL) {
        memcpy(lanes->packet[0].data, packet, SHORT);
        memcpy(lanes->packet[0].icv, packet + LENGTH, ICV);
        return eesp_lanes_decrypt(lanes, &lanes_keys) == 1 ? EESP_DROP_AUTH :
                                                             EESP_OK;
    }
    if (aead == NULL)
        return compare_until_it_differs(sealed + LENGTH, packet + LENGTH);
    return aead->decrypt(key, nonce, aad, sizeof(aad), packet, LENGTH, plain,
                         packet + LENGTH);
}

static int by_time(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Both are read and all is written, so that only its bytes differ. */
static void choose(uint8_t *packet, unsigned which)
{
    const uint8_t second = (uint8_t)-which;
    size_t i;

    for (i = 0; i < sizeof(wrong[0]); i++)
        packet[i] = wrong[0][i] ^ ((wrong[0][i] ^ wrong[1][i]) & second);
    __sync_synchronize();
}

static double one_round(void)
{
    static uint64_t times[2][PACKETS], all[PACKETS];
    double mean[2], variance[2];
    unsigned count[2] = {0, 0}, kept, i, k;
    static uint8_t packet[LENGTH + 64] __attribute__((aligned(64)));
    uint8_t kinds[PACKETS], which;
    uint64_t start, limit;

    if (eesp_random(kinds, sizeof(kinds)) != EESP_OK)
        exit(99);
    for (i = 0; i < PACKETS; i++) {
        which = kinds[i] & 1;
        choose(packet, which);
        start = now();
        if (refuse(packet) != EESP_DROP_AUTH)
            exit(99);
        all[i] = now() - start;
        times[which][count[which]++] = all[i];
    }
    qsort(all, PACKETS, sizeof(all[0]), by_time);
    limit = all[PACKETS - PACKETS / 10];
    for (k = 0; k < 2; k++) {
        double sum = 0, squares = 0;

        for (kept = 0, i = 0; i < count[k]; i++) {
            if (times[k][i] > limit)
                continue;
            kept++;
            sum     += (double)times[k][i];
            squares += (double)times[k][i] * (double)times[k][i];
        }
        mean[k]     = sum / kept;
        variance[k] = (squares / kept - mean[k] * mean[k]) / kept;
    }
    return fabs(mean[0] - mean[1]) / sqrt(variance[0] + variance[1] + 1e-9);
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The median of t, with the least and the most around it. */
static void rounds(double t[ROUNDS])
{
    int i;

    for (i = 0; i < ROUNDS; i++)
        t[i] = one_round();
    qsort(t, ROUNDS, sizeof(t[0]), by_size);
}

static void compare(const char *name, unsigned first, unsigned last,
                    int differ)
{
    double t[ROUNDS];
    int i, right = 0;

    for (i = 0; i < 2; i++)
        memcpy(wrong[i], sealed, sizeof(sealed));
    wrong[0][first] ^= 1;
    wrong[1][last]  ^= 1;
    for (i = 0; i < TRIES && !right; i++) {
        rounds(t);
        right = differ ? t[ROUNDS / 2] > 10 : t[ROUNDS / 2] < T_LIMIT;
        if (differ && !right)
            break;
        if (!right)
            printf("# %s: t = %.1f (%.1f .. %.1f)\n", name, t[ROUNDS / 2], t[0],
                   t[ROUNDS - 1]);
    }
    passed += right;
    failed += !right;
    printf("%s - %s: t = %.1f (%.1f .. %.1f)\n", right ? "ok" : "not ok", name,
           t[ROUNDS / 2], t[0], t[ROUNDS - 1]);
    fflush(stdout);
}

/* One packet of the kernel for bursts. */
static int compare_lanes(void)
{
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    static const uint8_t bytes[EESP_KDK_MAX] = {3};
    void *state;

    if (eesp_lanes_missing() != NULL)
        return 1;
    state = eesp_secret_alloc(kdf->state_size);
    lanes = eesp_lanes_open();
    if (state == NULL || lanes == NULL || kdf->open(state) != EESP_OK ||
        kdf->key(state, bytes) != EESP_OK ||
        !eesp_kdf_cmac_keys(state, 46, &lanes_keys))
        return 0;
    lanes->packets          = 1;
    lanes->message_blocks   = 3;
    lanes->aad_length       = sizeof(aad);
    lanes->packet[0].length = SHORT;
    eesp_lanes_seal(lanes, &lanes_keys);
    memcpy(sealed, lanes->packet[0].data, SHORT);
    memcpy(sealed + LENGTH, lanes->packet[0].icv, ICV);
    compare("bursts: first or last byte of the ICV", LENGTH, LENGTH + ICV - 1,
            0);
    compare("bursts: first or last byte of the text", 0, SHORT - 1, 0);
    kdf->close(state);
    eesp_secret_free(state, kdf->state_size);
    eesp_lanes_close(lanes);
    lanes = NULL;
    return 1;
}

int main(void)
{
    const struct iovec iov = {text, LENGTH};
    static const uint8_t bytes[EESP_AEAD_KEY_MAX] = {3};
    const struct eesp_aead *each;
    char name[120];
    unsigned n;

    compare("control: it ends at the first difference", LENGTH,
            LENGTH + ICV - 1, 1);
    for (n = 0; (each = eesp_aead_at(n)) != NULL; n++) {
        if (each->missing() != NULL)
            continue;
        key = eesp_secret_alloc(each->key_size);
        if (key == NULL || each->open(key) != EESP_OK ||
            each->expand(key, bytes) != EESP_OK ||
            each->seal(key, nonce, aad, sizeof(aad), &iov, 1, sealed,
                       sealed + LENGTH) != EESP_OK)
            return 99;
        aead = each;
        snprintf(name, sizeof(name), "%s %s: first or last byte of the ICV",
                 each->name, each->backend);
        compare(name, LENGTH, LENGTH + ICV - 1, 0);
        snprintf(name, sizeof(name), "%s %s: first or last byte of the text",
                 each->name, each->backend);
        compare(name, 0, LENGTH - 1, 0);
        each->close(key);
        eesp_secret_free(key, each->key_size);
        aead = NULL;
    }
    if (!compare_lanes())
        return 99;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
