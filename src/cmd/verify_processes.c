/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_processes: who descends from this process, by /proc/PID/task/TID/children
 * or, in kernels without it, /proc/PID/stat of all.
 */
#include "verify_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"

bool process_is_launcher(const char *name)
{
    static const char *const names[] = {
        "mpirun", "mpiexec", "orterun", "orted", "prterun", "prte", "prted",
        "mpiexec.hydra", "hydra_pmi_proxy", "srun", "slurmstepd", "slurmd",
        "ssh", "sshd", "rsh",
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Name and parent of a process: false if it is gone. */
static bool read_stat(const char *pid, struct seen *seen)
{
    char path[300], text[512], *name, *end;
    size_t length;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    name = strchr(text, '(');
    end = strrchr(text, ')'); /* the name may have anything in it */
    if (!name || !end || end[1] == '\0')
        return false;
    *end = '\0';
    seen->pid = (pid_t)strtol(pid, NULL, 10);
    seen->parent = (pid_t)strtol(end + 4, NULL, 10); /* ") S 123" */
    snprintf(seen->name, sizeof(seen->name), "%s", name + 1);
    return true;
}

static struct seen *add(struct seen *list, size_t *count,
                        const struct seen *seen)
{
    list = cmd_realloc(list, (*count + 1) * sizeof(*list));
    list[(*count)++] = *seen;
    return list;
}

/* Adds the children of one thread: false if the kernel does not tell. */
static bool add_children_of(const char *pid, const char *thread,
                            struct seen **list, size_t *count)
{
    struct seen seen = { .ours = true };
    char path[300], child[16];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/task/%s/children", pid, thread);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (fscanf(file, "%15s", child) == 1) {
        if (read_stat(child, &seen))
            *list = add(*list, count, &seen);
    }
    fclose(file);
    return true;
}

static bool add_children(pid_t parent, struct seen **list, size_t *count)
{
    struct dirent *entry;
    bool told = false;
    char pid[16], path[300];
    DIR *tasks;

    snprintf(pid, sizeof(pid), "%d", (int)parent);
    snprintf(path, sizeof(path), "/proc/%s/task", pid);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]))
            told |= add_children_of(pid, entry->d_name, list, count);
    }
    if (tasks)
        closedir(tasks);
    return told;
}

struct seen *processes_read_ours(pid_t self, size_t *count)
{
    struct seen *list = NULL;
    size_t i;

    *count = 0;
    if (!add_children(self, &list, count)) {
        list = processes_read(count);
        processes_mark(list, *count, self);
        return list;
    }
    for (i = 0; i < *count; i++)
        add_children(list[i].pid, &list, count);
    return list;
}

struct seen *processes_read(size_t *count)
{
    struct seen *list = NULL, seen = { .ours = false };
    struct dirent *entry;
    DIR *proc = opendir("/proc");

    *count = 0;
    while (proc && (entry = readdir(proc)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            !read_stat(entry->d_name, &seen))
            continue;
        list = add(list, count, &seen);
    }
    if (proc)
        closedir(proc);
    return list;
}

/* Parents may come after children. */
void processes_mark(struct seen *list, size_t count, pid_t self)
{
    bool again = true;
    size_t i, k;

    while (again) {
        again = false;
        for (i = 0; i < count; i++) {
            if (list[i].ours)
                continue;
            list[i].ours = list[i].parent == self;
            for (k = 0; k < count && !list[i].ours; k++)
                list[i].ours = list[k].ours && list[k].pid == list[i].parent;
            again |= list[i].ours;
        }
    }
}

size_t processes_users(const struct seen *list, size_t count, uid_t *users,
                         size_t max)
{
    size_t i, k, used = 0;
    struct stat st;
    char path[32];

    for (i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "/proc/%d", (int)list[i].pid);
        if (!list[i].ours || stat(path, &st) != 0)
            continue;
        for (k = 0; k < used && users[k] != st.st_uid; k++)
            ;
        if (k == used && used < max)
            users[used++] = st.st_uid;
    }
    return used;
}
