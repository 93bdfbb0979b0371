/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyrings: taken whole or refused with a reason. */
#include "fuzz.h"

/* Each is made, or is not held; what the policy allows goes for the client. */
static void look_at_grants(const struct eesp_policy *policy)
{
    const struct eesp_policy_info *info = eesp_policy_info(policy);
    uint64_t client                     = 5;
    struct eesp_grant grant;
    unsigned i;
    int ret;

    for (i = 0; i < eesp_policy_grants(policy); i++) {
        ret = eesp_policy_grant(policy, i, NULL, &grant);
        FUZZ_RULE(ret == EESP_OK ? grant.length >= 32 :
                  ret == EESP_DROP_GENERATION || ret == EESP_ERR_ARGUMENT);
        if (eesp_policy_grant(policy, i, &client, &grant) == EESP_OK)
            FUZZ_RULE(info->client != EESP_CLIENT_NONE);
    }
}

static void look(const struct eesp_keyring *keyring)
{
    struct eesp_key_info key;
    char why[EESP_WHY_LEN];
    unsigned i;

    for (i = 0; i < eesp_keyring_keys(keyring); i++) {
        eesp_keyring_key(keyring, i, &key);
        FUZZ_RULE((key.length >= 32 || key.length == 0) &&
                  strlen(key.id) <= EESP_KEY_ID_MAX);
    }
    for (i = 0; i < eesp_keyring_policies(keyring); i++) {
        const struct eesp_policy_info *info =
            eesp_policy_info(eesp_keyring_policy_at(keyring, i));

        FUZZ_RULE(eesp_keyring_policy(keyring, info->name) != NULL);
        FUZZ_RULE(eesp_keyring_policy_spi(keyring, info->spi) != NULL);
        FUZZ_RULE(info->max_payload <= 1u << 20);
        look_at_grants(eesp_keyring_policy_at(keyring, i));
    }
    FUZZ_RULE(eesp_keyring_follows(keyring, keyring, "same", why) == EESP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN] = "";
    int ret = eesp_keyring_parse("fuzz", data, size, &keyring, why);

    FUZZ_RULE((ret == EESP_OK) == (keyring != NULL));
    FUZZ_RULE(ret == EESP_OK || memchr(why, '\0', sizeof(why)) > (void *)why);
    if (ret == EESP_OK)
        look(keyring);
    eesp_keyring_free(keyring);
    return 0;
}
