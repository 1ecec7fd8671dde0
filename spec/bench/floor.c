/* SPDX-License-Identifier: MIT
 * The floor of the benchmarks: the same work as hand-built netlink messages from a prebuilt buffer,
 * with nothing between them and the kernel.
 *
 *     floor routes N   add, dump and delete N routes           prints three times, in seconds
 *     floor call N     into a namespace and back N times        prints two times: with learning the
 *                      way back each time, and without
 *     floor netns N    N anonymous namespaces: make, close      prints two times
 *     floor star N     N hosts on a bridge: up, close           prints two times
 *     floor line N     N routers in a row: up, close            prints two times
 *
 * Run it in a network namespace of its own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 3500

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Messages ---------------------------------------------------------------------------------- */

struct buffer {
    char *data;
    size_t len, cap;
    size_t *starts; /* of the messages */
    size_t count, room;
};

static void *grow(struct buffer *b, size_t len)
{
    size_t aligned = NLMSG_ALIGN(len);
    void *at;

    if (b->len + aligned > b->cap) {
        b->cap = (b->cap + aligned) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data)
            die("realloc");
    }
    at = b->data + b->len;
    memset(at, 0, aligned);
    b->len += aligned;
    return at;
}

static struct nlmsghdr *last(struct buffer *b)
{
    return (struct nlmsghdr *)(b->data + b->starts[b->count - 1]);
}

static void close_message(struct buffer *b)
{
    last(b)->nlmsg_len = (unsigned)(b->len - b->starts[b->count - 1]);
}

/* Begin a message; its fixed header is `size` bytes behind nlmsghdr. */
static void *begin(struct buffer *b, int type, int flags, size_t size)
{
    if (b->count)
        close_message(b);
    if (b->count == b->room) {
        b->room = b->room ? b->room * 2 : 64;
        b->starts = realloc(b->starts, b->room * sizeof(*b->starts));
        if (!b->starts)
            die("realloc");
    }
    b->starts[b->count++] = b->len;
    grow(b, NLMSG_HDRLEN + size);
    last(b)->nlmsg_type = (unsigned short)type;
    last(b)->nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    return NLMSG_DATA(last(b));
}

static size_t put(struct buffer *b, int type, const void *data, size_t len)
{
    size_t at = b->len;
    struct rtattr *a = grow(b, RTA_LENGTH(len));

    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(len);
    if (len)
        memcpy(RTA_DATA(a), data, len);
    return at;
}

static void put_u32(struct buffer *b, int type, unsigned value)
{
    put(b, type, &value, sizeof(value));
}

static void put_text(struct buffer *b, int type, const char *text)
{
    put(b, type, text, strlen(text) + 1);
}

static void nest_end(struct buffer *b, size_t at)
{
    ((struct rtattr *)(b->data + at))->rta_len = (unsigned short)(b->len - at);
}

/* Conversation ------------------------------------------------------------------------------ */

static int open_socket(void)
{
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), size = 8 << 20;

    if (s < 0)
        die("socket");
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    return s;
}

static void expect_ack(int s)
{
    static char rx[65536];
    ssize_t got = recv(s, rx, sizeof(rx), 0);
    struct nlmsghdr *h = (struct nlmsghdr *)rx;

    if (got < 0)
        die("recv");
    if (h->nlmsg_type == NLMSG_ERROR && ((struct nlmsgerr *)NLMSG_DATA(h))->error) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
        die("the kernel refused a message");
    }
}

/* Send all, an ack on the last of each chunk. */
static void send_all(int s, struct buffer *b)
{
    if (!b->count)
        return;
    close_message(b);
    for (size_t i = 0; i < b->count; i += CHUNK) {
        size_t end = i + CHUNK < b->count ? b->starts[i + CHUNK] : b->len;
        size_t final = i + CHUNK < b->count ? i + CHUNK - 1 : b->count - 1;

        ((struct nlmsghdr *)(b->data + b->starts[final]))->nlmsg_flags |= NLM_F_ACK;
        if (send(s, b->data + b->starts[i], end - b->starts[i], 0) < 0)
            die("send");
        expect_ack(s);
    }
}

/* The works ----------------------------------------------------------------------------------- */

static void add_link_veth(struct buffer *b, const char *name, int index, int fd, const char *peer,
                          int peer_index, int peer_fd)
{
    struct ifinfomsg *ifi = begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
    size_t info, data, other;

    ifi->ifi_index = index;
    put_text(b, IFLA_IFNAME, name);
    put_u32(b, IFLA_NUM_TX_QUEUES, 1);
    put_u32(b, IFLA_NUM_RX_QUEUES, 1);
    if (fd >= 0)
        put_u32(b, IFLA_NET_NS_FD, (unsigned)fd);
    info = put(b, IFLA_LINKINFO, NULL, 0);
    put_text(b, IFLA_INFO_KIND, "veth");
    data = put(b, IFLA_INFO_DATA, NULL, 0);
    other = put(b, VETH_INFO_PEER, NULL, 0);
    ifi = grow(b, sizeof(*ifi));
    ifi->ifi_index = peer_index;
    put_text(b, IFLA_IFNAME, peer);
    put_u32(b, IFLA_NUM_TX_QUEUES, 1);
    put_u32(b, IFLA_NUM_RX_QUEUES, 1);
    if (peer_fd >= 0)
        put_u32(b, IFLA_NET_NS_FD, (unsigned)peer_fd);
    nest_end(b, other);
    nest_end(b, data);
    nest_end(b, info);
}

/* up, or into a master */
static void set_link(struct buffer *b, int index, int up, int master)
{
    struct ifinfomsg *ifi = begin(b, RTM_NEWLINK, 0, sizeof(*ifi));

    ifi->ifi_index = index;
    if (up)
        ifi->ifi_flags = ifi->ifi_change = IFF_UP;
    if (master)
        put_u32(b, IFLA_MASTER, (unsigned)master);
}

static void add_addr(struct buffer *b, int index, unsigned addr, int len)
{
    struct ifaddrmsg *ifa = begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa));

    ifa->ifa_family = AF_INET;
    ifa->ifa_prefixlen = (unsigned char)len;
    ifa->ifa_index = (unsigned)index;
    addr = htonl(addr);
    put(b, IFA_LOCAL, &addr, 4);
    put(b, IFA_ADDRESS, &addr, 4);
}

static void route(struct buffer *b, int type, unsigned dst, int len, unsigned via)
{
    int adding = type == RTM_NEWROUTE;
    struct rtmsg *rtm = begin(b, type, adding ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(*rtm));

    rtm->rtm_family = AF_INET;
    rtm->rtm_dst_len = (unsigned char)len;
    rtm->rtm_table = RT_TABLE_MAIN;
    rtm->rtm_scope = adding ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
    rtm->rtm_protocol = adding ? RTPROT_BOOT : 0;
    rtm->rtm_type = adding ? RTN_UNICAST : 0;
    dst = htonl(dst);
    via = htonl(via);
    if (len)
        put(b, RTA_DST, &dst, 4);
    put(b, RTA_GATEWAY, &via, 4);
}

static void dump_routes(int s)
{
    static char rx[1 << 16];
    struct {
        struct nlmsghdr h;
        struct rtmsg r;
    } request = {{sizeof(request), RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
                 {.rtm_family = AF_INET}};

    if (send(s, &request, sizeof(request), 0) < 0)
        die("send");
    for (;;) {
        ssize_t got = recv(s, rx, sizeof(rx), 0);
        if (got < 0)
            die("recv");
        for (struct nlmsghdr *h = (struct nlmsghdr *)rx; NLMSG_OK(h, (unsigned)got);
             h = NLMSG_NEXT(h, got))
            if (h->nlmsg_type == NLMSG_DONE)
                return;
    }
}

static void routes(int n)
{
    struct buffer setup = {0}, add = {0}, del = {0};
    int s = open_socket();
    double t0, t1, t2;

    add_link_veth(&setup, "eth0", 100, -1, "eth1", 101, -1);
    set_link(&setup, 100, 1, 0);
    set_link(&setup, 101, 1, 0);
    add_addr(&setup, 100, 0x0a000001, 24);
    send_all(s, &setup);
    for (int i = 0; i < n; i++) {
        route(&add, RTM_NEWROUTE, 0x14000000u + ((unsigned)i << 8), 24, 0x0a000002);
        route(&del, RTM_DELROUTE, 0x14000000u + ((unsigned)i << 8), 24, 0x0a000002);
    }
    t0 = now();
    send_all(s, &add);
    t1 = now();
    dump_routes(s);
    t2 = now();
    send_all(s, &del);
    printf("%.9f %.9f %.9f\n", t1 - t0, t2 - t1, now() - t2);
}

static int home;

static int new_netns(void)
{
    int fd;

    if (unshare(CLONE_NEWNET) != 0)
        die("unshare");
    fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open");
    if (setns(home, CLONE_NEWNET) != 0)
        die("setns");
    return fd;
}

static int socket_in(int fd)
{
    int s;

    if (setns(fd, CLONE_NEWNET) != 0)
        die("setns");
    s = open_socket();
    if (setns(home, CLONE_NEWNET) != 0)
        die("setns");
    return s;
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static void netns(int n)
{
    int *fds = calloc((size_t)n, sizeof(*fds));
    double t0 = now(), t1;

    for (int i = 0; i < n; i++)
        fds[i] = new_netns();
    t1 = now();
    close_all(fds, n);
    printf("%.9f %.9f\n", t1 - t0, now() - t1);
}

static void enter(int fd)
{
    if (setns(fd, CLONE_NEWNET) != 0)
        die("setns");
}

static void call(int n)
{
    int fd = new_netns();
    double t0 = now(), t1;

    for (int i = 0; i < n; i++) {
        int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        enter(fd);
        enter(back);
        close(back);
    }
    t1 = now();
    for (int i = 0; i < n; i++) {
        enter(fd);
        enter(home);
    }
    printf("%.9f %.9f\n", t1 - t0, now() - t1);
}

/* A host of a star: its end of the link, loopback, address. */
static void host(struct buffer *b, unsigned number)
{
    set_link(b, 1, 1, 0);
    set_link(b, 2, 1, 0);
    add_addr(b, 2, 0x0a000000u + number + 1, 16);
}

static void star(int n)
{
    struct buffer *hosts = calloc((size_t)n, sizeof(*hosts)), links = {0}, ports = {0};
    int *fds = calloc((size_t)n + 1, sizeof(*fds)), s;
    struct ifinfomsg *ifi;
    double t0, t1;
    size_t info;

    t0 = now(); /* fds are part of the messages: building them is part of the work */
    for (int i = 0; i <= n; i++)
        fds[i] = new_netns();
    ifi = begin(&links, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
    ifi->ifi_index = 2;
    put_text(&links, IFLA_IFNAME, "br0");
    info = put(&links, IFLA_LINKINFO, NULL, 0);
    put_text(&links, IFLA_INFO_KIND, "bridge");
    nest_end(&links, info);
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i + 1);
        add_link_veth(&links, name, i + 3, -1, "eth0", 2, fds[i + 1]);
        set_link(&ports, i + 3, 1, 2);
        host(&hosts[i], (unsigned)i);
    }
    set_link(&ports, 2, 1, 0);
    s = socket_in(fds[0]);
    send_all(s, &links);
    send_all(s, &ports);
    close(s);
    for (int i = 0; i < n; i++) {
        s = socket_in(fds[i + 1]);
        send_all(s, &hosts[i]);
        close(s);
    }
    t1 = now();
    close_all(fds, n + 1);
    printf("%.9f %.9f\n", t1 - t0, now() - t1);
}

static void line(int n)
{
    int *fds = calloc((size_t)n, sizeof(*fds)), s;
    double t0 = now(), t1;

    for (int i = 0; i < n; i++)
        fds[i] = new_netns();
    for (int i = 0; i < n; i++) {
        struct buffer b = {0};
        unsigned left = 0x0a000000u + 2 * (unsigned)(i - 1), right = 0x0a000000u + 2 * (unsigned)i;
        int file;

        set_link(&b, 1, 1, 0);
        if (i + 1 < n) {
            add_link_veth(&b, "eth1", 3, -1, "eth0", 2, fds[i + 1]);
            set_link(&b, 3, 1, 0);
            add_addr(&b, 3, right, 31);
        }
        if (i > 0) {
            set_link(&b, 2, 1, 0);
            add_addr(&b, 2, left + 1, 31);
        }
        if (i + 2 < n) /* the link beyond the neighbour, on either side */
            route(&b, RTM_NEWROUTE, right + 2, 31, right + 1);
        if (i > 1)
            route(&b, RTM_NEWROUTE, left - 2, 31, left);
        s = socket_in(fds[i]);
        send_all(s, &b);
        close(s);
        if (setns(fds[i], CLONE_NEWNET) != 0)
            die("setns");
        file = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
        if (file < 0 || write(file, "1", 1) != 1)
            die("ip_forward");
        close(file);
        if (setns(home, CLONE_NEWNET) != 0)
            die("setns");
        free(b.data);
        free(b.starts);
    }
    t1 = now();
    close_all(fds, n);
    printf("%.9f %.9f\n", t1 - t0, now() - t1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(int);
    } works[] = {
        {"routes", routes}, {"netns", netns}, {"call", call}, {"star", star}, {"line", line}};
    int n = argc == 3 ? atoi(argv[2]) : 0;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        die("open");
    for (size_t i = 0; n > 0 && i < sizeof(works) / sizeof(works[0]); i++) {
        if (!strcmp(works[i].name, argv[1])) {
            works[i].run(n);
            return 0;
        }
    }
    fprintf(stderr, "usage: floor routes|netns|call|star|line N\n");
    return 2;
}
