/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address: what a peer must know to send here, in front of the lower's
 * interface address, and the check of a peer's keyring before the first byte.
 *
 *     0 format 1 | flags 1 (bit 0: serves rma.h's requests, 1: offload.h's) |
 *     2 lower id 2 | rank 4 | SPI 4 | generations 4 |
 *     16 namespace 8 | process 8 | receiving incarnation 8 | check value 8 |
 *     48 longest packet sent 2 | taken 2, in units of 32 bytes
 *
 * Big endian. The address itself is public: it travels outside (PMIx) or in
 * sealed wire-up messages.
 */
#include "plugin.h"

#include <openssl/crypto.h>

#include "bytes.h"

#define UCT_EESP_ADDRESS_FORMAT 2
#define UCT_EESP_ADDRESS_RMA     1
#define UCT_EESP_ADDRESS_OFFLOAD 2

uint16_t uct_eesp_lower_id(const char *tl_name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *tl_name != '\0'; ++tl_name) {
        hash = (hash ^ (uint8_t)*tl_name) * 16777619u;
    }
    return (uint16_t)(hash ^ (hash >> 16));
}

/*
 * Check value of our keys of these generations; with own != 0, generations are
 * first set to those that we send under.
 */
static int uct_eesp_address_check_value(uct_eesp_md_t *md, int own,
                                        uint8_t *generations, uint8_t *value)
{
    const struct eesp_policy *policy;
    uct_eesp_ring_t *ring;
    uint64_t serial;
    int ret;

    ring   = uct_eesp_ring_get(md, &serial);
    policy = eesp_keyring_policy_spi(ring->keyring, md->info.spi);
    if (own) {
        eesp_policy_generations(policy, generations);
    }
    ret = eesp_policy_check_value(policy, generations, value);
    uct_eesp_ring_put(md, ring);
    return ret;
}

ucs_status_t uct_eesp_address_pack(uct_eesp_iface_t *iface, void *out)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    uint8_t *p        = out;

    p[0] = UCT_EESP_ADDRESS_FORMAT;
    p[1] = ((iface->rma != NULL) ? UCT_EESP_ADDRESS_RMA : 0) |
           ((iface->offload != NULL) ? UCT_EESP_ADDRESS_OFFLOAD : 0);
    store16(p + 2, uct_eesp_lower_id(iface->lower_dev->resource.tl_name));
    store32(p + 4, md->identity.rank);
    store32(p + 8, md->info.spi);
    store64(p + 16, md->identity.name_space);
    store64(p + 24, md->identity.process);
    store64(p + 32, eesp_lane_incarnation(iface->lane));
    store16(p + 48, iface->max_packet / UCT_EESP_ADDRESS_UNIT);
    store16(p + 50, iface->rx_max_packet / UCT_EESP_ADDRESS_UNIT);
    if (load64(p + 32) == 0) {
        ucs_error("eesp: the kernel gives no random numbers");
        return UCS_ERR_IO_ERROR;
    }
    return uct_eesp_address_check_value(md, 1, p + 12, p + 40) == EESP_OK ?
           UCS_OK : UCS_ERR_IO_ERROR;
}

int uct_eesp_address_unpack(const void *in, uct_eesp_address_t *address)
{
    const uint8_t *p = in;

    if ((p[0] != UCT_EESP_ADDRESS_FORMAT) ||
        (p[1] & ~(UCT_EESP_ADDRESS_RMA | UCT_EESP_ADDRESS_OFFLOAD))) {
        return 0;
    }

    address->rma         = p[1] & UCT_EESP_ADDRESS_RMA;
    address->offload     = (p[1] & UCT_EESP_ADDRESS_OFFLOAD) != 0;
    address->lower_id    = load16(p + 2);
    address->rank        = load32(p + 4);
    address->spi         = load32(p + 8);
    memcpy(address->generations, p + 12, EESP_LEVELS);
    address->name_space  = load64(p + 16);
    address->process     = load64(p + 24);
    address->incarnation = load64(p + 32);
    memcpy(address->check_value, p + 40, EESP_CHECK_VALUE_LEN);
    address->max_packet    = load16(p + 48) * UCT_EESP_ADDRESS_UNIT;
    address->rx_max_packet = load16(p + 50) * UCT_EESP_ADDRESS_UNIT;
    return 1;
}

int uct_eesp_address_is_lowers(const uct_eesp_iface_t *iface,
                               const uct_eesp_address_t *address)
{
    return address->lower_id ==
           uct_eesp_lower_id(iface->lower_dev->resource.tl_name);
}

/* UCP asks about a peer many times: so many lines a process, not each time. */
#define UCT_EESP_TELL_PEERS 4
#define uct_eesp_refuse_peer(_fmt, ...) \
    { \
        static int told; \
        ucs_log(__atomic_fetch_add(&told, 1, __ATOMIC_RELAXED) < \
                UCT_EESP_TELL_PEERS ? UCS_LOG_LEVEL_ERROR : \
                                      UCS_LOG_LEVEL_DEBUG, \
                "eesp: " _fmt, ## __VA_ARGS__); \
    }

static uint64_t uct_eesp_address_identity(uint64_t name_space, uint32_t rank)
{
    return name_space ^ ((uint64_t)rank * 0x9e3779b97f4a7c15ul);
}

static void uct_eesp_address_refuse_twin(const uct_eesp_address_t *address)
{
    uct_eesp_refuse_peer("two processes say that they are rank %u of one job: "
                         "start each with a rank of its own (launcher, or "
                         "UCX_EESP_RANK)", address->rank);
}

/*
 * Two processes with one identity at one time would be one to their peers. One
 * that ended and came again is a new incarnation, no error.
 */
ucs_status_t uct_eesp_address_enter(uct_eesp_md_t *md,
                                    const uct_eesp_address_t *address,
                                    uint64_t *identity_p)
{
    uint64_t identity   = uct_eesp_address_identity(address->name_space,
                                                    address->rank);
    ucs_status_t status = UCS_OK;
    uct_eesp_process_t *process;
    khiter_t iter;
    int ret;

    if (!(md->info.selectors & EESP_SELECT_RANKS)) {
        identity = address->process; /* unique by itself */
    }

    ucs_recursive_spin_lock(&md->lock);
    iter = kh_put(uct_eesp_process, &md->processes, identity, &ret);
    if (ret < 0) {
        status = UCS_ERR_NO_MEMORY;
    } else {
        process = &kh_value(&md->processes, iter);
        if (ret > 0) {
            process->id        = address->process;
            process->endpoints = 0;
        }
        if (process->id == address->process) {
            ++process->endpoints;
            md->audit.peers = ucs_max(md->audit.peers,
                                      kh_size(&md->processes));
        } else {
            status = UCS_ERR_REJECTED;
        }
    }
    ucs_recursive_spin_unlock(&md->lock);

    if (status == UCS_ERR_REJECTED) {
        uct_eesp_address_refuse_twin(address);
    }
    *identity_p = identity;
    return status;
}

void uct_eesp_address_leave(uct_eesp_md_t *md, uint64_t identity)
{
    khiter_t iter;

    ucs_recursive_spin_lock(&md->lock);
    iter = kh_get(uct_eesp_process, &md->processes, identity);
    if ((iter != kh_end(&md->processes)) &&
        (--kh_value(&md->processes, iter).endpoints == 0)) {
        kh_del(uct_eesp_process, &md->processes, iter);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

/* This process itself has no endpoint to count by. */
static int uct_eesp_address_is_twin(const uct_eesp_md_t *md,
                                    const uct_eesp_address_t *address)
{
    const uct_eesp_identity_t *self = &md->identity;

    return (md->info.selectors & EESP_SELECT_RANKS) &&
           (address->name_space == self->name_space) &&
           (address->rank == self->rank) &&
           (address->process != self->process);
}

int uct_eesp_address_accept(uct_eesp_iface_t *iface,
                            const uct_eesp_address_t *address)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    uint8_t generations[EESP_LEVELS], expected[EESP_CHECK_VALUE_LEN];
    int ret;

    if (!uct_eesp_address_is_lowers(iface, address)) {
        return 0; /* no error: another lower of that peer will do */
    }

    if (address->spi != md->info.spi) {
        uct_eesp_refuse_peer("policy: rank %u sends under SPI %u, this process "
                             "under %u (%s): set UCX_EESP_POLICY to the same "
                             "everywhere", address->rank, address->spi,
                             md->info.spi, md->info.name);
        return 0;
    }

    memcpy(generations, address->generations, sizeof(generations));
    ret = uct_eesp_address_check_value(md, 0, generations, expected);
    if ((ret == EESP_DROP_GENERATION) && (md->ring_serial > 0)) {
        /* An address from before our rotations, whose keys are gone. What the
         * check would tell, the first packet will. */
        ucs_debug("eesp: rank %u published its address under older keys",
                  address->rank);
    } else if (ret == EESP_DROP_GENERATION) {
        uct_eesp_refuse_peer("authentication: rank %u uses root-key "
                             "generations that %s does not hold: compare eesp "
                             "show on both hosts", address->rank,
                             md->keyring_name);
        return 0;
    } else if ((ret != EESP_OK) ||
               (CRYPTO_memcmp(expected, address->check_value,
                              sizeof(expected)) != 0)) {
        uct_eesp_refuse_peer("authentication: rank %u has other root keys than "
                             "%s: give both hosts the same keyring",
                             address->rank, md->keyring_name);
        return 0;
    }

    /* Lowers do not check: what is too long would be written past its end. */
    if ((address->max_packet > iface->rx_max_packet) ||
        (iface->max_packet > address->rx_max_packet)) {
        uct_eesp_refuse_peer("segments: rank %u sends packets of %u bytes and "
                             "takes %u, this process sends %zu and takes %zu "
                             "over %s: set UCX_EESP_SEG_SIZE to the same "
                             "everywhere", address->rank, address->max_packet,
                             address->rx_max_packet, iface->max_packet,
                             iface->rx_max_packet,
                             iface->lower_dev->resource.tl_name);
        return 0;
    }

    if (uct_eesp_address_is_twin(md, address)) {
        uct_eesp_address_refuse_twin(address);
        return 0;
    }
    return 1;
}
