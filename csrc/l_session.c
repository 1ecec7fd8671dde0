/* SPDX-License-Identifier: MIT
 * The open netlink sessions of a Lua state: a bounded cache, least recently used out first.
 *
 * Theory of operation: a namespace needs one fd to live; its netlink socket is a second one,
 * opened at first use. So that ten thousand namespaces do not need twenty thousand fds, a state
 * keeps at most SESSIONS_MAX of them (and beside them, where they are used, those of other
 * protocols). The list's head lives in a userdata of the registry
 * without finalizer: Lua frees it after the last Namespace is collected. */
#include "l_core.h"
#include "rtnl.h"

#define SESSIONS_MAX 256

struct l_state {
    struct l_ns *newest, *oldest;
    int open;
};

static const char state_key; /* its address names the state in the registry */

static void unlink_session(struct l_state *state, struct l_ns *ns)
{
    *(ns->newer ? &ns->newer->older : &state->newest) = ns->older;
    *(ns->older ? &ns->older->newer : &state->oldest) = ns->newer;
    ns->newer = ns->older = NULL;
    state->open--;
}

static void link_newest(struct l_state *state, struct l_ns *ns)
{
    ns->older = state->newest;
    *(state->newest ? &state->newest->newer : &state->oldest) = ns;
    state->newest = ns;
    state->open++;
}

void l_session_drop(struct l_ns *ns)
{
    if (!ns->rtnl)
        return;
    unlink_session(ns->state, ns);
    rtnl_close(ns->rtnl);
    ns->rtnl = NULL;
    for (size_t i = 0; i < ARRAY_LEN(ns->others); i++) {
        rtnl_close(ns->others[i]);
        ns->others[i] = NULL;
    }
}

struct rtnl *l_session(lua_State *L, struct l_ns *ns, struct nserr *e)
{
    struct l_state *state = ns->state;

    if (ns->fd < 0) {
        nserr_arg(e, "the namespace was closed meanwhile");
        return NULL;
    }
    if (ns->rtnl) {
        if (state->newest != ns) {
            unlink_session(state, ns);
            link_newest(state, ns);
        }
        return ns->rtnl;
    }
    if (!state) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
        state = ns->state = lua_touserdata(L, -1);
        lua_pop(L, 1);
    }
    if (state->open >= SESSIONS_MAX)
        l_session_drop(state->oldest);
    ns->rtnl = rtnl_open(ns->fd, NETLINK_ROUTE, e);
    if (ns->rtnl)
        link_newest(state, ns);
    return ns->rtnl;
}

struct rtnl *l_session_of(lua_State *L, struct l_ns *ns, int protocol, struct nserr *e)
{
    struct rtnl **other = &ns->others[protocol == NETLINK_XFRM];

    if (protocol == NETLINK_ROUTE || !l_session(L, ns, e)) /* it keeps the others' place */
        return protocol == NETLINK_ROUTE ? l_session(L, ns, e) : NULL;
    if (!*other)
        *other = rtnl_open(ns->fd, protocol, e);
    return *other;
}

void l_session_open(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) == LUA_TNIL) {
        struct l_state *state = lua_newuserdatauv(L, sizeof(*state), 0);
        *state = (struct l_state){0};
        lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    }
    lua_pop(L, 1);
}
