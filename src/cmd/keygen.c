/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keygen.h"

enum { DAY = 24 * 60 * 60, DAYS_MAX = 36500 };

static void print_help(void)
{
    printf(
        "Usage: eesp keygen --levels LEVEL[,LEVEL]... --out FILE [OPTION]...\n"
        "\n"
        "Makes a keyring file, mode 0600, with a fresh 256-bit root key for "
        "each level\nand two policies ready for use: \"ranks\" for MPI jobs "
        "(needs the job or task\nlevel) and \"pairs\" for programs without "
        "a launcher.\n\n"
        "  --levels LIST     some of domain,tenant,job,task\n"
        "  --out FILE        file to make; - for standard output\n"
        "  --kid LEVEL=ID    id of the key of a level, 1 to 32 of "
        "A-Z a-z 0-9 . _ : -\n"
        "                    (default: the level and a random suffix)\n"
        "  --lifetime TIME   keys expire after TIME: days, or 30d, 12h "
        "(default: never)\n"
        "  --force           replace FILE if it exists\n"
        "  -h, --help        this text\n\n"
        "Examples:\n"
        "  eesp keygen --levels domain,job --out keyring.jwks\n"
        "  eesp keygen --levels job --kid job=job-42 --lifetime 12h --out 42.jwks\n");
}

/* Level of that name, or EESP_LEVELS. */
static unsigned find_level(const char *name)
{
    unsigned level = 0;

    while (level < EESP_LEVELS && strcmp(name, eesp_level_name(level)) != 0)
        level++;
    return level;
}

/* list is taken apart. */
static int parse_levels(struct keygen_plan *plan, char *list)
{
    unsigned level;
    char *name;

    while ((name = strsep(&list, ",")) != NULL) {
        level = find_level(name);
        if (level == EESP_LEVELS) {
            cmd_complain("--levels: unknown level '%s' (some of domain,"
                         "tenant,job,task, with commas)", name);
            return -1;
        }
        if (plan->level[level].used) {
            cmd_complain("--levels: '%s' is given twice", name);
            return -1;
        }
        plan->level[level].used = true;
    }
    return 0;
}

static bool is_key_id(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t length = strlen(id);

    return length >= 1 && length <= EESP_KEY_ID_MAX &&
           strspn(id, allowed) == length;
}

/* text is taken apart: LEVEL=ID */
static int parse_kid(struct keygen_plan *plan, char *text)
{
    char *id = strchr(text, '=');
    unsigned level;

    if (!id) {
        cmd_complain("--kid: '%s' is not LEVEL=ID", text);
        return -1;
    }
    *id++ = '\0';
    level = find_level(text);
    if (level == EESP_LEVELS) {
        cmd_complain("--kid: unknown level '%s'", text);
        return -1;
    }
    if (!is_key_id(id)) {
        cmd_complain("--kid: '%s' is not an id: 1 to %d of "
                     "A-Z a-z 0-9 . _ : -", id, EESP_KEY_ID_MAX);
        return -1;
    }
    if (plan->level[level].id[0]) {
        cmd_complain("--kid: level %s is given twice", text);
        return -1;
    }
    strcpy(plan->level[level].id, id);
    return 0;
}

int keygen_lifetime(const char *text, uint64_t *expires)
{
    unsigned long count, unit = DAY;
    char *end;

    errno = 0;
    count = strtoul(text, &end, 10);
    if (end != text && (*end == 'd' || *end == 'h'))
        unit = *end++ == 'd' ? DAY : DAY / 24;
    if (text[0] < '0' || text[0] > '9' || *end || errno || count == 0 ||
        count > (unsigned long)DAYS_MAX * DAY / unit) {
        cmd_complain("--lifetime: '%s' is not a time such as 30, 30d or 12h "
                     "(at most %dd)", text, DAYS_MAX);
        return -1;
    }
    *expires = (uint64_t)time(NULL) + count * unit;
    return 0;
}

/* --kid may stand before --levels, so this comes last. */
static int check_kids(const struct keygen_plan *plan)
{
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++)
        if (plan->level[level].id[0] && !plan->level[level].used) {
            cmd_complain("--kid: level %s is not in --levels",
                         eesp_level_name(level));
            return -1;
        }
    return 0;
}

/* Gives the levels without --kid an id of their own. */
static int complete(struct keygen_plan *plan)
{
    uint32_t random;
    unsigned level;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!plan->level[level].used || plan->level[level].id[0])
            continue;
        if (keygen_random(&random, sizeof(random)) < 0)
            return -1;
        snprintf(plan->level[level].id, sizeof(plan->level[level].id),
                 "%s-%08x", eesp_level_name(level), random);
    }
    return 0;
}

static void report(const struct keygen_plan *plan, const char *path)
{
    bool to_stdout = strcmp(path, "-") == 0;
    char *whole = to_stdout ? NULL : realpath(path, NULL);
    char expires[TEXT_MAX];
    unsigned level;

    fprintf(stderr, "Made %s\n",
            to_stdout ? "a keyring" : whole ? whole : path);
    for (level = 0; level < EESP_LEVELS; level++)
        if (plan->level[level].used)
            fprintf(stderr, "  key     %-6s  %s, 256 bits, generation 1, "
                    "expires %s\n", eesp_level_name(level),
                    plan->level[level].id,
                    plan->expires ? text_time(plan->expires, expires)
                                  : "never");
    if (keygen_has_ranks(plan))
        fprintf(stderr, "  policy  ranks   SPI 0x%08x, for MPI jobs\n",
                KEYGEN_SPI_RANKS);
    else
        fprintf(stderr, "  note    no policy \"ranks\": it needs the job or "
                "task level, or ranks of two\n          jobs would share "
                "keys\n");
    fprintf(stderr, "  policy  pairs   SPI 0x%08x, for programs without a "
            "launcher\n", KEYGEN_SPI_PAIRS);
    fprintf(stderr, "Copy it to every node over a safe channel, mode 0600, "
            "then\n  export %s=%s\n", CMD_KEYRING_VARIABLE,
            to_stdout ? "FILE" : whole ? whole : path);
    free(whole);
}

static int write_stdout(const char *text, size_t length)
{
    struct stat status;

    if (isatty(STDOUT_FILENO))
        cmd_complain("warning: secret keys go to a terminal");
    else if (fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode) &&
             status.st_mode & (S_IRWXG | S_IRWXO))
        cmd_complain("warning: others may read the file on standard output: "
                     "chmod 600 it, and set umask 077 before");
    if (newfile_write_all(STDOUT_FILENO, text, length) < 0) {
        cmd_complain("cannot write to standard output: %s", strerror(errno));
        return -1;
    }
    return 0;
}

/* A ring that the library would refuse must not be written. */
static int check(const char *text, size_t length)
{
    struct eesp_keyring *keyring = NULL;
    char why[EESP_WHY_LEN];

    if (eesp_keyring_parse("the new keyring", text, length, &keyring, why) !=
        EESP_OK) {
        cmd_complain("%s", why);
        return -1;
    }
    eesp_keyring_free(keyring);
    return 0;
}

static int generate(struct keygen_plan *plan, const char *path, bool force)
{
    char text[KEYGEN_TEXT_MAX];
    size_t length = 0;
    int result = CMD_FAILED;

    if (complete(plan) < 0 || keygen_text(plan, text, &length) < 0 ||
        check(text, length) < 0)
        goto out;
    if (strcmp(path, "-") == 0) {
        if (write_stdout(text, length) < 0)
            goto out;
    } else {
        if (newfile_write(path, text, length, force) < 0)
            goto out;
    }
    report(plan, path);
    result = CMD_OK;
out:
    explicit_bzero(text, sizeof(text));
    return result;
}

int keygen_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "levels", required_argument, NULL, 'l' },
        { "out", required_argument, NULL, 'o' },
        { "kid", required_argument, NULL, 'k' },
        { "lifetime", required_argument, NULL, 't' },
        { "force", no_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct keygen_plan plan = { 0 };
    const char *path = NULL;
    bool force = false, levels = false;
    int option, result = 0;

    while (result == 0 &&
           (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            result = parse_levels(&plan, optarg);
            levels = true;
            break;
        case 'o':
            path = optarg;
            break;
        case 'k':
            result = parse_kid(&plan, optarg);
            break;
        case 't':
            result = keygen_lifetime(optarg, &plan.expires);
            break;
        case 'f':
            force = true;
            break;
        case 'h':
            print_help();
            return CMD_OK;
        default:
            result = -1;
        }
    }
    if (result == 0 && optind < argc) {
        cmd_complain("unexpected argument '%s'", argv[optind]);
        result = -1;
    }
    if (result == 0 && (!levels || !path || !*path)) {
        cmd_complain("keygen needs --levels and --out");
        result = -1;
    }
    if (result == 0)
        result = check_kids(&plan);
    return result < 0 ? cmd_usage("keygen") : generate(&plan, path, force);
}
