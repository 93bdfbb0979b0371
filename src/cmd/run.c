/* SPDX-License-Identifier: BSD-3-Clause */
/* run: a job under keys that are made for it alone, or granted to it. */
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../job/granted.h"
#include "keygen.h"

enum { NOT_STARTED = 126, NOT_FOUND = 127, BY_SIGNAL = 128 };

struct run_options {
    const char *keyring, *policy;
    char      **command;
};

static void print_help(void)
{
    printf(
        "Usage: eesp run [OPTION]... [--] COMMAND...\n\n"
        "Runs COMMAND, as a rule Open MPI's mpirun, with a job key that is "
        "made for it\nalone, and with what Open MPI and UCX need to seal. Its "
        "ranks get derived keys\nonly, in a file in memory that is wiped when "
        "COMMAND ends; on other hosts they\nget it over ssh, or what "
        "plm_rsh_agent names.\n\n"
        "  --keyring FILE    grant from this keyring; no key is made\n"
        "  --policy NAME     policy, by its name or SPI (default: ranks)\n"
        "  -h, --help        this text\n\n"
        "Exit code: that of COMMAND; 126 it was not started, 127 it is not "
        "there, 128 + N\nended by signal N.\n\n"
        "Examples:\n"
        "  eesp run -- mpirun -np 2 ./program\n"
        "  eesp run --keyring keyring.jwks -- mpirun --hostfile hosts "
        "./program\n");
}

/* ---- Keys ----------------------------------------------------------------- */

/* Compact and in one line, as the shell of another host reads it. */
static char *grant_text(const struct eesp_keyring *keyring,
                        const json_t *document, const char *name,
                        const char *wanted)
{
    const struct eesp_policy *policy = eesp_keyring_policy(keyring, wanted);
    json_t *made = NULL;
    char why[EESP_WHY_LEN], *text = NULL;

    if (policy)
        made = job_granted(policy, document, NULL, name, why);
    else
        snprintf(why, sizeof(why), "%.150s: no policy %.60s; name one by "
                 "--policy, see: eesp show '%.100s'", name, wanted, name);
    if (!made)
        cmd_complain("%s", why);
    else
        text = json_dumps(made, JSON_COMPACT);
    json_decref(made);
    return text;
}

static char *from_keyring(const struct run_options *options)
{
    const char *path;
    struct eesp_keyring *keyring = cmd_load_keyring(options->keyring, &path);
    json_t *document;
    char *text;

    if (!keyring)
        return NULL;
    document = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    text = grant_text(keyring, document, path, options->policy);
    json_decref(document);
    eesp_keyring_free(keyring);
    return text;
}

/* The root is forgotten before anything is started. */
static char *from_new_root(const struct run_options *options)
{
    struct keygen_plan plan = { .level[EESP_JOB].used = true };
    const char *name = "the new keyring";
    struct eesp_keyring *keyring = NULL;
    char ring[KEYGEN_TEXT_MAX], why[EESP_WHY_LEN], *text = NULL;
    json_t *document = NULL;
    size_t length;
    uint32_t random;

    if (keygen_random(&random, sizeof(random)) < 0)
        return NULL;
    snprintf(plan.level[EESP_JOB].id, sizeof(plan.level[EESP_JOB].id),
             "run-%08x", random);
    if (keygen_text(&plan, ring, &length) < 0)
        goto out;
    if (eesp_keyring_parse(name, ring, length, &keyring, why) != EESP_OK) {
        cmd_complain("%s", why);
        goto out;
    }
    document = json_loadb(ring, length, 0, NULL);
    text = grant_text(keyring, document, name, options->policy);
out:
    json_decref(document);
    eesp_keyring_free(keyring);
    explicit_bzero(ring, sizeof(ring));
    return text;
}

static int make_keyring(const struct run_options *options,
                        struct run_directory *directory)
{
    char *text;
    int result = -1;

    json_set_alloc_funcs(malloc, cmd_wiping_free);
    text = options->keyring ? from_keyring(options) : from_new_root(options);
    if (text)
        result = run_directory_keyring(directory, text);
    cmd_wiping_free(text);
    return result;
}

/* ---- Command -------------------------------------------------------------- */

/* SIGTERM comes to it also if we are killed. */
static pid_t start(char **command, const struct run_directory *directory,
                   const sigset_t *before)
{
    pid_t parent = getpid(), child = fork();
    int error;

    if (child != 0) {
        if (child < 0)
            cmd_complain("cannot start a process: %s", strerror(errno));
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_SETMASK, before, NULL);
    if (getppid() != parent)
        _exit(NOT_STARTED);
    command = run_openmpi(command, directory);
    if (!command)
        _exit(NOT_STARTED);
    execvp(command[0], command);
    error = errno;
    cmd_complain("cannot run %s: %s", command[0], strerror(error));
    _exit(error == ENOENT ? NOT_FOUND : NOT_STARTED);
}

/* Passes signals on until it ends. The terminal's reach it without us. */
static int attend(pid_t child, const sigset_t *signals)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (sigwaitinfo(signals, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            if (info.si_code <= 0)
                kill(child, info.si_signo);
        } else if (waitpid(child, &status, WNOHANG) == child) {
            return WIFEXITED(status) ? WEXITSTATUS(status) :
                                       BY_SIGNAL + WTERMSIG(status);
        }
    }
}

static int run(const struct run_options *options)
{
    static const int passed[] = { SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM,
                                  SIGUSR1, SIGUSR2 };
    struct run_directory directory;
    sigset_t signals, before;
    int result = NOT_STARTED;
    pid_t child = -1;
    size_t i;

    sigemptyset(&signals);
    for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        sigaddset(&signals, passed[i]);
    signal(SIGCHLD, SIG_DFL); /* one that is ignored would not be waited for */
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (run_directory_make(&directory) == 0) {
        if (make_keyring(options, &directory) == 0)
            child = start(options->command, &directory, &before);
        if (child > 0)
            result = attend(child, &signals);
        run_directory_drop(&directory);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

int run_main(int argc, char *argv[])
{
    static const struct option names[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "policy", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct run_options options = { .policy = "ranks" };
    int option;

    /* +: options after the command are the command's. */
    while ((option = getopt_long(argc, argv, "+h", names, NULL)) != -1) {
        switch (option) {
        case 'k': options.keyring = optarg; break;
        case 'p': options.policy = optarg; break;
        case 'h': print_help(); return CMD_OK;
        default: return cmd_usage("run");
        }
    }
    if (optind == argc) {
        cmd_complain("no COMMAND to run");
        return cmd_usage("run");
    }
    options.command = argv + optind;
    return run(&options);
}
