// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CMosquittoShim.h"

int64_t cmq_clock(clockid_t clock)
{
    struct timespec time = {0, 0};
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}
