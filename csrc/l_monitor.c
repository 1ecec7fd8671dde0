/* SPDX-License-Identifier: MIT
 * core.monitor: what changes in a namespace, told by rtnetlink and decoded as listings are.
 *
 * Theory of operation: the events come over a socket of their own, in the multicast groups of the
 * nouns that are watched. Names of links are kept from the beginning and from every event, so that
 * what concerned a link that is gone by now still names it. When more came than the socket could
 * hold, the kernel says so once (ENOBUFS): that is an event too, "overrun". */
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "l_rtnl.h"

#define L_MONITOR "netns.Events"
#define DATAGRAM  (64 * 1024)

struct l_monitor {
    struct rtnl *own; /* NULL once closed */
    struct l_ns *ns;  /* user value 1; user value 2: names of links by number */
    struct bytes datagram;
    size_t at; /* the next message in it */
    /* a message of a noun of which one message holds several, as messages of one each */
    struct bytes parts;
    size_t part_at;
    const struct noun *part_noun;
};

/* Which multicast groups tell about a noun. */
struct group {
    const char *noun;
    int group;
};

// clang-format off
static const struct group groups[] = {
    {"link", RTNLGRP_LINK},
    {"addr", RTNLGRP_IPV4_IFADDR}, {"addr", RTNLGRP_IPV6_IFADDR},
    {"route", RTNLGRP_IPV4_ROUTE}, {"route", RTNLGRP_IPV6_ROUTE}, {"route", RTNLGRP_MPLS_ROUTE},
    {"rule", RTNLGRP_IPV4_RULE}, {"rule", RTNLGRP_IPV6_RULE},
    {"neigh", RTNLGRP_NEIGH}, {"fdb", RTNLGRP_NEIGH},
    {"nexthop", RTNLGRP_NEXTHOP},
    {"qdisc", RTNLGRP_TC}, {"class", RTNLGRP_TC}, {"filter", RTNLGRP_TC},
    {"mdb", RTNLGRP_MDB}, {"vlan", RTNLGRP_BRVLAN},
};
// clang-format on

static int l_monitor_close(lua_State *L)
{
    struct l_monitor *m = luaL_checkudata(L, 1, L_MONITOR);

    rtnl_close(m->own);
    m->own = NULL;
    bytes_free(&m->datagram);
    bytes_free(&m->parts);
    return 0;
}

static struct l_monitor *check_open(lua_State *L)
{
    struct l_monitor *m = luaL_checkudata(L, 1, L_MONITOR);

    if (!m->own)
        luaL_argerror(L, 1, "the monitor is closed");
    if (m->ns->fd < 0)
        luaL_argerror(L, 1, "the monitor's namespace is closed");
    return m;
}

/* Opening ------------------------------------------------------------------------------------ */

static void raise_errno(lua_State *L, const struct l_monitor *m, int code)
{
    struct nserr e;

    nserr_sys(&e, code, "monitor", NULL);
    nserr_context(&e, NULL, NULL, m->ns->label);
    l_raise(L, &e);
}

/* Join the groups of a noun. Which nouns are watched is noted in user value 3, by name. */
static void join(lua_State *L, struct l_monitor *m, const char *noun)
{
    bool known = false;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (strcmp(groups[i].noun, noun) != 0)
            continue;
        known = true;
        /* a kernel that has not the group has not the noun's events either */
        if (setsockopt(m->own->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i].group,
                       sizeof(groups[i].group)) != 0 &&
            errno != EINVAL && errno != ENOENT)
            raise_errno(L, m, errno);
    }
    if (!known || !l_noun_by_name(noun))
        l_misuse(L, "monitor: \"%s\" has no events", noun);
}

/* core.monitor(ns, { "link", "route" ... }, names by number, bytes) */
static int l_monitor_new(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    struct l_monitor *m;
    struct nserr e;
    int bytes;

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    bytes = (int)luaL_checkinteger(L, 4);
    lua_settop(L, 4);
    m = l_object(L, sizeof(*m), L_MONITOR, 3);
    m->ns = ns;
    for (int i = 1; i <= 3; i++) {
        lua_pushvalue(L, i == 2 ? 3 : i == 3 ? 2 : 1);
        lua_setiuservalue(L, 5, i);
    }
    m->own = rtnl_open(ns->fd, NETLINK_ROUTE, &e);
    if (!m->own) {
        nserr_context(&e, "monitor", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (setsockopt(m->own->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(m->own->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (bind(m->own->fd, (struct sockaddr *)&any, sizeof(any)) != 0)
        raise_errno(L, m, errno);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
        join(L, m, luaL_checkstring(L, -1));
        lua_pop(L, 1);
    }
    lua_settop(L, 5);
    return 1;
}

static int l_monitor_fd(lua_State *L)
{
    lua_pushinteger(L, check_open(L)->own->fd);
    return 1;
}

/* Reading ------------------------------------------------------------------------------------ */

/* One datagram: 1, 0 where there is none, -errno. */
static int receive(struct l_monitor *m)
{
    ssize_t got;

    m->datagram.len = m->at = 0;
    if (bytes_reserve(&m->datagram, DATAGRAM) != 0)
        return -ENOMEM;
    do
        got = recv(m->own->fd, m->datagram.data, m->datagram.cap, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -errno;
    m->datagram.len = (size_t)got;
    return 1;
}

/* The noun that a message is about, if it is one of those watched (the list at `wanted`). */
static const struct noun *noun_of(lua_State *L, int wanted, const struct nlmsghdr *h)
{
    const struct noun *found = NULL;

    for (lua_Integer i = 1; !found && lua_rawgeti(L, wanted, i) != LUA_TNIL; i++) {
        const struct noun *noun = l_noun_by_name(lua_tostring(L, -1));

        lua_pop(L, 1);
        if ((h->nlmsg_type == noun->add || h->nlmsg_type == noun->del) &&
            h->nlmsg_len >= NLMSG_HDRLEN + (uint32_t)noun->schema->header &&
            (!noun->listed || noun->listed(h)) &&
            (noun->dump_family != AF_BRIDGE) == (*(const uint8_t *)nlmsg_data(h) != AF_BRIDGE))
            found = noun;
    }
    if (!found)
        lua_settop(L, lua_gettop(L) - 1); /* the nil */
    return found;
}

/* What events say of links' names is remembered in the table at `names`. */
static void note_name(lua_State *L, int names, const struct noun *noun, const struct nlmsghdr *h)
{
    struct nlattr *a = noun == &noun_link ? noun_attr(noun, h, IFLA_IFNAME) : NULL;

    if (!a)
        return;
    lua_pushlstring(L, nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a)));
    lua_rawseti(L, names, ((struct ifinfomsg *)nlmsg_data(h))->ifi_index);
}

/* { event = "new" | "del", kind = "link", data = { ... } } */
static void push_event(lua_State *L, struct l_monitor *m, const struct noun *noun,
                       struct nlmsghdr *h)
{
    struct l_decoder d;
    int event;

    lua_createtable(L, 0, 3);
    event = lua_gettop(L);
    lua_pushstring(L, h->nlmsg_type == noun->del ? "del" : "new");
    lua_setfield(L, event, "event");
    lua_pushstring(L, noun->name);
    lua_setfield(L, event, "kind");
    lua_getiuservalue(L, 1, 2);
    note_name(L, lua_gettop(L), noun, h);
    l_decoder_resume(&d, L, m->ns);
    l_decode(&d, noun, h);
    lua_setfield(L, event, "data");
    lua_settop(L, event);
}

/* The next message in the bytes from *at on, or NULL. */
static struct nlmsghdr *next_in(const struct bytes *b, size_t *at)
{
    struct nlmsghdr *h = (struct nlmsghdr *)(b->data + *at);

    if (*at >= b->len || !nlmsg_ok(h, (int)(b->len - *at)))
        return NULL;
    *at += NLMSG_ALIGN(h->nlmsg_len);
    return h;
}

/* The next message that is about a noun watched (the list at `wanted`), of one object, or NULL. */
static struct nlmsghdr *next_message(lua_State *L, struct l_monitor *m, int wanted,
                                     const struct noun **noun)
{
    struct nlmsghdr *h;

    for (;;) {
        h = next_in(&m->parts, &m->part_at);
        *noun = m->part_noun;
        if (h)
            return h;
        h = next_in(&m->datagram, &m->at);
        if (!h)
            return NULL;
        *noun = noun_of(L, wanted, h);
        if (*noun && !(*noun)->explode)
            return h;
        if (!*noun)
            continue;
        m->parts.len = m->part_at = 0;
        m->part_noun = *noun;
        if ((*noun)->explode(&m->parts, h) != 0)
            luaL_error(L, "not enough memory");
    }
}

/* monitor:read(): the next event that is there already, or nil. */
static int l_monitor_read(lua_State *L)
{
    struct l_monitor *m = check_open(L);
    int got;

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 3);
    for (;;) {
        const struct noun *noun;
        struct nlmsghdr *h = next_message(L, m, 2, &noun);

        if (h) {
            push_event(L, m, noun, h);
            return 1;
        }
        got = receive(m);
        if (got == 0)
            return 0;
        if (got == -ENOBUFS) {
            lua_createtable(L, 0, 2);
            lua_pushliteral(L, "overrun");
            lua_setfield(L, -2, "event");
            return 1;
        }
        if (got < 0)
            raise_errno(L, m, -got);
    }
}

static int l_monitor__tostring(lua_State *L)
{
    struct l_monitor *m = luaL_checkudata(L, 1, L_MONITOR);

    lua_pushfstring(L, "events of %s%s", m->ns->label, m->own ? "" : " (closed)");
    return 1;
}

void l_monitor_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", l_monitor_read}, {"fd", l_monitor_fd}, {"close", l_monitor_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_monitor_close},
                                    {"__close", l_monitor_close},
                                    {"__tostring", l_monitor__tostring},
                                    {NULL, NULL}};

    l_class(L, L_MONITOR, methods, meta);
    lua_pushcfunction(L, l_monitor_new);
    lua_setfield(L, -2, "monitor");
}
