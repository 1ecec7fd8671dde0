#!/usr/bin/env lua5.4
-- Two hosts and a router between them, IPv4 and IPv6; then all of it is gone.
--
--      alice                     router                      bob
--     +------+ eth0         a0 +--------+ b0         eth0 +------+
--     |      |-----------------|        |-----------------|      |
--     +------+  10.0.1.0/24    +--------+   10.0.2.0/24   +------+
--               fd00:1::/64                 fd00:2::/64
--
--     alice   10.0.1.2  fd00:1::2
--     router  10.0.1.1  fd00:1::1   and   10.0.2.1  fd00:2::1
--     bob     10.0.2.2  fd00:2::2
local netns = require "netns"
local socket = require "socket"

-- Anonymous namespaces: they live as long as these handles.
local alice <close> = netns.new()
local router <close> = netns.new()
local bob <close> = netns.new()

-- A veth from a host to the router: both ends are born where they belong.
local function connect(host, name, net)
  host.link:add { name = "eth0", type = "veth", up = true, peer = { name = name, netns = router, up = true } }
  host.addr:add { address = ("10.0.%d.2/24"):format(net), dev = "eth0" }
  host.addr:add { address = ("fd00:%d::2/64"):format(net), dev = "eth0", nodad = true }
  router.addr:add { address = ("10.0.%d.1/24"):format(net), dev = name }
  router.addr:add { address = ("fd00:%d::1/64"):format(net), dev = name, nodad = true }
  host.route:add { dst = "default", via = ("10.0.%d.1"):format(net) }
  host.route:add { dst = "default", via = ("fd00:%d::1"):format(net) }
end

-- IPv6 asks for a second whether an address is taken; here nobody else could have it.
for _, ns in ipairs { alice, router, bob } do
  ns.sysctl["net.ipv6.conf.default.dad_transmits"] = 0
end
connect(alice, "a0", 1)
connect(bob, "b0", 2)
router.sysctl["net.ipv4.ip_forward"] = 1
router.sysctl["net.ipv6.conf.all.forwarding"] = 1

print "The router's links:"
print(router.link:list())
print "\nThe router's routes:"
print(router.route:list())

print "\nPing from alice to bob, across the router:"
for _, address in ipairs { "10.0.2.2", "fd00:2::2" } do
  local result = alice:run({ "ping", "-n", "-c", "3", "-w", "5", "-i", "0.05", address }, { check = true })
  print(result.stdout:match "(%d+ packets.-)\n")
end

-- A socket stays in the namespace that it was made in, wherever it is used.
print "\nA megabyte from alice to bob over TCP:"
local server = bob:call(socket.bind, "10.0.2.2", 5000)
local client = alice:call(socket.connect, "10.0.2.2", 5000)
local peer = server:accept()
local piece, received = ("x"):rep(16384), 0
for _ = 1, 64 do
  assert(client:send(piece))
  received = received + #assert(peer:receive(#piece))
end
print(("%d bytes, from %s to %s"):format(received, client:getsockname(), client:getpeername()))
for _, s in ipairs { client, peer, server } do
  s:close()
end

print "\nWhat alice's link counted:"
local stats = alice.link:get("eth0").stats
print(("%d packets out, %d packets in"):format(stats.tx_packets, stats.rx_packets))
