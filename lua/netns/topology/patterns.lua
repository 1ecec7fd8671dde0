--- Ready-made topologies: each a function from parameters to a description that can be changed and included.
-- @module netns.topology.patterns
local check = require "netns.check"
local description = require "netns.topology.description"
local words = require "netns.topology.words"

local patterns = {}

-- Take the parameters a pattern knows; the rest belongs to the description (pools, ipv4, ipv6, routing) or its links.
local function parameters(name, given, known)
  local values, opts, link = {}, {}, {}
  given = given or {}
  local shared = { pools = opts, ipv4 = opts, ipv6 = opts, routing = opts, name = opts, link = values }
  for key, value in pairs(given) do
    local k = known[key]
    if k then
      if math.type(value) ~= "integer" or value < k.min or value > k.max or (k.even and value % 2 ~= 0) then
        error(("topology.%s: %s must be an %sinteger from %d to %d, got %s"):format(name, key, k.even and "even " or "",
          k.min, k.max, tostring(value)), 3)
      end
      values[key] = value
    elseif key == "link" then
      link = value
    elseif shared[key] then
      shared[key][key] = value
    elseif key ~= "publish" or name ~= "container_host" then
      local all = words.sorted(known)
      table.move({ "link", "name", "pools", "ipv4", "ipv6", "routing" }, 1, 6, #all + 1, all)
      error(("topology.%s: unknown key \"%s\"%s"):format(name, tostring(key), check.hint(tostring(key), all)), 3)
    end
  end
  for key, k in pairs(known) do
    values[key] = values[key] or k.default
  end
  values.publish = given.publish
  local topology = description.new(opts.name or name:gsub("_", "-"), opts)
  return topology, values, link
end

local function count(default, max)
  return { min = 1, max = max or 100000, default = default }
end

--- Two hosts and a link: h1, h2.
-- @tparam[opt] table given `link`: options of the link, as for `Node:connect`
-- @treturn Topology
-- @usage topology.pair { link = { delay = "10ms", loss = "1%" } }
function patterns.pair(given)
  local t, _, link = parameters("pair", given, {})
  t:host "h2"
  t:host("h1"):connect("h2", link)
  return t
end

--- Routers in a row: r1 .. rN.
-- @tparam[opt] table given `routers` (3)
-- @treturn Topology
-- @usage local lab <close> = topology.line { routers = 3 }:up()
function patterns.line(given)
  local t, p, link = parameters("line", given, { routers = count(3) })
  for i = 1, p.routers do
    t:router("r" .. i)
    if i > 1 then
      t:node("r" .. i - 1):connect("r" .. i, link)
    end
  end
  return t
end

--- Routers in a circle: r1 .. rN.
-- @tparam[opt] table given `routers` (4, at least 3)
-- @treturn Topology
-- @usage topology.ring { routers = 6 }
function patterns.ring(given)
  local t, p, link = parameters("ring", given, { routers = { min = 3, max = 100000, default = 4 } })
  for i = 1, p.routers do
    t:router("r" .. i)
  end
  for i = 1, p.routers do
    t:node("r" .. i):connect("r" .. i % p.routers + 1, link)
  end
  return t
end

--- Hosts on a switch: h1 .. hN, s1.
-- @tparam[opt] table given `hosts` (3, at most 1023: a bridge has no more ports)
-- @treturn Topology
-- @usage local lab <close> = topology.star { hosts = 10 }:up()
function patterns.star(given)
  local t, p, link = parameters("star", given, { hosts = count(3, 1023) })
  t:switch "s1"
  for i = 1, p.hosts do
    t:host("h" .. i):attach("s1", link)
  end
  return t
end

--- Routers, each with a link to every other: r1 .. rN.
-- @tparam[opt] table given `routers` (4)
-- @treturn Topology
-- @usage topology.mesh { routers = 5 }
function patterns.mesh(given)
  local t, p, link = parameters("mesh", given, { routers = count(4, 1000) })
  for i = 1, p.routers do
    t:router("r" .. i)
  end
  for i = 1, p.routers do
    for j = i + 1, p.routers do
      t:node("r" .. i):connect("r" .. j, link)
    end
  end
  return t
end

--- Routers as a tree with hosts as leaves: r1 is the root, h1 .. hN are the leaves.
-- @tparam[opt] table given `depth` (2: levels of routers), `fanout` (2)
-- @treturn Topology
-- @usage topology.tree { depth = 3, fanout = 2 }
function patterns.tree(given)
  local t, p, link = parameters("tree", given, { depth = count(2, 16), fanout = count(2, 1000) })
  local routers, hosts = 0, 0
  local function grow(level)
    routers = routers + 1
    local name = "r" .. routers
    t:router(name)
    for _ = 1, p.fanout do
      if level < p.depth then
        local child = grow(level + 1)
        t:node(name):connect(child, link)
      else
        hosts = hosts + 1
        t:host("h" .. hosts):connect(name, link)
      end
    end
    return name
  end
  grow(1)
  return t
end

--- Hosts left and right of one narrow link: h1 .. hL on s1 and r1, the rest on s2 and r2.
-- @tparam[opt] table given `left` (2), `right` (2); `link` impairs the link between r1 and r2
-- @treturn Topology
-- @usage topology.dumbbell { left = 3, right = 3, link = { rate = "10mbit", delay = "20ms" } }
function patterns.dumbbell(given)
  local t, p, link = parameters("dumbbell", given, { left = count(2, 1022), right = count(2, 1022) })
  t:switch "s1"
  t:switch "s2"
  t:router("r1"):attach "s1"
  t:router("r2"):attach "s2"
  t:node("r1"):connect("r2", link)
  for i = 1, p.left + p.right do
    t:host("h" .. i):attach(i <= p.left and "s1" or "s2")
  end
  return t
end

--- A Clos fabric of routers: leaves r1 .. rL, spines behind them, hosts on the leaves.
-- Routers are numbered leaves first: with 2 leaves and 2 spines, r1 and r2 are leaves, r3 and r4 spines. The links of
-- a spine lie side by side, so that one route to each spine is enough for all of them.
-- @tparam[opt] table given `leaves` (2), `spines` (2), `hosts` (1 per leaf)
-- @treturn Topology
-- @usage topology.leaf_spine { leaves = 4, spines = 2, hosts = 2 }
function patterns.leaf_spine(given)
  local t, p, link = parameters("leaf_spine", given,
    { leaves = count(2, 1000), spines = count(2, 1000), hosts = count(1, 1000) })
  for i = 1, p.leaves + p.spines do
    t:router("r" .. i)
  end
  for spine = 1, p.spines do
    for leaf = 1, p.leaves do
      t:node("r" .. p.leaves + spine):connect("r" .. leaf, link)
    end
  end
  for leaf = 1, p.leaves do
    for i = 1, p.hosts do
      t:host("h" .. (leaf - 1) * p.hosts + i):connect("r" .. leaf)
    end
  end
  return t
end

--- A fat tree of routers with k ports: k²/4 core, k²/2 aggregation, k²/2 edge routers, k³/4 hosts.
-- Routers are numbered core first, then pod by pod, aggregation before edge.
-- @tparam[opt] table given `k` (4, even)
-- @treturn Topology
-- @usage topology.fat_tree { k = 4 }
function patterns.fat_tree(given)
  local t, p, link = parameters("fat_tree", given, { k = { min = 2, max = 48, default = 4, even = true } })
  local half = p.k // 2
  local core, number, host = half * half, half * half, 0
  for i = 1, core + p.k * p.k do
    t:router("r" .. i)
  end
  for _ = 1, p.k do
    for a = 1, half do
      for c = 1, half do
        t:node("r" .. number + a):connect("r" .. (a - 1) * half + c, link)
      end
      for e = 1, half do
        t:node("r" .. number + a):connect("r" .. number + half + e, link)
      end
    end
    for e = 1, half do
      for _ = 1, half do
        host = host + 1
        t:host("h" .. host):connect("r" .. number + half + e)
      end
    end
    number = number + p.k
  end
  return t
end

--- What a container engine's default network is: containers c1 .. cN on the bridge s1, `host` routes between the
-- bridge and `outside`, hides the containers behind its address and publishes ports of them.
-- @tparam[opt] table given `containers` (2), `publish`: a list of `{ port = 8080, to = "c1", to_port = 80 }`
-- @treturn Topology
-- @usage topology.container_host { containers = 3, publish = { { port = 8080, to = "c1", to_port = 80 } } }
function patterns.container_host(given)
  local t, p, link = parameters("container_host", given, { containers = count(2, 1000) })
  t:switch "s1"
  t:host "outside"
  t:router("host"):attach("s1"):connect("outside", link):nat { out = "outside", publish = p.publish }
  for i = 1, p.containers do
    t:host("c" .. i):attach "s1"
  end
  return t
end

return patterns
