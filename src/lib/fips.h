/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fips: where algorithms of libcrypto are fetched from. In FIPS mode from its
 * FIPS provider alone, in a library context of our own, and no cryptographic
 * code of ours or of ipsec-mb runs.
 *
 *     EVP_CIPHER_fetch(eesp_crypto_context(), name, eesp_crypto_properties());
 *
 * eesp_fips_enable() in eesp.h turns it on, once and for the process, before
 * anything was fetched.
 */
#ifndef EESP_FIPS_H
#define EESP_FIPS_H

#include <openssl/types.h>

/* NULL: libcrypto's default. The first call settles that FIPS mode is off. */
OSSL_LIB_CTX *eesp_crypto_context(void);
const char *eesp_crypto_properties(void);

int eesp_fips_is_on(void);
/* What is missing where code that is not the provider's would run, or NULL. */
const char *eesp_fips_missing(void);

#endif
