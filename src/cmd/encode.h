/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * encode: payloads from standard input become packets of one policy.
 *
 *     encode_selectors    selector values from the command line
 *     encode              the subcommand
 */
#ifndef EESP_ENCODE_H
#define EESP_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd.h"

/* What a packet says of its ends. */
struct encode_ends {
    struct eesp_destination     destination;
    struct eesp_selector_values values;
    uint64_t source_id;
    uint32_t source_rank;
    unsigned given;           /* enum eesp_selector; not RANKS */
    bool     has_source_rank, has_destination_rank;
};

/* Value of selector bit, which is not RANKS: 0, or -1 after a complaint. */
int encode_parse_selector(struct encode_ends *ends, unsigned bit,
                          const char *text);

/* Exactly what the policy selects must be given: 0, or -1 after a complaint. */
int encode_check_selectors(const struct encode_ends *ends,
                           const struct eesp_policy_info *policy);

#endif
