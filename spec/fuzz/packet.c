// SPDX-License-Identifier: MIT
/* Fuzz: packets to Lua tables. Input: a byte that says what they begin with, then the packet. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Headers lie one behind the other, within what they are in, within the packet. */
static void check(const uint8_t *data, size_t size, enum packet_header first)
{
    struct packet p;
    size_t at = 0, end = size;

    packet_walk(&p, data, size, first);
    for (unsigned i = 0; i < p.count; i++) {
        const struct packet_layer *l = &p.layers[i];

        if (l->at != at || !l->len || l->end > end || l->len > l->end - l->at)
            abort();
        at += l->len;
        end = l->end;
    }
    if (p.payload != at || p.end != end || p.count > PACKET_LAYERS_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = fuzz_state();
    const bool ip = size && data[0] & 1;
    uint8_t *copy = malloc(size ? size : 1); /* of its own length, for the sanitizer */

    size = size ? size - 1 : 0;
    memcpy(copy, data + 1, size);
    check(copy, size, ip ? PACKET_IPV4 : PACKET_ETHERNET);
    lua_getglobal(L, "harness");
    lua_getfield(L, -1, "packet");
    lua_pushlstring(L, (const char *)copy, size);
    lua_pushstring(L, ip ? "ip" : "ethernet");
    free(copy);
    fuzz_call(L, 2, 1);
    return 0;
}
