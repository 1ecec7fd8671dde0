// SPDX-License-Identifier: MIT
/* Preloaded into a stock Lua (and into the firewall worker): makes chosen calls of the core fail.
 *
 * Theory of operation: what the core calls in libc is called through this library, which counts the
 * calls whose return address lies in the core, while it is armed. The n-th call of one kind fails
 * with an errno, without having been made; so does the n-th allocation, by malloc or by Lua. Each
 * trial runs in a child process (`child`): what breaks it, or hangs it, is told to the parent, and
 * nothing of it is left for the next one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

const char *const shim_kind_names[] = {KINDS(NAME)};
struct shim_plan plan = {.kind = K_COUNT};

/* The core's segments; of a program without the core (the worker), its own. */
static int find_core(struct dl_phdr_info *info, size_t size, void *suffix)
{
    size_t len = strlen(info->dlpi_name), want = strlen(suffix);

    (void)size;
    if (len < want || strcmp(info->dlpi_name + len - want, suffix) != 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        plan.from = start;
        plan.to = start + ph->p_memsz;
    }
    return 1;
}

void shim_find(const char *suffix)
{
    dl_iterate_phdr(find_core, (void *)suffix);
}

/* Is this call the one? Then errno is set. */
static bool fails(enum kind kind, const void *caller)
{
    if (!plan.armed || (uintptr_t)caller < plan.from || (uintptr_t)caller >= plan.to)
        return false;
    if (++plan.counts[kind] != plan.nth || kind != plan.kind)
        return false;
    plan.fired = true;
    if (*plan.mark)
        close(creat(plan.mark, 0600));
    errno = plan.code;
    return true;
}

#define FAILS(kind) fails(K_##kind, __builtin_return_address(0))
#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (!real)                                                                                     \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#pragma GCC visibility push(default)

#define WRAP(type, bad, name, params, args)                                                        \
    type name params                                                                               \
    {                                                                                              \
        REAL(name);                                                                                \
        return FAILS(name) ? bad : real args;                                                      \
    }

WRAP(int, -1, setns, (int fd, int type), (fd, type))
WRAP(int, -1, unshare, (int flags), (flags))
WRAP(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, -1, socketpair, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends))
WRAP(int, -1, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
WRAP(ssize_t, -1, sendto,
     (int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len),
     (fd, buf, len, flags, to, to_len))
WRAP(ssize_t, -1, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
WRAP(ssize_t, -1, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
WRAP(ssize_t, -1, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))
WRAP(int, -1, mount,
     (const char *source, const char *target, const char *type, unsigned long flags,
      const void *data),
     (source, target, type, flags, data))
WRAP(int, -1, umount2, (const char *target, int flags), (target, flags))
WRAP(DIR *, NULL, opendir, (const char *path), (path))
WRAP(int, -1, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
     (type, id, info, options))
WRAP(int, -1, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, -1, epoll_create1, (int flags), (flags))
WRAP(int, -1, epoll_ctl, (int fd, int op, int which, struct epoll_event *event),
     (fd, op, which, event))
WRAP(int, -1, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, -1, execve, (const char *path, char *const *argv, char *const *envp), (path, argv, envp))
WRAP(int, -1, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
WRAP(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),
     (fd, level, name, value, len))
WRAP(int, -1, ftruncate, (int fd, off_t size), (fd, size))
WRAP(pid_t, -1, setsid, (void), ())
WRAP(int, -1, dup2, (int from, int to), (from, to))
WRAP(ssize_t, -1, write, (int fd, const void *buf, size_t len), (fd, buf, len))
WRAP(ssize_t, -1, read, (int fd, void *buf, size_t len), (fd, buf, len))

/* Those with optional arguments. */
static long optional(va_list ap)
{
    return va_arg(ap, long);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    REAL(open);
    va_start(ap, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? (mode_t)optional(ap) : 0;
    va_end(ap);
    return FAILS(open) ? -1 : real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    REAL(openat);
    va_start(ap, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? (mode_t)optional(ap) : 0;
    va_end(ap);
    return FAILS(openat) ? -1 : real(dir, path, flags, mode);
}

/* Only duplicating makes something. */
int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    long arg;

    REAL(fcntl);
    va_start(ap, cmd);
    arg = optional(ap);
    va_end(ap);
    return cmd == F_DUPFD_CLOEXEC && FAILS(fcntl) ? -1 : real(fd, cmd, arg);
}

int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    void *rest[3];
    va_list ap;

    REAL(clone);
    va_start(ap, arg);
    for (int i = 0; i < 3; i++)
        rest[i] = va_arg(ap, void *);
    va_end(ap);
    return FAILS(clone) ? -1 : real(fn, stack, flags, arg, rest[0], rest[1], rest[2]);
}

long syscall(long number, ...)
{
    long a[6];
    va_list ap;

    REAL(syscall);
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_pidfd_open && FAILS(pidfd_open))
        return -1;
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* C's allocator: glibc's own, under the names that it has for replacements like this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
    return FAILS(malloc) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return FAILS(malloc) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return FAILS(malloc) ? NULL : __libc_realloc(p, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = FAILS(malloc) ? NULL : __libc_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("NETNS_FAULT");
    int kind;

    if (text && sscanf(text, "%d %ld %d %63s", &kind, &plan.nth, &plan.code, plan.mark) == 4) {
        plan.kind = (enum kind)kind;
        shim_find("");
        plan.armed = true;
    }
    unsetenv("LD_PRELOAD"); /* other programs run as they are */
    unsetenv("NETNS_FAULT");
}
