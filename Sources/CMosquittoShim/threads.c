// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CMosquittoShim.h"

#include <pthread.h>
#include <string.h>

void cmq_set_thread_name(const char *name)
{
#ifdef __APPLE__
    pthread_setname_np(name);
#else
    char shown[16];
    strncpy(shown, name, sizeof shown - 1);
    shown[sizeof shown - 1] = '\0';
    pthread_setname_np(pthread_self(), shown);
#endif
}
