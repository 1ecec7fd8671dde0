// SPDX-License-Identifier: MIT
/* Fuzz: descriptions of topologies as text. Input: the text. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = fuzz_state();

    lua_getglobal(L, "harness");
    lua_getfield(L, -1, "literal");
    lua_pushlstring(L, (const char *)data, size);
    fuzz_call(L, 1, 1);
    return 0;
}
