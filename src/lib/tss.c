/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TSS packet and its key:
 *
 *     0 type 1, 5 bits | SP | 0 | AN | SDI 24 bits
 *     4 SSI 4 | epoch 2 | counter 6
 *    16 payload, encrypted | ICV 16
 *
 * The nonce is (SSI | epoch | counter) XOR IV mask; associated data are what
 * stands in front of the header, and the header.
 */
#include "tss.h"

#include "bytes.h"
#include "kdf.h"
#include "secret.h"

enum {
    TYPE_SHIFT = 3, TYPE = 1, FLAG_SP = 0x04, RESERVED = 0x02, FLAG_AN = 0x01,
    SHORT_HEADER = 12, SDI_MASK = 0xffffff,
};

int eesp_tss_parse(const void *packet, size_t length,
                   struct eesp_tss_header *header)
{
    const uint8_t *p = packet;
    uint64_t tsc;

    memset(header, 0, sizeof(*header));
    if (length < SHORT_HEADER + EESP_TSS_ICV_LEN)
        return EESP_DROP_LENGTH;
    header->has_ssi = (p[0] & FLAG_SP) != 0;
    header->an      = p[0] & FLAG_AN;
    header->sdi     = load32(p) & SDI_MASK;
    header->length  = header->has_ssi ? EESP_TSS_HEADER_LEN : SHORT_HEADER;
    if (p[0] >> TYPE_SHIFT != TYPE || (p[0] & RESERVED) != 0)
        return EESP_DROP_VERSION;
    if (length < header->length + EESP_TSS_ICV_LEN)
        return EESP_DROP_LENGTH;
    if (header->has_ssi)
        header->ssi = load32(p + 4);
    tsc             = load64(p + header->length - 8);
    header->epoch   = (uint16_t)(tsc >> 48);
    header->counter = tsc & (EESP_TSS_COUNTERS - 1);
    return EESP_OK;
}

static void build_header(const struct eesp_tss_header *header, uint8_t *p)
{
    store32(p, (uint32_t)(TYPE << TYPE_SHIFT | FLAG_SP | header->an) << 24 |
                   header->sdi);
    store32(p + 4, header->ssi);
    store64(p + 8, (uint64_t)header->epoch << 48 | header->counter);
}

int eesp_tss_derive(void *kdf, enum eesp_tss_mode mode, uint16_t epoch,
                    uint32_t rekey, const uint8_t *address,
                    size_t address_length, uint8_t out[EESP_TSS_OUT])
{
    uint8_t context[4 + 2 + 4 + EESP_TSS_ADDRESS_MAX] = {0}, *p = context;

    if (address_length == EESP_TSS_ADDRESS_MAX)
        p += 4;
    store16(p, epoch);
    store32(p + 2, mode == EESP_TSS_CLUSTER ? rekey : 0);
    memcpy(p + 6, address, address_length);
    return eesp_kdf_cmac_aes256.derive(
        kdf, mode == EESP_TSS_CLUSTER ? "U1" : "U2", context,
        (size_t)(p - context) + 6 + address_length, out, EESP_TSS_OUT);
}

uint32_t eesp_tss_rekey(const struct eesp_tss_params *params, uint64_t counter)
{
    return params->mode == EESP_TSS_CLUSTER ?
               (uint32_t)((counter & params->rekey_mask) >>
                          params->rekey_shift) :
               0;
}

static void make_nonce(const uint8_t *header, const uint8_t *mask,
                       uint8_t nonce[EESP_NONCE_LEN])
{
    int i;

    for (i = 0; i < EESP_NONCE_LEN; i++) /* SSI | TSC, as they lie there */
        nonce[i] = header[4 + i] ^ mask[i];
}

/* place's bytes and the header, together; their length, 0: too many. */
static size_t make_aad(const struct eesp_tss_place *place,
                       const uint8_t *header,
                       uint8_t aad[EESP_TSS_AAD_MAX + EESP_TSS_HEADER_LEN])
{
    size_t before = place ? place->aad_length : 0;

    if (before > EESP_TSS_AAD_MAX)
        return 0;
    if (before > 0)
        memcpy(aad, place->aad, before);
    memcpy(aad + before, header, EESP_TSS_HEADER_LEN);
    return before + EESP_TSS_HEADER_LEN;
}

int eesp_tss_seal_fields(const struct eesp_tss_cipher *cipher,
                         const struct eesp_tss_header *header,
                         const struct eesp_tss_place *place,
                         const void *payload, size_t payload_length,
                         void *packet, size_t size, size_t *length_p)
{
    uint8_t aad[EESP_TSS_AAD_MAX + EESP_TSS_HEADER_LEN];
    uint8_t nonce[EESP_NONCE_LEN], *p = packet;
    struct iovec in = {(void *)(uintptr_t)payload, payload_length};
    size_t n;
    int ret;

    if (size < EESP_TSS_OVERHEAD || payload_length > size - EESP_TSS_OVERHEAD)
        return EESP_ERR_SPACE;
    build_header(header, p);
    n = make_aad(place, p, aad);
    if (n == 0)
        return EESP_ERR_ARGUMENT;
    make_nonce(p, cipher->mask, nonce);
    p  += EESP_TSS_HEADER_LEN;
    ret = cipher->aead->seal(cipher->key, nonce, aad, n, &in, 1, p,
                             p + payload_length);
    if (ret != EESP_OK)
        explicit_bzero(packet, payload_length + EESP_TSS_OVERHEAD);
    else
        *length_p = payload_length + EESP_TSS_OVERHEAD;
    return ret;
}

int eesp_tss_check(const struct eesp_tss *tss,
                   const struct eesp_tss_header *header)
{
    const struct eesp_tss_params *params = &tss->params;
    int from_server = (header->counter & EESP_TSS_SERVER_BIT) != 0;

    if (header->sdi != params->sdi)
        return EESP_DROP_SPI;
    if (!header->has_ssi)
        return EESP_DROP_POLICY;
    if (params->any)
        return EESP_OK;
    if (params->mode != EESP_TSS_SERVER)
        return header->ssi == params->ssi ? EESP_DROP_DESTINATION : EESP_OK;
    /* Both directions bear the client's SSI: the counter tells them apart. */
    if (from_server == (params->server != 0) ||
        (!params->server && header->ssi != params->ssi))
        return EESP_DROP_DESTINATION;
    return EESP_OK;
}

int eesp_tss_open(struct eesp_tss *tss, const struct eesp_tss_place *place,
                  const void *packet, size_t length, void *body, size_t size,
                  struct eesp_tss_opened *opened)
{
    uint8_t aad[EESP_TSS_AAD_MAX + EESP_TSS_HEADER_LEN];
    uint8_t copy[EESP_TSS_HEADER_LEN + EESP_TSS_ICV_LEN];
    struct eesp_tss_header *header = &opened->header;
    const uint8_t *p               = packet;
    uint8_t nonce[EESP_NONCE_LEN], icv[EESP_TSS_ICV_LEN];
    struct eesp_tss_name name;
    size_t n, payload;
    int ret;

    memset(opened, 0, sizeof(*opened));
    if (tss->params.form == EESP_TSS_IN_EESP)
        return place && place->aad_length > 0 ?
                   EESP_ERR_ARGUMENT :
                   eesp_tss_open_eesp(tss, packet, length, body, size, opened);
    if (length < EESP_TSS_OVERHEAD)
        return eesp_tss_parse(packet, length, header) == EESP_OK ?
                   EESP_DROP_POLICY : /* the short header */
                   EESP_DROP_LENGTH;
    /* The copy is what is looked at: packet may change meanwhile. */
    memcpy(copy, p, sizeof(copy));
    ret = eesp_tss_parse(copy, sizeof(copy), header);
    if (ret == EESP_OK)
        ret = eesp_tss_check(tss, header);
    if (ret != EESP_OK)
        return ret;
    if (size < length)
        return EESP_ERR_SPACE;
    n = make_aad(place, copy, aad);
    if (n == 0)
        return EESP_ERR_ARGUMENT;
    name = (struct eesp_tss_name){
        .an = header->an, .epoch = header->epoch, .ssi = header->ssi,
        .rekey = eesp_tss_rekey(&tss->params, header->counter)};
    ret = eesp_tss_use(tss, &tss->rx, &name);
    if (ret != EESP_OK)
        return ret;
    make_nonce(copy, tss->rx.mask, nonce);
    payload = length - EESP_TSS_OVERHEAD;
    p      += EESP_TSS_HEADER_LEN;
    memcpy(icv, p + payload, sizeof(icv));
    ret = tss->rx.aead->decrypt(tss->rx.key, nonce, aad, n, p, payload, body,
                                icv);
    if (ret != EESP_OK)
        return ret;
    opened->payload = body;
    opened->length  = payload;
    return EESP_OK;
}
