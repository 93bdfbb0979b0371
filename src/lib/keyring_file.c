/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a keyring file, if it is private to its owner (keyring format). */
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

/* The whole file into text: its length, or -1 with errno set. */
static ssize_t read_whole(int fd, uint8_t *text, size_t size)
{
    size_t length = 0;
    ssize_t got;

    while ((got = read(fd, text + length, size - length)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

int eesp_keyring_load(const char *path, struct eesp_keyring **keyring_p,
                      char why[EESP_WHY_LEN])
{
    const size_t size = EESP_KEYRING_TEXT_MAX;
    uint8_t *text     = NULL;
    int fd            = -1, ret;
    struct stat st;
    ssize_t length;

    *keyring_p = NULL;
    /* O_NONBLOCK: a FIFO in its place must not hang the caller. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        ret = refuse_open(errno, path, why);
        goto out;
    }
    ret = check_file(path, &st, why);
    if (ret != EESP_OK)
        goto out;
    text = eesp_secret_alloc(size);
    if (text == NULL) {
        ret = eesp_keyring_refuse(why, path, "out of memory");
        goto out;
    }
    length = read_whole(fd, text, size);
    if (length < 0)
        ret = eesp_keyring_refuse(why, path, "%s", strerror(errno));
    else
        ret = eesp_keyring_parse(path, text, (size_t)length, keyring_p, why);
out:
    eesp_secret_free(text, size);
    if (fd >= 0)
        close(fd);
    return ret;
}
