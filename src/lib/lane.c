/* SPDX-License-Identifier: BSD-3-Clause */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "lanes.h"
#include "master.h"
#include "secret.h"

enum { KEY_CACHE_DEFAULT = 512, REPLAY_TABLE_DEFAULT = 65536,
       REPLAY_TABLE_MAX = 1 << 26 };

static void *kdf_state(const struct eesp_lane_suite *suite, unsigned index)
{
    return suite->kdf_states + index * suite->kdf_stride;
}

/* Where a context has the id of the client; 0: keys are not a client's. */
static size_t client_offset(const struct eesp_policy_info *info)
{
    unsigned before = EESP_SELECT_RANKS;

    if (info->client == EESP_CLIENT_NONE)
        return 0;
    if (info->client == EESP_CLIENT_DESTINATION)
        before |= EESP_SELECT_SOURCE;
    return EESP_CONTEXT_FIXED +
           eesp_selectors_length(info->selectors & before);
}

/*
 * Keys the KDF for every tuple now, so that no packet waits for it, and has one
 * more for the keys of clients, which come and go.
 */
static int open_kdf(struct eesp_lane_suite *suite,
                    const struct eesp_kdf *kdf,
                    const struct eesp_master *masters, unsigned count)
{
    int ret = EESP_OK;
    unsigned i;

    suite->kdf_open   = 0;
    suite->kdf_stride = (kdf->state_size + 63) & ~(size_t)63;
    suite->kdf_size   = suite->kdf_stride * (count + 1);
    suite->kdf_states = eesp_secret_alloc(suite->kdf_size);
    if (suite->kdf_states == NULL)
        return EESP_ERR_MEMORY;
    for (i = 0; i <= count && ret == EESP_OK; i++) {
        ret = kdf->open(kdf_state(suite, i));
        if (ret != EESP_OK)
            break;
        suite->kdf_open++;
        if (i < count && masters[i].present)
            ret = kdf->key(kdf_state(suite, i), masters[i].kdk);
    }
    return ret;
}

int eesp_lane_open_kdf(struct eesp_lane *lane)
{
    const struct eesp_policy *policy = lane->policy;
    int ret                          = EESP_OK;
    unsigned i;

    for (i = 0; i < policy->suites_count; i++) {
        lane->suites[i].kdf_open   = 0;
        lane->suites[i].kdf_states = NULL;
        lane->suites[i].seen_mask  = 0;
    }
    lane->client_offset = client_offset(&policy->info);
    for (i = 0; i < policy->suites_count && ret == EESP_OK; i++)
        ret = open_kdf(&lane->suites[i], policy->suites[i].kdf,
                       policy->suites[i].masters, policy->masters_count);
    return ret;
}

void eesp_lane_close_kdf(struct eesp_lane *lane)
{
    unsigned i;

    for (i = 0; i < lane->policy->suites_count; i++) {
        struct eesp_lane_suite *suite = &lane->suites[i];

        while (suite->kdf_open > 0)
            lane->policy->suites[i].kdf->close(
                kdf_state(suite, --suite->kdf_open));
        eesp_secret_free(suite->kdf_states, suite->kdf_size);
        suite->kdf_states = NULL;
    }
}

static int open_caches(struct eesp_lane *lane, unsigned entries)
{
    size_t length = EESP_CONTEXT_FIXED +
                    eesp_selectors_length(lane->policy->info.selectors);
    unsigned i;

    for (i = 0; i < lane->policy->suites_count; i++) {
        lane->suites[i].keys = eesp_keycache_create(lane->suites[i].aead,
                                                    length, entries);
        if (lane->suites[i].keys == NULL)
            return EESP_ERR_MEMORY;
    }
    return EESP_OK;
}

static int open_parts(struct eesp_lane *lane,
                      const struct eesp_lane_params *params)
{
    unsigned sources = params->replay_table ? params->replay_table :
                                              REPLAY_TABLE_DEFAULT;

    lane->gather_size = lane->suites[0].aead->one_piece ?
                            EESP_INFO_LEN + lane->policy->info.max_payload + 3 :
                            EESP_GATHER_MAX;
    lane->gather      = eesp_secret_alloc(lane->gather_size);
    lane->nonce       = eesp_nonce_create();
    lane->underway    = calloc(1, sizeof(*lane->underway));
    if (lane->gather == NULL || lane->nonce == NULL || lane->underway == NULL ||
        open_caches(lane, params->key_cache ? params->key_cache :
                                              KEY_CACHE_DEFAULT) != EESP_OK)
        return EESP_ERR_MEMORY;
    if (lane->policy->info.replay != EESP_REPLAY_OFF) {
        lane->replay = eesp_replay_create(sources,
                                          lane->policy->info.replay_window);
        if (lane->replay == NULL)
            return EESP_ERR_MEMORY;
        eesp_replay_age(lane->replay, lane->policy);
    }
    return eesp_lane_open_kdf(lane);
}

void eesp_lane_fill_sending(struct eesp_lane *lane)
{
    const struct eesp_policy *policy    = lane->policy;
    const struct eesp_policy_info *info = &policy->info;
    struct eesp_header *header          = &lane->sending;

    header->spi            = info->spi;
    header->compact        = info->compact_id != 0;
    header->kdf            = info->kdf;
    header->aead           = info->aead;
    header->flags          = info->flags;
    header->options        = info->commit ? EESP_HAS_COMMITMENT : 0;
    header->levels         = info->levels;
    header->selectors      = info->selectors;
    header->combination_id = info->compact_id;
    header->epoch          = info->epoch;
    header->phase_shift    = info->phase_shift;
    header->source_rank    = lane->rank;
    header->source_id      = lane->id;
    eesp_policy_generations(policy, header->generations);
    lane->header_length = eesp_header_length(header->compact,
                                             header->selectors,
                                             header->options);
}

/* Says what an AEAD of the policy lacks here. */
static int refuse_aead(const struct eesp_lane_params *params, unsigned id,
                       char why[EESP_WHY_LEN])
{
    unsigned i;
    const struct eesp_aead *aead, *last = NULL;

    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++)
        if (aead->id == id)
            last = aead;
    snprintf(why, EESP_WHY_LEN, "backend \"%.40s\" is not usable here for "
             "%s%s%s; see: eesp selftest",
             params->backend ? params->backend : "(any)",
             last ? last->name : "this policy's AEAD",
             last && last->missing() ? ": " : "",
             last && last->missing() ? last->missing() : "");
    return EESP_ERR_UNSUPPORTED;
}

static int find_aeads(struct eesp_lane *lane,
                      const struct eesp_lane_params *params,
                      char why[EESP_WHY_LEN])
{
    unsigned i;

    for (i = 0; i < params->policy->suites_count; i++) {
        enum eesp_aead_id id = params->policy->suites[i].aead;

        lane->suites[i].aead = eesp_aead_find(id, params->backend);
        if (lane->suites[i].aead == NULL)
            return refuse_aead(params, id, why);
    }
    return EESP_OK;
}

int eesp_lane_create(const struct eesp_lane_params *params,
                     struct eesp_lane **lane_p, char why[EESP_WHY_LEN])
{
    struct eesp_lane *lane = NULL;
    int ret                = EESP_ERR_ARGUMENT;

    *lane_p = NULL;
    if (params->keyring == NULL || params->policy == NULL ||
        params->policy->keyring != params->keyring ||
        (params->expect & ~(unsigned)EESP_SELECTORS_VALUES) != 0 ||
        params->replay_table > REPLAY_TABLE_MAX) {
        snprintf(why, EESP_WHY_LEN, "lane: %s", eesp_strerror(ret));
        return ret;
    }
    lane = calloc(1, sizeof(*lane));
    if (lane == NULL) {
        ret = EESP_ERR_MEMORY;
        goto fail;
    }
    lane->policy = params->policy;
    lane->rank   = params->rank;
    lane->id     = params->id;
    lane->expect = params->expect & params->policy->info.selectors;
    if (params->values != NULL)
        lane->sending.values = *params->values;
    ret = find_aeads(lane, params, why);
    if (ret != EESP_OK)
        goto out;
    lane->epoch_floor = params->policy->info.epoch;
    eesp_lane_fill_sending(lane);
    ret = open_parts(lane, params);
    if (ret != EESP_OK)
        goto fail;
    ret = eesp_lane_open_lanes(lane, params->backend);
    if (ret != EESP_OK)
        goto fail;
    *lane_p = lane;
    return EESP_OK;
fail:
    snprintf(why, EESP_WHY_LEN, "lane: %s", eesp_strerror(ret));
out:
    eesp_lane_destroy(lane);
    return ret;
}

void eesp_lane_destroy(struct eesp_lane *lane)
{
    unsigned i;

    if (lane == NULL)
        return;
    eesp_lane_close_kdf(lane);
    eesp_replay_destroy(lane->replay);
    for (i = 0; i < EESP_SUITES_MAX; i++)
        eesp_keycache_destroy(lane->suites[i].keys);
    eesp_nonce_destroy(lane->nonce);
    eesp_secret_free(lane->gather, lane->gather_size);
    eesp_lanes_close(lane->lanes);
    free(lane->underway);
    explicit_bzero(lane, sizeof(*lane));
    free(lane);
}

const char *eesp_lane_backend(const struct eesp_lane *lane)
{
    return lane->suites[0].aead->backend;
}

uint64_t eesp_lane_incarnation(struct eesp_lane *lane)
{
    if (lane->impersonating)
        return lane->impersonated;
    return eesp_nonce_ensure(lane->nonce) == EESP_OK ? lane->nonce->receiving :
                                                       0;
}

int eesp_lane_reincarnate(struct eesp_lane *lane)
{
    int ret = eesp_nonce_ensure(lane->nonce);

    return ret == EESP_OK ? eesp_nonce_redraw(lane->nonce) : ret;
}

int eesp_lane_lease(struct eesp_lane *lane, const struct eesp_lease *lease)
{
    if (lane->policy->info.partitions == 0 || lane->impersonating)
        return EESP_ERR_ARGUMENT;
    return eesp_nonce_lease(lane->nonce, lease);
}

void eesp_lane_impersonate(struct eesp_lane *lane, uint32_t rank, uint64_t id,
                           uint64_t incarnation)
{
    lane->impersonating = 1;
    lane->impersonated  = incarnation;
    lane->rank          = rank;
    lane->id            = id;
}

void eesp_lane_counters(const struct eesp_lane *lane,
                        struct eesp_counters *counters)
{
    *counters = lane->counters;
}

/*
 * The KDF under the policy's derivation key or, in client mode, under that of
 * the client whom the context names: KDKc = KDF(KDK, "SD", client id).
 */
static int keyed_kdf(const struct eesp_lane *lane, unsigned suite,
                     const struct eesp_key_name *name, void **state_p)
{
    const struct eesp_kdf *kdf         = lane->policy->suites[suite].kdf;
    const struct eesp_granted *granted = lane->policy->suites[suite].granted;
    uint8_t kdk[EESP_KDK_MAX];
    int ret;

    *state_p = kdf_state(&lane->suites[suite], name->master);
    if (lane->client_offset == 0)
        return EESP_OK;
    if (granted != NULL && granted->has_client)
        return load64(name->context + lane->client_offset) ==
                       granted->client ?
                   EESP_OK :
                   EESP_ERR_ARGUMENT; /* eesp_open() has looked before */
    ret = kdf->derive(*state_p, EESP_LABEL_CLIENT_KEY,
                      name->context + lane->client_offset, sizeof(uint64_t),
                      kdk, kdf->key_length);
    *state_p = kdf_state(&lane->suites[suite], lane->policy->masters_count);
    if (ret == EESP_OK)
        ret = kdf->key(*state_p, kdk);
    explicit_bzero(kdk, sizeof(kdk));
    return ret;
}

/* *state_p: the KDF as it was keyed for it. */
static int derive_bytes(const struct eesp_lane *lane, unsigned suite,
                        const struct eesp_key_name *name, uint8_t *out,
                        void **state_p)
{
    int ret = keyed_kdf(lane, suite, name, state_p);

    if (ret == EESP_OK)
        ret = lane->policy->suites[suite].kdf->derive(
            *state_p, EESP_LABEL_DATA_KEY, name->context, name->length, out,
            lane->suites[suite].aead->key_length + EESP_NONCE_LEN);
    return ret;
}

int eesp_lane_data_key(const struct eesp_lane *lane, unsigned suite,
                       const struct eesp_key_name *name, uint8_t *out)
{
    void *state;

    return derive_bytes(lane, suite, name, out, &state);
}

static int derive_key(struct eesp_lane *lane, unsigned suite,
                      const struct eesp_key_name *name,
                      struct eesp_key_slot *slot)
{
    const struct eesp_aead *aead = lane->suites[suite].aead;
    const struct eesp_kdf *kdf   = lane->policy->suites[suite].kdf;
    uint8_t out[EESP_AEAD_KEY_MAX + EESP_NONCE_LEN];
    void *state;
    int ret = derive_bytes(lane, suite, name, out, &state);

    if (ret == EESP_OK && lane->policy->info.commit)
        ret = kdf->derive(state, EESP_LABEL_COMMITMENT, name->context,
                          name->length, slot->commitment,
                          sizeof(slot->commitment));
    if (ret == EESP_OK)
        ret = aead->expand(slot->aead, out);
    if (ret == EESP_OK) {
        memcpy(slot->mask, out + aead->key_length, EESP_NONCE_LEN);
        lane->counters.derived++;
    }
    explicit_bzero(out, sizeof(out));
    return ret;
}

int eesp_lane_key(struct eesp_lane *lane, unsigned suite,
                  struct eesp_key_name *name, struct eesp_key_slot **slot_p,
                  int *derived)
{
    struct eesp_keycache *keys = lane->suites[suite].keys;
    struct eesp_key_slot *slot;
    int ret = EESP_OK;

    slot     = eesp_keycache_find(keys, name);
    *derived = slot == NULL;
    if (slot != NULL) {
        lane->counters.cached++;
    } else {
        slot = eesp_keycache_spare(keys);
        ret  = derive_key(lane, suite, name, slot);
    }
    *slot_p = ret == EESP_OK ? slot : NULL;
    return ret;
}

void eesp_lane_nonce(const struct eesp_lane *lane,
                     const struct eesp_header *header,
                     const uint8_t mask[EESP_NONCE_LEN],
                     uint8_t nonce[EESP_NONCE_LEN])
{
    unsigned selectors = lane->policy->info.selectors;
    uint32_t sid       = 0, high;
    uint64_t low;

    if (selectors & EESP_SELECT_RANKS)
        sid = header->source_rank;
    else if (selectors & EESP_SELECT_SOURCE)
        sid = (uint32_t)header->source_id;
    high = load32(mask) ^ sid;
    low  = load64(mask + 4) ^ header->sequence;
    if (lane->policy->info.partitions != 0) /* the sequence has 48 bits */
        low ^= (uint64_t)header->session_id << 48;
    store32(nonce, high);
    store64(nonce + 4, low);
}

uint64_t eesp_lane_sequence(const struct eesp_lane *lane)
{
    return lane->nonce->next - 1;
}
