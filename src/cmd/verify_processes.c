/* SPDX-License-Identifier: BSD-3-Clause */
/* verify_processes: who descends from this process, by /proc/PID/stat. */
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
        list = cmd_realloc(list, (*count + 1) * sizeof(*list));
        list[(*count)++] = seen;
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
