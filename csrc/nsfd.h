/* SPDX-License-Identifier: MIT
 * Network namespaces as file descriptors: nsfd*.c are the only files that call setns, unshare
 * or mount. No Lua here.
 *
 * Theory of operation: a namespace is held by an fd on its nsfs inode and lives as long as any
 * fd, mount or process does. A thread enters one with nsfd_enter, which first opens the
 * namespace it is in, and is brought back by nsfd_leave. Nothing is cached between the two,
 * so that a host program that switches namespaces by itself is never sent astray. */
#ifndef NETNS_NSFD_H
#define NETNS_NSFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define NETNS_RUN_DIR  "/run/netns"
#define NETNS_NAME_MAX 255

/* Where to go back to; `home` is -1 while nothing is entered. */
struct nsfd_scope {
    int home;
};
#define NSFD_SCOPE_INIT                                                                            \
    {                                                                                              \
        -1                                                                                         \
    }

/* The calling thread's namespace, as a new fd. */
int nsfd_current(struct nserr *e);
/* A new namespace with its loopback down, as a new fd; the thread stays where it is. */
int nsfd_create(struct nserr *e);
/* By path ("/proc/7/ns/net"), refused unless it is a network namespace (EINVAL). */
int nsfd_open(const char *path, struct nserr *e);
int nsfd_open_pid(pid_t pid, struct nserr *e);
/* 0 if fd is a network namespace; else -EINVAL (misuse, named `what`) or -EBADF. */
int nsfd_verify(int fd, const char *what, struct nserr *e);
/* A duplicate, close-on-exec. */
int nsfd_dup(int fd, struct nserr *e);
/* nsfs identity: (dev, ino) are equal exactly where the namespace is the same. */
int nsfd_identity(int fd, uint64_t *dev, uint64_t *ino, struct nserr *e);

/* Move the calling thread into `fd`. On failure the thread has not moved. */
int nsfd_enter(struct nsfd_scope *scope, int fd, struct nserr *e);
/* Back again; aborts the process with a message where that is impossible. Twice is fine. */
void nsfd_leave(struct nsfd_scope *scope);
/* socket(2) inside namespace `fd`, close-on-exec; the thread is back when it returns. */
int nsfd_socket(int fd, int domain, int type, int protocol, struct nserr *e);
/* open(2) inside namespace `fd` (for /proc/thread-self/net and /proc/sys/net). */
int nsfd_open_inside(int fd, const char *path, int flags, struct nserr *e);

/* For a child between fork and exec, or a process of its own: enters for good. Async-signal-safe.
 * Returns 0 or -errno. */
int nsfd_child_enter(int fd);
/* What a child sees besides its namespace. */
struct nsfd_view {
    const char *name;  /* of the namespace: the files of /etc/netns/NAME are bound over those of
                          /etc; NULL or "" for none */
    const char *hosts; /* what /etc/hosts says, unless /etc/netns/NAME has one; NULL: as it is */
    size_t hosts_len;
};

/* What `ip netns exec NAME` adds: a private mount namespace with the network namespace's own
 * /sys and the files of /etc/netns/NAME; and our own /etc/hosts. Call after nsfd_child_enter.
 * Async-signal-safe. Returns 0 or -errno; *step names the step. */
int nsfd_child_mounts(const struct nsfd_view *view, const char **step);

/* Make the process root in user, network and mount namespaces of its own, with a private
 * /run/netns. Refused, with the reason and what helps in e->kernel, before anything has changed.
 * Twice is fine. */
int nsfd_rootless(struct nserr *e);

/* Names below NETNS_RUN_DIR, made and removed as `ip netns` does it. */
int nsfd_check_name(const char *name, size_t len, struct nserr *e);
/* Bind fd to the name; fails with EEXIST where it is taken. A name that is owned goes with this
 * process at the latest: nsfd_sweep_name. */
int nsfd_pin(int fd, const char *name, bool owned, struct nserr *e);
/* The file that a name is to be mounted on (nsfd_owner.c); 0 or -errno. */
int nsfd_make_name(const char *path, bool owned);
/* Remove the name if it is owned by a process that is dead: 1; 0 where it is not; -errno. */
int nsfd_sweep_name(const char *name, struct nserr *e);
/* Unmount and remove the name. */
int nsfd_unpin(const char *name, struct nserr *e);
/* Unmount and remove only if the name still stands for this namespace (dev, ino): 0 also when
 * it does not, or no longer exists. */
int nsfd_unpin_if(const char *name, uint64_t dev, uint64_t ino, struct nserr *e);
/* Open by name, refusing symlinks. */
int nsfd_open_name(const char *name, struct nserr *e);

#endif
