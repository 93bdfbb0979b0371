/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aead: authenticated encryption as const objects, one per algorithm and
 * backend. An expanded key is memory of key_size bytes, aligned to 64.
 *
 *     aead->open(k);                  once, may allocate
 *     aead->expand(k, key);           set or change the key
 *     aead->seal(k, nonce, aad, n, iov, 2, out, icv);
 *     aead->forget(k);                wipes
 *     aead->close(k);                 wipes
 *
 * The objects: AES-GCM and GMAC (SP 800-38D), ChaCha20-Poly1305 (RFC 8439),
 * AES-GCM-SIV (RFC 8452). expand, seal and decrypt neither allocate nor lock;
 * one expanded key serves one thread at a time.
 */
#ifndef EESP_AEAD_H
#define EESP_AEAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define EESP_NONCE_LEN   12
#define EESP_AEAD_KEY_MAX 32

struct eesp_aead {
    uint8_t     id;   /* enum eesp_aead_id */
    const char *name; /* "aes-256-gcm", as in a keyring */
    const char *backend;
    size_t      key_length;
    size_t      key_size;
    int         one_piece; /* seal takes exactly one part */
    /* NULL if usable here, else what is missing; fixed for the process. */
    const char *(*missing)(void);
    int (*open)(void *k);
    int (*expand)(void *k, const uint8_t *key);
    /* No trace of the key stays; the next call is expand or close. */
    void (*forget)(void *k);
    /*
     * Concatenation of in -> out, 16 bytes of ICV -> icv. Without
     * confidentiality (GMAC) out is in, and as much associated data as aad.
     */
    int (*seal)(void *k, const uint8_t nonce[EESP_NONCE_LEN],
                const uint8_t *aad, size_t aad_length, const struct iovec *in,
                unsigned count, uint8_t *out, uint8_t *icv);
    /* seal where out is in another core's cache: step by step, and the lines
     * of the next step are asked for before. NULL: there is only seal. */
    int (*seal_steps)(void *k, const uint8_t nonce[EESP_NONCE_LEN],
                      const uint8_t *aad, size_t aad_length,
                      const struct iovec *in, unsigned count, uint8_t *out,
                      uint8_t *icv);
    /* in -> out. EESP_DROP_AUTH: icv does not fit, and out is wiped. */
    int (*decrypt)(void *k, const uint8_t nonce[EESP_NONCE_LEN],
                   const uint8_t *aad, size_t aad_length, const uint8_t *in,
                   size_t length, uint8_t *out, const uint8_t *icv);
    /*
     * decrypt of as many bytes as the count parts of out have; count is not 0.
     * NULL where the AEAD takes one piece only.
     */
    int (*decrypt_parts)(void *k, const uint8_t nonce[EESP_NONCE_LEN],
                         const uint8_t *aad, size_t aad_length,
                         const uint8_t *in, const struct iovec *out,
                         unsigned count, const uint8_t *icv);
    void (*close)(void *k);
};

/* Backend table, best first. NULL past its end. */
const struct eesp_aead *eesp_aead_at(unsigned index);

/*
 * Best usable backend for algorithm id whose name is, or begins with, backend
 * (NULL: any). NULL if there is none.
 */
const struct eesp_aead *eesp_aead_find(unsigned id, const char *backend);

/* By algorithm name, whichever backend: 0 if this build has none. */
unsigned eesp_aead_id_by_name(const char *name);

/* Known answers of one object, published ones: EESP_OK or EESP_ERR_x. */
int eesp_aead_selftest(const struct eesp_aead *aead);

/* Concatenation of in -> out. */
static inline void eesp_aead_gather(const struct iovec *in, unsigned count,
                                    uint8_t *out)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (in[i].iov_len > 0)
            memcpy(out, in[i].iov_base, in[i].iov_len);
        out += in[i].iov_len;
    }
}

/* in -> all bytes of out. */
static inline void eesp_aead_scatter(const uint8_t *in, const struct iovec *out,
                                     unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (out[i].iov_len > 0)
            memcpy(out[i].iov_base, in, out[i].iov_len);
        in += out[i].iov_len;
    }
}

static inline void eesp_aead_wipe_parts(const struct iovec *parts,
                                        unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++)
        explicit_bzero(parts[i].iov_base, parts[i].iov_len);
}

/* Takes the first length bytes out of parts, which have as many. */
static inline void eesp_aead_take(struct iovec *parts, size_t length,
                                  uint8_t *out)
{
    for (; length > 0; parts++) {
        size_t n = parts->iov_len < length ? parts->iov_len : length;

        if (n == 0)
            continue;
        memcpy(out, parts->iov_base, n);
        *parts = (struct iovec){(uint8_t *)parts->iov_base + n,
                                parts->iov_len - n};
        out    += n;
        length -= n;
    }
}

#define EESP_AEAD_IPSECMB(_name)                                   \
    extern const struct eesp_aead eesp_aead_ipsecmb_##_name##_avx512, \
        eesp_aead_ipsecmb_##_name##_avx2, eesp_aead_ipsecmb_##_name##_sse

EESP_AEAD_IPSECMB(aes_256_gcm);
EESP_AEAD_IPSECMB(aes_128_gcm);
EESP_AEAD_IPSECMB(chacha20_poly1305);
EESP_AEAD_IPSECMB(aes_256_gmac);
#undef EESP_AEAD_IPSECMB

extern const struct eesp_aead eesp_aead_openssl_aes_256_gcm;
extern const struct eesp_aead eesp_aead_openssl_aes_128_gcm;
extern const struct eesp_aead eesp_aead_openssl_chacha20_poly1305;
extern const struct eesp_aead eesp_aead_openssl_aes_256_gcm_siv;
extern const struct eesp_aead eesp_aead_openssl_aes_256_gmac;

#endif
