-- make run RUN=examples/cookbook/slow_link.lua
-- A slow way: 40 ms there, 40 ms back, and 10 Mbit/s.
-- needs: netem
--
--      a 10.0.0.1 ---- 40 ms, 10 Mbit/s ---- 10.0.0.2 b
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
local eth0 = a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
a.addr:add { dev = "eth0", address = "10.0.0.1/24" }
b.addr:add { dev = "eth0", address = "10.0.0.2/24" }

eth0:impair { delay = "40ms", rate = "10mbit" } -- both ways
local result = assert(a:ping("10.0.0.2", { count = 3, interval = 0 }))
print(result)
assert(result.min >= 0.08)
