--- Small networks for specs, built from the core's nouns only.
--
--    local net <close> = nets.line { "a", "r1", "r2", "b" }
--    net.a:ping "10.0.3.2"
--
-- In a line, link i joins node i (10.0.i.1, fd00:i::1) and node i + 1 (10.0.i.2, fd00:i::2); its ends are called
-- "right" at node i and "left" at node i + 1. Everything in between forwards, and routes lead everywhere.
local netns = require "netns"

local nets = {}

local Net = {}
Net.__index = Net

function Net:__close()
  for _, ns in ipairs(self.list) do
    ns:close()
  end
end
Net.close = Net.__close

local function new_net(names)
  local net = setmetatable({ list = {}, names = names }, Net)
  for i, name in ipairs(names) do
    net.list[i] = netns.new()
    net[name] = net.list[i]
    net[name].link:set { dev = "lo", up = true }
    net[name].sysctl["net.ipv6.conf.default.accept_dad"] = 0
    -- specs provoke more errors than a host would send
    net[name].sysctl["net.ipv4.icmp_ratelimit"] = 0
    net[name].sysctl["net.ipv6.icmp.ratelimit"] = 0
  end
  return net
end

local function give(ns, dev, v4, v6)
  ns.link:set { dev = dev, up = true }
  ns.addr:add { dev = dev, address = v4 }
  ns.addr:add { dev = dev, address = v6, nodad = true }
end

-- Routes of node i to link k, further on than its own: over its neighbour on that side.
local function route(ns, i, k)
  local right = k > i
  local via = right and i or i - 1
  local last = right and 2 or 1
  ns.route:add { dst = ("10.0.%d.0/24"):format(k), via = ("10.0.%d.%d"):format(via, last) }
  ns.route:add { dst = ("fd00:%d::/64"):format(k), via = ("fd00:%d::%d"):format(via, last) }
end

--- Nodes in a line, all but the ends being routers.
function nets.line(names)
  local net = new_net(names)
  for i = 1, #names - 1 do
    local left, right = net.list[i], net.list[i + 1]
    left.link:add { name = "right", type = "veth", peer = { name = "left", netns = right } }
    give(left, "right", ("10.0.%d.1/24"):format(i), ("fd00:%d::1/64"):format(i))
    give(right, "left", ("10.0.%d.2/24"):format(i), ("fd00:%d::2/64"):format(i))
  end
  for i, ns in ipairs(net.list) do
    if i > 1 and i < #names then
      ns.sysctl["net.ipv4.ip_forward"] = 1
      ns.sysctl["net.ipv6.conf.all.forwarding"] = 1
    end
    for k = 1, #names - 1 do
      if k ~= i and k ~= i - 1 then
        route(ns, i, k)
      end
    end
  end
  nets.settle(net)
  return net
end

--- Hosts h1 h2 ... on one switch `sw`: host i has 10.1.x.y/16 and fd01::i/64 on eth0.
function nets.star(hosts)
  local names = { "sw" }
  for i = 1, hosts do
    names[i + 1] = "h" .. i
  end
  local net = new_net(names)
  net.sw.link:add { name = "br0", type = "bridge" }
  net.addresses = {}
  for i = 1, hosts do
    local host, port = net["h" .. i], "p" .. i
    host.link:add { name = "eth0", type = "veth", peer = { name = port, netns = net.sw } }
    net.sw.link:set { dev = port, master = "br0", up = true }
    net.addresses[i] = ("10.1.%d.%d"):format(i // 250, i % 250 + 1)
    give(host, "eth0", net.addresses[i] .. "/16", ("fd01::%x/64"):format(i))
  end
  net.sw.link:set { dev = "br0", up = true }
  nets.settle(net)
  return net
end

--- Wait until every link that is up has its carrier, and IPv6 knows it.
function nets.settle(net)
  local sh = require "spec.support.sh"
  for _, ns in ipairs(net.list) do
    sh.eventually(function()
      for _, addr in ipairs(ns.addr:list()) do
        if addr.tentative then
          return false
        end
      end
      for _, link in ipairs(ns.link:list()) do
        if link.up and link.operstate ~= "up" and link.operstate ~= "unknown" then
          return false
        end
      end
      return true
    end, 10, "a network that is settled")
  end
end

return nets
