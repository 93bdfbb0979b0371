/* SPDX-License-Identifier: BSD-3-Clause */
/* names: of algorithms, as a keyring has them. */
#ifndef EESP_NAMES_H
#define EESP_NAMES_H

const char *text_kdf(unsigned id);
const char *text_aead(unsigned id);

#endif
