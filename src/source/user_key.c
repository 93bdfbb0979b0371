/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring_text.h"

#define KEY_SIZE 32768 /* bytes; the kernel lets such a key have 32767 */

/*
 * The key's bytes and its serial number; -1 with errno set. Never asks a
 * program to make the key.
 */
static long read_key(const char *description, struct eesp_text *text)
{
    long serial = syscall(SYS_request_key, "user", description, NULL, 0);
    long length;

    if (serial < 0 || eesp_text_open(text, KEY_SIZE) != 0)
        return -1;
    length = syscall(SYS_keyctl, KEYCTL_READ, serial, text->bytes, KEY_SIZE);
    if (length < 0) {
        eesp_text_close(text);
        return -1;
    }
    text->length = length < KEY_SIZE ? (size_t)length : KEY_SIZE;
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

int eesp_user_key_load(const char *description, const char *name,
                       struct eesp_keyring **keyring_p,
                       char why[EESP_WHY_LEN])
{
    struct eesp_text text = {0};
    const char *wrong;
    long serial;
    int ret;

    serial = read_key(description, &text);
    if (serial < 0) {
        snprintf(why, EESP_WHY_LEN, "%.200s: %s; put it there with: keyctl "
                 "padd user '%.60s' @u <keyring.jwks", name, strerror(errno),
                 description);
        return EESP_ERR_KEYRING;
    }
    wrong = not_private(serial);
    if (wrong == NULL) {
        ret = eesp_keyring_parse(name, text.bytes, text.length, keyring_p, why);
    } else {
        snprintf(why, EESP_WHY_LEN, "%.200s: %s; put that right with: keyctl "
                 "setperm %ld 0x3f010000", name, wrong, serial);
        ret = EESP_ERR_KEYRING;
    }
    eesp_text_close(&text);
    return ret;
}

void eesp_user_key_look(const char *description, struct eesp_source_seen *seen)
{
    struct eesp_text text = {0};
    long serial           = read_key(description, &text);

    if (serial < 0)
        return;
    seen->serial = serial;
    eesp_text_look(&text, seen);
    eesp_text_close(&text);
}
