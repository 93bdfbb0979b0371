/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_owners: connections and who has them. The job's sockets are found in
 * /proc/PID/fd and asked for their addresses, each once it is connected: that
 * is quick, and a connection may last some milliseconds only. Seldom, since the
 * kernel takes its time, all connections are read from /proc/net/tcp, and what
 * has nobody is looked for among the other processes. Everything that was seen
 * once is remembered. This process is the reaper of its descendants, so none
 * of them leaves its tree.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "verify.h"
#include "verify_processes.h"
#include "verify_sockets.h"

enum {
    NO_PROCESS = -1,
    ALL_INTERVAL = 200, /* ms between two looks at all connections */
};

struct socket_owner {
    uint64_t inode;
    int      process;   /* of the job, or NO_PROCESS */
};

struct connection_owner {
    uint8_t         local[16], remote[16];
    uint16_t        local_port, remote_port;
    enum owner_kind kind;
    int             process;
};

struct owners {
    pid_t                    self;
    char                     network[64]; /* namespace of this process */
    struct process          *process;
    size_t                   processes;
    struct socket_owner     *socket; /* at this look */
    size_t                   sockets;
    struct socket_owner     *settled; /* asked: nothing new will come of it */
    size_t                   settleds;
    struct connection_owner *connection;
    size_t                   connections;
    unsigned                 alive;
    uint64_t                 all_at; /* ms, of the last look at all */
};

static void network_of(const char *pid, char name[static 64])
{
    char path[300];
    ssize_t length;

    snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
    length = readlink(path, name, 63);
    name[length > 0 ? length : 0] = '\0';
}

struct owners *owners_new(void)
{
    struct owners *owners = cmd_realloc(NULL, sizeof(*owners));

    *owners = (struct owners){ .self = getpid() };
    network_of("self", owners->network);
    return owners;
}

void owners_free(struct owners *owners)
{
    if (!owners)
        return;
    free(owners->process);
    free(owners->socket);
    free(owners->settled);
    free(owners->connection);
    free(owners);
}

/* ---- Processes --------------------------------------------------------------- */

static int remember(struct owners *owners, const struct seen *seen,
                    const char *pid)
{
    struct process *process;
    char network[64];
    size_t i = 0;

    while (i < owners->processes && owners->process[i].pid != seen->pid)
        i++;
    if (i == owners->processes) {
        owners->process = cmd_realloc(owners->process,
                                      (i + 1) * sizeof(*owners->process));
        owners->process[i] = (struct process){ .pid = seen->pid };
        owners->processes++;
    }
    process = &owners->process[i];
    /* A launcher becomes the program: what it is last counts. */
    snprintf(process->name, sizeof(process->name), "%s", seen->name);
    process->launcher = process_is_launcher(seen->name);
    network_of(pid, network);
    if (network[0] && strcmp(network, owners->network) != 0)
        process->elsewhere = true;
    return (int)i;
}

/* ---- Sockets ------------------------------------------------------------------- */

static void note(struct owners *owners, const struct connection_owner *new);

/* The newest are asked about most. */
static bool is_settled(const struct owners *owners, uint64_t inode, int process)
{
    size_t i = owners->settleds;

    while (i-- > 0) {
        if (owners->settled[i].inode == inode &&
            owners->settled[i].process == process)
            return true;
    }
    return false;
}

static void settle(struct owners *owners, uint64_t inode, int process)
{
    owners->settled = cmd_realloc(owners->settled, (owners->settleds + 1) *
                                  sizeof(*owners->settled));
    owners->settled[owners->settleds++] =
        (struct socket_owner){ inode, process };
}

/* Asks a socket of the job. */
static void ask(struct owners *owners, uint64_t inode, int process,
                const char *fd)
{
    struct connection_owner new = { .kind = OWNER_JOB, .process = process };

    if (is_settled(owners, inode, process))
        return;
    switch (socket_ask(owners->process[process].pid, atoi(fd), new.local,
                       &new.local_port, new.remote, &new.remote_port)) {
    case SOCKET_TCP:
        note(owners, &new);
        settle(owners, inode, process);
        break;
    case SOCKET_OTHER:
        settle(owners, inode, process);
        break;
    case SOCKET_NOT_YET:
        break;
    }
}

static void read_sockets(struct owners *owners, const char *pid, int process)
{
    char path[300], target[64];
    struct dirent *entry;
    uint64_t inode;
    ssize_t length;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        length = readlinkat(dirfd(dir), entry->d_name, target,
                            sizeof(target) - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
            continue;
        owners->socket = cmd_realloc(owners->socket, (owners->sockets + 1) *
                                     sizeof(*owners->socket));
        owners->socket[owners->sockets++] =
            (struct socket_owner){ inode, process };
        if (process != NO_PROCESS)
            ask(owners, inode, process, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

static int compare(const void *a, const void *b)
{
    const struct socket_owner *x = a, *y = b;

    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return y->process - x->process; /* the job's first */
}

/*
 * An inherited socket is the job's if any process of the job has it. One that
 * nobody has whom we may look at is somebody else's if its user is.
 */
static struct owner who_has(const struct owners *owners, uint64_t inode,
                            bool others, int *process)
{
    struct owner owner = { .kind = others ? OWNER_FOREIGN : OWNER_UNKNOWN };
    size_t low = 0, high = owners->sockets;

    *process = NO_PROCESS;
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (owners->socket[middle].inode < inode)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < owners->sockets && owners->socket[low].inode == inode) {
        *process = owners->socket[low].process;
        owner.kind = *process == NO_PROCESS ? OWNER_FOREIGN : OWNER_JOB;
    }
    return owner;
}

/* ---- Connections ---------------------------------------------------------------- */

static void note(struct owners *owners, const struct connection_owner *new)
{
    struct connection_owner *known;
    size_t i;

    for (i = 0; i < owners->connections; i++) {
        known = &owners->connection[i];
        if (known->local_port == new->local_port &&
            known->remote_port == new->remote_port &&
            memcmp(known->local, new->local, 16) == 0 &&
            memcmp(known->remote, new->remote, 16) == 0) {
            /* What was the job's once stays its. */
            if (known->kind != OWNER_JOB && new->kind != OWNER_UNKNOWN)
                *known = *new;
            else if (known->kind == OWNER_JOB && new->kind == OWNER_JOB)
                known->process = new->process;
            return;
        }
    }
    owners->connection = cmd_realloc(owners->connection, (i + 1) *
                                     sizeof(*owners->connection));
    owners->connection[owners->connections++] = *new;
}

/* Number of connections of the job's users that nobody was seen with. */
static unsigned read_connections(struct owners *owners, const char *path,
                                 const uid_t *users, size_t users_count)
{
    char line[512], local[40], remote[40];
    struct connection_owner new;
    unsigned ports[2], state, uid, unknown = 0;
    uint64_t inode;
    FILE *file = fopen(path, "re");
    size_t i;

    while (file && fgets(line, sizeof(line), file)) {
        bool others = true;

        if (sscanf(line, " %*d: %39[0-9A-F]:%x %39[0-9A-F]:%x %x %*x:%*x "
                   "%*x:%*x %*x %u %*d %" SCNu64, local, &ports[0], remote,
                   &ports[1], &state, &uid, &inode) != 7 || inode == 0 ||
            !socket_parse_address(local, new.local) ||
            !socket_parse_address(remote, new.remote))
            continue;
        for (i = 0; i < users_count; i++)
            others &= users[i] != uid;
        new.local_port = (uint16_t)ports[0];
        new.remote_port = (uint16_t)ports[1]; /* 0: it listens */
        new.kind = who_has(owners, inode, others, &new.process).kind;
        unknown += new.kind == OWNER_UNKNOWN;
        note(owners, &new);
    }
    if (file)
        fclose(file);
    return unknown;
}

/* Adds the sockets of the job's processes, or of all others. */
static void look_at(struct owners *owners, const struct seen *list,
                    size_t count, bool ours)
{
    char pid[16];
    size_t i;

    for (i = 0; i < count; i++) {
        if (list[i].ours != ours)
            continue;
        snprintf(pid, sizeof(pid), "%d", (int)list[i].pid);
        read_sockets(owners, pid, ours ? remember(owners, &list[i], pid)
                                       : NO_PROCESS);
    }
    if (owners->sockets)
        qsort(owners->socket, owners->sockets, sizeof(*owners->socket),
              compare);
}

static unsigned attribute(struct owners *owners, const struct seen *list,
                          size_t count)
{
    uid_t users[16];
    size_t n = processes_users(list, count, users, 16);

    return read_connections(owners, "/proc/self/net/tcp", users, n) +
           read_connections(owners, "/proc/self/net/tcp6", users, n);
}

/* Asks all other processes, too. */
static void look_at_others(struct owners *owners, const struct seen *ours,
                           size_t ours_count)
{
    struct seen *list;
    size_t count;

    list = processes_read(&count);
    processes_mark(list, count, owners->self);
    look_at(owners, list, count, false);
    attribute(owners, ours, ours_count);
    free(list);
}

void owners_sample(struct owners *owners)
{
    struct seen *list;
    struct timespec now;
    uint64_t at;
    size_t count, i;

    list = processes_read_ours(owners->self, &count);
    owners->alive = 0;
    for (i = 0; i < count; i++)
        owners->alive += list[i].ours;
    owners->sockets = 0;
    look_at(owners, list, count, true);
    clock_gettime(CLOCK_MONOTONIC, &now);
    at = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (at >= owners->all_at + ALL_INTERVAL) {
        owners->all_at = at;
        if (attribute(owners, list, count))
            look_at_others(owners, list, count);
    }
    free(list);
}

/* ---- Answers ---------------------------------------------------------------------- */

struct owner owners_find(const struct owners *owners, const uint8_t local[16],
                         uint16_t local_port, const uint8_t remote[16],
                         uint16_t remote_port)
{
    const struct connection_owner *best = NULL;
    size_t i;

    for (i = 0; i < owners->connections; i++) {
        const struct connection_owner *c = &owners->connection[i];

        if (c->local_port != local_port)
            continue;
        if (c->remote_port == remote_port &&
            memcmp(c->local, local, 16) == 0 &&
            memcmp(c->remote, remote, 16) == 0) {
            best = c;
            break;
        }
        /* Too short to be seen, but somebody listened at that end. */
        if (c->remote_port == 0 &&
            (socket_is_any(c->local) || memcmp(c->local, local, 16) == 0))
            best = c;
    }
    if (!best)
        return (struct owner){ .kind = socket_is_local(local) ? OWNER_UNKNOWN
                                                       : OWNER_REMOTE };
    return (struct owner){ .kind = best->kind,
                           .process = best->process == NO_PROCESS
                                          ? NULL
                                          : &owners->process[best->process] };
}

const struct process *owners_elsewhere(const struct owners *owners)
{
    size_t i;

    for (i = 0; i < owners->processes; i++)
        if (owners->process[i].elsewhere)
            return &owners->process[i];
    return NULL;
}

unsigned owners_alive(const struct owners *owners)
{
    return owners->alive;
}
