/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases of IV partitions (wire-format section 9). That no lease is issued
 * twice is up to the pool's controller. What can be seen from here is seen: one
 * that this process or, before a fork, its parent has used is refused.
 */
#include "bytes.h"
#include "claims.h"
#include "nonce.h"

int eesp_nonce_lease(struct eesp_nonce *nonce, const struct eesp_lease *lease)
{
    uint8_t id[EESP_CLAIM_LEN] = {0};
    int ret                    = eesp_nonce_ensure(nonce);

    if (ret != EESP_OK)
        return ret;
    if (lease->incarnation == 0) /* stands for none */
        return EESP_ERR_ARGUMENT;
    store64(id, lease->incarnation);
    store16(id + 8, lease->partition);
    ret = eesp_claim(EESP_CLAIM_LEASE, id, 0, 1);
    if (ret != EESP_OK)
        return ret;
    nonce->sending   = lease->incarnation;
    nonce->partition = lease->partition;
    nonce->next      = 1;
    nonce->leased    = 1;
    return EESP_OK;
}
