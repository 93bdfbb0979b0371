/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM (SP 800-38D) by intel-ipsec-mb, through its direct calls: the
 * job interface only adds to the time of a packet. One object per instruction
 * set, so that each can be chosen and tested on one CPU.
 */
#include "eesp_config.h"

#include "aead.h"
#include "eesp.h"

#ifdef HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#include "wire.h"

struct ipsecmb_key {
    struct gcm_key_data      expanded __attribute__((aligned(64)));
    struct gcm_context_data  stream;
    const IMB_MGR           *mgr;
};

enum isa { AVX512, AVX2, SSE, ISAS };

/* Tables of code pointers, made once and never changed: threads share them. */
static const struct {
    uint64_t    features;
    void (*init)(IMB_MGR *mgr);
    const char *missing;
} isa_table[ISAS] = {
    [AVX512] = {IMB_CPUFLAGS_AVX512, init_mb_mgr_avx512,
                "CPU has no AVX-512"},
    [AVX2]   = {IMB_CPUFLAGS_AVX2, init_mb_mgr_avx2, "CPU has no AVX2"},
    [SSE]    = {IMB_CPUFLAGS_SSE, init_mb_mgr_sse,
                "CPU has no AES-NI or PCLMULQDQ"},
};
static IMB_MGR *manager[ISAS];
static pthread_once_t manager_once = PTHREAD_ONCE_INIT;

static void make_managers(void)
{
    uint64_t have;
    int i;

    for (i = 0; i < ISAS; i++) {
        IMB_MGR *mgr = alloc_mb_mgr(0);

        if (mgr == NULL)
            continue;
        have = mgr->features;
        if ((have & isa_table[i].features) == isa_table[i].features) {
            isa_table[i].init(mgr);
            if (imb_get_errno(mgr) == 0)
                manager[i] = mgr;
        }
        if (manager[i] == NULL)
            free_mb_mgr(mgr);
    }
}

static const char *missing(enum isa isa)
{
    pthread_once(&manager_once, make_managers);
    return manager[isa] ? NULL : isa_table[isa].missing;
}

static int open_key(void *key, enum isa isa)
{
    struct ipsecmb_key *k = key;

    if (missing(isa) != NULL)
        return EESP_ERR_UNSUPPORTED;
    memset(k, 0, sizeof(*k));
    k->mgr = manager[isa];
    return EESP_OK;
}

static int ipsecmb_expand(void *key, const uint8_t *bytes)
{
    struct ipsecmb_key *k = key;

    IMB_AES256_GCM_PRE(k->mgr, bytes, &k->expanded);
    return EESP_OK;
}

static int ipsecmb_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                        const uint8_t *aad, size_t aad_length,
                        const struct iovec *in, unsigned count, uint8_t *out,
                        uint8_t *icv)
{
    struct ipsecmb_key *k = key;
    unsigned i;

    if (count == 1) {
        IMB_AES256_GCM_ENC(k->mgr, &k->expanded, &k->stream, out,
                           in[0].iov_base, in[0].iov_len, nonce, aad,
                           aad_length, icv, EESP_ICV_LEN);
        return EESP_OK;
    }
    IMB_AES256_GCM_INIT(k->mgr, &k->expanded, &k->stream, nonce, aad,
                        aad_length);
    for (i = 0; i < count; i++) {
        if (in[i].iov_len == 0)
            continue;
        IMB_AES256_GCM_ENC_UPDATE(k->mgr, &k->expanded, &k->stream, out,
                                  in[i].iov_base, in[i].iov_len);
        out += in[i].iov_len;
    }
    IMB_AES256_GCM_ENC_FINALIZE(k->mgr, &k->expanded, &k->stream, icv,
                                EESP_ICV_LEN);
    return EESP_OK;
}

static int ipsecmb_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                           const uint8_t *aad, size_t aad_length,
                           const uint8_t *in, size_t length, uint8_t *out,
                           const uint8_t *icv)
{
    struct ipsecmb_key *k = key;
    uint8_t expected[EESP_ICV_LEN];
    int ret = EESP_OK;

    IMB_AES256_GCM_DEC(k->mgr, &k->expanded, &k->stream, out, in, length,
                       nonce, aad, aad_length, expected, EESP_ICV_LEN);
    if (CRYPTO_memcmp(expected, icv, EESP_ICV_LEN) != 0) {
        explicit_bzero(out, length);
        ret = EESP_DROP_AUTH;
    }
    explicit_bzero(expected, sizeof(expected));
    return ret;
}

static void ipsecmb_close(void *key)
{
    explicit_bzero(key, sizeof(struct ipsecmb_key));
}

#define KEY_SIZE sizeof(struct ipsecmb_key)

#else /* without ipsec-mb the objects stay, and say what is missing */

enum isa { AVX512, AVX2, SSE };

static const char *missing(enum isa isa)
{
    (void)isa;
    return "built without intel-ipsec-mb";
}

static int open_key(void *key, enum isa isa)
{
    (void)key;
    (void)isa;
    return EESP_ERR_UNSUPPORTED;
}

#define KEY_SIZE       0
#define ipsecmb_expand NULL
#define ipsecmb_seal   NULL
#define ipsecmb_decrypt NULL
#define ipsecmb_close  NULL

#endif

#define BACKEND(_isa, _lower)                                    \
    static const char *_lower##_missing(void)                    \
    {                                                            \
        return missing(_isa);                                    \
    }                                                            \
    static int _lower##_open(void *key)                          \
    {                                                            \
        return open_key(key, _isa);                              \
    }                                                            \
    const struct eesp_aead eesp_aead_ipsecmb_##_lower = {        \
        .id         = EESP_AEAD_AES_256_GCM,                     \
        .name       = "aes-256-gcm",                             \
        .backend    = "ipsec-mb-" #_lower,                       \
        .key_length = 32,                                        \
        .key_size   = KEY_SIZE,                                  \
        .missing    = _lower##_missing,                          \
        .open       = _lower##_open,                             \
        .expand     = ipsecmb_expand,                            \
        .seal       = ipsecmb_seal,                              \
        .decrypt    = ipsecmb_decrypt,                           \
        .close      = ipsecmb_close,                             \
    };

BACKEND(AVX512, avx512)
BACKEND(AVX2, avx2)
BACKEND(SSE, sse)
