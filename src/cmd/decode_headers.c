/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_headers: the headers of PSP and TSS packets, which need no key. */
#include <inttypes.h>

#include "decode.h"
#include "eesp_psp.h"
#include "eesp_tss.h"

struct header_decoder {
    struct decode_sink sink; /* first: the callbacks get its address */
    /* Shows a header, or tells what is wrong: enum eesp_error. */
    int              (*show)(const void *packet, size_t length);
    uint64_t           packets, failed;
};

static int show_tss(const void *packet, size_t length)
{
    struct eesp_tss_header h;
    int ret = eesp_tss_parse(packet, length, &h);

    if (ret != EESP_OK)
        return ret;
    printf("  SDI            0x%06" PRIx32 "\n", h.sdi);
    printf("  AN             %u\n", h.an);
    if (h.has_ssi)
        printf("  SSI            0x%08" PRIx32 "\n", h.ssi);
    else
        printf("  SSI            none\n");
    printf("  epoch          %u\n", h.epoch);
    printf("  counter        %" PRIu64 "\n", h.counter);
    printf("  payload        %zu bytes\n",
           length - h.length - EESP_TSS_ICV_LEN);
    return EESP_OK;
}

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

static int show_psp(const void *packet, size_t length)
{
    struct eesp_psp_header header;
    int ret = eesp_psp_parse(packet, length, &header);

    if (ret == EESP_OK)
        show_psp_fields(&header, length);
    return ret;
}

static void show(struct decode_sink *sink, const struct decode_packet *packet)
{
    struct header_decoder *decoder = (struct header_decoder *)sink;
    int ret;

    printf("packet %" PRIu64 ": %s\n", ++decoder->packets, packet->where);
    ret = decoder->show(packet->bytes, packet->length);
    if (ret != EESP_OK) {
        printf("error: %s\n", eesp_strerror(ret));
        decoder->failed++;
    }
}

static void bad_input(struct decode_sink *sink, enum decode_event event,
                      const char *where, const char *text)
{
    struct header_decoder *decoder = (struct header_decoder *)sink;

    (void)event;
    printf("packet %" PRIu64 ": %s\nerror: %s\n", ++decoder->packets, where,
           text);
    decoder->failed++;
}

int decode_headers(enum decode_protocol protocol, int fd, const char *pcap)
{
    struct header_decoder decoder = {
        .sink = { .packet = show, .event = bad_input },
        .show = protocol == DECODE_TSS ? show_tss : show_psp,
    };

    if ((pcap ? decode_pcap(fd, pcap, &decoder.sink)
              : decode_hex(fd, &decoder.sink)) < 0)
        return CMD_FAILED;
    fflush(stdout);
    fprintf(stderr, "%" PRIu64 " %s packets, %" PRIu64 " malformed\n",
            decoder.packets, protocol == DECODE_TSS ? "TSS" : "PSP",
            decoder.failed);
    return decoder.packets && !decoder.failed ? CMD_OK : CMD_FAILED;
}
