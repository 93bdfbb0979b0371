/* SPDX-License-Identifier: BSD-3-Clause */
/* dek_pool, data_units: few DEKs for many keys, and no tweak twice. */
#include "unit.h"

#include <errno.h>

#include "../../verbs_shim/data_units.h"
#include "../../verbs_shim/dek_pool.h"

/* A card that holds `room` keys and says what was done to it. */
struct card {
    unsigned room, held, most, created, destroyed;
    int refuses, in_error;
    uint8_t last[DEK_KEY_LEN];
};

static int create(void *card, const uint8_t key[DEK_KEY_LEN], void **dek_p)
{
    struct card *c = card;

    if (c->refuses)
        return -EKEYREJECTED;
    if (c->held >= c->room)
        return -ENOSPC;
    c->held++;
    c->created++;
    if (c->held > c->most)
        c->most = c->held;
    memcpy(c->last, key, DEK_KEY_LEN);
    *dek_p = malloc(1);
    return 0;
}

static int query(void *card, void *dek)
{
    (void)dek;
    return ((struct card *)card)->in_error ? -EKEYREJECTED : 0;
}

static int destroy(void *card, void *dek)
{
    struct card *c = card;

    c->held--;
    c->destroyed++;
    free(dek);
    return 0;
}

static const struct dek_ops ops = {create, query, destroy};

static struct dek_key *hold(struct dek_pool *pool, unsigned n)
{
    uint8_t bytes[DEK_KEY_LEN] = {(uint8_t)n, (uint8_t)(n >> 8), 1};
    struct dek_key *key;

    assert_int_equal(dek_pool_hold(pool, bytes, &key), 0);
    return key;
}

static void use_once(struct dek_pool *pool, struct dek_key *key)
{
    void *dek;

    assert_int_equal(dek_pool_use(pool, key, &dek), 0);
    assert_non_null(dek);
    dek_pool_unuse(key);
}

/* A thousand receivers, eight DEKs. */
static void few_for_many(void **state)
{
    enum { KEYS = 1000, SLOTS = 8 };
    struct card card = {.room = 100};
    struct dek_key *key[KEYS];
    struct dek_pool pool;
    unsigned i, turn;

    (void)state;
    dek_pool_init(&pool, &ops, &card, SLOTS);
    for (i = 0; i < KEYS; i++)
        key[i] = hold(&pool, i);
    assert_int_equal(card.created, 0);
    for (turn = 0; turn < 2; turn++)
        for (i = 0; i < KEYS; i++)
            use_once(&pool, key[i]);
    assert_int_equal(card.most, SLOTS);
    assert_int_equal(pool.evictions, 2 * KEYS - SLOTS);
    /* What is used again and again stays. */
    use_once(&pool, key[0]);
    card.created = 0;
    for (i = 1; i < 100; i++) {
        use_once(&pool, key[i]);
        use_once(&pool, key[0]);
    }
    assert_int_equal(card.created, 99);
    for (i = 0; i < KEYS; i++)
        assert_int_equal(dek_pool_release(&pool, key[i]), 0);
    assert_int_equal(card.held, 0);
    assert_null(pool.first);
}

static void same_bytes_same_dek(void **state)
{
    struct card card = {.room = 4};
    struct dek_pool pool;
    struct dek_key *a, *b;
    void *dek[2];

    (void)state;
    dek_pool_init(&pool, &ops, &card, 4);
    a = hold(&pool, 7);
    b = hold(&pool, 7);
    assert_ptr_equal(a, b);
    assert_int_equal(dek_pool_use(&pool, a, &dek[0]), 0);
    assert_int_equal(dek_pool_use(&pool, b, &dek[1]), 0);
    assert_ptr_equal(dek[0], dek[1]);
    assert_int_equal(card.created, 1);
    assert_int_equal(card.last[0], 7);
    assert_int_equal(dek_pool_release(&pool, a), 0);
    assert_int_equal(card.held, 1);
    /* The last holder must wait until it drained. */
    assert_int_equal(dek_pool_release(&pool, b), -EBUSY);
    dek_pool_unuse(b);
    assert_int_equal(dek_pool_release(&pool, b), -EBUSY);
    dek_pool_unuse(b);
    assert_int_equal(dek_pool_release(&pool, b), 0);
    assert_int_equal(card.held, 0);
}

/* What is attached is not evicted, whoever asks. */
static void all_in_use(void **state)
{
    struct card card = {.room = 100};
    struct dek_pool pool;
    struct dek_key *key[3];
    void *dek[3];
    int i;

    (void)state;
    dek_pool_init(&pool, &ops, &card, 2);
    for (i = 0; i < 3; i++)
        key[i] = hold(&pool, (unsigned)i);
    assert_int_equal(dek_pool_use(&pool, key[0], &dek[0]), 0);
    assert_int_equal(dek_pool_use(&pool, key[1], &dek[1]), 0);
    assert_int_equal(dek_pool_use(&pool, key[2], &dek[2]), -ENOSPC);
    assert_int_equal(card.destroyed, 0);
    dek_pool_unuse(key[0]);
    assert_int_equal(dek_pool_use(&pool, key[2], &dek[2]), 0);
    assert_null(key[0]->dek);
    dek_pool_unuse(key[1]);
    dek_pool_unuse(key[2]);
    for (i = 0; i < 3; i++)
        assert_int_equal(dek_pool_release(&pool, key[i]), 0);
}

/* Other processes took the card's room in the meantime. */
static void less_room_than_told(void **state)
{
    struct card card = {.room = 2};
    struct dek_pool pool;
    struct dek_key *key[3];
    void *dek;
    int i;

    (void)state;
    dek_pool_init(&pool, &ops, &card, 64);
    for (i = 0; i < 3; i++) {
        key[i] = hold(&pool, (unsigned)i);
        use_once(&pool, key[i]);
    }
    assert_int_equal(card.most, 2);
    card.room = 0;
    assert_int_equal(dek_pool_use(&pool, key[0], &dek), -ENOSPC);
    assert_int_equal(card.held, 0);
    card.room = 1;
    use_once(&pool, key[0]);
    for (i = 0; i < 3; i++)
        assert_int_equal(dek_pool_release(&pool, key[i]), 0);
}

static void keys_that_fail(void **state)
{
    static const uint8_t alike[DEK_KEY_LEN];
    struct card card = {.room = 4, .refuses = 1};
    struct dek_pool pool;
    struct dek_key *key;
    void *dek;

    (void)state;
    dek_pool_init(&pool, &ops, &card, 4);
    assert_int_equal(dek_pool_hold(&pool, alike, &key), -EINVAL);
    assert_null(key);
    key = hold(&pool, 1);
    assert_int_equal(dek_pool_use(&pool, key, &dek), -EKEYREJECTED);
    assert_int_equal(key->users, 0);
    /* Taken, but not ready. */
    card.refuses  = 0;
    card.in_error = 1;
    assert_int_equal(dek_pool_use(&pool, key, &dek), -EKEYREJECTED);
    assert_int_equal(card.held, 0);
    assert_int_equal(pool.installed, 0);
    card.in_error = 0;
    assert_int_equal(dek_pool_use(&pool, key, &dek), 0);
    assert_int_equal(dek_pool_check(&pool, key), 0);
    /* Lost while in use: for good. */
    card.in_error = 1;
    assert_int_equal(dek_pool_check(&pool, key), -EKEYREJECTED);
    card.in_error = 0;
    assert_int_equal(dek_pool_use(&pool, key, &dek), -EKEYREJECTED);
    assert_int_equal(dek_pool_check(&pool, key), -EKEYREJECTED);
    dek_pool_unuse(key);
    assert_int_equal(dek_pool_release(&pool, key), 0);
    assert_int_equal(card.held, 0);
}

static void too_many_keys(void **state)
{
    uint8_t bytes[DEK_KEY_LEN] = {0xff, 0xff, 9};
    static struct dek_key *key[DEK_POOL_KEYS];
    struct card card = {.room = 4};
    struct dek_pool pool;
    struct dek_key *more;
    unsigned i;

    (void)state;
    dek_pool_init(&pool, &ops, &card, 4);
    for (i = 0; i < DEK_POOL_KEYS; i++)
        key[i] = hold(&pool, i);
    assert_int_equal(dek_pool_hold(&pool, bytes, &more), -ENOSPC);
    assert_ptr_equal(hold(&pool, 3), key[3]);
    assert_int_equal(dek_pool_release(&pool, key[3]), 0);
    for (i = 0; i < DEK_POOL_KEYS; i++)
        assert_int_equal(dek_pool_release(&pool, key[i]), 0);
}

static void eviction_forgets_no_number(void **state)
{
    struct card card = {.room = 4};
    struct dek_pool pool;
    struct dek_key *a, *b;
    uint64_t unit0;

    (void)state;
    dek_pool_init(&pool, &ops, &card, 1);
    a = hold(&pool, 1);
    b = hold(&pool, 2);
    use_once(&pool, a);
    assert_int_equal(data_units_take(&a->unit, 10, &unit0), 0);
    use_once(&pool, b);
    assert_null(a->dek);
    use_once(&pool, a);
    assert_int_equal(data_units_take(&a->unit, 1, &unit0), 0);
    assert_int_equal(unit0, 10);
    dek_pool_release(&pool, a);
    dek_pool_release(&pool, b);
}

static void numbers(void **state)
{
    uint64_t next = 0, lowest = 0, unit0;

    (void)state;
    assert_int_equal(data_units(1), 1);
    assert_int_equal(data_units(DATA_UNIT), 1);
    assert_int_equal(data_units(DATA_UNIT + 16), 2);
    assert_int_equal(data_units(UINT64_MAX), UINT64_MAX / DATA_UNIT + 1);
    assert_int_equal(data_units_take(&next, 3, &unit0), 0);
    assert_int_equal(unit0, 0);
    assert_int_equal(data_units_take(&next, 1, &unit0), 0);
    assert_int_equal(unit0, 3);
    assert_int_equal(data_units_take(&next, 0, &unit0), -EOVERFLOW);

    next = DATA_UNITS - 2;
    assert_int_equal(data_units_take(&next, 3, &unit0), -EOVERFLOW);
    assert_int_equal(data_units_take(&next, UINT64_MAX, &unit0), -EOVERFLOW);
    assert_int_equal(data_units_take(&next, 2, &unit0), 0);
    assert_int_equal(unit0, DATA_UNITS - 2);
    assert_int_equal(data_units_take(&next, 1, &unit0), -EOVERFLOW);

    assert_int_equal(data_units_use(&lowest, 2, 5), 0);
    assert_int_equal(data_units_use(&lowest, 2, 5), -ESTALE);
    assert_int_equal(data_units_use(&lowest, 2, 6), -ESTALE);
    assert_int_equal(data_units_use(&lowest, 2, 4), -ESTALE);
    assert_int_equal(data_units_use(&lowest, 1, 7), 0);
    assert_int_equal(data_units_use(&lowest, 2, DATA_UNITS - 1), -EOVERFLOW);
    assert_int_equal(data_units_use(&lowest, 1, UINT64_MAX), -EOVERFLOW);
    assert_int_equal(data_units_use(&lowest, 1, DATA_UNITS - 1), 0);
    assert_int_equal(data_units_use(&lowest, 1, DATA_UNITS - 1), -ESTALE);
    assert_int_equal(data_units_use(&lowest, 1, DATA_UNITS), -EOVERFLOW);
}

static void tweaks(void **state)
{
    static const uint8_t want[TWEAK_LEN] = {8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t tweak[TWEAK_LEN];

    (void)state;
    memset(tweak, 0xa5, sizeof(tweak));
    data_unit_tweak(0x0102030405060708, tweak);
    assert_memory_equal(tweak, want, sizeof(tweak));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_for_many),
        cmocka_unit_test(same_bytes_same_dek),
        cmocka_unit_test(all_in_use),
        cmocka_unit_test(less_room_than_told),
        cmocka_unit_test(keys_that_fail),
        cmocka_unit_test(too_many_keys),
        cmocka_unit_test(eviction_forgets_no_number),
        cmocka_unit_test(numbers),
        cmocka_unit_test(tweaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
