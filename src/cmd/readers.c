/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * readers: whether the processes that use a keyring have come as far as the file.
 *
 * Before each step every one must hold what the file holds, so that no two are
 * more than a step apart after it: then what is staged opens everywhere before
 * anybody sends with it. Before keys are taken away, all must also have left
 * them behind, and all that was sealed with them must have been opened.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "pages.h"
#include "rotate.h"

/* Waiting, and how often it is looked. */
enum { SHORT = 1, LONG = 50, SHORT_TIME = 300 /* milliseconds */ };

struct goal {
    const struct rotation     *r;
    const struct eesp_keyring *keyring;
    int                        level; /* -1: epoch */
    bool                       takes; /* the step takes keys away */
};

/* Whether the process has its keys from a keyring like this one. */
static const struct eesp_policy_info *
reads(const struct goal *goal, const struct eesp_stat_page *p)
{
    const struct eesp_policy *policy = eesp_keyring_policy_spi(goal->keyring,
                                                               p->spi);
    const struct eesp_policy_info *info;
    unsigned i;

    if (!policy)
        return NULL;
    info = eesp_policy_info(policy);
    for (i = 0; i < EESP_LEVELS; i++)
        if ((info->levels & 1u << i) &&
            strcmp(info->key_id[i], p->levels[i].id) != 0)
            return NULL;
    if (goal->level < 0)
        return rotation_raises(goal->r, info) ? info : NULL;
    return (info->levels & 1u << goal->level) &&
                   strcmp(info->key_id[goal->level], goal->r->kid) == 0
               ? info : NULL;
}

/* Its ring is the file's; a previous key whose time is over may be gone. */
static bool holds(const struct goal *goal, const struct eesp_stat_level *have)
{
    struct eesp_stat_level file = { .id = "" };
    struct eesp_key_info key;
    unsigned i, state;

    for (i = 0; i < eesp_keyring_keys(goal->keyring); i++) {
        eesp_keyring_key(goal->keyring, i, &key);
        if ((int)key.level != goal->level ||
            strcmp(key.id, goal->r->kid) != 0)
            continue;
        file.held[key.state]       = 1;
        file.generation[key.state] = key.generation;
        file.expires[key.state]    = key.expires;
    }
    for (state = 0; state < EESP_STATES; state++) {
        if (state == EESP_PREVIOUS && !have->held[state] &&
            file.expires[state] && file.expires[state] <= (uint64_t)time(NULL))
            continue;
        if (have->held[state] != file.held[state] ||
            have->generation[state] != file.generation[state])
            return false;
    }
    return true;
}

/* What the process lacks, NULL: nothing. */
static const char *lacks(const struct goal *goal,
                         const struct eesp_policy_info *info,
                         const struct eesp_stat_page *p)
{
    if (goal->level < 0 ? p->epoch != info->epoch
                        : !holds(goal, &p->levels[goal->level]))
        return p->refusing ? "did not take the keyring (see: eesp stat)"
                           : "has not taken the keyring as it is";
    if (goal->takes && p->drained != p->serial)
        return "has not sent, received or waited for a message since it took "
               "the keyring";
    return NULL;
}

static uint64_t underway(const struct goal *goal,
                         const struct eesp_stat_page *p)
{
    const struct eesp_stat_level *level;

    if (goal->level < 0)
        return p->underway.epoch[(p->epoch - 1u) & 3];
    level = &p->levels[goal->level];
    return level->held[EESP_CURRENT]
               ? p->underway.level[goal->level]
                                  [(level->generation[EESP_CURRENT] - 1) & 3]
               : 0;
}

/* -1 after a complaint, 0: not yet, and why, 1: all are ready. */
static int look(const struct goal *goal, size_t *count, char *why, size_t size)
{
    uint64_t sum = 0;
    struct pages pages;
    size_t i;
    int ready = 1;

    if (pages_read(goal->r->pages, &pages) < 0)
        return -1;
    *count = 0;
    for (i = 0; i < pages.count; i++) {
        const struct eesp_stat_page *p = &pages.page[i].p;
        const struct eesp_policy_info *info = reads(goal, p);
        const char *what;

        if (!pages.page[i].alive || !info)
            continue;
        ++*count;
        sum += underway(goal, p);
        what = lacks(goal, info, p);
        if (what && ready) {
            snprintf(why, size, "process %d, %s, rank %" PRIu32 ", %s", p->pid,
                     p->command, p->rank, what);
            ready = 0;
        }
    }
    pages_free(&pages);
    if (ready && goal->takes && sum != 0) {
        snprintf(why, size, "packets sealed with the keys before are on their "
                 "way, or went to or came from processes that are not seen "
                 "here");
        ready = 0;
    }
    return ready;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_for(unsigned milliseconds)
{
    struct timespec t = { 0, (long)milliseconds * 1000000 };

    nanosleep(&t, NULL);
}

static int level_number(const struct rotation *r)
{
    int level = 0;

    if (!r->level)
        return -1;
    while (strcmp(r->level, eesp_level_name((enum eesp_level)level)) != 0)
        level++;
    return level;
}

int readers_wait(const struct rotation *r, const struct rotation_step *step,
                 const struct eesp_keyring *keyring)
{
    struct goal goal = {
        .r = r, .keyring = keyring, .level = level_number(r),
        .takes = !step->of_ring || strcmp(step->name, "retire") == 0,
    };
    uint64_t start = now();
    char why[400] = "";
    size_t count;
    int ready;

    for (;;) {
        ready = look(&goal, &count, why, sizeof(why));
        if (ready)
            break;
        if (now() - start >= r->seconds * 1000) {
            cmd_complain("%s: %s not done after %" PRIu64 " s of waiting: %s. "
                         "Wait longer (--wait=SECONDS), or find out with eesp "
                         "stat whether it matters, and then do without --wait",
                         r->path, step->name, r->seconds, why);
            return -1;
        }
        pause_for(now() - start < SHORT_TIME ? SHORT : LONG);
    }
    if (ready > 0 && count == 0)
        fprintf(stderr, "%s: no process here is known to use it: %s waits for "
                "nobody\n", r->path, step->name);
    return ready < 0 ? -1 : 0;
}
