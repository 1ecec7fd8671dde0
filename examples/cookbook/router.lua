-- make run RUN=examples/cookbook/router.lua
-- A router between two networks.
--
--      a 10.0.1.2 -------- 10.0.1.1 r 10.0.2.1 -------- 10.0.2.2 b
local netns = require "netns"

local a <close> = netns.new()
local r <close> = netns.new()
local b <close> = netns.new()
for i, host in ipairs { a, b } do
  host.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth" .. i, netns = r, up = true } }
  host.addr:add { dev = "eth0", address = ("10.0.%d.2/24"):format(i) }
  r.addr:add { dev = "eth" .. i, address = ("10.0.%d.1/24"):format(i) }
  host.route:add { dst = "default", via = ("10.0.%d.1"):format(i) }
end
r.sysctl["net.ipv4.ip_forward"] = 1

print(assert(a:ping "10.0.2.2"))
print(a:traceroute "10.0.2.2")
