/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TSS's keys in EESP packets, profile 2 of the context option: the SPI is the
 * low 27 bits of TSS's first word (SP | 0 | AN | SDI), the source id or rank is
 * the SSI, and the TSC (epoch | counter) stands in the Peer Header in place of a
 * sequence number. Nonce as in TSS, associated data as in every EESP packet.
 */
#include "bytes.h"
#include "frame.h"
#include "tss.h"

enum { PROFILE = 2 };
#define SPI_SP  ((uint32_t)1 << 26)
#define SPI_AN  ((uint32_t)1 << 24)
#define SPI_SDI ((uint32_t)0xffffff)

static uint64_t tsc_of(const struct eesp_tss_header *header)
{
    return (uint64_t)header->epoch << 48 | header->counter;
}

static struct eesp_frame_key frame_key(const struct eesp_tss_cipher *cipher,
                                       const struct eesp_tss_header *header)
{
    struct eesp_frame_key key = {.aead = cipher->aead, .key = cipher->key};
    int i;

    store32(key.nonce, header->ssi);
    store64(key.nonce + 4, tsc_of(header));
    for (i = 0; i < EESP_NONCE_LEN; i++)
        key.nonce[i] ^= cipher->mask[i];
    return key;
}

int eesp_tss_seal_eesp(const struct eesp_tss_cipher *cipher,
                       const struct eesp_tss_header *header, int ranks,
                       const struct eesp_tss_place *place, const void *payload,
                       size_t payload_length, void *packet, size_t size,
                       size_t *length_p)
{
    struct eesp_frame_key key = frame_key(cipher, header);
    struct eesp_header framed = {
        .spi = SPI_SP | (header->an ? SPI_AN : 0) | header->sdi,
        .profile = PROFILE, .aead = EESP_AEAD_AES_256_GCM,
        .selectors = ranks ? EESP_SELECT_RANKS : EESP_SELECT_SOURCE,
        .source_rank = header->ssi, .source_id = header->ssi,
        .epoch = header->epoch, .sequence = tsc_of(header),
    };
    int ret = EESP_ERR_ARGUMENT;

    if ((place && place->aad_length > 0) || (ranks && place == NULL))
        goto out;
    framed.destination_rank = ranks ? place->rank : 0;
    ret = eesp_frame_seal(&key, &framed, EESP_NEXT_HEADER, payload,
                          payload_length, packet, size, length_p);
out:
    explicit_bzero(&key, sizeof(key));
    return ret;
}

/* The packet's header as that of a TSS packet. */
static int read_header(const struct eesp_tss *tss, struct eesp_frame_in *in,
                       const void *packet, size_t length,
                       struct eesp_tss_header *header)
{
    const struct eesp_header *framed = &in->header;
    int ranks = tss->params.ranks, ret;

    ret = eesp_frame_read(in, PROFILE, packet, length);
    if (ret != EESP_OK)
        return ret;
    header->has_ssi = (framed->spi & SPI_SP) != 0;
    header->an      = (framed->spi & SPI_AN) != 0;
    header->sdi     = framed->spi & SPI_SDI;
    header->ssi     = ranks ? framed->source_rank : (uint32_t)framed->source_id;
    header->epoch   = (uint16_t)(framed->sequence >> 48);
    header->counter = framed->sequence & (EESP_TSS_COUNTERS - 1);
    header->length  = framed->length;
    if ((framed->spi & ~(SPI_SP | SPI_AN | SPI_SDI)) != 0)
        return EESP_DROP_SPI;
    if (framed->aead != EESP_AEAD_AES_256_GCM ||
        framed->selectors !=
            (unsigned)(ranks ? EESP_SELECT_RANKS : EESP_SELECT_SOURCE) ||
        framed->source_id > UINT32_MAX || framed->epoch != header->epoch ||
        framed->options != 0)
        return EESP_DROP_POLICY;
    ret = eesp_tss_check(tss, header);
    if (ret == EESP_OK && ranks && !tss->params.any &&
        framed->destination_rank != tss->params.ssi)
        ret = EESP_DROP_DESTINATION;
    return ret;
}

int eesp_tss_open_eesp(struct eesp_tss *tss, const void *packet, size_t length,
                       void *body, size_t size, struct eesp_tss_opened *opened)
{
    struct eesp_tss_header *header = &opened->header;
    struct eesp_frame_key key;
    struct eesp_frame frame;
    struct eesp_frame_in in;
    struct eesp_tss_name name;
    int ret = read_header(tss, &in, packet, length, header);

    if (ret != EESP_OK)
        return ret;
    if (size < length)
        return EESP_ERR_SPACE;
    name = (struct eesp_tss_name){
        .an = header->an, .epoch = header->epoch, .ssi = header->ssi,
        .rekey = eesp_tss_rekey(&tss->params, header->counter)};
    ret = eesp_tss_use(tss, &tss->rx, &name);
    if (ret != EESP_OK)
        return ret;
    key = frame_key(&tss->rx, header);
    ret = eesp_frame_open(&in, &key, packet, length, body, &frame);
    explicit_bzero(&key, sizeof(key));
    if (ret != EESP_OK)
        return ret;
    opened->payload     = frame.payload;
    opened->length      = frame.length;
    opened->next_header = frame.next_header;
    return EESP_OK;
}
