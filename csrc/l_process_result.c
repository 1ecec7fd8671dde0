/* SPDX-License-Identifier: MIT
 * What a process left: its status, its output, and the error of check = true. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "l_process.h"

static bool is_happy(const struct spawn_proc *proc)
{
    return proc->exited && proc->code == 0 && proc->sig == 0 && !proc->timed_out;
}

static void set_signal(lua_State *L, int sig)
{
    const char *name = sigabbrev_np(sig);

    if (name)
        lua_pushstring(L, name);
    else
        lua_pushfstring(L, "%d", sig);
    lua_setfield(L, -2, "signal");
}

/* { ok, code, signal, timeout }: code is 128 + N after signal N, as a shell has it. */
static void push_status(lua_State *L, const struct spawn_proc *proc)
{
    lua_createtable(L, 0, 6);
    luaL_setmetatable(L, L_RESULT);
    lua_pushboolean(L, is_happy(proc));
    lua_setfield(L, -2, "ok");
    if (proc->exited) {
        lua_pushinteger(L, proc->sig ? 128 + proc->sig : proc->code);
        lua_setfield(L, -2, "code");
    }
    if (proc->sig)
        set_signal(L, proc->sig);
    if (proc->timed_out) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "timeout");
    }
}

static void set_output(lua_State *L, struct l_process *p, int i)
{
    size_t len;
    const char *data = spawn_unread(i == 1 ? &p->proc.out : &p->proc.err, &len);

    if (!p->captured[i])
        return;
    lua_pushlstring(L, len ? data : "", len);
    lua_setfield(L, -2, i == 1 ? "stdout" : "stderr");
}

/* The last lines of what it said on stderr, or stdout where that took both. */
static void tail_of(const struct l_process *p, char *buf, size_t size)
{
    size_t len, start;
    const struct spawn_proc *proc = &p->proc;
    const char *data = spawn_unread(p->captured[2] ? &proc->err : &proc->out, &len);

    while (len && strchr("\r\n\t ", data[len - 1]))
        len--;
    start = len < size ? 0 : len - size + 1;
    while (start > 0 && start < len && data[start - 1] != '\n')
        start++;
    if (start == len && len >= size)
        start = len - size + 1; /* one long line */
    if (len > start)
        memcpy(buf, data + start, len - start);
    buf[len - start] = '\0';
}

static void push_outcome(lua_State *L, const struct spawn_proc *proc)
{
    if (proc->timed_out)
        lua_pushstring(L, "timed out");
    else if (proc->sig)
        lua_pushfstring(L, "killed by SIG%s",
                        sigabbrev_np(proc->sig) ? sigabbrev_np(proc->sig) : "?");
    else
        lua_pushfstring(L, "exit status %d", proc->code);
}

/* The error of check = true, with the result (on top) as its field `result`. */
static int raise_result(lua_State *L, struct l_process *p, const char *op)
{
    struct nserr e;
    char tail[600];

    nserr_sys(&e, ETIMEDOUT, op, "%s", p->command);
    nserr_context(&e, op, NULL, p->netns);
    l_push_error(L, &e);
    if (!p->proc.timed_out) {
        lua_pushnil(L);
        lua_setfield(L, -2, "code");
        lua_pushnil(L);
        lua_setfield(L, -2, "errno");
    }
    push_outcome(L, &p->proc);
    lua_setfield(L, -2, "message");
    tail_of(p, tail, sizeof(tail));
    if (*tail) {
        lua_pushstring(L, tail);
        lua_setfield(L, -2, "kernel");
    }
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "result");
    return lua_error(L);
}

void l_process_finish(lua_State *L, struct l_process *p, const char *op, bool outputs)
{
    struct nserr e;

    if (p->proc.lost) {
        nserr_sys(&e, ECHILD, op, NULL);
        snprintf(e.kernel, sizeof(e.kernel),
                 "this program ignores SIGCHLD or reaped the process elsewhere");
        l_process_raise(L, p, op, &e);
    }
    push_status(L, &p->proc);
    for (int i = 1; outputs && i < 3; i++)
        set_output(L, p, i);
    if (p->check && !is_happy(&p->proc))
        raise_result(L, p, op);
}
