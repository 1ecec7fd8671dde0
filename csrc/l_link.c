/* SPDX-License-Identifier: MIT
 * netns.Link: one interface, by its number in its namespace. A property read asks the kernel. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "l_rtnl.h"

#define OPERSTATE_UP 6 /* IF_OPER_UP, RFC 2863 */

/* User values: 1 the Namespace, 2 nouns made so far. */
struct l_link {
    struct l_ns *ns;
    int ifindex;
};

static struct l_link *check_link(lua_State *L, int idx)
{
    struct l_link *link = luaL_checkudata(L, idx, L_LINK);

    if (link->ns->fd < 0)
        luaL_argerror(L, idx, "the link's namespace is closed");
    return link;
}

void l_link_push(lua_State *L, int ns_idx, int ifindex)
{
    struct l_link *link = l_object(L, sizeof(*link), L_LINK, 2);

    link->ns = luaL_checkudata(L, ns_idx, L_NAMESPACE);
    link->ifindex = ifindex;
    lua_pushvalue(L, ns_idx);
    lua_setiuservalue(L, -2, 1);
}

/* A noun of this link, as the l_noun that its operations take. */
static struct l_noun noun_of(const struct l_link *link)
{
    return (struct l_noun){.noun = &noun_link, .ns = link->ns, .ifindex = link->ifindex};
}

static int raise_fault(struct l_op *op, struct rtnl_fault *f)
{
    l_op_fault(op, 0, f);
    snprintf(op->e.object, sizeof(op->e.object), "index %d", op->n->ifindex);
    return l_op_raise(op);
}

/* Push the table of all that the kernel says now; only: the key that is wanted of it, or NULL. */
static void fetch(lua_State *L, struct l_link *link, const char *only)
{
    struct l_noun n = noun_of(link);
    struct bytes *reply = l_bytes(L);
    struct rtnl_fault f;
    struct l_decoder d;
    struct l_op op;

    l_op_begin(&op, L, &n, "get", CODEC_MATCH);
    if (l_dev_get(l_op_session(&op), link->ifindex, NULL, true, reply, &f) != 0)
        raise_fault(&op, &f);
    l_decoder_begin(&d, L, link->ns);
    d.dec.stats = true;
    d.only = only;
    l_decode(&d, &noun_link, (struct nlmsghdr *)reply->data);
}

/* link:get(): everything as one table. */
static int l_link_get(lua_State *L)
{
    fetch(L, check_link(L, 1), NULL);
    return 1;
}

/* link:set{...}: all or nothing. */
static int l_link_set(lua_State *L)
{
    struct l_link *link = check_link(L, 1);
    struct l_noun n = noun_of(link);
    struct rtnl_fault f;
    struct l_op op;

    luaL_checktype(L, 2, LUA_TTABLE);
    l_one_argument(L, &noun_link, "set");
    l_op_begin(&op, L, &n, "set", CODEC_SET);
    f.code = 0;
    if (l_link_change(&op, 2, &f) != 0) {
        if (f.code && !*op.e.object)
            snprintf(op.e.object, sizeof(op.e.object), "index %d", link->ifindex);
        return l_op_raise(&op);
    }
    lua_settop(L, 1);
    return 1;
}

static int l_link_del(lua_State *L)
{
    struct l_link *link = check_link(L, 1);
    struct l_noun n = noun_of(link);
    struct rtnl_fault f;
    struct l_op op;

    l_op_begin(&op, L, &n, "del", CODEC_DEL);
    noun_message(&op.enc, &noun_link, RTM_DELLINK, 0);
    ((struct ifinfomsg *)codec_header(&op.enc))->ifi_index = link->ifindex;
    if (rtnl_ack(l_op_session(&op), l_op_message(&op), NULL, &f) != 0)
        return raise_fault(&op, &f);
    return 0;
}

/* Add or delete alternative names: link:altname_add(name, ...), link:altname_del(name, ...). */
static int l_link_altname(lua_State *L)
{
    bool add = lua_toboolean(L, lua_upvalueindex(1));
    struct l_link *link = check_link(L, 1);
    struct l_noun n = noun_of(link);
    int count = lua_gettop(L);
    struct rtnl_fault f;
    struct l_op op;
    size_t mark, len;

    for (int i = 2; i <= count; i++) {
        const char *name = luaL_checklstring(L, i, &len);
        luaL_argcheck(L, len > 0 && len < 128 && strlen(name) == len, i,
                      "an alternative name has 1 to 127 bytes");
    }
    luaL_argcheck(L, count >= 2, 2, "an alternative name expected");
    l_op_begin(&op, L, &n, add ? "altname_add" : "altname_del", CODEC_SET);
    noun_message(&op.enc, &noun_link, add ? RTM_NEWLINKPROP : RTM_DELLINKPROP,
                 add ? NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND : 0);
    ((struct ifinfomsg *)codec_header(&op.enc))->ifi_index = link->ifindex;
    mark = codec_nest(&op.enc.m, IFLA_PROP_LIST | NLA_F_NESTED);
    for (int i = 2; i <= count; i++)
        codec_put_str(&op.enc.m, IFLA_ALT_IFNAME, lua_tostring(L, i));
    codec_nest_end(&op.enc.m, mark);
    if (rtnl_ack(l_op_session(&op), l_op_message(&op), NULL, &f) != 0)
        return raise_fault(&op, &f);
    return 0;
}

/* link:move(ns): the Link there. It keeps its name; its number may be another. */
static int l_link_move(lua_State *L)
{
    struct l_link *link = check_link(L, 1);
    struct l_ns *to = l_ns_check(L, 2);
    struct l_noun n = noun_of(link);
    struct rtnl_fault f;
    struct l_op op;
    struct rtnl *there;
    char name[16] = "";
    int index, err;

    lua_settop(L, 2);
    l_op_begin(&op, L, &n, "move", CODEC_SET);
    err = l_dev_name(l_op_session(&op), link->ifindex, name);
    if (err) {
        f = (struct rtnl_fault){.code = -err};
        return raise_fault(&op, &f);
    }
    noun_message(&op.enc, &noun_link, RTM_NEWLINK, 0);
    ((struct ifinfomsg *)codec_header(&op.enc))->ifi_index = link->ifindex;
    codec_put_u32(&op.enc.m, IFLA_NET_NS_FD, (uint32_t)to->fd);
    if (rtnl_ack(l_op_session(&op), l_op_message(&op), NULL, &f) != 0)
        return raise_fault(&op, &f);
    there = l_session(L, to, &op.e);
    index = there ? l_dev_index(there, name, &f) : -ENODEV;
    if (index < 0)
        return there ? raise_fault(&op, &f) : l_op_raise(&op);
    l_link_push(L, 2, index);
    return 1;
}

/* Is the link ready to send? The kernel attaches a link's queue in a work of its own some time
 * after the carrier came, and drops what is sent before; since 6.8 being asked for the link makes
 * it do that first, before 6.8 the operational state tells that it was done. */
static int is_ready(struct rtnl *s, int ifindex, struct bytes *reply, struct rtnl_fault *f)
{
    struct nlattr *a;
    int err = l_dev_get(s, ifindex, NULL, false, reply, f);

    if (err)
        return err;
    a = noun_attr(&noun_link, (struct nlmsghdr *)reply->data, IFLA_OPERSTATE);
    return !a || nla_len(a) < 1 || nla_get_u8(a) == OPERSTATE_UP || nla_get_u8(a) == 0;
}

static int raise_not_ready(lua_State *L, struct l_ns *ns, int ifindex, int code,
                           const struct rtnl_fault *f)
{
    struct nserr e;

    nserr_sys(&e, code, "settle", "index %d", ifindex);
    snprintf(e.kernel, sizeof(e.kernel), "%s",
             code == ETIMEDOUT ? "the link has no carrier" : f->text);
    nserr_context(&e, NULL, NULL, ns->label);
    return l_raise(L, &e);
}

/* core.settle(ns, { ifindex, ... }, seconds): until all these links can send. */
static int l_settle(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    double seconds = luaL_checknumber(L, 3);
    struct timespec now, end;
    struct bytes *reply;
    struct rtnl_fault f = {0};
    struct nserr e;
    struct rtnl *s;

    luaL_checktype(L, 2, LUA_TTABLE);
    reply = l_bytes(L);
    s = l_session(L, ns, &e);
    if (!s)
        return l_raise(L, &e);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)seconds + 1;
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TNUMBER; i++) {
        int ifindex = (int)lua_tointeger(L, -1), ready;

        while ((ready = is_ready(s, ifindex, reply, &f)) == 0) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            if (now.tv_sec >= end.tv_sec)
                return raise_not_ready(L, ns, ifindex, ETIMEDOUT, &f);
            sched_yield();
        }
        if (ready < 0)
            return raise_not_ready(L, ns, ifindex, f.code, &f);
        lua_pop(L, 1);
    }
    bytes_free(reply);
    return 0;
}

/* link.addr, link.route ...: the noun with `dev` filled in; made once. */
static int push_noun(lua_State *L, struct l_link *link, const struct noun *noun)
{
    if (lua_getiuservalue(L, 1, 2) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 2);
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    lua_getiuservalue(L, 1, 1);
    l_noun_push(L, noun, lua_gettop(L), 0, link->ifindex);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -6);
    return 1;
}

/* Methods (upvalue 1), nouns, core.link_properties (upvalue 2), then what the kernel says. */
static int l_link__index(lua_State *L)
{
    struct l_link *link = luaL_checkudata(L, 1, L_LINK);
    const struct noun *noun;
    const char *key;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING)
        return l_misuse(L, "a Link has no field %s", luaL_tolstring(L, 2, NULL));
    key = lua_tostring(L, 2);
    if (!strcmp(key, "ifindex") || !strcmp(key, "netns")) {
        lua_pushinteger(L, link->ifindex);
        if (*key == 'n')
            lua_getiuservalue(L, 1, 1);
        return 1;
    }
    noun = l_noun_by_name(key);
    if (noun && noun != &noun_link && codec_row_of(noun->schema, "dev"))
        return push_noun(L, link, noun);
    fetch(L, check_link(L, 1), key);
    lua_getfield(L, -1, key);
    return 1;
}

static int l_link__newindex(lua_State *L)
{
    return l_misuse(L, "a Link's properties are changed with link:set{ %s = ... }",
                    luaL_tolstring(L, 2, NULL));
}

static int l_link__eq(lua_State *L)
{
    struct l_link *a = luaL_testudata(L, 1, L_LINK), *b = luaL_testudata(L, 2, L_LINK);

    lua_pushboolean(L, a && b && a->ifindex == b->ifindex && a->ns->dev == b->ns->dev &&
                           a->ns->ino == b->ns->ino);
    return 1;
}

static int l_link__tostring(lua_State *L)
{
    struct l_link *link = luaL_checkudata(L, 1, L_LINK);
    char name[16];
    struct rtnl *s;
    struct nserr e;

    s = link->ns->fd >= 0 ? l_session(L, link->ns, &e) : NULL;
    if (!s || l_dev_name(s, link->ifindex, name) != 0)
        lua_pushfstring(L, "link %d in %s (gone)", link->ifindex, link->ns->label);
    else
        lua_pushfstring(L, "link %d %s in %s", link->ifindex, name, link->ns->label);
    return 1;
}

void l_link_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"get", l_link_get},
                                       {"set", l_link_set},
                                       {"del", l_link_del},
                                       {"move", l_link_move},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__newindex", l_link__newindex},
                                    {"__eq", l_link__eq},
                                    {"__tostring", l_link__tostring},
                                    {NULL, NULL}};

    lua_pushcfunction(L, l_settle);
    lua_setfield(L, -2, "settle");
    l_class(L, L_LINK, NULL, meta);
    luaL_getmetatable(L, L_LINK);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    for (int add = 0; add <= 1; add++) {
        lua_pushboolean(L, add);
        lua_pushcclosure(L, l_link_altname, 1);
        lua_setfield(L, -2, add ? "altname_add" : "altname_del");
    }
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -5, "Link");
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "link_properties");
    lua_pushcclosure(L, l_link__index, 2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
