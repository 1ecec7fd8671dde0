-- Two namespaces attached to a network by CNI plugins, and a port of one of them published. Run as root:
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/cni/attach.lua
--
--   web eth0 10.22.0.2 ---\
--                           cni0 10.22.0.1 -- machine (a namespace here) eth0 198.51.100.1 -- 198.51.100.2 client
--   db  eth0 10.22.0.3 ---/
local netns = require "netns"

local machine <close> = netns.new()
local client <close> = netns.new()
local web <close> = netns.new()
local db <close> = netns.new()
machine.link:set { dev = "lo", up = true }
machine.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = client, up = true } }
machine.addr:add { dev = "eth0", address = "198.51.100.1/24" }
client.addr:add { dev = "eth0", address = "198.51.100.2/24" }
machine:wait { link = "eth0", state = "up" }

-- the same text could stand in /etc/cni/net.d/10-pods.conflist
local state = os.tmpname()
os.remove(state)
local network = {
  cniVersion = "1.0.0", name = "pods",
  plugins = { {
    type = "netns-bridge", bridge = "cni0", isDefaultGateway = true, ipMasq = true,
    capabilities = { portMappings = true },
    ipam = { type = "host-local", dataDir = state, ranges = { { { subnet = "10.22.0.0/24" } } } },
  } },
}
local here = arg[0]:match "^(.*)/" or "."
local opts = { host = machine, path = { here, "/usr/lib/cni", "/opt/cni/bin" }, cache = state }

do
  opts.id, opts.capabilities = "web", { portMappings = { { hostPort = 8080, containerPort = 80, protocol = "tcp" } } }
  local web0 <close> = netns.cni.exec(network, web, opts)
  opts.id, opts.capabilities = "db", nil
  local db0 <close> = netns.cni.exec(network, db, opts)
  print(web0)
  print(db0)
  print("web to db:", web:ping(db0.ips[1].address:match "[^/]+"))
  print("db to the client, masqueraded:", db:ping "198.51.100.2")

  local code = [[local s = require("socket").bind("*", 80) local c = s:accept() c:send("hello from web\n")]]
  local server <close> = web:spawn({ "lua5.4", "-e", code }, { ready = { tcp = 80 } })
  print("the client at port 8080:", client:run({ "lua5.4", "-e",
    [[print((require("socket").connect("198.51.100.1", 8080):receive()))]] }, { check = true }))
  assert(server:wait(10).ok and web0:check() and db0:check())
end
assert(not web.link:get "eth0") -- detached at the end of the block
machine:run { "rm", "-r", state }
