-- make run RUN=examples/cookbook/capture.lua
-- Capture what goes over a link while a test runs; the file is for Wireshark.
--
--      a 10.0.0.1 -------- 10.0.0.2 b
local netns = require "netns"

local a <close> = netns.new()
local b <close> = netns.new()
local eth0 = a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
a.addr:add { dev = "eth0", address = "10.0.0.1/24" }
b.addr:add { dev = "eth0", address = "10.0.0.2/24" }

local path = os.tmpname()
local capture <close> = eth0:capture { file = path }
assert(a:ping("10.0.0.2", { count = 2, interval = 0 })) -- the test

local seen = 0
for packet in capture:each(0) do
  print(packet)
  seen = seen + (packet.icmp and 1 or 0)
end
assert(seen == 4)
capture:stop() -- and the file is complete
print(capture:stats().written, "packets are in", path)
os.remove(path)
