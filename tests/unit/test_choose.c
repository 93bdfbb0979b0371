/* SPDX-License-Identifier: BSD-3-Clause */
/* choose: which backend is picked, alone and with a peer: never a weaker. */
#include "unit.h"

#include <errno.h>

#include "../../verbs_shim/backends.h"

#define AEAD (VCC_CONF | VCC_INTEG | VCC_REPLAY)

static void picks(void **state)
{
    char why[VCC_WHY_LEN];

    (void)state;
    assert_ptr_equal(vcc_pick(NULL, VCC_CONF, why), &vcc_soft);
    assert_ptr_equal(vcc_pick(NULL, AEAD, NULL), &vcc_soft);
    assert_null(vcc_pick(NULL, VCC_CONF | VCC_RX_DIRECT, why));
#ifdef HAVE_MLX5DV
    assert_string_equal(why, "mlx5: no RDMA device");
#endif
    assert_null(vcc_pick(NULL, AEAD | VCC_RX_DIRECT, why));
    assert_string_equal(why, "no backend has confidentiality, integrity, "
                             "replay defence, direct placement together");
    assert_null(vcc_pick(NULL, 1u << 31, why));
    assert_string_equal(why, "no backend has nothing that is known together");
    assert_null(vcc_pick(NULL, 0, why));
    assert_string_equal(why, "no property was required of the backend");
}

static void names(void **state)
{
    (void)state;
    assert_ptr_equal(vcc_backend("soft"), &vcc_soft);
#ifdef HAVE_MLX5DV
    assert_ptr_equal(vcc_backend("mlx5"), &vcc_mlx5);
#endif
    assert_null(vcc_backend("doca"));
}

/* What a card's peers come to, by what each requires, wants and has. */
static void agrees(void **state)
{
    enum { ALL = VCC_ID_SOFT | VCC_ID_MLX5 };
    static const struct {
        struct vcc_offer mine, theirs;
        const char *result; /* NULL: refused */
    } cases[] = {
        {{VCC_CONF, VCC_RX_DIRECT, ALL}, {VCC_CONF, VCC_RX_DIRECT, ALL},
         "mlx5"},
        {{AEAD, 0, ALL}, {AEAD, 0, ALL}, "soft"},
        /* Both may, one does not want to. */
        {{VCC_CONF, VCC_RX_DIRECT, ALL}, {VCC_CONF, 0, ALL}, "soft"},
        /* The peer has no offload: something stronger. */
        {{VCC_CONF, VCC_RX_DIRECT, ALL},
         {VCC_CONF, VCC_RX_DIRECT, VCC_ID_SOFT}, "soft"},
        /* ... or nothing. */
        {{VCC_CONF | VCC_RX_DIRECT, 0, ALL}, {VCC_CONF, 0, VCC_ID_SOFT}, NULL},
        /* Different policies: the stricter. */
        {{VCC_CONF, VCC_RX_DIRECT, ALL}, {AEAD, 0, ALL}, "soft"},
        {{VCC_CONF, VCC_RX_DIRECT, ALL}, {AEAD, VCC_RX_DIRECT, ALL}, "soft"},
        {{VCC_CONF | VCC_RX_DIRECT, 0, ALL}, {AEAD, 0, ALL}, NULL},
        /* A peer that wants no protection is none to talk to. */
        {{VCC_CONF, 0, ALL}, {0, 0, ALL}, NULL},
        /* Properties and backends of a later version. */
        {{VCC_CONF, 0, ALL}, {VCC_CONF | 1u << 9, 0, ALL}, NULL},
        {{VCC_CONF, 0, ALL}, {VCC_CONF, 0, 1u << 9}, NULL},
    };
    char why[VCC_WHY_LEN];
    size_t i;
    int turn;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (turn = 0; turn < 2; turn++) {
            const struct vcc_backend *b =
                turn ? vcc_agree(&cases[i].theirs, &cases[i].mine, why)
                     : vcc_agree(&cases[i].mine, &cases[i].theirs, why);
            const char *want = cases[i].result;

#ifndef HAVE_MLX5DV
            if (want != NULL && strcmp(want, "mlx5") == 0)
                want = "soft";
#endif
            if (want == NULL) {
                assert_null(b);
                assert_true(why[0] != '\0' && strchr(why, '\n') == NULL);
            } else {
                assert_non_null(b);
                assert_string_equal(b->name, want);
            }
        }
    }
}

static void offers(void **state)
{
    struct vcc_offer offer;

    (void)state;
    vcc_offer(NULL, AEAD, 0, &offer);
    assert_int_equal(offer.required, AEAD);
    assert_int_equal(offer.backends, VCC_ID_SOFT);
}

static void lines(void **state)
{
    static const int errors[] = {EOPNOTSUPP, EINVAL, ENOSPC, EKEYREJECTED,
                                 EOVERFLOW, ESTALE, EBADMSG, EMSGSIZE, EBUSY,
                                 EOWNERDEAD, EIO};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        assert_non_null(vcc_strerror(-errors[i]));
        assert_string_not_equal(vcc_strerror(-errors[i]), strerror(errors[i]));
    }
    assert_string_equal(vcc_strerror(-ENOMEM), strerror(ENOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks),  cmocka_unit_test(names),
        cmocka_unit_test(agrees), cmocka_unit_test(offers),
        cmocka_unit_test(lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
