/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_region: memory that peers may reach. A region gets its key, 16 random
 * bytes, when a program packs it for a peer; what nobody was given a key of
 * cannot be named. Keys are an MD's, so of one UCP context.
 *
 * Whoever reads or writes a region counts himself in: deregistration waits for
 * him, so that it is the end of all access from outside.
 */
#include "offload.h"

#include <openssl/crypto.h>
#include <sched.h>
#include <sys/random.h>

#include <ucs/debug/memtrack_int.h>

static uint64_t uct_eesp_region_index(const uint8_t *key)
{
    uint64_t index;

    memcpy(&index, key, sizeof(index));
    return index;
}

/* Under the MD's lock. */
static uct_eesp_region_t *uct_eesp_region_find(uct_eesp_md_t *md,
                                               const uint8_t *key)
{
    khiter_t iter = kh_get(uct_eesp_region, &md->regions,
                           uct_eesp_region_index(key));
    uct_eesp_region_t *region;

    if (iter == kh_end(&md->regions)) {
        return NULL;
    }
    region = kh_value(&md->regions, iter);
    return CRYPTO_memcmp(region->key, key, UCT_EESP_RMA_KEY) ? NULL : region;
}

ucs_status_t uct_eesp_region_get(uct_eesp_md_t *md,
                                 const uct_eesp_access_t *access,
                                 uint64_t length, unsigned right,
                                 uct_eesp_region_t **region_p)
{
    ucs_status_t status = UCS_OK;
    uct_eesp_region_t *region;
    uint64_t offset;

    ucs_recursive_spin_lock(&md->lock);
    region = uct_eesp_region_find(md, access->key);
    if (region == NULL) {
        status = UCS_ERR_INVALID_ADDR;
        goto out;
    }

    offset = access->address - region->address; /* wraps if it is before */
    if ((access->address < region->address) || (offset > region->length) ||
        (length > region->length - offset)) {
        status = UCS_ERR_OUT_OF_RANGE;
    } else if (!(region->access & right)) {
        status = UCS_ERR_REJECTED;
    } else {
        ++region->users;
        *region_p = region;
    }
out:
    ucs_recursive_spin_unlock(&md->lock);
    return status;
}

void uct_eesp_region_put(uct_eesp_md_t *md, uct_eesp_region_t *region)
{
    ucs_recursive_spin_lock(&md->lock);
    --region->users;
    ucs_recursive_spin_unlock(&md->lock);
}

ucs_status_t uct_eesp_mem_reg(uct_md_h tl_md, void *address, size_t length,
                              unsigned flags, uct_mem_h *memh_p)
{
    uct_eesp_md_t *md = ucs_derived_of(tl_md, uct_eesp_md_t);
    uct_eesp_region_t *region;

    if (!md->rma) {
        *memh_p = tl_md; /* any pointer but UCT_MEM_HANDLE_NULL */
        return UCS_OK;
    }

    region = ucs_malloc(sizeof(*region), "eesp region");
    if (region == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    region->address = (uintptr_t)address;
    region->length  = length;
    region->access  = flags;
    region->has_key = 0;
    region->users   = 0;
    ucs_list_head_init(&region->fetches);
    *memh_p         = region;
    return UCS_OK;
}

static void uct_eesp_region_remove(uct_eesp_md_t *md, uct_eesp_region_t *region)
{
    khiter_t iter;

    ucs_recursive_spin_lock(&md->lock);
    iter = kh_get(uct_eesp_region, &md->regions,
                  uct_eesp_region_index(region->key));
    if (iter != kh_end(&md->regions)) {
        kh_del(uct_eesp_region, &md->regions, iter);
    }
    while (region->users > 0) { /* for as long as a packet is opened */
        ucs_recursive_spin_unlock(&md->lock);
        sched_yield();
        ucs_recursive_spin_lock(&md->lock);
    }
    ucs_recursive_spin_unlock(&md->lock);
}

ucs_status_t uct_eesp_mem_dereg(uct_md_h tl_md,
                                const uct_md_mem_dereg_params_t *params)
{
    uct_eesp_md_t *md         = ucs_derived_of(tl_md, uct_eesp_md_t);
    uct_eesp_region_t *region = UCT_MD_MEM_DEREG_FIELD_VALUE(params, memh,
                                                             FIELD_MEMH, NULL);

    if (!md->rma) {
        return UCS_OK;
    }
    UCT_MD_MEM_DEREG_CHECK_PARAMS(params, 1);

    if (region->has_key) {
        uct_eesp_region_remove(md, region);
        uct_eesp_offload_revoke(md, region);
    }
    OPENSSL_cleanse(region, sizeof(*region));
    ucs_free(region);
    if (UCT_MD_MEM_DEREG_FIELD_VALUE(params, flags, FIELD_FLAGS, 0) &
        UCT_MD_MEM_DEREG_FLAG_INVALIDATE) {
        uct_invoke_completion(params->comp, UCS_OK);
    }
    return UCS_OK;
}

/* From a stock, so that not every registration is a system call. */
static ucs_status_t uct_eesp_region_draw(uct_eesp_md_t *md, uint8_t *key)
{
    uint8_t *drawn;

    if (md->num_keys == 0) {
        if (getrandom(md->keys, sizeof(md->keys), 0) !=
            (ssize_t)sizeof(md->keys)) {
            ucs_error("eesp: the kernel gives no random numbers");
            return UCS_ERR_IO_ERROR;
        }
        md->num_keys = sizeof(md->keys) / UCT_EESP_RMA_KEY;
    }
    drawn = md->keys + --md->num_keys * UCT_EESP_RMA_KEY;
    memcpy(key, drawn, UCT_EESP_RMA_KEY);
    OPENSSL_cleanse(drawn, UCT_EESP_RMA_KEY);
    return UCS_OK;
}

static ucs_status_t uct_eesp_region_publish(uct_eesp_md_t *md,
                                            uct_eesp_region_t *region)
{
    ucs_status_t status;
    khiter_t iter;
    int ret;

    do {
        status = uct_eesp_region_draw(md, region->key);
        if (status != UCS_OK) {
            return status;
        }
        iter = kh_put(uct_eesp_region, &md->regions,
                      uct_eesp_region_index(region->key), &ret);
    } while (ret == 0); /* another one has it */
    if (ret < 0) {
        return UCS_ERR_NO_MEMORY;
    }
    kh_value(&md->regions, iter) = region;
    region->has_key              = 1;
    return UCS_OK;
}

ucs_status_t uct_eesp_mkey_pack(uct_md_h tl_md, uct_mem_h memh,
                                const uct_md_mkey_pack_params_t *params,
                                void *rkey_buffer)
{
    uct_eesp_md_t *md         = ucs_derived_of(tl_md, uct_eesp_md_t);
    uct_eesp_region_t *region = memh;
    ucs_status_t status       = UCS_OK;

    if (!md->rma) {
        memset(rkey_buffer, 0, UCT_EESP_RMA_KEY);
        return UCS_OK;
    }

    ucs_recursive_spin_lock(&md->lock);
    if (!region->has_key) {
        status = uct_eesp_region_publish(md, region);
    }
    if (status == UCS_OK) {
        memcpy(rkey_buffer, region->key, UCT_EESP_RMA_KEY);
    }
    ucs_recursive_spin_unlock(&md->lock);
    return status;
}

ucs_status_t uct_eesp_rkey_unpack(uct_component_t *component,
                                  const void *rkey_buffer, uct_rkey_t *rkey_p,
                                  void **handle_p)
{
    uint8_t *key = ucs_malloc(UCT_EESP_RMA_KEY, "eesp rkey");

    if (key == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    memcpy(key, rkey_buffer, UCT_EESP_RMA_KEY);
    *rkey_p   = (uintptr_t)key;
    *handle_p = NULL;
    return UCS_OK;
}

ucs_status_t uct_eesp_rkey_release(uct_component_t *component, uct_rkey_t rkey,
                                   void *handle)
{
    OPENSSL_cleanse((void*)rkey, UCT_EESP_RMA_KEY);
    ucs_free((void*)rkey);
    return UCS_OK;
}
