--- Addresses of nodes, and their names for what runs inside.
--
-- A process in a node sees an /etc/hosts of its own, in which every other node has its name: in the process's own mount
-- namespace, so that nothing of it is on disk.
-- @module netns.topology.names
local core = require "netns.core"
local ip = require "netns.topology.ip"
local realms = require "netns.topology.realms"

local names = {}

--- Addresses of a node, given a family "inet" or "inet6" (nil: both), IPv4 first.
-- @tparam table node of a model
-- @tparam[opt] string family
function names.addresses(node, family)
  local list = {}
  for _, number in ipairs { 4, 6 } do
    if not family or family == (number == 4 and "inet" or "inet6") then
      for _, iface in ipairs(node.ifaces) do
        local a = iface.addrs[number]
        if a then
          list[#list + 1] = ip.format(number, a.hi, a.lo)
        end
      end
    end
  end
  return list
end

--- The address that a node is best reached by from another: on a segment they share, else its first.
-- @tparam ?table from a node of the model
-- @tparam table node
-- @tparam[opt] string family
function names.address(from, node, family)
  local shared = {}
  for _, iface in ipairs(from and from.ifaces or {}) do
    shared[iface.segment or false] = true
  end
  for _, iface in ipairs(node.ifaces) do
    local number = family == "inet6" and 6 or 4
    local a = shared[iface.segment or true] and (iface.addrs[number] or not family and iface.addrs[6])
    if a then
      return ip.format(a.family, a.hi, a.lo)
    end
  end
  return names.addresses(node, family)[1]
end

-- The file ---------------------------------------------------------------------------------------------------------

-- Does an interface of the node see the segment that has the address?
local function sees(node, segment)
  for _, iface in ipairs(node.ifaces) do
    if iface.segment and realms.sees(iface.segment, segment) then
      return true
    end
  end
end

-- The addresses that a node sees, so that those of others that are the same are left out.
local function seen_addresses(m, node)
  local seen = {}
  for _, segment in ipairs(m.segments) do
    if sees(node, segment) then
      for _, iface in ipairs(segment.ifaces) do
        for family, a in pairs(iface.addrs) do
          seen[ip.format(family, a.hi, a.lo)] = iface.node
        end
      end
    end
  end
  return seen
end

local function system_hosts()
  local file = io.open "/etc/hosts"
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

--- What /etc/hosts says in a node: the lab's own names, then what the system's file says.
-- @tparam table m the model
-- @tparam table node
-- @treturn string
function names.hosts(m, node)
  local lines, seen = { "127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback" }, seen_addresses(m, node)
  for _, other in ipairs(m.nodes) do
    for _, family in ipairs { "inet", "inet6" } do
      local address = names.address(node, other, family)
      if address and (not seen[address] or seen[address] == other) then
        lines[#lines + 1] = ("%s %s"):format(address, other.name)
      end
    end
  end
  lines[#lines + 1] = system_hosts()
  return table.concat(lines, "\n")
end

--- Let processes in the nodes of a plan find the other nodes by their names.
-- @tparam Plan plan
-- @tparam table spaces namespaces by name
function names.provide(plan, spaces)
  local texts = {}
  for _, node in ipairs(plan.model.nodes) do
    if spaces[node.name] then
      core.hosts(spaces[node.name], function()
        texts[node] = texts[node] or names.hosts(plan.model, node)
        return texts[node]
      end)
    end
  end
end

return names
