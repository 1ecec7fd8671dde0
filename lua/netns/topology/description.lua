--- Descriptions: builder methods over plain data.
--
-- A Topology holds its description in `data`, a plain table; every builder method only writes there. The same
-- table can be written by hand (`topology.from`), saved and loaded.
--
--    data = {
--      name = "office",
--      nodes = {
--        lan = { kind = "switch" },
--        gw = { kind = "router", links = { { to = "lan" }, { to = "isp", delay = "10ms" } }, nat = { out = "isp" } },
--        isp = { kind = "router" },
--        pc1 = { kind = "host", links = { { to = "lan" } } },
--      },
--    }
-- @module netns.topology.description
local description = {}

local Topology, Node = {}, {}
Topology.__index, Node.__index = Topology, Node
Topology.__name, Node.__name = "netns.Topology", "netns.TopologyNode"
description.Topology, description.Node = Topology, Node

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, item in pairs(value) do
    result[key] = copy(item)
  end
  return result
end
description.copy = copy

local function wants(value, kind, what)
  if type(value) ~= kind then
    error(("%s must be a %s, got %s"):format(what, kind, type(value)), 3)
  end
end

--- A new, empty Topology.
-- @tparam string name what it is called
-- @tparam[opt] table opts `pools`, `routing`, `ipv4`, `ipv6`: see the README
-- @treturn Topology
-- @usage local office = topology.new("office", { ipv6 = false })
function description.new(name, opts)
  wants(name, "string", "topology.new: the name")
  local data = copy(opts or {})
  data.name, data.nodes = name, {}
  return setmetatable({ data = data }, Topology)
end

--- A Topology of a plain table, which is copied.
-- @tparam table|Topology data its nodes by name; see above
-- @treturn Topology
-- @usage topology.from { nodes = { a = { kind = "host", links = { { to = "b" } } }, b = { kind = "host" } } }
function description.from(data)
  wants(data, "table", "topology.from: the description")
  local result = copy(getmetatable(data) == Topology and data.data or data)
  result.nodes = result.nodes or {}
  return setmetatable({ data = result }, Topology)
end

-- Nodes ------------------------------------------------------------------------------------------------

local function handle(topology, name)
  return setmetatable({ topology = topology, name = name }, Node)
end

local function add_node(topology, kind, name, opts)
  wants(name, "string", kind .. ": the name")
  if topology.data.nodes[name] then
    error(("%s: there is a node \"%s\" already"):format(kind, name), 3)
  end
  local node = copy(opts or {})
  node.kind = kind
  topology.data.nodes[name] = node
  return handle(topology, name)
end

--- A host: it does not forward.
-- @tparam string name
-- @tparam[opt] table opts further keys of the node
-- @treturn Node
-- @usage local pc = office:host "pc1"
function Topology:host(name, opts)
  return add_node(self, "host", name, opts)
end

--- A router: it forwards, and knows the way to every subnet.
-- @tparam string name
-- @tparam[opt] table opts further keys of the node
-- @treturn Node
-- @usage local gw = office:router "gw"
function Topology:router(name, opts)
  return add_node(self, "router", name, opts)
end

--- A switch: a bridge of its own; what is attached to it shares a subnet.
-- @tparam string name
-- @tparam[opt] table opts further keys of the node
-- @treturn Node
-- @usage local lan = office:switch "lan"
function Topology:switch(name, opts)
  return add_node(self, "switch", name, opts)
end

--- The node of that name, or nil.
-- @tparam string name
-- @treturn ?Node
-- @usage t:node("gw"):connect "isp"
function Topology:node(name)
  return self.data.nodes[name] and handle(self, name) or nil
end

--- Put another description into this one: its nodes appear as "NAME.node".
-- @tparam string name what stands before its nodes' names
-- @tparam Topology|table other a description
-- @tparam[opt] table opts `at`: the node of it that is returned, to be connected
-- @treturn Node the node `at`, or nil
-- @usage office:include("berlin", branch { pcs = 3 }, { at = "gw" }):connect(hub)
function Topology:include(name, other, opts)
  wants(name, "string", "include: the name")
  local data = description.from(other).data
  local function renamed(inner)
    return type(inner) == "string" and data.nodes[inner] and name .. "." .. inner or inner
  end
  for inner, node in pairs(data.nodes) do
    for _, link in ipairs(node.links or {}) do
      link.to = renamed(link.to)
    end
    if type(node.nat) == "table" then
      local nat = node.nat
      if type(nat.out) == "table" then
        for i, out in ipairs(nat.out) do
          nat.out[i] = renamed(out)
        end
      else
        nat.out = renamed(nat.out)
      end
      for _, p in ipairs(type(nat.publish) == "table" and nat.publish or {}) do
        p.to = renamed(p.to)
      end
    end
    if self.data.nodes[renamed(inner)] then
      error(("include: there is a node \"%s\" already"):format(renamed(inner)), 2)
    end
    self.data.nodes[renamed(inner)] = node
  end
  local at = opts and opts.at
  if at == nil then
    return nil
  end
  if not data.nodes[at] then
    error(("include: at = \"%s\" is no node of what is included"):format(tostring(at)), 2)
  end
  return handle(self, name .. "." .. at)
end

-- Node methods: each returns the node, so that calls chain ------------------------------------------------

local function data_of(node)
  return node.topology.data.nodes[node.name]
end

local function name_of(other, what)
  if getmetatable(other) == Node then
    return other.name
  end
  wants(other, "string", what .. ": the other node (a node or its name)")
  return other
end

local function add_link(node, other, opts, what)
  local link = copy(opts or {})
  link.to = name_of(other, what)
  local data = data_of(node)
  data.links = data.links or {}
  table.insert(data.links, link)
  return node
end

--- Attach to a switch.
-- @tparam Node|string switch
-- @tparam[opt] table opts `subnet`, `address`, `cost`, `mtu`, `name` and the impairments `delay`, `jitter`,
--   `loss`, `rate`, `duplicate`, `reorder`, `corrupt`
-- @treturn Node itself
-- @usage pc:attach(lan, { address = "10.1.0.9/24", delay = "5ms" })
function Node:attach(switch, opts)
  return add_link(self, switch, opts, "attach")
end

--- A direct link to another node. `to_address` and `to_name` are the far end's.
-- @tparam Node|string other
-- @tparam[opt] table opts as for `attach`, and `to_address`, `to_name`
-- @treturn Node itself
-- @usage gw:connect(isp, { subnet = "192.0.2.0/30", rate = "50mbit" })
function Node:connect(other, opts)
  return add_link(self, other, opts, "connect")
end

--- Hide what is behind this node: everything that leaves towards `out` gets this node's address.
-- @tparam table opts `out`: the node (or its name) outside, or a list of them in the order of preference; `publish`:
--   a list of `{ proto = "tcp", port = 8080, to = "node", to_port = 80 }`
-- @treturn Node itself
-- @usage gw:nat { out = isp, publish = { { port = 8080, to = "pc1", to_port = 80 } } }
function Node:nat(opts)
  wants(opts, "table", "nat: the options")
  local nat = {}
  local function named(value)
    return getmetatable(value) == Node and value.name or value
  end
  for key, value in pairs(opts) do
    if key == "out" and type(value) == "table" and getmetatable(value) ~= Node then
      nat.out = {}
      for i, out in ipairs(value) do
        nat.out[i] = named(out)
      end
    elseif key == "publish" and type(value) == "table" then
      nat.publish = {}
      for i, p in ipairs(value) do
        nat.publish[i] = {}
        for k, v in pairs(p) do
          nat.publish[i][k] = named(v)
        end
      end
    else
      nat[key] = named(value)
    end
  end
  data_of(self).nat = nat
  return self
end

--- A ruleset for this node, in the nft language.
-- @tparam string text
-- @treturn Node itself
-- @usage gw:firewall "table inet f { chain c { type filter hook forward priority 0; policy drop; } }"
function Node:firewall(text)
  data_of(self).firewall = copy(text)
  return self
end

--- Sysctls below net, by name.
-- @tparam table values by name, as `{ ["net.ipv4.ip_default_ttl"] = 32 }`
-- @treturn Node itself
-- @usage gw:sysctl { ["net.ipv4.ip_default_ttl"] = 32 }
function Node:sysctl(values)
  wants(values, "table", "sysctl: the values")
  local data = data_of(self)
  data.sysctl = data.sysctl or {}
  for key, value in pairs(values) do
    data.sysctl[key] = value
  end
  return self
end

--- A process that runs while the lab is up.
-- @tparam {string,...} argv
-- @tparam[opt] table opts `env`, `cwd`: as for ns:spawn
-- @treturn Node itself
-- @usage server:run { "iperf3", "-s" }
function Node:run(argv, opts)
  wants(argv, "table", "run: argv")
  local data, process = data_of(self), copy(opts or {})
  process.argv = copy(argv)
  data.run = data.run or {}
  table.insert(data.run, process)
  return self
end

function Node:__tostring()
  return ("%s %s of %s"):format(data_of(self).kind, self.name, self.topology.data.name or "topology")
end

return description
