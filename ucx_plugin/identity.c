/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identity: rank and namespace, from the launcher's variables. The launcher
 * is who knows them; nothing here asks the program.
 */
#include "plugin.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include "fips.h"

/* In order of precedence. The namespace keeps jobs apart that repeat ranks. */
static const struct {
    const char *rank;
    const char *name_space[2];
} uct_eesp_launchers[] = {
    {"PMIX_RANK",            {"PMIX_NAMESPACE", NULL}},
    {"OMPI_COMM_WORLD_RANK", {"OMPI_MCA_ess_base_jobid", NULL}},
    {"SLURM_PROCID",         {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"PMI_RANK",             {"PMI_JOBID", NULL}},
};

static int uct_eesp_parse_rank(const char *text, uint32_t *rank_p)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    *rank_p = value;
    return (end != text) && (*end == '\0') && (text[0] != '-') &&
           (value <= UINT32_MAX);
}

/* First 8 bytes of SHA-256: a name, not a secret. */
static ucs_status_t uct_eesp_hash(const char *first, const char *second,
                                  uint64_t *hash_p)
{
    EVP_MD *md = EVP_MD_fetch(eesp_crypto_context(), "SHA256",
                              eesp_crypto_properties());
    uint8_t digest[EVP_MAX_MD_SIZE];
    char text[1024];
    int done;

    snprintf(text, sizeof(text), "%s/%s", first ? first : "",
             second ? second : "");
    done = (md != NULL) &&
           (EVP_Digest(text, strlen(text), digest, NULL, md, NULL) == 1);
    EVP_MD_free(md);
    if (!done) {
        return UCS_ERR_IO_ERROR;
    }

    memcpy(hash_p, digest, sizeof(*hash_p));
    return UCS_OK;
}

/* Random and constant for a process; the child of a fork is another one. */
static ucs_status_t uct_eesp_process(uint64_t *process_p)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t process;
    static pid_t owner;
    ucs_status_t status = UCS_OK;

    pthread_mutex_lock(&lock);
    if (owner != getpid()) {
        if (getrandom(&process, sizeof(process), 0) == sizeof(process)) {
            owner = getpid();
        } else {
            status = UCS_ERR_IO_ERROR;
        }
    }
    *process_p = process;
    pthread_mutex_unlock(&lock);
    return status;
}

ucs_status_t uct_eesp_identity_find(const char *rank_config,
                                    uct_eesp_identity_t *identity)
{
    const char *rank, *name_space[2] = {NULL, NULL};
    int from_config = strcmp(rank_config, "auto") != 0;
    ucs_status_t status;
    size_t i;

    memset(identity, 0, sizeof(*identity));
    status = uct_eesp_process(&identity->process);
    if (status != UCS_OK) {
        uct_eesp_refuse("the kernel gives no random numbers: %m");
        return status;
    }

    for (i = 0; i < ucs_static_array_size(uct_eesp_launchers); ++i) {
        rank = getenv(uct_eesp_launchers[i].rank);
        if (rank == NULL) {
            continue;
        }

        name_space[0] = getenv(uct_eesp_launchers[i].name_space[0]);
        if (uct_eesp_launchers[i].name_space[1] != NULL) {
            name_space[1] = getenv(uct_eesp_launchers[i].name_space[1]);
        }
        if (!from_config &&
            !uct_eesp_parse_rank(rank, &identity->rank)) {
            uct_eesp_refuse("%s is '%s', not a rank: set UCX_EESP_RANK",
                            uct_eesp_launchers[i].rank, rank);
            return UCS_ERR_INVALID_PARAM;
        }

        identity->has_rank = 1;
        break;
    }

    snprintf(identity->name, sizeof(identity->name), "%s%s%s",
             name_space[0] ? name_space[0] : "", name_space[1] ? "." : "",
             name_space[1] ? name_space[1] : "");
    if (from_config) {
        if (!uct_eesp_parse_rank(rank_config, &identity->rank)) {
            uct_eesp_refuse("UCX_EESP_RANK is '%s': must be 'auto' or a number "
                            "from 0 to 4294967295", rank_config);
            return UCS_ERR_INVALID_PARAM;
        }
        identity->has_rank = 1;
    }

    return uct_eesp_hash(name_space[0], name_space[1], &identity->name_space);
}
