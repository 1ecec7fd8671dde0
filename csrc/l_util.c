/* SPDX-License-Identifier: MIT
 * Classes, and checks of option tables. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "l_core.h"

void l_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    if (methods) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

void *l_object(lua_State *L, size_t size, const char *name, int uservalues)
{
    void *object = lua_newuserdatauv(L, size, uservalues);

    memset(object, 0, size);
    luaL_setmetatable(L, name);
    return object;
}

#define MISUSE_MAX 400 /* bytes; what was handed over may be of any length */

int l_misuse(lua_State *L, const char *fmt, ...)
{
    const char *text;
    va_list ap;
    size_t len;

    luaL_where(L, 1);
    va_start(ap, fmt);
    text = lua_pushvfstring(L, fmt, ap);
    va_end(ap);
    len = strlen(text);
    if (len > MISUSE_MAX) {
        lua_pushlstring(L, text, MISUSE_MAX);
        lua_pushliteral(L, " ...");
        lua_concat(L, 2);
        lua_remove(L, -2);
    }
    lua_concat(L, 2);
    return lua_error(L);
}

static int is_known(const char *key, size_t len, const char *const *keys)
{
    for (; *keys; keys++)
        if (strlen(*keys) == len && !strcmp(*keys, key))
            return 1;
    return 0;
}

void l_check_keys(lua_State *L, int idx, const char *op, const char *const *keys)
{
    char hint[80];
    size_t len, count = 0;

    if (lua_isnoneornil(L, idx))
        return;
    idx = lua_absindex(L, idx);
    if (!lua_istable(L, idx))
        l_misuse(L, "%s: options must be a table, got %s", op, luaL_typename(L, idx));
    while (keys[count])
        count++;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            const char *shown = luaL_tolstring(L, -2, NULL);
            l_misuse(L, "%s: unknown key %s", op, shown);
        }
        const char *key = lua_tolstring(L, -2, &len);
        if (!is_known(key, len, keys))
            l_misuse(L, "%s: unknown key \"%s\"%s", op, key,
                     nserr_hint(hint, sizeof(hint), key, keys, count));
    }
}

/* Push the raw field; its type, or LUA_TNIL where there is no table. */
static int push_field(lua_State *L, int idx, const char *key)
{
    if (!lua_istable(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    idx = lua_absindex(L, idx);
    lua_pushstring(L, key);
    return lua_rawget(L, idx);
}

static int wrong(lua_State *L, const char *op, const char *key, const char *wanted)
{
    const char *got = luaL_tolstring(L, -1, NULL);

    if (lua_type(L, -2) == LUA_TSTRING)
        got = lua_pushfstring(L, "\"%s\"", got);
    return l_misuse(L, "%s: %s must be %s, got %s", op, key, wanted, got);
}

int l_opt_bool(lua_State *L, int idx, const char *op, const char *key, int def)
{
    int type = push_field(L, idx, key);
    int value = type == LUA_TNIL ? def : lua_toboolean(L, -1);

    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        wrong(L, op, key, "true or false");
    lua_pop(L, 1);
    return value;
}

lua_Integer l_opt_int(lua_State *L, int idx, const char *op, const char *key, lua_Integer def,
                      lua_Integer min, lua_Integer max)
{
    int is_int, type = push_field(L, idx, key);
    lua_Integer value = def;

    if (type != LUA_TNIL) {
        value = lua_tointegerx(L, -1, &is_int);
        if (type != LUA_TNUMBER || !is_int || value < min || value > max) {
            const char *wanted =
                lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)min, (LUAI_UACINT)max);
            lua_insert(L, -2);
            wrong(L, op, key, wanted);
        }
    }
    lua_pop(L, 1);
    return value;
}

double l_opt_number(lua_State *L, int idx, const char *op, const char *key, double def, double min,
                    double max)
{
    int type = push_field(L, idx, key);
    double value = type == LUA_TNIL ? def : lua_tonumber(L, -1);

    if (type != LUA_TNIL && (type != LUA_TNUMBER || isnan(value) || value < min || value > max)) {
        const char *wanted = lua_pushfstring(L, "a number from %f to %f", min, max);
        lua_insert(L, -2);
        wrong(L, op, key, wanted);
    }
    lua_pop(L, 1);
    return value;
}

const char *l_opt_str(lua_State *L, int idx, const char *op, const char *key)
{
    size_t len;
    int type = push_field(L, idx, key);
    const char *text;

    if (type == LUA_TNIL)
        return NULL;
    if (type != LUA_TSTRING)
        wrong(L, op, key, "a string");
    text = lua_tolstring(L, -1, &len);
    if (strlen(text) != len)
        l_misuse(L, "%s: %s must not contain NUL bytes", op, key);
    return text;
}

/* Directories -------------------------------------------------------------------------------- */

#define L_DIR "netns.Dir"

void l_dir_close(lua_State *L, int idx)
{
    DIR **dir = luaL_checkudata(L, idx, L_DIR);

    if (*dir)
        closedir(*dir);
    *dir = NULL;
}

static int l_dir__gc(lua_State *L)
{
    l_dir_close(L, 1);
    return 0;
}

DIR *l_dir_open(lua_State *L, const char *path)
{
    DIR **dir = l_object(L, sizeof(*dir), L_DIR, 0);

    *dir = opendir(path);
    return *dir;
}

/* core.directory(path): the names in it but "." and ".."; nil, why and errno where it cannot be
 * read. */
static int l_directory(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR *dir = l_dir_open(L, path);
    struct dirent *entry;
    lua_Integer n = 0;

    if (!dir)
        return luaL_fileresult(L, 0, path);
    lua_newtable(L);
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    l_dir_close(L, -2);
    return 1;
}

void l_util_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"directory", l_directory}, {NULL, NULL}};
    static const luaL_Reg dir_meta[] = {{"__gc", l_dir__gc}, {NULL, NULL}};

    l_class(L, L_DIR, NULL, dir_meta);
    luaL_setfuncs(L, functions, 0);
}
