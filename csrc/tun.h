/* SPDX-License-Identifier: MIT
 * TUN and TAP devices (Documentation/networking/tuntap.rst): made through /dev/net/tun. */
#ifndef NETNS_TUN_H
#define NETNS_TUN_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct tun_spec {
    char name[16]; /* "": the kernel chooses; filled with what it is */
    bool tap;      /* frames instead of packets */
    bool pi;       /* a packet information header before each packet */
    bool vnet_hdr, multi_queue;
    int64_t owner, group; /* who may attach besides root; -1: nobody */
    int ifindex;          /* 0: the kernel chooses */
    bool persist;         /* stays when the fd is closed */
};

/* Make the device in namespace nsfd, or attach to it where it is there: an fd whose reads and
 * writes are its packets, close-on-exec and non-blocking. */
int tun_open(int nsfd, struct tun_spec *spec, struct nserr *e);

#endif
