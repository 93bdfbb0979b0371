/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload: keys for what a network card does itself.
 *
 *     OUT = KDF(KDK, label "SX", CTX, length)
 *     CTX = use 1 | 0 1 | epoch 2 | rank 4 | id 8 | incarnation 8 | number 8
 *
 * A key belongs to one receiver, not to a pair, since a card holds few. So the
 * receiver is the one who gives out data unit numbers under it: see
 * verbs_shim/dek_pool.h. Its incarnation is random and drawn at its start; a
 * key, and with it a data unit number, does not come back after a restart.
 */
#include <string.h>

#include "bytes.h"
#include "kdf.h"
#include "keyring.h"
#include "master.h"

enum { CONTEXT = 32 };

static size_t key_length(enum eesp_offload_use use)
{
    switch (use) {
    case EESP_OFFLOAD_XTS:
        return 64;
    case EESP_OFFLOAD_GMAC:
        return 32;
    }
    return 0;
}

/* Serial arithmetic, as for packets (wire-format section 8). */
static int in_window(const struct eesp_policy_info *info, uint16_t epoch)
{
    uint16_t distance = (uint16_t)(epoch - info->epoch);

    if (distance > 0x7fff)
        distance = (uint16_t)-distance;
    return distance <= info->epoch_window;
}

int eesp_policy_offload_key(const struct eesp_policy *policy,
                            enum eesp_offload_use use,
                            const struct eesp_offload_receiver *whose,
                            uint8_t *key, size_t length)
{
    const struct eesp_suite *suite = &policy->suites[0];
    uint8_t context[CONTEXT] = {(uint8_t)use};
    int index, ret;

    memset(key, 0, length);
    if (length == 0 || length != key_length(use) || whose->incarnation == 0)
        return EESP_ERR_ARGUMENT;
    /* The other end has only the key that a client's was made from. */
    if (suite->granted != NULL && suite->granted->has_client)
        return EESP_ERR_UNSUPPORTED;
    index = eesp_master_find(policy, suite, whose->generations, 0xff);
    if (index < 0)
        return index;
    if (suite->masters[index].until != 0 &&
        eesp_boot_seconds() >= suite->masters[index].until)
        return EESP_DROP_GENERATION;
    if (!in_window(&policy->info, whose->epoch))
        return EESP_DROP_EPOCH;
    store16(context + 2, whose->epoch);
    store32(context + 4, whose->rank);
    store64(context + 8, whose->id);
    store64(context + 16, whose->incarnation);
    store64(context + 24, whose->number);
    ret = eesp_kdf_once(suite->kdf, suite->masters[index].kdk,
                        EESP_LABEL_OFFLOAD, context, sizeof(context), key,
                        length);
    if (ret != EESP_OK)
        explicit_bzero(key, length);
    return ret;
}
