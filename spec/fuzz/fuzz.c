// SPDX-License-Identifier: MIT
/* The Lua state of the fuzz targets. */
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int luaopen_netns_core(lua_State *L);
const char *__asan_default_options(void);

/* Lua allocates all the time: short stacks and a small quarantine make that three times faster. */
const char *__asan_default_options(void)
{
    return "malloc_context_size=4:quarantine_size_mb=4:detect_leaks=0";
}

lua_State *fuzz_state(void)
{
    static lua_State *L;

    if (L)
        return L;
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "netns.core", luaopen_netns_core, 0);
    lua_setglobal(L, "core");
    if (luaL_dofile(L, "spec/fuzz/harness.lua") != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(1);
    }
    lua_setglobal(L, "harness");
    lua_settop(L, 0);
    return L;
}

void fuzz_call(lua_State *L, int args, int loud)
{
    if (lua_pcall(L, args, 0, 0) != LUA_OK && loud) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 0);
}
