/* SPDX-License-Identifier: BSD-3-Clause */
/* rotate: one ring of a keyring file a step on, the rest as it was. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../job/base64url.h"
#include "keygen.h"

enum { KEY_LENGTH = 32, KEY_TEXT = 44 };

struct rotation {
    const char *path, *level, *kid, *step;
    uint64_t    expires; /* of the staged key, 0: never */
    json_t     *keys;
    json_t     *key[EESP_STATES]; /* of the ring, borrowed */
};

static void print_help(void)
{
    printf(
        "Usage: eesp rotate --keyring FILE --level LEVEL [OPTION]... STEP\n\n"
        "Takes the keys of one level a step further. Steps, in this order, "
        "each one\ncopied to every node before the next is made:\n\n"
        "  stage             make the next key; nodes open with it, "
        "none sends\n"
        "  promote           next becomes current and sends, current "
        "becomes previous\n"
        "  retire            remove the previous key\n\n"
        "  --keyring FILE    keyring (default: $UCX_EESP_KEYRING or\n"
        "                    %s)\n"
        "  --level LEVEL     domain, tenant, job or task\n"
        "  --kid ID          id of the key, if the level has more than one\n"
        "  --lifetime TIME   stage: the key expires after TIME: days, or "
        "30d, 12h\n"
        "  -h, --help        this text\n\n"
        "Examples:\n"
        "  eesp rotate --keyring keyring.jwks --level domain stage\n"
        "  eesp rotate --keyring keyring.jwks --level domain promote\n"
        "  eesp rotate --keyring keyring.jwks --level domain retire\n",
        CMD_DEFAULT_KEYRING);
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

static const char *member(const json_t *key, const char *name)
{
    const char *text = json_string_value(json_object_get(key, name));

    return text ? text : "";
}

/* Sorts the keys of the ring by state: the file was checked before. */
static int find_ring(struct rotation *r)
{
    const char *kid = r->kid;
    json_t *key;
    size_t i;
    int state;

    json_array_foreach(r->keys, i, key) {
        if (strcmp(member(key, "eesp_level"), r->level) != 0 ||
            (r->kid && strcmp(member(key, "kid"), r->kid) != 0))
            continue;
        if (kid && strcmp(member(key, "kid"), kid) != 0) {
            cmd_complain("%s: level %s has the keys %s and %s: choose with "
                         "--kid ID", r->path, r->level, kid,
                         member(key, "kid"));
            return -1;
        }
        kid = member(key, "kid");
        for (state = 0; state < EESP_STATES; state++)
            if (strcmp(member(key, "eesp_state"),
                       eesp_key_state_name((enum eesp_key_state)state)) == 0)
                r->key[state] = key;
    }
    if (!r->key[EESP_CURRENT]) {
        cmd_complain("%s: no current %s key%s%s; see: eesp show '%s'", r->path,
                     r->level, r->kid ? " " : "", r->kid ? r->kid : "",
                     r->path);
        return -1;
    }
    r->kid = kid;
    return 0;
}

static int refuse(const struct rotation *r, const char *what, const char *step)
{
    cmd_complain("%s: %s key %s %s; run: eesp rotate --keyring '%s' --level "
                 "%s --kid %s %s", r->path, r->level, r->kid, what, r->path,
                 r->level, r->kid, step);
    return -1;
}

static int set(json_t *key, const char *name, json_t *value)
{
    return json_object_set_new(key, name, value);
}

static int stage(struct rotation *r)
{
    json_int_t generation = json_integer_value(
        json_object_get(r->key[EESP_CURRENT], "eesp_generation"));
    uint8_t bytes[KEY_LENGTH];
    char k[KEY_TEXT];
    json_t *key;
    int result = -1;

    if (r->key[EESP_NEXT])
        return refuse(r, "has a staged next key", "promote");
    if (generation == UINT32_MAX) {
        cmd_complain("%s: %s key %s has used up its generations: make a key "
                     "with another id", r->path, r->level, r->kid);
        return -1;
    }
    if (keygen_random(bytes, sizeof(bytes)) == 0) {
        job_base64url(bytes, sizeof(bytes), k);
        key = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s}", "kty", "oct", "kid",
                        r->kid, "k", k, "eesp_level", r->level,
                        "eesp_generation", generation + 1, "eesp_state",
                        "next");
        if (key && r->expires)
            set(key, "exp", json_integer((json_int_t)r->expires));
        result = json_array_append_new(r->keys, key);
        if (result < 0)
            cmd_complain("out of memory");
    }
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(k, sizeof(k));
    return result;
}

static int promote(struct rotation *r)
{
    json_t *exp = json_object_get(r->key[EESP_NEXT], "exp");
    json_t *nbf = json_object_get(r->key[EESP_NEXT], "nbf");
    json_int_t now = (json_int_t)time(NULL);

    if (!r->key[EESP_NEXT])
        return refuse(r, "has no staged next key", "stage");
    if (r->key[EESP_PREVIOUS])
        return refuse(r, "still has a previous key", "retire");
    if ((exp && json_integer_value(exp) <= now) ||
        (nbf && json_integer_value(nbf) > now)) {
        cmd_complain("%s: the next %s key %s could not send now: its lifetime "
                     "is over or has not begun; see: eesp show '%s'", r->path,
                     r->level, r->kid, r->path);
        return -1;
    }
    return set(r->key[EESP_CURRENT], "eesp_state", json_string("previous")) |
           set(r->key[EESP_NEXT], "eesp_state", json_string("current"));
}

static int retire(struct rotation *r)
{
    json_t *key;
    size_t i;

    if (!r->key[EESP_PREVIOUS])
        return refuse(r, "has no previous key", r->key[EESP_NEXT] ? "promote" :
                                                                    "stage");
    json_array_foreach(r->keys, i, key)
        if (key == r->key[EESP_PREVIOUS])
            return json_array_remove(r->keys, i);
    return -1;
}

static const struct {
    const char *name;
    int       (*take)(struct rotation *r);
} steps[] = { { "stage", stage }, { "promote", promote },
              { "retire", retire } };

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

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

static int rotate(struct rotation *r)
{
    struct eesp_keyring *old = NULL;
    json_t *document = NULL;
    char *text = NULL, *path;
    struct stat status;
    int fd = -1, result = -1;
    unsigned i = 0;

    path = realpath(r->path, NULL); /* a link stays a link */
    r->path = path ? path : r->path;
    fd = open_locked(r->path, &status);
    if (fd < 0)
        goto out;
    old = cmd_load_keyring(r->path, &r->path);
    if (!old)
        goto out;
    json_set_alloc_funcs(malloc, cmd_wiping_free);
    document = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
    r->keys = json_object_get(document, "keys");
    while (i < STEPS - 1 && strcmp(r->step, steps[i].name) != 0)
        i++;
    if (find_ring(r) < 0 || steps[i].take(r) != 0)
        goto out;
    text = json_dumps(document, JSON_INDENT(2));
    result = save(r, old, text, &status);
    if (result == 0)
        fprintf(stderr, "%s: %s key %s: %s done. Copy it to every node before "
                "the next step.\n", r->path, r->level, r->kid, r->step);
out:
    cmd_wiping_free(text);
    json_decref(document);
    eesp_keyring_free(old);
    if (fd >= 0)
        close(fd);
    free(path);
    return result < 0 ? CMD_FAILED : CMD_OK;
}

static int check_usage(const struct rotation *r)
{
    unsigned i, level = 0;

    if (!r->level || !r->step) {
        cmd_complain("rotate needs --level and one of stage, promote, retire");
        return -1;
    }
    for (i = 0; i < STEPS && strcmp(r->step, steps[i].name) != 0; i++)
        ;
    while (level < EESP_LEVELS &&
           strcmp(r->level, eesp_level_name((enum eesp_level)level)) != 0)
        level++;
    if (i == STEPS)
        cmd_complain("unknown step '%s' (stage, promote or retire)", r->step);
    else if (level == EESP_LEVELS)
        cmd_complain("--level: unknown level '%s'", r->level);
    else if (r->expires && i != 0)
        cmd_complain("--lifetime belongs to stage");
    else
        return 0;
    return -1;
}

int rotate_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "keyring", required_argument, NULL, 'f' },
        { "level", required_argument, NULL, 'l' },
        { "kid", required_argument, NULL, 'k' },
        { "lifetime", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct rotation r = { 0 };
    int option, result = 0;

    while (result == 0 &&
           (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'f': r.path = optarg; break;
        case 'l': r.level = optarg; break;
        case 'k': r.kid = optarg; break;
        case 't': result = keygen_lifetime(optarg, &r.expires); break;
        case 'h': print_help(); return CMD_OK;
        default: result = -1;
        }
    }
    if (result == 0 && optind < argc)
        r.step = argv[optind++];
    if (result == 0 && optind < argc) {
        cmd_complain("unexpected argument '%s'", argv[optind]);
        result = -1;
    }
    if (result == 0)
        result = check_usage(&r);
    if (result < 0)
        return cmd_usage("rotate");
    if (!r.path)
        r.path = getenv(CMD_KEYRING_VARIABLE);
    if (!r.path || !*r.path)
        r.path = CMD_DEFAULT_KEYRING;
    return rotate(&r);
}
