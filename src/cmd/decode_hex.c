/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_hex: one packet a line, in hexadecimal; # starts a comment. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode.h"

/* The line that is being read. */
struct line {
    uint8_t *bytes;
    size_t   digits;
    bool     comment;
    bool     empty; /* not even a comment */
    char     error[80]; /* the first one, "" if none */
};

static int digit_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_char(struct line *line, int c)
{
    int value = digit_value(c);

    line->empty = line->empty && isspace(c);
    if (c == '#')
        line->comment = true;
    if (line->comment || line->error[0] || isspace(c))
        return;
    if (value < 0) {
        snprintf(line->error, sizeof(line->error),
                 isprint(c) ? "'%c' is not a hexadecimal digit"
                            : "byte 0x%02x is not a hexadecimal digit", c);
        return;
    }
    if (line->digits / 2 == DECODE_PACKET_MAX) {
        snprintf(line->error, sizeof(line->error),
                 "longer than %u bytes", DECODE_PACKET_MAX);
        return;
    }
    if (line->digits % 2 == 0)
        line->bytes[line->digits / 2] = (uint8_t)(value << 4);
    else
        line->bytes[line->digits / 2] |= (uint8_t)value;
    line->digits++;
}

static void end_line(struct line *line, uint64_t number,
                     struct decode_sink *sink)
{
    struct decode_packet packet = { .bytes = line->bytes,
                                    .length = line->digits / 2 };
    char where[DECODE_WHERE_MAX];

    snprintf(where, sizeof(where), "line %" PRIu64, number);
    packet.where = where;
    if (!line->error[0] && line->digits % 2)
        snprintf(line->error, sizeof(line->error),
                 "odd number of hexadecimal digits");
    if (line->error[0])
        sink->event(sink, DECODE_BAD_INPUT, where, line->error);
    else if (line->digits || (line->empty && sink->empty_lines))
        sink->packet(sink, &packet);
    line->digits = 0;
    line->comment = false;
    line->empty = true;
    line->error[0] = '\0';
}

int decode_hex(int fd, struct decode_sink *sink)
{
    struct line line = { .bytes = cmd_realloc(NULL, DECODE_PACKET_MAX),
                         .empty = true };
    uint64_t number = 1;
    FILE *in = NULL;
    int c, copy, result = -1;

    copy = dup(fd); /* fclose() takes it along */
    if (copy >= 0)
        in = fdopen(copy, "r");
    if (!in) {
        cmd_complain("cannot read standard input: %s", strerror(errno));
        goto out;
    }
    while ((c = getc_unlocked(in)) != EOF) {
        if (c == '\n')
            end_line(&line, number++, sink);
        else
            add_char(&line, c);
    }
    if (!line.empty)
        end_line(&line, number, sink);
    if (ferror(in)) {
        cmd_complain("cannot read standard input: %s", strerror(errno));
        goto out;
    }
    result = 0;
out:
    if (in)
        fclose(in);
    free(line.bytes);
    return result;
}
