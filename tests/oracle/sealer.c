/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sealer KEYRING: seals packets of PSP and TSS through the library's public
 * functions, which the eesp command does not. Each line of standard input:
 *
 *     psp VERSION FORM SPI KEY OFFSET NEXT FLAGS COOKIE PAYLOAD
 *     tss POLICY FORM RANKS SERVER SSI AN EPOCH COUNTER TO FRONT PAYLOAD
 *
 * FLAGS: 1 sample, 2 drop, 4 cookie. TO: client and destination rank. KEY,
 * COOKIE, FRONT and PAYLOAD in hexadecimal, "-": none. The answer is the packet,
 * or "error REASON".
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eesp_psp.h"
#include "eesp_tss.h"

enum { PACKET_MAX = 1 << 14, WORDS = 12 };

static uint8_t payload[PACKET_MAX], packet[PACKET_MAX];

static size_t read_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t n = 0;
    unsigned byte;

    while (n < size && sscanf(text + 2 * n, "%2x", &byte) == 1)
        bytes[n++] = (uint8_t)byte;
    return n;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static int seal_psp(char *const word[WORDS], size_t *length)
{
    unsigned flags = (unsigned)number(word[7]);
    struct eesp_psp_grant grant = {
        .version = (uint8_t)number(word[1]), .form = (uint8_t)number(word[2]),
        .spi = (uint32_t)number(word[3]),
    };
    struct eesp_psp_options options = {
        .crypt_offset = (uint8_t)number(word[5]),
        .next_header = (uint8_t)number(word[6]), .sample = flags & 1,
        .drop = flags >> 1 & 1, .has_cookie = flags >> 2 & 1,
        .cookie = strtoull(word[8], NULL, 16),
    };
    size_t n = read_hex(word[9], payload, sizeof(payload));
    struct eesp_psp_sa *sa;
    int ret;

    read_hex(word[4], grant.key, sizeof(grant.key));
    ret = eesp_psp_sa_create(&grant, NULL, &sa);
    if (ret == EESP_OK)
        ret = eesp_psp_seal(sa, &options, payload, n, packet, sizeof(packet),
                            length);
    eesp_psp_sa_destroy(sa);
    return ret;
}

/* An end that seals: a client of a server has a grant of that server's. */
static struct eesp_tss *end_of(const struct eesp_keyring *keyring,
                               char *const word[WORDS])
{
    unsigned index = (unsigned)number(word[1]), an = (unsigned)number(word[6]);
    uint16_t epoch = (uint16_t)number(word[7]);
    struct eesp_tss_params own = {
        .form = (enum eesp_tss_form)number(word[2]),
        .ranks = (int)number(word[3]), .server = (int)number(word[4]),
        .ssi = number(word[5]),
    }, client;
    struct eesp_tss *tss, *server;
    struct eesp_tss_policy policy;
    struct eesp_tss_grant grant;

    if (eesp_tss_policy(keyring, index, &policy) != EESP_OK)
        errx(1, "no policy %u", index);
    if (policy.params.mode != EESP_TSS_SERVER || own.server) {
        if (eesp_tss_create_from(keyring, index, &own, &tss) != EESP_OK)
            errx(1, "cannot make an end");
        return tss;
    }
    client        = policy.params;
    client.form   = own.form;
    client.ranks  = own.ranks;
    client.ssi    = own.ssi;
    own.server    = 1;
    if (eesp_tss_create_from(keyring, index, &own, &server) != EESP_OK ||
        eesp_tss_grant(server, an, epoch, client.ssi, &grant) != EESP_OK ||
        eesp_tss_create(&client, &tss) != EESP_OK ||
        eesp_tss_set_grant(tss, &grant) != EESP_OK)
        errx(1, "cannot make a client");
    eesp_tss_destroy(server);
    return tss;
}

static int seal_tss(const struct eesp_keyring *keyring,
                    char *const word[WORDS], size_t *length)
{
    struct eesp_tss *tss = end_of(keyring, word);
    uint8_t front[EESP_TSS_AAD_MAX];
    uint64_t first               = number(word[8]);
    struct eesp_tss_place place  = {
        .client = (uint32_t)number(word[9]), .rank = (uint32_t)number(word[9]),
        .aad = front,
        .aad_length = read_hex(word[10], front, sizeof(front)),
    };
    size_t n = read_hex(word[11], payload, sizeof(payload));
    int ret = eesp_tss_send_from(tss, (unsigned)number(word[6]),
                                 (uint16_t)number(word[7]), first, first + 1);

    if (ret == EESP_OK)
        ret = eesp_tss_seal(tss, &place, payload, n, packet, sizeof(packet),
                            length);
    eesp_tss_destroy(tss);
    return ret;
}

int main(int argc, char *argv[])
{
    char why[EESP_WHY_LEN], *line = NULL, *word[WORDS];
    struct eesp_keyring *keyring;
    size_t size = 0, length, i;
    int count, ret;

    if (argc != 2)
        errx(2, "usage: sealer KEYRING");
    if (eesp_keyring_load(argv[1], &keyring, why) != EESP_OK)
        errx(1, "%s", why);
    while (getline(&line, &size, stdin) > 0) {
        word[0] = strtok(line, " \n");
        for (count = 0; word[count] != NULL && count < WORDS - 1;)
            word[++count] = strtok(NULL, " \n");
        if (word[0] && strcmp(word[0], "psp") == 0 && count == 10)
            ret = seal_psp(word, &length);
        else if (word[0] && strcmp(word[0], "tss") == 0 && count == WORDS - 1 &&
                 word[count])
            ret = seal_tss(keyring, word, &length);
        else
            errx(2, "no command: %s", line);
        if (ret != EESP_OK) {
            printf("error %d\n", ret);
            continue;
        }
        for (i = 0; i < length; i++)
            printf("%02x", packet[i]);
        putchar('\n');
    }
    free(line);
    eesp_keyring_free(keyring);
    return 0;
}
