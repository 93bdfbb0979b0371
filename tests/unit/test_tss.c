/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TSS: every key and packet of tests/vectors/tss, which an independent program
 * made, on every backend.
 */
#include "unit.h"

#include <jansson.h>

#include "bytes.h"
#include "kdf.h"
#include "secret.h"
#include "tss.h"

enum { PACKET = 256 };

static json_t *file;

static const char *text(const json_t *object, const char *member)
{
    const char *s = json_string_value(json_object_get(object, member));

    if (s == NULL)
        fail_msg("vector has no %s", member);
    return s;
}

static uint64_t number(const json_t *object, const char *member)
{
    return (uint64_t)json_integer_value(json_object_get(object, member));
}

static int load_vectors(void **unused)
{
    char path[512];

    (void)unused;
    snprintf(path, sizeof(path), "%s/tss_vectors.json", vectors_dir("tss"));
    file = json_load_file(path, 0, NULL);
    return file == NULL;
}

static int free_vectors(void **unused)
{
    (void)unused;
    json_decref(file);
    return 0;
}

/* ---- Vectors ------------------------------------------------------------ */

static void *keyed(const uint8_t key[EESP_TSS_KEY_LEN])
{
    void *kdf = eesp_secret_alloc(eesp_kdf_cmac_aes256.state_size);

    assert_int_equal(eesp_kdf_cmac_aes256.open(kdf), EESP_OK);
    assert_int_equal(eesp_kdf_cmac_aes256.key(kdf, key), EESP_OK);
    return kdf;
}

static void unkeyed(void *kdf)
{
    eesp_kdf_cmac_aes256.close(kdf);
    eesp_secret_free(kdf, eesp_kdf_cmac_aes256.state_size);
}

/* The vector's context is taken apart and must come out of us again. */
static void keys(void **unused)
{
    const json_t *list = json_object_get(file, "kdf"), *v;
    uint8_t key[EESP_TSS_KEY_LEN], context[32], wanted[64], out[EESP_TSS_OUT];
    size_t i;
    void *kdf;

    (void)unused;
    unhex(text(file, "sdk"), key, sizeof(key));
    kdf = keyed(key);
    assert_true(json_array_size(list) >= 4);
    json_array_foreach(list, i, v) {
        size_t n      = unhex(text(v, "context"), context, sizeof(context));
        size_t before = n == 26 ? 4 : 0;

        unhex(text(v, "output44"), wanted, sizeof(wanted));
        assert_int_equal(
            eesp_tss_derive(kdf, strncmp(text(v, "name"), "server", 6) == 0 ?
                                     EESP_TSS_SERVER : EESP_TSS_CLUSTER,
                            load16(context + before),
                            load32(context + before + 2),
                            context + before + 6, n - before - 6, out),
            EESP_OK);
        assert_memory_equal(out, wanted, sizeof(out));
    }
    unkeyed(kdf);
}

static enum eesp_tss_mode mode_of(const json_t *v)
{
    return strcmp(text(v, "mode"), "direct") == 0  ? EESP_TSS_DIRECT :
           strcmp(text(v, "mode"), "cluster") == 0 ? EESP_TSS_CLUSTER :
                                                     EESP_TSS_SERVER;
}

static struct eesp_tss *make(enum eesp_tss_mode mode, uint64_t ssi, int server,
                             const char *backend)
{
    struct eesp_tss_params params = {.mode = mode, .sdi = 1, .ssi = ssi,
                                     .server = server, .epoch_age = 2,
                                     .backend = backend};
    struct eesp_tss *tss;

    if (mode == EESP_TSS_CLUSTER) {
        params.rekey_mask  = 0xff00;
        params.rekey_shift = 8;
    }
    assert_int_equal(eesp_tss_create(&params, &tss), EESP_OK);
    return tss;
}

/* One packet both ways; in server mode the vector's is the client's. */
static void check_packet(const json_t *v, const char *backend)
{
    enum eesp_tss_mode mode = mode_of(v);
    uint64_t ssi            = number(v, "ssi");
    struct eesp_tss *tx = make(mode, ssi, 0, backend);
    struct eesp_tss *rx = make(mode, 99, mode == EESP_TSS_SERVER, backend);
    struct eesp_tss_header header = {
        .has_ssi = 1, .sdi = (uint32_t)number(v, "sdi"), .ssi = (uint32_t)ssi,
        .epoch = (uint16_t)number(v, "epoch"), .counter = number(v, "counter")};
    struct eesp_tss_name name = {.epoch = header.epoch, .ssi = header.ssi};
    uint8_t key[EESP_TSS_KEY_LEN], aad[64], plain[PACKET], wanted[PACKET];
    uint8_t packet[PACKET], body[PACKET];
    struct eesp_tss_place place = {.aad = aad};
    struct eesp_tss_opened opened;
    size_t n, length;

    unhex(text(v, "sdk_db_key"), key, sizeof(key));
    assert_int_equal(eesp_tss_set_key(rx, 0, key, header.epoch), EESP_OK);
    if (mode == EESP_TSS_SERVER) {
        struct eesp_tss_grant grant;

        assert_int_equal(eesp_tss_grant(rx, 0, header.epoch, ssi, &grant),
                         EESP_OK);
        assert_int_equal(eesp_tss_set_grant(tx, &grant), EESP_OK);
    } else {
        assert_int_equal(eesp_tss_set_key(tx, 0, key, header.epoch), EESP_OK);
    }
    name.rekey       = eesp_tss_rekey(&tx->params, header.counter);
    place.aad_length = unhex(text(v, "aad"), aad, sizeof(aad)) -
                       EESP_TSS_HEADER_LEN;
    n = unhex(text(v, "plaintext"), plain, sizeof(plain));
    unhex(text(v, "tss_header"), wanted, sizeof(wanted));
    unhex(text(v, "ciphertext_and_icv"), wanted + EESP_TSS_HEADER_LEN,
          sizeof(wanted) - EESP_TSS_HEADER_LEN);
    assert_int_equal(eesp_tss_use(tx, &tx->tx, &name), EESP_OK);
    assert_int_equal(eesp_tss_seal_fields(&tx->tx, &header, &place, plain, n,
                                          packet, sizeof(packet), &length),
                     EESP_OK);
    assert_int_equal(length, n + EESP_TSS_OVERHEAD);
    assert_memory_equal(packet, wanted, length);
    assert_int_equal(eesp_tss_open(rx, &place, wanted, length, body,
                                   sizeof(body), &opened), EESP_OK);
    assert_int_equal(opened.length, n);
    assert_memory_equal(opened.payload, plain, n);
    assert_true(opened.header.counter == header.counter);
    eesp_tss_destroy(tx);
    eesp_tss_destroy(rx);
}

/* Without SSI: read, and its key found, but neither sealed nor opened. */
static void check_without_ssi(const json_t *v)
{
    struct eesp_tss *rx = make(EESP_TSS_CLUSTER, 99, 0, NULL);
    uint8_t key[EESP_TSS_KEY_LEN], wanted[64], out[EESP_TSS_OUT], address[4];
    uint8_t packet[PACKET], body[PACKET];
    struct eesp_tss_header header;
    struct eesp_tss_opened opened;
    size_t n, i;

    unhex(text(v, "sdk_db_key"), key, sizeof(key));
    unhex(text(v, "src_ip"), address, sizeof(address));
    assert_int_equal(eesp_tss_set_key(rx, 0, key, 0), EESP_OK);
    n  = unhex(text(v, "tss_header"), packet, sizeof(packet));
    n += unhex(text(v, "ciphertext_and_icv"), packet + n, sizeof(packet) - n);
    assert_int_equal(eesp_tss_parse(packet, n, &header), EESP_OK);
    assert_int_equal(header.has_ssi, 0);
    assert_int_equal(header.length, 12);
    assert_true(header.counter == number(v, "counter"));
    for (i = 28; i <= n; i++)
        assert_int_equal(eesp_tss_open(rx, NULL, packet, i, body, sizeof(body),
                                       &opened), EESP_DROP_POLICY);
    assert_int_equal(eesp_tss_derive(rx->kdf[0], EESP_TSS_CLUSTER, header.epoch,
                                     eesp_tss_rekey(&rx->params,
                                                    header.counter),
                                     address, sizeof(address), out), EESP_OK);
    unhex(text(v, "key"), wanted, sizeof(wanted));
    unhex(text(v, "ivmask"), wanted + EESP_TSS_KEY_LEN, 12);
    assert_memory_equal(out, wanted, sizeof(out));
    eesp_tss_destroy(rx);
}

static void packets(void **unused)
{
    const json_t *list = json_object_get(file, "packets_computed"), *v;
    const struct eesp_aead *aead;
    unsigned a, with = 0, without = 0;
    size_t i;

    (void)unused;
    json_array_foreach(list, i, v) {
        if (!json_is_integer(json_object_get(v, "ssi"))) {
            check_without_ssi(v);
            without++;
            continue;
        }
        with++;
        for (a = 0; (aead = eesp_aead_at(a)) != NULL; a++)
            if (aead->id == EESP_AEAD_AES_256_GCM && aead->missing() == NULL)
                check_packet(v, aead->backend);
    }
    assert_int_equal(with, 4);
    assert_int_equal(without, 1);
}

/* ---- Header ------------------------------------------------------------- */

static void headers(void **unused)
{
    static const uint8_t good[32] = {0x0d, 0x12, 0x34, 0x56, 1, 2, 3, 4, 0xab,
                                     0xcd, 1, 2, 3, 4, 5, 6};
    uint8_t bad[32];
    struct eesp_tss_header header;
    size_t i;

    (void)unused;
    assert_int_equal(eesp_tss_parse(good, sizeof(good), &header), EESP_OK);
    assert_int_equal(header.an, 1);
    assert_int_equal(header.sdi, 0x123456);
    assert_int_equal(header.ssi, 0x01020304);
    assert_int_equal(header.epoch, 0xabcd);
    assert_true(header.counter == 0x010203040506);
    for (i = 0; i < sizeof(good); i++)
        assert_int_equal(eesp_tss_parse(good, i, &header), EESP_DROP_LENGTH);
    memcpy(bad, good, sizeof(bad));
    bad[0] = 0x0f; /* the reserved bit */
    assert_int_equal(eesp_tss_parse(bad, sizeof(bad), &header),
                     EESP_DROP_VERSION);
    bad[0] = 0x15; /* type 2 */
    assert_int_equal(eesp_tss_parse(bad, sizeof(bad), &header),
                     EESP_DROP_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(packets),
        cmocka_unit_test(headers),
    };

    return cmocka_run_group_tests_name("tss", tests, load_vectors,
                                       free_vectors);
}
