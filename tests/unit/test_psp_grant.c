/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PSP: grants in files. Whoever asks, however many at once, whenever one is
 * killed: a grant makes one SA.
 */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eesp_psp.h"

static char dir[] = "/tmp/eesp-grant.XXXXXX", path[64], other[64];
static struct eesp_psp_receiver *receiver;

static int prepare(void **unused)
{
    (void)unused;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/grant", dir);
    snprintf(other, sizeof(other), "%s/other", dir);
    return eesp_psp_receiver_create(NULL, NULL, &receiver);
}

static int remove_all(void **unused)
{
    (void)unused;
    eesp_psp_receiver_destroy(receiver);
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static struct eesp_psp_grant save(unsigned version, enum eesp_psp_form form)
{
    struct eesp_psp_grant grant;
    char why[EESP_WHY_LEN] = "";

    unlink(path);
    assert_int_equal(eesp_psp_issue(receiver, version, form, &grant), EESP_OK);
    if (eesp_psp_grant_save(&grant, path, why) != EESP_OK)
        fail_msg("%s", why);
    return grant;
}

/* What receiver says of a packet of sa. */
static int works(struct eesp_psp_sa *sa, enum eesp_psp_form form)
{
    const struct eesp_psp_options options = {.next_header = 6};
    struct eesp_psp_opened opened;
    uint8_t packet[200], body[200];
    size_t length;
    int ret = eesp_psp_seal(sa, &options, "text", 4, packet, sizeof(packet),
                            &length);

    if (ret != EESP_OK)
        return ret;
    return (form == EESP_PSP_IN_EESP ? eesp_psp_open_eesp : eesp_psp_open)(
        receiver, packet, length, body, sizeof(body), &opened);
}

static void once(void **unused)
{
    char why[EESP_WHY_LEN];
    struct eesp_psp_sa *sa;
    struct stat st;
    int i;

    (void)unused;
    for (i = 0; i < 4; i++) {
        enum eesp_psp_form form = (enum eesp_psp_form)(i >> 1);
        struct eesp_psp_grant grant = save(i & 1, form);

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(eesp_psp_grant_save(&grant, path, why),
                         EESP_ERR_KEYRING);
        assert_non_null(strstr(why, "File exists"));
        assert_int_equal(eesp_psp_sa_load(path, NULL, &sa, why), EESP_OK);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(works(sa, form), EESP_OK);
        eesp_psp_sa_destroy(sa);
        assert_int_equal(eesp_psp_sa_load(path, NULL, &sa, why),
                         EESP_ERR_KEYRING);
        assert_non_null(strstr(why, "a grant is used once"));
        assert_null(sa);
        /* Brought back: this process knows. */
        assert_int_equal(eesp_psp_grant_save(&grant, path, why), EESP_OK);
        assert_int_equal(eesp_psp_sa_load(path, NULL, &sa, why),
                         EESP_ERR_LEASE);
        assert_null(sa);
    }
}

static void refuse(const char *expected)
{
    char why[EESP_WHY_LEN] = "";
    struct eesp_psp_sa *sa;

    assert_int_equal(eesp_psp_sa_load(path, NULL, &sa, why), EESP_ERR_KEYRING);
    assert_null(sa);
    assert_memory_equal(why, path, strlen(path));
    if (strstr(why, expected) == NULL)
        fail_msg("%s: not: %s", why, expected);
}

/* Files that are no grant or could be used again stay, and are not taken. */
static void refused(void **unused)
{
    static const struct {
        int  at; /* -1: the file ends before the end */
        char c;
    } changes[] = {{0, 'E'}, {15, '2'}, {17, 'A'}, {17, ' '}, {26, '2'},
                   {26, '9'}, {28, 'x'}, {32, 'g'}, {33, 'F'}, {32, ' '},
                   {96, 'x'}, {-1, 0}};
    struct eesp_psp_grant grant = save(1, EESP_PSP_PACKET);
    char line[200], why[EESP_WHY_LEN];
    ssize_t length;
    size_t i;
    int fd;

    (void)unused;
    assert_int_equal(link(path, other), 0);
    refuse("has another name (link)");
    unlink(other);
    chmod(path, 0644);
    refuse("chmod 0600");
    chmod(path, 0600);
    rename(path, other);
    assert_int_equal(symlink(other, path), 0);
    refuse("");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse("not a regular file");
    unlink(path);
    fd     = open(other, O_RDONLY);
    length = read(fd, line, sizeof(line));
    close(fd);
    assert_int_equal(length, 17 + 9 + 2 + 4 + 64 + 1);
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char changed[200];
        size_t n = (size_t)length;

        memcpy(changed, line, n);
        if (changes[i].at >= 0)
            changed[changes[i].at] = changes[i].c;
        else
            n--;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, changed, n), (ssize_t)n);
        close(fd);
        refuse("not a grant of PSP");
        assert_int_equal(access(path, F_OK), 0);
    }
    unlink(path);
    unlink(other);
    grant.version = 3;
    assert_int_equal(eesp_psp_grant_save(&grant, path, why), EESP_ERR_KEYRING);
    assert_int_equal(access(path, F_OK), -1);
}

/* Eight at once: one gets it. */
static void race(void **unused)
{
    enum { CHILDREN = 8, ROUNDS = 50 };
    int round, i, status, got, start[2];
    pid_t pid;

    (void)unused;
    for (round = 0; round < ROUNDS; round++) {
        save(1, EESP_PSP_PACKET);
        assert_int_equal(pipe(start), 0);
        for (i = 0; i < CHILDREN; i++) {
            pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                char why[EESP_WHY_LEN], go;
                struct eesp_psp_sa *sa;

                close(start[1]);
                _exit(read(start[0], &go, 1) == 0 &&
                      eesp_psp_sa_load(path, NULL, &sa, why) == EESP_OK);
            }
        }
        close(start[0]);
        close(start[1]);
        for (got = 0, i = 0; i < CHILDREN; i++) {
            assert_true(wait(&status) > 0);
            assert_true(WIFEXITED(status));
            got += WEXITSTATUS(status);
        }
        assert_int_equal(got, 1);
    }
}

/* Killed at any time: where it could have sealed, there is no file. */
static void killed(void **unused)
{
    enum { ROUNDS = 200 };
    int round, told[2], sealed = 0, kept = 0;
    char byte;
    pid_t pid;

    (void)unused;
    for (round = 0; round < ROUNDS; round++) {
        save(0, EESP_PSP_IN_EESP);
        assert_int_equal(pipe(told), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            char why[EESP_WHY_LEN];
            struct eesp_psp_sa *sa;

            if (eesp_psp_sa_load(path, NULL, &sa, why) == EESP_OK)
                _exit(write(told[1], "x", 1) != 1 || pause());
            _exit(1);
        }
        close(told[1]);
        if (round % 2 == 0)
            usleep((unsigned)round * 5);
        else
            assert_int_equal(read(told[0], &byte, 1), 1);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (round % 2 == 1 || read(told[0], &byte, 1) == 1) {
            assert_int_equal(access(path, F_OK), -1);
            sealed++;
        } else {
            kept += access(path, F_OK) == 0;
        }
        close(told[0]);
    }
    print_message("%d SAs, %d grants left over\n", sealed, kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once), cmocka_unit_test(refused),
        cmocka_unit_test(race), cmocka_unit_test(killed),
    };

    return cmocka_run_group_tests(tests, prepare, remove_all);
}
