/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fips: FIPS mode is refused where there is no provider, or its self-test
 * fails; with one all code is its, and what is not refuses. The provider here
 * is tests/fips/standin.c, which is NONE: what is tested is the way to it.
 */
#include "ring.h"

#include <sys/wait.h>
#include <unistd.h>

#include "aead.h"
#include "aes256.h"
#include "fips.h"
#include "hmac.h"
#include "kdf.h"

static char settings[] = "/tmp/eesp-fips-XXXXXX";
static char why[EESP_WHY_LEN];

static const char *standin(void)
{
    static char path[500];
    const char *top = getenv("top_builddir");

    snprintf(path, sizeof(path), "%s/tests/fips/.libs/standin.so",
             top ? top : ".");
    return path;
}

static int make_settings(void **unused)
{
    int fd     = mkstemp(settings);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    (void)unused;
    if (file == NULL)
        return -1;
    fprintf(file,
            "openssl_conf = init\n[init]\nproviders = providers\n"
            "[providers]\nfips = standin\n[standin]\nmodule = %s\n"
            "activate = 1\n", standin());
    return fclose(file);
}

static int remove_settings(void **unused)
{
    (void)unused;
    return unlink(settings);
}

/* In the order of this file: once it is on, it stays. */
static void refused(void **unused)
{
    (void)unused;
    setenv("OPENSSL_CONF", "/dev/null", 1);
    assert_int_equal(eesp_fips_enable(why), EESP_ERR_UNSUPPORTED);
    assert_non_null(strstr(why, "is not there"));
    assert_non_null(strstr(why, "openssl fipsinstall"));
    assert_null(eesp_fips_provider());
    assert_false(eesp_fips_is_on());
    if (access(standin(), R_OK) != 0)
        skip();
    setenv("OPENSSL_CONF", settings, 1);
    setenv("STANDIN_FAILS", "yes", 1);
    assert_int_equal(eesp_fips_enable(why), EESP_ERR_UNSUPPORTED);
    unsetenv("STANDIN_FAILS");
}

static void too_late(void **unused)
{
    int status;
    pid_t pid;

    (void)unused;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        int late = eesp_crypto_context() == NULL &&
                   eesp_crypto_properties() == NULL &&
                   eesp_fips_enable(why) == EESP_ERR_ARGUMENT &&
                   strstr(why, "must be turned on first") != NULL;

        _exit(late ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void turned_on(void **unused)
{
    unsigned i;

    (void)unused;
    if (access(standin(), R_OK) != 0)
        skip();
    if (eesp_fips_enable(why) != EESP_OK)
        fail_msg("%s", why);
    assert_int_equal(eesp_fips_enable(why), EESP_OK);
    assert_non_null(strstr(eesp_fips_provider(), "NOT a FIPS provider"));
    assert_true(eesp_fips_is_on());
    assert_non_null(eesp_crypto_context());
    assert_string_equal(eesp_crypto_properties(), "fips=yes");
    for (i = 0; i < eesp_kdfs(); i++)
        assert_int_equal(eesp_kdf_selftest(eesp_kdf_at(i)), EESP_OK);
    assert_null(eesp_kdf_at(i));
    assert_ptr_equal(eesp_kdf_by_id(EESP_KDF_CMAC_AES256),
                     &eesp_kdf_fips_cmac_aes256);
    assert_ptr_equal(eesp_kdf_by_name("hmac-sha256"),
                     &eesp_kdf_fips_hmac_sha256);
    assert_null(eesp_kdf_by_name("none"));
}

static void others_refuse(void **unused)
{
    static const uint8_t key[32];
    struct eesp_aes256 aes;
    struct eesp_hmac hmac;
    struct eesp_backend_info info;
    unsigned i;

    (void)unused;
    if (!eesp_fips_is_on())
        skip();
    assert_int_equal(eesp_aes256_open(&aes), EESP_ERR_UNSUPPORTED);
    assert_int_equal(eesp_hmac_key(&hmac, EESP_SHA_256, key, sizeof(key)),
                     EESP_ERR_UNSUPPORTED);
    assert_int_equal(eesp_burst_selftest(), EESP_ERR_UNSUPPORTED);
    for (i = 0; i < eesp_backends(); i++) {
        eesp_backend(i, &info);
        if (strcmp(info.name, "openssl") != 0) {
            assert_false(info.available);
            assert_non_null(info.missing);
        } else if (strcmp(info.algorithm, "aes-256-gcm") == 0) {
            assert_true(info.available);
        } else if (strcmp(info.algorithm, "chacha20-poly1305") == 0) {
            assert_false(info.available);
        }
    }
}

static void derives(void **unused)
{
    const struct eesp_kdf *kdf = &eesp_kdf_fips_cmac_aes256;
    static const uint8_t key[32], context[EESP_CONTEXT_MAX + 1];
    uint8_t out[EESP_DERIVE_MAX + 1], again[EESP_DERIVE_MAX];
    char state[64];

    (void)unused;
    if (!eesp_fips_is_on())
        skip();
    assert_true(kdf->state_size <= sizeof(state));
    assert_int_equal(kdf->open(state), EESP_OK);
    assert_int_equal(kdf->derive(state, "S1", context, 40, out, 44),
                     EESP_ERR_CRYPTO); /* no key yet */
    assert_int_equal(kdf->key(state, key), EESP_OK);
    assert_int_equal(kdf->derive(state, "S1", context, 40, out, 0),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(kdf->derive(state, "S1", context, 40, out, sizeof(out)),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(kdf->derive(state, "S1", context, sizeof(context), out,
                                 44), EESP_ERR_ARGUMENT);
    assert_int_equal(kdf->derive(state, "S1", context, 40, out, 64), EESP_OK);
    assert_int_equal(kdf->derive(state, "S1", context, 40, again, 64), EESP_OK);
    assert_memory_equal(out, again, 64);
    kdf->close(state);
}

static void seals_and_opens(void **unused)
{
    struct iovec iov = {"payload", 8};
    struct eesp_destination to;
    struct eesp_keyring *keyring;
    struct eesp_lane *tx, *rx;
    struct eesp_opened opened;
    static uint8_t packet[256], plain[256];
    size_t length;

    (void)unused;
    if (!eesp_fips_is_on())
        skip();
    keyring = ring_parse(ring_json(7));
    tx      = lane_open(keyring, (struct eesp_lane_params){.rank = 3});
    rx      = lane_open(keyring, (struct eesp_lane_params){.rank = 9});
    to      = (struct eesp_destination){eesp_lane_incarnation(rx), 0, 9, 0};
    assert_string_equal(eesp_lane_backend(tx), "openssl");
    assert_int_equal(eesp_seal(tx, &to, &iov, 1, packet, sizeof(packet),
                               &length), EESP_OK);
    assert_int_equal(eesp_open(rx, packet, length, plain, sizeof(plain),
                               &opened), EESP_OK);
    assert_string_equal((const char *)opened.payload, "payload");
    /* No key log in FIPS mode. */
    assert_int_equal(eesp_lane_keylog(tx, NULL, NULL), EESP_ERR_UNSUPPORTED);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),         cmocka_unit_test(too_late),
        cmocka_unit_test(turned_on),       cmocka_unit_test(others_refuse),
        cmocka_unit_test(derives),         cmocka_unit_test(seals_and_opens),
    };

    return cmocka_run_group_tests(tests, make_settings, remove_settings);
}
