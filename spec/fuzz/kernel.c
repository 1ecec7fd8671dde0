// SPDX-License-Identifier: MIT
/* The fake kernel: what a netlink session sends is noted, what it receives is the fuzz input. */
#include <errno.h>
#include <linux/netlink.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "fuzz.h"

#define ANSWERS_MAX 64   /* datagrams an input may have: no conversation goes on for ever */
#define BEHIND_MAX  4096 /* bytes of the buffer that are watched */

static struct input words;
static uint32_t seq; /* of the latest request's last message */
static int answers, tail;

void kernel_says(struct input in)
{
    words = in;
    answers = tail = 0;
}

/* Any socket on which options can be set. */
int __wrap_nsfd_socket(int fd, int domain, int type, int protocol, struct nserr *e);

int __wrap_nsfd_socket(int fd, int domain, int type, int protocol, struct nserr *e)
{
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)fd, (void)domain, (void)type, (void)protocol;
    return sock >= 0 ? sock : nserr_sys(e, errno, "socket", NULL);
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len);

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len)
{
    const struct nlmsghdr *h = buf;

    (void)fd, (void)flags, (void)to, (void)to_len;
    for (size_t at = 0; at + NLMSG_HDRLEN <= len; at += NLMSG_ALIGN(h->nlmsg_len)) {
        h = (const struct nlmsghdr *)((const char *)buf + at);
        if (h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > len - at)
            abort(); /* we send nonsense */
        seq = h->nlmsg_seq;
    }
    return (ssize_t)len;
}

/* Make the sequence numbers those of the request. */
static void renumber(char *data, size_t len)
{
    struct nlmsghdr h;

    for (size_t at = 0; at + NLMSG_HDRLEN <= len; at += NLMSG_ALIGN(h.nlmsg_len)) {
        memcpy(&h, data + at, sizeof(h));
        h.nlmsg_seq += seq;
        memcpy(data + at, &h, sizeof(h));
        if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
            break;
    }
}

/* What the kernel says when the input is used up. */
static ssize_t say_end(char *out, int type)
{
    struct {
        struct nlmsghdr h;
        struct nlmsgerr body;
    } ack = {.h = {.nlmsg_len = sizeof(ack), .nlmsg_type = (uint16_t)type, .nlmsg_seq = seq}};

    memcpy(out, &ack, sizeof(ack));
    return sizeof(ack);
}

/* The next datagram of the input into buf; -1 with errno where it is used up. */
static ssize_t next_datagram(char *buf, size_t room, int *truncated)
{
    size_t len, watched = room < BEHIND_MAX ? room : BEHIND_MAX;

    ASAN_UNPOISON_MEMORY_REGION(buf, watched);
    if (words.end - words.at < 3 || answers++ >= ANSWERS_MAX) {
        errno = EAGAIN;
        return -1;
    }
    len = (size_t)input_byte(&words) << 8;
    len |= input_byte(&words);
    if (len > (size_t)(words.end - words.at))
        len = (size_t)(words.end - words.at);
    if (len > room) {
        len = room;
        *truncated = MSG_TRUNC;
    }
    memcpy(buf, words.at, len);
    words.at += len;
    /* what stands behind the datagram is nobody's to read */
    if (len < watched)
        ASAN_POISON_MEMORY_REGION(buf + len, watched - len);
    renumber(buf, len);
    return (ssize_t)len;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t got;

    (void)fd;
    msg->msg_flags = 0;
    if (flags & MSG_DONTWAIT) {
        errno = EAGAIN;
        return -1;
    }
    got = next_datagram(msg->msg_iov->iov_base, msg->msg_iov->iov_len, &msg->msg_flags);
    if (got >= 0 || answers >= ANSWERS_MAX)
        return got;
    if (tail < 2)
        return say_end(msg->msg_iov->iov_base, tail++ ? NLMSG_ERROR : NLMSG_DONE);
    tail = 0; /* the next request is answered in the same way */
    return got;
}

/* Of monitors. */
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    int truncated;

    (void)fd, (void)flags;
    return next_datagram(buf, len, &truncated);
}

/* Groups are joined, options taken. */
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)fd, (void)addr, (void)len;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    (void)fd, (void)level, (void)option, (void)value, (void)len;
    return 0;
}
