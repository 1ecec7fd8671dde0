/* SPDX-License-Identifier: MIT
 * WireGuard's rows: what of them does not fit one message. */
#ifndef NETNS_ATTRS_WIREGUARD_H
#define NETNS_ATTRS_WIREGUARD_H

#include "codec.h"

/* The prefix at the top as one nested attribute of WGPEER_A_ALLOWEDIPS. 0 or -errno. */
int wireguard_put_allowed(struct codec_enc *enc);
/* Push such an attribute as text; false where it is malformed. */
bool wireguard_push_allowed(lua_State *L, struct nlattr *allowed);

#endif
