// SPDX-License-Identifier: Apache-2.0

// Bytes in a row, with memory that is borrowed while there are any.
#ifndef SINK_BUFFER_H
#define SINK_BUFFER_H

#include <stddef.h>

struct buffer {
    unsigned char *bytes;
    size_t start; // what lies before it is done with
    size_t end;
    size_t capacity;
};

/// Room for `size` more bytes at `bytes + end`.
unsigned char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
/// Gives the memory of an empty buffer back; 10,000 idle connections then hold none.
void buffer_release_if_empty(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

static inline size_t buffer_count(const struct buffer *buffer) {
    return buffer->end - buffer->start;
}

#endif
