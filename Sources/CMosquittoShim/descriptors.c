#define _GNU_SOURCE
#include "CMosquittoShim.h"

#include <fcntl.h>
#include <unistd.h>

int cmq_replace_descriptor(int from, int to)
{
#ifdef __linux__
    return dup3(from, to, O_CLOEXEC);
#else
    int result = dup2(from, to);
    if (result >= 0) {
        (void)fcntl(to, F_SETFD, FD_CLOEXEC);
    }
    return result;
#endif
}
