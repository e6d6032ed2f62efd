// SPDX-License-Identifier: Apache-2.0

// A server's side of a WebSocket (RFC 6455): the answer to the upgrade, then frames.
#ifndef SINK_WEBSOCKET_H
#define SINK_WEBSOCKET_H

#include "buffer.h"

#include <stdbool.h>

struct websocket {
    bool is_open; // upgraded
    bool is_data; // the frame that is being received
    size_t rest;  // its payload that is still to come
    unsigned char mask[8]; // twice the key, from the next byte on
};

/// Takes what it can off `received`, and appends the payload to `input`; the answer to the upgrade goes to `framed`.
/// False: it broke the protocol, or closed.
bool websocket_receive(struct websocket *socket, struct buffer *received, struct buffer *input, struct buffer *framed);
/// Moves all packets of `output` into frames, one for each, as most brokers do.
void websocket_send(struct buffer *output, struct buffer *framed);
/// The length of the frame, or of the answer to the upgrade, that begins here.
size_t websocket_unit(const unsigned char *bytes, size_t count);

#endif
