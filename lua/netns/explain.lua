--- Explain: the way a packet would go, what stops it, and why, in one line a person can act on.
--
-- A probe is sent while nft's trace runs in the nodes that have a firewall; then the way is walked, with the kernel's
-- own decisions: routes (also rp_filter and forwarding), the wire and who is on it, neighbours, what the firewall did,
-- the socket at the end; and the way back.
-- @module netns.explain
local check = require "netns.check"
local probe = require "netns.probe"
local trace = require "netns.explain.trace"
local walk = require "netns.explain.walk"
local world = require "netns.explain.world"
require "netns.wait"

local explain = {}

local Explanation = { __name = "netns.Explanation" }

--- What it says in one line.
local function line(problem)
  return ("%s: %s%s"):format(problem.node, problem.text, problem.direction == "back" and " (on the way back)" or "")
end

function Explanation:__tostring()
  local lines = {}
  for _, hop in ipairs(self.hops) do
    lines[#lines + 1] = ("  %s %s: %s"):format(hop.stops and "X" or hop.direction == "there" and ">" or "<", hop.node,
      hop.text)
  end
  table.insert(lines, 1, ("%s to %s (%s): %s"):format(self.from, self.to, self.how,
    self.problem and line(self.problem) or self.ok and "fine" or tostring(self.probe)))
  for _, note in ipairs(self.notes) do
    lines[#lines + 1] = "  note: " .. note
  end
  return table.concat(lines, "\n")
end

local function how_words(how)
  return how.tcp and "tcp port " .. how.tcp or how.udp and "udp port " .. how.udp or "icmp"
end

local function note(self, format, ...)
  self.notes[#self.notes + 1] = format:format(...)
end

-- Walk there and back; the first problem counts.
local function walk_both(self, w, t, from, target, how)
  local proto = how.tcp and "tcp" or how.udp and "udp" or nil
  local there = walk.go { world = w, trace = t, direction = "there", from = from, src = how.source, dst = target,
    proto = proto, port = how.tcp or how.udp }
  table.move(there.hops, 1, #there.hops, #self.hops + 1, self.hops)
  if there.problem or there.left then
    return there.problem, there
  end
  local back = walk.go { world = w, trace = t, direction = "back", from = there.node, src = there.dst, dst = there.src }
  table.move(back.hops, 1, #back.hops, #self.hops + 1, self.hops)
  return back.problem, there
end

-- Small packets pass: do large ones?
local function mtu_hole(self, from, target, there)
  local result, failed = from.ns:path_mtu(target, { timeout = 0.3, tries = 2 })
  result = result or failed
  if there.mismatch then
    local m = there.mismatch
    if result.silent or not result.mtu then
      local text = "%s takes %d bytes and its other end, %s of %s, sends %d: larger packets vanish"
      return { node = m.node.name, what = "mtu", direction = "there",
        text = text:format(m.link.name, m.mtu, m.near.name, m.from.name, m.near.mtu) }
    end
    note(self, "%s of %s has a smaller MTU (%d) than its other end", m.link.name, m.node.name, m.mtu)
  end
  if not (result.silent and result.mtu) then
    return nil
  end
  for _, step in ipairs(there.way) do
    if step.link.mtu <= result.mtu and step.node ~= from then
      local text = "%s takes %d bytes only, and the errors that say so do not reach %s: larger packets vanish "
        .. "(an MTU hole)"
      return { node = step.node.name, what = "mtu", direction = "there",
        text = text:format(step.link.name, step.link.mtu, from.name) }
    end
  end
  return { node = from.name, what = "mtu", direction = "there",
    text = ("packets to %s larger than %d bytes vanish without a word (an MTU hole)"):format(target, result.mtu) }
end

-- Problems that are there even if a single probe passes.
local certain = { duplicate = true, mtu = true }

local function conclude(self, from, target, problem, there)
  if self.probe.ok and problem and not certain[problem.what] then
    note(self, "%s; and yet the probe was answered", line(problem))
    problem = nil
  end
  if self.probe.ok and not problem then
    problem = mtu_hole(self, from, target, there)
  end
  self.problem = problem
  self.ok = self.probe.ok and not problem
end

local known = { icmp = "boolean", tcp = "number", udp = "number", family = "string", timeout = "number",
  source = "string", payload = "string" }

--- Explain how packets go between namespaces, or why they do not.
-- @tparam {table,...} nodes `{ name =, netns = }` each: all that may be on the way
-- @tparam Namespace from one of them
-- @tparam string|Namespace target an address, or one of them
-- @tparam[opt] table how `icmp = true` (default), `tcp = port` or `udp = port`; `family`, `source`, `timeout` (1 s)
-- @treturn table `ok`; `problem`: nil or `{ node =, what =, text =, direction = "there" | "back" }`; `hops`: `{ node =,
--   direction =, text = }` each; `notes`; `probe`: the probe's result. Prints as lines, the first one saying it all.
-- @usage print(netns.explain({ { name = "a", netns = a }, { name = "b", netns = b } }, a, b, { tcp = 80 }))
function explain.explain(nodes, from, target, how)
  how = check.options(how, known, "explain")
  local w = world.new(check.nodes(nodes, "explain"))
  local node = w:of(from)
  if not node then
    check.refuse("explain: the first namespace is not among the nodes")
  end
  local address = probe.address(from, target, how.family)
  if not address then
    local other = w:of(target)
    local name = other and other.name or tostring(target)
    local text = "it has no address" .. (how.family and " of family " .. how.family or "")
    return setmetatable({ ok = false, from = node.name, to = name, how = how_words(how), notes = {}, hops = {},
      problem = { node = name, what = "address", direction = "there", text = text } }, Explanation)
  end
  local self = { from = node.name, to = address, how = how_words(how), hops = {}, notes = {} }
  local settings = { tcp = how.tcp, udp = how.udp, source = how.source, payload = how.payload,
    timeout = how.timeout or 1 }
  local t <close> = trace.start(w)
  local result, failed = from:reach(address, settings)
  self.probe = result or failed
  t:collect()
  local problem, there = walk_both(self, w, t, node, address, how)
  t:close()
  conclude(self, node, address, problem, there)
  return setmetatable(self, Explanation)
end

return explain
