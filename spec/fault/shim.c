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
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
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

#pragma GCC visibility push(default)

#define CHILD_SECONDS 30

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
static const char *const kind_names[] = {KINDS(NAME)};

/* In memory that vfork's children share and fork's do not need to. */
static struct {
    bool armed, fired;
    enum kind kind;
    long nth;
    int code;
    long counts[K_COUNT];
    uintptr_t from, to; /* where the core is */
    char mark[64];      /* of a worker: the file that tells that it failed */
} plan = {.kind = K_COUNT};

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

/* Lua's allocator ---------------------------------------------------------------------------- */

static struct {
    lua_Alloc real;
    void *data;
    long nth, count;
    bool on, all, fired;
    void *block; /* of the request that failed: Lua collects garbage, and asks again */
    size_t size;
} memory;

/* The n-th request for more fails, and so does its repetition; if `all`, what comes after, too. */
static void *allocate(void *data, void *block, size_t old, size_t size)
{
    (void)data;
    if (memory.on && size > (block ? old : 0)) {
        bool again = memory.fired && block == memory.block && size == memory.size;
        if (again || ++memory.count == memory.nth || (memory.all && memory.count > memory.nth)) {
            memory.fired = true;
            memory.block = again ? NULL : block;
            memory.size = again ? 0 : size;
            return NULL;
        }
    }
    return memory.real(memory.data, block, old, size);
}

/* shim.memory(nth, all): from here on; of this state. */
static int l_memory(lua_State *L)
{
    memory.nth = (long)luaL_checkinteger(L, 1);
    memory.all = lua_toboolean(L, 2);
    memory.count = 0;
    memory.fired = false;
    if (!memory.real) {
        memory.real = lua_getallocf(L, &memory.data);
        lua_setallocf(L, allocate, NULL);
    }
    memory.on = true;
    return 0;
}

/* Calls ---------------------------------------------------------------------------------------- */

static int check_kind(lua_State *L, int arg)
{
    const char *name = luaL_checkstring(L, arg);

    for (int i = 0; i < K_COUNT; i++)
        if (!strcmp(kind_names[i], name))
            return i;
    return luaL_argerror(L, arg, "no such call");
}

/* shim.calls(kind, nth, errno): that call fails; without arguments calls are only counted. */
static int l_calls(lua_State *L)
{
    if (!plan.to)
        dl_iterate_phdr(find_core, "/netns/core.so");
    memset(plan.counts, 0, sizeof(plan.counts));
    plan.fired = false;
    plan.kind = lua_isnoneornil(L, 1) ? K_COUNT : check_kind(L, 1);
    plan.nth = (long)luaL_optinteger(L, 2, 0);
    plan.code = (int)luaL_optinteger(L, 3, 0);
    plan.armed = true;
    return 0;
}

static char worker_mark[64];

/* shim.off(): whether what was to fail did, and how many calls of each kind (allocations) there
 * were. */
static int l_off(lua_State *L)
{
    bool fired = memory.fired || plan.fired;
    long allocations = memory.count;

    memory.on = plan.armed = false;
    unsetenv("LD_PRELOAD");
    unsetenv("NETNS_FAULT");
    if (*worker_mark && unlink(worker_mark) == 0)
        fired = true;
    lua_pushboolean(L, fired);
    lua_createtable(L, 0, K_COUNT);
    for (int i = 0; i < K_COUNT; i++) {
        lua_pushinteger(L, plan.counts[i]);
        lua_setfield(L, -2, kind_names[i]);
    }
    lua_pushinteger(L, allocations);
    return 3;
}

/* shim.worker(kind, nth, errno): the next firewall worker has its call fail. */
static int l_worker(lua_State *L)
{
    char text[120];
    Dl_info info;

    snprintf(worker_mark, sizeof(worker_mark), "/tmp/netns-fault.%d", (int)getpid());
    snprintf(text, sizeof(text), "%d %ld %d %s", check_kind(L, 1), (long)luaL_checkinteger(L, 2),
             (int)luaL_checkinteger(L, 3), worker_mark);
    dladdr((void *)l_worker, &info);
    setenv("NETNS_FAULT", text, 1);
    setenv("LD_PRELOAD", info.dli_fname, 1);
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("NETNS_FAULT");
    int kind;

    if (text && sscanf(text, "%d %ld %d %63s", &kind, &plan.nth, &plan.code, plan.mark) == 4) {
        plan.kind = (enum kind)kind;
        dl_iterate_phdr(find_core, "");
        plan.armed = true;
    }
    unsetenv("LD_PRELOAD"); /* other programs run as they are */
    unsetenv("NETNS_FAULT");
}

/* Trials ------------------------------------------------------------------------------------- */

static void run_child(lua_State *L, const int *out, const int *err, unsigned seconds)
{
    size_t len;
    const char *text;

    dup2(err[1], STDERR_FILENO);
    alarm(seconds);
    if (lua_pcall(L, 0, 1, 0) != LUA_OK)
        lua_pushfstring(L, "the trial itself failed: %s", luaL_tolstring(L, -1, NULL));
    memory.on = plan.armed = false;
    text = luaL_tolstring(L, -1, &len);
    if (write(out[1], text, len) != (ssize_t)len)
        _exit(1);
    _exit(0);
}

static void read_all(lua_State *L, int fd)
{
    char buf[4096];
    luaL_Buffer b;
    ssize_t got;

    luaL_buffinit(L, &b);
    lseek(fd, 0, SEEK_SET);
    while ((got = read(fd, buf, sizeof(buf))) > 0)
        luaL_addlstring(&b, buf, (size_t)got);
    luaL_pushresult(&b);
    close(fd);
}

/* shim.child(fn, seconds): runs fn in a child, for 30 s at most or as many as are given; what it
 * returned as text, what it printed to stderr, and the signal that ended it (0: none). */
static int l_child(lua_State *L)
{
    /* files, which a stray process cannot keep from ending as it could a pipe */
    unsigned seconds = (unsigned)luaL_optinteger(L, 2, CHILD_SECONDS);
    int out[2], err[2], status;
    pid_t pid;

    out[1] = out[0] = memfd_create("result", MFD_CLOEXEC);
    err[1] = err[0] = memfd_create("stderr", MFD_CLOEXEC);
    lua_settop(L, 1);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        run_child(L, out, err, seconds);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return luaL_error(L, "no child: %s", strerror(errno));
    read_all(L, out[0]);
    read_all(L, err[0]);
    lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return 3;
}

/* shim.state(nth, all, code): a state of its own whose n-th allocation fails runs code. The error,
 * or nil; and whether it failed. */
static int l_state(lua_State *L)
{
    const char *code = luaL_checkstring(L, 3);
    lua_State *other;
    bool fired;
    int status;

    memset(&memory, 0, sizeof(memory));
    other = luaL_newstate();
    luaL_openlibs(other);
    memory.real = lua_getallocf(other, &memory.data);
    memory.nth = (long)luaL_checkinteger(L, 1);
    memory.all = lua_toboolean(L, 2);
    lua_setallocf(other, allocate, NULL);
    memory.on = true;
    status = luaL_loadstring(other, code);
    if (status == LUA_OK)
        status = lua_pcall(other, 0, 0, 0);
    memory.on = false;
    fired = memory.fired;
    if (status == LUA_OK)
        lua_pushnil(L);
    else
        lua_pushstring(L, luaL_tolstring(other, -1, NULL));
    lua_close(other);
    lua_pushboolean(L, fired);
    return 2;
}

int luaopen_shim(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"memory", l_memory}, {"calls", l_calls}, {"off", l_off}, {"worker", l_worker},
        {"child", l_child},   {"state", l_state}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
