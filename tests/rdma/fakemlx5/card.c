/* SPDX-License-Identifier: BSD-3-Clause */
/* card: what it is like, and its DEKs. */
#include "fakemlx5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rdma/ib_user_verbs.h>

#define API __attribute__((visibility("default")))

struct fake_card fake_card = {.log_max_num_deks = 4};

#define MEMBER(_name) {#_name, offsetof(struct fake_card, _name)}
static const struct {
    const char *name;
    size_t offset;
} members[] = {
    MEMBER(absent), MEMBER(no_crypto), MEMBER(failed_selftests),
    MEMBER(wrapped_only), MEMBER(single_block), MEMBER(log_max_num_deks),
    MEMBER(deks_taken), MEMBER(dek_error), MEMBER(removed),
    MEMBER(remove_after), MEMBER(fail_after), MEMBER(damage_after),
    MEMBER(deks), MEMBER(mkeys), MEMBER(umrs), MEMBER(encrypted),
    MEMBER(decrypted),
};

API long fakemlx5_control(const char *name, long value)
{
    size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        long *at = (long *)((char *)&fake_card + members[i].offset);

        if (strcmp(members[i].name, name) != 0)
            continue;
        if (value >= 0)
            *at = value;
        return *at;
    }
    return -1;
}

static __attribute__((constructor)) void from_environment(void)
{
    char variable[64];
    const char *value;
    size_t i, k;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        k = (size_t)snprintf(variable, sizeof(variable), "FAKEMLX5_%s",
                             members[i].name);
        while (k-- > 9)
            if (variable[k] >= 'a' && variable[k] <= 'z')
                variable[k] -= 'a' - 'A';
        value = getenv(variable);
        if (value != NULL)
            fakemlx5_control(members[i].name, atol(value));
    }
}

/* The kernel's event of a device that fails, into the program's descriptor. */
void fake_removed(struct ibv_context *ctx)
{
    struct ib_uverbs_async_event_desc event = {
        .event_type = IBV_EVENT_DEVICE_FATAL};
    int ends[2];

    fake_card.removed = 1;
    if (pipe(ends) != 0)
        return;
    if (write(ends[1], &event, sizeof(event)) == sizeof(event))
        (void)dup2(ends[0], ctx->async_fd);
    close(ends[0]); /* the other end stays: no end of file */
}

API bool mlx5dv_is_supported(struct ibv_device *device)
{
    (void)device;
    return !fake_card.absent;
}

API int mlx5dv_query_device(struct ibv_context *ctx,
                            struct mlx5dv_context *attr)
{
    struct mlx5dv_crypto_caps *caps = &attr->crypto_caps;

    (void)ctx;
    if (fake_card.removed)
        return EIO;
    attr->comp_mask &= MLX5DV_CONTEXT_MASK_CRYPTO_OFFLOAD;
    if (!attr->comp_mask)
        return 0;
    memset(caps, 0, sizeof(*caps));
    if (fake_card.no_crypto)
        return 0;
    caps->flags            = MLX5DV_CRYPTO_CAPS_CRYPTO;
    caps->failed_selftests = (uint16_t)fake_card.failed_selftests;
    caps->log_max_num_deks = (uint8_t)fake_card.log_max_num_deks;
    caps->crypto_engines   = MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS |
                           MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_SINGLE_BLOCK;
    if (!fake_card.single_block)
        caps->crypto_engines |= MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_MULTI_BLOCK;
    if (fake_card.wrapped_only) {
        caps->wrapped_import_method =
            MLX5DV_CRYPTO_WRAPPED_IMPORT_METHOD_CAP_AES_XTS;
        caps->flags |= MLX5DV_CRYPTO_CAPS_WRAPPED_CRYPTO_OPERATIONAL;
    }
    return 0;
}

/* Nobody can log in here, so wrapped keys are always refused. */
static int dek_rules(const struct mlx5dv_dek_init_attr *attr)
{
    if (fake_card.removed)
        return EIO;
    if (fake_card.no_crypto)
        return EOPNOTSUPP;
    if (attr->key_purpose != MLX5DV_CRYPTO_KEY_PURPOSE_AES_XTS ||
        (attr->key_size != MLX5DV_CRYPTO_KEY_SIZE_128 &&
         attr->key_size != MLX5DV_CRYPTO_KEY_SIZE_256) ||
        (attr->comp_mask & ~(uint64_t)MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN))
        return EINVAL;
    if (!(attr->comp_mask & MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN) ||
        attr->crypto_login != NULL || fake_card.wrapped_only)
        return EINVAL;
    /* LIM_ERR of the firmware. */
    if (fake_card.deks + fake_card.deks_taken >=
        1L << fake_card.log_max_num_deks)
        return ENOMEM;
    return 0;
}

API struct mlx5dv_dek *mlx5dv_dek_create(struct ibv_context *ctx,
                                         struct mlx5dv_dek_init_attr *attr)
{
    struct mlx5dv_dek *dek;

    (void)ctx;
    errno = dek_rules(attr);
    if (errno != 0)
        return NULL;
    dek = calloc(1, sizeof(*dek));
    if (dek == NULL)
        return NULL;
    dek->pd         = attr->pd;
    dek->has_keytag = attr->has_keytag;
    dek->key_length = attr->key_size == MLX5DV_CRYPTO_KEY_SIZE_256 ? 64 : 32;
    memcpy(dek->key, attr->key, dek->key_length);
    if (dek->has_keytag)
        memcpy(dek->keytag, attr->key + dek->key_length, FAKE_TAG);
    memcpy(dek->opaque, attr->opaque, sizeof(dek->opaque));
    fake_card.deks++;
    return dek;
}

API int mlx5dv_dek_query(struct mlx5dv_dek *dek, struct mlx5dv_dek_attr *attr)
{
    if (fake_card.removed)
        return EIO;
    if (attr->comp_mask)
        return EINVAL;
    attr->state = fake_card.dek_error ? MLX5DV_DEK_STATE_ERROR
                                      : MLX5DV_DEK_STATE_READY;
    memcpy(attr->opaque, dek->opaque, sizeof(attr->opaque));
    return 0;
}

API int mlx5dv_dek_destroy(struct mlx5dv_dek *dek)
{
    if (fake_card.removed)
        return EIO;
    if (dek->mkeys > 0)
        return EBUSY;
    fake_card.deks--;
    explicit_bzero(dek, sizeof(*dek));
    free(dek);
    return 0;
}

/* There is no credential to log in with. It is here for its version. */
API struct mlx5dv_crypto_login_obj *mlx5dv_crypto_login_create(
    struct ibv_context *ctx, struct mlx5dv_crypto_login_attr_ex *attr)
{
    (void)ctx;
    (void)attr;
    errno = EOPNOTSUPP;
    return NULL;
}
