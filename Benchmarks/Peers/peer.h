// SPDX-License-Identifier: Apache-2.0

// The common part of the C programs: their arguments, the clock, the report, and a count to wait for.
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>

enum peer_work { PUBLISH_QOS0, PUBLISH_QOS1, RECEIVE_QOS0, RECEIVE_QOS1, LATENCY_QOS1 };

struct peer {
    const char *program;
    enum peer_work work;
    int port;
    const char *cafile; // NULL: no TLS
    const char *path;   // of WebSockets; NULL: none
    long messages;
    int size;
    int window;
    char *payload;   // `size` bytes
    char filter[64]; // what a receiver subscribes to
};

/// Reads the arguments. Exits with 3 if the work is not for C programs, with 64 if they make no sense.
struct peer peer_start(const char *program, int argc, char **argv);
_Noreturn void peer_fail(const char *format, ...);

/// The span of time and CPU that the report is about.
void peer_begin(void);
void peer_end(void);
/// Microseconds on a clock that only goes forward.
double peer_now(void);
/// Prints the JSON object. `latencies` has `messages` values in microseconds, or is NULL; it gets sorted.
void peer_report(const struct peer *peer, double *latencies);

/// Counts what the library's thread reports, for the program's thread to wait for.
struct peer_counter;
struct peer_counter *peer_counter_make(void);
void peer_counter_add(struct peer_counter *counter);
/// Waits until it has counted to `count`; fails after a minute.
void peer_counter_wait(struct peer_counter *counter, long count);

#endif
