/* SPDX-License-Identifier: BSD-3-Clause */
/* verbs_mover: its TCP connection, its QP, and files. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "verbs_mover.h"

void open_lane(struct mover *m, const char *path)
{
    char why[EESP_WHY_LEN];

    if (eesp_keyring_load(path, &m->keyring, why) != EESP_OK)
        errx(1, "%s", why);
    m->eesp_policy = eesp_keyring_policy(m->keyring, "pairs");
    if (m->eesp_policy == NULL)
        errx(1, "%s: no policy \"pairs\"", path);
    struct eesp_lane_params params = {
        .keyring = m->keyring, .policy = m->eesp_policy, .id = m->id};
    if (eesp_lane_create(&params, &m->lane, why) != EESP_OK)
        errx(1, "%s", why);
}

/* ---- TCP ----------------------------------------------------------------- */

static void read_all(int s, void *to, size_t length)
{
    ssize_t n;

    for (; length > 0; length -= (size_t)n, to = (char *)to + n) {
        n = recv(s, to, length, 0);
        if (n == 0)
            errx(1, "the peer is gone");
        if (n < 0)
            err(1, "nothing from the peer");
    }
}

static void write_all(int s, const void *from, size_t length)
{
    if (send(s, from, length, MSG_NOSIGNAL) != (ssize_t)length)
        err(1, "to the peer");
}

/* Ids and incarnations are no secret; the other is believed by its packets. */
static void meet(struct mover *m)
{
    struct timeval wait = {.tv_sec = SECONDS};
    uint64_t us[2] = {m->id, eesp_lane_incarnation(m->lane)}, them[2];

    if (setsockopt(m->socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
        err(1, "socket");
    write_all(m->socket, us, sizeof(us));
    read_all(m->socket, them, sizeof(them));
    if (m->peer.id != 0 && m->peer.id != them[0])
        errx(1, "the peer is %llu, not %llu", (unsigned long long)them[0],
             (unsigned long long)m->peer.id);
    m->peer = (struct eesp_destination){.id = them[0], .incarnation = them[1]};
}

static int resolve(const char *host, const char *port, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_family   = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags    = host == NULL ? AI_PASSIVE : 0};

    if (getaddrinfo(host, port, &hints, found) != 0)
        errx(1, "no address %s:%s", host != NULL ? host : "", port);
    return socket(AF_INET, SOCK_STREAM, 0);
}

void listen_at(struct mover *m, const char *port)
{
    struct addrinfo *a;
    int yes = 1;

    m->listener = resolve(NULL, port, &a);
    setsockopt(m->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(m->listener, a->ai_addr, a->ai_addrlen) != 0 ||
        listen(m->listener, 1) != 0)
        err(1, "port %s", port);
    freeaddrinfo(a);
}

void accept_peer(struct mover *m)
{
    m->peer.id = 0;
    m->socket  = accept(m->listener, NULL, NULL);
    if (m->socket < 0)
        err(1, "accept");
    meet(m);
}

void connect_to(struct mover *m, const char *where)
{
    char host[256];
    const char *colon = strrchr(where, ':');
    struct addrinfo *a;

    if (colon == NULL || colon - where >= (ptrdiff_t)sizeof(host))
        errx(2, "%s: HOST:PORT", where);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
    m->socket = resolve(host, colon + 1, &a);
    if (connect(m->socket, a->ai_addr, a->ai_addrlen) != 0)
        err(1, "%s", where);
    freeaddrinfo(a);
    meet(m);
}

void say(struct mover *m, const void *message, size_t length)
{
    struct iovec iov = {(void *)message, length};
    uint8_t packet[PACKET];
    uint32_t size;
    size_t sealed;
    int ret = eesp_seal(m->lane, &m->peer, &iov, 1, packet, sizeof(packet),
                        &sealed);

    if (ret != EESP_OK)
        errx(1, "seal: %s", eesp_strerror(ret));
    size = (uint32_t)sealed;
    write_all(m->socket, &size, sizeof(size));
    write_all(m->socket, packet, sealed);
}

void hear(struct mover *m, void *message, size_t length)
{
    struct eesp_opened opened;
    uint8_t packet[PACKET], plaintext[PACKET];
    uint32_t size;
    int ret;

    read_all(m->socket, &size, sizeof(size));
    if (size > sizeof(packet))
        errx(1, "the peer's message is too long");
    read_all(m->socket, packet, size);
    ret = eesp_open(m->lane, packet, size, plaintext, sizeof(plaintext),
                    &opened);
    if (ret != EESP_OK)
        errx(1, "the peer's message: %s", eesp_strerror(ret));
    if (opened.source_id != m->peer.id || opened.length != length)
        errx(1, "the peer's message is of another kind");
    memcpy(message, opened.payload, length);
}

/* ---- RDMA ---------------------------------------------------------------- */

static struct ibv_mr *region(struct mover *m, uint8_t **memory, size_t size)
{
    struct ibv_mr *mr;

    *memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (*memory == NULL)
        err(1, "memory");
    memset(*memory, 0, size);
    /* The peer reaches it through what is attached, not through this. */
    mr = ibv_reg_mr(m->pd, *memory, size, IBV_ACCESS_LOCAL_WRITE);
    if (mr == NULL)
        err(1, "ibv_reg_mr of %zu bytes (ulimit -l)", size);
    return mr;
}

void open_device(struct mover *m)
{
    struct ibv_device **list = ibv_get_device_list(NULL), **d;

    for (d = list; d != NULL && *d != NULL; d++)
        if (m->device == NULL ||
            strcmp(ibv_get_device_name(*d), m->device) == 0)
            break;
    if (d == NULL || *d == NULL)
        errx(1, "no RDMA device %s: ibv_devinfo",
             m->device != NULL ? m->device : "");
    m->ctx = ibv_open_device(*d);
    ibv_free_device_list(list);
    if (m->ctx == NULL || ibv_query_port(m->ctx, 1, &m->port) != 0 ||
        (m->pd = ibv_alloc_pd(m->ctx)) == NULL ||
        (m->cq = ibv_create_cq(m->ctx, 4 * RECEIVES, NULL, NULL, 0)) == NULL)
        err(1, "RDMA device");
    m->mr        = region(m, &m->memory, MEMORY);
    m->bounce_mr = region(m, &m->bounce, (1 + RECEIVES) * PACKET);
    m->receives  = m->bounce + PACKET;
}

void close_all(struct mover *m)
{
    ibv_dereg_mr(m->mr);
    ibv_dereg_mr(m->bounce_mr);
    ibv_destroy_cq(m->cq);
    ibv_dealloc_pd(m->pd);
    ibv_close_device(m->ctx);
    free(m->memory);
    free(m->bounce);
    eesp_lane_destroy(m->lane);
    eesp_keyring_free(m->keyring);
}

void create_qp(struct mover *m, const struct vcc_backend *card)
{
    struct ibv_qp_init_attr_ex attr = {
        .send_cq   = m->cq,
        .recv_cq   = m->cq,
        .qp_type   = IBV_QPT_RC,
        .cap       = {.max_send_wr  = 8,
                      .max_recv_wr  = RECEIVES,
                      .max_send_sge = 1,
                      .max_recv_sge = 1},
        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
        .pd        = m->pd,
        .send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_WRITE |
                          IBV_QP_EX_WITH_RDMA_READ,
    };
    int ret = 0;

    if (card != NULL)
        ret = card->create_qp(m->dev, &attr, &m->qp);
    else
        m->qp = ibv_create_qp_ex(m->ctx, &attr);
    if (m->qp == NULL)
        errx(1, "QP: %s", ret != 0 ? vcc_strerror(ret) : strerror(errno));
}

void endpoint(struct mover *m, struct hello *mine)
{
    mine->qpn = m->qp->qp_num;
    mine->psn = 0;
    mine->lid = m->port.lid;
    mine->mtu = (uint8_t)m->port.active_mtu;
    if (ibv_query_gid(m->ctx, 1, m->gid_index, &mine->gid) != 0)
        err(1, "GID %d", m->gid_index);
}

void connect_qp(struct mover *m, const struct hello *theirs)
{
    struct ibv_qp_attr attr = {
        .qp_state        = IBV_QPS_INIT,
        .port_num        = 1,
        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
    };
    unsigned i;
    int bad;

    bad = ibv_modify_qp(m->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
                                          IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
    m->arrivals = 0;
    for (i = 0; i < RECEIVES; i++)
        give_back(m->receives + (size_t)i * PACKET, m);
    attr = (struct ibv_qp_attr){
        .qp_state           = IBV_QPS_RTR,
        .path_mtu           = theirs->mtu < m->port.active_mtu
                                  ? (enum ibv_mtu)theirs->mtu
                                  : m->port.active_mtu,
        .dest_qp_num        = theirs->qpn,
        .rq_psn             = theirs->psn,
        .max_dest_rd_atomic = 1,
        .min_rnr_timer      = 12,
        .ah_attr            = {.dlid      = theirs->lid,
                               .port_num  = 1,
                               .is_global = 1,
                               .grh       = {.dgid       = theirs->gid,
                                             .sgid_index = (uint8_t)m->gid_index,
                                             .hop_limit  = 64}},
        .timeout            = 14,
        .retry_cnt          = 7,
        .rnr_retry          = 7,
        .max_rd_atomic      = 1,
    };
    bad |= ibv_modify_qp(m->qp, &attr,
                         IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
                             IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                             IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    attr.qp_state = IBV_QPS_RTS;
    bad |= ibv_modify_qp(m->qp, &attr,
                         IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                             IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                             IBV_QP_MAX_QP_RD_ATOMIC);
    if (bad != 0)
        errx(1, "the QP cannot be connected (-g: index of the GID): %s",
             strerror(bad));
}

/* The device may fail while nothing comes: it says so in an event. */
static void check_device(struct mover *m)
{
    struct pollfd ready = {.fd = m->ctx->async_fd, .events = POLLIN};
    struct ibv_async_event event;

    while (poll(&ready, 1, 0) > 0 &&
           ibv_get_async_event(m->ctx, &event) == 0) {
        if (event.event_type == IBV_EVENT_DEVICE_FATAL)
            errx(1, "%s", vcc_strerror(-EIO));
        ibv_ack_async_event(&event);
    }
}

/* The next completion that is not a receive's, which are kept. */
static void next(struct mover *m, struct ibv_wc *wc, int want_receive)
{
    time_t end = time(NULL) + SECONDS;

    for (;;) {
        int n = ibv_poll_cq(m->cq, 1, wc);

        if (n < 0)
            errx(1, "%s", vcc_strerror(-EIO));
        if (n == 0) {
            check_device(m);
            if (time(NULL) > end)
                errx(1, "no completion for %d s", SECONDS);
            continue;
        }
        if (wc->wr_id >= RECEIVE && wc->wr_id < RECEIVE + RECEIVES) {
            if (wc->status != IBV_WC_SUCCESS)
                errx(1, "receive: %s", ibv_wc_status_str(wc->status));
            m->arrived[m->arrivals].wr_id  = wc->wr_id;
            m->arrived[m->arrivals++].length = wc->byte_len;
            if (want_receive)
                return;
            continue;
        }
        return;
    }
}

int wait_for(uint64_t wr_id, struct mover *m)
{
    struct ibv_wc wc;

    next(m, &wc, 0);
    if (wc.wr_id != wr_id || wc.status != IBV_WC_SUCCESS) {
        warnx("the QP failed: %s", ibv_wc_status_str(wc.status));
        return -1;
    }
    return 0;
}

void must_wait_for(uint64_t wr_id, struct mover *m)
{
    if (wait_for(wr_id, m) != 0)
        exit(1);
}

uint8_t *receive_packet(struct mover *m, size_t *length_p)
{
    struct ibv_wc wc;
    uint64_t wr_id;

    if (m->arrivals == 0)
        next(m, &wc, 1);
    wr_id     = m->arrived[0].wr_id;
    *length_p = m->arrived[0].length;
    memmove(&m->arrived[0], &m->arrived[1],
            --m->arrivals * sizeof(m->arrived[0]));
    return m->receives + (size_t)(wr_id - RECEIVE) * PACKET;
}

void give_back(uint8_t *packet, struct mover *m)
{
    struct ibv_sge sge = {.addr   = (uintptr_t)packet,
                          .length = PACKET,
                          .lkey   = m->bounce_mr->lkey};
    struct ibv_recv_wr *bad, wr = {
        .wr_id   = RECEIVE + (uint64_t)(packet - m->receives) / PACKET,
        .sg_list = &sge,
        .num_sge = 1};

    if (ibv_post_recv(m->qp, &wr, &bad) != 0)
        errx(1, "ibv_post_recv");
}

/* ---- Files --------------------------------------------------------------- */

uint64_t read_file(const char *path, uint8_t *memory, uint64_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        err(1, "%s", path);
    n = fread(memory, 1, size, f);
    if (ferror(f) || n == 0 || getc(f) != EOF)
        errx(1, "%s: empty, unreadable, or more than %llu bytes", path,
             (unsigned long long)size);
    fclose(f);
    return n;
}

void write_file(const char *path, const uint8_t *memory, uint64_t length)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(memory, 1, length, f) != length || fclose(f) != 0)
        err(1, "%s", path);
}
