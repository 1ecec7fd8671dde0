/* SPDX-License-Identifier: MIT
 * WireGuard's options of a link, and its keys.
 *
 * Theory of operation: a link is made by rtnetlink, its keys and peers are set and told by generic
 * netlink. All requests are encoded, and so checked, before the first is sent; a list of peers of
 * any length goes in as many of them as it takes (PIECE), a peer's allowed addresses too. Each
 * has room for the link's number, which is known only when it is there. */
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_wireguard.h"
#include "l_rtnl.h"
#include "wireguard.h"

#define PIECE (24 * 1024)

/* Requests ---------------------------------------------------------------------------------- */

struct pieces {
    struct codec_enc *enc;
    struct bytes *out;
    size_t peers, peer, allowed; /* where the open nests begin, 0: not open */
    uint8_t key[WG_KEY_LEN];     /* of the peer at work */
    const char *name;            /* of the link, where its number is not to be filled in */
};

static void open_peers(struct pieces *p)
{
    p->peers = codec_nest(&p->enc->m, WGDEVICE_A_PEERS | NLA_F_NESTED);
}

static void begin_piece(struct pieces *p)
{
    struct codec_enc *enc = p->enc;

    enc->m.len = 0;
    enc->m.overflow = false;
    codec_reserve(&enc->m, NLMSG_HDRLEN);
    ((struct genlmsghdr *)codec_reserve(&enc->m, GENL_HDRLEN))->cmd = WG_CMD_SET_DEVICE;
    ((struct genlmsghdr *)(enc->m.buf + NLMSG_HDRLEN))->version = WG_GENL_VERSION;
    enc->header = NLMSG_HDRLEN;
    enc->level = enc->m.len;
    if (p->name)
        codec_put_str(&enc->m, WGDEVICE_A_IFNAME, p->name);
    else
        codec_put_u32(&enc->m, WGDEVICE_A_IFINDEX, 0); /* filled in when it is sent */
    p->peers = p->peer = p->allowed = 0;
}

static void close_nest(struct pieces *p, size_t *mark)
{
    if (*mark)
        codec_nest_end(&p->enc->m, *mark);
    *mark = 0;
}

static int end_piece(struct pieces *p)
{
    struct codec_enc *enc = p->enc;
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;

    close_nest(p, &p->allowed);
    close_nest(p, &p->peer);
    close_nest(p, &p->peers);
    if (enc->m.overflow)
        return nserr_arg(enc->e, "%s: too much for one netlink message", enc->op);
    h->nlmsg_len = (uint32_t)enc->m.len;
    return bytes_append(p->out, h, enc->m.len) == 0 ? 0 : nserr_sys(enc->e, ENOMEM, enc->op, NULL);
}

/* Is the piece full? Then the next one begins with the peer's key, if a peer is at work. */
static int next_piece(struct pieces *p)
{
    bool peer = p->peer, allowed = p->allowed;
    int err;

    if (p->enc->m.len < PIECE)
        return 0;
    err = end_piece(p);
    if (err)
        return err;
    begin_piece(p);
    open_peers(p);
    if (peer) {
        p->peer = codec_nest(&p->enc->m, NLA_F_NESTED);
        codec_put(&p->enc->m, WGPEER_A_PUBLIC_KEY, p->key, sizeof(p->key));
    }
    if (allowed)
        p->allowed = codec_nest(&p->enc->m, WGPEER_A_ALLOWEDIPS | NLA_F_NESTED);
    return 0;
}

/* The prefix, or list of them, at the top. Given, they replace what the peer has. */
static int encode_allowed(struct pieces *p, bool said)
{
    struct codec_enc *enc = p->enc;
    lua_State *L = enc->L;
    struct nlattr *flags = codec_find(&enc->m, p->peer + NLA_HDRLEN, WGPEER_A_FLAGS);
    uint32_t *value = flags ? nla_data(flags) : NULL;
    bool one = lua_type(L, -1) == LUA_TSTRING;
    size_t n = one ? 1 : lua_rawlen(L, -1);
    int err = 0;

    if (!one && lua_type(L, -1) != LUA_TTABLE)
        return codec_bad(enc, "allowed_ips", "a list of prefixes such as \"10.0.0.0/24\"");
    if (!value)
        value = codec_put(&enc->m, WGPEER_A_FLAGS, NULL, sizeof(*value));
    if (value && !said)
        *value |= WGPEER_F_REPLACE_ALLOWEDIPS;
    p->allowed = codec_nest(&enc->m, WGPEER_A_ALLOWEDIPS | NLA_F_NESTED);
    for (size_t i = 1; !err && i <= n; i++) {
        if (one)
            lua_pushvalue(L, -1);
        else
            lua_rawgeti(L, -1, (lua_Integer)i);
        err = next_piece(p);
        if (!err)
            err = wireguard_put_allowed(enc);
        lua_pop(L, 1);
    }
    close_nest(p, &p->allowed);
    return err;
}

/* The peer at the top. */
static int encode_peer(struct pieces *p, int number)
{
    struct codec_enc *enc = p->enc;
    lua_State *L = enc->L;
    enum codec_verb verb = enc->verb;
    int idx = lua_gettop(L), err;
    size_t level = enc->level, path;
    struct nlattr *key;
    bool said;

    if (lua_type(L, -1) != LUA_TTABLE)
        return nserr_arg(enc->e, "%s: peers[%d] must be a table such as { public_key = ... }",
                         enc->op, number);
    path = codec_path(enc, "peers", number);
    p->peer = codec_nest(&enc->m, NLA_F_NESTED);
    enc->level = enc->m.len;
    enc->verb = CODEC_ADD; /* what is listed can be given back */
    err = codec_encode(enc, idx, &wireguard_peer_schema);
    enc->verb = verb;
    key = codec_find(&enc->m, enc->level, WGPEER_A_PUBLIC_KEY);
    if (!err && !key)
        err = nserr_arg(enc->e, "%s: %spublic_key is missing", enc->op, enc->path);
    if (!err) {
        memcpy(p->key, nla_data(key), sizeof(p->key));
        said = codec_field(L, idx, "replace_allowed_ips");
        if (codec_field(L, idx, "allowed_ips"))
            err = encode_allowed(p, said);
    }
    enc->level = level;
    close_nest(p, &p->peer);
    codec_path_end(enc, path);
    return err;
}

static int encode_peers(struct pieces *p, int idx)
{
    lua_State *L = p->enc->L;
    int top = lua_gettop(L), list, err = 0;

    if (!codec_field(L, idx, "peers"))
        return 0;
    list = lua_gettop(L);
    if (lua_type(L, list) != LUA_TTABLE)
        return codec_bad(p->enc, "peers", "a list of tables such as { public_key = ... }");
    open_peers(p);
    for (int i = 1, n = (int)lua_rawlen(L, list); !err && i <= n; i++) {
        lua_rawgeti(L, list, i);
        err = next_piece(p);
        if (!err)
            err = encode_peer(p, i);
        lua_settop(L, err ? lua_gettop(L) : list);
    }
    if (!err)
        lua_settop(L, top);
    return err;
}

/* Peers that are not given go. */
static void replace_peers(struct codec_enc *enc)
{
    struct nlattr *flags = codec_find(&enc->m, enc->level, WGDEVICE_A_FLAGS);
    uint32_t *value =
        flags ? nla_data(flags) : codec_put(&enc->m, WGDEVICE_A_FLAGS, NULL, sizeof(*value));

    if (value)
        *value |= WGDEVICE_F_REPLACE_PEERS;
}

bool l_wireguard_knows(const char *key)
{
    return codec_row_of(&wireguard_schema, key) != NULL;
}

/* Has the table a key that is a WireGuard device's, and not every link's? */
static bool has_options(lua_State *L, int idx)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";

        if (l_wireguard_knows(key) && !codec_row_of(noun_link.schema, key)) {
            lua_pop(L, 2);
            return true;
        }
    }
    return false;
}

static bool is_wireguard(struct l_op *op, int idx, int ifindex, const char *name)
{
    char kind[32] = "";
    struct nserr e = op->e;

    if (codec_field(op->L, idx, "type")) {
        snprintf(kind, sizeof(kind), "%s",
                 lua_type(op->L, -1) == LUA_TSTRING ? lua_tostring(op->L, -1) : "");
        lua_pop(op->L, 1);
    } else if (op->enc.verb == CODEC_SET) {
        op->enc.link_kind(&op->enc, ifindex, name, kind, NULL); /* if it is not there: told later */
        op->e = e;
    }
    return !strcmp(kind, "wireguard");
}

int l_wireguard_encode(struct l_op *op, int idx, int ifindex, const char *name, struct bytes **out)
{
    struct pieces p = {.enc = &op->enc};
    int err;

    *out = NULL;
    if (!has_options(op->L, idx) || !is_wireguard(op, idx, ifindex, name))
        return 0;
    luaL_checkstack(op->L, 20, NULL);
    p.out = *out = l_bytes(op->L);
    if (op->n->batch && !name)
        return nserr_arg(&op->e, "%s: in a batch, name says which link gets WireGuard's options",
                         op->name);
    p.name = op->n->batch ? name : NULL;
    begin_piece(&p);
    err = codec_encode_known(&op->enc, idx, &wireguard_schema);
    if (!err && !strcmp(op->name, "link replace"))
        replace_peers(&op->enc);
    if (!err)
        err = encode_peers(&p, idx);
    explicit_bzero(p.key, sizeof(p.key));
    return err ? err : end_piece(&p);
}

/* What generic netlink said, as op->e. */
static int fault(struct l_op *op, int idx, const struct nlmsghdr *h, const struct rtnl_fault *f)
{
    const char *key = NULL;
    char object[160] = "";

    if (h)
        key = l_wireguard_describe(h, f, object, sizeof(object));
    if (idx)
        l_describe(op->L, idx, op->n->noun, object, sizeof(object));
    nserr_sys(&op->e, f->code, op->name, "%s", object);
    snprintf(op->e.kernel, sizeof(op->e.kernel), "%s", f->text);
    snprintf(op->e.attr, sizeof(op->e.attr), "%s", key ? key : "");
    nserr_context(&op->e, NULL, NULL, op->n->ns->label);
    return -f->code;
}

int l_wireguard_send(struct l_op *op, int idx, struct l_ns *ns, int ifindex, struct bytes *messages)
{
    struct rtnl *s = l_session_of(op->L, ns, NETLINK_GENERIC, &op->e);
    int left = (int)messages->len, family, err = 0;
    struct rtnl_fault f;

    if (!s)
        return op->e.code ? -op->e.code : -EINVAL;
    family = wireguard_family(s, &f);
    if (family < 0)
        return fault(op, idx, NULL, &f);
    for (struct nlmsghdr *h = (struct nlmsghdr *)messages->data; !err && nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        struct nlattr *index = nlmsg_attrdata(h, GENL_HDRLEN);

        h->nlmsg_type = (uint16_t)family;
        memcpy(nla_data(index), &ifindex, sizeof(ifindex));
        if (rtnl_ack(s, h, NULL, &f) != 0)
            err = fault(op, idx, h, &f);
    }
    explicit_bzero(messages->data, messages->len);
    bytes_free(messages);
    return err;
}

int l_wireguard_batch(struct l_op *op, struct l_ns *ns, struct bytes *messages)
{
    struct rtnl *s = l_session_of(op->L, ns, NETLINK_GENERIC, &op->e);
    int left = (int)messages->len, family, err = 0;
    struct rtnl_fault f;

    if (!s)
        return op->e.code ? -op->e.code : -EINVAL;
    family = wireguard_family(s, &f);
    if (family < 0)
        return fault(op, 0, NULL, &f);
    for (struct nlmsghdr *h = (struct nlmsghdr *)messages->data; !err && nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        h->nlmsg_type = (uint16_t)family;
        err = l_batch_append(op, ns, NETLINK_GENERIC, h, false);
    }
    bytes_free(messages);
    return err;
}

const char *l_wireguard_describe(const struct nlmsghdr *h, const struct rtnl_fault *f, char *object,
                                 size_t size)
{
    struct nlattr *name = nlmsg_find_attr((struct nlmsghdr *)h, GENL_HDRLEN, WGDEVICE_A_IFNAME);

    if (name)
        snprintf(object, size, "%.*s", nla_len(name), (const char *)nla_data(name));
    if (f->offset < NLMSG_HDRLEN + GENL_HDRLEN || f->offset >= h->nlmsg_len)
        return NULL;
    return codec_key_within(&wireguard_schema, nlmsg_attrdata(h, GENL_HDRLEN),
                            nlmsg_attrlen(h, GENL_HDRLEN), (const char *)h + f->offset);
}

/* Listing ----------------------------------------------------------------------------------- */

/* A peer's attributes; where a message goes on with the peer at which the one before ended, only
 * its further addresses. The list of peers is at `list`. */
static void decode_peer(struct l_decoder *d, int list, struct nlattr *peer,
                        uint8_t last[WG_KEY_LEN])
{
    lua_State *L = d->dec.L;
    struct nlattr *tb[WGPEER_A_MAX + 1] = {0}, *a;
    lua_Integer count = (lua_Integer)lua_rawlen(L, list), n;
    int left;

    if (nla_parse_nested(tb, WGPEER_A_MAX, peer, NULL) != 0 || !tb[WGPEER_A_PUBLIC_KEY] ||
        nla_len(tb[WGPEER_A_PUBLIC_KEY]) != WG_KEY_LEN)
        return;
    if (count && !memcmp(last, nla_data(tb[WGPEER_A_PUBLIC_KEY]), WG_KEY_LEN)) {
        lua_rawgeti(L, list, count);
    } else {
        lua_createtable(L, 0, 6);
        codec_decode_attrs(&d->dec, &wireguard_peer_schema, nla_data(peer), nla_len(peer));
        lua_newtable(L);
        lua_setfield(L, -2, "allowed_ips");
        lua_pushvalue(L, -1);
        lua_rawseti(L, list, count + 1);
        memcpy(last, nla_data(tb[WGPEER_A_PUBLIC_KEY]), WG_KEY_LEN);
    }
    lua_getfield(L, -1, "allowed_ips");
    n = (lua_Integer)lua_rawlen(L, -1);
    if (tb[WGPEER_A_ALLOWEDIPS])
        nla_for_each_nested(a, tb[WGPEER_A_ALLOWEDIPS], left)
        {
            if (wireguard_push_allowed(L, a))
                lua_rawseti(L, -2, ++n);
        }
    lua_pop(L, 2);
}

static void decode_device(struct l_decoder *d, int row, int list, struct nlmsghdr *h,
                          uint8_t last[WG_KEY_LEN])
{
    struct nlattr *attrs = nlmsg_attrdata(h, GENL_HDRLEN), *peers, *peer;
    int len = nlmsg_attrlen(h, GENL_HDRLEN), left;

    lua_pushvalue(d->dec.L, row);
    codec_decode_attrs(&d->dec, &wireguard_schema, attrs, len);
    lua_pop(d->dec.L, 1);
    peers = nla_find(attrs, len, WGDEVICE_A_PEERS);
    if (peers)
        nla_for_each_nested(peer, peers, left) decode_peer(d, list, peer, last);
}

void l_wireguard_decode(struct l_decoder *d, int ifindex)
{
    lua_State *L = d->dec.L;
    int row = lua_gettop(L), left;
    uint8_t last[WG_KEY_LEN];
    struct rtnl_fault f;
    struct bytes *reply;
    struct rtnl *s;
    struct nserr e;

    luaL_checkstack(L, 20, NULL);
    reply = l_bytes(L);
    s = l_session_of(L, d->ns, NETLINK_GENERIC, &e);
    if (!s)
        l_raise(L, &e);
    if (wireguard_get(s, ifindex, reply, &f) != 0) {
        /* gone by now, or told only to who may change it */
        if (f.code != ENODEV && f.code != EPERM && f.code != ENOENT && f.code != EOPNOTSUPP) {
            nserr_sys(&e, f.code, "wireguard get", "index %d", ifindex);
            nserr_context(&e, NULL, NULL, d->ns->label);
            l_raise(L, &e);
        }
        lua_settop(L, row);
        return;
    }
    lua_newtable(L);
    left = (int)reply->len;
    for (struct nlmsghdr *h = (struct nlmsghdr *)reply->data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left))
        if (h->nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN)
            decode_device(d, row, row + 2, h, last);
    explicit_bzero(reply->data, reply->len);
    bytes_free(reply);
    lua_setfield(L, row, "peers");
    lua_settop(L, row);
}

/* Keys -------------------------------------------------------------------------------------- */

static int push_key(lua_State *L, uint8_t key[WG_KEY_LEN])
{
    char text[WIREGUARD_TEXT_LEN + 1];

    wireguard_to_text(key, text);
    explicit_bzero(key, WG_KEY_LEN);
    lua_pushstring(L, text);
    explicit_bzero(text, sizeof(text));
    return 1;
}

/* Upvalue: true for a private key, false for a preshared one. */
static int l_wireguard_random(lua_State *L)
{
    uint8_t key[WG_KEY_LEN];
    struct nserr e;

    if (wireguard_random(key, lua_toboolean(L, lua_upvalueindex(1)), &e) != 0)
        return l_raise(L, &e);
    return push_key(L, key);
}

static int l_wireguard_pubkey(lua_State *L)
{
    uint8_t private_key[WG_KEY_LEN], public_key[WG_KEY_LEN];
    const char *text;
    struct nserr e;
    int err;

    luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING, 1, "a private key in base64");
    text = lua_tostring(L, 1);
    if (!wireguard_from_text(text, private_key))
        return luaL_argerror(L, 1, "a key of 32 bytes in base64 expected");
    err = wireguard_public(private_key, public_key, &e);
    explicit_bzero(private_key, sizeof(private_key));
    return err ? l_raise(L, &e) : push_key(L, public_key);
}

void l_wireguard_open(lua_State *L)
{
    lua_createtable(L, 0, 3);
    for (int clamp = 0; clamp <= 1; clamp++) {
        lua_pushboolean(L, clamp);
        lua_pushcclosure(L, l_wireguard_random, 1);
        lua_setfield(L, -2, clamp ? "genkey" : "genpsk");
    }
    lua_pushcfunction(L, l_wireguard_pubkey);
    lua_setfield(L, -2, "pubkey");
    lua_setfield(L, -2, "wireguard");
}
