/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload_tag: UCX_EESP_OFFLOAD=conf+mac. The CPU of the target makes a tag of
 * what its card writes, by AES-256-GMAC (SP 800-38D) over the plaintext, and
 * sends it sealed; that of the requester looks at its memory once the card does
 * not reach it any more. The key is the requester's, as that of the card; the
 * nonce is the number of the first data unit, which comes once under it.
 */
#include "offload.h"

#include "aead.h"
#include "bytes.h"
#include "secret.h"

struct uct_eesp_tag_key {
    const struct eesp_aead *aead;
    size_t                  size;
    _Alignas(64) uint8_t    expanded[];
};

struct uct_eesp_tag_key *uct_eesp_tag_key_create(const uint8_t *bytes)
{
    const struct eesp_aead *aead = eesp_aead_find(EESP_AEAD_AES_256_GMAC, NULL);
    struct uct_eesp_tag_key *key;
    size_t size;

    if (aead == NULL) {
        return NULL;
    }
    size = sizeof(*key) + aead->key_size;
    key  = eesp_secret_alloc(size);
    if (key == NULL) {
        return NULL;
    }
    key->aead = aead;
    key->size = size;
    if (aead->open(key->expanded) != EESP_OK) {
        eesp_secret_free(key, size);
        return NULL;
    }
    if (aead->expand(key->expanded, bytes) != EESP_OK) {
        uct_eesp_tag_key_destroy(key);
        return NULL;
    }
    return key;
}

void uct_eesp_tag_key_destroy(struct uct_eesp_tag_key *key)
{
    if (key != NULL) {
        key->aead->close(key->expanded);
        eesp_secret_free(key, key->size);
    }
}

int uct_eesp_tag_make(struct uct_eesp_tag_key *key, uint64_t unit0,
                      const void *data, size_t length,
                      uint8_t tag[EESP_ICV_LEN])
{
    uint8_t nonce[EESP_NONCE_LEN] = {0};

    store64(nonce, unit0);
    return key->aead->seal(key->expanded, nonce, data, length, NULL, 0, NULL,
                           tag) == EESP_OK;
}

int uct_eesp_tag_fits(struct uct_eesp_tag_key *key, uint64_t unit0,
                      const void *data, size_t length,
                      const uint8_t tag[EESP_ICV_LEN])
{
    uint8_t expected[EESP_ICV_LEN];

    return uct_eesp_tag_make(key, unit0, data, length, expected) &&
           eesp_same(expected, tag, EESP_ICV_LEN);
}
