/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PSP: every key and packet of tests/vectors/psp, which an independent program
 * made, bit for bit both ways on every backend; what was changed in transit;
 * who may issue and seal. Buffers are as long as what is in them, so that the
 * sanitizer sees a byte read beyond.
 */
#include "unit.h"

#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdf.h"
#include "psp.h"
#include "secret.h"

enum { PACKET_MAX = 4096 };

static json_t *file;
static uint8_t masters[2][EESP_PSP_MASTER_LEN];

static const char *text(const json_t *object, const char *member)
{
    const char *s = json_string_value(json_object_get(object, member));

    if (s == NULL)
        fail_msg("vector has no %s", member);
    return s;
}

static unsigned number(const json_t *object, const char *member)
{
    return (unsigned)json_integer_value(json_object_get(object, member));
}

static uint64_t hex64(const json_t *object, const char *member)
{
    return strtoull(text(object, member), NULL, 16);
}

static int load_vectors(void **unused)
{
    char path[512];
    json_error_t error;
    unsigned i;

    (void)unused;
    snprintf(path, sizeof(path), "%s/psp_vectors.json", vectors_dir("psp"));
    file = json_load_file(path, 0, &error);
    if (file == NULL)
        fail_msg("%s: %s", path, error.text);
    for (i = 0; i < 2; i++)
        unhex(json_string_value(json_array_get(
                  json_object_get(file, "master_keys"), i)),
              masters[i], sizeof(masters[i]));
    return 0;
}

static int free_vectors(void **unused)
{
    (void)unused;
    json_decref(file);
    return 0;
}

static void derive(unsigned version, uint32_t spi,
                   uint8_t key[EESP_PSP_KEY_MAX])
{
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    void *state                = eesp_secret_alloc(kdf->state_size);

    assert_non_null(state);
    assert_int_equal(kdf->open(state), EESP_OK);
    assert_int_equal(kdf->key(state, masters[spi >> 31]), EESP_OK);
    assert_int_equal(eesp_psp_derive(state, version, spi, key), EESP_OK);
    kdf->close(state);
    eesp_secret_free(state, kdf->state_size);
}

static void keys(void **unused)
{
    uint8_t key[EESP_PSP_KEY_MAX], expected[EESP_PSP_KEY_MAX];
    const json_t *v;
    size_t i, n;

    (void)unused;
    json_array_foreach(json_object_get(file, "kdf"), i, v) {
        derive(number(v, "version"), (uint32_t)hex64(v, "spi"), key);
        n = unhex(text(v, "derived_key"), expected, sizeof(expected));
        assert_int_equal(n, number(v, "version") == 0 ? 16 : 32);
        assert_memory_equal(key, expected, n);
    }
    assert_int_equal(i, 12);
}

/* ---- Packets ------------------------------------------------------------- */

struct vector {
    struct eesp_psp_header header;
    uint8_t                inner[PACKET_MAX], packet[PACKET_MAX];
    size_t                 inner_length, length;
};

static void read_vector(const json_t *v, struct vector *vector)
{
    const json_t *cookie = json_object_get(v, "vc");

    memset(vector, 0, sizeof(*vector));
    vector->header.version      = (uint8_t)number(v, "version");
    vector->header.spi          = (uint32_t)hex64(v, "spi");
    vector->header.iv           = hex64(v, "iv");
    vector->header.next_header  = (uint8_t)number(v, "next_header");
    vector->header.crypt_offset = (uint8_t)number(v, "crypt_offset");
    if (json_is_string(cookie)) {
        vector->header.has_cookie = 1;
        vector->header.cookie     = hex64(v, "vc");
    }
    vector->inner_length =
        unhex(text(v, "inner"), vector->inner, PACKET_MAX);
    vector->length = unhex(text(v, "psp"), vector->packet, PACKET_MAX);
}

static struct eesp_psp_receiver *new_receiver(const char *backend)
{
    struct eesp_psp_receiver *receiver;

    assert_int_equal(eesp_psp_receiver_create(
                         (const uint8_t (*)[EESP_PSP_MASTER_LEN])masters,
                         backend, &receiver),
                     EESP_OK);
    return receiver;
}

/* On copies of just the right size; a refused packet leaves zeros behind. */
static int open_copy(struct eesp_psp_receiver *receiver, const uint8_t *packet,
                     size_t length, uint8_t *body,
                     struct eesp_psp_opened *opened)
{
    uint8_t *copy = malloc(length + !length);
    uint8_t *out  = calloc(1, length + !length);
    size_t i;
    int ret;

    assert_true(copy && out);
    memcpy(copy, packet, length);
    ret = eesp_psp_open(receiver, copy, length, out, length, opened);
    if (ret == EESP_OK) {
        memcpy(body, out, length);
        opened->payload = body + (opened->payload - out);
    } else {
        for (i = 0; i < length; i++)
            assert_int_equal(out[i], 0);
        assert_null(opened->payload);
    }
    free(copy);
    free(out);
    return ret;
}

static void both_ways(const struct vector *v, const char *backend)
{
    struct eesp_psp_receiver *receiver = new_receiver(backend);
    struct eesp_psp_cipher cipher      = {0};
    struct eesp_psp_opened opened;
    uint8_t key[EESP_PSP_KEY_MAX], made[PACKET_MAX], body[PACKET_MAX];
    size_t length;

    derive(v->header.version, v->header.spi, key);
    assert_int_equal(eesp_psp_cipher_open(&cipher, v->header.version,
                                          backend),
                     EESP_OK);
    assert_int_equal(cipher.aead->expand(cipher.key, key), EESP_OK);
    assert_int_equal(eesp_psp_seal_fields(&cipher, &v->header, v->inner,
                                          v->inner_length, made, sizeof(made),
                                          &length),
                     EESP_OK);
    eesp_psp_cipher_close(&cipher);
    assert_int_equal(length, v->length);
    assert_memory_equal(made, v->packet, length);

    assert_int_equal(open_copy(receiver, v->packet, v->length, body, &opened),
                     EESP_OK);
    assert_int_equal(opened.length, v->inner_length);
    assert_memory_equal(opened.payload, v->inner, v->inner_length);
    assert_int_equal(opened.header.spi, v->header.spi);
    assert_int_equal(opened.header.master, v->header.spi >> 31);
    assert_int_equal(opened.header.iv, v->header.iv);
    assert_int_equal(opened.header.next_header, v->header.next_header);
    assert_int_equal(opened.header.crypt_offset, v->header.crypt_offset);
    assert_int_equal(opened.header.has_cookie, v->header.has_cookie);
    assert_int_equal(opened.header.cookie, v->header.cookie);
    eesp_psp_receiver_destroy(receiver);
}

/* Whether backend has both algorithms of PSP. */
static int usable(const char *backend)
{
    return eesp_aead_find(EESP_AEAD_AES_128_GCM, backend) &&
           eesp_aead_find(EESP_AEAD_AES_256_GCM, backend);
}

static size_t each_packet(const char *set,
                          void (*check)(const struct vector *, const char *),
                          const char *backend)
{
    static struct vector vector;
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(file, set), i, v) {
        read_vector(v, &vector);
        check(&vector, backend);
    }
    return i;
}

static void packets(void **unused)
{
    struct eesp_backend_info info;
    unsigned i, backends = 0;

    (void)unused;
    for (i = 0; i < eesp_backends(); i++) {
        eesp_backend(i, &info);
        if (strcmp(info.algorithm, "aes-256-gcm") != 0 || !usable(info.name))
            continue;
        assert_int_equal(each_packet("packets_reference", both_ways,
                                     info.name), 13);
        assert_int_equal(each_packet("packets_computed", both_ways,
                                     info.name), 16);
        backends++;
    }
    print_message("29 packets both ways on %u backends\n", backends);
    assert_true(backends >= 1);
}

/* Every shorter packet, a longer one, and every bit the other way. */
static void damage(const struct vector *v, const char *backend)
{
    struct eesp_psp_receiver *receiver = new_receiver(backend);
    struct eesp_psp_opened opened;
    static uint8_t packet[PACKET_MAX + 1], body[PACKET_MAX + 1];
    size_t i;

    memcpy(packet, v->packet, v->length);
    packet[v->length] = 0;
    for (i = 0; i < v->length; i++)
        assert_true(open_copy(receiver, packet, i, body, &opened) < 0);
    assert_int_equal(open_copy(receiver, packet, v->length + 1, body, &opened),
                     EESP_DROP_AUTH);
    for (i = 0; i < 8 * v->length; i++) {
        packet[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(open_copy(receiver, packet, v->length, body, &opened) < 0);
        packet[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    eesp_psp_receiver_destroy(receiver);
}

static void damaged_packets(void **unused)
{
    (void)unused;
    assert_int_equal(each_packet("packets_reference", damage, NULL), 13);
    assert_int_equal(each_packet("packets_computed", damage, NULL), 16);
}

/* Headers at random: nothing opens, nothing is read beyond the end. */
static void garbage(void **unused)
{
    struct eesp_psp_receiver *receiver = new_receiver(NULL);
    struct eesp_psp_opened opened;
    uint8_t packet[64], body[64];
    unsigned i;

    (void)unused;
    for (i = 0; i < 100000; i++) {
        assert_int_equal(eesp_random(packet, sizeof(packet)), EESP_OK);
        if (i % 2 == 0) { /* past the first checks */
            packet[1]  = (uint8_t)(1 + (packet[3] >> 1 & 1));
            packet[2] &= 0x0f;
            packet[3]  = (uint8_t)((packet[3] & 0xc6) | 1);
        }
        assert_true(open_copy(receiver, packet, packet[63] % 65u, body,
                              &opened) < 0);
    }
    eesp_psp_receiver_destroy(receiver);
}

static void header_rules(void **unused)
{
    static const struct {
        unsigned at;
        uint8_t  value;
        int      error;
    } rules[] = {
        {1, 0, EESP_DROP_OPTION},    {1, 2, EESP_DROP_OPTION},
        {2, 0x40, EESP_DROP_VERSION}, {2, 0x80, EESP_DROP_VERSION},
        {2, 3, EESP_DROP_OFFSET},    {3, 0x00, EESP_DROP_VERSION},
        {3, 0x11, EESP_DROP_VERSION}, {3, 0x3d, EESP_DROP_VERSION},
        {3, 0x03, EESP_DROP_OPTION}, {2, 2, EESP_OK},
        {3, 0xc1, EESP_OK},          {3, 0x09, EESP_OK}, {3, 0x0d, EESP_OK},
    };
    uint8_t good[16 + 8 + 16] = {17, 1, 0, 1, 0x92, 0x34, 0x56, 0x78};
    uint8_t packet[sizeof(good)], body[sizeof(good)];
    struct eesp_psp_receiver *receiver = new_receiver(NULL);
    struct eesp_psp_header header;
    struct eesp_psp_opened opened;
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        memcpy(packet, good, sizeof(packet));
        packet[rules[i].at] = rules[i].value;
        assert_int_equal(eesp_psp_parse(packet, sizeof(packet), &header),
                         rules[i].error);
        if (rules[i].error == EESP_OK) {
            assert_int_equal(header.spi, 0x92345678);
            assert_int_equal(header.master, 1);
            assert_int_equal(header.sample, packet[3] >> 7);
            assert_int_equal(header.drop, packet[3] >> 6 & 1);
            assert_int_equal(header.version, packet[3] >> 2 & 15);
        }
    }
    for (i = 0x09; i <= 0x0d; i += 4) { /* GMAC */
        packet[3] = (uint8_t)i;
        assert_int_equal(eesp_psp_open(receiver, packet, sizeof(packet), body,
                                       sizeof(body), &opened),
                         EESP_ERR_UNSUPPORTED);
    }
    packet[3] = 1;
    assert_int_equal(eesp_psp_open(receiver, packet, sizeof(packet), body,
                                   sizeof(body) - 1, &opened),
                     EESP_ERR_SPACE);
    /* A cookie that would reach into the ICV. */
    packet[1] = 2;
    packet[3] = 3;
    assert_int_equal(eesp_psp_parse(packet, 16 + 16 + 7, &header),
                     EESP_DROP_LENGTH);
    eesp_psp_receiver_destroy(receiver);
}

/* ---- Grants -------------------------------------------------------------- */

/* Seals one packet and opens it: what the receiver says of it. */
static int send_one(struct eesp_psp_receiver *receiver, struct eesp_psp_sa *sa,
                    struct eesp_psp_opened *opened)
{
    static uint8_t body[128];
    const struct eesp_psp_options options = {
        .next_header = 6, .crypt_offset = 3, .has_cookie = 1, .drop = 1,
        .cookie = 0x1122334455667788,
    };
    uint8_t packet[128];
    size_t length;

    assert_int_equal(eesp_psp_seal(sa, &options, "payload", 7, packet,
                                   sizeof(packet), &length),
                     EESP_OK);
    assert_int_equal(length, 7 + EESP_PSP_OVERHEAD);
    return eesp_psp_open(receiver, packet, length, body, sizeof(body), opened);
}

static void grants(void **unused)
{
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_grant grant, copy, zero = {0};
    struct eesp_psp_opened opened;
    struct eesp_psp_sa *sa, *second;
    uint64_t iv;
    unsigned version;

    (void)unused;
    assert_int_equal(eesp_psp_receiver_create(NULL, NULL, &receiver), EESP_OK);
    for (version = 0; version < 2; version++) {
        assert_int_equal(eesp_psp_issue(receiver, version,
                                        EESP_PSP_PACKET, &grant), EESP_OK);
        assert_int_equal(grant.spi, 1 + version);
        copy = grant;
        assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
        assert_memory_equal(&grant, &zero, sizeof(grant));
        assert_int_equal(eesp_psp_sa_create(&copy, NULL, &second),
                         EESP_ERR_LEASE);
        assert_null(second);
        assert_memory_equal(&copy, &zero, sizeof(copy));

        assert_int_equal(send_one(receiver, sa, &opened), EESP_OK);
        iv = opened.header.iv;
        assert_int_equal(opened.length, 7);
        assert_memory_equal(opened.payload, "payload", 7);
        assert_int_equal(opened.header.cookie, 0x1122334455667788);
        assert_int_equal(send_one(receiver, sa, &opened), EESP_OK);
        assert_int_equal(opened.header.iv, iv + 1);
        eesp_psp_sa_destroy(sa);
    }
    assert_int_equal(eesp_psp_issue(receiver, 2, EESP_PSP_PACKET, &grant),
                     EESP_ERR_UNSUPPORTED);
    assert_int_equal(eesp_psp_issue(receiver, 4, EESP_PSP_PACKET, &grant),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_psp_issue(receiver, 1, (enum eesp_psp_form)2,
                                    &grant),
                     EESP_ERR_ARGUMENT);
    grant.version = 3;
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa),
                     EESP_ERR_UNSUPPORTED);
    eesp_psp_receiver_destroy(receiver);

    receiver = new_receiver(NULL);
    assert_int_equal(eesp_psp_issue(receiver, 1,
                                    EESP_PSP_PACKET, &grant), EESP_ERR_LEASE);
    assert_int_equal(eesp_psp_rotate(receiver), EESP_ERR_LEASE);
    eesp_psp_receiver_destroy(receiver);
    assert_int_equal(eesp_psp_receiver_create(NULL, "none", &receiver),
                     EESP_ERR_UNSUPPORTED);
    assert_null(receiver);
}

static void rotation(void **unused)
{
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_grant grant;
    struct eesp_psp_opened opened;
    struct eesp_psp_sa *sa, *next;

    (void)unused;
    assert_int_equal(eesp_psp_receiver_create(NULL, NULL, &receiver), EESP_OK);
    assert_int_equal(eesp_psp_issue(receiver, 1,
                                    EESP_PSP_PACKET, &grant), EESP_OK);
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
    assert_int_equal(eesp_psp_rotate(receiver), EESP_OK);
    assert_int_equal(send_one(receiver, sa, &opened), EESP_OK);
    assert_int_equal(eesp_psp_issue(receiver, 1,
                                    EESP_PSP_PACKET, &grant), EESP_OK);
    assert_int_equal(grant.spi, 0x80000001);
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &next), EESP_OK);
    assert_int_equal(eesp_psp_rotate(receiver), EESP_OK);
    assert_int_equal(send_one(receiver, sa, &opened), EESP_DROP_AUTH);
    assert_int_equal(send_one(receiver, next, &opened), EESP_OK);
    /* The same SPI again, under another master key: another grant. */
    eesp_psp_sa_destroy(sa);
    assert_int_equal(eesp_psp_issue(receiver, 1,
                                    EESP_PSP_PACKET, &grant), EESP_OK);
    assert_int_equal(grant.spi, 1);
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
    assert_int_equal(send_one(receiver, sa, &opened), EESP_OK);
    eesp_psp_sa_destroy(sa);
    eesp_psp_sa_destroy(next);
    eesp_psp_receiver_destroy(receiver);
}

/* The child may open, and nothing else. */
static void forked(void **unused)
{
    const struct eesp_psp_options options = {.next_header = 6};
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_grant grant, copy;
    struct eesp_psp_opened opened;
    struct eesp_psp_sa *sa;
    uint8_t packet[64], child[64], body[64];
    size_t length;
    int status;
    pid_t pid;

    (void)unused;
    assert_int_equal(eesp_psp_receiver_create(NULL, NULL, &receiver), EESP_OK);
    assert_int_equal(eesp_psp_issue(receiver, 0,
                                    EESP_PSP_PACKET, &grant), EESP_OK);
    copy = grant;
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
    assert_int_equal(eesp_psp_seal(sa, &options, "x", 1, packet,
                                   sizeof(packet), &length),
                     EESP_OK);
    pid = fork();
    if (pid == 0) {
        struct eesp_psp_sa *other;
        size_t n;

        _exit(eesp_psp_seal(sa, &options, "x", 1, child, sizeof(child), &n) !=
                  EESP_ERR_LEASE ||
              eesp_psp_issue(receiver, 0,
                             EESP_PSP_PACKET, &grant) != EESP_ERR_LEASE ||
              eesp_psp_rotate(receiver) != EESP_ERR_LEASE ||
              eesp_psp_sa_create(&copy, NULL, &other) != EESP_ERR_LEASE ||
              eesp_psp_open(receiver, packet, length, body, sizeof(body),
                            &opened) != EESP_OK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(send_one(receiver, sa, &opened), EESP_OK);
    eesp_psp_sa_destroy(sa);
    eesp_psp_receiver_destroy(receiver);
}

static void seal_limits(void **unused)
{
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_options options = {.crypt_offset = 2};
    struct eesp_psp_grant grant;
    struct eesp_psp_sa *sa;
    uint8_t packet[64];
    size_t length;

    (void)unused;
    assert_int_equal(eesp_psp_receiver_create(NULL, NULL, &receiver), EESP_OK);
    assert_int_equal(eesp_psp_issue(receiver, 1,
                                    EESP_PSP_PACKET, &grant), EESP_OK);
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
    assert_int_equal(eesp_psp_seal(sa, &options, "1234567", 7, packet,
                                   sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    options.crypt_offset = 64;
    assert_int_equal(eesp_psp_seal(sa, &options, "1234567", 7, packet,
                                   sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    options.crypt_offset = 0;
    assert_int_equal(eesp_psp_seal(sa, &options, "1234567", 7, packet,
                                   7 + EESP_PSP_OVERHEAD - 1, &length),
                     EESP_ERR_SPACE);
    assert_int_equal(eesp_psp_seal(sa, &options, "1234567", 7, packet, 1,
                                   &length),
                     EESP_ERR_SPACE);
    eesp_psp_sa_destroy(sa);
    eesp_psp_receiver_destroy(receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(packets),
        cmocka_unit_test(damaged_packets),
        cmocka_unit_test(garbage),
        cmocka_unit_test(header_rules),
        cmocka_unit_test(grants),
        cmocka_unit_test(rotation),
        cmocka_unit_test(forked),
        cmocka_unit_test(seal_limits),
    };

    return cmocka_run_group_tests_name("psp", tests, load_vectors,
                                       free_vectors);
}
