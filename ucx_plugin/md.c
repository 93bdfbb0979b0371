/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * md: keyring, policy and identity of one UCP context. If one of them is not
 * right, the MD does not open: then there is no transport "eesp" at all.
 */
#include "offload.h"

#include <ucs/debug/memtrack_int.h>
#include <ucs/sys/stubs.h>
#include <ucs/sys/string.h>

#define UCT_EESP_REPLAY_TABLE_MAX (1u << 26)

static const char *uct_eesp_offload_names[] = {
    [UCT_EESP_OFFLOAD_OFF]      = "off",
    [UCT_EESP_OFFLOAD_AEAD]     = "aead",
    [UCT_EESP_OFFLOAD_CONF]     = "conf",
    [UCT_EESP_OFFLOAD_CONF_MAC] = "conf+mac",
    [UCT_EESP_OFFLOAD_LAST]     = NULL
};

ucs_config_field_t uct_eesp_md_config_table[] = {
    {"", "", NULL, ucs_offsetof(uct_eesp_md_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_md_config_table)},

    {"KEYRING", "/etc/eesp/keyring.jwks",
     "Where the root keys and policies are, see eesp-keyring(5): a file that\n"
     "is private to its owner, fd:N, credential:NAME, keyring:NAME,\n"
     "munge:[FILE] or exec:COMMAND.",
     ucs_offsetof(uct_eesp_md_config_t, keyring), UCS_CONFIG_TYPE_STRING},

    {"POLICY", "auto",
     "Policy of the keyring to send and receive under: its name or SPI.\n"
     "'auto' is the first that fits this process and encrypts: one with the\n"
     "selector 'ranks' needs a rank from the launcher.",
     ucs_offsetof(uct_eesp_md_config_t, policy), UCS_CONFIG_TYPE_STRING},

    {"LOWER", "auto",
     "Transports that carry the sealed messages, or 'auto' for self, posix,\n"
     "sysv, tcp. On RDMA devices: rc, dc, ud (verbs or mlx5).",
     ucs_offsetof(uct_eesp_md_config_t, lower), UCS_CONFIG_TYPE_STRING_ARRAY},

    {"RANK", "auto",
     "Rank of this process, or 'auto' to take the launcher's word (PMIx,\n"
     "Open MPI, Slurm, PMI). No two processes of a job may have the same.",
     ucs_offsetof(uct_eesp_md_config_t, rank), UCS_CONFIG_TYPE_STRING},

    {"BACKEND", "auto",
     "AEAD implementation, or the start of its name: see eesp selftest.\n"
     "'auto' is the fastest of this CPU.",
     ucs_offsetof(uct_eesp_md_config_t, backend), UCS_CONFIG_TYPE_STRING},

    {"FIPS", "n",
     "FIPS mode: every algorithm is that of OpenSSL's FIPS provider, which must\n"
     "be there; ipsec-mb and AES code of our own are not used.",
     ucs_offsetof(uct_eesp_md_config_t, fips), UCS_CONFIG_TYPE_BOOL},

    {"OFFLOAD", "aead",
     "What may be left to a network card: nothing ('off'), or what is as strong\n"
     "as the policy's AEAD ('aead'). No card known to this version is: the CPU\n"
     "seals all. 'conf': it moves the data of large gets as AES-XTS, which is\n"
     "confidential only; 'conf+mac': and the CPU makes and checks a tag of it.\n"
     "Where a card or a peer cannot, the CPU seals.",
     ucs_offsetof(uct_eesp_md_config_t, offload),
     UCS_CONFIG_TYPE_ENUM(uct_eesp_offload_names)},

    {"KEYLOG", "none",
     "File that gets ALL DATA KEYS of this process, to look for faults in what\n"
     "it sends: eesp decode --keylog. Whoever reads it reads the data.",
     ucs_offsetof(uct_eesp_md_config_t, keylog), UCS_CONFIG_TYPE_STRING},

    {"KEY_CACHE", "512",
     "Number of expanded data keys kept by each interface, whatever the\n"
     "number of peers.",
     ucs_offsetof(uct_eesp_md_config_t, key_cache), UCS_CONFIG_TYPE_UINT},

    {"REPLAY_TABLE", "65536",
     "Number of sending endpoints whose sequence numbers each interface can\n"
     "follow; further ones are refused.",
     ucs_offsetof(uct_eesp_md_config_t, replay_table), UCS_CONFIG_TYPE_UINT},

    {"STAT_DIR", "auto",
     "Directory of the page in which this process counts what it does, for\n"
     "eesp stat. 'auto' is /run/user/UID/eesp or, if it is not to be had,\n"
     "/dev/shm/eesp-UID, with mode 0700. 'none': no page.",
     ucs_offsetof(uct_eesp_md_config_t, stat_dir), UCS_CONFIG_TYPE_STRING},

    {"AUDIT", "none",
     "Where one line is written when this process begins to send and receive\n"
     "sealed, when its keyring is replaced or refused, and at the end: stderr,\n"
     "syslog (authpriv.notice), a file's absolute path, or none.",
     ucs_offsetof(uct_eesp_md_config_t, audit), UCS_CONFIG_TYPE_STRING},

    {"RELOAD_INTERVAL", "1s",
     "How often to look whether the keyring was replaced. Its new keys and\n"
     "epoch are used from then on; 0: never.",
     ucs_offsetof(uct_eesp_md_config_t, reload_interval),
     UCS_CONFIG_TYPE_TIME},

    {"RMA", "y",
     "Serve put, get and atomics, as sealed messages whose data is opened where\n"
     "it belongs. Without, UCP emulates them by active messages. Over all\n"
     "lowers but self; the same on all hosts.",
     ucs_offsetof(uct_eesp_md_config_t, rma), UCS_CONFIG_TYPE_BOOL},

    {NULL}
};

/*
 * UCX opens every MD, wanted or not. With the plugin installed for all, a job
 * over plain tcp must not be told about a keyring that it does not use.
 */
int uct_eesp_is_wanted(void)
{
    const char *tls = getenv("UCX_TLS");

    return (tls != NULL) && (tls[0] != '^') && (strstr(tls, "eesp") != NULL);
}

static ucs_status_t uct_eesp_md_query(uct_md_h tl_md, uct_md_attr_t *attr)
{
    uct_eesp_md_t *md = ucs_derived_of(tl_md, uct_eesp_md_t);

    memset(attr, 0, sizeof(*attr));
    /* Without RMA it does nothing but let UCP use zcopy. */
    attr->cap.flags            = UCT_MD_FLAG_REG | UCT_MD_FLAG_NEED_RKEY |
                                 (md->rma ? UCT_MD_FLAG_INVALIDATE : 0);
    attr->rkey_packed_size     = UCT_EESP_RKEY_LEN;
    attr->cap.reg_mem_types    = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->cap.access_mem_types = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->cap.max_reg          = ULONG_MAX;
    attr->reg_cost             = ucs_linear_func_make(0, 0);
    memset(&attr->local_cpus, 0xff, sizeof(attr->local_cpus));
    return UCS_OK;
}

static void uct_eesp_md_close(uct_md_h tl_md)
{
    uct_eesp_md_t *md = ucs_derived_of(tl_md, uct_eesp_md_t);

    uct_eesp_ring_unwatch(md);
    uct_eesp_audit_end(md);
    uct_eesp_stat_close(md);
    uct_eesp_card_close(md);
    uct_eesp_lower_release(md);
    uct_eesp_ring_put(md, md->ring);
    kh_destroy_inplace(uct_eesp_process, &md->processes);
    kh_destroy_inplace(uct_eesp_region, &md->regions);
    explicit_bzero(md->keys, sizeof(md->keys));
    ucs_recursive_spinlock_destroy(&md->lock);
    ucs_free(md->keyring_name);
    ucs_free(md->backend);
    ucs_free(md->stat_dir);
    ucs_free(md->audit.where);
    uct_eesp_keylog_close(md);
    ucs_free(md);
}

static uct_md_ops_t uct_eesp_md_ops = {
    .close                  = uct_eesp_md_close,
    .query                  = uct_eesp_md_query,
    .mem_alloc              = (uct_md_mem_alloc_func_t)
                              ucs_empty_function_return_unsupported,
    .mem_free               = (uct_md_mem_free_func_t)
                              ucs_empty_function_return_unsupported,
    .mem_advise             = (uct_md_mem_advise_func_t)
                              ucs_empty_function_return_unsupported,
    .mem_reg                = uct_eesp_mem_reg,
    .mem_dereg              = uct_eesp_mem_dereg,
    .mem_query              = (uct_md_mem_query_func_t)
                              ucs_empty_function_return_unsupported,
    .mkey_pack              = uct_eesp_mkey_pack,
    .is_sockaddr_accessible = (uct_md_is_sockaddr_accessible_func_t)
                              ucs_empty_function_return_zero,
    .detect_memory_type     = (uct_md_detect_memory_type_func_t)
                              ucs_empty_function_return_unsupported,
};

/* Why this process cannot send under a policy; NULL: it can. */
static const char *uct_eesp_md_unfit(const uct_eesp_md_t *md,
                                     const struct eesp_policy *policy)
{
    const struct eesp_policy_info *info = eesp_policy_info(policy);

    if (info->selectors & ~(EESP_SELECT_RANKS | EESP_SELECT_SOURCE |
                            EESP_SELECT_DESTINATION)) {
        return "it has selectors that UCX cannot fill: only ranks, source and "
               "destination";
    }
    if (info->partitions != 0) {
        return "it is partitioned: its leases are for NICs, not for UCX";
    }
    if ((info->selectors & EESP_SELECT_RANKS) && !md->identity.has_rank) {
        return "no launcher gave this process a rank: set UCX_EESP_RANK";
    }
    return NULL;
}

static void uct_eesp_md_take_policy(uct_eesp_md_t *md,
                                    const struct eesp_policy *policy)
{
    md->info     = *eesp_policy_info(policy);
    md->overhead = eesp_overhead(policy);
}

/*
 * The named policy or, for "auto", the first that fits. One that does not
 * encrypt must be named: nobody shall get readable packets unasked.
 */
static ucs_status_t uct_eesp_md_choose_policy(uct_eesp_md_t *md,
                                              const char *name)
{
    const struct eesp_keyring *keyring = md->ring->keyring;
    const struct eesp_policy *policy;
    const char *unfit;
    unsigned i;

    if (strcmp(name, "auto")) {
        policy = eesp_keyring_policy(keyring, name);
        if (policy == NULL) {
            uct_eesp_refuse("UCX_EESP_POLICY: %s has no policy '%s'; see: eesp "
                            "show %s", md->keyring_name, name,
                            md->keyring_name);
            return UCS_ERR_INVALID_PARAM;
        }
        unfit = uct_eesp_md_unfit(md, policy);
        if (unfit != NULL) {
            uct_eesp_refuse("policy '%s' of %s does not fit: %s; see: eesp "
                            "show %s", name, md->keyring_name, unfit,
                            md->keyring_name);
            return UCS_ERR_INVALID_PARAM;
        }
        uct_eesp_md_take_policy(md, policy);
        return UCS_OK;
    }

    if (eesp_keyring_policies(keyring) == 0) {
        uct_eesp_refuse("%s has no policy of profile sl1: make a keyring with "
                        "eesp keygen", md->keyring_name);
        return UCS_ERR_INVALID_PARAM;
    }

    for (i = 0; i < eesp_keyring_policies(keyring); ++i) {
        policy = eesp_keyring_policy_at(keyring, i);
        unfit  = uct_eesp_md_unfit(md, policy);
        if ((unfit == NULL) && eesp_policy_info(policy)->confidentiality) {
            uct_eesp_md_take_policy(md, policy);
            return UCS_OK;
        }
    }

    policy = eesp_keyring_policy_at(keyring, 0);
    unfit  = uct_eesp_md_unfit(md, policy);
    uct_eesp_refuse("no policy of %s fits, not even '%s': %s; name one by "
                    "UCX_EESP_POLICY, or make a keyring with eesp keygen",
                    md->keyring_name, eesp_policy_info(policy)->name,
                    (unfit != NULL) ? unfit : "it encrypts nothing");
    return UCS_ERR_INVALID_PARAM;
}

/* Before anything is fetched or derived: it holds for the process. */
static ucs_status_t uct_eesp_md_enable_fips(void)
{
    char why[EESP_WHY_LEN];

    if (eesp_fips_enable(why) != EESP_OK) {
        uct_eesp_refuse("UCX_EESP_FIPS: %s", why);
        return UCS_ERR_UNSUPPORTED;
    }
    ucs_info("eesp: FIPS mode: all algorithms are those of %s; ipsec-mb and "
             "AES code of our own are not used", eesp_fips_provider());
    return UCS_OK;
}

static ucs_status_t uct_eesp_md_fill(uct_eesp_md_t *md,
                                     const uct_eesp_md_config_t *config)
{
    ucs_status_t status;

    md->keyring_name = ucs_strdup(config->keyring, "eesp keyring name");
    md->stat_dir     = ucs_strdup(config->stat_dir, "eesp stat dir");
    md->audit.where  = ucs_strdup(config->audit, "eesp audit");
    if ((md->keyring_name == NULL) || (md->stat_dir == NULL) ||
        (md->audit.where == NULL)) {
        return UCS_ERR_NO_MEMORY;
    }
    if (!uct_eesp_audit_is_place(config->audit)) {
        uct_eesp_refuse("UCX_EESP_AUDIT is '%s': must be none, stderr, syslog "
                        "or the path of a file that begins with /",
                        config->audit);
        return UCS_ERR_INVALID_PARAM;
    }
    if (strcmp(config->backend, "auto")) {
        md->backend = ucs_strdup(config->backend, "eesp backend");
        if (md->backend == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
    }

    status = config->fips ? uct_eesp_md_enable_fips() : UCS_OK;
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_keylog_open(md, config->keylog);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_ring_load(md);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_identity_find(config->rank, &md->identity);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_md_choose_policy(md, config->policy);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_eesp_lower_find(md, &config->lower);
    if (status != UCS_OK) {
        return status;
    }
    if (md->num_lowers == 0) {
        uct_eesp_refuse("UCX_EESP_LOWER names no transport that this machine "
                        "has; see: ucx_info -d");
        return UCS_ERR_NO_DEVICE;
    }
    if (config->offload > UCT_EESP_OFFLOAD_AEAD) {
        uct_eesp_card_open(md, config->offload == UCT_EESP_OFFLOAD_CONF_MAC);
    }
    return UCS_OK;
}

/*
 * A lane is made and dropped again: what cannot seal must not show up, and
 * this is where its reason can still be told.
 */
static ucs_status_t uct_eesp_md_try_lane(const uct_eesp_md_t *md)
{
    char why[EESP_WHY_LEN];

    if (md->replay_table > UCT_EESP_REPLAY_TABLE_MAX) {
        uct_eesp_refuse("UCX_EESP_REPLAY_TABLE is %u: must not exceed %u",
                        md->replay_table, UCT_EESP_REPLAY_TABLE_MAX);
        return UCS_ERR_INVALID_PARAM;
    }

    if (uct_eesp_ring_try(md, md->ring->keyring, NULL, why) != EESP_OK) {
        uct_eesp_refuse("%s", why);
        return UCS_ERR_UNSUPPORTED;
    }
    return UCS_OK;
}

ucs_status_t uct_eesp_md_open(uct_component_t *component, const char *md_name,
                              const uct_md_config_t *config, uct_md_h *md_p)
{
    const uct_eesp_md_config_t *md_config =
            ucs_derived_of(config, uct_eesp_md_config_t);
    uct_eesp_md_t *md;
    ucs_status_t status;

    md = ucs_calloc(1, sizeof(*md), "eesp md");
    if (md == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    md->super.ops       = &uct_eesp_md_ops;
    md->super.component = &uct_eesp_component;
    md->key_cache       = md_config->key_cache;
    md->replay_table    = md_config->replay_table;
    md->reload_interval = md_config->reload_interval;
    md->ring_timer      = -1;
    md->rma             = md_config->rma;
    kh_init_inplace(uct_eesp_process, &md->processes);
    kh_init_inplace(uct_eesp_region, &md->regions);
    ucs_list_head_init(&md->ifaces);
    ucs_recursive_spinlock_init(&md->lock, 0);
    md->keylog = -1;

    status = uct_eesp_md_fill(md, md_config);
    if (status == UCS_OK) {
        status = uct_eesp_md_try_lane(md);
    }
    if (status != UCS_OK) {
        uct_eesp_md_close(&md->super);
        return status;
    }

    *md_p = &md->super;
    return UCS_OK;
}

ucs_status_t uct_eesp_query_devices(uct_md_h tl_md,
                                    uct_tl_device_resource_t **devices_p,
                                    unsigned *num_devices_p)
{
    uct_eesp_md_t *md = ucs_derived_of(tl_md, uct_eesp_md_t);
    uct_tl_device_resource_t *devices;
    unsigned i;

    devices = ucs_calloc(md->num_lowers, sizeof(*devices), "eesp devices");
    if (devices == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    for (i = 0; i < md->num_lowers; ++i) {
        ucs_strncpy_zero(devices[i].name, md->lowers[i].name,
                         sizeof(devices[i].name));
        devices[i].type       = md->lowers[i].resource.dev_type;
        devices[i].sys_device = md->lowers[i].resource.sys_device;
    }
    *devices_p     = devices;
    *num_devices_p = md->num_lowers;
    return UCS_OK;
}
