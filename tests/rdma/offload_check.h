/* SPDX-License-Identifier: BSD-3-Clause */
/* offload_check: what its files share. */
#ifndef OFFLOAD_CHECK_H
#define OFFLOAD_CHECK_H

#include <infiniband/mlx5dv.h>
#include <infiniband/verbs.h>

#include "eesp_verbs.h"

enum { SIZE = 64 << 10 };

struct end {
    struct ibv_context *ctx;
    struct ibv_pd      *pd;
    struct ibv_cq      *cq;
    struct ibv_qp      *qp;
    struct ibv_mr      *mr;
    struct vcc_dev     *dev;
    uint8_t            *memory;
};

extern long (*control)(const char *, long);

void is(int good, const char *name);
void open_ends(struct end *a, struct end *z);
void close_end(struct end *e);
int completed(struct end *e, uint64_t wr_id);
struct vcc_key *key_of(struct end *e, uint8_t n);
int attach(struct end *e, struct vcc_key *key, uint32_t length, uint64_t unit0,
           unsigned direction, struct vcc_mem **mem);
int post(struct end *e, enum ibv_wr_opcode opcode, struct vcc_mem *from,
         uint32_t length, uint32_t rkey);

void rules(const struct vcc_backend *b);
void bad_input(const struct vcc_backend *b);
void removal(const struct vcc_backend *b);

#endif
