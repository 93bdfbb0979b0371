/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_am: active messages of each kind, their limits, and where they lie. */
#include <stdlib.h>
#include <string.h>

#include "uct_check.h"

static struct two two;

static const uct_iface_attr_t *limits(void)
{
    return &two.sides[0].attr;
}

/* ---- Each kind ---------------------------------------------------------- */

static ucs_status_t try_short(size_t n, uint64_t seed)
{
    uint64_t header;
    uint8_t *out = allocate(n);
    ucs_status_t status;

    pattern_fill(out, n, seed);
    memcpy(&header, out, sizeof(header));
    status = uct_ep_am_short(two.eps[0], SIDE_AM, header, out + sizeof(header),
                             (unsigned)(n - sizeof(header)));
    memset(out, 0, n); /* it is the caller's again */
    free(out);
    return status;
}

/* Splits n bytes into parts of uneven length, the second of three empty. */
static void split(uct_iov_t *iov, size_t parts, void *data, size_t n,
                  uct_mem_h memh)
{
    size_t at = 0;

    for (size_t i = 0; i < parts; i++) {
        size_t length = n - at;

        if (i == 1 && parts > 2)
            length = 0;
        else if (i + 1 < parts)
            length /= parts - i;
        iov[i] = (uct_iov_t){.buffer = (char *)data + at, .length = length,
                             .memh = memh, .count = 1};
        at += length;
    }
}

static ucs_status_t try_short_iov(size_t n, size_t parts, uint64_t seed)
{
    uct_iov_t iov[64];
    void *out = allocate(n);
    ucs_status_t status;

    pattern_fill(out, n, seed);
    split(iov, parts, out, n, UCT_MEM_HANDLE_NULL);
    status = uct_ep_am_short_iov(two.eps[0], SIDE_AM, iov, parts);
    free(out);
    return status;
}

static void zcopy_done(uct_completion_t *completion)
{
    (void)completion;
}

static ucs_status_t try_zcopy(size_t header, size_t n, size_t parts,
                              uint64_t seed)
{
    uct_completion_t done = {.func = zcopy_done, .count = 2, .status = UCS_OK};
    uct_md_h md           = two.places[0].md;
    size_t length         = header + n + 1; /* nothing cannot be registered */
    uint8_t *out          = allocate(length);
    uct_iov_t iov[64];
    ucs_status_t status;
    uct_mem_h memh;

    pattern_fill(out, header + n, seed);
    check_ok(uct_md_mem_reg(md, out, length, UCT_MD_MEM_ACCESS_ALL, &memh));
    split(iov, parts, out + header, n, memh);
    status = uct_ep_am_zcopy(two.eps[0], SIDE_AM, out, (unsigned)header, iov,
                             parts, 0, &done);
    if (status == UCS_INPROGRESS) {
        while (done.count == 2)
            progress_all();
        status = done.status;
    }
    check_ok(uct_md_mem_dereg(md, memh));
    free(out);
    return status;
}

/* Sends until there is room, and looks at what came. */
#define DELIVER(n, seed, call)                                                 \
    do {                                                                       \
        ucs_status_t deliver_status;                                           \
        unsigned deliver_count = two.sides[1].received;                        \
        stage("%s", #call);                                                    \
        while ((deliver_status = (call)) == UCS_ERR_NO_RESOURCE)               \
            progress_all();                                                    \
        check(deliver_status == UCS_OK, "%zu bytes: %s", (size_t)(n),          \
              ucs_status_string(deliver_status));                              \
        side_expect(&two.sides[1], deliver_count + 1);                         \
        side_check_last(&two.sides[1], n, seed);                               \
    } while (0)

void group_short(void)
{
    size_t max;

    two_open(&two, NULL);
    max = limits()->cap.am.max_short;
    for (size_t n = 8; n <= max; n += n < 300 ? 1 : 97)
        DELIVER(n, n, try_short(n, n));
    for (size_t n = 0; n <= max; n += n < 100 ? 1 : 97)
        for (size_t parts = 1; parts <= limits()->cap.am.max_iov; parts += 5)
            DELIVER(n, n, try_short_iov(n, parts, n));
    two_close(&two);
}

void group_bcopy(void)
{
    size_t max;

    two_open(&two, NULL);
    max = limits()->cap.am.max_bcopy;
    for (size_t n = 0; n <= max; n += n < 200 ? 1 : 991)
        DELIVER(n, n, side_try_send(two.eps[0], n, n));
    two_close(&two);
}

void group_zcopy(void)
{
    size_t max, headers[3];

    two_open(&two, NULL);
    max        = limits()->cap.am.max_zcopy;
    headers[0] = 0;
    headers[1] = 13;
    headers[2] = limits()->cap.am.max_hdr;
    for (size_t h = 0; h < 3; h++)
        for (size_t n = 0; headers[h] + n <= max; n += n < 40 ? 1 : 1999)
            for (size_t parts = 1; parts <= limits()->cap.am.max_iov; parts += 5)
                DELIVER(headers[h] + n, n, try_zcopy(headers[h], n, parts, n));
    two_close(&two);
}

/* ---- Limits ------------------------------------------------------------- */

#define REFUSED(call)                                                          \
    do {                                                                       \
        ucs_status_t refused_status = (call);                                  \
        stage("%s", #call);                                                    \
        check(refused_status == UCS_ERR_INVALID_PARAM, "%s",                   \
              ucs_status_string(refused_status));                              \
    } while (0)

void group_limits(void)
{
    const uct_iface_attr_t *attr;
    size_t iov, hdr, zcopy;

    two_open(&two, NULL);
    attr  = limits();
    iov   = attr->cap.am.max_iov;
    hdr   = attr->cap.am.max_hdr;
    zcopy = attr->cap.am.max_zcopy;
    check(attr->cap.am.max_short >= 64 && attr->cap.am.max_bcopy >= 1024 &&
              zcopy >= 1024 && iov >= 1 && iov < 60 && hdr >= 64,
          "limits of %zu, %zu, %zu bytes, %zu parts", attr->cap.am.max_short,
          attr->cap.am.max_bcopy, zcopy, iov);

    DELIVER(attr->cap.am.max_short, 1, try_short(attr->cap.am.max_short, 1));
    REFUSED(try_short(attr->cap.am.max_short + 1, 1));
    DELIVER(attr->cap.am.max_short, 2,
            try_short_iov(attr->cap.am.max_short, 3, 2));
    REFUSED(try_short_iov(attr->cap.am.max_short + 1, 3, 2));
    DELIVER(attr->cap.am.max_bcopy, 3,
            side_try_send(two.eps[0], attr->cap.am.max_bcopy, 3));
    DELIVER(zcopy, 4, try_zcopy(0, zcopy, 1, 4));
    REFUSED(try_zcopy(0, zcopy + 1, 1, 4));
    DELIVER(zcopy, 5, try_zcopy(hdr, zcopy - hdr, 2, 5));
    REFUSED(try_zcopy(hdr, zcopy - hdr + 1, 2, 5));
    DELIVER(hdr, 6, try_zcopy(hdr, 0, 1, 6));
    REFUSED(try_zcopy(hdr + 1, 0, 1, 6));
    DELIVER(500, 7, try_zcopy(10, 490, iov, 7));
    REFUSED(try_zcopy(10, 490, iov + 1, 7));
    DELIVER(500, 8, try_short_iov(500, iov, 8));
    REFUSED(try_short_iov(500, iov + 1, 8));

    /* Nothing of what was refused has come, and the endpoint still works. */
    DELIVER(9, 9, side_try_send(two.eps[0], 9, 9));
    two_close(&two);
}

/* ---- Ids ---------------------------------------------------------------- */

static unsigned ids_came[UCT_AM_ID_MAX];

static ucs_status_t id_came(void *arg, void *data, size_t length,
                            unsigned flags)
{
    (void)data, (void)length, (void)flags;
    ++*(unsigned *)arg;
    return UCS_OK;
}

void group_ids(void)
{
    two_open(&two, NULL);
    for (unsigned id = 0; id < UCT_AM_ID_MAX; id++) {
        ids_came[id] = 0;
        check_ok(uct_iface_set_am_handler(two.sides[1].iface, (uint8_t)id,
                                          id_came, &ids_came[id], 0));
    }
    for (unsigned id = 0; id < UCT_AM_ID_MAX; id++) {
        while (uct_ep_am_short(two.eps[0], (uint8_t)id, 0, NULL, 0) ==
               UCS_ERR_NO_RESOURCE)
            progress_all();
        while (ids_came[id] == 0)
            progress_all();
    }
    for (unsigned id = 0; id < UCT_AM_ID_MAX; id++)
        check(ids_came[id] == 1, "id %u came %u times", id, ids_came[id]);
    REFUSED(uct_ep_am_short(two.eps[0], UCT_AM_ID_MAX, 0, NULL, 0));
    two_close(&two);
}

/* ---- Received data ------------------------------------------------------ */

static struct side_options wanted;
static unsigned descriptors;

static ucs_status_t look(struct side *side, void *data, size_t length,
                         unsigned flags)
{
    pattern_check(data, length, side->received);
    if (!(flags & UCT_CB_PARAM_FLAG_DESC))
        return UCS_OK;
    descriptors++;
    check(wanted.alignment == 0 ||
              ((uintptr_t)data + wanted.align_offset) % wanted.alignment == 0,
          "data at %p: not aligned to %zu at %zu", data, wanted.alignment,
          wanted.align_offset);
    memset((char *)data - wanted.headroom, 0x11, wanted.headroom);
    pattern_check(data, length, side->received);
    if (side->received % 2 == 0)
        return UCS_OK;
    uct_iface_release_desc((char *)data - wanted.headroom);
    return UCS_INPROGRESS;
}

/* Messages that are given as descriptors, so large that they are. */
static void look_at_descriptors(void)
{
    two_open(&two, &wanted);
    two.sides[1].receive = look;
    descriptors          = 0;
    for (unsigned i = 1; i <= 40; i++)
        side_send(two.eps[0], limits()->cap.am.max_bcopy - i % 8, i);
    side_expect(&two.sides[1], 40);
    check(descriptors > 0, "no message came as a descriptor");
    two_close(&two);
}

void group_headroom(void)
{
    static const size_t headrooms[] = {0, 8, 64, 200};

    for (size_t i = 0; i < sizeof(headrooms) / sizeof(headrooms[0]); i++) {
        stage("headroom %zu", headrooms[i]);
        wanted = (struct side_options){.headroom = headrooms[i]};
        look_at_descriptors();
    }
}

void group_alignment(void)
{
    static const size_t headrooms[] = {0, 8, 64};

    for (size_t alignment = 1; alignment <= 4096; alignment *= 8)
        for (size_t part = 0; part < 4; part++)
            for (size_t h = 0; h < 3; h++) {
                /* Then UCX's own memory pool is not aligned. */
                if (alignment * part / 4 % 8 != 0 &&
                    getenv("EESP_TEST_SANITIZED") != NULL)
                    continue;
                stage("alignment %zu, offset %zu, headroom %zu", alignment,
                      alignment * part / 4, headrooms[h]);
                wanted = (struct side_options){
                    .headroom     = headrooms[h],
                    .alignment    = alignment,
                    .align_offset = alignment * part / 4,
                };
                look_at_descriptors();
            }
}

/* ---- Kept --------------------------------------------------------------- */

#define KEPT 4000

static struct {
    void *data;
    unsigned number;
} kept[KEPT];
static unsigned num_kept;

static ucs_status_t keep(struct side *side, void *data, size_t length,
                         unsigned flags)
{
    pattern_check(data, length, side->received);
    if (!(flags & UCT_CB_PARAM_FLAG_DESC) || num_kept == KEPT)
        return UCS_OK;
    kept[num_kept].data     = data;
    kept[num_kept++].number = side->received;
    return UCS_INPROGRESS;
}

static void release(unsigned i, size_t n)
{
    pattern_check(kept[i].data, n, kept[i].number);
    uct_iface_release_desc((char *)kept[i].data - wanted.headroom);
}

/* Thousands of descriptors kept and released in another order, twice: the
 * second time the memory must come from the first. */
void group_kept(void)
{
    long first = 0;
    size_t n;

    wanted = (struct side_options){.headroom = 64};
    two_open(&two, &wanted);
    n = limits()->cap.am.max_bcopy / 4;
    for (int round = 0; round < 2; round++) {
        num_kept               = 0;
        two.sides[1].received  = 0;
        two.sides[1].receive   = keep;
        for (unsigned i = 1; i <= KEPT; i++)
            side_send(two.eps[0], n, i);
        side_expect(&two.sides[1], KEPT);
        check(num_kept > KEPT / 2, "only %u were descriptors", num_kept);
        for (unsigned i = 0; i < num_kept; i += 2)
            release(i, n);
        for (unsigned i = num_kept; i-- > 0;)
            if (i % 2 == 1)
                release(i, n);
        if (round == 0)
            first = resident();
    }
    check_growth(first, 2048);
    two_close(&two);
}
