// SPDX-License-Identifier: Apache-2.0

#include "peer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char *const works[] = {"publish-qos0", "publish-qos1", "receive-qos0", "receive-qos1", "latency-qos1"};
static const char *program_name = "peer";

void peer_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static _Noreturn void refuse(void) {
    fprintf(stderr, "usage: %s WORK --port N [--cafile FILE] [--path PATH] [--messages N] [--size 64] [--window 256]\n",
            program_name);
    exit(64);
}

struct peer peer_start(const char *program, int argc, char **argv) {
    program_name = program;
    struct peer peer = {.program = program, .size = 64, .window = 256};
    if (argc < 2) refuse();
    if (strcmp(argv[1], "publish-qos0-awaited") == 0) exit(3); // no tasks in C
    int work = 0, count = sizeof works / sizeof *works;
    while (work < count && strcmp(argv[1], works[work]) != 0) work++;
    if (work == count) refuse();
    peer.work = (enum peer_work)work;
    peer.messages = peer.work == LATENCY_QOS1 ? 20000 : 1000000;
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--port") == 0) peer.port = atoi(value);
        else if (strcmp(name, "--cafile") == 0) peer.cafile = value;
        else if (strcmp(name, "--path") == 0) peer.path = value;
        else if (strcmp(name, "--messages") == 0) peer.messages = atol(value);
        else if (strcmp(name, "--size") == 0) peer.size = atoi(value);
        else if (strcmp(name, "--window") == 0) peer.window = atoi(value);
        else if (strcmp(name, "--tasks") != 0) refuse();
    }
    if (peer.port <= 0 || peer.messages < 2 || peer.size < 0 || peer.window < 1) refuse();
    peer.payload = calloc(1, (size_t)peer.size + 1);
    if (peer.payload == NULL) peer_fail("out of memory");
    int qos = peer.work == RECEIVE_QOS1 ? 1 : 0;
    snprintf(peer.filter, sizeof peer.filter, "send/%d/%ld/%d", qos, peer.messages, peer.size);
    return peer;
}

struct moment {
    double now;
    struct rusage usage;
};
static struct moment first, last;

double peer_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static struct moment this_moment(void) {
    struct moment moment = {.now = peer_now()};
    getrusage(RUSAGE_SELF, &moment.usage);
    return moment;
}

void peer_begin(void) {
    first = this_moment();
}

void peer_end(void) {
    last = this_moment();
}

static double seconds_between(struct timeval from, struct timeval to) {
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_usec - from.tv_usec) / 1e6;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void peer_report(const struct peer *peer, double *latencies) {
    printf("{\"program\":\"%s\",\"work\":\"%s\",\"messages\":%ld,\"seconds\":%.6f,\"userSeconds\":%.6f,"
           "\"systemSeconds\":%.6f,\"peakKB\":%ld",
           peer->program, works[peer->work], peer->messages, (last.now - first.now) / 1e6,
           seconds_between(first.usage.ru_utime, last.usage.ru_utime),
           seconds_between(first.usage.ru_stime, last.usage.ru_stime), last.usage.ru_maxrss);
    if (latencies != NULL) {
        qsort(latencies, (size_t)peer->messages, sizeof *latencies, compare);
        long end = peer->messages - 1;
        printf(",\"p50us\":%.3f,\"p90us\":%.3f,\"p99us\":%.3f,\"maxus\":%.3f", latencies[end * 50 / 100],
               latencies[end * 90 / 100], latencies[end * 99 / 100], latencies[end]);
    }
    printf("}\n");
}

// The library's thread takes the lock only to wake somebody who waits for just this count.
struct peer_counter {
    atomic_long count, awaited;
    pthread_mutex_t lock;
    pthread_cond_t reached;
};

struct peer_counter *peer_counter_make(void) {
    struct peer_counter *counter = calloc(1, sizeof *counter);
    if (counter == NULL) peer_fail("out of memory");
    pthread_mutex_init(&counter->lock, NULL);
    pthread_cond_init(&counter->reached, NULL);
    return counter;
}

void peer_counter_add(struct peer_counter *counter) {
    long count = atomic_fetch_add(&counter->count, 1) + 1;
    if (count != atomic_load(&counter->awaited)) return;
    pthread_mutex_lock(&counter->lock);
    pthread_cond_signal(&counter->reached);
    pthread_mutex_unlock(&counter->lock);
}

void peer_counter_wait(struct peer_counter *counter, long count) {
    if (atomic_load(&counter->count) >= count) return;
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 60;
    pthread_mutex_lock(&counter->lock);
    atomic_store(&counter->awaited, count);
    while (atomic_load(&counter->count) < count) {
        if (pthread_cond_timedwait(&counter->reached, &counter->lock, &deadline) != 0) {
            peer_fail("waited a minute for %ld, counted %ld", count, atomic_load(&counter->count));
        }
    }
    pthread_mutex_unlock(&counter->lock);
}
