/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openssl/evp.h>

#define KEY_SIZE 32768 /* bytes; the kernel lets such a key have 32767 */

/*
 * The key's bytes, in memory of their own that stays out of core dumps, and
 * its serial number; -1 with errno set. Never asks a program to make the key.
 */
static long read_key(const char *description, uint8_t **text_p, long *length_p)
{
    long serial = syscall(SYS_request_key, "user", description, NULL, 0);
    uint8_t *text;
    long length;
    int error;

    if (serial < 0)
        return -1;
    text = mmap(NULL, KEY_SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return -1;
    (void)madvise(text, KEY_SIZE, MADV_DONTDUMP);
    (void)mlock(text, KEY_SIZE);
    length = syscall(SYS_keyctl, KEYCTL_READ, serial, text, KEY_SIZE);
    if (length < 0) {
        error = errno;
        munmap(text, KEY_SIZE);
        errno = error;
        return -1;
    }
    *text_p   = text;
    *length_p = length < KEY_SIZE ? length : KEY_SIZE;
    return serial;
}

/*
 * As with a file: the owner is who reads or root, others never read it, and a
 * group only what is root's. NULL: private; or what is wrong.
 */
static const char *not_private(long serial)
{
    enum { OTHERS_READ = 0x02, GROUP_READ = 0x0200 };
    unsigned owner, rights;
    char text[512];
    long got;

    /* "type;UID;GID;RIGHTS;description", or nothing if there is no room */
    got = syscall(SYS_keyctl, KEYCTL_DESCRIBE, serial, text, sizeof(text));
    if (got < 0 || got > (long)sizeof(text) ||
        sscanf(text, "%*[^;];%u;%*d;%x;", &owner, &rights) != 2)
        return "its rights cannot be seen";
    if (owner != 0 && owner != geteuid())
        return "another user owns it";
    return rights & (owner ? OTHERS_READ | GROUP_READ : OTHERS_READ) ?
           "others may read it" : NULL;
}

static void forget(uint8_t *text)
{
    explicit_bzero(text, KEY_SIZE);
    munmap(text, KEY_SIZE);
}

int eesp_user_key_load(const char *description, const char *name,
                       struct eesp_keyring **keyring_p,
                       char why[EESP_WHY_LEN])
{
    const char *wrong;
    uint8_t *text;
    long length, serial;
    int ret;

    serial = read_key(description, &text, &length);
    if (serial < 0) {
        snprintf(why, EESP_WHY_LEN, "%.200s: %s; put it there with: keyctl "
                 "padd user '%.60s' @u <keyring.jwks", name, strerror(errno),
                 description);
        return EESP_ERR_KEYRING;
    }
    wrong = not_private(serial);
    if (wrong == NULL) {
        ret = eesp_keyring_parse(name, text, (size_t)length, keyring_p, why);
    } else {
        snprintf(why, EESP_WHY_LEN, "%.200s: %s; put that right with: keyctl "
                 "setperm %ld 0x3f010000", name, wrong, serial);
        ret = EESP_ERR_KEYRING;
    }
    forget(text);
    return ret;
}

void eesp_user_key_look(const char *description, struct eesp_source_seen *seen)
{
    uint8_t *text;
    long length, serial = read_key(description, &text, &length);

    if (serial < 0)
        return;
    seen->serial = serial;
    seen->size   = (uint64_t)length;
    (void)EVP_Q_digest(NULL, "SHA256", NULL, text, (size_t)length,
                       seen->digest, NULL);
    forget(text);
}
