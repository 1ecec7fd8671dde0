/* SPDX-License-Identifier: MIT
 * Netlink conversations: request and ack, get, dump, batch. */
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "nsfd.h"
#include "rtnl.h"

#define RX_DATAGRAM   (64 * 1024) /* the largest datagram a dump sends is 32 kB */
#define DEADLINE_S    30          /* for an answer that should be there already */
#define WANTED_BUFFER (8 * 1024 * 1024)
#define CHUNK_MAX     3500         /* messages a sendmsg: beyond, nothing is gained */
#define CHUNK_BYTES   (200 * 1024) /* the kernel copies it into one linear buffer */
#define ERRNO_MAX     4095         /* the kernel's MAX_ERRNO */
#define ACK_TRUESIZE  1280         /* receive buffer an ack with extended text may take */

/* Opening ----------------------------------------------------------------------------------- */

/* The FORCE variants need CAP_NET_ADMIN in the first user namespace; without, the plain ones
 * give what net.core.*mem_max allows. */
static void raise_buffer(int fd, int force, int plain)
{
    int size = WANTED_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

static int set_options(struct rtnl *s)
{
    struct timeval deadline = {.tv_sec = DEADLINE_S};
    socklen_t len = sizeof(int);
    int on = 1, rcvbuf = 0;

    raise_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF);
    raise_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF);
    /* Extended acks, and acks without the request: kernel 4.12. Strict filters: 4.20. */
    setsockopt(s->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    setsockopt(s->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) != 0 ||
        getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, &len) != 0)
        return -errno;
    s->chunk = (unsigned)rcvbuf / ACK_TRUESIZE;
    if (s->chunk > CHUNK_MAX)
        s->chunk = CHUNK_MAX;
    if (s->chunk < 16)
        s->chunk = 16;
    return 0;
}

struct rtnl *rtnl_open(int nsfd, int protocol, struct nserr *e)
{
    struct rtnl *s = calloc(1, sizeof(*s));
    int err;

    if (!s) {
        nserr_sys(e, ENOMEM, "netlink socket", NULL);
        return NULL;
    }
    s->fd = nsfd_socket(nsfd, AF_NETLINK, SOCK_RAW, protocol, e);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    err = set_options(s);
    if (err) {
        nserr_sys(e, -err, "netlink socket", NULL);
        rtnl_close(s);
        return NULL;
    }
    return s;
}

void rtnl_close(struct rtnl *s)
{
    if (!s)
        return;
    close_fd(&s->fd);
    bytes_free(&s->rx);
    free(s);
}

/* Sending and receiving --------------------------------------------------------------------- */

static int fail(struct rtnl_fault *f, int code)
{
    *f = (struct rtnl_fault){.code = code};
    return -code;
}

static int send_bytes(struct rtnl *s, const void *buf, size_t len, struct rtnl_fault *f)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;

    do
        sent = sendto(s->fd, buf, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return fail(f, errno);
    s->stale = true; /* until the last answer is read */
    return 0;
}

/* Does a datagram consist of whole messages? (What stands behind it is not to be read.) */
static bool is_whole(const char *data, size_t len)
{
    int left = (int)len;
    struct nlmsghdr *h = (struct nlmsghdr *)data;

    while (nlmsg_ok(h, left))
        h = nlmsg_next(h, &left);
    return left <= 0;
}

/* One datagram behind b->len; its length, or -errno. Datagrams not from the kernel are empty, those
 * that end within a message -EPROTO. */
static ssize_t receive(struct rtnl *s, struct bytes *b, int flags)
{
    struct sockaddr_nl from = {0};
    struct iovec iov;
    struct msghdr msg = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t got;

    if (bytes_reserve(b, RX_DATAGRAM) != 0)
        return -ENOMEM;
    iov = (struct iovec){b->data + b->len, b->cap - b->len};
    do
        got = recvmsg(s->fd, &msg, flags);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (msg.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (from.nl_pid != 0)
        return 0;
    return is_whole(iov.iov_base, (size_t)got) ? got : -EPROTO;
}

/* Throw away what an earlier, broken-off conversation left. */
static void drain(struct rtnl *s)
{
    ssize_t got;

    if (!s->stale)
        return;
    s->rx.len = 0;
    do
        got = receive(s, &s->rx, MSG_DONTWAIT);
    while (got >= 0 || got == -ENOBUFS || got == -EPROTO);
    s->stale = false;
}

/* What an NLMSG_ERROR or NLMSG_DONE says; 0 for an ack. `payload` is the fixed part's size. */
static int read_fault(const struct nlmsghdr *h, size_t payload, struct rtnl_fault *f)
{
    struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = {0};
    size_t fixed = payload;
    int code = 0;

    if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(int))
        memcpy(&code, NLMSG_DATA(h), sizeof(code));
    if (code >= 0)
        return 0;
    if (code < -ERRNO_MAX)
        return fail(f, EPROTO);
    *f = (struct rtnl_fault){.code = -code};
    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
        return code;
    if (h->nlmsg_type == NLMSG_ERROR && !(h->nlmsg_flags & NLM_F_CAPPED)) {
        const struct nlmsgerr *err = NLMSG_DATA(h);
        if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(*err) && err->msg.nlmsg_len >= NLMSG_HDRLEN)
            fixed += err->msg.nlmsg_len - NLMSG_HDRLEN;
    }
    if (fixed > h->nlmsg_len - NLMSG_HDRLEN ||
        nlmsg_parse((struct nlmsghdr *)h, (int)fixed, tb, NLMSGERR_ATTR_MAX, NULL) != 0)
        return code;
    if (tb[NLMSGERR_ATTR_MSG])
        snprintf(f->text, sizeof(f->text), "%.*s", nla_len(tb[NLMSGERR_ATTR_MSG]),
                 (const char *)nla_data(tb[NLMSGERR_ATTR_MSG]));
    if (tb[NLMSGERR_ATTR_OFFS] && nla_len(tb[NLMSGERR_ATTR_OFFS]) >= 4)
        f->offset = nla_get_u32(tb[NLMSGERR_ATTR_OFFS]);
    if (tb[NLMSGERR_ATTR_MISS_TYPE] && nla_len(tb[NLMSGERR_ATTR_MISS_TYPE]) >= 4)
        f->missing = nla_get_u32(tb[NLMSGERR_ATTR_MISS_TYPE]) + 1;
    return code;
}

static int error_fault(const struct nlmsghdr *h, struct rtnl_fault *f)
{
    return read_fault(h, sizeof(struct nlmsgerr), f);
}

static int begin(struct rtnl *s, struct nlmsghdr *req, int flags, struct rtnl_fault *f)
{
    drain(s);
    req->nlmsg_flags |= flags | NLM_F_REQUEST;
    req->nlmsg_seq = ++s->seq;
    return send_bytes(s, req, req->nlmsg_len, f);
}

/* Request and answer ------------------------------------------------------------------------ */

#define for_each_message(h, buf, left)                                                             \
    for (struct nlmsghdr *h = (struct nlmsghdr *)(buf); nlmsg_ok(h, left); h = nlmsg_next(h, &left))

/* Append a message, padded so that the next one is aligned. */
static int keep_message(struct bytes *reply, const struct nlmsghdr *h)
{
    static const char padding[NLMSG_ALIGNTO];
    int err = bytes_append(reply, h, h->nlmsg_len);

    return err ? err
               : bytes_append(reply, padding, NLMSG_ALIGN(h->nlmsg_len) - (size_t)h->nlmsg_len);
}

/* Read until the request is answered: by an error or ack, or if `one` by its one answer. */
static int answer(struct rtnl *s, bool one, struct bytes *reply, struct rtnl_fault *f)
{
    for (;;) {
        ssize_t got;
        int left, err;

        s->rx.len = 0;
        got = receive(s, &s->rx, 0);
        if (got < 0)
            return fail(f, (int)-got);
        left = (int)got;
        for_each_message(h, s->rx.data, left)
        {
            if (h->nlmsg_seq != s->seq)
                continue;
            if (h->nlmsg_type == NLMSG_ERROR) {
                s->stale = false;
                return error_fault(h, f);
            }
            err = reply ? keep_message(reply, h) : 0;
            if (err)
                return fail(f, -err);
            if (one) {
                s->stale = false;
                return 0;
            }
        }
    }
}

int rtnl_ack(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f)
{
    int err = begin(s, req, NLM_F_ACK, f);

    return err ? err : answer(s, false, reply, f);
}

int rtnl_get(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f)
{
    int err = begin(s, req, 0, f);

    reply->len = 0;
    if (!err)
        err = answer(s, true, reply, f);
    if (!err && reply->len == 0)
        return fail(f, EPROTO); /* an ack is no answer */
    return err;
}

/* Dumps ------------------------------------------------------------------------------------- */

int rtnl_dump_start(struct rtnl *s, struct nlmsghdr *req, struct rtnl_fault *f)
{
    return begin(s, req, NLM_F_DUMP, f);
}

/* Look through a datagram's messages. 1: more to come, 0: done, -errno. *len is cut where the
 * dump's own messages end. */
static int scan_dump(struct rtnl *s, char *data, size_t *len, bool *interrupted,
                     struct rtnl_fault *f)
{
    int left = (int)*len;

    for_each_message(h, data, left)
    {
        if (h->nlmsg_seq != s->seq) {
            h->nlmsg_type = NLMSG_NOOP; /* a leftover: passed over by the reader */
            continue;
        }
        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
            *interrupted = true;
        if (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR)
            continue;
        *len = (size_t)((char *)h - data);
        s->stale = false;
        return h->nlmsg_type == NLMSG_DONE ? read_fault(h, sizeof(int), f) : error_fault(h, f);
    }
    return 1;
}

int rtnl_dump_next(struct rtnl *s, bool *interrupted, struct rtnl_fault *f)
{
    ssize_t got;
    size_t len;
    int more;

    if (!s->stale)
        return 0; /* the end was reached before */
    s->rx.len = 0;
    got = receive(s, &s->rx, 0);
    if (got < 0)
        return fail(f, (int)-got);
    len = (size_t)got;
    more = scan_dump(s, s->rx.data, &len, interrupted, f);
    s->rx.len = len;
    return more < 0 ? more : more || len > 0;
}

static int dump_once(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, bool *interrupted,
                     struct rtnl_fault *f)
{
    int more = 1, err = rtnl_dump_start(s, req, f);

    reply->len = 0;
    if (err)
        return err;
    while (more > 0) {
        ssize_t got = receive(s, reply, 0);
        size_t len = (size_t)got;

        if (got < 0)
            return fail(f, (int)-got);
        more = scan_dump(s, reply->data + reply->len, &len, interrupted, f);
        reply->len += NLMSG_ALIGN(len);
    }
    return more;
}

int rtnl_dump(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f)
{
    for (int i = 0; i < RTNL_DUMP_TRIES; i++) {
        bool interrupted = false;
        int err = dump_once(s, req, reply, &interrupted, f);

        if (err && err != -EINTR)
            return err;
        if (!err && !interrupted)
            return 0;
    }
    fail(f, EINTR);
    snprintf(f->text, sizeof(f->text), "the listing changed while it was read, %d times in a row",
             RTNL_DUMP_TRIES);
    return -EINTR;
}

/* Batches ----------------------------------------------------------------------------------- */

struct chunk {
    char *start;
    size_t len, count;
    uint32_t first_seq;
};

/* Cut the next chunk off, number its messages and ask for an ack on the last. */
static struct chunk next_chunk(struct rtnl *s, char *buf, size_t len)
{
    struct chunk c = {.start = buf, .first_seq = s->seq + 1};
    struct nlmsghdr *last = NULL;

    while (c.len < len && c.count < s->chunk) {
        struct nlmsghdr *h = (struct nlmsghdr *)(buf + c.len);

        if (c.count && c.len + h->nlmsg_len > CHUNK_BYTES)
            break;
        h->nlmsg_flags = (h->nlmsg_flags | NLM_F_REQUEST) & ~NLM_F_ACK;
        h->nlmsg_seq = ++s->seq;
        c.len += NLMSG_ALIGN(h->nlmsg_len);
        c.count++;
        last = h;
    }
    if (last)
        last->nlmsg_flags |= NLM_F_ACK;
    return c;
}

/* Read the chunk's faults until its last message is answered. */
static int chunk_answers(struct rtnl *s, const struct chunk *c, size_t offset,
                         rtnl_on_fault *failed, void *arg, struct rtnl_fault *f)
{
    for (;;) {
        ssize_t got;
        int left;

        s->rx.len = 0;
        got = receive(s, &s->rx, 0);
        if (got < 0)
            return fail(f, (int)-got);
        left = (int)got;
        for_each_message(h, s->rx.data, left)
        {
            struct rtnl_fault fault;
            size_t number = h->nlmsg_seq - c->first_seq;

            if (h->nlmsg_type != NLMSG_ERROR || number >= c->count)
                continue;
            if (error_fault(h, &fault) != 0)
                failed(arg, offset + number, &fault);
            if (number == c->count - 1) {
                s->stale = false;
                return 0;
            }
        }
    }
}

int rtnl_batch(struct rtnl *s, char *buf, size_t len, size_t count, rtnl_on_fault *failed,
               void *arg, size_t *done, struct rtnl_fault *f)
{
    size_t at = 0;

    *done = 0;
    drain(s);
    while (at < len && *done < count) {
        struct chunk c = next_chunk(s, buf + at, len - at);
        int err = send_bytes(s, c.start, c.len, f);

        if (!err)
            err = chunk_answers(s, &c, *done, failed, arg, f);
        if (err)
            return err;
        at += c.len;
        *done += c.count;
    }
    return 0;
}
