/* SPDX-License-Identifier: MIT
 * Running Lua code inside a namespace: ns:call and ns:wrap.
 *
 * Theory of operation: ns:call marks a Scope userdata to be closed and calls the function from
 * C. Lua closes it on every way out (return, error of any type, out of memory), after message
 * handlers have run, so that tracebacks stay whole; and a yield across the C call fails with
 * Lua's own error. One case is different: an error that nothing in a coroutine catches kills the
 * coroutine and leaves its stack as it is, nothing closed, until somebody closes the coroutine.
 * So in a coroutine without a pcall further out, ns:call catches the error itself, leaves, and
 * raises it again. ns:wrap drives a coroutine: enter, resume, leave; nothing in between can
 * raise. A Scope's __gc never switches: it only lets the fd go.
 */
#include <stdbool.h>

#include "l_core.h"

#define L_SCOPE "netns.Scope"

static int l_scope__close(lua_State *L)
{
    nsfd_leave(luaL_checkudata(L, 1, L_SCOPE));
    return 0;
}

static int l_scope__gc(lua_State *L)
{
    struct nsfd_scope *scope = luaL_checkudata(L, 1, L_SCOPE);

    close_fd(&scope->home);
    return 0;
}

/* Will an error raised here unwind this stack at once? On the main thread it does; in a coroutine
 * where pcall or xpcall (upvalues 1 and 2) is further out. */
static bool unwinds(lua_State *L)
{
    bool found = lua_pushthread(L);
    lua_Debug ar;

    lua_pop(L, 1);
    for (int level = 1; !found && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "f", &ar);
        found =
            lua_rawequal(L, -1, lua_upvalueindex(1)) || lua_rawequal(L, -1, lua_upvalueindex(2));
        lua_pop(L, 1);
    }
    return found;
}

/* A Scope on top of the stack: the one that the last call left in upvalue 3, or a new one. */
static struct nsfd_scope *take_scope(lua_State *L)
{
    struct nsfd_scope *scope;

    lua_pushvalue(L, lua_upvalueindex(3));
    scope = lua_touserdata(L, -1);
    if (scope) {
        lua_pushnil(L);
        lua_replace(L, lua_upvalueindex(3));
        return scope;
    }
    lua_pop(L, 1);
    scope = l_object(L, sizeof(*scope), L_SCOPE, 0);
    scope->home = -1;
    return scope;
}

/* ns:call(fn, ...): what fn returns, run inside the namespace. */
static int l_ns_call(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct nsfd_scope *scope;
    struct nserr e;
    int status = LUA_OK;
    bool closing;

    luaL_checkany(L, 2);
    luaL_checkstack(L, 40, NULL); /* also for closing the Scope when there is no memory any more */
    scope = take_scope(L);
    lua_insert(L, 2);
    closing = unwinds(L);
    if (closing)
        lua_toclose(L, 2);
    if (nsfd_enter(scope, ns->fd, &e) != 0) {
        nserr_context(&e, "call", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (closing)
        lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
    else
        status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
    nsfd_leave(scope);
    lua_copy(L, 2, lua_upvalueindex(3));
    return status == LUA_OK ? lua_gettop(L) - 2 : lua_error(L);
}

/* Move the error or the results of the coroutine over to the caller. */
static int finish(lua_State *L, lua_State *co, int status, int results)
{
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(co, results);
            return luaL_error(L, "too many results to resume");
        }
        lua_xmove(co, L, results);
        return results;
    }
    lua_xmove(co, L, 1);
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) { /* as coroutine.wrap does */
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* NULL if it can be resumed: neither finished nor running further out. */
static const char *not_resumable(lua_State *co)
{
    lua_Debug ar;

    switch (lua_status(co)) {
    case LUA_YIELD:
        return NULL;
    case LUA_OK:
        if (lua_getstack(co, 0, &ar))
            return "non-suspended";
        return lua_gettop(co) > 0 ? NULL : "dead";
    default:
        return "dead";
    }
}

/* The function ns:wrap returns. Upvalues: the namespace, the coroutine. */
static int l_wrapped(lua_State *L)
{
    struct l_ns *ns = lua_touserdata(L, lua_upvalueindex(1));
    lua_State *co = lua_tothread(L, lua_upvalueindex(2));
    struct nsfd_scope scope = NSFD_SCOPE_INIT;
    int status, results = 0, args = lua_gettop(L);
    const char *why;
    struct nserr e;

    if (ns->fd < 0)
        return l_misuse(L, "the namespace is closed");
    why = not_resumable(co);
    if (why)
        return l_misuse(L, "cannot resume %s coroutine", why);
    if (!lua_checkstack(co, args + 1))
        return l_misuse(L, "too many arguments to resume");
    if (nsfd_enter(&scope, ns->fd, &e) != 0) {
        nserr_context(&e, "wrap", NULL, ns->label);
        return l_raise(L, &e);
    }
    lua_xmove(L, co, args);
    status = lua_resume(co, L, args, &results);
    if (status != LUA_OK && status != LUA_YIELD)
        status = lua_resetthread(co); /* its pending closes, still inside; keeps the error */
    nsfd_leave(&scope);
    return finish(L, co, status, results);
}

static int l_ns_wrap(lua_State *L)
{
    lua_State *co;

    l_ns_check(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    co = lua_newthread(L);
    lua_pushvalue(L, 2);
    lua_xmove(L, co, 1);
    lua_remove(L, 2);
    lua_pushcclosure(L, l_wrapped, 2);
    return 1;
}

void l_scope_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__close", l_scope__close}, {"__gc", l_scope__gc}, {NULL, NULL}};

    l_class(L, L_SCOPE, NULL, meta);
    lua_getfield(L, -1, "Namespace");
    lua_getglobal(L, "pcall");
    lua_getglobal(L, "xpcall");
    lua_pushnil(L);
    lua_pushcclosure(L, l_ns_call, 3);
    lua_setfield(L, -2, "call");
    lua_pushcfunction(L, l_ns_wrap);
    lua_setfield(L, -2, "wrap");
    lua_pop(L, 1);
}
