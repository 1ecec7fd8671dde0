// SPDX-License-Identifier: MIT
/* What the core's regression specs add to it: says(datagrams), of the fuzz targets' fake kernel. */
#include <string.h>

#include "fuzz.h"

__attribute__((visibility("default"))) int luaopen_fake(lua_State *L);

/* says(text): datagrams, each with its length in two bytes before it (kernel_says). */
static int says(lua_State *L)
{
    static uint8_t words[64 * 1024];
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len <= sizeof(words), 1, "too long");
    memcpy(words, text, len);
    kernel_says((struct input){words, words + len});
    return 0;
}

int luaopen_fake(lua_State *L)
{
    lua_pushcfunction(L, says);
    return 1;
}
