/* SPDX-License-Identifier: MIT
 * WireGuard without Lua: keys, and generic netlink's requests to the kernel's driver. */
#ifndef NETNS_WIREGUARD_H
#define NETNS_WIREGUARD_H

#include <linux/wireguard.h>

#include "error.h"
#include "rtnl.h"

#define WIREGUARD_TEXT_LEN 44 /* of a key in base64 */

/* From the kernel's random numbers; `clamp` makes a private key of them. 0 or -errno. */
int wireguard_random(uint8_t key[WG_KEY_LEN], bool clamp, struct nserr *e);
/* As the kernel works it out, on a device in a namespace that lives no longer than this call. */
int wireguard_public(const uint8_t private_key[WG_KEY_LEN], uint8_t public_key[WG_KEY_LEN],
                     struct nserr *e);
void wireguard_to_text(const uint8_t key[WG_KEY_LEN], char text[WIREGUARD_TEXT_LEN + 1]);
/* false where text is not a key. */
bool wireguard_from_text(const char *text, uint8_t key[WG_KEY_LEN]);

/* The number that generic netlink's family "wireguard" has in messages; or -errno (-ENOENT: the
 * kernel has no WireGuard). */
int wireguard_family(struct rtnl *s, struct rtnl_fault *f);
/* All messages about a device, one after the other, in `reply`. 0 or -errno. */
int wireguard_get(struct rtnl *s, int ifindex, struct bytes *reply, struct rtnl_fault *f);

#endif
