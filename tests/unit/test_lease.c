/* SPDX-License-Identifier: BSD-3-Clause */
/* lease: who may seal under an IV partition, and that no nonce comes twice. */
#include "ring.h"

#include <sys/wait.h>
#include <unistd.h>

#include "context.h"
#include "lane.h"

enum { PACKET = 300 };

static struct eesp_keyring *keyring_of(int compact)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

    json_object_set_new(policy, "partitioned", json_true());
    json_object_set_new(policy, "phase_shift", json_integer(20));
    if (compact)
        json_object_set_new(policy, "compact_id", json_integer(3));
    return ring_parse(ring);
}

static struct eesp_lane *lane_of(const struct eesp_keyring *keyring,
                                 uint32_t rank)
{
    return lane_open(keyring, (struct eesp_lane_params){.rank = rank});
}

static int seal(struct eesp_lane *tx, struct eesp_lane *rx, uint8_t *packet,
                size_t *length)
{
    struct eesp_destination to = {eesp_lane_incarnation(rx), 0, rx->rank, 777};
    struct iovec iov = {"pool", 4};

    return eesp_seal(tx, &to, &iov, 1, packet, PACKET, length);
}

static int lease(struct eesp_lane *lane, uint64_t incarnation,
                 uint16_t partition)
{
    struct eesp_lease l = {.incarnation = incarnation, .partition = partition};

    return eesp_lane_lease(lane, &l);
}

/* Members of a pool share key and incarnation, never a nonce. */
static void pool(void **unused)
{
    enum { MEMBERS = 4, ROUNDS = 20 };
    uint8_t packet[PACKET], plain[PACKET], made[MEMBERS * ROUNDS][12];
    const uint8_t no_mask[12] = {0};
    struct eesp_header header;
    struct eesp_opened opened;
    unsigned form, i, j, n;
    size_t length;

    (void)unused;
    for (form = 0; form < 2; form++) {
        struct eesp_keyring *keyring = keyring_of((int)form);
        struct eesp_lane *members[MEMBERS], *rx = lane_of(keyring, 9);

        for (i = 0; i < MEMBERS; i++) {
            members[i] = lane_of(keyring, 3);
            assert_int_equal(lease(members[i], 1000 + form,
                                   (uint16_t)(0x8000 + i)),
                             EESP_OK);
        }
        for (n = 0; n < MEMBERS * ROUNDS; n++) {
            struct eesp_lane *tx = members[n % MEMBERS];

            assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
            assert_int_equal(eesp_header_parse(packet, length, &header),
                             EESP_OK);
            /* The Session ID is the partition, not the caller's. */
            assert_int_equal(header.session_id, 0x8000 + n % MEMBERS);
            assert_true(header.incarnation == 1000 + form);
            eesp_lane_nonce(tx, &header, no_mask, made[n]);
            for (j = 0; j < n; j++)
                assert_int_not_equal(memcmp(made[j], made[n], 12), 0);
            assert_int_equal(eesp_open(rx, packet, length, plain,
                                       sizeof(plain), &opened),
                             EESP_OK);
            /* Numbers of each member are followed apart. */
            assert_true(opened.sequence == n / MEMBERS + 1);
            assert_true(opened.previous == n / MEMBERS);
            assert_int_equal(eesp_open(rx, packet, length, plain,
                                       sizeof(plain), &opened),
                             EESP_DROP_REPLAY);
        }
        assert_int_equal(rx->counters.derived, 1); /* one key of the pool */
        for (i = 0; i < MEMBERS; i++)
            eesp_lane_destroy(members[i]);
        eesp_lane_destroy(rx);
        eesp_keyring_free(keyring);
    }
}

static void refused(void **unused)
{
    struct eesp_keyring *keyring = keyring_of(0), *plain = NULL;
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    struct eesp_lane *other;
    uint8_t packet[PACKET];
    size_t length;

    (void)unused;
    assert_int_equal(seal(tx, rx, packet, &length), EESP_ERR_LEASE);
    assert_int_equal(lease(tx, 0, 1), EESP_ERR_ARGUMENT);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_ERR_LEASE);
    assert_int_equal(lease(tx, 2000, 1), EESP_OK);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    /* A lease is used once: by this lane, or by any other. */
    assert_int_equal(lease(tx, 2000, 1), EESP_ERR_LEASE);
    assert_int_equal(lease(rx, 2000, 1), EESP_ERR_LEASE);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK); /* goes on */
    assert_true(eesp_lane_sequence(tx) == 2);
    eesp_lane_destroy(tx);
    tx = lane_of(keyring, 3);
    assert_int_equal(lease(tx, 2000, 1), EESP_ERR_LEASE);
    /* Another pair is another lease. */
    assert_int_equal(lease(tx, 2000, 2), EESP_OK);
    assert_int_equal(lease(tx, 2001, 2), EESP_OK);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    assert_true(eesp_lane_sequence(tx) == 1);
    /* What calls for a new incarnation calls for a new lease. */
    assert_int_equal(eesp_lane_reincarnate(tx), EESP_OK);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_ERR_LEASE);
    assert_int_equal(lease(tx, 2001, 2), EESP_ERR_LEASE);
    /* Where nothing is partitioned there is nothing to lease. */
    plain = ring_parse(ring_json(7));
    other = lane_of(plain, 3);
    assert_int_equal(lease(other, 2002, 2), EESP_ERR_ARGUMENT);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_lane_destroy(other);
    eesp_keyring_free(keyring);
    eesp_keyring_free(plain);
}

/* Parent and child would count on in one partition. */
static void forked(void **unused)
{
    struct eesp_keyring *keyring = keyring_of(0);
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    uint8_t packet[PACKET];
    size_t length;
    int status;
    pid_t child;

    (void)unused;
    assert_int_equal(lease(tx, 3000, 1), EESP_OK);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int good = seal(tx, rx, packet, &length) == EESP_ERR_LEASE &&
                   lease(tx, 3000, 1) == EESP_ERR_LEASE &&
                   seal(tx, rx, packet, &length) == EESP_ERR_LEASE &&
                   lease(tx, 3000, 2) == EESP_OK &&
                   seal(tx, rx, packet, &length) == EESP_OK;

        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    assert_true(eesp_lane_sequence(tx) == 2);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void exhausted(void **unused)
{
    struct eesp_keyring *keyring = keyring_of(0);
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    uint8_t packet[PACKET], plain[PACKET];
    struct eesp_opened opened;
    size_t length;

    (void)unused;
    assert_int_equal(lease(tx, 4000, 1), EESP_OK);
    tx->nonce->next = EESP_PARTITION_LAST;
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    assert_int_equal(eesp_open(rx, packet, length, plain, sizeof(plain),
                               &opened),
                     EESP_OK);
    assert_true(opened.sequence == EESP_PARTITION_LAST);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_ERR_LIMIT);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_ERR_LIMIT);
    /* 2^48 + n of one member would be n of another: not even derived for. */
    assert_int_equal(lease(tx, 4000, 2), EESP_OK);
    assert_int_equal(seal(tx, rx, packet, &length), EESP_OK);
    packet[tx->header_length - 7] ^= 1; /* bit 48 of the sequence */
    assert_int_equal(eesp_open(rx, packet, length, plain, sizeof(plain),
                               &opened),
                     EESP_DROP_PARTITION);
    assert_int_equal(count_drops(rx, EESP_DROP_PARTITION), 1);
    assert_int_equal(rx->counters.derived, 1); /* that of the first phase */
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool),
        cmocka_unit_test(refused),
        cmocka_unit_test(forked),
        cmocka_unit_test(exhausted),
    };

    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
