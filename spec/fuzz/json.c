// SPDX-License-Identifier: MIT
/* Fuzz: JSON to Lua values. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "l_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(lua_State *L)
{
    const char *text = lua_touserdata(L, 1), *at = text, *end = text + lua_tointeger(L, 2);
    enum l_json_null null = (end - text) % 2 ? L_JSON_NULL_IS_NULL : L_JSON_NULL_IS_TRUE;
    const char *wrong = l_json_decode(L, &at, end, null);

    if (at < text || at > end || (!wrong && lua_gettop(L) != 3))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = fuzz_state();
    char *copy = malloc(size ? size : 1); /* no NUL behind it: what is mapped has none either */

    memcpy(copy, data, size);
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, copy);
    lua_pushinteger(L, (lua_Integer)size);
    fuzz_call(L, 2, 0);
    free(copy);
    return 0;
}
