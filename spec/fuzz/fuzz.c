// SPDX-License-Identifier: MIT
/* The Lua state of the fuzz targets, and reading inputs. */
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

uint8_t input_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

uint32_t input_u32(struct input *in)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 8 | input_byte(in);
    return value;
}

const char *input_line(struct input *in, char *buf, size_t size)
{
    size_t n = 0;

    while (in->at < in->end) {
        uint8_t c = *in->at++;
        if (c == '\n')
            break;
        if (n < size - 1)
            buf[n++] = (char)c;
    }
    buf[n] = '\0';
    return buf;
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
