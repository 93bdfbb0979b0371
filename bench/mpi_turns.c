/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi_turns.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 16, PATIENCE = 60 /* seconds for one turn */ };

/* In the file. */
struct turns {
    _Atomic uint32_t started; /* jobs */
    _Atomic uint32_t passed;  /* turns */
};

static struct turns *turns;
static char name[PATH_MAX]; /* of the file */
static unsigned own, jobs;
static uint32_t taken; /* turns of this job, counted by each rank */
static int started;

int turns_open(const char *text)
{
    const char *numbers = strchr(text, ':');
    char more;
    int fd;

    if (numbers == NULL || (size_t)(numbers - text) >= sizeof(name) ||
        sscanf(numbers, ":%u:%u%c", &own, &jobs, &more) != 2 || jobs == 0 ||
        jobs > JOBS_MAX || own >= jobs)
        return 0;
    memcpy(name, text, (size_t)(numbers - text));
    name[numbers - text] = '\0';
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*turns)) != 0)
        err(1, "%s", name);
    turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                 0);
    if (turns == MAP_FAILED)
        err(1, "%s", name);
    close(fd);
    /* Nobody passes a turn before all have started. */
    if (atomic_load(&turns->passed) != 0)
        errx(1, "%s is of an earlier run: rm it", name);
    return 1;
}

static void increase(_Atomic uint32_t *counter)
{
    atomic_fetch_add(counter, 1);
    syscall(SYS_futex, counter, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Until the counter has another value than this one. */
static void sleep_while(_Atomic uint32_t *counter, uint32_t value)
{
    const struct timespec patience = {.tv_sec = PATIENCE};

    if (syscall(SYS_futex, counter, FUTEX_WAIT, value, &patience, NULL, 0) != 0
        && errno == ETIMEDOUT)
        errx(1, "%s: no turn was passed on for %d s: see what the other jobs say",
             name, PATIENCE);
}

void turns_take(MPI_Comm comm)
{
    uint32_t seen;
    int rank;

    if (turns == NULL)
        return;
    if (!started) {
        MPI_Barrier(comm);
        MPI_Comm_rank(comm, &rank);
        if (rank == 0)
            increase(&turns->started);
        started = 1;
    }
    while ((seen = atomic_load(&turns->started)) < jobs)
        sleep_while(&turns->started, seen);
    while ((seen = atomic_load(&turns->passed)) < taken * jobs + own)
        sleep_while(&turns->passed, seen);
}

void turns_pass(MPI_Comm comm)
{
    int rank;

    if (turns == NULL)
        return;
    MPI_Barrier(comm);
    MPI_Comm_rank(comm, &rank);
    taken++;
    if (rank == 0)
        increase(&turns->passed);
}
