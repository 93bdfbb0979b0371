/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open_split: a packet whose length is known beforehand is opened into two
 * places, the second of which is where its data belongs: no copy is made. The
 * checks are those of open.c.
 */
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "incoming.h"
#include "secret.h"
#include "underway.h"

enum { HEAD, DATA, PADDING, PARTS };

/* As eesp_frame_check(), of a payload that has the length it must have. */
static int check_split(const struct iovec *parts, struct eesp_opened *opened)
{
    const uint8_t *info    = parts[HEAD].iov_base;
    const uint8_t *padding = parts[PADDING].iov_base;
    uint8_t others         = 0;
    size_t i;

    EESP_DECLASSIFY(info, EESP_INFO_LEN);
    for (i = 0; i < parts[PADDING].iov_len; i++)
        others |= padding[i];
    EESP_DECLASSIFY(&others, sizeof(others));
    if (info[0] != 0 || info[1] != 0 || info[3] != parts[PADDING].iov_len ||
        others != 0)
        return EESP_DROP_PAYLOAD;
    opened->payload     = info + EESP_INFO_LEN;
    opened->length      = parts[HEAD].iov_len - EESP_INFO_LEN +
                          parts[DATA].iov_len;
    opened->next_header = info[2];
    return EESP_OK;
}

static int open_split(struct eesp_lane *lane, const void *packet,
                      size_t length, const struct iovec *parts,
                      struct eesp_opened *opened)
{
    struct eesp_incoming in;
    int ret = eesp_open_admit(lane, packet, length, length, &in, opened);

    if (ret != EESP_OK)
        return ret;
    if (in.header.crypt_offset != 0)
        return EESP_DROP_OFFSET;
    if (in.body != parts[HEAD].iov_len + parts[DATA].iov_len +
                       parts[PADDING].iov_len)
        return EESP_DROP_LENGTH;
    ret = eesp_open_parts(lane, &in, packet, parts, PARTS);
    if (ret != EESP_OK)
        return ret;
    eesp_open_commit(lane, &in);
    ret = check_split(parts, opened);
    if (ret == EESP_OK) {
        eesp_open_count_old(lane, &in);
        eesp_underway_opened(lane, &in.header);
    } else {
        eesp_aead_wipe_parts(parts, PARTS);
    }
    return ret;
}

int eesp_open_split(struct eesp_lane *lane, const void *packet, size_t length,
                    void *head, size_t head_length, void *data,
                    size_t data_length, struct eesp_opened *opened)
{
    uint8_t zeros[3];
    struct iovec parts[PARTS] = {
        [HEAD]    = {head, EESP_INFO_LEN + head_length},
        [DATA]    = {data, data_length},
        [PADDING] = {zeros, eesp_padding(head_length + data_length)},
    };
    int ret;

    clear_struct(opened, offsetof(struct eesp_opened, origin));
    ret = open_split(lane, packet, length, parts, opened);
    if (ret == EESP_OK) {
        lane->counters.opened++;
        lane->counters.opened_bytes += opened->length;
    } else {
        lane->counters.dropped[-ret]++;
    }
    return ret;
}
