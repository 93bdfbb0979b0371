/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open_steps: a packet that another core has just written is decrypted step by
 * step: while the AEAD is at one, the cache lines of the next come (AES-GCM of
 * ipsec-mb asks for them; others gain nothing by it). Where the two cores share no
 * cache, AES waits for each line otherwise.
 */
#include "incoming.h"

enum { STEP = 2048, STEPS_MAX = 32, PARTS_MAX = 4 };

void eesp_lane_stepwise(struct eesp_lane *lane, int on)
{
    lane->stepwise = on;
}

/*
 * At the same places of the packet wherever its parts end: a multiple of a
 * block, or the AEAD would have to keep a piece of one each time.
 */
static unsigned cut(const struct iovec *parts, unsigned count, size_t step,
                    struct iovec *pieces)
{
    size_t room = step;
    unsigned i, n = 0;

    for (i = 0; i < count; i++) {
        uint8_t *at = parts[i].iov_base;
        size_t left = parts[i].iov_len, length;

        for (; left > 0; left -= length, at += length, room -= length) {
            if (room == 0)
                room = step;
            length      = left < room ? left : room;
            pieces[n++] = (struct iovec){at, length};
        }
    }
    return n;
}

int eesp_open_steps(const struct eesp_frame_key *key,
                    const struct eesp_incoming *in, const uint8_t *body,
                    const struct iovec *parts, unsigned count,
                    const uint8_t *icv)
{
    struct iovec pieces[STEPS_MAX + PARTS_MAX];
    size_t step = STEP;

    while (step * STEPS_MAX < in->body)
        step *= 2;
    if (count > PARTS_MAX)
        return EESP_ERR_ARGUMENT;
    count = cut(parts, count, step, pieces);
    return key->aead->decrypt_parts(key->key, key->nonce, in->copy,
                                    in->header.length, body, pieces, count,
                                    icv);
}
