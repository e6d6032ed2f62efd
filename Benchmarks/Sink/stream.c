// SPDX-License-Identifier: Apache-2.0

#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *stream_make_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    // A program that writes a record for each message would else cost two system calls for each.
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 * 1024);
    // Tickets let a session be resumed; nothing is kept here.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"sink", 4);
    return context;
}

struct stream stream_accept(int fd, SSL_CTX *context, bool gathers) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct stream stream = {.fd = fd};
    if (context == NULL) return stream;
    stream.ssl = SSL_new(context);
    if (stream.ssl == NULL || SSL_set_fd(stream.ssl, fd) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    if (gathers) {
        stream.gathered = BIO_new(BIO_f_buffer());
        BIO *to_socket = BIO_new_socket(fd, BIO_NOCLOSE);
        if (stream.gathered == NULL || to_socket == NULL ||
            BIO_set_write_buffer_size(stream.gathered, 64 * 1024) != 1) {
            ERR_print_errors_fp(stderr);
            exit(1);
        }
        SSL_set0_wbio(stream.ssl, BIO_push(stream.gathered, to_socket));
    }
    SSL_set_accept_state(stream.ssl);
    return stream;
}

void stream_flush(struct stream *stream) {
    // A broken connection is found by the next read.
    if (stream->gathered != NULL) (void)BIO_flush(stream->gathered);
}

// The result of a TLS call: a handshake, too, continues within reads and writes.
static int result_of(SSL *ssl, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? stream_later : stream_closed;
}

int stream_read(struct stream *stream, unsigned char *bytes, int size) {
    if (stream->ssl != NULL) {
        ERR_clear_error();
        return result_of(stream->ssl, SSL_read(stream->ssl, bytes, size));
    }
    ssize_t count = recv(stream->fd, bytes, (size_t)size, 0);
    if (count > 0) return (int)count;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? stream_later : stream_closed;
}

int stream_write(struct stream *stream, const unsigned char *bytes, int size) {
    if (stream->ssl != NULL) {
        ERR_clear_error();
        return result_of(stream->ssl, SSL_write(stream->ssl, bytes, size));
    }
    ssize_t count = send(stream->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (count > 0) return (int)count;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? stream_later : stream_closed;
}

bool stream_has_gathered(const struct stream *stream) {
    return stream->gathered != NULL && BIO_wpending(stream->gathered) > 0;
}

bool stream_has_input(const struct stream *stream) {
    return stream->ssl != NULL && SSL_has_pending(stream->ssl) == 1;
}

void stream_close(struct stream *stream) {
    SSL_free(stream->ssl);
    close(stream->fd);
}
