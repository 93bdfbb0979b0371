/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream: bytes over one TCP connection, plain or under TLS 1.3. Every failure
 * ends the program.
 *
 *     struct stream_identity *who = stream_identity_make();      before fork()
 *     struct stream *s = stream_open(fd, who, STREAM_SERVER, spin);
 *
 *     stream_send(s, data, n);
 *     stream_close(s);
 *
 * TLS is what a careful program would use: TLS_AES_256_GCM_SHA384 by libssl
 * alone, no kernel TLS, both ends know the certificate.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>

enum stream_side { STREAM_CLIENT, STREAM_SERVER };

struct stream;
struct stream_identity;

/* A fresh key and its certificate. */
struct stream_identity *stream_identity_make(void);
void stream_identity_free(struct stream_identity *identity);

/*
 * Takes over the connected socket. identity NULL: plain. spin: asks again and
 * again instead of sleeping, as an MPI rank does.
 */
struct stream *stream_open(int fd, const struct stream_identity *identity,
                           enum stream_side side, int spin);
void stream_send(struct stream *s, const void *data, size_t size);
void stream_receive(struct stream *s, void *data, size_t size);
void stream_close(struct stream *s);

#endif
