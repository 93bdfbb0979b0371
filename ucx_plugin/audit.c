/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * audit: one line when a UCP context begins to use the transport, when its
 * keyring is replaced or refused, and when it ends:
 *
 *     eesp-audit time=... host=... pid=... context=0 event=start rank=0 ...
 *
 * name=value, values in double quotes where they hold more than the plain
 * characters; never a key. A line is written whole, by one call, by the thread
 * that opens or closes the context or by UCX's own, never while a message is
 * sent or received.
 *
 * Who asks for a record must get it: without its first line the transport
 * does not open. A later line that cannot be written is told of once, and the
 * job goes on.
 */
#include "offload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <ucs/sys/string.h>

#include "stat_page.h"

#define UCT_EESP_AUDIT_LINE 8192
#define UCT_EESP_SYSLOG     "/dev/log"

typedef struct uct_eesp_audit_line {
    size_t used;
    char   text[UCT_EESP_AUDIT_LINE];
} uct_eesp_audit_line_t;

/* ---- A line ---------------------------------------------------------------- */

static void uct_eesp_audit_char(uct_eesp_audit_line_t *line, char c)
{
    if (line->used < sizeof(line->text) - 2) { /* newline and NUL */
        line->text[line->used++] = c;
    }
}

/* What users and launchers name may hold anything. */
static void uct_eesp_audit_value(uct_eesp_audit_line_t *line, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_.:,/@+%";
    static const char digits[] = "0123456789abcdef";
    int quoted = (value[0] == '\0') || (value[strspn(value, plain)] != '\0');

    if (quoted) {
        uct_eesp_audit_char(line, '"');
    }
    for (; *value != '\0'; ++value) {
        unsigned char c = *value;

        if ((c < 0x20) || (c > 0x7e)) {
            uct_eesp_audit_char(line, '\\');
            uct_eesp_audit_char(line, 'x');
            uct_eesp_audit_char(line, digits[c >> 4]);
            uct_eesp_audit_char(line, digits[c & 15]);
            continue;
        }
        if ((c == '"') || (c == '\\')) {
            uct_eesp_audit_char(line, '\\');
        }
        uct_eesp_audit_char(line, c);
    }
    if (quoted) {
        uct_eesp_audit_char(line, '"');
    }
}

static void uct_eesp_audit_add(uct_eesp_audit_line_t *line, const char *name,
                               const char *format, ...)
        UCS_F_PRINTF(3, 4);

static void uct_eesp_audit_add(uct_eesp_audit_line_t *line, const char *name,
                               const char *format, ...)
{
    char value[EESP_WHY_LEN];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    uct_eesp_audit_char(line, ' ');
    for (; *name != '\0'; ++name) {
        uct_eesp_audit_char(line, *name);
    }
    uct_eesp_audit_char(line, '=');
    uct_eesp_audit_value(line, value);
}

static void uct_eesp_audit_add_time(uct_eesp_audit_line_t *line,
                                    const char *name, time_t when)
{
    char text[32];
    struct tm tm;

    if ((gmtime_r(&when, &tm) == NULL) ||
        (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)) {
        snprintf(text, sizeof(text), "@%lld", (long long)when);
    }
    uct_eesp_audit_add(line, name, "%s", text);
}

/* job=job-42 job.sends=7 job.until=never job.opens=6 job.staged=8 */
static void uct_eesp_audit_add_levels(uct_eesp_audit_line_t *line,
                                      const uct_eesp_md_t *md)
{
    struct eesp_stat_level levels[EESP_LEVELS], *level;
    uint16_t epoch = uct_eesp_stat_levels(md, levels);
    const char *name;
    char text[32];
    unsigned i;

    uct_eesp_audit_add(line, "epoch", "%u", epoch);
    for (i = 0; i < EESP_LEVELS; ++i) {
        level = &levels[i];
        name  = eesp_level_name(i);
        if (level->id[0] == '\0') {
            continue;
        }

        uct_eesp_audit_add(line, name, "%s", level->id);
        if (level->held[EESP_CURRENT]) {
            snprintf(text, sizeof(text), "%s.sends", name);
            uct_eesp_audit_add(line, text, "%u",
                               level->generation[EESP_CURRENT]);
            snprintf(text, sizeof(text), "%s.until", name);
            if (level->expires[EESP_CURRENT] == 0) {
                uct_eesp_audit_add(line, text, "never");
            } else {
                uct_eesp_audit_add_time(line, text,
                                        level->expires[EESP_CURRENT]);
            }
        }
        if (level->held[EESP_PREVIOUS]) {
            snprintf(text, sizeof(text), "%s.opens", name);
            uct_eesp_audit_add(line, text, "%u",
                               level->generation[EESP_PREVIOUS]);
        }
        if (level->held[EESP_NEXT]) {
            snprintf(text, sizeof(text), "%s.staged", name);
            uct_eesp_audit_add(line, text, "%u", level->generation[EESP_NEXT]);
        }
    }
}

/* Every line says all of who and under what: it is read alone, too. */
static void uct_eesp_audit_begin(uct_eesp_audit_line_t *line,
                                 const uct_eesp_md_t *md, const char *event)
{
    const struct eesp_policy_info *info = &md->info;
    char host[HOST_NAME_MAX + 1]        = "";
    const char *tls                     = getenv("UCX_TLS");

    gethostname(host, sizeof(host) - 1);
    line->used = 0;
    memcpy(line->text, "eesp-audit", strlen("eesp-audit"));
    line->used = strlen("eesp-audit");
    uct_eesp_audit_add_time(line, "time", time(NULL));
    uct_eesp_audit_add(line, "host", "%s", host);
    uct_eesp_audit_add(line, "pid", "%d", (int)getpid());
    uct_eesp_audit_add(line, "context", "%u", md->audit.context);
    uct_eesp_audit_add(line, "event", "%s", event);
    uct_eesp_audit_add(line, "uid", "%u", (unsigned)geteuid());
    uct_eesp_audit_add(line, "command", "%s", program_invocation_short_name);
    uct_eesp_audit_add(line, "namespace", "%s", md->identity.name);
    if (md->identity.has_rank) {
        uct_eesp_audit_add(line, "rank", "%u", md->identity.rank);
    }
    uct_eesp_audit_add(line, "policy", "%s", info->name);
    uct_eesp_audit_add(line, "spi", "0x%08x", info->spi);
    uct_eesp_audit_add(line, "kdf", "%s", eesp_kdf_id_name(info->kdf));
    uct_eesp_audit_add(line, "cipher", "%s", eesp_aead_id_name(info->aead));
    uct_eesp_audit_add(line, "encrypts", "%s",
                       info->confidentiality ? "yes" : "no");
    uct_eesp_audit_add(line, "backend", "%s", md->audit.backend);
    uct_eesp_audit_add(line, "offload", "%s", uct_eesp_card_offload(md));
    uct_eesp_audit_add(line, "fips", "%s", (eesp_fips_provider() == NULL) ?
                                           "no" : eesp_fips_provider());
    uct_eesp_audit_add(line, "keylog", "%s", (md->keylog < 0) ? "no" : "yes");
    uct_eesp_audit_add(line, "transports", "%s", (tls == NULL) ? "" : tls);
    uct_eesp_audit_add(line, "keyring", "%s", md->keyring_name);
    uct_eesp_audit_add(line, "serial", "%lu", md->ring_serial + 1);
    uct_eesp_audit_add_levels(line, md);
}

/* ---- Where it goes ----------------------------------------------------------- */

static int uct_eesp_audit_append(int fd, const uct_eesp_audit_line_t *line)
{
    ssize_t written = write(fd, line->text, line->used);

    if ((written >= 0) && (written < (ssize_t)line->used)) {
        errno = ENOSPC;
    }
    return written == (ssize_t)line->used ? 0 : -1;
}

/* Opened for each line, so that the file can be moved away meanwhile. */
static int uct_eesp_audit_append_file(const char *path,
                                      const uct_eesp_audit_line_t *line)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
                        O_NONBLOCK, 0640);
    int ret, error;

    if (fd < 0) {
        return -1;
    }
    ret   = uct_eesp_audit_append(fd, line);
    error = errno;
    close(fd);
    errno = error;
    return ret;
}

/*
 * The datagram of syslog(3), RFC 3164: to send it ourselves leaves the settings
 * alone that the program has made by openlog(), and tells whether it was taken.
 */
static int uct_eesp_audit_syslog(const uct_eesp_audit_line_t *line)
{
    static const char months[]    = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const struct sockaddr_un name = {AF_UNIX, UCT_EESP_SYSLOG};
    time_t now                    = time(NULL);
    char head[64];
    struct iovec parts[]          = {{head, 0}, {(void*)line->text, line->used}};
    struct msghdr message         = {.msg_iov = parts, .msg_iovlen = 2};
    int fd, ret, error;
    struct tm tm;

    if (localtime_r(&now, &tm) == NULL) {
        return -1;
    }
    parts[0].iov_len = snprintf(head, sizeof(head),
                                "<%d>%.3s %2d %02d:%02d:%02d eesp[%d]: ",
                                LOG_AUTHPRIV | LOG_NOTICE,
                                months + 3 * tm.tm_mon, tm.tm_mday, tm.tm_hour,
                                tm.tm_min, tm.tm_sec, (int)getpid());

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    ret = connect(fd, (const struct sockaddr*)&name, sizeof(name));
    if ((ret == 0) && (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)) {
        ret = -1;
    }
    error = errno;
    close(fd);
    errno = error;
    return ret;
}

/* 0, or -1 with errno. */
static int uct_eesp_audit_write(const uct_eesp_md_t *md,
                                uct_eesp_audit_line_t *line)
{
    const char *where = md->audit.where;

    if (!strcmp(where, "syslog")) {
        return uct_eesp_audit_syslog(line);
    }

    line->text[line->used++] = '\n'; /* there is room */
    return !strcmp(where, "stderr") ?
           uct_eesp_audit_append(STDERR_FILENO, line) :
           uct_eesp_audit_append_file(where, line);
}

static const char *uct_eesp_audit_place(const uct_eesp_md_t *md)
{
    return strcmp(md->audit.where, "syslog") ? md->audit.where :
                                               UCT_EESP_SYSLOG;
}

/* A later line than the first. */
static void uct_eesp_audit_write_on(uct_eesp_md_t *md,
                                    uct_eesp_audit_line_t *line)
{
    if ((uct_eesp_audit_write(md, line) != 0) && !md->audit.told) {
        ucs_error("eesp: UCX_EESP_AUDIT: %s: %m: lines of the audit are lost, "
                  "the job goes on sealed", uct_eesp_audit_place(md));
        md->audit.told = 1;
    }
}

/* ---- Events ------------------------------------------------------------------ */

/* The child of a fork has no part in its parent's record. */
static int uct_eesp_audit_is_on(const uct_eesp_md_t *md)
{
    return md->audit.started && (md->audit.owner == getpid());
}

int uct_eesp_audit_is_place(const char *where)
{
    return !strcmp(where, "none") || !strcmp(where, "stderr") ||
           !strcmp(where, "syslog") || (where[0] == '/');
}

ucs_status_t uct_eesp_audit_start(uct_eesp_iface_t *iface)
{
    static unsigned contexts;
    uct_eesp_md_t *md    = uct_eesp_iface_md(iface);
    ucs_status_t status  = UCS_OK;
    uct_eesp_audit_line_t line;

    ucs_recursive_spin_lock(&md->lock);
    if (!strcmp(md->audit.where, "none") || md->audit.started) {
        goto out;
    }

    md->audit.context = __atomic_fetch_add(&contexts, 1, __ATOMIC_RELAXED);
    md->audit.owner   = getpid();
    md->audit.begun   = time(NULL);
    ucs_strncpy_zero(md->audit.backend, eesp_lane_backend(iface->lane),
                     sizeof(md->audit.backend));
    uct_eesp_audit_begin(&line, md, "start");
    if (uct_eesp_audit_write(md, &line) != 0) {
        uct_eesp_refuse("UCX_EESP_AUDIT: %s: %m: who asks for an audit must "
                        "get it; name a place that this user can write to, or "
                        "none", uct_eesp_audit_place(md));
        status = UCS_ERR_IO_ERROR;
        goto out;
    }
    md->audit.started = 1;
out:
    ucs_recursive_spin_unlock(&md->lock);
    return status;
}

void uct_eesp_audit_count(uct_eesp_iface_t *iface)
{
    struct eesp_counters *sum = &uct_eesp_iface_md(iface)->audit.sum;
    uct_eesp_md_t *md         = uct_eesp_iface_md(iface);
    struct eesp_counters one;
    unsigned i;

    eesp_lane_counters(iface->lane, &one);
    ucs_recursive_spin_lock(&md->lock);
    sum->sealed       += one.sealed;
    sum->opened       += one.opened;
    sum->sealed_bytes += one.sealed_bytes;
    sum->opened_bytes += one.opened_bytes;
    sum->derived      += one.derived;
    sum->cached       += one.cached;
    sum->previous     += one.previous;
    for (i = 0; i < ucs_static_array_size(one.dropped); ++i) {
        sum->dropped[i] += one.dropped[i];
    }
    ucs_recursive_spin_unlock(&md->lock);
}

/*
 * The thread that looks after the keyring is the only one to replace it: so no
 * lock is held while a file is written, for which the program could wait.
 */
void uct_eesp_audit_ring(uct_eesp_md_t *md)
{
    uct_eesp_audit_line_t line;

    if (uct_eesp_audit_is_on(md)) {
        uct_eesp_audit_begin(&line, md, "rotation");
        uct_eesp_audit_write_on(md, &line);
    }
}

void uct_eesp_audit_refused(uct_eesp_md_t *md, const char *why)
{
    uct_eesp_audit_line_t line;

    if (uct_eesp_audit_is_on(md)) {
        uct_eesp_audit_begin(&line, md, "refused");
        uct_eesp_audit_add(&line, "why", "%s", why);
        uct_eesp_audit_write_on(md, &line);
    }
}

/* dropped=3 dropped.replay=2 dropped.authentication-failed=1 */
static void uct_eesp_audit_add_dropped(uct_eesp_audit_line_t *line,
                                       const struct eesp_counters *sum)
{
    uint64_t total = 0;
    char name[64], *space;
    unsigned i;

    for (i = 0; i < ucs_static_array_size(sum->dropped); ++i) {
        total += sum->dropped[i];
    }
    uct_eesp_audit_add(line, "dropped", "%lu", total);
    for (i = 0; i < ucs_static_array_size(sum->dropped); ++i) {
        if (sum->dropped[i] == 0) {
            continue;
        }

        snprintf(name, sizeof(name), "dropped.%s", eesp_strerror(-(int)i));
        name[strcspn(name, ":")] = '\0';
        while ((space = strchr(name, ' ')) != NULL) {
            *space = '-';
        }
        uct_eesp_audit_add(line, name, "%lu", sum->dropped[i]);
    }
}

void uct_eesp_audit_end(uct_eesp_md_t *md)
{
    const struct eesp_counters *sum = &md->audit.sum;
    uct_eesp_audit_line_t line;

    if (!uct_eesp_audit_is_on(md)) {
        return;
    }

    uct_eesp_audit_begin(&line, md, "end");
    uct_eesp_audit_add(&line, "seconds", "%lld",
                       (long long)(time(NULL) - md->audit.begun));
    uct_eesp_audit_add(&line, "peers", "%u", md->audit.peers);
    uct_eesp_audit_add(&line, "sealed", "%lu", sum->sealed);
    uct_eesp_audit_add(&line, "sealed_bytes", "%lu", sum->sealed_bytes);
    uct_eesp_audit_add(&line, "opened", "%lu", sum->opened);
    uct_eesp_audit_add(&line, "opened_bytes", "%lu", sum->opened_bytes);
    uct_eesp_audit_add(&line, "opened_previous", "%lu", sum->previous);
    if (md->card != NULL) {
        uct_eesp_audit_add(&line, "offload_bytes", "%lu", md->card_bytes);
    }
    uct_eesp_audit_add(&line, "derived", "%lu", sum->derived);
    uct_eesp_audit_add_dropped(&line, sum);
    uct_eesp_audit_write_on(md, &line);
    md->audit.started = 0;
}
