/* SPDX-License-Identifier: BSD-3-Clause */
/* cluster: what a launcher hands to a job of a cluster's keyring. */
#ifndef EESP_JOB_CLUSTER_H
#define EESP_JOB_CLUSTER_H

#include "eesp.h"

/*
 * Text of a granted keyring for one job: in the cluster's keyring at path, the
 * root keys of policy's level job give way to the job's own (eesp_job_root()),
 * of each generation, and what the policy derives from them is granted. NULL:
 * why says what is wrong. The caller wipes and frees the text.
 */
char *job_of_cluster(const char *path, const char *policy,
                     const struct eesp_job *job, char why[EESP_WHY_LEN]);

#endif
