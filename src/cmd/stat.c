/* SPDX-License-Identifier: BSD-3-Clause */
/* stat: running processes as a table. */
#include "stat.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "nic.h"

enum { COLUMNS = 17, FIRST_OF_LOWER = 7, BEHIND_LOWER = 3 };

struct stat_options {
    const char *directory;
    uint64_t    watch; /* seconds, 0: once */
    bool        all, clean, nic;
    void      (*print)(const struct pages *pages); /* NULL: a table */
};

static void print_help(void)
{
    printf(
        "Usage: eesp stat [OPTION]...\n\n"
        "Shows the processes that send and receive sealed: with which keys, "
        "until when,\nand what they sealed, opened and refused. Root sees "
        "those of all users.\n\n"
        "  --watch [SECONDS]  again and again, every second\n"
        "  --json             for machines\n"
        "  --prometheus       text for node_exporter's textfile collector\n"
        "  --all              those that were killed, too\n"
        "  --clean            remove what processes left that were killed\n"
        "  --nic              what network cards and kernel encrypt below that,\n"
        "                     as far as the kernel knows; nothing relies on it\n"
        "  --dir DIRECTORY    where their pages are (default: $%s, or\n"
        "                     /run/user/UID/eesp and /dev/shm/eesp-UID)\n"
        "  -h, --help         this text\n\n"
        "Exit code: 1 if there is no such process, for the table.\n\n"
        "Examples:\n"
        "  eesp stat\n"
        "  eesp stat --json | jq '.[] | select(.keyring_refused > 0) | .pid'\n"
        "  sudo eesp stat --nic\n"
        "  eesp stat --prometheus >eesp.prom.new && mv eesp.prom.new "
        "eesp.prom\n",
        PAGES_VARIABLE);
}

uint64_t stat_dropped(const struct eesp_stat_lower *lower)
{
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < EESP_STAT_REASONS; i++)
        sum += lower->dropped[i];
    return sum;
}

/* "1.50 GB": decimal, as links are sold. */
static void add_bytes(struct table *table, uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    unsigned unit = 0;

    while (value >= 1000 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        value /= 1000;
        unit++;
    }
    table_add(table, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* "domain 2 (1 still opens), job 5 (6 staged)" */
static void add_keys(struct table *table, const struct eesp_stat_page *p)
{
    char text[400] = "";
    size_t used = 0;
    unsigned i;

    for (i = 0; i < EESP_LEVELS; i++) {
        const struct eesp_stat_level *level = &p->levels[i];

        if (!level->id[0])
            continue;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s ",
                                 used ? ", " : "",
                                 eesp_level_name((enum eesp_level)i));
        used += (size_t)(level->held[EESP_CURRENT]
            ? snprintf(text + used, sizeof(text) - used, "%" PRIu32,
                       level->generation[EESP_CURRENT])
            : snprintf(text + used, sizeof(text) - used, "-"));
        if (level->held[EESP_PREVIOUS])
            used += (size_t)snprintf(text + used, sizeof(text) - used,
                                     " (%" PRIu32 " still opens)",
                                     level->generation[EESP_PREVIOUS]);
        if (level->held[EESP_NEXT])
            used += (size_t)snprintf(text + used, sizeof(text) - used,
                                     " (%" PRIu32 " staged)",
                                     level->generation[EESP_NEXT]);
    }
    table_add(table, "%s", text);
}

/* When the first of the current keys ends, and nothing can be sent. */
static uint64_t ends(const struct eesp_stat_page *p)
{
    uint64_t first = 0;
    unsigned i;

    for (i = 0; i < EESP_LEVELS; i++) {
        uint64_t end = p->levels[i].expires[EESP_CURRENT];

        if (end && (!first || end < first))
            first = end;
    }
    return first;
}

static void add_lower(struct table *table, const struct eesp_stat_lower *lower,
                      bool fips)
{
    table_add(table, "%s", lower->name);
    table_add(table, "%s%s", lower->backend, fips ? " FIPS" : "");
    add_bytes(table, lower->sealed_bytes);
    table_add(table, "%" PRIu64, lower->sealed);
    add_bytes(table, lower->opened_bytes);
    table_add(table, "%" PRIu64, lower->opened);
    table_add(table, "%" PRIu64, stat_dropped(lower));
}

static void add_process(struct table *table, const struct page *page)
{
    const struct eesp_stat_page *p = &page->p;
    char text[TEXT_MAX];
    unsigned i, k;

    table_add(table, "%d%s", p->pid, page->alive ? "" : " (dead)");
    if (p->has_rank)
        table_add(table, "%" PRIu32, p->rank);
    else
        table_add(table, "-");
    table_add(table, "%s", p->command);
    table_add(table, "%" PRIu32, p->peers);
    table_add(table, "%s", p->policy);
    table_add(table, "0x%08" PRIx32, p->spi);
    table_add(table, "%s%s", p->confidentiality ? "" : "READABLE ",
              text_aead(p->aead));
    for (i = 0; i < EESP_STAT_LOWERS && (p->lowers[i].name[0] || !i); i++) {
        for (k = 0; i && k < FIRST_OF_LOWER; k++)
            table_add(table, "%s", "");
        add_lower(table, &p->lowers[i], p->fips);
        for (k = 0; i && k < BEHIND_LOWER; k++)
            table_add(table, "%s", "");
        if (!i) {
            table_add(table, "%s", p->offload);
            table_add(table, "%s", text_time(ends(p), text));
            add_keys(table, p);
        }
    }
}

static void print_remarks(const struct eesp_stat_page *p)
{
    char text[TEXT_MAX], beside[sizeof(p->transports)];
    unsigned i, k;

    pages_beside(p, beside);
    if (beside[0])
        printf("%d: UCX_TLS=%s lets UCX send in clear, over %s\n", p->pid,
               p->transports, beside);
    if (p->keylog)
        printf("%d: WRITES ITS KEYS to a file (UCX_EESP_KEYLOG)\n", p->pid);
    if (p->refused)
        printf("%d: %s%" PRIu64 " new keyring%s not taken, last %s: %s\n",
               p->pid, p->refusing ? "runs on with the last good keys; " : "",
               p->refused, p->refused == 1 ? "" : "s",
               text_time(p->refused_at, text), p->refused_why);
    for (i = 0; i < EESP_STAT_LOWERS; i++)
        for (k = 0; k < EESP_STAT_REASONS; k++)
            if (p->lowers[i].dropped[k])
                printf("%d: %s dropped %" PRIu64 ": %s\n", p->pid,
                       p->lowers[i].name, p->lowers[i].dropped[k],
                       eesp_strerror(-(int)k));
}

static void print_table(const struct pages *pages)
{
    static const char *const titles[COLUMNS] = {
        "PID", "RANK", "COMMAND", "PEERS", "POLICY", "SPI", "CIPHER", "LOWER",
        "BACKEND", "SEALED", "PACKETS", "OPENED", "PACKETS", "DROPPED",
        "OFFLOAD", "SENDS UNTIL", "KEY GENERATIONS",
    };
    struct table *table = table_new(titles, COLUMNS);
    size_t i;

    for (i = 0; i < pages->count; i++)
        add_process(table, &pages->page[i]);
    table_print(table, stdout);
    table_free(table);
    for (i = 0; i < pages->count; i++)
        print_remarks(&pages->page[i].p);
}

/* Takes the dead out of pages, and off the disk if they are to be cleaned. */
static size_t bury(struct pages *pages, bool unlinks)
{
    size_t i, kept = 0, dead;

    for (i = 0; i < pages->count; i++) {
        struct page *page = &pages->page[i];

        if (page->alive) {
            pages->page[kept++] = *page;
            continue;
        }
        if (unlinks && unlink(page->path) == 0)
            fprintf(stderr, "removed %s\n", page->path);
        free(page->path);
    }
    dead = pages->count - kept;
    pages->count = kept;
    return unlinks ? 0 : dead;
}

static int show_once(const struct stat_options *options)
{
    struct pages pages;
    int result = CMD_OK;
    size_t dead = 0;

    if (pages_read(options->directory, &pages) < 0)
        return CMD_FAILED;
    if (!options->all)
        dead = bury(&pages, options->clean);
    if (options->print) {
        options->print(&pages);
    } else if (pages.count) {
        print_table(&pages);
    } else {
        cmd_complain("no process of yours sends or receives sealed here; is "
                     "UCX_TLS=eesp set?");
        result = CMD_FAILED;
    }
    if (dead && !options->print)
        fprintf(stderr, "%zu more that were killed: see --all, --clean\n",
                dead);
    pages_free(&pages);
    return result;
}

static int show(const struct stat_options *options)
{
    bool terminal = isatty(STDOUT_FILENO);

    while (options->watch) {
        if (terminal)
            printf("\033[H\033[2J");
        show_once(options); /* processes may come yet */
        if (fflush(stdout) != 0)
            return CMD_FAILED;
        sleep((unsigned)options->watch);
        if (!terminal)
            putchar('\n');
    }
    return show_once(options);
}

int stat_main(int argc, char *argv[])
{
    static const struct option names[] = {
        { "watch", no_argument, NULL, 'w' },
        { "json", no_argument, NULL, 'j' },
        { "prometheus", no_argument, NULL, 'p' },
        { "all", no_argument, NULL, 'a' },
        { "clean", no_argument, NULL, 'c' },
        { "dir", required_argument, NULL, 'd' },
        { "nic", no_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct stat_options options = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        switch (option) {
        case 'w': options.watch = 1; break;
        case 'j': options.print = stat_json; break;
        case 'p': options.print = stat_prometheus; break;
        case 'a': options.all = true; break;
        case 'c': options.clean = true; break;
        case 'd': options.directory = optarg; break;
        case 'n': options.nic = true; break;
        case 'h': print_help(); return CMD_OK;
        default: return cmd_usage("stat");
        }
    }
    if (optind < argc && options.watch &&
        (cmd_parse_number("watch", argv[optind++], 10, 86400,
                          &options.watch) < 0 || options.watch == 0))
        return cmd_usage("stat");
    if (options.all && options.clean) {
        cmd_complain("--all shows what --clean removes: choose one");
        return cmd_usage("stat");
    }
    if (optind < argc) {
        cmd_complain("unexpected argument '%s'", argv[optind]);
        return cmd_usage("stat");
    }
    if (options.nic) {
        if (options.print || options.watch || options.all || options.clean ||
            options.directory) {
            cmd_complain("--nic is about the host: it takes no other option");
            return cmd_usage("stat");
        }
        nic_print("");
        return CMD_OK;
    }
    return show(&options);
}
