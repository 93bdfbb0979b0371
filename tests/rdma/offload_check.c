/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload_check: libeesp_verbs' backend mlx5 over fakemlx5, which is preloaded,
 * on an RDMA device (rxe0 in a guest): two ends in one process put and get, and
 * everything that a card may refuse or lose is tried.
 *
 *     LD_PRELOAD=.../libmlx5.so.1 offload_check GID-INDEX [twice]
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "offload_check.h"

static const struct vcc_backend *b;
static int passed, failed, gid_index;
static uint8_t fresh = 100; /* key of the next transfer */
long (*control)(const char *, long);

void is(int good, const char *name)
{
    printf("%sok - %s\n", good ? "" : "not ", name);
    good ? passed++ : failed++;
}

/* ---- Two ends ------------------------------------------------------------ */

static void modify(struct ibv_qp *qp, struct ibv_qp_attr attr, int mask)
{
    if (ibv_modify_qp(qp, &attr, mask) != 0) {
        printf("not ok - a QP of rxe0 is made\n");
        exit(1);
    }
}

static void connect_to(struct end *e, const struct end *other)
{
    union ibv_gid gid;

    ibv_query_gid(e->ctx, 1, gid_index, &gid);
    modify(e->qp, (struct ibv_qp_attr){.qp_state = IBV_QPS_INIT, .port_num = 1,
                      .qp_access_flags = IBV_ACCESS_REMOTE_WRITE |
                                         IBV_ACCESS_REMOTE_READ},
           IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
               IBV_QP_ACCESS_FLAGS);
    modify(e->qp, (struct ibv_qp_attr){
               .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024,
               .dest_qp_num = other->qp->qp_num, .max_dest_rd_atomic = 1,
               .min_rnr_timer = 12,
               .ah_attr = {.is_global = 1, .port_num = 1,
                           .grh = {.dgid = gid, .hop_limit = 1,
                                   .sgid_index = (uint8_t)gid_index}}},
           IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
               IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
               IBV_QP_MIN_RNR_TIMER);
    modify(e->qp, (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .timeout = 10,
                                       .retry_cnt = 3, .rnr_retry = 7,
                                       .max_rd_atomic = 1},
           IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
               IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

static void open_end(struct end *e, uint8_t fill)
{
    struct ibv_device **list = ibv_get_device_list(NULL);
    struct ibv_qp_init_attr_ex attr = {
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 2,
                .max_recv_sge = 1}};

    e->ctx = list != NULL && *list != NULL ? ibv_open_device(*list) : NULL;
    e->pd  = e->ctx != NULL ? ibv_alloc_pd(e->ctx) : NULL;
    e->cq  = e->pd != NULL ? ibv_create_cq(e->ctx, 64, NULL, NULL, 0) : NULL;
    e->memory = aligned_alloc(4096, SIZE);
    if (e->cq == NULL || b->open(e->pd, &e->dev) != 0) {
        printf("not ok - an RDMA device opens\n");
        exit(1);
    }
    ibv_free_device_list(list);
    attr.send_cq = attr.recv_cq = e->cq;
    memset(e->memory, fill, SIZE);
    e->mr = ibv_reg_mr(e->pd, e->memory, SIZE, IBV_ACCESS_LOCAL_WRITE);
    if (e->mr == NULL || b->create_qp(e->dev, &attr, &e->qp) != 0) {
        printf("not ok - a QP for attachments is made\n");
        exit(1);
    }
}

void open_ends(struct end *a, struct end *z)
{
    open_end(a, 0xaa);
    open_end(z, 0);
    connect_to(a, z);
    connect_to(z, a);
}

void close_end(struct end *e)
{
    ibv_destroy_qp(e->qp);
    if (e->mr != NULL)
        ibv_dereg_mr(e->mr);
    b->close(e->dev);
    ibv_destroy_cq(e->cq);
    ibv_dealloc_pd(e->pd);
    ibv_close_device(e->ctx);
    free(e->memory);
}

/* Status of the completion of wr_id; -1: none came. */
int completed(struct end *e, uint64_t wr_id)
{
    time_t limit = time(NULL) + 10;
    struct ibv_wc wc;

    while (time(NULL) <= limit)
        if (ibv_poll_cq(e->cq, 1, &wc) == 1 && wc.wr_id == wr_id)
            return (int)wc.status;
    return -1;
}

struct vcc_key *key_of(struct end *e, uint8_t n)
{
    uint8_t bytes[64] = {n, 1};
    struct vcc_key *key = NULL;

    b->key_create(e->dev, VCC_AES_256_XTS, bytes, sizeof(bytes), &key);
    return key;
}

int attach(struct end *e, struct vcc_key *key, uint32_t length, uint64_t unit0,
           unsigned direction, struct vcc_mem **mem)
{
    /* In two pieces, that do not end with a data unit. */
    struct ibv_sge sge[2] = {
        {(uintptr_t)e->memory, 48, e->mr->lkey},
        {(uintptr_t)e->memory + 48, length - 48, e->mr->lkey}};
    int ret = b->attach(key, e->qp, sge, 2, unit0, direction, mem);

    if (ret == 0 && completed(e, (uintptr_t)*mem) != IBV_WC_SUCCESS)
        return -ECOMM;
    return ret;
}

int post(struct end *e, enum ibv_wr_opcode opcode, struct vcc_mem *from,
         uint32_t length, uint32_t rkey)
{
    struct ibv_sge sge = {0, length, from != NULL ? from->lkey : 0};
    struct ibv_send_wr *bad, wr = {.wr_id = 7, .sg_list = &sge,
                                   .num_sge = from != NULL,
                                   .opcode = opcode,
                                   .send_flags = IBV_SEND_SIGNALED};

    wr.wr.rdma.rkey = rkey;
    return ibv_post_send(e->qp, &wr, &bad);
}

/* What the receiver polls, so that what was written is opened (README.md). */
static int arrival(struct end *a, struct end *z)
{
    struct ibv_recv_wr *bad, wr = {.wr_id = 9};

    return ibv_post_recv(z->qp, &wr, &bad) == 0 &&
           post(a, IBV_WR_SEND, NULL, 0, 0) == 0 &&
           completed(a, 7) == IBV_WC_SUCCESS &&
           completed(z, 9) == IBV_WC_SUCCESS;
}

static void fill(struct end *e, unsigned seed)
{
    unsigned i;

    for (i = 0; i < SIZE; i++)
        e->memory[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* ---- Transfers ------------------------------------------------------------ */

static void put(struct end *a, struct end *z, uint32_t length, unsigned seed)
{
    /* Never one that was destroyed before: its numbers would begin anew. */
    struct vcc_key *own = key_of(z, fresh), *theirs = key_of(a, fresh);
    struct vcc_mem *rx = NULL, *tx = NULL;
    char name[80];
    int good, turn;

    fill(a, seed);
    memset(z->memory, 0, SIZE);
    good = attach(z, own, length, 0, VCC_RX | VCC_REMOTE, &rx) == 0;
    for (turn = 0; good && turn < 2; turn++) {
        if (turn == 0)
            good = attach(a, theirs, length, rx->unit0, VCC_TX, &tx) == 0;
        else
            good = b->renew(rx, own, 0) == 0 &&
                   completed(z, (uintptr_t)rx) == IBV_WC_SUCCESS &&
                   b->renew(tx, theirs, rx->unit0) == 0 &&
                   completed(a, (uintptr_t)tx) == IBV_WC_SUCCESS;
        a->memory[0] = (uint8_t)(seed + (unsigned)turn);
        good = good &&
               post(a, IBV_WR_RDMA_WRITE, tx, length, rx->rkey) == 0 &&
               completed(a, 7) == IBV_WC_SUCCESS && arrival(a, z) &&
               memcmp(a->memory, z->memory, length) == 0 &&
               (length == SIZE || z->memory[length] == 0);
    }
    snprintf(name, sizeof(name), "put of %u bytes, twice by renew", length);
    is(good, name);
    if (rx != NULL)
        b->detach(rx);
    if (tx != NULL)
        b->detach(tx);
    b->key_destroy(own);
    b->key_destroy(theirs);
    fresh++;
}

static void get(struct end *a, struct end *z, uint32_t length)
{
    struct vcc_key *own = key_of(z, fresh), *theirs = key_of(a, fresh);
    struct vcc_mem *rx = NULL, *tx = NULL;
    char name[80];
    int good;

    fill(a, 3);
    memset(z->memory, 0, SIZE);
    good = attach(z, own, length, 0, VCC_RX, &rx) == 0 &&
           attach(a, theirs, length, rx->unit0, VCC_TX | VCC_REMOTE, &tx) ==
               0 &&
           post(z, IBV_WR_RDMA_READ, rx, length, tx->rkey) == 0 &&
           completed(z, 7) == IBV_WC_SUCCESS &&
           memcmp(a->memory, z->memory, length) == 0;
    snprintf(name, sizeof(name), "get of %u bytes", length);
    is(good, name);
    if (rx != NULL)
        b->detach(rx);
    if (tx != NULL)
        b->detach(tx);
    b->key_destroy(own);
    b->key_destroy(theirs);
    fresh++;
}

/* Who reads the memory without the key, as the wire does, sees nothing of it. */
static void ciphertext(struct end *a, struct end *z)
{
    struct vcc_key *own = key_of(z, fresh), *theirs = key_of(a, fresh);
    struct vcc_mem *tx = NULL;
    struct ibv_sge sge = {(uintptr_t)z->memory, 8192, z->mr->lkey};
    struct ibv_send_wr *bad, wr = {.wr_id = 7, .sg_list = &sge, .num_sge = 1,
                                   .opcode = IBV_WR_RDMA_READ,
                                   .send_flags = IBV_SEND_SIGNALED};
    int good, i, same = 0;

    memset(a->memory, 0x5a, SIZE);
    good = attach(a, theirs, 8192, 0, VCC_TX | VCC_REMOTE, &tx) == 0;
    wr.wr.rdma.rkey = tx != NULL ? tx->rkey : 0;
    good = good && ibv_post_send(z->qp, &wr, &bad) == 0 &&
           completed(z, 7) == IBV_WC_SUCCESS;
    for (i = 0; i < 8192; i++)
        same += z->memory[i] == 0x5a;
    is(good && same < 100 && memcmp(z->memory, z->memory + 16, 16) != 0 &&
           memcmp(z->memory, z->memory + 4096, 16) != 0,
       "without the key, memory reads as ciphertext");
    if (tx != NULL)
        b->detach(tx);
    b->key_destroy(own);
    b->key_destroy(theirs);
    fresh++;
}

int main(int argc, char *argv[])
{
    char why[VCC_WHY_LEN];
    struct end a = {0}, z = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    gid_index = argc > 1 ? atoi(argv[1]) : 0;
    b       = vcc_backend("mlx5");
    control = (long (*)(const char *, long))dlsym(RTLD_DEFAULT,
                                                  "fakemlx5_control");
    if (b == NULL || control == NULL) {
        printf("not ok - fakemlx5 is preloaded, and mlx5 built\n");
        return 1;
    }
    open_ends(&a, &z);
    if (argc > 2) { /* a key made anew, as must not be: the emulator ends us */
        put(&a, &z, 4096, 1);
        fresh--;
        put(&a, &z, 4096, 2);
        return 0;
    }
    is(vcc_pick(a.ctx, VCC_CONF | VCC_RX_DIRECT, why) == b &&
           vcc_pick(a.ctx, VCC_CONF | VCC_INTEG, why) == vcc_backend("soft"),
       "the card is picked for direct placement, not for integrity");
    put(&a, &z, 4096, 1);
    put(&a, &z, 64, 2);
    put(&a, &z, 3 * 4096 + 4080, 3);
    put(&a, &z, SIZE, 4);
    get(&a, &z, 64);
    get(&a, &z, 8192);
    get(&a, &z, SIZE - 16);
    ciphertext(&a, &z);
    close_end(&a);
    close_end(&z);
    rules(b);
    bad_input(b);
    is(control("deks", -1) == 0 && control("mkeys", -1) == 0,
       "no key and no mkey is left in the card");
    removal(b); /* last: nothing comes back */
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
