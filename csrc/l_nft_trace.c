/* SPDX-License-Identifier: MIT
 * core.nft_trace: what becomes of packets in the firewall, for those whose nftrace flag is set.
 * core.nft_tables: whether there is a firewall at all. */
#include <endian.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has the same names */
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "l_rtnl.h"

#define L_TRACE  "netns.NftTrace"
#define DATAGRAM (16 * 1024)

struct l_trace {
    struct rtnl *session; /* NULL once closed */
    char label[160];
};

static int l_trace_close(lua_State *L)
{
    struct l_trace *t = luaL_checkudata(L, 1, L_TRACE);

    rtnl_close(t->session);
    t->session = NULL;
    return 0;
}

static void raise_errno(lua_State *L, const struct l_trace *t, int code)
{
    struct nserr e;

    nserr_sys(&e, code, "nft trace", NULL);
    nserr_context(&e, NULL, NULL, t->label);
    l_raise(L, &e);
}

/* core.nft_trace(ns) */
static int l_trace_new(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct l_trace *t = l_object(L, sizeof(*t), L_TRACE, 0);
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    int group = NFNLGRP_NFTRACE;
    struct nserr e;

    memcpy(t->label, ns->label, sizeof(t->label));
    t->session = rtnl_open(ns->fd, NETLINK_NETFILTER, &e);
    if (!t->session) {
        nserr_context(&e, "nft trace", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (bind(t->session->fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        setsockopt(t->session->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
        raise_errno(L, t, errno);
    return 1;
}

static void set_text(lua_State *L, const char *key, struct nlattr *a)
{
    if (!a)
        return;
    lua_pushlstring(L, nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a)));
    lua_setfield(L, -2, key);
}

static void set_bytes(lua_State *L, const char *key, struct nlattr *a)
{
    if (!a)
        return;
    lua_pushlstring(L, nla_data(a), (size_t)nla_len(a));
    lua_setfield(L, -2, key);
}

static bool read_u32(struct nlattr *a, uint32_t *value)
{
    if (!a || nla_len(a) < 4)
        return false;
    memcpy(value, nla_data(a), sizeof(*value));
    *value = ntohl(*value);
    return true;
}

static void set_u32(lua_State *L, const char *key, struct nlattr *a)
{
    uint32_t value;

    if (!read_u32(a, &value))
        return;
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_verdict(lua_State *L, const char *key, uint32_t code)
{
    static const char *const names[] = {"drop", "accept", "stolen", "queue", "repeat", "stop"};
    int32_t verdict = (int32_t)code;

    if (verdict >= 0 && (size_t)(verdict & 0xff) < ARRAY_LEN(names))
        lua_pushstring(L, names[verdict & 0xff]);
    else
        lua_pushstring(L, verdict == NFT_JUMP     ? "jump"
                          : verdict == NFT_GOTO   ? "goto"
                          : verdict == NFT_RETURN ? "return"
                                                  : "continue");
    lua_setfield(L, -2, key);
}

/* { type = "rule" | "policy" | "return", family (number), table, chain, handle, verdict, id, nh,
 * th, iif, oif } */
static void push_event(lua_State *L, struct nlmsghdr *h)
{
    static const char *const types[] = {NULL, "policy", "return", "rule"};
    const struct nfgenmsg *gen = nlmsg_data(h);
    struct nlattr *a[NFTA_TRACE_MAX + 1], *verdict[NFTA_VERDICT_MAX + 1];
    uint32_t value;
    uint64_t handle;

    lua_createtable(L, 0, 12);
    if (nlmsg_parse(h, sizeof(*gen), a, NFTA_TRACE_MAX, NULL) != 0)
        return;
    lua_pushinteger(L, gen->nfgen_family);
    lua_setfield(L, -2, "family");
    if (read_u32(a[NFTA_TRACE_TYPE], &value) && value < ARRAY_LEN(types)) {
        lua_pushstring(L, types[value]);
        lua_setfield(L, -2, "type");
    }
    set_text(L, "table", a[NFTA_TRACE_TABLE]);
    set_text(L, "chain", a[NFTA_TRACE_CHAIN]);
    if (a[NFTA_TRACE_RULE_HANDLE] && nla_len(a[NFTA_TRACE_RULE_HANDLE]) >= 8) {
        memcpy(&handle, nla_data(a[NFTA_TRACE_RULE_HANDLE]), sizeof(handle));
        lua_pushinteger(L, (lua_Integer)be64toh(handle));
        lua_setfield(L, -2, "handle");
    }
    if (a[NFTA_TRACE_VERDICT] &&
        nla_parse_nested(verdict, NFTA_VERDICT_MAX, a[NFTA_TRACE_VERDICT], NULL) == 0 &&
        read_u32(verdict[NFTA_VERDICT_CODE], &value))
        set_verdict(L, "verdict", value);
    else if (read_u32(a[NFTA_TRACE_POLICY], &value))
        set_verdict(L, "verdict", value);
    set_u32(L, "id", a[NFTA_TRACE_ID]);
    set_u32(L, "iif", a[NFTA_TRACE_IIF]);
    set_u32(L, "oif", a[NFTA_TRACE_OIF]);
    set_bytes(L, "nh", a[NFTA_TRACE_NETWORK_HEADER]);
    set_bytes(L, "th", a[NFTA_TRACE_TRANSPORT_HEADER]);
}

/* trace:read(): a list of the events that are there; `lost` is set in it if there were more. */
static int l_trace_read(lua_State *L)
{
    struct l_trace *t = luaL_checkudata(L, 1, L_TRACE);
    _Alignas(struct nlmsghdr) char data[DATAGRAM];
    lua_Integer n = 0;

    luaL_argcheck(L, t->session, 1, "the trace is closed");
    lua_newtable(L);
    for (;;) {
        ssize_t got = recv(t->session->fd, data, sizeof(data), MSG_DONTWAIT);
        struct nlmsghdr *h = (struct nlmsghdr *)data;
        int left = (int)got;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == ENOBUFS) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "lost");
            continue;
        }
        if (got < 0)
            break;
        for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
            if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE) ||
                h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
                continue;
            push_event(L, h);
            lua_rawseti(L, -2, ++n);
        }
    }
    return 1;
}

/* Tables ------------------------------------------------------------------------------------- */

static const char *family_name(unsigned family)
{
    switch (family) {
    case NFPROTO_INET:
        return "inet";
    case NFPROTO_IPV4:
        return "ip";
    case NFPROTO_ARP:
        return "arp";
    case NFPROTO_NETDEV:
        return "netdev";
    case NFPROTO_BRIDGE:
        return "bridge";
    case NFPROTO_IPV6:
        return "ip6";
    }
    return "?";
}

static void push_tables(lua_State *L, struct bytes *all)
{
    int left = (int)all->len;
    lua_Integer n = 0;

    lua_newtable(L);
    for (struct nlmsghdr *h = (struct nlmsghdr *)all->data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        const struct nfgenmsg *gen = nlmsg_data(h);

        if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE) ||
            h->nlmsg_len < NLMSG_LENGTH(sizeof(*gen)))
            continue;
        lua_createtable(L, 0, 2);
        lua_pushstring(L, family_name(gen->nfgen_family));
        lua_setfield(L, -2, "family");
        set_text(L, "name", nlmsg_find_attr(h, sizeof(*gen), NFTA_TABLE_NAME));
        lua_rawseti(L, -2, ++n);
    }
}

/* core.nft_tables(ns): { family =, name = } each; the worker is not needed to ask. */
static int l_nft_tables(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct l_trace *t = l_object(L, sizeof(*t), L_TRACE, 0); /* owns the session */
    struct bytes *all = l_bytes(L);
    struct {
        struct nlmsghdr h;
        struct nfgenmsg gen;
    } request = {.h = {.nlmsg_len = sizeof(request),
                       .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE},
                 .gen = {.version = NFNETLINK_V0}};
    struct rtnl_fault f;
    struct nserr e;

    memcpy(t->label, ns->label, sizeof(t->label));
    t->session = rtnl_open(ns->fd, NETLINK_NETFILTER, &e);
    if (!t->session) {
        nserr_context(&e, "nft tables", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (rtnl_dump(t->session, &request.h, all, &f) != 0)
        raise_errno(L, t, f.code);
    rtnl_close(t->session);
    t->session = NULL;
    push_tables(L, all);
    bytes_free(all);
    return 1;
}

void l_nft_trace_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", l_trace_read}, {"close", l_trace_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_trace_close}, {"__close", l_trace_close}, {NULL, NULL}};

    l_class(L, L_TRACE, methods, meta);
    lua_pushcfunction(L, l_trace_new);
    lua_setfield(L, -2, "nft_trace");
    lua_pushcfunction(L, l_nft_tables);
    lua_setfield(L, -2, "nft_tables");
}
