/* SPDX-License-Identifier: MIT
 * core.sysctl_read, sysctl_write, sysctl_list: by path below /proc/sys; netns.sysctl has the
 * names. */
#include <string.h>

#include "l_rtnl.h"
#include "sysctl.h"

static int raise(lua_State *L, struct l_ns *ns, struct nserr *e)
{
    nserr_context(e, "sysctl", NULL, ns->label);
    return l_raise(L, e);
}

/* core.sysctl_read(ns, path): the text */
static int l_sysctl_read(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct bytes *out = l_bytes(L);
    struct nserr e;

    if (sysctl_read(ns->fd, path, out, &e) != 0)
        return raise(L, ns, &e);
    lua_pushlstring(L, out->data ? out->data : "", out->len);
    bytes_free(out);
    return 1;
}

/* core.sysctl_write(ns, path, text) */
static int l_sysctl_write(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct nserr e;
    size_t len;
    const char *value = luaL_checklstring(L, 3, &len);

    if (sysctl_write(ns->fd, path, value, len, &e) != 0)
        return raise(L, ns, &e);
    return 0;
}

/* core.sysctl_list(ns, path): { [path] = text } */
static int l_sysctl_list(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct bytes *out = l_bytes(L);
    struct nserr e;

    if (sysctl_list(ns->fd, path, out, &e) != 0)
        return raise(L, ns, &e);
    lua_newtable(L);
    for (const char *at = out->data; at && at < out->data + out->len;) {
        const char *value = at + strlen(at) + 1;
        lua_pushstring(L, at);
        lua_pushstring(L, value);
        lua_rawset(L, -3);
        at = value + strlen(value) + 1;
    }
    bytes_free(out);
    return 1;
}

void l_sysctl_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"sysctl_read", l_sysctl_read},
                                         {"sysctl_write", l_sysctl_write},
                                         {"sysctl_list", l_sysctl_list},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
