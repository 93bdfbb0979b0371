/* SPDX-License-Identifier: BSD-3-Clause */
/* verify: runs a job, and proves from the network that it is sealed. */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK     = 1000, /* us between two looks at the job's sockets */
    PATIENCE = 2000, /* ms for processes that outlive the command */
};

struct verify_options {
    const char *keyring, *policy, *interface;
    const struct passwd *user; /* NULL: as we are */
    char      **command;
};

/* Pages of the job: held open, so that their last state can be read. */
struct watched {
    char   directory[sizeof("/tmp/eesp-verify.XXXXXX") + 8];
    char **name;
    int   *fd;
    size_t count;
};

static void print_help(void)
{
    printf(
        "Usage: eesp verify [OPTION]... [--] COMMAND...\n\n"
        "Runs COMMAND, records what crosses the network meanwhile, and tells "
        "whether all\nthat its processes sent over UCX is sealed and opens "
        "with the keyring. Needs the\nright to capture (CAP_NET_RAW).\n\n"
        "  --keyring FILE    default: $%s, or\n"
        "                    %s\n"
        "  --policy NAME     the only policy that may be used, by name or "
        "SPI; else\n                    any that encrypts\n"
        "  --user NAME       run COMMAND as that user\n"
        "  --interface NAME  where to look (default: any)\n"
        "  -h, --help        this text\n\n"
        "Exit code: 0 all is sealed, 1 something is not or COMMAND failed, 2 "
        "it cannot be\ntold, or wrong usage.\n\n"
        "Examples:\n"
        "  sudo eesp verify --keyring keyring.jwks --user $USER -- mpirun "
        "./program\n",
        CMD_KEYRING_VARIABLE, CMD_DEFAULT_KEYRING);
}

/* ---- Pages ------------------------------------------------------------------ */

static void watch_pages(struct watched *watched)
{
    struct dirent *entry;
    DIR *dir = opendir(watched->directory);
    size_t i;
    int fd;

    while (dir && (entry = readdir(dir)) != NULL) {
        for (i = 0; i < watched->count; i++)
            if (strcmp(watched->name[i], entry->d_name) == 0)
                break;
        if (entry->d_name[0] == '.' || i < watched->count)
            continue;
        fd = openat(dirfd(dir), entry->d_name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        watched->name = cmd_realloc(watched->name,
                                    (i + 1) * sizeof(*watched->name));
        watched->fd = cmd_realloc(watched->fd, (i + 1) * sizeof(*watched->fd));
        watched->name[i] = cmd_printf("%s", entry->d_name);
        watched->fd[i] = fd;
        watched->count++;
    }
    if (dir)
        closedir(dir);
}

static void read_pages(const struct watched *watched, struct pages *pages)
{
    struct page page = { .path = NULL };
    size_t i;

    *pages = (struct pages){ .count = 0 };
    for (i = 0; i < watched->count; i++) {
        if (pages_read_one(watched->fd[i], &page.p, &page.alive) != 0)
            continue;
        pages->page = cmd_realloc(pages->page,
                                  (pages->count + 1) * sizeof(page));
        page.path = cmd_printf("%s", watched->name[i]);
        pages->page[pages->count++] = page;
    }
}

static int make_directory(struct watched *watched, const struct passwd *user)
{
    *watched = (struct watched){ .count = 0 };
    strcpy(watched->directory, "/tmp/eesp-verify.XXXXXX");
    if (!mkdtemp(watched->directory) ||
        (user && chown(watched->directory, user->pw_uid, user->pw_gid) != 0)) {
        cmd_complain("cannot make %s: %s", watched->directory,
                     strerror(errno));
        return -1;
    }
    return 0;
}

static void drop_directory(struct watched *watched)
{
    char *path;
    size_t i;

    for (i = 0; i < watched->count; i++) {
        path = cmd_printf("%s/%s", watched->directory, watched->name[i]);
        unlink(path); /* of one that was killed */
        free(path);
        free(watched->name[i]);
        close(watched->fd[i]);
    }
    rmdir(watched->directory);
    free(watched->name);
    free(watched->fd);
}

/* ---- Job --------------------------------------------------------------------- */

static void become(const struct passwd *user)
{
    if (initgroups(user->pw_name, user->pw_gid) != 0 ||
        setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
        cmd_complain("cannot become %s: %s", user->pw_name, strerror(errno));
        _exit(126);
    }
    setenv("HOME", user->pw_dir, 1);
    setenv("USER", user->pw_name, 1);
    setenv("LOGNAME", user->pw_name, 1);
}

static pid_t start(const struct verify_options *options,
                   const struct watched *watched)
{
    pid_t child = fork();

    if (child != 0) {
        if (child < 0)
            cmd_complain("cannot start a process: %s", strerror(errno));
        return child;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    if (options->user)
        become(options->user);
    setenv(PAGES_VARIABLE, watched->directory, 1);
    execvp(options->command[0], options->command);
    cmd_complain("cannot run %s: %s", options->command[0], strerror(errno));
    _exit(127);
}

static uint64_t microseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Takes all that have ended; *status of the command, once it is among them. */
static bool reap(pid_t child, int *status)
{
    bool ended = false;
    int each;
    pid_t pid;

    while ((pid = waitpid(-1, &each, WNOHANG)) > 0) {
        if (pid != child)
            continue;
        *status = WIFEXITED(each) ? WEXITSTATUS(each) : 128 + WTERMSIG(each);
        ended = true;
    }
    return ended;
}

/*
 * Looks on until the command and its processes have ended. Before its ranks,
 * where that is allowed: they may keep every CPU busy while a connection comes
 * and goes.
 */
static int look_on(pid_t child, struct owners *owners, struct watched *watched)
{
    const struct sched_param first = { .sched_priority = 1 };
    uint64_t begun, used, end = 0;
    int status = 0;

    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
    for (;;) {
        begun = microseconds(CLOCK_MONOTONIC);
        used = microseconds(CLOCK_THREAD_CPUTIME_ID);
        watch_pages(watched);
        owners_sample(owners);
        if (reap(child, &status))
            end = begun + PATIENCE * 1000;
        if (end && (owners_alive(owners) == 0 || begun > end))
            return status;
        /* A look at many processes costs: no more than a third of a CPU. */
        used = (microseconds(CLOCK_THREAD_CPUTIME_ID) - used) * 2;
        usleep((useconds_t)(used > LOOK ? used : LOOK));
    }
}

/* ---- Subcommand ------------------------------------------------------------------ */

static int judge(const struct verify_options *options,
                 const struct expectation *expected, struct job *job,
                 struct capture *capture, struct watched *watched)
{
    struct streams streams = { .count = 0 };
    struct owners *owners = owners_new();
    struct pages pages = { .count = 0 };
    pid_t child = start(options, watched);
    int result = VERIFY_NOT, fd;

    if (child > 0)
        job->status = look_on(child, owners, watched);
    fd = capture_stop(capture, &job->lost);
    if (child > 0 && fd >= 0 &&
        streams_read(&streams, fd, expected, owners) == 0) {
        read_pages(watched, &pages);
        job->streams = &streams;
        job->pages = &pages;
        job->owners = owners;
        result = verdict_print(job);
    }
    if (fd >= 0)
        close(fd);
    pages_free(&pages);
    streams_free(&streams);
    owners_free(owners);
    return result;
}

static int find_policy(const struct verify_options *options, const char *path,
                       struct expectation *expected)
{
    const struct eesp_policy *policy;

    if (!options->policy)
        return 0;
    policy = eesp_keyring_policy(expected->keyring, options->policy);
    if (!policy) {
        cmd_complain("%s has no policy '%s'; see: eesp show %s", path,
                     options->policy, path);
        return -1;
    }
    expected->has_spi = true;
    expected->spi = eesp_policy_info(policy)->spi;
    return 0;
}

static int verify(const struct verify_options *options)
{
    struct expectation expected = { .keyring = NULL };
    struct eesp_keyring *keyring;
    struct capture *capture;
    struct job job = { .status = 0 };
    struct watched watched;
    int result = VERIFY_NOT;
    const char *path;
    bool permitted;

    keyring = cmd_load_keyring(options->keyring, &path);
    expected.keyring = keyring;
    if (!keyring || find_policy(options, path, &expected) < 0)
        goto out;
    capture = capture_start(options->interface, &permitted);
    if (!permitted)
        cmd_complain("not verified: this needs the right to capture "
                     "(CAP_NET_RAW); run: sudo eesp verify --user %s ...",
                     getenv("USER") ? getenv("USER") : "NAME");
    if (!capture)
        goto out;
    if (make_directory(&watched, options->user) < 0) {
        close(capture_stop(capture, &job.lost));
        goto out;
    }
    /* An interrupt is for the job: the answer comes still. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    result = judge(options, &expected, &job, capture, &watched);
    drop_directory(&watched);
out:
    eesp_keyring_free(keyring);
    return result;
}

static int parse_option(struct verify_options *options, int option)
{
    switch (option) {
    case 'k':
        options->keyring = optarg;
        return 0;
    case 'p':
        options->policy = optarg;
        return 0;
    case 'i':
        options->interface = optarg;
        return 0;
    case 'u':
        options->user = getpwnam(optarg);
        if (!options->user)
            cmd_complain("--user: no user '%s'", optarg);
        return options->user ? 0 : -1;
    default:
        return -1;
    }
}

int verify_main(int argc, char *argv[])
{
    static const struct option names[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "policy", required_argument, NULL, 'p' },
        { "user", required_argument, NULL, 'u' },
        { "interface", required_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct verify_options options = { .interface = "any" };
    int option;

    /* +: what follows COMMAND is its own. */
    while ((option = getopt_long(argc, argv, "+h", names, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CMD_OK;
        }
        if (parse_option(&options, option) < 0)
            return cmd_usage("verify");
    }
    if (optind == argc) {
        cmd_complain("no COMMAND to verify");
        return cmd_usage("verify");
    }
    options.command = argv + optind;
    return verify(&options);
}
