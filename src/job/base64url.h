/* SPDX-License-Identifier: BSD-3-Clause */
/* base64url: keys as text (RFC 4648 section 5), in constant time. */
#ifndef EESP_BASE64URL_H
#define EESP_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

/* base64url of length bytes without padding, and a NUL. */
void job_base64url(const uint8_t *p, size_t length, char *out);

/* The other way, at most max bytes: how many, or -1. */
int job_base64url_bytes(const char *text, uint8_t *out, size_t max);

#endif
