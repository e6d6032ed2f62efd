// SPDX-License-Identifier: Apache-2.0

#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// MQTT 3.1.1 and 5.0, 2.2.1
enum {
    CONNECT = 1, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7,
    SUBSCRIBE = 8, UNSUBSCRIBE = 10, PINGREQ = 12, DISCONNECT = 14
};

// The part of a packet after the first byte and the length.
struct body {
    const unsigned char *bytes;
    size_t count;
};

static size_t uint16_at(const unsigned char *bytes) {
    return (size_t)bytes[0] << 8 | bytes[1];
}

/// The length of the variable byte integer in bytes; 0 if it is incomplete.
static size_t read_length(const unsigned char *bytes, size_t count, size_t *value) {
    *value = 0;
    for (size_t i = 0; i < count && i < 4; i++) {
        *value |= (size_t)(bytes[i] & 127) << 7 * i;
        if ((bytes[i] & 128) == 0) return i + 1;
    }
    return 0;
}

size_t packet_size(const unsigned char *bytes, size_t count) {
    if (count < 2) return 0;
    size_t length;
    size_t digits = read_length(bytes + 1, count - 1, &length);
    return digits == 0 ? 0 : 1 + digits + length;
}

// An acknowledgement of 4 bytes is well-formed in MQTT 5.0 too: success, no properties.
static void acknowledge(struct buffer *output, unsigned char first, const unsigned char *identifier) {
    unsigned char packet[] = {first, 2, identifier[0], identifier[1]};
    buffer_append(output, packet, sizeof packet);
}

/// MQTT 5.0, 3.1.2.11.3: what the properties of a CONNECT say about messages in flight; none: as many as there are.
static int receive_maximum(const unsigned char *properties, size_t count) {
    for (size_t at = 0; at + 3 <= count;) {
        switch (properties[at]) {
        case 0x21: return (int)uint16_at(properties + at + 1);
        case 0x11: at += 5; break;
        case 0x17:
        case 0x19: at += 2; break;
        case 0x22: at += 3; break;
        default: { // a string, of user properties (0x26) two
            bool is_pair = properties[at] == 0x26;
            at += 3 + uint16_at(properties + at + 1);
            if (is_pair && at + 2 <= count) at += 2 + uint16_at(properties + at);
        }
        }
    }
    return 65535;
}

static bool receive_connect(struct session *session, struct body body, struct buffer *output) {
    if (body.count < 12) return false;
    session->is_connected = true;
    session->is_version5 = body.bytes[6] == 5;
    if (session->is_version5) {
        size_t length;
        size_t digits = read_length(body.bytes + 10, body.count - 10, &length);
        if (digits == 0 || 10 + digits + length > body.count) return false;
        int maximum = receive_maximum(body.bytes + 10 + digits, length);
        if (maximum < session->maximum_in_flight) session->maximum_in_flight = maximum;
    }
    unsigned char packet[] = {0x20, session->is_version5 ? 3 : 2, 0, 0, 0};
    buffer_append(output, packet, 2 + (size_t)packet[1]);
    return true;
}

static bool receive_publish(int qos, struct body body, struct buffer *output) {
    if (qos == 0) return true;
    if (qos == 3 || body.count < 2) return false;
    size_t topic = uint16_at(body.bytes);
    if (body.count < 2 + topic + 2) return false;
    acknowledge(output, qos == 1 ? 0x40 : 0x50, body.bytes + 2 + topic);
    return true;
}

/// The filter `send/QOS/N/SIZE` asks for N messages of SIZE bytes; what else is subscribed to never gets any.
static void begin_source(struct session *session, const char *filter) {
    int qos, size;
    long messages;
    if (sscanf(filter, "send/%d/%ld/%d", &qos, &messages, &size) != 3) return;
    if (qos < 0 || qos > 2 || size < 0 || size > 1 << 20) return;

    static const char topic[] = {0, 5, 'b', 'e', 'n', 'c', 'h'};
    size_t length = sizeof topic + (qos > 0 ? 2 : 0) + (session->is_version5 ? 1 : 0) + (size_t)size;
    unsigned char *packet = calloc(1, 1 + 4 + length), *next = packet;
    if (packet == NULL) return;
    *next++ = (unsigned char)(PUBLISH << 4 | qos << 1);
    for (size_t rest = length; next == packet + 1 || rest > 0; rest >>= 7) {
        *next++ = (unsigned char)((rest & 127) | (rest > 127 ? 128 : 0));
    }
    memcpy(next, topic, sizeof topic);
    next += sizeof topic;

    free(session->source.packet);
    session->source = (struct source){
        .messages = messages, .qos = qos, .packet = packet,
        .packet_size = packet_size(packet, 5 + length), .identifier_at = (size_t)(next - packet)};
}

static bool receive_subscribe(struct session *session, struct body body, struct buffer *output) {
    size_t at = 2, properties = 0, granted_count = 0;
    if (body.count < 3) return false;
    if (session->is_version5) at += read_length(body.bytes + 2, body.count - 2, &properties) + properties;
    unsigned char granted[100];
    while (at < body.count && granted_count < sizeof granted) {
        size_t length = at + 2 <= body.count ? uint16_at(body.bytes + at) : body.count;
        if (at + 2 + length + 1 > body.count) return false;
        char filter[256];
        snprintf(filter, sizeof filter, "%.*s", (int)length, (const char *)body.bytes + at + 2);
        begin_source(session, filter);
        granted[granted_count++] = body.bytes[at + 2 + length] & 3;
        at += 2 + length + 1;
    }
    unsigned char head[] = {0x90, (unsigned char)(2 + session->is_version5 + granted_count),
                            body.bytes[0], body.bytes[1], 0};
    buffer_append(output, head, 4 + session->is_version5);
    buffer_append(output, granted, granted_count);
    return true;
}

static bool receive_unsubscribe(struct session *session, struct body body, struct buffer *output) {
    size_t at = 2, properties = 0;
    if (body.count < 3) return false;
    if (!session->is_version5) {
        acknowledge(output, 0xB0, body.bytes);
        return true;
    }
    at += read_length(body.bytes + 2, body.count - 2, &properties) + properties;
    unsigned char packet[5 + 100] = {0xB0, 3, body.bytes[0], body.bytes[1], 0};
    for (; at + 2 <= body.count && packet[1] < 3 + 100; packet[1]++) at += 2 + uint16_at(body.bytes + at);
    buffer_append(output, packet, 2 + (size_t)packet[1]);
    return true;
}

static bool receive_packet(struct session *session, unsigned char first, struct body body, struct buffer *output) {
    int type = first >> 4;
    if (session->is_connected == (type == CONNECT)) return false;
    bool is_identified = type >= PUBACK && type <= PUBCOMP;
    if (is_identified && body.count < 2) return false;
    switch (type) {
    case CONNECT: return receive_connect(session, body, output);
    case PUBLISH: return receive_publish(first >> 1 & 3, body, output);
    case PUBACK:
    case PUBCOMP: session->in_flight--; return true;
    case PUBREC: acknowledge(output, 0x62, body.bytes); return true;
    case PUBREL: acknowledge(output, 0x70, body.bytes); return true;
    case SUBSCRIBE: return receive_subscribe(session, body, output);
    case UNSUBSCRIBE: return receive_unsubscribe(session, body, output);
    case PINGREQ: buffer_append(output, "\xD0", 2); return true;
    default: return false; // also DISCONNECT
    }
}

bool session_receive(struct session *session, struct buffer *input, struct buffer *output) {
    for (;;) {
        const unsigned char *packet = input->bytes + input->start;
        size_t size = packet_size(packet, buffer_count(input));
        if (size == 0) return buffer_count(input) < 5;
        if (size > buffer_count(input)) return true;
        size_t length;
        size_t head = 1 + read_length(packet + 1, size - 1, &length);
        if (!receive_packet(session, packet[0], (struct body){packet + head, length}, output)) return false;
        input->start += size;
    }
}

bool session_may_send(const struct session *session) {
    const struct source *source = &session->source;
    return source->messages > 0 && (source->qos == 0 || session->in_flight < session->maximum_in_flight);
}

void session_produce(struct session *session, struct buffer *output, size_t limit) {
    struct source *source = &session->source;
    while (session_may_send(session) && buffer_count(output) < limit) {
        unsigned char *packet = buffer_reserve(output, source->packet_size);
        memcpy(packet, source->packet, source->packet_size);
        output->end += source->packet_size;
        source->messages--;
        if (source->qos == 0) continue;
        if (++session->last_identifier == 0) session->last_identifier = 1; // 0 is not one
        packet[source->identifier_at] = (unsigned char)(session->last_identifier >> 8);
        packet[source->identifier_at + 1] = (unsigned char)session->last_identifier;
        session->in_flight++;
    }
}

void session_free(struct session *session) {
    free(session->source.packet);
}
