/* SPDX-License-Identifier: BSD-3-Clause */
/* rotate: one ring of a keyring file a step on, the rest as it was. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keygen.h"
#include "pages.h"
#include "rotate.h"

enum { WAIT = 60, WAIT_MAX = 1000000 }; /* seconds */

static void print_help(void)
{
    printf(
        "Usage: eesp rotate --keyring FILE --level LEVEL [OPTION]... STEP...\n"
        "       eesp rotate --keyring FILE [OPTION]... epoch...\n\n"
        "Takes the keys of one level a step further. Steps, in this order, "
        "each one\ncopied to every node before the next is made:\n\n"
        "  stage             make the next key; nodes open with it, "
        "none sends\n"
        "  promote           next becomes current and sends, current "
        "becomes previous\n"
        "  retire            remove the previous key\n"
        "  epoch             raise the epoch of the policies, without new "
        "root keys\n\n"
        "  --keyring FILE    keyring (default: $UCX_EESP_KEYRING or\n"
        "                    %s)\n"
        "  --level LEVEL     domain, tenant, job or task\n"
        "  --kid ID          id of the key, if the level has more than one\n"
        "  --policy NAME     epoch: of this policy only\n"
        "  --lifetime TIME   stage: the key expires after TIME: days, or "
        "30d, 12h\n"
        "  --wait[=SECONDS]  before each step wait, %u s at most, until all "
        "processes\n                    of this host that use the keyring are "
        "ready for it:\n                    they hold the one before it, and "
        "nothing is on its\n                    way under keys that the step "
        "takes away\n"
        "  --stat-dir DIR    where their pages are (default: $%s,\n"
        "                    or as for eesp stat)\n"
        "  -h, --help        this text\n\n"
        "Examples:\n"
        "  eesp rotate --keyring keyring.jwks --level domain stage\n"
        "  eesp rotate --keyring keyring.jwks --level domain promote\n"
        "  eesp rotate --keyring keyring.jwks --level domain retire\n"
        "  eesp rotate --keyring keyring.jwks --level job --wait stage "
        "promote retire\n",
        CMD_DEFAULT_KEYRING, WAIT, PAGES_VARIABLE);
}

/*
 * Opens the file and locks out other rotations. The lock belongs to the file,
 * so one that was replaced while we waited is opened anew.
 */
static int open_locked(const char *path, struct stat *status)
{
    struct stat now;
    int fd;

    for (;;) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, status) < 0 ||
            stat(path, &now) < 0)
            break;
        if (now.st_ino == status->st_ino && now.st_dev == status->st_dev)
            return fd;
        close(fd);
    }
    cmd_complain("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* What the library would refuse in place of the old one is not written. */
static int save(const struct rotation *r, const struct eesp_keyring *old,
                const char *text, const struct stat *status)
{
    struct eesp_keyring *next = NULL;
    char why[EESP_WHY_LEN];
    int result = -1;

    if (!text)
        cmd_complain("out of memory");
    else if (eesp_keyring_parse(r->path, text, strlen(text), &next, why) !=
                 EESP_OK ||
             eesp_keyring_follows(old, next, r->path, why) != EESP_OK)
        cmd_complain("%s", why);
    else
        result = newfile_replace(r->path, text, strlen(text), status);
    eesp_keyring_free(next);
    return result;
}

static void tell(const struct rotation *r, const struct rotation_step *step)
{
    const char *next = r->waits ? "" : " Copy it to every node before the next "
                                       "step.";

    if (step->of_ring)
        fprintf(stderr, "%s: %s key %s: %s done.%s\n", r->path, r->level,
                r->kid, step->name, next);
    else
        fprintf(stderr, "%s: epoch raised.%s\n", r->path, next);
}

static int rotate(struct rotation *r, const struct rotation_step *step)
{
    struct eesp_keyring *old = NULL;
    struct stat status;
    char *text = NULL;
    int fd, result = -1;

    fd = open_locked(r->path, &status);
    if (fd < 0)
        return -1;
    old = cmd_load_keyring(r->path, &r->path);
    if (!old)
        goto out;
    r->document = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
    if (step->of_ring && rotation_find(r) < 0)
        goto out;
    if (step->take(r) < 0 || (r->waits && readers_wait(r, step, old) < 0))
        goto out;
    text   = json_dumps(r->document, JSON_INDENT(2));
    result = save(r, old, text, &status);
    if (result == 0)
        tell(r, step);
out:
    cmd_wiping_free(text);
    eesp_keyring_free(old);
    close(fd);
    return result;
}

static int rotate_all(struct rotation *r, char *steps[])
{
    char *path = realpath(r->path, NULL); /* a link stays a link */
    const char *kid = r->kid;
    int result      = 0;

    r->path = path ? path : r->path;
    json_set_alloc_funcs(malloc, cmd_wiping_free);
    while (result == 0 && *steps) {
        result = rotate(r, rotation_step(*steps++));
        json_decref(r->document);
        r->document = NULL;
        r->kid      = kid; /* that which was found lay in the document */
    }
    free(path);
    return result < 0 ? CMD_FAILED : CMD_OK;
}

/* What belongs to some of the steps only. */
static int check_step(const struct rotation *r, const char *name)
{
    const struct rotation_step *step = rotation_step(name);

    if (!step)
        cmd_complain("unknown step '%s' (stage, promote, retire or epoch)",
                     name);
    else if (step->of_ring != (r->level != NULL))
        cmd_complain(step->of_ring ? "%s needs --level"
                                   : "%s is no level's: leave out --level",
                     name);
    else if (r->kid && !step->of_ring)
        cmd_complain("--kid belongs to --level");
    else if (r->policy && step->of_ring)
        cmd_complain("--policy belongs to epoch");
    else if (r->expires && strcmp(name, "stage") != 0)
        cmd_complain("--lifetime belongs to stage");
    else
        return 0;
    return -1;
}

static int check_usage(const struct rotation *r, char *steps[])
{
    unsigned i, level = 0;

    if (!steps[0]) {
        cmd_complain("rotate needs --level and one of stage, promote, retire, "
                     "or epoch");
        return -1;
    }
    while (r->level && level < EESP_LEVELS &&
           strcmp(r->level, eesp_level_name((enum eesp_level)level)) != 0)
        level++;
    if (level == EESP_LEVELS) {
        cmd_complain("--level: unknown level '%s'", r->level);
        return -1;
    }
    if (steps[1] && !r->waits) {
        cmd_complain("more than one step needs --wait: nodes that miss one "
                     "cannot open what the others send");
        return -1;
    }
    if (r->pages && !r->waits) {
        cmd_complain("--stat-dir belongs to --wait");
        return -1;
    }
    for (i = 0; steps[i]; i++)
        if (check_step(r, steps[i]) < 0)
            return -1;
    return 0;
}

int rotate_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "keyring", required_argument, NULL, 'f' },
        { "level", required_argument, NULL, 'l' },
        { "kid", required_argument, NULL, 'k' },
        { "policy", required_argument, NULL, 'p' },
        { "lifetime", required_argument, NULL, 't' },
        { "wait", optional_argument, NULL, 'w' },
        { "stat-dir", required_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct rotation r = { .seconds = WAIT };
    int option, result = 0;

    while (result == 0 &&
           (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'f': r.path = optarg; break;
        case 'l': r.level = optarg; break;
        case 'k': r.kid = optarg; break;
        case 'p': r.policy = optarg; break;
        case 't': result = keygen_lifetime(optarg, &r.expires); break;
        case 'w':
            r.waits = true;
            if (optarg)
                result = cmd_parse_number("wait", optarg, 10, WAIT_MAX,
                                          &r.seconds);
            break;
        case 'd': r.pages = optarg; break;
        case 'h': print_help(); return CMD_OK;
        default: result = -1;
        }
    }
    if (result == 0)
        result = check_usage(&r, argv + optind);
    if (result < 0)
        return cmd_usage("rotate");
    if (!r.path)
        r.path = getenv(CMD_KEYRING_VARIABLE);
    if (!r.path || !*r.path)
        r.path = CMD_DEFAULT_KEYRING;
    return rotate_all(&r, argv + optind);
}
