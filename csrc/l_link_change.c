/* SPDX-License-Identifier: MIT
 * Changing a link, all or nothing: what the kernel leaves half done is set back. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "l_rtnl.h"

/* What takes away a key that a link has not got; nil where nothing does. */
static void push_absent(lua_State *L, const char *key)
{
    if (!strcmp(key, "master") || !strcmp(key, "private_key"))
        lua_pushliteral(L, "none");
    else if (!strcmp(key, "alias"))
        lua_pushliteral(L, "");
    else if (!strcmp(key, "fwmark"))
        lua_pushinteger(L, 0);
    else
        lua_pushnil(L);
}

/* The kernel goes through a change of a link step by step and leaves those done when one fails.
 * So what the keys of the table at idx were before is noted, as a table (nil where one key has
 * nothing that could be left half done), and set again then. */
static void push_before(struct l_op *op, int idx, int ifindex, const char *name, bool always)
{
    lua_State *L = op->L;
    struct bytes *reply;
    struct rtnl_fault f;
    struct l_decoder d;
    int keys = 0, base = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        keys++;
    lua_settop(L, base);
    reply = l_bytes(L);
    if ((keys < 2 && !always) ||
        l_dev_get(l_op_session(op), ifindex, name, false, reply, &f) != 0) {
        lua_settop(L, base);
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    l_decoder_begin(&d, L, op->n->ns);
    l_decode(&d, &noun_link, (struct nlmsghdr *)reply->data);
    for (lua_pushnil(L); lua_next(L, idx);) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;

        lua_pop(L, 1); /* the new value */
        if (!key)
            continue; /* refused when it is encoded */
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            push_absent(L, key);
        }
        if (!strcmp(key, "peers")) {
            lua_pushboolean(L, 1);
            lua_setfield(L, base + 2, "replace_peers");
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, base + 2);
    }
    lua_pushinteger(L, ((struct ifinfomsg *)nlmsg_data((struct nlmsghdr *)reply->data))->ifi_index);
    lua_setfield(L, base + 2, "dev"); /* whatever its name is by then */
    bytes_free(reply);
    lua_settop(L, base + 2);
    lua_replace(L, base + 1);
}

/* Set what was before again; rows that cannot be set again are left as they are. */
static void change_back(struct l_op *op, int before, int ifindex)
{
    struct nserr e = op->e;
    struct rtnl_fault ignored;
    struct bytes *wireguard;

    memset(op->notes, 0, sizeof(op->notes));
    if (l_wireguard_encode(op, before, ifindex, NULL, &wireguard) == 0 && wireguard)
        l_wireguard_send(op, before, op->n->ns, ifindex, wireguard);
    if (l_op_encode(op, before, RTM_NEWLINK, 0) == 0)
        rtnl_ack(l_op_session(op), l_op_message(op), NULL, &ignored);
    op->e = e;
}

int l_link_change(struct l_op *op, int idx, struct rtnl_fault *f)
{
    lua_State *L = op->L;
    struct bytes *wireguard;
    const char *name = NULL;
    int err, before, ifindex = 0;

    if (!op->n->ifindex && codec_field(L, idx, codec_field(L, idx, "dev") ? "dev" : "name"))
        name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    err = l_wireguard_encode(op, idx, op->n->ifindex, name, &wireguard);
    if (err)
        return err;
    push_before(op, idx, op->n->ifindex, name, wireguard != NULL);
    before = lua_gettop(L);
    if (lua_istable(L, before)) {
        lua_getfield(L, before, "dev");
        ifindex = (int)lua_tointeger(L, -1);
        lua_settop(L, before);
    }
    if (l_op_encode(op, idx, RTM_NEWLINK, 0) != 0)
        return -EINVAL;
    err = rtnl_ack(l_op_session(op), l_op_message(op), NULL, f);
    if (err)
        l_op_fault(op, idx, f);
    else if (wireguard)
        err = l_wireguard_send(op, idx, op->n->ns, ifindex, wireguard);
    if (err && ifindex)
        change_back(op, before, ifindex);
    return err;
}
