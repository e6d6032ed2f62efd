// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // memmem, strcasestr
#include "websocket.h"

#include "session.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { maximum_head = 16 * 1024, control = 8, close_opcode = 8, maximum_header = 10 };

/// RFC 6455, 4.2.2. The answer of a server that offers MQTT whatever the path.
static bool upgrade(const char *head, struct buffer *framed) {
    static const char name[] = "\r\nSec-WebSocket-Key:", suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *field = strcasestr(head, name);
    char key[25];
    if (field == NULL || sscanf(field + sizeof name - 1, " %24[^\r ]", key) != 1) return false;
    char text[sizeof key + sizeof suffix];
    int length = snprintf(text, sizeof text, "%s%s", key, suffix);
    unsigned char digest[SHA_DIGEST_LENGTH], accept[32];
    SHA1((const unsigned char *)text, (size_t)length, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    char answer[256];
    length = snprintf(answer, sizeof answer,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: %s\r\n\r\n", (const char *)accept);
    buffer_append(framed, answer, (size_t)length);
    return true;
}

/// False: it is none, or too long.
static bool receive_head(struct websocket *socket, struct buffer *received, struct buffer *framed) {
    unsigned char *start = received->bytes + received->start;
    unsigned char *end = memmem(start, buffer_count(received), "\r\n\r\n", 4);
    if (end == NULL) return buffer_count(received) < maximum_head;
    end[2] = 0; // after the last field
    received->start += (size_t)(end + 4 - start);
    socket->is_open = upgrade((const char *)start, framed);
    return socket->is_open;
}

/// RFC 6455, 5.2. The length of a client's header; 0 if it is incomplete.
static size_t read_header(struct websocket *socket, const unsigned char *bytes, size_t count) {
    if (count < 2) return 0;
    size_t digits = (bytes[1] & 127) == 127 ? 8 : (bytes[1] & 127) == 126 ? 2 : 0;
    if (count < 2 + digits + 4) return 0;
    uint64_t length = digits == 0 ? bytes[1] & 127 : 0;
    for (size_t i = 0; i < digits; i++) length = length << 8 | bytes[2 + i];
    socket->rest = length;
    socket->is_data = (bytes[0] & 15) < control;
    memcpy(socket->mask, bytes + 2 + digits, 4);
    memcpy(socket->mask + 4, bytes + 2 + digits, 4);
    return 2 + digits + 4;
}

/// RFC 6455, 5.3. Eight bytes a step.
static void unmask(struct websocket *socket, const unsigned char *bytes, unsigned char *target, size_t count) {
    uint64_t mask, word;
    memcpy(&mask, socket->mask, sizeof mask);
    size_t i = 0;
    for (; i + sizeof word <= count; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        word ^= mask;
        memcpy(target + i, &word, sizeof word);
    }
    for (; i < count; i++) target[i] = bytes[i] ^ socket->mask[i % 4];
    unsigned char key[4];
    for (size_t k = 0; k < 4; k++) key[k] = socket->mask[(count + k) % 4];
    memcpy(socket->mask, key, 4);
    memcpy(socket->mask + 4, key, 4);
}

bool websocket_receive(struct websocket *socket, struct buffer *received, struct buffer *input,
                       struct buffer *framed) {
    if (!socket->is_open && !receive_head(socket, received, framed)) return false;
    if (!socket->is_open) return true;
    while (buffer_count(received) > 0) {
        const unsigned char *bytes = received->bytes + received->start;
        size_t count = buffer_count(received);
        if (socket->rest == 0) {
            if (count >= 2 && ((bytes[1] & 128) == 0 || (bytes[0] & 15) == close_opcode)) return false;
            size_t header = read_header(socket, bytes, count);
            if (header == 0) return true;
            received->start += header;
            continue;
        }
        if (count > socket->rest) count = socket->rest;
        if (socket->is_data) {
            unmask(socket, bytes, buffer_reserve(input, count), count);
            input->end += count;
        }
        received->start += count;
        socket->rest -= count;
    }
    return true;
}

void websocket_send(struct buffer *output, struct buffer *framed) {
    while (buffer_count(output) > 0) {
        size_t count = packet_size(output->bytes + output->start, buffer_count(output));
        unsigned char *frame = buffer_reserve(framed, maximum_header + count);
        size_t digits = count > UINT16_MAX ? 8 : count > 125 ? 2 : 0;
        frame[0] = 0x82; // final, binary
        frame[1] = digits == 0 ? (unsigned char)count : digits == 2 ? 126 : 127;
        for (size_t i = 0; i < digits; i++) frame[2 + i] = (unsigned char)((uint64_t)count >> 8 * (digits - 1 - i));
        memcpy(frame + 2 + digits, output->bytes + output->start, count);
        framed->end += 2 + digits + count;
        output->start += count;
    }
}

size_t websocket_unit(const unsigned char *bytes, size_t count) {
    if (bytes[0] == 'H') {
        const unsigned char *end = memmem(bytes, count, "\r\n\r\n", 4);
        return end == NULL ? count : (size_t)(end + 4 - bytes);
    }
    size_t digits = bytes[1] == 127 ? 8 : bytes[1] == 126 ? 2 : 0;
    uint64_t length = digits == 0 ? bytes[1] : 0;
    for (size_t i = 0; i < digits; i++) length = length << 8 | bytes[2 + i];
    return 2 + digits + length;
}
