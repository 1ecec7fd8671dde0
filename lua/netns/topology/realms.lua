--- NAT nodes and what they hide: realms.
--
-- A realm is a set of segments whose addresses mean the same thing: what is joined without crossing a NAT node. From
-- inside, the realms outside are seen, and not the other way round; so two realms behind two NAT nodes may have the
-- same addresses, and a realm and one outside of it may not.
-- @module netns.topology.realms
local check = require "netns.check"
local words = require "netns.topology.words"

local realms = {}

local function note(m, path, message, ...)
  m.findings[#m.findings + 1] = { path = path, message = message:format(...) }
end

-- NAT nodes ------------------------------------------------------------------------------------------------------

-- The interfaces of a NAT node that lead outside, in the order of preference.
local function find_outs(m, node, nat)
  for i, name in words.each(nat.out) do
    local path = type(nat.out) == "table" and ("%s.nat.out[%d]"):format(node.path, i) or node.path .. ".nat.out"
    local out, found = m.by_name[name], false
    for _, iface in ipairs(out and node.ifaces or {}) do
      if iface.peer_node == out and not iface.outside then
        iface.outside, found = true, true
        node.outs[#node.outs + 1] = iface
      end
    end
    if not out then
      note(m, path, "there is no node %s%s", name, check.hint(name, words.sorted(m.by_name)))
    elseif not found then
      note(m, path, "%s has no link to %s", node.name, name)
    end
  end
end

local function check_publish(m, node, publish)
  local taken = {}
  for i, p in ipairs(publish) do
    local path = ("%s.nat.publish[%d]"):format(node.path, i)
    local target, key = m.by_name[p.to], ("%s %s"):format(p.proto or "tcp", p.port)
    if not (p.port and p.to) then
      note(m, path, "port and to are needed")
    elseif not target then
      note(m, path .. ".to", "there is no node %s%s", p.to, check.hint(p.to, words.sorted(m.by_name)))
    elseif target.switch or target == node or #target.ifaces == 0 then
      note(m, path .. ".to", "%s is not behind %s", p.to, node.name)
    elseif taken[key] then
      note(m, path .. ".port", "%s port %d is published by publish[%d] already", p.proto or "tcp", p.port, taken[key])
    end
    taken[key] = taken[key] or i
  end
end

local function find_nat(m)
  for _, node in ipairs(m.nodes) do
    local nat = node.data.nat
    node.outs = {}
    if nat then
      find_outs(m, node, nat)
      if not node.forwards then
        note(m, node.path .. ".nat", "a %s does not forward; NAT needs a router", node.kind)
      end
      check_publish(m, node, nat.publish or {})
    end
  end
end

-- Realms -----------------------------------------------------------------------------------------------------------

local function root(segment)
  while segment.realm do
    segment = segment.realm
  end
  return segment
end

-- Join the segments of each node that are not outside of it.
local function join(m)
  for _, node in ipairs(m.nodes) do
    local first
    for _, iface in ipairs(node.ifaces) do
      local segment = iface.segment and not iface.outside and root(iface.segment)
      if segment and first and segment ~= first then
        segment.realm = first
      end
      first = first or segment or nil
    end
  end
end

-- The realms outside of each realm, directly.
local function outsides(m)
  local outside = {}
  for _, node in ipairs(m.nodes) do
    for _, inner in ipairs(#node.outs > 0 and node.ifaces or {}) do
      local inside = inner.segment and not inner.outside and root(inner.segment)
      for _, out in ipairs(inside and node.outs or {}) do
        outside[inside] = outside[inside] or {}
        table.insert(outside[inside], out.segment and root(out.segment))
      end
    end
  end
  return outside
end

-- The set of realms that are seen from one, itself included.
local function seen_from(realm, outside)
  local seen, todo = { [realm] = true }, { realm }
  for _, at in ipairs(todo) do -- which grows
    for _, further in ipairs(outside[at] or {}) do
      if not seen[further] then
        seen[further], todo[#todo + 1] = true, further
      end
    end
  end
  return seen
end

--- Does a node on segment a see the addresses of segment b?
function realms.sees(a, b)
  return a.sees[b.root] ~= nil
end

--- May the same address be on both segments? Not where anybody sees both.
function realms.conflict(a, b)
  return realms.sees(a, b) or realms.sees(b, a)
end

--- Find NAT nodes' ways out (`node.outs`), and the realm of each segment.
function realms.add(m)
  find_nat(m)
  join(m)
  local outside, seen = outsides(m), {}
  for _, segment in ipairs(m.segments) do
    segment.root = root(segment)
    seen[segment.root] = seen[segment.root] or seen_from(segment.root, outside)
    segment.sees = seen[segment.root]
  end
end

return realms
