// SPDX-License-Identifier: MIT
/* Fuzz: netlink messages to Lua tables. Input: "NOUN VERB" and a newline, then what the kernel
 * answers. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    lua_State *L = fuzz_state();
    char head[64];

    input_line(&in, head, sizeof(head));
    kernel_says(in);
    lua_getglobal(L, "harness");
    lua_getfield(L, -1, *head == '!' ? "link" : "decode");
    lua_pushstring(L, head);
    fuzz_call(L, 1, 0);
    return 0;
}
