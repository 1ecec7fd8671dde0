/* SPDX-License-Identifier: MIT
 * Reading from and writing to a Process. Whatever is waited for, both outputs are drained. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "l_process.h"

struct want {
    enum { WANT_LINE, WANT_LINE_END, WANT_ALL, WANT_ANY, WANT_COUNT } kind;
    size_t count;
    size_t seen; /* how far a line's end was looked for */
};

static struct want check_format(lua_State *L, int idx)
{
    static const char *const names[] = {"l", "L", "a", "any", NULL};
    struct want want = {.kind = WANT_LINE};
    lua_Integer count;

    if (lua_type(L, idx) == LUA_TNUMBER) {
        count = luaL_checkinteger(L, idx);
        luaL_argcheck(L, count >= 0, idx, "a number of bytes is 0 or more");
        return (struct want){.kind = WANT_COUNT, .count = (size_t)count};
    }
    want.kind = (unsigned)luaL_checkoption(L, idx, "l", names);
    return want;
}

/* How many bytes to hand out now; -1: not enough there. */
static ssize_t find(const struct spawn_stream *s, struct want *want)
{
    size_t len;
    const char *data = spawn_unread(s, &len), *end;

    switch (want->kind) {
    case WANT_LINE:
    case WANT_LINE_END:
        end = len > want->seen ? memchr(data + want->seen, '\n', len - want->seen) : NULL;
        want->seen = len;
        if (end)
            return end + 1 - data;
        break;
    case WANT_ANY:
        if (len)
            return (ssize_t)len;
        break;
    case WANT_COUNT:
        if (len && len >= want->count)
            return (ssize_t)want->count;
        break;
    case WANT_ALL:
        break;
    }
    if (s->fd >= 0)
        return -1;
    return (ssize_t)(want->kind == WANT_COUNT && want->count < len ? want->count : len);
}

/* nil at the end of file, except that "a" gives an empty string, as io.read. */
static int push_found(lua_State *L, struct spawn_stream *s, const struct want *want, size_t len)
{
    size_t all;
    const char *data = spawn_unread(s, &all);
    size_t shown = want->kind == WANT_LINE && len && data[len - 1] == '\n' ? len - 1 : len;

    if (all == 0 && want->kind != WANT_ALL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, all ? data : "", shown);
    spawn_consume(s, len);
    return 1;
}

/* The stream and the time-out of read's third argument: seconds, or { timeout =, from = }. */
static struct spawn_stream *check_source(lua_State *L, struct l_process *p, int64_t *until)
{
    static const char *const keys[] = {"timeout", "from", NULL};
    const char *from = NULL;
    double seconds;

    if (lua_istable(L, 3)) {
        l_check_keys(L, 3, "read", keys);
        seconds = l_opt_number(L, 3, "read", "timeout", -1, 0, HUGE_VAL);
        *until = seconds < 0 ? SPAWN_FOREVER : spawn_after(seconds);
        from = l_opt_str(L, 3, "read", "from");
    } else {
        *until = l_process_until(L, 3);
    }
    if (from && strcmp(from, "stdout") != 0 && strcmp(from, "stderr") != 0)
        l_misuse(L, "read: from must be \"stdout\" or \"stderr\", got \"%s\"", from);
    from = from ? from : "stdout";
    if (!p->captured[strcmp(from, "stdout") ? 2 : 1])
        l_misuse(L, "read: %s of this process is not captured", from);
    return strcmp(from, "stdout") ? &p->proc.err : &p->proc.out;
}

/* p:read(format?, seconds? | { timeout =, from = }?) */
int l_process_read(lua_State *L)
{
    struct l_process *p = l_process_check(L);
    struct want want = check_format(L, 2);
    int64_t until;
    struct spawn_stream *s = check_source(L, p, &until);
    ssize_t len;

    while ((len = find(s, &want)) < 0) {
        if (l_process_pump(L, p, "read", until))
            continue;
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    return push_found(L, s, &want, (size_t)len);
}

static int raise_broken_pipe(lua_State *L, struct l_process *p)
{
    struct nserr e;

    nserr_sys(&e, EPIPE, "write", NULL);
    return l_process_raise(L, p, "write", &e);
}

static void check_writable(lua_State *L, struct l_process *p)
{
    if (!p->writable)
        l_misuse(L, "write: stdin of this process is not a pipe (stdin = true makes it one)");
    if (p->stdin_closed)
        l_misuse(L, "write: stdin of this process is closed");
    if (p->proc.in < 0)
        raise_broken_pipe(L, p);
}

/* p:write(text, seconds?): the process; nil, "timeout", bytes written when it takes too long. */
int l_process_write(lua_State *L)
{
    struct l_process *p = l_process_check(L);
    struct spawn_proc *proc = &p->proc;
    size_t len, left;
    const char *text = luaL_checklstring(L, 2, &len);
    int64_t until = l_process_until(L, 3);
    struct nserr e;
    int got = 1;

    check_writable(L, p);
    for (left = len; left > 0 && got != 0;) {
        lua_Hook hook = l_process_hooks(L);

        /* the text is this frame's: proc does not keep it over anything that may raise */
        proc->feed = text + (len - left);
        proc->feed_len = left;
        got = l_process_round(L, proc, hook, until, &e);
        left = proc->feed ? proc->feed_len : 0;
        proc->feed = NULL;
        if (proc->in < 0)
            return raise_broken_pipe(L, p);
        if (got < 0)
            return l_process_raise(L, p, "write", &e);
    }
    if (left == 0) {
        lua_settop(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "timeout");
    lua_pushinteger(L, (lua_Integer)(len - left));
    return 3;
}

/* p:close_stdin(): the process reads the end of its input. */
int l_process_close_stdin(lua_State *L)
{
    struct l_process *p = l_process_check(L);

    spawn_close_in(&p->proc);
    p->stdin_closed = true;
    return 0;
}
