/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soft: crypto contexts by the CPU, for SEND/RECV through a bounce buffer.
 *
 * Record: nonce (12) | ciphertext | ICV (16), where nonce is sender's instance
 * (8 random bytes, drawn with the key) | record number (4, big endian, from 0).
 * The random part keeps nonces apart if one key is created twice, as after an
 * eviction; the number keeps them apart within. The receiver holds to the
 * instance it opened first and takes only growing numbers. What it knows of a
 * key ends with key_destroy: who re-creates a receiving key accepts old
 * records again, and should derive a new one instead.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "backends.h"
#include "bytes.h"
#include "eesp.h"
#include "secret.h"

#define INSTANCE_LEN 8
#define ICV_LEN (VCC_RECORD_OVERHEAD - EESP_NONCE_LEN)
#define MAX_KEYS 1024
#define RECORDS ((uint64_t)1 << 32) /* as many as the nonce has numbers for */

/* Lives on a page that a forked child sees as zeros. */
struct owner {
    int alive;
};

struct vcc_dev {
    const struct eesp_aead *aead;
    struct owner           *owner;
    unsigned                keys;
    int                     closed;
};

/* In memory of eesp_secret_alloc(). */
struct vcc_key {
    struct vcc_dev *dev;
    size_t          size; /* of all this */
    unsigned        attached;
    int             direction; /* 0 until the first attachment */
    int             pinned;    /* receiving: instance is known */
    uint8_t         instance[INSTANCE_LEN];
    uint64_t        next; /* number to send, or lowest to accept */
    _Alignas(64) uint8_t expanded[];
};

static int soft_probe(struct ibv_context *ctx, struct vcc_caps *caps)
{
    (void)ctx; /* the CPU needs no device */
    memset(caps, 0, sizeof(*caps));
    if (eesp_aead_find(EESP_AEAD_AES_256_GCM, NULL) == NULL) {
        snprintf(caps->why, sizeof(caps->why),
                 "soft: no AES-256-GCM passed its self-test: eesp selftest");
        return -EOPNOTSUPP;
    }
    caps->props      = vcc_soft.props;
    caps->algs       = VCC_AES_256_GCM;
    caps->max_keys   = MAX_KEYS;
    caps->len_align  = 1;
    caps->max_length = VCC_RECORD_MAX;
    return 0;
}

static int soft_open(struct ibv_pd *pd, struct vcc_dev **dev_p)
{
    const struct eesp_aead *aead = eesp_aead_find(EESP_AEAD_AES_256_GCM, NULL);
    struct vcc_dev *dev;

    (void)pd;
    *dev_p = NULL;
    if (aead == NULL)
        return -EOPNOTSUPP;
    dev = calloc(1, sizeof(*dev));
    if (dev == NULL)
        return -ENOMEM;
    dev->owner = eesp_wipeonfork_alloc(sizeof(*dev->owner));
    if (dev->owner == NULL) {
        free(dev);
        return -ENOMEM;
    }
    dev->owner->alive = 1;
    dev->aead = aead;
    *dev_p = dev;
    return 0;
}

static void dev_release(struct vcc_dev *dev)
{
    if (!dev->closed || dev->keys > 0)
        return;
    eesp_secret_free(dev->owner, sizeof(*dev->owner));
    free(dev);
}

static void soft_close(struct vcc_dev *dev)
{
    dev->closed = 1;
    dev_release(dev);
}

static int soft_key_create(struct vcc_dev *dev, enum vcc_algorithm alg,
                           const uint8_t *bytes, size_t length,
                           struct vcc_key **key_p)
{
    size_t size = sizeof(struct vcc_key) + dev->aead->key_size;
    struct vcc_key *key;

    *key_p = NULL;
    if (alg != VCC_AES_256_GCM)
        return -EOPNOTSUPP;
    if (length != dev->aead->key_length)
        return -EINVAL;
    if (!dev->owner->alive)
        return -EOWNERDEAD;
    if (dev->keys >= MAX_KEYS)
        return -ENOSPC;
    key = eesp_secret_alloc(size);
    if (key == NULL)
        return -ENOMEM;
    key->dev  = dev;
    key->size = size;
    if (dev->aead->open(key->expanded) != EESP_OK) {
        eesp_secret_free(key, size);
        return -ENOMEM;
    }
    if (dev->aead->expand(key->expanded, bytes) != EESP_OK ||
        eesp_random(key->instance, sizeof(key->instance)) != EESP_OK) {
        dev->aead->close(key->expanded);
        eesp_secret_free(key, size);
        return -EIO;
    }
    dev->keys++;
    *key_p = key;
    return 0;
}

static int soft_key_destroy(struct vcc_key *key)
{
    struct vcc_dev *dev = key->dev;

    if (key->attached > 0)
        return -EBUSY;
    dev->aead->close(key->expanded);
    eesp_secret_free(key, key->size);
    dev->keys--;
    dev_release(dev);
    return 0;
}

static int soft_attach(struct vcc_key *key, struct ibv_qp *qp,
                       const struct ibv_sge *sge, int count, uint64_t unit0,
                       unsigned direction, struct vcc_mem **mem_p)
{
    struct vcc_mem *mem;

    (void)qp;
    *mem_p = NULL;
    /* The card would send such memory as it lies there: in clear. */
    if (sge != NULL || count != 0)
        return -EOPNOTSUPP;
    /* Numbers are ours alone to give, or a nonce could come twice. */
    if (unit0 != 0 || (direction != VCC_TX && direction != VCC_RX) ||
        (key->direction != 0 && key->direction != (int)direction))
        return -EINVAL;
    mem = calloc(1, sizeof(*mem));
    if (mem == NULL)
        return -ENOMEM;
    mem->key = key;
    key->direction = (int)direction;
    key->attached++;
    *mem_p = mem;
    return 0;
}

static int soft_detach(struct vcc_mem *mem)
{
    mem->key->attached--;
    free(mem);
    return 0;
}

/* Sum of the parts, or more than VCC_RECORD_MAX if that is exceeded. */
static size_t iov_length(const struct iovec *iov, unsigned count)
{
    size_t sum = 0;
    unsigned i;

    /* Stops before the sum can overflow. */
    for (i = 0; i < count && sum <= VCC_RECORD_MAX; i++) {
        if (iov[i].iov_len > VCC_RECORD_MAX)
            return VCC_RECORD_MAX + 1;
        sum += iov[i].iov_len;
    }
    return sum;
}

static int soft_seal(struct vcc_mem *mem, const uint8_t *aad,
                     size_t aad_length, const struct iovec *iov, unsigned count,
                     uint8_t *record, size_t size, size_t *length_p)
{
    struct vcc_key *key = mem->key;
    size_t length = iov_length(iov, count);

    *length_p = 0;
    if (key->direction != VCC_TX || aad_length > VCC_RECORD_MAX)
        return -EINVAL;
    if (length > VCC_RECORD_MAX || size < VCC_RECORD_OVERHEAD ||
        length > size - VCC_RECORD_OVERHEAD)
        return -EMSGSIZE;
    if (!key->dev->owner->alive)
        return -EOWNERDEAD;
    if (key->next >= RECORDS)
        return -EOVERFLOW;

    memcpy(record, key->instance, INSTANCE_LEN);
    store32(record + INSTANCE_LEN, (uint32_t)key->next);
    key->next++; /* whatever comes, this number is spent */
    if (key->dev->aead->seal(key->expanded, record,
                             aad_length > 0 ? aad : record, aad_length, iov,
                             count, record + EESP_NONCE_LEN,
                             record + EESP_NONCE_LEN + length) != EESP_OK) {
        OPENSSL_cleanse(record, length + VCC_RECORD_OVERHEAD);
        return -EIO;
    }
    *length_p = length + VCC_RECORD_OVERHEAD;
    return 0;
}

static int soft_open_rec(struct vcc_mem *mem, const uint8_t *aad,
                         size_t aad_length, const uint8_t *record,
                         size_t length, uint8_t *plaintext, size_t size,
                         size_t *length_p)
{
    struct vcc_key *key = mem->key;
    uint32_t number;
    int ret;

    *length_p = 0;
    if (key->direction != VCC_RX || aad_length > VCC_RECORD_MAX)
        return -EINVAL;
    if (length < VCC_RECORD_OVERHEAD)
        return -EBADMSG;
    length -= VCC_RECORD_OVERHEAD;
    if (length > VCC_RECORD_MAX || length > size)
        return -EMSGSIZE;
    if (!key->dev->owner->alive)
        return -EOWNERDEAD;
    number = load32(record + INSTANCE_LEN);
    if (number < key->next ||
        (key->pinned && memcmp(record, key->instance, INSTANCE_LEN) != 0))
        return -ESTALE;

    ret = key->dev->aead->decrypt(key->expanded, record,
                                  aad_length > 0 ? aad : record, aad_length,
                                  record + EESP_NONCE_LEN, length, plaintext,
                                  record + EESP_NONCE_LEN + length);
    if (ret != EESP_OK) {
        OPENSSL_cleanse(plaintext, length);
        return ret == EESP_DROP_AUTH ? -EBADMSG : -EIO;
    }
    /* Only an authentic record may move what is remembered. */
    memcpy(key->instance, record, INSTANCE_LEN);
    key->pinned = 1;
    key->next   = (uint64_t)number + 1;
    *length_p   = length;
    return 0;
}

const struct vcc_backend vcc_soft = {
    .name        = "soft",
    .id          = VCC_ID_SOFT,
    .props       = VCC_CONF | VCC_INTEG | VCC_REPLAY,
    .probe       = soft_probe,
    .open        = soft_open,
    .close       = soft_close,
    .key_create  = soft_key_create,
    .key_destroy = soft_key_destroy,
    .attach      = soft_attach,
    .detach      = soft_detach,
    .seal        = soft_seal,
    .open_rec    = soft_open_rec,
};
