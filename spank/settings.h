/* SPDX-License-Identifier: BSD-3-Clause */
/* settings: the site's words behind the plugin's name in plugstack.conf(5). */
#ifndef EESP_SPANK_SETTINGS_H
#define EESP_SPANK_SETTINGS_H

#include <stddef.h>

enum settings_tls {
    TLS_USER,    /* jobs that set UCX_TLS=eesp themselves */
    TLS_DEFAULT, /* and those that set none */
    TLS_REQUIRE, /* all; one that says something else does not start */
};

struct settings {
    const char       *keyring; /* the cluster's: root alone may read it */
    const char       *policy, *site, *directory;
    enum settings_tls tls;
    int               per_job; /* one key for all steps of a job */
};

/* 0, or -1 and wrong says what. The words are not copied. */
int settings_parse(struct settings *settings, int argc, char *argv[],
                   char *wrong, size_t size);

#endif
