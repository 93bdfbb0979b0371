/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring_text.h"

enum { WORDS_MAX = 64, NS = 1000000000, MS = 1000000 };

static const char too_long[] = "took longer than 10 s and was ended";

static int fail(char why[EESP_WHY_LEN], const char *name, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static int fail(char why[EESP_WHY_LEN], const char *name, const char *format,
                ...)
{
    int used = snprintf(why, EESP_WHY_LEN, "%.200s: ", name);
    va_list args;

    va_start(args, format);
    vsnprintf(why + used, (size_t)(EESP_WHY_LEN - used), format, args);
    va_end(args);
    return EESP_ERR_KEYRING;
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

/* Whoever may change the program gives the keys. NULL: only we and root. */
static const char *not_ours(const char *program)
{
    struct stat st;

    if (program == NULL || program[0] != '/')
        return "must begin with the whole path of a program";
    if (stat(program, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode) || access(program, X_OK) != 0)
        return "not a program";
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return "neither you nor root own the program";
    return st.st_mode & 022 ? "others may change the program: chmod go-w it" :
                              NULL;
}

/* Words of text, which is taken apart; -1: too many. */
static int split(char *text, char *words[WORDS_MAX + 1])
{
    char *rest = text, *word;
    int count  = 0;

    while ((word = strsep(&rest, " \t")) != NULL) {
        if (word[0] == '\0')
            continue;
        if (count == WORDS_MAX)
            return -1;
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

/* The caller's environment but for LD_PRELOAD: it is for the job. */
static char **environment(void)
{
    size_t count = 0, kept = 0;
    char **copy;

    while (environ[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof(*copy));
    for (count = 0; copy != NULL && environ[count] != NULL; count++)
        if (strncmp(environ[count], "LD_PRELOAD=", 11) != 0)
            copy[kept++] = environ[count];
    return copy;
}

/*
 * Starts it in a process group of its own, with nothing of ours open but what
 * it prints to and standard error. Returns an error number.
 */
static int start(char *words[], int out, pid_t *pid_p)
{
    char **env = environment();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int error;

    if (env == NULL)
        return ENOMEM;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                    POSIX_SPAWN_SETSIGMASK |
                                    POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(pid_p, words[0], &actions, &attr, words, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    free(env);
    return error;
}

/* All it prints, to its end. NULL: text has it; or what is wrong. */
static const char *gather(int fd, int64_t until, struct eesp_text *text)
{
    struct pollfd in = {.fd = fd, .events = POLLIN};
    ssize_t got;

    for (;;) {
        int64_t left = until - now();

        if (left <= 0)
            return too_long;
        if (poll(&in, 1, (int)(left / MS) + 1) <= 0)
            continue;
        got = read(fd, text->bytes + text->length, text->size - text->length);
        if (got == 0)
            return text->length < text->size ? NULL :
                                               "printed more than 1 MiB";
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return strerror(errno);
        text->length += got > 0 ? (size_t)got : 0;
    }
}

/*
 * Waits for its end by the time that is left, then ends it and what it left
 * behind. Its number stays taken until the last line, so that no other group
 * gets the signal.
 */
static const char *reap(pid_t pid, int64_t until, const char *wrong)
{
    const struct timespec nap = {.tv_nsec = MS};
    siginfo_t info            = {.si_pid = 0};
    int gone, status          = 0;

    while ((gone = waitid(P_PID, (id_t)pid, &info,
                          WEXITED | WNOHANG | WNOWAIT)) == 0 &&
           info.si_pid == 0 && wrong == NULL) {
        if (now() > until)
            wrong = too_long;
        nanosleep(&nap, NULL);
    }
    if (gone != 0)
        return wrong ? wrong : "the program it runs in takes its exit status "
                               "(SIGCHLD is ignored)";
    kill(-pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid && wrong == NULL)
        wrong = strerror(errno);
    if (wrong == NULL && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        wrong = "failed: run it by hand to see why";
    return wrong;
}

/* NULL: text has what it printed; or what is wrong. */
static const char *run(const char *command, struct eesp_text *text)
{
    char *copy = strdup(command), *words[WORDS_MAX + 1] = {NULL};
    int64_t until = now() + (int64_t)EESP_COMMAND_SECONDS * NS;
    int out[2] = {-1, -1}, error;
    const char *wrong;
    pid_t pid;

    if (copy == NULL || pipe2(out, O_CLOEXEC) != 0) {
        wrong = strerror(errno);
        goto out;
    }
    wrong = split(copy, words) < 0 ? "has more than 64 words" :
                                     not_ours(words[0]);
    if (wrong != NULL)
        goto out;
    error = start(words, out[1], &pid);
    close(out[1]);
    out[1] = -1;
    if (error != 0)
        wrong = strerror(error);
    else
        wrong = reap(pid, until, gather(out[0], until, text));
out:
    if (out[0] >= 0)
        close(out[0]);
    if (out[1] >= 0)
        close(out[1]);
    free(copy);
    return wrong;
}

/* By that a run is told from the next, and how long it rests. */
static void look(const struct eesp_text *text, int64_t began,
                 struct eesp_source_seen *seen)
{
    int64_t end = now(), rest = (end - began) * EESP_COMMAND_REST;

    if (rest > (int64_t)EESP_COMMAND_REST_MAX * NS)
        rest = (int64_t)EESP_COMMAND_REST_MAX * NS;
    memset(seen, 0, sizeof(*seen));
    eesp_text_look(text, seen);
    seen->rests_until = end + rest;
}

int eesp_command_load(const char *command, const char *name,
                      struct eesp_source_seen *seen,
                      struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN])
{
    struct eesp_text text = {0};
    int64_t began         = now();
    const char *wrong;
    int ret;

    if (eesp_text_open(&text, EESP_TEXT_MAX) != 0)
        return fail(why, name, "%s", strerror(errno));
    wrong = run(command, &text);
    if (wrong != NULL)
        ret = fail(why, name, "%s", wrong);
    else if (text.length == 0)
        ret = fail(why, name, "printed nothing; it must print a keyring");
    else
        ret = eesp_keyring_parse(name, text.bytes, text.length, keyring_p, why);
    look(&text, began, seen);
    eesp_text_close(&text);
    return ret;
}

void eesp_command_look(const char *command, struct eesp_source_seen *seen)
{
    struct eesp_text text = {0};
    int64_t began         = now();

    if (began < seen->rests_until || eesp_text_open(&text, EESP_TEXT_MAX) != 0)
        return;
    if (run(command, &text) != NULL)
        text.length = 0;
    look(&text, began, seen);
    eesp_text_close(&text);
}
