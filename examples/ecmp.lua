#!/usr/bin/env lua5.4
-- A leaf-spine fabric: flows from one leaf to another are spread over the spines, and counted.
--
--        s1   s2   s3            spines: r3 r4 r5
--       /  \ /  \ /  \
--     r1 --------- r2            leaves
--     |             |
--    h1            h2            hosts
--
--   links are /31 and /127 from 10.128.0.0/9 and fd00:0:1::/64
local topology = require "netns.topology"
local socket = require "socket"

local lab <close> = topology.leaf_spine({ leaves = 2, spines = 3, hosts = 1 }):up()

local function sent_to_spines()
  local counts = {}
  for i = 1, 3 do
    counts[i] = lab.r1.link:get("eth" .. i).stats.tx_packets -- eth0 is the host's
  end
  return counts
end

local before = sent_to_spines()
local udp = lab.h1:call(socket.udp4) -- socket.udp makes its socket only when it is used, outside
for port = 1, 600 do -- each port is a flow of its own
  udp:sendto("x", lab.h2.address, 20000 + port)
end
udp:close()

local after, total = sent_to_spines(), 0
for i = 1, 3 do
  local packets = after[i] - before[i]
  total = total + packets
  print(("spine %d carried %d packets"):format(i, packets))
  assert(packets > 50, "a spine is left out")
end
print(total .. " in all")
