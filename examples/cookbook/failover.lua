-- make run RUN=examples/cookbook/failover.lua
-- Two uplinks, one better: when it goes down, the kernel takes its routes away, and the other's are left.
--
--      site eth1 10.0.1.2 -------- 10.0.1.1 isp
--           eth2 10.0.2.2 -------- 10.0.2.1      192.0.2.1 on lo
local netns = require "netns"

local site <close> = netns.new()
local isp <close> = netns.new()
for i = 1, 2 do
  site.link:add { name = "eth" .. i, type = "veth", up = true, peer = { name = "eth" .. i, netns = isp, up = true } }
  site.addr:add { dev = "eth" .. i, address = ("10.0.%d.2/24"):format(i) }
  isp.addr:add { dev = "eth" .. i, address = ("10.0.%d.1/24"):format(i) }
  site.route:add { dst = "default", via = ("10.0.%d.1"):format(i), metric = 10 * i }
end
isp.link:set { dev = "lo", up = true }
isp.addr:add { dev = "lo", address = "192.0.2.1/32" }

assert(site.route:get("192.0.2.1").dev == "eth1")
print(assert(site:ping "192.0.2.1"))
site.link:set { dev = "eth1", up = false }
assert(site.route:get("192.0.2.1").dev == "eth2")
print(assert(site:ping "192.0.2.1"))
