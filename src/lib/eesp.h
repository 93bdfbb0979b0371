/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp.h - stateless EESP: packets whose key is found from the packet itself.
 *
 * A keyring file holds the root keys of a group and its policies. A lane is
 * one single-threaded engine that seals and opens packets under one policy of
 * a keyring. Nothing is negotiated and nothing is kept per peer.
 *
 *     struct eesp_keyring *kr;
 *     struct eesp_lane *lane;
 *     char why[EESP_WHY_LEN];
 *
 *     if (eesp_keyring_load("keyring.jwks", &kr, why) != EESP_OK)
 *         errx(1, "%s", why);
 *     struct eesp_lane_params par = {
 *         .keyring = kr, .policy = eesp_keyring_policy(kr, "default"),
 *         .rank = 3 };
 *     if (eesp_lane_create(&par, &lane, why) != EESP_OK)
 *         errx(1, "%s", why);
 *     eesp_seal(lane, &peer, iov, 1, packet, sizeof(packet), &length);
 *
 * Every length is in bytes, every time in seconds. Integers on the wire are
 * big endian. A function that returns int gives EESP_OK (0) or a negative
 * enum eesp_error. The library opens no socket, reads no environment variable
 * and prints nothing.
 *
 * Standards: draft-ietf-ipsecme-eesp-03 (packet), draft-xia-ipsecme-eesp-
 * stateless-encryption (scheme), SP 800-108r1 (KDF), SP 800-38D (AES-GCM),
 * RFC 7517 (keyring file). PSP packets are in eesp_psp.h, those of UEC TSS in
 * eesp_tss.h.
 */
#ifndef EESP_H
#define EESP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EESP_API __attribute__((visibility("default")))

/* ---- Errors ------------------------------------------------------------ */

enum eesp_error {
    EESP_OK              = 0,
    EESP_ERR_ARGUMENT    = -1,  /* the caller broke a rule of this page */
    EESP_ERR_MEMORY      = -2,
    EESP_ERR_CRYPTO      = -3,  /* libcrypto or the kernel refused */
    EESP_ERR_KEYRING     = -4,  /* keyring refused; the message says why */
    EESP_ERR_UNSUPPORTED = -5,  /* known, but not in this build or CPU */
    EESP_ERR_EXPIRED     = -6,  /* the current root key's lifetime is over */
    EESP_ERR_LIMIT       = -7,  /* sequence numbers used up; never wraps */
    EESP_ERR_SPACE       = -8,  /* packet or payload does not fit the buffer */
    EESP_ERR_LEASE       = -9,  /* no lease of an IV partition, or a used one */
    /* Why a received packet was dropped, in the order of the checks. */
    EESP_DROP_LENGTH      = -16, /* shorter than its own header and ICV */
    EESP_DROP_VERSION     = -17, /* marker, version or reserved bits */
    EESP_DROP_OPTION      = -18, /* unknown, repeated or malformed option */
    EESP_DROP_SPI         = -19, /* no policy for this SPI */
    EESP_DROP_POLICY      = -20, /* not what the policy of the SPI says */
    EESP_DROP_GENERATION  = -21, /* generation not in the ring */
    EESP_DROP_EPOCH       = -22, /* epoch outside the window */
    EESP_DROP_DESTINATION = -23, /* meant for another receiver */
    EESP_DROP_REPLAY      = -24, /* number not above the highest seen */
    EESP_DROP_REPLAY_FULL = -25, /* replay table has no room: new source */
    EESP_DROP_AUTH        = -26, /* ICV wrong: forged, damaged or other key */
    EESP_DROP_PAYLOAD     = -27, /* Payload Info Header or padding wrong */
    EESP_DROP_OFFSET      = -28, /* more readable bytes than agreed, or sent */
    EESP_DROP_PROXY       = -29, /* no proxy that may speak for that domain */
    EESP_DROP_COMMITMENT  = -30, /* made under another key */
    EESP_DROP_PARTITION   = -31, /* number beyond its IV partition */
    EESP_ERROR_MIN        = -32
};

/* Text for an error, never NULL, static. */
EESP_API const char *eesp_strerror(int error);

/* Length of the buffer that takes the reason of a failure, with its NUL. */
#define EESP_WHY_LEN 512

/* ---- Keyring ------------------------------------------------------------
 * Immutable after loading: any number of threads and lanes may share one. It
 * must outlive its lanes. Key bytes lie in memory that is kept out of core
 * dumps and is wiped by eesp_keyring_free(). Keys in use are kept out of core
 * dumps too where the CPU has AES instructions and the backend is ipsec-mb;
 * otherwise libcrypto holds their schedules in its own heap.
 */
struct eesp_keyring;
struct eesp_policy;

enum eesp_level { EESP_DOMAIN, EESP_TENANT, EESP_JOB, EESP_TASK, EESP_LEVELS };
enum eesp_key_state { EESP_PREVIOUS, EESP_CURRENT, EESP_NEXT, EESP_STATES };

#define EESP_KEY_ID_MAX 32       /* characters of a key id */
#define EESP_POLICY_NAME_MAX 63

/*
 * Reads, checks and takes a keyring file whole (format: eesp-keyring(5)). The
 * file must be regular and private to its owner. On failure *keyring_p is
 * NULL and why names the file, what was found and how to mend it.
 */
EESP_API int eesp_keyring_load(const char *path,
                               struct eesp_keyring **keyring_p,
                               char why[EESP_WHY_LEN]);

/*
 * Same from an open file or memfd, from its beginning, whatever its position,
 * which stays. fd stays open and the caller's. A file that has a name must be
 * private like one that is loaded by it. name stands for it in messages.
 */
EESP_API int eesp_keyring_load_fd(int fd, const char *name,
                                  struct eesp_keyring **keyring_p,
                                  char why[EESP_WHY_LEN]);

/* Same from memory; name stands for the source in messages. */
EESP_API int eesp_keyring_parse(const char *name, const void *text,
                                size_t length,
                                struct eesp_keyring **keyring_p,
                                char why[EESP_WHY_LEN]);

EESP_API void eesp_keyring_free(struct eesp_keyring *keyring);

/*
 * Whether next may take the place of old, the keyring in use: EESP_OK, or
 * EESP_ERR_KEYRING with the reason in why, which names the file by name, if
 * next lowers the current generation of a key or the epoch of a policy (by
 * SPI, serial arithmetic of 16 bits), or has other bytes for a level, id and
 * generation that old has. Keys and policies that stand in only one of the
 * two do not matter: keep old until the next keyring follows it. Takes
 * neither; no system call; bytes are compared in constant time.
 */
EESP_API int eesp_keyring_follows(const struct eesp_keyring *old,
                                  const struct eesp_keyring *next,
                                  const char *name, char why[EESP_WHY_LEN]);

/* What may be told about a root key: everything but its bytes. */
struct eesp_key_info {
    enum eesp_level     level;
    enum eesp_key_state state;
    uint32_t            generation;
    char                id[EESP_KEY_ID_MAX + 1];
    size_t              length;     /* of the key; 0: granted keys are there
                                       in its place */
    uint64_t            not_before; /* seconds since 1970 UTC, 0: unlimited */
    uint64_t            expires;
};

EESP_API unsigned eesp_keyring_keys(const struct eesp_keyring *keyring);
EESP_API void eesp_keyring_key(const struct eesp_keyring *keyring,
                               unsigned index, struct eesp_key_info *info);

/*
 * Whether a previous key has outlived its "exp" since the keyring was loaded.
 * It opens nothing any more; load the keyring again and let its lanes follow
 * (eesp_lane_reload()), and it is wiped with the old one.
 */
EESP_API int eesp_keyring_stale(const struct eesp_keyring *keyring);

EESP_API const char *eesp_level_name(enum eesp_level level);
EESP_API const char *eesp_key_state_name(enum eesp_key_state state);

/* ---- Policy -------------------------------------------------------------
 * One SPI has one policy of profile SL1: what follows is about these. Those of
 * PSP and TSS are in eesp_psp.h and eesp_tss.h. Pointers belong to the keyring.
 */
enum eesp_profile { EESP_PROFILE_SL1, EESP_PROFILE_PSP, EESP_PROFILE_TSS,
                    EESP_PROFILES };

enum eesp_selector {             /* bits of the selector bitmap */
    EESP_SELECT_RANKS       = 1 << 0, /* source and destination rank */
    EESP_SELECT_SOURCE      = 1 << 1, /* 64-bit source id */
    EESP_SELECT_DESTINATION = 1 << 2, /* 64-bit destination id */
    EESP_SELECT_FLOW        = 1 << 3, /* these and further ones: struct */
    EESP_SELECT_DEVICE      = 1 << 4, /* eesp_selector_values */
    EESP_SELECT_VM          = 1 << 5,
    EESP_SELECT_TASK        = 1 << 6,
    EESP_SELECT_JOB         = 1 << 7,
    EESP_SELECT_IPV4        = 1 << 8,
    EESP_SELECT_IPV6        = 1 << 9,
    EESP_SELECT_TUPLE4      = 1 << 10,
    EESP_SELECT_TUPLE6      = 1 << 11,
    EESP_SELECT_TENANT      = 1 << 12
};

/* Name of bit number 0, 1 .. as in a keyring; NULL past the end. */
EESP_API const char *eesp_selector_name(unsigned bit);

/* Addresses and ports in network byte order, as in struct sockaddr_in. */
struct eesp_ipv4_pair {
    uint8_t source[4], destination[4];
};
struct eesp_ipv6_pair {
    uint8_t source[16], destination[16];
};
struct eesp_tuple4 {
    uint8_t source[4], destination[4];
    uint8_t source_port[2], destination_port[2], protocol, zero[3];
};
struct eesp_tuple6 {
    uint8_t source[16], destination[16];
    uint8_t source_port[2], destination_port[2], protocol, zero[3];
};

/*
 * Values of the selectors beyond rank and id; ids are the sender's. Those that
 * a policy does not select are not looked at.
 */
struct eesp_selector_values {
    uint64_t flow, device, task, job, tenant;
    uint8_t  vm[16];
    struct eesp_ipv4_pair ipv4;
    struct eesp_ipv6_pair ipv6;
    struct eesp_tuple4    tuple4;
    struct eesp_tuple6    tuple6;
};

enum eesp_kdf_id {
    EESP_KDF_CMAC_AES256 = 1, /* SP 800-108r1 counter mode */
    EESP_KDF_HKDF_SHA256 = 2, /* HKDF-Expand, RFC 5869 */
    EESP_KDF_HKDF_SHA384 = 3,
    EESP_KDF_HKDF_SHA512 = 4,
    EESP_KDF_HMAC_SHA256 = 5  /* SP 800-108r1 counter mode */
};
enum eesp_aead_id {
    EESP_AEAD_AES_128_GCM       = 1,
    EESP_AEAD_AES_256_GCM       = 2,
    EESP_AEAD_CHACHA20_POLY1305 = 3,
    EESP_AEAD_AES_256_GCM_SIV   = 4, /* OpenSSL 3.2 and later */
    EESP_AEAD_AES_256_GMAC      = 5  /* no confidentiality */
};
/* Whose id a client key belongs to (wire-format section 3, client mode). */
enum eesp_client { EESP_CLIENT_NONE, EESP_CLIENT_SOURCE,
                   EESP_CLIENT_DESTINATION };
enum eesp_replay { EESP_REPLAY_OFF, EESP_REPLAY_STRICT, EESP_REPLAY_WINDOW };

#define EESP_SUITES_MAX 8 /* algorithm pairs of a policy */

struct eesp_policy_info {
    uint32_t         spi;
    char             name[EESP_POLICY_NAME_MAX + 1];
    enum eesp_kdf_id kdf;
    enum eesp_aead_id aead;
    /* Accepted on receipt: kdf and aead above, and these. */
    struct {
        enum eesp_kdf_id  kdf;
        enum eesp_aead_id aead;
    } receive[EESP_SUITES_MAX - 1];
    unsigned         receive_count;
    unsigned         levels;        /* bit n: level n takes part */
    char             key_id[EESP_LEVELS][EESP_KEY_ID_MAX + 1];
    unsigned         selectors;     /* enum eesp_selector */
    unsigned         compact_id;    /* 1..255, 0: the full option is sent */
    uint16_t         epoch;
    uint16_t         epoch_window;
    unsigned         phase_shift;   /* data key changes every 2^n packets */
    enum eesp_replay replay;
    unsigned         replay_window; /* numbers, 0 unless EESP_REPLAY_WINDOW */
    int              bind_destination;
    int              confidentiality; /* 0: payloads are readable */
    int              commit;        /* packets commit to their key */
    enum eesp_client client;
    unsigned         crypt_offset_max; /* readable units of 4 bytes, 0..63 */
    unsigned         partitions;    /* leases of a pool, 0: no partitions */
    unsigned         flags;         /* of every packet: 80 D, 40 P, 20 C */
    unsigned         proxies;       /* that may speak for other domains */
    uint32_t         max_payload;   /* bytes */
    uint32_t         domain_id;
};

/* By name or by SPI in decimal or 0x form; NULL if there is none. */
EESP_API const struct eesp_policy *
eesp_keyring_policy(const struct eesp_keyring *keyring, const char *name);
EESP_API const struct eesp_policy *
eesp_keyring_policy_spi(const struct eesp_keyring *keyring, uint32_t spi);
EESP_API unsigned eesp_keyring_policies(const struct eesp_keyring *keyring);
EESP_API const struct eesp_policy *
eesp_keyring_policy_at(const struct eesp_keyring *keyring, unsigned index);
EESP_API const struct eesp_policy_info *
eesp_policy_info(const struct eesp_policy *policy);

/*
 * Grants: the derivation key of one tuple of generations, in place of the root
 * keys that it is made from (wire-format of profile SL1). Whoever has it
 * opens and seals what the roots would for that SPI and those generations, and
 * learns no root. With the id of a client (the policy must have a client mode)
 * it is that client's key and opens and seals that client's packets only.
 */
#define EESP_GRANT_KEY_MAX 64 /* bytes */

struct eesp_grant {
    enum eesp_kdf_id    kdf;
    enum eesp_aead_id   aead;
    enum eesp_key_state state; /* current: all its keys are; next: one is */
    uint32_t generations[EESP_LEVELS]; /* 0 for unused levels */
    uint64_t not_before, expires;      /* as in eesp_key_info */
    size_t   length;                   /* of key, in bytes */
    uint8_t  key[EESP_GRANT_KEY_MAX];  /* secret: the caller wipes it */
};

/*
 * How many grants a policy could make: one for each pair of algorithms and each
 * tuple that rings could hold, at most EESP_SUITES_MAX * 81.
 */
EESP_API unsigned eesp_policy_grants(const struct eesp_policy *policy);

/*
 * Grant number index; client may be NULL. EESP_DROP_GENERATION: the rings do
 * not hold that tuple. EESP_ERR_ARGUMENT: index too high, a client
 * without a client mode, or the keyring is itself a client's grant. Allocates.
 */
EESP_API int eesp_policy_grant(const struct eesp_policy *policy,
                               unsigned index, const uint64_t *client,
                               struct eesp_grant *grant);

/*
 * Root key of one job, for launchers that keep a cluster's roots from it: HKDF
 * with SHA-256 (RFC 5869), salt "EESP-SL1 job root", input key material the
 * cluster's root key of the level job, info job | step | user, 32 bits each and
 * big endian, then the site's name. Who has it learns nothing of another
 * job's. Wipe it after use.
 */
#define EESP_JOB_ROOT_LEN 32
#define EESP_SITE_MAX     64
#define EESP_ALL_STEPS    UINT32_MAX /* as step: one key for the whole job */

struct eesp_job {
    uint32_t    job, step, user; /* as the launcher numbers them */
    const char *site; /* up to EESP_SITE_MAX bytes, keeps apart clusters that
                         share roots; NULL: "" */
};

/* length: of root, 32 to 64. */
EESP_API int eesp_job_root(const uint8_t *root, size_t length,
                           const struct eesp_job *job,
                           uint8_t out[EESP_JOB_ROOT_LEN]);

/*
 * Key check value: tells whether two holders have the same roots, and nothing
 * else about them. generations are those of each level, modulo 256, as found
 * in a packet or in a peer's address; levels not used are 0. Returns
 * EESP_DROP_GENERATION if the ring does not hold them.
 */
#define EESP_CHECK_VALUE_LEN 8
EESP_API int eesp_policy_check_value(const struct eesp_policy *policy,
                                     const uint8_t generations[EESP_LEVELS],
                                     uint8_t value[EESP_CHECK_VALUE_LEN]);
/* Generations under which this policy sends now, modulo 256. */
EESP_API void eesp_policy_generations(const struct eesp_policy *policy,
                                      uint8_t generations[EESP_LEVELS]);

/*
 * Keys for what a network card does itself: AES-XTS on memory (IEEE 1619), and
 * the tags the CPU adds to it. They are derived like data keys, under the label
 * "SX" and so apart from them, and belong to one receiver: whoever sends to it
 * derives the same. Installed once, not per packet: allocates.
 */
enum eesp_offload_use {
    EESP_OFFLOAD_XTS  = 1, /* 64 bytes: Key_1 | Key_2 of XTS-AES-256 */
    EESP_OFFLOAD_GMAC = 2  /* 32 bytes: AES-256-GMAC (SP 800-38D) */
};
#define EESP_OFFLOAD_KEY_MAX 64 /* bytes */

/* Whose key, as that receiver published it, and which of its keys. */
struct eesp_offload_receiver {
    uint64_t incarnation; /* of its lane: a restart makes new keys */
    uint64_t id;
    uint32_t rank;
    uint64_t number;      /* receiver's choice, never twice for two keys */
    uint16_t epoch;       /* and generations: modulo 256, as in packets */
    uint8_t  generations[EESP_LEVELS];
};

/*
 * key gets length bytes, which must be what use has; the caller wipes them.
 * EESP_DROP_GENERATION, EESP_DROP_EPOCH: as for a packet that names these.
 * EESP_ERR_UNSUPPORTED: the keyring is a client's grant. After an error key
 * holds zeros.
 */
EESP_API int eesp_policy_offload_key(const struct eesp_policy *policy,
                                     enum eesp_offload_use use,
                                     const struct eesp_offload_receiver *whose,
                                     uint8_t *key, size_t length);

/* ---- Backends -----------------------------------------------------------
 * AEAD implementations: algorithm by algorithm, each in order of preference.
 */
struct eesp_backend_info {
    const char *name;      /* as eesp_lane_params.backend takes it */
    const char *algorithm; /* "aes-256-gcm" */
    int         available; /* in this build and on this CPU */
    const char *missing;   /* if not available: what is missing */
};

EESP_API unsigned eesp_backends(void);
EESP_API void eesp_backend(unsigned index, struct eesp_backend_info *info);
/* Key derivation functions; their names, NULL past the end. */
EESP_API unsigned eesp_kdfs(void);
EESP_API const char *eesp_kdf_name(unsigned index);
/* By the ids of packets and policies; NULL: none of this build. */
EESP_API const char *eesp_kdf_id_name(unsigned id);
EESP_API const char *eesp_aead_id_name(unsigned id);
/*
 * Known-answer test of one backend or, with index eesp_backends() + n, of KDF
 * n. EESP_OK, EESP_ERR_UNSUPPORTED (not available) or EESP_ERR_CRYPTO.
 */
EESP_API int eesp_backend_selftest(unsigned index);

/*
 * FIPS mode, for the process and for good: every algorithm is OpenSSL's FIPS
 * provider's, in a library context of its own with the settings of openssl.cnf;
 * ipsec-mb and our own AES are not used, and PSP and TSS are refused
 * (EESP_ERR_UNSUPPORTED). To be called before anything else here, or again.
 * Whether that makes a system that is validated is not for a library to say.
 */
EESP_API int eesp_fips_enable(char why[EESP_WHY_LEN]);
/* Name and version of the provider, NULL: FIPS mode is off. */
EESP_API const char *eesp_fips_provider(void);

/* ---- Lane ---------------------------------------------------------------
 * One engine to seal and open: a nonce authority (one sending incarnation,
 * one counter), a cache of expanded data keys and a replay table, all of fixed
 * size. A lane belongs to one thread at a time. The child of a fork gets new
 * incarnations by itself at its first packet.
 */
struct eesp_lane;

struct eesp_lane_params {
    const struct eesp_keyring *keyring;
    const struct eesp_policy  *policy;
    const char *backend;      /* name or its start ("ipsec-mb"); NULL: best */
    unsigned    key_cache;    /* data keys, 0: 512 */
    unsigned    replay_table; /* sources, 0: 65536 */
    uint32_t    rank;         /* own rank, for RANKS */
    uint64_t    id;           /* own id, for SOURCE and DESTINATION */
    /*
     * Own values of the other selectors, copied; NULL: zeros. They go into
     * packets that are sealed without values of their own. expect: selectors
     * whose value in a received packet must be the own one (addresses: whose
     * destination must be the own source), else EESP_DROP_DESTINATION.
     */
    const struct eesp_selector_values *values;
    unsigned    expect;
};

EESP_API int eesp_lane_create(const struct eesp_lane_params *params,
                              struct eesp_lane **lane_p,
                              char why[EESP_WHY_LEN]);
EESP_API void eesp_lane_destroy(struct eesp_lane *lane);

/*
 * Goes on under keyring, which takes the place of the one in use: with the same
 * incarnations, counter and replay table, so that no message and no nonce is
 * lost or used twice. The policy is that of the same SPI; only generations and
 * epoch may differ, and go forward (eesp_keyring_follows()). keyring must
 * outlive the lane or its next reload; the one before may then be freed. Data
 * keys are derived anew, which needs memory and some 100 us: once per rotation.
 * EESP_ERR_KEYRING, with why: nothing has changed.
 */
EESP_API int eesp_lane_reload(struct eesp_lane *lane,
                              const struct eesp_keyring *keyring,
                              char why[EESP_WHY_LEN]);

/* Name of the backend in use. */
EESP_API const char *eesp_lane_backend(const struct eesp_lane *lane);
/*
 * What peers must know to send here: 64 random bits, constant until close. 0 if
 * the kernel gives the child of a fork no random numbers.
 */
EESP_API uint64_t eesp_lane_incarnation(struct eesp_lane *lane);
/* Sequence number of the packet sealed last; 0: none by this incarnation. */
EESP_API uint64_t eesp_lane_sequence(const struct eesp_lane *lane);
/*
 * Draws a new sending incarnation: to be called after a checkpoint restore or
 * VM clone, which no process can notice by itself.
 */
EESP_API int eesp_lane_reincarnate(struct eesp_lane *lane);
/*
 * What the controller of a pool hands to one member, once: it must never issue
 * the same pair again, nor store it. All members share the incarnation.
 */
struct eesp_lease {
    uint64_t incarnation; /* random, not 0 */
    uint16_t partition;   /* becomes the Session ID of every packet */
};

/*
 * Under a policy with partitions a lane seals only with a lease: without one,
 * after a fork in the child, and after eesp_lane_reincarnate(), sealing is
 * EESP_ERR_LEASE. So is a lease that this process has used before. A lane may
 * be given another one at any time.
 */
EESP_API int eesp_lane_lease(struct eesp_lane *lane,
                             const struct eesp_lease *lease);
/*
 * Key log: tell gets a line of text for every data key of this lane, once it
 * has sealed or opened; whoever reads them reads the packets. The format is in
 * lane_keylog.c, and eesp decode --keylog takes it. Costs a derivation and a
 * call for each key, and bursts go packet by packet. To be called before the
 * first packet. EESP_ERR_UNSUPPORTED: FIPS mode.
 */
EESP_API int eesp_lane_keylog(struct eesp_lane *lane,
                              void (*tell)(void *arg, const char *line),
                              void *arg);
/*
 * For tools that decode captures: open as if this lane were that receiver.
 * Such a lane must not seal, and refuses to.
 */
EESP_API void eesp_lane_impersonate(struct eesp_lane *lane, uint32_t rank,
                                    uint64_t id, uint64_t incarnation);

/*
 * Packets sealed and opened, and their payloads in bytes; data keys derived and
 * found in the cache; packets opened with a previous key of some level; drops
 * by -(EESP_DROP_x).
 */
struct eesp_counters {
    uint64_t sealed, opened, derived, cached;
    uint64_t sealed_bytes, opened_bytes, previous;
    uint64_t dropped[-EESP_ERROR_MIN];
};
EESP_API void eesp_lane_counters(const struct eesp_lane *lane,
                                 struct eesp_counters *counters);

/*
 * Which packets are on their way still, by the two lowest bits of generations
 * and epoch that they were sealed under. Added up over all lanes that seal and
 * open for each other, after all of them have left a generation behind
 * (eesp_lane_reload()), its sum is 0 when all that was sealed under it has been
 * opened: then its key may go. Other values say nothing but that something is
 * missing. Two bits tell generations apart where keyrings are a step apart.
 */
#define EESP_UNDERWAY 1024
struct eesp_underway {
    uint64_t sum[EESP_UNDERWAY];
};
struct eesp_underway_sums {
    uint64_t level[EESP_LEVELS][4], epoch[4];
};
/* Adds what lane has, from whatever thread. */
EESP_API void eesp_lane_underway(const struct eesp_lane *lane,
                                 struct eesp_underway *underway);
/* What was kept of a lane that is gone follows a keyring, as lanes do. */
EESP_API void eesp_underway_follow(struct eesp_underway *underway,
                                   const struct eesp_policy *old,
                                   const struct eesp_policy *next);
EESP_API void eesp_underway_fold(const struct eesp_underway *underway,
                                 struct eesp_underway_sums *sums);
/* The packet sealed last has not been sent, and never will be. */
EESP_API void eesp_lane_unsent(struct eesp_lane *lane);

/*
 * Packets in memory that another core has just used: seal and open them step by
 * step, and (AES-GCM of ipsec-mb) ask for the next step's memory before. Faster
 * where the two cores share no cache, slower where they do; same results. Off (0)
 * at first, may change at any time.
 */
EESP_API void eesp_lane_stepwise(struct eesp_lane *lane, int on);

/* ---- Seal and open ------------------------------------------------------ */

/* Where a packet goes, as the receiver published it. */
struct eesp_destination {
    uint64_t incarnation; /* its eesp_lane_incarnation() */
    uint64_t id;          /* for DESTINATION */
    uint32_t rank;        /* for RANKS */
    uint16_t session_id;  /* sender's choice: one key and order per value;
                             not looked at where a lease gives it */
};

/* Most bytes a packet is longer than its payload. */
EESP_API size_t eesp_overhead(const struct eesp_policy *policy);

#define EESP_IOV_MAX 24 /* parts of one payload */

/*
 * Seals the concatenation of iov into packet, which must not overlap it and
 * has room for size bytes; *length_p gets the packet's length. The sequence
 * number is taken here. On error nothing of the payload is in packet.
 */
EESP_API int eesp_seal(struct eesp_lane *lane,
                       const struct eesp_destination *destination,
                       const struct iovec *iov, unsigned iovcnt, void *packet,
                       size_t size, size_t *length_p);

/*
 * Bursts: short packets to many peers that are ready together. On a CPU with
 * AVX-512, VAES and VPCLMULQDQ, with CMAC-AES256 and AES-256-GCM and no backend
 * named, up to eight are derived for, sealed or opened side by side, in less
 * time than one takes with its key at hand. Everywhere else, and for long
 * packets, the same packets come out one by one.
 */
struct eesp_seal_item {
    const struct eesp_destination *destination;
    const struct iovec *iov;
    unsigned iovcnt;
    void    *packet;
    size_t   size;   /* bytes of packet */
    size_t   length; /* set: of the packet, 0 after an error */
    int      result; /* set: EESP_OK or EESP_ERR_x */
};

/*
 * eesp_seal() of each of count items, in their order. Returns how many are
 * sealed; the others' result says why not.
 */
EESP_API unsigned eesp_seal_burst(struct eesp_lane *lane,
                                  struct eesp_seal_item *items,
                                  unsigned count);
/*
 * Whether bursts of such packets are sealed side by side here: EESP_OK,
 * EESP_ERR_UNSUPPORTED or, if that gives other answers than libcrypto and is
 * therefore never used, EESP_ERR_CRYPTO. Compares anew, takes milliseconds.
 */
EESP_API int eesp_burst_selftest(void);

/* What one packet has of its own. */
struct eesp_seal_options {
    /* Borrowed for the call; NULL: those of the lane. */
    const struct eesp_selector_values *values;
    /*
     * Units of 4 bytes, from the Payload Info Header on, that stay readable;
     * as many as there are if the packet is shorter.
     */
    unsigned crypt_offset;
};

/* eesp_seal() with options; NULL: none. */
EESP_API int eesp_seal_with(struct eesp_lane *lane,
                            const struct eesp_destination *destination,
                            const struct eesp_seal_options *options,
                            const struct iovec *iov, unsigned iovcnt,
                            void *packet, size_t size, size_t *length_p);

/* Where a proxied packet came from: for audit, not for replay. */
struct eesp_origin {
    uint8_t  hops;
    uint32_t domain, rank;
    uint64_t sequence;
};

/*
 * Next Header of what eesp_seal() makes: for experiments (RFC 3692), here a UCX
 * message. Whoever opens packets of other makers looks at it before the payload.
 */
#define EESP_NEXT_HEADER 253

struct eesp_opened {
    const uint8_t *payload;  /* inside the plaintext buffer */
    size_t         length;   /* of the payload */
    uint64_t       incarnation; /* sender's */
    uint64_t       sequence;
    uint64_t       previous;    /* number opened before this one of the same
                                   source and session; 0: none, or no replay
                                   table */
    uint64_t       source_id;   /* SOURCE, else 0 */
    uint32_t       source_rank; /* RANKS, else 0 */
    uint16_t       session_id;
    uint8_t        next_header;
    uint8_t        proxied;  /* origin is filled, by what a proxy says */
    /* Filled whatever the result, once the header could be read: */
    int            has_source;  /* incarnation and source are filled */
    int            known;       /* this incarnation was opened before */
    struct eesp_origin origin;  /* only if proxied, whatever the result */
};

#define EESP_PAYLOAD_OFFSET 4 /* of the payload in the plaintext buffer */

/*
 * Opens packet into plaintext, which gets Payload Info Header (4), payload and
 * padding; it must not overlap packet and needs room for size >= length bytes.
 * Only EESP_OK releases bytes: after any EESP_DROP_x plaintext holds nothing
 * of the packet, the drop is counted, and nothing else has changed.
 */
EESP_API int eesp_open(struct eesp_lane *lane, const void *packet,
                       size_t length, void *plaintext, size_t size,
                       struct eesp_opened *opened);

/*
 * eesp_open() of a packet whose payload has exactly head_length and then
 * data_length bytes, else EESP_DROP_LENGTH: into head, which gets Payload Info
 * Header (4) and head_length bytes, and into data, where the rest belongs: no
 * copy is made. Neither may overlap packet. data is written to before the ICV
 * has been checked, and wiped if it does not fit; a packet that is refused for
 * anything else leaves it alone. opened->payload is head's.
 */
EESP_API int eesp_open_split(struct eesp_lane *lane, const void *packet,
                             size_t length, void *head, size_t head_length,
                             void *data, size_t data_length,
                             struct eesp_opened *opened);

/* eesp_open() of each of count items, in their order: see eesp_seal_burst(). */
struct eesp_open_item {
    const void *packet;
    size_t      length;
    void       *plaintext;
    size_t      size;          /* bytes of plaintext */
    struct eesp_opened opened; /* set */
    int         result;        /* set: EESP_OK, EESP_ERR_x or EESP_DROP_x */
};

/* Returns how many are opened. */
EESP_API unsigned eesp_open_burst(struct eesp_lane *lane,
                                  struct eesp_open_item *items,
                                  unsigned count);

/*
 * Tells a packet that was sent twice (EESP_DROP_REPLAY) from one whose number
 * was damaged: EESP_OK if it is authentic whatever its sequence number, else
 * why not. Releases nothing: scratch (size >= length) is wiped.
 */
EESP_API int eesp_verify(struct eesp_lane *lane, const void *packet,
                         size_t length, void *scratch, size_t size);

/* ---- Header only --------------------------------------------------------
 * Reads a packet's header without any key, for tools.
 */
enum eesp_option {           /* options beside the context option */
    EESP_HAS_COMMITMENT   = 1,
    EESP_HAS_ORIGIN       = 2,
    EESP_HAS_CRYPT_OFFSET = 4
};

struct eesp_header {
    uint16_t session_id;
    uint32_t spi;
    int      compact;            /* compact option, else full */
    unsigned profile, kdf, aead; /* full only */
    unsigned flags;              /* full only: 0x80 D .. 0x10 X */
    unsigned levels;             /* full only */
    unsigned selectors;          /* compact: RANKS */
    unsigned combination_id;     /* compact only */
    uint16_t epoch;
    unsigned phase_shift;        /* full only */
    uint8_t  generations[EESP_LEVELS]; /* modulo 256, compact: modulo 4 */
    uint64_t incarnation;        /* sender's */
    uint32_t source_rank, destination_rank; /* compact: low 16 bits of the
                                               latter */
    uint64_t source_id, destination_id;
    uint64_t sequence;
    size_t   length;             /* header bytes: Payload Info Header is next */
    unsigned options;            /* enum eesp_option */
    unsigned crypt_offset;       /* readable units of 4 bytes after it */
    uint8_t  commitment[16];
    struct eesp_origin origin;
    struct eesp_selector_values values;
};

EESP_API int eesp_header_parse(const void *packet, size_t length,
                               struct eesp_header *header);

#ifdef __cplusplus
}
#endif
#endif
