/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane: while it works, no derivation key and no data key lies in memory that
 * a core dump would hold (mappings without the flag "dd", MADV_DONTDUMP).
 * /proc/PID/mem shows all memory; smaps tells which of it would be dumped.
 */
#include "ring.h"

#include <fcntl.h>
#include <unistd.h>

#include "context.h"
#include "lane.h"
#include "secret.h"

enum { MASK = 0x5c, SECRETS = 2, LENGTH = 32 };

/* A sanitizer's shadow memory is larger by far, and no key is copied there. */
#define MAPPING_MAX ((uintptr_t)1 << 30)

/* Every byte changed by MASK, or the search would find itself. */
static uint8_t secrets[SECRETS][LENGTH];
static uint8_t window[1 << 20];

static void keep(int n, const uint8_t *key)
{
    int i;

    for (i = 0; i < LENGTH; i++)
        secrets[n][i] = key[i] ^ MASK;
}

static unsigned count_in(const uint8_t *p, size_t length, int n)
{
    unsigned found = 0;
    size_t i;
    int j;

    for (i = 0; i + LENGTH <= length; i++) {
        for (j = 0; j < LENGTH && (p[i + (size_t)j] ^ MASK) == secrets[n][j];)
            j++;
        found += j == LENGTH;
    }
    return found;
}

static void scan_mapping(int mem, uintptr_t from, uintptr_t to,
                         unsigned found[SECRETS])
{
    int n;

    if (to - from > MAPPING_MAX)
        return;
    for (; from < to; from += sizeof(window) - LENGTH) {
        size_t want = to - from < sizeof(window) ? to - from : sizeof(window);
        ssize_t got;

        if (from < (uintptr_t)window + sizeof(window) &&
            from + want > (uintptr_t)window)
            continue; /* what was just read */
        got = pread(mem, window, want, (off_t)from);
        for (n = 0; got > 0 && n < SECRETS; n++)
            found[n] += count_in(window, (size_t)got, n);
        explicit_bzero(window, sizeof(window));
    }
}

/* How often each secret lies in memory with (dd) or without the flag. */
static void scan(int with_flag, unsigned found[SECRETS])
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    int mem     = open("/proc/self/mem", O_RDONLY);
    unsigned long from = 0, to = 0;
    char line[512], mode[5] = "";

    assert_non_null(smaps);
    assert_true(mem >= 0);
    memset(found, 0, SECRETS * sizeof(*found));
    while (fgets(line, sizeof(line), smaps) != NULL) {
        unsigned long a, b;
        char m[5];

        if (sscanf(line, "%lx-%lx %4s ", &a, &b, m) == 3) {
            from = a;
            to   = b;
            memcpy(mode, m, sizeof(mode));
        } else if (strncmp(line, "VmFlags:", 8) == 0 && mode[0] == 'r' &&
                   (strstr(line, " dd") != NULL) == with_flag) {
            scan_mapping(mem, from, to, found);
        }
    }
    close(mem);
    fclose(smaps);
}

static int have_aes_instructions(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("aes");
#else
    return 0;
#endif
}

static void nothing_to_dump(void **unused)
{
    struct eesp_lane_params par = {.rank = 1};
    struct eesp_destination peer = {.rank = 2, .incarnation = 77};
    uint8_t packet[256], out[LENGTH + EESP_NONCE_LEN];
    unsigned in_secret[SECRETS], dumped[SECRETS];
    struct eesp_keyring *keyring;
    struct eesp_key_name name = {.master = 0};
    struct eesp_header header;
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];
    const uint8_t *kdk;
    void *state;
    size_t length;

    (void)unused;
    if (!have_aes_instructions() ||
        strncmp(eesp_aead_find(EESP_AEAD_AES_256_GCM, NULL)->backend,
                "ipsec-mb", 8) != 0) {
        print_message("SKIPPED: libcrypto holds the keys here\n");
        skip();
    }
    assert_int_equal(ring_try(ring_json(7), &keyring, why), EESP_OK);
    par.keyring = keyring;
    par.policy  = eesp_keyring_policy_at(keyring, 0);
    assert_int_equal(eesp_lane_create(&par, &lane, why), EESP_OK);
    assert_int_equal(eesp_seal(lane, &peer, NULL, 0, packet, sizeof(packet),
                               &length), EESP_OK);

    /* The data key just used, derived again, with all of its copies wiped. */
    kdk = par.policy->suites[0].masters[par.policy->send].kdk;
    keep(0, kdk);
    assert_int_equal(eesp_header_parse(packet, length, &header), EESP_OK);
    name.length = (uint16_t)eesp_context_build(&par.policy->info, &header,
                                               peer.incarnation, name.context);
    state = eesp_secret_alloc(eesp_kdf_cmac_aes256.state_size);
    assert_int_equal(eesp_kdf_cmac_aes256.open(state), EESP_OK);
    assert_int_equal(eesp_kdf_cmac_aes256.key(state, kdk), EESP_OK);
    assert_int_equal(eesp_kdf_cmac_aes256.derive(
                         state, EESP_LABEL_DATA_KEY, name.context, name.length,
                         out, sizeof(out)), EESP_OK);
    eesp_kdf_cmac_aes256.close(state);
    eesp_secret_free(state, eesp_kdf_cmac_aes256.state_size);
    keep(1, out);
    explicit_bzero(out, sizeof(out));

    scan(1, in_secret);
    scan(0, dumped);
    assert_true(in_secret[0] > 0); /* the search does find them */
    assert_true(in_secret[1] > 0);
    assert_int_equal(dumped[0], 0);
    assert_int_equal(dumped[1], 0);
    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_dump),
    };

    return cmocka_run_group_tests_name("lane memory", tests, NULL, NULL);
}
