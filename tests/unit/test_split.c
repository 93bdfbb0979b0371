/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open_split: every AEAD by every backend opens the same packets in two places
 * as in one, and leaves nothing there if they are damaged.
 */
#include "lane.h"
#include "pair.h"

enum { HEAD = 24, DATA_MAX = 700, ROOM = 1000, EDGE = 16 };

static uint8_t payload[HEAD + DATA_MAX], packet[ROOM];
static uint8_t head[EESP_PAYLOAD_OFFSET + HEAD + EDGE], data[DATA_MAX + EDGE];
static struct eesp_opened opened;

static size_t seal(struct pair *p, size_t n)
{
    struct iovec iov = {payload, n};
    size_t length, i;

    for (i = 0; i < n; i++)
        payload[i] = (uint8_t)(i * 13 + n + 1);
    assert_int_equal(eesp_seal(p->tx, &p->to, &iov, 1, packet, sizeof(packet),
                               &length), EESP_OK);
    return length;
}

static int split(struct pair *p, size_t length, size_t head_n, size_t data_n)
{
    memset(head, 0xa5, sizeof(head));
    memset(data, 0xa5, sizeof(data));
    return eesp_open_split(p->rx, packet, length, head, head_n, data, data_n,
                           &opened);
}

/* From p on: n times byte, then what was there before. */
static void check_bytes(const uint8_t *p, size_t n, uint8_t byte)
{
    size_t i;

    for (i = 0; i < n + EDGE; i++)
        assert_int_equal(p[i], i < n ? byte : 0xa5);
}

static void check_opened(size_t head_n, size_t data_n)
{
    assert_ptr_equal(opened.payload, head + EESP_PAYLOAD_OFFSET);
    assert_int_equal(opened.length, head_n + data_n);
    assert_int_equal(opened.next_header, EESP_NEXT_HEADER);
    assert_memory_equal(opened.payload, payload, head_n);
    assert_memory_equal(data, payload + head_n, data_n);
    assert_int_equal(head[EESP_PAYLOAD_OFFSET + head_n], 0xa5);
    assert_int_equal(data[data_n], 0xa5);
}

static void check_untouched(void)
{
    check_bytes(head, 0, 0);
    check_bytes(data, 0, 0);
}

/* All lengths around a block and a lane's gathering; once only. */
static void there(struct pair *p)
{
    size_t n, head_n;

    for (n = 0; n <= DATA_MAX; n += n < 80 ? 1 : 41) {
        for (head_n = 0; head_n <= HEAD; head_n += 8) {
            size_t length = seal(p, head_n + n);

            assert_int_equal(split(p, length, head_n, n), EESP_OK);
            check_opened(head_n, n);
            assert_int_equal(split(p, length, head_n, n), EESP_DROP_REPLAY);
            check_untouched();
        }
    }
}

/* Each byte, and the length. */
static void damaged(struct pair *p)
{
    struct eesp_counters before, after;
    size_t n = 50, length = seal(p, HEAD + n), i;

    eesp_lane_counters(p->rx, &before);
    for (i = 0; i < length; i++) {
        int ret;

        packet[i] ^= 0x10;
        ret = split(p, length, HEAD, n);
        assert_true(ret < 0);
        if (ret == EESP_DROP_AUTH) {
            check_bytes(head, EESP_PAYLOAD_OFFSET + HEAD, 0);
            check_bytes(data, n, 0);
        } else {
            check_untouched();
        }
        packet[i] ^= 0x10;
    }
    for (i = 0; i < 8; i++) {
        if (i == 4)
            continue;
        assert_int_equal(split(p, length, HEAD, n - 4 + i),
                         (n + HEAD + 3) / 4 == (n - 4 + i + HEAD + 3) / 4 ?
                             EESP_DROP_PAYLOAD : EESP_DROP_LENGTH);
        if ((n + HEAD + 3) / 4 == (n - 4 + i + HEAD + 3) / 4)
            length = seal(p, HEAD + n); /* that one was authentic */
    }
    for (i = 0; i < length; i++)
        assert_true(split(p, i, HEAD, n) < 0);
    assert_int_equal(split(p, length, HEAD, n), EESP_OK);
    check_opened(HEAD, n);
    eesp_lane_counters(p->rx, &after);
    assert_int_equal(after.opened, before.opened + 1);
    assert_int_equal(after.opened_bytes, before.opened_bytes + HEAD + n);
    assert_true(after.dropped[-EESP_DROP_AUTH] >
                before.dropped[-EESP_DROP_AUTH]);
}

/* Readable bytes are for those who look at headers. */
static void readable(struct pair *p)
{
    struct eesp_seal_options options = {.crypt_offset = 2};
    struct iovec iov = {payload, HEAD + 40};
    size_t length;

    assert_int_equal(eesp_seal_with(p->tx, &p->to, &options, &iov, 1, packet,
                                    sizeof(packet), &length), EESP_OK);
    assert_int_equal(split(p, length, HEAD, 40), EESP_DROP_OFFSET);
    check_untouched();
}

static void each(struct pair *p, const struct eesp_aead *aead)
{
    there(p);
    damaged(p);
    if (!is_readable(aead->name))
        readable(p);
}

static void every_backend(void **unused)
{
    (void)unused;
    every_pair(each);
}

/* An AEAD of one piece, which libcrypto may not have: made of one that has. */
static int no_parts(void *k, const uint8_t nonce[EESP_NONCE_LEN],
                    const uint8_t *aad, size_t aad_length, const uint8_t *in,
                    size_t length, uint8_t *out, const uint8_t *icv)
{
    return eesp_aead_openssl_aes_256_gcm.decrypt(k, nonce, aad, aad_length, in,
                                                 length, out, icv);
}

static void one_piece(void **unused)
{
    struct pair p = pair_open("aes-256-gcm", "openssl");
    struct eesp_aead aead = *p.rx->suites[0].aead;
    const struct eesp_aead *was = p.rx->suites[0].aead;
    size_t length;

    (void)unused;
    aead.decrypt       = no_parts;
    aead.decrypt_parts = NULL;
    p.rx->suites[0].aead = &aead;
    there(&p);
    length = seal(&p, HEAD + 60);
    packet[length - 1] ^= 1;
    assert_int_equal(split(&p, length, HEAD, 60), EESP_DROP_AUTH);
    check_untouched();
    packet[length - 1] ^= 1;
    p.rx->gather_size = 60; /* no room: refused before anything is opened */
    assert_int_equal(split(&p, length, HEAD, 60), EESP_DROP_LENGTH);
    p.rx->gather_size = EESP_GATHER_MAX;
    assert_int_equal(split(&p, length, HEAD, 60), EESP_OK);
    p.rx->suites[0].aead = was;
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_backend),
        cmocka_unit_test(one_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
