/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

const char *text_kdf(unsigned id)
{
    static const char *const names[] = {
        "-", "cmac-aes256", "hkdf-sha256", "hkdf-sha384", "hkdf-sha512",
        "hmac-sha256",
    };

    return id < sizeof(names) / sizeof(names[0]) ? names[id] : "unknown";
}

const char *text_aead(unsigned id)
{
    static const char *const names[] = {
        "-", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305",
        "aes-256-gcm-siv", "aes-256-gmac",
    };

    return id < sizeof(names) / sizeof(names[0]) ? names[id] : "unknown";
}
