/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp-slurm-refresh: after a rotation of the cluster's keyring, new keyrings
 * for the steps that run on this node. It knows them by the store alone: the
 * directory's name is the step, the file's owner the user.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/job/cluster.h"
#include "settings.h"
#include "store.h"

static void complain(const char *what)
{
    fprintf(stderr, "eesp-slurm-refresh: %s\n", what);
}

/* Whether the file has exactly that text. */
static int is_there(const char *path, const char *text)
{
    size_t length = strlen(text), got = 0;
    char *found   = malloc(length + 1);
    FILE *file    = fopen(path, "re");
    int same;

    if (found != NULL && file != NULL) {
        setvbuf(file, NULL, _IONBF, 0); /* no further copy of the keys */
        got = fread(found, 1, length + 1, file);
    }
    same = found != NULL && got == length && memcmp(found, text, length) == 0;
    if (file != NULL)
        fclose(file);
    if (found != NULL)
        explicit_bzero(found, length + 1);
    free(found);
    return same;
}

/* 1: it has new keys; 0: it had them; -1: after a complaint. */
static int refresh(const struct settings *settings, const struct eesp_job *step)
{
    struct eesp_job job = *step;
    char path[PATH_MAX], why[EESP_WHY_LEN], *text;
    struct stat st;
    int ret = 0;

    store_path(settings->directory, step->job, step->step, path);
    if (lstat(path, &st) != 0)
        return 0; /* it has just ended */
    job.user = st.st_uid;
    job.site = settings->site;
    if (settings->per_job)
        job.step = EESP_ALL_STEPS;
    text = job_of_cluster(settings->keyring, settings->policy, &job, why);
    if (text == NULL) {
        complain(why);
        return -1;
    }
    if (!is_there(path, text))
        ret = store_put(settings->directory, step->job, step->step, st.st_uid,
                        text, STORE_REPLACE, why, sizeof(why));
    if (ret < 0)
        complain(why);
    explicit_bzero(text, malloc_usable_size(text));
    free(text);
    return ret;
}

static int refresh_all(const struct settings *settings)
{
    unsigned steps = 0, fresh = 0, failed = 0;
    DIR *store     = opendir(settings->directory);
    struct eesp_job step = {.job = 0};
    struct dirent *entry;
    int each, end;

    while (store != NULL && (entry = readdir(store)) != NULL) {
        end = 0;
        if (sscanf(entry->d_name, "%u.%u%n", &step.job, &step.step, &end) !=
                2 || end == 0 || entry->d_name[end] != '\0')
            continue;
        each = refresh(settings, &step);
        steps++;
        fresh  += each > 0;
        failed += each < 0;
    }
    if (store != NULL)
        closedir(store);
    printf("%u steps, %u with new keys, %u failed\n", steps, fresh, failed);
    return failed ? 1 : 0;
}

int main(int argc, char *argv[])
{
    struct settings settings;
    char wrong[EESP_WHY_LEN];

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 ||
                     strcmp(argv[1], "-h") == 0)) {
        printf("Usage: eesp-slurm-refresh [WORD]...\n\n"
               "New keys for the job steps that run on this node, after a "
               "rotation of the\ncluster's keyring. WORDs are those behind "
               "spank_eesp.so in plugstack.conf;\nsee eesp-slurm(7).\n\n"
               "Example:\n  eesp-slurm-refresh keyring=/etc/eesp/cluster.jwks\n");
        return 0;
    }
    if (settings_parse(&settings, argc - 1, argv + 1, wrong, sizeof(wrong)) !=
        0) {
        complain(wrong);
        return 2;
    }
    return refresh_all(&settings);
}
