// SPDX-License-Identifier: MIT
/* The shim's Lua side: its allocator that fails, which calls are to fail, and trials in child
 * processes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define CHILD_SECONDS 30

__attribute__((visibility("default"))) int luaopen_shim(lua_State *L);

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
        if (!strcmp(shim_kind_names[i], name))
            return i;
    return luaL_argerror(L, arg, "no such call");
}

/* shim.calls(kind, nth, errno): that call fails; without arguments calls are only counted. */
static int l_calls(lua_State *L)
{
    if (!plan.to)
        shim_find("/netns/core.so");
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
        lua_setfield(L, -2, shim_kind_names[i]);
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
