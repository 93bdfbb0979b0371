/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sender's side of PSP. One grant makes one SA, whose IVs come from one
 * counter: (key, IV) is used once.
 *
 *     two SAs of one grant   refused within a process and its children; else
 *                            the counters start at random numbers
 *     fork                   the counter's page reads as zeros in the child,
 *                            which refuses
 *     end                    2^64 - 1 is the last IV
 */
#include <stdlib.h>

#include "claims.h"
#include "kdf.h"
#include "psp.h"
#include "secret.h"

struct counter {
    uint64_t next; /* 0: used up, or the child of a fork */
    uint64_t alive;
};

struct eesp_psp_sa {
    struct eesp_psp_cipher cipher;
    struct counter        *counter;
    uint32_t               spi;
    uint8_t                version, form;
};

/* Tells grants apart without telling their keys. */
static int fingerprint(const struct eesp_psp_grant *grant,
                       uint8_t print[EESP_CLAIM_LEN])
{
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    void *state                = eesp_secret_alloc(kdf->state_size);
    uint8_t key[EESP_PSP_KEY_MAX] = {0};
    uint8_t context[sizeof(grant->spi) + 1];
    int ret;

    if (state == NULL)
        return EESP_ERR_MEMORY;
    memcpy(key, grant->key, grant->version == EESP_PSP_AES_GCM_128 ? 16 : 32);
    memcpy(context, &grant->spi, sizeof(grant->spi));
    context[sizeof(grant->spi)] = grant->version;
    ret = kdf->open(state);
    if (ret == EESP_OK) {
        ret = kdf->key(state, key);
        if (ret == EESP_OK)
            ret = kdf->derive(state, EESP_LABEL_CHECK_VALUE, context,
                              sizeof(context), print, EESP_CLAIM_LEN);
        kdf->close(state);
    }
    eesp_secret_free(state, kdf->state_size);
    explicit_bzero(key, sizeof(key));
    return ret;
}

static int consume(const struct eesp_psp_grant *grant)
{
    uint8_t print[EESP_CLAIM_LEN];
    int ret = fingerprint(grant, print);

    return ret == EESP_OK ? eesp_claim(EESP_CLAIM_PSP, print, 0, 1) : ret;
}

/* Starts in the lower quarter, so that the end is out of reach. */
static int seed(struct counter *counter)
{
    int ret = eesp_random(&counter->next, sizeof(counter->next));

    counter->next  = (counter->next >> 2) + 1;
    counter->alive = 1;
    return ret;
}

int eesp_psp_sa_create(struct eesp_psp_grant *grant, const char *backend,
                       struct eesp_psp_sa **sa_p)
{
    struct eesp_psp_sa *sa = calloc(1, sizeof(*sa));
    int ret                = EESP_ERR_MEMORY;

    *sa_p = NULL;
    if (sa == NULL)
        goto out;
    ret = EESP_ERR_ARGUMENT;
    if (grant->version > EESP_PSP_AES_GMAC_256 ||
        grant->form > EESP_PSP_IN_EESP)
        goto out;
    ret = EESP_ERR_UNSUPPORTED;
    if (grant->version > EESP_PSP_AES_GCM_256)
        goto out;
    ret = EESP_ERR_MEMORY;
    sa->counter = eesp_wipeonfork_alloc(sizeof(*sa->counter));
    if (sa->counter == NULL)
        goto out;
    sa->spi     = grant->spi;
    sa->version = grant->version;
    sa->form    = grant->form;
    ret = seed(sa->counter);
    if (ret == EESP_OK)
        ret = eesp_psp_cipher_open(&sa->cipher, grant->version, backend);
    if (ret == EESP_OK)
        ret = sa->cipher.aead->expand(sa->cipher.key, grant->key);
    if (ret == EESP_OK)
        ret = consume(grant);
    if (ret == EESP_OK) {
        *sa_p = sa;
        sa    = NULL;
    }
out:
    explicit_bzero(grant, sizeof(*grant));
    eesp_psp_sa_destroy(sa);
    return ret;
}

void eesp_psp_sa_destroy(struct eesp_psp_sa *sa)
{
    if (sa == NULL)
        return;
    eesp_psp_cipher_close(&sa->cipher);
    eesp_secret_free(sa->counter, sizeof(*sa->counter));
    free(sa);
}

int eesp_psp_seal(struct eesp_psp_sa *sa,
                  const struct eesp_psp_options *options, const void *payload,
                  size_t payload_length, void *packet, size_t size,
                  size_t *length_p)
{
    struct eesp_psp_header header = {
        .next_header = options->next_header, .version = sa->version,
        .sample = options->sample, .drop = options->drop,
        .crypt_offset = options->crypt_offset,
        .has_cookie = options->has_cookie, .cookie = options->cookie,
        .spi = sa->spi,
    };

    if (!sa->counter->alive)
        return EESP_ERR_LEASE;
    if (sa->counter->next == 0)
        return EESP_ERR_LIMIT;
    header.iv = sa->counter->next++;
    return (sa->form == EESP_PSP_IN_EESP ? eesp_psp_seal_eesp :
                                           eesp_psp_seal_fields)(
        &sa->cipher, &header, payload, payload_length, packet, size,
        length_p);
}
