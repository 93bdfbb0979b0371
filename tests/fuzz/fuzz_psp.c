/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PSP: as fuzz_open.
 *
 *     bit 0: version, bit 1: cookie, bit 2: in EESP, bit 7: a whole packet
 *     follows | payload length 1 | crypt offset 1 | changes 4 each
 */
#define FUZZ_RANDOM
#include "eesp_psp.h"
#include "fuzz.h"

enum { ROOM = 2048, MARK = 0x53, MARKS = 8 };

static struct eesp_psp_receiver *receiver;
static struct eesp_psp_sa *sas[4]; /* version | 2 * form */

static void start(void)
{
    struct eesp_psp_grant grant;
    unsigned i;

    FUZZ_RULE(eesp_psp_receiver_create(NULL, NULL, &receiver) == EESP_OK);
    for (i = 0; i < 4; i++) {
        FUZZ_RULE(eesp_psp_issue(receiver, i & 1, (enum eesp_psp_form)(i >> 1),
                                 &grant) == EESP_OK);
        FUZZ_RULE(eesp_psp_sa_create(&grant, NULL, &sas[i]) == EESP_OK);
    }
}

static int shows(const uint8_t *plain)
{
    uint8_t marks[MARKS];

    memset(marks, MARK, sizeof(marks));
    return memmem(plain, ROOM, marks, sizeof(marks)) != NULL;
}

static void parse(const uint8_t *data, size_t size)
{
    static uint8_t body[ROOM];
    struct eesp_psp_header header;
    struct eesp_psp_opened opened;

    if (size > ROOM)
        return;
    if (eesp_psp_parse(data, size, &header) == EESP_OK)
        FUZZ_RULE(header.length + EESP_PSP_ICV_LEN <= size &&
                  header.version <= EESP_PSP_AES_GMAC_256);
    FUZZ_RULE(eesp_psp_open(receiver, data, size, body, ROOM, &opened) !=
              EESP_OK);
    FUZZ_RULE(eesp_psp_open_eesp(receiver, data, size, body, ROOM, &opened) !=
              EESP_OK);
}

static void open_changed(const uint8_t *data, size_t size)
{
    static uint8_t payload[256], sealed[ROOM], packet[ROOM], body[ROOM];
    struct eesp_psp_options options = {
        .next_header = 17, .crypt_offset = data[2] & 63,
        .has_cookie = data[0] >> 1 & 1, .cookie = 0x0123456789abcdef};
    struct eesp_psp_opened opened;
    size_t length, changed;
    int ret, same, in_eesp = data[0] >> 2 & 1;

    if (in_eesp)
        options.has_cookie = 0;
    memset(payload, MARK, sizeof(payload));
    ret = eesp_psp_seal(sas[(data[0] & 1) | in_eesp << 1], &options,
                        payload, data[1], sealed, ROOM, &length);
    if (ret != EESP_OK) {
        FUZZ_RULE(ret == EESP_ERR_ARGUMENT); /* more readable than there is */
        return;
    }
    memcpy(packet, sealed, length);
    changed = fuzz_change(packet, length, ROOM, data + 3, size - 3);
    same    = fuzz_same(packet, changed, sealed, length);
    memset(body, 0, sizeof(body));
    ret = (in_eesp ? eesp_psp_open_eesp : eesp_psp_open)(
        receiver, packet, changed, body, ROOM, &opened);
    FUZZ_RULE((ret == EESP_OK) == same);
    FUZZ_RULE(ret == EESP_OK || !shows(body));
    if (same)
        FUZZ_RULE(opened.length == data[1] &&
                  memcmp(opened.payload, payload, data[1]) == 0 &&
                  (!options.has_cookie ||
                   opened.header.cookie == options.cookie));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (receiver == NULL)
        start();
    if (size < 3)
        return 0;
    if (data[0] & 0x80)
        parse(data + 1, size - 1);
    else
        open_changed(data, size);
    return 0;
}
