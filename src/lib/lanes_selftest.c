/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel of lanes.h against libcrypto, bit for bit: one to eight packets of
 * all kinds of lengths, sealed, opened, and refused after a bit has changed.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "eesp.h"
#include "kdf.h"
#include "lanes.h"
#include "secret.h"
#include "wire.h"

enum { KEY = 32, NONCE = 12, MESSAGE_MAX = EESP_LANES_MESSAGE - 1 };

struct packet {
    uint8_t  message[MESSAGE_MAX + 1]; /* of the KDF, without its padding */
    uint8_t  aad[EESP_LANES_AAD], iv[EESP_AES_BLOCK];
    uint8_t  plain[EESP_LANES_DATA], cipher[EESP_LANES_DATA];
    uint8_t  icv[EESP_ICV_LEN];
    unsigned length;
};

struct test {
    EVP_MAC_CTX    *mac;
    EVP_CIPHER_CTX *gcm;
    struct eesp_lanes *w;
    void           *state; /* of eesp_kdf_cmac_aes256 */
    size_t          size;  /* of message */
    unsigned        aad_length, packets;
    struct packet   packet[EESP_LANES];
};

/* Any bytes will do, so long as they differ. */
static void fill(uint8_t *out, size_t n, unsigned *seed)
{
    for (; n > 0; n--) {
        *seed = *seed * 1103515245 + 12345;
        *out++ = (uint8_t)(*seed >> 16);
    }
}

/* What libcrypto makes of a packet. */
static int expect(struct test *t, const uint8_t kdk[KEY], struct packet *p)
{
    uint8_t out[3 * EESP_AES_BLOCK];
    unsigned i, ok = 1;
    size_t size;
    int n;

    for (i = 0; i < 3; i++) {
        p->message[0] = (uint8_t)(i + 1);
        ok &= EVP_MAC_init(t->mac, kdk, KEY, NULL) == 1 &&
              EVP_MAC_update(t->mac, p->message, t->size) == 1 &&
              EVP_MAC_final(t->mac, out + EESP_AES_BLOCK * i, &size,
                            EESP_AES_BLOCK) == 1;
    }
    p->message[0] = 0;
    for (i = 0; i < NONCE; i++)
        out[KEY + i] ^= p->iv[i];
    ok &= EVP_EncryptInit_ex2(t->gcm, NULL, out, out + KEY, NULL) == 1 &&
          EVP_EncryptUpdate(t->gcm, NULL, &n, p->aad,
                            (int)t->aad_length) == 1 &&
          EVP_EncryptUpdate(t->gcm, p->cipher, &n, p->plain,
                            (int)p->length) == 1 &&
          EVP_EncryptFinal_ex(t->gcm, p->cipher + n, &n) == 1 &&
          EVP_CIPHER_CTX_ctrl(t->gcm, EVP_CTRL_AEAD_GET_TAG, EESP_ICV_LEN,
                              p->icv) == 1;
    explicit_bzero(out, sizeof(out));
    return ok;
}

static void stage(struct test *t, int cipher)
{
    struct eesp_lanes *w = t->w;
    unsigned i;

    w->packets        = t->packets;
    w->message_blocks = (unsigned)((t->size + EESP_AES_BLOCK - 1) /
                                   EESP_AES_BLOCK);
    w->aad_length     = t->aad_length;
    for (i = 0; i < t->packets; i++) {
        struct eesp_lanes_packet *to = &w->packet[i];
        const struct packet *p       = &t->packet[i];

        memset(to->message, 0, sizeof(to->message));
        memcpy(to->message, p->message, t->size);
        if (t->size % EESP_AES_BLOCK != 0)
            to->message[t->size] = 0x80;
        memset(to->aad, 0, sizeof(to->aad));
        memcpy(to->aad, p->aad, t->aad_length);
        memcpy(to->iv, p->iv, NONCE);
        memset(to->data, 0xa5, sizeof(to->data)); /* behind data: anything */
        memcpy(to->data, cipher ? p->cipher : p->plain, p->length);
        memcpy(to->icv, p->icv, EESP_ICV_LEN);
        to->length = p->length;
    }
}

/* Whether packet i holds data; nothing: none of it, after a refusal. */
static int holds(const struct test *t, unsigned i, const uint8_t *data)
{
    static const uint8_t nothing[EESP_LANES_DATA];

    return memcmp(t->w->packet[i].data, data ? data : nothing,
                  t->packet[i].length) == 0;
}

static int agrees(struct test *t, const struct eesp_lanes_keys *keys)
{
    unsigned i, victim = t->packets / 2;
    int ok = 1;

    stage(t, 0);
    eesp_lanes_seal(t->w, keys);
    for (i = 0; i < t->packets; i++)
        ok &= holds(t, i, t->packet[i].cipher) &&
              memcmp(t->w->packet[i].icv, t->packet[i].icv,
                     EESP_ICV_LEN) == 0;
    stage(t, 1);
    ok &= eesp_lanes_decrypt(t->w, keys) == 0;
    for (i = 0; i < t->packets; i++)
        ok &= holds(t, i, t->packet[i].plain);
    stage(t, 1);
    t->w->packet[victim].icv[15] ^= 1;
    ok &= eesp_lanes_decrypt(t->w, keys) == 1u << victim;
    for (i = 0; i < t->packets; i++)
        ok &= holds(t, i, i == victim ? NULL : t->packet[i].plain);
    return ok;
}

static int run(struct test *t)
{
    static const size_t sizes[] = {46, 54, 48};
    static const unsigned aads[] = {36, 48, 64, 13};
    uint8_t kdk[KEY];
    struct eesp_lanes_keys keys;
    unsigned seed = 1, round, i;
    int ok = 1;

    for (round = 0; round < 3 * EESP_LANES && ok; round++) {
        t->size       = sizes[round % 3];
        t->aad_length = aads[round % 4];
        t->packets    = round % EESP_LANES + 1;
        fill(kdk, sizeof(kdk), &seed);
        ok = eesp_kdf_cmac_aes256.key(t->state, kdk) == EESP_OK &&
             eesp_kdf_cmac_keys(t->state, t->size, &keys);
        for (i = 0; i < t->packets && ok; i++) {
            struct packet *p = &t->packet[i];

            fill((uint8_t *)p, offsetof(struct packet, length), &seed);
            p->message[0] = 0;
            p->length = (round * 37 + i * 52 + 4) % (EESP_LANES_DATA + 1);
            ok        = expect(t, kdk, p);
        }
        ok = ok && agrees(t, &keys);
    }
    explicit_bzero(kdk, sizeof(kdk));
    return ok;
}

int eesp_lanes_selftest(void)
{
    OSSL_PARAM cipher[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER,
                                         (char *)(uintptr_t)"AES-256-CBC", 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *cmac      = NULL;
    EVP_CIPHER *aead   = NULL;
    struct test *t;
    int ret = EESP_ERR_MEMORY;

    if (!eesp_lanes_cpu())
        return EESP_ERR_UNSUPPORTED;
    t = eesp_secret_alloc(sizeof(*t));
    if (t == NULL)
        return ret;
    cmac     = EVP_MAC_fetch(NULL, "CMAC", NULL);
    aead     = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    t->mac   = EVP_MAC_CTX_new(cmac);
    t->gcm   = EVP_CIPHER_CTX_new();
    t->w     = eesp_secret_alloc(sizeof(*t->w));
    t->state = eesp_secret_alloc(eesp_kdf_cmac_aes256.state_size);
    if (t->mac != NULL && t->gcm != NULL && t->w != NULL &&
        t->state != NULL && aead != NULL &&
        EVP_MAC_CTX_set_params(t->mac, cipher) == 1 &&
        EVP_EncryptInit_ex2(t->gcm, aead, NULL, NULL, NULL) == 1 &&
        eesp_kdf_cmac_aes256.open(t->state) == EESP_OK) {
        ret = run(t) ? EESP_OK : EESP_ERR_CRYPTO;
        eesp_kdf_cmac_aes256.close(t->state);
    }
    eesp_secret_free(t->state, eesp_kdf_cmac_aes256.state_size);
    eesp_secret_free(t->w, sizeof(*t->w));
    EVP_CIPHER_CTX_free(t->gcm);
    EVP_MAC_CTX_free(t->mac);
    EVP_CIPHER_free(aead);
    EVP_MAC_free(cmac);
    eesp_secret_free(t, sizeof(*t));
    return ret;
}
