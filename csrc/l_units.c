/* SPDX-License-Identifier: MIT
 * core.units: times, rates, sizes and shares in text, as numbers. */
#include <math.h>

#include "l_core.h"
#include "units.h"

/* core.units("rate", "10mbit"): in seconds, bit/s, bytes or a share of one; a number as it is; nil
 * for what is none, or negative. */
static int l_units(lua_State *L)
{
    static const char *const kinds[] = {"time", "rate", "size", "share", NULL};
    enum units_kind kind = (enum units_kind)luaL_checkoption(L, 1, NULL, kinds);
    double value = -1;

    if (lua_type(L, 2) == LUA_TNUMBER)
        value = lua_tonumber(L, 2);
    else if (lua_type(L, 2) != LUA_TSTRING || !units_parse(lua_tostring(L, 2), kind, &value))
        value = -1;
    if (value >= 0 && isfinite(value))
        lua_pushnumber(L, value);
    else
        lua_pushnil(L);
    return 1;
}

void l_units_open(lua_State *L)
{
    lua_pushcfunction(L, l_units);
    lua_setfield(L, -2, "units");
}
