/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keylog: UCX_EESP_KEYLOG, a file that gets every data key of this process, for
 * people who look for a fault in what a job sends and are not to have its root
 * keys. Its format is that of lane_keylog.c.
 */
#include "plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* NULL: nobody else can read it. */
static const char *uct_eesp_keylog_refusal(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return strerror(errno);
    }
    if (!S_ISREG(st.st_mode) || (st.st_nlink != 1)) {
        return "not a file of its own";
    }
    if (st.st_uid != geteuid()) {
        return "not this user's";
    }
    if (st.st_mode & 077) {
        return "lies open to others: chmod 0600";
    }
    return NULL;
}

ucs_status_t uct_eesp_keylog_open(uct_eesp_md_t *md, const char *path)
{
    const char *why = NULL;

    if (!strcmp(path, "none")) {
        return UCS_OK;
    }

    if (eesp_fips_provider() != NULL) {
        why = "not in FIPS mode";
    } else if (path[0] != '/') {
        why = "must be an absolute path, or none";
    } else {
        md->keylog = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
                                O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0600);
        why        = (md->keylog < 0) ? strerror(errno) :
                                        uct_eesp_keylog_refusal(md->keylog);
    }
    if (why != NULL) {
        uct_eesp_refuse("UCX_EESP_KEYLOG: %s: %s", path, why);
        return UCS_ERR_INVALID_PARAM;
    }

    ucs_warn("eesp: UCX_EESP_KEYLOG: THE KEYS of all that this process sends "
             "and receives are WRITTEN TO %s: who reads it reads the data, "
             "also in old recordings; delete it when you are done", path);
    return UCS_OK;
}

/* Whole lines, whoever else writes to the file. */
static void uct_eesp_keylog_tell(void *arg, const char *line)
{
    const uct_eesp_md_t *md = arg;
    struct iovec parts[]    = {{(void*)line, strlen(line)}, {"\n", 1}};

    if (writev(md->keylog, parts, 2) < 0) {
        ucs_debug("eesp: key log: %m");
    }
}

ucs_status_t uct_eesp_keylog_add(uct_eesp_iface_t *iface)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);

    if (md->keylog < 0) {
        return UCS_OK;
    }
    return (eesp_lane_keylog(iface->lane, uct_eesp_keylog_tell, md) ==
            EESP_OK) ? UCS_OK : UCS_ERR_UNSUPPORTED;
}

void uct_eesp_keylog_close(uct_eesp_md_t *md)
{
    if (md->keylog >= 0) {
        close(md->keylog);
    }
}
