/* SPDX-License-Identifier: BSD-3-Clause */
/* keyring_file: who may own and read the file, and what else it must be. */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/eesp-keyring-XXXXXX";
static char path[64], other[64];

static int make_dir(void **unused)
{
    (void)unused;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/ring.jwks", dir);
    snprintf(other, sizeof(other), "%s/other", dir);
    return 0;
}

static int remove_dir(void **unused)
{
    (void)unused;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static void write_file(const char *text, size_t length, mode_t mode)
{
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void write_ring(mode_t mode)
{
    json_t *ring = ring_json(7);
    char *text   = json_dumps(ring, 0);

    write_file(text, strlen(text), mode);
    free(text);
    json_decref(ring);
}

static void accepted(const char *name)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    if (eesp_keyring_load(name, &keyring, why) != EESP_OK)
        fail_msg("%s", why);
    assert_int_equal(eesp_keyring_keys(keyring), 4);
    eesp_keyring_free(keyring);
}

/* The message names the file, what was found and, if there is one, a remedy. */
static void refused(const char *name, const char *found, const char *remedy)
{
    struct eesp_keyring *keyring = (void *)1;
    char why[EESP_WHY_LEN];

    assert_int_equal(eesp_keyring_load(name, &keyring, why), EESP_ERR_KEYRING);
    assert_null(keyring);
    if (strncmp(why, name, strlen(name)) != 0 || strstr(why, found) == NULL ||
        strstr(why, remedy) == NULL)
        fail_msg("\"%s\" does not say: %s, %s", why, found, remedy);
}

/* All 512 modes: private to the owner, or to root and one group. */
static void modes(void **unused)
{
    int root = geteuid() == 0;
    mode_t mode;

    (void)unused;
    write_ring(0600);
    for (mode = 0400; mode < 01000; mode++) {
        int fine = mode == 0600 || mode == 0400 ||
                   (root && (mode == 0640 || mode == 0440));
        char text[20];

        if (!(mode & 0400))
            continue; /* its owner cannot read it, unless that is root */
        assert_int_equal(chmod(path, mode), 0);
        snprintf(text, sizeof(text), "mode %04o", (unsigned)mode);
        if (fine)
            accepted(path);
        else
            refused(path, text, "chmod 0600 '/tmp/");
    }
}

static void owners(void **unused)
{
    (void)unused;
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can give a file away\n");
        skip();
    }
    write_ring(0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    refused(path, "owned by uid 12345", "chown 0 '/tmp/");
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(seteuid(12345), 0);
    accepted(path); /* its owner */
    assert_int_equal(chmod(path, 0640), 0);
    refused(path, "mode 0640", "chmod 0600"); /* groups are for root's files */
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(seteuid(12345), 0);
    refused(path, strerror(EACCES), "chown 12345 '/tmp/");
    assert_int_equal(seteuid(0), 0);
    /* root's file, readable by the group of the reader */
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(12345), 0);
    accepted(path);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
}

static void kinds(void **unused)
{
    (void)unused;
    unlink(path);
    refused(path, strerror(ENOENT), "eesp keygen");
    assert_int_equal(symlink("ring.jwks", other), 0);
    refused(other, strerror(ENOENT), "eesp keygen"); /* leads nowhere */
    write_ring(0600);
    accepted(other); /* a symlink is as good as what it leads to */
    assert_int_equal(chmod(path, 0644), 0);
    refused(other, "mode 0644", "chmod 0600");
    unlink(other);

    refused(dir, "not a regular file", "");
    refused("/dev/null", "not a regular file", "");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(5); /* a hang is a failure */
    refused(path, "not a regular file", "");
    alarm(0);
    unlink(path);
    assert_int_equal(symlink("ring.jwks", path), 0); /* to itself */
    refused(path, strerror(ELOOP), "");
    unlink(path);
    refused("", strerror(ENOENT), "");
}

static void contents(void **unused)
{
    json_t *ring = ring_json(7);
    char *text   = json_dumps(ring, 0), *big;
    size_t n     = strlen(text), size = (1 << 20) + 1;

    (void)unused;
    write_file("", 0, 0600);
    refused(path, "empty file", "eesp keygen");
    write_file(text, n - 1, 0600);
    refused(path, "line 1: not a keyring", "eesp keygen");
    write_file(text + 1, n - 1, 0600);
    refused(path, "line 1: not a keyring", "eesp keygen");
    write_file("-----BEGIN PRIVATE KEY-----\n", 28, 0600);
    refused(path, "not a keyring", "eesp keygen");
    write_file("[]", 2, 0600);
    refused(path, "not a JSON object", "eesp keygen");

    /* As large as may be, and a byte more. */
    big = malloc(size);
    assert_non_null(big);
    memset(big, ' ', size);
    memcpy(big, text, n);
    write_file(big, size - 1, 0600);
    accepted(path);
    write_file(big, size, 0600);
    refused(path, "larger than 1048576 bytes", "");
    free(big);
    free(text);
    json_decref(ring);
}

/* A long path is cut, not overrun. */
static void long_path(void **unused)
{
    struct eesp_keyring *keyring;
    char name[5000], why[EESP_WHY_LEN + 1];

    (void)unused;
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    name[0]                = '/';
    why[EESP_WHY_LEN]      = 0x77;
    assert_int_equal(eesp_keyring_load(name, &keyring, why), EESP_ERR_KEYRING);
    assert_true(strlen(why) < EESP_WHY_LEN);
    assert_int_equal(why[EESP_WHY_LEN], 0x77);
    assert_int_equal(eesp_keyring_parse(name, "{}", 2, &keyring, why),
                     EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "eesp_version must be 1"));
}

/* However often: no descriptor is left open. */
static void descriptors(void **unused)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    int before, after, i;

    (void)unused;
    before = dup(0);
    close(before);
    for (i = 0; i < 20; i++) {
        write_ring(i % 2 ? 0600 : 0644);
        if (eesp_keyring_load(path, &keyring, why) == EESP_OK)
            eesp_keyring_free(keyring);
        eesp_keyring_load(dir, &keyring, why);
    }
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

/* No files left is no missing keyring: the remedy must be another one. */
static void no_descriptors(void **unused)
{
    struct rlimit was, none = {.rlim_cur = 0};

    (void)unused;
    write_ring(0600);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none.rlim_max = was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    refused(path, "Too many open files", "ulimit -n");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    accepted(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),     cmocka_unit_test(owners),
        cmocka_unit_test(kinds),     cmocka_unit_test(contents),
        cmocka_unit_test(long_path), cmocka_unit_test(descriptors),
        cmocka_unit_test(no_descriptors),
    };

    return cmocka_run_group_tests_name("keyring_file", tests, make_dir,
                                       remove_dir);
}
