/* SPDX-License-Identifier: BSD-3-Clause */
/* mkey: shadows, and what goes in and out of them. */
#include "fakemlx5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define API __attribute__((visibility("default")))

static struct fake_mkey *mkeys[FAKE_MKEYS];

size_t fake_unit(enum mlx5dv_block_size size)
{
    static const size_t bytes[] = {512, 520, 4048, 4096, 4160};

    return (unsigned)size < 5 ? bytes[size] : 0;
}

struct fake_mkey *fake_mkey_of(uint32_t key)
{
    int i;

    for (i = 0; i < FAKE_MKEYS; i++)
        if (mkeys[i] != NULL &&
            (mkeys[i]->dv.lkey == key || mkeys[i]->dv.rkey == key))
            return mkeys[i];
    return NULL;
}

static uint8_t *pages(void)
{
    void *p = mmap(NULL, FAKE_SHADOW, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static int mkey_rules(const struct mlx5dv_mkey_init_attr *attr)
{
    if (fake_card.removed)
        return EIO;
    /* No signatures here. */
    if (!attr->create_flags ||
        (attr->create_flags & ~(uint32_t)(MLX5DV_MKEY_INIT_ATTR_FLAGS_INDIRECT |
                                          MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO)))
        return EOPNOTSUPP;
    if ((attr->create_flags & MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO) &&
        fake_card.no_crypto)
        return EOPNOTSUPP;
    return 0;
}

API struct mlx5dv_mkey *mlx5dv_create_mkey(struct mlx5dv_mkey_init_attr *attr)
{
    struct fake_mkey *m;
    int slot;

    errno = mkey_rules(attr);
    if (errno != 0)
        return NULL;
    for (slot = 0; slot < FAKE_MKEYS && mkeys[slot] != NULL; slot++)
        continue;
    m = slot < FAKE_MKEYS ? calloc(1, sizeof(*m)) : NULL;
    if (m == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    attr->max_entries = (uint16_t)((attr->max_entries + 3) & ~3);
    m->max_entries    = attr->max_entries;
    m->pd             = attr->pd;
    m->has_crypto =
        (attr->create_flags & MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO) != 0;
    m->shadow = pages();
    m->seen   = pages();
    if (m->shadow != NULL && m->seen != NULL)
        m->mr = ibv_reg_mr_iova(attr->pd, m->shadow, FAKE_SHADOW, 0,
                                IBV_ACCESS_LOCAL_WRITE |
                                    IBV_ACCESS_REMOTE_WRITE |
                                    IBV_ACCESS_REMOTE_READ);
    if (m->mr == NULL) {
        fprintf(stderr, "fakemlx5: no memory for an mkey: ulimit -l\n");
        free(m);
        errno = ENOMEM;
        return NULL;
    }
    m->dv.lkey = m->mr->lkey;
    m->dv.rkey = m->mr->rkey;
    mkeys[slot] = m;
    fake_card.mkeys++;
    return &m->dv;
}

API int mlx5dv_destroy_mkey(struct mlx5dv_mkey *mkey)
{
    struct fake_mkey *m = (struct fake_mkey *)mkey;
    int i;

    if (fake_card.removed)
        return EIO;
    for (i = 0; i < FAKE_MKEYS; i++)
        if (mkeys[i] == m)
            mkeys[i] = NULL;
    if (m->configured && m->crypto.dek != NULL)
        m->crypto.dek->mkeys--;
    ibv_dereg_mr(m->mr);
    munmap(m->shadow, FAKE_SHADOW);
    munmap(m->seen, FAKE_SHADOW);
    free(m);
    fake_card.mkeys--;
    return 0;
}

/* ---- Data ---------------------------------------------------------------- */

/* Between the pieces of memory and one buffer. */
static void copy(struct fake_mkey *m, uint64_t at, uint8_t *buffer,
                 size_t length, int out)
{
    unsigned i;

    for (i = 0; i < m->sges && length > 0; i++) {
        uint64_t size = m->sge[i].length;
        size_t part;

        if (at >= size) {
            at -= size;
            continue;
        }
        part = size - at < length ? (size_t)(size - at) : length;
        if (out)
            memcpy((uint8_t *)(uintptr_t)m->sge[i].addr + at, buffer, part);
        else
            memcpy(buffer, (uint8_t *)(uintptr_t)m->sge[i].addr + at, part);
        buffer += part;
        length -= part;
        at = 0;
    }
}

/*
 * A tweak with which two plaintexts went out under one key is what must never
 * be: the process ends, and the test with it.
 */
static void note_tweak(const struct mlx5dv_dek *dek, const uint8_t tweak[16],
                       const uint8_t *cipher)
{
    enum { NOTES = 1 << 18 };
    static struct note {
        uint8_t used, key[16], tweak[16], cipher[16];
    } notes[NOTES];
    static unsigned count;
    struct note *note;
    uint32_t place;

    /* A place by key and low bytes of the tweak, or the next that is free. */
    memcpy(&place, dek->key, sizeof(place));
    place += tweak[0] | tweak[1] << 8 | (uint32_t)tweak[2] << 16;
    for (note = &notes[place % NOTES]; note->used;
         note = &notes[++place % NOTES]) {
        if (memcmp(note->key, dek->key, 16) != 0 ||
            memcmp(note->tweak, tweak, 16) != 0)
            continue;
        if (memcmp(note->cipher, cipher, 16) == 0)
            return;
        fprintf(stderr, "fakemlx5: a tweak was used twice under a key\n");
        abort();
    }
    if (count < NOTES - 1) {
        count++;
        note->used = 1;
        memcpy(note->key, dek->key, 16);
        memcpy(note->tweak, tweak, 16);
        memcpy(note->cipher, cipher, 16);
    }
}

static void unit_of(struct fake_mkey *m, uint64_t index, int tx,
                    uint8_t *shadow, size_t length)
{
    const struct mlx5dv_dek *dek = m->crypto.dek;
    uint8_t tweak[16], plain[4160];
    size_t unit = fake_unit(m->crypto.data_unit_size);

    memcpy(tweak, m->crypto.initial_tweak, sizeof(tweak));
    fake_tweak_add(tweak, index);
    if (tx) {
        copy(m, index * unit, plain, length, 0);
        if (fake_xts(m->crypto.encrypt_on_tx, dek->key, dek->key_length, tweak,
                     plain, length, shadow) != 0)
            abort();
        note_tweak(dek, tweak, shadow);
        fake_card.encrypted++;
    } else {
        if (fake_xts(!m->crypto.encrypt_on_tx, dek->key, dek->key_length,
                     tweak, shadow, length, plain) != 0)
            abort();
        copy(m, index * unit, plain, length, 1);
        fake_card.decrypted++;
    }
    explicit_bzero(plain, sizeof(plain));
}

enum ibv_wc_status fake_encrypt(struct fake_mkey *m, uint64_t from,
                                uint64_t length)
{
    size_t unit = fake_unit(m->crypto.data_unit_size), part;
    uint64_t index;

    if (!m->configured || m->broken || from > m->length ||
        length > m->length - from)
        return IBV_WC_LOC_PROT_ERR;
    if (!m->has_crypto || m->crypto.dek == NULL)
        return IBV_WC_LOC_PROT_ERR; /* not before set_mkey_crypto */
    if (from % unit != 0 || length % 16 != 0)
        return IBV_WC_LOC_LEN_ERR;
    for (index = from / unit; length > 0; index++) {
        part = length < unit ? (size_t)length : unit;
        unit_of(m, index, 1, m->shadow + index * unit, part);
        length -= part;
    }
    memcpy(m->seen, m->shadow, m->length);
    return IBV_WC_SUCCESS;
}

static void decrypt(struct fake_mkey *m)
{
    size_t unit = fake_unit(m->crypto.data_unit_size);
    uint64_t at;

    for (at = 0; at < m->length; at += unit) {
        size_t part = m->length - at < unit ? (size_t)(m->length - at) : unit;

        if (memcmp(m->shadow + at, m->seen + at, part) == 0)
            continue;
        memcpy(m->seen + at, m->shadow + at, part);
        if (!m->broken && m->crypto.dek != NULL &&
            m->access & IBV_ACCESS_LOCAL_WRITE)
            unit_of(m, at / unit, 0, m->shadow + at, part);
    }
}

void fake_decrypt_all(void)
{
    int i;

    for (i = 0; i < FAKE_MKEYS; i++)
        if (mkeys[i] != NULL && mkeys[i]->configured)
            decrypt(mkeys[i]);
}

void fake_region_gone(uint32_t lkey)
{
    unsigned k;
    int i;

    for (i = 0; i < FAKE_MKEYS; i++)
        for (k = 0; mkeys[i] != NULL && k < mkeys[i]->sges; k++)
            if (mkeys[i]->sge[k].lkey == lkey)
                mkeys[i]->broken = 1;
}
