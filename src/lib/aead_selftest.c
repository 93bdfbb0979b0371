/* SPDX-License-Identifier: BSD-3-Clause */
/* Known answers of every AEAD, published ones with associated data. */
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "wire.h"

enum { PLAIN_MAX = 128, AAD_MAX = 32 };

#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_PLAIN                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a31" \
    "8a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
/* What IEEE 802.1AE authenticates, cut where our associated data ends. */
#define MACSEC_AAD "d609b1f056637a0d46df998d88e5222ab2c28465"
#define MACSEC_DATA                                                \
    "12153524c0895e8108000f101112131415161718191a1b1c1d1e1f202122" \
    "232425262728292a2b2c2d2e2f30313233340001"

static const struct answer {
    unsigned    id;
    const char *key, *nonce, *aad, *plain, *cipher, *icv;
} answers[] = {
    /*
     * Test cases 4 and 16 of "The Galois/Counter Mode of Operation" (McGrew,
     * Viega), the submission behind SP 800-38D.
     */
    {EESP_AEAD_AES_128_GCM, GCM_KEY, "cafebabefacedbaddecaf888", GCM_AAD,
     GCM_PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d5"
     "14b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {EESP_AEAD_AES_256_GCM, GCM_KEY GCM_KEY, "cafebabefacedbaddecaf888",
     GCM_AAD, GCM_PLAIN,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb0"
     "8e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    /* RFC 8439 section 2.8.2. */
    {EESP_AEAD_CHACHA20_POLY1305,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c61737320"
     "6f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c7920"
     "6f6e652074697020666f7220746865206675747572652c2073756e73637265656e20"
     "776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbe"
     "a45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f"
     "2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b"
     "7a9de576d26586cec64b6116",
     "1ae10b594f09e26a7e902ecbd0600691"},
    /* RFC 8452 appendix C.2. */
    {EESP_AEAD_AES_256_GCM_SIV,
     "0100000000000000000000000000000000000000000000000000000000000000",
     "030000000000000000000000", "01",
     "0200000000000000000000000000000003000000000000000000000000000000",
     "07dad364bfc2b9da89116d7bef6daaaf6f255510aa654f920ac81b94e8bad365",
     "aea1bad12702e1965604374aab96dbbc"},
    /* IEEE 802.1AEbn, 54-byte packet authentication using GCM-AES-256. */
    {EESP_AEAD_AES_256_GMAC,
     "e3c08a8f06c6e3ad95a70557b23f75483ce33021a9c72b7025666204c69c0b72",
     "12153524c0895e81b2c28465", MACSEC_AAD, MACSEC_DATA, MACSEC_DATA,
     "2f0bc5af409e06d609ea8b7d0fa5ea50"},
};

static size_t unhex(const char *hex, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(hex) / 2, i;

    for (i = 0; i < n; i++)
        out[i] = (uint8_t)((strchr(digits, hex[2 * i]) - digits) << 4 |
                           (strchr(digits, hex[2 * i + 1]) - digits));
    return n;
}

static int known_answer(const struct eesp_aead *aead, void *k,
                        const struct answer *answer)
{
    uint8_t key[EESP_AEAD_KEY_MAX], nonce[EESP_NONCE_LEN], aad[AAD_MAX];
    uint8_t plain[PLAIN_MAX], cipher[PLAIN_MAX], icv[EESP_ICV_LEN];
    uint8_t out[PLAIN_MAX], made[EESP_ICV_LEN];
    struct iovec parts[2];
    size_t a, n, cut;
    int ret;

    unhex(answer->key, key);
    unhex(answer->nonce, nonce);
    unhex(answer->cipher, cipher);
    unhex(answer->icv, icv);
    a   = unhex(answer->aad, aad);
    n   = unhex(answer->plain, plain);
    cut = aead->one_piece ? n : 13;
    parts[0] = (struct iovec){plain, cut};
    parts[1] = (struct iovec){plain + cut, n - cut};
    ret      = aead->expand(k, key);
    if (ret == EESP_OK)
        ret = aead->seal(k, nonce, aad, a, parts, cut < n ? 2 : 1, out, made);
    if (ret != EESP_OK)
        return ret;
    if (memcmp(out, cipher, n) != 0 || memcmp(made, icv, sizeof(icv)) != 0)
        return EESP_ERR_CRYPTO;
    ret = aead->decrypt(k, nonce, aad, a, cipher, n, out, icv);
    if (ret != EESP_OK || memcmp(out, plain, n) != 0)
        return EESP_ERR_CRYPTO;
    if (aead->decrypt_parts != NULL) {
        memset(out, 0, n);
        parts[0].iov_base = out;
        parts[1].iov_base = out + cut;
        ret = aead->decrypt_parts(k, nonce, aad, a, cipher, parts, 2, icv);
        if (ret != EESP_OK || memcmp(out, plain, n) != 0)
            return EESP_ERR_CRYPTO;
    }
    icv[15] ^= 1;
    ret = aead->decrypt(k, nonce, aad, a, cipher, n, out, icv);
    return ret == EESP_DROP_AUTH ? EESP_OK : EESP_ERR_CRYPTO;
}

int eesp_aead_selftest(const struct eesp_aead *aead)
{
    int ret = EESP_ERR_CRYPTO;
    unsigned i;
    void *k;

    if (aead->missing() != NULL)
        return EESP_ERR_UNSUPPORTED;
    k = aligned_alloc(64, (aead->key_size + 63) & ~(size_t)63);
    if (k == NULL)
        return EESP_ERR_MEMORY;
    if (aead->open(k) == EESP_OK) {
        for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
            if (answers[i].id == aead->id)
                ret = known_answer(aead, k, &answers[i]);
        aead->close(k);
    }
    free(k);
    return ret;
}
