/* SPDX-License-Identifier: BSD-3-Clause */
/* keyring_follows: what may take the place of a keyring in use. */
#include "ring.h"

/* Gives up both. The message must hold wanted; NULL: it follows. */
static void follows(json_t *old_ring, json_t *next_ring, const char *wanted)
{
    struct eesp_keyring *old  = ring_parse(old_ring);
    struct eesp_keyring *next = ring_parse(next_ring);
    char why[EESP_WHY_LEN]    = "";
    int ret = eesp_keyring_follows(old, next, "new.jwks", why);

    if (wanted == NULL && ret != EESP_OK)
        fail_msg("%s", why);
    if (wanted != NULL) {
        assert_int_equal(ret, EESP_ERR_KEYRING);
        if (strncmp(why, "new.jwks: ", 10) != 0 || strstr(why, wanted) == NULL)
            fail_msg("\"%s\" does not say: %s", why, wanted);
    }
    eesp_keyring_free(old);
    eesp_keyring_free(next);
}

static json_t *with_epoch(unsigned epoch)
{
    json_t *ring = ring_json(7);

    json_object_set_new(ring_policy(ring, 0), "epoch",
                        json_integer((json_int_t)epoch));
    return ring;
}

/* The ring of ring_json() without the keys before and behind one of them. */
static json_t *only_key(unsigned generation, size_t index)
{
    json_t *ring = ring_json(generation);
    json_t *keys = json_object_get(ring, "keys");
    size_t i;

    for (i = 3; i-- > 0;)
        if (i != index)
            json_array_remove(keys, i);
    return ring;
}

static void generations(void **unused)
{
    (void)unused;
    follows(ring_json(7), ring_json(7), NULL);
    follows(ring_json(7), ring_json(8), NULL);
    follows(ring_json(7), ring_json(12), NULL); /* no key in common */
    follows(ring_json(8), ring_json(7), "from generation 8 to 7");
    follows(ring_json(12), ring_json(7), "domain key \"cluster-a\" goes back");
    /* Also where the current key itself is in only one file, or in none. */
    follows(ring_json(8), only_key(7, 1), "from generation 8 to 7");
    follows(only_key(8, 0), only_key(7, 2), "from generation 8 to 7");
    follows(only_key(8, 2), only_key(8, 0), NULL);
}

/* A next key that is withdrawn, a previous one that is retired. */
static void fewer_keys(void **unused)
{
    (void)unused;
    follows(ring_json(7), only_key(7, 1), NULL);
    follows(only_key(7, 1), ring_json(7), NULL);
}

/* The same id at another level is another ring. */
static void other_ring(void **unused)
{
    json_t *old = ring_json(7), *next = ring_json(7);

    (void)unused;
    json_array_append_new(json_object_get(old, "keys"),
                          key_json("task", "job-42", 5, "current", 1, 32));
    json_array_append_new(json_object_get(next, "keys"),
                          key_json("tenant", "job-42", 5, "current", 2, 32));
    follows(old, next, NULL);
}

/* Promotion changes the state of a generation, and must not change its key. */
static void bytes(void **unused)
{
    static const struct {
        unsigned generation;
        size_t   index;
        uint8_t  fill;
        size_t   length;
    } changed[] = {
        {7, 1, 0x99, 32}, /* the current one */
        {7, 2, 0x99, 32}, /* the next one */
        {7, 1, 0x70, 33}, /* longer */
        {8, 0, 0x99, 32}, /* current before, previous now */
    };
    static const char *const states[] = {"previous", "current", "next"};
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        json_t *next = ring_json(changed[i].generation);

        json_array_set_new(
            json_object_get(next, "keys"), changed[i].index,
            key_json("domain", "cluster-a",
                     changed[i].generation + (unsigned)changed[i].index - 1,
                     states[changed[i].index], changed[i].fill,
                     changed[i].length));
        follows(ring_json(7), next, "has other bytes than before");
    }
}

/* Serial arithmetic: 65535 is followed by 0. */
static void epochs(void **unused)
{
    (void)unused;
    follows(with_epoch(2), with_epoch(2), NULL);
    follows(with_epoch(2), with_epoch(3), NULL);
    follows(with_epoch(0xffff), with_epoch(0), NULL);
    follows(with_epoch(2), with_epoch(2 + 0x7fff), NULL);
    follows(with_epoch(3), with_epoch(2), "from epoch 3 to 2");
    follows(with_epoch(0), with_epoch(0xffff), "policy \"default\" (SPI 65602)");
    follows(with_epoch(2), with_epoch(2 + 0x8000), "from epoch 2");
}

/* Epochs belong to an SPI: a policy that is new has nothing to go back from. */
static void other_policy(void **unused)
{
    json_t *next = with_epoch(1);

    (void)unused;
    json_object_set_new(ring_policy(next, 0), "spi", json_integer(7));
    follows(with_epoch(3), next, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations),  cmocka_unit_test(fewer_keys),
        cmocka_unit_test(other_ring),   cmocka_unit_test(bytes),
        cmocka_unit_test(epochs),       cmocka_unit_test(other_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
