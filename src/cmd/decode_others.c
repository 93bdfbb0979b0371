/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_others: packets of PSP and TSS, on their own or in EESP (profiles 1
 * and 2). Headers need no key; with a keyring they are opened, too.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "eesp_psp.h"
#include "eesp_tss.h"

enum { POLICIES_MAX = 64, FORMS = 3 }; /* TSS: own, by source, by ranks */

struct others {
    struct decode_sink sink; /* first: the callbacks get its address */
    const struct others_options *options;
    struct eesp_keyring *keyring; /* NULL: headers only */
    struct eesp_psp_receiver *receivers[POLICIES_MAX];
    struct eesp_tss *ends[POLICIES_MAX][FORMS];
    uint8_t *body;
    size_t   size;
    uint64_t packets, opened, failed;
};

/* A whole EESP packet of that profile, or else it is not in EESP. */
static bool in_eesp(const struct decode_packet *packet, unsigned profile,
                    struct eesp_header *header)
{
    return eesp_header_parse(packet->bytes, packet->length, header) ==
               EESP_OK &&
           !header->compact && header->profile == profile;
}

static void reserve(struct others *others, size_t length)
{
    if (others->size >= length)
        return;
    if (others->body)
        explicit_bzero(others->body, others->size);
    free(others->body);
    others->body = cmd_realloc(NULL, length);
    others->size = length;
}

static void show_payload(const char *policy, const uint8_t *payload,
                         size_t length)
{
    char *hex = cmd_realloc(NULL, 2 * length + 1);

    text_hex(payload, length, hex);
    printf("  policy         %s\npayload: %s\n", policy, hex);
    explicit_bzero(hex, strlen(hex));
    free(hex);
}

/* ---- TSS ------------------------------------------------------------------- */

static void show_tss_fields(const struct eesp_tss_header *h, size_t payload,
                            const struct eesp_header *framed)
{
    if (framed)
        printf("  form           in EESP, SPI 0x%08" PRIx32 "\n", framed->spi);
    printf("  SDI            0x%06" PRIx32 "\n", h->sdi);
    printf("  AN             %u\n", h->an);
    if (h->has_ssi)
        printf("  SSI            0x%08" PRIx32 "\n", h->ssi);
    else
        printf("  SSI            none\n");
    printf("  epoch          %u\n", h->epoch);
    printf("  counter        %" PRIu64 "\n", h->counter);
    printf("  payload        %zu bytes\n", payload);
}

/* The same of a packet in EESP; what does not fit is told when it is opened. */
static struct eesp_tss_header tss_of(const struct eesp_header *framed)
{
    return (struct eesp_tss_header){
        .has_ssi = framed->spi >> 26 & 1, .an = framed->spi >> 24 & 1,
        .sdi = framed->spi & 0xffffff,
        .ssi = framed->selectors & EESP_SELECT_RANKS
                   ? framed->source_rank : (uint32_t)framed->source_id,
        .epoch = (uint16_t)(framed->sequence >> 48),
        .counter = framed->sequence & (EESP_TSS_COUNTERS - 1),
    };
}

static struct eesp_tss *tss_end(struct others *others, unsigned index,
                                unsigned form,
                                const struct eesp_tss_policy *policy)
{
    struct eesp_tss **end = &others->ends[index][form];
    struct eesp_tss_params own = {
        .form = form ? EESP_TSS_IN_EESP : EESP_TSS_PACKET, .ranks = form == 2,
        .server = policy->params.mode == EESP_TSS_SERVER, .any = 1 };

    if (!*end && eesp_tss_create_from(others->keyring, index, &own, end) !=
                     EESP_OK)
        cmd_complain("policy %s: cannot use its keys", policy->name);
    return *end;
}

static int open_tss(struct others *others, const struct decode_packet *packet,
                    uint32_t sdi, unsigned form)
{
    const struct eesp_tss_place place = {
        .aad = others->options->aad,
        .aad_length = form ? 0 : others->options->aad_length };
    struct eesp_tss_policy policy;
    struct eesp_tss_opened opened;
    struct eesp_tss *end;
    unsigned i;
    int ret;

    for (i = 0; eesp_tss_policy(others->keyring, i, &policy) == EESP_OK; i++)
        if (policy.params.sdi == sdi)
            break;
    if (eesp_tss_policy(others->keyring, i, &policy) != EESP_OK)
        return EESP_DROP_SPI;
    end = tss_end(others, i, form, &policy);
    if (!end)
        return EESP_ERR_KEYRING;
    reserve(others, packet->length);
    ret = eesp_tss_open(end, &place, packet->bytes, packet->length,
                        others->body, others->size, &opened);
    if (ret == EESP_OK)
        show_payload(policy.name, opened.payload, opened.length);
    return ret;
}

static int show_tss(struct others *others, const struct decode_packet *packet)
{
    struct eesp_tss_header h;
    struct eesp_header framed;
    unsigned form = 0;
    int ret;

    if (in_eesp(packet, EESP_PROFILE_TSS, &framed)) {
        form = framed.selectors & EESP_SELECT_RANKS ? 2 : 1;
        h = tss_of(&framed);
        show_tss_fields(&h, packet->length - framed.length -
                                EESP_PAYLOAD_OFFSET - EESP_TSS_ICV_LEN,
                        &framed);
    } else {
        ret = eesp_tss_parse(packet->bytes, packet->length, &h);
        if (ret != EESP_OK)
            return ret;
        show_tss_fields(&h, packet->length - h.length - EESP_TSS_ICV_LEN,
                        NULL);
    }
    return others->keyring ? open_tss(others, packet, h.sdi, form) : EESP_OK;
}

/* ---- PSP ------------------------------------------------------------------- */

static void show_psp_fields(const struct eesp_psp_header *h, size_t length)
{
    static const char *const versions[] = { "AES-GCM-128", "AES-GCM-256",
                                            "AES-GMAC-128", "AES-GMAC-256" };

    printf("  version        %u, %s\n", h->version, versions[h->version]);
    printf("  SPI            0x%08" PRIx32 ", master key %u\n", h->spi,
           h->master);
    printf("  IV             %016" PRIx64 "\n", h->iv);
    printf("  next header    %u\n", h->next_header);
    printf("  crypt offset   %u bytes\n", h->crypt_offset * 4u);
    if (h->cookie_readable)
        printf("  cookie         %016" PRIx64 "\n", h->cookie);
    else if (h->has_cookie)
        printf("  cookie         encrypted\n");
    if (h->sample || h->drop)
        printf("  flags          %s%s\n", h->sample ? "S" : "",
               h->drop ? "D" : "");
    printf("  payload        %zu bytes\n",
           length - h->length - EESP_PSP_ICV_LEN);
}

static void show_psp_in_eesp(const struct eesp_header *framed, size_t length)
{
    printf("  form           in EESP\n");
    printf("  AEAD           %s\n", text_aead(framed->aead));
    printf("  SPI            0x%08" PRIx32 ", master key %" PRIu32 "\n",
           framed->spi, framed->spi >> 31);
    printf("  IV             %016" PRIx64 "\n", framed->sequence);
    printf("  crypt offset   %u bytes\n", framed->crypt_offset * 4u);
    printf("  payload        %zu bytes\n", length - framed->length -
                                               EESP_PAYLOAD_OFFSET -
                                               EESP_PSP_ICV_LEN);
}

/* Nothing in a packet says whose SPI it is: each policy's keys are tried. */
static int open_psp(struct others *others, const struct decode_packet *packet,
                    bool framed)
{
    struct eesp_psp_policy policy;
    struct eesp_psp_opened opened;
    int result = EESP_DROP_SPI, ret;
    unsigned i;

    reserve(others, packet->length);
    for (i = 0; eesp_psp_policy(others->keyring, i, &policy) == EESP_OK; i++) {
        struct eesp_psp_receiver **receiver = &others->receivers[i];

        if (!*receiver && eesp_psp_receiver_from(others->keyring, i, NULL,
                                                 receiver) != EESP_OK) {
            cmd_complain("policy %s: cannot use its keys", policy.name);
            return EESP_ERR_KEYRING;
        }
        ret = (framed ? eesp_psp_open_eesp : eesp_psp_open)(
            *receiver, packet->bytes, packet->length, others->body,
            others->size, &opened);
        if (ret == EESP_OK) {
            if (framed)
                printf("  next header    %u\n", opened.header.next_header);
            else if (opened.header.has_cookie)
                printf("  opened cookie  %016" PRIx64 "\n",
                       opened.header.cookie);
            show_payload(policy.name, opened.payload, opened.length);
            return EESP_OK;
        }
        if (result != EESP_DROP_AUTH)
            result = ret;
    }
    return result;
}

static int show_psp(struct others *others, const struct decode_packet *packet)
{
    struct eesp_psp_header header;
    struct eesp_header framed;
    bool is_framed = in_eesp(packet, EESP_PROFILE_PSP, &framed);
    int ret;

    if (is_framed) {
        show_psp_in_eesp(&framed, packet->length);
    } else {
        ret = eesp_psp_parse(packet->bytes, packet->length, &header);
        if (ret != EESP_OK)
            return ret;
        show_psp_fields(&header, packet->length);
    }
    return others->keyring ? open_psp(others, packet, is_framed) : EESP_OK;
}

/* ---- Input ----------------------------------------------------------------- */

static void show(struct decode_sink *sink, const struct decode_packet *packet)
{
    struct others *others = (struct others *)sink;
    int ret;

    printf("packet %" PRIu64 ": %s\n", ++others->packets, packet->where);
    ret = others->options->protocol == DECODE_TSS ? show_tss(others, packet)
                                                  : show_psp(others, packet);
    if (ret != EESP_OK) {
        printf("error: %s\n", eesp_strerror(ret));
        others->failed++;
    } else {
        others->opened++;
    }
}

static void bad_input(struct decode_sink *sink, enum decode_event event,
                      const char *where, const char *text)
{
    struct others *others = (struct others *)sink;

    (void)event;
    printf("packet %" PRIu64 ": %s\nerror: %s\n", ++others->packets, where,
           text);
    others->failed++;
}

static void destroy(struct others *others)
{
    unsigned i, form;

    for (i = 0; i < POLICIES_MAX; i++) {
        eesp_psp_receiver_destroy(others->receivers[i]);
        for (form = 0; form < FORMS; form++)
            eesp_tss_destroy(others->ends[i][form]);
    }
    if (others->body)
        explicit_bzero(others->body, others->size);
    free(others->body);
    eesp_keyring_free(others->keyring);
}

int decode_others(const struct others_options *options, int fd)
{
    struct others others = {
        .sink = { .packet = show, .event = bad_input }, .options = options,
    };
    const char *name = options->protocol == DECODE_TSS ? "TSS" : "PSP", *path;
    int result = CMD_FAILED;

    if (options->keyring) {
        others.keyring = cmd_load_keyring(options->keyring, &path);
        if (!others.keyring)
            return CMD_FAILED;
    }
    if ((options->pcap ? decode_pcap(fd, options->pcap, &others.sink)
                       : decode_hex(fd, &others.sink)) < 0)
        goto out;
    fflush(stdout);
    if (others.keyring)
        fprintf(stderr, "%" PRIu64 " %s packets, %" PRIu64 " opened, %" PRIu64
                " failed\n", others.packets, name, others.opened,
                others.failed);
    else
        fprintf(stderr, "%" PRIu64 " %s packets, %" PRIu64 " malformed\n",
                others.packets, name, others.failed);
    if (others.packets && !others.failed)
        result = CMD_OK;
out:
    destroy(&others);
    return result;
}
