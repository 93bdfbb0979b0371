/* SPDX-License-Identifier: BSD-3-Clause */
/* nonce: no (incarnation, number) is ever given twice. */
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "nonce.h"

struct pair {
    uint64_t incarnation, sequence;
};

static struct pair take(struct eesp_nonce *nonce)
{
    struct pair p;

    assert_int_equal(eesp_nonce_take(nonce, &p.incarnation, &p.sequence),
                     EESP_OK);
    return p;
}

static void count(void **unused)
{
    struct eesp_nonce *n = eesp_nonce_create();
    uint64_t i;

    (void)unused;
    assert_non_null(n);
    assert_true(n->sending == n->receiving); /* at first */
    for (i = 1; i < 1000; i++) {
        struct pair p = take(n);

        assert_true(p.sequence == i);
        assert_true(p.incarnation == n->sending);
    }
    eesp_nonce_destroy(n);
    eesp_nonce_destroy(NULL);
}

static void end_of_numbers(void **unused)
{
    struct eesp_nonce *n = eesp_nonce_create();
    struct pair p        = {7, 7};
    int i;

    (void)unused;
    n->next = UINT64_MAX - 1;
    assert_true(take(n).sequence == UINT64_MAX - 1);
    assert_true(take(n).sequence == UINT64_MAX);
    for (i = 0; i < 1000; i++) {
        assert_int_equal(eesp_nonce_ensure(n), EESP_OK);
        assert_int_equal(eesp_nonce_take(n, &p.incarnation, &p.sequence),
                         EESP_ERR_LIMIT);
        assert_true(p.incarnation == 7 && p.sequence == 7);
    }
    /* Another incarnation may count again. */
    assert_int_equal(eesp_nonce_redraw(n), EESP_OK);
    assert_true(take(n).sequence == 1);
    eesp_nonce_destroy(n);
}

static void reincarnate(void **unused)
{
    struct eesp_nonce *n = eesp_nonce_create();
    uint64_t receiving   = n->receiving;
    struct pair before   = take(n), after;

    (void)unused;
    assert_int_equal(eesp_nonce_redraw(n), EESP_OK);
    after = take(n);
    assert_true(after.incarnation != before.incarnation);
    assert_true(after.sequence == 1);
    assert_true(n->receiving == receiving);
    eesp_nonce_destroy(n);
}

/* Runs child in a fork and reads what it writes, whole. */
static void in_child(void (*child)(int fd, void *arg), void *arg, void *out,
                     size_t size)
{
    uint8_t *p = out;
    int fds[2], status;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        child(fds[1], arg);
        _exit(0);
    }
    close(fds[1]);
    while (size > 0 && (got = read(fds[0], p, size)) > 0) {
        p    += got;
        size -= (size_t)got;
    }
    assert_int_equal(size, 0);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void put(int fd, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    ssize_t done;

    while (size > 0 && (done = write(fd, p, size)) > 0) {
        p    += done;
        size -= (size_t)done;
    }
    if (size > 0)
        _exit(1);
}

static void take_and_show(int fd, void *nonce)
{
    struct eesp_nonce *n = nonce;
    struct pair p;

    if (eesp_nonce_take(n, &p.incarnation, &p.sequence) != EESP_OK)
        _exit(1);
    put(fd, &p, sizeof(p));
    put(fd, &n->receiving, sizeof(n->receiving));
}

static void child_of_fork(void **unused)
{
    struct eesp_nonce *n = eesp_nonce_create(), parent;
    struct {
        struct pair first;
        uint64_t    receiving;
    } child;

    (void)unused;
    take(n);
    assert_int_equal(eesp_nonce_redraw(n), EESP_OK);
    take(n);
    take(n);
    parent = *n;
    in_child(take_and_show, n, &child, sizeof(child));
    assert_true(child.first.incarnation != parent.sending);
    assert_true(child.receiving != parent.receiving);
    assert_true(child.first.incarnation == child.receiving);
    assert_true(child.first.sequence == 1);
    /* and the parent goes on as if nothing had been */
    assert_memory_equal(n, &parent, sizeof(parent));
    assert_true(take(n).sequence == 3);
    eesp_nonce_destroy(n);
}

enum { LANES = 4, EACH = 5000, CHILDREN = 2, GENERATIONS = 20 };

static struct eesp_nonce *lanes[LANES];

/* EACH numbers of every lane, with a reincarnation on the way. */
static size_t issue(struct pair *out)
{
    size_t used = 0;
    int i, lane;

    for (i = 0; i < EACH; i++)
        for (lane = 0; lane < LANES; lane++) {
            if (i == EACH / 2 && lane % 2 == 0 &&
                eesp_nonce_redraw(lanes[lane]) != EESP_OK)
                _exit(1);
            if (eesp_nonce_take(lanes[lane], &out[used].incarnation,
                                &out[used].sequence) != EESP_OK)
                _exit(1);
            used++;
        }
    return used;
}

static void issue_and_show(int fd, void *buffer)
{
    put(fd, buffer, issue(buffer) * sizeof(struct pair));
}

static int by_value(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct pair));
}

/* Lanes and their children, and the children of later times. */
static void never_twice(void **unused)
{
    const size_t round = (size_t)LANES * EACH;
    const size_t total = round * GENERATIONS * (1 + CHILDREN);
    struct pair *all   = malloc(total * sizeof(*all));
    size_t used        = 0, i;
    int generation, child;

    (void)unused;
    assert_non_null(all);
    for (i = 0; i < LANES; i++)
        assert_non_null(lanes[i] = eesp_nonce_create());
    for (generation = 0; generation < GENERATIONS; generation++) {
        used += issue(all + used);
        for (child = 0; child < CHILDREN; child++) {
            in_child(issue_and_show, all + used, all + used,
                     round * sizeof(*all));
            used += round;
        }
    }
    assert_true(used == total && total >= 1000000);
    qsort(all, total, sizeof(*all), by_value);
    for (i = 1; i < total; i++)
        assert_true(by_value(&all[i - 1], &all[i]) != 0);
    for (i = 0; i < LANES; i++)
        eesp_nonce_destroy(lanes[i]);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count),         cmocka_unit_test(end_of_numbers),
        cmocka_unit_test(reincarnate),   cmocka_unit_test(child_of_fork),
        cmocka_unit_test(never_twice),
    };

    return cmocka_run_group_tests_name("nonce", tests, NULL, NULL);
}
