/* SPDX-License-Identifier: BSD-3-Clause */
/* offload_card: the card below the first lower that is on an RDMA device. */
#include "offload.h"

#include <poll.h>
#include <stdlib.h>

#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/string.h>

/* "rxe0:1" */
static int uct_eesp_card_parse(const char *name, char *device, size_t size,
                               uint8_t *port_p)
{
    const char *colon = strrchr(name, ':');

    if ((colon == NULL) || ((size_t)(colon - name) >= size)) {
        return 0;
    }
    memcpy(device, name, colon - name);
    device[colon - name] = '\0';
    *port_p              = (uint8_t)atoi(colon + 1);
    return *port_p != 0;
}

static struct ibv_context *uct_eesp_card_device(const char *name)
{
    struct ibv_device **list = ibv_get_device_list(NULL);
    struct ibv_context *ctx  = NULL;
    unsigned i;

    for (i = 0; (list != NULL) && (list[i] != NULL) && (ctx == NULL); ++i) {
        if (!strcmp(ibv_get_device_name(list[i]), name)) {
            ctx = ibv_open_device(list[i]);
        }
    }
    if (list != NULL) {
        ibv_free_device_list(list);
    }
    return ctx;
}

/* UCX's own setting, else RoCEv2 over IPv4, else RoCEv2, else the first. */
static int uct_eesp_card_gid_index(const struct uct_eesp_card *card)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const char *set                 = getenv("UCX_IB_GID_INDEX");
    int found                       = 0, v2 = 0, i;
    struct ibv_gid_entry entry;

    if ((set != NULL) && strcmp(set, "auto")) {
        return atoi(set);
    }
    for (i = 0; i < card->attr.gid_tbl_len; ++i) {
        if ((ibv_query_gid_ex(card->ctx, card->port, i, &entry, 0) != 0) ||
            (entry.gid_type != IBV_GID_TYPE_ROCE_V2)) {
            continue;
        }
        if (!memcmp(entry.gid.raw, mapped, sizeof(mapped))) {
            return i;
        }
        if (!v2) {
            found = i;
            v2    = 1;
        }
    }
    return found;
}

static int uct_eesp_card_try(struct uct_eesp_card *card, const char *name,
                             char why[VCC_WHY_LEN])
{
    char device[UCT_DEVICE_NAME_MAX];
    struct vcc_caps caps;

    ucs_strncpy_zero(card->name, name, sizeof(card->name));
    snprintf(why, VCC_WHY_LEN, "device %s cannot be opened: ibv_devinfo", name);
    if (!uct_eesp_card_parse(name, device, sizeof(device), &card->port)) {
        return 0;
    }
    card->ctx = uct_eesp_card_device(device);
    if ((card->ctx == NULL) ||
        (ibv_query_port(card->ctx, card->port, &card->attr) != 0)) {
        return 0;
    }
    card->backend = vcc_pick(card->ctx, VCC_CONF | VCC_RX_DIRECT, why);
    if (card->backend == NULL) {
        return 0;
    }
    if ((card->backend->probe(card->ctx, &caps) != 0) ||
        (caps.max_length < UCT_EESP_OFFLOAD_MAX)) {
        snprintf(why, VCC_WHY_LEN, "card %s takes no more than one data unit "
                 "at a time", name);
        return 0;
    }
    snprintf(why, VCC_WHY_LEN, "device %s has no GID for a QP: set "
             "UCX_IB_GID_INDEX, see ibv_devinfo -v", name);
    card->gid_index = uct_eesp_card_gid_index(card);
    if (ibv_query_gid(card->ctx, card->port, card->gid_index, &card->gid) != 0) {
        return 0;
    }
    snprintf(why, VCC_WHY_LEN, "device %s gives no protection domain", name);
    card->pd = ibv_alloc_pd(card->ctx);
    return card->pd != NULL;
}

static void uct_eesp_card_free(struct uct_eesp_card *card)
{
    if (card->pd != NULL) {
        (void)ibv_dealloc_pd(card->pd);
    }
    if (card->ctx != NULL) {
        (void)ibv_close_device(card->ctx);
    }
    ucs_recursive_spinlock_destroy(&card->lock);
    ucs_free(card);
}

static struct uct_eesp_card *uct_eesp_card_create(const char *name, int mac,
                                                  char why[VCC_WHY_LEN])
{
    struct uct_eesp_card *card = ucs_calloc(1, sizeof(*card), "eesp card");

    if (card == NULL) {
        snprintf(why, VCC_WHY_LEN, "no memory");
        return NULL;
    }
    ucs_recursive_spinlock_init(&card->lock, 0);
    card->mac = mac;
    if (!uct_eesp_card_try(card, name, why)) {
        uct_eesp_card_free(card);
        return NULL;
    }
    return card;
}

/* Lower transports on RDMA devices are those that UCX's ib module has. */
static const char *uct_eesp_card_find(const uct_eesp_md_t *md)
{
    unsigned i;

    for (i = 0; i < md->num_lowers; ++i) {
        if (md->lowers[i].resource.dev_type == UCT_DEVICE_TYPE_NET &&
            strchr(md->lowers[i].resource.dev_name, ':') != NULL) {
            return md->lowers[i].resource.dev_name;
        }
    }
    return NULL;
}

const char *uct_eesp_card_setting(int mac)
{
    return mac ? "conf+mac" : "conf";
}

static void uct_eesp_card_tell(const struct uct_eesp_card *card)
{
    ucs_warn("eesp: UCX_EESP_OFFLOAD=%s: data of large gets goes by card %s "
             "(AES-XTS)%s; all else is sealed",
             uct_eesp_card_setting(card->mac), card->name,
             card->mac ? " with a tag by the CPU (AES-256-GMAC)" :
             ": CONFIDENTIALITY ONLY, changes on the way are not noticed");
}

void uct_eesp_card_open(uct_eesp_md_t *md, int mac)
{
    const char *name = uct_eesp_card_find(md);
    char why[VCC_WHY_LEN];

    snprintf(why, sizeof(why), "%s", !md->rma ? "it needs UCX_EESP_RMA=y" :
             eesp_fips_provider() != NULL ?
             "in FIPS mode no card's AES is used" :
             "no lower transport is on an RDMA device");
    if (md->rma && (eesp_fips_provider() == NULL) && (name != NULL)) {
        md->card = uct_eesp_card_create(name, mac, why);
        if (md->card != NULL) {
            uct_eesp_card_tell(md->card);
            return;
        }
    }
    if (uct_eesp_is_wanted()) {
        ucs_warn("eesp: UCX_EESP_OFFLOAD=%s: %s: all is sealed by the CPU",
                 uct_eesp_card_setting(mac), why);
    }
}

const char *uct_eesp_card_offload(const uct_eesp_md_t *md)
{
    return md->card == NULL ? "none" :
           md->card->mac ? "conf+mac" : "confidentiality only";
}

void uct_eesp_card_close(uct_eesp_md_t *md)
{
    if (md->card != NULL) {
        uct_eesp_card_free(md->card);
        md->card = NULL;
    }
}

int uct_eesp_card_ended(const struct uct_eesp_card *card)
{
    struct pollfd ready = {.fd = card->ctx->async_fd, .events = POLLIN};
    struct ibv_async_event event;
    int ended = 0;

    while (!ended && (poll(&ready, 1, 0) > 0) &&
           (ibv_get_async_event(card->ctx, &event) == 0)) {
        ended = event.event_type == IBV_EVENT_DEVICE_FATAL;
        ibv_ack_async_event(&event);
    }
    return ended;
}
