/* SPDX-License-Identifier: BSD-3-Clause */
#include "claims.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "eesp.h"
#include "secret.h"

enum { STEP = 64 };

static struct claim {
    enum eesp_claim_kind kind;
    uint8_t              id[EESP_CLAIM_LEN];
    uint64_t             limit;
} *claims;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once  = PTHREAD_ONCE_INIT;

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

/* A fork while another thread is in here must not lock the child out. */
static void survive_fork(void)
{
    pthread_atfork(take_lock, give_lock, give_lock);
}

/* That of kind and id, found or made; NULL: no memory. */
static struct claim *find(enum eesp_claim_kind kind,
                          const uint8_t id[EESP_CLAIM_LEN])
{
    struct claim *larger;
    size_t i;

    for (i = 0; i < count; i++)
        if (claims[i].kind == kind &&
            memcmp(claims[i].id, id, EESP_CLAIM_LEN) == 0)
            return &claims[i];
    if (count == room) {
        larger = realloc(claims, (room + STEP) * sizeof(*claims));
        if (larger == NULL)
            return NULL;
        claims = larger;
        room  += STEP;
    }
    claims[count].kind  = kind;
    claims[count].limit = 0;
    memcpy(claims[count].id, id, EESP_CLAIM_LEN);
    return &claims[count++];
}

int eesp_claim(enum eesp_claim_kind kind, const uint8_t id[EESP_CLAIM_LEN],
               uint64_t first, uint64_t limit)
{
    struct claim *claim;
    int ret = EESP_OK;

    EESP_DECLASSIFY(id, EESP_CLAIM_LEN);
    pthread_once(&once, survive_fork);
    take_lock();
    claim = find(kind, id);
    if (claim == NULL)
        ret = EESP_ERR_MEMORY;
    else if (first < claim->limit)
        ret = EESP_ERR_LEASE;
    else
        claim->limit = limit;
    give_lock();
    return ret;
}
