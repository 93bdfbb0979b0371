/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify_sockets.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void take_address(const struct sockaddr_storage *name,
                         uint8_t address[static 16], uint16_t *port)
{
    const struct sockaddr_in *in   = (const void *)name;
    const struct sockaddr_in6 *in6 = (const void *)name;

    memset(address, 0, 16);
    if (name->ss_family == AF_INET) {
        address[10] = address[11] = 0xff;
        memcpy(address + 12, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
    } else {
        memcpy(address, &in6->sin6_addr, 16);
        *port = ntohs(in6->sin6_port);
    }
}

static int option(int fd, int name)
{
    socklen_t length = sizeof(int);
    int value        = -1;

    return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static enum socket_kind addresses(int fd, uint8_t local[static 16],
                                  uint16_t *local_port,
                                  uint8_t remote[static 16],
                                  uint16_t *remote_port)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    int domain       = option(fd, SO_DOMAIN);

    if ((domain != AF_INET && domain != AF_INET6) ||
        option(fd, SO_PROTOCOL) != IPPROTO_TCP ||
        getsockname(fd, (struct sockaddr *)&name, &length) != 0)
        return SOCKET_OTHER;
    take_address(&name, local, local_port);
    memset(remote, 0, 16);
    *remote_port = 0;
    if (option(fd, SO_ACCEPTCONN) == 1)
        return SOCKET_TCP;
    length = sizeof(name);
    if (getpeername(fd, (struct sockaddr *)&name, &length) != 0)
        return SOCKET_NOT_YET;
    take_address(&name, remote, remote_port);
    return SOCKET_TCP;
}

/* A duplicate for a moment: kernels before 5.6, and ptrace's rules, refuse. */
enum socket_kind socket_ask(pid_t pid, int fd, uint8_t local[static 16],
                            uint16_t *local_port, uint8_t remote[static 16],
                            uint16_t *remote_port)
{
    enum socket_kind kind = SOCKET_OTHER;
    int process, copy = -1;

    process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process >= 0) {
        copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
        close(process);
    }
    if (copy >= 0) {
        kind = addresses(copy, local, local_port, remote, remote_port);
        close(copy);
    }
    return kind;
}

bool socket_parse_address(const char *text, uint8_t address[static 16])
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

bool socket_is_any(const uint8_t address[16])
{
    static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff }, v6[16];

    return memcmp(address, v4, 16) == 0 || memcmp(address, v6, 16) == 0;
}

bool socket_is_local(const uint8_t address[16])
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
