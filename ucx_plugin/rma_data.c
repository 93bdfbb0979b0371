/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_data: data packets, which are sealed from a region and opened at their
 * destination, without a copy. Their destination has been named by a message
 * before, which was authentic. A packet that does not open leaves the bytes
 * that it was to fill wiped, and none other; what is not to be delivered goes
 * to memory of our own.
 */
#include "ahead.h"
#include "rma.h"

#include <ucs/datastruct/mpool.inl>

#include "bytes.h"
#include "wire.h"

ucs_status_t uct_eesp_rma_send_packet(uct_eesp_ep_t *ep, const void *data,
                                      size_t length)
{
    struct iovec part = {(void*)data, length};
    unsigned padding  = eesp_padding(EESP_AM_HEADER + length);

    return uct_eesp_ep_post(ep, UCT_EESP_RMA_PACKET, EESP_AM_LOWER_DATA + padding,
                            &part, 1);
}

/* ---- Where to -------------------------------------------------------------- */

void uct_eesp_rma_cursor_set(uct_eesp_iface_t *iface,
                             const struct eesp_opened *opened,
                             const uct_eesp_rma_cursor_t *cursor)
{
    khash_t(uct_eesp_rma_cursor) *cursors = &iface->rma->cursors;
    khiter_t iter;
    int ret;

    iter = kh_put(uct_eesp_rma_cursor, cursors,
                  uct_eesp_rma_sender(opened->incarnation, opened->session_id),
                  &ret);
    if (ret < 0) {
        ucs_fatal("eesp: no memory to receive data");
    }
    kh_value(cursors, iter)             = *cursor;
    kh_value(cursors, iter).incarnation = opened->incarnation;
    kh_value(cursors, iter).session     = opened->session_id;
}

static uct_eesp_rma_cursor_t *
uct_eesp_rma_cursor_find(uct_eesp_iface_t *iface,
                         const struct eesp_header *header)
{
    khash_t(uct_eesp_rma_cursor) *cursors = &iface->rma->cursors;
    uct_eesp_rma_cursor_t *cursor;
    khiter_t iter;

    iter = kh_get(uct_eesp_rma_cursor, cursors,
                  uct_eesp_rma_sender(header->incarnation, header->session_id));
    if (iter == kh_end(cursors)) {
        return NULL;
    }
    cursor = &kh_value(cursors, iter);
    return (cursor->incarnation == header->incarnation) &&
           (cursor->session == header->session_id) ? cursor : NULL;
}

/* ---- Receive ---------------------------------------------------------------- */

/* A data packet on its way in. */
typedef struct uct_eesp_rma_arrival {
    uct_eesp_rma_cursor_t *cursor;
    uct_eesp_region_t     *region;  /* of a put */
    ucs_status_t           status;  /* of a put's access */
    void                  *place;
    void                  *scratch; /* in place of it, or NULL */
    size_t                 length;
} uct_eesp_rma_arrival_t;

static void uct_eesp_rma_find_place(uct_eesp_iface_t *iface,
                                    uct_eesp_rma_arrival_t *arrival)
{
    uct_eesp_rma_cursor_t *cursor = arrival->cursor;

    arrival->region  = NULL;
    arrival->scratch = NULL;
    arrival->place   = NULL;
    arrival->status  = UCS_OK;
    if (cursor->type == UCT_EESP_RMA_STREAM) {
        arrival->place = uct_eesp_rma_stream_place(iface, cursor,
                                                   arrival->length);
    } else {
        arrival->status = uct_eesp_region_get(uct_eesp_iface_md(iface),
                                              &cursor->access, arrival->length,
                                              UCT_MD_MEM_ACCESS_REMOTE_PUT,
                                              &arrival->region);
        if (arrival->status == UCS_OK) {
            arrival->place = (void*)cursor->access.address;
        }
    }
    if (arrival->place == NULL) {
        arrival->scratch = ucs_mpool_get(&iface->rx_mp);
        arrival->place   = arrival->scratch;
        if (arrival->place == NULL) {
            ucs_fatal("eesp: no memory to receive data");
        }
    }
}

static void uct_eesp_rma_leave_place(uct_eesp_iface_t *iface,
                                     uct_eesp_rma_arrival_t *arrival)
{
    if (arrival->region != NULL) {
        uct_eesp_region_put(uct_eesp_iface_md(iface), arrival->region);
    }
    if (arrival->scratch != NULL) {
        explicit_bzero(arrival->scratch, arrival->length);
        ucs_mpool_put(arrival->scratch);
    }
}

/* Opens at its place; 0 after telling why it was refused. */
static int uct_eesp_rma_open(uct_eesp_iface_t *iface, const void *packet,
                             size_t length, uct_eesp_rma_arrival_t *arrival,
                             struct eesp_opened *opened)
{
    uint8_t head[EESP_PAYLOAD_OFFSET + EESP_AM_HEADER];
    uct_eesp_trial_t trial;
    int ret, follows = 0;

    trial = uct_eesp_ahead_begin(iface, packet, length);
    uct_eesp_iface_check_ring(iface);
    uct_eesp_rma_find_place(iface, arrival);
    ret = eesp_open_split(iface->lane, packet, length, head, EESP_AM_HEADER,
                          arrival->place, arrival->length, opened);
    uct_eesp_ahead_end(iface, length, &trial);
    if ((ret == EESP_OK) && ((opened->next_header != EESP_NEXT_HEADER) ||
                             (opened->payload[0] != UCT_EESP_RMA_PACKET))) {
        explicit_bzero(arrival->place, arrival->length);
        ret = EESP_DROP_PAYLOAD;
    }
    if (ret == EESP_OK) {
        follows = uct_eesp_rx_follows(iface, opened);
    }
    uct_eesp_rma_leave_place(iface, arrival);

    if (ucs_unlikely(ret != EESP_OK)) {
        uct_eesp_rx_refused(iface, ret, packet, length, opened);
    } else if (ucs_unlikely(!follows)) {
        uct_eesp_rx_fail(iface, "messages before it are missing", opened);
    }
    return (ret == EESP_OK) && follows;
}

static void uct_eesp_rma_arrived(uct_eesp_iface_t *iface,
                                 const uct_eesp_rma_arrival_t *arrival,
                                 const struct eesp_opened *opened)
{
    uct_eesp_rma_cursor_t *cursor = arrival->cursor;
    uct_eesp_rma_cursor_t was     = *cursor;
    uct_eesp_rma_peer_t *peer;

    if (was.type == UCT_EESP_RMA_STREAM) {
        if (arrival->scratch == NULL) {
            uct_eesp_rma_stream_advance(iface, cursor, arrival->length);
        } else {
            cursor->offset += arrival->length;
        }
        return;
    }

    cursor->access.address += arrival->length;
    ++cursor->number;
    peer = uct_eesp_rma_peer(iface, opened);
    if ((peer == NULL) || peer->failed) {
        return;
    }
    if (arrival->status == UCS_OK) {
        uct_eesp_rma_owe(peer, was.token, was.number);
    } else {
        uct_eesp_rma_refuse(peer, was.token, was.number, arrival->status,
                            opened);
    }
}

static void uct_eesp_rma_data(const uct_eesp_rma_padded_t *padded, void *packet,
                              size_t length)
{
    uct_eesp_iface_t *iface   = padded->iface;
    uint8_t copy[EESP_HEADER_MAX + EESP_INFO_LEN + EESP_ICV_LEN];
    size_t copied             = ucs_min(length, sizeof(copy));
    struct eesp_opened opened = {.payload = NULL};
    uct_eesp_rma_arrival_t arrival;
    struct eesp_header header;
    size_t overhead;
    int ret;

    /* Its sender may still write to it: what is looked at is the copy. */
    memcpy(copy, packet, copied);
    ret            = eesp_header_parse(copy, copied, &header);
    arrival.cursor = ret == EESP_OK ? uct_eesp_rma_cursor_find(iface, &header) :
                                      NULL;
    overhead       = header.length + EESP_INFO_LEN + EESP_AM_HEADER +
                     padded->padding + EESP_ICV_LEN;
    if ((arrival.cursor == NULL) || (length < overhead)) {
        uct_eesp_rx_refused(iface, ret != EESP_OK ? ret : EESP_DROP_PAYLOAD,
                            packet, length, &opened);
        return;
    }

    arrival.length = length - overhead;
    if (uct_eesp_rma_open(iface, packet, length, &arrival, &opened) &&
        !iface->failed) { /* nothing passes a lost message */
        uct_eesp_rma_arrived(iface, &arrival, &opened);
    }
}

static ucs_status_t uct_eesp_rma_packet(void *arg, void *packet, size_t length,
                                        unsigned flags)
{
    const uct_eesp_rma_padded_t *padded = arg;

    uct_eesp_enter(padded->iface);
    uct_eesp_rma_data(padded, packet, length);
    uct_eesp_leave(padded->iface);
    return UCS_OK;
}

ucs_status_t uct_eesp_rma_data_init(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_padded_t *padded;
    ucs_status_t status = UCS_OK;
    unsigned i;

    for (i = 0; (i < ucs_static_array_size(iface->rma->padded)) &&
                (status == UCS_OK); ++i) {
        padded          = &iface->rma->padded[i];
        padded->iface   = iface;
        padded->padding = i;
        status          = uct_iface_set_am_handler(iface->lower,
                                                   EESP_AM_LOWER_DATA + i,
                                                   uct_eesp_rma_packet, padded,
                                                   0);
    }
    return status;
}
