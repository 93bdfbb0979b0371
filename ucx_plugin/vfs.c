/* SPDX-License-Identifier: BSD-3-Clause */
/* vfs: what an interface has done, in UCX's virtual file system. */
#include "plugin.h"

#include <ucs/vfs/base/vfs_cb.h>
#include <ucs/vfs/base/vfs_obj.h>

static const struct {
    const char *name;
    size_t      offset; /* in struct eesp_counters */
} uct_eesp_vfs_counters[] = {
    {"sealed",  offsetof(struct eesp_counters, sealed)},
    {"opened",  offsetof(struct eesp_counters, opened)},
    {"derived", offsetof(struct eesp_counters, derived)},
    {"cached",  offsetof(struct eesp_counters, cached)},
};

static void uct_eesp_vfs_show_counter(void *obj, ucs_string_buffer_t *strb,
                                      void *arg_ptr, uint64_t offset)
{
    uct_eesp_iface_t *iface = obj;
    struct eesp_counters counters;

    eesp_lane_counters(iface->lane, &counters);
    ucs_string_buffer_appendf(strb, "%lu\n",
                              *(uint64_t*)UCS_PTR_BYTE_OFFSET(&counters,
                                                              offset));
}

static void uct_eesp_vfs_show_dropped(void *obj, ucs_string_buffer_t *strb,
                                      void *arg_ptr, uint64_t arg_u64)
{
    uct_eesp_iface_t *iface = obj;
    struct eesp_counters counters;
    int error;

    eesp_lane_counters(iface->lane, &counters);
    for (error = EESP_DROP_LENGTH; error > EESP_ERROR_MIN; --error) {
        ucs_string_buffer_appendf(strb, "%lu %s\n", counters.dropped[-error],
                                  eesp_strerror(error));
    }
}

static void uct_eesp_vfs_show_policy(void *obj, ucs_string_buffer_t *strb,
                                     void *arg_ptr, uint64_t arg_u64)
{
    uct_eesp_iface_t *iface = obj;
    const struct eesp_policy_info *info =
            &uct_eesp_iface_md(iface)->info;

    ucs_string_buffer_appendf(strb, "%s SPI %u over %s/%s by %s\n", info->name,
                              info->spi, iface->lower_dev->resource.tl_name,
                              iface->lower_dev->resource.dev_name,
                              eesp_lane_backend(iface->lane));
}

void uct_eesp_iface_vfs_refresh(uct_iface_h tl_iface)
{
    uct_eesp_iface_t *iface = ucs_derived_of(tl_iface, uct_eesp_iface_t);
    size_t i;

    for (i = 0; i < ucs_static_array_size(uct_eesp_vfs_counters); ++i) {
        ucs_vfs_obj_add_ro_file(iface, uct_eesp_vfs_show_counter, NULL,
                                uct_eesp_vfs_counters[i].offset, "eesp/%s",
                                uct_eesp_vfs_counters[i].name);
    }
    ucs_vfs_obj_add_ro_file(iface, uct_eesp_vfs_show_dropped, NULL, 0,
                            "eesp/dropped");
    ucs_vfs_obj_add_ro_file(iface, uct_eesp_vfs_show_policy, NULL, 0,
                            "eesp/policy");
}
