/* SPDX-License-Identifier: BSD-3-Clause */
/* lines: asks for cache lines that are in another core's cache, before they are
 * needed. */
#ifndef EESP_LINES_H
#define EESP_LINES_H

#include <stddef.h>

#define EESP_LINE 64 /* bytes */

/* To be read. */
static inline void eesp_lines_read(const void *p, size_t length)
{
    size_t i;

    for (i = 0; i < length; i += EESP_LINE)
        __builtin_prefetch((const char *)p + i);
}

/*
 * To be written: a line is taken away from the other core at once. For x86-64,
 * GCC's __builtin_prefetch(p, 1) asks to read: the line comes, and each store asks
 * once more.
 */
static inline void eesp_lines_write(void *p, size_t length)
{
    size_t i;

    for (i = 0; i < length; i += EESP_LINE) {
#ifdef __x86_64__
        __asm__ volatile("prefetchw %0" : : "m"(((char *)p)[i]));
#else
        __builtin_prefetch((char *)p + i, 1);
#endif
    }
}

#endif
