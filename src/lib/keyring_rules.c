/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of wire-format section 1, each refused by its name. */
#include "keyring_policy.h"
#include "wire.h"

/* Wire-format section 1: log2 of the 16-byte blocks that one data key seals. */
enum { DATA_LIMIT_BITS = 36 };

/* Bits that count n things: ceil(log2(n)). */
static unsigned bits_for(uint32_t n)
{
    unsigned bits = 0;

    while (((uint64_t)1 << bits) < n)
        bits++;
    return bits;
}

/* Each returns the rule that is broken, or NULL. */

static const char *limits(const struct eesp_policy_info *info)
{
    unsigned bits;

    if (info->max_payload < 64)
        return "max_payload must be at least 64";
    bits = info->phase_shift + bits_for((info->max_payload + 15) / 16);
    if (bits > DATA_LIMIT_BITS)
        return "data limit of a key: phase_shift + log2(max_payload/16) must "
               "not exceed 36";
    if (info->partitions != 0 &&
        bits + bits_for(info->partitions) > DATA_LIMIT_BITS)
        return "data limit of a key: phase_shift + log2(max_payload/16) + "
               "log2(partitions) must not exceed 36";
    return NULL;
}

/* Longest header that an offset of 6 bits in units of 4 bytes can cross. */
static int header_is_long(const struct eesp_policy_info *info)
{
    unsigned options = EESP_HAS_CRYPT_OFFSET |
                       (info->commit ? EESP_HAS_COMMITMENT : 0) |
                       (info->proxies ? EESP_HAS_ORIGIN : 0);

    return eesp_header_length(info->compact_id != 0, info->selectors,
                              options) > EESP_EXPOSED_MAX;
}

/* Who shares a key, and who may not. */
static const char *contexts(const struct eesp_policy_info *info)
{
    unsigned jobs = 1u << EESP_JOB | 1u << EESP_TASK;

    if (!(info->selectors & EESP_SELECTORS_SENDER) && info->partitions == 0)
        return "selectors need ranks, source, device, ipv4, ipv6, tuple4 or "
               "tuple6, or the policy \"partitioned\": true, or two senders "
               "would share a key";
    if ((info->selectors & EESP_SELECT_RANKS) && !(info->levels & jobs) &&
        !(info->selectors & (EESP_SELECT_JOB | EESP_SELECT_TASK)))
        return "selector ranks needs a job or task level, or the selector job "
               "or task, or two jobs would share contexts";
    if (!info->bind_destination &&
        !(info->selectors & EESP_SELECTORS_RECEIVER))
        return "without a destination selector, bind_destination is needed";
    return NULL;
}

/* Of a pair that seals or opens. */
static const char *suite(const struct eesp_policy_info *info,
                         enum eesp_kdf_id kdf, enum eesp_aead_id aead)
{
    if (info->confidentiality && aead == EESP_AEAD_AES_256_GMAC)
        return "aead aes-256-gmac leaves payloads readable: it needs "
               "\"confidentiality\": false";
    if (!info->confidentiality && aead != EESP_AEAD_AES_256_GMAC)
        return "\"confidentiality\": false needs the aead aes-256-gmac";
    if (info->commit && kdf == EESP_KDF_CMAC_AES256)
        return "commit needs a kdf other than cmac-aes256, which does not "
               "resist collisions under a known key";
    return NULL;
}

static const char *suites(const struct eesp_policy_info *info)
{
    const char *rule = suite(info, info->kdf, info->aead);
    unsigned i;

    for (i = 0; i < info->receive_count && rule == NULL; i++)
        rule = suite(info, info->receive[i].kdf, info->receive[i].aead);
    return rule;
}

/* What the options ask of each other. */
static const char *options(const struct eesp_policy_info *info)
{
    if (info->compact_id != 0 && info->selectors != EESP_SELECT_RANKS)
        return "compact_id needs the selectors to be [\"ranks\"]";
    if (info->receive_count != 0 && info->compact_id != 0)
        return "receive needs the full option, which names the algorithms: "
               "leave compact_id out";
    if (info->commit && info->compact_id != 0)
        return "commit needs the full option: leave compact_id out";
    if (info->proxies != 0 && info->compact_id != 0)
        return "proxies needs the full option: leave compact_id out";
    if (info->proxies != 0 &&
        !(info->selectors & (EESP_SELECT_RANKS | EESP_SELECT_SOURCE)))
        return "proxies needs the selector ranks or source";
    if (info->client != EESP_CLIENT_NONE &&
        (~info->selectors & (EESP_SELECT_SOURCE | EESP_SELECT_DESTINATION)))
        return "client needs the selectors source and destination";
    if (info->crypt_offset_max != 0 && header_is_long(info))
        return "crypt_offset_max: with these selectors and options the header "
               "is longer than 252 bytes";
    return NULL;
}

const char *eesp_policy_broken_rule(const struct eesp_policy_info *info)
{
    const char *rule = limits(info);

    if (rule == NULL)
        rule = contexts(info);
    if (rule == NULL)
        rule = suites(info);
    if (rule == NULL)
        rule = options(info);
    return rule;
}
