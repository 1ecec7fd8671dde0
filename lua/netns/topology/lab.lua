--- Labs: topologies that are up.
--
-- `lab.NODE` is the node's Namespace, which in a lab knows more: its addresses, and the other nodes by name.
-- @module netns.topology.lab
local check = require "netns.check"
local apply = require "netns.topology.apply"
local core = require "netns.core"
require "netns.namespace"
local draw = require "netns.topology.draw"
local drift = require "netns.topology.drift"
local names = require "netns.topology.names"
local mend = require "netns.topology.mend"
local plan = require "netns.topology.plan"
local probe = require "netns.probe"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local lab = {}
local methods = {}
local Lab = { __name = "netns.Lab" }

-- Which lab and node a Namespace is: { lab =, node = }.
local place_of = setmetatable({}, { __mode = "k" })

-- What is behind a Lab, kept out of its fields so that every name can be a node's.
local inner = setmetatable({}, { __mode = "k" })

local function state_of(self)
  local state = inner[self]
  if not state then
    error("a Lab expected", 3)
  elseif state.closed then
    error("the lab is closed", 3)
  end
  return state
end

local function remember(self, state)
  names.provide(state.plan, state.spaces)
  for _, node in ipairs(state.plan.model.nodes) do
    place_of[state.spaces[node.name]] = { lab = self, node = node }
  end
end

--- A Lab of namespaces that are up.
function lab.wrap(p, spaces, spawned, opts)
  local self = setmetatable({}, Lab)
  inner[self] = { plan = p, spaces = spaces, spawned = spawned, name = opts.name, release = opts.release,
    new_space = opts.new_space, note = opts.note }
  remember(self, inner[self])
  return self
end

-- A node by its Namespace or name.
local function find(state, which, what)
  if type(which) == "string" then
    local node = state.plan.model.by_name[which]
    if not node then
      error(("%s: there is no node \"%s\"%s"):format(what, which,
        check.hint(which, words.sorted(state.plan.model.by_name))), 3)
    end
    return node
  end
  local place = place_of[which]
  if not place or state.spaces[place.node.name] ~= which then
    error(("%s: a node of the lab (or its name) expected, got %s"):format(what, type(which)), 3)
  end
  return place.node
end

-- Nodes as namespaces with more ------------------------------------------------------------------------------------

--- The node's first address, without its length; nil outside of labs.
function core.properties.address(ns)
  local place = place_of[ns]
  return place and names.addresses(place.node)[1]
end

--- All addresses of the node, IPv4 first.
function core.properties.addresses(ns)
  local place = place_of[ns]
  return place and names.addresses(place.node)
end

--- The address that a target is reached by from a namespace of its lab.
-- @param from a Namespace
-- @param target a Namespace of a lab, or text, which is given back
-- @tparam[opt] string family "inet" or "inet6"
function lab.address(from, target, family)
  local place, here = place_of[target], place_of[from]
  if place then
    return names.address(here and here.lab == place.lab and here.node or nil, place.node, family)
  end
  return target
end

--- The name of the node that a Namespace is, or nil.
function lab.name_of(ns)
  local place = place_of[ns]
  return place and place.node.name
end

--- The lab that a Namespace is a node of, or nil.
function lab.of(ns)
  local place = place_of[ns]
  return place and place.lab
end

-- Probes take nodes of the same lab for destinations.
probe.of_lab = lab.address

-- Reachability -----------------------------------------------------------------------------------------------------

--- Ping between all nodes that have addresses, all at once.
-- @tparam[opt] table opts `family` "inet" (default where there is IPv4) or "inet6", `count` (1), `timeout` (1 s),
--   `nodes`: names, default all hosts and routers
-- @treturn table matrix[from][to]: round trip in seconds, or false; `ok`, `reached`, `pairs`, `names`
-- @usage print(lab:ping_all { family = "inet6" })
function methods.ping_all(self, opts)
  local state = state_of(self)
  opts = opts or {}
  local family = opts.family or (state.plan.model.families[4] and "inet" or "inet6")
  local nodes, asked = {}, {}
  for _, name in ipairs(opts.nodes or {}) do
    asked[find(state, name, "ping_all")] = true
  end
  local function asked_by(from, to) -- the address may depend on who asks
    return names.address(from.node, to.node, family)
  end
  for _, node in ipairs(state.plan.model.nodes) do
    local target = names.addresses(node, family)[1]
    if target and (not opts.nodes or asked[node]) then
      nodes[#nodes + 1] = { name = node.name, netns = state.spaces[node.name], node = node,
        address = #node.ifaces > 1 and asked_by or target }
    end
  end
  return probe.matrix(nodes, { count = opts.count or 1, timeout = opts.timeout or 1 })
end

--- Does a reach b?
-- @param a a node of the lab, or its name
-- @param b another, or an address
-- @tparam[opt] table how `tcp = port`, `udp = port` or nothing (ping); `family`, `timeout` (1 s)
-- @treturn boolean; and the probe's result
-- @usage assert(lab:reach("pc1", "isp", { tcp = 80 }))
function methods.reach(self, a, b, how)
  local state = state_of(self)
  how = how or {}
  local from = find(state, a, "reach")
  local target = type(b) == "string" and not state.plan.model.by_name[b] and b
    or names.address(from, find(state, b, "reach"), how.family)
  if not target then
    error("reach: the other node has no address of that family", 2)
  end
  local settings = { timeout = how.timeout or 1, tcp = how.tcp, udp = how.udp }
  local result, failed = state.spaces[from.name]:reach(target, settings)
  return result ~= nil, result or failed
end

-- Links ------------------------------------------------------------------------------------------------------------

-- All links between two nodes; an error where there is none.
local function links_between(state, a, b, what)
  local from, to = find(state, a, what), find(state, b, what)
  local found = {}
  for _, link in ipairs(state.plan.model.links) do
    if (link.a == from and link.b == to) or (link.a == to and link.b == from) then
      found[#found + 1] = link
    end
  end
  if #found == 0 then
    error(("%s: there is no link between %s and %s"):format(what, from.name, to.name), 3)
  end
  return found
end

local function set_ends(state, links, up_)
  for _, link in ipairs(links) do
    for _, iface in ipairs(link.ends) do
      state.spaces[iface.node.name].link:set { dev = iface.index, up = up_ }
    end
    link.cut = not up_ or nil
  end
end

--- Take the link between two nodes down, at both ends.
-- @tparam Namespace|string a a node, or its name
-- @tparam Namespace|string b another
-- @raise an error where there is no link between them
-- @usage lab:cut("gw", "isp")
function methods.cut(self, a, b)
  local state = state_of(self)
  set_ends(state, links_between(state, a, b, "cut"), false)
end

--- Bring it up again, with the routes that went with it.
-- @tparam Namespace|string a a node, or its name
-- @tparam Namespace|string b another
-- @raise an error where there is no link between them
-- @usage lab:restore("gw", "isp")
function methods.restore(self, a, b)
  local state = state_of(self)
  local links = links_between(state, a, b, "restore")
  set_ends(state, links, true)
  for _, link in ipairs(links) do
    local nodes = {}
    for _, iface in ipairs(link.ends) do
      nodes[iface.node.name] = true
    end
    mend.mend(state, { links = true, nodes = nodes })
  end
end

--- Impair the link between two nodes, both ways: `delay`, `jitter`, `loss`, `rate`, `duplicate`, `reorder`,
-- `corrupt`; an empty table takes the impairment away.
-- @tparam Namespace|string a a node, or its name
-- @tparam Namespace|string b another
-- @tparam[opt] table opts as for `Node:attach`: delay and jitter as "10ms" or in seconds, loss, duplicate, reorder and
--   corrupt as "1%" or 0.01, rate as "10mbit" or in bit/s
-- @raise an error where there is no link between them
-- @usage lab:impair("gw", "isp", { loss = "1%" })
function methods.impair(self, a, b, opts)
  local state = state_of(self)
  local qdisc = plan.impairment(opts or {})
  for _, link in ipairs(links_between(state, a, b, "impair")) do
    link.bent = qdisc or false
    for _, iface in ipairs(link.ends) do
      up.impair(state.spaces[iface.node.name], iface.name, qdisc)
    end
  end
end

-- Drift ------------------------------------------------------------------------------------------------------------

--- What is different in the kernel from the description.
-- @treturn {table,...} `{ node =, what =, expected =, found = }` each; prints as lines; empty if nothing is
-- @usage print(lab:diff())
function methods.diff(self)
  return drift.diff(state_of(self))
end

--- Mend what `diff` finds; returns how many findings there were.
-- @treturn integer
-- @usage assert(lab:repair() == 0)
function methods.repair(self)
  return mend.mend(state_of(self))
end

--- Become another description: only what differs is changed. Goes back as a whole if a step fails.
-- @tparam Topology new
-- @raise netns.Error of the step that failed
-- @usage office:host("pc4"):attach "lan"; lab:apply(office)
function methods.apply(self, new)
  local state = state_of(self)
  local old, plan_ = state.plan.model.data, new:plan()
  local note = state.note or function() end
  note(old, plan_.model.data.nodes) -- before there is anything new
  local ok, err = pcall(apply.apply, state, plan_)
  note(state.plan.model.data, state.left)
  remember(self, state)
  if not ok then
    error(err, 0)
  end
end

-- Pictures and the end -----------------------------------------------------------------------------------------------

--- A picture of the lab as it is now.
-- @tparam[opt="text"] string format "text", "dot" or "mermaid"
-- @treturn string
-- @usage print(lab:draw "dot")
function methods.draw(self, format)
  local state = state_of(self)
  local down = {}
  for _, link in ipairs(state.plan.model.links) do
    for _, iface in ipairs(link.ends) do
      local now = state.spaces[iface.node.name].link:get(iface.index)
      down[link] = down[link] or not now or not now.up
    end
  end
  return draw.draw(state.plan.model, format, { down = down })
end

--- End the processes, then let the namespaces go. Twice is fine.
-- @raise with what could not be closed, after everything else was; `topology.sweep` then finds it
-- @usage lab:close()
function methods.close(self)
  local state = inner[self]
  if not state or state.closed then
    return
  end
  state.closed = true
  local ok, err = pcall(up.down, state.spaces, state.spawned or {})
  if state.release then
    state.release(ok)
  end
  if not ok then
    error("lab close: " .. tostring(err), 0)
  end
end

--- The names of the nodes, in natural order.
-- @treturn {string,...}
-- @usage for _, name in ipairs(lab:names()) do print(name, lab:node(name)) end
function methods.names(self)
  local list = {}
  for i, node in ipairs(state_of(self).plan.model.nodes) do
    list[i] = node.name
  end
  return list
end

--- The namespace of a node, by name.
-- @tparam string name
-- @treturn ?Namespace
-- @usage local pc = lab:node "pc1"
function methods.node(self, name)
  return state_of(self).spaces[name]
end

--- The plan it follows.
-- @treturn Plan
-- @usage print(lab:plan())
function methods.plan(self)
  return state_of(self).plan
end

function Lab:__index(key)
  local state = inner[self]
  return methods[key] or (state and not state.closed and state.spaces[key]) or nil
end

function Lab.__newindex(_, key)
  error(("a Lab has no field \"%s\" to assign to"):format(tostring(key)), 2)
end

function Lab:__tostring()
  local state = inner[self]
  return state.closed and "lab (closed)" or methods.draw(self)
end

Lab.__close = methods.close
Lab.__gc = methods.close
Lab.__metatable = "netns.Lab"

lab.methods = methods
return lab
