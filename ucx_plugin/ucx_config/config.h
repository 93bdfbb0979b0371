/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What UCX's internal headers want from UCX's own config.h. ENABLE_STATS
 * changes the layout of structures: it stays undefined, as in the distribution's
 * build. So does ENABLE_ASSERT that of one: see plugin.h. The rest concerns
 * inline functions.
 */
#ifndef EESP_UCX_CONFIG_H
#define EESP_UCX_CONFIG_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#ifndef HAVE_ALLOCA_H
#define HAVE_ALLOCA_H 1
#endif
#define HAVE___CLEAR_CACHE 1

#define ENABLE_BUILTIN_MEMCPY 1
#define ENABLE_DEBUG_DATA     0
#define ENABLE_PARAMS_CHECK   1 /* UCT_CHECK_LENGTH and the like do check */
#define UCS_MAX_LOG_LEVEL     UCS_LOG_LEVEL_DEBUG

#endif
