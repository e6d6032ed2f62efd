// SPDX-License-Identifier: Apache-2.0

// A broker's handling of packets: answers, and the messages that a subscription asks for.
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
/// True if the source has a message and the client takes one more.
bool session_may_send(const struct session *session);
/// Appends what the source may send now, as long as `output` has less than `limit` bytes.
void session_produce(struct session *session, struct buffer *output, size_t limit);
/// The length of the packet that begins here; 0 if its first bytes are incomplete or invalid.
size_t packet_size(const unsigned char *bytes, size_t count);
void session_free(struct session *session);

#endif
