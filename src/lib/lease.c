/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases of IV partitions (wire-format section 9). That no lease is issued
 * twice is up to the pool's controller. What can be seen from here is seen: one
 * that this process or, before a fork, its parent has used is refused.
 */
#include <pthread.h>
#include <stdlib.h>

#include "nonce.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once  = PTHREAD_ONCE_INIT;
static struct eesp_lease *used;
static size_t used_count, used_room;

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

/* Notes the lease; used before: EESP_ERR_LEASE. */
static int enter(const struct eesp_lease *lease)
{
    struct eesp_lease *larger;
    size_t i;

    for (i = 0; i < used_count; i++)
        if (used[i].incarnation == lease->incarnation &&
            used[i].partition == lease->partition)
            return EESP_ERR_LEASE;
    if (used_count == used_room) {
        larger = realloc(used, (used_room + 64) * sizeof(*used));
        if (larger == NULL)
            return EESP_ERR_MEMORY;
        used       = larger;
        used_room += 64;
    }
    used[used_count++] = *lease;
    return EESP_OK;
}

int eesp_nonce_lease(struct eesp_nonce *nonce, const struct eesp_lease *lease)
{
    int ret = eesp_nonce_ensure(nonce);

    if (ret != EESP_OK)
        return ret;
    if (lease->incarnation == 0) /* stands for none */
        return EESP_ERR_ARGUMENT;
    pthread_once(&once, survive_fork);
    take_lock();
    ret = enter(lease);
    give_lock();
    if (ret != EESP_OK)
        return ret;
    nonce->sending   = lease->incarnation;
    nonce->partition = lease->partition;
    nonce->next      = 1;
    nonce->leased    = 1;
    return EESP_OK;
}
