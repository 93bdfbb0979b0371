/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hmac: HMAC (FIPS 198-1) with SHA-256, SHA-384 or SHA-512 under a prepared
 * key: the hash states after the inner and the outer pad are kept, so that a
 * short message costs two compressions.
 *
 *     eesp_hmac_key(&hmac, EESP_SHA_256, key, 32);
 *     eesp_hmac(&hmac, parts, 3, mac);
 *     explicit_bzero(&hmac, sizeof(hmac));
 *
 * All of it lies in the caller's memory, which can be secret memory.
 */
#ifndef EESP_HMAC_H
#define EESP_HMAC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define EESP_HMAC_MAX 64 /* bytes of the longest MAC */

enum eesp_sha { EESP_SHA_256, EESP_SHA_384, EESP_SHA_512 };

/* Room for the states of any of the three, checked in hmac.c. */
struct eesp_hmac {
    enum eesp_sha sha;
    uint64_t      inner[28], outer[28];
};

/* Bytes of a MAC: 32, 48 or 64. */
size_t eesp_hmac_length(enum eesp_sha sha);

/* length: at most the hash's block, 64 or 128 bytes. */
int eesp_hmac_key(struct eesp_hmac *hmac, enum eesp_sha sha,
                  const uint8_t *key, size_t length);

/* MAC of the concatenation of count parts. Neither allocates nor locks. */
int eesp_hmac(const struct eesp_hmac *hmac, const struct iovec *parts,
              unsigned count, uint8_t mac[EESP_HMAC_MAX]);

/* HKDF-Expand (RFC 5869 section 2.3) under the prepared key. */
int eesp_hkdf_expand(const struct eesp_hmac *hmac, const uint8_t *info,
                     size_t info_length, uint8_t *out, size_t length);

#endif
