/* SPDX-License-Identifier: BSD-3-Clause */
/* newfile: a private file that appears whole, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keygen.h"

int newfile_write_all(int fd, const char *text, size_t length)
{
    ssize_t written;

    while (length > 0) {
        written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Both ways are atomic; only rename() puts away what was there. */
static int publish(const char *temporary, const char *path, bool replace)
{
    if (replace)
        return rename(temporary, path);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    /* NFS and others know no such flag, but they know links. */
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (link(temporary, path) < 0)
        return -1;
    unlink(temporary);
    return 0;
}

/* Makes the new name itself last over a power cut. */
static void sync_directory(const char *path)
{
    char *copy = cmd_printf("%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

static void complain(const char *path, int error)
{
    if (error == EEXIST)
        cmd_complain("%s exists, and keys that are overwritten are lost: "
                     "choose another --out, or add --force", path);
    else if (error == ENOENT)
        cmd_complain("cannot make %s: its directory is not there "
                     "(mkdir -p -m 700 DIRECTORY)", path);
    else
        cmd_complain("cannot make %s: %s", path, strerror(error));
}

/* like: whose mode and owner the file gets; NULL: 0600 and ours. */
static int write_beside(const char *path, const char *text, size_t length,
                        bool replace, const struct stat *like)
{
    mode_t mode = like ? like->st_mode & 07777 : S_IRUSR | S_IWUSR;
    char *temporary = cmd_printf("%s.XXXXXX", path);
    int fd, result = -1;

    fd = mkostemp(temporary, O_CLOEXEC); /* O_EXCL, mode 0600 */
    if (fd < 0) {
        complain(path, errno);
        goto out;
    }
    /* A umask may have taken the owner's bits away. */
    if ((like && fchown(fd, like->st_uid, like->st_gid) < 0) ||
        fchmod(fd, mode) < 0 ||
        newfile_write_all(fd, text, length) < 0 || fsync(fd) < 0 ||
        publish(temporary, path, replace) < 0) {
        complain(path, errno);
        unlink(temporary);
        goto out;
    }
    sync_directory(path);
    result = 0;
out:
    if (fd >= 0)
        close(fd);
    free(temporary);
    return result;
}

int newfile_write(const char *path, const char *text, size_t length,
                  bool replace)
{
    return write_beside(path, text, length, replace, NULL);
}

int newfile_replace(const char *path, const char *text, size_t length,
                    const struct stat *like)
{
    return write_beside(path, text, length, true, like);
}
