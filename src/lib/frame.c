/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include "secret.h"

enum { REST_MIN = EESP_INFO_LEN + EESP_ICV_LEN };

int eesp_frame_check(size_t max_payload, const uint8_t *plaintext, size_t body,
                     struct eesp_frame *frame)
{
    unsigned padding, i;
    uint8_t others = 0;

    EESP_DECLASSIFY(plaintext, EESP_INFO_LEN);
    padding = plaintext[3];
    if (plaintext[0] != 0 || plaintext[1] != 0 ||
        padding > body - EESP_INFO_LEN)
        return EESP_DROP_PAYLOAD;
    for (i = 0; i < padding; i++)
        others |= plaintext[body - 1 - i];
    EESP_DECLASSIFY(&others, sizeof(others));
    if (others != 0 || body % 4 != 0 ||
        body - EESP_INFO_LEN - padding > max_payload)
        return EESP_DROP_PAYLOAD;
    frame->payload     = plaintext + EESP_INFO_LEN;
    frame->length      = body - EESP_INFO_LEN - padding;
    frame->next_header = plaintext[2];
    return EESP_OK;
}

int eesp_frame_decrypt(const struct eesp_frame_key *key,
                       const struct eesp_header *header, uint8_t *aad,
                       const uint8_t *packet, size_t body, uint8_t *plaintext,
                       const uint8_t *icv)
{
    size_t exposed = 4 * (size_t)header->crypt_offset;
    uint8_t *copy  = aad + header->length;
    int ret;

    if (exposed > body)
        return EESP_DROP_OFFSET;
    /* Associated data, from where nobody can write to it. */
    memcpy(copy, packet, exposed);
    ret = key->aead->decrypt(key->key, key->nonce, aad,
                             header->length + exposed, packet + exposed,
                             body - exposed, plaintext + exposed, icv);
    if (ret == EESP_OK)
        memcpy(plaintext, copy, exposed);
    return ret;
}

size_t eesp_frame_overhead(const struct eesp_header *header)
{
    return eesp_header_length(0, header->selectors, header->options) +
           EESP_INFO_LEN + 3 + EESP_ICV_LEN;
}

int eesp_frame_seal(const struct eesp_frame_key *key,
                    struct eesp_header *header, uint8_t next_header,
                    const void *payload, size_t payload_length, void *packet,
                    size_t size, size_t *length_p)
{
    static const uint8_t zeros[3];
    unsigned padding = eesp_padding(payload_length);
    size_t overhead  = eesp_frame_overhead(header), body, exposed;
    uint8_t info[EESP_INFO_LEN] = {0, 0, next_header, (uint8_t)padding};
    uint8_t aad[EESP_HEADER_MAX + EESP_EXPOSED_MAX], *out;
    struct iovec parts[3] = {
        {info, sizeof(info)},
        {(void *)(uintptr_t)payload, payload_length},
        {(void *)(uintptr_t)zeros, padding},
    };
    int ret;

    if (size < overhead || payload_length > size - overhead)
        return EESP_ERR_SPACE;
    body    = EESP_INFO_LEN + payload_length + padding;
    exposed = 4 * (size_t)header->crypt_offset;
    if (exposed > EESP_EXPOSED_MAX || exposed > body)
        return EESP_ERR_ARGUMENT;
    eesp_header_build(header, aad);
    out = (uint8_t *)packet + header->length;
    eesp_aead_take(parts, exposed, aad + header->length);
    ret = key->aead->seal(key->key, key->nonce, aad, header->length + exposed,
                          parts, 3, out + exposed, out + body);
    if (ret != EESP_OK) {
        explicit_bzero(packet, header->length + body + EESP_ICV_LEN);
        return ret;
    }
    memcpy(packet, aad, header->length + exposed);
    *length_p = header->length + body + EESP_ICV_LEN;
    return EESP_OK;
}

/* All that these profiles do not use is 0, and there is one Sub SA. */
static int is_plain(const struct eesp_header *header, unsigned profile)
{
    static const uint8_t no_generations[EESP_LEVELS];

    return !header->compact && header->profile == profile &&
           header->kdf == 0 && header->flags == 0 && header->levels == 0 &&
           header->phase_shift == 0 && header->incarnation == 0 &&
           header->session_id == 0 &&
           memcmp(header->generations, no_generations,
                  sizeof(no_generations)) == 0 &&
           (header->options & ~(unsigned)EESP_HAS_CRYPT_OFFSET) == 0;
}

int eesp_frame_read(struct eesp_frame_in *in, unsigned profile,
                    const void *packet, size_t length)
{
    const uint8_t *p = packet;
    size_t size;
    int ret;

    if (length < EESP_BASE_LEN)
        return EESP_DROP_LENGTH;
    /* The copy is what is looked at: packet may change meanwhile. */
    size = EESP_BASE_LEN + p[1] + EESP_SEQUENCE_LEN + REST_MIN;
    if (size > length)
        size = length;
    memcpy(in->copy, p, size);
    ret = eesp_header_parse(in->copy, size, &in->header);
    if (ret != EESP_OK)
        return ret;
    return is_plain(&in->header, profile) ? EESP_OK : EESP_DROP_POLICY;
}

int eesp_frame_open(struct eesp_frame_in *in, const struct eesp_frame_key *key,
                    const void *packet, size_t length, void *plaintext,
                    struct eesp_frame *frame)
{
    const uint8_t *p = (const uint8_t *)packet + in->header.length;
    size_t body      = length - in->header.length - EESP_ICV_LEN;
    uint8_t icv[EESP_ICV_LEN];
    int ret;

    memcpy(icv, p + body, sizeof(icv));
    ret = eesp_frame_decrypt(key, &in->header, in->copy, p, body, plaintext,
                             icv);
    if (ret == EESP_OK) {
        ret = eesp_frame_check(SIZE_MAX, plaintext, body, frame);
        if (ret != EESP_OK)
            explicit_bzero(plaintext, body);
    }
    return ret;
}
