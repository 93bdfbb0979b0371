/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * receiver KEYRING SPI RANK ID [BACKEND]: a receiver with a replay table, for
 * what the eesp command does not show. It prints its incarnation, then answers
 * each line of standard input:
 *
 *     PACKET            "ok PAYLOAD", or "drop REASON"
 *     check GENERATIONS "ok VALUE", or "drop REASON": the key check value
 *
 * All in hexadecimal, but for SPI and RANK; reasons are numbers of eesp.h.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eesp.h"

enum { PACKET_MAX = 1 << 16 };

/* Bytes of text, as many as there are whole ones. */
static size_t read_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t n = 0;
    unsigned byte;

    while (n < size && sscanf(text + 2 * n, "%2x", &byte) == 1)
        bytes[n++] = (uint8_t)byte;
    return n;
}

static void answer(int error, const uint8_t *bytes, size_t length)
{
    size_t i;

    if (error != EESP_OK) {
        printf("drop %d\n", error);
        return;
    }
    printf("ok ");
    for (i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

static void check(const struct eesp_policy *policy, const char *text)
{
    uint8_t generations[EESP_LEVELS] = { 0 }, value[EESP_CHECK_VALUE_LEN];

    read_hex(text, generations, sizeof(generations));
    answer(eesp_policy_check_value(policy, generations, value), value,
           sizeof(value));
}

static void open_packet(struct eesp_lane *lane, const char *text)
{
    static uint8_t packet[PACKET_MAX], plaintext[PACKET_MAX];
    struct eesp_opened opened;
    size_t length = read_hex(text, packet, sizeof(packet));
    int error = eesp_open(lane, packet, length, plaintext, sizeof(plaintext),
                          &opened);

    answer(error, opened.payload, opened.length);
}

int main(int argc, char *argv[])
{
    struct eesp_lane_params params = { .replay_table = 64 };
    struct eesp_keyring *keyring;
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN], *line = NULL;
    size_t size = 0;

    if (argc != 5 && argc != 6)
        errx(2, "usage: receiver KEYRING SPI RANK ID [BACKEND]");
    if (eesp_keyring_load(argv[1], &keyring, why) != EESP_OK)
        errx(1, "%s", why);
    params.keyring = keyring;
    params.policy = eesp_keyring_policy(keyring, argv[2]);
    params.rank = (uint32_t)strtoul(argv[3], NULL, 10);
    params.id = strtoull(argv[4], NULL, 16);
    params.backend = argv[5]; /* NULL: the best */
    if (!params.policy)
        errx(1, "no policy %s", argv[2]);
    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    printf("%016" PRIx64 "\n", eesp_lane_incarnation(lane));
    fflush(stdout);
    while (getline(&line, &size, stdin) > 0) {
        if (strncmp(line, "check ", 6) == 0)
            check(params.policy, line + 6);
        else
            open_packet(lane, line);
    }
    free(line);
    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
    return 0;
}
