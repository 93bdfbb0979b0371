/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.h"

#include <errno.h>
#include <jansson.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

enum { PORTS = 32 };

/* Output of ip(8), which iproute2 has; NULL: it failed, and says nothing. */
static FILE *ask_ip(char *const argv[], pid_t *pid)
{
    int ends[2];

    if (pipe(ends) != 0)
        return NULL;
    fflush(stdout);
    *pid = fork();
    if (*pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(127);
        close(ends[0]);
        close(ends[1]);
        execvp("ip", argv);
        _exit(127);
    }
    close(ends[1]);
    if (*pid < 0) {
        close(ends[0]);
        return NULL;
    }
    return fdopen(ends[0], "r");
}

/* Whether ip(8) was well: what it said before counts only then. */
static bool ended_well(FILE *from, pid_t pid)
{
    int status;

    if (from == NULL)
        return false;
    while (getc(from) != EOF)
        continue;
    fclose(from);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- MACsec --------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *member,
                           const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : otherwise;
}

/* Members are true or "on", by version of ip(8). */
static bool is_on(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return json_is_true(value) || strcmp(text_of(object, member, ""), "on") == 0;
}

static void print_macsec(const char *indent, const json_t *link,
                         const json_t *data)
{
    const char *offload = text_of(data, "offload", "not told");

    printf("%sMACsec: %s over %s %s, %s, offload %s: frames sent through %s "
           "only%s\n", indent, text_of(link, "ifname", "?"),
           text_of(link, "link", "?"),
           is_on(data, "encrypt") ? "encrypts" : "DOES NOT ENCRYPT",
           text_of(data, "cipher_suite", "cipher not told"), offload,
           text_of(link, "ifname", "?"),
           strcmp(offload, "mac") && strcmp(offload, "phy")
               ? ", and nothing of RDMA" : "");
}

/* How many there are, -1: it cannot be told. */
static int macsec(const char *indent)
{
    char *argv[] = { "ip", "-d", "-j", "link", "show", NULL };
    pid_t pid = -1;
    FILE *from = ask_ip(argv, &pid);
    json_error_t error;
    json_t *links = from ? json_loadf(from, JSON_DISABLE_EOF_CHECK, &error)
                         : NULL;
    const json_t *link;
    int count = 0;
    size_t i;

    if (!ended_well(from, pid) || !json_is_array(links)) {
        json_decref(links);
        return -1;
    }
    json_array_foreach(links, i, link) {
        const json_t *info = json_object_get(link, "linkinfo");

        if (strcmp(text_of(info, "info_kind", ""), "macsec") == 0) {
            print_macsec(indent, link, json_object_get(info, "info_data"));
            count++;
        }
    }
    json_decref(links);
    return count;
}

/* ---- IPsec ---------------------------------------------------------------- */

struct port {
    char     name[32];
    unsigned packet[2], crypto[2]; /* states out, in */
};

static struct port *port_of(struct port *ports, unsigned *count,
                            const char *name)
{
    unsigned i;

    for (i = 0; i < *count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return &ports[i];
    if (*count == PORTS)
        return NULL;
    snprintf(ports[i].name, sizeof(ports[i].name), "%s", name);
    return &ports[(*count)++];
}

/* "crypto offload parameters: dev eth2 dir out mode packet" */
static bool offload_line(const char *line, struct port *ports, unsigned *count)
{
    char kind[16], device[32], way[8], mode[16] = "";
    struct port *port;
    unsigned in;

    if (sscanf(line, " %15s offload parameters: dev %31s dir %7s mode %15s",
               kind, device, way, mode) < 3)
        return false;
    port = port_of(ports, count, device);
    in   = strcmp(way, "in") == 0;
    if (port && (strcmp(mode, "packet") == 0 || strcmp(kind, "packet") == 0))
        port->packet[in]++;
    else if (port)
        port->crypto[in]++;
    return true;
}

static int xfrm(const char *indent)
{
    /* Its keys are none of our business. */
    char *argv[] = { "ip", "xfrm", "state", "list", "nokeys", NULL };
    struct port ports[PORTS] = { 0 };
    unsigned count = 0, states = 0, offloaded = 0, i;
    pid_t pid = -1;
    FILE *from = ask_ip(argv, &pid);
    char line[512];

    while (from && fgets(line, sizeof(line), from)) {
        states += strncmp(line, "src ", 4) == 0;
        offloaded += offload_line(line, ports, &count);
    }
    if (!ended_well(from, pid))
        return -1;
    for (i = 0; i < count; i++) {
        const struct port *p = &ports[i];

        if (p->packet[0] + p->packet[1])
            printf("%sIPsec: %s encrypts whole packets (%u states out, %u in): "
                   "what their policies cover; if RDMA is, only the card "
                   "knows\n", indent, p->name, p->packet[0], p->packet[1]);
        if (p->crypto[0] + p->crypto[1])
            printf("%sIPsec: %s helps the kernel (%u states out, %u in), or "
                   "this ip(8) does not tell more: nothing of RDMA for sure\n",
                   indent, p->name, p->crypto[0], p->crypto[1]);
    }
    if (states > offloaded)
        printf("%sIPsec: %u states in the kernel: what their policies cover, "
               "and nothing of RDMA\n", indent, states - offloaded);
    return (int)states;
}

/* ---- PSP ------------------------------------------------------------------ */

/* Whether the kernel has that family of generic netlink; -1: not told. */
static int has_family(const char *name)
{
    struct {
        struct nlmsghdr   header;
        struct genlmsghdr generic;
        struct nlattr     attribute;
        char              name[GENL_NAMSIZ];
    } request = { .header = { .nlmsg_len   = sizeof(request),
                              .nlmsg_type  = GENL_ID_CTRL,
                              .nlmsg_flags = NLM_F_REQUEST },
                  .generic = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
                  .attribute = { .nla_len = sizeof(request.attribute) +
                                            GENL_NAMSIZ,
                                 .nla_type = CTRL_ATTR_FAMILY_NAME } };
    union {
        struct nlmsghdr header;
        char            bytes[4096];
    } answer;
    struct timeval wait = { .tv_sec = 2 };
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    int result = -1;

    snprintf(request.name, sizeof(request.name), "%s", name);
    if (s >= 0 &&
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
        send(s, &request, sizeof(request), 0) == sizeof(request) &&
        recv(s, &answer, sizeof(answer), 0) >=
            (ssize_t)sizeof(answer.header))
        result = answer.header.nlmsg_type != NLMSG_ERROR;
    if (s >= 0)
        close(s);
    return result;
}

void nic_print(const char *indent)
{
    int macsecs = macsec(indent), states = xfrm(indent);
    int psp = has_family("psp");

    if (psp > 0)
        printf("%sPSP: this kernel has it, for TCP sockets whose programs ask "
               "for it: which do cannot be told, and nothing of RDMA\n",
               indent);
    if (macsecs < 0)
        printf("%sMACsec: cannot be told: no ip(8) that prints JSON\n", indent);
    if (states < 0)
        printf("%sIPsec: cannot be told: ip xfrm state was refused; as root it "
               "may not be\n", indent);
    if (macsecs == 0 && states == 0 && psp <= 0)
        printf("%snone that the kernel knows of\n", indent);
    printf("%sWhat cards and switches encrypt by themselves is not seen here. "
           "Nothing of this counts as protection of a job.\n", indent);
}
