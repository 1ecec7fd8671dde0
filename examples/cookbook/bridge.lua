-- make run RUN=examples/cookbook/bridge.lua
-- Three hosts on a switch.
--
--      h1 --+
--      h2 --+-- br0      10.0.0.1, .2, .3
--      h3 --+
local netns = require "netns"

local switch <close> = netns.new()
switch.link:add { name = "br0", type = "bridge" }
local hosts = {}
for i = 1, 3 do
  hosts[i] = netns.new()
  hosts[i].link:add { name = "eth0", type = "veth", up = true, peer = { name = "p" .. i, netns = switch } }
  hosts[i].addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
  switch.link:set { dev = "p" .. i, master = "br0", up = true }
end
switch.link:set { dev = "br0", up = true } -- last: with many ports that is much faster

local named = {}
for i, host in ipairs(hosts) do
  named[i] = { name = "h" .. i, netns = host }
end
local matrix = netns.matrix(named)
print(matrix)
assert(matrix.ok)
