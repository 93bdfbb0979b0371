/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * secrets: runs what touches a key with the keys marked as secret, under
 * valgrind, and says for each case whether memcheck reported anything.
 *
 * tests/constant-time/constant-time.sh builds and starts it.
 */
#include "secrets.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char name[120];
static unsigned before;
static int reports_wanted;

void must(int holds, const char *what)
{
    if (holds)
        return;
    printf("not ok - %s # %s\n", name, what);
    exit(2);
}

static void end(void)
{
    unsigned now = (unsigned)VALGRIND_COUNT_ERRORS;

    if (name[0] != '\0')
        printf("%s - %s\n", (now > before) == reports_wanted ? "ok" : "not ok",
               name);
    fflush(stdout);
    before         = now;
    reports_wanted = 0;
}

void begin(const char *format, ...)
{
    va_list list;

    end();
    va_start(list, format);
    vsnprintf(name, sizeof(name), format, list);
    va_end(list);
    VALGRIND_PRINTF("case: %s\n", name);
}

void expect_report(void)
{
    reports_wanted = 1;
}

/* The test itself: a branch and a table that depend on a secret are seen. */
static void controls(void)
{
    static const uint8_t table[4] = {3, 1, 2, 0};
    volatile uint8_t secret       = 2, sink = 0;
    uint8_t index;

    begin("control: a branch on a secret is reported");
    expect_report();
    make_secret((const void *)&secret, sizeof(secret));
    if (secret == 2)
        sink++;
    begin("control: an address made of a secret is reported");
    expect_report();
    index = secret;
    sink  = *(const volatile uint8_t *)&table[index & 3];
    begin("control: arithmetic on a secret is not");
    sink = (uint8_t)((secret ^ 5u) + (secret << 1));
    (void)sink;
}

int main(void)
{
    if (!RUNNING_ON_VALGRIND) {
        fprintf(stderr, "secrets: to be run under valgrind\n");
        return 99;
    }
    controls();
    secrets_of_algorithms();
    secrets_of_lanes();
    secrets_of_psp_and_tss();
    end();
    printf("done\n");
    return 0;
}
