/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_pair: latency and bandwidth of one TCP connection, plain or under TLS
 * 1.3, in the output format of the OSU micro-benchmarks: what a pair of MPI
 * ranks is compared with. Data that arrives is compared.
 *
 *     tcp_pair [--tls] [--spin] latency|bw [BYTES...]      both ends, loopback
 *     tcp_pair --listen ADDRESS:PORT [--connect ADDRESS:PORT] latency ...
 *         both ends, the one that connects by another way: a tunnel
 *     tcp_pair --serve --listen ADDRESS:PORT
 *     tcp_pair --connect ADDRESS:PORT latency ...          one end each
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "stream.h"

enum { REPEATS_MAX = 1001, WARM_UP = 20, SIZE_LIMIT = 1 << 28 };
/* As mpi_compare has them. */
enum { FLIGHT_MAX = 64, FLIGHT_MIN = 4, FLIGHT_BYTES = 8 << 20 };
/* A tunnel may take a while until it is there. */
enum { CONNECT_TRIES = 200, CONNECT_WAIT_MS = 50 };

static unsigned repeats = 21;

/* What the client asks for; count 0: the end. */
struct order {
    uint64_t size, count, flight; /* flight 0: latency */
    uint64_t check;
};

static void fill(char *buffer, size_t size, int from)
{
    size_t i;

    for (i = 0; i < size; i++)
        buffer[i] = (char)(i * 7 + i / 251 + (size_t)from * 101 + 1);
}

static void expect(const char *buffer, size_t size, int from)
{
    char *expected = malloc(size + 1);

    if (expected == NULL)
        err(1, "%zu bytes", size);
    fill(expected, size, from);
    if (memcmp(buffer, expected, size) != 0)
        errx(1, "received data is wrong at %zu bytes", size);
    free(expected);
}

/* ---- The end that answers ----------------------------------------------- */

static void obey(struct stream *s, const struct order *order)
{
    size_t size   = order->size;
    uint64_t many = order->flight ? order->flight : 1, i, j;
    char *in = bench_buffer(size * many), *out = bench_buffer(size), ack = 1;

    fill(out, size, 1);
    for (i = 0; i < order->count; i++) {
        for (j = 0; j < many; j++)
            stream_receive(s, in + j * size, size);
        if (order->flight == 0)
            stream_send(s, out, size);
        else
            stream_send(s, &ack, sizeof(ack));
        for (j = 0; order->check && j < many; j++)
            expect(in + j * size, size, 0);
    }
    free(in);
    free(out);
}

static void serve(struct stream *s)
{
    struct order order;

    for (;;) {
        stream_receive(s, &order, sizeof(order));
        if (order.count == 0)
            return;
        if (order.size > SIZE_LIMIT || order.flight > FLIGHT_MAX)
            errx(1, "not an order of tcp_pair");
        obey(s, &order);
    }
}

/* ---- The end that measures ---------------------------------------------- */

/* Seconds of one of count iterations. */
static double time_order(struct stream *s, const struct order *order,
                         const char *out, char *in)
{
    uint64_t start, i, j;
    char ack;

    stream_send(s, order, sizeof(*order));
    start = bench_clock();
    for (i = 0; i < order->count; i++) {
        for (j = 0; j < (order->flight ? order->flight : 1); j++)
            stream_send(s, out, order->size);
        if (order->flight == 0)
            stream_receive(s, in, order->size);
        else
            stream_receive(s, &ack, sizeof(ack));
    }
    return (double)(bench_clock() - start) / 1e9 / (double)order->count;
}

static double figure(const struct order *order, double seconds)
{
    if (order->flight == 0)
        return seconds / 2 * 1e6;
    return (double)order->flight * (double)order->size / seconds / 1e6;
}

static void measure(struct stream *s, size_t size, int bandwidth,
                    double budget)
{
    char *out = bench_buffer(size), *in = bench_buffer(size);
    double v[REPEATS_MAX], seconds;
    struct order order = {.size = size, .count = 1, .check = 1};
    struct bench_spread r;
    unsigned i;

    if (bandwidth) {
        order.flight = FLIGHT_BYTES / (size ? size : 1);
        if (order.flight > FLIGHT_MAX)
            order.flight = FLIGHT_MAX;
        if (order.flight < FLIGHT_MIN)
            order.flight = FLIGHT_MIN;
    }
    fill(out, size, 0);
    time_order(s, &order, out, in);
    if (!bandwidth)
        expect(in, size, 1);
    order.check = 0;
    order.count = 2;
    seconds     = time_order(s, &order, out, in);
    if (seconds * WARM_UP < budget) {
        order.count = WARM_UP;
        seconds     = time_order(s, &order, out, in);
    }
    order.count = (uint64_t)(budget / repeats / seconds) + 1;
    for (i = 0; i < repeats; i++)
        v[i] = figure(&order, time_order(s, &order, out, in));
    r = bench_spread(v, repeats);
    printf("%-10zu%18.2f%12.2f%12.2f\n", size, r.median, r.low, r.high);
    fflush(stdout);
    free(out);
    free(in);
}

/* ---- Connections -------------------------------------------------------- */

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char *copy = strdup(text), *colon;
    long port;

    if (copy == NULL)
        err(1, "%s", text);
    colon = strrchr(copy, ':');
    if (colon == NULL)
        errx(2, "%s: not ADDRESS:PORT", text);
    *colon = '\0';
    port   = strtol(colon + 1, NULL, 10);
    if (port < 0 || port > 65535 || inet_pton(AF_INET, copy, &a.sin_addr) != 1)
        errx(2, "%s: not ADDRESS:PORT", text);
    a.sin_port = htons((uint16_t)port);
    free(copy);
    return a;
}

/* Port 0: any; *a is then where it listens. */
static int listen_at(struct sockaddr_in *a)
{
    socklen_t length = sizeof(*a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)a, sizeof(*a)) != 0 ||
        listen(fd, 4) != 0 || getsockname(fd, (struct sockaddr *)a,
                                          &length) != 0)
        err(1, "port %d", ntohs(a->sin_port));
    return fd;
}

static int connect_to(const struct sockaddr_in *a)
{
    struct timespec wait = {0, CONNECT_WAIT_MS * 1000000};
    int fd, tries;

    for (tries = 0; tries < CONNECT_TRIES; tries++) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
            return fd;
        close(fd);
        nanosleep(&wait, NULL);
    }
    err(1, "port %d", ntohs(a->sin_port));
}

static void no_delay(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        err(1, "TCP_NODELAY");
}

struct settings {
    int    tls, spin, serve, bandwidth;
    double seconds;
    char **sizes;
};

static void run_server(int listener, const struct settings *settings,
                       const struct stream_identity *identity)
{
    int fd = accept(listener, NULL, NULL);
    struct stream *s;

    if (fd < 0)
        err(1, "accept");
    close(listener);
    no_delay(fd);
    s = stream_open(fd, identity, STREAM_SERVER, settings->spin);
    serve(s);
    stream_close(s);
}

static void run_client(const struct sockaddr_in *to,
                       const struct settings *settings,
                       const struct stream_identity *identity)
{
    int fd = connect_to(to);
    struct order end = {.count = 0};
    struct stream *s;
    char **size;

    no_delay(fd);
    s = stream_open(fd, identity, STREAM_CLIENT, settings->spin);
    printf("# TCP%s %s, median and quartiles of %u repeats\n%-10s%18s%12s%12s\n",
           identity ? " under TLS 1.3," : ",",
           settings->bandwidth ? "bandwidth" : "latency", repeats, "# Size",
           settings->bandwidth ? "Bandwidth (MB/s)" : "Latency (us)", "25 %",
           "75 %");
    for (size = settings->sizes; *size != NULL; size++) {
        char *rest;
        unsigned long bytes = strtoul(*size, &rest, 10);

        if (*rest != '\0' || bytes == 0 || bytes > SIZE_LIMIT)
            errx(2, "not a size in bytes: %s", *size);
        measure(s, bytes, settings->bandwidth, settings->seconds);
    }
    stream_send(s, &end, sizeof(end));
    stream_close(s);
}

/* The server in a child, on another core where there is one. */
static int run_both(struct sockaddr_in *at, const struct sockaddr_in *to,
                    const struct settings *settings)
{
    struct stream_identity *identity =
        settings->tls ? stream_identity_make() : NULL;
    int listener = listen_at(at), status;
    pid_t child  = fork();

    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        if (settings->spin)
            bench_pin_nth(1);
        run_server(listener, settings, identity);
        exit(0);
    }
    close(listener);
    if (settings->spin)
        bench_pin_nth(0);
    run_client(to != NULL ? to : at, settings, identity);
    if (waitpid(child, &status, 0) != child)
        err(1, "waitpid");
    stream_identity_free(identity);
    return status != 0;
}

static void usage(void)
{
    errx(2, "usage: tcp_pair [--tls] [--spin] [--seconds S per size] [--repeats N] "
         "[--listen ADDRESS:PORT] [--connect ADDRESS:PORT] [--serve] "
         "latency|bw BYTES...");
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"connect", required_argument, NULL, 'c'},
        {"listen", required_argument, NULL, 'l'},
        {"repeats", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"serve", no_argument, NULL, 'S'},
        {"spin", no_argument, NULL, 'p'},
        {"tls", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    struct sockaddr_in at = address("127.0.0.1:0"), to = at;
    struct settings settings = {.seconds = 0.2};
    int option, listens = 0, connects = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c') {
            to       = address(optarg);
            connects = 1;
        } else if (option == 'l') {
            at      = address(optarg);
            listens = 1;
        } else if (option == 'r' && atoi(optarg) > 0 &&
                   atoi(optarg) <= REPEATS_MAX) {
            repeats = (unsigned)atoi(optarg);
        } else if (option == 's' && atof(optarg) > 0) {
            settings.seconds = atof(optarg);
        } else if (option == 'S') {
            settings.serve = 1;
        } else if (option == 'p') {
            settings.spin = 1;
        } else if (option == 't') {
            settings.tls = 1;
        } else {
            usage();
        }
    }
    if (settings.serve) {
        if (!listens || connects || settings.tls)
            usage();
        run_server(listen_at(&at), &settings, NULL);
        return 0;
    }
    if (optind == argc || (strcmp(argv[optind], "latency") != 0 &&
                           strcmp(argv[optind], "bw") != 0))
        usage();
    settings.bandwidth = strcmp(argv[optind], "bw") == 0;
    settings.sizes     = argv + optind + 1;
    if (connects && !listens) {
        if (settings.tls)
            usage(); /* the certificate is with the other end */
        run_client(&to, &settings, NULL);
        return 0;
    }
    return run_both(&at, connects ? &to : NULL, &settings);
}
