/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aes256: AES-256 encryption of single blocks (FIPS 197), for the KDF. With
 * AES instructions the round keys lie in the caller's memory, which can be
 * secret memory; libcrypto, used elsewhere, keeps them in its own heap.
 *
 *     eesp_aes256_open(&aes);
 *     eesp_aes256_key(&aes, key);
 *     eesp_aes256_encrypt(&aes, blocks, 3);
 *     eesp_aes256_cbc_macs(&aes, message, 2, subkey, macs, 3);
 *     eesp_aes256_close(&aes);
 */
#ifndef EESP_AES256_H
#define EESP_AES256_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#define EESP_AES_BLOCK 16

struct eesp_aes256 {
    uint8_t round_keys[15][EESP_AES_BLOCK] __attribute__((aligned(16)));
    EVP_CIPHER_CTX *evp; /* NULL: AES instructions */
};

int eesp_aes256_open(struct eesp_aes256 *aes);
int eesp_aes256_key(struct eesp_aes256 *aes, const uint8_t key[32]);
/* count blocks in place; side by side up to four at a time. */
int eesp_aes256_encrypt(struct eesp_aes256 *aes, uint8_t *blocks,
                        size_t count);
/*
 * count CBC-MACs, 1 to 4, of one message of whole blocks, side by side: that of
 * number i = 1 .. count is of the message with its first byte XOR i and its last
 * block XOR mask.
 */
int eesp_aes256_cbc_macs(struct eesp_aes256 *aes, const uint8_t *message,
                         size_t blocks, const uint8_t mask[EESP_AES_BLOCK],
                         uint8_t *macs, size_t count);
/* Wipes. */
void eesp_aes256_close(struct eesp_aes256 *aes);

#endif
