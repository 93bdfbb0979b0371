/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TSS: ends of a secure domain. What was changed in transit, who may seal with
 * which counter, epochs, the two association numbers, servers and clients.
 */
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "tss.h"

enum { PACKET = 256, SSI_A = 7, SSI_B = 8 };

static struct eesp_tss *make(enum eesp_tss_mode mode, uint64_t ssi, int server)
{
    struct eesp_tss_params params = {.mode = mode, .sdi = 1, .ssi = ssi,
                                     .server = server, .epoch_age = 2};
    struct eesp_tss *tss;

    if (mode == EESP_TSS_CLUSTER) {
        params.rekey_mask  = 0xff00;
        params.rekey_shift = 8;
    }
    assert_int_equal(eesp_tss_create(&params, &tss), EESP_OK);
    return tss;
}

static const uint8_t key_1[EESP_TSS_KEY_LEN] = {1},
                     key_2[EESP_TSS_KEY_LEN] = {2};
static uint16_t fresh = 100; /* epochs of tests: none is used twice */

static int seal(struct eesp_tss *tss, uint32_t client, uint8_t packet[PACKET],
                size_t *length)
{
    struct eesp_tss_place place = {.client = client};

    return eesp_tss_seal(tss, &place, "some text", 9, packet, PACKET, length);
}

static int open_at(struct eesp_tss *tss, const uint8_t *packet, size_t length)
{
    uint8_t body[PACKET] = {0};
    struct eesp_tss_opened opened;
    int ret = eesp_tss_open(tss, NULL, packet, length, body, sizeof(body),
                            &opened);

    if (ret == EESP_OK)
        assert_memory_equal(opened.payload, "some text", 9);
    else
        assert_null(memmem(body, sizeof(body), "text", 4));
    return ret;
}

/* Two ends of a domain, with key_1 in AN 0 and a fresh epoch. */
static void pair(enum eesp_tss_mode mode, struct eesp_tss *end[2])
{
    int i;

    fresh += 10;
    for (i = 0; i < 2; i++) {
        end[i] = make(mode, SSI_A + (unsigned)i, 0);
        assert_int_equal(eesp_tss_set_key(end[i], 0, key_1, fresh), EESP_OK);
    }
}

static void unpair(struct eesp_tss *end[2])
{
    eesp_tss_destroy(end[0]);
    eesp_tss_destroy(end[1]);
}

static void changed_bits(void **unused)
{
    struct eesp_tss *end[2];
    uint8_t packet[PACKET];
    size_t length, bit;

    (void)unused;
    pair(EESP_TSS_CLUSTER, end);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 1000), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    for (bit = 0; bit < 8 * length; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(open_at(end[1], packet, length) < 0);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (bit = 0; bit < length; bit++)
        assert_true(open_at(end[1], packet, bit) < 0);
    assert_int_equal(open_at(end[1], packet, length), EESP_OK);
    assert_int_equal(open_at(end[0], packet, length), EESP_DROP_DESTINATION);
    unpair(end);
}

/* The key changes by itself as the rekey field of the counter does. */
static void rekeying(void **unused)
{
    struct eesp_tss *end[2];
    uint8_t packet[PACKET];
    size_t length;
    int i;

    (void)unused;
    pair(EESP_TSS_CLUSTER, end);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 250, 262), EESP_OK);
    for (i = 250; i < 262; i++) {
        uint8_t mask[EESP_TSS_MASK_LEN];

        assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
        assert_int_equal(open_at(end[1], packet, length), EESP_OK);
        assert_int_equal(end[1]->rx.name.rekey, i >= 256);
        memcpy(mask, end[0]->tx.mask, sizeof(mask));
        assert_memory_equal(mask, end[1]->rx.mask, sizeof(mask));
    }
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_ERR_LEASE);
    unpair(end);
}

static void counters(void **unused)
{
    struct eesp_tss *end[2], *twin;
    uint8_t packet[PACKET];
    size_t length;

    (void)unused;
    pair(EESP_TSS_DIRECT, end);
    /* Nothing before somebody says which counters are fresh. */
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_ERR_LEASE);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 5, 5),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0,
                                        EESP_TSS_COUNTERS + 1),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(end[0], 2, fresh, 0, 1),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh + 1, 0, 1),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(end[0], 1, fresh, 0, 1),
                     EESP_DROP_GENERATION);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 3), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    assert_true(load64(packet + 8) == ((uint64_t)fresh << 48 | 1));
    /* A range goes on where the last one ended, not before. */
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 2, 9),
                     EESP_ERR_LEASE);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 3, 4), EESP_OK);
    /* Nor for another end that claims the same source and key. */
    twin = make(EESP_TSS_DIRECT, SSI_A, 0);
    assert_int_equal(eesp_tss_set_key(twin, 1, key_1, fresh), EESP_OK);
    assert_int_equal(eesp_tss_send_from(twin, 1, fresh, 3, 9), EESP_ERR_LEASE);
    assert_int_equal(eesp_tss_send_from(twin, 1, fresh, 4, 9), EESP_OK);
    eesp_tss_destroy(twin);
    /* The last counter of all. */
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh,
                                        EESP_TSS_COUNTERS - 1,
                                        EESP_TSS_COUNTERS), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_ERR_LIMIT);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 1),
                     EESP_ERR_LEASE);
    /* The same key again keeps its counters, another one has its own. */
    assert_int_equal(eesp_tss_set_key(end[0], 0, key_1, fresh), EESP_OK);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 1),
                     EESP_ERR_LEASE);
    assert_int_equal(eesp_tss_set_key(end[0], 0, key_2, fresh), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_ERR_LEASE);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 1), EESP_OK);
    unpair(end);
}

/* The child of a fork seals nothing and claims nothing. */
static void forked(void **unused)
{
    struct eesp_tss *end[2];
    uint8_t packet[PACKET];
    size_t length;
    int status;
    pid_t pid;

    (void)unused;
    pair(EESP_TSS_CLUSTER, end);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 9), EESP_OK);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(seal(end[0], 0, packet, &length) != EESP_ERR_LEASE ||
              eesp_tss_send_from(end[0], 0, fresh, 9, 10) != EESP_ERR_LEASE);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    unpair(end);
}

static void epochs(void **unused)
{
    struct eesp_tss *end[2];
    uint8_t packet[PACKET];
    size_t length;
    uint16_t i;

    (void)unused;
    pair(EESP_TSS_CLUSTER, end);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 9), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    for (i = 0; i < 5; i++) { /* epoch_age is 2 */
        assert_int_equal(eesp_tss_set_key(end[1], 0, key_1, fresh + i),
                         EESP_OK);
        assert_int_equal(open_at(end[1], packet, length),
                         i <= 2 ? EESP_OK : EESP_DROP_EPOCH);
    }
    assert_int_equal(eesp_tss_set_key(end[1], 0, key_1, fresh),
                     EESP_ERR_ARGUMENT); /* back */
    /* Newer epochs open: the sender heard of it first. */
    assert_int_equal(eesp_tss_set_key(end[0], 0, key_1, fresh + 9), EESP_OK);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh + 9, 0, 9), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    assert_int_equal(open_at(end[1], packet, length), EESP_OK);
    unpair(end);
}

/* Make before break: the next key opens from AN 1 while AN 0 still seals. */
static void rotation(void **unused)
{
    struct eesp_tss *end[2];
    uint8_t old[PACKET], packet[PACKET];
    size_t n, length;

    (void)unused;
    pair(EESP_TSS_DIRECT, end);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 9), EESP_OK);
    assert_int_equal(seal(end[0], 0, old, &n), EESP_OK);
    assert_int_equal(eesp_tss_set_key(end[0], 1, key_2, 0), EESP_OK);
    assert_int_equal(eesp_tss_send_from(end[0], 1, 0, 0, 9), EESP_OK);
    assert_int_equal(seal(end[0], 0, packet, &length), EESP_OK);
    assert_int_equal(open_at(end[1], packet, length), EESP_DROP_GENERATION);
    assert_int_equal(eesp_tss_set_key(end[1], 1, key_2, 0), EESP_OK);
    assert_int_equal(open_at(end[1], packet, length), EESP_OK);
    assert_int_equal(open_at(end[1], old, n), EESP_OK);
    assert_int_equal(eesp_tss_set_key(end[1], 0, (const uint8_t[32]){3}, 0),
                     EESP_OK); /* the one after the next */
    assert_int_equal(open_at(end[1], old, n), EESP_DROP_AUTH);
    unpair(end);
}

static void server_and_clients(void **unused)
{
    struct eesp_tss *server = make(EESP_TSS_SERVER, 0, 1);
    struct eesp_tss *a = make(EESP_TSS_SERVER, SSI_A, 0);
    struct eesp_tss *b = make(EESP_TSS_SERVER, SSI_B, 0);
    struct eesp_tss_grant grant, other;
    uint8_t packet[PACKET];
    size_t length;

    (void)unused;
    fresh += 10;
    assert_int_equal(eesp_tss_grant(server, 0, fresh, SSI_A, &grant),
                     EESP_DROP_GENERATION);
    assert_int_equal(eesp_tss_set_key(server, 0, key_1, fresh), EESP_OK);
    assert_int_equal(eesp_tss_set_key(a, 0, key_1, fresh), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_grant(a, 0, fresh, SSI_A, &grant),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_grant(server, 0, fresh, 1ull << 32, &grant),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_grant(server, 0, fresh, SSI_A, &grant), EESP_OK);
    assert_int_equal(eesp_tss_grant(server, 0, fresh, SSI_B, &other), EESP_OK);
    assert_memory_not_equal(grant.key, other.key, sizeof(grant.key));
    assert_int_equal(eesp_tss_set_grant(a, &other), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_set_grant(server, &grant), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_set_grant(a, &grant), EESP_OK);
    assert_int_equal(eesp_tss_set_grant(a, &grant), EESP_OK);
    assert_int_equal(eesp_tss_set_grant(b, &other), EESP_OK);
    grant.mask[0] ^= 1; /* the same epoch with something else */
    assert_int_equal(eesp_tss_set_grant(a, &grant), EESP_ERR_ARGUMENT);

    /* Both begin at 0 under one key: bit 47 keeps them apart. */
    assert_int_equal(eesp_tss_send_from(a, 0, fresh, 0, EESP_TSS_COUNTERS),
                     EESP_OK);
    assert_int_equal(eesp_tss_send_from(server, 0, fresh, 0,
                                        EESP_TSS_COUNTERS), EESP_OK);
    assert_int_equal(seal(a, 0, packet, &length), EESP_OK);
    assert_true((load64(packet + 8) & EESP_TSS_SERVER_BIT) == 0);
    assert_int_equal(open_at(server, packet, length), EESP_OK);
    assert_int_equal(open_at(a, packet, length), EESP_DROP_DESTINATION);
    assert_int_equal(open_at(b, packet, length), EESP_DROP_DESTINATION);
    assert_int_equal(seal(server, SSI_A, packet, &length), EESP_OK);
    assert_true((load64(packet + 8) & EESP_TSS_SERVER_BIT) != 0);
    assert_int_equal(open_at(a, packet, length), EESP_OK);
    assert_int_equal(open_at(b, packet, length), EESP_DROP_DESTINATION);
    assert_int_equal(open_at(server, packet, length), EESP_DROP_DESTINATION);
    packet[7] = SSI_B; /* another client's */
    assert_int_equal(open_at(b, packet, length), EESP_DROP_AUTH);
    assert_int_equal(eesp_tss_seal(server, NULL, "x", 1, packet, PACKET,
                                   &length), EESP_ERR_ARGUMENT);
    server->counter->next = server->counter->limit;
    assert_int_equal(seal(server, SSI_A, packet, &length), EESP_ERR_LIMIT);

    /* An epoch later: two grants are kept, the third pushes the first out. */
    assert_int_equal(eesp_tss_set_key(server, 0, key_1, fresh + 1), EESP_OK);
    assert_int_equal(eesp_tss_send_from(server, 0, fresh + 1, 0, 9), EESP_OK);
    assert_int_equal(seal(server, SSI_A, packet, &length), EESP_OK);
    assert_int_equal(open_at(a, packet, length), EESP_DROP_EPOCH);
    assert_int_equal(eesp_tss_grant(server, 0, fresh + 1, SSI_A, &grant),
                     EESP_OK);
    assert_int_equal(eesp_tss_set_grant(a, &grant), EESP_OK);
    assert_int_equal(open_at(a, packet, length), EESP_OK);
    assert_int_equal(seal(a, 0, packet, &length), EESP_OK); /* old one still */
    assert_int_equal(open_at(server, packet, length), EESP_OK);
    assert_int_equal(eesp_tss_send_from(a, 0, fresh, 5, 6), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(a, 0, fresh + 1, 0, 6), EESP_OK);
    grant.epoch = fresh;
    assert_int_equal(eesp_tss_set_grant(a, &grant), EESP_ERR_ARGUMENT);
    eesp_tss_destroy(server);
    eesp_tss_destroy(a);
    eesp_tss_destroy(b);
}

static void bad_parameters(void **unused)
{
    static const struct eesp_tss_params bad[] = {
        {.mode = 3}, {.sdi = 1 << 24}, {.ssi = 1ull << 32},
        {.mode = EESP_TSS_CLUSTER, .rekey_mask = 1ull << 48},
        {.mode = EESP_TSS_CLUSTER, .rekey_shift = 48},
        {.mode = EESP_TSS_DIRECT, .rekey_shift = 1},
        {.mode = EESP_TSS_DIRECT, .rekey_mask = 1},
        {.mode = EESP_TSS_CLUSTER, .server = 1}};
    struct eesp_tss_params none = {.backend = "none"};
    struct eesp_tss_place wide = {.aad = "", .aad_length = 37};
    struct eesp_tss *end[2], *tss;
    uint8_t packet[PACKET];
    struct eesp_tss_opened opened;
    size_t i, length;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(eesp_tss_create(&bad[i], &tss), EESP_ERR_ARGUMENT);
        assert_null(tss);
    }
    assert_int_equal(eesp_tss_create(&none, &tss), EESP_ERR_UNSUPPORTED);
    pair(EESP_TSS_DIRECT, end);
    assert_int_equal(eesp_tss_set_key(end[0], 2, key_1, 0), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_send_from(end[0], 0, fresh, 0, 9), EESP_OK);
    assert_int_equal(eesp_tss_seal(end[0], &wide, "x", 1, packet, PACKET,
                                   &length), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_seal(end[0], NULL, "x", 1, packet, 32, &length),
                     EESP_ERR_SPACE);
    assert_int_equal(eesp_tss_seal(end[0], NULL, "x", 1, packet, 33, &length),
                     EESP_OK);
    assert_int_equal(eesp_tss_open(end[1], NULL, packet, length, packet + 64,
                                   length - 1, &opened), EESP_ERR_SPACE);
    assert_int_equal(eesp_tss_open(end[1], &wide, packet, length, packet + 64,
                                   64, &opened), EESP_ERR_ARGUMENT);
    packet[3] ^= 2; /* SDI */
    assert_int_equal(open_at(end[1], packet, length), EESP_DROP_SPI);
    unpair(end);
    eesp_tss_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_bits), cmocka_unit_test(rekeying),
        cmocka_unit_test(counters),     cmocka_unit_test(forked),
        cmocka_unit_test(epochs),       cmocka_unit_test(rotation),
        cmocka_unit_test(server_and_clients),
        cmocka_unit_test(bad_parameters),
    };

    return cmocka_run_group_tests_name("tss_ends", tests, NULL, NULL);
}
