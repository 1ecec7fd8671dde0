-- Routes against an oracle: all distances by Floyd and Warshall, the slow way that leaves no room for mistakes.
-- Random graphs with costs, shared segments, parallel links, several parts. NETNS_SEED repeats a run.
local ip = require "netns.topology.ip"
local ranges = require "netns.topology.ranges"
local routing = require "netns.topology.routing"
local topology = require "netns.topology"

local seed = tonumber(os.getenv "NETNS_SEED" or "") or os.time()

local function generator()
  local state = seed
  return function(low, high)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return low + (state >> 33) % (high - low + 1)
  end
end

local function random_graph(random)
  local t = topology.new "random"
  local routers, costs = random(1, 14), random(1, 4)
  for i = 1, routers do
    t:router("r" .. i)
    if i > 1 and random(1, 8) > 1 then -- sometimes there is no way
      t:node("r" .. i):connect("r" .. random(1, i - 1), { cost = random(1, costs) })
    end
  end
  for i = 1, random(0, 3) do
    t:switch("s" .. i)
    local there = {}
    for _ = 1, random(1, 4) do
      local r = random(1, routers)
      if not there[r] then
        there[r] = true
        t:node("r" .. r):attach("s" .. i, { cost = random(1, costs) })
      end
    end
  end
  for _ = 1, random(0, routers) do
    local a, b = random(1, routers), random(1, routers)
    if a ~= b then
      t:node("r" .. a):connect("r" .. b, { cost = random(1, costs) })
    end
  end
  for i = 1, random(0, 4) do
    t:host("h" .. i):connect("r" .. random(1, routers))
    if random(1, 2) == 1 then
      t:node("h" .. i):connect("r" .. random(1, routers), { cost = random(1, costs) })
    end
  end
  return t
end

-- Distances from each node to each segment.
local function oracle(m)
  local far = {}
  local function cost(iface)
    return iface.link.opts.cost or 1
  end
  for _, a in ipairs(m.nodes) do
    far[a] = {}
    for _, iface in ipairs(a.ifaces) do
      for _, other in ipairs(iface.segment and iface.segment.ifaces or {}) do
        if other.node ~= a then
          far[a][other.node] = math.min(far[a][other.node] or math.huge, cost(iface))
        end
      end
    end
    far[a][a] = 0
  end
  for _, k in ipairs(m.nodes) do
    if k.forwards then
      for _, a in ipairs(m.nodes) do
        for _, b in ipairs(m.nodes) do
          local d = (far[a][k] or math.huge) + (far[k][b] or math.huge)
          if d < (far[a][b] or math.huge) then
            far[a][b] = d
          end
        end
      end
    end
  end
  local to = {}
  for _, a in ipairs(m.nodes) do
    to[a] = {}
    for _, segment in ipairs(m.segments) do
      local best = math.huge
      for _, iface in ipairs(segment.ifaces) do
        if iface.node.forwards or iface.node == a then
          best = math.min(best, (far[a][iface.node] or math.huge) + cost(iface))
        end
      end
      to[a][segment] = best
    end
  end
  return to
end

-- What the oracle says are the next hops of a node to a segment: "address address".
local function right_hops(to, node, segment, family)
  local set, list = {}, {}
  for _, iface in ipairs(node.ifaces) do
    for _, other in ipairs(iface.segment and iface.segment.ifaces or {}) do
      local d = other.node.forwards and other.node ~= node and to[other.node][segment] + (iface.link.opts.cost or 1)
      if d and d < math.huge and d == to[node][segment] then
        local a = other.addrs[family]
        set[ip.format(family, a.hi, a.lo)] = true
      end
    end
  end
  for address in pairs(set) do
    list[#list + 1] = address
  end
  table.sort(list)
  return table.concat(list, " ")
end

-- What the node's routes say, by the longest prefix.
local function routed_hops(node, address)
  local best, hops = nil, {}
  for _, route in ipairs(node.routes) do
    local p = ip.prefix(route.dst)
    if p and ip.contains(p, address) and (not best or p.len > best.len) then
      best, hops = p, route.hops
    end
  end
  local list = {}
  for i, hop in ipairs(hops) do
    list[i] = hop.via
  end
  table.sort(list)
  return table.concat(list, " "), best
end

local function touches(node, segment)
  for _, iface in ipairs(node.ifaces) do
    if iface.segment == segment then
      return true
    end
  end
end

local function assert_right(t)
  local m = t:model()
  local to = oracle(m)
  for _, node in ipairs(m.nodes) do
    local covered = {}
    for _, segment in ipairs(m.segments) do
      for family, p in pairs(segment.subnets) do
        if not touches(node, segment) and (node.forwards or #node.ifaces > 1) then
          local address = ip.host(p, 1)
          address.len = ip.bits(family)
          local found, route = routed_hops(node, address)
          local right = right_hops(to, node, segment, family)
          if right ~= found then
            assert.equal(right, found, ("%s to %s\n%s"):format(node.name, ip.text(p), tostring(t)))
          end
          covered[route and ip.text(route) or ""] = true
        end
      end
    end
    for _, route in ipairs(node.routes) do -- and none leads to where nothing is
      if not covered[route.dst] and route.dst ~= "default" then
        assert.equal("a subnet", route.dst, node.name)
      end
    end
  end
end

describe(("routes of random graphs (NETNS_SEED=%d)"):format(seed), function()
  local exact_max = routing.EXACT_MAX
  after_each(function()
    routing.EXACT_MAX = exact_max
  end)

  it("are the shortest paths, all of them", function()
    local random = generator()
    for _ = 1, 150 do
      assert_right(random_graph(random))
    end
  end)

  it("are the same when prefixes are put together", function()
    routing.EXACT_MAX = 0
    local random = generator()
    for _ = 1, 150 do
      assert_right(random_graph(random))
    end
  end)

  it("of a long line and a ring are few", function()
    for _, case in ipairs { { topology.line { routers = 300 }, 46 }, { topology.ring { routers = 200 }, 44 } } do
      for _, step in ipairs(case[1]:plan().steps) do
        assert.is_true(#step.node.routes <= case[2], ("%s: %d"):format(step.name, #step.node.routes))
      end
    end
  end)
end)

describe("netns.topology.ranges", function()
  local spaces = ranges.spaces()
  local function list(...)
    local items = {}
    for i, text in ipairs { ... } do
      items[i] = { spaces:range(ip.prefix(text)) }
    end
    return ranges.list(items)
  end
  local function texts(l)
    local out = {}
    for i = 1, #l, 3 do
      spaces:each_prefix(l[i], l[i + 1], l[i + 2], function(text, mark)
        out[#out + 1] = text .. mark
      end, "")
    end
    return table.concat(out, " ")
  end

  it("puts prefixes together and takes them apart, exactly", function()
    assert.equal("10.0.0.0/22", texts(list("10.0.3.0/24", "10.0.0.0/24", "10.0.2.0/24", "10.0.1.0/24")))
    assert.equal("10.0.1.0/24 10.0.2.0/24", texts(list("10.0.2.0/24", "10.0.1.0/24")))
    assert.equal("10.0.0.0/24 10.0.1.0/25 10.0.2.0/23",
      texts(ranges.difference(list "10.0.0.0/22", list("10.0.1.128/25"))))
    assert.equal("0.0.0.0/0", texts(list("0.0.0.0/1", "128.0.0.0/1")))
    assert.equal("fd00::/63 fd00:0:1::/126", texts(ranges.union(list("fd00::/64", "fd00:0:0:1::/64"),
      list("fd00:0:1::/127", "fd00:0:1::2/127"))))
    assert.equal("fd00:0:1::/127 fd00:0:2::/127", texts(list("fd00:0:2::/127", "fd00:0:1::/127")))
    assert.equal("", texts(ranges.difference(list("10.0.0.0/24", "fd00::/64"), list("10.0.0.0/8", "fd00::/48"))))
  end)
end)
