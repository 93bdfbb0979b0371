/* SPDX-License-Identifier: BSD-3-Clause
 *
 * uct_rotated: root keys are rotated while the program is inside a call that
 * holds its worker's lock and then sends, as UCP does when it starts a
 * rendezvous. UCX's thread, which takes the new keyring, must not wait for that
 * lock while it holds one that the sender needs.
 *
 * From the environment: EESP_BIN, UCX_EESP_KEYRING (rotated), UCX_EESP_STAT_DIR,
 * a short UCX_EESP_RELOAD_INTERVAL.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ucs/async/async_fwd.h>

#include "uct_check.h"

enum { MOVES = 3 };

static struct {
    struct place places[2];
    struct side sides[2];
    uct_ep_h ep;
    pthread_t program;
    unsigned serial; /* of the keyring that the MDs have */
    unsigned sent;
} us;

static void eesp(const char *command)
{
    char line[4096];

    snprintf(line, sizeof(line), "LD_PRELOAD= \"$EESP_BIN\" %s", command);
    check(system(line) == 0, "failed: %s", line);
}

/* Until the pages of both MDs say that this keyring is known. */
static int is_known(unsigned serial)
{
    char line[4096];

    snprintf(line, sizeof(line), "[ \"$(LD_PRELOAD= \"$EESP_BIN\" stat --json "
             "--dir \"$UCX_EESP_STAT_DIR\" | jq '[.[].keyring_serial] | "
             "length == 2 and min >= %u')\" = true ]", serial);
    return system(line) == 0;
}

/* With the lock of the first worker, in the program's own thread. */
static void with_the_lock(int id, ucs_event_set_types_t events, void *arg)
{
    static const char *const moves[MOVES] = {"stage", "promote", "retire"};
    char command[128];

    (void)id, (void)events, (void)arg;
    check(pthread_equal(pthread_self(), us.program), "in another thread");
    snprintf(command, sizeof(command), "rotate --keyring \"$UCX_EESP_KEYRING\" "
             "--level job %s >/dev/null", moves[us.serial++ % MOVES]);
    eesp(command);
    while (!is_known(us.serial + 1))
        usleep(10000);
    side_send(us.ep, 1000, us.sent++);
}

void group_rotated(void)
{
    struct side *to = &us.sides[1];
    int never; /* can be read: only ucs_async_poll() calls its handler */

    if (getenv("EESP_BIN") == NULL || getenv("UCX_EESP_STAT_DIR") == NULL) {
        skipped("not told what to rotate");
        return;
    }
    us.program = pthread_self();
    /* ucs_async_poll() takes a spinlock that is free for a bar to polling. */
    place_open_with(&us.places[0], UCS_ASYNC_MODE_THREAD_MUTEX);
    place_open(&us.places[1]);
    side_open(&us.sides[0], &us.places[0], NULL);
    side_open(to, &us.places[1], NULL);
    us.ep = side_connect(&us.sides[0], to);
    never = eventfd(0, EFD_CLOEXEC);
    check(never >= 0, "eventfd");
    check_ok(ucs_async_set_event_handler(
        UCS_ASYNC_MODE_THREAD_MUTEX, never, UCS_EVENT_SET_EVREAD, with_the_lock,
        NULL, us.places[0].async));
    for (unsigned move = 0; move < MOVES; move++) {
        stage("rotated: move %u with the lock held", move);
        ucs_async_poll(us.places[0].async);
        check(us.sent == move + 1, "the handler was not called");
        side_expect(to, us.sent);
        side_check_last(to, 1000, us.sent - 1);
    }
    ucs_async_remove_handler(never, 1);
    close(never);
    check(us.sides[0].errors == 0 && to->errors == 0, "errors");
    uct_ep_destroy(us.ep);
    for (unsigned i = 0; i < 2; i++) {
        side_close(&us.sides[i]);
        place_close(&us.places[i]);
    }
}
