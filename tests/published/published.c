/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * published: known answers from standard input, one a line, against every
 * implementation of the library. Fields in hex, "-" for none:
 *
 *     aead NAME KEY NONCE AAD PLAIN CIPHER ICV valid|invalid
 *     hmac SHA KEY MESSAGE MAC           SHA: 256, 384, 512
 *     expand SHA PRK INFO OKM            HKDF-Expand
 *     kdf-cmac KEY FIXED OUT             SP 800-108 counter mode
 *
 * Says how many answers each implementation gave, and each wrong one.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "hmac.h"
#include "kdf.h"
#include "wire.h"

enum { FIELDS = 9, LINE = 1 << 18, TABLE = 32 };

struct bytes {
    uint8_t *data;
    size_t   length;
};

static struct count {
    const char *name, *backend;
    unsigned    right, wrong;
} counts[TABLE];

static void tell(const char *name, const char *backend, int right, int line)
{
    struct count *c = counts;

    while (c->name != NULL &&
           (strcmp(c->name, name) != 0 || strcmp(c->backend, backend) != 0))
        c++;
    c->name    = name;
    c->backend = backend;
    if (right)
        c->right++;
    else
        c->wrong++;
    if (!right)
        printf("not ok - line %d: %s by %s\n", line, name, backend);
}

static struct bytes unhex(const char *hex)
{
    struct bytes b = {NULL, strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2};
    unsigned byte;
    size_t i;

    b.data = calloc(1, b.length + 1);
    if (b.data == NULL)
        err(1, NULL);
    for (i = 0; i < b.length; i++) {
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            errx(1, "not hex: %.20s", hex);
        b.data[i] = (uint8_t)byte;
    }
    return b;
}

/* Whether sealing in pieces of the given size gives cipher and ICV. */
static int seals(const struct eesp_aead *aead, void *k, const struct bytes *f,
                 size_t piece)
{
    uint8_t *out = malloc(f[3].length + 1), icv[EESP_ICV_LEN];
    size_t cut   = aead->one_piece || piece > f[3].length ? f[3].length : piece;
    struct iovec parts[2] = {{f[3].data, cut},
                             {f[3].data + cut, f[3].length - cut}};
    int right = aead->seal(k, f[1].data, f[2].data, f[2].length, parts,
                           aead->one_piece ? 1 : 2, out, icv) == EESP_OK &&
                memcmp(out, f[4].data, f[4].length) == 0 &&
                memcmp(icv, f[5].data, sizeof(icv)) == 0;

    free(out);
    return right;
}

static int opens(const struct eesp_aead *aead, void *k, const struct bytes *f,
                 int valid)
{
    uint8_t *out = calloc(1, f[4].length + 1);
    int ret = aead->decrypt(k, f[1].data, f[2].data, f[2].length, f[4].data,
                            f[4].length, out, f[5].data), right;
    size_t i;

    right = ret == (valid ? EESP_OK : EESP_DROP_AUTH);
    for (i = 0; i < f[4].length && right; i++)
        right = out[i] == (valid ? f[3].data[i] : 0);
    free(out);
    return right;
}

static void test_aead(char *const field[], int line)
{
    int valid = strcmp(field[8], "valid") == 0;
    const struct eesp_aead *aead;
    struct bytes f[6];
    unsigned i;

    for (i = 0; i < 6; i++)
        f[i] = unhex(field[2 + i]);
    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++) {
        void *k;

        if (strcmp(aead->name, field[1]) != 0 || aead->missing() != NULL)
            continue;
        k = aligned_alloc(64, (aead->key_size + 63) & ~(size_t)63);
        if (k == NULL || f[0].length != aead->key_length ||
            f[1].length != EESP_NONCE_LEN || f[5].length != EESP_ICV_LEN ||
            aead->open(k) != EESP_OK)
            errx(1, "line %d does not fit %s", line, aead->name);
        tell(aead->name, aead->backend,
             aead->expand(k, f[0].data) == EESP_OK &&
                 (!valid || (seals(aead, k, f, f[3].length) &&
                             seals(aead, k, f, 13))) &&
                 opens(aead, k, f, valid), line);
        aead->close(k);
        free(k);
    }
    for (i = 0; i < 6; i++)
        free(f[i].data);
}

static enum eesp_sha sha_of(const char *name)
{
    return name[0] == '2' ? EESP_SHA_256 :
           name[0] == '3' ? EESP_SHA_384 :
                            EESP_SHA_512;
}

/* hmac and expand: both from one prepared key. */
static void test_hmac(char *const field[], int line)
{
    struct bytes key = unhex(field[2]), in = unhex(field[3]);
    struct bytes wanted = unhex(field[4]);
    struct iovec parts  = {in.data, in.length};
    int expand          = strcmp(field[0], "expand") == 0, right;
    uint8_t *out        = calloc(1, wanted.length + EESP_HMAC_MAX);
    struct eesp_hmac hmac;

    right = eesp_hmac_key(&hmac, sha_of(field[1]), key.data, key.length) ==
                EESP_OK &&
            (expand ? eesp_hkdf_expand(&hmac, in.data, in.length, out,
                                       wanted.length) :
                      eesp_hmac(&hmac, &parts, 1, out)) == EESP_OK &&
            memcmp(out, wanted.data, wanted.length) == 0;
    tell(expand ? "hkdf-expand" : "hmac", sha_of(field[1]) == EESP_SHA_256 ?
         "sha256" : sha_of(field[1]) == EESP_SHA_384 ? "sha384" : "sha512",
         right, line);
    free(out);
    free(key.data);
    free(in.data);
    free(wanted.data);
}

static void test_kdf_cmac(char *const field[], int line)
{
    struct bytes key = unhex(field[1]), fixed = unhex(field[2]);
    struct bytes wanted = unhex(field[3]);
    const struct eesp_kdf *kdf = &eesp_kdf_cmac_aes256;
    uint8_t out[EESP_DERIVE_MAX];
    void *state = aligned_alloc(64, (kdf->state_size + 63) & ~(size_t)63);

    if (state == NULL || wanted.length > sizeof(out) ||
        kdf->open(state) != EESP_OK)
        errx(1, "line %d", line);
    tell("kdf", kdf->name,
         key.length == 32 && kdf->key(state, key.data) == EESP_OK &&
             eesp_kdf_cmac_fixed(state, fixed.data, fixed.length, out,
                                 wanted.length) == EESP_OK &&
             memcmp(out, wanted.data, wanted.length) == 0, line);
    kdf->close(state);
    free(state);
    free(key.data);
    free(fixed.data);
    free(wanted.data);
}

int main(void)
{
    static char line[LINE];
    int number = 0, wrong = 0;
    const struct count *c;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *field[FIELDS] = {NULL}, *save = NULL, *word;
        int n = 0;

        number++;
        for (word = strtok_r(line, " \n", &save); word && n < FIELDS;
             word = strtok_r(NULL, " \n", &save))
            field[n++] = word;
        if (n == 9 && strcmp(field[0], "aead") == 0)
            test_aead(field, number);
        else if (n == 5)
            test_hmac(field, number);
        else if (n == 4 && strcmp(field[0], "kdf-cmac") == 0)
            test_kdf_cmac(field, number);
        else
            errx(1, "line %d is malformed", number);
    }
    for (c = counts; c->name != NULL; c++) {
        printf("%s - %s by %s: %u right, %u wrong\n", c->wrong ? "not ok" :
               "ok", c->name, c->backend, c->right, c->wrong);
        wrong += c->wrong != 0;
    }
    return wrong != 0 || number == 0;
}
