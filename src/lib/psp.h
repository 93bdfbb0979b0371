/* SPDX-License-Identifier: BSD-3-Clause */
/* psp: what the receiver and the sender of PSP share. */
#ifndef EESP_PSP_INTERNAL_H
#define EESP_PSP_INTERNAL_H

#include "aead.h"
#include "eesp_psp.h"

/* One AEAD and its expanded key, in secret memory. */
struct eesp_psp_cipher {
    const struct eesp_aead *aead;
    void                   *key; /* NULL: not open */
};

int eesp_psp_cipher_open(struct eesp_psp_cipher *cipher, unsigned version,
                         const char *backend);
void eesp_psp_cipher_close(struct eesp_psp_cipher *cipher);

/*
 * Key of an SPI under kdf, a state of eesp_kdf_cmac_aes256 that holds the
 * master key; 16 bytes for version 0, 32 for version 1.
 */
int eesp_psp_derive(void *kdf, unsigned version, uint32_t spi,
                    uint8_t key[EESP_PSP_KEY_MAX]);

/* eesp_psp_seal() with header's SPI, version and IV: never twice. */
int eesp_psp_seal_fields(const struct eesp_psp_cipher *cipher,
                         const struct eesp_psp_header *header,
                         const void *payload, size_t payload_length,
                         void *packet, size_t size, size_t *length_p);

/* The same in the form EESP_PSP_IN_EESP. */
int eesp_psp_seal_eesp(const struct eesp_psp_cipher *cipher,
                       const struct eesp_psp_header *header,
                       const void *payload, size_t payload_length,
                       void *packet, size_t size, size_t *length_p);

/* Its cipher with the key of header's SPI and version expanded in it. */
int eesp_psp_find_key(struct eesp_psp_receiver *receiver,
                      const struct eesp_psp_header *header,
                      const struct eesp_psp_cipher **cipher_p);

/* eesp_psp_open() after the header was read and the key was set. */
int eesp_psp_open_fields(const struct eesp_psp_cipher *cipher,
                         const void *packet, size_t length, void *body,
                         struct eesp_psp_opened *opened);

#endif
