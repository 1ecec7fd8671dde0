/* SPDX-License-Identifier: MIT
 * What the two halves of the shim share: which call is to fail. */
#ifndef NETNS_SHIM_H
#define NETNS_SHIM_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define KINDS(X)                                                                                   \
    X(malloc) X(setns) X(unshare) X(socket) X(socketpair) X(bind) X(sendto) X(sendmsg) X(recvmsg)  \
    X(recv) X(mount) X(umount2) X(open) X(openat) X(opendir) X(clone) X(pidfd_open) X(waitid)      \
    X(pipe2) X(memfd_create) X(fcntl) X(epoll_create1) X(epoll_ctl) X(timerfd_create) X(mkdir)     \
    X(execve) X(fstat) X(setsockopt) X(getsockopt) X(ftruncate) X(setsid) X(dup2) X(write) X(read)
/* clang-format on */
#define ENUM(name) K_##name,
#define NAME(name) #name,
enum kind { KINDS(ENUM) K_COUNT };
extern const char *const shim_kind_names[K_COUNT];

/* In memory that vfork's children share and fork's do not need to. */
struct shim_plan {
    bool armed, fired;
    enum kind kind;
    long nth;
    int code;
    long counts[K_COUNT];
    uintptr_t from, to; /* where the core is */
    char mark[64];      /* of a worker: the file that tells that it failed */
};
extern struct shim_plan plan;

/* Look for the core, whose calls count: the library whose path ends so ("": the program itself). */
void shim_find(const char *suffix);

#endif
