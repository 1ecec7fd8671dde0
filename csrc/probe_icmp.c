/* SPDX-License-Identifier: MIT
 * Raw ICMP and ICMPv6 sockets of probes: sending echo requests, reading answers and errors. */
#include <netinet/in.h> /* before the kernel's own */
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "nsfd.h"
#include "probe.h"

#define RCVBUF     (4 << 20)
#define READ_MANY  32
#define READ_BYTES 256 /* headers and cookie; what is behind them is only counted */
#define ROUNDS_MAX 64

/* Opening ------------------------------------------------------------------------------------ */

static void set_int(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value,
               sizeof(value)); /* where a kernel has it not, do without */
}

static void set_common(int fd)
{
    int size = RCVBUF;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        set_int(fd, SOL_SOCKET, SO_RCVBUF, size);
    set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
}

static void set_v4(int fd, bool df)
{
    struct icmp_filter filter = {~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH |
                                   1u << ICMP_TIME_EXCEEDED | 1u << ICMP_PARAMETERPROB)};

    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
}

static void set_v6(int fd, bool df)
{
    struct icmp6_filter filter;

    ICMP6_FILTER_SETBLOCKALL(&filter);
    for (int type = ICMP6_DST_UNREACH; type <= ICMP6_PARAM_PROB; type++)
        ICMP6_FILTER_SETPASS(type, &filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
    set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, df ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
    set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, df);
}

static int which_of(int family, bool df)
{
    return (family == AF_INET ? ICMP_V4 : ICMP_V6) + df;
}

int probe_icmp_open(struct probe_source *s, int family, bool df, struct nserr *e)
{
    int which = which_of(family, df);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)s | (unsigned)which << 1};
    cleanup_fd int fd = -1;

    if (s->icmp[which] >= 0)
        return 0;
    fd = nsfd_socket(s->nsfd, family, SOCK_RAW | SOCK_NONBLOCK,
                     family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6, e);
    if (fd < 0)
        return fd;
    set_common(fd);
    if (family == AF_INET)
        set_v4(fd, df);
    else
        set_v6(fd, df);
    if (epoll_ctl(s->set->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return nserr_sys(e, errno, "probe", NULL);
    s->icmp[which] = take_fd(&fd);
    return 0;
}

/* Sending ------------------------------------------------------------------------------------ */

struct echo {
    uint8_t type, code;
    uint16_t checksum, id, sequence;
};

static uint16_t checksum(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (; len > 1; len -= 2, bytes += 2)
        sum += (uint32_t)bytes[0] << 8 | bytes[1];
    if (len)
        sum += (uint32_t)bytes[0] << 8;
    sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t) ~(sum + (sum >> 16)));
}

static size_t build(struct probe *p, unsigned n, size_t size)
{
    struct probe_set *set = p->source->set;
    struct echo *echo = (struct echo *)set->buf;
    char *payload = set->buf + sizeof(*echo);
    const char *pattern = p->spec.payload;
    size_t cookie = size >= sizeof(set->cookie) ? sizeof(set->cookie) : 0;

    *echo = (struct echo){.type = p->spec.dst.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                          .id = htons(p->id),
                          .sequence = htons((uint16_t)(n + 1))};
    memcpy(payload, &set->cookie, cookie);
    for (size_t i = cookie; i < size; i++)
        payload[i] = pattern ? pattern[(i - cookie) % p->spec.payload_len] : (char)i;
    if (p->spec.dst.family == AF_INET) /* the kernel sees to ICMPv6's, which covers the addresses */
        echo->checksum = checksum(echo, sizeof(*echo) + size);
    return sizeof(*echo) + size;
}

/* Control messages ---------------------------------------------------------------------------- */

static void put(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c =
        (struct cmsghdr *)((char *)msg->msg_control + msg->msg_controllen); /* capacity: CONTROL */

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    msg->msg_controllen += CMSG_SPACE(len);
}

static void put_int(struct msghdr *msg, int level, int type, int value)
{
    put(msg, level, type, &value, sizeof(value));
}

#define CONTROL 256

static void put_v4(struct msghdr *msg, const struct probe *p, unsigned ttl)
{
    struct in_pktinfo info = {.ipi_ifindex = p->ifindex, .ipi_spec_dst = p->spec.src.v4};

    if (p->ifindex || p->spec.src.family)
        put(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    if (ttl)
        put_int(msg, IPPROTO_IP, IP_TTL, (int)ttl);
    if (p->spec.tos)
        put_int(msg, IPPROTO_IP, IP_TOS, (int)p->spec.tos);
}

static void put_v6(struct msghdr *msg, const struct probe *p, unsigned ttl)
{
    struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)p->ifindex, .ipi6_addr = p->spec.src.v6};

    if (p->ifindex || p->spec.src.family)
        put(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    if (ttl)
        put_int(msg, IPPROTO_IPV6, IPV6_HOPLIMIT, (int)ttl);
    if (p->spec.tos)
        put_int(msg, IPPROTO_IPV6, IPV6_TCLASS, (int)p->spec.tos);
}

socklen_t probe_sockaddr(const struct probe *p, const struct probe_addr *addr, uint16_t port,
                         struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (addr->family == AF_INET) {
        *v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr = addr->v4, .sin_port = htons(port)};
        return sizeof(*v4);
    }
    *v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_addr = addr->v6, .sin6_port = htons(port)};
    if (IN6_IS_ADDR_LINKLOCAL(&addr->v6) || IN6_IS_ADDR_MC_LINKLOCAL(&addr->v6))
        v6->sin6_scope_id = (uint32_t)p->ifindex;
    return sizeof(*v6);
}

/* A neighbour table that is full, or a queue that is: worth another try. */
static bool is_crowded(struct probe_set *set, int code)
{
    if (code == ENOBUFS && set->learned_len)
        probe_forget_neighbours(set);
    return code == EAGAIN || code == ENOBUFS || code == ENOMEM || code == EINTR;
}

int probe_icmp_send(struct probe *p, unsigned n, unsigned ttl, unsigned size, bool df)
{
    struct probe_shot *shot = &p->shots[n];
    _Alignas(struct cmsghdr) char control[CONTROL] = {0};
    struct sockaddr_storage to;
    struct iovec iov = {p->source->set->buf, build(p, n, size)};
    struct msghdr msg = {.msg_name = &to,
                         .msg_namelen = probe_sockaddr(p, &p->spec.dst, 0, &to),
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control};

    if (p->spec.dst.family == AF_INET)
        put_v4(&msg, p, ttl);
    else
        put_v6(&msg, p, ttl);
    if (p->spec.mark)
        put_int(&msg, SOL_SOCKET, SO_MARK, (int)p->spec.mark);
    shot->sent = probe_now(CLOCK_REALTIME);
    shot->sent_mono = probe_now(CLOCK_MONOTONIC);
    if (sendmsg(p->source->icmp[which_of(p->spec.dst.family, df)], &msg, MSG_NOSIGNAL) >= 0)
        return 0;
    if (is_crowded(p->source->set, errno))
        return -EAGAIN;
    shot->local = (uint16_t)errno;
    shot->state = SHOT_UNSENT;
    return 0;
}

/* Reading ------------------------------------------------------------------------------------ */

/* What an incoming packet says: its ICMP part, and whence. */
struct incoming {
    struct probe_addr from;
    const uint8_t *icmp;
    size_t len;  /* of what is there to be read */
    uint64_t at; /* wall clock */
    uint8_t ttl;
};

static struct probe *probe_of(struct probe_source *s, uint16_t id)
{
    uint16_t at = (uint16_t)(id - s->first_id);

    return at < s->ids ? s->set->probes[s->by_id[at]] : NULL;
}

static bool same_addr(const struct probe_addr *a, const struct probe_addr *b)
{
    return a->family == b->family && !memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16);
}

/* The shot that an echo header (of a reply, or quoted in an error) belongs to, or NULL. */
static struct probe_shot *shot_of(struct probe_source *s, int family, const uint8_t *header,
                                  struct probe **owner)
{
    struct echo echo;
    struct probe *p;
    unsigned n;

    memcpy(&echo, header, sizeof(echo));
    p = probe_of(s, ntohs(echo.id));
    n = (uint16_t)(ntohs(echo.sequence) - 1);
    if (!p || p->spec.dst.family != family || n >= p->sent)
        return NULL;
    *owner = p;
    return &p->shots[n];
}

/* From the stamp of the packet, unless the clock was set meanwhile. */
static uint64_t rtt(const struct probe_shot *shot, uint64_t at)
{
    uint64_t steady = probe_now(CLOCK_MONOTONIC) - shot->sent_mono;

    return at >= shot->sent && at - shot->sent <= steady ? at - shot->sent : steady;
}

static void take_reply(struct probe_source *s, const struct incoming *in)
{
    struct probe *p = NULL;
    struct probe_shot *shot = shot_of(s, in->from.family, in->icmp, &p);
    bool cookie = in->len >= sizeof(struct echo) + sizeof(s->set->cookie);

    if (!shot || shot->state == SHOT_UNSENT)
        return;
    if (cookie ? memcmp(in->icmp + sizeof(struct echo), &s->set->cookie, sizeof(s->set->cookie))
               : !same_addr(&in->from, &p->spec.dst))
        return; /* somebody else's ping */
    if (shot->state == SHOT_ANSWERED) {
        shot->duplicates++;
        return;
    }
    shot->state = SHOT_ANSWERED;
    shot->from = in->from;
    shot->ttl = in->ttl;
    shot->rtt = rtt(shot, in->at);
    probe_echo_outcome(s->set, p, (unsigned)(shot - p->shots));
}

/* The echo header quoted by an error, if it was about an echo request to `dst`; else NULL. */
static const uint8_t *quoted(const struct incoming *in, struct probe_addr *dst)
{
    const uint8_t *inner = in->icmp + 8;
    size_t len = in->len - 8, at = sizeof(struct ip6_hdr);

    *dst = (struct probe_addr){.family = in->from.family};
    if (in->from.family == AF_INET) {
        at = len ? (size_t)(inner[0] & 15) * 4 : 0;
        if (at < 20 || len < at + sizeof(struct echo) || inner[9] != IPPROTO_ICMP ||
            inner[at] != ICMP_ECHO)
            return NULL;
        memcpy(&dst->v4, inner + 16, 4);
        return inner + at;
    }
    if (len < at)
        return NULL;
    memcpy(&dst->v6, inner + 24, 16);
    if (inner[6] == IPPROTO_FRAGMENT && len >= at + 8) {
        if (inner[at] != IPPROTO_ICMPV6)
            return NULL;
        at += 8;
    } else if (inner[6] != IPPROTO_ICMPV6) {
        return NULL;
    }
    return len >= at + sizeof(struct echo) && inner[at] == ICMP6_ECHO_REQUEST ? inner + at : NULL;
}

static uint32_t told_mtu(const struct incoming *in)
{
    uint32_t word;

    memcpy(&word, in->icmp + 4, sizeof(word));
    if (in->from.family == AF_INET6)
        return in->icmp[0] == ICMP6_PACKET_TOO_BIG ? ntohl(word) : 0;
    return in->icmp[0] == ICMP_DEST_UNREACH && in->icmp[1] == ICMP_FRAG_NEEDED
               ? ntohl(word) & 0xffff
               : 0;
}

static void take_error(struct probe_source *s, const struct incoming *in)
{
    struct probe_addr dst;
    const uint8_t *header = quoted(in, &dst);
    struct probe *p = NULL;
    struct probe_shot *shot = header ? shot_of(s, in->from.family, header, &p) : NULL;

    if (!shot || (shot->state != SHOT_WAITING && shot->state != SHOT_SILENT) ||
        !same_addr(&dst, &p->spec.dst))
        return;
    shot->state = SHOT_ERROR;
    shot->from = in->from;
    shot->type = in->icmp[0];
    shot->code = in->icmp[1];
    shot->ttl = in->ttl;
    shot->mtu = told_mtu(in);
    shot->rtt = rtt(shot, in->at);
    probe_echo_outcome(s->set, p, (unsigned)(shot - p->shots));
}

/* Find the ICMP part; false where the packet is too short to be anything. */
static bool dissect(struct incoming *in, const uint8_t *data, size_t len,
                    const struct sockaddr_storage *from)
{
    size_t header = 0;

    in->from.family = from->ss_family;
    if (from->ss_family == AF_INET6) {
        in->from.v6 = ((const struct sockaddr_in6 *)from)->sin6_addr;
    } else {
        in->from.v4 = ((const struct sockaddr_in *)from)->sin_addr;
        header = len ? (size_t)(data[0] & 15) * 4 : 0;
        if (header < 20 || len < header)
            return false;
        in->ttl = data[8];
    }
    in->icmp = data + header;
    in->len = len - header;
    return in->len >= sizeof(struct echo);
}

static void take(struct probe_source *s, struct msghdr *msg, size_t len)
{
    struct incoming in = {0};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct timespec stamp;
        int hops;

        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
            in.at = (uint64_t)stamp.tv_sec * 1000000000u + (uint64_t)stamp.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
            memcpy(&hops, CMSG_DATA(c), sizeof(hops));
            in.ttl = (uint8_t)hops;
        }
    }
    if (!dissect(&in, msg->msg_iov->iov_base, len, msg->msg_name))
        return;
    if (in.icmp[0] == (in.from.family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
        take_reply(s, &in);
    else
        take_error(s, &in);
}

void probe_icmp_read(struct probe_source *s, int which)
{
    uint8_t data[READ_MANY][READ_BYTES];
    _Alignas(struct cmsghdr) char control[READ_MANY][128];
    struct sockaddr_storage from[READ_MANY];
    struct iovec iov[READ_MANY];
    struct mmsghdr msgs[READ_MANY];
    int got = READ_MANY;

    for (int round = 0; got == READ_MANY && round < ROUNDS_MAX; round++) {
        for (int i = 0; i < READ_MANY; i++) {
            iov[i] = (struct iovec){data[i], READ_BYTES};
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof(from[i]),
                                              .msg_iov = &iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i],
                                              .msg_controllen = sizeof(control[i])};
        }
        got = recvmmsg(s->icmp[which], msgs, READ_MANY, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++)
            take(s, &msgs[i].msg_hdr, msgs[i].msg_len);
    }
}

/* Words -------------------------------------------------------------------------------------- */

struct word {
    uint8_t type;
    int16_t code; /* -1: any */
    const char *text;
};

// clang-format off
static const struct word words_v4[] = {
    {3, 0, "Destination Net Unreachable"},
    {3, 1, "Destination Host Unreachable"},
    {3, 2, "Destination Protocol Unreachable"},
    {3, 3, "Destination Port Unreachable"},
    {3, 4, "Frag needed and DF set"},
    {3, 5, "Source Route Failed"},
    {3, 6, "Destination Net Unknown"},
    {3, 7, "Destination Host Unknown"},
    {3, 8, "Source Host Isolated"},
    {3, 9, "Destination Net Prohibited"},
    {3, 10, "Destination Host Prohibited"},
    {3, 11, "Destination Net Unreachable for Type of Service"},
    {3, 12, "Destination Host Unreachable for Type of Service"},
    {3, 13, "Packet filtered"},
    {3, 14, "Precedence Violation"},
    {3, 15, "Precedence Cutoff"},
    {3, -1, "Destination Unreachable"},
    {11, 0, "Time to live exceeded"},
    {11, 1, "Frag reassembly time exceeded"},
    {12, -1, "Parameter problem"},
};
static const struct word words_v6[] = {
    {1, 0, "No route"},
    {1, 1, "Administratively prohibited"},
    {1, 2, "Beyond scope of source address"},
    {1, 3, "Address unreachable"},
    {1, 4, "Port unreachable"},
    {1, 5, "Source address failed ingress/egress policy"},
    {1, 6, "Reject route to destination"},
    {1, -1, "Destination unreachable"},
    {2, -1, "Packet too big"},
    {3, 0, "Hop limit exceeded"},
    {3, 1, "Defragmentation failure"},
    {4, -1, "Parameter problem"},
};
// clang-format on

const char *probe_error_text(int family, unsigned type, unsigned code)
{
    const struct word *words = family == AF_INET ? words_v4 : words_v6;
    size_t count = family == AF_INET ? ARRAY_LEN(words_v4) : ARRAY_LEN(words_v6);

    for (size_t i = 0; i < count; i++)
        if (words[i].type == type && (words[i].code < 0 || (unsigned)words[i].code == code))
            return words[i].text;
    return NULL;
}
