/* SPDX-License-Identifier: MIT
 * core.sockets: the sockets of a namespace as Lua tables. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "diag.h"
#include "l_rtnl.h"

#define L_SOCKETS "netns.SocketTable"

struct table {
    struct diag_socket *list;
    size_t count;
};

static int l_table__gc(lua_State *L)
{
    struct table *t = luaL_checkudata(L, 1, L_SOCKETS);

    free(t->list);
    t->list = NULL;
    return 0;
}

static const char *const states[] = {
    NULL,     "established", "syn-sent", "syn-recv",  "fin-wait-1", "fin-wait-2", "time-wait",
    "unconn", "close-wait",  "last-ack", "listening", "closing",    "syn-recv"};

static void set_number(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static bool is_zero(const uint8_t *bytes)
{
    static const uint8_t none[16];

    return !memcmp(bytes, none, sizeof(none));
}

static void push_socket(lua_State *L, const struct diag_socket *s, struct rtnl *session)
{
    char name[16];

    lua_createtable(L, 0, 10);
    lua_pushstring(L, s->protocol == IPPROTO_TCP ? "tcp" : "udp");
    lua_setfield(L, -2, "proto");
    lua_pushstring(L, s->family == AF_INET ? "inet" : "inet6");
    lua_setfield(L, -2, "family");
    if (s->state > 0 && (size_t)s->state < ARRAY_LEN(states)) {
        lua_pushstring(L, states[s->state]);
        lua_setfield(L, -2, "state");
    }
    codec_push_ip(L, s->family, s->src);
    lua_setfield(L, -2, "src");
    set_number(L, "sport", s->sport);
    if (s->dport || !is_zero(s->dst)) {
        codec_push_ip(L, s->family, s->dst);
        lua_setfield(L, -2, "dst");
        set_number(L, "dport", s->dport);
    }
    if (s->ifindex && session && l_dev_name(session, (int)s->ifindex, name) == 0) {
        lua_pushstring(L, name);
        lua_setfield(L, -2, "dev");
    }
    if (s->family == AF_INET6 && s->v6only) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "v6only");
    }
    set_number(L, "uid", s->uid);
    set_number(L, "inode", s->inode);
    set_number(L, "recv_q", s->rqueue);
    set_number(L, "send_q", s->wqueue);
}

/* core.sockets(ns, "tcp" | "udp", listening): a list. */
static int l_sockets(lua_State *L)
{
    static const char *const protocols[] = {"tcp", "udp", NULL};
    struct l_ns *ns = l_ns_check(L, 1);
    int protocol = luaL_checkoption(L, 2, NULL, protocols) ? IPPROTO_UDP : IPPROTO_TCP;
    uint32_t wanted = !lua_toboolean(L, 3) ? 0 : protocol == IPPROTO_TCP ? 1 << 10 : 1 << 7;
    struct table *t = l_object(L, sizeof(*t), L_SOCKETS, 0);
    struct rtnl *session;
    struct nserr e;

    session = l_session(L, ns, &e);
    if (!session || diag_list(ns->fd, protocol, wanted, &t->list, &t->count, &e) != 0) {
        nserr_context(&e, "sockets", NULL, ns->label);
        return l_raise(L, &e);
    }
    lua_createtable(L, (int)t->count, 0);
    for (size_t i = 0; i < t->count; i++) {
        push_socket(L, &t->list[i], session);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void l_diag_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", l_table__gc}, {NULL, NULL}};

    l_class(L, L_SOCKETS, NULL, meta);
    lua_pushcfunction(L, l_sockets);
    lua_setfield(L, -2, "sockets");
}
