/* SPDX-License-Identifier: BSD-3-Clause */
/* The source itself: tests set instance and record number, no caller can. */
#include "../../verbs_shim/soft.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), the
 * submission behind SP 800-38D: key, nonce, AAD, plaintext, ciphertext, tag.
 */
static const uint8_t tc_key[32] = {
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f,
    0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
    0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static const uint8_t tc_aad[20] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe,
                                   0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad,
                                   0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t tc_plain[60] = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
    0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
    0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
    0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
    0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t tc_record[60 + VCC_RECORD_OVERHEAD] = {
    /* nonce */
    0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88,
    /* ciphertext */
    0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3,
    0x2a, 0x84, 0x42, 0x7d, 0x64, 0x3a, 0x8c, 0xdc, 0xbf, 0xe5, 0xc0, 0xc9,
    0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa, 0x8c, 0xb0, 0x8e, 0x48,
    0x59, 0x0d, 0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38,
    0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc, 0xc9, 0xf6, 0x62,
    /* ICV */
    0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53,
    0xbb, 0x2d, 0x55, 0x1b};

/* A sender and a receiver under the key of the test case. */
struct pair {
    const struct vcc_backend *b;
    struct vcc_dev *dev;
    struct vcc_key *tx_key, *rx_key;
    struct vcc_mem *tx, *rx;
};

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    *state = p;
    p->b = &vcc_soft;
    assert_int_equal(p->b->open(NULL, &p->dev), 0);
    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key,
                                      sizeof(tc_key), &p->tx_key), 0);
    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key,
                                      sizeof(tc_key), &p->rx_key), 0);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0, VCC_TX, &p->tx),
                     0);
    assert_int_equal(p->b->attach(p->rx_key, NULL, NULL, 0, 0, VCC_RX, &p->rx),
                     0);
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    assert_int_equal(p->b->detach(p->tx), 0);
    assert_int_equal(p->b->detach(p->rx), 0);
    assert_int_equal(p->b->key_destroy(p->tx_key), 0);
    /* The device outlives its close until its last key is gone. */
    p->b->close(p->dev);
    assert_int_equal(p->b->key_destroy(p->rx_key), 0);
    free(p);
    return 0;
}

static int seal(struct pair *p, const void *text, size_t length,
                uint8_t *record, size_t size, size_t *length_p)
{
    struct iovec iov = {(void *)text, length};

    return p->b->seal(p->tx, tc_aad, sizeof(tc_aad), &iov, 1, record, size,
                      length_p);
}

static int open_rec(struct pair *p, const uint8_t *record, size_t length,
                    uint8_t *plain, size_t size, size_t *length_p)
{
    return p->b->open_rec(p->rx, tc_aad, sizeof(tc_aad), record, length, plain,
                          size, length_p);
}

static void set_instance(struct vcc_key *key, const uint8_t *nonce)
{
    memcpy(key->instance, nonce, INSTANCE_LEN);
    key->next = load32(nonce + INSTANCE_LEN);
}

static void test_known_answer(void **state)
{
    struct pair *p = *state;
    uint8_t record[sizeof(tc_record)], plain[sizeof(tc_plain)];
    struct iovec iov[2] = {{(void *)tc_plain, 17},
                           {(void *)(tc_plain + 17), 43}};
    size_t length;

    set_instance(p->tx_key, tc_record);
    assert_int_equal(p->b->seal(p->tx, tc_aad, sizeof(tc_aad), iov, 2, record,
                                sizeof(record), &length), 0);
    assert_int_equal(length, sizeof(tc_record));
    assert_memory_equal(record, tc_record, sizeof(tc_record));

    assert_int_equal(open_rec(p, tc_record, sizeof(tc_record), plain,
                              sizeof(plain), &length), 0);
    assert_int_equal(length, sizeof(tc_plain));
    assert_memory_equal(plain, tc_plain, sizeof(tc_plain));
}

static void test_round_trip(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 4096, VCC_RECORD_MAX};
    struct pair *p = *state;
    uint8_t *text = malloc(VCC_RECORD_MAX), *plain = malloc(VCC_RECORD_MAX);
    uint8_t *record = malloc(VCC_RECORD_MAX + VCC_RECORD_OVERHEAD);
    size_t i, length, opened;

    assert_true(text && plain && record);
    for (i = 0; i < VCC_RECORD_MAX; i++)
        text[i] = (uint8_t)(i * 7 + 1);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_int_equal(seal(p, text, lengths[i], record,
                              lengths[i] + VCC_RECORD_OVERHEAD, &length), 0);
        assert_int_equal(length, lengths[i] + VCC_RECORD_OVERHEAD);
        if (lengths[i] >= 16)
            assert_null(memmem(record, length, text, 16));
        assert_int_equal(open_rec(p, record, length, plain, lengths[i],
                                  &opened), 0);
        assert_int_equal(opened, lengths[i]);
        assert_memory_equal(plain, text, opened);
    }
    free(text);
    free(plain);
    free(record);
}

static void test_no_aad(void **state)
{
    struct pair *p = *state;
    uint8_t record[5 + VCC_RECORD_OVERHEAD], plain[5];
    struct iovec iov = {(void *)"hello", 5};
    size_t length;

    assert_int_equal(p->b->seal(p->tx, NULL, 0, &iov, 1, record,
                                sizeof(record), &length), 0);
    assert_int_equal(open_rec(p, record, length, plain, 5, &length), -EBADMSG);
    assert_int_equal(p->b->open_rec(p->rx, NULL, 0, record, sizeof(record),
                                    plain, 5, &length), 0);
    assert_memory_equal(plain, "hello", 5);
}

static void test_every_bit_counts(void **state)
{
    struct pair *p = *state;
    uint8_t record[sizeof(tc_record)], plain[sizeof(tc_plain)];
    uint8_t zeros[sizeof(tc_plain)] = {0};
    size_t bit, length;

    memcpy(record, tc_record, sizeof(record));
    for (bit = 0; bit < 8 * sizeof(record); bit++) {
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(plain, 0xa5, sizeof(plain));
        assert_int_equal(open_rec(p, record, sizeof(record), plain,
                                  sizeof(plain), &length), -EBADMSG);
        assert_int_equal(length, 0);
        assert_memory_equal(plain, zeros, sizeof(plain));
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* None of the forgeries has moved the replay state. */
    assert_int_equal(open_rec(p, record, sizeof(record), plain, sizeof(plain),
                              &length), 0);
}

static void test_truncated(void **state)
{
    struct pair *p = *state;
    uint8_t plain[sizeof(tc_plain)];
    size_t n, length;

    for (n = 0; n < sizeof(tc_record); n++)
        assert_int_equal(open_rec(p, tc_record, n, plain, sizeof(plain),
                                  &length), -EBADMSG);
}

static void test_replay(void **state)
{
    struct pair *p = *state;
    uint8_t record[3][1 + VCC_RECORD_OVERHEAD], plain[1];
    static const char text[] = "012";
    size_t i, length;

    for (i = 0; i < 3; i++)
        assert_int_equal(seal(p, &text[i], 1, record[i], sizeof(record[i]),
                              &length), 0);
    assert_int_equal(open_rec(p, record[1], length, plain, 1, &i), 0);
    assert_int_equal(open_rec(p, record[1], length, plain, 1, &i), -ESTALE);
    assert_int_equal(open_rec(p, record[0], length, plain, 1, &i), -ESTALE);
    assert_int_equal(open_rec(p, record[2], length, plain, 1, &i), 0);
    assert_int_equal(plain[0], '2');
    assert_int_equal(open_rec(p, record[2], length, plain, 1, &i), -ESTALE);
}

static void test_other_sender(void **state)
{
    struct pair *p = *state;
    uint8_t record[1 + VCC_RECORD_OVERHEAD], plain[1];
    uint8_t before[EESP_NONCE_LEN];
    size_t length;

    assert_int_equal(seal(p, "a", 1, record, sizeof(record), &length), 0);
    assert_int_equal(open_rec(p, record, length, plain, 1, &length), 0);
    memcpy(before, record, sizeof(before));

    /* The key is evicted and made again: no nonce comes twice. */
    assert_int_equal(p->b->detach(p->tx), 0);
    assert_int_equal(p->b->key_destroy(p->tx_key), 0);
    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key,
                                      sizeof(tc_key), &p->tx_key), 0);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0, VCC_TX, &p->tx),
                     0);
    assert_int_equal(seal(p, "a", 1, record, sizeof(record), &length), 0);
    assert_memory_not_equal(record, before, sizeof(before));
    assert_int_equal(seal(p, "b", 1, record, sizeof(record), &length), 0);
    assert_int_equal(open_rec(p, record, length, plain, 1, &length), -ESTALE);
}

static void test_last_number(void **state)
{
    struct pair *p = *state;
    uint8_t record[1 + VCC_RECORD_OVERHEAD], plain[1];
    size_t length;
    int i;

    p->tx_key->next = RECORDS - 1;
    assert_int_equal(seal(p, "z", 1, record, sizeof(record), &length), 0);
    assert_int_equal(load32(record + INSTANCE_LEN), 0xffffffff);
    for (i = 0; i < 2; i++)
        assert_int_equal(seal(p, "z", 1, record, sizeof(record), &length),
                         -EOVERFLOW);
    p->tx_key->next = RECORDS - 1;
    assert_int_equal(seal(p, "z", 1, record, sizeof(record), &length), 0);
    assert_int_equal(open_rec(p, record, length, plain, 1, &length), 0);
    /* The receiver does not wrap either. */
    assert_int_equal(open_rec(p, record, sizeof(record), plain, 1, &length),
                     -ESTALE);
}

static void test_sizes(void **state)
{
    struct pair *p = *state;
    uint8_t record[4 + VCC_RECORD_OVERHEAD], plain[4];
    struct iovec huge[2] = {{record, SIZE_MAX}, {record, 2}};
    size_t length;

    assert_int_equal(seal(p, "abcd", 4, record, sizeof(record) - 1, &length),
                     -EMSGSIZE);
    assert_int_equal(seal(p, "abcd", 4, record, 0, &length), -EMSGSIZE);
    assert_int_equal(p->b->seal(p->tx, tc_aad, sizeof(tc_aad), huge, 2, record,
                                sizeof(record), &length), -EMSGSIZE);
    assert_int_equal(p->tx_key->next, 0);
    assert_int_equal(seal(p, "abcd", 4, record, sizeof(record), &length), 0);
    assert_int_equal(open_rec(p, record, sizeof(record), plain, 3, &length),
                     -EMSGSIZE);
    assert_int_equal(open_rec(p, record, sizeof(record), plain, 4, &length),
                     0);
}

static void test_one_direction(void **state)
{
    struct pair *p = *state;
    uint8_t buffer[64] = {0};
    struct vcc_mem *mem;
    size_t length;

    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0, VCC_RX, &mem),
                     -EINVAL);
    assert_null(mem);
    assert_int_equal(p->b->seal(p->rx, NULL, 0, NULL, 0, buffer,
                                sizeof(buffer), &length), -EINVAL);
    assert_int_equal(p->b->open_rec(p->tx, NULL, 0, buffer, sizeof(buffer),
                                    buffer, 0, &length), -EINVAL);
}

static void test_attach_refusals(void **state)
{
    struct pair *p = *state;
    uint64_t sge[2] = {0};
    struct vcc_mem *mem;

    assert_int_equal(p->b->attach(p->tx_key, NULL, (struct ibv_sge *)sge, 1, 0,
                                  VCC_TX, &mem), -EOPNOTSUPP);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 1, 0, VCC_TX, &mem),
                     -EOPNOTSUPP);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 7, VCC_TX, &mem),
                     -EINVAL);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0, 3, &mem),
                     -EINVAL);
    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0,
                                  VCC_TX | VCC_REMOTE, &mem), -EINVAL);
}

static void test_key_refusals(void **state)
{
    struct pair *p = *state;
    struct vcc_key *key;

    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key, 16,
                                      &key), -EINVAL);
    assert_null(key);
    assert_int_equal(p->b->key_create(p->dev, (enum vcc_algorithm)2, tc_key,
                                      32, &key), -EOPNOTSUPP);
    assert_null(key);
}

static void test_busy(void **state)
{
    struct pair *p = *state;
    uint8_t record[1 + VCC_RECORD_OVERHEAD];
    struct vcc_mem *second;
    size_t length;

    assert_int_equal(p->b->attach(p->tx_key, NULL, NULL, 0, 0, VCC_TX,
                                  &second), 0);
    assert_int_equal(p->b->key_destroy(p->tx_key), -EBUSY);
    assert_int_equal(p->b->detach(second), 0);
    assert_int_equal(p->b->key_destroy(p->tx_key), -EBUSY);
    /* Refused means unharmed. */
    assert_int_equal(seal(p, "x", 1, record, sizeof(record), &length), 0);
}

static void test_key_cap(void **state)
{
    struct pair *p = *state;
    struct vcc_key *key[MAX_KEYS], *extra;
    struct vcc_caps caps;
    uint32_t i, n = 0;

    assert_int_equal(p->b->probe(NULL, &caps), 0);
    assert_int_equal(caps.max_keys, MAX_KEYS);
    for (n = 0; n < caps.max_keys - 2; n++) /* setup made two */
        assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key, 32,
                                          &key[n]), 0);
    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key, 32,
                                      &extra), -ENOSPC);
    assert_null(extra);
    assert_int_equal(p->b->key_destroy(key[--n]), 0);
    assert_int_equal(p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key, 32,
                                      &key[n]), 0);
    n++;
    for (i = 0; i < n; i++)
        assert_int_equal(p->b->key_destroy(key[i]), 0);
}

static void test_fork(void **state)
{
    struct pair *p = *state;
    uint8_t record[1 + VCC_RECORD_OVERHEAD];
    size_t length;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct vcc_key *key;
        int ok = seal(p, "x", 1, record, sizeof(record), &length) ==
                     -EOWNERDEAD &&
                 open_rec(p, tc_record, sizeof(tc_record), record, 60,
                          &length) == -EOWNERDEAD &&
                 p->b->key_create(p->dev, VCC_AES_256_GCM, tc_key, 32, &key) ==
                     -EOWNERDEAD;

        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(seal(p, "x", 1, record, sizeof(record), &length), 0);
}

#define PAIR_TEST(_name) cmocka_unit_test_setup_teardown(_name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(test_known_answer),
        PAIR_TEST(test_round_trip),
        PAIR_TEST(test_no_aad),
        PAIR_TEST(test_every_bit_counts),
        PAIR_TEST(test_truncated),
        PAIR_TEST(test_replay),
        PAIR_TEST(test_other_sender),
        PAIR_TEST(test_last_number),
        PAIR_TEST(test_sizes),
        PAIR_TEST(test_one_direction),
        PAIR_TEST(test_attach_refusals),
        PAIR_TEST(test_key_refusals),
        PAIR_TEST(test_busy),
        PAIR_TEST(test_key_cap),
        PAIR_TEST(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
