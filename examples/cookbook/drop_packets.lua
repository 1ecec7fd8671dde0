-- make run RUN=examples/cookbook/drop_packets.lua
-- Drop 1 % of packets for 5 s: 500 pings, one every 10 ms, while the link loses some.
-- needs: netem
--
--      a 10.0.0.1 ---- 1 % loss ---- 10.0.0.2 b
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
local eth0 = a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
a.addr:add { dev = "eth0", address = "10.0.0.1/24" }
b.addr:add { dev = "eth0", address = "10.0.0.2/24" }

eth0:impair { loss = "1%" }
print(a:ping("10.0.0.2", { count = 500, interval = 0.01 }))
eth0:impair {} -- and it is gone
assert(a:ping("10.0.0.2", { count = 100, interval = 0 }).loss == 0)
