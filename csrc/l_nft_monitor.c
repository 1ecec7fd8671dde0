/* SPDX-License-Identifier: MIT
 * core.nft_monitor: what nf_tables itself says of changes, by netlink.
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

static struct rtnl *events_open(int nsfd, struct nserr *e)
{
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    struct rtnl *session = rtnl_open(nsfd, NETLINK_NETFILTER, e);
    int group = NFNLGRP_NFTABLES;

    if (!session)
        return NULL;
    if (bind(session->fd, (struct sockaddr *)&any, sizeof(any)) == 0 &&
        setsockopt(session->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
        return session;
    nserr_sys(e, errno, "nft monitor", NULL);
    rtnl_close(session);
    return NULL;
}

static int events_receive(struct rtnl *session, struct bytes *into)
{
    ssize_t got;

    into->len = 0;
    if (bytes_reserve(into, BUFFER) != 0)
        return -ENOMEM;
    got = recv(session->fd, into->data, into->cap, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    into->len = (size_t)got;
    return 1;
}

/* core.nft_monitor(ns) */
static int l_nft_monitor(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct l_monitor *m = l_object(L, sizeof(*m), L_MONITOR, 0);
    struct nserr e;

    memcpy(m->label, ns->label, sizeof(m->label));
    m->session = events_open(ns->fd, &e);
    if (!m->session) {
        nserr_context(&e, "nft monitor", NULL, ns->label);
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
        m->at = 0;
        got = events_receive(m->session, &m->pending);
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
    static const luaL_Reg functions[] = {{"nft_monitor", l_nft_monitor}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", l_monitor_close},
                                       {"fd", l_monitor_fd},
                                       {"receive", l_monitor_next},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_monitor_close},
                                    {"__close", l_monitor_close},
                                    {"__tostring", l_monitor__tostring},
                                    {NULL, NULL}};

    l_class(L, L_MONITOR, methods, meta);
    luaL_getmetatable(L, L_MONITOR);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "NftMonitor"); /* netns.nft.monitor adds methods to it */
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
