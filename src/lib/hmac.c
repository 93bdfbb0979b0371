/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libcrypto's EVP and HMAC objects duplicate a state by allocating (3.0), and
 * keep it in libcrypto's heap. Its SHA-2 functions proper take the state in our
 * memory: nothing of a key is ever in the heap. They are marked deprecated
 * since 3.0, and are there in every 3.x.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "hmac.h"

#include <openssl/sha.h>
#include <string.h>

#include "eesp.h"
#include "fips.h"

union state {
    SHA256_CTX s256;
    SHA512_CTX s512;
};

_Static_assert(sizeof(union state) <= sizeof(((struct eesp_hmac *)0)->inner),
               "struct eesp_hmac has no room for a hash state");

static size_t block_length(enum eesp_sha sha)
{
    return sha == EESP_SHA_256 ? SHA256_CBLOCK : SHA512_CBLOCK;
}

size_t eesp_hmac_length(enum eesp_sha sha)
{
    static const uint8_t lengths[] = {
        [EESP_SHA_256] = SHA256_DIGEST_LENGTH,
        [EESP_SHA_384] = SHA384_DIGEST_LENGTH,
        [EESP_SHA_512] = SHA512_DIGEST_LENGTH,
    };

    return lengths[sha];
}

static int start(enum eesp_sha sha, union state *state)
{
    switch (sha) {
    case EESP_SHA_256:
        return SHA256_Init(&state->s256);
    case EESP_SHA_384:
        return SHA384_Init(&state->s512);
    case EESP_SHA_512:
        return SHA512_Init(&state->s512);
    }
    return 0;
}

/* SHA-384 is SHA-512 from another start; its state knows the length. */
static int update(enum eesp_sha sha, union state *state, const void *data,
                  size_t length)
{
    return sha == EESP_SHA_256 ? SHA256_Update(&state->s256, data, length) :
                                 SHA512_Update(&state->s512, data, length);
}

static int finish(enum eesp_sha sha, union state *state, uint8_t *digest)
{
    return sha == EESP_SHA_256 ? SHA256_Final(digest, &state->s256) :
                                 SHA512_Final(digest, &state->s512);
}

/* State after the key's block, each byte of it XORed with pad. */
static int key_state(enum eesp_sha sha, const uint8_t *key, size_t length,
                     uint8_t pad, uint64_t *kept)
{
    uint8_t block[SHA512_CBLOCK];
    union state state;
    size_t i;
    int good;

    memset(block, pad, sizeof(block));
    for (i = 0; i < length; i++)
        block[i] ^= key[i];
    good = start(sha, &state) && update(sha, &state, block, block_length(sha));
    memcpy(kept, &state, sizeof(state));
    explicit_bzero(block, sizeof(block));
    explicit_bzero(&state, sizeof(state));
    return good;
}

int eesp_hmac_key(struct eesp_hmac *hmac, enum eesp_sha sha,
                  const uint8_t *key, size_t length)
{
    if (eesp_fips_missing() != NULL)
        return EESP_ERR_UNSUPPORTED; /* see kdf_fips.c */
    if (length > block_length(sha))
        return EESP_ERR_ARGUMENT;
    hmac->sha = sha;
    return key_state(sha, key, length, 0x36, hmac->inner) &&
                   key_state(sha, key, length, 0x5c, hmac->outer) ?
               EESP_OK :
               EESP_ERR_CRYPTO;
}

int eesp_hmac(const struct eesp_hmac *hmac, const struct iovec *parts,
              unsigned count, uint8_t mac[EESP_HMAC_MAX])
{
    uint8_t digest[EESP_HMAC_MAX];
    union state state;
    unsigned i;
    int good = 1;

    memcpy(&state, hmac->inner, sizeof(state));
    for (i = 0; i < count && good; i++)
        good = update(hmac->sha, &state, parts[i].iov_base, parts[i].iov_len);
    good = good && finish(hmac->sha, &state, digest);
    memcpy(&state, hmac->outer, sizeof(state));
    good = good &&
           update(hmac->sha, &state, digest, eesp_hmac_length(hmac->sha)) &&
           finish(hmac->sha, &state, mac);
    explicit_bzero(digest, sizeof(digest));
    explicit_bzero(&state, sizeof(state));
    return good ? EESP_OK : EESP_ERR_CRYPTO;
}

/* T(i) = HMAC(key, T(i - 1) | info | i), T(0) empty. */
int eesp_hkdf_expand(const struct eesp_hmac *hmac, const uint8_t *info,
                     size_t info_length, uint8_t *out, size_t length)
{
    uint8_t mac[EESP_HMAC_MAX], counter = 0;
    struct iovec parts[3] = {
        {mac, 0}, {(void *)info, info_length}, {&counter, 1}};
    size_t size = eesp_hmac_length(hmac->sha), done, n;
    int ret     = EESP_ERR_ARGUMENT;

    if (length > 255 * size) /* the counter has 8 bits */
        return ret;
    for (done = 0; done < length; done += n) {
        n = length - done < size ? length - done : size;
        counter++;
        ret = eesp_hmac(hmac, parts, 3, mac);
        if (ret != EESP_OK)
            break;
        memcpy(out + done, mac, n);
        parts[0].iov_len = size;
    }
    explicit_bzero(mac, sizeof(mac));
    return ret;
}
