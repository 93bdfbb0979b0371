/* SPDX-License-Identifier: BSD-3-Clause */
#include "kdf.h"

#include <stdlib.h>
#include <string.h>

#include "eesp.h"
#include "fips.h"

static const struct eesp_kdf *const kdfs[] = {
    &eesp_kdf_cmac_aes256, &eesp_kdf_hkdf_sha256, &eesp_kdf_hkdf_sha384,
    &eesp_kdf_hkdf_sha512, &eesp_kdf_hmac_sha256,
};

/* The same in the same order, by the FIPS provider. */
static const struct eesp_kdf *const fips_kdfs[] = {
    &eesp_kdf_fips_cmac_aes256, &eesp_kdf_fips_hkdf_sha256,
    &eesp_kdf_fips_hkdf_sha384, &eesp_kdf_fips_hkdf_sha512,
    &eesp_kdf_fips_hmac_sha256,
};

enum { KDFS = sizeof(kdfs) / sizeof(kdfs[0]) };

const struct eesp_kdf *eesp_kdf_at(unsigned index)
{
    if (index >= KDFS)
        return NULL;
    return eesp_fips_is_on() ? fips_kdfs[index] : kdfs[index];
}

const struct eesp_kdf *eesp_kdf_by_id(unsigned id)
{
    const struct eesp_kdf *kdf;
    unsigned i;

    for (i = 0; (kdf = eesp_kdf_at(i)) != NULL; i++)
        if (kdf->id == id)
            break;
    return kdf;
}

const struct eesp_kdf *eesp_kdf_by_name(const char *name)
{
    const struct eesp_kdf *kdf;
    unsigned i;

    for (i = 0; (kdf = eesp_kdf_at(i)) != NULL; i++)
        if (strcmp(kdf->name, name) == 0)
            break;
    return kdf;
}

unsigned eesp_kdfs(void)
{
    return KDFS;
}

const char *eesp_kdf_name(unsigned index)
{
    return index < KDFS ? kdfs[index]->name : NULL;
}

const char *eesp_kdf_id_name(unsigned id)
{
    const struct eesp_kdf *kdf = eesp_kdf_by_id(id);

    return kdf ? kdf->name : NULL;
}

int eesp_kdf_once(const struct eesp_kdf *kdf, const uint8_t *key,
                  const char label[2], const uint8_t *context,
                  size_t context_length, uint8_t *out, size_t length)
{
    void *state = calloc(1, kdf->state_size);
    int ret;

    if (state == NULL)
        return EESP_ERR_MEMORY;
    ret = kdf->open(state);
    if (ret == EESP_OK) {
        ret = kdf->key(state, key);
        if (ret == EESP_OK)
            ret = kdf->derive(state, label, context, context_length, out,
                              length);
        kdf->close(state);
    }
    free(state);
    return ret;
}
