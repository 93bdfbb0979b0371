/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The receiver's side of PSP: two master keys, from which it finds the key of
 * every packet. It keeps nothing per sender.
 */
#include <stdlib.h>

#include "kdf.h"
#include "keyring.h"
#include "psp.h"
#include "secret.h"

#define SPI_LAST 0x7fffffffu /* numbers of one master key; 0 is not issued */

/* Who may issue, in a page that the child of a fork finds empty. */
struct issuer {
    uint32_t alive;
    uint32_t current; /* master key */
    uint32_t next[2]; /* SPI without bit 31 */
};

struct eesp_psp_receiver {
    void                  *master[2]; /* KDF states, in secret memory */
    int                    lacks[2];  /* that master key */
    struct eesp_psp_cipher cipher[2]; /* by version */
    struct issuer         *issuer;
};

static int set_master(struct eesp_psp_receiver *receiver, unsigned index,
                      const uint8_t *given)
{
    uint8_t key[EESP_PSP_MASTER_LEN];
    int ret = EESP_OK;

    if (given != NULL)
        memcpy(key, given, sizeof(key));
    else
        ret = eesp_random(key, sizeof(key));
    if (ret == EESP_OK)
        ret = eesp_kdf_cmac_aes256.key(receiver->master[index], key);
    explicit_bzero(key, sizeof(key));
    return ret;
}

static int open_master(struct eesp_psp_receiver *receiver, unsigned index,
                       const uint8_t *given)
{
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    void *state                = eesp_secret_alloc(kdf->state_size);
    int ret;

    if (state == NULL)
        return EESP_ERR_MEMORY;
    ret = kdf->open(state);
    if (ret != EESP_OK) {
        eesp_secret_free(state, kdf->state_size);
        return ret;
    }
    receiver->master[index] = state;
    return set_master(receiver, index, given);
}

/* given: both NULL to draw them; else one that is NULL is not there. */
static int create(const uint8_t *const given[2], const char *backend,
                  struct eesp_psp_receiver **receiver_p)
{
    struct eesp_psp_receiver *receiver = calloc(1, sizeof(*receiver));
    int drawn = given[0] == NULL && given[1] == NULL;
    int ret   = EESP_ERR_MEMORY;
    unsigned i;

    *receiver_p = NULL;
    if (receiver == NULL)
        return ret;
    receiver->issuer = eesp_wipeonfork_alloc(sizeof(*receiver->issuer));
    if (receiver->issuer == NULL)
        goto fail;
    for (i = 0; i < 2; i++) {
        receiver->lacks[i] = !drawn && given[i] == NULL;
        ret = open_master(receiver, i, given[i]);
        if (ret == EESP_OK)
            ret = eesp_psp_cipher_open(&receiver->cipher[i], i, backend);
        if (ret != EESP_OK)
            goto fail;
        receiver->issuer->next[i] = 1;
    }
    receiver->issuer->alive = drawn;
    *receiver_p             = receiver;
    return EESP_OK;
fail:
    eesp_psp_receiver_destroy(receiver);
    return ret;
}

int eesp_psp_receiver_create(const uint8_t master[2][EESP_PSP_MASTER_LEN],
                             const char *backend,
                             struct eesp_psp_receiver **receiver_p)
{
    const uint8_t *const given[2] = {master ? master[0] : NULL,
                                     master ? master[1] : NULL};

    return create(given, backend, receiver_p);
}

int eesp_psp_policy(const struct eesp_keyring *keyring, unsigned index,
                    struct eesp_psp_policy *policy)
{
    const struct eesp_other_policy *other =
        eesp_keyring_other(keyring, EESP_PROFILE_PSP, index);

    if (other == NULL)
        return EESP_ERR_ARGUMENT;
    policy->name   = other->name;
    policy->key_id = other->key_id;
    policy->keys   = (other->key[0] ? 1 : 0) | (other->key[1] ? 2 : 0);
    return EESP_OK;
}

int eesp_psp_receiver_from(const struct eesp_keyring *keyring, unsigned index,
                           const char *backend,
                           struct eesp_psp_receiver **receiver_p)
{
    const struct eesp_other_policy *other =
        eesp_keyring_other(keyring, EESP_PROFILE_PSP, index);
    const uint8_t *given[2];
    int i;

    *receiver_p = NULL;
    if (other == NULL)
        return EESP_ERR_ARGUMENT;
    for (i = 0; i < 2; i++)
        given[i] = other->key[i] ? other->key[i]->bytes : NULL;
    return create(given, backend, receiver_p);
}

void eesp_psp_receiver_destroy(struct eesp_psp_receiver *receiver)
{
    unsigned i;

    if (receiver == NULL)
        return;
    for (i = 0; i < 2; i++) {
        eesp_psp_cipher_close(&receiver->cipher[i]);
        if (receiver->master[i] != NULL)
            eesp_kdf_cmac_aes256.close(receiver->master[i]);
        eesp_secret_free(receiver->master[i], eesp_kdf_cmac_aes256.state_size);
    }
    eesp_secret_free(receiver->issuer, sizeof(*receiver->issuer));
    free(receiver);
}

int eesp_psp_issue(struct eesp_psp_receiver *receiver, unsigned version,
                   enum eesp_psp_form form, struct eesp_psp_grant *grant)
{
    struct issuer *issuer = receiver->issuer;
    uint32_t current;
    int ret;

    memset(grant, 0, sizeof(*grant));
    if (version > EESP_PSP_AES_GMAC_256 || form > EESP_PSP_IN_EESP)
        return EESP_ERR_ARGUMENT;
    if (version > EESP_PSP_AES_GCM_256)
        return EESP_ERR_UNSUPPORTED;
    if (!issuer->alive)
        return EESP_ERR_LEASE;
    current = issuer->current;
    if (issuer->next[current] > SPI_LAST)
        return EESP_ERR_LIMIT;
    grant->spi     = current << 31 | issuer->next[current]++;
    grant->version = (uint8_t)version;
    grant->form    = (uint8_t)form;
    ret = eesp_psp_derive(receiver->master[current], version, grant->spi,
                          grant->key);
    if (ret != EESP_OK)
        explicit_bzero(grant, sizeof(*grant));
    return ret;
}

int eesp_psp_rotate(struct eesp_psp_receiver *receiver)
{
    struct issuer *issuer = receiver->issuer;
    uint32_t other;
    int ret;

    if (!issuer->alive)
        return EESP_ERR_LEASE;
    other = !issuer->current;
    ret   = set_master(receiver, other, NULL);
    if (ret != EESP_OK)
        return ret;
    issuer->next[other] = 1;
    issuer->current     = other;
    return EESP_OK;
}

int eesp_psp_find_key(struct eesp_psp_receiver *receiver,
                      const struct eesp_psp_header *header,
                      const struct eesp_psp_cipher **cipher_p)
{
    const struct eesp_psp_cipher *cipher = &receiver->cipher[header->version];
    uint8_t key[EESP_PSP_KEY_MAX];
    int ret;

    if (receiver->lacks[header->master])
        return EESP_DROP_GENERATION;
    ret = eesp_psp_derive(receiver->master[header->master], header->version,
                          header->spi, key);
    if (ret == EESP_OK)
        ret = cipher->aead->expand(cipher->key, key);
    explicit_bzero(key, sizeof(key));
    *cipher_p = cipher;
    return ret;
}

int eesp_psp_open(struct eesp_psp_receiver *receiver, const void *packet,
                  size_t length, void *body, size_t size,
                  struct eesp_psp_opened *opened)
{
    struct eesp_psp_header *header = &opened->header;
    const struct eesp_psp_cipher *cipher;
    int ret;

    memset(opened, 0, sizeof(*opened));
    ret = eesp_psp_parse(packet, length, header);
    if (ret != EESP_OK)
        return ret;
    if (header->version > EESP_PSP_AES_GCM_256)
        return EESP_ERR_UNSUPPORTED;
    if (size < length)
        return EESP_ERR_SPACE;
    ret = eesp_psp_find_key(receiver, header, &cipher);
    return ret == EESP_OK ?
               eesp_psp_open_fields(cipher, packet, length, body, opened) :
               ret;
}
