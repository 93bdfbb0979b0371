/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fakemlx5: libmlx5's functions for AES-XTS, over a device that has none, such
 * as rxe. A test preloads it (its SONAME is libmlx5.so.1). README.md says what
 * it enforces, and what it cannot show.
 *
 * An mkey is a shadow buffer registered with the real device from address 0:
 * the real device sends and receives ciphertext there. What goes out is
 * encrypted into it before it is posted, what came in is decrypted out of it
 * when a completion is polled.
 *
 * One thread at a time, as the library under test.
 */
#ifndef FAKEMLX5_H
#define FAKEMLX5_H

#include <infiniband/mlx5dv.h>
#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAKE_MKEYS = 64,
    FAKE_QPS   = 64,
    FAKE_SGES  = 16,
    FAKE_SHADOW = 1 << 20, /* longest mkey */
    FAKE_TAG   = 8
};

struct mlx5dv_dek {
    struct ibv_pd *pd;
    int            has_keytag, in_error;
    size_t         key_length; /* both halves */
    uint8_t        key[64], keytag[FAKE_TAG];
    char           opaque[8];
    unsigned       mkeys; /* that were configured with it */
};

struct fake_mkey {
    struct mlx5dv_mkey  dv; /* first */
    struct ibv_pd      *pd;
    struct ibv_mr      *mr; /* of the shadow */
    uint8_t            *shadow, *seen; /* as it was last looked at */
    int                 has_crypto;
    unsigned            max_entries;
    /* By the last UMR: */
    int                 configured, broken;
    uint32_t            access;
    unsigned            sges;
    struct ibv_sge      sge[FAKE_SGES];
    uint64_t            length;
    struct mlx5dv_crypto_attr crypto;
};

struct fake_qp {
    struct ibv_qp      *qp;
    struct mlx5dv_qp_ex dv;
    uint32_t            max_inline;
    /* The work request in the making: */
    int                 error, setters, promised, posts;
    uint64_t            wr_id;
    unsigned            flags;
    struct fake_mkey   *mkey;
    int                 has_access, has_layout, has_crypto;
    struct fake_mkey    made; /* what it will configure */
};

/* What the card is like: fakemlx5_control(). */
struct fake_card {
    long absent;      /* not a device of mlx5 */
    long no_crypto, failed_selftests, wrapped_only, single_block;
    long log_max_num_deks, deks_taken; /* by other processes */
    long dek_error;   /* every DEK is in state ERROR */
    long removed;     /* the device is gone */
    long remove_after; /* gone after so many work requests; 0: never */
    long fail_after;   /* the request after so many fails, and its QP */
    long damage_after; /* a bit of what it sends is not what it was */
    long deks, mkeys, umrs, encrypted, decrypted; /* counters */
};
extern struct fake_card fake_card;

/* By name: reads a member of fake_card, and sets it unless value is negative.
 * The same names, upper case, are environment variables FAKEMLX5_NAME. -1: no
 * such member. */
long fakemlx5_control(const char *name, long value);

/* Said once to who sees events: the device is gone. */
void fake_removed(struct ibv_context *ctx);

struct fake_mkey *fake_mkey_of(uint32_t key);
size_t fake_unit(enum mlx5dv_block_size size);
/* Memory to shadow; 0 or the status of the completion. */
enum ibv_wc_status fake_encrypt(struct fake_mkey *m, uint64_t from,
                                uint64_t length);
/* Shadow to memory, what came in since the last call. */
void fake_decrypt_all(void);
/* The memory region with this lkey is gone. */
void fake_region_gone(uint32_t lkey);

void fake_wrap(struct ibv_context *ctx);
void fake_complete(struct ibv_cq *cq, const struct ibv_wc *wc);

/*
 * One data unit by AES-XTS: 0, or -1 if OpenSSL refuses. tweak is little
 * endian, as IEEE 1619 has it.
 */
int fake_xts(int encrypt, const uint8_t *key, size_t key_length,
             const uint8_t tweak[16], const uint8_t *in, size_t length,
             uint8_t *out);
/* tweak + units, 128 bits. */
void fake_tweak_add(uint8_t tweak[16], uint64_t units);

#endif
