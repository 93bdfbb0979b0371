/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_keylog: data keys as text, for whoever is to open a recording without
 * root keys. A line is
 *
 *     EESP1_DATA_KEY SPI AEAD GENERATIONS CONTEXT KEY IVMASK
 *
 * AEAD is the decimal id, the rest hexadecimal: SPI 8 digits, GENERATIONS of
 * domain, tenant, job and task modulo 256, CONTEXT as of wire-format section 3.
 * Nothing else of the library gives away a key, and this only where asked to.
 */
#include <stdio.h>
#include <string.h>

#include "fips.h"
#include "lane.h"
#include "lanes.h"
#include "master.h"

enum { LINE_SIZE = 64 + 2 * (EESP_CONTEXT_MAX + EESP_AEAD_KEY_MAX +
                             EESP_NONCE_LEN) };

int eesp_lane_keylog(struct eesp_lane *lane,
                     void (*tell)(void *arg, const char *line), void *arg)
{
    if (eesp_fips_is_on())
        return EESP_ERR_UNSUPPORTED;
    eesp_lanes_close(lane->lanes); /* its keys never leave the registers */
    lane->lanes      = NULL;
    lane->keylog     = tell;
    lane->keylog_arg = arg;
    return EESP_OK;
}

static char *put_hex(char *text, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < length; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
    return text;
}

void eesp_lane_log_key(const struct eesp_lane *lane, unsigned suite,
                       const struct eesp_key_name *name)
{
    const struct eesp_aead *aead = lane->suites[suite].aead;
    uint8_t out[EESP_AEAD_KEY_MAX + EESP_NONCE_LEN];
    uint8_t generations[EESP_LEVELS];
    char line[LINE_SIZE], *p = line;

    if (eesp_lane_data_key(lane, suite, name, out) == EESP_OK) {
        eesp_master_generations(lane->policy, name->master, generations);
        p    += snprintf(line, sizeof(line), "EESP1_DATA_KEY %08x %u ",
                         lane->policy->info.spi, aead->id);
        p     = put_hex(p, generations, sizeof(generations));
        *p++  = ' ';
        p     = put_hex(p, name->context, name->length);
        *p++  = ' ';
        p     = put_hex(p, out, aead->key_length);
        *p++  = ' ';
        put_hex(p, out + aead->key_length, EESP_NONCE_LEN);
        lane->keylog(lane->keylog_arg, line);
    }
    explicit_bzero(out, sizeof(out));
    explicit_bzero(line, sizeof(line));
}
