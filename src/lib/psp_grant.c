/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grants of PSP in files. Who takes one deletes its name first and looks
 * whether it was the only one: unlink() gives a name to one caller only, and
 * the directory is synced before the grant makes an SA, so that no crash brings
 * it back (a grant is used by one process, once).
 *
 *     eesp-psp-grant 1 9a345678 1 eesp <64 digits>
 *                      SPI      |  form
 *                               version of PSP
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyring.h"
#include "psp.h"

enum { LINE_MAX_LEN = 120, DIGITS = 2 * EESP_PSP_KEY_MAX };
static const char line_format[] = "eesp-psp-grant 1 %08x %u %s %s\n";

static const char *const form_names[] = {
    [EESP_PSP_PACKET] = "psp", [EESP_PSP_IN_EESP] = "eesp"};

/* No table and no branch: a digit is part of a key. */
static char digit(unsigned nibble)
{
    return (char)('0' + nibble + (((9 - (int)nibble) >> 31) & ('a' - '9' - 1)));
}

static unsigned nibble(char c)
{
    int letter = (('9' - c) >> 31) & 1;

    return (unsigned)(c - '0' - letter * ('a' - '9' - 1)) & 15;
}

static void format(const struct eesp_psp_grant *grant, char line[LINE_MAX_LEN])
{
    char digits[DIGITS + 1];
    size_t i;

    for (i = 0; i < EESP_PSP_KEY_MAX; i++) {
        digits[2 * i]     = digit(grant->key[i] >> 4);
        digits[2 * i + 1] = digit(grant->key[i] & 15);
    }
    digits[DIGITS] = '\0';
    snprintf(line, LINE_MAX_LEN, line_format, grant->spi, grant->version,
             form_names[grant->form], digits);
    explicit_bzero(digits, sizeof(digits));
}

/* The line must be, to the letter, what format() makes of what it says. */
static int parse(const char *line, struct eesp_psp_grant *grant)
{
    char form[8], digits[DIGITS + 1], again[LINE_MAX_LEN];
    unsigned spi, version;
    size_t i;
    int good = 0;

    memset(grant, 0, sizeof(*grant));
    if (sscanf(line, "eesp-psp-grant 1 %8x %1u %7s %64s", &spi, &version, form,
               digits) != 4 ||
        strlen(digits) != DIGITS || version > EESP_PSP_AES_GCM_256)
        goto out;
    grant->spi     = spi;
    grant->version = (uint8_t)version;
    grant->form    = strcmp(form, form_names[EESP_PSP_IN_EESP]) == 0 ?
                         EESP_PSP_IN_EESP :
                         EESP_PSP_PACKET;
    for (i = 0; i < EESP_PSP_KEY_MAX; i++)
        grant->key[i] = (uint8_t)(nibble(digits[2 * i]) << 4 |
                                  nibble(digits[2 * i + 1]));
    format(grant, again);
    good = strcmp(line, again) == 0;
    explicit_bzero(again, sizeof(again));
out:
    explicit_bzero(digits, sizeof(digits));
    if (!good)
        explicit_bzero(grant, sizeof(*grant));
    return good;
}

static int sync_directory(const char *path)
{
    char copy[PATH_MAX];
    int fd, ret = -1;

    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return -1;
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        ret = fsync(fd);
        close(fd);
    }
    return ret;
}

int eesp_psp_grant_save(const struct eesp_psp_grant *grant, const char *path,
                        char why[EESP_WHY_LEN])
{
    char line[LINE_MAX_LEN];
    size_t length;
    int fd, done;

    if (grant->version > EESP_PSP_AES_GCM_256 ||
        grant->form > EESP_PSP_IN_EESP)
        return eesp_keyring_refuse(why, path, "not a grant of PSP version 0 or "
                                   "1");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return eesp_keyring_refuse(why, path, "cannot make it: %s",
                                   strerror(errno));
    format(grant, line);
    length = strlen(line);
    done   = write(fd, line, length) == (ssize_t)length && fsync(fd) == 0;
    explicit_bzero(line, sizeof(line));
    if (close(fd) == 0 && done && sync_directory(path) == 0)
        return EESP_OK;
    eesp_keyring_refuse(why, path, "cannot write it: %s", strerror(errno));
    unlink(path);
    return EESP_ERR_KEYRING;
}

/* fd is the only name's; afterwards it has none, for good. */
static int take(int fd, const char *path, char why[EESP_WHY_LEN])
{
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_nlink != 1)
        return eesp_keyring_refuse(why, path, "has another name (link) by which "
                                   "it could be used again: ask for a new "
                                   "grant");
    if (unlink(path) != 0)
        return eesp_keyring_refuse(why, path, "cannot be taken: %s",
                                   strerror(errno));
    if (fstat(fd, &st) != 0 || st.st_nlink != 0)
        return eesp_keyring_refuse(why, path, "was replaced while it was "
                                   "taken: ask for a new grant");
    if (sync_directory(path) != 0)
        return eesp_keyring_refuse(why, path, "its end cannot be made sure: "
                                   "%s; ask for a new grant", strerror(errno));
    return EESP_OK;
}

int eesp_psp_sa_load(const char *path, const char *backend,
                     struct eesp_psp_sa **sa_p, char why[EESP_WHY_LEN])
{
    char line[LINE_MAX_LEN + 1] = {0};
    struct eesp_psp_grant grant = {0};
    struct stat st;
    int fd, ret;

    *sa_p = NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) {
        ret = eesp_keyring_refuse(why, path, "%s; a grant is used once: ask "
                                  "for a new one", strerror(errno));
        goto out;
    }
    ret = eesp_file_is_private(path, &st, why);
    if (ret != EESP_OK)
        goto out;
    if (read(fd, line, LINE_MAX_LEN) <= 0 || !parse(line, &grant)) {
        ret = eesp_keyring_refuse(why, path, "not a grant of PSP as "
                                  "eesp_psp_grant_save() writes it");
        goto out;
    }
    ret = take(fd, path, why);
    if (ret != EESP_OK)
        goto out;
    ret = eesp_psp_sa_create(&grant, backend, sa_p);
    if (ret != EESP_OK)
        eesp_keyring_refuse(why, path, "%s", eesp_strerror(ret));
out:
    if (fd >= 0)
        close(fd);
    explicit_bzero(&grant, sizeof(grant));
    explicit_bzero(line, sizeof(line));
    return ret;
}
