/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_reload: a lane follows its keyring through rotations. What a nonce is
 * made of, incarnation and counter, stays, and so does the replay table: a key
 * that is the same under both keyrings goes on with the next number, and what
 * was opened under one does not open again under the other. So it goes forward
 * only: the table forgets what no keyring after this one could open.
 */
#include "lane.h"

#include <stdio.h>
#include <string.h>

/* Whether b is a with other keys or another epoch. NULL, or what differs. */
static const char *difference(const struct eesp_policy_info *a,
                              const struct eesp_policy_info *b)
{
    if (a->kdf != b->kdf || a->aead != b->aead ||
        a->receive_count != b->receive_count ||
        memcmp(a->receive, b->receive, sizeof(a->receive)) != 0)
        return "kdf, aead or receive";
    if (a->levels != b->levels ||
        memcmp(a->key_id, b->key_id, sizeof(a->key_id)) != 0)
        return "levels";
    if (a->selectors != b->selectors || a->compact_id != b->compact_id)
        return "selectors or compact_id";
    if (a->flags != b->flags || a->partitions != b->partitions ||
        a->client != b->client)
        return "bind_destination, commit, partitioned, partitions or client";
    if (a->phase_shift != b->phase_shift || a->max_payload != b->max_payload ||
        a->crypt_offset_max != b->crypt_offset_max)
        return "phase_shift, max_payload or crypt_offset_max";
    if (a->replay != b->replay || a->replay_window != b->replay_window ||
        a->epoch_window != b->epoch_window)
        return "replay, replay_window or epoch_window";
    if (a->domain_id != b->domain_id || a->proxies != b->proxies)
        return "domain_id or proxies";
    return NULL;
}

static int refuse(char why[EESP_WHY_LEN], const struct eesp_policy_info *info,
                  const char *what)
{
    snprintf(why, EESP_WHY_LEN, "policy %s (SPI %u) %s: only keys and epoch may "
             "change under a running process", info->name, info->spi, what);
    return EESP_ERR_KEYRING;
}

int eesp_lane_reload(struct eesp_lane *lane, const struct eesp_keyring *keyring,
                     char why[EESP_WHY_LEN])
{
    const struct eesp_policy_info *info = &lane->policy->info;
    const struct eesp_policy *policy    = eesp_keyring_policy_spi(keyring,
                                                                  info->spi);
    struct eesp_lane old = *lane; /* holds pointers to secrets, none itself */
    char what[100];
    const char *differs;
    unsigned i;
    int ret;

    if (policy == NULL)
        return refuse(why, info, "is no longer there");
    differs = difference(info, &policy->info);
    if (differs != NULL) {
        snprintf(what, sizeof(what), "has another %s", differs);
        return refuse(why, info, what);
    }
    /* Backwards, packets would open that the replay table has forgotten. */
    ret = eesp_keyring_follows(lane->policy->keyring, keyring, "new keyring",
                               why);
    if (ret != EESP_OK)
        return ret;
    lane->policy = policy;
    ret          = eesp_lane_open_kdf(lane);
    if (ret != EESP_OK) {
        eesp_lane_close_kdf(lane);
        lane->policy = old.policy;
        memcpy(lane->suites, old.suites, sizeof(lane->suites));
        snprintf(why, EESP_WHY_LEN, "lane: %s", eesp_strerror(ret));
        return ret;
    }
    eesp_lane_close_kdf(&old);
    for (i = 0; i < policy->suites_count; i++)
        eesp_keycache_clear(lane->suites[i].keys);
    eesp_lane_fill_sending(lane);
    eesp_underway_follow(lane->underway, old.policy, policy);
    if (lane->replay != NULL)
        eesp_replay_age(lane->replay, policy);
    return EESP_OK;
}
