/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyring: no key is left in the memory of the process when its keyring is
 * freed or was refused. A child makes the file, so that this process holds of
 * the key only what it takes to know it: every byte changed by MASK.
 */
#include "ring.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyring.h"
#include "secret.h"

enum { KEYS = 2, KEY_LENGTH = 48, TEXT_LENGTH = 64, PIECE = 8, MASK = 0xa7 };

static struct {
    uint8_t bytes[KEYS][KEY_LENGTH];
    uint8_t text[KEYS][TEXT_LENGTH]; /* base64url, without its NUL */
} masked;

static char path[] = "/tmp/eesp-memory-XXXXXX";

static void mask(uint8_t *out, const void *in, size_t length)
{
    const uint8_t *p = in;
    size_t i;

    for (i = 0; i < length; i++)
        out[i] = p[i] ^ MASK;
}

/* What the child writes: before and after change the text of a good keyring. */
struct recipe {
    const char *kid;    /* of the last key */
    const char *behind; /* in the keyring, after its policies */
    unsigned    cut;    /* so much of the last key's text, then no more */
};

static int child(const struct recipe *r, int fd, int out)
{
    uint8_t key[KEY_LENGTH];
    char text[TEXT_LENGTH + 1];
    int k;

    dprintf(fd, "{\"eesp_version\": 1, \"keys\": [");
    for (k = 0; k < KEYS; k++) {
        int last = k + 1 == KEYS;

        if (eesp_random(key, sizeof(key)) != EESP_OK)
            return 1;
        base64url(key, sizeof(key), text);
        mask(masked.bytes[k], key, sizeof(key));
        mask(masked.text[k], text, TEXT_LENGTH);
        dprintf(fd, "%s{\"kty\": \"oct\", \"eesp_generation\": %d, "
                "\"eesp_state\": \"%s\", \"eesp_level\": \"job\", \"k\": \"",
                k ? ", " : "", k, k ? "next" : "current");
        if (last && r->cut) {
            dprintf(fd, "%.*s", (int)r->cut, text);
            goto out;
        }
        dprintf(fd, "%s\", \"kid\": \"%s\"}", text, last ? r->kid : "j");
    }
    dprintf(fd, "], \"eesp_policies\": [{\"spi\": 7, \"name\": \"p\", "
            "\"profile\": \"sl1\", \"kdf\": \"cmac-aes256\", \"aead\": "
            "\"aes-256-gcm\", \"levels\": {\"job\": \"j\"}, \"selectors\": "
            "[\"ranks\"]}]%s}", r->behind);
out:
    return write(out, &masked, sizeof(masked)) == sizeof(masked) ? 0 : 1;
}

/* A new keyring file, and its keys in masked. */
static void make_file(const struct recipe *r)
{
    int fd = open(path, O_WRONLY | O_TRUNC), fds[2], status;
    pid_t pid;

    assert_true(fd >= 0);
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(r, fd, fds[1]));
    assert_int_equal(read(fds[0], &masked, sizeof(masked)), sizeof(masked));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fds[0]);
    close(fds[1]);
    close(fd);
}

/* Pieces of the pattern, which is masked, in length bytes at p. */
static unsigned pieces_in(const uint8_t *p, size_t length,
                          const uint8_t *pattern, size_t size)
{
    unsigned found = 0;
    size_t i, j, at;

    for (at = 0; at + PIECE <= size; at += PIECE)
        for (i = 0; i + PIECE <= length; i++) {
            const uint8_t *next = memchr(p + i, pattern[at] ^ MASK,
                                         length - PIECE + 1 - i);

            if (next == NULL)
                break;
            i = (size_t)(next - p);
            for (j = 1; j < PIECE; j++)
                if ((p[i + j] ^ MASK) != pattern[at + j])
                    break;
            found += j == PIECE;
        }
    return found;
}

static uint8_t window[1 << 16];

/* Pieces of any key, raw or as text, in one mapping. */
static unsigned scan_mapping(int mem, uintptr_t from, uintptr_t to)
{
    unsigned found = 0;
    int k;

    while (from < to) {
        size_t want = to - from < sizeof(window) ? to - from : sizeof(window);
        ssize_t got;

        if (from < (uintptr_t)window + sizeof(window) &&
            from + want > (uintptr_t)window) {
            /* the window sees itself: leave these pages out */
            from += 4096;
            continue;
        }
        got = pread(mem, window, want, (off_t)from);
        if (got <= 0)
            return found;
        for (k = 0; k < KEYS; k++) {
            found += pieces_in(window, (size_t)got, masked.bytes[k],
                               KEY_LENGTH);
            found += pieces_in(window, (size_t)got, masked.text[k],
                               TEXT_LENGTH);
        }
        if ((size_t)got < want || to - from <= want)
            return found;
        from += want - PIECE;
    }
    return found;
}

/* In all memory that this process can read, but for sanitizer shadow. */
static unsigned scan(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int mem    = open("/proc/self/mem", O_RDONLY);
    unsigned long from, to;
    unsigned found = 0;
    char line[512], mode;

    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof(line), maps) != NULL)
        if (sscanf(line, "%lx-%lx %c", &from, &to, &mode) == 3 &&
            mode == 'r' && to - from < 1ul << 30 &&
            strstr(line, "[v") == NULL) /* vdso, vvar, vsyscall */
            found += scan_mapping(mem, from, to);
    explicit_bzero(window, sizeof(window));
    close(mem);
    fclose(maps);
    return found;
}

static int make_path(void **unused)
{
    int fd = mkstemp(path);

    (void)unused;
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_path(void **unused)
{
    (void)unused;
    return unlink(path);
}

static void freed(void **unused)
{
    static const struct recipe good = {"j", "", 0};
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    int i;

    (void)unused;
    for (i = 0; i < 3; i++) {
        make_file(&good);
        assert_int_equal(scan(), 0);
        if (eesp_keyring_load(path, &keyring, why) != EESP_OK)
            fail_msg("%s", why);
        /* Only in the secret memory: so the scan does find keys. */
        assert_int_equal(scan(), KEYS * KEY_LENGTH / PIECE);
        eesp_keyring_free(keyring);
        assert_int_equal(scan(), 0);
    }
}

static void lanes_freed(void **unused)
{
    static const struct recipe good = {"j", "", 0};
    struct eesp_keyring *keyring;
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];
    uint8_t packet[200], kdk[32];
    size_t length;
    unsigned i;

    (void)unused;
    for (i = 0; i < eesp_backends(); i++) {
        struct eesp_destination to = {0};
        struct iovec iov           = {"x", 1};
        struct eesp_backend_info b;

        eesp_backend(i, &b);
        if (!b.available || strcmp(b.algorithm, "aes-256-gcm") != 0)
            continue;
        make_file(&good);
        if (eesp_keyring_load(path, &keyring, why) != EESP_OK)
            fail_msg("%s", why);
        lane = lane_open(keyring, (struct eesp_lane_params){.backend = b.name});
        assert_int_equal(eesp_seal(lane, &to, &iov, 1, packet, sizeof(packet),
                                   &length),
                         EESP_OK);
        /* From now on the derivation key is what must not be found. */
        mask(kdk, keyring->policies[0].suites[0].masters[EESP_CURRENT].kdk, sizeof(kdk));
        memcpy(masked.bytes[0], kdk, sizeof(kdk));
        assert_true(scan() > 0);
        eesp_lane_destroy(lane);
        eesp_keyring_free(keyring);
        assert_int_equal(scan(), 0);
    }
}

/* Defects that are only found when keys have been read. */
static void refused(void **unused)
{
    static const struct recipe bad[] = {
        {"no id", "", 0},
        {"j", ", \"eesp_policies\": []", 0},
        {"j", ", \"eesp_unknown\": 1", 0},
        {"j", "}", 0},
        {"j", ", \"x\": [", 0},
        {"j", "", 8},
        {"j", "", 17},
        {"j", "", 63},
        {"j", "", 64},
    };
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_file(&bad[i]);
        assert_int_equal(eesp_keyring_load(path, &keyring, why),
                         EESP_ERR_KEYRING);
        if (scan() != 0)
            fail_msg("a key is left after: %s", why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed),
        cmocka_unit_test(lanes_freed),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests_name("keyring_memory", tests, make_path,
                                       remove_path);
}
