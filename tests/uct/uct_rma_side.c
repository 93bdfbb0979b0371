/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "uct_rma_side.h"

struct place places[2];
struct side from, to;
uct_ep_h ep;

uint8_t *memory, *local;
uct_mem_h memh, local_memh;
uct_rkey_bundle_t rkey;
uct_component_h component;

uint8_t *window(void)
{
    return memory + EDGE;
}

uint64_t remote(size_t offset)
{
    return (uintptr_t)window() + offset;
}

static void find_component(void)
{
    uct_component_attr_t attr = {.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME};
    uct_component_h *components;
    unsigned count;

    check_ok(uct_query_components(&components, &count));
    for (unsigned i = 0; i < count; i++) {
        check_ok(uct_component_query(components[i], &attr));
        if (strcmp(attr.name, "eesp") == 0)
            component = components[i];
    }
    uct_release_component_list(components);
}

void open_window(unsigned access)
{
    uint8_t packed[64];

    check(places[1].md_attr.rkey_packed_size <= sizeof(packed), "long key");
    check_ok(uct_md_mem_reg(places[1].md, window(), SIZE, access, &memh));
    check_ok(uct_md_mkey_pack(places[1].md, memh, packed));
    check_ok(uct_rkey_unpack(component, packed, &rkey));
}

void close_window(void)
{
    if (memh != NULL)
        check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    check_ok(uct_rkey_release(component, &rkey));
}

int rma_open(unsigned access)
{
    for (int i = 0; i < 2; i++)
        place_open(&places[i]);
    side_open(&from, &places[0], NULL);
    side_open(&to, &places[1], NULL);
    if (!(from.attr.cap.flags & UCT_IFACE_FLAG_PUT_ZCOPY)) {
        skipped("no RMA over this lower");
        side_close(&from);
        side_close(&to);
        place_close(&places[0]);
        place_close(&places[1]);
        return 0;
    }
    find_component();
    ep     = side_connect(&from, &to);
    memory = allocate(SIZE + 2 * EDGE);
    local  = allocate(SIZE);
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    open_window(access);
    check_ok(uct_md_mem_reg(places[0].md, local, SIZE,
                            UCT_MD_MEM_ACCESS_LOCAL_READ |
                                UCT_MD_MEM_ACCESS_LOCAL_WRITE, &local_memh));
    return 1;
}

void rma_close(void)
{
    for (int i = 0; i < EDGE; i++)
        check(memory[i] == 0xa5 && memory[EDGE + SIZE + i] == 0xa5,
              "written to outside of the window");
    uct_ep_destroy(ep);
    check_ok(uct_md_mem_dereg(places[0].md, local_memh));
    close_window();
    side_close(&from);
    side_close(&to);
    place_close(&places[0]);
    place_close(&places[1]);
    free(memory);
    free(local);
}

/* ---- Operations --------------------------------------------------------- */

unsigned done_calls;

void done_call(uct_completion_t *comp)
{
    (void)comp;
    done_calls++;
}

ucs_status_t flush(void)
{
    uct_completion_t comp;

    return FINISH(comp, uct_ep_flush(ep, 0, &comp));
}

ucs_status_t iface_flush(void)
{
    ucs_status_t status;

    while ((status = uct_iface_flush(from.iface, 0, NULL)) == UCS_INPROGRESS)
        progress_all();
    return status;
}

size_t pack_source(void *to_, void *arg)
{
    const struct source *source = arg;

    memcpy(to_, source->data, source->length);
    return source->length;
}

void unpack(void *to_, const void *data, size_t length)
{
    memcpy(to_, data, length);
}

ucs_status_t put(enum kind kind, size_t n, size_t offset, uct_rkey_t key)
{
    struct source source = {local, n};
    uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                     .count = 1};
    uct_completion_t comp;
    ssize_t packed;

    switch (kind) {
    case SHORT:
        return FINISH(comp, uct_ep_put_short(ep, local, (unsigned)n,
                                             remote(offset), key));
    case BCOPY:
        while ((packed = uct_ep_put_bcopy(ep, pack_source, &source,
                                          remote(offset), key)) ==
               UCS_ERR_NO_RESOURCE)
            progress_all();
        check(packed < 0 || (size_t)packed == n, "%zd packed", packed);
        return packed < 0 ? (ucs_status_t)packed : UCS_OK;
    default:
        return FINISH(comp, uct_ep_put_zcopy(ep, &iov, 1, remote(offset), key,
                                             &comp));
    }
}

ucs_status_t get(enum kind kind, size_t n, size_t offset, uct_rkey_t key)
{
    uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                     .count = 1};
    uct_completion_t comp;

    return kind == BCOPY ?
               FINISH(comp, uct_ep_get_bcopy(ep, unpack, local, n, remote(offset), key,
                                             &comp)) :
               FINISH(comp, uct_ep_get_zcopy(ep, &iov, 1, remote(offset), key,
                                             &comp));
}

size_t longest(enum kind kind, int is_get)
{
    size_t max = kind == SHORT ? from.attr.cap.put.max_short :
                 kind == BCOPY ? (is_get ? from.attr.cap.get.max_bcopy :
                                           from.attr.cap.put.max_bcopy) :
                                 (is_get ? from.attr.cap.get.max_zcopy :
                                           from.attr.cap.put.max_zcopy);

    return max < SIZE ? max : SIZE;
}

size_t fitting(size_t n)
{
    size_t max = longest(ZCOPY, 0);

    return n < max ? n : max;
}
