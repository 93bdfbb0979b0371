/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SP 800-108r1 counter mode with CMAC-AES-256 (SP 800-38B) as PRF and an 8-bit
 * counter. The up to four CMACs of one output differ in their first byte only,
 * so they run side by side: one AES call per block of input, not per block and
 * output. libcrypto's EVP_KDF takes 40 times as long (bench/kdf).
 */
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "bytes.h"
#include "context.h"
#include "eesp.h"
#include "kdf.h"

enum { BLOCK = 16, BLOCKS_MAX = EESP_DERIVE_MAX / BLOCK };

struct cmac_state {
    EVP_CIPHER_CTX *ecb;
    uint8_t         k1[BLOCK], k2[BLOCK]; /* subkeys of SP 800-38B, 6.1 */
};

static EVP_CIPHER *aes_256_ecb;
static pthread_once_t aes_once = PTHREAD_ONCE_INIT;

/* Kept for the life of the process: a fetch costs as much as 20 packets. */
static void fetch_aes(void)
{
    aes_256_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
}

static int encrypt(struct cmac_state *s, uint8_t *blocks, int length)
{
    int done;

    return EVP_EncryptUpdate(s->ecb, blocks, &done, blocks, length) == 1 &&
                   done == length ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

static int cmac_open(void *state)
{
    struct cmac_state *s = state;

    pthread_once(&aes_once, fetch_aes);
    memset(s, 0, sizeof(*s));
    if (aes_256_ecb == NULL)
        return EESP_ERR_CRYPTO;
    s->ecb = EVP_CIPHER_CTX_new();
    return s->ecb ? EESP_OK : EESP_ERR_MEMORY;
}

/* Doubling in GF(2^128), without a branch on secret bits. */
static void double_block(const uint8_t in[BLOCK], uint8_t out[BLOCK])
{
    uint8_t carry = in[0] >> 7;
    int i;

    for (i = 0; i < BLOCK - 1; i++)
        out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
    out[BLOCK - 1] = (uint8_t)(in[BLOCK - 1] << 1 ^ (0x87 & -carry));
}

static int cmac_key(void *state, const uint8_t *key)
{
    struct cmac_state *s = state;
    uint8_t zero[BLOCK]  = {0};
    int ret              = EESP_ERR_CRYPTO;

    if (EVP_EncryptInit_ex2(s->ecb, aes_256_ecb, key, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(s->ecb, 0) != 1)
        goto out;
    ret = encrypt(s, zero, sizeof(zero));
    double_block(zero, s->k1);
    double_block(s->k1, s->k2);
out:
    explicit_bzero(zero, sizeof(zero));
    return ret;
}

static int cmac_derive(void *state, const char label[2],
                       const uint8_t *context, size_t context_length,
                       uint8_t *out, size_t length)
{
    struct cmac_state *s = state;
    uint8_t message[BLOCK + 2 + 1 + EESP_CONTEXT_MAX + 2 + BLOCK];
    uint8_t chain[BLOCKS_MAX * BLOCK] = {0};
    size_t n     = (length + BLOCK - 1) / BLOCK;
    size_t size  = 1 + 2 + 1 + context_length + 2;
    size_t whole = (size + BLOCK - 1) / BLOCK * BLOCK;
    const uint8_t *subkey = s->k1;
    size_t offset, i, j;
    int ret = EESP_ERR_ARGUMENT;

    if (n == 0 || n > BLOCKS_MAX || context_length > EESP_CONTEXT_MAX)
        goto out;
    message[0] = 0; /* the counter goes in below */
    memcpy(message + 1, label, 2);
    message[3] = 0;
    if (context_length > 0)
        memcpy(message + 4, context, context_length);
    store16(message + 4 + context_length, (uint16_t)(8 * length));
    if (size < whole) {
        memset(message + size, 0, whole - size);
        message[size] = 0x80;
        subkey        = s->k2;
    }
    for (j = 0; j < BLOCK; j++)
        message[whole - BLOCK + j] ^= subkey[j];

    for (offset = 0; offset < whole; offset += BLOCK) {
        for (i = 0; i < n; i++)
            for (j = 0; j < BLOCK; j++)
                chain[i * BLOCK + j] ^= message[offset + j];
        if (offset == 0)
            for (i = 0; i < n; i++)
                chain[i * BLOCK] ^= (uint8_t)(i + 1);
        ret = encrypt(s, chain, (int)(n * BLOCK));
        if (ret != EESP_OK)
            goto out;
    }
    memcpy(out, chain, length);
out:
    /* The last block of message has a subkey in it. */
    explicit_bzero(message, sizeof(message));
    explicit_bzero(chain, sizeof(chain));
    return ret;
}

/* libcrypto cleanses its own key schedule. */
static void cmac_close(void *state)
{
    struct cmac_state *s = state;

    EVP_CIPHER_CTX_free(s->ecb);
    explicit_bzero(s, sizeof(*s));
}

const struct eesp_kdf eesp_kdf_cmac_aes256 = {
    .id         = EESP_KDF_CMAC_AES256,
    .name       = "cmac-aes256",
    .key_length = 32,
    .state_size = sizeof(struct cmac_state),
    .open       = cmac_open,
    .key        = cmac_key,
    .derive     = cmac_derive,
    .close      = cmac_close,
};
