/* SPDX-License-Identifier: MIT
 * Creating, opening, entering and leaving network namespaces. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "nsfd.h"

#define SELF_NET "/proc/thread-self/ns/net"

int nsfd_current(struct nserr *e)
{
    int fd = open(SELF_NET, O_RDONLY | O_CLOEXEC);

    return fd >= 0 ? fd : nserr_sys(e, errno, "netns current", SELF_NET);
}

int nsfd_enter(struct nsfd_scope *scope, int fd, struct nserr *e)
{
    int home = nsfd_current(e);

    if (home < 0)
        return home;
    if (setns(fd, CLONE_NEWNET) != 0) {
        int code = errno;
        close_fd(&home);
        return nserr_sys(e, code, "netns enter", NULL);
    }
    scope->home = home;
    return 0;
}

void nsfd_leave(struct nsfd_scope *scope)
{
    int saved = errno;

    if (scope->home < 0)
        return;
    if (setns(scope->home, CLONE_NEWNET) != 0) {
        /* Law 1: a program in the wrong namespace is worse than none. */
        fprintf(stderr, "netns: cannot return to the thread's network namespace: %s; aborting\n",
                strerror(errno));
        abort();
    }
    close_fd(&scope->home);
    errno = saved;
}

int nsfd_create(struct nserr *e)
{
    struct nsfd_scope scope = NSFD_SCOPE_INIT;
    int fd;

    scope.home = nsfd_current(e);
    if (scope.home < 0)
        return scope.home;
    if (unshare(CLONE_NEWNET) != 0) {
        int code = errno;
        close_fd(&scope.home);
        return nserr_sys(e, code, "netns new", NULL);
    }
    fd = nsfd_current(e);
    nsfd_leave(&scope);
    return fd;
}

int nsfd_verify(int fd, const char *what, struct nserr *e)
{
    int type = ioctl(fd, NS_GET_NSTYPE);

    if (type == CLONE_NEWNET)
        return 0;
    if (type < 0 && errno == EBADF)
        return nserr_sys(e, EBADF, "netns open", "%s", what);
    return nserr_arg(e, "%s is not a network namespace%s", what,
                     type < 0 ? " (not a namespace at all)" : " (a namespace of another type)");
}

static int open_verified(const char *path, int flags, struct nserr *e)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    int err;

    if (fd < 0)
        return nserr_sys(e, errno, "netns open", "%s", path);
    err = nsfd_verify(fd, path, e);
    return err ? err : take_fd(&fd);
}

int nsfd_open(const char *path, struct nserr *e)
{
    return open_verified(path, 0, e);
}

int nsfd_open_name(const char *name, struct nserr *e)
{
    char path[sizeof(NETNS_RUN_DIR) + 1 + NETNS_NAME_MAX];

    snprintf(path, sizeof(path), "%s/%s", NETNS_RUN_DIR, name);
    return open_verified(path, O_NOFOLLOW, e);
}

int nsfd_open_pid(pid_t pid, struct nserr *e)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/%ld/ns/net", (long)pid);
    return open_verified(path, 0, e);
}

int nsfd_dup(int fd, struct nserr *e)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    return copy >= 0 ? copy : nserr_sys(e, errno, "netns open", "fd %d", fd);
}

int nsfd_identity(int fd, uint64_t *dev, uint64_t *ino, struct nserr *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return nserr_sys(e, errno, "netns stat", NULL);
    *dev = st.st_dev;
    *ino = st.st_ino;
    return 0;
}

int nsfd_socket(int fd, int domain, int type, int protocol, struct nserr *e)
{
    struct nsfd_scope scope = NSFD_SCOPE_INIT;
    int sock, code, err = nsfd_enter(&scope, fd, e);

    if (err)
        return err;
    sock = socket(domain, type | SOCK_CLOEXEC, protocol);
    code = errno;
    nsfd_leave(&scope);
    return sock >= 0 ? sock : nserr_sys(e, code, "socket", NULL);
}

int nsfd_open_inside(int fd, const char *path, int flags, struct nserr *e)
{
    struct nsfd_scope scope = NSFD_SCOPE_INIT;
    int file, code, err = nsfd_enter(&scope, fd, e);

    if (err)
        return err;
    file = open(path, flags | O_CLOEXEC);
    code = errno;
    nsfd_leave(&scope);
    return file >= 0 ? file : nserr_sys(e, code, "open", "%s", path);
}

int nsfd_child_enter(int fd)
{
    return setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
}
