-- make run RUN=examples/cookbook/wireguard.lua
-- A WireGuard tunnel between two hosts.
-- needs: wireguard
--
--      a 192.0.2.1 ======== 192.0.2.2 b
--        10.9.0.1    wg0    10.9.0.2
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
local keys = { netns.wireguard.genkey(), netns.wireguard.genkey() }
for i, ns in ipairs { a, b } do
  local other = 3 - i
  ns.addr:add { dev = "eth0", address = ("192.0.2.%d/24"):format(i) }
  ns.link:add { name = "wg0", type = "wireguard", up = true, private_key = keys[i], listen_port = 51820, peers = { {
    public_key = netns.wireguard.pubkey(keys[other]), endpoint = ("192.0.2.%d:51820"):format(other),
    allowed_ips = { ("10.9.0.%d/32"):format(other) },
  } } }
  ns.addr:add { dev = "wg0", address = ("10.9.0.%d/24"):format(i) }
end

print(assert(a:ping("10.9.0.2", { timeout = 5 })))
print(a.link:get("wg0").peers[1].latest_handshake)
