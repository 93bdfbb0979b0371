/* SPDX-License-Identifier: BSD-3-Clause */
/* tss: what the parts of TSS share. */
#ifndef EESP_TSS_INTERNAL_H
#define EESP_TSS_INTERNAL_H

#include "aead.h"
#include "eesp_tss.h"

enum { EESP_TSS_ADDRESS_MAX = 16, EESP_TSS_OUT = EESP_TSS_KEY_LEN +
                                                 EESP_TSS_MASK_LEN,
       EESP_TSS_GRANTS = 2 };
#define EESP_TSS_SERVER_BIT ((uint64_t)1 << 47)

/* What a derived key depends on beside the domain's key. */
struct eesp_tss_name {
    uint8_t  an;
    uint16_t epoch;
    uint32_t rekey; /* cluster mode, else 0 */
    uint32_t ssi;   /* source's or client's; direct mode: 0 */
};

/* An expanded key and its IV mask, in secret memory. */
struct eesp_tss_cipher {
    const struct eesp_aead *aead;
    void                   *key;
    uint8_t                *mask;
    int                     is_set;
    struct eesp_tss_name    name;
};

/* One association number. */
struct eesp_tss_slot {
    int      has_key;
    uint16_t epoch; /* current one */
    uint8_t  key[EESP_TSS_KEY_LEN];
};

struct eesp_tss_secrets {
    struct eesp_tss_slot  slot[2];
    struct eesp_tss_grant grant[2][EESP_TSS_GRANTS]; /* by AN, newest first */
};

/* Gone in the child of a fork. */
struct eesp_tss_counter {
    uint64_t next, limit;
    int      alive;
};

struct eesp_tss {
    struct eesp_tss_params   params;
    struct eesp_tss_secrets *secrets; /* secret memory */
    void                    *kdf[2];  /* of each AN's key, secret memory */
    unsigned                 grants[2];
    struct eesp_tss_cipher   tx, rx;  /* the keys used last */
    struct eesp_tss_counter *counter;
    unsigned                 an;      /* that of sealing */
    uint16_t                 epoch;
};

/*
 * Key and IV mask (standards: KDF of SP 800-108, CMAC-AES-256) under kdf, which
 * holds the domain's key. address: SSI or IPv4 (4 bytes) or IPv6 (16).
 */
int eesp_tss_derive(void *kdf, enum eesp_tss_mode mode, uint16_t epoch,
                    uint32_t rekey, const uint8_t *address,
                    size_t address_length, uint8_t out[EESP_TSS_OUT]);

uint32_t eesp_tss_rekey(const struct eesp_tss_params *params,
                        uint64_t counter);

/* Sets cipher to the key of name; EESP_DROP_GENERATION or _EPOCH: no such. */
int eesp_tss_use(struct eesp_tss *tss, struct eesp_tss_cipher *cipher,
                 const struct eesp_tss_name *name);

int eesp_tss_cipher_open(struct eesp_tss_cipher *cipher, const char *backend);
void eesp_tss_cipher_close(struct eesp_tss_cipher *cipher);

/* What can be said of a packet without a key: EESP_OK or EESP_DROP_x. */
int eesp_tss_check(const struct eesp_tss *tss,
                   const struct eesp_tss_header *header);

/* tss_eesp: the form EESP_TSS_IN_EESP; ranks as in struct eesp_tss_params. */
int eesp_tss_seal_eesp(const struct eesp_tss_cipher *cipher,
                       const struct eesp_tss_header *header, int ranks,
                       const struct eesp_tss_place *place, const void *payload,
                       size_t payload_length, void *packet, size_t size,
                       size_t *length_p);
int eesp_tss_open_eesp(struct eesp_tss *tss, const void *packet, size_t length,
                       void *body, size_t size,
                       struct eesp_tss_opened *opened);

/* eesp_tss_seal() with every field of the header given. */
int eesp_tss_seal_fields(const struct eesp_tss_cipher *cipher,
                         const struct eesp_tss_header *header,
                         const struct eesp_tss_place *place,
                         const void *payload, size_t payload_length,
                         void *packet, size_t size, size_t *length_p);

#endif
