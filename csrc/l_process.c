/* SPDX-License-Identifier: MIT
 * netns.Process, and ns:run and ns:spawn.
 *
 * A Process is made empty; what it comes to own (pipes, files for the child, pidfd, buffers) is
 * put into it at once, so that an error at any point leaves the rest to its __gc. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "l_process.h"

#define L_ORPHANS "netns.Orphans"

/* How long a killed process may take to die: a close, a collection, a time-out (ns). */
#define CLOSE_PATIENCE   ((int64_t)2000 * 1000000)
#define GC_PATIENCE      ((int64_t)100 * 1000000)
#define TIMEOUT_PATIENCE ((int64_t)5000 * 1000000)
/* What a finished command's children may add to its output before run returns. */
#define LINGER ((int64_t)100 * 1000000)

static const char orphans_key;

/* Handles ------------------------------------------------------------------------------------ */

static struct l_process *to_process(lua_State *L)
{
    return luaL_checkudata(L, 1, L_PROCESS);
}

struct l_process *l_process_check(lua_State *L)
{
    struct l_process *p = to_process(L);

    if (p->closed)
        luaL_argerror(L, 1, "the process is closed");
    return p;
}

struct l_process *l_process_new(lua_State *L)
{
    struct l_process *p;
    struct spawn_orphans *orphans;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &orphans_key);
    orphans = lua_touserdata(L, -1);
    lua_pop(L, 1);
    p = l_object(L, sizeof(*p), L_PROCESS, 1);
    spawn_init(&p->proc);
    p->give[0] = p->give[1] = p->give[2] = -1;
    p->orphans = orphans;
    return p;
}

void l_process_end(struct l_process *p, int64_t patience)
{
    for (int i = 0; i < 3; i++)
        close_fd(&p->give[i]);
    if (!p->closed)
        spawn_end(&p->proc, patience, p->orphans);
    p->closed = true;
}

int l_process_raise(lua_State *L, const struct l_process *p, const char *op, struct nserr *e)
{
    snprintf(e->op, sizeof(e->op), "%s", op);
    nserr_context(e, op, p->command, p->netns);
    return l_raise(L, e);
}

/* Waiting ------------------------------------------------------------------------------------ */

/* Whether it was killed by its time-out and still does not die: it is stuck in the kernel. */
static bool is_stuck(const struct spawn_proc *proc)
{
    return proc->timed_out && !proc->exited && spawn_now() >= proc->deadline + TIMEOUT_PATIENCE;
}

/* False: `until` has come. */
static bool await_exit(lua_State *L, struct l_process *p, const char *op, int64_t until)
{
    int64_t limit = p->proc.deadline ? p->proc.deadline + TIMEOUT_PATIENCE : SPAWN_FOREVER;

    if (until < limit)
        limit = until;
    while (!p->proc.exited && l_process_pump(L, p, op, limit))
        ;
    return p->proc.exited || is_stuck(&p->proc);
}

/* p:wait(seconds?): its status; nil when it is still running then. */
static int l_process_wait(lua_State *L)
{
    struct l_process *p = to_process(L);
    int64_t until = l_process_until(L, 2);

    if (p->closed && !p->proc.exited)
        return luaL_argerror(L, 1, "the process is closed");
    if (!await_exit(L, p, "wait", until)) {
        lua_pushnil(L);
        return 1;
    }
    l_process_finish(L, p, "wait", false);
    return 1;
}

/* ns:run(argv, opts?). The write ends of its pipes stay open here until it has ended: their end of
 * file would only wake us once more, and what counts is the command's end. */
static int l_ns_run(lua_State *L)
{
    struct l_process *p;
    struct spawn_proc *proc;
    int64_t until;

    lua_settop(L, 3);
    p = l_process_start(L, true);
    proc = &p->proc;
    lua_toclose(L, -1);
    await_exit(L, p, "run", SPAWN_FOREVER);
    close_fd(&p->give[1]);
    close_fd(&p->give[2]);
    until = spawn_now() + LINGER;
    while ((proc->out.fd >= 0 || proc->err.fd >= 0) && l_process_pump(L, p, "run", until))
        ;
    l_process_finish(L, p, "run", true);
    return 1;
}

/* Push the handler of the option `ready` and its value; two nils where it is not given. */
static void push_ready(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "ready");
    if (!lua_istable(L, 3) || lua_rawget(L, 3) == LUA_TNIL) {
        lua_settop(L, 4);
        lua_pushnil(L);
        return;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_getfield(L, -1, "await_ready") == LUA_TNIL)
        l_misuse(L, "spawn: unknown key \"ready\"");
    lua_replace(L, 4);
    lua_settop(L, 5);
}

/* ns:spawn(argv, opts?): a Process. With opts.ready, Process.await_ready(process, ready, ns) is
 * called before it is handed out; where that raises the process goes. Upvalue: the methods. */
static int l_ns_spawn(lua_State *L)
{
    struct l_process *p;

    lua_settop(L, 3);
    push_ready(L);
    p = l_process_start(L, false);
    if (lua_isnil(L, 4))
        return 1;
    lua_toclose(L, -1);
    lua_pushvalue(L, 4);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, 5);
    lua_pushvalue(L, 1);
    lua_call(L, 3, 0);
    p->spared = true;
    return 1;
}

/* Signals, descriptors ------------------------------------------------------------------------- */

/* A signal at idx: a number, or a name with or without SIG. Default TERM. */
static int check_signal(lua_State *L, int idx)
{
    const char *name;

    if (lua_isnoneornil(L, idx))
        return SIGTERM;
    if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Integer sig = luaL_checkinteger(L, idx);
        luaL_argcheck(L, sig >= 0 && sig < NSIG, idx, "a signal's number is 0 to 64");
        return (int)sig;
    }
    luaL_checktype(L, idx, LUA_TSTRING);
    name = lua_tostring(L, idx);
    if (!strncmp(name, "SIG", 3))
        name += 3;
    for (int sig = 1; sig < NSIG; sig++)
        if (sigabbrev_np(sig) && !strcmp(sigabbrev_np(sig), name))
            return sig;
    return luaL_argerror(L, idx, lua_pushfstring(L, "unknown signal \"%s\"", lua_tostring(L, idx)));
}

/* p:kill(signal?, { group = boolean }?): whether anybody was there to get it. */
static int l_process_kill(lua_State *L)
{
    static const char *const keys[] = {"group", NULL};
    struct l_process *p = l_process_check(L);
    int sig = check_signal(L, 2), sent;
    struct nserr e;

    l_check_keys(L, 3, "kill", keys);
    sent = spawn_signal(&p->proc, sig, l_opt_bool(L, 3, "kill", "group", 0), &e);
    if (sent < 0)
        return l_process_raise(L, p, "kill", &e);
    lua_pushboolean(L, sent);
    return 1;
}

/* p:fd(which?): for event loops, or as a stream of another process. Readable pidfd: it has ended.
 * nil for a stream without a pipe. */
static int l_process_fd(lua_State *L)
{
    static const char *const names[] = {"pidfd", "stdin", "stdout", "stderr", NULL};
    struct l_process *p = l_process_check(L);
    int which = luaL_checkoption(L, 2, "pidfd", names);
    int fd = which == 0 ? p->proc.pidfd : spawn_lend(&p->proc, which - 1);

    if (fd >= 0)
        lua_pushinteger(L, fd);
    else
        lua_pushnil(L);
    return 1;
}

/* The class ------------------------------------------------------------------------------------ */

static int l_process_close(lua_State *L)
{
    l_process_end(to_process(L), CLOSE_PATIENCE);
    return 0;
}

/* The end of a scope: once not, where spawn only guarded it. */
static int l_process__close(lua_State *L)
{
    struct l_process *p = to_process(L);

    if (!p->spared)
        l_process_end(p, CLOSE_PATIENCE);
    p->spared = false;
    return 0;
}

static int l_process__gc(lua_State *L)
{
    l_process_end(to_process(L), GC_PATIENCE);
    return 0;
}

static int l_process__tostring(lua_State *L)
{
    struct l_process *p = to_process(L);
    struct nserr ignored;
    const char *state = "running";

    if (!p->closed)
        spawn_collect(&p->proc, &ignored);
    if (p->proc.sig)
        state = lua_pushfstring(L, "killed by %s", sigabbrev_np(p->proc.sig));
    else if (p->proc.exited)
        state = lua_pushfstring(L, "exit status %d", p->proc.code);
    else if (p->closed)
        state = "closed";
    lua_pushfstring(L, "%s (pid %d, %s)", p->command, (int)p->proc.pid, state);
    return 1;
}

/* Methods, pid, closed. Upvalue: the methods. */
static int l_process__index(lua_State *L)
{
    struct l_process *p = to_process(L);
    const char *key;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (!strcmp(key, "pid"))
        lua_pushinteger(L, p->proc.pid);
    else if (!strcmp(key, "closed"))
        lua_pushboolean(L, p->closed);
    else
        lua_pushnil(L);
    return 1;
}

static int l_process__newindex(lua_State *L)
{
    to_process(L);
    return l_misuse(L, "a Process has no field \"%s\" to assign to", luaL_tolstring(L, 2, NULL));
}

/* core.hosts(ns, fn): what /etc/hosts says for commands in the namespace is what fn(ns) returns
 * (nil: the system's own). */
static int l_hosts(lua_State *L)
{
    l_ns_check(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, L_NS_HOSTS);
    return 0;
}

static int l_orphans__gc(lua_State *L)
{
    spawn_orphans_free(luaL_checkudata(L, 1, L_ORPHANS));
    return 0;
}

/* One for the Lua state, however often the module is opened in it. */
static void open_orphans(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", l_orphans__gc}, {NULL, NULL}};

    l_class(L, L_ORPHANS, NULL, meta);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &orphans_key) == LUA_TNIL) {
        l_object(L, sizeof(struct spawn_orphans), L_ORPHANS, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &orphans_key);
    }
    lua_pop(L, 1);
}

void l_process_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"wait", l_process_wait},
                                       {"kill", l_process_kill},
                                       {"read", l_process_read},
                                       {"write", l_process_write},
                                       {"close_stdin", l_process_close_stdin},
                                       {"fd", l_process_fd},
                                       {"close", l_process_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_process__gc},
                                    {"__close", l_process__close},
                                    {"__tostring", l_process__tostring},
                                    {"__newindex", l_process__newindex},
                                    {NULL, NULL}};

    open_orphans(L);
    lua_pushcfunction(L, l_hosts);
    lua_setfield(L, -2, "hosts");
    luaL_newmetatable(L, L_RESULT);
    lua_setfield(L, -2, "Result");
    l_class(L, L_PROCESS, NULL, meta);
    luaL_newlib(L, methods);
    lua_getfield(L, -2, "Namespace");
    lua_pushcfunction(L, l_ns_run);
    lua_setfield(L, -2, "run");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, l_ns_spawn, 1);
    lua_setfield(L, -2, "spawn");
    lua_pop(L, 1); /* Namespace */
    luaL_getmetatable(L, L_PROCESS);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, l_process__index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1); /* the metatable */
    lua_setfield(L, -2, "Process");
}
