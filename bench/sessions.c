/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sessions: what one TLS 1.3 session costs, which a job of N ranks that secures
 * each pair would have N (N - 1) / 2 times: bytes of heap at each end, idle,
 * and CPU time of the handshake, both ends. libssl, certificates of P-256
 * checked by both sides, memory in place of a network.
 */
#include <err.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { PAIRS = 200, DAY = 86400 };

static void tls_failed(const char *what)
{
    errx(1, "TLS: %s: %s", what, ERR_error_string(ERR_get_error(), NULL));
}

static SSL_CTX *make_context(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x       = X509_new();
    SSL_CTX *c    = SSL_CTX_new(TLS_method());

    if (key == NULL || x == NULL || c == NULL)
        tls_failed("context");
    X509_gmtime_adj(X509_getm_notBefore(x), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"rank", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    if (!X509_sign(x, key, EVP_sha256()) ||
        !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384") ||
        !SSL_CTX_use_certificate(c, x) || !SSL_CTX_use_PrivateKey(c, key) ||
        !X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x))
        tls_failed("certificate");
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    X509_free(x);
    EVP_PKEY_free(key);
    return c;
}

static void join(SSL_CTX *context, SSL *end[2])
{
    BIO *a, *b;
    int i;

    if (!BIO_new_bio_pair(&a, 0, &b, 0))
        tls_failed("BIO");
    for (i = 0; i < 2; i++) {
        end[i] = SSL_new(context);
        if (end[i] == NULL)
            tls_failed("session");
        SSL_set_bio(end[i], i ? b : a, i ? b : a);
    }
    SSL_set_connect_state(end[0]);
    SSL_set_accept_state(end[1]);
    while (!SSL_is_init_finished(end[0]) || !SSL_is_init_finished(end[1]))
        for (i = 0; i < 2; i++) {
            int ret = SSL_do_handshake(end[i]);

            if (ret != 1 &&
                SSL_get_error(end[i], ret) != SSL_ERROR_WANT_READ &&
                SSL_get_error(end[i], ret) != SSL_ERROR_WANT_WRITE)
                tls_failed("handshake");
        }
}

/* What the pair of BIOs takes, which no connection would have. */
static double bio_bytes(void)
{
    struct mallinfo2 before = mallinfo2(), after;
    BIO *a, *b;

    if (!BIO_new_bio_pair(&a, 0, &b, 0))
        tls_failed("BIO");
    /* Their buffers are allocated when they are first written to. */
    BIO_write(a, "", 1);
    BIO_write(b, "", 1);
    after = mallinfo2();
    BIO_free(a);
    BIO_free(b);
    return (double)(after.uordblks + after.hblkhd) -
           (double)(before.uordblks + before.hblkhd);
}

int main(int argc, char *argv[])
{
    static SSL *ends[PAIRS][2];
    SSL *warm[2];
    double heap, us[PAIRS];
    struct mallinfo2 before, after;
    struct bench_spread r;
    SSL_CTX *context;
    FILE *csv = NULL;
    int i;

    if (argc == 3 && strcmp(argv[1], "--csv") == 0) {
        csv = fopen(argv[2], "w");
        if (csv == NULL)
            err(1, "%s", argv[2]);
    } else if (argc != 1) {
        errx(2, "usage: sessions [--csv FILE]");
    }
    bench_pin();
    context = make_context();
    join(context, warm);
    before = mallinfo2();
    for (i = 0; i < PAIRS; i++) {
        uint64_t start = bench_cpu_clock();

        join(context, ends[i]);
        us[i] = (double)(bench_cpu_clock() - start) / 1000;
    }
    after = mallinfo2();
    heap  = ((double)(after.uordblks + after.hblkhd) -
            (double)(before.uordblks + before.hblkhd)) / PAIRS;
    heap  = (heap - bio_bytes()) / 2;
    r     = bench_spread(us, PAIRS);
    printf("One TLS 1.3 session (%s), %d pairs of ends:\n"
           "heap of one end, idle      %8.0f bytes\n"
           "handshake, CPU of both     %8.1f us [%.1f %.1f]\n",
           OpenSSL_version(OPENSSL_VERSION), PAIRS, heap, r.median, r.low,
           r.high);
    if (csv != NULL) {
        fprintf(csv, "end_bytes,handshake_25_us,handshake_us,handshake_75_us\n"
                     "%.0f,%.2f,%.2f,%.2f\n", heap, r.low, r.median, r.high);
        if (fclose(csv) != 0)
            err(1, "%s", argv[2]);
    }
    for (i = 0; i < PAIRS; i++) {
        SSL_free(ends[i][0]);
        SSL_free(ends[i][1]);
    }
    SSL_free(warm[0]);
    SSL_free(warm[1]);
    SSL_CTX_free(context);
    return 0;
}
