/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nic: what this host's kernel says of encryption below the transport: MACsec,
 * IPsec (xfrm) and PSP, by software or by network cards. None of it is relied
 * on: whether a job's packets take that way cannot be told from here.
 */
#ifndef EESP_CMD_NIC_H
#define EESP_CMD_NIC_H

/* Lines on standard output, each begun with indent. */
void nic_print(const char *indent);

#endif
