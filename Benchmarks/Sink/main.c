// SPDX-License-Identifier: Apache-2.0

// The broker of the benchmarks: it takes and acknowledges, and sends as many messages as a subscription asks for.
// One thread. It must not be what limits a measurement, so it reads much at once, and writes once for all it has read.
#define _GNU_SOURCE // accept4
#include "session.h"
#include "stream.h"
#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "usage: sink [--port N] [--cert FILE --key FILE] [--protocol mqtt|websocket] [--records whole|packet] [--inflight N]\n"
    "  Prints the port it listens on, on 127.0.0.1, and serves until SIGTERM.\n"
    "  --port N       default 0: any free one\n"
    "  --cert, --key  speak TLS, with these PEM files\n"
    "  --protocol     websocket: MQTT in WebSockets at any path, a frame for each packet (default: mqtt)\n"
    "  --records      packet: each packet in a TLS record of its own, as mosquitto writes them (default: whole)\n"
    "  --inflight N   QoS 1 and 2 messages that it sends without an acknowledgement (default 1000)\n";

static struct {
    int port;
    const char *certificate, *key;
    bool is_packet_a_record, is_websocket;
    int maximum_in_flight;
} options = {.maximum_in_flight = 1000};

struct connection {
    struct stream stream;
    struct session session;
    struct buffer input, output; // packets
    struct websocket websocket;
    struct buffer received, framed; // what is around them, with WebSockets
    size_t record_rest; // of a packet or a frame that has a record of its own
    unsigned events; // what epoll waits for
};

enum { turn_size = 128 * 1024, read_size = 64 * 1024 };
static int epoll;

static void wait_for(struct connection *connection, unsigned events) {
    if (connection->events == events) return;
    int operation = connection->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, connection->stream.fd, &event) != 0) perror("sink: epoll_ctl");
    connection->events = events;
}

static void close_connection(struct connection *connection) {
    stream_close(&connection->stream);
    session_free(&connection->session);
    buffer_free(&connection->input);
    buffer_free(&connection->output);
    buffer_free(&connection->received);
    buffer_free(&connection->framed);
    free(connection);
}

/// False: the connection is done. A turn is bounded, so that the other connections get theirs.
static bool receive(struct connection *connection) {
    struct buffer *received = options.is_websocket ? &connection->received : &connection->input;
    for (int total = 0; total < turn_size;) {
        unsigned char *bytes = buffer_reserve(received, read_size);
        int count = stream_read(&connection->stream, bytes, read_size);
        if (count == stream_later) return true;
        if (count == stream_closed) return false;
        received->end += (size_t)count;
        total += count;
        if (options.is_websocket &&
            !websocket_receive(&connection->websocket, received, &connection->input, &connection->framed)) return false;
        if (!session_receive(&connection->session, &connection->input, &connection->output)) return false;
        // The socket is most likely empty: to ask costs a system call, and epoll tells if not.
        if (count < read_size && !stream_has_input(&connection->stream)) return true;
    }
    return true;
}

static bool send_output(struct connection *connection) {
    struct buffer *output = options.is_websocket ? &connection->framed : &connection->output;
    size_t (*unit)(const unsigned char *, size_t) = options.is_websocket ? websocket_unit : packet_size;
    bool is_unit_a_record = options.is_packet_a_record && connection->stream.ssl != NULL;
    for (size_t total = 0; total < turn_size;) {
        if (buffer_count(output) < read_size) {
            session_produce(&connection->session, &connection->output, read_size);
            if (options.is_websocket) websocket_send(&connection->output, output);
        }
        size_t count = buffer_count(output);
        if (count == 0) return true;
        if (is_unit_a_record) {
            if (connection->record_rest == 0) connection->record_rest = unit(output->bytes + output->start, count);
            count = connection->record_rest;
        }
        if (count > turn_size) count = turn_size;
        int written = stream_write(&connection->stream, output->bytes + output->start, (int)count);
        if (written == stream_later) return true;
        if (written == stream_closed) return false;
        output->start += (size_t)written;
        if (is_unit_a_record) connection->record_rest -= (size_t)written;
        total += (size_t)written;
    }
    return true;
}

static void take_turn(struct connection *connection) {
    if (!receive(connection) || !send_output(connection)) {
        close_connection(connection);
        return;
    }
    stream_flush(&connection->stream);
    // epoll does not report bytes that already lie in this process. Waiting for a writable socket makes it return soon.
    bool has_more = buffer_count(&connection->output) + buffer_count(&connection->framed) > 0 ||
                    stream_has_gathered(&connection->stream) ||
                    stream_has_input(&connection->stream) || session_may_send(&connection->session);
    wait_for(connection, EPOLLIN | (has_more ? EPOLLOUT : 0));
    buffer_release_if_empty(&connection->input);
    buffer_release_if_empty(&connection->output);
    buffer_release_if_empty(&connection->received);
    buffer_release_if_empty(&connection->framed);
}

static int listen_on_loopback(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("sink: listen");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_connections(int listener, SSL_CTX *context) {
    // Not all at once: a thousand handshakes would keep the others waiting.
    for (int i = 0; i < 16; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL) exit(1);
        connection->stream = stream_accept(fd, context, options.is_packet_a_record);
        connection->session.maximum_in_flight = options.maximum_in_flight;
        wait_for(connection, EPOLLIN);
    }
}

static void parse_options(int argc, char **argv) {
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        bool is_packet = strcmp(value, "packet") == 0, is_websocket = strcmp(value, "websocket") == 0;
        if (strcmp(name, "--port") == 0) options.port = atoi(value);
        else if (strcmp(name, "--cert") == 0) options.certificate = value;
        else if (strcmp(name, "--key") == 0) options.key = value;
        else if (strcmp(name, "--inflight") == 0 && atoi(value) > 0) options.maximum_in_flight = atoi(value);
        else if (strcmp(name, "--protocol") == 0 && (is_websocket || strcmp(value, "mqtt") == 0))
            options.is_websocket = is_websocket;
        else if (strcmp(name, "--records") == 0 && (is_packet || strcmp(value, "whole") == 0))
            options.is_packet_a_record = is_packet;
        else {
            bool is_help = strcmp(name, "--help") == 0;
            fputs(usage, is_help ? stdout : stderr);
            exit(is_help ? 0 : 64);
        }
    }
    if ((options.certificate == NULL) != (options.key == NULL)) {
        fputs(usage, stderr);
        exit(64);
    }
}

static void stop(int signal) {
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    SSL_CTX *context = options.certificate == NULL ? NULL : stream_make_context(options.certificate, options.key);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on_loopback(options.port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        if (count < 0 && errno != EINTR) {
            perror("sink: epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) accept_connections(listener, context);
            else take_turn(events[i].data.ptr);
        }
    }
}
