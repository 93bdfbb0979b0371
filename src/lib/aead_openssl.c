/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-GCM and GMAC (SP 800-38D), ChaCha20-Poly1305 (RFC 8439) and AES-GCM-SIV
 * (RFC 8452) by libcrypto. Key schedules lie in libcrypto's own memory, which
 * it cleanses on free.
 */
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "fips.h"
#include "wire.h"

struct openssl_key {
    EVP_CIPHER_CTX *ctx;
};

enum cipher { AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305, AES_256_GCM_SIV,
              CIPHERS };

static const struct {
    const char *name, *missing;
} cipher_table[CIPHERS] = {
    [AES_128_GCM]       = {"AES-128-GCM", "libcrypto offers no AES-128-GCM"},
    [AES_256_GCM]       = {"AES-256-GCM", "libcrypto offers no AES-256-GCM"},
    [CHACHA20_POLY1305] = {"ChaCha20-Poly1305",
                           "libcrypto offers no ChaCha20-Poly1305"},
    [AES_256_GCM_SIV]   = {"AES-256-GCM-SIV",
                           "libcrypto offers no AES-256-GCM-SIV; OpenSSL 3.2 "
                           "does"},
};
/* Kept for the life of the process: a fetch costs as much as 20 packets. */
static EVP_CIPHER *ciphers[CIPHERS];
static pthread_once_t ciphers_once = PTHREAD_ONCE_INIT;

static void fetch_ciphers(void)
{
    int i;

    for (i = 0; i < CIPHERS; i++)
        ciphers[i] = EVP_CIPHER_fetch(eesp_crypto_context(),
                                      cipher_table[i].name,
                                      eesp_crypto_properties());
}

static const char *missing(enum cipher cipher)
{
    pthread_once(&ciphers_once, fetch_ciphers);
    return ciphers[cipher] ? NULL : cipher_table[cipher].missing;
}

static int open_key(void *key, enum cipher cipher)
{
    struct openssl_key *k = key;

    k->ctx = NULL;
    if (missing(cipher) != NULL)
        return EESP_ERR_UNSUPPORTED;
    k->ctx = EVP_CIPHER_CTX_new();
    if (k->ctx == NULL)
        return EESP_ERR_MEMORY;
    /* Everything that allocates happens here; later only key and IV change. */
    if (EVP_EncryptInit_ex2(k->ctx, ciphers[cipher], NULL, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(k->ctx);
        k->ctx = NULL;
        return EESP_ERR_CRYPTO;
    }
    return EESP_OK;
}

static int openssl_expand(void *key, const uint8_t *bytes)
{
    struct openssl_key *k = key;

    if (EVP_EncryptInit_ex2(k->ctx, NULL, bytes, NULL, NULL) == 1)
        return EESP_OK;
    EVP_CIPHER_CTX_reset(k->ctx); /* the key before is gone in any case */
    return EESP_ERR_CRYPTO;
}

/* The schedules lie where only libcrypto reaches: another key in their place. */
static void openssl_forget(void *key)
{
    static const uint8_t no_key[EESP_AEAD_KEY_MAX];

    openssl_expand(key, no_key);
}

/* Encrypts, or with out NULL takes as associated data, one piece. */
static int update(EVP_CIPHER_CTX *ctx, uint8_t *out, const void *in,
                  size_t length)
{
    int done;

    return length <= INT_MAX &&
           EVP_CipherUpdate(ctx, out, &done, in, (int)length) == 1;
}

static int start(EVP_CIPHER_CTX *ctx, int encrypt,
                 const uint8_t nonce[EESP_NONCE_LEN], const uint8_t *aad,
                 size_t aad_length)
{
    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, encrypt, NULL) == 1 &&
           update(ctx, NULL, aad, aad_length);
}

static int finish_seal(EVP_CIPHER_CTX *ctx, uint8_t *icv)
{
    uint8_t none[EESP_ICV_LEN];
    int done;

    return EVP_CipherFinal_ex(ctx, none, &done) == 1 &&
                   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
                                       EESP_ICV_LEN, icv) == 1 ?
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

    if (!start(ctx, 1, nonce, aad, aad_length))
        return EESP_ERR_CRYPTO;
    for (i = 0; i < count; i++) {
        if (in[i].iov_len == 0)
            continue;
        if (!update(ctx, out, in[i].iov_base, in[i].iov_len))
            return EESP_ERR_CRYPTO;
        out += in[i].iov_len;
    }
    return finish_seal(ctx, icv);
}

static int start_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[EESP_NONCE_LEN],
                      const uint8_t *aad, size_t aad_length,
                      const uint8_t *icv)
{
    return start(ctx, 0, nonce, aad, aad_length) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, EESP_ICV_LEN,
                               (void *)icv) == 1;
}

/* Nothing stays in parts unless ret is EESP_OK and the ICV fits. */
static int finish_open(EVP_CIPHER_CTX *ctx, int ret, const struct iovec *parts,
                       unsigned count)
{
    uint8_t last[EESP_ICV_LEN];
    int done;

    if (ret == EESP_OK && EVP_CipherFinal_ex(ctx, last, &done) != 1)
        ret = EESP_DROP_AUTH;
    if (ret != EESP_OK)
        eesp_aead_wipe_parts(parts, count);
    return ret;
}

static int openssl_decrypt_parts(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                                 const uint8_t *aad, size_t aad_length,
                                 const uint8_t *in, const struct iovec *out,
                                 unsigned count, const uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    int ret = start_open(ctx, nonce, aad, aad_length, icv) ? EESP_OK :
                                                             EESP_ERR_CRYPTO;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (out[i].iov_len == 0)
            continue;
        if (ret == EESP_OK && !update(ctx, out[i].iov_base, in, out[i].iov_len))
            ret = EESP_ERR_CRYPTO;
        in += out[i].iov_len;
    }
    return finish_open(ctx, ret, out, count);
}

static int openssl_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                           const uint8_t *aad, size_t aad_length,
                           const uint8_t *in, size_t length, uint8_t *out,
                           const uint8_t *icv)
{
    struct iovec part = {out, length};

    return openssl_decrypt_parts(key, nonce, aad, aad_length, in, &part, 1,
                                 icv);
}

/*
 * GCM-SIV derives its counter from the whole plaintext, so it takes that in
 * one piece, and decrypts before it can tell: its update fails for a wrong
 * ICV. libcrypto looks up AES for each nonce: not for the fastest path.
 */
static int siv_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                    const uint8_t *aad, size_t aad_length,
                    const struct iovec *in, unsigned count, uint8_t *out,
                    uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;

    if (count != 1)
        return EESP_ERR_ARGUMENT;
    if (!start(ctx, 1, nonce, aad, aad_length) ||
        !update(ctx, out, in[0].iov_base, in[0].iov_len))
        return EESP_ERR_CRYPTO;
    return finish_seal(ctx, icv);
}

static int siv_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                       const uint8_t *aad, size_t aad_length,
                       const uint8_t *in, size_t length, uint8_t *out,
                       const uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    uint8_t last[EESP_ICV_LEN];
    int ret = EESP_ERR_CRYPTO, done;

    if (!start_open(ctx, nonce, aad, aad_length, icv))
        goto out;
    ret = update(ctx, out, in, length) &&
                  EVP_CipherFinal_ex(ctx, last, &done) == 1 ?
              EESP_OK :
              EESP_DROP_AUTH;
out:
    if (ret != EESP_OK)
        explicit_bzero(out, length);
    return ret;
}

/* GMAC: everything is associated data. */
static int gmac_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                     const uint8_t *aad, size_t aad_length,
                     const struct iovec *in, unsigned count, uint8_t *out,
                     uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    unsigned i;

    if (!start(ctx, 1, nonce, aad, aad_length))
        return EESP_ERR_CRYPTO;
    for (i = 0; i < count; i++)
        if (in[i].iov_len > 0 &&
            !update(ctx, NULL, in[i].iov_base, in[i].iov_len))
            return EESP_ERR_CRYPTO;
    eesp_aead_gather(in, count, out);
    return finish_seal(ctx, icv);
}

/* The copy is what is looked at: in may change meanwhile. */
static int gmac_decrypt_parts(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                              const uint8_t *aad, size_t aad_length,
                              const uint8_t *in, const struct iovec *out,
                              unsigned count, const uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = ((struct openssl_key *)key)->ctx;
    int ret = start_open(ctx, nonce, aad, aad_length, icv) ? EESP_OK :
                                                             EESP_ERR_CRYPTO;
    unsigned i;

    eesp_aead_scatter(in, out, count);
    for (i = 0; i < count; i++)
        if (out[i].iov_len > 0 && ret == EESP_OK &&
            !update(ctx, NULL, out[i].iov_base, out[i].iov_len))
            ret = EESP_ERR_CRYPTO;
    return finish_open(ctx, ret, out, count);
}

static int gmac_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                        const uint8_t *aad, size_t aad_length,
                        const uint8_t *in, size_t length, uint8_t *out,
                        const uint8_t *icv)
{
    struct iovec part = {out, length};

    return gmac_decrypt_parts(key, nonce, aad, aad_length, in, &part, 1, icv);
}

#define siv_decrypt_parts NULL

static void openssl_close(void *key)
{
    struct openssl_key *k = key;

    EVP_CIPHER_CTX_free(k->ctx);
    k->ctx = NULL;
}

#define BACKEND(_name, _text, _id, _bytes, _cipher, _code, _one_piece)  \
    static const char *_name##_missing(void)                            \
    {                                                                   \
        return missing(_cipher);                                        \
    }                                                                   \
    static int _name##_open(void *key)                                  \
    {                                                                   \
        return open_key(key, _cipher);                                  \
    }                                                                   \
    const struct eesp_aead eesp_aead_openssl_##_name = {                \
        .id         = _id,                                              \
        .name       = _text,                                            \
        .backend    = "openssl",                                        \
        .key_length = _bytes,                                           \
        .key_size   = sizeof(struct openssl_key),                       \
        .one_piece  = _one_piece,                                       \
        .missing    = _name##_missing,                                  \
        .open       = _name##_open,                                     \
        .expand     = openssl_expand,                                   \
        .forget     = openssl_forget,                                   \
        .seal       = _code##_seal,                                     \
        .decrypt    = _code##_decrypt,                                  \
        .decrypt_parts = _code##_decrypt_parts,                         \
        .close      = openssl_close,                                    \
    };

BACKEND(aes_128_gcm, "aes-128-gcm", EESP_AEAD_AES_128_GCM, 16, AES_128_GCM,
        openssl, 0)
BACKEND(aes_256_gcm, "aes-256-gcm", EESP_AEAD_AES_256_GCM, 32, AES_256_GCM,
        openssl, 0)
BACKEND(chacha20_poly1305, "chacha20-poly1305", EESP_AEAD_CHACHA20_POLY1305,
        32, CHACHA20_POLY1305, openssl, 0)
BACKEND(aes_256_gcm_siv, "aes-256-gcm-siv", EESP_AEAD_AES_256_GCM_SIV, 32,
        AES_256_GCM_SIV, siv, 1)
BACKEND(aes_256_gmac, "aes-256-gmac", EESP_AEAD_AES_256_GMAC, 32, AES_256_GCM,
        gmac, 0)
