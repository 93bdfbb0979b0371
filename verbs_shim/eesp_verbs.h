/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp_verbs: crypto contexts for RDMA programs, libeesp_verbs(3). A context is
 * one key in one protection domain, used by what can use it: the CPU (soft) or,
 * for memory the network card reads and writes, the card itself (mlx5).
 *
 *     const struct vcc_backend *b = vcc_pick(ctx, VCC_CONF | VCC_INTEG, why);
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
 * Functions return 0 or a negative errno, for which vcc_strerror() has a line;
 * lengths are in bytes. A device, its keys and attachments belong to one thread
 * at a time, and to the process that opened them: a forked child gets
 * -EOWNERDEAD.
 */
#ifndef EESP_VERBS_H
#define EESP_VERBS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of <infiniband/verbs.h>, which may be absent. */
struct ibv_context;
struct ibv_pd;
struct ibv_qp;
struct ibv_qp_init_attr_ex;
struct ibv_sge;

#define VCC_API __attribute__((visibility("default")))

enum vcc_property {
    VCC_CONF      = 1 << 0, /* the wire shows no plaintext */
    VCC_INTEG     = 1 << 1, /* a changed record is refused */
    VCC_REPLAY    = 1 << 2, /* a record is accepted once, and in order */
    VCC_RX_DIRECT = 1 << 3  /* a peer's RDMA WRITE lands opened in memory */
};

enum vcc_algorithm {
    VCC_AES_256_GCM = 1 << 0, /* 32-byte key */
    VCC_AES_256_XTS = 1 << 1  /* 64 bytes: Key_1 | Key_2, which differ */
};

/* Which way the data goes; VCC_REMOTE with it: the peer starts it, by rkey. */
enum vcc_direction { VCC_TX = 1, VCC_RX = 2, VCC_REMOTE = 4 };

#define VCC_WHY_LEN 160 /* bytes that a reason takes, with its end */

struct vcc_caps {
    uint32_t props;      /* enum vcc_property */
    uint32_t algs;       /* enum vcc_algorithm */
    uint32_t max_keys;   /* of a vcc_dev (soft), or in the card at one time */
    uint32_t unit;       /* bytes of a data unit; 0: records of any length */
    uint32_t len_align;  /* lengths are multiples of this */
    uint64_t max_length; /* of one attachment or record */
    char     why[VCC_WHY_LEN]; /* if probe refused: the reason, one line */
};

struct vcc_dev; /* private to the backend */
struct vcc_key;

/* A key attached to memory or, by soft, to the records of one direction. */
struct vcc_mem {
    struct vcc_key *key;
    uint32_t        lkey, rkey; /* what to post instead; 0: records only */
    uint64_t        length;     /* of the memory, whose address is now 0 */
    uint64_t        unit0;      /* number of its first data unit */
};

/* Most bytes in a record besides its plaintext: nonce 12, ICV 16. */
#define VCC_RECORD_OVERHEAD 28
/*
 * Most plaintext in a record. 2^32 records of 2^16 AES blocks under one key
 * keep GCM's distinguishing advantage, blocks^2 / 2^129, at 2^-33.
 */
#define VCC_RECORD_MAX ((size_t)1 << 20)
/* Pieces of memory in one attachment, at most. */
#define VCC_SGE_MAX 4

struct vcc_backend {
    const char *name;
    uint32_t    id;    /* one bit, the same in every process */
    uint32_t    props; /* enum vcc_property, wherever probe succeeds */

    /* What ctx can do. -EOPNOTSUPP if that is nothing, or not certain. */
    int (*probe)(struct ibv_context *ctx, struct vcc_caps *caps);

    /* The device lives until close and until its last key is destroyed. */
    int (*open)(struct ibv_pd *pd, struct vcc_dev **dev_p);
    void (*close)(struct vcc_dev *dev);
    /*
     * A QP for attachments of memory: attr is of the caller's making, its
     * send_ops_flags and max_inline_data get what the backend needs besides.
     * NULL where any QP will do.
     */
    int (*create_qp)(struct vcc_dev *dev, struct ibv_qp_init_attr_ex *attr,
                     struct ibv_qp **qp_p);

    /*
     * Copies the key; the caller wipes its own. -EOPNOTSUPP: algorithm;
     * -EINVAL: key length, or halves that are alike; -ENOSPC: too many exist.
     * mlx5: keys of the same bytes share one DEK and its numbers, and which
     * keys are in the card is decided anew by each attachment. A receiving
     * key whose last was destroyed is not created again, since its numbers
     * are forgotten: derive the next.
     */
    int (*key_create)(struct vcc_dev *dev, enum vcc_algorithm alg,
                      const uint8_t *key, size_t length,
                      struct vcc_key **key_p);
    /* Wipes. -EBUSY while attached, and nothing has changed. */
    int (*key_destroy)(struct vcc_key *key);
    /*
     * After an operation failed: 0, or -EKEYREJECTED where the card cannot
     * use this key any more; it is attached no more. NULL: keys do not fail.
     */
    int (*key_check)(struct vcc_key *key);

    /*
     * A key serves one direction, set by its first attachment, or a peer could
     * send us our own records: -EINVAL.
     *
     * soft: no memory (sge NULL, count 0, unit0 0), else -EOPNOTSUPP.
     *
     * mlx5: memory of up to VCC_SGE_MAX pieces. The key is the receiver's. For
     * VCC_RX unit0 is 0, and mem->unit0 says which data units were taken: the
     * receiver tells its peer, who attaches once, by VCC_TX, with that unit0,
     * in the order in which they were taken; what is below is refused,
     * -ESTALE. A work request is posted to qp: its completion has wr_id
     * (uintptr_t)mem, and until it is a success neither lkey nor rkey may be
     * used but in work that is posted to qp after it. -ENOSPC: every DEK
     * that fits the card is attached; -EKEYREJECTED: the card does not take
     * the key; -EOVERFLOW: data unit numbers used up, take a new key.
     */
    int (*attach)(struct vcc_key *key, struct ibv_qp *qp,
                  const struct ibv_sge *sge, int count, uint64_t unit0,
                  unsigned direction, struct vcc_mem **mem_p);
    /*
     * Takes other data units for the same memory, or another key (rotation):
     * as attach, but cheaper. What used the old ones must be complete. After
     * an error mem may only be detached. NULL in soft.
     */
    int (*renew)(struct vcc_mem *mem, struct vcc_key *key, uint64_t unit0);
    /*
     * lkey and rkey end here; what uses them must be complete. -EBUSY: the
     * card still holds them, and mem stays; -EIO: the device is gone, and mem
     * with it.
     */
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

/*
 * First backend that has every one of the required properties on ctx, which
 * may be NULL where there is no RDMA device; NULL if there is none, or if
 * nothing is required: then why, unless NULL, is the reason.
 */
VCC_API const struct vcc_backend *vcc_pick(struct ibv_context *ctx,
                                           uint32_t required,
                                           char why[VCC_WHY_LEN]);

/* Backend of that name, or NULL. */
VCC_API const struct vcc_backend *vcc_backend(const char *name);

/* What one peer tells the other, over a channel that is authentic. */
struct vcc_offer {
    uint32_t required; /* enum vcc_property: refuse what has less */
    uint32_t wanted;   /* if both want it */
    uint32_t backends; /* sum of the ids of those that could be opened */
};

/* An offer of ctx, with required and wanted as given. */
VCC_API void vcc_offer(struct ibv_context *ctx, uint32_t required,
                       uint32_t wanted, struct vcc_offer *offer);

/*
 * What two peers use: both come to the same. It has all that either requires,
 * so that a peer without offload is met by something as strong, or refused:
 * NULL, and why.
 */
VCC_API const struct vcc_backend *vcc_agree(const struct vcc_offer *mine,
                                            const struct vcc_offer *theirs,
                                            char why[VCC_WHY_LEN]);

/* A line about what a function of a backend returned, and what mends it. */
VCC_API const char *vcc_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
