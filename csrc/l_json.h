/* SPDX-License-Identifier: MIT
 * JSON text into Lua values. */
#ifndef NETNS_L_JSON_H
#define NETNS_L_JSON_H

#include <stdbool.h>

#include "l_core.h"

/* Push the value that starts at *at, and move *at behind it and the blanks that follow. NULL:
 * done. Otherwise what is wrong, with *at where it is wrong, and nothing sensible pushed.
 * Integers are Lua integers; an empty array has the metatable L_EMPTY_ARRAY; null is true, for
 * in libnftables' schema it only ever stands for "without arguments". */
const char *l_json_decode(lua_State *L, const char **at, const char *end);

#define L_EMPTY_ARRAY "netns.EmptyArray"

#endif
