/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_capture: TCP on the network goes into a file without a name while the
 * job runs, whatever others send then and after it. What comes faster than it is
 * written is counted by the kernel.
 */
#include "eesp_config.h"

#include "verify.h"

#ifdef HAVE_PCAP

#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SNAPLEN = 262144,
    BUFFER  = 128 << 20, /* bytes, of the kernel's */
    PATIENCE = 50,       /* ms until a packet is handed over */
    GRACE = 100,         /* ms after the job's end */
};
#define MICROSECONDS ((int64_t)1000000)

struct capture {
    pcap_t         *pcap;
    pcap_dumper_t  *dumper;
    int             fd; /* of the file */
    pthread_t       thread;
    _Atomic int64_t end; /* us of CLOCK_REALTIME, as packets have */
    bool            over;
};

static void keep(u_char *arg, const struct pcap_pkthdr *header,
                 const u_char *packet)
{
    struct capture *capture = (struct capture *)arg;

    if (header->ts.tv_sec * MICROSECONDS + header->ts.tv_usec >
        atomic_load(&capture->end)) {
        capture->over = true;
        pcap_breakloop(capture->pcap);
        return;
    }
    pcap_dump((u_char *)capture->dumper, header, packet);
}

/* Goes on until nothing more comes, or what came after the end. */
static void *record(void *arg)
{
    struct capture *capture = arg;
    struct pollfd ready = { .fd = pcap_get_selectable_fd(capture->pcap),
                            .events = POLLIN };
    int got;

    do {
        bool last = atomic_load(&capture->end) != INT64_MAX;

        poll(&ready, 1, 2 * PATIENCE);
        got = pcap_dispatch(capture->pcap, -1, keep, (u_char *)capture);
        if (got == 0 && last)
            break;
    } while (got >= 0 && !capture->over);
    return NULL;
}

static void destroy(struct capture *capture)
{
    if (capture->dumper)
        pcap_dump_close(capture->dumper);
    if (capture->pcap)
        pcap_close(capture->pcap);
    if (capture->fd >= 0)
        close(capture->fd);
    free(capture);
}

/* A file that nobody else can open, and a stream of libpcap's on it. */
static int open_file(struct capture *capture)
{
    FILE *file = tmpfile();

    if (!file || (capture->fd = dup(fileno(file))) < 0) {
        cmd_complain("cannot make a temporary file: %s", strerror(errno));
        if (file)
            fclose(file);
        return -1;
    }
    capture->dumper = pcap_dump_fopen(capture->pcap, file);
    if (!capture->dumper) {
        cmd_complain("cannot record: %s", pcap_geterr(capture->pcap));
        fclose(file);
        return -1;
    }
    return 0;
}

static int activate(struct capture *capture, const char *interface,
                    bool *permitted)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    struct bpf_program program;
    int ret;

    pcap_set_snaplen(capture->pcap, SNAPLEN);
    pcap_set_buffer_size(capture->pcap, BUFFER);
    pcap_set_timeout(capture->pcap, PATIENCE);
    ret = pcap_activate(capture->pcap);
    *permitted = ret != PCAP_ERROR_PERM_DENIED;
    if (!*permitted)
        return -1;
    if (ret < 0) {
        cmd_complain("cannot capture on %s: %s", interface,
                     pcap_geterr(capture->pcap));
        return -1;
    }
    ret = pcap_compile(capture->pcap, &program, "tcp", 1,
                       PCAP_NETMASK_UNKNOWN);
    if (ret == 0) {
        ret = pcap_setfilter(capture->pcap, &program);
        pcap_freecode(&program);
    }
    if (ret != 0)
        cmd_complain("cannot filter: %s", pcap_geterr(capture->pcap));
    else if (pcap_setnonblock(capture->pcap, 1, why) != 0)
        cmd_complain("cannot capture on %s: %s", interface, why);
    else
        return 0;
    return -1;
}

struct capture *capture_start(const char *interface, bool *permitted)
{
    struct capture *capture = cmd_realloc(NULL, sizeof(*capture));
    char why[PCAP_ERRBUF_SIZE] = "";

    *permitted = true;
    memset(capture, 0, sizeof(*capture));
    capture->fd = -1;
    atomic_init(&capture->end, INT64_MAX);
    capture->pcap = pcap_create(interface, why);
    if (!capture->pcap) {
        cmd_complain("cannot capture on %s: %s", interface, why);
        goto fail;
    }
    if (activate(capture, interface, permitted) < 0 || open_file(capture) < 0)
        goto fail;
    if (pthread_create(&capture->thread, NULL, record, capture) != 0) {
        cmd_complain("cannot start a thread");
        goto fail;
    }
    return capture;
fail:
    destroy(capture);
    return NULL;
}

int capture_stop(struct capture *capture, uint64_t *lost)
{
    struct pcap_stat stat = { 0 };
    struct timespec now;
    int fd = -1;

    /* What the kernel still sends for sockets that are closed is the job's. */
    clock_gettime(CLOCK_REALTIME, &now);
    atomic_store(&capture->end, now.tv_sec * MICROSECONDS +
                                now.tv_nsec / 1000 + GRACE * 1000);
    pthread_join(capture->thread, NULL);
    *lost = pcap_stats(capture->pcap, &stat) == 0 ? stat.ps_drop : 1;
    if (pcap_dump_flush(capture->dumper) != 0)
        cmd_complain("cannot write the capture: %s", strerror(errno));
    else if ((fd = dup(capture->fd)) >= 0 && lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        fd = -1;
    }
    destroy(capture);
    return fd;
}

#else

struct capture *capture_start(const char *interface, bool *permitted)
{
    *permitted = true;
    cmd_complain("cannot capture on %s: not built with libpcap (install "
                 "libpcap-dev and rebuild)", interface);
    return NULL;
}

int capture_stop(struct capture *capture, uint64_t *lost)
{
    (void)capture;
    *lost = 0;
    return -1;
}

#endif
