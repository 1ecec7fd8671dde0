--- One work, done N times, for counting: counted.lua WORK N. What is done only once is the same for every N.
local netns = require "netns"
local topology = require "netns.topology"

local other -- held to the end: the link goes with it

local function pair()
  local a, b = netns.new(), netns.new()
  other = b
  a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
  a.addr:add { dev = "eth0", address = "10.0.0.1/24" }
  b.addr:add { dev = "eth0", address = "10.0.0.2/24" }
  return a
end

local works = {}

local function add_routes(ns, n)
  ns:batch(function(b)
    for i = 0, n - 1 do
      b.route:add { dst = ("20.%d.%d.0/24"):format(i >> 8, i & 255), via = "10.0.0.2" }
    end
  end)
end

works["route in a batch"] = function(n)
  add_routes(pair(), n)
end

works["route listed, and added"] = function(n)
  local ns = pair()
  add_routes(ns, n)
  assert(#ns.route:list { family = "inet" } == n + 1)
end

works["address, one by one"] = function(n)
  local ns = pair()
  for i = 1, n do
    ns.addr:add { dev = "eth0", address = ("10.1.%d.%d/32"):format(i >> 8, i & 255) }
  end
end

works["namespace, made and closed"] = function(n)
  for _ = 1, n do
    netns.new():close()
  end
end

works["host of a star"] = function(n)
  topology.star({ hosts = n, ipv6 = false }):up():close()
end

works["router in a row"] = function(n)
  topology.line({ routers = n, ipv6 = false, routing = "neighbours" }):up():close()
end

works["call"] = function(n)
  local ns = netns.new()
  for _ = 1, n do
    ns:call(math.abs, 1)
  end
end

works["run { \"true\" }"] = function(n)
  local ns = netns.new()
  for _ = 1, n do
    ns:run({ "/bin/true" }, { mounts = false })
  end
end

works["nft rule, 20 at a time"] = function(n)
  local ns = netns.new()
  for _ = 1, n // 20 do
    ns.nft:run("add table inet t\nadd chain inet t c\n" .. ("add rule inet t c tcp dport 22 accept\n"):rep(20), nil,
      { echo = false })
  end
end

works[arg[1]](tonumber(arg[2]))
return other
