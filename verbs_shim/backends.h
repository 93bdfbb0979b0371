/* SPDX-License-Identifier: BSD-3-Clause */
/* backends: those of this build. */
#ifndef VERBS_SHIM_BACKENDS_H
#define VERBS_SHIM_BACKENDS_H

#include "eesp_config.h"
#include "eesp_verbs.h"

extern const struct vcc_backend vcc_soft;
#ifdef HAVE_MLX5DV
extern const struct vcc_backend vcc_mlx5;
#endif

/* Ids, which peers tell each other. */
enum { VCC_ID_SOFT = 1 << 0, VCC_ID_MLX5 = 1 << 1 };

#endif
