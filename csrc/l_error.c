/* SPDX-License-Identifier: MIT
 * netns.Error: the one place where an error of the core becomes a Lua error. */
#include <string.h>

#include "l_core.h"

#define L_ERROR "netns.Error"

static void set_text(lua_State *L, const char *key, const char *value)
{
    if (!*value)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/* A misuse carries the position of the caller's line, as luaL_error does. */
static void push_misuse(lua_State *L, const char *text)
{
    luaL_where(L, 1);
    lua_pushstring(L, text);
    lua_concat(L, 2);
}

void l_push_error(lua_State *L, const struct nserr *e)
{
    if (e->misuse) {
        push_misuse(L, e->text);
        return;
    }
    lua_createtable(L, 0, 8);
    set_text(L, "op", e->op);
    set_text(L, "object", e->object);
    set_text(L, "netns", e->netns);
    set_text(L, "kernel", e->kernel);
    set_text(L, "attr", e->attr);
    set_text(L, "code", nserr_name(e->code));
    set_text(L, "message", strerrordesc_np(e->code) ? strerrordesc_np(e->code) : "Unknown error");
    lua_pushinteger(L, e->code);
    lua_setfield(L, -2, "errno");
    luaL_setmetatable(L, L_ERROR);
}

int l_raise(lua_State *L, const struct nserr *e)
{
    l_push_error(L, e);
    return lua_error(L);
}

/* Append FORMAT with the field's text where the error has one. */
static void add_field(lua_State *L, luaL_Buffer *b, const char *key, const char *before,
                      const char *after)
{
    if (lua_getfield(L, 1, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    lua_pushfstring(L, "%s%s%s", before, lua_tostring(L, -1), after);
    lua_remove(L, -2);
    luaL_addvalue(b);
}

/* "link add eth0 in red: File exists (EEXIST): kernel's words [attribute master]" */
static int l_error__tostring(lua_State *L)
{
    luaL_Buffer b;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_buffinit(L, &b);
    add_field(L, &b, "op", "", "");
    add_field(L, &b, "object", " ", "");
    add_field(L, &b, "netns", " in ", "");
    add_field(L, &b, "message", ": ", "");
    add_field(L, &b, "code", " (", ")");
    add_field(L, &b, "kernel", ": ", "");
    add_field(L, &b, "attr", " [attribute ", "]");
    add_field(L, &b, "batch", "; ", "");
    luaL_pushresult(&b);
    return 1;
}

void l_error_open(lua_State *L)
{
    luaL_newmetatable(L, L_ERROR);
    lua_pushcfunction(L, l_error__tostring);
    lua_setfield(L, -2, "__tostring");
    lua_setfield(L, -2, "Error"); /* netns.try knows our errors by it */
}
