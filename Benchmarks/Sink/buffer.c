// SPDX-License-Identifier: Apache-2.0

#include "buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One connection is busy at a time, so most of the time four spare blocks, for its input and its output, and those with
// frames of WebSockets, do for all.
enum { block_size = 256 * 1024, spare_count = 4 };
static unsigned char *spare[spare_count];

static void *checked(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "sink: out of memory\n");
        exit(1);
    }
    return memory;
}

static unsigned char *take_block(void) {
    for (int i = 0; i < spare_count; i++) {
        unsigned char *block = spare[i];
        spare[i] = NULL;
        if (block != NULL) return block;
    }
    return checked(malloc(block_size));
}

unsigned char *buffer_reserve(struct buffer *buffer, size_t size) {
    if (buffer->bytes == NULL) {
        buffer->bytes = take_block();
        buffer->capacity = block_size;
    }
    if (buffer->capacity - buffer->end < size && buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer_count(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->capacity - buffer->end < size) {
        buffer->capacity = 2 * (buffer->end + size);
        buffer->bytes = checked(realloc(buffer->bytes, buffer->capacity));
    }
    return buffer->bytes + buffer->end;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size) {
    memcpy(buffer_reserve(buffer, size), bytes, size);
    buffer->end += size;
}

void buffer_release_if_empty(struct buffer *buffer) {
    if (buffer->start == buffer->end) buffer_free(buffer);
}

void buffer_free(struct buffer *buffer) {
    unsigned char *bytes = buffer->capacity == block_size ? buffer->bytes : NULL;
    for (int i = 0; i < spare_count && bytes != NULL; i++) {
        if (spare[i] == NULL) {
            spare[i] = bytes;
            bytes = NULL;
            buffer->bytes = NULL;
        }
    }
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
