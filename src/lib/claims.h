/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * claims: what one process may use once: leases, grants, ranges of counters.
 * The child of a fork inherits what its parent had claimed before. Who else, on
 * this host or another, has used something cannot be seen from here.
 */
#ifndef EESP_CLAIMS_H
#define EESP_CLAIMS_H

#include <stdint.h>

#define EESP_CLAIM_LEN 16

enum eesp_claim_kind { EESP_CLAIM_LEASE = 1, EESP_CLAIM_PSP, EESP_CLAIM_TSS };

/*
 * first .. limit - 1 of what id names, for good: EESP_ERR_LEASE unless first
 * lies behind all that was claimed of it before. id is kept: no secret. Locks,
 * and may allocate: not for the hot path.
 */
int eesp_claim(enum eesp_claim_kind kind, const uint8_t id[EESP_CLAIM_LEN],
               uint64_t first, uint64_t limit);

#endif
