/* SPDX-License-Identifier: MIT
 * netns.Noun: the class of all nouns, and get. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

static const struct noun *const nouns[] = {
    &noun_link,    &noun_addr,   &noun_route,      &noun_rule,       &noun_neigh,
    &noun_nexthop, &noun_fdb,    &noun_vlan,       &noun_mdb,        &noun_qdisc,
    &noun_class,   &noun_filter, &noun_xfrm_state, &noun_xfrm_policy};

const struct noun *l_noun_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
        if (!strcmp(nouns[i]->name, name))
            return nouns[i];
    return NULL;
}

/* get ---------------------------------------------------------------------------------------- */

static const char *link_name_argument(lua_State *L, int *index)
{
    const char *name;
    size_t len;

    if (lua_isinteger(L, 2)) {
        if (lua_tointeger(L, 2) <= 0 || lua_tointeger(L, 2) > INT32_MAX)
            luaL_argerror(L, 2, "an ifindex is a positive number");
        *index = (int)lua_tointeger(L, 2);
        return NULL;
    }
    luaL_argexpected(L, lua_type(L, 2) == LUA_TSTRING, 2, "the name or index of a link");
    name = lua_tolstring(L, 2, &len);
    if (len == 0 || len > 127 || strlen(name) != len)
        luaL_argerror(L, 2, "a link's name has 1 to 15 bytes (127 an alternative one)");
    return name;
}

static int get_link(lua_State *L, struct l_op *op)
{
    struct rtnl_fault f;
    int index = 0, err;
    const char *name = link_name_argument(L, &index);
    struct bytes *reply = l_bytes(L);

    err = l_dev_get(l_op_session(op), index, name, false, reply, &f);
    if (err == -ENODEV) {
        lua_pushnil(L);
        return 1;
    }
    if (err) {
        l_op_fault(op, 0, &f);
        return l_op_raise(op);
    }
    index = ((struct ifinfomsg *)nlmsg_data((struct nlmsghdr *)reply->data))->ifi_index;
    lua_getiuservalue(L, 1, 1);
    l_link_push(L, lua_gettop(L), index);
    return 1;
}

/* The kernel's decision for a destination. */
static int get_route(lua_State *L, struct l_op *op, struct l_noun *n)
{
    struct l_noun question = *n;
    struct l_decoder d;
    struct bytes *reply;
    struct rtnl_fault f;

    question.noun = &noun_route_get;
    op->n = &question;
    l_op_argument(L, 2, question.noun, op->name);
    reply = l_bytes(L);
    if (l_op_encode(op, 2, RTM_GETROUTE, 0) != 0)
        return l_op_raise(op);
    if (rtnl_get(l_op_session(op), l_op_message(op), reply, &f) != 0) {
        l_op_fault(op, 2, &f);
        return l_op_raise(op);
    }
    l_decoder_begin(&d, L, n->ns);
    l_decode(&d, n->noun, (struct nlmsghdr *)reply->data);
    return 1;
}

static int l_noun_get(lua_State *L)
{
    struct l_noun *n = l_noun_check(L, 1);
    struct l_op op;

    l_one_argument(L, n->noun, "get");
    if (n->batch)
        return l_misuse(L, "%s get: a batch only collects changes", n->noun->name);
    l_op_begin(&op, L, n, "get", CODEC_MATCH);
    if (n->noun == &noun_link)
        return get_link(L, &op);
    if (n->noun == &noun_route)
        return get_route(L, &op, n);
    l_op_argument(L, 2, n->noun, op.name);
    l_list(L, "get"); /* others: the first of those that match */
    lua_rawgeti(L, -1, 1);
    return 1;
}

/* The class ---------------------------------------------------------------------------------- */

struct l_noun *l_noun_check(lua_State *L, int idx)
{
    struct l_noun *n = luaL_checkudata(L, idx, L_NOUN);

    if (n->ns->fd < 0)
        luaL_argerror(L, idx, "the namespace is closed");
    if (n->batch && !l_batch_alive(n->batch))
        luaL_argerror(L, idx, "the batch is over");
    return n;
}

void l_one_argument(lua_State *L, const struct noun *noun, const char *verb)
{
    int given = lua_gettop(L) - 1;

    while (given > 1 && lua_isnil(L, given + 1))
        given--;
    if (given > 1)
        l_misuse(L, "%s %s: takes one argument, a table with all that is to be said, got %d",
                 noun->name, verb, given);
    lua_settop(L, 2);
}

void l_noun_push(lua_State *L, const struct noun *noun, int ns_idx, int batch_idx, int ifindex)
{
    struct l_noun *n = l_object(L, sizeof(*n), L_NOUN, 2);

    n->noun = noun;
    n->ns = luaL_checkudata(L, ns_idx, L_NAMESPACE);
    n->ifindex = ifindex;
    lua_pushvalue(L, ns_idx);
    lua_setiuservalue(L, -2, 1);
    if (batch_idx) {
        n->batch = luaL_checkudata(L, batch_idx, L_BATCH);
        lua_pushvalue(L, batch_idx);
        lua_setiuservalue(L, -2, 2);
    }
}

static int l_noun__tostring(lua_State *L)
{
    struct l_noun *n = luaL_checkudata(L, 1, L_NOUN);

    lua_pushfstring(L, "%s of %s", n->noun->name, n->ns->label);
    return 1;
}

static int l_noun__newindex(lua_State *L)
{
    struct l_noun *n = luaL_checkudata(L, 1, L_NOUN);

    return l_misuse(L, "%s has no field %s to assign to", n->noun->name,
                    luaL_tolstring(L, 2, NULL));
}

/* core.properties.NOUN(ns) */
static int l_noun_property(lua_State *L)
{
    const struct noun *noun = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkudata(L, 1, L_NAMESPACE);
    l_noun_push(L, noun, 1, 0, 0);
    return 1;
}

/* core.noun_info(noun): its name, its Namespace, the index of the link that it belongs to (or nil),
 * the Batch that it collects for (or nil). */
static int l_noun_info(lua_State *L)
{
    struct l_noun *n = luaL_checkudata(L, 1, L_NOUN);

    lua_pushstring(L, n->noun->name);
    lua_getiuservalue(L, 1, 1);
    if (n->ifindex)
        lua_pushinteger(L, n->ifindex);
    else
        lua_pushnil(L);
    lua_getiuservalue(L, 1, 2);
    return 4;
}

void l_noun_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__tostring", l_noun__tostring}, {"__newindex", l_noun__newindex}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"get", l_noun_get}, {NULL, NULL}};

    lua_pushcfunction(L, l_noun_info);
    lua_setfield(L, -2, "noun_info");
    l_op_open(L);
    l_decode_open(L);
    l_class(L, L_NOUN, methods, meta);
    luaL_getmetatable(L, L_NOUN);
    lua_getfield(L, -1, "__index");
    l_verb_open(L);
    l_list_open(L);
    lua_setfield(L, -3, "Noun");
    lua_pop(L, 1);
    lua_getfield(L, -1, "properties");
    for (size_t i = 0; i < ARRAY_LEN(nouns); i++) {
        lua_pushlightuserdata(L, (void *)nouns[i]);
        lua_pushcclosure(L, l_noun_property, 1);
        lua_setfield(L, -2, nouns[i]->name);
    }
    lua_pop(L, 1);
}
