/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aead: every backend against published vectors, and all against each other
 * over parts, lengths and damage of many kinds.
 */
#include "unit.h"

#include <openssl/rand.h>

#include "aead.h"
#include "wire.h"

enum { LENGTH_MAX = 70000, AAD_MAX = 64, PARTS_MAX = 26, CASES = 2000 };

static uint64_t random_state = 88172645463325252u;

static size_t below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % n);
}

/* An expanded key of each usable backend, NULL where there is none. */
static void *keys[64];

static int open_keys(void **unused)
{
    const struct eesp_aead *aead;
    unsigned i, usable = 0;

    (void)unused;
    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++) {
        if (aead->missing() != NULL) {
            print_message("%s %s: SKIPPED: %s\n", aead->backend, aead->name,
                          aead->missing());
            continue;
        }
        keys[i] = aligned_alloc(64, (aead->key_size + 63) & ~(size_t)63);
        if (keys[i] == NULL || aead->open(keys[i]) != EESP_OK)
            return -1;
        usable++;
    }
    return usable > 0 ? 0 : -1;
}

static int close_keys(void **unused)
{
    unsigned i;

    (void)unused;
    for (i = 0; eesp_aead_at(i) != NULL; i++)
        if (keys[i] != NULL) {
            eesp_aead_at(i)->close(keys[i]);
            free(keys[i]);
        }
    return 0;
}

#define for_each_backend(_i, _aead)                          \
    for (_i = 0; ((_aead) = eesp_aead_at(_i)) != NULL; _i++) \
        if (keys[_i] != NULL)

static const unsigned ids[] = {
    EESP_AEAD_AES_128_GCM, EESP_AEAD_AES_256_GCM, EESP_AEAD_CHACHA20_POLY1305,
    EESP_AEAD_AES_256_GCM_SIV, EESP_AEAD_AES_256_GMAC};
enum { IDS = sizeof(ids) / sizeof(ids[0]) };

/*
 * AES-256 test cases 13 to 16 of "The Galois/Counter Mode of Operation"
 * (McGrew, Viega), those with a nonce of 96 bits.
 */
#define TC_KEY "feffe9928665731c6d6a8f9467308308" \
               "feffe9928665731c6d6a8f9467308308"
#define TC_PLAIN "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d" \
                 "8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657" \
                 "ba637b39"
#define TC_CIPHER "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd" \
                  "2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a" \
                  "bcc9f662"
#define TC_KEY_128 "feffe9928665731c6d6a8f9467308308"
#define TC_CIPHER_128 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e23" \
                      "29aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac97"
#define MACSEC_KEY "e3c08a8f06c6e3ad95a70557b23f7548" \
                   "3ce33021a9c72b7025666204c69c0b72"
#define MACSEC_1 "d609b1f056637a0d46df998d88e5222ab2c28465"
#define MACSEC_2 "12153524c0895e8108000f101112131415161718191a1b1c1d1e1f20" \
                 "2122232425262728292a2b2c2d2e2f30313233340001"
#define SIV_KEY "01000000000000000000000000000000" \
                "00000000000000000000000000000000"
#define SIV_NONCE "030000000000000000000000"
#define ZERO_16 "00000000000000000000000000000000"

static const struct {
    unsigned    id;
    const char *key, *nonce, *aad, *plain, *cipher, *icv;
} vectors[] = {
    {EESP_AEAD_AES_256_GCM, ZERO_16 ZERO_16, "000000000000000000000000", "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {EESP_AEAD_AES_256_GCM, ZERO_16 ZERO_16, "000000000000000000000000", "",
     ZERO_16, "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {EESP_AEAD_AES_256_GCM, TC_KEY, "cafebabefacedbaddecaf888", "", TC_PLAIN "1aafd255",
     TC_CIPHER "898015ad", "b094dac5d93471bdec1a502270e3cc6c"},
    {EESP_AEAD_AES_256_GCM, TC_KEY, "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2", TC_PLAIN, TC_CIPHER,
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    /* AES-128 test cases 1 to 4 */
    {EESP_AEAD_AES_128_GCM, ZERO_16, "000000000000000000000000", "", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {EESP_AEAD_AES_128_GCM, ZERO_16, "000000000000000000000000", "", ZERO_16,
     "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
    {EESP_AEAD_AES_128_GCM, TC_KEY_128, "cafebabefacedbaddecaf888", "",
     TC_PLAIN "1aafd255", TC_CIPHER_128 "3d58e091473f5985",
     "4d5c2af327cd64a62cf35abd2ba6fab4"},
    {EESP_AEAD_AES_128_GCM, TC_KEY_128, "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2", TC_PLAIN,
     TC_CIPHER_128 "3d58e091", "5bc94fbc3221a5db94fae95ae7121a47"},
    /* IEEE 802.1AEbn, 54-byte packet authentication, cut in three places */
    {EESP_AEAD_AES_256_GMAC, MACSEC_KEY, "12153524c0895e81b2c28465",
     MACSEC_1 MACSEC_2, "", "", "2f0bc5af409e06d609ea8b7d0fa5ea50"},
    {EESP_AEAD_AES_256_GMAC, MACSEC_KEY, "12153524c0895e81b2c28465", MACSEC_1,
     MACSEC_2, MACSEC_2, "2f0bc5af409e06d609ea8b7d0fa5ea50"},
    {EESP_AEAD_AES_256_GMAC, MACSEC_KEY, "12153524c0895e81b2c28465", "",
     MACSEC_1 MACSEC_2, MACSEC_1 MACSEC_2,
     "2f0bc5af409e06d609ea8b7d0fa5ea50"},
    /* RFC 8452 appendix C.2; RFC 8439 is in aead_selftest.c */
    {EESP_AEAD_AES_256_GCM_SIV, SIV_KEY, SIV_NONCE, "", "0100000000000000",
     "c2ef328e5c71c83b", "843122130f7364b761e0b97427e3df28"},
    {EESP_AEAD_AES_256_GCM_SIV, SIV_KEY, SIV_NONCE, "01", "0200000000000000",
     "1de22967237a8132", "91213f267e3b452f02d01ae33e4ec854"},
};

static void published(void **unused)
{
    const struct eesp_aead *aead;
    unsigned i, v;

    (void)unused;
    for_each_backend(i, aead)
        for (v = 0; v < sizeof(vectors) / sizeof(vectors[0]); v++) {
            uint8_t key[32], nonce[12], aad[80], plain[80], cipher[80], icv[16];
            uint8_t out[80], made[16];
            size_t n, a;
            struct iovec iov = {plain, 0};

            if (vectors[v].id != aead->id)
                continue;
            unhex(vectors[v].key, key, sizeof(key));
            unhex(vectors[v].nonce, nonce, sizeof(nonce));
            unhex(vectors[v].cipher, cipher, sizeof(cipher));
            unhex(vectors[v].icv, icv, sizeof(icv));
            a = unhex(vectors[v].aad, aad, sizeof(aad));
            n = iov.iov_len = unhex(vectors[v].plain, plain, sizeof(plain));
            assert_int_equal(aead->expand(keys[i], key), EESP_OK);
            assert_int_equal(aead->seal(keys[i], nonce, aad, a, &iov, 1, out,
                                        made),
                             EESP_OK);
            assert_memory_equal(out, cipher, n);
            assert_memory_equal(made, icv, sizeof(icv));
            assert_int_equal(aead->decrypt(keys[i], nonce, aad, a, cipher, n,
                                           out, icv),
                             EESP_OK);
            assert_memory_equal(out, plain, n);
        }
}

/* n bytes in up to PARTS_MAX parts, some of them empty. */
static unsigned split(const uint8_t *bytes, size_t n, struct iovec *parts)
{
    unsigned count = 1 + (unsigned)below(PARTS_MAX), i;

    for (i = 0; i + 1 < count; i++) {
        size_t part = below(4) == 0 ? 0 : below(below(2) ? n + 1 : n % 50 + 1);

        parts[i] = (struct iovec){(void *)bytes, part};
        bytes   += part;
        n       -= part;
    }
    parts[i] = (struct iovec){(void *)bytes, n};
    return count;
}

static size_t some_length(unsigned i)
{
    static const size_t edges[] = {2044, 2045, 2048, 4096, 65540, LENGTH_MAX};

    if (i < 600)
        return i / 2; /* 0..299, twice each */
    if (i < 600 + sizeof(edges) / sizeof(edges[0]))
        return edges[i - 600];
    return below(i % 8 == 0 ? LENGTH_MAX + 1 : 3000);
}

static size_t some_aad(unsigned i)
{
    return i % 3 == 0 ? below(AAD_MAX + 1) : i % 3 == 1 ? 36 : 52;
}

/* One packet by every backend of an algorithm; all must agree. */
static void agree(unsigned id, size_t n, size_t a)
{
    static uint8_t plain[LENGTH_MAX], sealed[LENGTH_MAX + 1];
    static uint8_t first[LENGTH_MAX], opened[LENGTH_MAX + 1];
    const struct eesp_aead *aead, *other;
    uint8_t key[32], nonce[12], aad[AAD_MAX], icv[17], first_icv[16];
    struct iovec parts[PARTS_MAX];
    unsigned i, j;
    int made = 0;

    RAND_bytes(plain, (int)(n < 3000 ? 3000 : n));
    RAND_bytes(key, sizeof(key));
    RAND_bytes(nonce, sizeof(nonce));
    RAND_bytes(aad, sizeof(aad));
    for_each_backend(i, aead) {
        unsigned count;

        if (aead->id != id)
            continue;
        count    = split(plain, n, parts);
        parts[0] = aead->one_piece ? (struct iovec){plain, n} : parts[0];
        count    = aead->one_piece ? 1 : count;
        assert_int_equal(aead->expand(keys[i], key), EESP_OK);
        sealed[n] = icv[16] = 0x77;
        assert_int_equal(aead->seal(keys[i], nonce, aad, a, parts, count,
                                    sealed, icv),
                         EESP_OK);
        assert_int_equal(sealed[n] & icv[16], 0x77);
        if (!made++) {
            memcpy(first, sealed, n);
            memcpy(first_icv, icv, sizeof(first_icv));
        }
        assert_int_equal(memcmp(first, sealed, n), 0);
        assert_memory_equal(first_icv, icv, sizeof(first_icv));
        if (id == EESP_AEAD_AES_256_GMAC)
            assert_int_equal(memcmp(plain, sealed, n), 0);
        for_each_backend(j, other) { /* each opens each */
            if (other->id != id || (n > 4096 && j != i))
                continue;
            assert_int_equal(other->expand(keys[j], key), EESP_OK);
            opened[n] = 0x77;
            assert_int_equal(other->decrypt(keys[j], nonce, aad, a, sealed, n,
                                            opened, icv),
                             EESP_OK);
            assert_int_equal(memcmp(opened, plain, n), 0);
            assert_int_equal(opened[n], 0x77);
        }
    }
}

static void differential(void **unused)
{
    unsigned c, i;

    (void)unused;
    for (i = 0; i < IDS; i++)
        for (c = 0; c < CASES; c++)
            agree(ids[i], some_length(c), some_aad(c));
}

/* Opening must fail, and leave nothing of the plaintext. */
static void refused(const struct eesp_aead *aead, void *k, const uint8_t *nonce,
                    const uint8_t *aad, size_t a, const uint8_t *cipher,
                    size_t n, const uint8_t *icv)
{
    static uint8_t out[4096];
    size_t i;

    memset(out, 0x77, sizeof(out));
    assert_int_equal(aead->decrypt(k, nonce, aad, a, cipher, n, out, icv),
                     EESP_DROP_AUTH);
    for (i = 0; i < sizeof(out); i++)
        assert_int_equal(out[i], i < n ? 0 : 0x77);
}

static void every_bit(void **unused)
{
    static const size_t lengths[] = {0, 1, 4, 15, 16, 17, 64, 100, 300, 1030};
    uint8_t key[32], nonce[12], aad[52], icv[16], plain[1030], cipher[1030];
    const struct eesp_aead *aead;
    unsigned i, l, bit;

    (void)unused;
    RAND_bytes(key, sizeof(key));
    RAND_bytes(nonce, sizeof(nonce));
    RAND_bytes(aad, sizeof(aad));
    memset(plain, 0x77, sizeof(plain));
#define FLIPS(_bytes, _length)                                            \
    for (bit = 0; bit < 8 * (_length); bit++) {                           \
        (_bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);                    \
        refused(aead, keys[i], nonce, aad, sizeof(aad), cipher, n, icv);  \
        (_bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);                    \
    }
    for_each_backend(i, aead) {
        assert_int_equal(aead->expand(keys[i], key), EESP_OK);
        for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            size_t n         = lengths[l];
            struct iovec iov = {plain, n};

            assert_int_equal(aead->seal(keys[i], nonce, aad, sizeof(aad), &iov,
                                        1, cipher, icv),
                             EESP_OK);
            FLIPS(cipher, n)
            FLIPS(icv, sizeof(icv))
            FLIPS(aad, sizeof(aad))
            FLIPS(nonce, sizeof(nonce))
            /* shorter AAD, shorter ciphertext */
            refused(aead, keys[i], nonce, aad, sizeof(aad) - 1, cipher, n, icv);
            if (n > 0)
                refused(aead, keys[i], nonce, aad, sizeof(aad), cipher, n - 1,
                        icv);
            for (bit = 0; bit < 8 * aead->key_length; bit++) { /* every bit of the key */
                key[bit / 8] ^= (uint8_t)(1u << bit % 8);
                aead->expand(keys[i], key);
                refused(aead, keys[i], nonce, aad, sizeof(aad), cipher, n, icv);
                key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            aead->expand(keys[i], key);
            assert_int_equal(aead->decrypt(keys[i], nonce, aad, sizeof(aad),
                                           cipher, n, plain, icv),
                             EESP_OK);
        }
    }
#undef FLIPS
}

/* The key's memory after close: nothing that came from the key. */
static void close_wipes(void **unused)
{
    const struct eesp_aead *aead;
    uint8_t key[32];
    unsigned i;
    size_t j;

    (void)unused;
    RAND_bytes(key, sizeof(key));
    for_each_backend(i, aead) {
        size_t size = (aead->key_size + 63) & ~(size_t)63;
        uint8_t *k  = aligned_alloc(64, size);

        assert_non_null(k);
        memset(k, 0, size);
        assert_int_equal(aead->open(k), EESP_OK);
        assert_int_equal(aead->expand(k, key), EESP_OK);
        aead->close(k);
        for (j = 0; j < size; j++)
            assert_int_equal(k[j], 0);
        free(k);
    }
}

static void find(void **unused)
{
    struct eesp_backend_info info;
    const struct eesp_aead *aead;
    unsigned i, k;

    (void)unused;
    assert_null(eesp_aead_at(eesp_backends()));
    assert_null(eesp_aead_find(EESP_AEAD_AES_256_GCM, "none"));
    assert_null(eesp_aead_find(0, NULL));
    assert_null(eesp_aead_find(6, NULL));
    assert_int_equal(eesp_aead_id_by_name("aes-128-gcm"), 1);
    assert_int_equal(eesp_aead_id_by_name("aes-256-gcm"), 2);
    assert_int_equal(eesp_aead_id_by_name("chacha20-poly1305"), 3);
    assert_int_equal(eesp_aead_id_by_name("aes-256-gcm-siv"), 4);
    assert_int_equal(eesp_aead_id_by_name("aes-256-gmac"), 5);
    assert_int_equal(eesp_aead_id_by_name("aes-256-gc"), 0);
    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++) {
        eesp_backend(i, &info);
        assert_string_equal(info.name, aead->backend);
        assert_int_equal(info.available, keys[i] != NULL);
        assert_true(info.available == (info.missing == NULL));
        assert_ptr_equal(eesp_aead_find(aead->id, aead->backend),
                         keys[i] ? aead : NULL);
        assert_int_equal(eesp_backend_selftest(i),
                         keys[i] ? EESP_OK : EESP_ERR_UNSUPPORTED);
        assert_string_equal(info.algorithm, aead->name);
        assert_int_equal(eesp_aead_id_by_name(aead->name), aead->id);
    }
    for (k = 0; k < eesp_kdfs(); k++)
        assert_int_equal(eesp_backend_selftest(i + k), EESP_OK);
    assert_int_equal(eesp_backend_selftest(i + k), EESP_ERR_ARGUMENT);
    eesp_backend(i, &info);
    assert_null(info.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),   cmocka_unit_test(differential),
        cmocka_unit_test(every_bit),   cmocka_unit_test(close_wipes),
        cmocka_unit_test(find),
    };

    return cmocka_run_group_tests_name("aead", tests, open_keys, close_keys);
}
