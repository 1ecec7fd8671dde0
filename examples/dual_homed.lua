#!/usr/bin/env lua5.4
-- A site with two providers: when the first link is cut, its routes move to the second.
--
--            +--- isp1 ---+
--   site ----+            +---- core ---- server
--            +--- isp2 ---+
--
--   all links are /31 and /127 from 10.128.0.0/9 and fd00:0:1::/64; the way over isp2 costs more
local topology = require "netns.topology"

-- The network, with what the first way costs.
local function network(cost)
  local t = topology.new "dual-homed"
  local site, isp1, isp2, core = t:router "site", t:router "isp1", t:router "isp2", t:router "core"
  site:connect(isp1, { cost = cost }):connect(isp2, { cost = 10 })
  core:connect(isp1):connect(isp2)
  t:host("server"):connect(core)
  return t
end

local lab <close> = network(1):up()

local function report(when)
  local via = lab.site.route:get(lab.server.address).via
  local provider = via == lab.isp1.addresses[2] and "isp1" or "isp2"
  print(("%-14s over %s, server reached: %s"):format(when, provider, (lab:reach("site", "server"))))
  return provider
end

assert(report "as usual" == "isp1")
lab:cut("site", "isp1")
lab:apply(network(1000)) -- a link that was cut stays cut
assert(report "isp1 is cut" == "isp2")
lab:restore("site", "isp1")
lab:apply(network(1))
assert(report "isp1 is back" == "isp1")
