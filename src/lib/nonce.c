/* SPDX-License-Identifier: BSD-3-Clause */
#include "nonce.h"

#include "secret.h"

struct eesp_nonce *eesp_nonce_create(void)
{
    struct eesp_nonce *nonce = eesp_wipeonfork_alloc(sizeof(*nonce));

    if (nonce != NULL && eesp_nonce_ensure(nonce) != EESP_OK) {
        eesp_nonce_destroy(nonce);
        nonce = NULL;
    }
    return nonce;
}

void eesp_nonce_destroy(struct eesp_nonce *nonce)
{
    eesp_secret_free(nonce, sizeof(*nonce));
}

int eesp_nonce_ensure(struct eesp_nonce *nonce)
{
    int ret;

    if (nonce->drawn)
        return EESP_OK;
    ret = eesp_nonce_redraw(nonce);
    if (ret != EESP_OK)
        return ret;
    /* Equal at first, so that a capture's other direction shows it. */
    nonce->receiving = nonce->sending;
    nonce->drawn     = 1;
    return EESP_OK;
}

int eesp_nonce_redraw(struct eesp_nonce *nonce)
{
    uint64_t incarnation;
    int ret;

    do { /* 0 stands for none */
        ret = eesp_random(&incarnation, sizeof(incarnation));
        if (ret != EESP_OK)
            return ret;
    } while (incarnation == 0);
    nonce->sending = incarnation;
    nonce->next    = 1;
    nonce->leased  = 0;
    return EESP_OK;
}
