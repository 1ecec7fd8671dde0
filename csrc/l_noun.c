/* SPDX-License-Identifier: MIT
 * netns.Noun: add, replace, set, del and get, the same for every rtnetlink noun. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

static const struct noun *const nouns[] = {&noun_link, &noun_addr,  &noun_route,
                                           &noun_rule, &noun_neigh, &noun_nexthop};

const struct noun *l_noun_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
        if (!strcmp(nouns[i]->name, name))
            return nouns[i];
    return NULL;
}

struct nlmsghdr *noun_message(struct codec_enc *enc, const struct noun *noun, int type, int flags)
{
    struct nlmsghdr *h;

    enc->m.len = 0;
    enc->m.overflow = false;
    h = codec_reserve(&enc->m, NLMSG_HDRLEN);
    codec_reserve(&enc->m, noun->schema->header);
    h->nlmsg_type = (uint16_t)type;
    h->nlmsg_flags = (uint16_t)flags;
    enc->header = NLMSG_HDRLEN;
    enc->level = enc->m.len;
    enc->family = AF_UNSPEC;
    enc->has_extra = false;
    return h;
}

struct nlattr *noun_attr(const struct noun *noun, const struct nlmsghdr *h, int type)
{
    return nlmsg_find_attr((struct nlmsghdr *)h, noun->schema->header, type);
}

/* Devices ----------------------------------------------------------------------------------- */

int l_dev_get(struct rtnl *s, int ifindex, const char *name, bool stats, struct bytes *reply,
              struct rtnl_fault *f)
{
    _Alignas(struct nlmsghdr) char buf[256];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    struct ifinfomsg *ifi = codec_reserve(&m, sizeof(*ifi));

    h->nlmsg_type = RTM_GETLINK;
    ifi->ifi_index = ifindex;
    if (name)
        codec_put_str(&m, strlen(name) < 16 ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
    if (!stats)
        codec_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    h->nlmsg_len = (uint32_t)m.len;
    return rtnl_get(s, h, reply, f);
}

int l_dev_index(struct rtnl *s, const char *name, struct rtnl_fault *f)
{
    cleanup_bytes struct bytes reply = {0};
    int err = l_dev_get(s, 0, name, false, &reply, f);

    if (err)
        return err;
    return ((struct ifinfomsg *)nlmsg_data((struct nlmsghdr *)reply.data))->ifi_index;
}

int l_dev_name(struct rtnl *s, int ifindex, char name[16])
{
    cleanup_bytes struct bytes reply = {0};
    struct rtnl_fault f;
    struct nlattr *a;
    int err = l_dev_get(s, ifindex, NULL, false, &reply, &f);

    if (err)
        return err;
    a = noun_attr(&noun_link, (struct nlmsghdr *)reply.data, IFLA_IFNAME);
    if (!a)
        return -ENODEV;
    snprintf(name, 16, "%.*s", nla_len(a), (char *)nla_data(a));
    return 0;
}

/* Operations -------------------------------------------------------------------------------- */

static const char scratch_key; /* its address names the message buffer in the registry */

static int op_dev_index(struct codec_enc *enc, const char *name)
{
    struct l_op *op = enc->arg;
    struct rtnl_fault f;
    int index = op->n->batch ? l_batch_dev(op, name, &f) : l_dev_index(op->s, name, &f);

    if (index < 0) {
        nserr_sys(enc->e, f.code, op->name, "%s", name);
        snprintf(enc->e->kernel, sizeof(enc->e->kernel), "no interface \"%.32s\"%s%.180s", name,
                 *f.text ? ": " : "", f.text);
        nserr_context(enc->e, NULL, NULL, op->n->ns->label);
    }
    return index;
}

static int op_link_kind(struct codec_enc *enc, int ifindex, const char *name, char kind[32])
{
    struct l_op *op = enc->arg;
    cleanup_bytes struct bytes reply = {0};
    struct rtnl_fault f;
    struct nlattr *info, *tb[IFLA_INFO_MAX + 1] = {0};
    int err = l_dev_get(op->s, ifindex ? ifindex : op->n->ifindex,
                        ifindex || op->n->ifindex ? NULL : name, false, &reply, &f);

    if (err)
        return l_op_fault(op, 0, &f);
    info = noun_attr(&noun_link, (struct nlmsghdr *)reply.data, IFLA_LINKINFO);
    if (info && nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) == 0 && tb[IFLA_INFO_KIND])
        snprintf(kind, 32, "%.*s", nla_len(tb[IFLA_INFO_KIND]),
                 (char *)nla_data(tb[IFLA_INFO_KIND]));
    return 0;
}

void l_op_begin(struct l_op *op, lua_State *L, const struct l_noun *n, const char *verb,
                enum codec_verb kind)
{
    memset(op, 0, sizeof(*op));
    op->L = L;
    op->n = n;
    snprintf(op->name, sizeof(op->name), "%s %s", n->noun->name, verb);
    luaL_checkstack(L, 40, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key);
    op->enc = (struct codec_enc){
        .L = L,
        .e = &op->e,
        .m = {.buf = lua_touserdata(L, -1), .cap = CODEC_MESSAGE_MAX},
        .op = op->name,
        .verb = kind,
        .dev_index = op_dev_index,
        .link_kind = op_link_kind,
        .arg = op,
        .noun = op->notes,
    };
    lua_pop(L, 1);
    op->s = l_session(L, n->ns, &op->e);
    if (!op->s)
        l_op_raise(op);
}

int l_op_raise(struct l_op *op)
{
    nserr_context(&op->e, op->name, NULL, op->n->ns->label);
    return l_raise(op->L, &op->e);
}

struct nlmsghdr *l_op_message(struct l_op *op)
{
    struct nlmsghdr *h = (struct nlmsghdr *)op->enc.m.buf;

    h->nlmsg_len = (uint32_t)op->enc.m.len;
    return h;
}

/* Fill in the device of a noun that belongs to a link. */
static int fill_dev(struct l_op *op, int idx)
{
    struct codec_enc *enc = &op->enc;
    const struct codec_row *row = codec_row_of(op->n->noun->schema, "dev");
    int64_t given;
    int err = 0;

    if (!op->n->ifindex || !row)
        return 0;
    if (codec_field(op->L, idx, "dev")) {
        if (lua_type(op->L, -1) == LUA_TNUMBER)
            given = lua_tointeger(op->L, -1);
        else
            given = lua_type(op->L, -1) == LUA_TSTRING
                        ? enc->dev_index(enc, lua_tostring(op->L, -1))
                        : 0;
        lua_pop(op->L, 1);
        if (given < 0)
            return (int)given;
        if (given != op->n->ifindex)
            err =
                nserr_arg(enc->e, "%s: dev is another link than the one this belongs to", op->name);
        return err;
    }
    if (row->flags & ROW_HDR)
        memcpy((char *)codec_header(enc) + row->attr, &op->n->ifindex, sizeof(int));
    else
        codec_put_u32(&enc->m, row->attr, (uint32_t)op->n->ifindex);
    return 0;
}

int l_op_encode(struct l_op *op, int idx, int type, int flags)
{
    const struct noun *noun = op->n->noun;
    struct codec_enc *enc = &op->enc;
    int err;

    noun_message(enc, noun, type, flags);
    err = fill_dev(op, idx);
    if (!err && noun->prepare)
        err = noun->prepare(enc, idx);
    if (!err)
        err = codec_encode(enc, idx, noun->schema);
    if (!err && noun->finish)
        err = noun->finish(enc, idx);
    if (!err && enc->m.overflow)
        err = nserr_arg(&op->e, "%s: too much for one netlink message (128 kB, 64 kB a nest)",
                        op->name);
    return err;
}

void l_describe(lua_State *L, int idx, const struct noun *noun, char *buf, size_t size)
{
    size_t len = 0;

    *buf = '\0';
    for (size_t i = 0; i < ARRAY_LEN(noun->ident) && noun->ident[i] && len < size; i++) {
        const char *key = noun->ident[i], *gap = len ? " " : "";
        if (!codec_field(L, idx, key))
            continue;
        if (lua_type(L, -1) == LUA_TSTRING)
            len += (size_t)snprintf(buf + len, size - len, "%s%s%s%s", gap, len ? key : "",
                                    len ? " " : "", lua_tostring(L, -1));
        else if (lua_isinteger(L, -1))
            len += (size_t)snprintf(buf + len, size - len, "%s%s %lld", gap, key,
                                    (long long)lua_tointeger(L, -1));
        lua_pop(L, 1);
    }
}

int l_op_fault(struct l_op *op, int idx, const struct rtnl_fault *f)
{
    const struct noun *noun = op->n->noun;
    const char *key = NULL;
    char object[160] = "";

    if (idx)
        l_describe(op->L, idx, noun, object, sizeof(object));
    nserr_sys(&op->e, f->code, op->name, "%s", object);
    if (*f->text)
        snprintf(op->e.kernel, sizeof(op->e.kernel), "%s", f->text);
    if (f->offset)
        key = codec_key_at(noun->schema, l_op_message(op), f->offset);
    if (f->missing)
        key = codec_key_of(noun->schema, (int)f->missing - 1);
    if (key)
        snprintf(op->e.attr, sizeof(op->e.attr), "%s", key);
    nserr_context(&op->e, NULL, NULL, op->n->ns->label);
    return -f->code;
}

void l_op_argument(lua_State *L, int idx, const struct noun *noun, const char *op)
{
    if (lua_istable(L, idx))
        return;
    if (noun->shorthand && lua_type(L, idx) == LUA_TSTRING) {
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, idx);
        lua_setfield(L, -2, noun->shorthand);
        lua_replace(L, idx);
        return;
    }
    if (noun->shorthand)
        l_misuse(L, "%s: expected a table or a string (the %s), got %s", op, noun->shorthand,
                 luaL_typename(L, idx));
    l_misuse(L, "%s: expected a table, got %s", op, luaL_typename(L, idx));
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
    struct rtnl *s = op->s;
    struct l_ns *target = op->enc.target;

    if (target && target != op->n->ns) {
        s = l_session(op->L, target, &op->e);
        if (!s)
            return -op->e.code;
    }
    return rtnl_ack(s, l_op_message(op), NULL, &f) == 0 ? 0 : l_op_fault(op, idx, &f);
}

/* The link was created, but not all of it: take it back. */
static void undo_link(struct l_op *op, int idx)
{
    struct nserr saved = op->e;
    struct rtnl_fault ignored;

    op->enc.target = NULL;
    op->enc.verb = CODEC_DEL;
    noun_message(&op->enc, op->n->noun, op->n->noun->del, 0);
    if (codec_field(op->L, idx, "name")) {
        codec_put_str(&op->enc.m, IFLA_IFNAME, lua_tostring(op->L, -1));
        rtnl_ack(op->s, l_op_message(op), NULL, &ignored);
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

static int run(struct l_op *op, int idx, const struct verb *v)
{
    const struct noun *noun = op->n->noun;
    int err =
        l_op_encode(op, idx, v->kind == CODEC_DEL ? noun->del : noun->add, verb_flags(noun, v));

    if (err)
        return err;
    if (op->n->batch) {
        err = l_batch_take(op, NULL, true);
        if (!err && noun == &noun_link)
            l_batch_note_link(op, idx);
        return err ? err : follow_up(op, idx, v);
    }
    err = send_one(op, idx);
    if (err)
        return err;
    err = follow_up(op, idx, v);
    if (err && noun == &noun_link)
        undo_link(op, idx);
    return err;
}

/* ns.link:add gives the Link. */
static int push_added_link(struct l_op *op, int idx)
{
    struct rtnl_fault f;
    int ifindex = 0;

    if (codec_field(op->L, idx, "netns"))
        return 0; /* it was born elsewhere */
    if (codec_field(op->L, idx, "index")) {
        ifindex = (int)lua_tointeger(op->L, -1);
        lua_pop(op->L, 1);
    } else if (codec_field(op->L, idx, "name")) {
        ifindex = l_dev_index(op->s, lua_tostring(op->L, -1), &f);
        lua_pop(op->L, 1);
        if (ifindex < 0) {
            l_op_fault(op, idx, &f);
            return l_op_raise(op);
        }
    }
    lua_getiuservalue(op->L, 1, 1);
    l_link_push(op->L, lua_gettop(op->L), ifindex);
    return 1;
}

/* What a batch sends to a peer's namespace waits: the batch keeps that namespace alive. */
static void keep_peer_netns(lua_State *L, int idx)
{
    if (!codec_field(L, idx, "peer"))
        return;
    if (lua_istable(L, -1) && codec_field(L, lua_gettop(L), "netns")) {
        lua_getiuservalue(L, 1, 2);  /* the batch */
        lua_getiuservalue(L, -1, 2); /* what it keeps */
        lua_pushvalue(L, -3);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
}

static int l_noun_verb(lua_State *L)
{
    const struct verb *v = &verbs[lua_tointeger(L, lua_upvalueindex(1))];
    struct l_noun *n = l_noun_check(L, 1);
    struct l_op op;
    int top;

    lua_settop(L, 2);
    l_op_begin(&op, L, n, v->name, v->kind);
    l_op_argument(L, 2, n->noun, op.name);
    top = lua_gettop(L);
    if (n->batch && n->noun == &noun_link)
        keep_peer_netns(L, 2);
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

    err = l_dev_get(op->s, index, name, false, reply, &f);
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
    if (rtnl_get(op->s, l_op_message(op), reply, &f) != 0) {
        l_op_fault(op, 2, &f);
        return l_op_raise(op);
    }
    l_decoder_begin(&d, L, op->s);
    l_decode(&d, n->noun, (struct nlmsghdr *)reply->data);
    return 1;
}

static int l_noun_get(lua_State *L)
{
    struct l_noun *n = l_noun_check(L, 1);
    struct l_op op;

    lua_settop(L, 2);
    if (n->batch)
        return l_misuse(L, "%s get: a batch only collects changes", n->noun->name);
    l_op_begin(&op, L, n, "get", CODEC_MATCH);
    if (n->noun == &noun_link)
        return get_link(L, &op);
    if (n->noun == &noun_route)
        return get_route(L, &op, n);
    l_op_argument(L, 2, n->noun, op.name);
    lua_getfield(L, 1, "list"); /* others: the first of those that match */
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
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

/* core.properties.NOUN(ns) */
static int l_noun_property(lua_State *L)
{
    const struct noun *noun = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkudata(L, 1, L_NAMESPACE);
    l_noun_push(L, noun, 1, 0, 0);
    return 1;
}

void l_noun_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", l_noun__tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"get", l_noun_get}, {NULL, NULL}};

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TNIL) {
        lua_newuserdatauv(L, CODEC_MESSAGE_MAX, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
    }
    lua_pop(L, 1);
    codec_open(L);
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
