/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_keylog: opens packets with the data keys of a key log, which
 * UCX_EESP_KEYLOG makes: no root key is needed. Its lines are
 *
 *     EESP1_DATA_KEY SPI AEAD GENERATIONS CONTEXT KEY IVMASK
 *
 * and CONTEXT (wire-format section 3) says for which packets the key is:
 *
 *     0 flags | levels   1 phase shift   2 selectors   4 epoch   6 Session ID
 *     8 source incarnation   16 the receiver's, or 0   24 phase   32 values
 */
#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"

enum {
    CONTEXT_FIXED = 32, CONTEXT_LIMIT = 256, KEY_LIMIT = 32, NONCE = 12,
    ICV = 16, INFO = 4, BUCKETS = 4096, AEADS = 6,
    FLAG_BOUND = 0x80, FLAG_PARTITION = 0x40,
};

struct data_key {
    struct data_key *next; /* of the bucket */
    uint32_t spi;
    unsigned aead;
    uint8_t  generations[EESP_LEVELS];
    uint8_t  context[CONTEXT_LIMIT];
    size_t   context_length, key_length;
    uint8_t  key[KEY_LIMIT], mask[NONCE];
};

struct keylog {
    struct data_key *bucket[BUCKETS]; /* by source incarnation */
    EVP_CIPHER      *cipher[AEADS];
    EVP_CIPHER_CTX  *ctx;
    uint8_t         *plaintext;
    size_t           size;
};

static const struct {
    const char *name;
    size_t      key_length;
} ciphers[AEADS] = {
    [EESP_AEAD_AES_128_GCM] = { "AES-128-GCM", 16 },
    [EESP_AEAD_AES_256_GCM] = { "AES-256-GCM", 32 },
    [EESP_AEAD_CHACHA20_POLY1305] = { "ChaCha20-Poly1305", 32 },
    [EESP_AEAD_AES_256_GCM_SIV] = { "AES-256-GCM-SIV", 32 },
    [EESP_AEAD_AES_256_GMAC] = { "AES-256-GCM", 32 },
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static unsigned bucket_of(uint64_t incarnation)
{
    return (unsigned)(incarnation * 0x9e3779b97f4a7c15u >> 52);
}

/* ---- Reading ----------------------------------------------------------------- */

/* Bytes of the next word of *text: how many, 0 if it is not hexadecimal. */
static size_t next_bytes(char **text, uint8_t *out, size_t limit)
{
    char *word = strsep(text, " "), pair[3] = { 0 }, *end;
    size_t length = word ? strlen(word) / 2 : 0, i;

    if (!word || strlen(word) % 2 || length > limit)
        return 0;
    for (i = 0; i < length; i++) {
        memcpy(pair, word + 2 * i, 2);
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        if (*end || !strchr("0123456789abcdefABCDEF", pair[0]))
            return 0;
    }
    return length;
}

static bool parse_line(char *text, struct data_key *key)
{
    uint8_t spi[4];
    const char *word = strsep(&text, " ");
    char *end;

    if (!word || strcmp(word, "EESP1_DATA_KEY") != 0 ||
        next_bytes(&text, spi, sizeof(spi)) != sizeof(spi))
        return false;
    key->spi = get32(spi);
    word = strsep(&text, " ");
    if (!word)
        return false;
    key->aead = (unsigned)strtoul(word, &end, 10);
    if (*end || key->aead >= AEADS || !ciphers[key->aead].name ||
        next_bytes(&text, key->generations, EESP_LEVELS) != EESP_LEVELS)
        return false;
    key->context_length = next_bytes(&text, key->context, CONTEXT_LIMIT);
    key->key_length = next_bytes(&text, key->key, KEY_LIMIT);
    return key->context_length >= CONTEXT_FIXED &&
           key->key_length == ciphers[key->aead].key_length &&
           next_bytes(&text, key->mask, NONCE) == NONCE && !text;
}

static void add(struct keylog *keylog, const struct data_key *parsed)
{
    struct data_key **bucket =
        &keylog->bucket[bucket_of(get64(parsed->context + 8))];
    struct data_key *key;

    /* A key that fell out of a cache is derived, and told of, again. */
    for (key = *bucket; key; key = key->next)
        if (key->spi == parsed->spi &&
            key->context_length == parsed->context_length &&
            memcmp(key->context, parsed->context, key->context_length) == 0 &&
            memcmp(key->key, parsed->key, key->key_length) == 0)
            return;
    key = cmd_realloc(NULL, sizeof(*key));
    *key = *parsed;
    key->next = *bucket;
    *bucket = key;
}

static int read_lines(struct keylog *keylog, FILE *file, const char *path)
{
    struct data_key key;
    char *line = NULL;
    size_t size = 0, number = 0;
    int result = 0;

    while (result == 0 && getline(&line, &size, file) >= 0) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (!line[0] || line[0] == '#')
            continue;
        memset(&key, 0, sizeof(key));
        if (parse_line(line, &key)) {
            add(keylog, &key);
        } else {
            cmd_complain("%s: line %zu is not one of a key log", path, number);
            result = -1;
        }
    }
    if (ferror(file)) {
        cmd_complain("cannot read %s: %s", path, strerror(errno));
        result = -1;
    }
    explicit_bzero(&key, sizeof(key));
    cmd_wiping_free(line);
    return result;
}

struct keylog *keylog_load(const char *path)
{
    struct keylog *keylog;
    FILE *file = fopen(path, "re");
    int result;

    if (!file) {
        cmd_complain("cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    keylog = cmd_realloc(NULL, sizeof(*keylog));
    memset(keylog, 0, sizeof(*keylog));
    setvbuf(file, NULL, _IONBF, 0); /* no copy of keys that stays */
    result = read_lines(keylog, file, path);
    fclose(file);
    keylog->ctx = EVP_CIPHER_CTX_new();
    if (result == 0 && keylog->ctx)
        return keylog;
    keylog_free(keylog);
    return NULL;
}

void keylog_free(struct keylog *keylog)
{
    struct data_key *key, *next;
    unsigned i;

    if (!keylog)
        return;
    for (i = 0; i < BUCKETS; i++)
        for (key = keylog->bucket[i]; key; key = next) {
            next = key->next;
            cmd_wiping_free(key);
        }
    for (i = 0; i < AEADS; i++)
        EVP_CIPHER_free(keylog->cipher[i]);
    EVP_CIPHER_CTX_free(keylog->ctx);
    cmd_wiping_free(keylog->plaintext);
    free(keylog);
}

bool keylog_knows(const struct keylog *keylog, uint32_t spi)
{
    const struct data_key *key;
    unsigned i;

    for (i = 0; i < BUCKETS; i++)
        for (key = keylog->bucket[i]; key; key = key->next)
            if (key->spi == spi)
                return true;
    return false;
}

/* ---- Which key ----------------------------------------------------------------- */

/* Whether the ranks or ids of the header are those of the context. */
static bool same_ends(const struct data_key *key,
                      const struct eesp_header *header)
{
    const uint8_t *values = key->context + CONTEXT_FIXED;
    size_t length = key->context_length - CONTEXT_FIXED;
    uint32_t mask = header->compact ? 0xffff : UINT32_MAX;

    if (header->selectors & EESP_SELECT_RANKS)
        return length >= 8 && get32(values) == header->source_rank &&
               (get32(values + 4) & mask) == header->destination_rank;
    if (header->selectors & EESP_SELECT_SOURCE)
        return length >= 8 && get64(values) == header->source_id;
    return true; /* what is left the ICV tells */
}

static bool is_for(const struct data_key *key,
                   const struct eesp_header *header)
{
    const uint8_t *c = key->context;
    unsigned modulus = header->compact ? 4 : 256, i;

    if (key->spi != header->spi || get16(c + 2) != header->selectors ||
        get16(c + 4) != header->epoch ||
        get64(c + 8) != header->incarnation || c[1] > 63 ||
        get64(c + 24) != header->sequence >> c[1])
        return false;
    if (get16(c + 6) != (c[0] & FLAG_PARTITION ? 0 : header->session_id))
        return false;
    if (!header->compact && (c[0] != (header->flags | header->levels) ||
                             c[1] != header->phase_shift ||
                             key->aead != header->aead))
        return false;
    for (i = 0; i < EESP_LEVELS; i++)
        if (key->generations[i] % modulus != header->generations[i])
            return false;
    return same_ends(key, header);
}

/* ---- Opening --------------------------------------------------------------------- */

static void make_nonce(const struct data_key *key,
                       const struct eesp_header *header, uint8_t nonce[NONCE])
{
    uint32_t source = header->selectors & EESP_SELECT_RANKS
                          ? header->source_rank
                          : header->selectors & EESP_SELECT_SOURCE
                                ? (uint32_t)header->source_id : 0;
    uint64_t sequence = header->sequence;
    unsigned i;

    if (key->context[0] & FLAG_PARTITION)
        sequence ^= (uint64_t)header->session_id << 48;
    source = htobe32(source);
    sequence = htobe64(sequence);
    memcpy(nonce, &source, sizeof(source));
    memcpy(nonce + 4, &sequence, sizeof(sequence));
    for (i = 0; i < NONCE; i++)
        nonce[i] ^= key->mask[i];
}

/* body: from the Payload Info Header to the ICV; clear: bytes of it that are. */
static bool decrypt(struct keylog *keylog, const struct data_key *key,
                    const struct eesp_header *header, const uint8_t *packet,
                    size_t body, size_t clear)
{
    const uint8_t *in = packet + header->length;
    EVP_CIPHER_CTX *ctx = keylog->ctx;
    uint8_t nonce[NONCE], none[ICV];
    int done;

    make_nonce(key, header, nonce);
    memcpy(keylog->plaintext, in, clear);
    return EVP_DecryptInit_ex2(ctx, keylog->cipher[key->aead], key->key, nonce,
                               NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, ICV,
                               (void *)(in + body)) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &done, packet,
                             (int)(header->length + clear)) == 1 &&
           (body == clear ||
            EVP_DecryptUpdate(ctx, keylog->plaintext + clear, &done, in + clear,
                              (int)(body - clear)) == 1) &&
           EVP_DecryptFinal_ex(ctx, none, &done) == 1;
}

/* The Payload Info Header: 0 | 0 | next header | length of the padding. */
static int read_info(const uint8_t *plaintext, size_t body,
                     struct eesp_opened *opened)
{
    size_t padding = plaintext[3], i;

    if (plaintext[0] || plaintext[1] || padding > 3 || INFO + padding > body)
        return EESP_DROP_PAYLOAD;
    for (i = body - padding; i < body; i++)
        if (plaintext[i])
            return EESP_DROP_PAYLOAD;
    opened->next_header = plaintext[2];
    opened->payload = plaintext + INFO;
    opened->length = body - INFO - padding;
    return EESP_OK;
}

/* Who it is for, as the key says. */
static void tell_receiver(const struct data_key *key,
                          struct open_result *result)
{
    if (result->header.selectors & EESP_SELECT_RANKS)
        result->receiver.rank = get32(key->context + CONTEXT_FIXED + 4);
    result->receiver.incarnation = get64(key->context + 16);
    result->bound = key->context[0] & FLAG_BOUND;
}

static bool try_key(struct keylog *keylog, const struct data_key *key,
                    const struct decode_packet *packet,
                    struct open_result *result)
{
    const struct eesp_header *header = &result->header;
    size_t body = packet->length - header->length - ICV;
    size_t clear = 4 * (size_t)header->crypt_offset;
    EVP_CIPHER **cipher = &keylog->cipher[key->aead];

    if (key->aead == EESP_AEAD_AES_256_GMAC)
        clear = body;
    if (clear > body)
        return false;
    if (!*cipher)
        *cipher = EVP_CIPHER_fetch(NULL, ciphers[key->aead].name, NULL);
    if (!*cipher ||
        !decrypt(keylog, key, header, packet->bytes, body, clear)) {
        explicit_bzero(keylog->plaintext, keylog->size);
        return false;
    }
    result->error = read_info(keylog->plaintext, body, &result->opened);
    tell_receiver(key, result);
    return true;
}

/* eesp_header_parse() has seen to it that there is a body. */
void keylog_open(struct keylog *keylog, const struct decode_packet *packet,
                 struct open_result *result)
{
    const struct data_key *key =
        keylog->bucket[bucket_of(result->header.incarnation)];

    if (keylog->size < packet->length) {
        cmd_wiping_free(keylog->plaintext);
        keylog->plaintext = cmd_realloc(NULL, packet->length);
        keylog->size = packet->length;
    }
    result->error = EESP_DROP_AUTH;
    for (; key; key = key->next)
        if (is_for(key, &result->header) &&
            try_key(keylog, key, packet, result))
            return;
}
