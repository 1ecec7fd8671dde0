// SPDX-License-Identifier: MIT
/* Preloaded by spec/fuzz/record: keeps what netlink sockets receive, as the fuzz targets take it,
 * in the file NETNS_RECORD. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void keep(int fd, const char *data, size_t len)
{
    struct sockaddr_storage self;
    socklen_t self_len = sizeof(self);
    const char *path = getenv("NETNS_RECORD");
    unsigned char head[2] = {(unsigned char)(len >> 8), (unsigned char)len};
    char *copy;
    int file;

    if (!path || len > UINT16_MAX || getsockname(fd, (struct sockaddr *)&self, &self_len) != 0 ||
        self.ss_family != AF_NETLINK)
        return;
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    copy = malloc(len);
    if (file >= 0 && copy) {
        struct nlmsghdr *h;
        memcpy(copy, data, len);
        for (size_t at = 0; at + NLMSG_HDRLEN <= len; at += NLMSG_ALIGN(h->nlmsg_len)) {
            h = (struct nlmsghdr *)(copy + at);
            h->nlmsg_seq = 0;
            h->nlmsg_pid = 0;
            if (h->nlmsg_len < NLMSG_HDRLEN)
                break;
        }
        if (write(file, head, 2) == 2 && write(file, copy, len) < 0)
            abort();
    }
    free(copy);
    if (file >= 0)
        close(file);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t (*next)(int, struct msghdr *, int) =
        (ssize_t(*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
    ssize_t got = next(fd, msg, flags);

    if (got > 0)
        keep(fd, msg->msg_iov->iov_base, (size_t)got);
    return got;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
    ssize_t got = next(fd, buf, len, flags);

    if (got > 0)
        keep(fd, buf, (size_t)got);
    return got;
}
