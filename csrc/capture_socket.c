/* SPDX-License-Identifier: MIT
 * The socket of a captured link: opening, filtering, receiving. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "capture.h"
#include "nsfd.h"

#define BATCH      32
#define VLAN_BYTES 4

/* <linux/if_arp.h>, which does not go with <net/if.h> */
#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif
#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

/* Opening ------------------------------------------------------------------------------------ */

/* What frames of a hardware type begin with; PACKET_NONE where that is not known here. */
static enum packet_header first_of(unsigned hardware)
{
    switch (hardware) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return PACKET_ETHERNET;
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
    case ARPHRD_PPP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
        return PACKET_IPV4;
    default:
        return PACKET_NONE;
    }
}

static int describe(struct capture_source *s, int nsfd, const char *dev, unsigned *ifindex,
                    struct nserr *e)
{
    cleanup_fd int any = nsfd_socket(nsfd, AF_UNIX, SOCK_DGRAM, 0, e);
    struct ifreq ifr = {0};
    unsigned hardware;

    if (any < 0)
        return nserr_sys(e, -any, "capture", "%s", s->name);
    if (strlen(dev) >= sizeof(ifr.ifr_name))
        return nserr_sys(e, ENODEV, "capture", "%s", s->name);
    strcpy(ifr.ifr_name, dev);
    if (ioctl(any, SIOCGIFINDEX, &ifr) != 0)
        return nserr_sys(e, errno, "capture", "%s", s->name);
    *ifindex = (unsigned)ifr.ifr_ifindex;
    if (ioctl(any, SIOCGIFHWADDR, &ifr) != 0)
        return nserr_sys(e, errno, "capture", "%s", s->name);
    hardware = ifr.ifr_hwaddr.sa_family;
    s->first = first_of(hardware);
    s->loopback = hardware == ARPHRD_LOOPBACK;
    s->has_mac = hardware == ARPHRD_ETHER;
    memcpy(s->mac, ifr.ifr_hwaddr.sa_data, sizeof(s->mac));
    return s->first != PACKET_NONE
               ? 0
               : nserr_arg(e,
                           "capture: %s has neither Ethernet frames nor IP packets (ARP hardware "
                           "type %u)",
                           s->name, hardware);
}

int capture_socket(struct capture_source *s, int nsfd, const char *dev, unsigned *ifindex,
                   struct nserr *e)
{
    int err = describe(s, nsfd, dev, ifindex, e);

    if (err)
        return err;
    /* of protocol 0: hears nothing before it is bound */
    s->fd =
        nsfd_socket(nsfd, AF_PACKET,
                    (s->first == PACKET_ETHERNET ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK, 0, e);
    return s->fd >= 0 ? 0 : nserr_sys(e, -s->fd, "capture", "%s", s->name);
}

/* Time stamps -------------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

static uint64_t stamp_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec t;

            memcpy(&t, CMSG_DATA(c), sizeof(t));
            return ns_of(&t);
        }
    return 0;
}

/* A UDP socket that hears itself, alone in a namespace. */
static int echo_socket(struct nserr *e)
{
    cleanup_fd int ns = nsfd_create(e), fd = -1;
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(self);
    int on = 1;

    if (ns < 0)
        return ns;
    fd = nsfd_socket(ns, AF_INET, SOCK_DGRAM, 0, e);
    if (fd < 0)
        return fd;
    if (ioctl(fd, SIOCSIFFLAGS, &ifr) != 0 || bind(fd, (struct sockaddr *)&self, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&self, &len) != 0 ||
        connect(fd, (struct sockaddr *)&self, len) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0)
        return -errno;
    return take_fd(&fd);
}

/* Whether a packet was stamped when it came. */
static bool stamps(int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct pollfd p = {fd, POLLIN, 0};
    struct timespec before;

    if (send(fd, &byte, 1, MSG_DONTWAIT) != 1 || poll(&p, 1, 100) != 1)
        return false;
    clock_gettime(CLOCK_REALTIME, &before);
    return recvmsg(fd, &m, MSG_DONTWAIT) == 1 && stamp_of(&m) <= ns_of(&before);
}

/* The kernel begins to stamp packets some time after somebody asks for it; those that come before
 * are stamped when they are read, which may be much later. So wait until it does. */
static void await_stamps(void)
{
    struct nserr e;
    cleanup_fd int fd = echo_socket(&e);

    for (int tries = 0; fd >= 0 && tries < 100 && !stamps(fd); tries++)
        nanosleep(&(struct timespec){0, 200000}, NULL);
}

/* Listening ---------------------------------------------------------------------------------- */

/* The direction, then the filter, then how much of the packet is wanted. */
static int attach(struct capture_source *s, const struct capture *c,
                  const struct capture_filter *filter, enum capture_direction direction)
{
    const struct sock_filter way[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, direction == CAPTURE_OUT,
                 direction == CAPTURE_IN),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, c->snaplen);
    const bool here = filter->code && !filter->run;
    cleanup_bytes struct bytes code = {0};
    struct sock_fprog program;

    if ((direction != CAPTURE_BOTH && bytes_append(&code, way, sizeof(way)) != 0) ||
        bytes_append(&code, here ? filter->code : &all, (here ? filter->count : 1) * sizeof(all)) !=
            0)
        return -ENOMEM;
    program.len = (unsigned short)(code.len / sizeof(all));
    program.filter = (struct sock_filter *)code.data;
    s->late = filter->run ? *filter : (struct capture_filter){0};
    return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

void capture_deafen(struct capture_source *s)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {1, &none};

    if (setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        close_fd(&s->fd);
}

static int prepare(const struct capture_source *s, const struct capture *c, unsigned ifindex,
                   bool promisc)
{
    const struct packet_mreq all = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
    int on = 1, half = c->buffer / 2; /* the kernel doubles it */

    if (setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0)
        return -errno;
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)) != 0)
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
    if (promisc && setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) != 0)
        return -errno;
    return 0;
}

int capture_listen(struct capture_source *s, unsigned ifindex, const struct capture *c,
                   const struct capture_filter *filter, enum capture_direction direction,
                   bool promisc, struct nserr *e)
{
    const struct sockaddr_ll link = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)ifindex};
    int err = prepare(s, c, ifindex, promisc);

    /* what goes out there comes in there too */
    if (s->loopback && direction == CAPTURE_BOTH)
        direction = CAPTURE_IN;
    if (!err)
        err = attach(s, c, filter, direction);
    if (!err && !c->stamped)
        await_stamps();
    if (!err && bind(s->fd, (const struct sockaddr *)&link, sizeof(link)) != 0)
        err = -errno;
    return err ? nserr_sys(e, -err, "capture", "%s", s->name) : 0;
}

/* Receiving ---------------------------------------------------------------------------------- */

struct letter {
    struct sockaddr_ll from;
    struct iovec iov;
    union {
        struct cmsghdr align;
        char
            bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
};

static const struct tpacket_auxdata *aux_of(struct msghdr *m, struct tpacket_auxdata *aux)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
            return memcpy(aux, CMSG_DATA(c), sizeof(*aux));
    return NULL;
}

/* A VLAN tag comes beside the packet: put it where it was. There is room before the packet. */
static uint8_t *put_tag(uint8_t *at, const struct tpacket_auxdata *aux)
{
    const unsigned tpid =
        aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
    const uint8_t tag[] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(aux->tp_vlan_tci >> 8),
                           (uint8_t)aux->tp_vlan_tci};

    memmove(at - VLAN_BYTES, at, 2 * ETH_ALEN);
    memcpy(at - VLAN_BYTES + 2 * ETH_ALEN, tag, sizeof(tag));
    return at - VLAN_BYTES;
}

/* Put one that was received into the batch, unless the filter is run here and says no. */
static int take(const struct capture *c, struct capture_source *s, struct msghdr *m, size_t len)
{
    struct capture_packet p = {.ns = stamp_of(m), .source = s->index};
    struct tpacket_auxdata aux;
    uint8_t *at = ((struct iovec *)m->msg_iov)->iov_base;
    size_t size;

    if (!aux_of(m, &aux))
        aux = (struct tpacket_auxdata){.tp_len = (uint32_t)len};
    p.length = aux.tp_len;
    p.captured = (uint32_t)(len < c->snaplen ? len : c->snaplen);
    p.outgoing = ((struct sockaddr_ll *)m->msg_name)->sll_pkttype == PACKET_OUTGOING;
    if (aux.tp_status & TP_STATUS_VLAN_VALID && s->first == PACKET_ETHERNET &&
        p.captured >= 2 * ETH_ALEN) {
        at = put_tag(at, &aux);
        p.length += VLAN_BYTES;
        p.captured += p.captured + VLAN_BYTES <= c->snaplen ? VLAN_BYTES : c->snaplen - p.captured;
    }
    if (s->late.run && !s->late.run(s->late.code, at, p.length, p.captured)) {
        s->rejected++;
        return 0;
    }
    size = capture_size(p.captured);
    if (bytes_reserve(&s->batch, size) != 0)
        return -ENOMEM;
    memcpy(s->batch.data + s->batch.len, &p, sizeof(p));
    memcpy(s->batch.data + s->batch.len + sizeof(p), at, p.captured);
    s->batch.len += size;
    return 0;
}

/* BATCH slots of the greatest length, of which only what is written to takes memory. */
static int get_slots(struct capture *c)
{
    if (!c->slots)
        c->slots = malloc(BATCH * ((size_t)c->snaplen + VLAN_BYTES));
    return c->slots ? 0 : -ENOMEM;
}

int capture_receive(struct capture *c, struct capture_source *s)
{
    struct letter letters[BATCH];
    struct mmsghdr m[BATCH] = {0};
    int got, err = get_slots(c);

    if (err)
        return err;
    for (size_t i = 0; i < BATCH; i++) {
        letters[i].iov.iov_base = c->slots + i * ((size_t)c->snaplen + VLAN_BYTES) + VLAN_BYTES;
        letters[i].iov.iov_len = c->snaplen;
        m[i].msg_hdr.msg_iov = &letters[i].iov;
        m[i].msg_hdr.msg_iovlen = 1;
        m[i].msg_hdr.msg_name = &letters[i].from;
        m[i].msg_hdr.msg_namelen = sizeof(letters[i].from);
        m[i].msg_hdr.msg_control = &letters[i].control;
        m[i].msg_hdr.msg_controllen = sizeof(letters[i].control);
    }
    s->batch.len = s->at = 0;
    do
        got = recvmmsg(s->fd, m, BATCH, MSG_DONTWAIT, NULL);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    for (int i = 0; i < got && !err; i++)
        err = take(c, s, &m[i].msg_hdr, m[i].msg_len);
    return err ? err : got;
}
