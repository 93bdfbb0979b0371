/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uct_rma: put, get and atomics of eesp itself (UCX_EESP_RMA=y). The target has
 * no endpoint to the requester unless a group makes one, and makes progress as
 * the requester does.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uct_check.h"

enum { SIZE = 3 << 20, EDGE = 64, MANY = 64 };

static struct place places[2];
static struct side from, to;
static uct_ep_h ep;

/* The target's memory, with bytes around it that nobody may touch. */
static uint8_t *memory, *local;
static uct_mem_h memh, local_memh;
static uct_rkey_bundle_t rkey;
static uct_component_h component;

static uint8_t *window(void)
{
    return memory + EDGE;
}

static uint64_t remote(size_t offset)
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

static void open_window(unsigned access)
{
    uint8_t packed[64];

    check(places[1].md_attr.rkey_packed_size <= sizeof(packed), "long key");
    check_ok(uct_md_mem_reg(places[1].md, window(), SIZE, access, &memh));
    check_ok(uct_md_mkey_pack(places[1].md, memh, packed));
    check_ok(uct_rkey_unpack(component, packed, &rkey));
}

static void close_window(void)
{
    if (memh != NULL)
        check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    check_ok(uct_rkey_release(component, &rkey));
}

/* 0 after saying why the group does not apply. */
static int rma_open(unsigned access)
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

static void rma_close(void)
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

static unsigned done_calls;

static void done_call(uct_completion_t *comp)
{
    (void)comp;
    done_calls++;
}

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

static ucs_status_t flush(void)
{
    uct_completion_t comp;

    return FINISH(comp, uct_ep_flush(ep, 0, &comp));
}

static ucs_status_t iface_flush(void)
{
    ucs_status_t status;

    while ((status = uct_iface_flush(from.iface, 0, NULL)) == UCS_INPROGRESS)
        progress_all();
    return status;
}

struct source {
    const uint8_t *data;
    size_t length;
};

static size_t pack_source(void *to_, void *arg)
{
    const struct source *source = arg;

    memcpy(to_, source->data, source->length);
    return source->length;
}

static void unpack(void *to_, const void *data, size_t length)
{
    memcpy(to_, data, length);
}

enum kind { SHORT, BCOPY, ZCOPY, KINDS };

static ucs_status_t put(enum kind kind, size_t n, size_t offset,
                        uct_rkey_t key)
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

static ucs_status_t get(enum kind kind, size_t n, size_t offset,
                        uct_rkey_t key)
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

static size_t longest(enum kind kind, int is_get)
{
    size_t max = kind == SHORT ? from.attr.cap.put.max_short :
                 kind == BCOPY ? (is_get ? from.attr.cap.get.max_bcopy :
                                           from.attr.cap.put.max_bcopy) :
                                 (is_get ? from.attr.cap.get.max_zcopy :
                                           from.attr.cap.put.max_zcopy);

    return max < SIZE ? max : SIZE;
}

/* ---- Groups -------------------------------------------------------------- */

/* Put, flush, and look: what a flush says is done is there. */
void group_put(void)
{
    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (enum kind kind = SHORT; kind < KINDS; kind++) {
        size_t max = longest(kind, 0), n = 0;

        for (;;) {
            size_t offset = n % 61;

            stage("put of kind %d, %zu bytes", kind, n);
            pattern_fill(local, n, n + kind);
            memset(window(), 0x5a, offset + n + 1);
            check_ok(put(kind, n, offset, rkey.rkey));
            check_ok(n & 1 ? flush() : iface_flush());
            pattern_check(window() + offset, n, n + kind);
            check(window()[offset + n] == 0x5a, "one byte too far");
            check(offset == 0 || window()[offset - 1] == 0x5a, "before");
            if (n == max)
                break;
            n = n < 100 ? n + 1 : n * 9 / 7;
            n = n < max ? n : max;
        }
    }
    rma_close();
}

void group_get(void)
{
    static const size_t sizes[] = {1, 7, 8, 100, 2047, 2048, 2049, 4099, 65000,
                                   65536, 70001, 1 << 20, (3 << 20) - 77};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (enum kind kind = BCOPY; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            size_t n = sizes[i], offset = n % 61;

            if (n > longest(kind, 1))
                continue;
            stage("get of kind %d, %zu bytes", kind, n);
            pattern_fill(window() + offset, n, n + kind);
            memset(local, 0x5a, n + 1);
            check_ok(get(kind, n, offset, rkey.rkey));
            pattern_check(local, n, n + kind);
            check(local[n] == 0x5a, "one byte too far");
        }
    }
    check_ok(flush());
    rma_close();
}

/* Puts, active messages and gets in one order, and many at once: replies that
 * find no room wait, and a flush for all of them. */
void group_rma_many(void)
{
    enum { PART = SIZE / MANY };
    static uct_completion_t comps[MANY];
    size_t n = PART - 13;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    pattern_fill(window(), SIZE, 1);
    done_calls = 0;
    for (unsigned i = 0; i < MANY; i++) {
        uct_iov_t iov = {.buffer = local + i * PART, .length = n,
                         .memh = local_memh, .count = 1};
        ucs_status_t status;

        comps[i] = (uct_completion_t)COMPLETION;
        /* Only the requester makes progress: the target is busy. */
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, remote(i * PART),
                                          rkey.rkey, &comps[i])) ==
               UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    check_ok(flush());
    check(done_calls >= MANY, "%u of %u gets done after a flush", done_calls,
          MANY);
    for (unsigned i = 0; i < MANY; i++)
        check(memcmp(local + i * PART, window() + i * PART, n) == 0,
              "get %u has brought something else", i);

    for (unsigned i = 0; i < 500; i++) {
        pattern_fill(local, 8, i);
        check_ok(put(i & 1 ? SHORT : BCOPY, 8, 8 * i, rkey.rkey));
        if (i % 5 == 0)
            side_send(ep, 8, i);
    }
    side_expect(&to, 100);
    check_ok(iface_flush());
    for (unsigned i = 0; i < 500; i++)
        pattern_check(window() + 8 * i, 8, i);
    rma_close();
}

/* An active message is not seen before the put that was posted before it. */
void group_rma_order(void)
{
    static const size_t sizes[] = {8, 3000, 60000};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (unsigned i = 0; i < 300; i++) {
        size_t n = sizes[i % 3];
        uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                         .count = 1};
        uct_completion_t comp = COMPLETION;
        ucs_status_t status;

        pattern_fill(local, n, i);
        while ((status = uct_ep_put_zcopy(ep, &iov, 1, remote(i % 7), rkey.rkey,
                                          &comp)) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
        check_ok(uct_ep_fence(ep, 0));
        side_send(ep, 4, i);
        while (to.received == i)
            progress_all();
        pattern_check(window() + i % 7, n, i);
        while (comp.count != 0)
            progress_all();
        check_ok(comp.status);
    }
    rma_close();
}

/* What one side of a conversation reads, writes and says. */
struct talk {
    uct_ep_h ep;
    uct_rkey_bundle_t rkey;
    uint8_t *theirs, *mine; /* lower half: read, upper: written */
    uct_completion_t get, put[4];
    size_t at; /* of puts, piece after piece */
    unsigned said, puts;
};

enum { PIECE = SIZE / 2 / 64 };

static void talk_start(struct talk *talk, int i, uct_mem_h memh_)
{
    uint8_t packed[64];

    check_ok(uct_md_mkey_pack(places[!i].md, memh_, packed));
    check_ok(uct_rkey_unpack(component, packed, &talk->rkey));
    talk->get  = (uct_completion_t){.func = done_call};
    talk->said = 0;
    for (int k = 0; k < 4; k++)
        talk->put[k] = talk->get;
}

/* One try at each that is not under way. */
static void talk_on(struct talk *talk)
{
    uct_iov_t iov = {.buffer = talk->mine, .length = SIZE / 2, .count = 1};

    if (talk->get.count == 0) {
        talk->get = (uct_completion_t)COMPLETION;
        if (uct_ep_get_zcopy(talk->ep, &iov, 1, (uintptr_t)talk->theirs,
                             talk->rkey.rkey, &talk->get) != UCS_INPROGRESS)
            talk->get.count = 0;
    }
    for (int k = 0; k < 4; k++) {
        if (talk->put[k].count != 0)
            continue;
        iov.buffer   = talk->mine + talk->at;
        iov.length   = PIECE;
        talk->put[k] = (uct_completion_t)COMPLETION;
        if (uct_ep_put_zcopy(talk->ep, &iov, 1,
                             (uintptr_t)talk->theirs + SIZE / 2 + talk->at,
                             talk->rkey.rkey,
                             &talk->put[k]) != UCS_INPROGRESS) {
            talk->put[k].count = 0;
            break;
        }
        talk->at = (talk->at + PIECE) % (SIZE / 2);
        talk->puts++;
        progress_all();
    }
    if (side_try_send(talk->ep, 100, talk->said) == UCS_OK)
        talk->said++;
}

/* Each is requester and target, over endpoints that carry messages, too: gets of
 * both, puts and messages share them. Then the target's goes, in the middle. */
void group_rma_both(void)
{
    struct talk talks[2];
    uct_mem_h mine;
    uct_ep_h back;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    back = side_connect(&to, &from);
    check_ok(uct_md_mem_reg(places[0].md, local, SIZE, UCT_MD_MEM_ACCESS_ALL,
                            &mine));
    talks[0] = (struct talk){.ep = ep, .theirs = window(), .mine = local};
    talks[1] = (struct talk){.ep = back, .theirs = local, .mine = window()};
    pattern_fill(window(), SIZE / 2, 5);
    pattern_fill(local, SIZE / 2, 5);
    talk_start(&talks[0], 0, memh);
    talk_start(&talks[1], 1, mine);
    for (unsigned round = 0; talks[0].puts < 100 || talks[1].puts < 100;
         round++) {
        talk_on(&talks[round % 2]);
        progress_all();
    }
    /* The get of `ep` is answered over `back`, which goes while it is. */
    while (talks[0].get.count == 0)
        talk_on(&talks[0]);
    for (int i = 0; i < 20; i++)
        uct_worker_progress(places[1].worker);
    uct_ep_destroy(back);
    check_ok(flush());
    check(talks[0].get.count == 0, "the get is not done after a flush");
    check_ok(talks[0].get.status);
    stage("after the endpoint that answered");
    check_ok(get(ZCOPY, SIZE / 2, 0, rkey.rkey));
    check_ok(flush());
    pattern_check(local, SIZE / 2, 5);
    pattern_check(window(), SIZE / 2, 5);
    pattern_check(window() + SIZE / 2, SIZE / 2, 5);
    pattern_check(local + SIZE / 2, SIZE / 2, 5);
    check(to.received == talks[0].said, "%u of %u messages came", to.received,
          talks[0].said);
    for (int i = 0; i < 2; i++)
        check_ok(uct_rkey_release(component, &talks[i].rkey));
    check_ok(uct_md_mem_dereg(places[0].md, mine));
    rma_close();
}

/* ---- Atomics ------------------------------------------------------------- */

static uint64_t expected(unsigned op, uint64_t old, uint64_t value)
{
    switch (op) {
    case UCT_ATOMIC_OP_ADD:
        return old + value;
    case UCT_ATOMIC_OP_AND:
        return old & value;
    case UCT_ATOMIC_OP_OR:
        return old | value;
    case UCT_ATOMIC_OP_XOR:
        return old ^ value;
    default:
        return value;
    }
}

static void atomic_64(unsigned op, uint64_t value)
{
    uint64_t *word = (uint64_t *)window(), old = *word, result = 0;
    uct_completion_t comp;

    check_ok(FINISH(comp, uct_ep_atomic64_fetch(ep, op, value, &result,
                                                remote(0), rkey.rkey, &comp)));
    check(result == old, "fetched %lx, not %lx", result, old);
    check(*word == expected(op, old, value), "op %u: %lx", op, *word);
    if (op == UCT_ATOMIC_OP_SWAP)
        return;
    old = *word;
    check_ok(FINISH(comp, uct_ep_atomic64_post(ep, op, value, remote(0),
                                               rkey.rkey)));
    check_ok(flush());
    check(*word == expected(op, old, value), "posted op %u: %lx", op, *word);
}

static void atomic_32(unsigned op, uint32_t value)
{
    uint32_t *word = (uint32_t *)window(), old = *word, other = word[1];
    uint32_t result = 0;
    uct_completion_t comp;

    check_ok(FINISH(comp, uct_ep_atomic32_fetch(ep, op, value, &result,
                                                remote(0), rkey.rkey, &comp)));
    check(result == old, "fetched %x, not %x", result, old);
    check(*word == (uint32_t)expected(op, old, value), "op %u: %x", op, *word);
    if (op == UCT_ATOMIC_OP_SWAP)
        return;
    old = *word;
    check_ok(FINISH(comp, uct_ep_atomic32_post(ep, op, value, remote(0),
                                               rkey.rkey)));
    check_ok(iface_flush());
    check(*word == (uint32_t)expected(op, old, value), "posted %u: %x", op,
          *word);
    check(word[1] == other, "the word beside it has changed");
}

static void compare_and_swap(void)
{
    uint64_t *word = (uint64_t *)window(), result;
    uint32_t *half = (uint32_t *)window(), result32;
    uct_completion_t comp;

    *word = 17;
    check_ok(FINISH(comp, uct_ep_atomic_cswap64(ep, 18, 5, remote(0),
                                                rkey.rkey, &result, &comp)));
    check(result == 17 && *word == 17, "%lu %lu", result, *word);
    check_ok(FINISH(comp, uct_ep_atomic_cswap64(ep, 17, 1ul << 40, remote(0),
                                                rkey.rkey, &result, &comp)));
    check(result == 17 && *word == 1ul << 40, "%lu %lu", result, *word);
    *half = 17;
    check_ok(FINISH(comp, uct_ep_atomic_cswap32(ep, 18, 5, remote(0),
                                                rkey.rkey, &result32, &comp)));
    check(result32 == 17 && *half == 17, "%u %u", result32, *half);
    check_ok(FINISH(comp, uct_ep_atomic_cswap32(ep, 17, 5, remote(0),
                                                rkey.rkey, &result32, &comp)));
    check(result32 == 17 && *half == 5, "%u %u", result32, *half);
}

enum { ADDS = 3000 };

/* As UCP's emulation and the target's program add: by the CPU. */
static void *add_locally(void *word)
{
    for (unsigned i = 0; i < 100 * ADDS; i++)
        __atomic_fetch_add((uint64_t *)word, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

void group_atomics(void)
{
    uint64_t *word;
    pthread_t thread;
    uct_completion_t comp;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    memset(window(), 0x3c, 16);
    for (unsigned op = UCT_ATOMIC_OP_ADD; op <= UCT_ATOMIC_OP_SWAP; op++) {
        if (op == UCT_ATOMIC_OP_CSWAP)
            continue;
        stage("atomic %u", op);
        atomic_64(op, 0x0123456789abcdef);
        atomic_32(op, 0x89abcdef);
    }
    stage("compare and swap");
    compare_and_swap();

    stage("beside the CPU's own");
    word  = (uint64_t *)window();
    *word = 0;
    check(pthread_create(&thread, NULL, add_locally, word) == 0, "thread");
    for (unsigned i = 0; i < ADDS; i++)
        check_ok(FINISH(comp, uct_ep_atomic64_post(ep, UCT_ATOMIC_OP_ADD, 1,
                                                   remote(0), rkey.rkey)));
    check_ok(flush());
    pthread_join(thread, NULL);
    check(*word == 101 * ADDS, "%lu, not %u", *word, 101 * ADDS);
    rma_close();
}

/* ---- Refused ------------------------------------------------------------- */

/* That this is refused, and changes nothing at the target. */
static void refused_put(size_t n, size_t offset, uct_rkey_t key)
{
    memset(local, 0x11, n);
    for (enum kind kind = SHORT; kind < KINDS; kind++) {
        ucs_status_t status;

        if (n > longest(kind, 0))
            continue;
        stage("refused put of kind %d, %zu bytes at %zu", kind, n, offset);
        status = put(kind, n, offset, key);
        if (kind == ZCOPY) {
            check(status < 0, "put: %s", ucs_status_string(status));
            check_ok(flush()); /* told already */
        } else {
            check_ok(status);
            status = kind == SHORT ? flush() : iface_flush();
            check(status < 0, "flush after put: %s", ucs_status_string(status));
            check_ok(flush());
            check_ok(iface_flush());
        }
    }
}

static void refused(size_t n, size_t offset, uct_rkey_t key)
{
    size_t word     = offset > SIZE ? offset : offset + n - 8;
    uint64_t result = 7;
    uct_completion_t comp;
    ucs_status_t status;

    refused_put(n, offset, key);
    memset(local, 0x22, n);
    for (enum kind kind = BCOPY; kind < KINDS; kind++) {
        if (n > longest(kind, 1))
            continue;
        stage("refused get of kind %d, %zu bytes at %zu", kind, n, offset);
        status = get(kind, n, offset, key);
        check(status < 0, "get: %s", ucs_status_string(status));
        check(local[0] == 0x22 && local[n - 1] == 0x22, "it brought something");
    }
    if (n < 8)
        return;
    stage("refused atomics");
    status = FINISH(comp, uct_ep_atomic64_fetch(ep, UCT_ATOMIC_OP_ADD, 1,
                                                &result, remote(word), key,
                                                &comp));
    check(status < 0 && result == 7, "fetch: %s", ucs_status_string(status));
    check_ok(FINISH(comp, uct_ep_atomic64_post(ep, UCT_ATOMIC_OP_ADD, 1,
                                               remote(word), key)));
    check(flush() < 0, "flush after a refused atomic");
}

static void check_untouched(void)
{
    for (size_t i = 0; i < SIZE + 2 * EDGE; i++)
        check(memory[i] == 0xa5, "byte %zu was written", i);
}

void group_refused(void)
{
    uint8_t wrong[64];
    uct_rkey_bundle_t other;
    static const size_t sizes[] = {8, 2048, 5000, 60000};

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    for (unsigned i = 0; i < 4; i++) {
        size_t n = sizes[i];

        refused(n, SIZE - n + 8, rkey.rkey);  /* ends outside */
        refused(n, (size_t)-8, rkey.rkey);    /* begins outside */
        refused(n, SIZE + 4096, rkey.rkey);
        refused(n, (size_t)1 << 63, rkey.rkey);
    }
    refused(8, SIZE - 8 + 1, rkey.rkey);

    /* Each bit of a key matters. */
    check_ok(uct_md_mkey_pack(places[1].md, memh, wrong));
    for (unsigned bit = 0; bit < 8 * places[1].md_attr.rkey_packed_size;
         bit += 7) {
        wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_ok(uct_rkey_unpack(component, wrong, &other));
        refused(3000, 0, other.rkey);
        check_ok(uct_rkey_release(component, &other));
        wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    check_untouched();

    /* After all that the endpoint still works. */
    pattern_fill(local, 5000, 3);
    check_ok(put(ZCOPY, 5000, 0, rkey.rkey));
    pattern_check(window(), 5000, 3);
    memset(window(), 0xa5, 5000);

    /* A region that is gone, and one of other rights. */
    check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    refused(8, 0, rkey.rkey);
    refused(60000, 0, rkey.rkey);
    check_ok(uct_rkey_release(component, &rkey));
    open_window(UCT_MD_MEM_ACCESS_REMOTE_GET);
    refused_put(5000, 0, rkey.rkey);
    refused_put(8, 0, rkey.rkey);
    check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
    close_window();
    open_window(UCT_MD_MEM_ACCESS_REMOTE_PUT);
    check(get(ZCOPY, 5000, 0, rkey.rkey) < 0, "got what may be put only");
    check(get(BCOPY, 8, 0, rkey.rkey) < 0, "got what may be put only");
    check_untouched();
    rma_close();
}

/* Deregistered while it is read: gets end with an error, and bring nothing of
 * what lies there later. The lower is full of replies that nobody takes. */
void group_invalidated(void)
{
    enum { GETS = 12 };
    static uct_completion_t comps[GETS];
    uct_iov_t iov = {.count = 1, .length = SIZE};
    ucs_status_t status;
    unsigned refused_gets = 0;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    check_ok(put(SHORT, 8, 0, rkey.rkey)); /* connected */
    check_ok(flush());
    iov.buffer = local;
    iov.memh   = local_memh;
    memset(window(), 0x66, SIZE);
    for (unsigned i = 0; i < GETS; i++) {
        comps[i] = (uct_completion_t)COMPLETION;
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                          &comps[i])) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    for (unsigned i = 0; i < 2000; i++)
        uct_worker_progress(places[1].worker);
    check_ok(uct_md_mem_dereg(places[1].md, memh));
    memh = NULL;
    memset(window(), 0x77, SIZE);
    check_ok(flush());
    for (unsigned i = 0; i < GETS; i++) {
        check(comps[i].count == 0, "get %u did not end", i);
        refused_gets += comps[i].status != UCS_OK;
    }
    check(refused_gets > 0, "%u gets of memory that was gone", GETS);
    for (size_t i = 0; i < SIZE; i++)
        check(local[i] != 0x77, "byte %zu came after deregistration", i);
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    rma_close();
}

/* ---- Ends ----------------------------------------------------------------- */

/* A flush with CANCEL, and an endpoint that is destroyed: completions come. */
void group_cancelled(void)
{
    static uct_completion_t comps[MANY];
    uct_iov_t iov = {.count = 1, .length = 5000};
    unsigned posted;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    iov.buffer = local;
    iov.memh   = local_memh;
    for (int round = 0; round < 2; round++) {
        done_calls = 0;
        for (posted = 0; posted < MANY; posted++) {
            comps[posted] = (uct_completion_t)COMPLETION;
            if (uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                 &comps[posted]) != UCS_INPROGRESS)
                break;
        }
        if (round == 0) {
            ucs_status_t status = uct_ep_flush(ep, UCT_FLUSH_FLAG_CANCEL, NULL);

            /* What the lower says of its own part. */
            check(status == UCS_OK || status == UCS_ERR_NO_RESOURCE, "%s",
                  ucs_status_string(status));
            check(done_calls == posted, "%u of %u", done_calls, posted);
        }
        uct_ep_destroy(ep);
        check(done_calls == posted, "%u of %u", done_calls, posted);
        for (unsigned i = 0; i < posted; i++)
            check(comps[i].status == UCS_ERR_CANCELED, "%s",
                  ucs_status_string(comps[i].status));
        /* Late replies find nobody, and another endpoint works. */
        ep = side_connect(&from, &to);
        pattern_fill(window(), 5000, 4);
        check_ok(get(ZCOPY, 5000, 0, rkey.rkey));
        pattern_check(local, 5000, 4);
    }
    memset(memory, 0xa5, SIZE + 2 * EDGE);
    rma_close();
}

static void arm(const struct side *side)
{
    while (uct_iface_event_arm(side->iface, UCT_EVENT_RECV |
                                                UCT_EVENT_SEND_COMP) ==
           UCS_ERR_BUSY)
        while (uct_worker_progress(side->place->worker) != 0)
            ;
}

/* Both sleep until the other has something for them. */
void group_rma_event(void)
{
    int fds[2];

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    if (!(from.attr.cap.event_flags & UCT_IFACE_FLAG_EVENT_FD)) {
        skipped("this lower has no event file");
        rma_close();
        return;
    }
    check_ok(get(ZCOPY, 8, 0, rkey.rkey)); /* connected */
    check_ok(uct_iface_event_fd_get(from.iface, &fds[0]));
    check_ok(uct_iface_event_fd_get(to.iface, &fds[1]));
    for (unsigned i = 0; i < 100; i++) {
        size_t n = i % 2 ? 8 : 50000;
        uct_iov_t iov = {.buffer = local, .length = n, .memh = local_memh,
                         .count = 1};
        uct_completion_t comp = COMPLETION;
        ucs_status_t status;

        stage("asleep before request %u", i);
        pattern_fill(i % 4 < 2 ? window() : local, n, i);
        arm(&to);
        status = i % 4 < 2 ? uct_ep_get_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                              &comp) :
                             uct_ep_put_zcopy(ep, &iov, 1, remote(0), rkey.rkey,
                                              &comp);
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
        while (comp.count != 0) {
            struct pollfd polls[2] = {{.fd = fds[0], .events = POLLIN},
                                      {.fd = fds[1], .events = POLLIN}};

            while (uct_worker_progress(places[0].worker) != 0)
                ;
            if (comp.count == 0)
                break;
            arm(&from);
            arm(&to);
            if (comp.count == 0)
                break;
            check(poll(polls, 2, 5000) > 0, "no wakeup in 5 s");
            if (polls[1].revents)
                while (uct_worker_progress(places[1].worker) != 0)
                    ;
        }
        check_ok(comp.status);
        pattern_check(i % 4 < 2 ? local : window(), n, i);
    }
    memset(window(), 0xa5, SIZE);
    rma_close();
}

/* What the requester needs to know. */
struct offer {
    struct address address;
    uint64_t at;
    uint8_t key[64];
};

/* Serves until it is killed. */
static void serve_forever(const struct pair *pair)
{
    struct offer offer;

    pattern_fill(window(), SIZE, 6);
    side_address(&to, &offer.address);
    offer.at = remote(0);
    check_ok(uct_md_mkey_pack(places[1].md, memh, offer.key));
    pair_put(pair, &offer, sizeof(offer));
    for (;;)
        progress_all();
}

/* The target is killed while it answers: what was asked ends with an error, and
 * what had arrived is right. */
void group_killed(void)
{
    static uct_completion_t comps[MANY];
    uct_iov_t iov = {.count = 1, .length = SIZE};
    struct pair pair;
    struct offer *offer;
    ucs_status_t status;
    size_t length;
    int tries = 0, wait_status;

    pair_of_check(&pair);
    if (!rma_open(UCT_MD_MEM_ACCESS_ALL)) {
        if (pair.side == 1)
            exit(0);
        pair_finish(&pair);
        return;
    }
    if (pair.side == 1)
        serve_forever(&pair);

    offer = pair_get(&pair, &length);
    uct_ep_destroy(ep);
    check_ok(side_try_connect(&from, &offer->address, &ep));
    check_ok(uct_rkey_release(component, &rkey));
    check_ok(uct_rkey_unpack(component, offer->key, &rkey));
    iov.buffer = local;
    iov.memh   = local_memh;
    done_calls = 0;
    for (unsigned i = 0; i < MANY; i++) {
        comps[i] = (uct_completion_t)COMPLETION;
        while ((status = uct_ep_get_zcopy(ep, &iov, 1, offer->at, rkey.rkey,
                                          &comps[i])) == UCS_ERR_NO_RESOURCE)
            progress_all();
        check(status == UCS_INPROGRESS, "%s", ucs_status_string(status));
    }
    while (done_calls == 0)
        progress_all();
    check(kill(pair.peer, SIGKILL) == 0, "kill");
    check(waitpid(pair.peer, &wait_status, 0) == pair.peer, "waitpid");
    while (from.errors == 0 && done_calls < MANY) {
        progress_all();
        if (tries++ % 1000 == 0)
            (void)uct_ep_check(ep, 0, NULL);
    }
    check(done_calls < MANY, "all of it had come before");
    (void)uct_ep_flush(ep, UCT_FLUSH_FLAG_CANCEL, NULL);
    check(done_calls == MANY, "%u of %u ended", done_calls, MANY);
    for (unsigned i = 0; i < MANY; i++)
        check(comps[i].status == UCS_OK ||
                  comps[i].status == UCS_ERR_CANCELED, "%s",
              ucs_status_string(comps[i].status));
    pattern_check(local, SIZE, 6);
    free(offer);
    rma_close();
}
