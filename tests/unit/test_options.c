/* SPDX-License-Identifier: BSD-3-Clause */
/* Commitment, client keys, readable bytes and origins: sealed, opened, hurt. */
#include "ring.h"

#include "lane.h"

enum { PACKET = 700 };
static uint8_t packet[PACKET], plain[PACKET], payload[300];

/* Members of text on top of the usual policy. */
static struct eesp_keyring *keyring_of(const char *text)
{
    json_t *ring = ring_json(7), *change = json_loads(text, 0, NULL);

    assert_non_null(change);
    json_object_update(ring_policy(ring, 0), change);
    json_decref(change);
    return ring_parse(ring);
}

static struct eesp_lane *lane_of(const struct eesp_keyring *keyring,
                                 uint32_t rank)
{
    return lane_open(keyring, (struct eesp_lane_params){.rank = rank,
                                                        .id   = 10 * rank});
}

static size_t seal(struct eesp_lane *tx, struct eesp_lane *rx, size_t n,
                   unsigned crypt_offset)
{
    struct eesp_destination to = {eesp_lane_incarnation(rx), rx->id, rx->rank,
                                  0};
    struct eesp_seal_options options = {.crypt_offset = crypt_offset};
    struct iovec iov[2] = {{payload, n / 2}, {payload + n / 2, n - n / 2}};
    size_t length;

    assert_int_equal(eesp_seal_with(tx, &to, &options, iov, 2, packet,
                                    sizeof(packet), &length),
                     EESP_OK);
    assert_true(length <= n + eesp_overhead(tx->policy));
    return length;
}

static int open_it(struct eesp_lane *rx, size_t length)
{
    struct eesp_opened opened;
    size_t i;
    int ret;

    memset(plain, 0xa5, sizeof(plain));
    ret = eesp_open(rx, packet, length, plain, sizeof(plain), &opened);
    for (i = 0; ret != EESP_OK && i < sizeof(plain); i++)
        assert_true(plain[i] == 0 || plain[i] == 0xa5);
    if (ret == EESP_OK)
        assert_memory_equal(opened.payload, payload, opened.length);
    return ret;
}

static int fill_payload(void **unused)
{
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(payload); i++) /* neither 0 nor 0xa5 */
        payload[i] = (uint8_t)(1 + i * 7 % 163);
    return 0;
}

static void commitment(void **unused)
{
    static const char *const kdfs[] = {"hkdf-sha256", "hkdf-sha384",
                                       "hkdf-sha512", "hmac-sha256"};
    const size_t at = EESP_BASE_LEN + EESP_FULL_FIXED + 8;
    char text[100];
    size_t i, bit, n;

    (void)unused;
    for (i = 0; i < sizeof(kdfs) / sizeof(kdfs[0]); i++) {
        struct eesp_keyring *keyring;
        struct eesp_lane *tx, *rx;

        snprintf(text, sizeof(text), "{\"kdf\":\"%s\",\"commit\":true}",
                 kdfs[i]);
        keyring = keyring_of(text);
        tx      = lane_of(keyring, 3);
        rx      = lane_of(keyring, 9);
        n       = seal(tx, rx, 100, 0);
        assert_int_equal(packet[at], EESP_OPTION_COMMITMENT);
        for (bit = 0; bit < 128; bit++) { /* found before anything is opened */
            packet[at + 2 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(open_it(rx, n), EESP_DROP_COMMITMENT);
            packet[at + 2 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(count_drops(rx, EESP_DROP_COMMITMENT), 128);
        assert_int_equal(rx->counters.derived, 128); /* none was kept */
        packet[n - 1] ^= 1;
        assert_int_equal(open_it(rx, n), EESP_DROP_AUTH);
        packet[n - 1] ^= 1;
        assert_int_equal(open_it(rx, n), EESP_OK);
        assert_int_equal(open_it(rx, seal(tx, rx, 3, 0)), EESP_OK);
        assert_int_equal(rx->counters.cached, 1);
        eesp_lane_destroy(tx);
        eesp_lane_destroy(rx);
        eesp_keyring_free(keyring);
    }
}

/* A packet without the option, or with one too many, is not the policy's. */
static void commitment_is_constant(void **unused)
{
    struct eesp_keyring *with =
        keyring_of("{\"kdf\":\"hkdf-sha256\",\"commit\":true}");
    struct eesp_keyring *without = keyring_of("{\"kdf\":\"hkdf-sha256\"}");
    struct eesp_lane *a = lane_of(with, 3), *b = lane_of(without, 9);

    (void)unused;
    assert_int_equal(open_it(b, seal(a, b, 10, 0)), EESP_DROP_POLICY);
    assert_int_equal(open_it(a, seal(b, a, 10, 0)), EESP_DROP_POLICY);
    eesp_lane_destroy(a);
    eesp_lane_destroy(b);
    eesp_keyring_free(with);
    eesp_keyring_free(without);
}

/* Clients have keys of their own, apart from each other and from servers'. */
static void clients(void **unused)
{
    static const char *const modes[] = {
        "{\"client\":\"source\",\"selectors\":[\"source\",\"destination\"]}",
        "{\"client\":\"destination\",\"selectors\":[\"ranks\",\"source\","
        "\"destination\"],\"kdf\":\"hkdf-sha512\"}",
        "{\"selectors\":[\"source\",\"destination\"]}"};
    struct eesp_lane *lanes[3], *rx[3];
    struct eesp_keyring *keyrings[3];
    unsigned i, j;

    (void)unused;
    for (i = 0; i < 3; i++) {
        keyrings[i] = keyring_of(modes[i]);
        lanes[i]    = lane_of(keyrings[i], 3);
        rx[i]       = lane_of(keyrings[i], 9);
        for (j = 0; j < 5; j++) /* the server keeps nothing of a client */
            assert_int_equal(open_it(rx[i], seal(lanes[i], rx[i], 30 + j, 0)),
                             EESP_OK);
        assert_int_equal(rx[i]->counters.derived, 1);
    }
    /* The same context, but in client mode: another key. */
    eesp_lane_impersonate(rx[0], 9, 90, eesp_lane_incarnation(rx[2]));
    assert_int_equal(open_it(rx[0], seal(lanes[2], rx[2], 5, 0)),
                     EESP_DROP_AUTH);
    for (i = 0; i < 3; i++) {
        eesp_lane_destroy(lanes[i]);
        eesp_lane_destroy(rx[i]);
        eesp_keyring_free(keyrings[i]);
    }
}

/* Every offset and length, by every AEAD: what is readable, and what is not. */
static void crypt_offsets(void **unused)
{
    static const char *const aeads[] = {"aes-256-gcm", "aes-128-gcm",
                                        "chacha20-poly1305", "aes-256-gmac"};
    char text[120];
    unsigned i, offset, compact;
    size_t n, length, head, exposed, body;

    (void)unused;
    for (i = 0; i < 8; i++) {
        struct eesp_keyring *keyring;
        struct eesp_lane *tx, *rx;

        compact = i / 4;
        snprintf(text, sizeof(text), "{\"aead\":\"%s\",\"crypt_offset_max\":"
                 "63,\"compact_id\":%u,\"confidentiality\":%s}", aeads[i % 4],
                 compact, i % 4 == 3 ? "false" : "true");
        keyring = keyring_of(text);
        tx      = lane_of(keyring, 3);
        rx      = lane_of(keyring, 9);
        for (offset = 0; offset <= 63; offset += 7)
            for (n = 0; n <= sizeof(payload); n += 1 + n / 8) {
                length  = seal(tx, rx, n, offset);
                head    = eesp_header_length((int)compact, EESP_SELECT_RANKS,
                                             offset ? EESP_HAS_CRYPT_OFFSET :
                                                      0);
                body    = length - head - 16;
                exposed = 4 * offset < body ? 4 * offset : body;
                if (exposed > 4 && n > 0) {
                    size_t seen = exposed - 4 < n ? exposed - 4 : n;

                    assert_memory_equal(packet + head + 4, payload, seen);
                }
                if (exposed > 0) { /* readable is not changeable */
                    packet[head + exposed - 1] ^= 1;
                    assert_int_equal(open_it(rx, length), EESP_DROP_AUTH);
                    packet[head + exposed - 1] ^= 1;
                }
                if (i % 4 != 3 && body > exposed + 16)
                    assert_true(memcmp(packet + head + exposed,
                                       payload + exposed - 4 * !!exposed,
                                       8) != 0);
                assert_int_equal(open_it(rx, length), EESP_OK);
            }
        eesp_lane_destroy(tx);
        eesp_lane_destroy(rx);
        eesp_keyring_free(keyring);
    }
}

static void crypt_offset_limits(void **unused)
{
    struct eesp_keyring *five = keyring_of("{\"crypt_offset_max\":5}");
    struct eesp_keyring *six  = keyring_of("{\"crypt_offset_max\":6}");
    struct eesp_keyring *none = keyring_of("{}");
    struct eesp_lane *tx = lane_of(six, 3), *rx = lane_of(five, 9);
    struct eesp_lane *strict = lane_of(none, 9);
    struct eesp_seal_options options = {.crypt_offset = 7};
    struct eesp_destination to = {.rank = 9};
    size_t length, at = EESP_BASE_LEN + EESP_FULL_FIXED + 8;

    (void)unused;
    assert_int_equal(eesp_seal_with(tx, &to, &options, NULL, 0, packet,
                                    sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_lane_sequence(tx), 0); /* no number was taken */
    assert_int_equal(open_it(rx, seal(tx, rx, 50, 6)), EESP_DROP_OFFSET);
    assert_int_equal(count_drops(rx, EESP_DROP_OFFSET), 1);
    assert_int_equal(open_it(rx, seal(tx, rx, 50, 5)), EESP_OK);
    assert_int_equal(open_it(strict, seal(tx, strict, 50, 1)),
                     EESP_DROP_OFFSET);
    /* An offset beyond the packet; a Payload Offset that is not so. */
    length          = seal(tx, rx, 0, 1);
    packet[at + 3] ^= 0x40; /* 1 -> 5 units, of which there is one */
    assert_int_equal(open_it(rx, length), EESP_DROP_OFFSET);
    packet[at + 3] ^= 0x40;
    packet[at + 2] ^= 0x04;
    assert_int_equal(open_it(rx, length), EESP_DROP_OPTION);
    packet[at + 2] ^= 0x04;
    packet[at + 3] ^= 0x01; /* reserved: authenticated all the same */
    assert_int_equal(open_it(rx, length), EESP_DROP_AUTH);
    packet[at + 3] ^= 0x01;
    assert_int_equal(open_it(rx, length), EESP_OK);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_lane_destroy(strict);
    eesp_keyring_free(five);
    eesp_keyring_free(six);
    eesp_keyring_free(none);
}

/* As a relay will seal: with the origin of what it has opened. */
static size_t seal_proxied(struct eesp_lane *tx, struct eesp_lane *rx,
                           struct eesp_origin origin)
{
    struct eesp_header header = tx->sending;
    struct iovec iov = {payload, 20};
    size_t length;

    header.options          |= EESP_HAS_ORIGIN;
    header.flags            |= EESP_FLAG_PROXIED;
    header.origin            = origin;
    header.destination_rank  = rx->rank;
    assert_int_equal(eesp_nonce_take(tx->nonce, &header.incarnation,
                                     &header.sequence),
                     EESP_OK);
    assert_int_equal(eesp_seal_fields(tx, &header, (unsigned)tx->policy->send,
                                      eesp_lane_incarnation(rx), &iov, 1,
                                      packet, sizeof(packet), &length),
                     EESP_OK);
    return length;
}

static void origins(void **unused)
{
    static const struct {
        uint32_t           proxy;
        struct eesp_origin origin;
        int                ret;
    } c[] = {
        {3, {1, 17, 5, 99}, EESP_OK},
        {3, {4, 17, 5, 99}, EESP_OK},
        {3, {0, 17, 5, 99}, EESP_DROP_PROXY},
        {3, {5, 17, 5, 99}, EESP_DROP_PROXY},
        {3, {1, 18, 5, 99}, EESP_DROP_PROXY}, /* 4 speaks for 18 */
        {4, {1, 18, 5, 99}, EESP_OK},
        {4, {1, 17, 5, 99}, EESP_DROP_PROXY},
        {3, {1, 9, 5, 99}, EESP_DROP_PROXY}, /* the receiver's own domain */
        {5, {1, 17, 5, 99}, EESP_DROP_PROXY},
    };
    struct eesp_keyring *keyring = keyring_of(
        "{\"domain_id\":9,\"proxies\":[{\"id\":3,\"domains\":[17]},"
        "{\"id\":4,\"domains\":[18]}]}");
    struct eesp_keyring *none = keyring_of("{\"domain_id\":9}");
    struct eesp_lane *rx = lane_of(keyring, 9), *closed = lane_of(none, 9);
    struct eesp_opened opened;
    size_t i, n;

    (void)unused;
    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        struct eesp_lane *tx = lane_of(keyring, c[i].proxy);

        n = seal_proxied(tx, rx, c[i].origin);
        assert_int_equal(eesp_open(rx, packet, n, plain, sizeof(plain),
                                   &opened),
                         c[i].ret);
        assert_true(opened.proxied); /* for the audit of a drop, too */
        assert_int_equal(opened.origin.hops, c[i].origin.hops);
        assert_int_equal(opened.origin.domain, c[i].origin.domain);
        assert_int_equal(opened.origin.rank, 5);
        assert_int_equal(opened.origin.sequence, 99);
        n = seal_proxied(tx, closed, c[i].origin);
        assert_int_equal(open_it(closed, n), EESP_DROP_PROXY);
        /* The claim is authenticated: flag and option cannot be taken off. */
        n = seal_proxied(tx, rx, c[0].origin);
        packet[EESP_BASE_LEN + 5] ^= EESP_FLAG_PROXIED;
        assert_int_equal(open_it(rx, n), EESP_DROP_OPTION);
        /* Nor is one needed. */
        assert_int_equal(open_it(rx, seal(tx, rx, 9, 0)), EESP_OK);
        eesp_lane_destroy(tx);
    }
    eesp_lane_destroy(rx);
    eesp_lane_destroy(closed);
    eesp_keyring_free(keyring);
    eesp_keyring_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commitment),
        cmocka_unit_test(commitment_is_constant),
        cmocka_unit_test(clients),
        cmocka_unit_test(crypt_offsets),
        cmocka_unit_test(crypt_offset_limits),
        cmocka_unit_test(origins),
    };

    return cmocka_run_group_tests_name("options", tests, fill_payload, NULL);
}
