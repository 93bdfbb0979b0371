/* SPDX-License-Identifier: BSD-3-Clause
 *
 * wirefault: a preloaded object that damages one frame which one rank sends
 * over UCX's tcp transport.
 *
 * The fault sits below everything UCX and the plugin do, where an attacker on
 * the wire would be: the sender believes its frame left unharmed. Frames are
 * those of UCX 1.13 (src/uct/tcp/tcp.h): AM id (1 byte), length (4 bytes,
 * little endian), payload. A connection starts with an 8-byte magic number from
 * the side that connects.
 *
 *   WIREFAULT          flip, truncate, duplicate, delete or none
 *   WIREFAULT_RANK     the rank that misbehaves (OMPI_COMM_WORLD_RANK)
 *   WIREFAULT_NTH      which data frame of this process, counted from 1
 *   WIREFAULT_MIN_LEN  count only frames of at least so many bytes (default 1)
 *   WIREFAULT_OFFSET   flip: byte of the payload, negative from the end
 *                      (default: the middle)
 *   WIREFAULT_CUT      truncate: bytes to take off the end (default 4)
 *   WIREFAULT_REPORT   file that gets the report, too
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC      0xCAFEBABE12345678u
#define MAGIC_LEN  8
#define HEADER_LEN 5
#define AM_ID_MAX                                                              \
    32 /* ids from here on are tcp's own: connection manager, put, keepalive   \
        */
#define PUT_REQ_ID                                                             \
    33 /* followed, outside the frame, by the bytes that are put */
#define PUT_REQ_LEN   20
#define PUT_SIZE_AT   8 /* where a put request says how many */
#define MAX_FD        4096
#define MAX_IOV       64
#define WRITE_WAIT_MS 5000

/* The build hides everything else, and a hidden function replaces nothing. */
#define PRELOADED __attribute__((visibility("default")))

enum fault { NONE, FLIP, TRUNCATE, DUPLICATE, DELETE };

/* What we know of a file descriptor. `left` counts the bytes up to the start of
 * the next frame: UCX hands every frame over whole and comes back with the rest
 * when the kernel takes only part, so a frame's header is always seen in one
 * piece. */
struct stream {
    enum { UNKNOWN, OTHER, UCX_TCP } kind;
    uint64_t left;
};

static struct stream streams[MAX_FD];
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* UCX's async thread sends too */
static enum fault fault;
static unsigned long nth, min_len, cut, counted;
static long offset;
static int offset_set;

static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_recv)(int, void *, size_t, int);
static int (*real_close)(int);

static unsigned long number(const char *name, unsigned long fallback)
{
    const char *v = getenv(name);

    return v != NULL ? strtoul(v, NULL, 10) : fallback;
}

/* Other libraries' constructors may use sockets before ours has run, so each
 * entry point asks first. */
static void setup(void)
{
    static const char *const names[] = {"none", "flip", "truncate",
                                        "duplicate", "delete"};
    static int done;
    const char *v = getenv("WIREFAULT"), *rank = getenv("OMPI_COMM_WORLD_RANK"),
               *chosen = getenv("WIREFAULT_RANK");
    size_t i;

    if (done) {
        return;
    }
    done = 1;
    *(void **)&real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    *(void **)&real_send = dlsym(RTLD_NEXT, "send");
    *(void **)&real_recv = dlsym(RTLD_NEXT, "recv");
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    if (v == NULL || rank == NULL || chosen == NULL ||
        strcmp(rank, chosen) != 0) {
        return;
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(v, names[i]) == 0) {
            fault = (enum fault)i;
        }
    }
    nth = number("WIREFAULT_NTH", 1);
    min_len = number("WIREFAULT_MIN_LEN", 1);
    cut = number("WIREFAULT_CUT", 4);
    v = getenv("WIREFAULT_OFFSET");
    offset_set = v != NULL;
    offset = v != NULL ? strtol(v, NULL, 10) : 0;
}

static int peer_is_loopback(int fd)
{
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
           peer.sin_family == AF_INET &&
           ntohl(peer.sin_addr.s_addr) >> 24 == 127;
}

/* Copies n bytes at position `at` of the data, or says that they are not all
 * there. */
static int peek(const struct iovec *iov, size_t cnt, uint64_t at, void *to,
                size_t n)
{
    uint8_t *p = to;
    size_t i, take;

    for (i = 0; i < cnt && n > 0; i++) {
        if (at >= iov[i].iov_len) {
            at -= iov[i].iov_len;
            continue;
        }
        take = iov[i].iov_len - at < n ? iov[i].iov_len - at : n;
        memcpy(p, (const uint8_t *)iov[i].iov_base + at, take);
        p += take;
        n -= take;
        at = 0;
    }
    return n == 0;
}

struct frame {
    unsigned id;
    uint32_t len;
    uint64_t size; /* with header, and with what follows a put request */
};

static int frame_at(const struct iovec *iov, size_t cnt, uint64_t at,
                    struct frame *f)
{
    uint8_t h[HEADER_LEN];
    uint64_t put = 0;

    if (!peek(iov, cnt, at, h, sizeof(h))) {
        return 0;
    }
    f->id = h[0];
    f->len = (uint32_t)h[1] | (uint32_t)h[2] << 8 | (uint32_t)h[3] << 16 |
             (uint32_t)h[4] << 24;
    if (f->id == PUT_REQ_ID &&
        !peek(iov, cnt, at + HEADER_LEN + PUT_SIZE_AT, &put, sizeof(put))) {
        return 0;
    }
    f->size = HEADER_LEN + f->len + put;
    return 1;
}

static int is_data(const struct frame *f)
{
    return f->id < AM_ID_MAX && f->len >= min_len;
}

/* Once the first byte is out the whole must follow, or the connection would
 * lose its framing. */
static int write_all(int fd, const uint8_t *p, size_t n)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    ssize_t got;
    int started = 0;

    while (n > 0) {
        got = real_send(fd, p, n, MSG_NOSIGNAL);
        if (got > 0) {
            started = 1;
            p += got;
            n -= (size_t)got;
        } else if (!started) {
            return -1;
        } else if ((errno != EAGAIN && errno != EINTR) ||
                   poll(&pfd, 1, WRITE_WAIT_MS) <= 0) {
            errno = ECONNRESET; /* EAGAIN would make UCX send the frame again */
            return -1;
        }
    }
    return 0;
}

/* On stderr and, where WIREFAULT_REPORT names a file, there: what a rank says
 * last is lost when its launcher ends the job at once. */
static void tell(const char *said)
{
    const char *path = getenv("WIREFAULT_REPORT");
    FILE *report = path ? fopen(path, "a") : NULL;

    fprintf(stderr, "wirefault: %s\n", said);
    if (report != NULL) {
        fprintf(report, "wirefault: %s\n", said);
        fclose(report);
    }
}

/* Sends the damaged form of the frame at the start of the data, and claims to
 * have sent the frame as it was. */
static ssize_t inject(int fd, const struct iovec *iov, size_t cnt,
                      const struct frame *f)
{
    const size_t size = (size_t)f->size;
    uint8_t *p = malloc(2 * size);
    size_t byte, out = size, shorter;
    unsigned bit = 3;
    char said[160];

    if (p == NULL || !peek(iov, cnt, 0, p, size)) {
        abort();
    }
    if (fault == FLIP) {
        byte = !offset_set   ? f->len / 2
               : offset >= 0 ? (size_t)offset
                             : f->len - (size_t)-offset;
        byte = byte < f->len ? byte : f->len - 1;
        p[HEADER_LEN + byte] ^= (uint8_t)(1u << bit);
        snprintf(said, sizeof(said),
                 "flipped bit %u of byte %zu of %u (AM id %u) in frame %lu",
                 bit, byte, f->len, f->id, nth);
    } else if (fault == TRUNCATE) {
        shorter = f->len > cut ? f->len - cut : 0;
        p[1] = (uint8_t)shorter;
        p[2] = (uint8_t)(shorter >> 8);
        p[3] = (uint8_t)(shorter >> 16);
        p[4] = (uint8_t)(shorter >> 24);
        out = HEADER_LEN + shorter;
        snprintf(said, sizeof(said),
                 "truncated frame %lu (AM id %u) from %u to %zu bytes", nth,
                 f->id, f->len, shorter);
    } else if (fault == DELETE) {
        out = 0;
        snprintf(said, sizeof(said), "deleted frame %lu (AM id %u, %u bytes)",
                 nth, f->id, f->len);
    } else {
        memcpy(p + size, p, size);
        out = 2 * size;
        snprintf(said, sizeof(said),
                 "duplicated frame %lu (AM id %u, %u bytes)", nth, f->id,
                 f->len);
    }
    if (write_all(fd, p, out) < 0) {
        free(p);
        return -1;
    }
    tell(said);
    fault = NONE;
    free(p);
    return (ssize_t)size;
}

/* Follows the frames through the bytes that the kernel took. */
static void advance(struct stream *s, const struct iovec *iov, size_t cnt,
                    uint64_t taken)
{
    uint64_t at = 0, step;
    struct frame f;

    while (at < taken) {
        if (s->left == 0) {
            if (!frame_at(iov, cnt, at, &f)) {
                fprintf(stderr, "wirefault: lost the framing, no fault on this "
                                "connection\n");
                s->kind = OTHER;
                return;
            }
            s->left = f.size;
            counted += (unsigned long)is_data(&f);
        }
        step = s->left < taken - at ? s->left : taken - at;
        s->left -= step;
        at += step;
    }
}

/* A send stops short before the frame to damage, so that the next call has this
 * frame in front. */
static ssize_t filtered(int fd, struct stream *s, const struct iovec *iov,
                        size_t cnt, int flags)
{
    uint64_t total = 0, at = s->left, limit;
    unsigned long n = counted;
    struct iovec part[MAX_IOV];
    struct msghdr msg = {.msg_iov = part};
    struct frame f;
    ssize_t got;
    size_t i;

    for (i = 0; i < cnt; i++) {
        total += iov[i].iov_len;
    }
    limit = total;
    while (at < total && frame_at(iov, cnt, at, &f)) {
        if (is_data(&f) && ++n >= nth && at + f.size <= total) {
            if (at == 0) {
                return inject(fd, iov, cnt, &f);
            }
            limit = at;
            break;
        }
        at += f.size;
    }
    for (i = 0; i < cnt && limit > 0; i++) {
        part[i] = iov[i];
        if (part[i].iov_len > limit) {
            part[i].iov_len = (size_t)limit;
        }
        limit -= part[i].iov_len;
    }
    msg.msg_iovlen = i;
    got = real_sendmsg(fd, &msg, flags);
    if (got > 0) {
        advance(s, iov, cnt, (uint64_t)got);
    }
    return got;
}

/* The side that connects sends the magic number first; the other side is
 * recognised in recv() below. */
static struct stream *ucx_stream(int fd, const struct iovec *iov, size_t cnt)
{
    struct stream *s;
    uint64_t magic;

    if (fault == NONE || fd < 0 || fd >= MAX_FD || cnt > MAX_IOV) {
        return NULL;
    }
    s = &streams[fd];
    if (s->kind == UNKNOWN) {
        if (peek(iov, cnt, 0, &magic, sizeof(magic)) && magic == MAGIC &&
            peer_is_loopback(fd)) {
            s->kind = UCX_TCP;
            s->left = MAGIC_LEN;
        } else {
            s->kind = OTHER;
        }
    }
    return s->kind == UCX_TCP ? s : NULL;
}

PRELOADED ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct stream *s;
    ssize_t got;

    setup();
    pthread_mutex_lock(&lock);
    s = ucx_stream(fd, msg->msg_iov, msg->msg_iovlen);
    got = s != NULL ? filtered(fd, s, msg->msg_iov, msg->msg_iovlen, flags) : 0;
    pthread_mutex_unlock(&lock);
    return s != NULL ? got : real_sendmsg(fd, msg, flags);
}

PRELOADED ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)buf,
                              .iov_len = len};
    struct stream *s;
    ssize_t got;

    setup();
    pthread_mutex_lock(&lock);
    s = ucx_stream(fd, &iov, 1);
    got = s != NULL ? filtered(fd, s, &iov, 1, flags) : 0;
    pthread_mutex_unlock(&lock);
    return s != NULL ? got : real_send(fd, buf, len, flags);
}

PRELOADED ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    const uint64_t magic = MAGIC;
    ssize_t got;

    setup();
    got = real_recv(fd, buf, len, flags);
    pthread_mutex_lock(&lock);
    if (fault != NONE && got == MAGIC_LEN && fd < MAX_FD &&
        streams[fd].kind == UNKNOWN && memcmp(buf, &magic, MAGIC_LEN) == 0 &&
        peer_is_loopback(fd)) {
        streams[fd].kind = UCX_TCP;
    }
    pthread_mutex_unlock(&lock);
    return got;
}

PRELOADED int close(int fd)
{
    setup();
    if (fd >= 0 && fd < MAX_FD) {
        pthread_mutex_lock(&lock);
        streams[fd] = (struct stream){UNKNOWN, 0};
        pthread_mutex_unlock(&lock);
    }
    return real_close(fd);
}
