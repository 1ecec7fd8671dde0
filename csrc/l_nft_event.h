/* SPDX-License-Identifier: MIT
 * Messages of nf_tables into Lua tables, for listings and for the monitor. */
#ifndef NETNS_L_NFT_EVENT_H
#define NETNS_L_NFT_EVENT_H

#include <linux/netlink.h>
#include <stdbool.h>

#include "l_core.h"

/* Push what an NFT_MSG_NEW... or NFT_MSG_DEL... message says, as a table with `kind` ("table",
 * "chain", "rule", "set", "element", "flowtable", "counter" ..., "generation") and `family`, and
 * return true; or push nothing and return false where the message is something else. */
bool l_nft_event(lua_State *L, struct nlmsghdr *h);

#endif
