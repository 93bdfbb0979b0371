/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key derivation functions in FIPS mode: CMAC (SP 800-38B) and HMAC
 * (FIPS 198-1) of the FIPS provider, in the counter mode of SP 800-108r1 and in
 * HKDF-Expand (RFC 5869 section 2.3). Its own KBKDF counts with 32 bits, not 8.
 * Keys lie in libcrypto's heap, which it cleanses.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "eesp.h"
#include "fips.h"
#include "kdf.h"

enum { MAC_MAX = 64 };

struct fips_kdf {
    EVP_MAC_CTX *ctx;
    size_t       mac_length;
    int          feeds_back; /* HKDF: each block begins with the one before */
};

/* of: the cipher of CMAC, or the digest of HMAC. */
static int open_mac(struct fips_kdf *k, const char *mac_name,
                    const char *parameter, const char *of, size_t mac_length,
                    int feeds_back)
{
    EVP_MAC *mac = EVP_MAC_fetch(eesp_crypto_context(), mac_name,
                                 eesp_crypto_properties());
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(parameter, (char *)of, 0),
        OSSL_PARAM_construct_end(),
    };

    *k     = (struct fips_kdf){ .mac_length = mac_length,
                                .feeds_back = feeds_back };
    k->ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* the context has its own reference */
    if (k->ctx != NULL && EVP_MAC_CTX_set_params(k->ctx, params) == 1)
        return EESP_OK;
    EVP_MAC_CTX_free(k->ctx);
    k->ctx = NULL;
    return EESP_ERR_CRYPTO;
}

static void fips_close(void *state)
{
    struct fips_kdf *k = state;

    EVP_MAC_CTX_free(k->ctx);
    k->ctx = NULL;
}

/* MAC of counter | fixed or, where it feeds back, of before | fixed | counter. */
static int one_mac(struct fips_kdf *k, const uint8_t *before, size_t length,
                   const uint8_t *fixed, size_t fixed_length, uint8_t counter,
                   uint8_t mac[MAC_MAX])
{
    size_t done;
    int good;

    if (EVP_MAC_init(k->ctx, NULL, 0, NULL) != 1) /* the same key again */
        return EESP_ERR_CRYPTO;
    if (k->feeds_back)
        good = EVP_MAC_update(k->ctx, before, length) == 1 &&
               EVP_MAC_update(k->ctx, fixed, fixed_length) == 1 &&
               EVP_MAC_update(k->ctx, &counter, 1) == 1;
    else
        good = EVP_MAC_update(k->ctx, &counter, 1) == 1 &&
               EVP_MAC_update(k->ctx, fixed, fixed_length) == 1;
    return good && EVP_MAC_final(k->ctx, mac, &done, MAC_MAX) == 1 &&
                   done == k->mac_length ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

static int fips_derive(void *state, const char label[2],
                       const uint8_t *context, size_t context_length,
                       uint8_t *out, size_t length)
{
    struct fips_kdf *k = state;
    uint8_t fixed[EESP_FIXED_DATA_MAX], mac[MAC_MAX] = { 0 }, counter = 0;
    size_t size, done, n;
    int ret = EESP_ERR_ARGUMENT;

    if (length == 0 || length > EESP_DERIVE_MAX ||
        context_length > EESP_CONTEXT_MAX)
        return ret;
    size = eesp_fixed_data(label, context, context_length, length, fixed);
    for (done = 0; done < length; done += n) {
        n = length - done < k->mac_length ? length - done : k->mac_length;
        counter++;
        ret = one_mac(k, mac, done ? k->mac_length : 0, fixed, size, counter,
                      mac);
        if (ret != EESP_OK)
            break;
        memcpy(out + done, mac, n);
    }
    explicit_bzero(mac, sizeof(mac));
    return ret;
}

#define FIPS_KDF(_name, _text, _id, _key, _mac, _parameter, _of, _length,  \
                 _feeds_back)                                              \
    static int _name##_open(void *state)                                   \
    {                                                                      \
        return open_mac(state, _mac, _parameter, _of, _length,             \
                        _feeds_back);                                      \
    }                                                                      \
    static int _name##_key(void *state, const uint8_t *key)                \
    {                                                                      \
        return EVP_MAC_init(((struct fips_kdf *)state)->ctx, key, _key,    \
                            NULL) == 1 ?                                   \
                   EESP_OK :                                               \
                   EESP_ERR_CRYPTO;                                        \
    }                                                                      \
    const struct eesp_kdf eesp_kdf_fips_##_name = {                        \
        .id         = _id,                                                 \
        .name       = _text,                                               \
        .key_length = _key,                                                \
        .state_size = sizeof(struct fips_kdf),                             \
        .open       = _name##_open,                                        \
        .key        = _name##_key,                                         \
        .derive     = fips_derive,                                         \
        .close      = fips_close,                                          \
    };

FIPS_KDF(cmac_aes256, "cmac-aes256", EESP_KDF_CMAC_AES256, 32, "CMAC",
         OSSL_MAC_PARAM_CIPHER, "AES-256-CBC", 16, 0)
FIPS_KDF(hkdf_sha256, "hkdf-sha256", EESP_KDF_HKDF_SHA256, 32, "HMAC",
         OSSL_MAC_PARAM_DIGEST, "SHA256", 32, 1)
FIPS_KDF(hkdf_sha384, "hkdf-sha384", EESP_KDF_HKDF_SHA384, 48, "HMAC",
         OSSL_MAC_PARAM_DIGEST, "SHA384", 48, 1)
FIPS_KDF(hkdf_sha512, "hkdf-sha512", EESP_KDF_HKDF_SHA512, 64, "HMAC",
         OSSL_MAC_PARAM_DIGEST, "SHA512", 64, 1)
FIPS_KDF(hmac_sha256, "hmac-sha256", EESP_KDF_HMAC_SHA256, 32, "HMAC",
         OSSL_MAC_PARAM_DIGEST, "SHA256", 32, 0)
