/* SPDX-License-Identifier: MIT
 * add, replace, set and del, the same for every noun; and what links need besides. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

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

/* What the table at idx calls the link; NULL where it does not. */
static const char *link_name(struct l_op *op, int idx)
{
    const char *key = op->enc.verb == CODEC_SET && codec_field(op->L, idx, "dev") ? "dev" : "name";
    const char *name = NULL;

    if (!strcmp(key, "dev") || codec_field(op->L, idx, key)) {
        name = lua_type(op->L, -1) == LUA_TSTRING ? lua_tostring(op->L, -1) : NULL;
        lua_pop(op->L, 1); /* the table keeps it alive */
    }
    return name && strlen(name) < 16 ? name : NULL;
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
        err = l_wireguard_encode(op, idx, 0, link_name(op, idx), &wireguard);
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
        err = err ? err : follow_up(op, idx, v);
        if (!err && wireguard)
            err = l_wireguard_batch(op, birthplace(op, idx), wireguard);
        return err;
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
    if (n->noun->whole && strstr(v->name, "pend")) /* append, prepend */
        return l_misuse(L, "%s: a %s has no order; use add or replace", op.name, n->noun->name);
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

void l_verb_open(lua_State *L)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, l_noun_verb, 1);
        lua_setfield(L, -2, verbs[i].name);
    }
}
