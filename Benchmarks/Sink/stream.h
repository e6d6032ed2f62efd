// SPDX-License-Identifier: Apache-2.0

// A connection's bytes, plain or through TLS. A result above 0 is how many.
#ifndef SINK_STREAM_H
#define SINK_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { stream_later = 0, stream_closed = -1 };

struct stream {
    int fd;
    SSL *ssl; // NULL: plain
    BIO *gathered; // NULL: each record is written at once
};

/// Exits if a file cannot be used.
SSL_CTX *stream_make_context(const char *certificate, const char *key);
/// `gathers`: records wait in a buffer for stream_flush, so that many small ones are one system call.
struct stream stream_accept(int fd, SSL_CTX *context, bool gathers);
int stream_read(struct stream *stream, unsigned char *bytes, int size);
int stream_write(struct stream *stream, const unsigned char *bytes, int size);
/// Writes what was gathered, as far as the socket takes it.
void stream_flush(struct stream *stream);
/// Bytes lie in this process, of which epoll knows nothing: to be read, or gathered.
bool stream_has_input(const struct stream *stream);
bool stream_has_gathered(const struct stream *stream);
void stream_close(struct stream *stream);

#endif
