/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_job: what mpi_compare's tests share. A test is one entry of a table;
 * whoever adds one says what an iteration does and what must have arrived.
 */
#ifndef MPI_JOB_H
#define MPI_JOB_H

#include <mpi.h>
#include <stddef.h>

/* Messages under way at a time, within so many bytes. */
enum { FLIGHT_MAX = 64, FLIGHT_MIN = 4, FLIGHT_BYTES = 8 << 20 };

struct job {
    int      rank, ranks;
    size_t   size;
    char    *out, *in;
    unsigned flight;
    long     iteration; /* counts up, the same on all ranks */
    MPI_Win  window;    /* one-sided tests: in of rank 1 */
};

enum members {
    MEMBERS_PAIR, /* ranks 0 and 1 */
    MEMBERS_ALL,
    MEMBERS_HALVES, /* all of an even number: the first half to the second */
};

struct command {
    const char  *name, *title, *column;
    enum members members;
    int          one_sided;
    int          origin_times; /* the time is rank 0's, else the mean */
    /* Sizes are multiples of it. */
    size_t granule;
    /* How many times size the buffers are long. */
    unsigned (*out_copies)(const struct job *job);
    unsigned (*in_copies)(const struct job *job);
    /* One iteration of every rank that takes part. */
    void (*step)(struct job *job);
    void (*check)(struct job *job);
    /* What to print for the seconds of one iteration. */
    double (*figure)(const struct job *job, double seconds);
};

/* Tables, each ended by an entry without a name. */
extern const struct command mpi_pairs[], mpi_collectives[], mpi_onesided[];

/* Bytes that stream number from sends; with --marker all are alike. */
void job_fill(char *buffer, size_t size, int from);
/* buffer holds as many bytes of that stream, or the job ends. */
void job_expect(const struct job *job, const char *buffer, size_t size,
                int from);
void job_fail(const struct job *job, const char *what);

unsigned job_one_copy(const struct job *job);
unsigned job_flight_copies(const struct job *job);
unsigned job_rank_copies(const struct job *job);

double job_microseconds(const struct job *job, double seconds);

#endif
