/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * munge: a keyring in a credential of MUNGE. The credential may lie where
 * everybody can read it: munged gives its content to the user alone for whom it
 * was made. libmunge is loaded where a credential is, and may be absent.
 */
#ifndef EESP_MUNGE_H
#define EESP_MUNGE_H

#include "source.h"

#define EESP_MUNGE_CREDENTIAL "EESP_MUNGE_CREDENTIAL" /* where no file is named */
#define EESP_MUNGE_SOCKET     "EESP_MUNGE_SOCKET"     /* of another munged */

/* path: the file that holds the credential; "": the variable does. */
int eesp_munge_load(const char *path, const char *name,
                    struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN]);

#endif
