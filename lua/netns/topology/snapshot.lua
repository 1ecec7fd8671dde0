--- What namespaces are like before something is tried, so that all of it can be put back.
-- @module netns.topology.snapshot
local ends = require "netns.topology.ends"
local expect = require "netns.topology.expect"
local kernel = require "netns.topology.kernel"
local core = require "netns.core"

local snapshot = {}

local NONE = expect.NONE

-- Told apart from properties that nobody can set.
local read_only = { type = true, parentbus = true, parentdev = true, vrf_slave = true, dynamic = true }

--- All properties of a link that can be put back.
-- @tparam table row as listed
-- @treturn table
function snapshot.props(row)
  local props = { name = row.name, up = row.up, mtu = row.mtu, master = row.master or NONE, alias = row.alias or NONE,
    altnames = row.altnames or NONE, addrgenmode = row.addrgenmode, promisc = row.promisc or NONE,
    allmulticast = row.allmulticast or NONE }
  for key, value in pairs(row) do
    if not kernel.volatile[key] and not read_only[key] then
      props[key] = value
    end
  end
  if row.type ~= "bridge" then -- which takes the address of a port
    props.address = row.address
  end
  if row.master and row.bridge_slave then
    props.bridge_slave = {}
    for key, value in pairs(row.bridge_slave) do
      if not kernel.volatile_port[key] then
        props.bridge_slave[key] = value
      end
    end
  end
  if props.altnames ~= NONE then
    table.sort(props.altnames)
  end
  return props
end

--- The address that a link is made with, to have it again. A bridge takes that of a port by itself; one that has no
-- port loses its carrier when it is given one.
-- @tparam table row as listed
-- @tparam table links all of the namespace
-- @treturn ?string
function snapshot.address(row, links)
  local ports = 0
  for _, other in pairs(row.type == "bridge" and links or {}) do
    if other.master == row.name then
      ports = ports + 1
      if other.address == row.address then
        return nil
      end
    end
  end
  return not (row.type == "bridge" and ports == 0 and row.up and row.carrier) and row.address or nil
end

-- What makes a link that is none of the plan's again; what it is to have besides is set when all are there.
local function maker(all, spaces, name, row)
  return function(_, ns)
    local args = { name = row.name, index = row.ifindex, link = row.link, mtu = row.mtu, addrgenmode = "none",
      address = snapshot.address(row, all.links[name]), numtxqueues = row.numtxqueues,
      numrxqueues = row.numrxqueues }
    for key, value in pairs(row) do
      if not kernel.volatile[key] and key ~= "bond_slave" and key ~= "vrf_slave" then
        args[key] = value
      end
    end
    local other, far = ends.far(spaces, all.links, name, row)
    if far then
      args.peer = { name = far.name, index = far.ifindex, address = far.address, mtu = far.mtu, netns = spaces[other] }
    end
    ns.link:add(args)
  end
end

local function facts_of(rows)
  local facts = {}
  for key, row in pairs(rows) do
    facts[key] = { row = row }
  end
  return facts
end

local function current(ns, names)
  local values = {}
  for name in pairs(names) do
    local ok, value = pcall(function()
      return ns.sysctl[name]
    end)
    values[name] = ok and value or nil
  end
  return values
end

--- Read everything that a plan or its mending changes.
-- @tparam table spaces namespaces by name
-- @tparam table plan the plan that they follow
-- @tparam function sysctls of a name: the set of the sysctls that may change
-- @treturn table
function snapshot.take(spaces, plan, sysctls)
  local all, held = { nodes = {}, links = {} }, {}
  for name, ns in pairs(spaces) do
    local facts = kernel.read(ns, { link_local = true })
    facts.nft_text = #core.nft_tables(ns) > 0 and ns.nft:text() or ""
    facts.sysctl = current(ns, sysctls(name))
    all.nodes[name], all.links[name], held[name] = facts, facts.links, ns
  end
  all.spaces, all.plan = held, plan
  return all
end

-- The links of a node, as they are to be again.
local function wanted_links(all, step, facts)
  local links = {}
  local of_plan = {}
  for _, iface in ipairs(step.node.ifaces) do
    of_plan[iface.index] = iface
  end
  for index, row in pairs(facts.links) do
    local link = { index = index, name = row.name, props = snapshot.props(row) }
    link.iface = of_plan[index]
    if not link.iface then
      link.make = maker(all, all.spaces, step.name, row)
    end
    links[index] = link
  end
  return links
end

--- What a node is to have to be as it was: the same facts that a plan's step has.
function snapshot.want(all, step)
  local facts = all.nodes[step.name]
  if not facts then
    return nil
  end
  local qdisc = {}
  for index, row in pairs(facts.links) do
    local found = facts.qdisc[row.name]
    qdisc[index] = { name = row.name, facts = found, args = found }
  end
  return {
    single = expect.single(step), links = wanted_links(all, step, facts), names = {}, connected = {}, qdisc = qdisc,
    addr = facts_of(facts.addr), route = facts_of(facts.route), rule = facts_of(facts.rule),
    neigh = facts_of(facts.neigh), sysctl = facts.sysctl, nft = facts.nft, nft_text = facts.nft_text,
  }
end

return snapshot
