/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xts_answers: known answers of AES-XTS (NIST XTSVS, .rsp files on standard
 * input) for what fakemlx5 encrypts and decrypts with. The tweaks of data unit
 * numbers are made by libeesp_verbs' own function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../verbs_shim/data_units.h"
#include "fakemlx5.h"

static size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t n = 0;
    unsigned byte;

    while (n < size && sscanf(hex + 2 * n, "%2x", &byte) == 1)
        out[n++] = (uint8_t)byte;
    return n;
}

int main(void)
{
    uint8_t key[64], tweak[16], in[4096], out[4096], want[4096];
    size_t key_length = 0, n = 0, wanted;
    unsigned long right = 0, wrong = 0, others = 0, bits = 0;
    int encrypt = 1, first;
    char line[16384];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        const char *value = strstr(line, " = ");

        if (strncmp(line, "[ENCRYPT]", 9) == 0 ||
            strncmp(line, "[DECRYPT]", 9) == 0)
            encrypt = line[1] == 'E';
        if (value == NULL)
            continue;
        value += 3;
        first = 0;
        if (strncmp(line, "DataUnitLen", 11) == 0) {
            bits = strtoul(value, NULL, 10);
        } else if (strncmp(line, "Key ", 4) == 0) {
            key_length = unhex(value, key, sizeof(key));
        } else if (strncmp(line, "DataUnitSeqNumber", 17) == 0) {
            data_unit_tweak(strtoull(value, NULL, 10), tweak);
        } else if (strncmp(line, "i ", 2) == 0) {
            unhex(value, tweak, sizeof(tweak));
        } else if (strncmp(line, "PT ", 3) == 0) {
            first = encrypt;
        } else if (strncmp(line, "CT ", 3) == 0) {
            first = !encrypt;
        } else {
            continue;
        }
        if (strncmp(line, "PT ", 3) != 0 && strncmp(line, "CT ", 3) != 0)
            continue;
        if (first) {
            n = unhex(value, in, sizeof(in));
            continue;
        }
        wanted = unhex(value, want, sizeof(want));
        if (bits % 8 != 0) { /* no such data unit on a card */
            others++;
        } else if (wanted == n &&
                   fake_xts(encrypt, key, key_length, tweak, in, n, out) ==
                       0 &&
                   memcmp(out, want, n) == 0) {
            right++;
        } else {
            wrong++;
        }
    }
    printf("%lu right, %lu wrong, %lu of broken bytes left out\n", right,
           wrong, others);
    return wrong != 0 || right == 0;
}
