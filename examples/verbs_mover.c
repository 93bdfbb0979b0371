/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verbs_mover: puts a file into another process's memory, or gets it from
 * there, by RDMA on QPs of its own, with libeesp and libeesp_verbs.
 *
 *     eesp keygen --levels domain --out keyring.jwks
 *     ./verbs_mover keyring.jwks serve 7000 2 &        (PORT, own id)
 *     ./verbs_mover keyring.jwks put HOST:7000 1 2 file   (own id, its id)
 *     ./verbs_mover keyring.jwks get HOST:7000 1 2 file
 *
 *   -p aead   (default) sealed by the CPU: EESP packets by SEND
 *   -p conf   by the card, if both sides have such a one and want it: WRITE and
 *             READ between plain memories, AES-XTS on the wire. Confidential
 *             only: who can change packets changes the data.
 *   -p card   that, or nothing
 *   -d NAME   RDMA device; -g INDEX of its GID (for RoCE)
 *   -n COUNT  connections that are served; -o FILE gets what was put
 *
 * What is to be used, keys of memory and numbers of data units go over TCP, in
 * EESP packets: only a holder of the keyring can ask, and a stranger who sends
 * something ends the connection, no more. Exit status 3: the two sides do not
 * agree on protection.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_mover.h"

static struct mover m = {.policy = "aead", .gid_index = 0, .count = 1};

/* ---- Which protection ---------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t    required, wanted;
} policies[] = {
    {"aead", VCC_CONF | VCC_INTEG | VCC_REPLAY, 0},
    {"conf", VCC_CONF, VCC_RX_DIRECT},
    {"card", VCC_CONF | VCC_RX_DIRECT, VCC_RX_DIRECT},
};

static struct vcc_offer our_offer(struct ibv_context *ctx)
{
    struct vcc_offer offer;
    char why[VCC_WHY_LEN];
    size_t i;

    for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (strcmp(policies[i].name, m.policy) != 0)
            continue;
        vcc_offer(ctx, policies[i].required, policies[i].wanted, &offer);
        if (policies[i].wanted != 0 &&
            vcc_pick(ctx, policies[i].wanted, why) == NULL)
            warnx("this side: %s", why);
        return offer;
    }
    errx(2, "-p %s: aead, conf or card", m.policy);
}

/* Says once what is used, and why it is not what was wanted. */
static void agree(const struct hello *mine, const struct hello *theirs)
{
    char why[VCC_WHY_LEN];

    m.use = vcc_agree(&mine->offer, &theirs->offer, why);
    if (m.use == NULL)
        errx(3, "refused: %s", why);
    m.required = mine->offer.required | theirs->offer.required;
    if (m.use->props & VCC_INTEG)
        warnx("sealed by the CPU%s",
              mine->offer.wanted != 0 ? ", not by the card: one side has none, "
                                        "or its policy requires integrity"
                                      : "");
    else
        warnx("by the card (%s): CONFIDENTIALITY ONLY, changes are not noticed",
              m.use->name);
}

/* A card that cannot go on is replaced by what is stronger, or by nothing. */
static void fall_back(int error)
{
    const struct vcc_backend *soft = vcc_backend("soft");

    if ((soft->props & m.required) != m.required)
        errx(3, "refused: %s, and the policy takes nothing but the card",
             vcc_strerror(error));
    if (m.use != soft)
        warnx("sealed by the CPU from here on: %s", vcc_strerror(error));
    m.use = soft;
}

/* ---- Memory -------------------------------------------------------------- */

static struct ibv_sge piece(uint64_t offset, uint32_t length)
{
    return (struct ibv_sge){.addr   = (uintptr_t)m.memory + offset,
                            .length = length,
                            .lkey   = m.mr->lkey};
}

/*
 * Attaches memory for one transfer, and waits until the card knows it. 0, or an
 * error for which there is something to fall back to.
 */
static int attach(struct vcc_key *key, const struct chunk *c, unsigned direction,
                  struct vcc_mem **mem_p)
{
    struct ibv_sge sge = piece(c->offset, padded(c->length));
    int ret = m.use->attach(key, m.qp, &sge, 1, c->unit0, direction, mem_p);

    if (ret == 0 && wait_for((uintptr_t)*mem_p, &m) != 0)
        errx(1, "attach: %s",
             vcc_strerror(m.use->key_check(key) != 0 ? -EKEYREJECTED : -EIO));
    if (ret != 0 && ret != -ENOSPC && ret != -EKEYREJECTED)
        errx(1, "attach: %s", vcc_strerror(ret));
    return ret;
}

static void detach(struct vcc_mem *mem)
{
    int ret = mem != NULL ? m.use->detach(mem) : 0;

    if (ret != 0)
        errx(1, "detach: %s", vcc_strerror(ret));
}

static void post(enum ibv_wr_opcode opcode, struct ibv_sge sge,
                 const struct chunk *c)
{
    struct ibv_send_wr *bad, wr = {
        .wr_id      = DATA,
        .sg_list    = &sge,
        .num_sge    = sge.length > 0,
        .opcode     = opcode,
        .send_flags = IBV_SEND_SIGNALED,
    };
    int error;

    wr.wr.rdma.rkey = c->rkey; /* its memory begins at address 0 */
    error = ibv_post_send(m.qp, &wr, &bad);
    if (error != 0)
        errx(1, "post: %s", vcc_strerror(-error));
    must_wait_for(DATA, &m);
}

/* ---- Transfers, seen from both sides -------------------------------------- */

/* By the CPU: EESP packets, opened into memory only if they are genuine. */
static void send_sealed(const struct chunk *c)
{
    uint64_t at;

    for (at = 0; at < c->length; at += PIECE) {
        struct iovec iov = {m.memory + c->offset + at,
                            c->length - at < PIECE ? c->length - at : PIECE};
        size_t length;
        int ret = eesp_seal(m.lane, &m.peer, &iov, 1, m.bounce, PACKET,
                            &length);

        if (ret != EESP_OK)
            errx(1, "seal: %s", eesp_strerror(ret));
        post(IBV_WR_SEND,
             (struct ibv_sge){.addr   = (uintptr_t)m.bounce,
                              .length = (uint32_t)length,
                              .lkey   = m.bounce_mr->lkey},
             c);
    }
}

static void receive_sealed(const struct chunk *c)
{
    uint64_t at = 0;

    while (at < c->length) {
        struct eesp_opened opened;
        uint8_t plaintext[PACKET];
        size_t length;
        uint8_t *packet = receive_packet(&m, &length);
        int ret = eesp_open(m.lane, packet, length, plaintext,
                            sizeof(plaintext), &opened);

        if (ret != EESP_OK)
            errx(1, "open: %s", eesp_strerror(ret));
        if (opened.source_id != m.peer.id || opened.length == 0 ||
            opened.length > c->length - at)
            errx(1, "open: of another sender, or of another length");
        memcpy(m.memory + c->offset + at, opened.payload, opened.length);
        at += opened.length;
        give_back(packet, &m);
    }
}

/* The side that serves, a chunk: tells what the other needs, or an error. */
static void serve_chunk(struct chunk *c)
{
    struct vcc_mem *mem = NULL;
    int put = c->what == PUT;

    if (c->what != PUT && c->what != GET)
        errx(1, "the peer asks for what there is not");
    if (c->offset > MEMORY || c->length > MEMORY - c->offset ||
        padded(c->length) > MEMORY - c->offset)
        errx(1, "the peer asks for memory that is not there");
    if (!(m.use->props & VCC_RX_DIRECT))
        c->error = -EOPNOTSUPP;
    else if (c->error == 0) /* else the peer's card cannot */
        c->error = attach(put ? m.own : m.theirs, c,
                          (put ? VCC_RX : VCC_TX) | VCC_REMOTE, &mem);
    if (c->error != 0)
        fall_back(c->error);
    if (mem != NULL) {
        c->rkey  = mem->rkey;
        c->unit0 = mem->unit0;
    }
    say(&m, c, sizeof(*c));
    if (mem == NULL && put) {
        receive_sealed(c);
    } else if (mem == NULL) {
        send_sealed(c);
    } else if (put) {
        size_t length; /* the peer's empty message, after its WRITE */

        give_back(receive_packet(&m, &length), &m);
    }
    hear(&m, c, sizeof(*c));
    detach(mem);
    if (c->error != 0)
        fall_back(c->error);
    c->what = DONE;
    say(&m, c, sizeof(*c));
}

/* The side that asks, a chunk: 0, or it is to be asked for again. */
static int ask_chunk(uint32_t what, uint64_t offset, uint64_t length)
{
    struct chunk c = {.what = what, .offset = offset, .length = length};
    struct vcc_mem *mem = NULL;
    int direct = (m.use->props & VCC_RX_DIRECT) != 0, again;

    if (direct && what == GET)
        c.error = attach(m.own, &c, VCC_RX, &mem);
    if (mem != NULL)
        c.unit0 = mem->unit0;
    say(&m, &c, sizeof(c));
    hear(&m, &c, sizeof(c));
    if (c.error != 0) { /* one of the two cards cannot */
        detach(mem);
        mem = NULL;
        if (direct)
            fall_back(c.error);
        if (what == PUT)
            send_sealed(&c);
        else
            receive_sealed(&c);
        c.error = 0;
    } else {
        if (what == PUT)
            c.error = attach(m.theirs, &c, VCC_TX, &mem);
        if (mem != NULL)
            post(what == PUT ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ,
                 (struct ibv_sge){.length = padded(length), .lkey = mem->lkey},
                 &c);
        if (what == PUT) /* also where nothing was written: it waits */
            post(IBV_WR_SEND, (struct ibv_sge){0}, &c);
        detach(mem);
        if (c.error != 0)
            fall_back(c.error);
    }
    again = c.error;
    say(&m, &c, sizeof(c));
    hear(&m, &c, sizeof(c));
    if (c.what != DONE)
        errx(1, "the peer did not do it");
    return again;
}

static void ask(uint32_t what, const char *path)
{
    uint64_t length = what == PUT ? read_file(path, m.memory, MEMORY) : 0, at;
    struct chunk c = {.what = SIZE, .length = length};

    say(&m, &c, sizeof(c));
    hear(&m, &c, sizeof(c));
    if (what == GET)
        length = c.length <= MEMORY ? c.length : 0;
    for (at = 0; at < length; at += m.chunk) {
        uint64_t part = length - at < m.chunk ? length - at : m.chunk;

        while (ask_chunk(what, at, part) != 0)
            continue;
    }
    c.what = END;
    say(&m, &c, sizeof(c));
    if (what == GET)
        write_file(path, m.memory, length);
}

static void serve(void)
{
    struct chunk c;

    for (;;) {
        hear(&m, &c, sizeof(c));
        if (c.what == END)
            break;
        if (c.what != SIZE) {
            serve_chunk(&c);
            continue;
        }
        if (c.length > MEMORY)
            errx(1, "the peer asks for memory that is not there");
        if (c.length > 0)
            m.held = c.length;
        c.length = m.held;
        say(&m, &c, sizeof(c));
    }
    if (m.output != NULL)
        write_file(m.output, m.memory, m.held);
}

/* ---- Connections ---------------------------------------------------------- */

/* A key of the card: whose memory the data go to, and so who gives numbers. */
static struct vcc_key *card_key(uint64_t incarnation, uint64_t id,
                                const struct hello *of)
{
    struct eesp_offload_receiver whose = {
        .incarnation = incarnation,
        .id          = id,
        .number      = of->key_number,
        .epoch       = of->epoch,
    };
    uint8_t bytes[EESP_OFFLOAD_KEY_MAX];
    struct vcc_key *key = NULL;
    int ret;

    memcpy(whose.generations, of->generations, sizeof(whose.generations));
    ret = eesp_policy_offload_key(m.eesp_policy, EESP_OFFLOAD_XTS, &whose,
                                  bytes, sizeof(bytes));
    if (ret != EESP_OK)
        errx(1, "key of the card: %s", eesp_strerror(ret));
    ret = m.use->key_create(m.dev, VCC_AES_256_XTS, bytes, sizeof(bytes), &key);
    explicit_bzero(bytes, sizeof(bytes));
    if (ret != 0)
        errx(1, "key_create: %s", vcc_strerror(ret));
    return key;
}

static void connection(void)
{
    struct hello mine = {.offer = our_offer(m.ctx)}, theirs;
    const struct vcc_backend *card = vcc_backend("mlx5");
    struct vcc_caps caps;

    /* The QP is the card's if there is such a one, used so or not. */
    mine.chunk = CHUNK;
    if (card != NULL && strcmp(m.policy, "aead") != 0 &&
        card->probe(m.ctx, &caps) == 0 && card->open(m.pd, &m.dev) == 0 &&
        caps.max_length < mine.chunk)
        mine.chunk = caps.max_length;
    create_qp(&m, m.dev != NULL ? card : NULL);
    mine.epoch      = eesp_policy_info(m.eesp_policy)->epoch;
    mine.key_number = ++m.key_number;
    eesp_policy_generations(m.eesp_policy, mine.generations);
    endpoint(&m, &mine);
    say(&m, &mine, sizeof(mine));
    hear(&m, &theirs, sizeof(theirs));
    agree(&mine, &theirs);
    m.chunk = mine.chunk < theirs.chunk ? mine.chunk : theirs.chunk;
    if (m.chunk == 0 || m.chunk % 4096 != 0)
        errx(1, "the peer's chunks are no multiple of 4096");
    connect_qp(&m, &theirs);
    m.own = m.theirs = NULL;
    if (m.use->props & VCC_RX_DIRECT) {
        m.own    = card_key(eesp_lane_incarnation(m.lane), m.id, &mine);
        m.theirs = card_key(m.peer.incarnation, m.peer.id, &theirs);
    }
    if (m.path == NULL)
        serve();
    else
        ask(m.what, m.path);
    if (m.own != NULL) {
        card->key_destroy(m.own);
        card->key_destroy(m.theirs);
    }
    ibv_destroy_qp(m.qp);
    if (m.dev != NULL)
        card->close(m.dev);
    m.dev = NULL;
}

int main(int argc, char *argv[])
{
    int option, serves;

    while ((option = getopt(argc, argv, "+p:d:g:n:o:")) != -1) {
        switch (option) {
        case 'p': m.policy = optarg; break;
        case 'd': m.device = optarg; break;
        case 'g': m.gid_index = atoi(optarg); break;
        case 'n': m.count = atoi(optarg); break;
        case 'o': m.output = optarg; break;
        default: return 2;
        }
    }
    argc -= optind;
    argv += optind;
    serves = argc == 4 && strcmp(argv[1], "serve") == 0;
    if (!serves && (argc != 6 || (strcmp(argv[1], "put") != 0 &&
                                  strcmp(argv[1], "get") != 0)))
        errx(2, "usage: verbs_mover [OPTION]... KEYRING serve PORT ID\n"
                "       verbs_mover [OPTION]... KEYRING put|get HOST:PORT ID "
                "PEER FILE");
    m.what = strcmp(argv[1], "get") == 0 ? GET : PUT;
    m.id   = strtoull(argv[3], NULL, 0);
    open_lane(&m, argv[0]);
    open_device(&m);
    if (serves) {
        listen_at(&m, argv[2]);
        while (m.count-- > 0) {
            accept_peer(&m);
            connection();
            close(m.socket);
        }
    } else {
        m.path    = argv[5];
        m.peer.id = strtoull(argv[4], NULL, 0);
        connect_to(&m, argv[2]);
        connection();
    }
    close_all(&m);
    return 0;
}
