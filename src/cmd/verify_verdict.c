/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_verdict: the answer, and the table that it rests on. What cannot be
 * known is never called verified.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nic.h"
#include "verify.h"

enum { COLUMNS = 9 };

/* What is counted while the table is made. */
struct sums {
    uint64_t sealed_streams, clear, unknown, foreign, launchers;
    uint64_t wire_packets;    /* that were opened */
    uint64_t counted_packets; /* that processes say they sealed over tcp */
    uint64_t memory_bytes;    /* sealed over shared memory */
    unsigned uncaptured;      /* lowers that are neither */
};

/* ---- Names ---------------------------------------------------------------- */

static const struct eesp_stat_page *page_of(const struct job *job, pid_t pid)
{
    size_t i;

    for (i = 0; i < job->pages->count; i++)
        if (job->pages->page[i].p.pid == pid)
            return &job->pages->page[i].p;
    return NULL;
}

static void name_end(const struct job *job, const struct stream *stream,
                     unsigned end, char *text, size_t size)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    const struct process *process = stream->end[end].process;
    const uint8_t *address = stream->address[end];
    const struct eesp_stat_page *page =
        process ? page_of(job, process->pid) : NULL;
    char name[INET6_ADDRSTRLEN] = "?";

    if (page && page->has_rank) {
        snprintf(text, size, "rank %" PRIu32, page->rank);
    } else if (process) {
        snprintf(text, size, "%s[%d]", process->name, (int)process->pid);
    } else {
        if (memcmp(address, mapped, sizeof(mapped)) == 0)
            inet_ntop(AF_INET, address + 12, name, sizeof(name));
        else
            inet_ntop(AF_INET6, address, name, sizeof(name));
        snprintf(text, size, "%s:%u", name, stream->port[end]);
    }
}

/* Cipher implementation of the process at an end, as far as it tells. */
static const struct eesp_stat_lower *lower_of(const struct job *job,
                                              const struct stream *stream)
{
    unsigned end, i;

    for (end = 0; end < 2; end++) {
        const struct process *process = stream->end[end].process;
        const struct eesp_stat_page *page =
            process ? page_of(job, process->pid) : NULL;

        for (i = 0; page && i < EESP_STAT_LOWERS; i++)
            if (strncmp(page->lowers[i].name, "tcp/", 4) == 0)
                return &page->lowers[i];
    }
    return NULL;
}

/* "domain 1, job 1-3" */
static void name_generations(const struct streams *streams, char *text,
                             size_t size)
{
    size_t used = 0;
    unsigned i;

    text[0] = '\0';
    for (i = 0; i < EESP_LEVELS; i++) {
        if (streams->first[i] > streams->last[i])
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s %" PRIu32,
                                 used ? ", " : "",
                                 eesp_level_name((enum eesp_level)i),
                                 streams->first[i]);
        if (streams->last[i] > streams->first[i])
            used += (size_t)snprintf(text + used, size - used, "-%" PRIu32,
                                     streams->last[i]);
    }
}

/* Those that the processes send with, as they say, at their end. */
static void print_held(const struct job *job)
{
    struct streams held = { .count = 0 };
    char text[200];
    size_t i;
    unsigned k;

    memset(held.first, 0xff, sizeof(held.first));
    for (i = 0; i < job->pages->count; i++)
        for (k = 0; k < EESP_LEVELS; k++) {
            const struct eesp_stat_level *level =
                &job->pages->page[i].p.levels[k];
            uint32_t generation = level->generation[EESP_CURRENT];

            if (!level->held[EESP_CURRENT])
                continue;
            if (generation < held.first[k])
                held.first[k] = generation;
            if (generation > held.last[k])
                held.last[k] = generation;
        }
    name_generations(&held, text, sizeof(text));
    printf("key generations at the end, as the processes say: %s\n",
           text[0] ? text : "none");
}

/* ---- Table ---------------------------------------------------------------- */

static void add_stream(struct table *table, const struct job *job,
                       const struct stream *stream)
{
    static const char *const kinds[] = { "sealed", "set-up", "IN CLEAR",
                                         "launcher", "UNKNOWN", "foreign" };
    const struct eesp_stat_lower *lower = lower_of(job, stream);
    const struct stream_tally *tally = &stream->tally;
    char end[2][80];
    unsigned i;

    for (i = 0; i < 2; i++)
        name_end(job, stream, i, end[i], sizeof(end[i]));
    table_add(table, "%s", kinds[stream->kind]);
    table_add(table, "%s - %s", end[0], end[1]);
    table_add(table, "tcp");
    table_add(table, "%" PRIu64, tally->bytes[0] + tally->bytes[1]);
    table_add(table, "%" PRIu64, tally->packets);
    if (tally->opened) {
        table_add(table, "0x%08" PRIx32, tally->spi);
        table_add(table, "%s", text_aead(tally->aead));
    } else {
        table_add(table, "-");
        table_add(table, "-");
    }
    table_add(table, "%s", tally->opened && lower ? lower->backend : "-");
    table_add(table, "%s", stream->kind == STREAM_SEALED
                               ? "opened from the wire"
                               : "seen on the wire");
}

static void add_lower(struct table *table, const struct eesp_stat_page *page,
                      const struct eesp_stat_lower *lower)
{
    table_add(table, "counted");
    if (page->has_rank)
        table_add(table, "rank %" PRIu32, page->rank);
    else
        table_add(table, "%s[%d]", page->command, page->pid);
    table_add(table, "%s", lower->name);
    table_add(table, "%" PRIu64, lower->sealed_bytes);
    table_add(table, "%" PRIu64, lower->sealed);
    table_add(table, "0x%08" PRIx32, page->spi);
    table_add(table, "%s", text_aead(page->aead));
    table_add(table, "%s", lower->backend);
    table_add(table, "the process says so");
}

static bool is_memory(const char *name)
{
    return strncmp(name, "posix/", 6) == 0 || strncmp(name, "sysv/", 5) == 0 ||
           strncmp(name, "self/", 5) == 0;
}

static void add_pages(struct table *table, const struct job *job,
                      struct sums *sums)
{
    size_t i;
    unsigned k;

    for (i = 0; i < job->pages->count; i++)
        for (k = 0; k < EESP_STAT_LOWERS; k++) {
            const struct eesp_stat_page *page = &job->pages->page[i].p;
            const struct eesp_stat_lower *lower = &page->lowers[k];

            if (!lower->name[0] || !(lower->sealed + lower->opened))
                continue;
            if (strncmp(lower->name, "tcp/", 4) == 0) {
                sums->counted_packets += lower->sealed;
                continue;
            }
            if (is_memory(lower->name))
                sums->memory_bytes += lower->sealed_bytes;
            else
                sums->uncaptured++;
            add_lower(table, page, lower);
        }
}

static void add_streams(struct table *table, const struct job *job,
                        struct sums *sums)
{
    size_t i;

    for (i = 0; i < job->streams->count; i++) {
        const struct stream *stream = &job->streams->stream[i];

        sums->sealed_streams += stream->kind == STREAM_SEALED;
        sums->clear += stream->kind == STREAM_CLEAR;
        sums->unknown += stream->kind == STREAM_UNKNOWN;
        sums->foreign += stream->kind == STREAM_FOREIGN;
        sums->launchers += stream->kind == STREAM_LAUNCHER;
        sums->wire_packets += stream->tally.opened;
        if (stream->kind != STREAM_LAUNCHER && stream->kind != STREAM_FOREIGN)
            add_stream(table, job, stream);
    }
}

static void print_launchers(const struct job *job)
{
    char end[2][80];
    size_t i;
    unsigned k;

    for (i = 0; i < job->streams->count; i++) {
        const struct stream *stream = &job->streams->stream[i];

        if (stream->kind != STREAM_LAUNCHER)
            continue;
        for (k = 0; k < 2; k++)
            name_end(job, stream, k, end[k], sizeof(end[k]));
        printf("  %s - %s, %" PRIu64 " bytes\n", end[0], end[1],
               stream->tally.bytes[0] + stream->tally.bytes[1]);
    }
}

static void print_offload(const struct job *job)
{
    bool none = true;
    size_t i;

    for (i = 0; i < job->pages->count; i++) {
        const struct eesp_stat_page *page = &job->pages->page[i].p;

        if (strcmp(page->offload, "none") == 0)
            continue;
        none = false;
        printf("offload: %s[%d] left data to a network card: %s\n",
               page->command, page->pid, page->offload);
    }
    if (none)
        printf("offload: none, all of it was sealed by the CPU\n");
}

static void print_bad(const struct job *job)
{
    size_t i;

    for (i = 0; i < job->streams->count; i++) {
        const struct stream *stream = &job->streams->stream[i];

        if (stream->kind == STREAM_CLEAR)
            printf("in clear: %s%s\n", stream->tally.what,
                   stream->tally.bad > 1 ? ", and more" : "");
        else if (stream->kind == STREAM_UNKNOWN)
            printf("unknown: a connection %u - %u that no process was seen "
                   "with; let nothing else run here, or choose another "
                   "--interface\n", stream->port[0], stream->port[1]);
    }
}

/* ---- Answer ---------------------------------------------------------------- */

/* A process that may have sent in clear where nobody looks. */
static bool goes_beside(const struct job *job, char text[static 400])
{
    size_t i;

    for (i = 0; i < job->pages->count; i++) {
        const struct eesp_stat_page *page = &job->pages->page[i].p;
        char beside[sizeof(page->transports)];

        pages_beside(page, beside);
        if (!beside[0])
            continue;
        snprintf(text, 400, "%s[%d] ran with UCX_TLS=%s, so that it could send "
                 "in clear over %s too", page->command, page->pid,
                 page->transports, beside);
        return true;
    }
    return false;
}

/* Why it cannot be told; NULL: it can. */
static const char *doubt(const struct job *job, const struct sums *sums,
                         char text[static 400])
{
    const struct process *elsewhere = owners_elsewhere(job->owners);

    if (job->lost) {
        snprintf(text, 400, "%" PRIu64 " packets came too fast to be captured",
                 job->lost);
        return text;
    }
    if (elsewhere) {
        snprintf(text, 400, "%s[%d] ran in another network namespace",
                 elsewhere->name, (int)elsewhere->pid);
        return text;
    }
    if (owners_alive(job->owners)) {
        snprintf(text, 400, "%u processes of the job still run",
                 owners_alive(job->owners));
        return text;
    }
    if (!job->pages->count)
        return "no process told what it does: is UCX_EESP_STAT_DIR set by the "
               "job?";
    if (goes_beside(job, text))
        return text;
    if (sums->uncaptured)
        return "some of it went over devices that cannot be captured here";
    /* Some are sealed and not sent where a job is ended. */
    if (sums->counted_packets > sums->wire_packets + 100 &&
        sums->wire_packets < sums->counted_packets / 100 * 99) {
        snprintf(text, 400, "the processes sealed %" PRIu64 " packets over "
                 "tcp, of which %" PRIu64 " were captured",
                 sums->counted_packets, sums->wire_packets);
        return text;
    }
    return NULL;
}

static int answer(const struct job *job, const struct sums *sums)
{
    char text[400];
    const char *why = doubt(job, sums, text);

    if (sums->clear || sums->unknown) {
        printf("NOT ENCRYPTED: %" PRIu64 " connection%s in clear or not "
               "understood, %" PRIu64 " unknown\n", sums->clear,
               sums->clear == 1 ? "" : "s", sums->unknown);
        return CMD_FAILED;
    }
    if (!sums->sealed_streams && !sums->memory_bytes) {
        printf("NOT ENCRYPTED: no process of the job sent anything sealed; is "
               "UCX_TLS=eesp set, and does the job use UCX?\n");
        return CMD_FAILED;
    }
    if (why) {
        printf("NOT VERIFIED: %s\n", why);
        return VERIFY_NOT;
    }
    printf("verified: all that the job sent over UCX is sealed\n");
    if (sums->sealed_streams)
        printf("  on the network: %" PRIu64 " packets on %" PRIu64 " connection%s"
               ", opened with the keyring\n", sums->wire_packets,
               sums->sealed_streams, sums->sealed_streams == 1 ? "" : "s");
    if (sums->memory_bytes)
        printf("  through shared memory: %" PRIu64 " bytes, by their senders' "
               "count\n", sums->memory_bytes);
    if (job->status) {
        printf("but the command failed: exit status %d\n", job->status);
        return CMD_FAILED;
    }
    return CMD_OK;
}

int verdict_print(const struct job *job)
{
    static const char *const titles[COLUMNS] = {
        "STATE", "BETWEEN", "OVER", "BYTES", "PACKETS", "SPI", "CIPHER",
        "BACKEND", "HOW IT IS KNOWN",
    };
    struct table *table = table_new(titles, COLUMNS);
    struct sums sums = { 0 };
    char text[200];

    add_streams(table, job, &sums);
    add_pages(table, job, &sums);
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
    name_generations(job->streams, text, sizeof(text));
    printf("\nkey generations on the wire: %s\n", text[0] ? text : "none");
    print_offload(job);
    printf("encryption below, by cards or kernel of this host:\n");
    nic_print("  ");
    printf("launchers' own connections, not the job's data: %" PRIu64 "\n",
           sums.launchers);
    print_launchers(job);
    print_held(job);
    if (sums.foreign)
        printf("connections of other programs, left alone: %" PRIu64 "\n",
               sums.foreign);
    print_bad(job);
    return answer(job, &sums);
}
