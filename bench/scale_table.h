/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale_table: one process and its sessions with so many peers, as TLS or IPsec
 * has them: an expanded key for each peer and direction, found at random. The
 * bare AEAD: no headers, checks or searches. Every failure ends the program.
 */
#ifndef SCALE_TABLE_H
#define SCALE_TABLE_H

#include "aead.h"

struct table;

struct table *table_open(const struct eesp_aead *aead, unsigned peers);
void table_close(struct table *table);
/* Of all keys of such a table. */
double table_bytes(const struct eesp_aead *aead, unsigned peers);

/* For bench_measure(). Part 0: seal, part 1: open, 64 bytes. */
void table_run(void *table, uint64_t calls, double *ns);

#endif
