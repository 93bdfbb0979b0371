/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-256-GCM (SP 800-38D) by libcrypto. */
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "wire.h"

/* Key schedules lie in libcrypto's own memory, which it cleanses on free. */
struct openssl_key {
    EVP_CIPHER_CTX *ctx;
};

static EVP_CIPHER *aes_256_gcm;
static pthread_once_t gcm_once = PTHREAD_ONCE_INIT;

static void fetch_gcm(void)
{
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static const char *openssl_missing(void)
{
    pthread_once(&gcm_once, fetch_gcm);
    return aes_256_gcm ? NULL : "libcrypto offers no AES-256-GCM";
}

static int openssl_open(void *key)
{
    struct openssl_key *k = key;

    k->ctx = NULL;
    if (openssl_missing() != NULL)
        return EESP_ERR_UNSUPPORTED;
    k->ctx = EVP_CIPHER_CTX_new();
    if (k->ctx == NULL)
        return EESP_ERR_MEMORY;
    /* Everything that allocates happens here; later only key and IV change. */
    if (EVP_EncryptInit_ex2(k->ctx, aes_256_gcm, NULL, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(k->ctx);
        k->ctx = NULL;
        return EESP_ERR_CRYPTO;
    }
    return EESP_OK;
}

static int openssl_expand(void *key, const uint8_t *bytes)
{
    struct openssl_key *k = key;

    return EVP_EncryptInit_ex2(k->ctx, NULL, bytes, NULL, NULL) == 1 ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

static int openssl_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                        const uint8_t *aad, size_t aad_length,
                        const struct iovec *in, unsigned count, uint8_t *out,
                        uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    unsigned i;
    int done;

    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &done, aad, (int)aad_length) != 1)
        return EESP_ERR_CRYPTO;
    for (i = 0; i < count; i++) {
        if (in[i].iov_len == 0)
            continue;
        if (in[i].iov_len > INT_MAX ||
            EVP_EncryptUpdate(ctx, out, &done, in[i].iov_base,
                              (int)in[i].iov_len) != 1)
            return EESP_ERR_CRYPTO;
        out += done;
    }
    if (EVP_EncryptFinal_ex(ctx, out, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, EESP_ICV_LEN, icv) != 1)
        return EESP_ERR_CRYPTO;
    return EESP_OK;
}

static int openssl_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                           const uint8_t *aad, size_t aad_length,
                           const uint8_t *in, size_t length, uint8_t *out,
                           const uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    int done, ret = EESP_ERR_CRYPTO;
    uint8_t last[16];

    if (length > INT_MAX ||
        EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &done, aad, (int)aad_length) != 1 ||
        EVP_DecryptUpdate(ctx, out, &done, in, (int)length) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, EESP_ICV_LEN,
                            (void *)icv) != 1)
        goto out;
    ret = EVP_DecryptFinal_ex(ctx, last, &done) == 1 ? EESP_OK :
                                                       EESP_DROP_AUTH;
out:
    if (ret != EESP_OK)
        explicit_bzero(out, length);
    return ret;
}

static void openssl_close(void *key)
{
    struct openssl_key *k = key;

    EVP_CIPHER_CTX_free(k->ctx);
    k->ctx = NULL;
}

const struct eesp_aead eesp_aead_openssl_aes_256_gcm = {
    .id         = EESP_AEAD_AES_256_GCM,
    .name       = "aes-256-gcm",
    .backend    = "openssl",
    .key_length = 32,
    .key_size   = sizeof(struct openssl_key),
    .missing    = openssl_missing,
    .open       = openssl_open,
    .expand     = openssl_expand,
    .seal       = openssl_seal,
    .decrypt    = openssl_decrypt,
    .close      = openssl_close,
};
