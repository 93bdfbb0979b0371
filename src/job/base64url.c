/* SPDX-License-Identifier: BSD-3-Clause */
#include "base64url.h"

/*
 * base64url digit of v < 64 without a branch or table index that depends on
 * it: each step moves by the distance to the next range of characters.
 */
static char base64url(unsigned v)
{
    unsigned c = v + 'A';

    c += ((25 - v) >> 8 & 1) * ('a' - 'Z' - 1);
    c -= ((51 - v) >> 8 & 1) * ('z' + 1 - '0');
    c -= ((61 - v) >> 8 & 1) * ('9' + 1 - '-');
    c += ((62 - v) >> 8 & 1) * ('_' - '-' - 1);
    return (char)c;
}

void job_base64url(const uint8_t *p, size_t length, char *out)
{
    unsigned bits = 0, word = 0;
    size_t i;

    for (i = 0; i < length; i++) {
        word = word << 8 | p[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = base64url(word >> (bits - 6) & 63);
    }
    if (bits)
        *out++ = base64url(word << (6 - bits) & 63);
    *out = '\0';
}

/* Value of a digit, by the same steps back; -1: none. */
static int value(char digit)
{
    unsigned c = (unsigned char)digit;
    int v      = -1;

    /* In each range the mask is all ones, else 0. */
    v += (int)((c - 'A') < 26) * (int)(c - 'A' + 1);
    v += (int)((c - 'a') < 26) * (int)(c - 'a' + 27);
    v += (int)((c - '0') < 10) * (int)(c - '0' + 53);
    v += (c == '-') * 63;
    v += (c == '_') * 64;
    return v;
}

int job_base64url_bytes(const char *text, uint8_t *out, size_t max)
{
    unsigned bits = 0, word = 0;
    size_t length = 0;
    int digit;

    for (; *text; text++) {
        digit = value(*text);
        if (digit < 0)
            return -1;
        word  = word << 6 | (unsigned)digit;
        bits += 6;
        if (bits < 8)
            continue;
        if (length == max)
            return -1;
        bits         -= 8;
        out[length++] = (uint8_t)(word >> bits);
    }
    return (int)length;
}
