// SPDX-License-Identifier: Apache-2.0

#include "CMosquittoShim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

// Serializes two loops: the second would save the first one's temporary SIG_IGN, and restore it.
static pthread_mutex_t sigpipe_mutex = PTHREAD_MUTEX_INITIALIZER;

struct mosquitto *cmq_new(const char *client_id, bool clean_start, void *user_data)
{
    struct sigaction before;
    pthread_mutex_lock(&sigpipe_mutex);
    bool saved = sigaction(SIGPIPE, NULL, &before) == 0;
    struct mosquitto *mosq = mosquitto_new(client_id, clean_start, user_data);
    int error = errno;
    if (saved) {
        sigaction(SIGPIPE, &before, NULL);
    }
    pthread_mutex_unlock(&sigpipe_mutex);
    errno = error;
    return mosq;
}
