--- What there is: the public modules and classes, as they live in this program.
--
-- A module is `{ name =, require =, functions = }`, a class `{ name =, methods =, parent =, tag = }`: `tag` is
-- the `__name` of its objects' metatable, `parent` a class whose methods its objects have as well. What is in
-- neither list is no part of the interface.
-- @module netns.reference.live
local build = require "netns.firewall.build"
local capture = require "netns.capture"
local core = require "netns.core"
local description = require "netns.topology.description"
local handle = require "netns.nft.handle"
local lab = require "netns.topology.lab"
local monitor = require "netns.monitor"
local plan = require "netns.topology.plan"
local recorder = require "netns.recorder"
require "netns.view"

local live = {}

--- Public modules, in the order of the reference.
live.modules = {}

for _, name in ipairs { "netns", "netns.topology", "netns.firewall", "netns.assert",
  "netns.cni", "netns.json", "netns.print", "netns.wireguard" } do
  live.modules[#live.modules + 1] = { name = name:match "[^.]+$", require = name, functions = require(name) }
end

--- Public classes, in the order of the reference.
live.classes = {}

-- The methods of a class of the core: those its metatable tells.
local function core_methods(tag)
  local meta = debug.getregistry()[tag]
  local methods = meta and meta.__index
  return type(methods) == "table" and methods or {}
end

-- Methods but one, which is for the library itself.
local function without(methods, name)
  local rest = {}
  for key, method in pairs(methods) do
    rest[key] = key ~= name and method or nil
  end
  return rest
end

local function class(name, methods, opts)
  opts = opts or {}
  live.classes[#live.classes + 1] = { name = name, tag = opts.tag or "netns." .. name,
    methods = methods or core_methods("netns." .. name), parent = opts.parent }
end

class("Namespace", core.Namespace)
class "Noun"
class("Link", core.Link)
class "Batch"
class("Sysctl", require "netns.sysctl")
class("Process", core.Process)
class("Monitor", monitor.methods)
class("Capture", capture.methods)
class("Packet", {})
class("Recorder", recorder.methods)
class "Tun"
class("Socket", without(core_methods "netns.Socket", "connected"))
class("Nft", require "netns.nft")
class("NftNoun", handle.noun_methods)
class("Handle", handle.common)
for _, kind in ipairs { "table", "chain", "rule", "set", "map", "counter", "quota", "limit", "flowtable", "synproxy",
  "secmark" } do
  local meta = handle.classes[kind]
  class(meta.__name:match "[^.]+$", meta.methods, { parent = kind ~= "rule" and "Handle" or nil })
end
class("RuleNoun", handle.classes.rule.noun.methods)
class "NftMonitor"
class("Recipe", build.recipe_methods)
class("Probes", core.Probes)
class("Topology", description.Topology)
class("Node", description.Node, { tag = "netns.TopologyNode" })
class("Plan", plan.methods)
class("Lab", lab.methods)
class("Attachment", require "netns.cni.exec".methods, { tag = "netns.cni.Attachment" })

--- Modules whose opening comments are texts of their own: what methods of several classes have in common.
live.topics = { "netns.process", "netns.wait", "netns.monitor", "netns.capture", "netns.recorder",
  "netns.probe", "netns.sockets", "netns.explain", "netns.sysctl",
  "netns.nft", "netns.nft.handle", "netns.nft.monitor", "netns.topology.description",
  "netns.repl", "netns.view" }

return live
