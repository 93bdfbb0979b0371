/* SPDX-License-Identifier: BSD-3-Clause */
/* verbs_mover: what its two files share. */
#ifndef VERBS_MOVER_H
#define VERBS_MOVER_H

#include <eesp.h>
#include <eesp_verbs.h>
#include <infiniband/verbs.h>
#include <stdint.h>

enum {
    SECONDS = 20,       /* to wait for a peer or a completion */
    MEMORY  = 16 << 20, /* that is served */
    CHUNK   = 256 << 10,
    PIECE   = 16 << 10, /* of a sealed message */
    PACKET  = PIECE + 512,
    RECEIVES = 8
};

enum { DATA = 1, RECEIVE = 1 << 20 };               /* wr_id */
enum { PUT = 1, GET = 2, SIZE = 3, END = 4, DONE = 5 }; /* chunk.what */

/* Both run on machines of one byte order here: examples are not protocols. */
struct hello {
    struct vcc_offer offer;
    uint64_t         chunk;      /* longest, a multiple of 4096 */
    uint64_t         key_number; /* of struct eesp_offload_receiver */
    uint32_t         qpn, psn;
    uint16_t         epoch, lid;
    uint8_t          mtu, generations[EESP_LEVELS];
    union ibv_gid    gid;
};

struct chunk {
    uint32_t what;
    int32_t  error; /* of the card: the data go by the CPU */
    uint64_t offset, length, unit0;
    uint32_t rkey;
};

struct mover {
    const char *policy, *device, *output, *path;
    int         gid_index, count, what;
    uint64_t    id, key_number;

    struct eesp_keyring      *keyring;
    const struct eesp_policy *eesp_policy;
    struct eesp_lane         *lane;
    struct eesp_destination   peer;
    int                       socket, listener;

    struct ibv_context *ctx;
    struct ibv_pd      *pd;
    struct ibv_cq      *cq;
    struct ibv_qp      *qp;
    struct ibv_port_attr port;
    uint8_t            *memory, *bounce, *receives;
    struct ibv_mr      *mr, *bounce_mr;
    uint64_t            held, chunk;
    /* Received, and not asked for yet. */
    struct { uint64_t wr_id; uint32_t length; } arrived[RECEIVES];
    unsigned            arrivals;

    const struct vcc_backend *use;
    uint32_t                  required;
    struct vcc_dev           *dev;
    struct vcc_key           *own, *theirs;
};

/* AES-XTS takes multiples of 16 bytes. */
static inline uint32_t padded(uint64_t length)
{
    return (uint32_t)((length + 15) & ~(uint64_t)15);
}

void open_lane(struct mover *m, const char *path);
void open_device(struct mover *m);
void close_all(struct mover *m);
void listen_at(struct mover *m, const char *port);
void accept_peer(struct mover *m);
void connect_to(struct mover *m, const char *where);
void say(struct mover *m, const void *message, size_t length);
void hear(struct mover *m, void *message, size_t length);

void create_qp(struct mover *m, const struct vcc_backend *card);
void endpoint(struct mover *m, struct hello *mine);
void connect_qp(struct mover *m, const struct hello *theirs);
/* Until the request of that wr_id is complete: 0, or it failed. */
int wait_for(uint64_t wr_id, struct mover *m);
void must_wait_for(uint64_t wr_id, struct mover *m);
uint8_t *receive_packet(struct mover *m, size_t *length_p);
void give_back(uint8_t *packet, struct mover *m);

uint64_t read_file(const char *path, uint8_t *memory, uint64_t size);
void write_file(const char *path, const uint8_t *memory, uint64_t length);

#endif
