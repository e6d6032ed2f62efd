// What a broker does with packets: it answers them, and sends what a subscription asks for.
#ifndef SINK_SESSION_H
#define SINK_SESSION_H

#include "buffer.h"

#include <stdbool.h>

struct session {
    bool is_connected;
    bool is_version5;
    struct source {
        long messages; // still to be sent
        int qos;
        unsigned char *packet; // the same for all but the packet identifier
        size_t packet_size;
        size_t identifier_at;
    } source;
    int maximum_in_flight;
    int in_flight; // sent by the source, and not yet acknowledged
    unsigned short last_identifier;
};

/// Takes the whole packets off `input`, and appends the answers to `output`. False: it broke the protocol, or left.
bool session_receive(struct session *session, struct buffer *input, struct buffer *output);
/// Whether the source has a message, and the client takes one more.
bool session_may_send(const struct session *session);
/// Appends what the source may send now, as long as `output` has less than `limit` bytes.
void session_produce(struct session *session, struct buffer *output, size_t limit);
/// How long the packet is that begins here; 0: its first bytes are not all here, or make no sense.
size_t packet_size(const unsigned char *bytes, size_t count);
void session_free(struct session *session);

#endif
