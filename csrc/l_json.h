/* SPDX-License-Identifier: MIT
 * JSON text into Lua values. */
#ifndef NETNS_L_JSON_H
#define NETNS_L_JSON_H

#include <stdbool.h>

#include "l_core.h"

/* What null becomes: in libnftables' schema it only ever stands for "without arguments". */
enum l_json_null { L_JSON_NULL_IS_TRUE, L_JSON_NULL_IS_NULL };

/* Push the value that starts at *at, and move *at behind it and the blanks that follow. NULL:
 * done. Otherwise what is wrong, with *at where it is wrong, and nothing sensible pushed.
 * Integers are Lua integers; an empty array has the metatable L_EMPTY_ARRAY; null is true, or the
 * light userdata NULL. */
const char *l_json_decode(lua_State *L, const char **at, const char *end, enum l_json_null null);

#define L_EMPTY_ARRAY "netns.EmptyArray"

#endif
