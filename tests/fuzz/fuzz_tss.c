/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TSS: as fuzz_open.
 *
 *     mode 0 .. 2, + 3: in EESP, + 6: in EESP by ranks, bit 7: a whole packet
 *     follows | payload length 1 | bytes in front of the header 1 | changes 4
 *     each
 */
#define FUZZ_RANDOM
#include "eesp_tss.h"
#include "fuzz.h"

enum { ROOM = 2048, MARK = 0x53, MARKS = 8, MODES = 3, ENDS = 9, EPOCH = 3 };

static struct eesp_tss *tx[ENDS], *rx[ENDS];

static struct eesp_tss *end_of(unsigned m, unsigned ssi, int server)
{
    unsigned mode                 = m % MODES;
    struct eesp_tss_params params = {
        .form = m >= MODES ? EESP_TSS_IN_EESP : EESP_TSS_PACKET,
        .mode = (enum eesp_tss_mode)mode, .ranks = m >= 2 * MODES, .sdi = 1,
        .ssi = ssi, .server = server};
    struct eesp_tss *tss;

    if (mode == EESP_TSS_CLUSTER)
        params.rekey_mask = 1;
    FUZZ_RULE(eesp_tss_create(&params, &tss) == EESP_OK);
    return tss;
}

static void start(void)
{
    static const uint8_t key[EESP_TSS_KEY_LEN] = {7};
    struct eesp_tss_grant grant;
    unsigned m;

    for (m = 0; m < ENDS; m++) {
        const uint16_t epoch = (uint16_t)(EPOCH + m); /* none twice */

        tx[m] = end_of(m, 7, 0);
        rx[m] = end_of(m, 8, m % MODES == EESP_TSS_SERVER);
        FUZZ_RULE(eesp_tss_set_key(rx[m], 0, key, epoch) == EESP_OK);
        if (m % MODES == EESP_TSS_SERVER) {
            FUZZ_RULE(eesp_tss_grant(rx[m], 0, epoch, 7, &grant) == EESP_OK);
            FUZZ_RULE(eesp_tss_set_grant(tx[m], &grant) == EESP_OK);
        } else {
            FUZZ_RULE(eesp_tss_set_key(tx[m], 0, key, epoch) == EESP_OK);
        }
        FUZZ_RULE(eesp_tss_send_from(tx[m], 0, epoch, 0, EESP_TSS_COUNTERS) ==
                  EESP_OK);
    }
}

static int shows(const uint8_t *plain)
{
    uint8_t marks[MARKS];

    memset(marks, MARK, sizeof(marks));
    return memmem(plain, ROOM, marks, sizeof(marks)) != NULL;
}

static void parse(struct eesp_tss *end, const uint8_t *data, size_t size)
{
    static uint8_t body[ROOM];
    struct eesp_tss_header header;
    struct eesp_tss_opened opened;

    if (size > ROOM)
        return;
    if (eesp_tss_parse(data, size, &header) == EESP_OK)
        FUZZ_RULE(header.length + EESP_TSS_ICV_LEN <= size &&
                  header.an <= 1 && header.counter < EESP_TSS_COUNTERS);
    FUZZ_RULE(eesp_tss_open(end, NULL, data, size, body, ROOM, &opened) !=
              EESP_OK);
}

static void open_changed(const uint8_t *data, size_t size)
{
    static uint8_t payload[256], sealed[ROOM], packet[ROOM], body[ROOM];
    static uint8_t before[EESP_TSS_AAD_MAX];
    struct eesp_tss_place place = {.aad = before, .aad_length = data[2],
                                   .rank = 8};
    unsigned mode               = data[0] % ENDS;
    struct eesp_tss_opened opened;
    size_t length, changed;
    int ret, same;

    memset(payload, MARK, sizeof(payload));
    ret = eesp_tss_seal(tx[mode], &place, payload, data[1], sealed, ROOM,
                        &length);
    if (ret != EESP_OK) {
        FUZZ_RULE(ret == EESP_ERR_ARGUMENT &&
                  data[2] > (mode < MODES ? EESP_TSS_AAD_MAX : 0));
        return;
    }
    memcpy(packet, sealed, length);
    changed = fuzz_change(packet, length, ROOM, data + 3, size - 3);
    same    = fuzz_same(packet, changed, sealed, length);
    memset(body, 0, sizeof(body));
    ret = eesp_tss_open(rx[mode], &place, packet, changed, body, ROOM,
                        &opened);
    FUZZ_RULE((ret == EESP_OK) == same);
    FUZZ_RULE(ret == EESP_OK || !shows(body));
    if (same)
        FUZZ_RULE(opened.length == data[1] &&
                  memcmp(opened.payload, payload, data[1]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (tx[0] == NULL)
        start();
    if (size < 3)
        return 0;
    if (data[0] & 0x80)
        parse(rx[data[0] % ENDS], data + 1, size - 1);
    else
        open_changed(data, size);
    return 0;
}
