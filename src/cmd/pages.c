/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages: reads the pages of processes. They are others' files, where root looks
 * at all of them: none is followed through a link, waited for or mapped, and
 * no text of one reaches a terminal as it is.
 */
#include "pages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cmd.h"

enum { TRIES = 1000 }; /* to read a page that is being written */

static void tame(char *text, size_t size)
{
    size_t i;

    text[size - 1] = '\0';
    for (i = 0; text[i]; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
}

static void tame_all(struct eesp_stat_page *p)
{
    unsigned i;

    tame(p->command, sizeof(p->command));
    tame(p->name_space, sizeof(p->name_space));
    tame(p->policy, sizeof(p->policy));
    tame(p->offload, sizeof(p->offload));
    tame(p->transports, sizeof(p->transports));
    tame(p->refused_why, sizeof(p->refused_why));
    tame(p->keyring, sizeof(p->keyring));
    for (i = 0; i < EESP_LEVELS; i++)
        tame(p->levels[i].id, sizeof(p->levels[i].id));
    for (i = 0; i < EESP_STAT_LOWERS; i++) {
        tame(p->lowers[i].name, sizeof(p->lowers[i].name));
        tame(p->lowers[i].backend, sizeof(p->lowers[i].backend));
    }
}

/* Until nobody wrote meanwhile; of a process that died writing, as it is. */
static bool read_steady(int fd, struct eesp_stat_page *p)
{
    uint64_t after;
    int tries;

    for (tries = 0; tries < TRIES; tries++) {
        if (pread(fd, p, sizeof(*p), 0) != sizeof(*p) ||
            pread(fd, &after, sizeof(after),
                  offsetof(struct eesp_stat_page, sequence)) != sizeof(after))
            return false;
        if (p->sequence % 2 == 0 && p->sequence == after)
            break;
    }
    return true;
}

int pages_read_one(int fd, struct eesp_stat_page *page, bool *alive)
{
    if (!read_steady(fd, page) ||
        memcmp(page->magic, EESP_STAT_MAGIC, sizeof(page->magic)) != 0 ||
        page->version != EESP_STAT_VERSION || page->size != sizeof(*page))
        return -1;
    tame_all(page);
    *alive = flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (!*alive)
        flock(fd, LOCK_UN);
    return 0;
}

void pages_beside(const struct eesp_stat_page *page,
                  char text[static sizeof(page->transports)])
{
    /* The others reach the process itself and no other. */
    static const char *const harmless[] = { "eesp", "self", "cuda_copy",
                                            "rocm_copy" };
    char list[sizeof(page->transports)], *rest, *name;
    size_t i, n = sizeof(harmless) / sizeof(harmless[0]);

    text[0] = '\0';
    memcpy(list, page->transports, sizeof(list));
    for (name = strtok_r(list, ",", &rest); name;
         name = strtok_r(NULL, ",", &rest)) {
        for (i = 0; i < n && strcmp(name, harmless[i]) != 0; i++)
            ;
        if (i < n)
            continue;
        if (text[0])
            strcat(text, ",");
        strcat(text, name);
    }
}

static void add(struct pages *pages, int dir, const char *directory,
                const char *name)
{
    struct page page = { .path = NULL };
    struct stat st;
    int fd;

    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return; /* gone, or another user's in a place that all share */
    /* Whose it says to be must be whose it is. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        pages_read_one(fd, &page.p, &page.alive) == 0 &&
        page.p.uid == st.st_uid) {
        page.path = cmd_printf("%s/%s", directory, name);
        pages->page = cmd_realloc(pages->page,
                                  (pages->count + 1) * sizeof(page));
        pages->page[pages->count++] = page;
    }
    close(fd);
}

/* -1 with errno set. */
static int read_directory(struct pages *pages, const char *path)
{
    struct dirent *entry;
    DIR *dir = opendir(path);

    if (!dir)
        return -1;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            add(pages, dirfd(dir), path, entry->d_name);
    closedir(dir);
    return 0;
}

/* All that users have: a directory must be its user's alone. */
static void read_all_users(struct pages *pages)
{
    static const char *const patterns[] = { "/run/user/*/eesp",
                                            "/dev/shm/eesp-*" };
    struct stat st;
    glob_t found;
    size_t i, k;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (glob(patterns[i], GLOB_NOSORT, NULL, &found) != 0)
            continue;
        for (k = 0; k < found.gl_pathc; k++)
            if (lstat(found.gl_pathv[k], &st) == 0 &&
                eesp_stat_is_private(&st, st.st_uid))
                read_directory(pages, found.gl_pathv[k]);
        globfree(&found);
    }
}

static void read_own(struct pages *pages)
{
    char path[PATH_MAX];
    struct stat st;
    unsigned i;

    for (i = 0; eesp_stat_directory(i, geteuid(), path); i++)
        if (lstat(path, &st) == 0 && eesp_stat_is_private(&st, geteuid()))
            read_directory(pages, path);
}

static int compare(const void *a, const void *b)
{
    const struct eesp_stat_page *x = &((const struct page *)a)->p;
    const struct eesp_stat_page *y = &((const struct page *)b)->p;
    int names = strcmp(x->name_space, y->name_space);

    if (names)
        return names;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

int pages_read(const char *directory, struct pages *pages)
{
    *pages = (struct pages){ .count = 0 };
    if (!directory)
        directory = getenv(PAGES_VARIABLE);
    if (directory && *directory && strcmp(directory, "auto") != 0) {
        if (strcmp(directory, "none") == 0) {
            cmd_complain("%s is none: processes keep no pages",
                         PAGES_VARIABLE);
            return -1;
        }
        if (read_directory(pages, directory) < 0 && errno != ENOENT) {
            cmd_complain("cannot read %s: %s", directory, strerror(errno));
            return -1;
        }
    } else if (geteuid() == 0) {
        read_all_users(pages);
    } else {
        read_own(pages);
    }
    if (pages->count)
        qsort(pages->page, pages->count, sizeof(*pages->page), compare);
    return 0;
}

void pages_free(struct pages *pages)
{
    size_t i;

    for (i = 0; i < pages->count; i++)
        free(pages->page[i].path);
    free(pages->page);
}
