/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send: active messages. Short and zcopy data is sealed straight from the
 * caller's memory into the lower's send buffer, one pass. bcopy data is packed
 * into private memory first: the lower's buffer may be shared memory, where no
 * plaintext may lie, not even for a moment.
 */
#include "plugin.h"

#include <ucs/arch/cpu.h>
#include <uct/base/uct_iov.inl>

#include "bytes.h"
#include "lines.h"

typedef struct uct_eesp_send {
    uct_eesp_ep_t *ep;
    uct_eesp_channel_t *channel;
    uint8_t        lower_id; /* active-message id of the lower */
    struct iovec   iov[EESP_AM_MAX_IOV + 2];
    unsigned       iovcnt;
    size_t         length; /* of iov */
    int            error; /* of eesp_seal() */
    /* bcopy only: */
    uct_pack_callback_t pack_cb;
    void          *pack_arg;
} uct_eesp_send_t;

/* Id and the number of the message before: see uct_eesp_rx_follows(). */
static UCS_F_ALWAYS_INLINE void
uct_eesp_head_fill(const uct_eesp_channel_t *channel, uint8_t id, void *head)
{
    store64(head, ((uint64_t)id << 56) | (channel->last & UCS_MASK(56)));
}

/* By the handler here: programs register the same on both sides. */
static UCS_F_ALWAYS_INLINE void
uct_eesp_send_choose(uct_eesp_send_t *send, uint8_t id)
{
    const uct_eesp_iface_t *iface = uct_eesp_ep_iface(send->ep);

    send->lower_id = ucs_unlikely(iface->async) &&
                     (iface->super.am[id].flags & UCT_CB_FLAG_ASYNC);
    send->channel  = &send->ep->channels[send->lower_id];
}

static UCS_F_ALWAYS_INLINE void
uct_eesp_send_add(uct_eesp_send_t *send, const void *data, size_t length)
{
    send->iov[send->iovcnt++] = (struct iovec){(void*)data, length};
    send->length             += length;
}

/*
 * The lines of a segment in shared memory are in the cache of the core that
 * opened its last packet. Asked for together they come while the key is looked
 * up and under AES. (Long packets: ways.h.)
 */
static UCS_F_ALWAYS_INLINE void
uct_eesp_pack_prefetch(const uct_eesp_iface_t *iface,
                       const uct_eesp_send_t *send, void *dest)
{
    if (iface->beside != NULL) {
        eesp_lines_write(dest, send->length +
                               uct_eesp_iface_md(iface)->overhead);
    }
}

static size_t uct_eesp_pack_long(uct_eesp_iface_t *iface,
                                 uct_eesp_send_t *send, void *dest)
{
    uct_eesp_ways_t *ways  = &send->channel->sealing;
    uct_eesp_trial_t trial = uct_eesp_ways_begin(ways, UCT_EESP_WAYS_SEALING);
    void *packet           = trial.way == UCT_EESP_WAY_BESIDE ? iface->beside :
                                                                dest;
    size_t length          = 0;

    eesp_lane_stepwise(iface->lane, trial.way == UCT_EESP_WAY_STEPS);
    send->error = eesp_seal(iface->lane, &send->channel->destination, send->iov,
                            send->iovcnt, packet, iface->max_packet, &length);
    eesp_lane_stepwise(iface->lane, 0);
    if (packet != dest) {
        memcpy(dest, packet, length);
    }
    uct_eesp_ways_end(ways, &trial, send->length);
    return length;
}

/*
 * Pack callback of the lower: called once it has room, so no sequence number
 * is lost to a busy lower. It cannot fail: if sealing does, an empty message
 * goes out, which the receiver drops, and the caller gets the error.
 */
static size_t uct_eesp_pack_sealed(void *dest, void *arg)
{
    uct_eesp_send_t *send   = arg;
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(send->ep);
    size_t length           = 0;

    if ((iface->beside != NULL) && (send->length >= UCT_EESP_WAYS_MIN)) {
        length = uct_eesp_pack_long(iface, send, dest);
    } else {
        uct_eesp_pack_prefetch(iface, send, dest);
        send->error = eesp_seal(iface->lane, &send->channel->destination,
                                send->iov, send->iovcnt, dest,
                                iface->max_packet, &length);
    }
    if (ucs_unlikely(send->error != EESP_OK)) {
        return 0;
    }
    send->channel->last = eesp_lane_sequence(iface->lane);
    return length;
}

static size_t uct_eesp_pack_bcopy(void *dest, void *arg)
{
    uct_eesp_send_t *send = arg;
    struct iovec *iov     = &send->iov[0];

    iov->iov_len += send->pack_cb(UCS_PTR_BYTE_OFFSET(iov->iov_base,
                                                      iov->iov_len),
                                  send->pack_arg);
    if (ucs_unlikely(iov->iov_len > EESP_AM_HEADER +
                                    uct_eesp_ep_iface(send->ep)->max_data)) {
        ucs_fatal("eesp: a caller packed more than fits into a packet");
    }
    send->length = iov->iov_len;
    return uct_eesp_pack_sealed(dest, send);
}

static ucs_status_t uct_eesp_send_failed(const uct_eesp_send_t *send)
{
    static int told;

    if (!__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED)) {
        ucs_error("eesp: cannot seal: %s; see: eesp show",
                  eesp_strerror(send->error));
    }
    return UCS_ERR_IO_ERROR;
}

/*
 * A packet that fits into an element of a shared-memory lower's FIFO goes there
 * as a whole: the receiver waits for that line anyway, and for no other. If
 * the FIFO is full its number has been taken for nothing: numbers may be left
 * out, and the next message names the last one that was sent.
 */
static ucs_status_t uct_eesp_send_inline(uct_eesp_send_t *send)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(send->ep);
    uint8_t packet[UCT_EESP_INLINE_MAX];
    ucs_status_t status;
    uint64_t head;
    size_t length;

    send->error = eesp_seal(iface->lane, &send->channel->destination, send->iov,
                            send->iovcnt, packet, sizeof(packet), &length);
    if (ucs_unlikely(send->error != EESP_OK)) {
        return uct_eesp_send_failed(send);
    }

    memcpy(&head, packet, sizeof(head));
    status = uct_ep_am_short(send->ep->lower, send->lower_id, head,
                             packet + sizeof(head), length - sizeof(head));
    if (ucs_likely(status == UCS_OK)) {
        send->channel->last = eesp_lane_sequence(iface->lane);
    } else {
        eesp_lane_unsent(iface->lane);
    }
    return status;
}

static UCS_F_ALWAYS_INLINE ucs_status_t
uct_eesp_send_post(uct_eesp_send_t *send, uct_pack_callback_t pack_cb,
                   unsigned flags)
{
    ssize_t packed;

    uct_eesp_iface_check_ring(uct_eesp_ep_iface(send->ep));
    if (pack_cb == uct_eesp_pack_sealed &&
        send->length <= uct_eesp_ep_iface(send->ep)->max_inline) {
        return uct_eesp_send_inline(send);
    }
    send->error = EESP_OK;
    packed = uct_ep_am_bcopy(send->ep->lower, send->lower_id, pack_cb, send,
                             flags & ~UCT_SEND_FLAG_SIGNALED);
    if (ucs_unlikely(packed < 0)) {
        return (ucs_status_t)packed;
    }
    return ucs_likely(send->error == EESP_OK) ? UCS_OK :
                                                uct_eesp_send_failed(send);
}

ucs_status_t uct_eesp_ep_am_short(uct_ep_h tl_ep, uint8_t id, uint64_t header,
                                  const void *payload, unsigned length)
{
    uct_eesp_ep_t *ep    = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uint64_t head[2]     = {0, header};
    uct_eesp_send_t send = {.ep = ep, .iovcnt = 0};
    ucs_status_t status  = UCS_ERR_NO_RESOURCE;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_LENGTH(length + sizeof(header), 0,
                     uct_eesp_ep_iface(ep)->max_short, "am_short");

    uct_eesp_send_choose(&send, id);
    uct_eesp_enter(uct_eesp_ep_iface(ep));
    if (!uct_eesp_channel_blocked(send.channel)) {
        uct_eesp_head_fill(send.channel, id, head);
        uct_eesp_send_add(&send, head, sizeof(head));
        uct_eesp_send_add(&send, payload, length);
        status = uct_eesp_send_post(&send, uct_eesp_pack_sealed, 0);
    }
    uct_eesp_leave(uct_eesp_ep_iface(ep));
    return status;
}

/* Header (may be empty) and parts, behind the active-message id. */
static ucs_status_t uct_eesp_ep_am_parts(uct_eesp_ep_t *ep, uint8_t id,
                                         const void *header,
                                         size_t header_length,
                                         const uct_iov_t *iov, size_t iovcnt,
                                         unsigned flags)
{
    uint8_t head[EESP_AM_HEADER];
    uct_eesp_send_t send = {.ep = ep, .iovcnt = 0};
    ucs_status_t status  = UCS_ERR_NO_RESOURCE;
    size_t i;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_IOV_SIZE(iovcnt, (size_t)EESP_AM_MAX_IOV, "eesp am");
    UCT_CHECK_LENGTH(header_length + uct_iov_total_length(iov, iovcnt), 0,
                     uct_eesp_ep_iface(ep)->max_am, "eesp am");

    uct_eesp_send_choose(&send, id);
    uct_eesp_enter(uct_eesp_ep_iface(ep));
    if (!uct_eesp_channel_blocked(send.channel)) {
        uct_eesp_head_fill(send.channel, id, head);
        uct_eesp_send_add(&send, head, sizeof(head));
        uct_eesp_send_add(&send, header, header_length);
        for (i = 0; i < iovcnt; ++i) {
            uct_eesp_send_add(&send, iov[i].buffer,
                              uct_iov_get_length(&iov[i]));
        }
        status = uct_eesp_send_post(&send, uct_eesp_pack_sealed, flags);
    }
    uct_eesp_leave(uct_eesp_ep_iface(ep));
    return status;
}

ucs_status_t uct_eesp_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                      const uct_iov_t *iov, size_t iovcnt)
{
    UCT_CHECK_LENGTH(uct_iov_total_length(iov, iovcnt), 0,
                     ucs_derived_of(tl_ep->iface, uct_eesp_iface_t)->max_short,
                     "am_short_iov");
    return uct_eesp_ep_am_parts(ucs_derived_of(tl_ep, uct_eesp_ep_t), id, NULL,
                                0, iov, iovcnt, 0);
}

/* Sealed before it returns: the caller's memory is free at once. */
ucs_status_t uct_eesp_ep_am_zcopy(uct_ep_h tl_ep, uint8_t id,
                                  const void *header, unsigned header_length,
                                  const uct_iov_t *iov, size_t iovcnt,
                                  unsigned flags, uct_completion_t *comp)
{
    UCT_CHECK_LENGTH(header_length, 0,
                     ucs_derived_of(tl_ep->iface, uct_eesp_iface_t)->max_short,
                     "am_zcopy header");
    return uct_eesp_ep_am_parts(ucs_derived_of(tl_ep, uct_eesp_ep_t), id,
                                header, header_length, iov, iovcnt, flags);
}

/* Returns the length of the plaintext: UCP counts in it. */
ssize_t uct_eesp_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id,
                             uct_pack_callback_t pack_cb, void *arg,
                             unsigned flags)
{
    uct_eesp_ep_t *ep       = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    uct_eesp_send_t send    = {.ep = ep, .iovcnt = 0, .pack_cb = pack_cb,
                               .pack_arg = arg};
    ucs_status_t status     = UCS_ERR_NO_RESOURCE;

    UCT_CHECK_AM_ID(id);
    uct_eesp_send_choose(&send, id);
    uct_eesp_enter(iface);
    if (!uct_eesp_channel_blocked(send.channel)) {
        uct_eesp_head_fill(send.channel, id, iface->scratch);
        uct_eesp_send_add(&send, iface->scratch, EESP_AM_HEADER);
        status = uct_eesp_send_post(&send, uct_eesp_pack_bcopy, flags);
    }
    uct_eesp_leave(iface);
    return status == UCS_OK ?
           (ssize_t)(send.iov[0].iov_len - EESP_AM_HEADER) : (ssize_t)status;
}

ucs_status_t uct_eesp_ep_post(uct_eesp_ep_t *ep, uint8_t id, uint8_t lower_id,
                              const struct iovec *parts, unsigned count)
{
    uint8_t head[EESP_AM_HEADER];
    uct_eesp_send_t send = {.ep = ep, .channel = &ep->channels[0],
                            .lower_id = lower_id, .iovcnt = 0};
    unsigned i;

    uct_eesp_head_fill(send.channel, id, head);
    uct_eesp_send_add(&send, head, sizeof(head));
    for (i = 0; i < count; ++i) {
        uct_eesp_send_add(&send, parts[i].iov_base, parts[i].iov_len);
    }
    return uct_eesp_send_post(&send, uct_eesp_pack_sealed, 0);
}

ssize_t uct_eesp_ep_post_packed(uct_eesp_ep_t *ep, uint8_t id,
                                const void *message, size_t message_length,
                                uct_pack_callback_t pack_cb, void *arg)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    size_t front            = EESP_AM_HEADER + message_length;
    uct_eesp_send_t send    = {.ep = ep, .channel = &ep->channels[0],
                               .lower_id = EESP_AM_LOWER, .iovcnt = 0,
                               .pack_cb = pack_cb, .pack_arg = arg};
    ucs_status_t status;

    uct_eesp_head_fill(send.channel, id, iface->scratch);
    memcpy(iface->scratch + EESP_AM_HEADER, message, message_length);
    uct_eesp_send_add(&send, iface->scratch, front);
    status = uct_eesp_send_post(&send, uct_eesp_pack_bcopy, 0);
    return status == UCS_OK ? (ssize_t)(send.iov[0].iov_len - front) :
                              (ssize_t)status;
}
