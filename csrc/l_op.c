/* SPDX-License-Identifier: MIT
 * A running operation on an rtnetlink noun: its message, its devices, its errors. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

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

int noun_part(struct bytes *out, const struct nlmsghdr *h, size_t header, const struct nlattr *a,
              const struct codec_msg *more)
{
    static const char padding[NLMSG_ALIGNTO];
    size_t start = out->len, fixed = NLMSG_HDRLEN + NLMSG_ALIGN(header);
    const void *body = a ? (const void *)a : more->buf;
    size_t len = a ? a->nla_len : more->len;
    int err = bytes_append(out, h, fixed);

    if (!err)
        err = bytes_append(out, body, len);
    if (!err)
        err = bytes_append(out, padding, NLMSG_ALIGN(len) - len);
    if (!err)
        ((struct nlmsghdr *)(out->data + start))->nlmsg_len = (uint32_t)(out->len - start);
    return err;
}

/* Devices ----------------------------------------------------------------------------------- */

int l_dev_get(struct rtnl *s, int ifindex, const char *name, bool stats, struct bytes *reply,
              struct rtnl_fault *f)
{
    _Alignas(struct nlmsghdr) char buf[256];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    struct ifinfomsg *ifi = codec_reserve(&m, sizeof(*ifi));
    int err;

    h->nlmsg_type = RTM_GETLINK;
    ifi->ifi_index = ifindex;
    if (name)
        codec_put_str(&m, strlen(name) < 16 ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
    if (!stats)
        codec_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    h->nlmsg_len = (uint32_t)m.len;
    err = rtnl_get(s, h, reply, f);
    h = (struct nlmsghdr *)reply->data;
    if (!err && (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)))) {
        *f = (struct rtnl_fault){.code = EPROTO};
        return -EPROTO;
    }
    return err;
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

void l_op_open(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TNIL) {
        lua_newuserdatauv(L, CODEC_MESSAGE_MAX, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
    }
    lua_pop(L, 1);
}

static int op_dev_index(struct codec_enc *enc, const char *name)
{
    struct l_op *op = enc->arg;
    struct rtnl_fault f;
    int index = l_dev_index(l_op_session(op), name, &f);

    return index > 0 ? index : l_op_no_dev(op, name, &f);
}

int l_op_no_dev(struct l_op *op, const char *name, const struct rtnl_fault *f)
{
    nserr_sys(&op->e, f->code, op->name, "%s", name);
    snprintf(op->e.kernel, sizeof(op->e.kernel), "no interface \"%.32s\"%s%.180s", name,
             *f->text ? ": " : "", f->text);
    nserr_context(&op->e, NULL, NULL, op->n->ns->label);
    return -f->code;
}

static int op_link_kind(struct codec_enc *enc, int ifindex, const char *name, char kind[32],
                        struct codec_msg *data)
{
    struct l_op *op = enc->arg;
    cleanup_bytes struct bytes reply = {0};
    struct rtnl_fault f;
    struct nlattr *info, *tb[IFLA_INFO_MAX + 1] = {0};
    void *at;
    int err = l_dev_get(l_op_session(op), ifindex ? ifindex : op->n->ifindex,
                        ifindex || op->n->ifindex ? NULL : name, false, &reply, &f);

    if (err)
        return l_op_fault(op, 0, &f);
    info = noun_attr(&noun_link, (struct nlmsghdr *)reply.data, IFLA_LINKINFO);
    if (info && nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) == 0 && tb[IFLA_INFO_KIND])
        snprintf(kind, 32, "%.*s", nla_len(tb[IFLA_INFO_KIND]),
                 (char *)nla_data(tb[IFLA_INFO_KIND]));
    if (!data || !tb[IFLA_INFO_DATA])
        return 0;
    at = codec_reserve(data, (size_t)nla_len(tb[IFLA_INFO_DATA]));
    if (at)
        memcpy(at, nla_data(tb[IFLA_INFO_DATA]), (size_t)nla_len(tb[IFLA_INFO_DATA]));
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
    l_op_session(op);
}

struct rtnl *l_op_session(struct l_op *op)
{
    struct rtnl *s = l_session(op->L, op->n->ns, &op->e);

    if (!s)
        l_op_raise(op);
    return s;
}

struct rtnl *l_op_wire(struct l_op *op)
{
    struct rtnl *s = l_session_of(op->L, op->n->ns, op->n->noun->protocol, &op->e);

    if (!s)
        l_op_raise(op);
    return s;
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

/* The table at idx, in its place a copy with the aliases spelled out. */
static void spell_out(lua_State *L, int idx, const struct noun_alias *aliases, const char *op)
{
    int copy = 0;

    for (const struct noun_alias *alias = aliases; alias->key; alias++) {
        lua_pushstring(L, alias->key);
        if (lua_rawget(L, copy ? copy : idx) == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        if (lua_type(L, -1) != LUA_TBOOLEAN)
            l_misuse(L, "%s: %s must be true or false", op, alias->key);
        if (!copy) {
            lua_newtable(L);
            for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
                lua_pushvalue(L, -2);
                lua_pushvalue(L, -2);
                lua_rawset(L, -5);
            }
            lua_insert(L, -2);
            copy = lua_gettop(L) - 1;
        }
        if (lua_toboolean(L, -1)) {
            if (lua_getfield(L, copy, alias->name) != LUA_TNIL &&
                !(lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), alias->value)))
                l_misuse(L, "%s: %s = true says %s = \"%s\", but %s is \"%s\"", op, alias->key,
                         alias->name, alias->value, alias->name, luaL_tolstring(L, -1, NULL));
            lua_pop(L, 1);
            lua_pushstring(L, alias->value);
            lua_setfield(L, copy, alias->name);
        }
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_setfield(L, copy, alias->key);
    }
    if (copy)
        lua_replace(L, idx);
}

void l_op_argument(lua_State *L, int idx, const struct noun *noun, const char *op)
{
    if (lua_istable(L, idx)) {
        if (noun->aliases)
            spell_out(L, idx, noun->aliases, op);
        return;
    }
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
