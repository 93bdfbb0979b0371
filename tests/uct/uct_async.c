/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uct_async: a lower that calls handlers in a thread of UCX's while the program
 * sends. Two processes send to each other under three ids:
 *
 *     PLAIN  its handler runs in the program's thread only
 *     ASYNC  in either thread; each message is answered from within it
 *     LATE   ASYNC at side 0, PLAIN at side 1
 *
 * Every message must come once, whole, and in the order of its kind.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uct_check.h"

#define PLAIN      SIDE_AM
#define ASYNC      (SIDE_AM + 1)
#define LATE       (SIDE_AM + 2)
#define IDS        3
#define COUNT      2500 /* of each id */
#define MAX_QUEUED 200
#define TRIES      40 /* of the program, before it queues a message */
#define SHORT_MAX  200

struct head {
    uint64_t number; /* of this kind */
    uint64_t answer;
};

struct message {
    uct_pending_req_t super;
    struct head head;
    uint8_t id;
};

static struct {
    struct side side;
    uct_ep_h ep;
    pthread_t program;
    int is_async[IDS];
    uint64_t came[IDS][2];   /* by id, and whether it is an answer */
    uint64_t answers;        /* sent, or waiting to be */
    unsigned queued;
    unsigned in_thread;      /* ASYNC messages that came in UCX's thread */
    int flush_waits;
} us;

static size_t length_of(uint8_t id, const struct head *head)
{
    size_t max = us.side.attr.cap.am.max_bcopy - sizeof(*head);

    return sizeof(*head) + (head->number % 16 == 15 ?
                            (head->number * 31 + id) % max :
                            (head->number * 7 + id) % SHORT_MAX);
}

static uint64_t seed_of(uint8_t id, const struct head *head)
{
    return head->number * 64 + head->answer * 32 + id;
}

/* ---- Send --------------------------------------------------------------- */

static size_t pack(void *to, void *arg)
{
    const struct message *message = arg;
    size_t n                      = length_of(message->id, &message->head);

    memcpy(to, &message->head, sizeof(message->head));
    pattern_fill((char *)to + sizeof(message->head), n - sizeof(message->head),
                 seed_of(message->id, &message->head));
    return n;
}

static ucs_status_t try_message(struct message *message)
{
    size_t n = length_of(message->id, &message->head);
    uint64_t buffer[(sizeof(struct head) + SHORT_MAX) / 8 + 1];
    ssize_t packed;

    if (n <= sizeof(buffer) && message->head.number % 2 == 0) {
        pack(buffer, message);
        return uct_ep_am_short(us.ep, message->id, buffer[0], buffer + 1,
                               (unsigned)(n - sizeof(buffer[0])));
    }
    packed = uct_ep_am_bcopy(us.ep, message->id, pack, message, 0);
    return packed < 0 ? (ucs_status_t)packed : UCS_OK;
}

static ucs_status_t queued_message(uct_pending_req_t *self)
{
    struct message *message = (struct message *)self;
    ucs_status_t status     = try_message(message);

    if (status == UCS_OK) {
        free(message);
        __atomic_sub_fetch(&us.queued, 1, __ATOMIC_RELAXED);
    }
    return status;
}

/* Sent, or in the queue behind what waits: answers, as UCP's wire-up replies,
 * behind what waits for the program's thread. */
static void put(uint8_t id, uint64_t number, uint64_t answer)
{
    unsigned flags          = us.is_async[id - SIDE_AM] && !answer ?
                              UCT_CB_FLAG_ASYNC : 0;
    struct message *message = allocate(sizeof(*message));
    unsigned tries          = answer ? 1 : TRIES;
    ucs_status_t status;

    *message = (struct message){{.func = queued_message}, {number, answer}, id};
    do {
        do {
            status = try_message(message);
        } while (status == UCS_ERR_NO_RESOURCE && --tries > 0);
        if (status == UCS_OK) {
            free(message);
            return;
        }
        check(status == UCS_ERR_NO_RESOURCE, "send: %s",
              ucs_status_string(status));
        tries = 1;
        __atomic_add_fetch(&us.queued, 1, __ATOMIC_RELAXED);
        status = uct_ep_pending_add(us.ep, &message->super, flags);
        if (status != UCS_OK)
            __atomic_sub_fetch(&us.queued, 1, __ATOMIC_RELAXED);
    } while (status == UCS_ERR_BUSY);
    check(status == UCS_OK, "pending: %s", ucs_status_string(status));
}

/* As UCP does it: what cannot be flushed now is tried again in the queue. */
static ucs_status_t queued_flush(uct_pending_req_t *self)
{
    ucs_status_t status = uct_ep_flush(us.ep, 0, NULL);

    (void)self;
    if (status == UCS_ERR_NO_RESOURCE)
        return status;
    check(status == UCS_OK || status == UCS_INPROGRESS, "flush: %s",
          ucs_status_string(status));
    us.flush_waits = 0;
    return UCS_OK;
}

static void flush(void)
{
    static uct_pending_req_t request = {.func = queued_flush};

    if (us.flush_waits)
        return;
    us.flush_waits = 1;
    while (queued_flush(&request) == UCS_ERR_NO_RESOURCE &&
           uct_ep_pending_add(us.ep, &request, 0) == UCS_ERR_BUSY)
        ;
}

/* ---- Receive ------------------------------------------------------------ */

static ucs_status_t came(void *arg, void *data, size_t length, unsigned flags)
{
    uint8_t id   = (uint8_t)(uintptr_t)arg;
    int in_thread = !pthread_equal(pthread_self(), us.program);
    uint64_t *count;
    struct head head;

    (void)flags;
    check(length >= sizeof(head), "%zu bytes under id %u", length, id);
    memcpy(&head, data, sizeof(head));
    check(head.answer <= 1, "id %u, answer %lu", id, head.answer);
    count = &us.came[id - SIDE_AM][head.answer];
    check(head.number == *count, "id %u, answer %lu: number %lu, not %lu", id,
          head.answer, head.number, *count);
    check(length == length_of(id, &head), "%zu bytes, not %zu", length,
          length_of(id, &head));
    pattern_check((char *)data + sizeof(head), length - sizeof(head),
                  seed_of(id, &head));
    check(!in_thread || us.is_async[id - SIDE_AM],
          "id %u came in UCX's thread", id);
    __atomic_store_n(count, *count + 1, __ATOMIC_RELEASE);
    if (id == ASYNC) {
        us.in_thread += (unsigned)in_thread;
        if (!head.answer)
            put(ASYNC, us.answers++, 1);
    }
    return UCS_OK;
}

static int all_came(void)
{
    for (int i = 0; i < IDS; i++)
        for (int answer = 0; answer <= (i + SIDE_AM == ASYNC); answer++)
            if (__atomic_load_n(&us.came[i][answer], __ATOMIC_ACQUIRE) < COUNT)
                return 0;
    return 1;
}

/* ---- Group -------------------------------------------------------------- */

static void listen_and_connect(const struct pair *pair)
{
    struct address own, *other;
    size_t length;

    us.program                   = pthread_self();
    us.is_async[ASYNC - SIDE_AM] = 1;
    us.is_async[LATE - SIDE_AM]  = pair->side == 0;
    for (uint8_t id = SIDE_AM; id < SIDE_AM + IDS; id++)
        check_ok(uct_iface_set_am_handler(
            us.side.iface, id, came, (void *)(uintptr_t)id,
            us.is_async[id - SIDE_AM] ? UCT_CB_FLAG_ASYNC : 0));
    side_address(&us.side, &own);
    pair_put(pair, &own, sizeof(own));
    other = pair_get(pair, &length);
    check_ok(side_try_connect(&us.side, other, &us.ep));
    free(other);
}

static void exchange(struct place *place)
{
    for (unsigned n = 0; n < COUNT; n++) {
        put(ASYNC, n, 0);
        put(PLAIN, n, 0);
        put(LATE, n, 0);
        if (n % 50 == 0)
            flush();
        /* Now it computes, and only the thread receives; now it does not. */
        if (n % 64 == 63)
            usleep(3000);
        else if (n / 64 % 2 == 0)
            uct_worker_progress(place->worker);
        while (__atomic_load_n(&us.queued, __ATOMIC_RELAXED) > MAX_QUEUED)
            progress_all();
    }
    do {
        stage("async: came %lu, %lu and %lu answers, %lu; %u wait, flush %d",
              us.came[0][0], us.came[1][0], us.came[1][1], us.came[2][0],
              us.queued, us.flush_waits);
        progress_all();
    } while (!all_came() || us.queued > 0 || us.flush_waits);
    stage("async: flush");
    while (uct_iface_flush(us.side.iface, 0, NULL) == UCS_INPROGRESS)
        progress_all();
    check(us.in_thread > COUNT / 50, "%u of %u came in UCX's thread",
          us.in_thread, 2 * COUNT);
    check(us.side.errors == 0, "%u errors", us.side.errors);
}

void group_async(void)
{
    struct pair pair;
    struct place place;
    size_t length;

    pair_of_check(&pair);
    place_open(&place);
    side_open(&us.side, &place, NULL);
    if (us.side.attr.cap.flags & UCT_IFACE_FLAG_CB_ASYNC) {
        listen_and_connect(&pair);
        exchange(&place);
        pair_put(&pair, "", 1);
        free(pair_get(&pair, &length));
        uct_ep_destroy(us.ep);
    } else {
        skipped("this lower calls no handler in a thread");
    }
    side_close(&us.side);
    place_close(&place);
    pair_finish(&pair);
    if (pair.side == 1)
        exit(0);
}
