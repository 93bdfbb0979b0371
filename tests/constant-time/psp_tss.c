/* SPDX-License-Identifier: BSD-3-Clause */
/* PSP from secret master keys, TSS from secret keys of a secure domain. */
#include "secrets.h"

#include <string.h>

#include "eesp.h"
#include "kdf.h"
#include "psp.h"
#include "secret.h"
#include "tss.h"

enum { TEXT_LEN = 200, PACKET_MAX = 400 };

static uint8_t text[TEXT_LEN], packet[PACKET_MAX], body[PACKET_MAX];

/* An issued grant, as the receiver with these master keys would make it. */
static void issue(const uint8_t master[EESP_PSP_MASTER_LEN], unsigned version,
                  enum eesp_psp_form form, struct eesp_psp_grant *grant)
{
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    void *state                = eesp_secret_alloc(kdf->state_size);

    must(state != NULL && kdf->open(state) == EESP_OK &&
             kdf->key(state, master) == EESP_OK, "KDF");
    grant->spi     = 0x1000 + version + 8 * form;
    grant->version = (uint8_t)version;
    grant->form    = (uint8_t)form;
    must(eesp_psp_derive(state, version, grant->spi, grant->key) == EESP_OK,
         "derive");
    kdf->close(state);
    eesp_secret_free(state, kdf->state_size);
}

static void psp(unsigned version, enum eesp_psp_form form)
{
    const struct eesp_psp_options options = {
        .next_header = 4, .crypt_offset = 3,
        .has_cookie = form == EESP_PSP_PACKET};
    uint8_t master[2][EESP_PSP_MASTER_LEN];
    struct eesp_psp_receiver *receiver;
    struct eesp_psp_opened opened;
    struct eesp_psp_grant grant;
    struct eesp_psp_sa *sa;
    int (*open)(struct eesp_psp_receiver *, const void *, size_t, void *,
                size_t, struct eesp_psp_opened *) =
        form == EESP_PSP_PACKET ? eesp_psp_open : eesp_psp_open_eesp;
    size_t length;

    begin("psp version %u%s", version, form ? " in EESP" : "");
    memset(master, 0x21 + (int)version, sizeof(master));
    make_secret(master, sizeof(master));
    issue(master[0], version, form, &grant);
    must(eesp_psp_receiver_create((const uint8_t(*)[EESP_PSP_MASTER_LEN])master,
                                  NULL, &receiver) == EESP_OK, "receiver");
    must(eesp_psp_sa_create(&grant, NULL, &sa) == EESP_OK, "sa");
    make_secret(text, sizeof(text));
    must(eesp_psp_seal(sa, &options, text, sizeof(text), packet,
                       sizeof(packet), &length) == EESP_OK, "seal");
    make_known(packet, sizeof(packet));
    must(open(receiver, packet, length, body, sizeof(body), &opened) ==
             EESP_OK, "open");
    packet[length - 3] ^= 1;
    must(open(receiver, packet, length, body, sizeof(body), &opened) ==
             EESP_DROP_AUTH, "a wrong ICV is refused");
    eesp_psp_sa_destroy(sa);
    eesp_psp_receiver_destroy(receiver);
}

static struct eesp_tss *end_of(enum eesp_tss_mode mode,
                               enum eesp_tss_form form, uint32_t ssi,
                               int server)
{
    const struct eesp_tss_params params = {
        .form = form, .mode = mode, .sdi = 5, .ssi = ssi, .server = server,
        .rekey_mask = mode == EESP_TSS_CLUSTER ? 0xffff00 : 0,
        .rekey_shift = mode == EESP_TSS_CLUSTER ? 8 : 0};
    struct eesp_tss *tss;

    must(eesp_tss_create(&params, &tss) == EESP_OK, "end of a domain");
    return tss;
}

static void tss(enum eesp_tss_mode mode, enum eesp_tss_form form,
                const char *name)
{
    const struct eesp_tss_place place = {
        .aad = "udp", .aad_length = form == EESP_TSS_PACKET ? 3 : 0};
    struct eesp_tss *from, *to;
    uint8_t key[EESP_TSS_KEY_LEN];
    struct eesp_tss_opened opened;
    struct eesp_tss_grant grant;
    size_t length;

    begin("tss %s%s", name, form ? " in EESP" : "");
    from = end_of(mode, form, 7, 0);
    to   = end_of(mode, form, 8, mode == EESP_TSS_SERVER);
    memset(key, 0x61 + (int)mode + 8 * (int)form, sizeof(key));
    make_secret(key, sizeof(key));
    must(eesp_tss_set_key(to, 0, key, 3) == EESP_OK, "key");
    must(eesp_tss_set_key(to, 0, key, 4) == EESP_OK, "the same key");
    if (mode == EESP_TSS_SERVER) {
        must(eesp_tss_grant(to, 0, 4, 7, &grant) == EESP_OK, "grant");
        must(eesp_tss_set_grant(from, &grant) == EESP_OK, "set grant");
        must(eesp_tss_set_grant(from, &grant) == EESP_OK, "the same grant");
    } else {
        must(eesp_tss_set_key(from, 0, key, 4) == EESP_OK, "key");
    }
    must(eesp_tss_send_from(from, 0, 4, 0, 1000) == EESP_OK, "counters");
    make_secret(text, sizeof(text));
    must(eesp_tss_seal(from, &place, text, sizeof(text), packet,
                       sizeof(packet), &length) == EESP_OK, "seal");
    make_known(packet, sizeof(packet));
    must(eesp_tss_open(to, &place, packet, length, body, sizeof(body),
                       &opened) == EESP_OK, "open");
    packet[length - 3] ^= 1;
    must(eesp_tss_open(to, &place, packet, length, body, sizeof(body),
                       &opened) == EESP_DROP_AUTH, "a wrong ICV is refused");
    eesp_tss_destroy(from);
    eesp_tss_destroy(to);
}

void secrets_of_psp_and_tss(void)
{
    int form;

    for (form = 0; form < 2; form++) {
        psp(EESP_PSP_AES_GCM_128, (enum eesp_psp_form)form);
        psp(EESP_PSP_AES_GCM_256, (enum eesp_psp_form)form);
        tss(EESP_TSS_DIRECT, (enum eesp_tss_form)form, "direct");
        tss(EESP_TSS_CLUSTER, (enum eesp_tss_form)form, "cluster");
        tss(EESP_TSS_SERVER, (enum eesp_tss_form)form, "server");
    }
}
