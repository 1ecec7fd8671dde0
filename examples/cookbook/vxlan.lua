-- make run RUN=examples/cookbook/vxlan.lua
-- An Ethernet over a routed network: VXLAN.
-- needs: vxlan
--
--      a 192.0.2.1 ======== 192.0.2.2 b
--        10.9.0.1   VNI 42  10.9.0.2
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
for i, ns in ipairs { a, b } do
  ns.addr:add { dev = "eth0", address = ("192.0.2.%d/24"):format(i) }
  ns.link:add { name = "vx0", type = "vxlan", id = 42, dstport = 4789, ["local"] = ("192.0.2.%d"):format(i),
    remote = ("192.0.2.%d"):format(3 - i), up = true }
  ns.addr:add { dev = "vx0", address = ("10.9.0.%d/24"):format(i) }
end

print(assert(a:ping "10.9.0.2"))
