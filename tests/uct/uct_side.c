/* SPDX-License-Identifier: BSD-3-Clause */
#include "uct_side.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8
#define NO_ROOM_TRIES 2000 /* so often in a row: it is not only slow */
#define FILL_MAX 200000

static struct place *places[PLACES];

void skipped(const char *why)
{
    printf("skipped: %s\n", why);
}

/* ---- Place -------------------------------------------------------------- */

static uct_component_h find_component(void)
{
    uct_component_attr_t attr  = {.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME};
    uct_component_h *components, found = NULL;
    unsigned count;

    check_ok(uct_query_components(&components, &count));
    for (unsigned i = 0; i < count; i++) {
        check_ok(uct_component_query(components[i], &attr));
        if (strcmp(attr.name, "eesp") == 0)
            found = components[i];
    }
    uct_release_component_list(components);
    check(found != NULL, "UCT knows no component eesp: is it preloaded?");
    return found;
}

/* Loopback, where there are several. */
static void choose_device(struct place *place)
{
    uct_tl_resource_desc_t *resources;
    unsigned count;

    check_ok(uct_md_query_tl_resources(place->md, &resources, &count));
    check(count > 0, "no device");
    strcpy(place->device, resources[0].dev_name);
    for (unsigned i = 0; i < count; i++) {
        check(strcmp(resources[i].tl_name, "eesp") == 0, "transport %s",
              resources[i].tl_name);
        if (strcmp(resources[i].dev_name, "lo") == 0)
            strcpy(place->device, "lo");
    }
    uct_release_tl_resource_list(resources);
}

ucs_status_t place_try_md(uct_md_h *md_p)
{
    uct_component_h component = find_component();
    uct_md_config_t *config;
    ucs_status_t status;

    check_ok(uct_md_config_read(component, NULL, NULL, &config));
    status = uct_md_open(component, "eesp", config, md_p);
    uct_config_release(config);
    return status;
}

void place_open(struct place *place)
{
    place_open_with(place, UCS_ASYNC_MODE_THREAD_SPINLOCK);
}

void place_open_with(struct place *place, ucs_async_mode_t mode)
{
    unsigned i;

    check_ok(ucs_async_context_create(mode, &place->async));
    check_ok(uct_worker_create(place->async, UCS_THREAD_MODE_SINGLE,
                               &place->worker));
    check_ok(place_try_md(&place->md));
    check_ok(uct_md_query(place->md, &place->md_attr));
    choose_device(place);

    for (i = 0; places[i] != NULL; i++)
        check(i + 1 < PLACES, "too many places");
    places[i] = place;
}

void place_close(struct place *place)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i] == place)
            places[i] = NULL;
    uct_md_close(place->md);
    uct_worker_destroy(place->worker);
    ucs_async_context_destroy(place->async);
}

void progress_all(void)
{
    unsigned done = 0;

    for (unsigned i = 0; i < PLACES; i++)
        if (places[i] != NULL)
            done += uct_worker_progress(places[i]->worker);
    if (done == 0)
        sched_yield();
}

/* ---- Side --------------------------------------------------------------- */

static ucs_status_t message_came(void *arg, void *data, size_t length,
                                 unsigned flags)
{
    struct side *side = arg;

    side->received++;
    if (side->receive != NULL)
        return side->receive(side, data, length, flags);
    check(length <= side->attr.cap.am.max_bcopy, "%zu bytes", length);
    memcpy(side->data, data, length);
    side->length = length;
    return UCS_OK;
}

static ucs_status_t endpoint_failed(void *arg, uct_ep_h ep, ucs_status_t status)
{
    struct side *side = arg;

    (void)ep, (void)status;
    side->errors++;
    return UCS_OK;
}

ucs_status_t side_try_iface(struct side *side, struct place *place,
                            const struct side_options *options)
{
    uct_iface_params_t params = {
        .field_mask = UCT_IFACE_PARAM_FIELD_OPEN_MODE |
                      UCT_IFACE_PARAM_FIELD_DEVICE |
                      UCT_IFACE_PARAM_FIELD_RX_HEADROOM |
                      UCT_IFACE_PARAM_FIELD_ERR_HANDLER |
                      UCT_IFACE_PARAM_FIELD_ERR_HANDLER_ARG |
                      UCT_IFACE_PARAM_FIELD_FEATURES,
        .open_mode       = UCT_IFACE_OPEN_MODE_DEVICE,
        .mode.device     = {"eesp", place->device},
        .rx_headroom     = options != NULL ? options->headroom : 0,
        .err_handler     = endpoint_failed,
        .err_handler_arg = side,
        .features        = UCT_IFACE_FEATURE_AM,
    };
    uct_iface_config_t *config;
    ucs_status_t status;

    if (options != NULL && options->alignment != 0) {
        params.field_mask |= UCT_IFACE_PARAM_FIELD_AM_ALIGNMENT |
                             UCT_IFACE_PARAM_FIELD_AM_ALIGN_OFFSET;
        params.am_alignment    = options->alignment;
        params.am_align_offset = options->align_offset;
    }

    memset(side, 0, sizeof(*side));
    side->place = place;
    check_ok(uct_md_iface_config_read(place->md, "eesp", NULL, NULL, &config));
    status = uct_iface_open(place->md, place->worker, &params, config,
                            &side->iface);
    uct_config_release(config);
    return status;
}

void side_open(struct side *side, struct place *place,
               const struct side_options *options)
{
    check_ok(side_try_iface(side, place, options));
    check_ok(uct_iface_query(side->iface, &side->attr));
    check_ok(uct_iface_set_am_handler(side->iface, SIDE_AM, message_came, side,
                                      0));
    uct_iface_progress_enable(side->iface,
                              UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
    side->data = allocate(side->attr.cap.am.max_bcopy);
}

void side_close(struct side *side)
{
    uct_iface_progress_disable(side->iface,
                               UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
    while (side->num_partners > 0)
        uct_ep_destroy(side->partners[--side->num_partners]);
    uct_iface_close(side->iface);
    free(side->data);
}

void side_address(const struct side *side, struct address *address)
{
    memset(address, 0, sizeof(*address));
    check(side->attr.device_addr_len <= sizeof(address->device) &&
              side->attr.iface_addr_len <= sizeof(address->iface),
          "addresses of %zu and %zu bytes", side->attr.device_addr_len,
          side->attr.iface_addr_len);
    check_ok(uct_iface_get_device_address(side->iface,
                                          (void *)address->device));
    check_ok(uct_iface_get_address(side->iface, (void *)address->iface));
}

ucs_status_t side_try_connect(const struct side *from,
                              const struct address *to, uct_ep_h *ep_p)
{
    uct_ep_params_t params = {
        .field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                      UCT_EP_PARAM_FIELD_IFACE_ADDR,
        .iface      = from->iface,
        .dev_addr   = (const void *)to->device,
        .iface_addr = (const void *)to->iface,
    };

    return uct_ep_create(&params, ep_p);
}

int side_is_p2p(const struct side *side)
{
    return (side->attr.cap.flags & UCT_IFACE_FLAG_CONNECT_TO_EP) != 0;
}

uct_ep_h side_begin(const struct side *side, struct address *address)
{
    uct_ep_params_t params = {
        .field_mask = UCT_EP_PARAM_FIELD_IFACE,
        .iface      = side->iface,
    };
    uct_ep_h ep;

    check(side->attr.ep_addr_len <= sizeof(address->iface), "%zu bytes",
          side->attr.ep_addr_len);
    check_ok(uct_ep_create(&params, &ep));
    memset(address, 0, sizeof(*address));
    check_ok(uct_iface_get_device_address(side->iface,
                                          (void *)address->device));
    check_ok(uct_ep_get_address(ep, (void *)address->iface));
    return ep;
}

void side_join(uct_ep_h ep, const struct address *other)
{
    check_ok(uct_ep_connect_to_ep(ep, (const void *)other->device,
                                  (const void *)other->iface));
}

/* The other end is of nobody's use but to be there. */
static uct_ep_h connect_pair(const struct side *from, struct side *to)
{
    struct address addresses[2];
    uct_ep_h ep, partner;

    check(to->num_partners < PARTNERS, "too many partners");
    ep      = side_begin(from, &addresses[0]);
    partner = side_begin(to, &addresses[1]);
    side_join(partner, &addresses[0]);
    side_join(ep, &addresses[1]);
    to->partners[to->num_partners++] = partner;
    return ep;
}

uct_ep_h side_connect(const struct side *from, struct side *to)
{
    struct address address;
    uct_ep_h ep;

    if (side_is_p2p(from))
        return connect_pair(from, to);
    side_address(to, &address);
    check(uct_iface_is_reachable(from->iface, (void *)address.device,
                                 (void *)address.iface),
          "not reachable");
    check_ok(side_try_connect(from, &address, &ep));
    return ep;
}

/* ---- Messages ----------------------------------------------------------- */

struct packing {
    size_t n;
    uint64_t seed;
};

static size_t pack(void *to, void *arg)
{
    const struct packing *packing = arg;

    pattern_fill(to, packing->n, packing->seed);
    return packing->n;
}

ucs_status_t side_try_send(uct_ep_h ep, size_t n, uint64_t seed)
{
    struct packing packing = {n, seed};
    ssize_t packed         = uct_ep_am_bcopy(ep, SIDE_AM, pack, &packing, 0);

    if (packed < 0)
        return (ucs_status_t)packed;
    check((size_t)packed == n, "%zd bytes packed, not %zu", packed, n);
    return UCS_OK;
}

void side_send(uct_ep_h ep, size_t n, uint64_t seed)
{
    ucs_status_t status;

    while ((status = side_try_send(ep, n, seed)) == UCS_ERR_NO_RESOURCE)
        progress_all();
    check(status == UCS_OK, "send: %s", ucs_status_string(status));
}

void side_expect(struct side *side, unsigned count)
{
    while (side->received < count)
        progress_all();
    for (unsigned i = 0; i < 20; i++)
        progress_all();
    check(side->received == count, "%u messages, not %u", side->received,
          count);
}

void side_check_last(const struct side *side, size_t n, uint64_t seed)
{
    check(side->length == n, "%zu bytes, not %zu", side->length, n);
    pattern_check(side->data, n, seed);
}

unsigned side_fill(const struct side *from, uct_ep_h ep, size_t n,
                   uint64_t seed)
{
    unsigned sent = 0, refused = 0;
    ucs_status_t status;

    while (refused < NO_ROOM_TRIES) {
        status = side_try_send(ep, n, seed + sent);
        if (status == UCS_OK) {
            refused = 0;
            if (++sent == FILL_MAX)
                return 0;
            continue;
        }
        check(status == UCS_ERR_NO_RESOURCE, "send: %s",
              ucs_status_string(status));
        refused++;
        uct_worker_progress(from->place->worker);
    }
    return sent;
}

/* ---- Two ---------------------------------------------------------------- */

void two_open(struct two *two, const struct side_options *options)
{
    for (int i = 0; i < 2; i++) {
        place_open(&two->places[i]);
        side_open(&two->sides[i], &two->places[i], options);
    }
    /* Connected, so that no later send waits for that. */
    for (int i = 0; i < 2; i++) {
        two->eps[i] = side_connect(&two->sides[i], &two->sides[!i]);
        side_send(two->eps[i], 1, 0);
        side_expect(&two->sides[!i], 1);
        two->sides[!i].received = 0;
    }
}

void two_close(struct two *two)
{
    for (int i = 0; i < 2; i++)
        uct_ep_destroy(two->eps[i]);
    for (int i = 0; i < 2; i++) {
        side_close(&two->sides[i]);
        place_close(&two->places[i]);
    }
}
