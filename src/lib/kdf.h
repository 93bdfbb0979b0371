/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kdf: key derivation functions as const objects (SP 800-108r1, wire-format
 * section 3). A state holds one prepared derivation key and serves one thread.
 *
 *     kdf->open(state);                       once, may allocate
 *     kdf->key(state, kdk);                   set or change the key
 *     kdf->derive(state, "S1", ctx, n, out, 44);
 *     kdf->close(state);                      wipes
 */
#ifndef EESP_KDF_H
#define EESP_KDF_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "context.h"

#define EESP_KDK_MAX    64 /* longest derivation key of any KDF */
#define EESP_DERIVE_MAX 64 /* longest output */
#define EESP_LABEL_DATA_KEY    "S1"
#define EESP_LABEL_COMMITMENT  "SC"
#define EESP_LABEL_CLIENT_KEY  "SD"
#define EESP_LABEL_CHECK_VALUE "SK"
#define EESP_LABEL_OFFLOAD     "SX"
#define EESP_FIXED_DATA_MAX (2 + 1 + EESP_CONTEXT_MAX + 2)

struct eesp_kdf {
    uint8_t     id; /* enum eesp_kdf_id */
    const char *name;
    size_t      key_length;
    size_t      state_size;
    int (*open)(void *state);
    int (*key)(void *state, const uint8_t *key);
    /*
     * Fixed data: label 2 | 00 | context | output bits 2. Neither allocates
     * nor locks. context_length <= EESP_CONTEXT_MAX, length <=
     * EESP_DERIVE_MAX.
     */
    int (*derive)(void *state, const char label[2], const uint8_t *context,
                  size_t context_length, uint8_t *out, size_t length);
    void (*close)(void *state);
};

/* Table of all, NULL past its end. */
const struct eesp_kdf *eesp_kdf_at(unsigned index);

/* NULL for an id or name that this build does not have. */
const struct eesp_kdf *eesp_kdf_by_id(unsigned id);
const struct eesp_kdf *eesp_kdf_by_name(const char *name);

/*
 * Fixed data of wire-format section 3, label | 00 | context | output bits 2;
 * returns its length. length is that of the output, in bytes.
 */
static inline size_t eesp_fixed_data(const char label[2],
                                     const uint8_t *context,
                                     size_t context_length, size_t length,
                                     uint8_t out[EESP_FIXED_DATA_MAX])
{
    memcpy(out, label, 2);
    out[2] = 0;
    copy_words(out + 3, context, context_length);
    store16(out + 3 + context_length, (uint16_t)(8 * length));
    return 3 + context_length + 2;
}

/*
 * One derivation under a key that is not used again soon. Load time: allocates.
 */
int eesp_kdf_once(const struct eesp_kdf *kdf, const uint8_t *key,
                  const char label[2], const uint8_t *context,
                  size_t context_length, uint8_t *out, size_t length);

/* Known answer of one KDF: EESP_OK or EESP_ERR_CRYPTO. */
int eesp_kdf_selftest(const struct eesp_kdf *kdf);

/*
 * With a state of eesp_kdf_cmac_aes256: SP 800-108r1 counter mode over other
 * fixed data than ours, at most EESP_FIXED_DATA_MAX bytes.
 */
int eesp_kdf_cmac_fixed(void *state, const uint8_t *fixed, size_t size,
                        uint8_t *out, size_t length);

/*
 * With a state of eesp_kdf_cmac_aes256: the CMAC of each of count messages of
 * one block of 16 bytes, in place.
 */
int eesp_kdf_cmac_blocks(void *state, uint8_t *blocks, size_t count);

/*
 * With a state of eesp_kdf_cmac_aes256: what the kernel of lanes.h needs for
 * messages of size bytes. 0 if libcrypto has the key, 1 else; valid as long as
 * the state is open.
 */
struct eesp_lanes_keys;
int eesp_kdf_cmac_keys(const void *state, size_t size,
                       struct eesp_lanes_keys *keys);

extern const struct eesp_kdf eesp_kdf_cmac_aes256;
extern const struct eesp_kdf eesp_kdf_hkdf_sha256;
extern const struct eesp_kdf eesp_kdf_hkdf_sha384;
extern const struct eesp_kdf eesp_kdf_hkdf_sha512;
extern const struct eesp_kdf eesp_kdf_hmac_sha256;

/* The same by the FIPS provider, see fips.h. */
extern const struct eesp_kdf eesp_kdf_fips_cmac_aes256;
extern const struct eesp_kdf eesp_kdf_fips_hkdf_sha256;
extern const struct eesp_kdf eesp_kdf_fips_hkdf_sha384;
extern const struct eesp_kdf eesp_kdf_fips_hkdf_sha512;
extern const struct eesp_kdf eesp_kdf_fips_hmac_sha256;

#endif
