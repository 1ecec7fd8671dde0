/* SPDX-License-Identifier: MIT
 * netns.Namespace: creating, opening, listing and closing namespaces. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "l_core.h"

/* The handle ------------------------------------------------------------------------------ */

struct l_ns *l_ns_test(lua_State *L, int idx)
{
    struct l_ns *ns = luaL_testudata(L, idx, L_NAMESPACE);

    if (ns && ns->fd < 0)
        luaL_argerror(L, idx, "the namespace is closed");
    return ns;
}

struct l_ns *l_ns_check(lua_State *L, int idx)
{
    struct l_ns *ns = l_ns_test(L, idx);

    if (!ns)
        luaL_typeerror(L, idx, L_NAMESPACE);
    return ns;
}

/* core.is_open(ns): whether the handle is still good. */
static int l_netns_is_open(lua_State *L)
{
    struct l_ns *ns = luaL_checkudata(L, 1, L_NAMESPACE);

    lua_pushboolean(L, ns->fd >= 0);
    return 1;
}

static const char handles_key; /* its address names the table of handles in the registry */

/* A closed handle with its metatable, on top of the stack: the fd comes last. */
static struct l_ns *new_handle(lua_State *L)
{
    struct l_ns *ns = l_object(L, sizeof(*ns), L_NAMESPACE, L_NS_VALUES);

    ns->fd = -1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return ns;
}

/* core.handles(): every Namespace of this state, also closed ones, as keys of a table whose keys
 * are weak. */
static int l_netns_handles(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
    return 1;
}

static void set_name(lua_State *L, struct l_ns *ns, const char *name)
{
    free(ns->name);
    ns->name = strdup(name);
    if (!ns->name)
        luaL_error(L, "not enough memory");
    snprintf(ns->label, sizeof(ns->label), "%s", name);
}

/* Take the fd and learn what it is. The handle owns the fd from here on, whatever happens. */
static void adopt(lua_State *L, struct l_ns *ns, int fd)
{
    struct nserr e;

    ns->fd = fd;
    if (nsfd_identity(fd, &ns->dev, &ns->ino, &e) != 0)
        l_raise(L, &e);
    if (!*ns->label)
        snprintf(ns->label, sizeof(ns->label), "netns:[%llu]", (unsigned long long)ns->ino);
}

/* Closing twice is fine; the name goes first, so that it never outlives what it stands for. If it
 * cannot be removed the handle stays open, to be closed again. */
static int close_handle(struct l_ns *ns, struct nserr *e)
{
    int err;

    if (ns->fd < 0)
        return 0;
    err = ns->owns_name ? nsfd_unpin_if(ns->name, ns->dev, ns->ino, e) : 0;
    if (err)
        return err;
    ns->owns_name = 0;
    l_session_drop(ns);
    close_fd(&ns->fd);
    return 0;
}

/* netns.new(name?, { keep = boolean }?) */
static int l_netns_new(lua_State *L)
{
    static const char *const keys[] = {"keep", NULL};
    struct nserr e;
    size_t len = 0;
    const char *name;
    struct l_ns *ns;
    int keep, fd;

    if (lua_istable(L, 1) && lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushnil(L);
        lua_insert(L, 1); /* new{ keep = true }: the name is what is missing */
    }
    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TSTRING);
    name = luaL_optlstring(L, 1, NULL, &len);
    l_check_keys(L, 2, "netns.new", keys);
    keep = l_opt_bool(L, 2, "netns.new", "keep", 0);
    if (name && nsfd_check_name(name, len, &e) != 0)
        return l_raise(L, &e);
    if (keep && !name)
        return luaL_argerror(L, 2, "keep needs a name to keep the namespace by");
    ns = new_handle(L);
    if (name)
        set_name(L, ns, name);
    fd = nsfd_create(&e);
    if (fd < 0) {
        nserr_context(&e, "netns new", name, NULL);
        return l_raise(L, &e);
    }
    adopt(L, ns, fd);
    if (name && nsfd_pin(fd, name, !keep, &e) != 0)
        return l_raise(L, &e);
    ns->owns_name = name && !keep;
    return 1;
}

static int open_string(lua_State *L, struct l_ns *ns, const char *what, size_t len, struct nserr *e)
{
    int err;

    if (*what == '/' && strlen(what) == len) {
        snprintf(ns->label, sizeof(ns->label), "%s", what);
        return nsfd_open(what, e);
    }
    err = nsfd_check_name(what, len, e);
    if (err)
        return err;
    set_name(L, ns, what);
    return nsfd_open_name(what, e);
}

static int open_table(lua_State *L, struct l_ns *ns, struct nserr *e)
{
    static const char *const keys[] = {"fd", "pid", "name", "path", NULL};
    lua_Integer pid, fd;
    const char *text;
    int given = 0, err;

    l_check_keys(L, 1, "netns.open", keys);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
        given++;
    if (given != 1)
        luaL_argerror(L, 1, "expected exactly one of name, path, pid and fd");
    pid = l_opt_int(L, 1, "netns.open", "pid", 0, 1, INT32_MAX);
    fd = l_opt_int(L, 1, "netns.open", "fd", -1, 0, INT32_MAX);
    if (pid) {
        snprintf(ns->label, sizeof(ns->label), "netns of pid %lld", (long long)pid);
        return nsfd_open_pid((pid_t)pid, e);
    }
    if (fd >= 0) {
        char what[32];
        snprintf(what, sizeof(what), "fd %d", (int)fd);
        err = nsfd_verify((int)fd, what, e);
        return err ? err : nsfd_dup((int)fd, e);
    }
    if ((text = l_opt_str(L, 1, "netns.open", "path")) != NULL) {
        snprintf(ns->label, sizeof(ns->label), "%s", text);
        return nsfd_open(text, e);
    }
    text = l_opt_str(L, 1, "netns.open", "name");
    err = nsfd_check_name(text, strlen(text), e);
    if (err)
        return err;
    set_name(L, ns, text);
    return nsfd_open_name(text, e);
}

/* netns.open(name | "/path" | { name = | path = | pid = | fd = }) */
static int l_netns_open_one(lua_State *L)
{
    struct nserr e;
    struct l_ns *ns;
    int fd;

    if (!lua_istable(L, 1))
        luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 1);
    ns = new_handle(L);
    if (lua_istable(L, 1)) {
        fd = open_table(L, ns, &e);
    } else {
        size_t len;
        const char *what = lua_tolstring(L, 1, &len);
        fd = open_string(L, ns, what, len, &e);
    }
    if (fd < 0)
        return l_raise(L, &e);
    adopt(L, ns, fd);
    lua_pushvalue(L, 2);
    return 1;
}

static int l_netns_current(lua_State *L)
{
    struct nserr e;
    struct l_ns *ns = new_handle(L);
    int fd = nsfd_current(&e);

    if (fd < 0)
        return l_raise(L, &e);
    adopt(L, ns, fd);
    return 1;
}

static int l_netns_delete(lua_State *L)
{
    struct nserr e;
    size_t len;
    const char *name;

    luaL_checktype(L, 1, LUA_TSTRING);
    name = lua_tolstring(L, 1, &len);
    if (nsfd_check_name(name, len, &e) != 0 || nsfd_unpin(name, &e) != 0)
        return l_raise(L, &e);
    return 0;
}

/* netns.rootless(), but for lo. */
static int l_netns_rootless(lua_State *L)
{
    struct nserr e;

    lua_gc(L, LUA_GCCOLLECT); /* what is open by oversight only */
    return nsfd_rootless(&e) == 0 ? 0 : l_raise(L, &e);
}

/* Listings ----------------------------------------------------------------------------------- */

/* netns.list(): the names, in the order of the directory, as `ip netns list` gives them. */
static int l_netns_list(lua_State *L)
{
    DIR *dir;
    struct dirent *entry;
    lua_Integer n = 0;

    lua_settop(L, 0);
    lua_newtable(L);
    dir = l_dir_open(L, NETNS_RUN_DIR);
    if (!dir && errno != ENOENT) {
        struct nserr e;
        nserr_sys(&e, errno, "netns list", "%s", NETNS_RUN_DIR);
        return l_raise(L, &e);
    }
    while (dir && (entry = readdir(dir)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, 1, ++n);
    }
    l_dir_close(L, 2);
    lua_settop(L, 1);
    return 1;
}

/* ns:pids(): processes whose main thread is inside, as `ip netns pids`. */
static int l_ns_pids(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct dirent *entry;
    lua_Integer n = 0;
    DIR *dir;

    lua_settop(L, 1);
    lua_newtable(L);
    dir = l_dir_open(L, "/proc");
    if (!dir) {
        struct nserr e;
        nserr_sys(&e, errno, "netns pids", "/proc");
        return l_raise(L, &e);
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[300], *end;
        struct stat st;
        long pid = strtol(entry->d_name, &end, 10);

        if (pid <= 0 || *end)
            continue;
        snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
        if (stat(path, &st) != 0 || st.st_dev != ns->dev || st.st_ino != ns->ino)
            continue;
        lua_pushinteger(L, pid);
        lua_rawseti(L, 2, ++n);
    }
    l_dir_close(L, 3);
    lua_settop(L, 2);
    return 1;
}

/* Methods and metamethods -------------------------------------------------------------------- */

static int l_ns_close(lua_State *L)
{
    struct l_ns *ns = luaL_checkudata(L, 1, L_NAMESPACE);
    struct nserr e;

    if (close_handle(ns, &e) != 0)
        return l_raise(L, &e);
    return 0;
}

static int l_ns__gc(lua_State *L)
{
    struct l_ns *ns = luaL_checkudata(L, 1, L_NAMESPACE);
    struct nserr ignored;

    if (close_handle(ns, &ignored) != 0) { /* the name stays; what else there is goes */
        ns->owns_name = 0;
        close_handle(ns, &ignored);
    }
    free(ns->name);
    ns->name = NULL;
    return 0;
}

static int l_ns__eq(lua_State *L)
{
    struct l_ns *a = luaL_testudata(L, 1, L_NAMESPACE), *b = luaL_testudata(L, 2, L_NAMESPACE);

    lua_pushboolean(L, a && b && a->fd >= 0 && b->fd >= 0 && a->dev == b->dev && a->ino == b->ino);
    return 1;
}

static int l_ns__tostring(lua_State *L)
{
    struct l_ns *ns = luaL_checkudata(L, 1, L_NAMESPACE);

    lua_pushfstring(L, "%s%s", ns->label, ns->fd < 0 ? " (closed)" : "");
    return 1;
}

static int push_builtin(lua_State *L, const struct l_ns *ns, const char *key)
{
    if (!strcmp(key, "name")) {
        lua_pushstring(L, ns->name); /* nil for NULL */
    } else if (!strcmp(key, "inode")) {
        lua_pushinteger(L, (lua_Integer)ns->ino);
    } else if (!strcmp(key, "fd")) {
        lua_pushinteger(L, ns->fd);
    } else if (!strcmp(key, "closed")) {
        lua_pushboolean(L, ns->fd < 0);
    } else {
        return 0;
    }
    return 1;
}

/* Methods, then name/inode/fd/closed, then what core.properties makes once per namespace
 * (ns.link, ns.nft ...) and the handle's user value keeps. Upvalues: methods, properties. */
static int l_ns__index(lua_State *L)
{
    struct l_ns *ns = luaL_checkudata(L, 1, L_NAMESPACE);

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (lua_type(L, 2) != LUA_TSTRING || push_builtin(L, ns, lua_tostring(L, 2)))
        return 1;
    if (lua_getiuservalue(L, 1, L_NS_NOUNS) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, L_NS_NOUNS);
        lua_replace(L, 4); /* the nil */
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 4) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL)
        return 1;
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 4);
    return 1;
}

static int l_ns__newindex(lua_State *L)
{
    luaL_checkudata(L, 1, L_NAMESPACE);
    return l_misuse(L, "a Namespace has no field \"%s\" to assign to", luaL_tolstring(L, 2, NULL));
}

/* core.own_name(ns): its name goes with the handle, as if this had made it. */
static int l_netns_own_name(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);

    luaL_argcheck(L, ns->name, 1, "a namespace that was opened by name expected");
    ns->owns_name = 1;
    return 0;
}

void l_netns_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", l_netns_new},           {"open", l_netns_open_one},
        {"current", l_netns_current},   {"list", l_netns_list},
        {"delete", l_netns_delete},     {"is_open", l_netns_is_open},
        {"rootless", l_netns_rootless}, {"own_name", l_netns_own_name},
        {"handles", l_netns_handles},   {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", l_ns_close}, {"pids", l_ns_pids}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_ns__gc},
                                    {"__close", l_ns_close},
                                    {"__eq", l_ns__eq},
                                    {"__tostring", l_ns__tostring},
                                    {"__newindex", l_ns__newindex},
                                    {NULL, NULL}};

    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handles_key);
    l_class(L, L_NAMESPACE, NULL, meta);
    luaL_setfuncs(L, functions, 0);
    luaL_getmetatable(L, L_NAMESPACE);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -5, "Namespace");
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "properties");
    lua_pushcclosure(L, l_ns__index, 2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1); /* the metatable */
}
