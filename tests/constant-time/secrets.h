/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * secrets: marks memory as secret and as known again, for valgrind. To memcheck
 * a secret is memory that was never written: it reports each branch and each
 * address that depends on it (A. Langley's ctgrind).
 *
 * Compiled into every file of src/lib (-include), so that the library's own
 * EESP_DECLASSIFY() speaks to valgrind.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include <stddef.h>
#include <stdint.h>
#include <valgrind/memcheck.h>

#define EESP_DECLASSIFY(_answer, _size) \
    ((void)VALGRIND_MAKE_MEM_DEFINED(_answer, _size))

static inline void make_secret(const void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

static inline void make_known(const void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

/* Ends the program with the place, for what must not happen in these tests. */
void must(int holds, const char *what);

/* The groups of cases, one file each. */
void secrets_of_algorithms(void);
void secrets_of_lanes(void);
void secrets_of_psp_and_tss(void);

/* begin "name"; what follows, up to the next, is one case. */
void begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The case in hand is one that valgrind must report. */
void expect_report(void);

#endif
