/* SPDX-License-Identifier: BSD-3-Clause */
/* component: registers transport "eesp" with UCX, if it is the right UCX. */
#include "plugin.h"

#include <ucp/api/ucp_version.h>
#include <ucp/api/ucp.h>
#include <ucs/sys/stubs.h>

uct_component_t uct_eesp_component = {
    .query_md_resources = uct_md_query_single_md_resource,
    .md_open            = uct_eesp_md_open,
    .cm_open            = (uct_component_cm_open_func_t)
                          ucs_empty_function_return_unsupported,
    .rkey_unpack        = uct_eesp_rkey_unpack,
    .rkey_ptr           = (uct_component_rkey_ptr_func_t)
                          ucs_empty_function_return_unsupported,
    .rkey_release       = uct_eesp_rkey_release,
    .name               = "eesp",
    .md_config          = {
        .name   = "EESP memory domain",
        .prefix = "EESP_",
        .table  = uct_eesp_md_config_table,
        .size   = sizeof(uct_eesp_md_config_t),
    },
    .cm_config          = UCS_CONFIG_EMPTY_GLOBAL_LIST_ENTRY,
    .tl_list            = UCT_COMPONENT_TL_LIST_INITIALIZER(&uct_eesp_component),
    .md_vfs_init        = (uct_component_md_vfs_init_func_t)ucs_empty_function,
};

static UCT_TL_DEFINE_ENTRY(&uct_eesp_component, eesp, uct_eesp_query_devices,
                           uct_eesp_iface_t, "EESP_",
                           uct_eesp_iface_config_table,
                           uct_eesp_iface_config_t);

/*
 * UCX's internal structures change from one minor version to the next, under
 * one SONAME: with another version than the one built for, stay out.
 */
UCS_STATIC_INIT {
    unsigned major, minor, release;

    ucp_get_version(&major, &minor, &release);
    if ((major != UCP_API_MAJOR) || (minor != UCP_API_MINOR)) {
        uct_eesp_refuse("built for UCX %d.%d, but this process runs UCX "
                        "%u.%u: rebuild ucx-eesp with ./configure && make "
                        "install against the UCX in use",
                        UCP_API_MAJOR, UCP_API_MINOR, major, minor);
        return;
    }

    uct_component_register(&uct_eesp_component);
    uct_tl_register(&uct_eesp_component, &UCT_TL_NAME(eesp));
}
