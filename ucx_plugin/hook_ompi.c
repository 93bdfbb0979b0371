/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hook_ompi: a component of Open MPI whose only work is to be loaded. It needs
 * libuct_eesp.so.0, so the transport is in the process before pml/ucx asks UCX
 * for its transports: no LD_PRELOAD. Below UCX 1.22, which loads transports
 * from a directory, nothing else does that without root.
 */
#include "ompi_config.h"

#include "ompi/mca/hook/hook.h"

OMPI_MODULE_DECLSPEC extern const ompi_hook_base_component_t
        mca_hook_eesp_component;

/* Without an open function the component would be dropped at once. */
static int hook_eesp_open(void)
{
    return OPAL_SUCCESS;
}

const ompi_hook_base_component_t mca_hook_eesp_component = {
    .hookm_version = {
        OMPI_HOOK_BASE_VERSION_1_0_0,
        .mca_component_name          = "eesp",
        MCA_BASE_MAKE_VERSION(component, OMPI_MAJOR_VERSION,
                              OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION),
        .mca_open_component          = hook_eesp_open,
    },
    .hookm_data = {
        MCA_BASE_METADATA_PARAM_CHECKPOINT
    },
};
