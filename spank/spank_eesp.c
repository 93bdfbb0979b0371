/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spank_eesp: keys for the steps of Slurm's jobs. On each node slurmstepd, as
 * root, makes the job's root key from the cluster's keyring and puts what is
 * derived from it where the job's user alone can read it; the tasks get the
 * name of that file. It goes with the step, and with the job what a killed
 * slurmstepd has left.
 *
 * A step that should get keys and cannot does not start; should its plugstack
 * line say "optional" it starts, and UCX refuses: the keyring that the
 * environment names is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(default)
#include <slurm/slurm.h>
#include <slurm/spank.h>
SPANK_PLUGIN(eesp, 1)
#pragma GCC visibility pop

#include <malloc.h>

#include "../src/job/cluster.h"
#include "handout.h"
#include "store.h"

#define EXTERN_STEP 0xfffffffc /* has no tasks of the user's */

/* Of the one step that a slurmstepd serves. */
static struct {
    int      stored;
    uint32_t job, step;
    char     refusal[EESP_WHY_LEN];
} ours;

static int identify(spank_t spank, struct eesp_job *job)
{
    uid_t user;

    if (spank_get_item(spank, S_JOB_ID, &job->job) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_STEPID, &job->step) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_UID, &user) != ESPANK_SUCCESS) {
        snprintf(ours.refusal, sizeof(ours.refusal),
                 "Slurm does not say whose step this is");
        return -1;
    }
    job->user = user;
    return 0;
}

/* The step's key is made and stored; else refusal says why not. */
static void make_keys(const struct settings *settings,
                      const struct eesp_job *step)
{
    struct eesp_job job = *step;
    char *text;

    job.site = settings->site;
    if (settings->per_job)
        job.step = EESP_ALL_STEPS;
    text = job_of_cluster(settings->keyring, settings->policy, &job,
                          ours.refusal);
    if (text == NULL)
        return;
    ours.stored = 1;
    ours.job    = step->job;
    ours.step   = step->step;
    (void)store_put(settings->directory, step->job, step->step,
                    (uid_t)step->user, text, STORE_NEW, ours.refusal,
                    sizeof(ours.refusal));
    explicit_bzero(text, malloc_usable_size(text));
    free(text);
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char *argv[])
{
    struct settings settings;
    struct eesp_job step = {.step = EXTERN_STEP};
    enum handout wanted;
    char path[PATH_MAX];
    int good;

    if (spank_context() != S_CTX_REMOTE)
        return ESPANK_SUCCESS;
    good = settings_parse(&settings, argc, argv, ours.refusal,
                          sizeof(ours.refusal)) == 0;
    if (identify(spank, &step) == 0 && step.step == EXTERN_STEP)
        return ESPANK_SUCCESS;
    wanted = handout_wanted(spank, &settings, ours.refusal,
                            sizeof(ours.refusal));
    if (wanted == HANDOUT_NONE)
        return ESPANK_SUCCESS;
    store_path(settings.directory, step.job, step.step, path);
    if (wanted == HANDOUT_KEYS && good && ours.refusal[0] == '\0')
        make_keys(&settings, &step);
    if (handout_set(spank, path, ours.refusal[0] != '\0') != 0 &&
        ours.refusal[0] == '\0')
        snprintf(ours.refusal, sizeof(ours.refusal),
                 "Slurm takes no variables for the job");
    if (ours.refusal[0] != '\0')
        slurm_error("eesp: job %u step %u does not start: %s", step.job,
                    step.step, ours.refusal);
    return ESPANK_SUCCESS;
}

/* Here standard error is the task's: its user reads why. */
int slurm_spank_task_init(spank_t spank, int argc, char *argv[])
{
    (void)spank;
    (void)argc;
    (void)argv;
    if (ours.refusal[0] == '\0')
        return ESPANK_SUCCESS;
    slurm_spank_log("eesp: the task does not start: %s", ours.refusal);
    return -1; /* what is above 0 does not keep Slurm from starting it */
}

int slurm_spank_exit(spank_t spank, int argc, char *argv[])
{
    struct settings settings;
    char wrong[EESP_WHY_LEN];

    (void)spank;
    if (spank_context() != S_CTX_REMOTE || !ours.stored)
        return ESPANK_SUCCESS;
    (void)settings_parse(&settings, argc, argv, wrong, sizeof(wrong));
    store_drop(settings.directory, ours.job, &ours.step);
    return ESPANK_SUCCESS;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char *argv[])
{
    struct settings settings;
    char wrong[EESP_WHY_LEN];
    uint32_t job;

    (void)settings_parse(&settings, argc, argv, wrong, sizeof(wrong));
    if (spank_get_item(spank, S_JOB_ID, &job) == ESPANK_SUCCESS)
        store_drop(settings.directory, job, NULL);
    return ESPANK_SUCCESS;
}
