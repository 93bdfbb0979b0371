/* SPDX-License-Identifier: BSD-3-Clause */
/* stat: what the parts of `eesp stat' share. */
#ifndef STAT_H
#define STAT_H

#include "pages.h"

/* For machines: stat_formats.c */
void stat_json(const struct pages *pages);
void stat_prometheus(const struct pages *pages);

uint64_t stat_dropped(const struct eesp_stat_lower *lower);

#endif
