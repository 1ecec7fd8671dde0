-- make run RUN=examples/cookbook/firewall.lua
-- A host that lets in ssh and pings, and nothing else.
--
--      guest 10.0.0.2 -------- 10.0.0.1 host
local firewall = require "netns.firewall"
local netns = require "netns"

local host <close> = netns.new()
local guest <close> = netns.new()
host.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = guest, up = true } }
host.addr:add { dev = "eth0", address = "10.0.0.1/24" }
guest.addr:add { dev = "eth0", address = "10.0.0.2/24" }

firewall.default_deny(host)
firewall.allow(host, { proto = "tcp", port = 22 })
firewall.allow(host, { proto = "ping" })

local ssh <close> = host:tcp_listen { port = 22 }
local web <close> = host:tcp_listen { port = 80 }
print(ssh, web)
print(assert(guest:reach("10.0.0.1", { tcp = 22 })))
print(assert(guest:ping "10.0.0.1"))
assert(not guest:reach("10.0.0.1", { tcp = 80, timeout = 0.2 }))
