/* SPDX-License-Identifier: MIT
 * core.nft_dump and core.nft_monitor: what nf_tables itself says, by netlink.
 *
 * The monitor is a socket in NFNLGRP_NFTABLES. A commit sends its changes and then a
 * "generation"; when more was sent than the socket could hold, next() gives an event of kind
 * "overrun" in place of what is lost. */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <math.h>
#include <netlink/msg.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "l_nft_event.h"
#include "l_rtnl.h"

#define L_MONITOR "netns.NftMonitor"
#define BUFFER    (64 * 1024)

struct l_monitor {
    struct rtnl *session; /* NULL once closed */
    struct bytes pending; /* a datagram's messages ... */
    size_t at;            /* ... the next one */
    char label[160];
};

/* ---- dump ------------------------------------------------------------------------------ */

#define L_DUMP "netns.NftDump"

static int l_dump__gc(lua_State *L)
{
    struct rtnl **session = luaL_checkudata(L, 1, L_DUMP);

    rtnl_close(*session);
    *session = NULL;
    return 0;
}

static void push_messages(lua_State *L, struct bytes *all)
{
    struct nlmsghdr *h = (struct nlmsghdr *)all->data;
    int left = (int)all->len;
    lua_Integer n = 0;

    lua_newtable(L);
    for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
        if (l_nft_event(L, h))
            lua_rawseti(L, -2, ++n);
}

static int dump_type(lua_State *L, int idx)
{
    static const char *const kinds[] = {"table", "chain", "set", "object", "flowtable", NULL};
    static const int types[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETOBJ,
                                NFT_MSG_GETFLOWTABLE};

    return types[luaL_checkoption(L, idx, NULL, kinds)];
}

/* core.nft_dump(ns, kind): a list of what l_nft_event makes of each. */
static int l_nft_dump(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    int type = dump_type(L, 2);
    struct rtnl **session = l_object(L, sizeof(*session), L_DUMP, 0);
    struct bytes *all = l_bytes(L);
    struct {
        struct nlmsghdr h;
        struct nfgenmsg gen;
    } request = {.h = {.nlmsg_len = sizeof(request)}, .gen = {.version = NFNETLINK_V0}};
    struct rtnl_fault f;
    struct nserr e;

    request.h.nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
    *session = rtnl_open(ns->fd, NETLINK_NETFILTER, &e);
    if (!*session) {
        nserr_context(&e, "nft list", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (rtnl_dump(*session, &request.h, all, &f) != 0) {
        nserr_sys(&e, f.code, "nft list", NULL);
        nserr_context(&e, NULL, NULL, ns->label);
        return l_raise(L, &e);
    }
    rtnl_close(*session);
    *session = NULL;
    push_messages(L, all);
    bytes_free(all);
    return 1;
}

/* ---- monitor --------------------------------------------------------------------------- */

static void close_monitor(struct l_monitor *m)
{
    rtnl_close(m->session);
    m->session = NULL;
    bytes_free(&m->pending);
}

static int l_monitor_close(lua_State *L)
{
    close_monitor(luaL_checkudata(L, 1, L_MONITOR));
    return 0;
}

static struct l_monitor *check_open(lua_State *L)
{
    struct l_monitor *m = luaL_checkudata(L, 1, L_MONITOR);

    if (!m->session)
        luaL_argerror(L, 1, "the monitor is closed");
    return m;
}

/* core.nft_monitor(ns) */
static int l_nft_monitor(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct l_monitor *m = l_object(L, sizeof(*m), L_MONITOR, 0);
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    int group = NFNLGRP_NFTABLES, code = 0;
    struct nserr e;

    memcpy(m->label, ns->label, sizeof(m->label));
    m->session = rtnl_open(ns->fd, NETLINK_NETFILTER, &e);
    if (!m->session) {
        nserr_context(&e, "nft monitor", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (bind(m->session->fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        setsockopt(m->session->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
        code = errno;
    if (code) {
        nserr_sys(&e, code, "nft monitor", NULL);
        nserr_context(&e, NULL, NULL, ns->label);
        return l_raise(L, &e);
    }
    return 1;
}

static int l_monitor_fd(lua_State *L)
{
    lua_pushinteger(L, check_open(L)->session->fd);
    return 1;
}

/* Push the next event that was received already. */
static bool push_pending(lua_State *L, struct l_monitor *m)
{
    while (m->at < m->pending.len) {
        struct nlmsghdr *h = (struct nlmsghdr *)(m->pending.data + m->at);
        int left = (int)(m->pending.len - m->at);

        if (!nlmsg_ok(h, left))
            break;
        m->at += NLMSG_ALIGN(h->nlmsg_len);
        if (l_nft_event(L, h))
            return true;
    }
    m->pending.len = m->at = 0;
    return false;
}

/* One datagram into m->pending: 1, 0 where there is none, -errno. */
static int receive(struct l_monitor *m)
{
    ssize_t got;

    m->pending.len = m->at = 0;
    if (bytes_reserve(&m->pending, BUFFER) != 0)
        return -ENOMEM;
    got = recv(m->session->fd, m->pending.data, m->pending.cap, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    m->pending.len = (size_t)got;
    return 1;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Wait until `deadline` (HUGE_VAL: for ever). */
static void wait_readable(int fd, double deadline)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    double left = deadline - now();

    poll(&p, 1, left > 1e6 ? -1 : left <= 0 ? 0 : (int)(left * 1000) + 1);
}

static int raise(lua_State *L, struct l_monitor *m, int code)
{
    struct nserr e;

    nserr_sys(&e, code, "nft monitor", NULL);
    nserr_context(&e, NULL, NULL, m->label);
    return l_raise(L, &e);
}

/* monitor:receive(timeout?): an event, or nil after `timeout` seconds (0: at once). */
static int l_monitor_next(lua_State *L)
{
    struct l_monitor *m = check_open(L);
    double timeout = luaL_optnumber(L, 2, HUGE_VAL), deadline = now() + timeout;

    luaL_argcheck(L, timeout >= 0, 2, "a timeout is seconds, 0 or more");
    for (bool last = false;; last = now() >= deadline) {
        int got;

        if (push_pending(L, m))
            return 1;
        got = receive(m);
        if (got == -ENOBUFS) {
            lua_createtable(L, 0, 2);
            lua_pushliteral(L, "overrun");
            lua_setfield(L, -2, "kind");
            lua_pushliteral(L, "overrun");
            lua_setfield(L, -2, "event");
            return 1;
        }
        if (got < 0)
            return raise(L, m, -got);
        if (got == 0 && last)
            return 0;
        if (got == 0)
            wait_readable(m->session->fd, deadline);
    }
}

static int l_monitor__tostring(lua_State *L)
{
    struct l_monitor *m = luaL_checkudata(L, 1, L_MONITOR);

    lua_pushfstring(L, "nft monitor of %s%s", m->label, m->session ? "" : " (closed)");
    return 1;
}

void l_nft_monitor_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"nft_dump", l_nft_dump}, {"nft_monitor", l_nft_monitor}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", l_monitor_close},
                                       {"fd", l_monitor_fd},
                                       {"receive", l_monitor_next},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_monitor_close},
                                    {"__close", l_monitor_close},
                                    {"__tostring", l_monitor__tostring},
                                    {NULL, NULL}};
    static const luaL_Reg dump_meta[] = {{"__gc", l_dump__gc}, {NULL, NULL}};

    l_class(L, L_DUMP, NULL, dump_meta);
    l_class(L, L_MONITOR, methods, meta);
    luaL_getmetatable(L, L_MONITOR);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "NftMonitor"); /* netns.nft.monitor adds methods to it */
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
