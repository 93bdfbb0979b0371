/* SPDX-License-Identifier: BSD-3-Clause */
#include "uct.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEER_VARIABLE "EESP_TEST_PEER"

static char stage_name[160] = "start";
static pid_t child; /* side 1, as long as it has not been waited for */

void stage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(stage_name, sizeof(stage_name), format, args);
    va_end(args);
}

void fail(const char *file, int line, const char *condition,
          const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: %s: %s: ", file, line, stage_name, condition);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(125);
}

static void too_late(int signal_number)
{
    (void)signal_number;
    say("no end: ");
    say(stage_name);
    say("\n");
    if (child > 0)
        kill(child, SIGKILL);
    _exit(124);
}

void deadline(unsigned seconds)
{
    signal(SIGALRM, too_late);
    alarm(seconds);
}

void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);

    check(memory != NULL, "no %zu bytes", size);
    return memory;
}

static uint8_t pattern_byte(size_t place, uint64_t seed)
{
    uint64_t x = (place / 8 + 1) * 0x9e3779b97f4a7c15ul + seed;

    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ul;
    return (uint8_t)(x >> (place % 8 * 8));
}

void pattern_fill(void *buffer, size_t n, uint64_t seed)
{
    uint8_t *p = buffer;

    for (size_t i = 0; i < n; i++)
        p[i] = pattern_byte(i, seed);
}

void pattern_check(const void *buffer, size_t n, uint64_t seed)
{
    const uint8_t *p = buffer;

    for (size_t i = 0; i < n; i++)
        check(p[i] == pattern_byte(i, seed), "byte %zu of %zu is %02x, not %02x",
              i, n, p[i], pattern_byte(i, seed));
}

long resident(void)
{
    long pages = 0, size;
    FILE *statm = fopen("/proc/self/statm", "r");

    check(statm != NULL, "statm: %s", strerror(errno));
    check(fscanf(statm, "%ld %ld", &size, &pages) == 2, "cannot read statm");
    fclose(statm);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void check_growth(long before, long less_than)
{
    long after = resident();

    check(after - before < less_than || getenv("EESP_TEST_SANITIZED") != NULL,
          "%ld KiB grew to %ld", before, after);
}

static int named(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return 0;
}

int run_groups(const struct group *groups, int argc, char **argv)
{
    const struct group *group;
    int found = 0;

    for (group = groups; group->name != NULL; group++) {
        if (argc > 1 && !named(group->name, argc, argv))
            continue;
        stage("%s", group->name);
        group->run();
        found++;
    }
    if (argc > 1 && found != argc - 1) {
        fprintf(stderr, "%s: no such group among:", argv[0]);
        for (group = groups; group->name != NULL; group++)
            fprintf(stderr, " %s", group->name);
        fputc('\n', stderr);
        return 2;
    }
    return 0;
}

/* ---- Pair --------------------------------------------------------------- */

/* Side 1 does not outlive side 0, but may say why it ends. */
static void reap(void)
{
    for (int i = 0; i < 40 && child > 0; i++) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            child = 0;
        else
            usleep(50000);
    }
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

void pair_start(struct pair *pair, char **argv)
{
    const char *inherited = getenv(PEER_VARIABLE);
    char number[16];
    int fds[2];

    if (inherited != NULL) {
        pair->side = 1;
        pair->fd   = atoi(inherited);
        pair->peer = -1;
        unsetenv(PEER_VARIABLE);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return;
    }

    check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "%s", strerror(errno));
    pair->side = 0;
    pair->fd   = fds[0];
    pair->peer = fork();
    check(pair->peer >= 0, "fork: %s", strerror(errno));
    if (pair->peer == 0) {
        close(fds[0]);
        snprintf(number, sizeof(number), "%d", fds[1]);
        setenv(PEER_VARIABLE, number, 1);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    close(fds[1]);
    child = pair->peer;
    atexit(reap);
}

void pair_finish(const struct pair *pair)
{
    int status;

    if (pair->side != 0)
        return;
    check(waitpid(pair->peer, &status, 0) == pair->peer, "%s", strerror(errno));
    child = 0;
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "side 1 ended with status %#x", (unsigned)status);
}

static void put_all(int fd, const void *data, size_t length)
{
    const char *p = data;
    ssize_t n;

    for (; length > 0; p += n, length -= (size_t)n) {
        n = send(fd, p, length, MSG_NOSIGNAL);
        check(n > 0, "the other side is gone: %s", strerror(errno));
    }
}

static void get_all(int fd, void *data, size_t length)
{
    char *p = data;
    ssize_t n;

    for (; length > 0; p += n, length -= (size_t)n) {
        n = recv(fd, p, length, 0);
        check(n > 0, "the other side is gone");
    }
}

void pair_put(const struct pair *pair, const void *data, size_t length)
{
    put_all(pair->fd, &length, sizeof(length));
    put_all(pair->fd, data, length);
}

void *pair_get(const struct pair *pair, size_t *length)
{
    void *data;

    get_all(pair->fd, length, sizeof(*length));
    data = allocate(*length);
    get_all(pair->fd, data, *length);
    return data;
}

void pair_meet(const struct pair *pair, void (*wait)(int fd))
{
    char here = '.';
    ssize_t n;

    put_all(pair->fd, &here, 1);
    for (;;) {
        n = recv(pair->fd, &here, 1, MSG_DONTWAIT);
        if (n == 1)
            return;
        check(n < 0 && (errno == EAGAIN || errno == EINTR),
              "the other side is gone");
        wait(pair->fd);
    }
}
