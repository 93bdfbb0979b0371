/* SPDX-License-Identifier: BSD-3-Clause */
/* job: the root key of one job of a launcher, from a cluster's. */
#include <string.h>

#include "bytes.h"
#include "eesp.h"
#include "hmac.h"

#define JOB_LABEL "EESP-SL1 job root"

enum { PRK = 32, ROOT_MIN = 32, ROOT_MAX = 64, INFO_MAX = 12 + EESP_SITE_MAX };

/*
 * HKDF with SHA-256 (RFC 5869): salt is the label, IKM the root, info the job.
 * The label keeps it apart from the policy's derivation keys (master.c), which
 * are extracted from the same root under another salt.
 */
int eesp_job_root(const uint8_t *root, size_t length,
                  const struct eesp_job *job, uint8_t out[EESP_JOB_ROOT_LEN])
{
    const char *site  = job->site ? job->site : "";
    size_t site_length = strlen(site);
    struct iovec ikm   = {(void *)root, length};
    uint8_t prk[EESP_HMAC_MAX], info[INFO_MAX];
    struct eesp_hmac hmac;
    int ret;

    if (length < ROOT_MIN || length > ROOT_MAX || site_length > EESP_SITE_MAX)
        return EESP_ERR_ARGUMENT;
    store32(info, job->job);
    store32(info + 4, job->step);
    store32(info + 8, job->user);
    memcpy(info + 12, site, site_length);
    ret = eesp_hmac_key(&hmac, EESP_SHA_256, (const uint8_t *)JOB_LABEL,
                        sizeof(JOB_LABEL) - 1);
    if (ret == EESP_OK)
        ret = eesp_hmac(&hmac, &ikm, 1, prk);
    if (ret == EESP_OK)
        ret = eesp_hmac_key(&hmac, EESP_SHA_256, prk, PRK);
    if (ret == EESP_OK)
        ret = eesp_hkdf_expand(&hmac, info, 12 + site_length, out,
                               EESP_JOB_ROOT_LEN);
    explicit_bzero(prk, sizeof(prk));
    explicit_bzero(&hmac, sizeof(hmac));
    return ret;
}
