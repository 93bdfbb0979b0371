/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include <stdio.h>
#include <string.h>

/* What follows "name=", or NULL. */
static const char *value(const char *word, const char *name)
{
    size_t length = strlen(name);

    return strncmp(word, name, length) == 0 && word[length] == '=' ?
           word + length + 1 : NULL;
}

/* Which of the words found is, or -1. */
static int choose(const char *found, const char *const *words)
{
    int i;

    for (i = 0; words[i] != NULL; i++)
        if (strcmp(found, words[i]) == 0)
            return i;
    return -1;
}

static int parse(struct settings *settings, const char *word)
{
    static const char *const tls[] = { "user", "default", "require", NULL };
    static const char *const scope[] = { "step", "job", NULL };
    const char *found;
    int chosen = 0;

    if ((found = value(word, "keyring")) != NULL) {
        settings->keyring = found;
    } else if ((found = value(word, "policy")) != NULL) {
        settings->policy = found;
    } else if ((found = value(word, "site")) != NULL) {
        settings->site = found;
    } else if ((found = value(word, "directory")) != NULL) {
        settings->directory = found;
        chosen = found[0] == '/' ? 0 : -1;
    } else if ((found = value(word, "tls")) != NULL) {
        chosen = choose(found, tls);
        settings->tls = chosen < 0 ? TLS_REQUIRE : (enum settings_tls)chosen;
    } else if ((found = value(word, "scope")) != NULL) {
        chosen = choose(found, scope);
        settings->per_job = chosen == 1;
    } else {
        chosen = -1;
    }
    return chosen < 0 ? -1 : 0;
}

int settings_parse(struct settings *settings, int argc, char *argv[],
                   char *wrong, size_t size)
{
    int i;

    *settings = (struct settings){
        .keyring   = "/etc/eesp/cluster.jwks",
        .policy    = "ranks",
        .site      = "",
        .directory = "/run/eesp-slurm",
    };
    for (i = 0; i < argc; i++)
        if (parse(settings, argv[i]) < 0) {
            /* Whatever was meant: no job shall run in clear for it. */
            settings->tls = TLS_REQUIRE;
            snprintf(wrong, size, "plugstack.conf: '%.80s' is none of "
                     "keyring=FILE, policy=NAME, site=NAME, directory=/DIR, "
                     "tls=user|default|require, scope=step|job", argv[i]);
            return -1;
        }
    return 0;
}
