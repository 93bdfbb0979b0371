/* SPDX-License-Identifier: BSD-3-Clause */
/* util: messages, memory and the keyring of the subcommands. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "../source/source.h"

void cmd_complain(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("eesp: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int cmd_usage(const char *subcommand)
{
    fprintf(stderr, "Try `eesp %s --help' for usage.\n", subcommand);
    return CMD_USAGE;
}

void *cmd_realloc(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (!memory) {
        cmd_complain("out of memory");
        exit(CMD_FAILED);
    }
    return memory;
}

void cmd_wiping_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

char *cmd_printf(const char *format, ...)
{
    va_list args;
    char *text;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        cmd_complain("out of memory");
        exit(CMD_FAILED);
    }
    return text;
}

int cmd_parse_number(const char *option, const char *text, int base,
                     uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, base);
    if (!strchr("0123456789abcdefABCDEF", text[0]) || end == text || *end ||
        errno || *value > max) {
        cmd_complain("--%s: '%s' is not a %s number up to %" PRIu64, option,
                     text, base == 16 ? "hexadecimal" : "decimal", max);
        return -1;
    }
    return 0;
}

struct eesp_keyring *cmd_load_keyring(const char *path, const char **path_p)
{
    struct eesp_keyring *keyring = NULL;
    char why[EESP_WHY_LEN];

    if (!path)
        path = getenv(CMD_KEYRING_VARIABLE);
    if (!path || !*path)
        path = CMD_DEFAULT_KEYRING;
    *path_p = path;
    if (eesp_source_load(path, NULL, &keyring, why) != EESP_OK) {
        cmd_complain("%s", why);
        keyring = NULL;
    }
    return keyring;
}
