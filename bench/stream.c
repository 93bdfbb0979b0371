/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What libssl is asked for at once: it counts in int. */
enum { PIECE = 1 << 20, DAY = 86400 };

struct stream_identity {
    EVP_PKEY *key;
    X509     *certificate;
};

struct stream {
    int      fd;
    SSL_CTX *context; /* NULL: plain */
    SSL     *ssl;
};

static void tls_failed(const char *what)
{
    errx(1, "TLS: %s: %s", what, ERR_error_string(ERR_get_error(), NULL));
}

struct stream_identity *stream_identity_make(void)
{
    struct stream_identity *identity = calloc(1, sizeof(*identity));
    X509_NAME *name;
    X509 *x;

    if (identity == NULL)
        err(1, "identity");
    identity->key         = EVP_EC_gen("P-256");
    identity->certificate = x = X509_new();
    if (identity->key == NULL || x == NULL)
        tls_failed("key");
    name = X509_get_subject_name(x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), DAY);
    if (!X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"bench", -1, -1,
                                    0) ||
        !X509_set_issuer_name(x, name) || !X509_set_pubkey(x, identity->key) ||
        !X509_sign(x, identity->key, EVP_sha256()))
        tls_failed("certificate");
    return identity;
}

void stream_identity_free(struct stream_identity *identity)
{
    if (identity == NULL)
        return;
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    free(identity);
}

static void start_tls(struct stream *s, const struct stream_identity *identity,
                      enum stream_side side)
{
    SSL_CTX *c = SSL_CTX_new(TLS_method());

    if (c == NULL || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384"))
        tls_failed("settings");
    if (side == STREAM_SERVER &&
        (!SSL_CTX_use_certificate(c, identity->certificate) ||
         !SSL_CTX_use_PrivateKey(c, identity->key)))
        tls_failed("certificate");
    if (side == STREAM_CLIENT) {
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(c),
                                 identity->certificate))
            tls_failed("certificate");
    }
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_clear_options(c, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY);
    s->context = c;
    s->ssl     = SSL_new(c);
    if (s->ssl == NULL || !SSL_set_fd(s->ssl, s->fd))
        tls_failed("connection");
    if ((side == STREAM_SERVER ? SSL_accept(s->ssl) : SSL_connect(s->ssl)) != 1)
        tls_failed("handshake");
    if (SSL_version(s->ssl) != TLS1_3_VERSION)
        errx(1, "TLS: %s was negotiated", SSL_get_version(s->ssl));
}

struct stream *stream_open(int fd, const struct stream_identity *identity,
                           enum stream_side side, int spin)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        err(1, "stream");
    s->fd = fd;
    if (identity != NULL)
        start_tls(s, identity, side);
    if (spin && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        err(1, "fcntl");
    return s;
}

/* libssl would block: try again. Everything else is the end. */
static void must_retry(struct stream *s, int ret, const char *what)
{
    int why = SSL_get_error(s->ssl, ret);

    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        tls_failed(what);
}

static size_t send_some(struct stream *s, const char *data, size_t size)
{
    ssize_t n;
    int ret;

    if (s->ssl != NULL) {
        ret = SSL_write(s->ssl, data, size < PIECE ? (int)size : PIECE);
        if (ret > 0)
            return (size_t)ret;
        must_retry(s, ret, "send");
        return 0;
    }
    n = send(s->fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        err(1, "send");
    return n > 0 ? (size_t)n : 0;
}

static size_t receive_some(struct stream *s, char *data, size_t size)
{
    ssize_t n;
    int ret;

    if (s->ssl != NULL) {
        ret = SSL_read(s->ssl, data, size < PIECE ? (int)size : PIECE);
        if (ret > 0)
            return (size_t)ret;
        must_retry(s, ret, "receive");
        return 0;
    }
    n = recv(s->fd, data, size, 0);
    if (n == 0)
        errx(1, "the other end has closed");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        err(1, "receive");
    return n > 0 ? (size_t)n : 0;
}

void stream_send(struct stream *s, const void *data, size_t size)
{
    size_t done = 0;

    while (done < size)
        done += send_some(s, (const char *)data + done, size - done);
}

void stream_receive(struct stream *s, void *data, size_t size)
{
    size_t done = 0;

    while (done < size)
        done += receive_some(s, (char *)data + done, size - done);
}

void stream_close(struct stream *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->context);
    close(s->fd);
    free(s);
}
