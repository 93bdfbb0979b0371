/* SPDX-License-Identifier: BSD-3-Clause */
#include "handout.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYRING "UCX_EESP_KEYRING"

/* Set where the job sets nothing else; must: else data would leave in clear. */
static const struct {
    const char *name, *value;
    int         must;
} variables[] = {
    { "OMPI_MCA_pml", "ucx", 1 },
    { "OMPI_MCA_osc", "ucx", 1 },
    { "OMPI_MCA_btl", "self", 0 },
    { "OMPI_MCA_opal_common_ucx_tls", "any", 0 },
    { "OMPI_MCA_opal_common_ucx_devices", "any", 0 },
    { "OMPI_MCA_op", "^avx", 0 },
};

enum { VARIABLES = sizeof(variables) / sizeof(variables[0]), TEXT = 512 };

static int is_sealed(const char *tls)
{
    return strcmp(tls, "eesp") == 0 || strcmp(tls, "eesp,self") == 0 ||
           strcmp(tls, "self,eesp") == 0;
}

/* One that is too long for text is something else than we would set. */
static const char *job_variable(spank_t spank, const char *name,
                                char text[TEXT])
{
    spank_err_t err = spank_getenv(spank, name, text, TEXT);

    if (err == ESPANK_NOSPACE)
        return strcpy(text, "(too long)");
    return err == ESPANK_SUCCESS ? text : NULL;
}

enum handout handout_wanted(spank_t spank, const struct settings *settings,
                            char *wrong, size_t size)
{
    char text[TEXT];
    const char *found = job_variable(spank, "UCX_TLS", text);
    unsigned i;

    if (settings->tls == TLS_USER && (!found || !strstr(found, "eesp")))
        return HANDOUT_NONE;
    if (settings->tls == TLS_DEFAULT && found && !strstr(found, "eesp"))
        return HANDOUT_NONE;
    if (settings->tls == TLS_REQUIRE && found && !is_sealed(found)) {
        snprintf(wrong, size, "UCX_TLS is '%.80s': this cluster's jobs need "
                 "'eesp'; unset it", found);
        return HANDOUT_REFUSED;
    }
    for (i = 0; i < VARIABLES; i++) {
        found = job_variable(spank, variables[i].name, text);
        if (found && variables[i].must &&
            strcmp(found, variables[i].value) != 0) {
            snprintf(wrong, size, "%s is '%.80s': a sealed job needs '%s'; "
                     "unset it", variables[i].name, found, variables[i].value);
            return HANDOUT_REFUSED;
        }
    }
    return HANDOUT_KEYS;
}

/* ESPANK_ENV_EXISTS: the job's own stays. */
static int set(spank_t spank, const char *name, const char *value,
               int overwrite)
{
    spank_err_t err = spank_setenv(spank, name, value, overwrite);

    return err != ESPANK_SUCCESS && err != ESPANK_ENV_EXISTS;
}

int handout_set(spank_t spank, const char *path, int refused)
{
    int failed = set(spank, KEYRING, path, 1);
    unsigned i;

    failed |= set(spank, "UCX_TLS", "eesp", refused);
    for (i = 0; i < VARIABLES; i++)
        failed |= set(spank, variables[i].name, variables[i].value, refused);
    if (access(EESP_OPENMPI_DIR "/mca_hook_eesp.so", R_OK) == 0)
        failed |= set(spank, "OMPI_MCA_mca_base_component_path",
                      EESP_OPENMPI_DIR ":SYSTEM_DEFAULT:USER_DEFAULT", 0);
    return failed ? -1 : 0;
}
