/* SPDX-License-Identifier: MIT
 * netns.Tun: the fd behind a TUN or TAP device; and link:add{ type = "tun" }, which makes one that
 * stays. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"
#include "tun.h"

#define L_TUN      "netns.Tun"
#define PACKET_MAX (64 * 1024 + 64)

/* User value: the Namespace. */
struct l_tun {
    int fd; /* -1: closed */
    char name[16];
};

static const char *const tun_keys[] = {"name",  "mode",  "pi",    "vnet_hdr", "multi_queue",
                                       "owner", "group", "index", "persist",  NULL};

/* Fill the spec from the table at idx; raises where it is wrong. */
static void read_spec(lua_State *L, int idx, const char *op, struct tun_spec *spec)
{
    const char *mode = l_opt_str(L, idx, op, "mode"), *name;

    if (!mode || (strcmp(mode, "tun") != 0 && strcmp(mode, "tap") != 0))
        l_misuse(L, "%s: mode must be \"tun\" or \"tap\", got %s", op, mode ? mode : "nothing");
    spec->tap = !strcmp(mode, "tap");
    name = l_opt_str(L, idx, op, "name");
    if (name && (strlen(name) == 0 || strlen(name) >= IFNAMSIZ || strpbrk(name, "/: \t\n")))
        l_misuse(L, "%s: name must be 1 to 15 bytes without spaces, \"/\" or \":\", got \"%s\"", op,
                 name);
    snprintf(spec->name, sizeof(spec->name), "%s", name ? name : "");
    spec->pi = l_opt_bool(L, idx, op, "pi", 0);
    spec->vnet_hdr = l_opt_bool(L, idx, op, "vnet_hdr", 0);
    spec->multi_queue = l_opt_bool(L, idx, op, "multi_queue", 0);
    spec->owner = l_opt_int(L, idx, op, "owner", -1, 0, UINT32_MAX - 1);
    spec->ifindex = (int)l_opt_int(L, idx, op, "index", 0, 1, INT32_MAX);
    spec->group = -1;
    lua_pop(L, 2);
}

/* ns:tun{ name =, mode = "tun" | "tap", ... }: a Tun, attached to the device. */
static int l_ns_tun(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct tun_spec spec = {0};
    struct l_tun *tun;
    struct nserr e;

    luaL_checktype(L, 2, LUA_TTABLE);
    l_check_keys(L, 2, "tun", tun_keys);
    read_spec(L, 2, "tun", &spec);
    spec.group = l_opt_int(L, 2, "tun", "group", -1, 0, UINT32_MAX - 1);
    spec.persist = l_opt_bool(L, 2, "tun", "persist", 0);
    tun = l_object(L, sizeof(*tun), L_TUN, 1);
    tun->fd = -1;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    tun->fd = tun_open(ns->fd, &spec, &e);
    if (tun->fd < 0) {
        nserr_context(&e, "tun", spec.name, ns->label);
        return l_raise(L, &e);
    }
    memcpy(tun->name, spec.name, sizeof(tun->name));
    return 1;
}

/* link:add{ type = "tun" } -------------------------------------------------------------------- */

/* Keys that TUNSETIFF and the like took, and what a listing tells besides. */
static bool is_tun_key(const char *key)
{
    static const char *const keys[] = {"type",        "mode",      "pi",    "vnet_hdr",
                                       "multi_queue", "owner",     "index", "persist",
                                       "queues",      "tun_group", NULL};

    for (size_t i = 0; keys[i]; i++)
        if (!strcmp(keys[i], key))
            return true;
    return false;
}

/* Push a copy of the table at idx without those keys and without what is read-only or only for
 * creation: the rest is set on the device that is there. */
static void push_rest(lua_State *L, int idx)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, idx);) {
        const struct codec_row *row = NULL;
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";

        row = codec_row_of(noun_link.schema, key);
        if (is_tun_key(key) || (row && row->flags & (ROW_RO | ROW_CREATE | ROW_SET))) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

int l_tun_add(struct l_op *op, int idx, bool *made)
{
    lua_State *L = op->L;
    struct tun_spec spec = {0};
    struct rtnl_fault f;
    int fd, rest;

    if (op->n->batch)
        return l_misuse(L, "%s: a tun link is made by ioctl(2), not in a batch", op->name);
    read_spec(L, idx, op->name, &spec);
    spec.group = l_opt_int(L, idx, op->name, "tun_group", -1, 0, UINT32_MAX - 1);
    if (!*spec.name)
        return l_misuse(L, "%s: name is missing", op->name);
    spec.persist = true;
    push_rest(L, idx);
    rest = lua_gettop(L);
    if (l_dev_index(l_op_session(op), spec.name, &f) > 0) /* TUNSETIFF would attach to it */
        return nserr_sys(&op->e, EEXIST, op->name, "%s", spec.name);
    fd = tun_open(op->n->ns->fd, &spec, &op->e);
    if (fd < 0)
        return fd;
    close(fd);
    *made = true;
    op->enc.verb = CODEC_SET;
    return l_link_change(op, rest, &f);
}

/* The class ----------------------------------------------------------------------------------- */

static struct l_tun *check_tun(lua_State *L)
{
    struct l_tun *tun = luaL_checkudata(L, 1, L_TUN);

    luaL_argcheck(L, tun->fd >= 0, 1, "the tun is closed");
    return tun;
}

static int raise_io(lua_State *L, int code, const char *op, const struct l_tun *tun)
{
    struct nserr e;

    nserr_sys(&e, code, op, "%s", tun->name);
    return l_raise(L, &e);
}

/* tun:read(): the next packet; nil while there is none. */
static int l_tun_read(lua_State *L)
{
    struct l_tun *tun = check_tun(L);
    luaL_Buffer b;
    char *at = luaL_buffinitsize(L, &b, PACKET_MAX);
    ssize_t got;

    do
        got = read(tun->fd, at, PACKET_MAX);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN)
        return raise_io(L, errno, "tun read", tun);
    if (got < 0)
        lua_pushnil(L);
    else
        luaL_pushresultsize(&b, (size_t)got);
    return 1;
}

/* tun:write(packet) */
static int l_tun_write(lua_State *L)
{
    struct l_tun *tun = check_tun(L);
    size_t len;
    const char *packet = luaL_checklstring(L, 2, &len);
    ssize_t sent;

    do
        sent = write(tun->fd, packet, len);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? raise_io(L, errno, "tun write", tun) : 0;
}

static int l_tun_fd(lua_State *L)
{
    lua_pushinteger(L, check_tun(L)->fd);
    return 1;
}

static int l_tun_name(lua_State *L)
{
    lua_pushstring(L, check_tun(L)->name);
    return 1;
}

static int l_tun_close(lua_State *L)
{
    close_fd(&((struct l_tun *)luaL_checkudata(L, 1, L_TUN))->fd);
    return 0;
}

static int l_tun__tostring(lua_State *L)
{
    struct l_tun *tun = luaL_checkudata(L, 1, L_TUN);

    lua_pushfstring(L, "tun %s%s", tun->name, tun->fd < 0 ? " (closed)" : "");
    return 1;
}

void l_tun_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"read", l_tun_read},   {"write", l_tun_write},
                                       {"fd", l_tun_fd},       {"name", l_tun_name},
                                       {"close", l_tun_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_tun_close},
                                    {"__close", l_tun_close},
                                    {"__tostring", l_tun__tostring},
                                    {NULL, NULL}};

    l_class(L, L_TUN, methods, meta);
    lua_getfield(L, -1, "Namespace");
    lua_pushcfunction(L, l_ns_tun);
    lua_setfield(L, -2, "tun");
    lua_pop(L, 1);
}
