/* SPDX-License-Identifier: MIT
 * core.sockets and core.nsid: what the kernel knows of a namespace's sockets and neighbours;
 * core.format_ip and core.parse_ip: addresses as bytes. */
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
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

static void push_socket(lua_State *L, const struct diag_socket *s, struct l_ns *ns)
{
    struct rtnl *session = l_session(L, ns, &(struct nserr){0});
    char name[16] = "";

    if (s->ifindex && session)
        l_dev_name(session, (int)s->ifindex, name);
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
    if (*name) {
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
    struct nserr e;

    if (diag_list(ns->fd, protocol, wanted, &t->list, &t->count, &e) != 0) {
        nserr_context(&e, "sockets", NULL, ns->label);
        return l_raise(L, &e);
    }
    lua_createtable(L, (int)t->count, 0);
    for (size_t i = 0; i < t->count; i++) {
        push_socket(L, &t->list[i], ns);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* core.nsid(ns, other): the number that `other` has in ns (link_netnsid of links), or nil. */
static int l_nsid(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1), *other = l_ns_check(L, 2);
    _Alignas(struct nlmsghdr) char buf[64];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    struct bytes *reply = l_bytes(L);
    struct rtnl *session;
    struct rtnl_fault f;
    struct nserr e;
    struct nlattr *id;
    int32_t number = -1;

    h->nlmsg_type = RTM_GETNSID;
    codec_reserve(&m, NLMSG_ALIGN(sizeof(struct rtgenmsg)));
    codec_put_u32(&m, NETNSA_FD, (uint32_t)other->fd);
    h->nlmsg_len = (uint32_t)m.len;
    session = l_session(L, ns, &e);
    if (!session)
        return l_raise(L, &e);
    if (rtnl_get(session, h, reply, &f) != 0) {
        nserr_sys(&e, f.code, "nsid", NULL);
        nserr_context(&e, NULL, NULL, ns->label);
        return l_raise(L, &e);
    }
    h = (struct nlmsghdr *)reply->data;
    id = nlmsg_find_attr(h, sizeof(struct rtgenmsg), NETNSA_NSID);
    if (id && nla_len(id) >= 4)
        memcpy(&number, nla_data(id), sizeof(number));
    bytes_free(reply);
    if (number < 0)
        return 0;
    lua_pushinteger(L, number);
    return 1;
}

/* core.format_ip(4 or 16 bytes): as listings write it. */
static int l_format_ip(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len == 4 || len == 16, 1, "4 or 16 bytes expected");
    codec_push_ip(L, len == 4 ? AF_INET : AF_INET6, bytes);
    return 1;
}

/* core.parse_ip(text): its bytes, or nil. */
static int l_parse_ip(lua_State *L)
{
    char bytes[16];
    int family = codec_parse_ip(luaL_checkstring(L, 1), bytes);

    if (!family)
        return 0;
    lua_pushlstring(L, bytes, family == AF_INET ? 4 : 16);
    return 1;
}

void l_diag_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"sockets", l_sockets},
                                         {"nsid", l_nsid},
                                         {"format_ip", l_format_ip},
                                         {"parse_ip", l_parse_ip},
                                         {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_table__gc}, {NULL, NULL}};

    l_class(L, L_SOCKETS, NULL, meta);
    luaL_setfuncs(L, functions, 0);
}
