/* SPDX-License-Identifier: MIT
 * Probes with a socket of their own: TCP connections and UDP exchanges, with the sender of an
 * ICMP error from the socket's error queue. */
#include <time.h> /* which errqueue.h takes for granted */
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "nsfd.h"
#include "probe.h"

#define CROWDED_NS 5000000u

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

/* The options of the probe; 0 or an errno. */
static int set_options(int fd, const struct probe *p)
{
    bool v4 = p->spec.dst.family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    struct sockaddr_storage src;

    if (set_int(fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, 1) != 0 ||
        (p->spec.ttl && set_int(fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS, (int)p->spec.ttl)) ||
        (p->spec.tos && set_int(fd, level, v4 ? IP_TOS : IPV6_TCLASS, (int)p->spec.tos)) ||
        (p->spec.mark && set_int(fd, SOL_SOCKET, SO_MARK, (int)p->spec.mark)) ||
        (*p->spec.dev &&
         setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->spec.dev, (socklen_t)strlen(p->spec.dev))))
        return errno;
    if (p->spec.src.family &&
        bind(fd, (struct sockaddr *)&src, probe_sockaddr(p, &p->spec.src, 0, &src)) != 0)
        return errno;
    return 0;
}

static int open_socket(struct probe_set *set, struct probe *p)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT,
                                .data.u64 = (uint64_t)p->number << 1 | PROBE_EVENT_OWN};
    int type = p->spec.kind == PROBE_TCP ? SOCK_STREAM : SOCK_DGRAM, code;
    struct nserr e;

    if (p->spec.kind == PROBE_UDP)
        event.events = EPOLLIN;
    p->fd = nsfd_socket(p->source->nsfd, p->spec.dst.family, type | SOCK_NONBLOCK, 0, &e);
    if (p->fd < 0)
        return e.code;
    set->open++;
    code = set_options(p->fd, p);
    if (!code && epoll_ctl(set->epoll, EPOLL_CTL_ADD, p->fd, &event) != 0)
        code = errno;
    return code;
}

void probe_sock_close(struct probe_set *set, struct probe *p)
{
    if (p->fd < 0)
        return;
    close_fd(&p->fd);
    set->open--;
}

/* Outcomes ----------------------------------------------------------------------------------- */

static void unsent(struct probe_shot *shot, int code)
{
    shot->state = SHOT_UNSENT;
    shot->local = (uint16_t)code;
}

static void take_offender(struct probe_addr *from, const struct sock_extended_err *ee)
{
    const struct sockaddr *who = SO_EE_OFFENDER(ee);

    from->family = who->sa_family;
    if (who->sa_family == AF_INET)
        from->v4 = ((const struct sockaddr_in *)who)->sin_addr;
    else if (who->sa_family == AF_INET6)
        from->v6 = ((const struct sockaddr_in6 *)who)->sin6_addr;
    else
        from->family = 0;
}

/* The next error in the socket's queue, into the shot; false where there is none. */
static bool take_error(int fd, struct probe_shot *shot, uint32_t *mtu)
{
    _Alignas(struct cmsghdr) char control[512];
    char data[64];
    struct iovec iov = {data, sizeof(data)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};

    if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        const struct sock_extended_err *ee = (const void *)CMSG_DATA(c);

        if ((c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) &&
            (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_RECVERR))
            continue;
        *mtu = ee->ee_info;
        if (ee->ee_origin != SO_EE_ORIGIN_ICMP && ee->ee_origin != SO_EE_ORIGIN_ICMP6)
            continue;
        shot->state = SHOT_ERROR;
        shot->type = ee->ee_type;
        shot->code = ee->ee_code;
        take_offender(&shot->from, ee);
    }
    return true;
}

static bool is_port_unreachable(const struct probe *p, const struct probe_shot *shot)
{
    bool v4 = p->spec.dst.family == AF_INET;

    return shot->type == (v4 ? ICMP_UNREACH : ICMP6_DST_UNREACH) &&
           shot->code == (v4 ? ICMP_UNREACH_PORT : ICMP6_DST_UNREACH_NOPORT) &&
           !memcmp(shot->from.bytes, p->spec.dst.bytes, v4 ? 4 : 16);
}

/* The socket has an error: what it says. */
static void failed(struct probe *p, struct probe_shot *shot, int code)
{
    uint32_t mtu = 0;

    shot->rtt = probe_now(CLOCK_MONOTONIC) - shot->sent_mono;
    while (take_error(p->fd, shot, &mtu) && shot->state != SHOT_ERROR)
        continue;
    if (shot->state == SHOT_ERROR) {
        if (is_port_unreachable(p, shot))
            shot->state = SHOT_REFUSED;
        return;
    }
    if (code == ECONNREFUSED || code == ECONNRESET) {
        shot->state = SHOT_REFUSED;
        shot->from = p->spec.dst;
    } else if (code == ETIMEDOUT) {
        shot->state = SHOT_SILENT;
    } else {
        unsent(shot, code);
    }
}

/* Take another try, or be done. */
static void next_or_done(struct probe_set *set, struct probe *p)
{
    const struct probe_shot *shot = &p->shots[p->sent - 1];

    set->learned_done = true;
    probe_sock_close(set, p);
    if (shot->state == SHOT_SILENT && p->sent < p->spec.count)
        probe_schedule(set, p, 0);
    else
        probe_done(set, p);
}

/* Turns -------------------------------------------------------------------------------------- */

static int begin(struct probe_set *set, struct probe *p)
{
    struct sockaddr_storage to;
    socklen_t len = probe_sockaddr(p, &p->spec.dst, p->spec.port, &to);
    int code = open_socket(set, p);

    if (code)
        return code;
    if (connect(p->fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
        return errno;
    if (p->spec.kind == PROBE_UDP &&
        send(p->fd, p->spec.payload, p->spec.payload_len, MSG_NOSIGNAL) < 0)
        return errno;
    return 0;
}

void probe_sock_turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    struct probe_shot *shot = p->sent ? &p->shots[p->sent - 1] : NULL;
    int code;

    if (shot && shot->state == SHOT_WAITING) {
        shot->state = SHOT_SILENT;
        next_or_done(set, p);
        return;
    }
    shot = probe_shot_new(p);
    if (!shot) {
        probe_done(set, p);
        return;
    }
    code = begin(set, p);
    if ((code == ENOBUFS || code == EAGAIN) && p->crowded++ < 1000) {
        p->sent--;
        probe_sock_close(set, p);
        if (set->learned_len)
            probe_forget_neighbours(set);
        probe_schedule(set, p, now + CROWDED_NS);
        return;
    }
    if (code) {
        if (code == ECONNREFUSED)
            failed(p, shot, code);
        else
            unsent(shot, code);
        next_or_done(set, p);
        return;
    }
    probe_schedule(set, p, now + p->spec.timeout);
}

static void connected(struct probe *p, struct probe_shot *shot)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    shot->state = SHOT_ANSWERED;
    shot->from = p->spec.dst;
    shot->rtt = probe_now(CLOCK_MONOTONIC) - shot->sent_mono;
    if (getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_rtt)
        shot->rtt = (uint64_t)info.tcpi_rtt * 1000;
}

/* The datagram that came back; false where none did yet. */
static bool take_datagram(struct probe_set *set, struct probe *p, struct probe_shot *shot)
{
    ssize_t got = recv(p->fd, set->buf, PACKET_MAX, MSG_DONTWAIT);

    if (got < 0)
        return false;
    shot->rtt = probe_now(CLOCK_MONOTONIC) - shot->sent_mono;
    shot->state = SHOT_ANSWERED;
    shot->from = p->spec.dst;
    p->reply = malloc((size_t)got + 1);
    if (p->reply) {
        memcpy(p->reply, set->buf, (size_t)got);
        p->reply_len = (size_t)got;
    }
    return true;
}

void probe_sock_ready(struct probe_set *set, struct probe *p, uint32_t events)
{
    struct probe_shot *shot = &p->shots[p->sent - 1];
    socklen_t len = sizeof(int);
    int code = 0;

    if (shot->state != SHOT_WAITING)
        return;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    if (code)
        failed(p, shot, code);
    else if (p->spec.kind == PROBE_TCP && (events & EPOLLOUT))
        connected(p, shot);
    else if (p->spec.kind != PROBE_UDP || !take_datagram(set, p, shot))
        return;
    next_or_done(set, p);
}

/* -------------------------------------------------------------------------------------------- */

unsigned probe_sock_mtu(struct probe *p)
{
    bool v4 = p->spec.dst.family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    struct sockaddr_storage to;
    socklen_t len = probe_sockaddr(p, &p->spec.dst, 9 /* discard */, &to);
    struct probe_shot ignored = {0};
    struct nserr e;
    uint32_t mtu = 0;
    cleanup_fd int fd =
        nsfd_socket(p->source->nsfd, p->spec.dst.family, SOCK_DGRAM | SOCK_NONBLOCK, 0, &e);

    if (fd < 0 || set_options(fd, p) != 0 ||
        set_int(fd, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE) != 0 ||
        (!v4 && set_int(fd, level, IPV6_DONTFRAG, 1) != 0))
        return 0;
    if (sendto(fd, p->source->set->buf, PROBE_SIZE_MAX, MSG_NOSIGNAL, (struct sockaddr *)&to, len) <
            0 &&
        errno == EMSGSIZE)
        take_error(fd, &ignored, &mtu);
    return mtu;
}
