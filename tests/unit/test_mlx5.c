/* SPDX-License-Identifier: BSD-3-Clause */
/* mlx5: what it asks of the card, over stand-ins of libmlx5's functions. */
#include "eesp_config.h"
#include "unit.h"

#ifndef HAVE_MLX5DV
int main(void)
{
    return 77; /* built without it */
}
#else

#include "../../verbs_shim/mlx5.c"

#include <sys/wait.h>
#include <unistd.h>

/* ---- A card -------------------------------------------------------------- */

static struct {
    struct mlx5dv_crypto_caps caps;
    uint64_t knows; /* answered part of comp_mask */
    int supported, dek_error, complete, destroy;
    enum mlx5dv_dek_state state;
    unsigned deks, mkeys, setters;
    uint32_t access;
    uint64_t wr_id;
    uint8_t key[DEK_KEY_LEN];
    struct ibv_sge sge[VCC_SGE_MAX];
    struct mlx5dv_crypto_attr crypto;
} card;

static bool is_supported(struct ibv_device *device)
{
    (void)device;
    return card.supported;
}

static int query_device(struct ibv_context *ctx, struct mlx5dv_context *attr)
{
    (void)ctx;
    attr->comp_mask &= card.knows;
    attr->crypto_caps = card.caps;
    return 0;
}

/* As libmlx5 does. */
static uintptr_t left_at;

static __attribute__((noinline)) void leave_on_stack(const char *key)
{
    volatile char command[4096]; /* deep, where little comes by later */
    size_t i;

    for (i = 0; i < DEK_KEY_LEN; i++)
        command[i] = key[i];
    left_at = (uintptr_t)&command[0];
}

static struct mlx5dv_dek *dek_create(struct ibv_context *ctx,
                                     struct mlx5dv_dek_init_attr *attr)
{
    (void)ctx;
    assert_int_equal(attr->comp_mask, MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN);
    assert_null(attr->crypto_login);
    assert_int_equal(attr->key_size, MLX5DV_CRYPTO_KEY_SIZE_256);
    if (card.dek_error != 0) {
        errno = card.dek_error;
        return NULL;
    }
    memcpy(card.key, attr->key, sizeof(card.key));
    leave_on_stack(attr->key);
    card.deks++;
    return malloc(1);
}

static int dek_query(struct mlx5dv_dek *dek, struct mlx5dv_dek_attr *attr)
{
    (void)dek;
    assert_int_equal(attr->comp_mask, 0);
    attr->state = card.state;
    return 0;
}

static int dek_destroy(struct mlx5dv_dek *dek)
{
    card.deks--;
    free(dek);
    return 0;
}

static struct mlx5dv_mkey *create_mkey(struct mlx5dv_mkey_init_attr *attr)
{
    struct mlx5dv_mkey *mkey = calloc(1, sizeof(*mkey));

    assert_int_equal(attr->create_flags, MLX5DV_MKEY_INIT_ATTR_FLAGS_INDIRECT |
                                             MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO);
    card.mkeys++;
    mkey->lkey = 0x100;
    mkey->rkey = 0x200;
    return mkey;
}

static int destroy_mkey(struct mlx5dv_mkey *mkey)
{
    if (card.destroy != 0 && card.destroy != EIO)
        return card.destroy;
    card.mkeys--;
    free(mkey);
    return card.destroy;
}

static void start(struct ibv_qp_ex *qp)
{
    (void)qp;
    card.setters = 0;
}

static int complete(struct ibv_qp_ex *qp)
{
    assert_int_equal(qp->wr_flags, IBV_SEND_SIGNALED | IBV_SEND_INLINE);
    assert_int_equal(card.setters, 0);
    card.wr_id = qp->wr_id;
    return card.complete;
}

static void mkey_configure(struct mlx5dv_qp_ex *dv, struct mlx5dv_mkey *mkey,
                           uint8_t setters, struct mlx5dv_mkey_conf_attr *attr)
{
    (void)dv;
    (void)mkey;
    assert_int_equal(attr->comp_mask | attr->conf_flags, 0);
    card.setters = setters;
}

static void set_access(struct mlx5dv_qp_ex *dv, uint32_t access)
{
    (void)dv;
    card.setters--;
    card.access = access;
}

static void set_layout(struct mlx5dv_qp_ex *dv, uint16_t count,
                       const struct ibv_sge *sge)
{
    (void)dv;
    card.setters--;
    memcpy(card.sge, sge, count * sizeof(*sge));
}

static void set_crypto(struct mlx5dv_qp_ex *dv,
                       const struct mlx5dv_crypto_attr *attr)
{
    (void)dv;
    card.setters--;
    card.crypto = *attr;
}

static struct mlx5dv_qp_ex dv_qp = {
    .wr_mkey_configure        = mkey_configure,
    .wr_set_mkey_access_flags = set_access,
    .wr_set_mkey_layout_list  = set_layout,
    .wr_set_mkey_crypto       = set_crypto,
};
static struct ibv_qp_ex qp_ex = {.wr_start = start, .wr_complete = complete};
static struct mlx5dv_qp_ex *made_by_us = &dv_qp;

static struct ibv_qp_ex *qp_to_ex(struct ibv_qp *qp)
{
    return (struct ibv_qp_ex *)qp;
}

static struct mlx5dv_qp_ex *qp_ex_from(struct ibv_qp_ex *qp)
{
    (void)qp;
    return made_by_us;
}

static struct ibv_qp *create_qp(struct ibv_context *ctx,
                                struct ibv_qp_init_attr_ex *attr,
                                struct mlx5dv_qp_init_attr *dv)
{
    (void)ctx;
    assert_int_equal(dv->send_ops_flags, MLX5DV_QP_EX_WITH_MKEY_CONFIGURE);
    assert_true(attr->cap.max_inline_data >= INLINE);
    return &qp_ex.qp_base;
}

static const struct mlx5dv_calls stand_ins = {
    is_supported, query_device, create_qp, qp_ex_from, create_mkey,
    destroy_mkey, dek_create, dek_query, dek_destroy, qp_to_ex,
};

/* Instead of mlx5dv_calls.c's. */
static int missing;
const struct mlx5dv_calls *mlx5dv_calls(char *why, size_t size)
{
    if (missing)
        snprintf(why, size, "mlx5: no libmlx5.so.1");
    return missing ? NULL : &stand_ins;
}

/* ---- The tests ----------------------------------------------------------- */

static struct ibv_context ctx;
static struct ibv_pd pd = {.context = &ctx};
static struct ibv_qp *const qp = &qp_ex.qp_base;
static struct vcc_dev *dev;
static const struct vcc_backend *const b = &vcc_mlx5;
static struct ibv_sge piece = {.addr = 0x1000, .length = 8192, .lkey = 3};

static void good_card(void)
{
    memset(&card, 0, sizeof(card));
    card.supported = 1;
    card.knows     = MLX5DV_CONTEXT_MASK_CRYPTO_OFFLOAD;
    card.caps      = (struct mlx5dv_crypto_caps){
             .crypto_engines = MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS |
                               XTS_ENGINES,
             .log_max_num_deks = 2,
             .flags            = MLX5DV_CRYPTO_CAPS_CRYPTO,
    };
}

static int setup(void **state)
{
    (void)state;
    good_card();
    made_by_us = &dv_qp;
    return b->open(&pd, &dev);
}

static int teardown(void **state)
{
    (void)state;
    b->close(dev);
    assert_int_equal(card.deks, 0);
    assert_int_equal(card.mkeys, 0);
    return 0;
}

static struct vcc_key *key_of(uint8_t n)
{
    uint8_t bytes[DEK_KEY_LEN] = {n, 1};
    struct vcc_key *key;

    assert_int_equal(b->key_create(dev, VCC_AES_256_XTS, bytes, sizeof(bytes),
                                   &key), 0);
    return key;
}

static void refused(const char *part)
{
    struct vcc_caps caps;
    struct vcc_dev *none;

    assert_int_equal(b->probe(&ctx, &caps), -EOPNOTSUPP);
    assert_int_equal(caps.props, 0);
    if (strstr(caps.why, part) == NULL || strchr(caps.why, '\n') != NULL)
        fail_msg("\"%s\" does not say \"%s\"", caps.why, part);
    assert_int_equal(b->open(&pd, &none), -EOPNOTSUPP);
    assert_null(none);
    good_card();
}

static void cards_without(void **state)
{
    struct vcc_caps caps;

    (void)state;
    good_card();
    assert_int_equal(b->probe(&ctx, &caps), 0);
    assert_int_equal(caps.props, VCC_CONF | VCC_RX_DIRECT);
    assert_int_equal(caps.max_keys, 4);
    missing = 1;
    refused("no libmlx5.so.1");
    missing        = 0;
    card.supported = 0;
    refused("not a device of libmlx5");
    card.knows = 0;
    refused("no crypto offload");
    card.caps.flags = 0;
    refused("no crypto offload");
    card.caps.failed_selftests = 4;
    refused("self-tests");
    /* The old bit alone: no DEK could be made. */
    card.caps.crypto_engines = MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS;
    refused("no AES-XTS engine");
    card.caps.wrapped_import_method =
        MLX5DV_CRYPTO_WRAPPED_IMPORT_METHOD_CAP_AES_XTS;
    refused("wrapped keys only");
    card.caps.crypto_engines =
        MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_SINGLE_BLOCK;
    assert_int_equal(b->probe(&ctx, &caps), 0);
    assert_int_equal(caps.max_length, 4096);
    card.caps.log_max_num_deks = 255;
    assert_int_equal(b->probe(&ctx, &caps), 0);
    assert_int_equal(caps.max_keys, 1u << 31);
}

static void configures(void **state)
{
    struct vcc_key *mine = key_of(1), *theirs = key_of(2);
    struct vcc_mem *rx, *tx;
    uint8_t tweak[TWEAK_LEN];

    (void)state;
    assert_int_equal(b->attach(mine, qp, &piece, 1, 0, VCC_RX | VCC_REMOTE,
                               &rx), 0);
    assert_int_equal(card.key[0], 1);
    assert_int_equal(rx->lkey, 0x100);
    assert_int_equal(rx->rkey, 0x200);
    assert_int_equal(rx->length, 8192);
    assert_int_equal(rx->unit0, 0);
    assert_int_equal(card.wr_id, (uintptr_t)rx);
    assert_int_equal(card.access,
                     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    assert_memory_equal(card.sge, &piece, sizeof(piece));
    assert_true(card.crypto.encrypt_on_tx);
    assert_int_equal(card.crypto.data_unit_size, MLX5DV_BLOCK_SIZE_4096);
    assert_int_equal(card.crypto.crypto_standard,
                     MLX5DV_CRYPTO_STANDARD_AES_XTS);
    assert_int_equal(b->renew(rx, mine, 0), 0);
    assert_int_equal(rx->unit0, 2);
    data_unit_tweak(2, tweak);
    assert_memory_equal(card.crypto.initial_tweak, tweak, sizeof(tweak));

    assert_int_equal(b->attach(theirs, qp, &piece, 1, 0x1234,
                               VCC_TX | VCC_REMOTE, &tx), 0);
    assert_int_equal(card.access, IBV_ACCESS_REMOTE_READ);
    data_unit_tweak(0x1234, tweak);
    assert_memory_equal(card.crypto.initial_tweak, tweak, sizeof(tweak));
    assert_int_equal(b->detach(tx), 0);
    assert_int_equal(b->detach(rx), 0);
    assert_int_equal(b->key_destroy(mine), 0);
    assert_int_equal(b->key_destroy(theirs), 0);
}

/* A receiver that gives numbers out twice is not followed, after renew or
 * anew, nor under another holder of the same bytes. */
static void no_number_twice(void **state)
{
    struct vcc_key *key = key_of(1), *same = key_of(1);
    struct vcc_mem *mem;

    (void)state;
    assert_int_equal(b->attach(key, qp, &piece, 1, 10, VCC_TX, &mem), 0);
    assert_int_equal(b->renew(mem, key, 12), 0);
    assert_int_equal(b->renew(mem, key, 13), -ESTALE);
    /* What failed once is not used again. */
    assert_int_equal(b->renew(mem, key, 20), -EINVAL);
    assert_int_equal(b->detach(mem), 0);
    assert_int_equal(b->attach(key, qp, &piece, 1, 12, VCC_TX, &mem), -ESTALE);
    assert_int_equal(b->attach(same, qp, &piece, 1, 12, VCC_TX, &mem),
                     -ESTALE);
    assert_null(mem);
    /* A request that could not be posted has spent its numbers. */
    card.complete = ENOMEM;
    assert_int_equal(b->attach(key, qp, &piece, 1, 14, VCC_TX, &mem), -ENOMEM);
    card.complete = 0;
    assert_int_equal(b->attach(key, qp, &piece, 1, 14, VCC_TX, &mem), -ESTALE);
    assert_int_equal(b->attach(key, qp, &piece, 1, DATA_UNITS - 1, VCC_TX,
                               &mem), -EOVERFLOW);
    assert_int_equal(b->key_destroy(key), 0);
    assert_int_equal(b->key_destroy(same), 0);
}

static void arguments(void **state)
{
    struct vcc_key *key = key_of(1), *none;
    struct ibv_sge odd = {.length = 8, .lkey = 3}, zero = {.lkey = 3};
    uint8_t bytes[DEK_KEY_LEN] = {1};
    struct vcc_mem *mem;

    (void)state;
    assert_int_equal(b->key_create(dev, VCC_AES_256_GCM, bytes, 32, &none),
                     -EOPNOTSUPP);
    assert_int_equal(b->key_create(dev, VCC_AES_256_XTS, bytes, 32, &none),
                     -EINVAL);
    assert_int_equal(b->attach(key, NULL, &piece, 1, 0, VCC_RX, &mem),
                     -EINVAL);
    assert_int_equal(b->attach(key, qp, NULL, 0, 0, VCC_RX, &mem), -EINVAL);
    assert_int_equal(b->attach(key, qp, &piece, VCC_SGE_MAX + 1, 0, VCC_RX,
                               &mem), -EINVAL);
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_REMOTE, &mem),
                     -EINVAL);
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, 3, &mem), -EINVAL);
    assert_int_equal(b->attach(key, qp, &odd, 1, 0, VCC_RX, &mem), -EMSGSIZE);
    assert_int_equal(b->attach(key, qp, &zero, 1, 0, VCC_RX, &mem),
                     -EMSGSIZE);
    /* The receiver takes numbers, and does not choose. */
    assert_int_equal(b->attach(key, qp, &piece, 1, 7, VCC_RX, &mem), -EINVAL);
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem), 0);
    assert_int_equal(b->detach(mem), 0);
    assert_int_equal(b->attach(key, qp, &piece, 1, 9, VCC_TX, &mem), -EINVAL);
    /* A QP of somebody else's making. */
    made_by_us = NULL;
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem), -EINVAL);
    assert_int_equal(b->key_destroy(key), 0);
    assert_int_equal(card.mkeys, 0);
}

static void key_errors(void **state)
{
    static const struct {
        int firmware, ours;
    } cases[] = {{ENOMEM, -ENOSPC},       {EAGAIN, -ENOSPC},
                 {EINVAL, -EKEYREJECTED}, {EOPNOTSUPP, -EKEYREJECTED},
                 {EIO, -EIO},             {ENODEV, -EIO}};
    struct vcc_key *key = key_of(1);
    struct vcc_mem *mem;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        card.dek_error = cases[i].firmware;
        assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem),
                         cases[i].ours);
    }
    card.dek_error = 0;
    card.state     = MLX5DV_DEK_STATE_ERROR;
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem),
                     -EKEYREJECTED);
    card.state = MLX5DV_DEK_STATE_READY;
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem), 0);
    assert_int_equal(b->key_check(key), 0);
    card.state = MLX5DV_DEK_STATE_ERROR;
    assert_int_equal(b->key_check(key), -EKEYREJECTED);
    assert_int_equal(b->renew(mem, key, 0), -EKEYREJECTED);
    assert_int_equal(b->detach(mem), 0);
    assert_int_equal(b->key_destroy(key), 0);
}

/* The stack of functions that have returned is read: not under ASan. */
#ifndef __SANITIZE_ADDRESS__
static __attribute__((noinline)) int on_stack(const uint8_t *key)
{
    const volatile uint8_t *at = (const volatile uint8_t *)left_at;
    size_t i, same = 0;

    for (i = 0; i < DEK_KEY_LEN; i++)
        same += at[i] == key[i];
    return same == DEK_KEY_LEN;
}
#endif

static void no_copy_on_the_stack(void **state)
{
#ifndef __SANITIZE_ADDRESS__
    uint8_t bytes[DEK_KEY_LEN];
    void *dek;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(0x40 + i);
    assert_int_equal(create_dek(dev, bytes, &dek), 0);
    assert_false(on_stack(bytes));
    assert_int_equal(destroy_dek(dev, dek), 0);
#else
    (void)state;
#endif
}

/* Create, reconfigure, drain, destroy. */
static void rotation(void **state)
{
    struct vcc_key *old = key_of(1), *new = key_of(2);
    struct vcc_mem *first, *second;

    (void)state;
    assert_int_equal(b->attach(old, qp, &piece, 1, 0, VCC_RX, &first), 0);
    assert_int_equal(b->attach(old, qp, &piece, 1, 0, VCC_RX, &second), 0);
    assert_int_equal(b->renew(first, new, 0), 0);
    assert_int_equal(card.deks, 2);
    assert_int_equal(b->key_destroy(old), -EBUSY);
    assert_int_equal(b->renew(second, new, 0), 0);
    assert_int_equal(second->unit0, 2); /* of the new key */
    assert_int_equal(b->key_destroy(old), 0);
    assert_int_equal(card.deks, 1);
    assert_int_equal(b->detach(first), 0);
    assert_int_equal(b->detach(second), 0);
    assert_int_equal(b->key_destroy(new), 0);
}

static void device_gone(void **state)
{
    struct vcc_key *key = key_of(1);
    struct vcc_mem *mem;

    (void)state;
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem), 0);
    /* An mkey that lives on would leave the memory open to the peer. */
    card.destroy = EBUSY;
    assert_int_equal(b->detach(mem), -EBUSY);
    assert_int_equal(b->key_destroy(key), -EBUSY);
    card.destroy = EIO;
    assert_int_equal(b->detach(mem), -EIO);
    assert_int_equal(b->key_destroy(key), 0);
}

static void child(void **state)
{
    struct vcc_key *key = key_of(1);
    struct vcc_mem *mem, *other;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(b->attach(key, qp, &piece, 1, 0, VCC_RX, &mem), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(b->attach(key, qp, &piece, 1, 0, VCC_RX, &other) == -EOWNERDEAD &&
                      b->renew(mem, key, 0) == -EOWNERDEAD &&
                      b->detach(mem) == -EOWNERDEAD &&
                      b->key_check(key) == -EOWNERDEAD
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(b->detach(mem), 0);
    assert_int_equal(b->key_destroy(key), 0);
}

static void qps(void **state)
{
    struct ibv_qp_init_attr_ex attr = {0};
    struct ibv_qp *made;

    (void)state;
    assert_int_equal(b->create_qp(dev, &attr, &made), 0);
    assert_ptr_equal(made, qp);
    assert_ptr_equal(attr.pd, &pd);
}

#define CARD_TEST(_name) cmocka_unit_test_setup_teardown(_name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_without),
        CARD_TEST(configures),
        CARD_TEST(no_number_twice),
        CARD_TEST(arguments),
        CARD_TEST(key_errors),
        CARD_TEST(no_copy_on_the_stack),
        CARD_TEST(rotation),
        CARD_TEST(device_gone),
        CARD_TEST(child),
        CARD_TEST(qps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
