/* SPDX-License-Identifier: BSD-3-Clause */
#include "munge.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "ring_text.h"

/* A credential is base64 of a keyring and a header. */
enum { CREDENTIAL_MAX = EESP_TEXT_MAX / 3 * 4 + 4096 };

/* munge(3), as of libmunge.so.2. */
enum {
    OPT_CIPHER_TYPE     = 0,
    OPT_SOCKET          = 8,
    OPT_UID_RESTRICTION = 9,
    CIPHER_NONE         = 0,
    UID_ANY             = -1,
    ERR_SUCCESS         = 0,
    ERR_CRED_REPLAYED   = 17,
};

static struct {
    void *handle;
    void *(*create)(void);
    void (*destroy)(void *ctx);
    int (*set)(void *ctx, int option, ...);
    int (*get)(void *ctx, int option, ...);
    int (*decode)(const char *credential, void *ctx, void **payload,
                  int *length, uid_t *uid, gid_t *gid);
    const char *(*text)(int error);
    const char *(*ctx_text)(void *ctx);
} lib;

static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static void lib_open(void)
{
    void *handle = dlopen("libmunge.so.2", RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL)
        return;
    *(void **)&lib.create   = dlsym(handle, "munge_ctx_create");
    *(void **)&lib.destroy  = dlsym(handle, "munge_ctx_destroy");
    *(void **)&lib.set      = dlsym(handle, "munge_ctx_set");
    *(void **)&lib.get      = dlsym(handle, "munge_ctx_get");
    *(void **)&lib.decode   = dlsym(handle, "munge_decode");
    *(void **)&lib.text     = dlsym(handle, "munge_strerror");
    *(void **)&lib.ctx_text = dlsym(handle, "munge_ctx_strerror");
    if (lib.create && lib.destroy && lib.set && lib.get && lib.decode &&
        lib.text && lib.ctx_text)
        lib.handle = handle;
    else
        dlclose(handle);
}

static int refuse(char why[EESP_WHY_LEN], const char *name,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char why[EESP_WHY_LEN], const char *name,
                  const char *format, ...)
{
    int used = snprintf(why, EESP_WHY_LEN, "%.200s: ", name);
    va_list args;

    va_start(args, format);
    vsnprintf(why + used, (size_t)(EESP_WHY_LEN - used), format, args);
    va_end(args);
    return EESP_ERR_KEYRING;
}

/* The credential is no secret. NULL with errno set. */
static char *read_credential(const char *path)
{
    const char *variable = getenv(EESP_MUNGE_CREDENTIAL);
    ssize_t got, length = 0;
    struct stat st;
    char *text;
    int fd;

    if (path[0] == '\0') {
        errno = ENOENT;
        return variable && variable[0] ? strdup(variable) : NULL;
    }
    text = malloc(CREDENTIAL_MAX + 1);
    if (text == NULL)
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    got = fd < 0 || fstat(fd, &st) != 0 ? -1 : 1;
    if (got > 0 && (!S_ISREG(st.st_mode) || st.st_size > CREDENTIAL_MAX)) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
        got = -1;
    }
    while (got > 0) {
        got = read(fd, text + length, (size_t)(CREDENTIAL_MAX - length));
        length += got > 0 ? got : 0;
    }
    if (fd >= 0)
        close(fd);
    if (got < 0) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}

/*
 * Who made it and for whom, as munged vouches. NULL: the keyring may be taken.
 * An unencrypted payload was readable by everybody, and one from another user
 * could be a keyring that this one knows.
 */
static const char *not_for_us(void *ctx, uid_t from)
{
    int cipher   = CIPHER_NONE;
    uid_t reader = (uid_t)UID_ANY;

    if (lib.get(ctx, OPT_CIPHER_TYPE, &cipher) != ERR_SUCCESS ||
        lib.get(ctx, OPT_UID_RESTRICTION, &reader) != ERR_SUCCESS)
        return "munged does not say for whom it is";
    if (cipher == CIPHER_NONE)
        return "its payload is not encrypted: everybody could read it";
    if (reader != geteuid())
        return reader == (uid_t)UID_ANY ? "every user may decode it" :
                                          "it is another user's";
    if (from != 0 && from != geteuid())
        return "neither root nor this user made it";
    return NULL;
}

static int decode(const char *credential, void *ctx, const char *name,
                  struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    const char *socket = getenv(EESP_MUNGE_SOCKET), *wrong;
    void *payload      = NULL;
    int length = 0, error, ret;
    uid_t uid = (uid_t)UID_ANY;
    gid_t gid;

    if (socket != NULL && socket[0] != '\0' &&
        lib.set(ctx, OPT_SOCKET, socket) != ERR_SUCCESS)
        return refuse(why, name, "%s: %s", EESP_MUNGE_SOCKET,
                      lib.ctx_text(ctx));
    error = lib.decode(credential, ctx, &payload, &length, &uid, &gid);
    /* All ranks of a host decode the same one: only the first is no replay. An
     * old keyring is found out by its generations. */
    if (error != ERR_SUCCESS && error != ERR_CRED_REPLAYED)
        ret = refuse(why, name, "munged: %s (%s); make a new one with: munge "
                     "--restrict-uid %u --input job.jwks", lib.text(error),
                     lib.ctx_text(ctx) ? lib.ctx_text(ctx) : "no more is known",
                     (unsigned)geteuid());
    else if ((wrong = not_for_us(ctx, uid)) != NULL)
        ret = refuse(why, name, "%s; make it with: munge --restrict-uid %u "
                     "--cipher aes256 --input job.jwks", wrong,
                     (unsigned)geteuid());
    else if (payload == NULL || length <= 0 || length > EESP_TEXT_MAX)
        ret = refuse(why, name, "the credential carries no keyring");
    else
        ret = eesp_keyring_parse(name, payload, (size_t)length, keyring_p, why);
    if (payload != NULL)
        explicit_bzero(payload, malloc_usable_size(payload));
    free(payload);
    return ret;
}

int eesp_munge_load(const char *path, const char *name,
                    struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    char *credential;
    void *ctx;
    int ret;

    pthread_once(&lib_once, lib_open);
    if (lib.handle == NULL)
        return refuse(why, name, "no libmunge.so.2 here: apt-get install "
                      "libmunge2");
    credential = read_credential(path);
    if (credential == NULL)
        return refuse(why, name, path[0] ? "%s" : "%s: " EESP_MUNGE_CREDENTIAL
                      " must hold a credential, or munge:FILE name one",
                      strerror(errno));
    ctx = lib.create();
    ret = ctx ? decode(credential, ctx, name, keyring_p, why) :
                refuse(why, name, "out of memory");
    if (ctx != NULL)
        lib.destroy(ctx);
    free(credential);
    return ret;
}
