/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of a secure domain and their keys. */
#include <stdlib.h>

#include "bytes.h"
#include "kdf.h"
#include "keyring.h"
#include "secret.h"
#include "tss.h"

enum { SDI_END = 1 << 24, SHIFT_MAX = 47 };

int eesp_tss_cipher_open(struct eesp_tss_cipher *cipher, const char *backend)
{
    int ret;

    cipher->aead = eesp_aead_find(EESP_AEAD_AES_256_GCM, backend);
    if (cipher->aead == NULL)
        return EESP_ERR_UNSUPPORTED;
    cipher->mask = eesp_secret_alloc(EESP_TSS_MASK_LEN);
    cipher->key  = eesp_secret_alloc(cipher->aead->key_size);
    if (cipher->mask == NULL || cipher->key == NULL)
        return EESP_ERR_MEMORY;
    ret = cipher->aead->open(cipher->key);
    if (ret != EESP_OK) {
        eesp_secret_free(cipher->key, cipher->aead->key_size);
        cipher->key = NULL;
    }
    return ret;
}

void eesp_tss_cipher_close(struct eesp_tss_cipher *cipher)
{
    if (cipher->key != NULL) {
        cipher->aead->close(cipher->key);
        eesp_secret_free(cipher->key, cipher->aead->key_size);
    }
    eesp_secret_free(cipher->mask, EESP_TSS_MASK_LEN);
    *cipher = (struct eesp_tss_cipher){.key = NULL};
}

static int open_kdfs(struct eesp_tss *tss)
{
    int ret = EESP_OK, i;

    for (i = 0; i < 2 && ret == EESP_OK; i++) {
        void *kdf = eesp_secret_alloc(eesp_kdf_cmac_aes256.state_size);

        if (kdf == NULL)
            return EESP_ERR_MEMORY;
        ret = eesp_kdf_cmac_aes256.open(kdf);
        if (ret == EESP_OK)
            tss->kdf[i] = kdf;
        else
            eesp_secret_free(kdf, eesp_kdf_cmac_aes256.state_size);
    }
    return ret;
}

int eesp_tss_create(const struct eesp_tss_params *params,
                    struct eesp_tss **tss_p)
{
    struct eesp_tss *tss;
    int ret = EESP_ERR_MEMORY;

    *tss_p = NULL;
    if (params->mode > EESP_TSS_SERVER || params->form > EESP_TSS_IN_EESP ||
        (params->ranks && params->form != EESP_TSS_IN_EESP) ||
        params->sdi >= SDI_END || params->ssi > UINT32_MAX || params->rekey_mask >= EESP_TSS_COUNTERS ||
        params->rekey_shift > SHIFT_MAX ||
        (params->server && params->mode != EESP_TSS_SERVER) ||
        (params->any && params->mode == EESP_TSS_SERVER && !params->server) ||
        (params->mode != EESP_TSS_CLUSTER &&
         (params->rekey_mask != 0 || params->rekey_shift != 0)))
        return EESP_ERR_ARGUMENT;
    tss = calloc(1, sizeof(*tss));
    if (tss == NULL)
        return ret;
    tss->params         = *params;
    tss->params.backend = NULL; /* the caller's text, no longer needed */
    tss->secrets        = eesp_secret_alloc(sizeof(*tss->secrets));
    tss->counter        = eesp_wipeonfork_alloc(sizeof(*tss->counter));
    if (tss->secrets == NULL || tss->counter == NULL)
        goto fail;
    tss->counter->alive = 1;
    ret = open_kdfs(tss);
    if (ret == EESP_OK)
        ret = eesp_tss_cipher_open(&tss->tx, params->backend);
    if (ret == EESP_OK)
        ret = eesp_tss_cipher_open(&tss->rx, params->backend);
    if (ret != EESP_OK)
        goto fail;
    *tss_p = tss;
    return EESP_OK;
fail:
    eesp_tss_destroy(tss);
    return ret;
}

int eesp_tss_policy(const struct eesp_keyring *keyring, unsigned index,
                    struct eesp_tss_policy *policy)
{
    const struct eesp_other_policy *other =
        eesp_keyring_other(keyring, EESP_PROFILE_TSS, index);

    if (other == NULL)
        return EESP_ERR_ARGUMENT;
    policy->name   = other->name;
    policy->key_id = other->key_id;
    policy->keys   = (other->key[0] ? 1 : 0) | (other->key[1] ? 2 : 0);
    policy->params = other->tss;
    policy->epoch  = other->epoch;
    return EESP_OK;
}

int eesp_tss_create_from(const struct eesp_keyring *keyring, unsigned index,
                         const struct eesp_tss_params *own,
                         struct eesp_tss **tss_p)
{
    const struct eesp_other_policy *other =
        eesp_keyring_other(keyring, EESP_PROFILE_TSS, index);
    struct eesp_tss_params params = *own;
    unsigned an;
    int ret;

    *tss_p = NULL;
    if (other == NULL)
        return EESP_ERR_ARGUMENT;
    params.mode        = other->tss.mode;
    params.sdi         = other->tss.sdi;
    params.rekey_mask  = other->tss.rekey_mask;
    params.rekey_shift = other->tss.rekey_shift;
    params.epoch_age   = other->tss.epoch_age;
    ret = eesp_tss_create(&params, tss_p);
    for (an = 0; an < 2 && ret == EESP_OK; an++)
        if (other->key[an] != NULL)
            ret = eesp_tss_set_key(*tss_p, an, other->key[an]->bytes,
                                   other->epoch);
    if (ret != EESP_OK) {
        eesp_tss_destroy(*tss_p);
        *tss_p = NULL;
    }
    return ret;
}

void eesp_tss_destroy(struct eesp_tss *tss)
{
    int i;

    if (tss == NULL)
        return;
    for (i = 0; i < 2; i++)
        if (tss->kdf[i] != NULL) {
            eesp_kdf_cmac_aes256.close(tss->kdf[i]);
            eesp_secret_free(tss->kdf[i], eesp_kdf_cmac_aes256.state_size);
        }
    eesp_tss_cipher_close(&tss->tx);
    eesp_tss_cipher_close(&tss->rx);
    eesp_secret_free(tss->counter, sizeof(*tss->counter));
    eesp_secret_free(tss->secrets, sizeof(*tss->secrets));
    free(tss);
}

static int is_client(const struct eesp_tss *tss)
{
    return tss->params.mode == EESP_TSS_SERVER && !tss->params.server;
}

static void wipe(struct eesp_tss_cipher *cipher)
{
    cipher->is_set = 0;
    cipher->aead->forget(cipher->key);
    explicit_bzero(cipher->mask, EESP_TSS_MASK_LEN);
}

/* Expanded keys of an AN whose key changes: the next packet sets them anew. */
static void forget(struct eesp_tss *tss, unsigned an)
{
    if (tss->tx.is_set && tss->tx.name.an == an)
        wipe(&tss->tx);
    if (tss->rx.is_set && tss->rx.name.an == an)
        wipe(&tss->rx);
    if (tss->an == an) /* sealing waits for its new counters */
        tss->counter->next = tss->counter->limit = 0;
}

int eesp_tss_set_key(struct eesp_tss *tss, unsigned an,
                     const uint8_t key[EESP_TSS_KEY_LEN], uint16_t epoch)
{
    struct eesp_tss_slot *slot;
    int ret;

    if (an > 1 || is_client(tss))
        return EESP_ERR_ARGUMENT;
    slot = &tss->secrets->slot[an];
    if (slot->has_key && eesp_same(slot->key, key, sizeof(slot->key))) {
        if ((uint16_t)(epoch - slot->epoch) >= 0x8000)
            return EESP_ERR_ARGUMENT;
        slot->epoch = epoch;
        return EESP_OK;
    }
    forget(tss, an);
    slot->has_key = 0;
    ret = eesp_kdf_cmac_aes256.key(tss->kdf[an], key);
    if (ret != EESP_OK)
        return ret;
    memcpy(slot->key, key, sizeof(slot->key));
    slot->epoch   = epoch;
    slot->has_key = 1;
    return EESP_OK;
}

int eesp_tss_grant(struct eesp_tss *tss, unsigned an, uint16_t epoch,
                   uint64_t client, struct eesp_tss_grant *grant)
{
    uint8_t out[EESP_TSS_OUT], ssi[4];
    int ret;

    memset(grant, 0, sizeof(*grant));
    if (an > 1 || !tss->params.server || client > UINT32_MAX)
        return EESP_ERR_ARGUMENT;
    if (!tss->secrets->slot[an].has_key)
        return EESP_DROP_GENERATION;
    store32(ssi, (uint32_t)client);
    ret = eesp_tss_derive(tss->kdf[an], EESP_TSS_SERVER, epoch, 0, ssi,
                          sizeof(ssi), out);
    if (ret == EESP_OK) {
        grant->an    = (uint8_t)an;
        grant->epoch = epoch;
        grant->ssi   = (uint32_t)client;
        memcpy(grant->key, out, sizeof(grant->key));
        memcpy(grant->mask, out + sizeof(grant->key), sizeof(grant->mask));
    }
    explicit_bzero(out, sizeof(out));
    return ret;
}

int eesp_tss_set_grant(struct eesp_tss *tss,
                       const struct eesp_tss_grant *grant)
{
    struct eesp_tss_grant *kept;
    unsigned n;

    if (!is_client(tss) || grant->an > 1 || grant->ssi != tss->params.ssi)
        return EESP_ERR_ARGUMENT;
    kept = tss->secrets->grant[grant->an];
    n    = tss->grants[grant->an];
    if (n > 0 && kept[0].epoch == grant->epoch)
        return eesp_same(kept[0].key, grant->key, sizeof(grant->key)) &&
                       eesp_same(kept[0].mask, grant->mask,
                                 sizeof(grant->mask)) ?
                   EESP_OK :
                   EESP_ERR_ARGUMENT; /* another key needs another epoch */
    if (n > 0 && (uint16_t)(grant->epoch - kept[0].epoch) >= 0x8000)
        return EESP_ERR_ARGUMENT;
    kept[1] = kept[0];
    kept[0] = *grant;
    tss->grants[grant->an] = n < EESP_TSS_GRANTS ? n + 1 : EESP_TSS_GRANTS;
    return EESP_OK;
}

static int expand(struct eesp_tss_cipher *cipher,
                  const struct eesp_tss_name *name, const uint8_t *key,
                  const uint8_t *mask)
{
    int ret;

    cipher->is_set = 0;
    ret            = cipher->aead->expand(cipher->key, key);
    if (ret != EESP_OK)
        return ret;
    memcpy(cipher->mask, mask, EESP_TSS_MASK_LEN);
    cipher->name   = *name;
    cipher->is_set = 1;
    return EESP_OK;
}

static int use_grant(struct eesp_tss *tss, struct eesp_tss_cipher *cipher,
                     const struct eesp_tss_name *name)
{
    const struct eesp_tss_grant *kept = tss->secrets->grant[name->an];
    unsigned i;

    for (i = 0; i < tss->grants[name->an]; i++)
        if (kept[i].epoch == name->epoch)
            return expand(cipher, name, kept[i].key, kept[i].mask);
    return tss->grants[name->an] == 0 ? EESP_DROP_GENERATION : EESP_DROP_EPOCH;
}

static int use_key(struct eesp_tss *tss, struct eesp_tss_cipher *cipher,
                   const struct eesp_tss_name *name)
{
    static const uint8_t no_mask[EESP_TSS_MASK_LEN];
    uint8_t out[EESP_TSS_OUT], ssi[4];
    int ret;

    if (tss->params.mode == EESP_TSS_DIRECT)
        return expand(cipher, name, tss->secrets->slot[name->an].key, no_mask);
    store32(ssi, name->ssi);
    ret = eesp_tss_derive(tss->kdf[name->an], tss->params.mode, name->epoch,
                          name->rekey, ssi, sizeof(ssi), out);
    if (ret == EESP_OK)
        ret = expand(cipher, name, out, out + EESP_TSS_KEY_LEN);
    explicit_bzero(out, sizeof(out));
    return ret;
}

int eesp_tss_use(struct eesp_tss *tss, struct eesp_tss_cipher *cipher,
                 const struct eesp_tss_name *name)
{
    const struct eesp_tss_slot *slot = &tss->secrets->slot[name->an];
    uint16_t age;

    if (!is_client(tss)) {
        if (!slot->has_key)
            return EESP_DROP_GENERATION;
        age = (uint16_t)(slot->epoch - name->epoch);
        if (age < 0x8000 && age > tss->params.epoch_age)
            return EESP_DROP_EPOCH;
    }
    if (cipher->is_set && cipher->name.an == name->an &&
        cipher->name.epoch == name->epoch && cipher->name.ssi == name->ssi &&
        cipher->name.rekey == name->rekey)
        return EESP_OK;
    return is_client(tss) ? use_grant(tss, cipher, name) :
                            use_key(tss, cipher, name);
}
