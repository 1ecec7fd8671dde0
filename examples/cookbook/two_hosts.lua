-- make run RUN=examples/cookbook/two_hosts.lua
-- Two hosts and a wire.
--
--      a 10.0.0.1/24 -------- 10.0.0.2/24 b
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
a.addr:add { dev = "eth0", address = "10.0.0.1/24" }
b.addr:add { dev = "eth0", address = "10.0.0.2/24" }

print(assert(a:ping "10.0.0.2"))
