/* SPDX-License-Identifier: BSD-3-Clause */
#include "aead.h"

#include <string.h>

#include "eesp.h"
#include "kdf.h"

#define IPSECMB(_name)                      \
    &eesp_aead_ipsecmb_##_name##_avx512,    \
        &eesp_aead_ipsecmb_##_name##_avx2,  \
        &eesp_aead_ipsecmb_##_name##_sse

/*
 * The default algorithm first; of each the measured order (bench/seal): bulk
 * speed on a CPU that has all of them.
 */
static const struct eesp_aead *const backends[] = {
    IPSECMB(aes_256_gcm),       &eesp_aead_openssl_aes_256_gcm,
    IPSECMB(aes_128_gcm),       &eesp_aead_openssl_aes_128_gcm,
    IPSECMB(chacha20_poly1305), &eesp_aead_openssl_chacha20_poly1305,
    &eesp_aead_openssl_aes_256_gcm_siv,
    IPSECMB(aes_256_gmac),      &eesp_aead_openssl_aes_256_gmac,
};

enum { BACKENDS = sizeof(backends) / sizeof(backends[0]) };

const struct eesp_aead *eesp_aead_at(unsigned index)
{
    return index < BACKENDS ? backends[index] : NULL;
}

const struct eesp_aead *eesp_aead_find(unsigned id, const char *backend)
{
    unsigned i;

    for (i = 0; i < BACKENDS; i++)
        if (backends[i]->id == id &&
            (backend == NULL || strncmp(backends[i]->backend, backend,
                                        strlen(backend)) == 0) &&
            backends[i]->missing() == NULL)
            return backends[i];
    return NULL;
}

unsigned eesp_aead_id_by_name(const char *name)
{
    unsigned i;

    for (i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->id;
    return 0;
}

const char *eesp_aead_id_name(unsigned id)
{
    unsigned i;

    for (i = 0; i < BACKENDS; i++)
        if (backends[i]->id == id)
            return backends[i]->name;
    return NULL;
}

unsigned eesp_backends(void)
{
    return BACKENDS;
}

void eesp_backend(unsigned index, struct eesp_backend_info *info)
{
    const struct eesp_aead *aead = eesp_aead_at(index);

    memset(info, 0, sizeof(*info));
    if (aead == NULL)
        return;
    info->name      = aead->backend;
    info->algorithm = aead->name;
    info->missing   = aead->missing();
    info->available = info->missing == NULL;
}

int eesp_backend_selftest(unsigned index)
{
    const struct eesp_aead *aead = eesp_aead_at(index);
    const struct eesp_kdf *kdf;

    if (aead != NULL)
        return eesp_aead_selftest(aead);
    kdf = eesp_kdf_at(index - BACKENDS);
    return kdf ? eesp_kdf_selftest(kdf) : EESP_ERR_ARGUMENT;
}
