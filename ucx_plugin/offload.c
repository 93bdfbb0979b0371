/* SPDX-License-Identifier: BSD-3-Clause */
/* offload: an interface's part of the card, and its keys. */
#include "offload.h"

#include <ucs/debug/memtrack_int.h>

/* ---- Keys --------------------------------------------------------------- */

static const struct eesp_policy *
uct_eesp_offload_policy(const uct_eesp_mover_t *of)
{
    return eesp_keyring_policy_spi(of->iface->ring->keyring,
                                   uct_eesp_iface_md(of->iface)->info.spi);
}

static int uct_eesp_offload_derive(const uct_eesp_mover_t *of,
                                   enum eesp_offload_use use,
                                   const struct eesp_offload_receiver *whose,
                                   uint8_t *bytes, size_t length)
{
    return eesp_policy_offload_key(uct_eesp_offload_policy(of), use, whose,
                                   bytes, length) == EESP_OK;
}

uct_eesp_offload_key_t *
uct_eesp_offload_key_create(uct_eesp_mover_t *of,
                            const struct eesp_offload_receiver *whose)
{
    uct_eesp_offload_key_t *key = ucs_calloc(1, sizeof(*key),
                                             "eesp offload key");
    uint8_t bytes[EESP_OFFLOAD_KEY_MAX];
    int ok;

    if (key == NULL) {
        return NULL;
    }
    key->whose = *whose;
    ok = uct_eesp_offload_derive(of, EESP_OFFLOAD_XTS, whose, bytes, 64) &&
         (of->card->backend->key_create(of->dev, VCC_AES_256_XTS, bytes, 64,
                                        &key->card) == 0);
    if (ok && of->card->mac) {
        ok = uct_eesp_offload_derive(of, EESP_OFFLOAD_GMAC, whose, bytes, 32) &&
             ((key->tag = uct_eesp_tag_key_create(bytes)) != NULL);
    }
    explicit_bzero(bytes, sizeof(bytes));
    if (!ok) {
        (void)uct_eesp_offload_key_destroy(of, key);
        return NULL;
    }
    return key;
}

int uct_eesp_offload_key_destroy(const uct_eesp_mover_t *of,
                                 uct_eesp_offload_key_t *key)
{
    if ((key->card != NULL) &&
        (of->card->backend->key_destroy(key->card) != 0)) {
        return 0;
    }
    uct_eesp_tag_key_destroy(key->tag);
    ucs_free(key);
    return 1;
}

/* Those by which nothing is attached any more; all: at the end. */
static void uct_eesp_offload_keys_drop(uct_eesp_mover_t *of, int all)
{
    uct_eesp_offload_key_t *key, *next;

    ucs_list_for_each_safe(key, next, &of->keys, list) {
        if (all || (&key->list != of->keys.next)) {
            ucs_list_del(&key->list);
            if (!uct_eesp_offload_key_destroy(of, key)) {
                ucs_list_insert_before(&next->list, &key->list);
            }
        }
    }
}

uct_eesp_offload_key_t *uct_eesp_offload_own_key(uct_eesp_mover_t *of)
{
    const struct eesp_policy *policy;
    uct_eesp_offload_key_t *key;

    if (!ucs_list_is_empty(&of->keys) &&
        (of->serial == of->iface->ring_serial)) {
        return ucs_list_head(&of->keys, uct_eesp_offload_key_t, list);
    }

    /* The first, or one of the keyring that came in the place of the last's. */
    policy          = uct_eesp_offload_policy(of);
    of->whose.epoch = eesp_policy_info(policy)->epoch;
    ++of->whose.number;
    eesp_policy_generations(policy, of->whose.generations);
    key = uct_eesp_offload_key_create(of, &of->whose);
    if (key != NULL) {
        ucs_list_add_head(&of->keys, &key->list);
        of->serial = of->iface->ring_serial;
        uct_eesp_offload_keys_drop(of, 0);
    }
    return key;
}

/* ---- Interface ---------------------------------------------------------- */

void uct_eesp_offload_init(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    uct_eesp_mover_t *of;
    int ret;

    if ((md->card == NULL) ||
        strcmp(md->card->name, iface->lower_dev->resource.dev_name)) {
        return;
    }
    of  = ucs_calloc(1, sizeof(*of), "eesp offload");
    ret = (of == NULL) ? -ENOMEM :
          md->card->backend->open(md->card->pd, &of->dev);
    if (ret != 0) {
        ucs_warn("eesp: UCX_EESP_OFFLOAD=%s: %s: all is sealed by the CPU",
                 uct_eesp_card_setting(md->card->mac), vcc_strerror(ret));
        ucs_free(of);
        return;
    }
    of->iface             = iface;
    of->card              = md->card;
    of->progress_id       = UCS_CALLBACKQ_ID_NULL;
    of->whose.incarnation = eesp_lane_incarnation(iface->lane);
    of->whose.id          = md->identity.process;
    of->whose.rank        = md->identity.rank;
    ucs_list_head_init(&of->keys);
    ucs_list_head_init(&of->writing);
    iface->offload = of;
}

int uct_eesp_offload_works(const uct_eesp_iface_t *iface)
{
    return (iface->offload != NULL) &&
           !ucs_list_is_empty(&iface->offload->writing);
}

void uct_eesp_offload_cleanup(uct_eesp_iface_t *iface)
{
    uct_eesp_mover_t *of = iface->offload;

    if (of == NULL) {
        return;
    }
    uct_eesp_offload_serve_cleanup(of);
    uct_eesp_offload_keys_drop(of, 1);
    of->card->backend->close(of->dev);
    iface->offload = NULL;
    ucs_free(of);
}
