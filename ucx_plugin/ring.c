/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: the keyring in use, and its replacement while the job runs.
 *
 * A timer of UCX's own thread looks at the source, reads and checks it whole, and
 * publishes it: so no call of the program ever waits for a file. Interfaces see
 * the new serial number at their next message or at the next progress of their
 * worker, move their lane, and let go of the old keyring, which is wiped with its
 * last user.
 *
 *     timer:      ring = next; serial++ (release)
 *     interface:  serial != own? (acquire)  ->  eesp_lane_reload(), put old
 *
 * The page of stat.c says who has come how far: eesp rotate waits for it.
 */
#include "plugin.h"

#include <ucs/async/async.h>
#include <ucs/debug/memtrack_int.h>
#include <ucs/time/time.h>

static uct_eesp_ring_t *uct_eesp_ring_create(struct eesp_keyring *keyring)
{
    uct_eesp_ring_t *ring = ucs_calloc(1, sizeof(*ring), "eesp ring");

    if (ring == NULL) {
        eesp_keyring_free(keyring);
        return NULL;
    }
    ring->keyring = keyring;
    ring->users   = 1;
    return ring;
}

uct_eesp_ring_t *uct_eesp_ring_get(uct_eesp_md_t *md, uint64_t *serial_p)
{
    uct_eesp_ring_t *ring;

    ucs_recursive_spin_lock(&md->lock);
    ring      = md->ring;
    *serial_p = md->ring_serial;
    ++ring->users;
    ucs_recursive_spin_unlock(&md->lock);
    return ring;
}

void uct_eesp_ring_put(uct_eesp_md_t *md, uct_eesp_ring_t *ring)
{
    int last;

    if (ring == NULL) {
        return;
    }

    ucs_recursive_spin_lock(&md->lock);
    last = --ring->users == 0;
    ucs_recursive_spin_unlock(&md->lock);
    if (last) {
        eesp_keyring_free(ring->keyring);
        ucs_free(ring);
    }
}

ucs_status_t uct_eesp_ring_load(uct_eesp_md_t *md)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    if (eesp_source_load(md->keyring_name, &md->ring_seen, &keyring, why) !=
        EESP_OK) {
        uct_eesp_refuse("UCX_EESP_KEYRING: %s", why);
        return UCS_ERR_INVALID_PARAM;
    }
    md->ring = uct_eesp_ring_create(keyring);
    return (md->ring == NULL) ? UCS_ERR_NO_MEMORY : UCS_OK;
}

int uct_eesp_ring_try(const uct_eesp_md_t *md,
                      const struct eesp_keyring *keyring,
                      const struct eesp_keyring *next, char why[EESP_WHY_LEN])
{
    struct eesp_lane_params params = {
        .keyring      = keyring,
        .policy       = eesp_keyring_policy_spi(keyring, md->info.spi),
        .backend      = md->backend,
        .key_cache    = 1,
        .replay_table = 1,
    };
    struct eesp_destination nobody = {0};
    uint8_t packet[256];
    struct eesp_lane *lane;
    size_t length;
    int ret;

    ret = eesp_lane_create(&params, &lane, why);
    if (ret != EESP_OK) {
        return ret;
    }

    if (next != NULL) {
        ret = eesp_lane_reload(lane, next, why);
    }
    if (ret == EESP_OK) {
        ret = eesp_seal(lane, &nobody, NULL, 0, packet, sizeof(packet),
                        &length);
        if (ret != EESP_OK) {
            snprintf(why, EESP_WHY_LEN, "policy '%s' of %s cannot send: %s; "
                     "see: eesp show %s", md->info.name, md->keyring_name,
                     eesp_strerror(ret), md->keyring_name);
        }
    }
    eesp_lane_destroy(lane);
    return ret;
}

/* In the thread of the worker, whether or not anything is sent or comes. */
static unsigned uct_eesp_ring_progress(void *arg)
{
    uct_eesp_iface_t *iface = arg;
    uct_eesp_md_t *md       = uct_eesp_iface_md(iface);

    ucs_recursive_spin_lock(&md->lock);
    iface->follow_id = UCS_CALLBACKQ_ID_NULL;
    ucs_recursive_spin_unlock(&md->lock);
    uct_eesp_enter(iface);
    uct_eesp_iface_check_ring(iface);
    uct_eesp_leave(iface);
    return 1;
}

/*
 * Under the MD's lock, and so not by uct_worker_progress_register_safe(): that
 * takes the lock of the worker, and who has that one (UCP, where it starts a
 * rendezvous) may wait for the MD's in uct_eesp_iface_follow(). The queue's own
 * lock is held by nobody who waits.
 */
static void uct_eesp_ring_call(uct_eesp_iface_t *iface)
{
    if (iface->follow_id == UCS_CALLBACKQ_ID_NULL) {
        iface->follow_id =
                ucs_callbackq_add_safe(&iface->super.worker->super.progress_q,
                                       uct_eesp_ring_progress, iface,
                                       UCS_CALLBACKQ_FLAG_ONESHOT);
    }
}

static void uct_eesp_ring_publish(uct_eesp_md_t *md, uct_eesp_ring_t *ring)
{
    uct_eesp_iface_t *iface;
    uct_eesp_ring_t *old;

    ucs_recursive_spin_lock(&md->lock);
    old      = md->ring;
    md->ring = ring;
    __atomic_store_n(&md->ring_serial, md->ring_serial + 1, __ATOMIC_RELEASE);
    uct_eesp_stat_ring(md, old->keyring);
    ucs_list_for_each(iface, &md->ifaces, list) {
        uct_eesp_ring_call(iface);
    }
    ucs_recursive_spin_unlock(&md->lock);
    uct_eesp_ring_put(md, old);
}

/* Only this thread replaces md->ring: it may be looked at without the lock. */
static void uct_eesp_ring_follow(uct_eesp_md_t *md)
{
    struct eesp_keyring *next = NULL;
    char why[EESP_WHY_LEN];
    uct_eesp_ring_t *ring;

    if ((eesp_source_load(md->keyring_name, &md->ring_seen, &next,
                          why) != EESP_OK) ||
        (eesp_keyring_follows(md->ring->keyring, next, md->keyring_name,
                              why) != EESP_OK) ||
        (uct_eesp_ring_try(md, md->ring->keyring, next, why) != EESP_OK)) {
        ucs_error("eesp: the new keyring is not used, the last good keys stay: "
                  "%s", why);
        eesp_keyring_free(next);
        uct_eesp_stat_refused(md, why);
        uct_eesp_audit_refused(md, why);
        return;
    }

    ring = uct_eesp_ring_create(next);
    if (ring != NULL) {
        uct_eesp_ring_publish(md, ring);
        uct_eesp_audit_ring(md);
        ucs_info("eesp: %s was replaced: new keys are in use",
                 md->keyring_name);
    }
}

/* A key whose grace is over goes with the keyring that has it, once. */
static int uct_eesp_ring_turns_stale(uct_eesp_ring_t *ring)
{
    int was_stale = ring->stale;

    ring->stale = was_stale || eesp_keyring_stale(ring->keyring);
    return ring->stale && !was_stale;
}

static void uct_eesp_ring_timer(int id, ucs_event_set_types_t events, void *arg)
{
    uct_eesp_md_t *md = arg;

    if (eesp_source_changed(md->keyring_name, &md->ring_seen) ||
        uct_eesp_ring_turns_stale(md->ring)) {
        uct_eesp_ring_follow(md);
    }
    uct_eesp_stat_moved(md);
}

ucs_status_t uct_eesp_ring_watch(uct_eesp_md_t *md)
{
    ucs_status_t status = UCS_OK;

    ucs_recursive_spin_lock(&md->lock);
    if ((md->ring_timer < 0) && (md->reload_interval > 0)) {
        status = ucs_async_add_timer(UCS_ASYNC_MODE_THREAD_SPINLOCK,
                                     ucs_time_from_sec(md->reload_interval),
                                     uct_eesp_ring_timer, md, NULL,
                                     &md->ring_timer);
    }
    ucs_recursive_spin_unlock(&md->lock);
    return status;
}

void uct_eesp_ring_unwatch(uct_eesp_md_t *md)
{
    if (md->ring_timer >= 0) {
        ucs_async_remove_handler(md->ring_timer, 1);
        md->ring_timer = -1;
    }
}

void uct_eesp_iface_follow(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    char why[EESP_WHY_LEN];
    uct_eesp_ring_t *ring;

    /* All of it under the lock: stat.c looks at lanes that move. */
    ucs_recursive_spin_lock(&md->lock);
    ring = uct_eesp_ring_get(md, &iface->ring_serial);
    if (eesp_lane_reload(iface->lane, ring->keyring, why) == EESP_OK) {
        uct_eesp_ring_put(md, iface->ring);
        iface->ring = ring;
        uct_eesp_stat_moved(md);
    } else {
        ucs_error("eesp: %s/%s keeps the last good keys: %s",
                  iface->lower_dev->resource.tl_name, iface->lower_dev->name,
                  why);
        uct_eesp_ring_put(md, ring);
    }
    ucs_recursive_spin_unlock(&md->lock);
}
