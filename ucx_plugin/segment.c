/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment: how long the lower's messages, and so our packets, are at most.
 *
 * One packet is one key, one nonce, one ICV and one hand-over from core to
 * core, so bandwidth wants long segments. UCP cuts a message into segments, of
 * which one is sealed while the one before is opened: that overlap, which is
 * what latency wants, exists from the second segment on. bench/segments shows
 * both. UCX's own default on shared memory, 8 KiB, is best for neither once
 * data is sealed. (How long the packets of a get's data are: rma_job.c.)
 */
#include "plugin.h"

#include <ucs/sys/math.h>
#include <ucs/sys/string.h>

#define UCT_EESP_SEG_MIN 512
#define UCT_EESP_SEG_MAX 1048576
/* A shared-memory lower's FIFO has 16 bits for a length, and checks nothing. */
#define UCT_EESP_SEG_SHM_MAX 65472
/* Not 64 KiB behind one another: those lines would fall into the same cache sets,
 * and the receiver's segments would drive each other out of the caches. */
#define UCT_EESP_SEG_SHM     63936

/* 32 KiB and what UCP puts before them: a message of 64 KiB is sent in two. */
#define UCT_EESP_AM_SHM      33024

typedef struct uct_eesp_segment {
    const char *tl_name;
    const char *variable;  /* of the lower, behind UCX_POSIX_ for MM_ */
    const char *untouched; /* its value where the user has not set it */
    size_t     auto_size;
    size_t     max;
} uct_eesp_segment_t;

static const uct_eesp_segment_t uct_eesp_segments[] = {
    {"posix", "MM_SEG_SIZE", "8256", UCT_EESP_SEG_SHM,
     UCT_EESP_SEG_SHM_MAX},
    {"sysv", "MM_SEG_SIZE", "8256", UCT_EESP_SEG_SHM,
     UCT_EESP_SEG_SHM_MAX},
    {"tcp", "TX_SEG_SIZE", "8K", UCT_EESP_SEG_DEFAULT, UCT_EESP_SEG_MAX}
};

static const uct_eesp_segment_t *uct_eesp_segment_find(const char *tl_name)
{
    unsigned i;

    for (i = 0; i < ucs_static_array_size(uct_eesp_segments); ++i) {
        if (!strcmp(uct_eesp_segments[i].tl_name, tl_name)) {
            return &uct_eesp_segments[i];
        }
    }
    return NULL;
}

static int uct_eesp_segment_is_untouched(uct_iface_config_t *config,
                                         const char *variable,
                                         const char *untouched)
{
    char value[32];

    return (uct_config_get(config, variable, value, sizeof(value)) ==
            UCS_OK) && !strcmp(value, untouched);
}

static ucs_status_t uct_eesp_segment_modify(uct_iface_config_t *config,
                                            const char *variable, size_t size)
{
    char value[32];

    ucs_snprintf_safe(value, sizeof(value), "%zu", size);
    return uct_config_modify(config, variable, value);
}

/* What comes with a segment size in the lower's other variables. */
static ucs_status_t uct_eesp_segment_follow(uct_iface_config_t *config,
                                            const uct_eesp_segment_t *segment,
                                            size_t size)
{
    if (!strcmp(segment->tl_name, "tcp")) {
        /* Peers may send up to the default, whatever is sent here. */
        return uct_eesp_segment_modify(config, "RX_SEG_SIZE",
                                       ucs_max(size, UCT_EESP_SEG_DEFAULT));
    }
    /* One for each of the FIFO's 64 elements and some: 512, UCX's default, of
     * 64 KiB would take 32 MiB of each process. */
    return uct_eesp_segment_is_untouched(config, "MM_RX_BUFS_GROW", "512") ?
           uct_eesp_segment_modify(config, "MM_RX_BUFS_GROW", 80) : UCS_OK;
}

/* What is sent is the user's word about the lower; what peers send by default is
 * taken all the same, unless there is a word about that, too. */
static ucs_status_t uct_eesp_segment_receive(uct_iface_config_t *config,
                                             const uct_eesp_segment_t *segment)
{
    if (strcmp(segment->tl_name, "tcp") ||
        !uct_eesp_segment_is_untouched(config, "RX_SEG_SIZE", "64K")) {
        return UCS_OK;
    }
    return uct_eesp_segment_modify(config, "RX_SEG_SIZE", UCT_EESP_SEG_DEFAULT);
}

ucs_status_t uct_eesp_segment_set(uct_iface_config_t *config,
                                  const char *tl_name, size_t seg_size)
{
    const uct_eesp_segment_t *segment = uct_eesp_segment_find(tl_name);
    ucs_status_t status;

    if ((seg_size != UCS_MEMUNITS_AUTO) &&
        ((seg_size < UCT_EESP_SEG_MIN) || (seg_size > UCT_EESP_SEG_MAX))) {
        uct_eesp_refuse("UCX_EESP_SEG_SIZE is %zu: must be from %u to %u, or "
                        "auto", seg_size, UCT_EESP_SEG_MIN, UCT_EESP_SEG_MAX);
        return UCS_ERR_INVALID_PARAM;
    }
    if (segment == NULL) {
        return UCS_OK;
    }

    if (seg_size == UCS_MEMUNITS_AUTO) {
        if (!uct_eesp_segment_is_untouched(config, segment->variable,
                                           segment->untouched)) {
            return uct_eesp_segment_receive(config, segment);
        }
        seg_size = segment->auto_size;
    }

    seg_size = ucs_min(seg_size, segment->max);
    status   = uct_eesp_segment_modify(config, segment->variable, seg_size);
    return (status == UCS_OK) ?
           uct_eesp_segment_follow(config, segment, seg_size) : status;
}

/*
 * Longest active message of UCP's. Over shared memory, unless the user has said
 * how long segments are, half of one: one half is sealed while the other is
 * opened. (A get's data comes in whole segments as long as there is enough.)
 */
size_t uct_eesp_segment_am(const uct_eesp_lower_t *lower, size_t seg_size,
                           size_t max_packet, size_t max_data)
{
    if ((seg_size != UCS_MEMUNITS_AUTO) || (max_packet != UCT_EESP_SEG_SHM) ||
        (lower->resource.dev_type != UCT_DEVICE_TYPE_SHM)) {
        return max_data;
    }
    return ucs_min(max_data, UCT_EESP_AM_SHM);
}

/*
 * Longest packets to send and to take, in whole units of an address, so that
 * both sides of a connection compare the same numbers.
 */
void uct_eesp_segment_limits(const uct_eesp_lower_t *lower,
                             const uct_iface_attr_t *attr, size_t *send_p,
                             size_t *receive_p)
{
    size_t max = UCT_EESP_ADDRESS_UNIT * UINT16_MAX;

    if (lower->resource.dev_type == UCT_DEVICE_TYPE_SHM) {
        max = UINT16_MAX;
    }
    /* tcp's zcopy limit is what its receive buffers take. */
    *send_p    = ucs_align_down(ucs_min(attr->cap.am.max_bcopy, max),
                                UCT_EESP_ADDRESS_UNIT);
    *receive_p = ucs_align_down(ucs_min(ucs_max(attr->cap.am.max_bcopy,
                                                attr->cap.am.max_zcopy), max),
                                UCT_EESP_ADDRESS_UNIT);
}
