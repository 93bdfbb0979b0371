/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uct_rma_side: requester and target of put, get and atomics of eesp itself
 * (UCX_EESP_RMA=y). The target has no endpoint to the requester unless a group
 * makes one, and makes progress as the requester does.
 */
#ifndef UCT_RMA_SIDE_H
#define UCT_RMA_SIDE_H

#include "uct_check.h"

enum { SIZE = 3 << 20, EDGE = 64, MANY = 64 };
enum kind { SHORT, BCOPY, ZCOPY, KINDS };

extern struct place places[2];
extern struct side from, to; /* requester and target */
extern uct_ep_h ep;          /* of the requester's */

/* The target's memory, with bytes around it that nobody may touch. */
extern uint8_t *memory, *local;
extern uct_mem_h memh, local_memh;
extern uct_rkey_bundle_t rkey;
extern uct_component_h component;

uint8_t *window(void);
uint64_t remote(size_t offset);
void open_window(unsigned access);
void close_window(void);
/* 0 after saying why the group does not apply. */
int rma_open(unsigned access);
void rma_close(void);

/* ---- Operations --------------------------------------------------------- */

extern unsigned done_calls;
void done_call(uct_completion_t *comp);

#define COMPLETION {.func = done_call, .count = 1, .status = UCS_OK}

/* Tries until there is room, and waits if it takes longer. */
#define FINISH(comp, call)                                                     \
    ({                                                                         \
        ucs_status_t finish_status;                                            \
        (comp) = (uct_completion_t)COMPLETION;                                 \
        while ((finish_status = (ucs_status_t)(call)) == UCS_ERR_NO_RESOURCE)  \
            progress_all();                                                    \
        if (finish_status == UCS_INPROGRESS) {                                 \
            while ((comp).count != 0)                                          \
                progress_all();                                                \
            finish_status = (comp).status;                                     \
        }                                                                      \
        finish_status;                                                         \
    })

struct source {
    const uint8_t *data;
    size_t length;
};

size_t pack_source(void *to_, void *arg);
void unpack(void *to_, const void *data, size_t length);
ucs_status_t flush(void);
ucs_status_t iface_flush(void);
ucs_status_t put(enum kind kind, size_t n, size_t offset, uct_rkey_t key);
ucs_status_t get(enum kind kind, size_t n, size_t offset, uct_rkey_t key);
size_t longest(enum kind kind, int is_get);
/* So many bytes, or as many as one put can have. */
size_t fitting(size_t n);

#endif
