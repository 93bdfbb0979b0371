/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * secret: memory for keys, randomness and comparison.
 *
 *     struct k *k = eesp_secret_alloc(sizeof(*k));
 *     ...
 *     eesp_secret_free(k, sizeof(*k));
 */
#ifndef EESP_SECRET_H
#define EESP_SECRET_H

#include <openssl/crypto.h>
#include <stddef.h>

/*
 * What is made of secrets and may be known: tests/constant-time says so to
 * valgrind by this macro.
 */
#ifndef EESP_DECLASSIFY
#define EESP_DECLASSIFY(_answer, _size) ((void)0)
#endif

/* Whether two secrets are the same: constant time, and the answer is known. */
static inline int eesp_same(const void *a, const void *b, size_t size)
{
    int differ = CRYPTO_memcmp(a, b, size);

    EESP_DECLASSIFY(&differ, sizeof(differ));
    return differ == 0;
}

/*
 * Zeroed pages of their own: kept out of core dumps, and out of swap as far as
 * RLIMIT_MEMLOCK allows. NULL if there is no memory.
 */
void *eesp_secret_alloc(size_t size);

/* Wipes and gives back; NULL is allowed. */
void eesp_secret_free(void *memory, size_t size);

/* Zeroed pages that a forked child sees as zeros again. */
void *eesp_wipeonfork_alloc(size_t size);

/* size random bytes from the kernel: EESP_OK or EESP_ERR_CRYPTO. */
int eesp_random(void *buffer, size_t size);

#endif
