/* SPDX-License-Identifier: BSD-3-Clause */
/* show: what the parts of `eesp show' share. */
#ifndef SHOW_H
#define SHOW_H

#include <jansson.h>

#include "eesp.h"

/* A table of the policies of a profile, if there are any. */
void show_psp(const struct eesp_keyring *keyring);
void show_tss(const struct eesp_keyring *keyring);

/* An array of them. */
json_t *show_psp_json(const struct eesp_keyring *keyring);
json_t *show_tss_json(const struct eesp_keyring *keyring);

#endif
