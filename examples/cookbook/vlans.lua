-- make run RUN=examples/cookbook/vlans.lua
-- Two VLANs on one switch: hosts hear only their own.
-- needs: bridge-vlan
--
--      h1 --+         +-- h3      VLAN 10: h1 h3
--           +-- br0 --+
--      h2 --+         +-- h4      VLAN 20: h2 h4
local netns = require "netns"

local switch <close> = netns.new()
switch.link:add { name = "br0", type = "bridge", vlan_filtering = true, vlan_default_pvid = 0 }
local hosts = {}
for i = 1, 4 do
  hosts[i] = netns.new()
  hosts[i].link:add { name = "eth0", type = "veth", up = true, peer = { name = "p" .. i, netns = switch } }
  hosts[i].addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
  switch.link:set { dev = "p" .. i, master = "br0", up = true }
  switch.vlan:add { dev = "p" .. i, vid = i % 2 == 1 and 10 or 20, pvid = true, untagged = true }
end
switch.link:set { dev = "br0", up = true }

print(switch.vlan:list())
print(assert(hosts[1]:ping "10.0.0.3"))
assert(not hosts[1]:ping("10.0.0.2", { timeout = 0.2 }))
