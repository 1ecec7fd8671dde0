// SPDX-License-Identifier: MIT
/* Fuzz: the parsers of texts: addresses, prefixes, names, link-layer addresses, ranges ...
 * Input: "NOUN VERB KEY KIND" and a newline, then the text. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    lua_State *L = fuzz_state();
    char head[64];

    input_line(&in, head, sizeof(head));
    kernel_says((struct input){in.end, in.end});
    lua_getglobal(L, "harness");
    lua_getfield(L, -1, "text");
    lua_pushstring(L, head);
    lua_pushlstring(L, (const char *)in.at, (size_t)(in.end - in.at));
    fuzz_call(L, 2, 0);
    return 0;
}
