-- make run RUN=examples/cookbook/copy_a_namespace.lua
-- Copy what is set in one namespace to another: what is listed can be added.
--
--      original: lo, br0 10.0.0.1/24, routes, firewall  -->  copy
local netns = require "netns"

local original <close> = netns.new()
local copy <close> = netns.new()
original.link:add { name = "br0", type = "bridge", up = true }
original.addr:add { dev = "br0", address = "10.0.0.1/24" }
original.route:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
original.nft:run "add table inet f { chain c { type filter hook input priority 0; tcp dport 23 drop; }; }"

for _, link in ipairs(original.link:list { type = "bridge" }) do
  copy.link:add(link)
end
for _, noun in ipairs { "addr", "route" } do
  for _, row in ipairs(original[noun]:list { dev = "br0", family = "inet" }) do
    copy[noun]:replace(row)
  end
end
copy.nft:add(original.nft:list())

print(copy.addr:list { dev = "br0", family = "inet" })
print(copy.route:list { family = "inet" })
assert(copy.nft:text():find("tcp dport 23 drop", 1, true))
assert(#copy.route:list { dst = "10.9.0.0/16" } == 1)
