/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open: an EESP packet becomes a payload, or is dropped and counted (checks in
 * the order of wire-format section 10). Hot path: no allocation, lock or
 * system call. packet may be memory that its sender can still write to: header
 * and ICV are copied once and only the copies are looked at. The ciphertext is
 * read where it lies, and AES-GCM may read it twice: who can write to it while
 * it is being opened (on shared memory: a process of the same user) could change
 * what is delivered, as it could by writing to this process itself.
 */
#include <string.h>

#include "bytes.h"
#include "context.h"
#include "frame.h"
#include "incoming.h"
#include "lane.h"
#include "master.h"
#include "secret.h"
#include "underway.h"

static int read_header(struct eesp_incoming *in, const uint8_t *packet,
                       size_t length)
{
    size_t options, size;

    if (length < EESP_BASE_LEN)
        return EESP_DROP_LENGTH;
    options = packet[1];
    size    = EESP_BASE_LEN + options + EESP_SEQUENCE_LEN + EESP_REST_MIN;
    if (length < size)
        return EESP_DROP_LENGTH;
    copy_words(in->copy, packet, size); /* read back word by word at once */
    in->copy[1] = (uint8_t)options; /* as checked: it may change meanwhile */
    return eesp_header_read(in->copy, size, &in->header);
}

/* Whose algorithms the header names: EESP_SUITES_MAX if none accepted. */
static unsigned find_suite(const struct eesp_policy_info *policy,
                           const struct eesp_header *header)
{
    unsigned i;

    if (header->kdf == policy->kdf && header->aead == policy->aead)
        return 0;
    for (i = 0; i < policy->receive_count; i++)
        if (header->kdf == policy->receive[i].kdf &&
            header->aead == policy->receive[i].aead)
            return i + 1;
    return EESP_SUITES_MAX;
}

/* The packet says what the policy of its SPI says, and nothing else. */
static int check_policy(const struct eesp_policy_info *policy,
                        const struct eesp_header *header, unsigned *suite)
{
    unsigned flags = policy->flags;

    if (header->options & EESP_HAS_ORIGIN)
        flags |= EESP_FLAG_PROXIED; /* and then see check_origin() */
    if (header->spi != policy->spi)
        return EESP_DROP_SPI;
    *suite = 0;
    if (policy->compact_id != 0)
        return header->compact &&
                       header->combination_id == policy->compact_id ?
                   EESP_OK :
                   EESP_DROP_POLICY;
    *suite = find_suite(policy, header);
    return *suite != EESP_SUITES_MAX && !header->compact &&
                   header->profile == 0 && header->flags == flags &&
                   header->levels == policy->levels &&
                   header->selectors == policy->selectors &&
                   header->phase_shift == policy->phase_shift ?
               EESP_OK :
               EESP_DROP_POLICY;
}

/* Readable bytes only as far as agreed. */
static int check_crypt_offset(const struct eesp_policy_info *policy,
                              const struct eesp_header *header)
{
    return policy->crypt_offset_max != 0 &&
                   header->crypt_offset <= policy->crypt_offset_max ?
               EESP_OK :
               EESP_DROP_OFFSET;
}

/* A proxy says where a packet comes from: who may say so of whom? */
static int check_origin(const struct eesp_policy *policy,
                        const struct eesp_header *header)
{
    const struct eesp_origin *origin = &header->origin;

    return origin->hops >= 1 && origin->hops <= EESP_HOPS_MAX &&
                   origin->domain != policy->info.domain_id &&
                   eesp_policy_may_speak(policy, header->selectors &
                                                         EESP_SELECT_RANKS ?
                                                     header->source_rank :
                                                     header->source_id,
                                         origin->domain) ?
               EESP_OK :
               EESP_DROP_PROXY;
}

/* Options that few packets have: out of the way of the others. */
static __attribute__((noinline, cold)) int
check_options(const struct eesp_policy *policy,
              const struct eesp_header *header)
{
    int ret = EESP_OK;

    if (header->options & EESP_HAS_CRYPT_OFFSET)
        ret = check_crypt_offset(&policy->info, header);
    if (ret == EESP_OK && (header->options & EESP_HAS_ORIGIN))
        ret = check_origin(policy, header);
    return ret;
}

/*
 * Serial number arithmetic: within window of the receiver's epoch. Where
 * packets do not bind to this receiver's run, what an earlier run has opened
 * is kept out by the epoch floor of wire-format section 8: none older than the
 * keyring's when the lane was made.
 */
static int check_epoch(const struct eesp_lane *lane, uint16_t epoch)
{
    const struct eesp_policy_info *policy = &lane->policy->info;
    uint16_t distance = (uint16_t)(epoch - policy->epoch);

    if (distance > 0x7fff)
        distance = (uint16_t)-distance;
    if (!policy->bind_destination && policy->replay != EESP_REPLAY_OFF &&
        (uint16_t)(epoch - lane->epoch_floor) > 0x7fff)
        return EESP_DROP_EPOCH;
    return distance <= policy->epoch_window ? EESP_OK : EESP_DROP_EPOCH;
}

/* Compact packets carry 16 bits of a rank that the context holds in full. */
static int check_destination(const struct eesp_lane *lane,
                             struct eesp_header *header)
{
    uint32_t mask = header->compact ? 0xffff : 0xffffffff;

    if (header->selectors & EESP_SELECT_RANKS) {
        if (((header->destination_rank ^ lane->rank) & mask) != 0)
            return EESP_DROP_DESTINATION;
        header->destination_rank = lane->rank;
    }
    if ((header->selectors & EESP_SELECT_DESTINATION) &&
        header->destination_id != lane->id)
        return EESP_DROP_DESTINATION;
    return lane->expect == 0 ||
                   eesp_selectors_match(lane->expect, &lane->sending.values,
                                        &header->values) ?
               EESP_OK :
               EESP_DROP_DESTINATION;
}

/* The table is full: do the dead make room for a new source? */
static __attribute__((noinline, cold)) int
check_again(const struct eesp_lane *lane, struct eesp_incoming *in)
{
    if (!eesp_replay_make_room(lane->replay))
        return EESP_DROP_REPLAY_FULL;
    in->entry = eesp_replay_find(lane->replay, &in->source);
    return eesp_replay_check(lane->replay, in->entry, in->header.sequence);
}

static int check_replay(const struct eesp_lane *lane, struct eesp_incoming *in)
{
    int ret;

    if (in->header.sequence == 0)
        return EESP_DROP_REPLAY;
    /* Its nonce would be that of a neighbour. */
    if (lane->policy->info.partitions != 0 &&
        in->header.sequence > EESP_PARTITION_LAST)
        return EESP_DROP_PARTITION;
    if (in->entry == NULL)
        return EESP_OK;
    ret = eesp_replay_check(lane->replay, in->entry, in->header.sequence);
    return ret == EESP_DROP_REPLAY_FULL ? check_again(lane, in) : ret;
}

/* Most packets name the generations of the one before. */
static int find_master(struct eesp_lane *lane, unsigned suite,
                       const struct eesp_header *header)
{
    struct eesp_lane_suite *seen = &lane->suites[suite];
    unsigned mask                = header->compact ? 3 : 0xff;
    uint32_t generations;

    memcpy(&generations, header->generations, sizeof(generations));
    if (seen->seen_mask != mask || seen->seen_generations != generations) {
        seen->seen_master = eesp_master_find(lane->policy,
                                             &lane->policy->suites[suite],
                                             header->generations, mask);
        seen->seen_generations = generations;
        seen->seen_mask        = mask;
    }
    return seen->seen_master;
}

/* A client's grant has the key of no other client. */
static int is_granted_client(const struct eesp_policy *policy,
                             const struct eesp_header *header)
{
    const struct eesp_granted *granted = policy->suites[0].granted;

    if (granted == NULL || !granted->has_client)
        return 1;
    return granted->client ==
           (policy->info.client == EESP_CLIENT_SOURCE ?
                header->source_id :
                header->destination_id);
}

static int check(struct eesp_lane *lane, struct eesp_incoming *in)
{
    struct eesp_header *header = &in->header;
    const struct eesp_suite *suite;
    uint64_t until;
    int ret = check_policy(&lane->policy->info, header, &in->suite);

    if (ret != EESP_OK)
        return ret;
    if (!is_granted_client(lane->policy, header))
        return EESP_DROP_POLICY;
    suite      = &lane->policy->suites[in->suite];
    in->master = find_master(lane, in->suite, header);
    if (in->master < 0)
        return in->master;
    until = suite->masters[in->master].until;
    if (until != 0 && eesp_boot_seconds() >= until)
        return EESP_DROP_GENERATION; /* a previous key, and its grace is over */
    ret = check_epoch(lane, header->epoch);
    if (ret == EESP_OK)
        ret = check_destination(lane, header);
    if (ret == EESP_OK && header->options != 0)
        ret = check_options(lane->policy, header);
    if (ret == EESP_OK)
        ret = check_replay(lane, in);
    return ret;
}

/* Opens into parts; an AEAD of one piece into memory of the lane first. */
static int decrypt_parts(const struct eesp_lane *lane,
                         const struct eesp_frame_key *key,
                         const struct eesp_incoming *in, const uint8_t *body,
                         const struct iovec *parts, unsigned count,
                         const uint8_t *icv)
{
    const struct eesp_header *header = &in->header;
    int ret;

    if (key->aead->decrypt_parts != NULL)
        return key->aead->decrypt_parts(key->key, key->nonce, in->copy,
                                        header->length, body, parts, count,
                                        icv);
    if (in->body > lane->gather_size)
        return EESP_DROP_LENGTH;
    ret = key->aead->decrypt(key->key, key->nonce, in->copy, header->length,
                             body, in->body, lane->gather, icv);
    if (ret == EESP_OK)
        eesp_aead_scatter(lane->gather, parts, count);
    explicit_bzero(lane->gather, in->body);
    return ret;
}

/* Opens what lies behind the header under the key in slot. */
static int decrypt(const struct eesp_lane *lane, struct eesp_incoming *in,
                   struct eesp_key_slot *slot, const uint8_t *packet,
                   size_t body, uint8_t *plaintext, const struct iovec *parts,
                   unsigned count)
{
    const struct eesp_header *header = &in->header;
    const struct eesp_aead *aead     = lane->suites[in->suite].aead;
    struct eesp_frame_key key        = {.aead = aead, .key = slot->aead};
    uint8_t icv[EESP_ICV_LEN];

    struct iovec whole               = {plaintext, body};

    packet += header->length;
    eesp_lane_nonce(lane, header, slot->mask, key.nonce);
    memcpy(icv, packet + body, EESP_ICV_LEN);
    if (header->crypt_offset != 0)
        return eesp_frame_decrypt(&key, header, in->copy, packet, body,
                                  plaintext, icv);
    if (lane->stepwise && aead->decrypt_parts != NULL)
        return eesp_open_steps(&key, in, packet, parts ? parts : &whole,
                               parts ? count : 1, icv);
    if (parts != NULL)
        return decrypt_parts(lane, &key, in, packet, parts, count, icv);
    return aead->decrypt(key.key, key.nonce, in->copy, header->length, packet,
                         body, plaintext, icv);
}

/* Into plaintext or, if there are any, into parts. */
static int find_and_decrypt_to(struct eesp_lane *lane,
                               struct eesp_incoming *in, const uint8_t *packet,
                               size_t body, uint8_t *plaintext,
                               const struct iovec *parts, unsigned count)
{
    const struct eesp_header *header = &in->header;
    struct eesp_keycache *keys       = lane->suites[in->suite].keys;
    struct eesp_key_name name;
    struct eesp_key_slot *slot;
    int ret, derived;

    name.master = (uint16_t)in->master;
    name.length = (uint16_t)eesp_context_build(
        &lane->policy->info, header, eesp_lane_incarnation(lane),
        name.context);
    ret = eesp_lane_key(lane, in->suite, &name, &slot, &derived);
    if (ret != EESP_OK)
        return ret;
    if (lane->policy->info.commit &&
        !eesp_same(header->commitment, slot->commitment,
                   sizeof(slot->commitment)))
        ret = EESP_DROP_COMMITMENT;
    else
        ret = decrypt(lane, in, slot, packet, body, plaintext, parts, count);
    if (derived && ret == EESP_OK)
        eesp_keycache_keep(keys, &name);
    else if (derived)
        eesp_keycache_forget(keys);
    if (derived && ret == EESP_OK && lane->keylog != NULL)
        eesp_lane_log_key(lane, in->suite, &name);
    return ret;
}

static int find_and_decrypt(struct eesp_lane *lane, struct eesp_incoming *in,
                            const uint8_t *packet, size_t body,
                            uint8_t *plaintext)
{
    return find_and_decrypt_to(lane, in, packet, body, plaintext, NULL, 0);
}

/*
 * Who says to have sent this, whatever becomes of the packet. follow: look at
 * its place in the replay table.
 */
static void show_source(const struct eesp_lane *lane, struct eesp_incoming *in,
                        int follow, struct eesp_opened *opened)
{
    const struct eesp_header *header = &in->header;

    in->source.incarnation = header->incarnation;
    in->source.session_id  = header->session_id;
    in->source.source      = eesp_selectors_source(header);
    opened->incarnation = header->incarnation;
    opened->sequence    = header->sequence;
    opened->source_id   = header->source_id;
    opened->source_rank = header->source_rank;
    opened->session_id  = header->session_id;
    opened->has_source  = 1;
    if (header->options & EESP_HAS_ORIGIN) {
        opened->proxied = 1;
        opened->origin  = header->origin;
    }
    in->entry           = NULL;
    if (follow && lane->replay != NULL && !lane->impersonating) {
        in->entry        = eesp_replay_find(lane->replay, &in->source);
        opened->known    = in->entry->highest != 0;
        opened->previous = in->entry->highest;
    }
}

/* Inlined into both who call it: one of them is every packet. */
static inline __attribute__((always_inline)) int
admit(struct eesp_lane *lane, const uint8_t *packet, size_t length,
      size_t size, int follow, struct eesp_incoming *in,
      struct eesp_opened *opened)
{
    int ret;

    if (length > size)
        return EESP_ERR_SPACE;
    ret = eesp_nonce_ensure(lane->nonce);
    if (ret == EESP_OK)
        ret = read_header(in, packet, length);
    if (ret != EESP_OK)
        return ret;
    show_source(lane, in, follow, opened);
    ret = check(lane, in);
    if (ret != EESP_OK)
        return ret;
    in->body = length - in->header.length - EESP_ICV_LEN;
    return in->body > EESP_INFO_LEN + (size_t)lane->policy->info.max_payload +
                          255 ?
               EESP_DROP_LENGTH :
               EESP_OK;
}

static inline __attribute__((always_inline)) int
accept(struct eesp_lane *lane, const struct eesp_incoming *in,
       uint8_t *plaintext, struct eesp_opened *opened)
{
    struct eesp_frame frame;
    int ret;

    eesp_open_commit(lane, in);
    ret = eesp_frame_check(lane->policy->info.max_payload, plaintext, in->body,
                           &frame);
    if (ret != EESP_OK) {
        explicit_bzero(plaintext, in->body);
        return ret;
    }
    opened->payload     = frame.payload;
    opened->length      = frame.length;
    opened->next_header = frame.next_header;
    eesp_open_count_old(lane, in);
    return EESP_OK;
}

static int open_packet(struct eesp_lane *lane, const uint8_t *packet,
                       size_t length, uint8_t *plaintext, size_t size,
                       int follow, struct eesp_opened *opened)
{
    struct eesp_incoming in;
    int ret = admit(lane, packet, length, size, follow, &in, opened);

    if (ret == EESP_OK)
        ret = find_and_decrypt(lane, &in, packet, in.body, plaintext);
    if (ret == EESP_OK)
        ret = accept(lane, &in, plaintext, opened);
    if (ret == EESP_OK && follow)
        eesp_underway_opened(lane, &in.header);
    return ret;
}

int eesp_open_admit(struct eesp_lane *lane, const void *packet, size_t length,
                    size_t size, struct eesp_incoming *in,
                    struct eesp_opened *opened)
{
    return admit(lane, packet, length, size, 1, in, opened);
}

int eesp_open_parts(struct eesp_lane *lane, struct eesp_incoming *in,
                    const uint8_t *packet, const struct iovec *parts,
                    unsigned count)
{
    return find_and_decrypt_to(lane, in, packet, in->body, NULL, parts, count);
}

int eesp_open_accept(struct eesp_lane *lane, struct eesp_incoming *in,
                     uint8_t *plaintext, struct eesp_opened *opened)
{
    int ret;

    /* Packets that were opened meanwhile have changed the table. */
    show_source(lane, in, 1, opened);
    ret = check_replay(lane, in);
    if (ret == EESP_OK)
        return accept(lane, in, plaintext, opened);
    explicit_bzero(plaintext, in->body);
    return ret;
}

int eesp_open(struct eesp_lane *lane, const void *packet, size_t length,
              void *plaintext, size_t size, struct eesp_opened *opened)
{
    int ret;

    clear_struct(opened, offsetof(struct eesp_opened, origin));
    ret = open_packet(lane, packet, length, plaintext, size, 1, opened);
    if (ret == EESP_OK) {
        lane->counters.opened++;
        lane->counters.opened_bytes += opened->length;
    } else {
        lane->counters.dropped[-ret]++;
    }
    return ret;
}

int eesp_verify(struct eesp_lane *lane, const void *packet, size_t length,
                void *scratch, size_t size)
{
    struct eesp_opened opened = {.payload = NULL};
    uint64_t previous         = lane->counters.previous;
    int ret = open_packet(lane, packet, length, scratch, size, 0, &opened);

    if (ret == EESP_OK)
        explicit_bzero(scratch, length);
    lane->counters.previous = previous; /* it was not opened */
    return ret;
}
