/* SPDX-License-Identifier: BSD-3-Clause */
/* text: what people read for what eesp.h numbers. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cmd.h"

const char *text_replay(enum eesp_replay replay)
{
    static const char *const names[] = {"off", "strict", "window"};

    return names[replay];
}

const char *text_selectors(unsigned selectors, char text[static TEXT_MAX])
{
    const char *name;
    size_t used = 0;
    unsigned i;

    text[0] = '\0';
    for (i = 0; (name = eesp_selector_name(i)) != NULL; i++)
        if (selectors & 1u << i)
            used += (size_t)snprintf(text + used, TEXT_MAX - used, "%s%s",
                                     used ? "," : "", name);
    if (selectors >> i)
        snprintf(text + used, TEXT_MAX - used, "%s0x%x", used ? "," : "",
                 selectors >> i << i);
    return text;
}

const char *text_time(uint64_t seconds, char text[static TEXT_MAX])
{
    time_t when = (time_t)seconds;
    struct tm tm;

    if (seconds == 0)
        strcpy(text, "-");
    else if (seconds > INT64_MAX || !gmtime_r(&when, &tm) ||
             strftime(text, TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, TEXT_MAX, "@%" PRIu64, seconds);
    return text;
}

const char *text_duration(uint64_t seconds, char text[static TEXT_MAX])
{
    uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

    if (days)
        snprintf(text, TEXT_MAX, "%" PRIu64 "d %" PRIu64 "h", days,
                 hours % 24);
    else if (hours)
        snprintf(text, TEXT_MAX, "%" PRIu64 "h %" PRIu64 "m", hours,
                 minutes % 60);
    else
        snprintf(text, TEXT_MAX, "%" PRIu64 "m %" PRIu64 "s", minutes,
                 seconds % 60);
    return text;
}

void text_hex(const uint8_t *bytes, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < length; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}
