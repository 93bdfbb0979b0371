# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_SLURM: the conditional SLURM, for the SPANK plugin. It needs the
# header alone: slurmstepd has what it calls.
AC_DEFUN([EESP_CHECK_SLURM], [
    EESP_OPTIONAL([slurm], [slurm], [SPANK plugin for Slurm],
        [libslurm-dev], [
        AC_CHECK_HEADER([slurm/spank.h], [
            eesp_found=yes
            AC_COMPUTE_INT([eesp_slurm_major],
                [(SLURM_VERSION_NUMBER >> 16) & 0xff],
                [[#include <slurm/slurm_version.h>]], [eesp_slurm_major=])
            AC_COMPUTE_INT([eesp_slurm_minor],
                [(SLURM_VERSION_NUMBER >> 8) & 0xff],
                [[#include <slurm/slurm_version.h>]], [eesp_slurm_minor=])
            eesp_detail="Slurm $eesp_slurm_major.$eesp_slurm_minor"
        ])
    ])
    AM_CONDITIONAL([SLURM], [test $eesp_have_slurm = yes])
])
