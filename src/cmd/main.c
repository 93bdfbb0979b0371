/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "eesp_config.h"

static const struct {
    const char *name;
    int       (*run)(int argc, char *argv[]);
    const char *purpose;
} subcommands[] = {
    { "keygen", keygen_main, "Make a keyring file with fresh root keys" },
    { "rotate", rotate_main, "Stage, promote or retire a root key, or raise the epoch" },
    { "grant", grant_main, "Make a keyring for one policy without root keys" },
    { "run", run_main, "Run a job under keys that are made for it alone" },
    { "stat", stat_main, "Show the processes that send and receive sealed" },
    { "verify", verify_main, "Run a job and prove that it is sealed" },
    { "show", show_main, "Show what a keyring holds, without its keys" },
    { "decode", decode_main, "Open captured packets with a keyring" },
    { "encode", encode_main, "Seal payloads with a keyring" },
    { "selftest", selftest_main, "Test the ciphers with known answers" },
};

enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

static void print_help(FILE *out)
{
    unsigned i;

    fprintf(out, "Usage: eesp SUBCOMMAND [OPTION]...\n\nSubcommands:\n");
    for (i = 0; i < SUBCOMMANDS; i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].name,
                subcommands[i].purpose);
    fprintf(out,
            "\n  eesp SUBCOMMAND --help   options and examples\n"
            "  eesp --version           version\n"
            "\nExit code: 0 success, 1 failure, 2 wrong usage.\n");
}

static int run(const char *name, int argc, char *argv[])
{
    unsigned i;

    for (i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(argc, argv);
    cmd_complain("unknown subcommand '%s'; `eesp --help' lists them", name);
    return CMD_USAGE;
}

static int help_main(int argc, char *argv[])
{
    static char name[] = "eesp", help[] = "--help";
    char *args[] = { name, help, NULL };

    if (argc < 2) {
        print_help(stdout);
        return CMD_OK;
    }
    return run(argv[1], 2, args);
}

static int dispatch(int argc, char *argv[])
{
    static char prefix[] = "eesp";
    const char *name;

    if (argc < 2) {
        print_help(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("eesp %s\n", PACKAGE_VERSION);
        return CMD_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CMD_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help_main(argc - 1, argv + 1);
    /* getopt prints argv[0] in front of its messages. */
    name = argv[1];
    argv[1] = prefix;
    return run(name, argc - 1, argv + 1);
}

int main(int argc, char *argv[])
{
    int result = dispatch(argc, argv);

    /* A full disk must not look like success. */
    if (fclose(stdout) != 0) {
        cmd_complain("cannot write to standard output: %s", strerror(errno));
        result = result ? result : CMD_FAILED;
    }
    return result;
}
