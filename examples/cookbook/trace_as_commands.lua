-- make run RUN=examples/cookbook/trace_as_commands.lua
-- See the commands that do the same, to learn them, to keep them, or to explain to somebody else.
--
--      red 10.0.0.1 -------- 10.0.0.2 blue
local netns = require "netns"

netns.trace(io.stdout)
local red <close> = netns.new "red"
local blue <close> = netns.new "blue"
red.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = blue, up = true } }
red.addr:add { dev = "eth0", address = "10.0.0.1/24" }
blue.addr:add { dev = "eth0", address = "10.0.0.2/24" }
blue.route:add { dst = "default", via = "10.0.0.1" }
netns.trace(nil)
