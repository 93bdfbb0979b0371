/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_turns: jobs that are to be compared run at the same time and measure by
 * turns, a few milliseconds each, on the same cores; the ranks of all others sleep.
 * What a machine does to one of them for a second it does to all.
 *
 *     turns_open("FILE:1:3");  the second of three jobs, of one new, empty file
 *     turns_take(comm);        all ranks, in the same order in all jobs
 *     turns_pass(comm);
 *
 * Without turns_open() there is one job, and nobody waits.
 */
#ifndef MPI_TURNS_H
#define MPI_TURNS_H

#include <mpi.h>

/* 0: text is not of that form. Ends the program if the file cannot be used. */
int turns_open(const char *text);
/* Ends the program if nobody passes the turn on. */
void turns_take(MPI_Comm comm);
void turns_pass(MPI_Comm comm);

#endif
