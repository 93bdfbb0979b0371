/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of PSP and of TSS in EESP packets (profiles 1 and 2): what stands where,
 * every length, every changed bit, and that no nonce serves two forms. That the
 * bytes are the right ones is what tests/oracle asks a second implementation.
 */
#include "unit.h"

#include "bytes.h"
#include "eesp_psp.h"
#include "eesp_tss.h"
#include "ring.h"

enum { PACKET = 512, OPTION = 8 };

static uint8_t packet[PACKET], body[PACKET];
static uint8_t text[300];

/* ---- PSP ------------------------------------------------------------------ */

struct psp_pair {
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_sa       *sa;
    uint32_t                  spi;
};

static struct psp_pair psp_pair(unsigned version, enum eesp_psp_form form)
{
    struct psp_pair pair;
    struct eesp_psp_grant grant;

    assert_int_equal(eesp_psp_receiver_create(NULL, NULL, &pair.receiver),
                     EESP_OK);
    assert_int_equal(eesp_psp_issue(pair.receiver, version, form, &grant),
                     EESP_OK);
    assert_int_equal(grant.form, form);
    pair.spi = grant.spi;
    assert_int_equal(eesp_psp_sa_create(&grant, NULL, &pair.sa), EESP_OK);
    return pair;
}

static void psp_free(struct psp_pair *pair)
{
    eesp_psp_sa_destroy(pair->sa);
    eesp_psp_receiver_destroy(pair->receiver);
}

static size_t psp_seal(struct psp_pair *pair, size_t n, unsigned offset)
{
    struct eesp_psp_options options = {.next_header = 6,
                                       .crypt_offset = (uint8_t)offset};
    size_t length;

    assert_int_equal(eesp_psp_seal(pair->sa, &options, text, n, packet,
                                   n + EESP_PSP_EESP_OVERHEAD, &length),
                     EESP_OK);
    return length;
}

static int psp_open(struct psp_pair *pair, size_t length,
                    struct eesp_psp_opened *opened)
{
    size_t i;
    int ret;

    memset(body, 0, sizeof(body));
    ret = eesp_psp_open_eesp(pair->receiver, packet, length, body, length,
                             opened);
    if (ret != EESP_OK)
        for (i = 0; i < sizeof(body); i++)
            assert_int_equal(body[i], 0);
    return ret;
}

static void psp_layout(void **unused)
{
    static const uint8_t option[24] = {0xe0, 22, 0x11, 0, 2};
    struct psp_pair pair = psp_pair(EESP_PSP_AES_GCM_256, EESP_PSP_IN_EESP);
    struct eesp_psp_opened opened;
    size_t length = psp_seal(&pair, 10, 0);

    (void)unused;
    assert_int_equal(length, 44 + 4 + 10 + 2 + 16);
    assert_int_equal(packet[0], 0x80);
    assert_int_equal(packet[1], 28);
    assert_int_equal(load16(packet + 2), 0);
    assert_int_equal(load32(packet + 4), pair.spi);
    assert_memory_equal(packet + OPTION, option, sizeof(option));
    assert_int_equal(psp_open(&pair, length, &opened), EESP_OK);
    assert_int_equal(load64(packet + 36), opened.header.iv);
    assert_int_equal(opened.header.spi, pair.spi);
    assert_int_equal(opened.header.version, EESP_PSP_AES_GCM_256);
    assert_int_equal(opened.header.next_header, 6);
    assert_int_equal(opened.header.length, 44);
    psp_free(&pair);
}

static void psp_lengths(void **unused)
{
    struct eesp_psp_opened opened;
    unsigned version, offset;
    size_t n, length;

    (void)unused;
    for (version = 0; version < 2; version++) {
        struct psp_pair pair = psp_pair(version, EESP_PSP_IN_EESP);

        for (n = 0; n < 260; n++)
            for (offset = 0; offset < 64 && 4 * offset <= n + 4; offset += 7) {
                length = psp_seal(&pair, n, offset);
                assert_int_equal(psp_open(&pair, length, &opened), EESP_OK);
                assert_int_equal(opened.length, n);
                assert_memory_equal(opened.payload, text, n);
                assert_int_equal(opened.header.crypt_offset, offset);
                /* Readable exactly as far as it says; a few encrypted bytes
                 * may by chance be what they were. */
                if (n > 0 && n + 4 <= 4 * offset)
                    assert_memory_equal(packet + 48, text, n);
                else if (n + 4 >= 4 * offset + 8)
                    assert_memory_not_equal(packet + 48, text, n);
            }
        psp_free(&pair);
    }
}

static void psp_damage(void **unused)
{
    struct psp_pair pair = psp_pair(EESP_PSP_AES_GCM_128, EESP_PSP_IN_EESP);
    struct eesp_psp_opened opened;
    size_t length, bit, i;
    static const struct {
        unsigned at;
        int      error;
    } fields[] = {
        {2, EESP_DROP_POLICY},           /* Session ID */
        {OPTION + 2, EESP_DROP_POLICY},  /* profile */
        {OPTION + 3, EESP_DROP_POLICY},  /* KDF */
        {OPTION + 4, EESP_DROP_POLICY},  /* AEAD */
        {OPTION + 5, EESP_DROP_POLICY},  /* levels */
        {OPTION + 9, EESP_DROP_POLICY},  /* epoch */
        {OPTION + 10, EESP_DROP_POLICY}, /* phase shift */
        {OPTION + 11, EESP_DROP_OPTION}, /* reserved */
        {OPTION + 12, EESP_DROP_POLICY}, /* generations */
        {OPTION + 15, EESP_DROP_POLICY},
        {OPTION + 16, EESP_DROP_POLICY}, /* incarnation */
        {OPTION + 23, EESP_DROP_POLICY},
    };

    (void)unused;
    length = psp_seal(&pair, 50, 3);
    for (bit = 0; bit < 8 * length; bit++) {
        /* The reserved bits of the Crypt Offset option are ignored, but they
         * are authenticated. */
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(psp_open(&pair, length, &opened) < 0);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (i = 0; i < length; i++)
        assert_true(psp_open(&pair, i, &opened) < 0);
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        packet[fields[i].at] ^= 4;
        assert_int_equal(psp_open(&pair, length, &opened), fields[i].error);
        packet[fields[i].at] ^= 4;
    }
    assert_int_equal(eesp_psp_open_eesp(pair.receiver, packet, length, body,
                                        length - 1, &opened),
                     EESP_ERR_SPACE);
    assert_int_equal(psp_open(&pair, length, &opened), EESP_OK);
    psp_free(&pair);
}

/* What EESP has no place for, and what does not fit. */
static void psp_refused(void **unused)
{
    static const struct eesp_psp_options options[] = {
        {.sample = 1}, {.drop = 1}, {.has_cookie = 1}, {.crypt_offset = 5},
        {.crypt_offset = 64},
    };
    struct psp_pair pair = psp_pair(EESP_PSP_AES_GCM_256, EESP_PSP_IN_EESP);
    size_t i, length = 0;

    (void)unused;
    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        assert_int_equal(eesp_psp_seal(pair.sa, &options[i], text, 11, packet,
                                       sizeof(packet), &length),
                         EESP_ERR_ARGUMENT);
    for (i = 0; i < 11 + EESP_PSP_EESP_OVERHEAD; i++)
        assert_int_equal(eesp_psp_seal(pair.sa,
                                       &(struct eesp_psp_options){0}, text, 11,
                                       packet, i, &length),
                         EESP_ERR_SPACE);
    assert_int_equal(length, 0);
    psp_free(&pair);
}

/* One form's packet is none of the other's, nor one of profile SL1. */
static void psp_forms(void **unused)
{
    struct psp_pair eesp  = psp_pair(EESP_PSP_AES_GCM_256, EESP_PSP_IN_EESP);
    struct psp_pair plain = psp_pair(EESP_PSP_AES_GCM_256, EESP_PSP_PACKET);
    struct eesp_keyring *keyring = ring_parse(ring_json(5));
    struct eesp_lane *lane =
        lane_open(keyring, (struct eesp_lane_params){.rank = 1});
    struct eesp_psp_opened opened;
    struct eesp_opened other;
    size_t length = psp_seal(&eesp, 20, 0);

    (void)unused;
    assert_true(eesp_psp_open(eesp.receiver, packet, length, body,
                              sizeof(body), &opened) < 0);
    store32(packet + 4, RING_SPI);
    assert_int_equal(eesp_open(lane, packet, length, body, sizeof(body),
                               &other), EESP_DROP_POLICY);
    assert_int_equal(eesp_psp_seal(plain.sa, &(struct eesp_psp_options){0},
                                   text, 20, packet, sizeof(packet), &length),
                     EESP_OK);
    assert_true(psp_open(&plain, length, &opened) < 0);
    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
    psp_free(&eesp);
    psp_free(&plain);
}

/* ---- TSS ------------------------------------------------------------------ */

enum { SSI_A = 7, SSI_B = 8, SDI = 0x123456 };
static const uint8_t key[EESP_TSS_KEY_LEN] = {9};
static uint16_t fresh = 1000;

static struct eesp_tss *tss_end(enum eesp_tss_mode mode, int ranks,
                                uint32_t ssi, int server)
{
    struct eesp_tss_params params = {
        .form = EESP_TSS_IN_EESP, .mode = mode, .ranks = ranks, .sdi = SDI,
        .ssi = ssi, .server = server, .epoch_age = 1};
    struct eesp_tss *tss;

    assert_int_equal(eesp_tss_create(&params, &tss), EESP_OK);
    return tss;
}

/* [0] sends to [1]. In server mode [0] is a client. */
static void tss_pair(enum eesp_tss_mode mode, int ranks,
                     struct eesp_tss *end[2])
{
    struct eesp_tss_grant grant;

    fresh++;
    end[0] = tss_end(mode, ranks, SSI_A, 0);
    end[1] = tss_end(mode, ranks, SSI_B, mode == EESP_TSS_SERVER);
    assert_int_equal(eesp_tss_set_key(end[1], 1, key, fresh), EESP_OK);
    if (mode == EESP_TSS_SERVER) {
        assert_int_equal(eesp_tss_grant(end[1], 1, fresh, SSI_A, &grant),
                         EESP_OK);
        assert_int_equal(eesp_tss_set_grant(end[0], &grant), EESP_OK);
    } else {
        assert_int_equal(eesp_tss_set_key(end[0], 1, key, fresh), EESP_OK);
    }
    assert_int_equal(eesp_tss_send_from(end[0], 1, fresh, 5, 10000), EESP_OK);
    assert_int_equal(eesp_tss_send_from(end[1], 1, fresh, 5, 10000), EESP_OK);
}

static void tss_unpair(struct eesp_tss *end[2])
{
    eesp_tss_destroy(end[0]);
    eesp_tss_destroy(end[1]);
}

static int tss_open(struct eesp_tss *tss, size_t length,
                    struct eesp_tss_opened *opened)
{
    size_t i;
    int ret;

    memset(body, 0, sizeof(body));
    ret = eesp_tss_open(tss, NULL, packet, length, body, length, opened);
    if (ret != EESP_OK)
        for (i = 0; i < sizeof(body); i++)
            assert_int_equal(body[i], 0);
    return ret;
}

static void tss_lengths(void **unused)
{
    struct eesp_tss_opened opened;
    struct eesp_tss *end[2];
    int mode, ranks, from;
    size_t n, length;

    (void)unused;
    for (mode = 0; mode < 6; mode++) {
        ranks = mode / 3;
        tss_pair((enum eesp_tss_mode)(mode % 3), ranks, end);
        for (n = 0; n < 200; n++)
            for (from = 0; from < 2; from++) {
                struct eesp_tss_place place = {
                    .client = SSI_A, .rank = from ? SSI_A : SSI_B};

                assert_int_equal(eesp_tss_seal(end[from], &place, text, n,
                                               packet,
                                               n + EESP_TSS_EESP_OVERHEAD,
                                               &length),
                                 EESP_OK);
                assert_int_equal(tss_open(end[!from], length, &opened),
                                 EESP_OK);
                assert_int_equal(opened.length, n);
                assert_memory_equal(opened.payload, text, n);
                assert_int_equal(opened.next_header, EESP_NEXT_HEADER);
                assert_int_equal(tss_open(end[from], length, &opened),
                                 EESP_DROP_DESTINATION);
            }
        tss_unpair(end);
    }
}

static void tss_layout(void **unused)
{
    static const uint8_t option[16] = {0xe0, 30, 0x12, 0, 2, 0, 0, 2};
    struct eesp_tss_opened opened;
    struct eesp_tss *end[2];
    size_t length;

    (void)unused;
    tss_pair(EESP_TSS_CLUSTER, 0, end);
    assert_int_equal(eesp_tss_seal(end[0], NULL, text, 8, packet,
                                   sizeof(packet), &length), EESP_OK);
    assert_int_equal(length, 56 + 8 + 16);
    assert_int_equal(load32(packet + 4), 0x05000000 | SDI);
    assert_memory_equal(packet + OPTION, option, 8);
    assert_int_equal(load16(packet + OPTION + 8), fresh);
    assert_int_equal(load64(packet + OPTION + 24), SSI_A);
    assert_int_equal(load64(packet + 44), (uint64_t)fresh << 48 | 5);
    assert_int_equal(tss_open(end[1], length, &opened), EESP_OK);
    assert_int_equal(opened.header.ssi, SSI_A);
    assert_int_equal(opened.header.sdi, SDI);
    assert_int_equal(opened.header.an, 1);
    assert_int_equal(opened.header.epoch, fresh);
    assert_int_equal(opened.header.counter, 5);
    tss_unpair(end);
}

static void tss_damage(void **unused)
{
    static const struct {
        unsigned at;
        uint8_t  bit;
        int      error;
    } fields[] = {
        {4, 0x80, EESP_DROP_SPI},             /* above the 27 bits */
        {4, 0x02, EESP_DROP_SPI},             /* reserved bit of the SPI */
        {4, 0x04, EESP_DROP_POLICY},          /* SP */
        {4, 0x01, EESP_DROP_GENERATION},      /* AN */
        {5, 0x01, EESP_DROP_SPI},             /* SDI */
        {OPTION + 2, 0x03, EESP_DROP_POLICY}, /* profile 1 */
        {OPTION + 4, 0x03, EESP_DROP_POLICY}, /* AES-128 */
        {OPTION + 9, 0x01, EESP_DROP_POLICY}, /* epoch, not that of the TSC */
        {OPTION + 24, 1, EESP_DROP_POLICY},   /* SSI above 2^32 */
    };
    struct eesp_tss_opened opened;
    struct eesp_tss *end[2], *rank;
    size_t length, bit, i;

    (void)unused;
    tss_pair(EESP_TSS_CLUSTER, 0, end);
    rank = tss_end(EESP_TSS_CLUSTER, 1, SSI_B, 0);
    assert_int_equal(eesp_tss_seal(end[0], NULL, text, 50, packet,
                                   sizeof(packet), &length), EESP_OK);
    for (bit = 0; bit < 8 * length; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(tss_open(end[1], length, &opened) < 0);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (i = 0; i < length; i++)
        assert_true(tss_open(end[1], i, &opened) < 0);
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        packet[fields[i].at] ^= fields[i].bit;
        assert_int_equal(tss_open(end[1], length, &opened), fields[i].error);
        packet[fields[i].at] ^= fields[i].bit;
    }
    assert_int_equal(tss_open(rank, length, &opened), EESP_DROP_POLICY);
    assert_int_equal(eesp_tss_open(end[1], NULL, packet, length, body,
                                   length - 1, &opened), EESP_ERR_SPACE);
    assert_int_equal(tss_open(end[1], length, &opened), EESP_OK);
    eesp_tss_destroy(rank);
    tss_unpair(end);
}

/* Ranks: for another one. No bytes in front. No counter in both forms. */
static void tss_refused(void **unused)
{
    struct eesp_tss_params params = {.mode = EESP_TSS_CLUSTER, .sdi = SDI,
                                     .ssi = SSI_A, .ranks = 1};
    struct eesp_tss_place place = {.rank = SSI_A + 5};
    struct eesp_tss_place front = {.rank = SSI_B, .aad = "ip",
                                   .aad_length = 2};
    struct eesp_tss_opened opened;
    struct eesp_tss *end[2], *plain;
    size_t length;

    (void)unused;
    tss_pair(EESP_TSS_CLUSTER, 1, end);
    assert_int_equal(eesp_tss_seal(end[0], &place, text, 8, packet,
                                   sizeof(packet), &length), EESP_OK);
    assert_int_equal(tss_open(end[1], length, &opened),
                     EESP_DROP_DESTINATION);
    assert_int_equal(eesp_tss_open(end[1], &front, packet, length, body,
                                   sizeof(body), &opened), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_seal(end[0], &front, text, 8, packet,
                                   sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_seal(end[0], NULL, text, 8, packet,
                                   sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_create(&params, &plain), EESP_ERR_ARGUMENT);
    params.ranks = 0;
    assert_int_equal(eesp_tss_create(&params, &plain), EESP_OK);
    assert_int_equal(eesp_tss_set_key(plain, 1, key, fresh), EESP_OK);
    assert_int_equal(eesp_tss_send_from(plain, 1, fresh, 9999, 10001),
                     EESP_ERR_LEASE);
    eesp_tss_destroy(plain);
    tss_unpair(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psp_layout),  cmocka_unit_test(psp_lengths),
        cmocka_unit_test(psp_damage),  cmocka_unit_test(psp_refused),
        cmocka_unit_test(psp_forms),   cmocka_unit_test(tss_layout),
        cmocka_unit_test(tss_lengths), cmocka_unit_test(tss_damage),
        cmocka_unit_test(tss_refused),
    };
    size_t i;

    for (i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7 + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
