/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failures: libcrypto and the allocator refuse, one call at a time, each call
 * of each scenario once. Whatever refuses, the caller gets an error, no
 * plaintext is released, and nothing crashes. The linker puts the functions
 * below in front of the real ones; a child makes each attempt, since what was
 * fetched once stays.
 */
#include "ring.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aead.h"
#include "eesp_psp.h"
#include "eesp_tss.h"
#include "kdf.h"
#include "lanes.h"

static unsigned calls, fail_at; /* 0: none fails */
static const char **failed;     /* its name, where the parent reads it */

static int fails(const char *name)
{
    if (fail_at == 0 || ++calls != fail_at)
        return 0;
    *failed = name;
    return 1;
}

/* WRAP(type, name, result of a failure, parameters, arguments) */
#define WRAP(_type, _name, _failure, _parameters, ...)                   \
    _type __real_##_name _parameters;                                    \
    _type __wrap_##_name _parameters;                                    \
    _type __wrap_##_name _parameters                                     \
    {                                                                    \
        return fails(#_name) ? (_failure) : __real_##_name(__VA_ARGS__);       \
    }

WRAP(EVP_CIPHER *, EVP_CIPHER_fetch, NULL,
     (OSSL_LIB_CTX *a, const char *b, const char *c), a, b, c)
WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, (void), )
WRAP(int, EVP_CIPHER_CTX_ctrl, 0, (EVP_CIPHER_CTX *a, int b, int c, void *d),
     a, b, c, d)
WRAP(int, EVP_CIPHER_CTX_set_padding, 0, (EVP_CIPHER_CTX *a, int b), a, b)
WRAP(int, EVP_CipherInit_ex2, 0,
     (EVP_CIPHER_CTX *a, const EVP_CIPHER *b, const unsigned char *c,
      const unsigned char *d, int e, const OSSL_PARAM f[]), a, b, c, d, e, f)
WRAP(int, EVP_CipherUpdate, 0,
     (EVP_CIPHER_CTX *a, unsigned char *b, int *c, const unsigned char *d,
      int e), a, b, c, d, e)
WRAP(int, EVP_CipherFinal_ex, 0, (EVP_CIPHER_CTX *a, unsigned char *b, int *c),
     a, b, c)
WRAP(int, EVP_EncryptInit_ex2, 0,
     (EVP_CIPHER_CTX *a, const EVP_CIPHER *b, const unsigned char *c,
      const unsigned char *d, const OSSL_PARAM e[]), a, b, c, d, e)
WRAP(int, EVP_EncryptUpdate, 0,
     (EVP_CIPHER_CTX *a, unsigned char *b, int *c, const unsigned char *d,
      int e), a, b, c, d, e)
WRAP(EVP_KDF *, EVP_KDF_fetch, NULL,
     (OSSL_LIB_CTX *a, const char *b, const char *c), a, b, c)
WRAP(EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, (EVP_KDF *a), a)
WRAP(int, EVP_KDF_derive, 0,
     (EVP_KDF_CTX *a, unsigned char *b, size_t c, const OSSL_PARAM d[]), a, b,
     c, d)
WRAP(int, SHA256_Init, 0, (SHA256_CTX *a), a)
WRAP(int, SHA256_Update, 0, (SHA256_CTX *a, const void *b, size_t c), a, b, c)
WRAP(int, SHA256_Final, 0, (unsigned char *a, SHA256_CTX *b), a, b)
WRAP(int, SHA384_Init, 0, (SHA512_CTX *a), a)
WRAP(int, SHA512_Init, 0, (SHA512_CTX *a), a)
WRAP(int, SHA512_Update, 0, (SHA512_CTX *a, const void *b, size_t c), a, b, c)
WRAP(int, SHA512_Final, 0, (unsigned char *a, SHA512_CTX *b), a, b)
WRAP(void *, calloc, NULL, (size_t a, size_t b), a, b)
WRAP(void *, malloc, NULL, (size_t a), a)
WRAP(void *, aligned_alloc, NULL, (size_t a, size_t b), a, b)
WRAP(void *, mmap, MAP_FAILED, (void *a, size_t b, int c, int d, int e, off_t f),
     a, b, c, d, e, f)
WRAP(ssize_t, getrandom, -1, (void *a, size_t b, unsigned c), a, b, c)

/* Parameters of the scenario that runs. */
static const char *kdf_name, *aead_name, *backend;
static char *text; /* of its keyring */

/* Everything that a keyring and two lanes do with one packet. */
static int packet(void)
{
    static const char marker[] = "marker of the plaintext";
    struct eesp_keyring *keyring = NULL, *next = NULL;
    struct eesp_lane *tx = NULL, *rx = NULL;
    struct eesp_destination d = {.rank = 2};
    struct iovec iov = {(void *)marker, sizeof(marker)};
    uint8_t wire[256], plain[256] = {0}, value[EESP_CHECK_VALUE_LEN];
    const struct eesp_policy *policy;
    uint8_t generations[EESP_LEVELS];
    struct eesp_grant grant;
    struct eesp_opened opened;
    char why[EESP_WHY_LEN];
    size_t length;
    int ret = eesp_keyring_parse("ring", text, strlen(text), &keyring, why);

    if (ret != EESP_OK)
        goto out;
    policy = eesp_keyring_policy_at(keyring, 0);
    eesp_policy_generations(policy, generations);
    ret = eesp_policy_check_value(policy, generations, value);
    if (ret == EESP_OK)
        ret = eesp_policy_grant(policy, EESP_CURRENT + EESP_STATES *
                                EESP_CURRENT, NULL, &grant);
    if (ret == EESP_OK)
        ret = eesp_lane_create(&(struct eesp_lane_params){
                                   .keyring = keyring, .policy = policy,
                                   .backend = backend, .key_cache = 4,
                                   .replay_table = 4, .rank = 1}, &tx, why);
    if (ret == EESP_OK)
        ret = eesp_lane_create(&(struct eesp_lane_params){
                                   .keyring = keyring, .policy = policy,
                                   .backend = backend, .key_cache = 4,
                                   .replay_table = 4, .rank = 2}, &rx, why);
    if (ret != EESP_OK)
        goto out;
    d.incarnation = eesp_lane_incarnation(rx);
    if (d.incarnation == 0) {
        ret = EESP_ERR_CRYPTO;
        goto out;
    }
    ret = eesp_seal(tx, &d, &iov, 1, wire, sizeof(wire), &length);
    if (ret == EESP_OK) {
        ret = eesp_open(rx, wire, length, plain, sizeof(plain), &opened);
        if (ret != EESP_OK &&
            memmem(plain, sizeof(plain), marker, sizeof(marker)) != NULL)
            abort(); /* plaintext was released */
    }
    if (ret == EESP_OK)
        ret = eesp_keyring_parse("next", text, strlen(text), &next, why);
    if (ret == EESP_OK)
        ret = eesp_lane_reload(rx, next, why);
out:
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
    eesp_keyring_free(next);
    return ret;
}

static int psp(void)
{
    struct eesp_psp_receiver *receiver = NULL;
    struct eesp_psp_options options    = {.next_header = 17};
    struct eesp_psp_sa *sa             = NULL;
    struct eesp_psp_opened opened;
    struct eesp_psp_grant grant;
    uint8_t wire[256], body[256];
    size_t length;
    int ret = eesp_psp_receiver_create(NULL, backend, &receiver);

    if (ret == EESP_OK)
        ret = eesp_psp_rotate(receiver);
    if (ret == EESP_OK)
        ret = eesp_psp_issue(receiver, 1, EESP_PSP_PACKET, &grant);
    if (ret == EESP_OK)
        ret = eesp_psp_sa_create(&grant, backend, &sa);
    if (ret == EESP_OK)
        ret = eesp_psp_seal(sa, &options, "four", 4, wire, sizeof(wire),
                            &length);
    if (ret == EESP_OK)
        ret = eesp_psp_open(receiver, wire, length, body, sizeof(body),
                            &opened);
    eesp_psp_sa_destroy(sa);
    eesp_psp_receiver_destroy(receiver);
    return ret;
}

static int tss(void)
{
    static const uint8_t key[EESP_TSS_KEY_LEN] = {1};
    struct eesp_tss_params params = {.mode = EESP_TSS_CLUSTER, .sdi = 1,
                                     .ssi = 1, .backend = backend};
    struct eesp_tss *tx = NULL, *rx = NULL;
    struct eesp_tss_opened opened;
    uint8_t wire[256], body[256];
    size_t length;
    int ret = eesp_tss_create(&params, &tx);

    params.ssi = 2;
    if (ret == EESP_OK)
        ret = eesp_tss_create(&params, &rx);
    if (ret == EESP_OK)
        ret = eesp_tss_set_key(tx, 0, key, 5);
    if (ret == EESP_OK)
        ret = eesp_tss_set_key(rx, 0, key, 5);
    if (ret == EESP_OK)
        ret = eesp_tss_send_from(tx, 0, 5, 0, 1);
    if (ret == EESP_OK)
        ret = eesp_tss_seal(tx, NULL, "four", 4, wire, sizeof(wire), &length);
    if (ret == EESP_OK)
        ret = eesp_tss_open(rx, NULL, wire, length, body, sizeof(body),
                            &opened);
    eesp_tss_destroy(tx);
    eesp_tss_destroy(rx);
    return ret;
}

static int selftests(void)
{
    const struct eesp_aead *aead;
    const struct eesp_kdf *kdf;
    int ret = EESP_OK;
    unsigned i;

    for (i = 0; (kdf = eesp_kdf_at(i)) != NULL && ret == EESP_OK; i++)
        ret = eesp_kdf_selftest(kdf);
    for (i = 0; (aead = eesp_aead_at(i)) != NULL && ret == EESP_OK; i++)
        if (aead->missing() == NULL)
            ret = eesp_aead_selftest(aead);
    return ret;
}

/* Exit status of the child: nothing failed, an error was told, or was not. */
enum { THROUGH = 10, TOLD, NOT_TOLD };

static int attempt(int (*scenario)(void), unsigned n)
{
    int status, ret;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        calls   = 0;
        fail_at = n;
        ret     = scenario();
        fail_at = 0;
        exit(calls < n ? THROUGH : ret != EESP_OK ? TOLD : NOT_TOLD);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/*
 * How many calls could fail. silent: how many of them may go by: a key that is
 * to be wiped is replaced by zeros, and a forged packet is to be refused.
 */
static unsigned each_call(int (*scenario)(void), unsigned silent)
{
    unsigned n = 1;
    int status;

    for (;; n++) {
        status = attempt(scenario, n);
        if (status == THROUGH)
            return n - 1;
        if (status == NOT_TOLD && silent > 0 &&
            strncmp(*failed, "EVP_", 4) == 0)
            silent--;
        else if (status != TOLD)
            fail_msg("%s, %s, %s: call %u, %s, fails, and status is %d",
                     kdf_name ? kdf_name : "-", aead_name ? aead_name : "-",
                     backend ? backend : "-", n, *failed, status);
    }
}

static void use(const char *kdf, const char *aead, int commit)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

    kdf_name  = kdf;
    aead_name = aead;
    json_object_set_new(policy, "kdf", json_string(kdf));
    json_object_set_new(policy, "aead", json_string(aead));
    if (commit)
        json_object_set_new(policy, "commit", json_true());
    if (strcmp(aead, "aes-256-gmac") == 0)
        json_object_set_new(policy, "confidentiality", json_false());
    free(text);
    text = json_dumps(ring, 0);
    json_decref(ring);
}

static void every_kdf(void **unused)
{
    const struct eesp_kdf *kdf;
    unsigned i;

    (void)unused;
    backend = NULL;
    for (i = 0; (kdf = eesp_kdf_at(i)) != NULL; i++) {
        use(kdf->name, "aes-256-gcm", kdf->id != EESP_KDF_CMAC_AES256);
        /* libcrypto's ciphers are fetched, the others of them, too. */
        assert_true(each_call(packet, 4 + 2) > 20);
    }
}

static void every_backend(void **unused)
{
    const struct eesp_aead *aead;
    unsigned i;

    (void)unused;
    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++) {
        if (aead->missing() != NULL)
            continue;
        backend = aead->backend;
        use("cmac-aes256", aead->name, 0);
        assert_true(each_call(packet, 2) > 20);
    }
}

static void other_packets(void **unused)
{
    (void)unused;
    backend = "openssl";
    assert_true(each_call(psp, 0) > 10);
    assert_true(each_call(tss, 0) > 10);
    backend = NULL;
    assert_true(each_call(psp, 0) > 5);
    assert_true(each_call(tss, 0) > 5);
}

static void known_answers(void **unused)
{
    unsigned n;

    (void)unused;
    backend = NULL;
    assert_true(each_call(selftests, 3 * 5) > 20);
    /* The first calls: there are a thousand, and the later are the same. */
    for (n = 1; n <= 20 && eesp_burst_selftest() == EESP_OK; n++)
        assert_int_equal(attempt(eesp_burst_selftest, n), TOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kdf),
        cmocka_unit_test(every_backend),
        cmocka_unit_test(other_packets),
        cmocka_unit_test(known_answers),
    };
    int ret;

    failed = mmap(NULL, sizeof(*failed), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (failed == MAP_FAILED)
        return 1;
    /* Once for a process, and no failure: lanes then do without. */
    (void)eesp_lanes_missing();
    ret = cmocka_run_group_tests_name("failures", tests, NULL, NULL);

    free(text);
    return ret;
}
