#!/usr/bin/env lua5.4
-- What a container engine's default network is: containers on a bridge, hidden behind the host, a port published.
--
--   c1 --+
--   c2 --+-- [s1] -- host ------- outside
--   c3 --+           NAT, 8080 -> c2:80
--
--   s1            10.0.0.0/24, fd00::/64: host .1, c1 .2 ...
--   host-outside  10.128.0.0/31, fd00:0:1::/127
local topology = require "netns.topology"
local socket = require "socket"

local lab <close> = topology.container_host({
  containers = 3,
  publish = { { port = 8080, to = "c2", to_port = 80 } },
}):up()
print(lab)

local server = lab.c2:call(socket.bind, "*", 80)
print("outside -> host:8080", (lab:reach("outside", "host", { tcp = 8080 })))
print("c1 -> outside       ", (lab:reach("c1", "outside")))
print("c1 -> c3            ", (lab:reach("c1", "c3")))
print("outside -> c1       ", (lab:reach("outside", lab.c1.address, { timeout = 0.2 })))
server:close()
