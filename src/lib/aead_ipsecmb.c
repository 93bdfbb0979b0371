/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-GCM and GMAC (SP 800-38D) and ChaCha20-Poly1305 (RFC 8439) by
 * intel-ipsec-mb, through its direct calls: the job interface only adds to the
 * time of a packet. One object per algorithm and instruction set, so that each
 * can be chosen and tested on one CPU.
 */
#include "eesp_config.h"

#include "aead.h"
#include "eesp.h"
#include "fips.h"

enum isa { AVX512, AVX2, SSE, ISAS };

#ifdef HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <string.h>

#include "lines.h"
#include "secret.h"
#include "wire.h"

/* The calls of one AES key size. */
struct gcm_calls {
    aes_gcm_pre_t              pre;
    aes_gcm_enc_dec_t          enc, dec;
    aes_gcm_init_t             init;
    aes_gcm_enc_dec_update_t   enc_update, dec_update;
    aes_gcm_enc_dec_finalize_t enc_finalize, dec_finalize;
    size_t                     step; /* bytes, of seal_steps */
};

struct gcm_key {
    struct gcm_key_data      expanded __attribute__((aligned(64)));
    struct gcm_context_data  stream;
    const struct gcm_calls  *calls;
    const IMB_MGR           *mgr;
};

struct chacha_key {
    uint8_t bytes[32];
    struct chacha20_poly1305_context_data stream;
    const IMB_MGR *mgr;
};

/* Tables of code pointers, made once and never changed: threads share them. */
static const struct {
    uint64_t    features;
    void (*init)(IMB_MGR *mgr);
    const char *missing;
    size_t      step; /* while it is sealed, the lines of as much come */
} isa_table[ISAS] = {
    [AVX512] = {IMB_CPUFLAGS_AVX512, init_mb_mgr_avx512,
                "CPU has no AVX-512", 2048},
    [AVX2]   = {IMB_CPUFLAGS_AVX2, init_mb_mgr_avx2, "CPU has no AVX2", 1024},
    [SSE]    = {IMB_CPUFLAGS_SSE, init_mb_mgr_sse,
                "CPU has no AES-NI or PCLMULQDQ", 1024},
};
static IMB_MGR *manager[ISAS];
static struct gcm_calls gcm_128[ISAS], gcm_256[ISAS];
static pthread_once_t manager_once = PTHREAD_ONCE_INIT;

#define GCM_CALLS(_mgr, _bits, _step)                                   \
    ((struct gcm_calls){                                                \
        .pre          = (_mgr)->gcm##_bits##_pre,                       \
        .enc          = (_mgr)->gcm##_bits##_enc,                       \
        .dec          = (_mgr)->gcm##_bits##_dec,                       \
        .init         = (_mgr)->gcm##_bits##_init,                      \
        .enc_update   = (_mgr)->gcm##_bits##_enc_update,                \
        .dec_update   = (_mgr)->gcm##_bits##_dec_update,                \
        .enc_finalize = (_mgr)->gcm##_bits##_enc_finalize,              \
        .dec_finalize = (_mgr)->gcm##_bits##_dec_finalize,              \
        .step         = (_step),                                        \
    })

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
        if (manager[i] == NULL) {
            free_mb_mgr(mgr);
            continue;
        }
        gcm_128[i] = GCM_CALLS(mgr, 128, isa_table[i].step);
        gcm_256[i] = GCM_CALLS(mgr, 256, isa_table[i].step);
    }
}

static const char *missing(enum isa isa)
{
    if (eesp_fips_missing() != NULL)
        return eesp_fips_missing();
    pthread_once(&manager_once, make_managers);
    return manager[isa] ? NULL : isa_table[isa].missing;
}

/* EESP_DROP_AUTH and empty parts unless the two ICVs are the same. */
static int check_parts(uint8_t expected[EESP_ICV_LEN], const uint8_t *icv,
                       const struct iovec *parts, unsigned count)
{
    int ret = EESP_OK;

    if (!eesp_same(expected, icv, EESP_ICV_LEN)) {
        eesp_aead_wipe_parts(parts, count);
        ret = EESP_DROP_AUTH;
    }
    explicit_bzero(expected, EESP_ICV_LEN);
    return ret;
}

static int check_icv(uint8_t expected[EESP_ICV_LEN], const uint8_t *icv,
                     uint8_t *out, size_t length)
{
    struct iovec part = {out, length};

    return check_parts(expected, icv, &part, 1);
}

/* ---- AES-GCM ------------------------------------------------------------ */

static int open_gcm(void *key, enum isa isa, const struct gcm_calls *calls)
{
    struct gcm_key *k = key;

    if (missing(isa) != NULL)
        return EESP_ERR_UNSUPPORTED;
    memset(k, 0, sizeof(*k));
    k->calls = &calls[isa];
    k->mgr   = manager[isa];
    return EESP_OK;
}

static int gcm_expand(void *key, const uint8_t *bytes)
{
    struct gcm_key *k = key;

    k->calls->pre(bytes, &k->expanded);
    return EESP_OK;
}

static void gcm_forget(void *key)
{
    struct gcm_key *k = key;

    explicit_bzero(&k->expanded, sizeof(k->expanded));
    explicit_bzero(&k->stream, sizeof(k->stream));
}

static int gcm_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                    const uint8_t *aad, size_t aad_length,
                    const struct iovec *in, unsigned count, uint8_t *out,
                    uint8_t *icv)
{
    struct gcm_key *k = key;
    unsigned i;

    if (count == 1) {
        k->calls->enc(&k->expanded, &k->stream, out, in[0].iov_base,
                      in[0].iov_len, nonce, aad, aad_length, icv,
                      EESP_ICV_LEN);
        return EESP_OK;
    }
    k->calls->init(&k->expanded, &k->stream, nonce, aad, aad_length);
    for (i = 0; i < count; i++) {
        if (in[i].iov_len == 0)
            continue;
        k->calls->enc_update(&k->expanded, &k->stream, out, in[i].iov_base,
                             in[i].iov_len);
        out += in[i].iov_len;
    }
    k->calls->enc_finalize(&k->expanded, &k->stream, icv, EESP_ICV_LEN);
    return EESP_OK;
}

static int gcm_seal_steps(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                          const uint8_t *aad, size_t aad_length,
                          const struct iovec *in, unsigned count, uint8_t *out,
                          uint8_t *icv)
{
    struct gcm_key *k = key;
    size_t step       = k->calls->step, all = 0;
    unsigned i;

    for (i = 0; i < count; i++)
        all += in[i].iov_len;
    eesp_lines_write(out, all < step ? all : step);
    k->calls->init(&k->expanded, &k->stream, nonce, aad, aad_length);
    for (i = 0; i < count; i++) {
        const uint8_t *from = in[i].iov_base;
        size_t left = in[i].iov_len, n;

        for (; left > 0; left -= n, from += n, out += n) {
            n    = left < step ? left : step;
            all -= n;
            eesp_lines_write(out + n, all < step ? all : step);
            k->calls->enc_update(&k->expanded, &k->stream, out, from, n);
        }
    }
    k->calls->enc_finalize(&k->expanded, &k->stream, icv, EESP_ICV_LEN);
    return EESP_OK;
}

static int gcm_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                       const uint8_t *aad, size_t aad_length,
                       const uint8_t *in, size_t length, uint8_t *out,
                       const uint8_t *icv)
{
    struct gcm_key *k = key;
    uint8_t expected[EESP_ICV_LEN];

    k->calls->dec(&k->expanded, &k->stream, out, in, length, nonce, aad,
                  aad_length, expected, EESP_ICV_LEN);
    return check_icv(expected, icv, out, length);
}

/* As much of the next part as comes while the AEAD is at the one before. */
static size_t near_length(const struct iovec *out, unsigned count, unsigned i)
{
    enum { NEAR_MAX = 4096 };

    if (i >= count)
        return 0;
    return out[i].iov_len < NEAR_MAX ? out[i].iov_len : NEAR_MAX;
}

static int gcm_decrypt_parts(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                             const uint8_t *aad, size_t aad_length,
                             const uint8_t *in, const struct iovec *out,
                             unsigned count, const uint8_t *icv)
{
    struct gcm_key *k = key;
    uint8_t expected[EESP_ICV_LEN];
    unsigned i;

    eesp_lines_read(in, near_length(out, count, 0));
    k->calls->init(&k->expanded, &k->stream, nonce, aad, aad_length);
    for (i = 0; i < count; i++) {
        if (out[i].iov_len == 0)
            continue;
        eesp_lines_read(in + out[i].iov_len,
                        near_length(out, count, i + 1));
        k->calls->dec_update(&k->expanded, &k->stream, out[i].iov_base, in,
                             out[i].iov_len);
        in += out[i].iov_len;
    }
    k->calls->dec_finalize(&k->expanded, &k->stream, expected, EESP_ICV_LEN);
    return check_parts(expected, icv, out, count);
}

static void gcm_close(void *key)
{
    explicit_bzero(key, sizeof(struct gcm_key));
}

/* ---- GMAC: everything is associated data -------------------------------- */

static void gmac(struct gcm_key *k, const uint8_t nonce[EESP_NONCE_LEN],
                 const uint8_t *aad, size_t aad_length, const struct iovec *in,
                 unsigned count, uint8_t icv[EESP_ICV_LEN])
{
    unsigned i;

    IMB_AES256_GMAC_INIT(k->mgr, &k->expanded, &k->stream, nonce,
                         EESP_NONCE_LEN);
    if (aad_length > 0)
        IMB_AES256_GMAC_UPDATE(k->mgr, &k->expanded, &k->stream, aad,
                               aad_length);
    for (i = 0; i < count; i++)
        if (in[i].iov_len > 0)
            IMB_AES256_GMAC_UPDATE(k->mgr, &k->expanded, &k->stream,
                                   in[i].iov_base, in[i].iov_len);
    IMB_AES256_GMAC_FINALIZE(k->mgr, &k->expanded, &k->stream, icv,
                             EESP_ICV_LEN);
}

static int gmac_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                     const uint8_t *aad, size_t aad_length,
                     const struct iovec *in, unsigned count, uint8_t *out,
                     uint8_t *icv)
{
    gmac(key, nonce, aad, aad_length, in, count, icv);
    eesp_aead_gather(in, count, out);
    return EESP_OK;
}

/* The copy is what is looked at: in may change meanwhile. */
static int gmac_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                        const uint8_t *aad, size_t aad_length,
                        const uint8_t *in, size_t length, uint8_t *out,
                        const uint8_t *icv)
{
    struct iovec copy = {out, length};
    uint8_t expected[EESP_ICV_LEN];

    if (length > 0)
        memcpy(out, in, length);
    gmac(key, nonce, aad, aad_length, &copy, 1, expected);
    return check_icv(expected, icv, out, length);
}

static int gmac_decrypt_parts(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                              const uint8_t *aad, size_t aad_length,
                              const uint8_t *in, const struct iovec *out,
                              unsigned count, const uint8_t *icv)
{
    uint8_t expected[EESP_ICV_LEN];

    eesp_aead_scatter(in, out, count);
    gmac(key, nonce, aad, aad_length, out, count, expected);
    return check_parts(expected, icv, out, count);
}

/* ---- ChaCha20-Poly1305 -------------------------------------------------- */

static int open_chacha(void *key, enum isa isa, const struct gcm_calls *unused)
{
    struct chacha_key *k = key;

    (void)unused;
    if (missing(isa) != NULL)
        return EESP_ERR_UNSUPPORTED;
    memset(k, 0, sizeof(*k));
    k->mgr = manager[isa];
    return EESP_OK;
}

static int chacha_expand(void *key, const uint8_t *bytes)
{
    struct chacha_key *k = key;

    memcpy(k->bytes, bytes, sizeof(k->bytes));
    /* Keystream and Poly1305 key of the old key's last packet. */
    explicit_bzero(&k->stream, sizeof(k->stream));
    return EESP_OK;
}

static void chacha_forget(void *key)
{
    struct chacha_key *k = key;

    explicit_bzero(k->bytes, sizeof(k->bytes));
    explicit_bzero(&k->stream, sizeof(k->stream));
}

static int chacha_seal(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                       const uint8_t *aad, size_t aad_length,
                       const struct iovec *in, unsigned count, uint8_t *out,
                       uint8_t *icv)
{
    struct chacha_key *k = key;
    unsigned i;

    IMB_CHACHA20_POLY1305_INIT(k->mgr, k->bytes, &k->stream, nonce, aad,
                               aad_length);
    for (i = 0; i < count; i++) {
        if (in[i].iov_len == 0)
            continue;
        IMB_CHACHA20_POLY1305_ENC_UPDATE(k->mgr, k->bytes, &k->stream, out,
                                         in[i].iov_base, in[i].iov_len);
        out += in[i].iov_len;
    }
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(k->mgr, &k->stream, icv, EESP_ICV_LEN);
    return EESP_OK;
}

static int chacha_decrypt_parts(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                                const uint8_t *aad, size_t aad_length,
                                const uint8_t *in, const struct iovec *out,
                                unsigned count, const uint8_t *icv)
{
    struct chacha_key *k = key;
    uint8_t expected[EESP_ICV_LEN];
    unsigned i;

    IMB_CHACHA20_POLY1305_INIT(k->mgr, k->bytes, &k->stream, nonce, aad,
                               aad_length);
    for (i = 0; i < count; i++) {
        if (out[i].iov_len == 0)
            continue;
        IMB_CHACHA20_POLY1305_DEC_UPDATE(k->mgr, k->bytes, &k->stream,
                                         out[i].iov_base, in, out[i].iov_len);
        in += out[i].iov_len;
    }
    IMB_CHACHA20_POLY1305_DEC_FINALIZE(k->mgr, &k->stream, expected,
                                       EESP_ICV_LEN);
    return check_parts(expected, icv, out, count);
}

static int chacha_decrypt(void *key, const uint8_t nonce[EESP_NONCE_LEN],
                          const uint8_t *aad, size_t aad_length,
                          const uint8_t *in, size_t length, uint8_t *out,
                          const uint8_t *icv)
{
    struct iovec part = {out, length};

    return chacha_decrypt_parts(key, nonce, aad, aad_length, in, &part, 1, icv);
}

static void chacha_close(void *key)
{
    explicit_bzero(key, sizeof(struct chacha_key));
}

#define SIZE_OF(_type) sizeof(struct _type)

#else /* without ipsec-mb the objects stay, and say what is missing */

struct gcm_calls;

static const char *missing(enum isa isa)
{
    (void)isa;
    return "built without intel-ipsec-mb";
}

static int open_none(void *key, enum isa isa, const struct gcm_calls *calls)
{
    (void)key;
    (void)isa;
    (void)calls;
    return EESP_ERR_UNSUPPORTED;
}

#define SIZE_OF(_type) 0
#define open_gcm       open_none
#define open_chacha    open_none
#define gcm_128        NULL
#define gcm_256        NULL
#define gcm_expand     NULL
#define gcm_forget     NULL
#define gcm_seal       NULL
#define gcm_decrypt    NULL
#define gcm_close      NULL
#define gmac_seal      NULL
#define gmac_decrypt   NULL
#define gcm_decrypt_parts    NULL
#define gcm_seal_steps       NULL
#define gmac_decrypt_parts   NULL
#define chacha_decrypt_parts NULL
#define chacha_expand  NULL
#define chacha_forget  NULL
#define chacha_seal    NULL
#define chacha_decrypt NULL
#define chacha_close   NULL

#endif

#define gmac_seal_steps   NULL
#define chacha_seal_steps NULL

/*
 * _name, _id, _bytes of the key; _calls by key size; _state: functions that
 * hold the key, _code: those that use it.
 */
#define BACKEND(_name, _text, _id, _bytes, _calls, _state, _code, _isa,     \
                _lower)                                                     \
    static int _name##_##_lower##_open(void *key)                           \
    {                                                                       \
        return open_##_state(key, _isa, _calls);                            \
    }                                                                       \
    const struct eesp_aead eesp_aead_ipsecmb_##_name##_##_lower = {         \
        .id         = _id,                                                  \
        .name       = _text,                                                \
        .backend    = "ipsec-mb-" #_lower,                                  \
        .key_length = _bytes,                                               \
        .key_size   = SIZE_OF(_state##_key),                                \
        .missing    = _lower##_missing,                                     \
        .open       = _name##_##_lower##_open,                              \
        .expand     = _state##_expand,                                      \
        .forget     = _state##_forget,                                      \
        .seal       = _code##_seal,                                         \
        .seal_steps = _code##_seal_steps,                                   \
        .decrypt    = _code##_decrypt,                                      \
        .decrypt_parts = _code##_decrypt_parts,                             \
        .close      = _state##_close,                                       \
    };

#define ISA(_isa, _lower)                                                   \
    static const char *_lower##_missing(void)                               \
    {                                                                       \
        return missing(_isa);                                               \
    }                                                                       \
    BACKEND(aes_128_gcm, "aes-128-gcm", EESP_AEAD_AES_128_GCM, 16, gcm_128, \
            gcm, gcm, _isa, _lower)                                         \
    BACKEND(aes_256_gcm, "aes-256-gcm", EESP_AEAD_AES_256_GCM, 32, gcm_256, \
            gcm, gcm, _isa, _lower)                                         \
    BACKEND(chacha20_poly1305, "chacha20-poly1305",                         \
            EESP_AEAD_CHACHA20_POLY1305, 32, NULL, chacha, chacha, _isa,    \
            _lower)                                                         \
    BACKEND(aes_256_gmac, "aes-256-gmac", EESP_AEAD_AES_256_GMAC, 32,       \
            gcm_256, gcm, gmac, _isa, _lower)

ISA(AVX512, avx512)
ISA(AVX2, avx2)
ISA(SSE, sse)
