/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends one recognisable text in every way, so that a capture of the wire shows
 * whether anything travels in clear.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define LEN ((size_t)32)

/* Exactly 32 bytes. A test may give its own in MPI_CHECK_MARKER, so that two
 * tests on one machine do not see each other's. */
static const char *marker = "CLEARTEXT-MARKER-EESP-0123456789";

static void send_copies(size_t copies, int rounds)
{
    const int to = ring_next(1), from = ring_prev(1);
    const size_t n = copies * LEN;
    char *out = check_alloc(n), *in = check_alloc(n);
    size_t i;
    int round;

    for (i = 0; i < copies; i++) {
        memcpy(out + i * LEN, marker, LEN);
    }
    for (round = 0; round < rounds; round++) {
        memset(in, 0, n);
        MPI_Sendrecv(out, (int)n, MPI_BYTE, to, round, in, (int)n, MPI_BYTE,
                     from, round, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        expect_int("marker", round, 0, memcmp(out, in, n));
    }
    free(in);
    free(out);
}

static void put_copies(void)
{
    const int to = ring_next(1);
    char *mem;
    MPI_Win win;

    MPI_Win_allocate((MPI_Aint)LEN, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &mem,
                     &win);
    memset(mem, 0, LEN);
    MPI_Win_fence(0, win);
    MPI_Put(marker, (int)LEN, MPI_BYTE, to, 0, (int)LEN, MPI_BYTE, win);
    MPI_Win_fence(0, win);
    expect_int("marker by Put", 0, 0, memcmp(mem, marker, LEN));
    MPI_Win_free(&win);
}

void group_marker(void)
{
    const char *own = getenv("MPI_CHECK_MARKER");

    if (own != NULL) {
        expect_int("length of MPI_CHECK_MARKER", 0, (long long)LEN,
                   (long long)strlen(own));
        marker = own;
    }
    send_copies(1, 1000);
    send_copies(100, 300);
    send_copies(8000, 4);
    put_copies();
}
