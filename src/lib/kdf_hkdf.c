/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HKDF-Expand (RFC 5869 section 2.3) with SHA-256, SHA-384 and SHA-512; info
 * is the fixed data, which binds the output length that Expand itself does
 * not. The prepared key lies in the caller's memory; nothing is in libcrypto's
 * heap.
 */
#include <string.h>

#include "eesp.h"
#include "hmac.h"
#include "kdf.h"

static int hkdf_open(void *state)
{
    memset(state, 0, sizeof(struct eesp_hmac));
    return EESP_OK;
}

static int hkdf_derive(void *state, const char label[2],
                       const uint8_t *context, size_t context_length,
                       uint8_t *out, size_t length)
{
    uint8_t info[EESP_FIXED_DATA_MAX];

    if (length == 0 || length > EESP_DERIVE_MAX ||
        context_length > EESP_CONTEXT_MAX)
        return EESP_ERR_ARGUMENT;
    return eesp_hkdf_expand(state, info,
                            eesp_fixed_data(label, context, context_length,
                                            length, info),
                            out, length);
}

static void hkdf_close(void *state)
{
    explicit_bzero(state, sizeof(struct eesp_hmac));
}

/* The key is as long as the hash. */
#define HKDF(_bits, _length)                                             \
    static int hkdf_key_##_bits(void *state, const uint8_t *key)         \
    {                                                                    \
        return eesp_hmac_key(state, EESP_SHA_##_bits, key, _length);     \
    }                                                                    \
    const struct eesp_kdf eesp_kdf_hkdf_sha##_bits = {                   \
        .id         = EESP_KDF_HKDF_SHA##_bits,                          \
        .name       = "hkdf-sha" #_bits,                                 \
        .key_length = _length,                                           \
        .state_size = sizeof(struct eesp_hmac),                          \
        .open       = hkdf_open,                                         \
        .key        = hkdf_key_##_bits,                                  \
        .derive     = hkdf_derive,                                       \
        .close      = hkdf_close,                                        \
    };

HKDF(256, 32)
HKDF(384, 48)
HKDF(512, 64)
