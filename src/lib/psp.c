/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PSP packet and its key:
 *
 *     0 next header 1 | ext length 1 | R 2 bits, crypt offset 6 | S D
 *       version 4 bits V 1 | SPI 4 | IV 8 | cookie 8 if V
 *     16 (cookie and) payload, the first 4 * crypt offset bytes readable
 *        ICV 16
 *
 * The nonce is SPI | IV; all that is readable is associated data.
 */
#include "psp.h"

#include "bytes.h"
#include "kdf.h"
#include "secret.h"

enum {
    BLOCK = 16,
    RESERVED_MASK = 0xc0, OFFSET_MAX = 0x3f, /* third byte */
    FLAG_S = 0x80, FLAG_D = 0x40, FLAG_V = 0x02, ALWAYS_ONE = 0x01, /* 4th */
    VERSION_SHIFT = 2, VERSION_MASK = 15,
};

int eesp_psp_cipher_open(struct eesp_psp_cipher *cipher, unsigned version,
                         const char *backend)
{
    int ret;

    cipher->aead = eesp_aead_find(version == EESP_PSP_AES_GCM_128 ?
                                      EESP_AEAD_AES_128_GCM :
                                      EESP_AEAD_AES_256_GCM,
                                  backend);
    if (cipher->aead == NULL)
        return EESP_ERR_UNSUPPORTED;
    cipher->key = eesp_secret_alloc(cipher->aead->key_size);
    if (cipher->key == NULL)
        return EESP_ERR_MEMORY;
    ret = cipher->aead->open(cipher->key);
    if (ret != EESP_OK) {
        eesp_secret_free(cipher->key, cipher->aead->key_size);
        cipher->key = NULL;
    }
    return ret;
}

void eesp_psp_cipher_close(struct eesp_psp_cipher *cipher)
{
    if (cipher->key == NULL)
        return;
    cipher->aead->close(cipher->key);
    eesp_secret_free(cipher->key, cipher->aead->key_size);
    cipher->key = NULL;
}

/* Input block: counter 4 | "Pv" and version | 00 | SPI | key bits 4. */
int eesp_psp_derive(void *kdf, unsigned version, uint32_t spi,
                    uint8_t key[EESP_PSP_KEY_MAX])
{
    size_t blocks = version == EESP_PSP_AES_GCM_128 ? 1 : 2;
    size_t i;

    for (i = 0; i < blocks; i++) {
        uint8_t *block = key + i * BLOCK;

        store32(block, (uint32_t)(i + 1));
        block[4] = 'P';
        block[5] = 'v';
        block[6] = (uint8_t)('0' + version);
        block[7] = 0;
        store32(block + 8, spi);
        store32(block + 12, (uint32_t)(blocks * BLOCK * 8));
    }
    return eesp_kdf_cmac_blocks(kdf, key, blocks);
}

int eesp_psp_parse(const void *packet, size_t length,
                   struct eesp_psp_header *header)
{
    const uint8_t *p = packet;
    size_t readable;

    memset(header, 0, sizeof(*header));
    if (length < EESP_PSP_HEADER_LEN + EESP_PSP_ICV_LEN)
        return EESP_DROP_LENGTH;
    header->next_header  = p[0];
    header->crypt_offset = p[2] & OFFSET_MAX;
    header->sample       = (p[3] & FLAG_S) != 0;
    header->drop         = (p[3] & FLAG_D) != 0;
    header->version      = p[3] >> VERSION_SHIFT & VERSION_MASK;
    header->has_cookie   = (p[3] & FLAG_V) != 0;
    header->spi          = load32(p + 4);
    header->master       = (uint8_t)(header->spi >> 31);
    header->iv           = load64(p + 8);
    header->length       = EESP_PSP_HEADER_LEN;
    if ((p[2] & RESERVED_MASK) != 0 || (p[3] & ALWAYS_ONE) == 0 ||
        header->version > EESP_PSP_AES_GMAC_256)
        return EESP_DROP_VERSION;
    if (p[1] != 1 + header->has_cookie)
        return EESP_DROP_OPTION;
    if (header->has_cookie)
        header->length += EESP_PSP_COOKIE_LEN;
    if (length < header->length + EESP_PSP_ICV_LEN)
        return EESP_DROP_LENGTH;
    readable = header->crypt_offset * 4u;
    if (readable > length - EESP_PSP_HEADER_LEN - EESP_PSP_ICV_LEN)
        return EESP_DROP_OFFSET;
    /* Versions 2 and 3 encrypt nothing. */
    if (header->has_cookie && (readable >= EESP_PSP_COOKIE_LEN ||
                               header->version >= EESP_PSP_AES_GMAC_128)) {
        header->cookie          = load64(p + EESP_PSP_HEADER_LEN);
        header->cookie_readable = 1;
    }
    return EESP_OK;
}

static void build_header(const struct eesp_psp_header *header, uint8_t *p)
{
    p[0] = header->next_header;
    p[1] = (uint8_t)(1 + (header->has_cookie != 0));
    p[2] = header->crypt_offset;
    p[3] = (uint8_t)((header->sample ? FLAG_S : 0) |
                     (header->drop ? FLAG_D : 0) |
                     header->version << VERSION_SHIFT |
                     (header->has_cookie ? FLAG_V : 0) | ALWAYS_ONE);
    store32(p + 4, header->spi);
    store64(p + 8, header->iv);
}

int eesp_psp_seal_fields(const struct eesp_psp_cipher *cipher,
                         const struct eesp_psp_header *header,
                         const void *payload, size_t payload_length,
                         void *packet, size_t size, size_t *length_p)
{
    size_t cookie_length   = header->has_cookie ? EESP_PSP_COOKIE_LEN : 0;
    size_t readable        = header->crypt_offset * 4u;
    size_t body_length, first, rest;
    uint8_t *p = packet, *body = p + EESP_PSP_HEADER_LEN;
    uint8_t cookie[EESP_PSP_COOKIE_LEN];
    const uint8_t *from = payload;
    struct iovec in[2];
    unsigned count = 0;
    int ret;

    if (size < EESP_PSP_OVERHEAD || payload_length > size - EESP_PSP_OVERHEAD)
        return EESP_ERR_SPACE;
    body_length = cookie_length + payload_length;
    if (header->crypt_offset > OFFSET_MAX || readable > body_length)
        return EESP_ERR_ARGUMENT;

    build_header(header, p);
    store64(cookie, header->cookie);
    /* What is readable, of the cookie and then of the payload. */
    first = readable < cookie_length ? readable : cookie_length;
    rest  = readable - first;
    memcpy(body, cookie, first);
    if (rest > 0)
        memcpy(body + first, from, rest);
    if (first < cookie_length)
        in[count++] = (struct iovec){cookie + first, cookie_length - first};
    in[count++] = (struct iovec){
        (void *)(uintptr_t)(rest > 0 ? from + rest : from),
        payload_length - rest};
    /* The nonce is the header's SPI and IV, as they lie there. */
    ret = cipher->aead->seal(cipher->key, p + 4, p,
                             EESP_PSP_HEADER_LEN + readable, in, count,
                             body + readable, body + body_length);
    if (ret != EESP_OK)
        explicit_bzero(p, EESP_PSP_HEADER_LEN + body_length +
                              EESP_PSP_ICV_LEN);
    else
        *length_p = EESP_PSP_HEADER_LEN + body_length + EESP_PSP_ICV_LEN;
    return ret;
}

int eesp_psp_open_fields(const struct eesp_psp_cipher *cipher,
                         const void *packet, size_t length, void *body,
                         struct eesp_psp_opened *opened)
{
    struct eesp_psp_header *header = &opened->header;
    const uint8_t *p   = packet;
    uint8_t *out       = body;
    size_t readable    = header->crypt_offset * 4u;
    size_t body_length = length - EESP_PSP_HEADER_LEN - EESP_PSP_ICV_LEN;
    size_t skip        = header->length - EESP_PSP_HEADER_LEN;
    uint8_t aad[EESP_PSP_HEADER_LEN + OFFSET_MAX * 4];
    int ret;

    /* The copy is what is looked at: packet may change meanwhile. */
    memcpy(aad, p, EESP_PSP_HEADER_LEN + readable);
    ret = cipher->aead->decrypt(cipher->key, aad + 4, aad,
                                EESP_PSP_HEADER_LEN + readable,
                                p + EESP_PSP_HEADER_LEN + readable,
                                body_length - readable, out + readable,
                                p + EESP_PSP_HEADER_LEN + body_length);
    if (ret != EESP_OK)
        return ret;
    memcpy(out, aad + EESP_PSP_HEADER_LEN, readable);
    if (header->has_cookie) {
        header->cookie          = load64(out);
        header->cookie_readable = 1;
    }
    opened->payload = out + skip;
    opened->length  = body_length - skip;
    return EESP_OK;
}
