/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyring: root keys in rings (previous, current, next) and the policies that
 * combine them. Built once from a file, then read-only, so that threads share
 * it without a lock. Root keys and derivation keys lie in secret memory.
 *
 * keyring_file reads and checks the file, keyring_follows what may replace
 * one in use, keyring_json the keys, keyring_granted those that were granted,
 * keyring_others what PSP and TSS have, keyring_policy.h names those that read the policies, master derives, keyring
 * answers.
 */
#ifndef EESP_KEYRING_H
#define EESP_KEYRING_H

#include <jansson.h>
#include <stdint.h>

#include "eesp.h"
#include "eesp_tss.h"
#include "kdf.h"

#define EESP_KEY_MIN 32 /* bytes of a root key, wire-format section 2 */
#define EESP_KEY_MAX 64
/* Keys of one file: more than the EESP_SUITES_MAX * 81 of one full grant. */
#define EESP_KEYS_MAX 1024
#define EESP_POLICIES_MAX 256
#define EESP_KEYRING_TEXT_MAX (1 << 20) /* bytes of a keyring file */
#define EESP_MASTERS_MAX 81   /* 3^levels generation tuples of a policy */

struct eesp_key {
    struct eesp_key_info info;
    uint8_t              bytes[EESP_KEY_MAX];
};

/* Derivation key of one generation tuple, given in place of root keys. */
struct eesp_granted {
    struct eesp_key    key; /* level and generation are not used */
    uint32_t           spi;
    uint32_t           generations[EESP_LEVELS];
    unsigned           levels;
    enum eesp_kdf_id   kdf;
    enum eesp_aead_id  aead;
    int                has_client; /* the key of one client only */
    uint64_t           client;
};

/* One generation tuple of a policy, and its derivation key. */
struct eesp_master {
    int      present;
    uint64_t until; /* CLOCK_BOOTTIME s when it opens no more, 0: no end */
    uint8_t  kdk[EESP_KDK_MAX];
};

/* Algorithms under which a policy opens packets. */
struct eesp_suite {
    const struct eesp_kdf     *kdf;
    enum eesp_aead_id          aead;
    const struct eesp_granted *granted; /* the current one; NULL: roots */
    /* By the state of each used level, mixed radix of EESP_STATES. */
    struct eesp_master        *masters;
};

/* A sender that may speak for a domain. */
struct eesp_proxy {
    uint64_t id; /* rank or source id */
    uint32_t domain;
};

#define EESP_PROXIES_MAX 1024

struct eesp_policy {
    struct eesp_policy_info     info;
    const struct eesp_keyring  *keyring;
    /* The first one seals, too; then those of "receive". */
    struct eesp_suite           suites[EESP_SUITES_MAX];
    unsigned                    suites_count;
    /* Indices into the keyring's keys by level and state, -1: none. */
    int                         ring[EESP_LEVELS][EESP_STATES];
    unsigned                    masters_count; /* of each suite */
    struct eesp_proxy          *proxies;     /* info.proxies, may be NULL */
    int                         send;        /* index of the sending one, -1 */
    uint64_t                    send_until;  /* CLOCK_BOOTTIME s, 0: no end */
};

/* A key of PSP or TSS: two share an id, and a bit of the packet chooses. */
struct eesp_bit_key {
    enum eesp_profile profile;
    unsigned          bit; /* 0 or 1 */
    char              id[EESP_KEY_ID_MAX + 1];
    uint8_t           bytes[EESP_TSS_KEY_LEN];
};

/* A policy of PSP or TSS. */
struct eesp_other_policy {
    enum eesp_profile          profile;
    char                       name[EESP_POLICY_NAME_MAX + 1];
    char                       key_id[EESP_KEY_ID_MAX + 1];
    const struct eesp_bit_key *key[2]; /* NULL: not there */
    struct eesp_tss_params     tss;    /* what all ends have in common */
    uint16_t                   epoch;
};

#define EESP_BIT_KEYS_MAX 128
#define EESP_OTHERS_MAX   64

struct eesp_keyring {
    unsigned           keys_count, policies_count, granted_count;
    /* Secret memory, EESP_KEYS_MAX each. A key of length 0 is one of a granted
     * policy: it names a generation and has no bytes. */
    struct eesp_key   *keys;
    struct eesp_granted *granted;
    struct eesp_bit_key *bit_keys; /* secret memory, EESP_BIT_KEYS_MAX */
    unsigned             bit_keys_count, others_count;
    struct eesp_other_policy others[EESP_OTHERS_MAX];
    struct eesp_policy policies[EESP_POLICIES_MAX];
    struct eesp_master *masters; /* secret memory, of all policies */
    size_t             masters_size;
    uint64_t           loaded;      /* seconds since 1970 at loading */
    uint64_t           loaded_boot; /* CLOCK_BOOTTIME s at loading */
    uint64_t           until;       /* first of all masters', 0: no end */
};

/* A regular file of the caller's or root's that only its owner may touch. */
struct stat;
int eesp_file_is_private(const char *path, const struct stat *st,
                         char why[EESP_WHY_LEN]);

/* Text that begins with "name: " for why; always returns EESP_ERR_KEYRING. */
int eesp_keyring_refuse(char why[EESP_WHY_LEN], const char *name,
                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Refuses a member of object that begins with eesp_ and is not in known. */
int eesp_keyring_check_members(const json_t *object, const char *const *known,
                               const char *what, const char *name,
                               char why[EESP_WHY_LEN]);

/* Non-negative integer up to max. EESP_OK also if absent: *out unchanged. */
int eesp_keyring_integer(const json_t *object, const char *member,
                         uint64_t max, uint64_t *out, const char *what,
                         const char *name, char why[EESP_WHY_LEN]);

int eesp_keyring_parse_keys(struct eesp_keyring *keyring, json_t *keys,
                            const char *name, char why[EESP_WHY_LEN]);
int eesp_keyring_parse_policies(struct eesp_keyring *keyring,
                                const json_t *policies, const char *name,
                                char why[EESP_WHY_LEN]);

/* Members of a key but for level and generation. */
int eesp_keyring_parse_key(struct eesp_key *key, const json_t *object,
                           const char *const *known, const char *what,
                           const char *name, char why[EESP_WHY_LEN]);

/* The part of it that every kind of key has: id and bytes. */
int eesp_keyring_parse_secret(struct eesp_key *key, const json_t *object,
                              const char *const *known, const char *what,
                              const char *name, char why[EESP_WHY_LEN]);

/* keyring_others: keys of "eesp_level" "psp" and "tss". */
int eesp_keyring_is_bit_key(const json_t *object);
int eesp_keyring_parse_bit_key(struct eesp_keyring *keyring,
                               const json_t *object, const char *what,
                               const char *name, char why[EESP_WHY_LEN]);
/* Policy number index of a profile, or by name; NULL: there is none. */
const struct eesp_other_policy *
eesp_keyring_other(const struct eesp_keyring *keyring,
                   enum eesp_profile profile, unsigned index);
const struct eesp_other_policy *
eesp_keyring_other_name(const struct eesp_keyring *keyring, const char *name);

/* keyring_granted: keys of "eesp_level" "master". */
int eesp_keyring_is_granted(const json_t *object);
int eesp_keyring_parse_granted(struct eesp_keyring *keyring,
                               const json_t *object, const char *what,
                               const char *name, char why[EESP_WHY_LEN]);
/* Each must belong to a policy: called when those are read. */
int eesp_keyring_check_granted(const struct eesp_keyring *keyring,
                               const char *name, char why[EESP_WHY_LEN]);
/* The one of a tuple, NULL: none. */
const struct eesp_granted *
eesp_granted_find(const struct eesp_keyring *keyring, uint32_t spi,
                  enum eesp_kdf_id kdf, enum eesp_aead_id aead,
                  const uint32_t generations[EESP_LEVELS]);

int eesp_policy_may_speak(const struct eesp_policy *policy, uint64_t id,
                          uint32_t domain);

/* 1 to max characters of A-Za-z0-9._:- */
int eesp_name_valid(const char *id, size_t max);

/* "key 3", for messages. */
void eesp_keyring_number_what(char *what, size_t size, const char *noun,
                              unsigned number);

/* Seconds of the clock that goes on while the machine sleeps. */
uint64_t eesp_boot_seconds(void);

#endif
