#!/usr/bin/env lua5.4
-- A chain of 30 routers, and the way through it.
--
--   r1 --- r2 --- r3 --- ... --- r30
--
--   links are /31 and /127 from 10.128.0.0/9 and fd00:0:1::/64
local core = require "netns.core"
local topology = require "netns.topology"

local lab <close> = topology.line({ routers = 30 }):up()
local probes <close> = core.probes()
local number = probes:add("traceroute", lab.r1, lab.r30.address, { timeout = 2 })
repeat
  local left = probes:step()
until left == 0

local count = 0
for _, shot in ipairs(probes:result(number).shots) do
  if shot.rtt then
    count = count + 1
    print(("%2d  %-16s %6.3f ms"):format(count, shot.from, shot.rtt * 1e3))
    if shot.from == lab.r30.address then
      break
    end
  end
end
assert(count == 29, "some routers did not answer")
