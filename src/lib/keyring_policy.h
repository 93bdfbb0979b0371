/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyring_policy: what the files that read one policy of a keyring share.
 * keyring_policy.c reads its members, keyring_proxies.c the list of proxies,
 * keyring_rules.c holds the rules that a policy must not break.
 */
#ifndef EESP_KEYRING_POLICY_H
#define EESP_KEYRING_POLICY_H

#include "keyring.h"

/* What the parser of one policy is at work on. */
struct eesp_policy_parser {
    struct eesp_keyring *keyring;
    struct eesp_policy  *policy;
    const json_t        *object;
    const char          *name; /* of the keyring */
    const char          *what; /* "policy 2" */
    char                *why;
};

/* Member "name", into name, if no other policy has it. */
int eesp_policy_parse_name(const struct eesp_policy_parser *p,
                           char name[EESP_POLICY_NAME_MAX + 1]);

/* keyring_others: policies of "profile" "psp" and "tss". */
int eesp_policy_is_other(const json_t *object);
int eesp_policy_parse_other(const struct eesp_policy_parser *p);

/* Member "proxies": who may speak for which domains. */
int eesp_policy_parse_proxies(const struct eesp_policy_parser *p);

/* Members "kdf", "aead" and "receive". */
int eesp_policy_parse_suites(const struct eesp_policy_parser *p);

/* Looks for granted keys of the policy. */
int eesp_policy_find_granted(const struct eesp_policy_parser *p);

/* Makes the rings of a policy with granted keys, after its levels are read. */
int eesp_policy_take_granted(const struct eesp_policy_parser *p);

/* The first rule of wire-format section 1 that the policy breaks, or NULL. */
const char *eesp_policy_broken_rule(const struct eesp_policy_info *info);

#endif
