// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CMosquittoShim.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int request_links(int watch)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg body;
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = RTM_GETLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = CMQ_NETWORK_REQUEST},
        .body = {.ifi_family = AF_UNSPEC},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return sendto(watch, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0 ? -1 : 0;
}

int cmq_open_network_watch(void)
{
    int watch = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (watch < 0) {
        return -1;
    }
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups =
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
    };
    if (bind(watch, (struct sockaddr *)&address, sizeof address) != 0 || request_links(watch) != 0) {
        int code = errno;
        close(watch);
        errno = code;
        return -1;
    }
    return watch;
}

ssize_t cmq_receive_network_change(int watch, void *buffer, size_t size)
{
    for (;;) {
        struct sockaddr_nl sender = {.nl_pid = 1};
        socklen_t length = sizeof sender;
        ssize_t count = recvfrom(watch, buffer, size, 0, (struct sockaddr *)&sender, &length);
        // A privileged process may send too.
        if (count < 0 || sender.nl_pid == 0) {
            return count;
        }
    }
}
#else
int cmq_open_network_watch(void)
{
    errno = ENOTSUP;
    return -1;
}

ssize_t cmq_receive_network_change(int watch, void *buffer, size_t size)
{
    (void)watch, (void)buffer, (void)size;
    errno = ENOTSUP;
    return -1;
}
#endif
