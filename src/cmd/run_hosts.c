/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_hosts: the keyring's way to other hosts. mpirun starts a daemon on each by
 * an agent, ssh or the like; the script that stands for it sends the keyring
 * through the agent's standard input, so that it is in no argument and no
 * variable. There a shell puts it into a directory of the same name, runs the
 * daemon, and wipes it after that.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

/*
 * Runs on the other host, within single quotes: it has none itself. Where the
 * directory is there already, the two names are of one host: the same keyring
 * must be in it, and who made it wipes it.
 */
static const char remote[] =
    "umask 077\n"
    "d=@DIRECTORY@ f=@DIRECTORY@/" RUN_RING "\n"
    "k=$(head -c @LENGTH@)\n"
    "refuse() { echo \"eesp run: $(hostname): $1\" >&2; exit 1; }\n"
    "[ \"$(stat -f -c %T /dev/shm)\" = tmpfs ] ||\n"
    "    refuse \"/dev/shm is not in memory\"\n"
    "[ ${#k} -eq @LENGTH@ ] || refuse \"the keyring did not arrive\"\n"
    "if mkdir \"$d\" 2>/dev/null; then\n"
    "    trap \"dd if=/dev/zero of=$f bs=@LENGTH@ count=1 conv=notrunc "
    "2>/dev/null; rm -rf $d\" EXIT\n"
    "    trap \"exit 129\" HUP\n"
    "    trap \"exit 130\" INT\n"
    "    trap \"exit 143\" TERM\n"
    "    printf %s \"$k\" >\"$f.new\" && mv \"$f.new\" \"$f\" ||\n"
    "        refuse \"cannot write $f\"\n"
    "else\n"
    "    for i in 1 2 3 4 5 6 7 8 9 10; do [ -e \"$f\" ] || sleep 1; done\n"
    "    printf %s \"$k\" | cmp -s - \"$f\" ||\n"
    "        refuse \"$d is there, with something else in it\"\n"
    "fi\n"
    "unset k\n";

/* With every @NAME@ replaced. */
static char *fill(const char *template, const char *name, const char *value)
{
    char *done = cmd_printf("%s", ""), *next;
    const char *found;

    while ((found = strstr(template, name)) != NULL) {
        next = cmd_printf("%s%.*s%s", done, (int)(found - template), template,
                          value);
        free(done);
        done = next;
        template = found + strlen(name);
    }
    next = cmd_printf("%s%s", done, template);
    free(done);
    return next;
}

/* agent's words are separated by blanks, as mpirun separates them. */
char *run_hosts_agent(const struct run_directory *directory, const char *agent)
{
    char *length = cmd_printf("%zu", directory->length);
    char *first = fill(remote, "@LENGTH@", length);
    char *there = fill(first, "@DIRECTORY@", directory->path);
    char *script = NULL, *start = NULL;

    if (strpbrk(agent, "'\"\\$`;&|<>()\n")) {
        cmd_complain("plm_rsh_agent is '%s': only words and options can be "
                     "taken over; put the rest into a script", agent);
        goto out;
    }
    script = cmd_printf(
        "# Made by eesp run: HOST COMMAND, with the keyring as its input.\n"
        "host=$1\n"
        "shift\n"
        "command=$(printf '%%s' \"$*\" | sed \"s/'/'\\\\\\\\''/g\")\n"
        "there='%s'\n"
        "exec %s \"$host\" \"sh -c '$there\n($command\n)'\" <%s\n",
        there, agent, directory->ring);
    if (run_directory_agent(directory, script) == 0)
        start = cmd_printf("/bin/sh %s/" RUN_AGENT, directory->path);
out:
    free(script);
    free(there);
    free(first);
    free(length);
    return start;
}
