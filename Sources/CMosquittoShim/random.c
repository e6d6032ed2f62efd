// SPDX-License-Identifier: Apache-2.0

#if defined(__linux__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif

#include "CMosquittoShim.h"

#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

bool cmq_random(void *bytes, size_t count) { return getentropy(bytes, count) == 0; }
