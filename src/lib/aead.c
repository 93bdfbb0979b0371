/* SPDX-License-Identifier: BSD-3-Clause */
#include "aead.h"

#include <stdlib.h>
#include <string.h>

#include "eesp.h"
#include "kdf.h"
#include "wire.h"

/* Measured order (bench/seal): bulk speed on a CPU that has all of them. */
static const struct eesp_aead *const backends[] = {
    &eesp_aead_ipsecmb_avx512,
    &eesp_aead_ipsecmb_avx2,
    &eesp_aead_ipsecmb_sse,
    &eesp_aead_openssl_aes_256_gcm,
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

/*
 * Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), the
 * submission behind SP 800-38D: AES-256, 20 bytes of AAD, 60 of plaintext.
 */
static const uint8_t gcm_key[32] = {
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f,
    0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
    0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static const uint8_t gcm_nonce[EESP_NONCE_LEN] = {
    0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
static const uint8_t gcm_aad[20] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe,
                                    0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad,
                                    0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t gcm_plain[60] = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
    0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
    0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
    0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
    0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t gcm_cipher[60] = {
    0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3,
    0x2a, 0x84, 0x42, 0x7d, 0x64, 0x3a, 0x8c, 0xdc, 0xbf, 0xe5, 0xc0, 0xc9,
    0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa, 0x8c, 0xb0, 0x8e, 0x48,
    0x59, 0x0d, 0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38,
    0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc, 0xc9, 0xf6, 0x62};
static const uint8_t gcm_icv[EESP_ICV_LEN] = {
    0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68,
    0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};

static int gcm_known_answer(const struct eesp_aead *aead, void *k)
{
    uint8_t out[sizeof(gcm_plain)], icv[EESP_ICV_LEN];
    struct iovec parts[2] = {{(void *)gcm_plain, 13},
                             {(void *)(gcm_plain + 13), 47}};
    int ret = aead->expand(k, gcm_key);

    if (ret == EESP_OK)
        ret = aead->seal(k, gcm_nonce, gcm_aad, sizeof(gcm_aad), parts, 2, out,
                         icv);
    if (ret != EESP_OK)
        return ret;
    if (memcmp(out, gcm_cipher, sizeof(out)) != 0 ||
        memcmp(icv, gcm_icv, sizeof(icv)) != 0)
        return EESP_ERR_CRYPTO;
    ret = aead->decrypt(k, gcm_nonce, gcm_aad, sizeof(gcm_aad), gcm_cipher,
                        sizeof(gcm_cipher), out, gcm_icv);
    if (ret != EESP_OK || memcmp(out, gcm_plain, sizeof(out)) != 0)
        return EESP_ERR_CRYPTO;
    icv[15] ^= 1;
    ret = aead->decrypt(k, gcm_nonce, gcm_aad, sizeof(gcm_aad), gcm_cipher,
                        sizeof(gcm_cipher), out, icv);
    return ret == EESP_DROP_AUTH ? EESP_OK : EESP_ERR_CRYPTO;
}

int eesp_backend_selftest(unsigned index)
{
    const struct eesp_aead *aead = eesp_aead_at(index);
    void *k;
    int ret;

    if (aead == NULL)
        return eesp_kdf_at(index - BACKENDS) != NULL ?
                   eesp_kdf_selftest(eesp_kdf_at(index - BACKENDS)) :
                   EESP_ERR_ARGUMENT;
    if (aead->missing() != NULL)
        return EESP_ERR_UNSUPPORTED;
    k = aligned_alloc(64, (aead->key_size + 63) & ~(size_t)63);
    if (k == NULL)
        return EESP_ERR_MEMORY;
    ret = aead->open(k);
    if (ret == EESP_OK) {
        ret = gcm_known_answer(aead, k);
        aead->close(k);
    }
    free(k);
    return ret;
}
