/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_owners: connections and who has them, by the inodes of sockets in
 * /proc/PID/fd and /proc/net/tcp. Everything that was seen once is remembered.
 * This process is the reaper of its descendants, so none of them leaves its
 * tree.
 */
#include <dirent.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "verify.h"
#include "verify_processes.h"

enum {
    NO_PROCESS = -1,
    OTHERS_INTERVAL = 200, /* ms between two looks at other processes */
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
    struct connection_owner *connection;
    size_t                   connections;
    unsigned                 alive;
    uint64_t                 others_at; /* ms, of the last look at others */
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

/* Digits of /proc/net/tcp: words of four bytes, each in host order. */
static bool parse_address(const char *text, uint8_t address[static 16])
{
    size_t words = strlen(text) / 8, i;
    char word[9] = { 0 };
    uint32_t value;

    if (words != 1 && words != 4)
        return false;
    memset(address, 0, 16);
    if (words == 1)
        address[10] = address[11] = 0xff;
    for (i = 0; i < words; i++) {
        memcpy(word, text + 8 * i, 8);
        value = (uint32_t)strtoul(word, NULL, 16);
        memcpy(address + (words == 1 ? 12 : 4 * i), &value, sizeof(value));
    }
    return true;
}

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
            !parse_address(local, new.local) ||
            !parse_address(remote, new.remote))
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

/*
 * The job's own processes come first, since theirs may be gone at the next
 * look; all others are asked only if somebody is missing, and seldom.
 */
void owners_sample(struct owners *owners)
{
    struct seen *list;
    struct timespec now;
    uint64_t at;
    size_t count, i;

    list = processes_read(&count);
    processes_mark(list, count, owners->self);
    owners->alive = 0;
    for (i = 0; i < count; i++)
        owners->alive += list[i].ours;
    owners->sockets = 0;
    look_at(owners, list, count, true);
    clock_gettime(CLOCK_MONOTONIC, &now);
    at = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (attribute(owners, list, count) &&
        at >= owners->others_at + OTHERS_INTERVAL) {
        owners->others_at = at;
        look_at(owners, list, count, false);
        attribute(owners, list, count);
    }
    free(list);
}

/* ---- Answers ---------------------------------------------------------------------- */

static bool is_any(const uint8_t address[16])
{
    static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff }, v6[16];

    return memcmp(address, v4, 16) == 0 || memcmp(address, v6, 16) == 0;
}

/* Whether it is an address of this host. */
static bool is_local(const uint8_t address[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct ifaddrs *list, *each;
    uint8_t mine[16];
    bool local = memcmp(address, mapped, 12) == 0 && address[12] == 127;

    if (local || getifaddrs(&list) != 0)
        return true; /* not known is not another host */
    for (each = list; each && !local; each = each->ifa_next) {
        if (!each->ifa_addr)
            continue;
        if (each->ifa_addr->sa_family == AF_INET) {
            const void *in = each->ifa_addr;

            memcpy(mine, mapped, 12);
            memcpy(mine + 12, &((const struct sockaddr_in *)in)->sin_addr, 4);
        } else if (each->ifa_addr->sa_family == AF_INET6) {
            const void *in = each->ifa_addr;

            memcpy(mine, &((const struct sockaddr_in6 *)in)->sin6_addr, 16);
        } else {
            continue;
        }
        local = memcmp(mine, address, sizeof(mine)) == 0;
    }
    freeifaddrs(list);
    return local;
}

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
            (is_any(c->local) || memcmp(c->local, local, 16) == 0))
            best = c;
    }
    if (!best)
        return (struct owner){ .kind = is_local(local) ? OWNER_UNKNOWN
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
