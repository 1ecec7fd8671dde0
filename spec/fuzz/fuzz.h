/* SPDX-License-Identifier: MIT
 * What the fuzz targets share: a Lua state with the core in it, and a kernel that says what the
 * input says.
 *
 * The kernel is faked at the system calls of the netlink session (ld --wrap): sendto takes note
 * of a request, recvmsg hands out the input's datagrams. So what is fuzzed is the module as it
 * is, from the Lua function to the last attribute. */
#ifndef NETNS_FUZZ_H
#define NETNS_FUZZ_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdint.h>

/* The rest of an input, read from its start. */
struct input {
    const uint8_t *at, *end;
};

uint8_t input_byte(struct input *in);
uint32_t input_u32(struct input *in);
/* Everything up to a newline (taken too), at most size - 1 bytes, as text. */
const char *input_line(struct input *in, char *buf, size_t size);

/* The state, made at first use: the core is its global `core`, spec/fuzz/harness.lua's table the
 * global `harness`. */
lua_State *fuzz_state(void);
/* Call the function under `args` arguments; an error is put away, unless `loud` (then it is
 * printed, and ends the program). The stack is empty afterwards. */
void fuzz_call(lua_State *L, int args, int loud);

/* What the fake kernel says from here on: datagrams, each with a length of two bytes before it.
 * Sequence numbers in them are relative to the request's. Then come the end of a dump, an ack,
 * and silence. */
void kernel_says(struct input in);

#endif
