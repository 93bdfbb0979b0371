/* SPDX-License-Identifier: BSD-3-Clause */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/job/wipe.h"

#define RING     "keyring.jwks"
#define RING_NEW "keyring.jwks.new"

void store_path(const char *directory, uint32_t job, uint32_t step,
                char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3900s/%u.%u/" RING, directory, job, step);
}

/*
 * A directory of root's that others may cross and not write to, made if it is
 * not there; -1 with errno set.
 */
static int open_directory(int above, const char *name)
{
    struct stat st;
    int fd;

    if (mkdirat(above, name, 0711) != 0 && errno != EEXIST)
        return -1;
    fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        (st.st_mode & 022) == 0 && fchmod(fd, 0711) == 0)
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

static void drop_step(int store, const char *name)
{
    int fd = openat(store, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    wipe_file(fd, RING);
    wipe_file(fd, RING_NEW);
    close(fd);
    (void)unlinkat(store, name, AT_REMOVEDIR);
}

static int write_file(int directory, const char *name, uid_t user,
                      const char *text)
{
    size_t length = strlen(text);
    ssize_t written;
    int fd, ret = -1, error;

    (void)unlinkat(directory, name, 0);
    fd = openat(directory, name,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return -1;
    while (length > 0) {
        written = write(fd, text, length);
        if (written < 0 && errno != EINTR)
            break;
        text   += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    if (length == 0 && fchmod(fd, 0400) == 0)
        ret = fchown(fd, user, (gid_t)-1);
    error = errno;
    close(fd);
    errno = error;
    return ret;
}

/* In place of the old one, which is wiped; a step that ends takes it away. */
static int replace(int directory)
{
    int done  = renameat2(directory, RING_NEW, directory, RING,
                          RENAME_EXCHANGE) == 0;
    int error = done ? 0 : errno;

    wipe_file(directory, RING_NEW); /* the old one now, or the one too late */
    errno = error;
    return done ? 1 : error == ENOENT ? 0 : -1;
}

int store_put(const char *directory, uint32_t job, uint32_t step, uid_t user,
              const char *text, enum store_how how, char *why, size_t size)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int store = open_directory(AT_FDCWD, directory), own = -1, ret = -1;
    char name[32];

    snprintf(name, sizeof(name), "%u.%u", job, step);
    if (store >= 0)
        own = how == STORE_NEW ? open_directory(store, name) :
                                 openat(store, name, flags);
    if (own < 0 && how == STORE_REPLACE && errno == ENOENT)
        ret = 0;
    else if (own >= 0 && write_file(own, RING_NEW, user, text) == 0)
        ret = how == STORE_REPLACE ? replace(own) :
              renameat(own, RING_NEW, own, RING) == 0 ? 1 : -1;
    if (ret < 0)
        snprintf(why, size, "cannot write %.200s/%s: %s%s", directory, name,
                 strerror(errno), errno == EPERM ?
                 "; it must be root's alone, mode 0711" : "");
    if (ret < 0 && own >= 0)
        wipe_file(own, RING_NEW);
    if (own >= 0)
        close(own);
    if (store >= 0)
        close(store);
    return ret;
}

void store_drop(const char *directory, uint32_t job, const uint32_t *step)
{
    struct dirent *entry;
    char name[32];
    size_t length;
    DIR *store = opendir(directory);

    if (store == NULL)
        return;
    if (step != NULL)
        snprintf(name, sizeof(name), "%u.%u", job, *step);
    else
        snprintf(name, sizeof(name), "%u.", job);
    length = strlen(name) + (step != NULL); /* with its end */
    while ((entry = readdir(store)) != NULL)
        if (strncmp(entry->d_name, name, length) == 0)
            drop_step(dirfd(store), entry->d_name);
    closedir(store);
}
