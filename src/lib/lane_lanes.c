/* SPDX-License-Identifier: BSD-3-Clause */
/* What bursts of a lane have to do with the kernel of lanes.h. */
#include "bytes.h"
#include "context.h"
#include "kdf.h"
#include "lane.h"
#include "lanes.h"

enum { MESSAGE_FIXED = 1 + 2 + 1 + 2, /* counter, label, 0, output bits */
       OUTPUT = 32 + EESP_NONCE_LEN };

static size_t context_length(const struct eesp_lane *lane)
{
    return EESP_CONTEXT_FIXED +
           eesp_selectors_length(lane->policy->info.selectors);
}

int eesp_lane_open_lanes(struct eesp_lane *lane, const char *backend)
{
    const struct eesp_policy_info *info = &lane->policy->info;

    if (backend != NULL || info->kdf != EESP_KDF_CMAC_AES256 ||
        info->aead != EESP_AEAD_AES_256_GCM || info->commit ||
        info->client != EESP_CLIENT_NONE ||
        lane->header_length > EESP_LANES_AAD ||
        MESSAGE_FIXED + context_length(lane) >= EESP_LANES_MESSAGE ||
        eesp_lanes_missing() != NULL)
        return EESP_OK;
    lane->lanes = eesp_lanes_open();
    return lane->lanes ? EESP_OK : EESP_ERR_MEMORY;
}

int eesp_lane_lanes_keys(const struct eesp_lane *lane, unsigned master,
                         struct eesp_lanes_keys *keys)
{
    const struct eesp_lane_suite *suite = &lane->suites[0];

    return eesp_kdf_cmac_keys(suite->kdf_states + master * suite->kdf_stride,
                              MESSAGE_FIXED + context_length(lane), keys);
}

int eesp_lane_lanes_take(const struct eesp_lane *lane,
                         const struct eesp_header *header, size_t body)
{
    return lane->lanes != NULL && header->options == 0 &&
           body <= EESP_LANES_DATA;
}

void eesp_lane_lanes_stage(struct eesp_lane *lane, unsigned i,
                           const struct eesp_header *header,
                           const uint8_t *built,
                           uint64_t destination_incarnation, size_t body)
{
    static const uint8_t unmasked[EESP_NONCE_LEN];
    struct eesp_lanes *w          = lane->lanes;
    struct eesp_lanes_packet *p   = &w->packet[i];
    uint8_t context[EESP_CONTEXT_MAX] __attribute__((aligned(8)));
    uint8_t message[1 + EESP_FIXED_DATA_MAX + EESP_AES_BLOCK];
    size_t size = eesp_context_build(&lane->policy->info, header,
                                     destination_incarnation, context);

    message[0] = 0;
    size       = 1 + eesp_fixed_data(EESP_LABEL_DATA_KEY, context, size, OUTPUT,
                                     message + 1);
    memset(message + size, 0, EESP_AES_BLOCK);
    if (size % EESP_AES_BLOCK != 0)
        message[size] = 0x80;
    memcpy(p->message, message, sizeof(p->message));
    w->message_blocks = (unsigned)((size + EESP_AES_BLOCK - 1) /
                                   EESP_AES_BLOCK);
    eesp_lane_nonce(lane, header, unmasked, p->iv);
    /* The same length of all packets of a lane: the rest stays zero. */
    w->aad_length = (unsigned)header->length;
    memcpy(p->aad, built, header->length);
    p->length = (unsigned)body;
}
