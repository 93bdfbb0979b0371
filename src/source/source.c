/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "munge.h"
#include "user_key.h"

/* What follows the prefix, or NULL if name has another one. */
static const char *after(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(name, prefix, length) ? NULL : name + length;
}

/* 0 to INT_MAX in decimal digits and nothing else; -1: not that. */
static int number(const char *text)
{
    unsigned long value;

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return -1;
    errno = 0;
    value = strtoul(text, NULL, 10);
    return (errno || value > INT_MAX) ? -1 : (int)value;
}

static int refuse(char why[EESP_WHY_LEN], const char *name, const char *found)
{
    snprintf(why, EESP_WHY_LEN, "%.200s: %s", name, found);
    return EESP_ERR_KEYRING;
}

/* NULL: path holds the file; or what is wrong. */
static const char *credential_path(const char *credential, char path[PATH_MAX])
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    int length;

    if (credential[0] == '\0' || credential[0] == '.' ||
        strchr(credential, '/') != NULL)
        return "not a credential's name";
    if (dir == NULL || dir[0] != '/')
        return "CREDENTIALS_DIRECTORY is not set: run it in a unit of systemd "
               "with LoadCredential= or LoadCredentialEncrypted=";
    length = snprintf(path, PATH_MAX, "%s/%s", dir, credential);
    return length < PATH_MAX ? NULL : "CREDENTIALS_DIRECTORY is too long";
}

static int load(const char *name, struct eesp_source_seen *seen,
                struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    const char *rest, *wrong;
    char path[PATH_MAX];
    int fd;

    if ((rest = after(name, "fd:")) != NULL) {
        fd = number(rest);
        return fd < 0 ? refuse(why, name, "not the number of a descriptor") :
                        eesp_keyring_load_fd(fd, name, keyring_p, why);
    }
    if ((rest = after(name, "credential:")) != NULL) {
        wrong = credential_path(rest, path);
        return wrong ? refuse(why, name, wrong) :
                       eesp_keyring_load(path, keyring_p, why);
    }
    if ((rest = after(name, "keyring:")) != NULL)
        return eesp_user_key_load(rest, name, keyring_p, why);
    if ((rest = after(name, "munge:")) != NULL)
        return eesp_munge_load(rest, name, keyring_p, why);
    if ((rest = after(name, "exec:")) != NULL)
        return eesp_command_load(rest, name, seen, keyring_p, why);
    return eesp_keyring_load(name, keyring_p, why);
}

static void look_at_file(const char *name, struct eesp_source_seen *seen)
{
    char path[PATH_MAX];
    const char *rest;
    struct stat st;
    int ret;

    if ((rest = after(name, "fd:")) != NULL)
        ret = fstat(number(rest), &st);
    else if ((rest = after(name, "credential:")) != NULL)
        ret = credential_path(rest, path) ? -1 : stat(path, &st);
    else if ((rest = after(name, "munge:")) != NULL)
        ret = stat(rest, &st);
    else
        ret = stat(name, &st);
    if (ret == 0) {
        seen->device   = st.st_dev;
        seen->inode    = st.st_ino;
        seen->size     = (uint64_t)st.st_size;
        seen->modified = st.st_mtim;
        seen->changed  = st.st_ctim;
    }
}

int eesp_source_load(const char *name, struct eesp_source_seen *seen,
                     struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    struct eesp_source_seen ignored;

    *keyring_p = NULL;
    if (seen == NULL)
        seen = &ignored;
    memset(seen, 0, sizeof(*seen));
    if (!after(name, "exec:")) /* it would run twice */
        (void)eesp_source_changed(name, seen);
    return load(name, seen, keyring_p, why);
}

int eesp_source_changed(const char *name, struct eesp_source_seen *seen)
{
    struct eesp_source_seen old = *seen;
    const char *rest;

    if ((rest = after(name, "exec:")) != NULL) {
        eesp_command_look(rest, seen);
        old.rests_until = seen->rests_until; /* not of the content */
    } else {
        memset(seen, 0, sizeof(*seen)); /* all zero: nothing is there */
        if ((rest = after(name, "keyring:")) != NULL)
            eesp_user_key_look(rest, seen);
        else
            look_at_file(name, seen);
    }
    return memcmp(&old, seen, sizeof(old)) != 0;
}
