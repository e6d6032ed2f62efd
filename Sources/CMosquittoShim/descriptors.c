// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CMosquittoShim.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cmq_accept(int listener)
{
#ifdef __linux__
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int result = accept(listener, NULL, NULL);
    if (result >= 0) {
        (void)fcntl(result, F_SETFD, FD_CLOEXEC);
        (void)fcntl(result, F_SETFL, fcntl(result, F_GETFL) | O_NONBLOCK);
        (void)fcntl(result, F_SETNOSIGPIPE, 1);
    }
    return result;
#endif
}

int cmq_open_inode(const char *path)
{
#ifdef O_PATH
    return open(path, O_PATH | O_CLOEXEC);
#else
    (void)path;
    return -1;
#endif
}

bool cmq_peer_is_this_process(int socket)
{
#ifdef __linux__
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == getpid();
#else
    pid_t peer;
    socklen_t length = sizeof peer;
    return getsockopt(socket, SOL_LOCAL, LOCAL_PEERPID, &peer, &length) == 0 && peer == getpid();
#endif
}

int cmq_input_count(int socket)
{
    int count = 0;
    return ioctl(socket, FIONREAD, &count) == 0 ? count : 0;
}

int cmq_output_count(int socket)
{
    int count = 0;
#ifdef __linux__
    return ioctl(socket, TIOCOUTQ, &count) == 0 ? count : 0;
#else
    socklen_t length = sizeof count;
    return getsockopt(socket, SOL_SOCKET, SO_NWRITE, &count, &length) == 0 ? count : 0;
#endif
}
