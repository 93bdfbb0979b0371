/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keycache: against an AEAD that only remembers its key, so that a test sees
 * which key a slot has. The source itself is included: no caller can set its
 * clock.
 */
#include "../../src/lib/keycache.c"

#include "unit.h"

static unsigned opened, closed;

static const char *nothing_missing(void)
{
    return NULL;
}

static int fake_open(void *k)
{
    memset(k, 0, EESP_AEAD_KEY_MAX);
    opened++;
    return EESP_OK;
}

static int fake_expand(void *k, const uint8_t *key)
{
    memcpy(k, key, EESP_AEAD_KEY_MAX);
    return EESP_OK;
}

static void fake_forget(void *k)
{
    explicit_bzero(k, EESP_AEAD_KEY_MAX);
}

static void fake_close(void *k)
{
    explicit_bzero(k, EESP_AEAD_KEY_MAX);
    closed++;
}

static const struct eesp_aead fake = {.name       = "fake",
                                      .backend    = "fake",
                                      .key_length = EESP_AEAD_KEY_MAX,
                                      .key_size   = EESP_AEAD_KEY_MAX,
                                      .missing    = nothing_missing,
                                      .open       = fake_open,
                                      .expand     = fake_expand,
                                      .forget     = fake_forget,
                                      .close      = fake_close};

static struct eesp_key_name name_of(uint64_t number)
{
    struct eesp_key_name name = {.length = 40};

    memcpy(name.context + 16, &number, sizeof(number));
    eesp_key_name_hash(&name);
    return name;
}

/* The key that belongs to a number: never all zero. */
static void key_of(uint64_t number, uint8_t key[EESP_AEAD_KEY_MAX])
{
    memset(key, 0x5a, EESP_AEAD_KEY_MAX);
    memcpy(key, &number, sizeof(number));
}

static int slot_is(const struct eesp_key_slot *slot, uint64_t number)
{
    uint8_t key[EESP_AEAD_KEY_MAX];

    key_of(number, key);
    return memcmp(slot->aead, key, sizeof(key)) == 0 &&
           memcmp(slot->mask, key, sizeof(slot->mask)) == 0;
}

/* As a packet does: the cached key, or a new one. 1 if it was cached. */
static int use(struct eesp_keycache *cache, uint64_t number)
{
    struct eesp_key_name name  = name_of(number);
    struct eesp_key_slot *slot = eesp_keycache_find(cache, &name);
    uint8_t key[EESP_AEAD_KEY_MAX];

    if (slot != NULL) {
        assert_true(slot_is(slot, number));
        return 1;
    }
    slot = eesp_keycache_spare(cache);
    key_of(number, key);
    fake.expand(slot->aead, key);
    memcpy(slot->mask, key, sizeof(slot->mask));
    eesp_keycache_insert(cache, &name);
    assert_ptr_equal(eesp_keycache_find(cache, &name), slot);
    return 0;
}

static int has(struct eesp_keycache *cache, uint64_t number)
{
    struct eesp_key_name name = name_of(number);

    return eesp_keycache_find(cache, &name) != NULL;
}

/* A context of the same hash is still another context. */
static void same_hash(void **unused)
{
    struct eesp_keycache *cache = eesp_keycache_create(&fake, 40, 8);
    struct eesp_key_name name   = name_of(1), other = name_of(2);

    (void)unused;
    assert_non_null(cache);
    assert_int_equal(use(cache, 1), 0);
    other.hash = name.hash;
    assert_null(eesp_keycache_find(cache, &other));
    eesp_keycache_destroy(cache);
}

static void sizes(void **unused)
{
    static const unsigned asked[] = {0, 1, 4, 5, 8, 100, 512};
    static const unsigned given[] = {4, 4, 4, 8, 8, 128, 512};
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct eesp_keycache *c;

        opened = closed = 0;
        c               = eesp_keycache_create(&fake, 40, asked[i]);
        assert_non_null(c);
        assert_int_equal(opened, given[i] + 1);
        assert_int_equal((uintptr_t)eesp_keycache_spare(c)->aead % 64, 0);
        eesp_keycache_destroy(c);
        assert_int_equal(closed, opened);
    }
    eesp_keycache_destroy(NULL);
}

static void hit_and_miss(void **unused)
{
    struct eesp_keycache *c   = eesp_keycache_create(&fake, 40, 4);
    struct eesp_key_name name = name_of(1);
    struct eesp_key_slot *slot;

    (void)unused;
    assert_null(eesp_keycache_find(c, &name));
    assert_int_equal(use(c, 1), 0);
    assert_int_equal(use(c, 1), 1);
    /* Master and length belong to the name, not only the context. */
    name.master = 1;
    assert_null(eesp_keycache_find(c, &name));
    eesp_key_name_hash(&name);
    assert_null(eesp_keycache_find(c, &name));
    name        = name_of(1);
    name.length = 48;
    assert_null(eesp_keycache_find(c, &name));
    eesp_key_name_hash(&name);
    assert_null(eesp_keycache_find(c, &name));
    /* The hash is a short cut, never the answer. */
    name      = name_of(2);
    name.hash = name_of(1).hash;
    assert_null(eesp_keycache_find(c, &name));
    /* What is behind the context does not count. */
    name = name_of(1);
    memset(name.context + name.length, 0xee,
           sizeof(name.context) - name.length);
    eesp_key_name_hash(&name);
    assert_non_null(eesp_keycache_find(c, &name));
    /* A spare that is left, as after a forged packet, is no entry. */
    slot = eesp_keycache_spare(c);
    memset(slot->aead, 0xee, EESP_AEAD_KEY_MAX);
    assert_int_equal(use(c, 1), 1);
    assert_ptr_equal(slot, eesp_keycache_spare(c));
    assert_int_equal(use(c, 2), 0);
    assert_true(slot != eesp_keycache_spare(c));
    eesp_keycache_destroy(c);
}

/* The least recently used of the set goes, and is wiped there and then. */
static void evict(void **unused)
{
    struct eesp_keycache *c = eesp_keycache_create(&fake, 40, 4);
    uint64_t i;
    size_t j;

    (void)unused;
    for (i = 1; i <= 4; i++)
        assert_int_equal(use(c, i), 0);
    assert_int_equal(use(c, 1), 1);
    assert_int_equal(use(c, 3), 1);
    for (i = 5; i <= 100; i++) {
        static const uint8_t zero[EESP_AEAD_KEY_MAX];
        struct eesp_key_slot *spare;

        assert_int_equal(use(c, i), 0);
        spare = eesp_keycache_spare(c);
        assert_memory_equal(spare->aead, zero, sizeof(zero));
        assert_memory_equal(spare->mask, zero, sizeof(spare->mask));
        if (i == 5) {
            assert_false(has(c, 2)); /* 2 was the oldest, then 4, 1, 3 */
            assert_true(has(c, 4) && has(c, 1) && has(c, 3));
        }
    }
    for (i = 97; i <= 100; i++)
        assert_int_equal(use(c, i), 1);
    /* No two entries, and no entry and the spare, share a slot. */
    for (i = 0; i < 4; i++) {
        assert_true(entry_at(c, i)->slot != c->spare);
        for (j = 0; j < i; j++)
            assert_true(entry_at(c, i)->slot != entry_at(c, j)->slot);
    }
    eesp_keycache_destroy(c);
}

/* As a packet does, whose key may go unkept. 1 if it was cached. */
static int pass(struct eesp_keycache *cache, uint64_t number)
{
    static const uint8_t zero[EESP_AEAD_KEY_MAX];
    struct eesp_key_name name  = name_of(number);
    struct eesp_key_slot *slot = eesp_keycache_find(cache, &name);
    uint8_t key[EESP_AEAD_KEY_MAX];

    if (slot != NULL) {
        assert_true(slot_is(slot, number));
        return 1;
    }
    slot = eesp_keycache_spare(cache);
    key_of(number, key);
    fake.expand(slot->aead, key);
    memcpy(slot->mask, key, sizeof(slot->mask));
    eesp_keycache_keep(cache, &name);
    slot = eesp_keycache_spare(cache);
    assert_memory_equal(slot->aead, zero, sizeof(zero));
    assert_memory_equal(slot->mask, zero, sizeof(slot->mask));
    return 0;
}

/* Where there is room all are kept, else who comes again, or one in so many. */
static void keep(void **unused)
{
    struct eesp_keycache *c = eesp_keycache_create(&fake, 40, 4);
    uint64_t i;

    (void)unused;
    for (i = 1; i <= 4; i++)
        assert_int_equal(pass(c, i), 0);
    for (i = 1; i <= 4; i++)
        assert_int_equal(pass(c, i), 1);
    for (i = 5; i < 5 + REFUSE; i++) {
        assert_int_equal(pass(c, i), 0);
        assert_false(has(c, i));
    }
    assert_true(has(c, 1) && has(c, 2) && has(c, 3) && has(c, 4));
    assert_int_equal(pass(c, i), 0);
    assert_true(has(c, i));
    assert_int_equal(pass(c, 1000), 0);
    assert_int_equal(pass(c, 1000), 0);
    assert_int_equal(pass(c, 1000), 1);
    eesp_keycache_destroy(c);
}

static void clock_wrap(void **unused)
{
    struct eesp_keycache *c = eesp_keycache_create(&fake, 40, 4);
    uint64_t i;

    (void)unused;
    c->clock = UINT32_MAX - 2;
    for (i = 1; i <= 4; i++) /* used: max - 1, max, 0, 1 with their finds */
        assert_int_equal(use(c, i), 0);
    assert_true(c->clock < 100);
    for (i = 5; i <= 8; i++) {
        assert_int_equal(use(c, i), 0);
        assert_false(has(c, i - 4)); /* in the order they came */
    }
    for (i = 5; i <= 8; i++)
        assert_int_equal(use(c, i), 1);
    eesp_keycache_destroy(c);
}

/* Many more names than entries: a hit is always the right key. */
static void many(void **unused)
{
    struct eesp_keycache *c = eesp_keycache_create(&fake, 40, 64);
    uint64_t x = 1, hits = 0;
    int i;

    (void)unused;
    for (i = 0; i < 300000; i++) {
        x     = x * 6364136223846793005u + 1442695040888963407u;
        hits += (uint64_t)use(c, (x >> 40) % (i % 3 ? 1000 : 20));
    }
    assert_in_range(hits, 1000, 299000);
    eesp_keycache_destroy(c);
}

/* With a real AEAD: the spare no longer seals as the key that left it. */
static void real_key_leaves(void **unused)
{
    unsigned index;

    (void)unused;
    for (index = 0; eesp_aead_at(index) != NULL; index++) {
        const struct eesp_aead *aead = eesp_aead_at(index);
        static const uint8_t nonce[EESP_NONCE_LEN], plain[32];
        uint8_t key[32], before[16], after[16], out[32];
        struct iovec iov = {(void *)plain, sizeof(plain)};
        struct eesp_keycache *c;
        struct eesp_key_slot *first;
        uint64_t i;

        if (aead->missing() != NULL)
            continue;
        c     = eesp_keycache_create(aead, 40, 4);
        first = eesp_keycache_spare(c);
        for (i = 1; i <= 5; i++) {
            struct eesp_key_name name = name_of(i);

            key_of(i, key);
            aead->expand(eesp_keycache_spare(c)->aead, key);
            eesp_keycache_insert(c, &name);
            if (i == 1)
                assert_int_equal(aead->seal(first->aead, nonce, NULL, 0, &iov,
                                            1, out, before),
                                 EESP_OK);
        }
        assert_ptr_equal(eesp_keycache_spare(c), first);
        aead->seal(first->aead, nonce, NULL, 0, &iov, 1, out, after);
        assert_true(memcmp(before, after, sizeof(after)) != 0);
        key_of(1, key);
        assert_null(memmem(first->aead, aead->key_size, key, 16));
        /* And it takes the next key as if it had never had one. */
        aead->expand(first->aead, key);
        aead->seal(first->aead, nonce, NULL, 0, &iov, 1, out, after);
        assert_memory_equal(before, after, sizeof(after));
        eesp_keycache_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_hash),
        cmocka_unit_test(sizes),      cmocka_unit_test(hit_and_miss),
        cmocka_unit_test(evict),      cmocka_unit_test(clock_wrap),
        cmocka_unit_test(keep),
        cmocka_unit_test(many),       cmocka_unit_test(real_key_leaves),
    };

    return cmocka_run_group_tests_name("keycache", tests, NULL, NULL);
}
