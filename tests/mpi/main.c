/* SPDX-License-Identifier: BSD-3-Clause
 *
 * mpi_check [-r ROUNDS] [GROUP...]: runs the named groups, or all of them, once
 * or several times.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group {
    const char *name;
    void (*run)(void);
    int in_all; /* part of a run without arguments */
};

/* `marker` is for captures of the wire and says nothing about the data,
 * `rma_fence` is part of `rma_user`: they run only when named. */
static const struct group groups[] = {
    {"p2p", group_p2p, 1},
    {"types", group_types, 1},
    {"unexpected", group_unexpected, 1},
    {"reordered", group_reordered, 1},
    {"wildcard", group_wildcard, 1},
    {"flood", group_flood, 1},
    {"allreduce", group_allreduce, 1},
    {"alltoall", group_alltoall, 1},
    {"bcast", group_bcast, 1},
    {"reduce_scatter", group_reduce_scatter, 1},
    {"icoll", group_icoll, 1},
    {"rma", group_rma, 1},
    {"rma_user", group_rma_user, 1},
    {"rma_fence", group_rma_fence, 0},
    {"marker", group_marker, 0},
};

#define NGROUPS (sizeof(groups) / sizeof(groups[0]))

static const struct group *find(const char *name)
{
    size_t i;

    for (i = 0; i < NGROUPS; i++) {
        if (strcmp(groups[i].name, name) == 0) {
            return &groups[i];
        }
    }
    return NULL;
}

/* The barrier keeps a group's traffic apart from the next one's, so that a
 * mismatch is reported under the right name. */
static void run(const struct group *g)
{
    double t0 = MPI_Wtime();

    g->run();
    MPI_Barrier(MPI_COMM_WORLD);
    if (job.rank == 0) {
        printf("mpi_check: %s done, %.2f s\n", g->name, MPI_Wtime() - t0);
        fflush(stdout);
    }
}

/* Fills `chosen` from the command line; the number of groups, or -1 after a
 * message. */
static int choose(char **names, int n, const struct group *chosen[NGROUPS])
{
    size_t i;
    int k, count = 0;

    for (i = 0; n == 0 && i < NGROUPS; i++) {
        if (groups[i].in_all) {
            chosen[count++] = &groups[i];
        }
    }
    for (k = 0; k < n; k++) {
        const struct group *g = find(names[k]);

        if (g == NULL || count == (int)NGROUPS) {
            fprintf(stderr, "mpi_check: %s `%s'; groups are:",
                    g == NULL ? "no group" : "too many groups at", names[k]);
            for (i = 0; i < NGROUPS; i++) {
                fprintf(stderr, " %s", groups[i].name);
            }
            fprintf(stderr, "\n");
            return -1;
        }
        chosen[count++] = g;
    }
    return count;
}

int main(int argc, char **argv)
{
    const struct group *chosen[NGROUPS];
    int first = 1, rounds = 1, count, round, k;
    unsigned long total;

    if (argc > 2 && strcmp(argv[1], "-r") == 0) {
        rounds = atoi(argv[2]);
        first = 3;
    }
    count = choose(argv + first, argc - first, chosen);
    if (count < 0) {
        return 2;
    }

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.size);
    if (job.size < 2) {
        fprintf(stderr, "mpi_check: needs at least 2 ranks\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    for (round = 0; round < rounds; round++) {
        for (k = 0; k < count; k++) {
            run(chosen[k]);
        }
    }
    MPI_Reduce(&job.checks, &total, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    if (job.rank == 0) {
        printf("mpi_check: all");
        for (k = 0; k < count; k++) {
            printf(" %s", chosen[k]->name);
        }
        printf(" ok (%lu checks)\n", total);
        fflush(stdout);
    }
    MPI_Finalize();
    return 0;
}
