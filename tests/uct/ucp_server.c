/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ucp_server [--wakeup] serve CLIENTS
 *     listens on loopback, says "listening PORT", serves so many clients one
 *     after the other, and says how each of them ended.
 * ucp_server [--wakeup] MODE PORT
 *     a client. tag, am, stream: what it sends comes back, and is compared;
 *     wait: does nothing until the server is gone; flood: sends until then.
 *
 * Every line is one event, for the script that kills one side and looks at the
 * other.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ucp_side.h"
#include "uct.h"

#define AM_ID     3
#define TAG_THERE 1
#define TAG_BACK  2
#define TAG_FLOOD 3 /* a killed client leaves some that nobody takes */
#define FLOOD     100000

static const size_t sizes[] = {1, 100, 8000, 65445, 66469, 70000, 1000000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* The connection; one at a time. */
static struct {
    ucp_ep_h ep;
    int lost;
    ucs_status_t status;
    uint8_t *am_data; /* of the last active message, am_length bytes */
    size_t am_length;
    void *am_large; /* the same, to be received by rendezvous */
    int am_came;
} peer;

static void peer_lost(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    (void)arg;
    if (ep == peer.ep || peer.ep == NULL) {
        peer.lost   = 1;
        peer.status = status;
    }
}

static void peer_parameters(ucp_ep_params_t *params)
{
    params->field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER |
                          UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
    params->err_mode       = UCP_ERR_HANDLING_MODE_PEER;
    params->err_handler.cb = peer_lost;
    peer.lost              = 0;
    peer.am_came           = 0;
    peer.ep                = NULL;
}

/* 0 when the peer was lost on the way; the request is then cancelled. */
static int finished(ucs_status_ptr_t request)
{
    ucs_status_t status;

    if (!UCS_PTR_IS_PTR(request))
        return UCS_PTR_STATUS(request) == UCS_OK;
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS &&
           !peer.lost)
        ucp_side_wait(-1);
    if (status == UCS_INPROGRESS)
        ucp_request_cancel(ucp_side.worker, request);
    ucp_request_free(request);
    return status == UCS_OK;
}

/* ---- Messages of each kind ---------------------------------------------- */

static ucs_status_t am_came(void *arg, const void *header, size_t header_length,
                            void *data, size_t length,
                            const ucp_am_recv_param_t *param)
{
    (void)arg, (void)header, (void)header_length;
    peer.am_length = length;
    peer.am_came   = 1;
    if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) {
        peer.am_large = data;
        return UCS_INPROGRESS;
    }
    peer.am_large = NULL;
    memcpy(peer.am_data, data, length);
    return UCS_OK;
}

static void am_listen(void)
{
    ucp_am_handler_param_t param = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                      UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB,
        .id    = AM_ID,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb    = am_came,
    };

    check_ok(ucp_worker_set_am_recv_handler(ucp_side.worker, &param));
    peer.am_data = allocate(sizes[SIZES - 1]);
}

static int put(char mode, const void *data, size_t n, ucp_tag_t tag)
{
    ucp_request_param_t param = {.op_attr_mask = 0};

    if (mode == 't' || mode == 'f')
        return finished(ucp_tag_send_nbx(peer.ep, data, n, tag, &param));
    if (mode == 'a')
        return finished(
            ucp_am_send_nbx(peer.ep, AM_ID, NULL, 0, data, n, &param));
    return finished(ucp_stream_send_nbx(peer.ep, data, n, &param));
}

static int get(char mode, void *data, size_t n, ucp_tag_t tag)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    ucp_request_param_t all   = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                 .flags = UCP_STREAM_RECV_FLAG_WAITALL};
    size_t length;

    if (mode == 't' || mode == 'f')
        return finished(ucp_tag_recv_nbx(ucp_side.worker, data, n, tag,
                                         UINT64_MAX, &param));
    if (mode == 's')
        return finished(ucp_stream_recv_nbx(peer.ep, data, n, &length, &all));

    while (!peer.am_came && !peer.lost)
        ucp_side_wait(-1);
    if (!peer.am_came)
        return 0;
    peer.am_came = 0;
    check(peer.am_length == n, "%zu bytes, not %zu", peer.am_length, n);
    if (peer.am_large != NULL)
        return finished(ucp_am_recv_data_nbx(ucp_side.worker, peer.am_large,
                                             data, n, &param));
    memcpy(data, peer.am_data, n);
    return 1;
}

/* ---- Server ------------------------------------------------------------- */

static ucp_conn_request_h waiting[16];
static unsigned num_waiting;

static void client_came(ucp_conn_request_h request, void *arg)
{
    (void)arg;
    check(num_waiting < sizeof(waiting) / sizeof(waiting[0]), "too many");
    waiting[num_waiting++] = request;
}

static ucp_listener_h server_listen(void)
{
    struct sockaddr_in address      = {.sin_family = AF_INET};
    ucp_listener_params_t params    = {
        .field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR |
                      UCP_LISTENER_PARAM_FIELD_CONN_HANDLER,
        .sockaddr     = {(struct sockaddr *)&address, sizeof(address)},
        .conn_handler = {client_came, NULL},
    };
    ucp_listener_attr_t attr = {.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR};
    ucp_listener_h listener;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check_ok(ucp_listener_create(ucp_side.worker, &params, &listener));
    check_ok(ucp_listener_query(listener, &attr));
    memcpy(&address, &attr.sockaddr, sizeof(address));
    printf("listening %d\n", ntohs(address.sin_port));
    return listener;
}

static void server_check_client(ucp_conn_request_h request)
{
    ucp_conn_request_attr_t attr = {
        .field_mask = UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR};
    struct sockaddr_in address;

    check_ok(ucp_conn_request_query(request, &attr));
    memcpy(&address, &attr.client_address, sizeof(address));
    check(address.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "a stranger");
}

static void check_endpoint(void)
{
    ucp_ep_attr_t attr = {.field_mask = UCP_EP_ATTR_FIELD_NAME |
                                        UCP_EP_ATTR_FIELD_LOCAL_SOCKADDR |
                                        UCP_EP_ATTR_FIELD_REMOTE_SOCKADDR};
    struct sockaddr_in address;

    check_ok(ucp_ep_query(peer.ep, &attr));
    memcpy(&address, &attr.remote_sockaddr, sizeof(address));
    check(address.sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
              address.sin_port != 0,
          "the endpoint's peer is not on loopback");
}

static void echo(char mode)
{
    void *data = allocate(sizes[SIZES - 1]);

    if (mode == 'f')
        while (get(mode, data, FLOOD, TAG_FLOOD))
            pattern_check(data, 1000, FLOOD);
    for (size_t i = 0; i < SIZES && strchr("tas", mode) != NULL; i++)
        if (!get(mode, data, sizes[i], TAG_THERE) ||
            !put(mode, data, sizes[i], TAG_BACK))
            break;
    while (!peer.lost) /* until it closes, or is killed */
        ucp_side_wait(-1);
    free(data);
}

static void serve_one(ucp_conn_request_h request)
{
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST,
                              .conn_request = request};
    char mode              = '?';

    stage("a new client");
    server_check_client(request);
    peer_parameters(&params);
    check_ok(ucp_ep_create(ucp_side.worker, &params, &peer.ep));
    if (get('s', &mode, 1, 0)) {
        check_endpoint();
        printf("client %c\n", mode);
        stage("client %c", mode);
        echo(mode);
    }
    printf("client %c gone: %s\n", mode, ucs_status_string(peer.status));
    ucp_side_close_ep(peer.ep, 1);
}

static int serve(unsigned clients)
{
    ucp_listener_h listener = server_listen();

    while (clients-- > 0) {
        stage("no client");
        while (num_waiting == 0)
            ucp_side_wait(-1);
        serve_one(waiting[0]);
        memmove(waiting, waiting + 1, --num_waiting * sizeof(waiting[0]));
    }
    ucp_listener_destroy(listener);
    return 0;
}

/* ---- Client ------------------------------------------------------------- */

static void client_connect(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port   = htons((uint16_t)port)};
    ucp_ep_params_t params     = {
        .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR,
        .flags      = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr   = {(struct sockaddr *)&address, sizeof(address)},
    };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer_parameters(&params);
    check_ok(ucp_ep_create(ucp_side.worker, &params, &peer.ep));
}

static void client_exchange(char mode)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *out = allocate(sizes[i]), *in = allocate(sizes[i]);

        stage("%c, %zu bytes", mode, sizes[i]);
        pattern_fill(out, sizes[i], sizes[i]);
        check(put(mode, out, sizes[i], TAG_THERE), "%s",
              ucs_status_string(peer.status));
        check(get(mode, in, sizes[i], TAG_BACK), "%s",
              ucs_status_string(peer.status));
        pattern_check(in, sizes[i], sizes[i]);
        free(out);
        free(in);
    }
}

/* Until the server is gone: then its error handler was called. */
static void client_wait(char mode)
{
    void *out = allocate(FLOOD);

    pattern_fill(out, FLOOD, FLOOD);
    printf("connected\n");
    while (!peer.lost) {
        if (mode == 'f')
            put(mode, out, FLOOD, TAG_FLOOD);
        else
            ucp_side_wait(-1);
    }
    printf("server gone: %s\n", ucs_status_string(peer.status));
    free(out);
}

static int client(char mode, int port)
{
    client_connect(port);
    check(put('s', &mode, 1, 0), "%s", ucs_status_string(peer.status));
    check_endpoint();
    if (mode == 'w' || mode == 'f')
        client_wait(mode);
    else
        client_exchange(mode);
    ucp_side_close_ep(peer.ep, peer.lost);
    return 0;
}

int main(int argc, char **argv)
{
    int wakeup = argc > 1 && strcmp(argv[1], "--wakeup") == 0;

    argc -= wakeup;
    argv += wakeup;
    if (argc != 3) {
        fprintf(stderr, "usage: ucp_server [--wakeup] serve CLIENTS | "
                        "tag|am|stream|wait|flood PORT\n");
        return 2;
    }

    deadline(100);
    setvbuf(stdout, NULL, _IOLBF, 0);
    ucp_side_open(wakeup);
    am_listen();
    if (strcmp(argv[1], "serve") == 0)
        serve((unsigned)atoi(argv[2]));
    else
        client(argv[1][0], atoi(argv[2]));
    ucp_side_close();
    free(peer.am_data);
    puts("ok");
    return 0;
}
