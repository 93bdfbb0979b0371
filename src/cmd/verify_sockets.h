/* SPDX-License-Identifier: BSD-3-Clause */
/* verify_sockets: addresses of sockets, IPv4 as IPv6 has it (::ffff:a.b.c.d). */
#ifndef VERIFY_SOCKETS_H
#define VERIFY_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum socket_kind {
    SOCKET_TCP,     /* listens (its remote port is 0), or is or was connected */
    SOCKET_OTHER,   /* no TCP, or not to be asked by us */
    SOCKET_NOT_YET, /* TCP, neither listens nor is connected */
};

/* Asks the descriptor fd of a process for its addresses. */
enum socket_kind socket_ask(pid_t pid, int fd, uint8_t local[static 16],
                            uint16_t *local_port, uint8_t remote[static 16],
                            uint16_t *remote_port);
/* Digits of /proc/net/tcp: words of four bytes, each in host order. */
bool socket_parse_address(const char *text, uint8_t address[static 16]);
bool socket_is_any(const uint8_t address[16]);
/* Whether it is an address of this host. */
bool socket_is_local(const uint8_t address[16]);

#endif
