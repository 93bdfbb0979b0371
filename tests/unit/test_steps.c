/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Step by step: every AEAD by every backend seals, and opens in one place and in
 * two, the same packets as at once, and leaves nothing there if they are damaged.
 */
#include "lane.h"
#include "pair.h"

enum { HEAD = 24, DATA_MAX = 65536 - HEAD, ROOM = 65536 + 256, EDGE = 16 };

static uint8_t payload[HEAD + DATA_MAX], packet[ROOM], whole[ROOM + EDGE];
static uint8_t head[EESP_PAYLOAD_OFFSET + HEAD], data[DATA_MAX + EDGE];
static struct eesp_opened opened;

/* Around a block, the first steps, and where steps get longer. */
static const size_t lengths[] = {0,     1,     2047 - 28, 2048 - 28, 2049 - 28,
                                 2048,  4096,  4097,      6144 - 28, 33000,
                                 65507, 65508, 65509,     65512};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static size_t seal(struct pair *p, size_t n)
{
    struct iovec iov = {payload, n};
    size_t length, i;

    for (i = 0; i < n; i++)
        payload[i] = (uint8_t)(i * 13 + (i >> 8) + n + 1);
    assert_int_equal(eesp_seal(p->tx, &p->to, &iov, 1, packet, sizeof(packet),
                               &length), EESP_OK);
    memset(whole, 0xa5, sizeof(whole));
    memset(head, 0xa5, sizeof(head));
    memset(data, 0xa5, sizeof(data));
    return length;
}

static void check_untouched(const uint8_t *p, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        assert_int_equal(p[i], 0xa5);
}

static void there(struct pair *p, size_t n)
{
    size_t length = seal(p, HEAD + n);

    assert_int_equal(eesp_open(p->rx, packet, length, whole, ROOM, &opened),
                     EESP_OK);
    assert_int_equal(opened.length, HEAD + n);
    assert_memory_equal(opened.payload, payload, HEAD + n);
    check_untouched(whole + length, EDGE);
    length = seal(p, HEAD + n);
    assert_int_equal(eesp_open_split(p->rx, packet, length, head, HEAD, data, n,
                                     &opened), EESP_OK);
    assert_memory_equal(opened.payload, payload, HEAD);
    assert_memory_equal(data, payload + HEAD, n);
    check_untouched(data + n, EDGE);
}

/*
 * A byte of each step: nothing of any other one may stay. An AEAD of one piece
 * opens elsewhere first, and has not touched the two places.
 */
static void damaged(struct pair *p, const struct eesp_aead *aead, size_t n)
{
    uint8_t left  = aead->decrypt_parts != NULL ? 0 : 0xa5;
    size_t length = seal(p, HEAD + n), at, i;

    for (at = length - 1; at > 200; at -= at < 1500 ? at : 1500) {
        packet[at] ^= 1;
        assert_int_equal(eesp_open(p->rx, packet, length, whole, ROOM, &opened),
                         EESP_DROP_AUTH);
        assert_int_equal(eesp_open_split(p->rx, packet, length, head, HEAD,
                                         data, n, &opened), EESP_DROP_AUTH);
        for (i = 0; i < HEAD + n; i++)
            assert_int_equal(whole[i], 0);
        for (i = 0; i < sizeof(head); i++)
            assert_int_equal(head[i], left);
        for (i = 0; i < n; i++)
            assert_int_equal(data[i], left);
        check_untouched(data + n, EDGE);
        packet[at] ^= 1;
    }
    assert_int_equal(eesp_open(p->rx, packet, length, whole, ROOM, &opened),
                     EESP_OK);
}

static void each(struct pair *p, const struct eesp_aead *aead)
{
    unsigned i;

    for (i = 0; i < 4 * LENGTHS; i++) {
        eesp_lane_stepwise(p->tx, i / LENGTHS / 2);
        eesp_lane_stepwise(p->rx, i / LENGTHS % 2);
        there(p, lengths[i % LENGTHS]);
    }
    damaged(p, aead, 5000);
    damaged(p, aead, DATA_MAX);
}

static void every_backend(void **unused)
{
    (void)unused;
    every_pair(each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_backend)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
