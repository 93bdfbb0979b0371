/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crypto_context: one key in one RDMA protection domain, by whatever can use
 * it: the CPU (soft) or, for memory the network card reads, the card itself.
 *
 *     const struct vcc_backend *b = vcc_pick(ctx, VCC_CONF | VCC_INTEG);
 *     if (b == NULL || b->open(pd, &dev) != 0 ||
 *         b->key_create(dev, VCC_AES_256_GCM, key, 32, &k) != 0 ||
 *         b->attach(k, qp, NULL, 0, 0, VCC_TX, &mem) != 0)
 *         ...
 *     b->seal(mem, aad, n, iov, 1, record, sizeof(record), &length);
 *
 * Backends differ in what they protect against, and the difference is never
 * hidden: the caller names the properties it requires and gets a backend that
 * has them all, or none. Hardware XTS has no integrity and so is never a
 * substitute for AEAD.
 *
 * Functions return 0 or a negative errno; lengths are in bytes. A device, its
 * keys and attachments belong to one thread at a time, and to the process that
 * opened them: a forked child gets -EOWNERDEAD.
 */
#ifndef VERBS_SHIM_CRYPTO_CONTEXT_H
#define VERBS_SHIM_CRYPTO_CONTEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Of <infiniband/verbs.h>, which may be absent. */
struct ibv_context;
struct ibv_pd;
struct ibv_qp;
struct ibv_sge;

enum vcc_property {
    VCC_CONF      = 1 << 0, /* the wire shows no plaintext */
    VCC_INTEG     = 1 << 1, /* a changed record is refused */
    VCC_REPLAY    = 1 << 2, /* a record is accepted once, and in order */
    VCC_RX_DIRECT = 1 << 3  /* a peer's RDMA WRITE lands opened in memory */
};

enum vcc_algorithm {
    VCC_AES_256_GCM = 1 << 0 /* 32-byte key */
};

enum vcc_direction { VCC_TX = 1, VCC_RX = 2 };

struct vcc_caps {
    uint32_t props;     /* enum vcc_property */
    uint32_t algs;      /* enum vcc_algorithm */
    uint32_t max_keys;  /* per device, at one time */
    uint32_t unit_mask; /* data unit sizes, one bit each; 0: any length */
    uint32_t len_align; /* lengths are multiples of this */
};

struct vcc_dev; /* private to the backend */
struct vcc_key;

/* A key attached to memory or, by soft, to the records of one direction. */
struct vcc_mem {
    struct vcc_key *key;
    uint32_t        lkey, rkey; /* what to post instead; 0: records only */
    uint64_t        length;     /* of the memory */
};

/* Most bytes in a record besides its plaintext: nonce 12, ICV 16. */
#define VCC_RECORD_OVERHEAD 28
/*
 * Most plaintext in a record. 2^32 records of 2^16 AES blocks under one key
 * keep GCM's distinguishing advantage, blocks^2 / 2^129, at 2^-33.
 */
#define VCC_RECORD_MAX ((size_t)1 << 20)

struct vcc_backend {
    const char *name;

    /* What ctx can do. -EOPNOTSUPP if that is nothing, or not certain. */
    int (*probe)(struct ibv_context *ctx, struct vcc_caps *caps);

    /* The device lives until close and until its last key is destroyed. */
    int (*open)(struct ibv_pd *pd, struct vcc_dev **dev_p);
    void (*close)(struct vcc_dev *dev);

    /*
     * Copies the key; the caller wipes its own. -EOPNOTSUPP: algorithm;
     * -EINVAL: key length; -ENOSPC: max_keys exist, evict one or go soft.
     */
    int (*key_create)(struct vcc_dev *dev, enum vcc_algorithm alg,
                      const uint8_t *key, size_t length,
                      struct vcc_key **key_p);
    /* Wipes. -EBUSY while attached, and nothing has changed. */
    int (*key_destroy)(struct vcc_key *key);

    /*
     * unit0 numbers the first data unit. A key serves one direction, set by
     * its first attachment, or a peer could send us our own records: -EINVAL.
     * -EOPNOTSUPP: this backend cannot transform memory in place.
     */
    int (*attach)(struct vcc_key *key, struct ibv_qp *qp,
                  const struct ibv_sge *sge, int count, uint64_t unit0,
                  enum vcc_direction direction, struct vcc_mem **mem_p);
    int (*detach)(struct vcc_mem *mem);

    /*
     * Record backends only, else NULL. Seals the concatenation of iov into
     * record, which must not overlap it. -EMSGSIZE: above VCC_RECORD_MAX or
     * size; -EOVERFLOW: record numbers used up, take a new key. On error
     * record holds no plaintext.
     */
    int (*seal)(struct vcc_mem *mem, const uint8_t *aad, size_t aad_length,
                const struct iovec *iov, unsigned count, uint8_t *record,
                size_t size, size_t *length_p);
    /*
     * Opens record into plaintext, which must not overlap it. -EBADMSG:
     * damaged, forged or of another key; -ESTALE: replayed, late or of
     * another sender; -EMSGSIZE: too long, or for size. Only 0 releases
     * bytes; after anything else plaintext holds none.
     */
    int (*open_rec)(struct vcc_mem *mem, const uint8_t *aad, size_t aad_length,
                    const uint8_t *record, size_t length, uint8_t *plaintext,
                    size_t size, size_t *length_p);
};

extern const struct vcc_backend vcc_soft;

/*
 * First backend that has every one of the required properties on ctx, which
 * may be NULL where there is no RDMA device; NULL if there is none, or if
 * nothing is required.
 */
const struct vcc_backend *vcc_pick(struct ibv_context *ctx, uint32_t required);

#endif
