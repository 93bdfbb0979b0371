/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PSP's keys in EESP packets, profile 1 of the context option: SPI and key as
 * in PSP, the IV in the Peer Header in place of a sequence number, nonce
 * SPI | IV, associated data as in every EESP packet. Version 0 of PSP is
 * AES-128-GCM, version 1 AES-256-GCM.
 */
#include "bytes.h"
#include "frame.h"
#include "psp.h"

enum { PROFILE = 1 };

static void set_nonce(const struct eesp_psp_header *header,
                      uint8_t nonce[EESP_NONCE_LEN])
{
    store32(nonce, header->spi);
    store64(nonce + 4, header->iv);
}

int eesp_psp_seal_eesp(const struct eesp_psp_cipher *cipher,
                       const struct eesp_psp_header *header,
                       const void *payload, size_t payload_length,
                       void *packet, size_t size, size_t *length_p)
{
    struct eesp_frame_key key = {.aead = cipher->aead, .key = cipher->key};
    struct eesp_header framed = {
        .spi = header->spi, .profile = PROFILE, .aead = cipher->aead->id,
        .sequence = header->iv, .crypt_offset = header->crypt_offset,
        .options = header->crypt_offset ? EESP_HAS_CRYPT_OFFSET : 0,
    };

    if (header->sample || header->drop || header->has_cookie)
        return EESP_ERR_ARGUMENT;
    set_nonce(header, key.nonce);
    return eesp_frame_seal(&key, &framed, header->next_header, payload,
                           payload_length, packet, size, length_p);
}

static int read_header(struct eesp_frame_in *in, const void *packet,
                       size_t length, struct eesp_psp_header *header)
{
    int ret = eesp_frame_read(in, PROFILE, packet, length);

    if (ret != EESP_OK)
        return ret;
    header->spi          = in->header.spi;
    header->master       = (uint8_t)(header->spi >> 31);
    header->iv           = in->header.sequence;
    header->crypt_offset = (uint8_t)in->header.crypt_offset;
    header->length       = in->header.length;
    if (in->header.selectors != 0 || in->header.epoch != 0)
        return EESP_DROP_POLICY;
    switch (in->header.aead) {
    case EESP_AEAD_AES_128_GCM:
        header->version = EESP_PSP_AES_GCM_128;
        return EESP_OK;
    case EESP_AEAD_AES_256_GCM:
        header->version = EESP_PSP_AES_GCM_256;
        return EESP_OK;
    default:
        return EESP_DROP_POLICY;
    }
}

int eesp_psp_open_eesp(struct eesp_psp_receiver *receiver, const void *packet,
                       size_t length, void *body, size_t size,
                       struct eesp_psp_opened *opened)
{
    const struct eesp_psp_cipher *cipher;
    struct eesp_frame_key key;
    struct eesp_frame frame;
    struct eesp_frame_in in;
    int ret;

    memset(opened, 0, sizeof(*opened));
    ret = read_header(&in, packet, length, &opened->header);
    if (ret != EESP_OK)
        return ret;
    if (size < length)
        return EESP_ERR_SPACE;
    ret = eesp_psp_find_key(receiver, &opened->header, &cipher);
    if (ret != EESP_OK)
        return ret;
    key = (struct eesp_frame_key){.aead = cipher->aead, .key = cipher->key};
    set_nonce(&opened->header, key.nonce);
    ret = eesp_frame_open(&in, &key, packet, length, body, &frame);
    if (ret != EESP_OK)
        return ret;
    opened->header.next_header = frame.next_header;
    opened->payload            = frame.payload;
    opened->length             = frame.length;
    return EESP_OK;
}
