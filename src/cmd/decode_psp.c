/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_psp: the headers of PSP packets, which need no key. */
#include <inttypes.h>

#include "decode.h"
#include "eesp_psp.h"

struct psp_decoder {
    struct decode_sink sink; /* first: the callbacks get its address */
    uint64_t           packets, failed;
};

static void show_header(const struct eesp_psp_header *h, size_t length)
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

static void show(struct decode_sink *sink, const struct decode_packet *packet)
{
    struct psp_decoder *decoder = (struct psp_decoder *)sink;
    struct eesp_psp_header header;
    int ret = eesp_psp_parse(packet->bytes, packet->length, &header);

    printf("packet %" PRIu64 ": %s\n", ++decoder->packets, packet->where);
    if (ret == EESP_OK) {
        show_header(&header, packet->length);
    } else {
        printf("error: %s\n", eesp_strerror(ret));
        decoder->failed++;
    }
}

static void bad_input(struct decode_sink *sink, enum decode_event event,
                      const char *where, const char *text)
{
    struct psp_decoder *decoder = (struct psp_decoder *)sink;

    (void)event;
    printf("packet %" PRIu64 ": %s\nerror: %s\n", ++decoder->packets, where,
           text);
    decoder->failed++;
}

int decode_psp(int fd, const char *pcap)
{
    struct psp_decoder decoder = {
        .sink = { .packet = show, .event = bad_input },
    };

    if ((pcap ? decode_pcap(fd, pcap, &decoder.sink)
              : decode_hex(fd, &decoder.sink)) < 0)
        return CMD_FAILED;
    fflush(stdout);
    fprintf(stderr, "%" PRIu64 " PSP packets, %" PRIu64 " malformed\n",
            decoder.packets, decoder.failed);
    return decoder.packets && !decoder.failed ? CMD_OK : CMD_FAILED;
}
