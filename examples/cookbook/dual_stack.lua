-- make run RUN=examples/cookbook/dual_stack.lua
-- A host with IPv4 and IPv6: the IPv6 address may be used once the kernel has looked for duplicates.
--
--      a 10.0.0.1/24, fd00::1/64 -------- 10.0.0.2/24, fd00::2/64 b
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
for i, ns in ipairs { a, b } do
  ns.addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
  ns.addr:add { dev = "eth0", address = ("fd00::%d/64"):format(i) }
end
for _, ns in ipairs { a, b } do
  ns.link:get("eth0"):wait { dad_done = true }
end

print(assert(a:ping "10.0.0.2"))
print(assert(a:ping "fd00::2"))
