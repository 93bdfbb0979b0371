/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening: a packet that was sealed here, changed as the input says. A change
 * behind the checks of the header is what a forger would try: nothing but the
 * packet as it was may ever open, and what does not open leaves no plaintext.
 *
 *     policy 1 | payload length 1 | crypt offset 1 | changes 4 each
 *     ff | a whole packet
 */
#define FUZZ_RANDOM
#include "fuzz.h"

enum { LANES_MAX = 64, ROOM = 4096, RANK = 9, MARK = 0x53, MARKS = 8 };

static struct eesp_lane *lanes[LANES_MAX];
static const struct eesp_policy *policies[LANES_MAX];
static unsigned count;

static void start(void)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    unsigned i;

    if (eesp_keyring_load(fuzz_ring(), &keyring, why) != EESP_OK) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    for (i = 0; i < eesp_keyring_policies(keyring) && count < LANES_MAX; i++) {
        struct eesp_lane_params params = {
            .keyring = keyring, .policy = eesp_keyring_policy_at(keyring, i),
            .rank = RANK, .id = RANK, .key_cache = 8, .replay_table = 1 << 10,
        };
        struct eesp_lease lease = {.incarnation = i + 1, .partition = 3};

        if (eesp_lane_create(&params, &lanes[count], why) != EESP_OK)
            continue; /* an algorithm that this build lacks */
        if (eesp_policy_info(params.policy)->partitions != 0)
            FUZZ_RULE(eesp_lane_lease(lanes[count], &lease) == EESP_OK);
        policies[count++] = params.policy;
    }
    FUZZ_RULE(count > 0);
}

/* What was sealed shows in plain. */
static int shows(const uint8_t *plain)
{
    uint8_t marks[MARKS];

    memset(marks, MARK, sizeof(marks));
    return memmem(plain, ROOM, marks, sizeof(marks)) != NULL;
}

static void open_raw(const uint8_t *data, size_t size)
{
    static uint8_t plain[ROOM];
    struct eesp_opened opened;
    unsigned i;

    if (size > ROOM)
        return;
    for (i = 0; i < count; i++) {
        FUZZ_RULE(eesp_open(lanes[i], data, size, plain, ROOM, &opened) !=
                  EESP_OK);
        FUZZ_RULE(eesp_verify(lanes[i], data, size, plain, ROOM) != EESP_OK);
    }
}

static void open_changed(const uint8_t *data, size_t size)
{
    static uint8_t payload[256], sealed[ROOM], packet[ROOM], plain[ROOM];
    unsigned which = data[0] % count;
    const struct eesp_policy_info *info = eesp_policy_info(policies[which]);
    struct eesp_lane *lane              = lanes[which];
    struct eesp_destination to = {.incarnation = eesp_lane_incarnation(lane),
                                  .id = RANK, .rank = RANK};
    struct eesp_seal_options options = {
        .crypt_offset = data[2] % (info->crypt_offset_max + 1)};
    struct iovec iov = {payload, data[1] > info->max_payload ?
                                     info->max_payload : data[1]};
    struct eesp_opened opened;
    size_t length, changed;
    int ret, same, hidden;

    memset(payload, MARK, sizeof(payload));
    ret = eesp_seal_with(lane, &to, &options, &iov, 1, sealed, ROOM, &length);
    if (ret != EESP_OK) {
        FUZZ_RULE(ret == EESP_ERR_EXPIRED);
        return;
    }
    memcpy(packet, sealed, length);
    changed = fuzz_change(packet, length, ROOM, data + 3, size - 3);
    same    = fuzz_same(packet, changed, sealed, length);

    memset(plain, 0, sizeof(plain));
    eesp_lane_stepwise(lane, data[1] & 1);
    ret    = eesp_open(lane, packet, changed, plain, ROOM, &opened);
    hidden = !shows(plain);
    FUZZ_RULE((ret == EESP_OK) == same);
    FUZZ_RULE(ret == EESP_OK || hidden);
    if (!same)
        return;
    FUZZ_RULE(opened.length == iov.iov_len &&
              memcmp(opened.payload, payload, iov.iov_len) == 0);
    ret = eesp_open(lane, packet, length, plain, ROOM, &opened);
    FUZZ_RULE(ret == (info->replay == EESP_REPLAY_OFF ? EESP_OK :
                                                        EESP_DROP_REPLAY));
    FUZZ_RULE(eesp_verify(lane, packet, length, plain, ROOM) == EESP_OK);
    FUZZ_RULE(!shows(plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (count == 0)
        start();
    if (size < 3)
        return 0;
    if (data[0] == 0xff)
        open_raw(data + 1, size - 1);
    else
        open_changed(data, size);
    return 0;
}
