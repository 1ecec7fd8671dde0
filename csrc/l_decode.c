/* SPDX-License-Identifier: MIT
 * Messages to tables: bytes owned by a userdata, and a decoder that knows the names of devices. */
#include <linux/rtnetlink.h>
#include <string.h>

#include "l_rtnl.h"

static int l_bytes__gc(lua_State *L)
{
    bytes_free(luaL_checkudata(L, 1, L_BYTES));
    return 0;
}

struct bytes *l_bytes(lua_State *L)
{
    return l_object(L, sizeof(struct bytes), L_BYTES, 0);
}

static struct rtnl *session_of(struct l_decoder *d)
{
    struct nserr e;
    struct rtnl *s = l_session(d->dec.L, d->ns, &e);

    if (!s)
        l_raise(d->dec.L, &e);
    return s;
}

/* Remember all names at once: cheaper than asking one by one when there are many. */
static void learn_all_names(struct l_decoder *d)
{
    lua_State *L = d->dec.L;
    _Alignas(struct nlmsghdr) char buf[64];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    struct bytes *all = l_bytes(L);
    struct rtnl_fault f;
    int left;

    h->nlmsg_type = RTM_GETLINK;
    codec_reserve(&m, sizeof(struct ifinfomsg));
    codec_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    h->nlmsg_len = (uint32_t)m.len;
    if (rtnl_dump(session_of(d), h, all, &f) != 0)
        all->len = 0;
    left = (int)all->len;
    for (h = (struct nlmsghdr *)all->data; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
        struct nlattr *a =
            h->nlmsg_type == RTM_NEWLINK ? noun_attr(&noun_link, h, IFLA_IFNAME) : NULL;
        if (!a)
            continue;
        lua_pushlstring(L, nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a)));
        lua_rawseti(L, d->devs, ((struct ifinfomsg *)nlmsg_data(h))->ifi_index);
    }
    bytes_free(all);
    lua_pop(L, 1);
}

#define MISSES_MAX 8

static void raise_no_name(lua_State *L, int ifindex, int code)
{
    struct nserr e;

    nserr_sys(&e, code, "link get", "index %d", ifindex);
    l_raise(L, &e);
}

static void push_dev(struct codec_dec *dec, int ifindex)
{
    struct l_decoder *d = dec->arg;
    lua_State *L = dec->L;
    char name[16];
    int err;

    if (lua_rawgeti(L, d->devs, ifindex) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    if (++d->misses == MISSES_MAX) {
        learn_all_names(d);
        if (lua_rawgeti(L, d->devs, ifindex) != LUA_TNIL)
            return;
        lua_pop(L, 1);
    }
    err = l_dev_name(session_of(d), ifindex, name);
    if (err == 0)
        lua_pushstring(L, name);
    else if (err == -ENODEV) /* gone, or in another namespace */
        lua_pushinteger(L, ifindex);
    else
        raise_no_name(L, ifindex, -err);
    lua_pushvalue(L, -1);
    lua_rawseti(L, d->devs, ifindex);
}

void l_decoder_begin(struct l_decoder *d, lua_State *L, struct l_ns *ns)
{
    lua_newtable(L);
    l_decoder_resume(d, L, ns);
}

void l_decoder_resume(struct l_decoder *d, lua_State *L, struct l_ns *ns)
{
    memset(d, 0, sizeof(*d));
    d->devs = lua_gettop(L);
    codec_dec_begin(&d->dec, L);
    d->ns = ns;
    d->dec.push_dev = push_dev;
    d->dec.arg = d;
}

/* What of a link's options rtnetlink does not tell. */
static void add_options(struct l_decoder *d, int ifindex)
{
    lua_State *L = d->dec.L;
    bool wireguard;

    lua_getfield(L, -1, "type");
    wireguard = lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), "wireguard");
    lua_pop(L, 1);
    if (wireguard && ifindex > 0 && (!d->only || l_wireguard_knows(d->only)))
        l_wireguard_decode(d, ifindex);
}

void l_decode(struct l_decoder *d, const struct noun *noun, struct nlmsghdr *h)
{
    struct codec_schema *schema = noun->schema;
    struct nlattr *attrs = nlmsg_attrdata(h, schema->header);
    int len = nlmsg_attrlen(h, schema->header);

    if (h->nlmsg_len < NLMSG_HDRLEN + (uint32_t)schema->header) {
        lua_newtable(d->dec.L);
        return;
    }
    lua_createtable(d->dec.L, 0, codec_size_hint(schema, attrs, len));
    codec_decode(&d->dec, schema, nlmsg_data(h), attrs, len);
    if (noun->decoded)
        noun->decoded(&d->dec, h);
    if (noun == &noun_link && h->nlmsg_type == RTM_NEWLINK)
        add_options(d, ((struct ifinfomsg *)nlmsg_data(h))->ifi_index);
}

void l_decode_open(lua_State *L)
{
    static const luaL_Reg bytes_meta[] = {{"__gc", l_bytes__gc}, {NULL, NULL}};

    l_class(L, L_BYTES, NULL, bytes_meta);
    codec_open(L);
}
