/* SPDX-License-Identifier: MIT
 * The kernel's socket tables (sock_diag): which TCP and UDP sockets there are in a namespace. */
#ifndef NETNS_DIAG_H
#define NETNS_DIAG_H

#include <stdbool.h>

#include "error.h"

struct diag_socket {
    int family, protocol; /* AF_*, IPPROTO_* */
    int state;            /* 1 established ... 10 listen */
    uint16_t sport, dport;
    uint8_t src[16], dst[16];
    uint32_t ifindex; /* 0: not bound to a link */
    uint32_t uid, inode, rqueue, wqueue;
    bool v6only;
};

/* All sockets of that protocol, both families, in states (1 << state, or 0 for all), into a
 * malloc'ed array. 0 or -errno. */
int diag_list(int nsfd, int protocol, uint32_t states, struct diag_socket **out, size_t *count,
              struct nserr *e);

#endif
