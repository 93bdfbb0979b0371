/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lower: finds the devices of other transports that can carry our packets. All
 * through UCT's public interface.
 */
#include "plugin.h"

#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/string.h>

#define UCT_EESP_LOWER_MEMBERS 5

/*
 * Names for several. RDMA devices are used where they are named only: jobs over
 * ud have been seen to stand still in a guest whose host was busy. RC connects endpoint to endpoint: the addresses are
 * exchanged over UD, which therefore comes with it.
 */
static const struct {
    const char *name;
    const char *members[UCT_EESP_LOWER_MEMBERS];
} uct_eesp_lower_names[] = {
    {"auto", {"self", "posix", "sysv", "tcp"}},
    {"rc", {"rc_verbs", "rc_mlx5", "ud_verbs", "ud_mlx5"}},
    {"ud", {"ud_verbs", "ud_mlx5"}},
    {"dc", {"dc_mlx5"}},
    {"rc_verbs", {"ud_verbs"}},
    {"rc_mlx5", {"ud_mlx5"}},
};

static int uct_eesp_lower_is_member(const char *name, const char *tl_name)
{
    const char *const *member;
    size_t i;

    for (i = 0; i < ucs_static_array_size(uct_eesp_lower_names); ++i) {
        if (strcmp(uct_eesp_lower_names[i].name, name)) {
            continue;
        }
        for (member = uct_eesp_lower_names[i].members; *member != NULL;
             ++member) {
            if (!strcmp(*member, tl_name)) {
                return 1;
            }
        }
    }
    return 0;
}

static int uct_eesp_lower_wanted(const ucs_config_names_array_t *wanted,
                                 const char *tl_name)
{
    unsigned i;

    for (i = 0; i < wanted->count; ++i) {
        if (!strcmp(wanted->names[i], tl_name) ||
            uct_eesp_lower_is_member(wanted->names[i], tl_name)) {
            return 1;
        }
    }
    return 0;
}

const uct_eesp_lower_t *uct_eesp_lower_by_name(const uct_eesp_md_t *md,
                                               const char *name)
{
    unsigned i;

    for (i = 0; i < md->num_lowers; ++i) {
        if (!strcmp(md->lowers[i].name, name)) {
            return &md->lowers[i];
        }
    }
    return NULL;
}

/*
 * A second way through the same shared memory: it serves as any other, but UCP is
 * not offered memory access by it, or it would add the two bandwidths up and begin
 * with rendezvous far too early.
 */
int uct_eesp_lower_is_spare(const uct_eesp_md_t *md,
                            const uct_eesp_lower_t *lower)
{
    const uct_eesp_lower_t *other;

    if (lower->resource.dev_type != UCT_DEVICE_TYPE_SHM) {
        return 0;
    }
    for (other = md->lowers; other < lower; ++other) {
        if (other->resource.dev_type == UCT_DEVICE_TYPE_SHM) {
            return 1;
        }
    }
    return 0;
}

/*
 * UCX's connection manager matches device names, so the first lower of a
 * device keeps the device's own name; another one gets a suffix.
 */
static ucs_status_t uct_eesp_lower_add(uct_eesp_md_t *md,
                                       uct_component_h component,
                                       uct_md_h lower_md,
                                       const uct_tl_resource_desc_t *resource)
{
    uct_eesp_lower_t *lower, *lowers;

    lowers = ucs_realloc(md->lowers, (md->num_lowers + 1) * sizeof(*lowers),
                         "eesp lowers");
    if (lowers == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    md->lowers       = lowers;
    lower            = &lowers[md->num_lowers];
    lower->component = component;
    lower->md        = lower_md;
    lower->resource  = *resource;
    if (uct_eesp_lower_by_name(md, resource->dev_name) == NULL) {
        ucs_strncpy_zero(lower->name, resource->dev_name, sizeof(lower->name));
    } else {
        ucs_snprintf_safe(lower->name, sizeof(lower->name), "%.*s/%s",
                          (int)(sizeof(lower->name) - 2 -
                                strlen(resource->tl_name)),
                          resource->dev_name, resource->tl_name);
    }
    ++md->num_lowers;
    return UCS_OK;
}

/* Keeps the MD open only if one of its transports is wanted. */
static ucs_status_t
uct_eesp_lower_find_in_md(uct_eesp_md_t *md, uct_component_h component,
                          const char *md_name,
                          const ucs_config_names_array_t *wanted)
{
    int used = 0;
    uct_tl_resource_desc_t *resources;
    unsigned num_resources, i;
    uct_md_config_t *config;
    ucs_status_t status;
    uct_md_h *mds;
    uct_md_h lower_md;

    if (uct_md_config_read(component, NULL, NULL, &config) != UCS_OK) {
        return UCS_OK; /* not usable here is no error of ours */
    }
    status = uct_md_open(component, md_name, config, &lower_md);
    uct_config_release(config);
    if (status != UCS_OK) {
        return UCS_OK;
    }

    status = uct_md_query_tl_resources(lower_md, &resources, &num_resources);
    if (status == UCS_OK) {
        for (i = 0; (i < num_resources) && (status == UCS_OK); ++i) {
            if (uct_eesp_lower_wanted(wanted, resources[i].tl_name)) {
                status = uct_eesp_lower_add(md, component, lower_md,
                                            &resources[i]);
                used   = 1;
            }
        }
        uct_release_tl_resource_list(resources);
    }

    if (!used) {
        uct_md_close(lower_md);
        return UCS_OK;
    }

    mds = ucs_realloc(md->lower_mds, (md->num_lower_mds + 1) * sizeof(*mds),
                      "eesp lower mds");
    if (mds == NULL) {
        uct_md_close(lower_md);
        return UCS_ERR_NO_MEMORY;
    }
    md->lower_mds                      = mds;
    md->lower_mds[md->num_lower_mds++] = lower_md;
    return status;
}

static ucs_status_t
uct_eesp_lower_find_in_component(uct_eesp_md_t *md, uct_component_h component,
                                 const ucs_config_names_array_t *wanted)
{
    uct_component_attr_t attr = {
        .field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT
    };
    ucs_status_t status;
    unsigned i;

    status = uct_component_query(component, &attr);
    if ((status != UCS_OK) || (attr.md_resource_count == 0)) {
        return UCS_OK;
    }

    attr.field_mask   = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
    attr.md_resources = ucs_calloc(attr.md_resource_count,
                                   sizeof(*attr.md_resources),
                                   "eesp md resources");
    if (attr.md_resources == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    if (uct_component_query(component, &attr) == UCS_OK) {
        for (i = 0; (i < attr.md_resource_count) && (status == UCS_OK); ++i) {
            status = uct_eesp_lower_find_in_md(md, component,
                                               attr.md_resources[i].md_name,
                                               wanted);
        }
    }
    ucs_free(attr.md_resources);
    return status;
}

ucs_status_t uct_eesp_lower_find(uct_eesp_md_t *md,
                                 const ucs_config_names_array_t *wanted)
{
    ucs_status_t status;
    uct_component_h *components;
    unsigned count, i;

    status = uct_query_components(&components, &count);
    if (status != UCS_OK) {
        return status;
    }

    for (i = 0; (i < count) && (status == UCS_OK); ++i) {
        if (components[i] != &uct_eesp_component) {
            status = uct_eesp_lower_find_in_component(md, components[i],
                                                      wanted);
        }
    }
    uct_release_component_list(components);
    return status;
}

void uct_eesp_lower_release(uct_eesp_md_t *md)
{
    while (md->num_lower_mds > 0) {
        uct_md_close(md->lower_mds[--md->num_lower_mds]);
    }
    ucs_free(md->lower_mds);
    ucs_free(md->lowers);
}
