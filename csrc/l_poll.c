/* SPDX-License-Identifier: MIT
 * core.poll and core.epoll: waiting for descriptors, without a loop of one's own. */
#include <math.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#include "l_core.h"

#define L_EPOLL  "netns.Epoll"
#define POLL_MAX 64

/* core.poll({ fd, ... }, seconds): whether one of them has something to read; false after the
 * time; nil where a signal came first. nil seconds: as long as it takes. */
static int l_poll(lua_State *L)
{
    struct pollfd fds[POLL_MAX];
    double seconds = luaL_optnumber(L, 2, -1);
    lua_Integer count;
    int got;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, !isnan(seconds), 2, "must be a number of seconds");
    count = (lua_Integer)lua_rawlen(L, 1);
    luaL_argcheck(L, count <= POLL_MAX, 1, "too many descriptors");
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        fds[i] = (struct pollfd){.fd = (int)luaL_checkinteger(L, -1), .events = POLLIN};
        lua_pop(L, 1);
    }
    got = poll(fds, (nfds_t)count,
               seconds < 0       ? -1
               : seconds > 86400 ? 86400000
                                 : (int)ceil(seconds * 1e3));
    if (got < 0 && errno == EINTR)
        return 0;
    lua_pushboolean(L, got > 0);
    return 1;
}

/* core.now(): seconds by the steady clock. */
static int l_now(lua_State *L)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
    return 1;
}

/* core.epoll({ fd, ... }): an object whose fd() is readable while one of them is. */
static int l_epoll_new(lua_State *L)
{
    int *epoll = l_object(L, sizeof(*epoll), L_EPOLL, 0);
    struct nserr e;

    luaL_checktype(L, 1, LUA_TTABLE);
    *epoll = -1;
    *epoll = epoll_create1(EPOLL_CLOEXEC);
    for (lua_Integer i = 1; *epoll >= 0 && lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
        struct epoll_event event = {.events = EPOLLIN};

        if (epoll_ctl(*epoll, EPOLL_CTL_ADD, (int)luaL_checkinteger(L, -1), &event) != 0)
            break;
        lua_pop(L, 1);
    }
    if (*epoll < 0 || !lua_isnil(L, -1)) {
        nserr_sys(&e, errno, "epoll", NULL);
        return l_raise(L, &e);
    }
    lua_pop(L, 1);
    return 1;
}

static int l_epoll_close(lua_State *L)
{
    close_fd(luaL_checkudata(L, 1, L_EPOLL));
    return 0;
}

static int l_epoll_fd(lua_State *L)
{
    lua_pushinteger(L, *(int *)luaL_checkudata(L, 1, L_EPOLL));
    return 1;
}

void l_poll_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"poll", l_poll}, {"epoll", l_epoll_new}, {"now", l_now}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"fd", l_epoll_fd}, {"close", l_epoll_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_epoll_close}, {"__close", l_epoll_close}, {NULL, NULL}};

    l_class(L, L_EPOLL, methods, meta);
    luaL_setfuncs(L, functions, 0);
}
