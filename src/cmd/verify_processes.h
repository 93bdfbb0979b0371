/* SPDX-License-Identifier: BSD-3-Clause */
/* verify_processes: the host's processes at one look. */
#ifndef VERIFY_PROCESSES_H
#define VERIFY_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct seen {
    pid_t pid, parent;
    bool  ours; /* a descendant of this process */
    char  name[32];
};

/* All of them; to be freed. */
struct seen *processes_read(size_t *count);
/* Those that descend from self, and perhaps others that are not ours. Quick,
 * since a process may be there for some milliseconds only. To be freed. */
struct seen *processes_read_ours(pid_t self, size_t *count);
/* Marks those that descend from self as ours. */
void processes_mark(struct seen *list, size_t count, pid_t self);
/* Users that ours run as, max at most: their number. */
size_t processes_users(const struct seen *list, size_t count, uid_t *users,
                       size_t max);
/* A program that starts ranks: what it sends itself is not the job's data. */
bool process_is_launcher(const char *name);

#endif
