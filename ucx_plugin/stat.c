/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stat: the page of stat_page.h, one for each UCP context that has interfaces.
 *
 * Lanes count for themselves; a timer of UCX's own thread adds up what is new
 * twice a second, so that no message pays for being counted. Everything is
 * written under the MD's lock: by the timer, when an interface opens, closes
 * or takes a new keyring, and when a keyring was looked at.
 *
 * Nothing here can fail a job: without a page it runs on, and says so once.
 */
#include "offload.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <ucs/async/async.h>
#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/string.h>
#include <ucs/time/time.h>

#include "stat_page.h"

#define UCT_EESP_STAT_INTERVAL 0.5  /* seconds */
#define UCT_EESP_STAT_NAMES    1000 /* pages of one process */

struct uct_eesp_stat {
    struct eesp_stat_page *page;
    pid_t                  owner; /* the child of a fork leaves it alone */
    int                    timer; /* -1: none */
    int                    fd;    /* holds the lock */
    struct eesp_underway   closed; /* of interfaces that are gone */
    char                   path[PATH_MAX + 32];
};

/* The page, if it is this process's to write. */
static struct eesp_stat_page *uct_eesp_stat_page(uct_eesp_md_t *md)
{
    return ((md->stat != NULL) && (md->stat->owner == getpid())) ?
           md->stat->page : NULL;
}

/* ---- Directory and file -------------------------------------------------- */

/*
 * A place of the site's: everybody may make files there, as long as nobody but
 * their owner can take them away.
 */
static int uct_eesp_stat_is_shared(const struct stat *st)
{
    return S_ISDIR(st->st_mode) &&
           ((st->st_uid == 0) || (st->st_uid == geteuid())) &&
           (!(st->st_mode & 022) || (st->st_mode & S_ISVTX));
}

/* -1 with errno set, EPERM: somebody else could have a hand in it. */
static int uct_eesp_stat_open_dir(const char *path, int named)
{
    struct stat st;
    int fd;

    if ((mkdir(path, 0700) != 0) && (errno != EEXIST)) {
        return -1;
    }

    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
                    (named ? 0 : O_NOFOLLOW));
    if (fd < 0) {
        return -1;
    }
    if ((fstat(fd, &st) != 0) ||
        !(named ? uct_eesp_stat_is_shared(&st) :
                  eesp_stat_is_private(&st, geteuid()))) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

static int uct_eesp_stat_find_dir(const char *config, char path[PATH_MAX])
{
    int fd = -1;
    unsigned i;

    if (strcmp(config, "auto")) {
        ucs_strncpy_zero(path, config, PATH_MAX);
        return uct_eesp_stat_open_dir(path, 1);
    }

    for (i = 0; (fd < 0) && eesp_stat_directory(i, geteuid(), path); ++i) {
        fd = uct_eesp_stat_open_dir(path, 0);
    }
    return fd;
}

/*
 * Takes away what killed processes have left. A page is there from the moment
 * that it is locked, so one without a lock has no process, in whatever
 * namespace its number is.
 */
static void uct_eesp_stat_sweep(int dir)
{
    struct dirent *entry;
    DIR *list;
    int fd;

    list = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while ((list != NULL) && ((entry = readdir(list)) != NULL)) {
        if (!isdigit((unsigned char)entry->d_name[0])) {
            continue;
        }

        fd = openat(dir, entry->d_name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0) {
            continue;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            unlinkat(dir, entry->d_name, 0);
        }
        close(fd);
    }
    if (list != NULL) {
        closedir(list);
    }
}

/* A new file with the first free number, which appears locked. */
static int uct_eesp_stat_create(int dir, char *name, size_t size)
{
    unsigned number = 0;
    char self[64];
    int fd;

    fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }

    /* The room is taken now: no store will find the file system full. */
    if ((flock(fd, LOCK_EX | LOCK_NB) != 0) ||
        ((errno = posix_fallocate(fd, 0, EESP_STAT_FILE)) != 0)) {
        goto err;
    }
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    do {
        snprintf(name, size, "%d.%u", (int)getpid(), number++);
        if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0) {
            return fd;
        }
    } while ((errno == EEXIST) && (number < UCT_EESP_STAT_NAMES));
err:
    close(fd);
    return -1;
}

/* When this process began, as /proc tells it. */
static uint64_t uct_eesp_stat_start(void)
{
    unsigned long long start = 0;
    char text[1024], *p;
    ssize_t length;
    int fd, field;

    fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }

    length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[ucs_max(length, 0)] = '\0';
    p = strrchr(text, ')'); /* field 2, a name with anything in it */
    for (field = 2; (p != NULL) && (field < 22); ++field) {
        p = strchr(p + 1, ' ');
    }
    if (p != NULL) {
        sscanf(p, "%llu", &start);
    }
    return start;
}

/* ---- What is in it -------------------------------------------------------- */

uint16_t uct_eesp_stat_levels(const uct_eesp_md_t *md,
                              struct eesp_stat_level *levels)
{
    const struct eesp_keyring *keyring  = md->ring->keyring;
    const struct eesp_policy *policy    = eesp_keyring_policy_spi(keyring,
                                                                  md->info.spi);
    const struct eesp_policy_info *info = (policy == NULL) ? &md->info :
                                          eesp_policy_info(policy);
    struct eesp_key_info key;
    struct eesp_stat_level *level;
    unsigned i;

    memset(levels, 0, EESP_LEVELS * sizeof(*levels));
    for (i = 0; i < eesp_keyring_keys(keyring); ++i) {
        eesp_keyring_key(keyring, i, &key);
        if (!(info->levels & UCS_BIT(key.level)) ||
            strcmp(key.id, info->key_id[key.level])) {
            continue;
        }

        level                        = &levels[key.level];
        level->held[key.state]       = 1;
        level->generation[key.state] = key.generation;
        level->expires[key.state]    = key.expires;
        ucs_strncpy_zero(level->id, key.id, sizeof(level->id));
    }
    return info->epoch;
}

/* ring.c's numbers begin at 0, the page's at 1: 0 is no keyring at all. */
static void uct_eesp_stat_fill_ring(const uct_eesp_md_t *md,
                                    struct eesp_stat_page *page)
{
    page->epoch = uct_eesp_stat_levels(md, page->levels);
}

/*
 * What is on its way counts once all lanes have moved on, so the two are told
 * together: lanes move under the lock.
 */
static void uct_eesp_stat_drain(uct_eesp_md_t *md, struct eesp_stat_page *page)
{
    struct eesp_underway underway = md->stat->closed;
    uint64_t oldest               = md->ring_serial;
    uct_eesp_iface_t *iface;

    ucs_list_for_each(iface, &md->ifaces, list) {
        oldest = ucs_min(oldest, iface->ring_serial);
        eesp_lane_underway(iface->lane, &underway);
    }
    page->drained = oldest + 1;
    eesp_underway_fold(&underway, &page->underway);
}

static void uct_eesp_stat_fill(uct_eesp_md_t *md, struct eesp_stat_page *page)
{
    const char *tls = getenv("UCX_TLS");

    memset(page, 0, sizeof(*page));
    eesp_stat_begin(page);
    memcpy(page->magic, EESP_STAT_MAGIC, sizeof(page->magic));
    page->version         = EESP_STAT_VERSION;
    page->size            = sizeof(*page);
    page->pid             = getpid();
    page->uid             = geteuid();
    page->start           = uct_eesp_stat_start();
    page->started         = time(NULL);
    page->updated         = page->started;
    page->has_rank        = md->identity.has_rank;
    page->rank            = md->identity.rank;
    page->spi             = md->info.spi;
    page->kdf             = md->info.kdf;
    page->aead            = md->info.aead;
    page->confidentiality = md->info.confidentiality;
    page->fips            = eesp_fips_provider() != NULL;
    page->keylog          = md->keylog >= 0;
    page->serial          = md->ring_serial + 1;
    page->drained         = page->serial;
    page->loaded          = page->started;
    ucs_strncpy_zero(page->command, program_invocation_short_name,
                     sizeof(page->command));
    ucs_strncpy_zero(page->name_space, md->identity.name,
                     sizeof(page->name_space));
    ucs_strncpy_zero(page->policy, md->info.name, sizeof(page->policy));
    ucs_strncpy_zero(page->keyring, md->keyring_name, sizeof(page->keyring));
    ucs_strncpy_zero(page->offload, uct_eesp_card_offload(md),
                     sizeof(page->offload));
    if (tls != NULL) {
        ucs_strncpy_zero(page->transports, tls, sizeof(page->transports));
    }
    uct_eesp_stat_fill_ring(md, page);
    eesp_stat_end(page);
}

/* The slot of a lower device; the last one takes all that find no other. */
static struct eesp_stat_lower *
uct_eesp_stat_slot(struct eesp_stat_page *page, const uct_eesp_iface_t *iface)
{
    struct eesp_stat_lower *slot = page->lowers;
    char name[sizeof(slot->name)];

    snprintf(name, sizeof(name), "%s/%s", iface->lower_dev->resource.tl_name,
             iface->lower_dev->resource.dev_name);
    while ((slot->name[0] != '\0') && strcmp(slot->name, name) &&
           (slot < page->lowers + EESP_STAT_LOWERS - 1)) {
        ++slot;
    }
    if (slot->name[0] == '\0') {
        ucs_strncpy_zero(slot->name, name, sizeof(slot->name));
        ucs_strncpy_zero(slot->backend, eesp_lane_backend(iface->lane),
                         sizeof(slot->backend));
    }
    return slot;
}

/*
 * The lane's own thread goes on counting meanwhile: each number is read whole,
 * and what it gets later is found the next time.
 */
static void uct_eesp_stat_count(struct eesp_stat_page *page,
                                uct_eesp_iface_t *iface)
{
    struct eesp_stat_lower *slot = uct_eesp_stat_slot(page, iface);
    struct eesp_counters now, *old = &iface->counted;
    unsigned i;

    eesp_lane_counters(iface->lane, &now);
#define UCT_EESP_STAT_ADD(_counter) slot->_counter += now._counter - old->_counter
    UCT_EESP_STAT_ADD(sealed);
    UCT_EESP_STAT_ADD(opened);
    UCT_EESP_STAT_ADD(sealed_bytes);
    UCT_EESP_STAT_ADD(opened_bytes);
    UCT_EESP_STAT_ADD(derived);
    UCT_EESP_STAT_ADD(cached);
    UCT_EESP_STAT_ADD(previous);
    for (i = 0; i < ucs_static_array_size(now.dropped); ++i) {
        UCT_EESP_STAT_ADD(dropped[i]);
    }
#undef UCT_EESP_STAT_ADD
    *old = now;
}

static void uct_eesp_stat_update(uct_eesp_md_t *md, struct eesp_stat_page *page)
{
    uct_eesp_iface_t *iface;

    eesp_stat_begin(page);
    ucs_list_for_each(iface, &md->ifaces, list) {
        uct_eesp_stat_count(page, iface);
    }
    uct_eesp_stat_drain(md, page);
    page->peers   = kh_size(&md->processes);
    page->updated = time(NULL);
    eesp_stat_end(page);
}

static void uct_eesp_stat_timer(int id, ucs_event_set_types_t events, void *arg)
{
    uct_eesp_md_t *md = arg;
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    page = uct_eesp_stat_page(md);
    if (page != NULL) {
        uct_eesp_stat_update(md, page);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

/* ---- Life ------------------------------------------------------------------ */

static void uct_eesp_stat_release(uct_eesp_stat_t *stat)
{
    if (stat->page != NULL) {
        munmap(stat->page, EESP_STAT_FILE);
    }
    if (stat->fd >= 0) {
        if (stat->owner == getpid()) {
            unlink(stat->path);
        }
        close(stat->fd);
    }
    ucs_free(stat);
}

static uct_eesp_stat_t *uct_eesp_stat_make(const char *config)
{
    char dir_name[PATH_MAX] = "", name[32];
    uct_eesp_stat_t *stat;
    void *page;
    int dir;

    stat = ucs_calloc(1, sizeof(*stat), "eesp stat");
    if (stat == NULL) {
        return NULL;
    }

    stat->owner = getpid();
    stat->timer = -1;
    stat->fd    = -1;
    dir         = uct_eesp_stat_find_dir(config, dir_name);
    if (dir < 0) {
        goto err;
    }
    uct_eesp_stat_sweep(dir);
    stat->fd = uct_eesp_stat_create(dir, name, sizeof(name));
    close(dir);
    if (stat->fd < 0) {
        goto err;
    }
    snprintf(stat->path, sizeof(stat->path), "%s/%s", dir_name, name);
    page = mmap(NULL, EESP_STAT_FILE, PROT_READ | PROT_WRITE, MAP_SHARED,
                stat->fd, 0);
    if (page == MAP_FAILED) {
        goto err;
    }
    stat->page = page;
    return stat;
err:
    ucs_warn("eesp: no page for eesp stat in %s: %m; the job runs on without "
             "(UCX_EESP_STAT_DIR names another place, or none)", dir_name);
    uct_eesp_stat_release(stat);
    return NULL;
}

void uct_eesp_stat_open(uct_eesp_md_t *md)
{
    ucs_recursive_spin_lock(&md->lock);
    if ((md->stat != NULL) || md->stat_off || !strcmp(md->stat_dir, "none")) {
        goto out;
    }

    md->stat = uct_eesp_stat_make(md->stat_dir);
    if (md->stat == NULL) {
        md->stat_off = 1; /* it has been told */
        goto out;
    }
    uct_eesp_stat_fill(md, md->stat->page);
    if (ucs_async_add_timer(UCS_ASYNC_MODE_THREAD_SPINLOCK,
                            ucs_time_from_sec(UCT_EESP_STAT_INTERVAL),
                            uct_eesp_stat_timer, md, NULL,
                            &md->stat->timer) != UCS_OK) {
        md->stat->timer = -1; /* counted when interfaces close */
    }
out:
    ucs_recursive_spin_unlock(&md->lock);
}

void uct_eesp_stat_close(uct_eesp_md_t *md)
{
    if (md->stat == NULL) {
        return;
    }

    if (md->stat->timer >= 0) {
        ucs_async_remove_handler(md->stat->timer, 1);
    }
    uct_eesp_stat_release(md->stat);
    md->stat = NULL;
}

void uct_eesp_stat_add(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    ucs_list_add_tail(&md->ifaces, &iface->list);
    page = uct_eesp_stat_page(md);
    if (page != NULL) {
        uct_eesp_stat_update(md, page);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

void uct_eesp_stat_remove(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    page = uct_eesp_stat_page(md);
    if ((page != NULL) && !ucs_list_is_empty(&iface->list)) {
        uct_eesp_iface_check_ring(iface);
        uct_eesp_stat_update(md, page);
        eesp_lane_underway(iface->lane, &md->stat->closed);
    }
    ucs_list_del(&iface->list);
    ucs_list_head_init(&iface->list);
    ucs_recursive_spin_unlock(&md->lock);
}

void uct_eesp_stat_ring(uct_eesp_md_t *md, const struct eesp_keyring *old)
{
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    page = uct_eesp_stat_page(md);
    if (page != NULL) {
        eesp_underway_follow(
                &md->stat->closed, eesp_keyring_policy_spi(old, md->info.spi),
                eesp_keyring_policy_spi(md->ring->keyring, md->info.spi));
        eesp_stat_begin(page);
        page->serial   = md->ring_serial + 1;
        page->loaded   = time(NULL);
        page->refusing = 0;
        uct_eesp_stat_fill_ring(md, page);
        uct_eesp_stat_drain(md, page);
        eesp_stat_end(page);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

void uct_eesp_stat_moved(uct_eesp_md_t *md)
{
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    page = uct_eesp_stat_page(md);
    if (page != NULL) {
        eesp_stat_begin(page);
        uct_eesp_stat_drain(md, page);
        eesp_stat_end(page);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

void uct_eesp_stat_refused(uct_eesp_md_t *md, const char *why)
{
    struct eesp_stat_page *page;

    ucs_recursive_spin_lock(&md->lock);
    page = uct_eesp_stat_page(md);
    if (page != NULL) {
        eesp_stat_begin(page);
        ++page->refused;
        page->refusing   = 1;
        page->refused_at = time(NULL);
        ucs_strncpy_zero(page->refused_why, why, sizeof(page->refused_why));
        eesp_stat_end(page);
    }
    ucs_recursive_spin_unlock(&md->lock);
}
