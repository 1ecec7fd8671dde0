--- What a lab says of itself: why packets do not arrive, what was counted, what was lost.
-- @module netns.topology.observe
local capture = require "netns.capture"
local check = require "netns.check"
local counters = require "netns.counters"
local explain = require "netns.explain"
local lab = require "netns.topology.lab"
local recorder = require "netns.recorder"

local observe = {}

local methods = lab.methods

--- The nodes of a lab as plain `{ name =, netns = }`.
function observe.nodes(self)
  local nodes = {}
  for i, name in ipairs(self:names()) do
    nodes[i] = { name = name, netns = self:node(name) }
  end
  return nodes
end

-- Links of a lab's nodes are captured as "pc1/eth0".
function capture.name_of(ns)
  return lab.name_of(ns) or tostring(ns)
end

-- Assertions about a node are explained among all nodes of its lab.
function explain.around(ns)
  local whole = lab.of(ns)
  return whole and {
    nodes = observe.nodes(whole),
    picture = function()
      return tostring(whole)
    end,
  }
end

-- A node by its name, or itself.
local function node_of(self, which, what)
  local ns = type(which) == "string" and self:node(which) or which
  if getmetatable(ns) ~= "netns.Namespace" then
    check.refuse("%s: a node of the lab (or its name) expected, got %s", what, check.show(which))
  end
  return ns
end

--- Why, or why not: the way a packet goes from a to b and back, and the first thing that stops it.
-- @function Lab:explain
-- @param a a node, or its name
-- @param b a node, its name, or an address
-- @tparam[opt] table how `icmp = true` (default), `tcp = port`, `udp = port`; `family`, `source`, `timeout`
-- @treturn table see `netns.explain`; prints as lines, the first one saying it all
-- @usage print(lab:explain("pc1", "srv", { tcp = 80 }))
function methods.explain(self, a, b, how)
  local from = node_of(self, a, "explain")
  local target = type(b) == "string" and self:node(b) or b
  if type(target) == "string" and not target:find "^[%x:.%%]+%w*$" then
    error(("explain: there is no node \"%s\", and it is no address"):format(target), 2)
  end
  return explain.explain(observe.nodes(self), from, target, how)
end

--- All counters of all nodes.
-- @function Lab:counters
-- @treturn table `ns:counters()` by the name of the node
-- @usage print(lab:counters().gw["link eth0 rx_packets"])
function methods.counters(self)
  local all = {}
  for _, node in ipairs(observe.nodes(self)) do
    all[node.name] = node.netns:counters()
  end
  return all
end

--- Run a function, and tell what was lost meanwhile: which link, queue, rule and protocol counters moved.
-- @function Lab:drops
-- @tparam function fn
-- @treturn {table,...} `{ node =, counter =, by = }` each; prints as lines; then what fn returned
-- @usage print(lab:drops(function() lab.pc1:ping(lab.srv) end))
function methods.drops(self, fn)
  return counters.drops(observe.nodes(self), fn)
end

-- The links of a node that are worth recording: not lo, nor ports of bridges, whose other ends are recorded.
local function places_of(node, places)
  for _, link in ipairs(node.netns.link:list()) do
    if link.name ~= "lo" and not link.master then
      places[#places + 1] = { netns = node.netns, dev = link.name, name = ("%s/%s"):format(node.name, link.name) }
    end
  end
end

-- The nodes that are asked for, as a set of namespaces.
local function asked_for(self, nodes, what)
  if type(nodes) ~= "table" then
    check.refuse("%s: nodes must be a list of nodes or their names, got %s", what, check.show(nodes))
  end
  local asked = {}
  for i = 1, rawlen(nodes) do
    asked[node_of(self, rawget(nodes, i), what)] = true
  end
  return asked
end

-- Places of the links of `nodes` (default: all nodes but switches), and the options without it.
local function places_and_options(self, opts, what)
  if opts ~= nil and type(opts) ~= "table" then
    check.refuse("%s: options must be a table, got %s", what, check.show(opts))
  end
  local rest, places = {}, {}
  for key, value in next, opts or {} do
    rest[key] = value
  end
  local asked = rest.nodes ~= nil and asked_for(self, rest.nodes, what)
  rest.nodes = nil
  for i, node in ipairs(observe.nodes(self)) do
    if asked and asked[node.netns] or not asked and not self:plan().model.nodes[i].switch then
      places_of(node, places)
    end
  end
  return places, rest
end

--- A flight recorder: the last packets of every link of the lab's hosts and routers, written down when something
-- fails. See `netns.recorder`.
-- @function Lab:record
-- @tparam[opt] table opts as for `netns.record` (`keep`, `snaplen`, `buffer`, `failures`, `filter` ...), and `nodes`:
--   the nodes, or their names, whose links are recorded (default: all but switches)
-- @treturn Recorder to be closed
-- @raise misuse; netns.Error
-- @usage local rec <close> = lab:record { failures = "." }
function methods.record(self, opts)
  local places, rest = places_and_options(self, opts, "record")
  return recorder.of(places, rest, "record")
end

--- Capture the packets of every link of the lab's hosts and routers, in the order of time. See `netns.capture`.
-- @function Lab:capture
-- @tparam[opt] table opts as for `link:capture` (`file`, `filter`, `snaplen` ...), and `nodes`: the nodes, or their
--   names, whose links are heard (default: all but switches)
-- @treturn Capture to be closed
-- @raise misuse; netns.Error
-- @usage local cap <close> = lab:capture { filter = "icmp", file = "lab.pcapng" }
function methods.capture(self, opts)
  local places, rest = places_and_options(self, opts, "capture")
  return capture.of(places, rest, "capture")
end

return observe
