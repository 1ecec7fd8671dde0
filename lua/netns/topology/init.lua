--- Topologies: described as data, checked and planned without privileges, brought up as labs.
-- @module netns.topology
local advice = require "netns.topology.advice"
local check = require "netns.topology.check"
local description = require "netns.topology.description"
local draw = require "netns.topology.draw"
local literal = require "netns.topology.literal"
local model = require "netns.topology.model"
require "netns.topology.observe"
local patterns = require "netns.topology.patterns"
local plan = require "netns.topology.plan"
local routing = require "netns.topology.routing"
local split = require "netns.topology.split"
require "netns.topology.script"

local topology = { new = description.new, from = description.from, split = split.split }

for name, pattern in pairs(patterns) do
  topology[name] = pattern
end

local Topology = description.Topology

-- The model, and the findings about form and meaning.
local function examine(self)
  local findings = check.form(self.data)
  if #findings > 0 then
    return nil, findings
  end
  local m = model.build(description.copy(self.data)) -- what is built on it stays as it is now
  split.examine(m)
  return m, m.findings
end

local function findings_text(name, findings)
  local lines = { ("topology %s: %d mistake%s"):format(name or "?", #findings, #findings == 1 and "" or "s") }
  for _, finding in ipairs(findings) do
    lines[#lines + 1] = ("  %s: %s"):format(finding.path, finding.message)
  end
  return table.concat(lines, "\n")
end

--- Every mistake of the description, at once; and where there is none, what comes up and yet may not do what is meant.
-- @treturn {table,...} `{ path = "nodes.gw.links[2].subnet", message = "..." }` each, with `warning = true` where it
--   does not keep the description from coming up; empty if there is none
-- @usage for _, finding in ipairs(t:check()) do print(finding.path, finding.message) end
function Topology:check()
  local m, findings = examine(self)
  if m and #findings == 0 then
    advice.add(m)
    return m.warnings
  end
  return findings
end

--- What the description means: nodes, interfaces, addresses, routes. Raises where `check` finds mistakes.
-- @treturn table
-- @usage print(#t:model().nodes)
function Topology:model()
  local m, findings = examine(self)
  if #findings > 0 then
    error(findings_text(self.data.name, findings), 2)
  end
  routing.add(m)
  split.localize(m)
  return m
end

--- The ordered operations that build it; prints as a shell script. Needs no privileges.
-- @treturn Plan
-- @usage print(topology.star { hosts = 2 }:plan())
-- @raise where `check` finds mistakes
function Topology:plan()
  return plan.make(self:model())
end

--- A picture of it, as described.
-- @tparam[opt="text"] string format "text", "dot" (Graphviz) or "mermaid"
-- @treturn string
-- @usage print(t:draw "mermaid")
function Topology:draw(format)
  return draw.draw(self:model(), format)
end

function Topology:__tostring()
  return self:draw "text"
end

--- Bring it up: all or nothing.
-- @tparam[opt] table opts `name`: make the namespaces visible as NAME.NODE for `ip netns exec`; `progress`: called
--   with how much is done and how much there is; `underlay`: the Namespace that the tunnels of a split topology run
--   through (default: the calling thread's); `private_key`: the machine's, where that is through WireGuard
-- @treturn Lab
-- @raise where `check` finds mistakes, or with the node and the line of the description that failed
-- @usage local lab <close> = topology.star { hosts = 3 }:up()
function Topology:up(opts)
  return require("netns.topology.named").up(self:plan(), self.data, opts or {})
end

--- Write a description to a file, as a Lua table.
-- @tparam Topology|table t a Topology, or a description as `topology.from` takes it
-- @tparam string path
-- @raise an error where the file cannot be written
-- @usage topology.save(office, "office.topology")
function topology.save(t, path)
  local text = literal.write(description.from(t).data)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

--- Read a description from a file. The file is parsed, never executed.
-- @tparam string path
-- @treturn Topology
-- @raise with the line where the file is not a table of plain values
-- @usage local t = topology.load "office.topology"
function topology.load(path)
  local file = assert(io.open(path, "r"))
  local text = file:read "a"
  file:close()
  return description.from(literal.read(text, path))
end

--- Read namespaces that are there into a description that brings the same network up again.
-- Links between them become links, and all else rows in ip(8)'s words; the far ends of links that lead to other
-- namespaces are put into a node `elsewhere`.
-- @tparam table namespaces by the names that their nodes are to have: a Namespace, or what netns.open takes
-- @treturn Topology
-- @treturn {table,...} what a description cannot say: `{ path =, message = }` each
-- @raise netns.Error where a namespace cannot be opened
-- @usage local t = topology.capture { web = "web", db = { pid = 4711 } }
--   topology.save(t, "captured.topology")
function topology.capture(namespaces)
  local data, left = require("netns.topology.capture").read(namespaces)
  return description.from(data), left
end

--- Remove what named labs left behind whose owners are dead. What a live one holds is never touched: its lock proves
-- that it is held.
-- @treturn {string,...} the names of the labs removed
-- @usage for _, name in ipairs(topology.sweep()) do print("removed", name) end
function topology.sweep()
  return require("netns.topology.named").sweep()
end

--- The named labs of this machine.
-- @treturn {table,...} `name`, and `owned`: whether the process lives that it belongs to; `attach` with `own` takes
--   over those of the dead, and `sweep` removes them
-- @usage for _, lab in ipairs(topology.list()) do print(lab.name, lab.owned) end
function topology.list()
  return require("netns.topology.named").list()
end

--- The live lab of that name, brought up by another process. Closing it does not bring it down.
-- @tparam string name
-- @tparam[opt] table opts `own = true`: where the other process is dead, the lab becomes this one's. What still runs in
--   it is ended, what is not as described (half made, perhaps) is mended, its processes are started, and closing it
--   brings it down; `underlay` and `private_key` as for `up`
-- @treturn Lab
-- @raise netns.Error, ENOENT where there is no lab of that name
-- @usage local lab <close> = topology.attach "lab1"
function topology.attach(name, opts)
  return require("netns.topology.named").attach(name, opts)
end

return topology
