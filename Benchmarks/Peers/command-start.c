// SPDX-License-Identifier: Apache-2.0

// Starts a command again and again, each time for one message, and measures from fork to the end of the process.
// Small, so that the peak memory is that of the command and not of a runner's memory before it became the command.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// Usage: command-start start-up --port PORT --messages STARTS -- COMMAND...
int main(int argc, char **argv) {
    if (argc < 8 || strcmp(argv[1], "start-up") || strcmp(argv[2], "--port") || strcmp(argv[4], "--messages") ||
        strcmp(argv[6], "--")) {
        fail("usage: command-start start-up --port PORT --messages STARTS -- COMMAND...");
    }
    long starts = atol(argv[5]);
    char *flags[] = {"-h", "127.0.0.1", "-p", argv[3], "-t", "bench", "-m", "a message", NULL};
    char *words[64] = {NULL};
    int count = 0;
    for (int i = 7; i < argc && count < 48; i++) words[count++] = argv[i];
    for (int i = 0; flags[i] != NULL; i++) words[count++] = flags[i];
    double *times = calloc((size_t)starts, sizeof *times);
    if (starts < 1 || times == NULL) fail("--messages %s", argv[5]);

    double user = 0, system = 0;
    long peak = 0;
    double begin = now();
    for (long i = 0; i < starts; i++) {
        double start = now();
        pid_t pid;
        int status, error = posix_spawnp(&pid, words[0], NULL, NULL, words, environ);
        if (error != 0) fail("%s: %s", words[0], strerror(error));
        struct rusage usage;
        while (wait4(pid, &status, 0, &usage) < 0) {
            if (errno != EINTR) fail("wait4: %s", strerror(errno));
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("%s: status %d", words[0], status);
        times[i] = (now() - start) * 1e6;
        user += seconds(usage.ru_utime);
        system += seconds(usage.ru_stime);
        if (usage.ru_maxrss > peak) peak = usage.ru_maxrss;
    }
    double all = now() - begin;
    qsort(times, (size_t)starts, sizeof *times, ascending);
    printf("{\"work\": \"start-up\", \"messages\": %ld, \"seconds\": %.6f, \"userSeconds\": %.6f, "
           "\"systemSeconds\": %.6f, \"peakKB\": %ld, \"p50us\": %.1f, \"p90us\": %.1f, \"p99us\": %.1f, "
           "\"maxus\": %.1f}\n",
           starts, all, user, system, peak, times[starts / 2], times[starts * 9 / 10], times[starts * 99 / 100],
           times[starts - 1]);
    free(times);
    return 0;
}
