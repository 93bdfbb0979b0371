/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keylog: each data key is told of once, when it has sealed or opened, by both
 * ends alike, and opens the packet; a forged packet makes no line.
 */
#include "ring.h"

#include <openssl/evp.h>

static char lines[4][700];
static unsigned count;

static void tell(void *arg, const char *line)
{
    assert_ptr_equal(arg, lines);
    assert_true(count < 4);
    snprintf(lines[count++], sizeof(lines[0]), "%s", line);
}

struct pair {
    struct eesp_keyring *keyring;
    struct eesp_lane    *tx, *rx;
    struct eesp_destination to;
};

static uint8_t packet[256], plain[256];

static struct pair pair_open(void)
{
    struct pair pair = {.keyring = ring_parse(ring_json(7))};

    pair.tx = lane_open(pair.keyring, (struct eesp_lane_params){.rank = 3});
    pair.rx = lane_open(pair.keyring, (struct eesp_lane_params){.rank = 9});
    pair.to = (struct eesp_destination){eesp_lane_incarnation(pair.rx), 0, 9,
                                        5};
    assert_int_equal(eesp_lane_keylog(pair.tx, tell, lines), EESP_OK);
    assert_int_equal(eesp_lane_keylog(pair.rx, tell, lines), EESP_OK);
    count = 0;
    return pair;
}

static void pair_close(struct pair *pair)
{
    eesp_lane_destroy(pair->tx);
    eesp_lane_destroy(pair->rx);
    eesp_keyring_free(pair->keyring);
}

static size_t seal(struct pair *pair)
{
    struct iovec iov = {"payload", 8};
    size_t length    = 0;

    assert_int_equal(eesp_seal(pair->tx, &pair->to, &iov, 1, packet,
                               sizeof(packet), &length), EESP_OK);
    return length;
}

static int open_it(struct pair *pair, size_t length)
{
    struct eesp_opened opened;

    return eesp_open(pair->rx, packet, length, plain, sizeof(plain), &opened);
}

static void once_for_each_key(void **unused)
{
    struct pair pair = pair_open();

    (void)unused;
    assert_int_equal(open_it(&pair, seal(&pair)), EESP_OK);
    assert_int_equal(count, 2);
    assert_string_equal(lines[0], lines[1]); /* of both ends */
    assert_int_equal(open_it(&pair, seal(&pair)), EESP_OK);
    assert_int_equal(count, 2);
    pair.to.session_id = 6; /* another key */
    assert_int_equal(open_it(&pair, seal(&pair)), EESP_OK);
    assert_int_equal(count, 4);
    assert_string_not_equal(lines[0], lines[2]);
    pair_close(&pair);
}

static void forged(void **unused)
{
    struct pair pair = pair_open();
    size_t length    = seal(&pair);

    (void)unused;
    packet[length - 1] ^= 1;
    assert_int_equal(open_it(&pair, length), EESP_DROP_AUTH);
    assert_int_equal(count, 1);
    pair_close(&pair);
}

/* As the line says, by libcrypto alone. */
static void opens(void **unused)
{
    struct pair pair = pair_open();
    size_t length    = seal(&pair), header, body;
    char spi[9], generations[9], context[401], key[65], mask[25];
    uint8_t k[32], nonce[12], none[16];
    struct eesp_header h;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *gcm     = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    unsigned aead;
    int done, i;

    (void)unused;
    assert_int_equal(sscanf(lines[0], "EESP1_DATA_KEY %8s %u %8s %400s %64s %24s",
                            spi, &aead, generations, context, key, mask), 6);
    assert_string_equal(spi, "00010042");
    assert_int_equal(aead, EESP_AEAD_AES_256_GCM);
    assert_string_equal(generations, "07000100");
    assert_int_equal(eesp_header_parse(packet, length, &h), EESP_OK);
    assert_int_equal(strlen(context), 2 * 40);
    assert_int_equal(unhex(key, k, sizeof(k)), 32);
    assert_int_equal(unhex(mask, nonce, sizeof(nonce)), 12);
    nonce[3] ^= 3; /* source rank */
    for (i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(h.sequence >> (56 - 8 * i));
    header = h.length;
    body   = length - header - 16;
    assert_int_equal(EVP_DecryptInit_ex2(ctx, gcm, k, nonce, NULL), 1);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, packet + length - 16);
    assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &done, packet, (int)header),
                     1);
    assert_int_equal(EVP_DecryptUpdate(ctx, plain, &done, packet + header,
                                       (int)body), 1);
    assert_int_equal(EVP_DecryptFinal_ex(ctx, none, &done), 1);
    assert_string_equal((char *)plain + 4, "payload");
    EVP_CIPHER_free(gcm);
    EVP_CIPHER_CTX_free(ctx);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_for_each_key),
        cmocka_unit_test(forged),
        cmocka_unit_test(opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
