/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfs: looks for our files below every interface in UCX's virtual file system
 * and prints them. UCX's own reader needs FUSE; this calls what it calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ucp/api/ucp.h>
#include <ucs/datastruct/string_buffer.h>
#include <ucs/vfs/base/vfs_obj.h>

static int found;

/* The names in a directory; UCX holds its lock while it tells them. */
struct names {
    char     name[256][64];
    unsigned count;
};

static void keep(const char *name, void *arg)
{
    struct names *names = arg;

    if (names->count < 256)
        snprintf(names->name[names->count++], 64, "%s", name);
}

static void show(const char *path)
{
    ucs_string_buffer_t text;

    ucs_string_buffer_init(&text);
    if (ucs_vfs_path_read_file(path, &text) == UCS_OK) {
        printf("%s: %s", strrchr(path, '/') + 1,
               ucs_string_buffer_cstr(&text));
        found++;
    }
    ucs_string_buffer_cleanup(&text);
}

/* path is "" for the root. */
static void look(const char *path, int depth)
{
    struct names *names = calloc(1, sizeof(*names));
    ucs_vfs_path_info_t info;
    char below[512];
    unsigned i;

    if (names == NULL)
        return;
    ucs_vfs_path_list_dir(depth == 0 ? "/" : path, keep, names);
    for (i = 0; i < names->count; i++) {
        snprintf(below, sizeof(below), "%s/%s", path, names->name[i]);
        if (ucs_vfs_path_get_info(below, &info) != UCS_OK)
            continue;
        if ((info.mode & 0170000) == 0040000 && depth < 12)
            look(below, depth + 1);
        else if (strstr(below, "/eesp/") != NULL)
            show(below);
    }
    free(names);
}

int main(void)
{
    ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES,
                           .features   = UCP_FEATURE_TAG};
    ucp_worker_params_t worker_params = {0};
    ucp_config_t *config;
    ucp_context_h context;
    ucp_worker_h worker;

    if (ucp_config_read(NULL, NULL, &config) != UCS_OK ||
        ucp_init(&params, config, &context) != UCS_OK ||
        ucp_worker_create(context, &worker_params, &worker) != UCS_OK)
        return 1;
    ucp_config_release(config);
    look("", 0);
    ucp_worker_destroy(worker);
    ucp_cleanup(context);
    return found > 0 ? 0 : 1;
}
