-- make run RUN=examples/cookbook/policy_routing.lua
-- Routes by source: what comes from 10.1.0.0/16 takes another way.
--
--      10.0.0.1 host -------- 10.0.0.2 isp, 10.0.0.3 other
local netns = require "netns"

local host <close> = netns.new()
local far <close> = netns.new()
host.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = far, up = true } }
host.addr:add { dev = "eth0", address = "10.0.0.1/24" }
host.addr:add { dev = "eth0", address = "10.1.0.1/16" }
host.route:add { dst = "default", via = "10.0.0.2" }
host.route:add { dst = "default", via = "10.0.0.3", table = 100 }
host.rule:add { priority = 1000, from = "10.1.0.0/16", table = 100 }

print(host.rule:list())
assert(host.route:get { dst = "192.0.2.1", from = "10.0.0.1" }.via == "10.0.0.2")
assert(host.route:get { dst = "192.0.2.1", from = "10.1.0.1" }.via == "10.0.0.3")
