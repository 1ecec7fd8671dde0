/* SPDX-License-Identifier: MIT
 * Events and dumps of nf_tables for the host, as raw messages into a file. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "base.h"
#include "nft_worker_netlink.h"

#define DATAGRAM    (64 * 1024)
#define BUFFER_SIZE (64 << 20)
#define DUMP_TRIES  12

static _Alignas(struct nlmsghdr) char buffer[DATAGRAM];

int nfnl_open(bool listen, int lowest)
{
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    int size = BUFFER_SIZE, group = NFNLGRP_NFTABLES, high;
    cleanup_fd int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (sock < 0)
        return -errno;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(sock, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        (listen &&
         setsockopt(sock, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0))
        return -errno;
    high = fcntl(sock, F_DUPFD_CLOEXEC, lowest);
    return high >= 0 ? high : -errno;
}

static int append(int out, const void *data, size_t len)
{
    ssize_t n = write(out, data, len);

    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

static bool is_wanted(const struct nlmsghdr *h, uint32_t portid, bool rules)
{
    int type = h->nlmsg_type & 0xff;

    return h->nlmsg_pid == portid && h->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES &&
           (type == NFT_MSG_NEWTABLE || (rules && type == NFT_MSG_NEWRULE));
}

int nfnl_collect(int sock, uint32_t portid, bool rules, int out)
{
    for (;;) {
        ssize_t got = recv(sock, buffer, sizeof(buffer), MSG_DONTWAIT);
        unsigned left = got > 0 ? (unsigned)got : 0;
        int err = 0;

        if (got < 0)
            return errno == EAGAIN ? 0 : -errno;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left))
            if (is_wanted(h, portid, rules) &&
                (err = append(out, h, NLMSG_ALIGN(h->nlmsg_len))) != 0)
                return err;
    }
}

static int request_dump(int sock, int type)
{
    struct {
        struct nlmsghdr h;
        struct nfgenmsg gen;
    } request = {
        .h = {.nlmsg_len = sizeof(request),
              .nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .gen = {.version = NFNETLINK_V0},
    };

    return send(sock, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* The messages of one datagram: 1 at the end of the dump. */
static int take(ssize_t got, int out, bool *interrupted)
{
    unsigned left = (unsigned)got;

    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
        int err;

        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
            *interrupted = true;
        if (h->nlmsg_type == NLMSG_DONE)
            return 1;
        if (h->nlmsg_type == NLMSG_ERROR)
            return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
        err = append(out, h, NLMSG_ALIGN(h->nlmsg_len));
        if (err)
            return err;
    }
    return 0;
}

/* One kind of object, whole: asked again where it changed in between. */
static int dump_one(int sock, int type, int out)
{
    off_t start = lseek(out, 0, SEEK_CUR);

    for (int tries = 0; tries < DUMP_TRIES; tries++) {
        bool interrupted = false;
        int err = request_dump(sock, type);

        while (!err) {
            ssize_t got = recv(sock, buffer, sizeof(buffer), 0);
            err = got < 0 ? -errno : take(got, out, &interrupted);
        }
        if (err < 0)
            return err;
        if (!interrupted)
            return 0;
        if (ftruncate(out, start) != 0 || lseek(out, start, SEEK_SET) < 0)
            return -errno;
    }
    return -EINTR;
}

int nfnl_dump(int sock, int out)
{
    static const int types[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET,
                                NFT_MSG_GETFLOWTABLE};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        int err = dump_one(sock, types[i], out);
        if (err && err != -EOPNOTSUPP)
            return err;
    }
    return 0;
}
