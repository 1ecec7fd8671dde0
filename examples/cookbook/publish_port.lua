-- make run RUN=examples/cookbook/publish_port.lua
-- A server behind NAT, published on a port of the gateway.
--
--      web :80 -------- gw :8080 -------- outside
--                          192.0.2.1      192.0.2.2
local topology = require "netns.topology"

local t = topology.new "published"
local gw, outside = t:router "gw", t:host "outside"
t:host("web"):connect(gw)
gw:connect(outside, { subnet = "192.0.2.0/30", address = "192.0.2.1/30", to_address = "192.0.2.2/30" })
gw:nat { out = outside, publish = { { port = 8080, to = "web", to_port = 80 } } }

local lab <close> = t:up()
local server <close> = lab.web:tcp_listen { port = 80 }
print(server)
print(assert(lab.outside:reach("192.0.2.1", { tcp = 8080 })))
