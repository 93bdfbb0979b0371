/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a keyring file, by name or descriptor, if it is private to its owner. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyring.h"
#include "secret.h"

int eesp_file_is_private(const char *path, const struct stat *st,
                         char why[EESP_WHY_LEN])
{
    unsigned mode = st->st_mode & 07777;
    unsigned others = st->st_uid == 0 ? 0137 : 0177;

    if (!S_ISREG(st->st_mode))
        return eesp_keyring_refuse(why, path, "not a regular file");
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return eesp_keyring_refuse(why, path, "owned by uid %u, not by you or "
                                   "root; mend it with: chown %u '%.150s'",
                                   (unsigned)st->st_uid, (unsigned)geteuid(),
                                   path);
    if ((mode & others) != 0)
        return eesp_keyring_refuse(why, path, "mode %04o lets others at the "
                                   "keys; mend it with: chmod 0600 '%.150s'",
                                   mode, path);
    return EESP_OK;
}

static int check_file(const char *path, const struct stat *st,
                      char why[EESP_WHY_LEN])
{
    int ret = eesp_file_is_private(path, st, why);

    if (ret != EESP_OK)
        return ret;
    if (st->st_size == 0)
        return eesp_keyring_refuse(why, path, "empty file; make a keyring "
                                   "with eesp keygen");
    if (st->st_size > EESP_KEYRING_TEXT_MAX)
        return eesp_keyring_refuse(why, path, "larger than %d bytes",
                                   EESP_KEYRING_TEXT_MAX);
    return EESP_OK;
}

/* Why it cannot be opened, and what mends that. */
static int refuse_open(int error, const char *path, char why[EESP_WHY_LEN])
{
    switch (error) {
    case EACCES:
        return eesp_keyring_refuse(why, path, "%s; mend it with: chown %u "
                                   "'%.150s'", strerror(error),
                                   (unsigned)geteuid(), path);
    case ENOENT:
        return eesp_keyring_refuse(why, path, "%s; make one with: eesp keygen "
                                   "--levels domain,job --out '%.150s'",
                                   strerror(error), path);
    case EMFILE:
        return eesp_keyring_refuse(why, path, "%s; raise the limit with: ulimit "
                                   "-n", strerror(error));
    default:
        return eesp_keyring_refuse(why, path, "%s", strerror(error));
    }
}

/* The whole file into text: its length, or -1 with errno set. By offset: the
 * processes that inherit a descriptor have one position in common. */
static ssize_t read_whole(int fd, uint8_t *text, size_t size)
{
    size_t length = 0;
    ssize_t got;

    while ((got = pread(fd, text + length, size - length,
                        (off_t)length)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

static int read_and_parse(int fd, const char *name,
                          struct eesp_keyring **keyring_p,
                          char why[EESP_WHY_LEN])
{
    const size_t size = EESP_KEYRING_TEXT_MAX;
    uint8_t *text     = eesp_secret_alloc(size);
    ssize_t length;
    int ret;

    if (text == NULL)
        return eesp_keyring_refuse(why, name, "out of memory");
    length = read_whole(fd, text, size);
    if (length < 0)
        ret = eesp_keyring_refuse(why, name, "%s", strerror(errno));
    else
        ret = eesp_keyring_parse(name, text, (size_t)length, keyring_p, why);
    eesp_secret_free(text, size);
    return ret;
}

int eesp_keyring_load(const char *path, struct eesp_keyring **keyring_p,
                      char why[EESP_WHY_LEN])
{
    struct stat st;
    int fd, ret;

    *keyring_p = NULL;
    /* O_NONBLOCK: a FIFO in its place must not hang the caller. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        ret = refuse_open(errno, path, why);
    else
        ret = check_file(path, &st, why);
    if (ret == EESP_OK)
        ret = read_and_parse(fd, path, keyring_p, why);
    if (fd >= 0)
        close(fd);
    return ret;
}

int eesp_keyring_load_fd(int fd, const char *name,
                         struct eesp_keyring **keyring_p,
                         char why[EESP_WHY_LEN])
{
    struct stat st;

    *keyring_p = NULL;
    if (fstat(fd, &st) != 0)
        return eesp_keyring_refuse(why, name, "%s; the launcher must leave "
                                   "the descriptor open", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return eesp_keyring_refuse(why, name, "not a file or memfd: what can "
                                   "be read once only would serve one process");
    /* Without a name nobody reaches it but by a descriptor: a memfd's mode is
     * 0777 and means nothing. */
    if (st.st_nlink == 0) {
        st.st_mode = S_IFREG | 0600;
        st.st_uid  = geteuid();
    }
    if (check_file(name, &st, why) != EESP_OK)
        return EESP_ERR_KEYRING;
    return read_and_parse(fd, name, keyring_p, why);
}
