/* SPDX-License-Identifier: BSD-3-Clause */
/* unit: what the cmocka tests share. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eesp.h"

/* Folder of test vectors, from the environment of make check. */
static inline const char *vectors_dir(const char *set)
{
    static char path[400];
    const char *root = getenv("srcdir");

    snprintf(path, sizeof(path), "%s/tests/vectors/%s", root ? root : ".",
             set);
    return path;
}

/* Bytes of a hex text; their number. */
static inline size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t n = strlen(hex) / 2, i;
    unsigned byte;

    assert_true(n <= size);
    for (i = 0; i < n; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

/* out: 4 * n / 3 + 2 characters. */
static inline void base64url(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int have      = 0;

    while (n-- > 0) {
        bits = bits << 8 | *bytes++;
        for (have += 8; have >= 6; have -= 6)
            *out++ = digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        *out++ = digits[bits << (6 - have) & 63];
    *out = '\0';
}

#endif
