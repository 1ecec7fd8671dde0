/* SPDX-License-Identifier: MIT
 * Waiting for a process without shutting out the host's hooks.
 *
 * While waiting, a hook set by one of the host's signal handlers is given its chance after each
 * round of the poll loop: that is how lua's Ctrl-C comes through. Signals are blocked from the look
 * at the hook until the poll itself, so that none slips in between. */
#include <signal.h>

#include "l_process.h"

static int no_op(lua_State *L)
{
    (void)L;
    return 0;
}

lua_Hook l_process_hooks(lua_State *L)
{
    lua_Hook hook = lua_gethook(L);

    if (!hook)
        return NULL;
    luaL_checkstack(L, 1, NULL);
    lua_pushcfunction(L, no_op);
    lua_call(L, 0, 0);
    return hook;
}

int l_process_round(lua_State *L, struct spawn_proc *proc, lua_Hook hook, int64_t until,
                    struct nserr *e)
{
    sigset_t all, old;
    int got = 1;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (lua_gethook(L) == hook)
        got = spawn_pump(proc, until, &old, e);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return got == -EINTR ? 1 : got;
}

bool l_process_pump(lua_State *L, struct l_process *p, const char *op, int64_t until)
{
    struct nserr e;
    lua_Hook hook = l_process_hooks(L);
    int got = l_process_round(L, &p->proc, hook, until, &e);

    if (got < 0)
        l_process_raise(L, p, op, &e);
    return got != 0;
}

int64_t l_process_until(lua_State *L, int idx)
{
    double seconds;

    if (lua_isnoneornil(L, idx))
        return SPAWN_FOREVER;
    luaL_checktype(L, idx, LUA_TNUMBER);
    seconds = lua_tonumber(L, idx);
    luaL_argcheck(L, seconds >= 0, idx, "a time-out is a number of seconds, 0 or more");
    return spawn_after(seconds);
}
