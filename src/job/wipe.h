/* SPDX-License-Identifier: BSD-3-Clause */
/* wipe: files that held keys. */
#ifndef EESP_WIPE_H
#define EESP_WIPE_H

/* Overwrites and removes the file name of the directory, which is open; one that
 * is not there, or is a link, is left out. */
void wipe_file(int directory, const char *name);

#endif
