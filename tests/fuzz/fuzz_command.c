/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of eesp, one argument a line. It runs in a folder of its
 * own and cannot name another: a slash becomes an underscore. What a run
 * leaves there goes before the next.
 */
#include <dirent.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#define main eesp_main
#include "main.c" /* in src/cmd: dispatch() */
#undef main

#include "fuzz.h"

enum { ARGS_MAX = 16, TEXT_ROOM = 512 };

static void clean_up(void)
{
    DIR *folder = opendir(".");
    struct dirent *entry;

    FUZZ_RULE(folder != NULL);
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_type == DT_REG)
            unlink(entry->d_name);
    closedir(folder);
}

/* A keyring there, to show, rotate and decode with. */
static void put_ring(void)
{
    static char text[65536];
    static size_t length;
    FILE *file;

    if (length == 0) {
        file = fopen(fuzz_ring(), "r");
        FUZZ_RULE(file != NULL);
        length = fread(text, 1, sizeof(text), file);
        fclose(file);
    }
    umask(077);
    file = fopen("ring", "w");
    FUZZ_RULE(file != NULL && fwrite(text, 1, length, file) == length);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_ROOM + 1], name[] = "eesp";
    static int there;
    char *argv[ARGS_MAX + 2] = {name}, *p;
    int argc = 1, result;

    if (size == 0 || size > TEXT_ROOM)
        return 0;
    if (!there) {
        const char *folder = getenv("EESP_FUZZ_FOLDER");

        FUZZ_RULE(folder != NULL && chdir(folder) == 0);
        FUZZ_RULE(freopen("/dev/null", "r", stdin) != NULL);
        setenv(CMD_KEYRING_VARIABLE, "ring", 1);
        setenv("PATH", "_none", 1); /* run and verify find no command */
        there = 1;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    for (p = text; *p; p++)
        *p = *p == '/' ? '_' : *p;
    for (p = strtok(text, "\n"); p && argc <= ARGS_MAX; p = strtok(NULL, "\n"))
        argv[argc++] = p;
    put_ring();
    optind = 0;
    result = dispatch(argc, argv);
    FUZZ_RULE(result == CMD_OK || result == CMD_FAILED || result == CMD_USAGE ||
              result == 126 || result == 127);
    clean_up();
    return 0;
}
