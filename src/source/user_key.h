/* SPDX-License-Identifier: BSD-3-Clause */
/* user_key: a key of type "user" in the kernel's keyrings, see keyrings(7). */
#ifndef EESP_USER_KEY_H
#define EESP_USER_KEY_H

#include "source.h"

int eesp_user_key_load(const char *description, const char *name,
                       struct eesp_keyring **keyring_p,
                       char why[EESP_WHY_LEN]);
void eesp_user_key_look(const char *description, struct eesp_source_seen *seen);

#endif
