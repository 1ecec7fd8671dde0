-- make run RUN=examples/cookbook/host_behind_nat.lua
-- A host behind NAT: outside sees the gateway's address only, and cannot come in.
--
--      host -------- gw -------- outside
local topology = require "netns.topology"

local t = topology.new "home"
local gw, outside = t:router "gw", t:host "outside"
t:host("host"):connect(gw)
gw:connect(outside):nat { out = outside }

local lab <close> = t:up()
print(assert(lab.host:ping(lab.outside)))
assert(not lab:reach("outside", "host", { timeout = 0.2 }))
print(lab)
