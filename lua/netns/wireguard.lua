--- Keys of WireGuard, in base64 as wg(8) has them.
--
-- The options of a WireGuard link are those of a link: `ns.link:add { name = "wg0", type = "wireguard",
-- private_key = ..., listen_port = 51820, fwmark = 7, peers = { ... } }`, `link:set { ... }`, `link.peers`.
-- A peer is `{ public_key =, preshared_key =, endpoint = "192.0.2.1:51820" or "[2001:db8::1]:51820",
-- allowed_ips = { "10.0.0.0/24", ... }, persistent_keepalive = seconds }`. A listing has `rx_bytes`, `tx_bytes` and
-- `latest_handshake` (seconds since 1970; nil before the first) of each besides. `set` adds peers and changes those
-- that are there, as `wg set` does: `allowed_ips` takes the place of what the peer had, or adds to it with
-- `replace_allowed_ips = false`; `remove = true` removes the peer; `update_only = true` makes none where there is
-- none. With `replace_peers = true` all other peers go.
-- @module netns.wireguard
local core = require "netns.core"

local wireguard = {}

--- A new private key, from the kernel's random numbers.
-- @function genkey
-- @treturn string base64
-- @raise a netns.Error if the kernel has no random numbers
-- @usage ns.link:add { name = "wg0", type = "wireguard", private_key = netns.wireguard.genkey() }
wireguard.genkey = core.wireguard.genkey

--- A new preshared key.
-- @function genpsk
-- @treturn string base64
-- @raise a netns.Error if the kernel has no random numbers
-- @usage local secret = netns.wireguard.genpsk()
wireguard.genpsk = core.wireguard.genpsk

--- The public key of a private key, worked out by the kernel: on a WireGuard device in a namespace made for this call.
-- Where the device is there anyway, `link.public_key` has it.
-- @function pubkey
-- @tparam string private_key base64
-- @treturn string base64
-- @raise a netns.Error where the kernel has no WireGuard (EOPNOTSUPP) or namespaces may not be made (EPERM)
-- @usage local public = netns.wireguard.pubkey(private)
wireguard.pubkey = core.wireguard.pubkey

return wireguard
