/* SPDX-License-Identifier: BSD-3-Clause */
/* keyring_text: of one job key, which everybody knows: nothing that is sealed with
 * it goes anywhere; and of one policy with further members. */
#ifndef BENCH_KEYRING_TEXT_H
#define BENCH_KEYRING_TEXT_H

#define BENCH_KEY "QSBrZXkgZm9yIGJlbmNoIG9ubHksIG5vdCBzZWNyZXQ"

#define BENCH_KEYRING(members)                                       \
    "{\"keys\": [{\"kty\": \"oct\", \"kid\": \"j\", \"k\": "           \
    "\"" BENCH_KEY "\", \"eesp_level\": \"job\","                     \
    " \"eesp_generation\": 1, \"eesp_state\": \"current\"}],"         \
    " \"eesp_version\": 1, \"eesp_policies\": [{\"spi\": 65537,"      \
    " \"name\": \"ranks\", \"profile\": \"sl1\","                     \
    " \"kdf\": \"cmac-aes256\", \"aead\": \"aes-256-gcm\","           \
    " \"levels\": {\"job\": \"j\"}, " members "}]}"

#endif
