/* SPDX-License-Identifier: MIT
 * What the bindings of captures share: packets as Lua values, and libpcap's filters. */
#ifndef NETNS_L_CAPTURE_H
#define NETNS_L_CAPTURE_H

#include "capture.h"
#include "l_core.h"

#define L_PACKET "netns.Packet"
/* A userdata that is a struct capture_filter, made by l_pcap.c in another library. */
#define L_FILTER "netns.Filter"

/* Push a packet with `bytes` and what it begins with. */
void l_packet_push(lua_State *L, enum packet_header first, const void *data, size_t len);

#endif
