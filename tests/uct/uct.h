/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the programs of tests/uct share: checks that end the program at the
 * first mismatch, a deadline, a second process, data that both sides know.
 *
 *     deadline(30);
 *     stage("tag, %zu bytes", n);
 *     check(status == UCS_OK, "send: %s", ucs_status_string(status));
 *
 * Only UCX's public interface is used.
 */
#ifndef TESTS_UCT_H
#define TESTS_UCT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Names what is being tested, for the messages of check() and deadline(). */
void stage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program with status 1. */
void fail(const char *file, int line, const char *condition,
          const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

#define check(condition, ...)                                                  \
    ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition, __VA_ARGS__))
/* A call that must give UCS_OK. */
#define check_ok(call)                                                         \
    do {                                                                       \
        ucs_status_t check_status = (call);                                    \
        check(check_status == UCS_OK, #call ": %s",                            \
              ucs_status_string(check_status));                                \
    } while (0)

/* After so many seconds the program ends with status 124 and says where. */
void deadline(unsigned seconds);

/* Ends the program when there is no memory. The caller frees. */
void *allocate(size_t size);

/* n bytes that depend on the seed and on their place. */
void pattern_fill(void *buffer, size_t n, uint64_t seed);
void pattern_check(const void *buffer, size_t n, uint64_t seed);

/* Resident memory in KiB, and that it has grown by less than so much since.
 * With EESP_TEST_SANITIZED in the environment nothing is checked: a sanitizer
 * keeps what was freed, and looks for leaks itself. */
long resident(void);
void check_growth(long before, long less_than);

/* A test by its name; a table of them ends with a NULL name. */
struct group {
    const char *name;
    void (*run)(void);
};

/* Runs the groups that are named, in the order of the table; all of them if
 * none is. Returns 0, or 2 for a name that is not there. */
int run_groups(const struct group *groups, int argc, char **argv);

/*
 * Two processes: the one that was started, side 0, starts another one of the
 * same program and arguments, side 1, with a socket between them.
 */
struct pair {
    int side;
    int fd;
    pid_t peer; /* of side 0 */
};

void pair_start(struct pair *pair, char **argv);
/* Side 0 waits for side 1, and fails if that did. */
void pair_finish(const struct pair *pair);

/* One block of bytes to the other side, and from it; the caller frees. Blocks
 * without progress: for what is exchanged before there is anything to do. */
void pair_put(const struct pair *pair, const void *data, size_t length);
void *pair_get(const struct pair *pair, size_t *length);

/* Until the other side comes here too, calls wait(pair->fd), which makes UCX
 * progress and may sleep until the socket can be read. */
void pair_meet(const struct pair *pair, void (*wait)(int fd));

#endif
