/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../job/wipe.h"
#include "keygen.h"

static const char *const files[] = { RUN_RING, RUN_AGENT };

/* Overwritten before it goes: its pages may be in use by who maps it. */
static void wipe(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    size_t i;

    if (directory < 0)
        return;
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        wipe_file(directory, files[i]);
    close(directory);
    rmdir(path);
}

/*
 * A process of its own, in a session of its own: it outlives whatever ends us,
 * and sees that by the end of the pipe.
 */
static int start_guardian(struct run_directory *directory)
{
    int ends[2], null;
    char byte;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    directory->guardian = fork();
    if (directory->guardian == 0) {
        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        close(ends[1]);
        /* Who waits for the end of our output does not wait for it. */
        null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
            ;
        wipe(directory->path);
        _exit(0);
    }
    close(ends[0]);
    directory->guard = ends[1];
    if (directory->guardian < 0)
        close(directory->guard);
    return directory->guardian < 0 ? -1 : 0;
}

static int add(const struct run_directory *directory, const char *name,
               const char *text, size_t length)
{
    char *path = cmd_printf("%s/%s", directory->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  0600);
    int result = -1;

    if (fd >= 0 && fchmod(fd, 0600) == 0)
        result = newfile_write_all(fd, text, length);
    if (result != 0)
        cmd_complain("cannot write %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(path);
    return result;
}

int run_directory_make(struct run_directory *directory)
{
    uint8_t random[12];
    struct statfs fs;
    char name[2 * sizeof(random) + 1];

    if (statfs("/dev/shm", &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
        cmd_complain("/dev/shm is not in memory, and keys must not reach a "
                     "disk; mend it with: mount -t tmpfs none /dev/shm");
        return -1;
    }
    if (keygen_random(random, sizeof(random)) < 0)
        return -1;
    text_hex(random, sizeof(random), name);
    snprintf(directory->path, sizeof(directory->path), RUN_DIRECTORY "%s",
             name);
    snprintf(directory->ring, sizeof(directory->ring), "%s/" RUN_RING,
             directory->path);
    if (mkdir(directory->path, 0700) != 0) {
        cmd_complain("cannot make %s: %s", directory->path, strerror(errno));
        return -1;
    }
    if (chmod(directory->path, 0700) != 0 || start_guardian(directory) != 0) {
        cmd_complain("cannot make %s: %s", directory->path, strerror(errno));
        rmdir(directory->path);
        return -1;
    }
    return 0;
}

int run_directory_keyring(struct run_directory *directory, const char *text)
{
    directory->length = strlen(text);
    return add(directory, RUN_RING, text, directory->length);
}

int run_directory_agent(const struct run_directory *directory,
                        const char *text)
{
    return add(directory, RUN_AGENT, text, strlen(text));
}

void run_directory_drop(struct run_directory *directory)
{
    close(directory->guard);
    while (waitpid(directory->guardian, NULL, 0) < 0 && errno == EINTR)
        ;
    wipe(directory->path); /* if somebody ended the guardian */
}
