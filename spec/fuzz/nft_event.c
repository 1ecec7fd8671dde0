// SPDX-License-Identifier: MIT
/* Fuzz: messages of nf_tables to Lua tables. Input: messages, one after the other. */
#include <linux/netlink.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "l_nft_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(lua_State *L)
{
    struct nlmsghdr *h = lua_touserdata(L, 1);
    int left = (int)lua_tointeger(L, 2);

    for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
        int top = lua_gettop(L);
        bool event = l_nft_event(L, h);
        if (lua_gettop(L) != top + event)
            abort();
        lua_settop(L, top);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = fuzz_state();
    char *copy = malloc(size ? size : 1);

    memcpy(copy, data, size);
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, copy);
    lua_pushinteger(L, (lua_Integer)size);
    fuzz_call(L, 2, 0);
    free(copy);
    return 0;
}
