/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sealed_udp: lines of text as sealed datagrams, with libeesp alone.
 *
 *     eesp keygen --levels domain --out keyring.jwks
 *     ./sealed_udp keyring.jwks receive 7000 2 &     (PORT, own id)
 *     echo hello | ./sealed_udp keyring.jwks send 7000 1 2   (own id, its id)
 *
 * The sender knows the receiver's id. What it has to learn is the receiver's
 * incarnation, which is no secret: packets sealed for one run of the receiver
 * do not open in the next. Nothing else is exchanged, and the receiver keeps
 * nothing for a sender but a line in its replay table, of fixed size.
 */
#include <arpa/inet.h>
#include <eesp.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 1024, PACKET = LINE + 256, SECONDS = 5 };

static struct eesp_keyring *keyring;

static struct eesp_lane *open_lane(const char *path, uint64_t id)
{
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_keyring_load(path, &keyring, why) != EESP_OK)
        errx(1, "%s", why);
    struct eesp_lane_params params = {
        .keyring = keyring,
        .policy  = eesp_keyring_policy(keyring, "pairs"),
        .id      = id,
    };
    if (params.policy == NULL)
        errx(1, "%s: no policy \"pairs\"", path);
    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

static int open_socket(void)
{
    struct timeval wait = { .tv_sec = SECONDS };
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
        err(1, "socket");
    return s;
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(port)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* Until an empty line, or until nothing has come for a while. */
static void receive(struct eesp_lane *lane, const char *port)
{
    struct sockaddr_in here = loopback(port), peer;
    uint64_t incarnation = eesp_lane_incarnation(lane);
    uint8_t packet[PACKET], plaintext[PACKET];
    struct eesp_opened opened;
    int s = open_socket(), ret;
    ssize_t n;

    if (bind(s, (struct sockaddr *)&here, sizeof(here)))
        err(1, "port %s", port);
    for (;;) {
        socklen_t length = sizeof(peer);

        n = recvfrom(s, packet, sizeof(packet), 0, (struct sockaddr *)&peer,
                     &length);
        if (n < 0)
            err(1, "no datagram for %d s", SECONDS);
        if (n == 0) { /* who asks is told */
            sendto(s, &incarnation, sizeof(incarnation), 0,
                   (struct sockaddr *)&peer, length);
            continue;
        }
        ret = eesp_open(lane, packet, (size_t)n, plaintext, sizeof(plaintext),
                        &opened);
        if (ret != EESP_OK) {
            warnx("dropped: %s", eesp_strerror(ret));
            continue;
        }
        if (opened.length == 0)
            break;
        printf("%llu: %.*s\n", (unsigned long long)opened.source_id,
               (int)opened.length, (const char *)opened.payload);
    }
    close(s);
}

static void send_lines(struct eesp_lane *lane, const char *port, uint64_t to)
{
    struct sockaddr_in there = loopback(port);
    struct eesp_destination peer = { .id = to };
    uint8_t packet[PACKET];
    char line[LINE];
    int s = open_socket(), ret, more;
    size_t length;

    if (connect(s, (struct sockaddr *)&there, sizeof(there)) ||
        send(s, "", 0, 0) < 0 ||
        recv(s, &peer.incarnation, sizeof(peer.incarnation), 0) !=
            sizeof(peer.incarnation))
        err(1, "port %s", port);
    do {
        struct iovec iov = { line, 0 };

        more = fgets(line, sizeof(line), stdin) != NULL;
        if (more)
            iov.iov_len = strcspn(line, "\n");
        ret = eesp_seal(lane, &peer, &iov, 1, packet, sizeof(packet), &length);
        if (ret != EESP_OK)
            errx(1, "%s", eesp_strerror(ret));
        if (send(s, packet, length, 0) < 0)
            err(1, "port %s", port);
    } while (more);
    close(s);
}

int main(int argc, char *argv[])
{
    struct eesp_lane *lane;

    if (argc < 5 || (strcmp(argv[2], "send") == 0) != (argc == 6))
        errx(2, "usage: sealed_udp KEYRING receive PORT ID\n"
                "       sealed_udp KEYRING send PORT ID TO");
    lane = open_lane(argv[1], strtoull(argv[4], NULL, 0));
    if (argc == 6)
        send_lines(lane, argv[3], strtoull(argv[5], NULL, 0));
    else
        receive(lane, argv[3]);
    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
    return 0;
}
