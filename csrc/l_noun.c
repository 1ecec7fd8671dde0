/* SPDX-License-Identifier: MIT
 * netns.Noun: add, replace, set, del and get, the same for every rtnetlink noun. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
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

/* Verbs ------------------------------------------------------------------------------------- */

struct verb {
    const char *name;
    enum codec_verb kind;
    int flags;
};

static const struct verb verbs[] = {
    {"add", CODEC_ADD, NLM_F_CREATE | NLM_F_EXCL},
    {"replace", CODEC_ADD, NLM_F_CREATE | NLM_F_REPLACE},
    {"append", CODEC_ADD, NLM_F_CREATE | NLM_F_APPEND},
    {"prepend", CODEC_ADD, NLM_F_CREATE},
    {"set", CODEC_SET, NLM_F_REPLACE},
    {"change", CODEC_SET, NLM_F_REPLACE},
    {"del", CODEC_DEL, 0},
};

/* A link is one of a kind by its name: what exists is changed, without NLM_F_REPLACE. */
static int verb_flags(const struct noun *noun, const struct verb *v)
{
    return noun == &noun_link ? v->flags & ~NLM_F_REPLACE : v->flags;
}

static int send_one(struct l_op *op, int idx)
{
    struct rtnl_fault f;
    struct l_ns *target = op->enc.target ? op->enc.target : op->n->ns;
    struct rtnl *s = l_session_of(op->L, target, op->n->noun->protocol, &op->e);
    int err;

    if (!s)
        return op->e.code ? -op->e.code : -EINVAL;
    err = rtnl_ack(s, l_op_message(op), NULL, &f);
    if (err == -ESRCH && op->enc.verb == CODEC_ADD &&
        l_op_message(op)->nlmsg_type == XFRM_MSG_UPDSA &&
        op->n->noun == &noun_xfrm_state) { /* replace, and it is not there yet */
        l_op_message(op)->nlmsg_type = XFRM_MSG_NEWSA;
        err = rtnl_ack(s, l_op_message(op), NULL, &f);
    }
    return err == 0 ? 0 : l_op_fault(op, idx, &f);
}

/* Where the link that the table at idx describes is born. */
static struct l_ns *birthplace(struct l_op *op, int idx)
{
    struct l_ns *ns = NULL;

    if (codec_field(op->L, idx, "netns")) {
        ns = luaL_testudata(op->L, -1, L_NAMESPACE);
        lua_pop(op->L, 1);
    }
    return ns ? ns : op->n->ns;
}

/* The link was created, but not all of it: take it back. */
static void undo_link(struct l_op *op, int idx)
{
    struct nserr saved = op->e, e;
    struct rtnl *s = l_session(op->L, birthplace(op, idx), &e);
    struct rtnl_fault ignored;

    op->enc.target = NULL;
    op->enc.verb = CODEC_DEL;
    noun_message(&op->enc, op->n->noun, op->n->noun->del, 0);
    if (s && codec_field(op->L, idx, "name")) {
        codec_put_str(&op->enc.m, IFLA_IFNAME, lua_tostring(op->L, -1));
        rtnl_ack(s, l_op_message(op), NULL, &ignored);
        lua_pop(op->L, 1);
    }
    op->e = saved;
}

/* The messages behind the first. */
static int follow_up(struct l_op *op, int idx, const struct verb *v)
{
    const struct noun *noun = op->n->noun;
    int built, err = 0;

    if (v->kind != CODEC_ADD)
        return 0;
    for (int step = 1; !err && step <= noun->follow_steps; step++) {
        built = noun->follow(&op->enc, idx, step);
        err = built < 0 ? built : 0;
        if (built <= 0)
            continue;
        err = op->n->batch ? l_batch_take(op, op->enc.target, false) : send_one(op, idx);
    }
    return err;
}

static bool is_tun(lua_State *L, int idx)
{
    bool tun;

    if (!codec_field(L, idx, "type"))
        return false;
    tun = lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), "tun");
    lua_pop(L, 1);
    return tun;
}

static int add_tun(struct l_op *op, int idx)
{
    bool made = false;
    int err = l_tun_add(op, idx, &made);

    if (err && made)
        undo_link(op, idx);
    return err;
}

/* The number of the link that was added by the table at idx: 0 where it has no name; or -errno. */
static int added_index(struct l_op *op, int idx, struct l_ns *ns)
{
    struct rtnl_fault f;
    struct rtnl *s;
    int ifindex = 0;

    if (codec_field(op->L, idx, "index")) {
        ifindex = (int)lua_tointeger(op->L, -1);
        lua_pop(op->L, 1);
    } else if (codec_field(op->L, idx, "name")) {
        s = l_session(op->L, ns, &op->e);
        if (!s)
            return op->e.code ? -op->e.code : -EINVAL;
        ifindex = l_dev_index(s, lua_tostring(op->L, -1), &f);
        lua_pop(op->L, 1);
    }
    return ifindex < 0 ? l_op_fault(op, idx, &f) : ifindex;
}

static int add_wireguard(struct l_op *op, int idx, struct bytes *messages)
{
    struct l_ns *ns = birthplace(op, idx);
    int ifindex = added_index(op, idx, ns);

    return ifindex < 0 ? ifindex : l_wireguard_send(op, idx, ns, ifindex, messages);
}

/* Is there a link of that name? */
static bool is_there(struct l_op *op, int idx)
{
    struct rtnl_fault f;
    struct nserr e;
    struct rtnl *s = l_session(op->L, birthplace(op, idx), &e);
    bool there = false;

    if (s && codec_field(op->L, idx, "name")) {
        there =
            lua_type(op->L, -1) == LUA_TSTRING && l_dev_index(s, lua_tostring(op->L, -1), &f) > 0;
        lua_pop(op->L, 1);
    }
    return there;
}

static int run(struct l_op *op, int idx, const struct verb *v)
{
    const struct noun *noun = op->n->noun;
    struct bytes *wireguard = NULL;
    struct rtnl_fault f;
    bool old = false;
    int err;

    if (noun == &noun_link && v->kind == CODEC_SET && !op->n->batch)
        return l_link_change(op, idx, &f);
    if (noun == &noun_link && v->kind == CODEC_ADD && is_tun(op->L, idx))
        return add_tun(op, idx);
    if (noun == &noun_link && v->kind != CODEC_DEL) {
        err = l_wireguard_encode(op, idx, 0, NULL, &wireguard);
        if (!err && wireguard && op->n->batch)
            err = nserr_arg(&op->e, "%s: a batch takes no options of WireGuard: set them behind it",
                            op->name);
        if (err)
            return err;
    }
    err = l_op_encode(op, idx, v->kind == CODEC_DEL ? noun->del : noun->add, verb_flags(noun, v));
    if (err)
        return err;
    if (op->n->batch) {
        if (noun == &noun_xfrm_state && v->kind == CODEC_ADD && v->flags & NLM_F_REPLACE)
            return nserr_arg(&op->e, "%s: not in a batch: del, then add", op->name);
        err = l_batch_take(op, NULL, true);
        if (!err && noun == &noun_link)
            l_batch_note_link(op, idx);
        return err ? err : follow_up(op, idx, v);
    }
    if (noun == &noun_link && v->kind == CODEC_ADD && !(v->flags & NLM_F_EXCL))
        old = is_there(op, idx);
    err = send_one(op, idx);
    if (err)
        return err;
    err = follow_up(op, idx, v);
    if (!err && wireguard)
        err = add_wireguard(op, idx, wireguard);
    if (err && noun == &noun_link && !old)
        undo_link(op, idx);
    return err;
}

/* ns.link:add gives the Link. */
static int push_added_link(struct l_op *op, int idx)
{
    int ifindex;

    if (codec_field(op->L, idx, "netns"))
        return 0; /* it was born elsewhere */
    ifindex = added_index(op, idx, op->n->ns);
    if (ifindex < 0)
        return l_op_raise(op);
    lua_getiuservalue(op->L, 1, 1);
    l_link_push(op->L, lua_gettop(op->L), ifindex);
    return 1;
}

/* Messages name a namespace by its descriptor, and wait: the batch keeps those that the table at
 * idx names, itself or in its peer. */
static void keep_namespaces(lua_State *L, int idx)
{
    int top = lua_gettop(L);

    lua_getiuservalue(L, 1, 2); /* the batch */
    if (codec_field(L, idx, "netns"))
        l_batch_keep(L, top + 1);
    if (codec_field(L, idx, "peer") && lua_istable(L, -1) && codec_field(L, lua_gettop(L), "netns"))
        l_batch_keep(L, top + 1);
    lua_settop(L, top);
}

static int l_noun_verb(lua_State *L)
{
    const struct verb *v = &verbs[lua_tointeger(L, lua_upvalueindex(1))];
    struct l_noun *n = l_noun_check(L, 1);
    struct l_op op;
    int top;

    l_one_argument(L, n->noun, v->name);
    l_op_begin(&op, L, n, v->name, v->kind);
    if (n->batch)
        op.enc.dev_index = l_batch_dev_index;
    l_op_argument(L, 2, n->noun, op.name);
    top = lua_gettop(L);
    if (n->batch && n->noun == &noun_link)
        keep_namespaces(L, 2);
    if (n->noun->whole && v->kind == CODEC_SET)
        l_tc_merge(&op, 2);
    if (run(&op, 2, v) != 0)
        return l_op_raise(&op);
    lua_settop(L, top);
    if (n->noun == &noun_link && v->kind == CODEC_ADD && !n->batch)
        return push_added_link(&op, 2);
    return 0;
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
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, l_noun_verb, 1);
        lua_setfield(L, -2, verbs[i].name);
    }
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
