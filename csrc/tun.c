/* SPDX-License-Identifier: MIT
 * Making TUN and TAP devices. The namespace is that of the thread which opens /dev/net/tun; what
 * follows can be done from anywhere. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nsfd.h"
#include "tun.h"

static int configure(int fd, struct tun_spec *spec)
{
    struct ifreq ifr = {0};
    int flags = (spec->tap ? IFF_TAP : IFF_TUN) | (spec->pi ? 0 : IFF_NO_PI) |
                (spec->vnet_hdr ? IFF_VNET_HDR : 0) | (spec->multi_queue ? IFF_MULTI_QUEUE : 0);

    if (spec->ifindex && ioctl(fd, TUNSETIFINDEX, &spec->ifindex) != 0)
        return -errno;
    ifr.ifr_flags = (short)flags;
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", spec->name);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0)
        return -errno;
    snprintf(spec->name, sizeof(spec->name), "%s", ifr.ifr_name);
    if (spec->owner >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)spec->owner) != 0)
        return -errno;
    if (spec->group >= 0 && ioctl(fd, TUNSETGROUP, (unsigned long)spec->group) != 0)
        return -errno;
    return spec->persist && ioctl(fd, TUNSETPERSIST, 1UL) != 0 ? -errno : 0;
}

int tun_open(int nsfd, struct tun_spec *spec, struct nserr *e)
{
    cleanup_fd int fd = nsfd_open_inside(nsfd, "/dev/net/tun", O_RDWR | O_NONBLOCK, e);
    int err;

    if (fd < 0)
        return fd;
    err = configure(fd, spec);
    if (err)
        return nserr_sys(e, -err, "tun", "%s", spec->name);
    return take_fd(&fd);
}
