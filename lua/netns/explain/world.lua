--- What `explain` knows of the namespaces it looks at: links, whose other ends they are, who is on a wire.
-- @module netns.explain.world
local core = require "netns.core"
require "netns.sysctl"

local world = {}

local World = {}
World.__index = World

--- @tparam {table,...} nodes `{ name =, netns = }` each
function world.new(nodes)
  local self = setmetatable({ nodes = {}, by_name = {} }, World)
  for i, node in ipairs(nodes) do
    local entry = { name = node.name, ns = node.netns }
    self.nodes[i], self.by_name[node.name] = entry, entry
  end
  return self
end

--- The node whose namespace that is.
function World:of(ns)
  for _, node in ipairs(self.nodes) do
    if node.ns == ns then
      return node
    end
  end
end

-- Links ------------------------------------------------------------------------------------------------------------

--- The links of a node: a list, also by name and by number (`by_name`, `by_index`).
function World.links(_, node)
  if not node.links then
    local list = node.ns.link:list()
    node.links = { by_name = {}, by_index = {} }
    for i, link in ipairs(list) do
      node.links[i] = link
      node.links.by_name[link.name], node.links.by_index[link.ifindex] = link, link
    end
  end
  return node.links
end

--- The node's link of that name.
function World:link(node, name)
  return self:links(node).by_name[name]
end

-- The node that a number of a neighbouring namespace stands for.
local function neighbour(self, node, id)
  if not node.ids then
    node.ids = {}
    for _, other in ipairs(self.nodes) do
      local number = core.nsid(node.ns, other.ns)
      if number then
        node.ids[number] = other
      end
    end
  end
  return node.ids[id]
end

--- The other end of a veth: its node and link; or nil.
function World:peer(node, link)
  if link.link_netnsid then
    local other = neighbour(self, node, link.link_netnsid)
    local peer = other and self:links(other).by_index[link.link_index]
    return peer and other or nil, peer
  end
  local peer = link.link and self:link(node, link.link)
  return peer and node or nil, peer
end

-- Wires ------------------------------------------------------------------------------------------------------------

local stacked = { vlan = true, macvlan = true, macvtap = true, ipvlan = true, ipvtap = true }

local Wire = {}
Wire.__index = Wire

local function trouble(self, node, format, ...)
  self.troubles[#self.troubles + 1] = { node = node, text = format:format(...) }
end

local function seen(self, node, link, vid)
  local key = ("%s %d %s"):format(node.name, link.ifindex, vid or "")
  local known = self.visited[key]
  self.visited[key] = true
  return known
end

-- Those who take what comes to a link: itself, and what stands on it.
local function receive(self, node, link, vid)
  if not vid then
    self.ends[#self.ends + 1] = { node = node, link = link }
  end
  for _, upper in ipairs(self.world:links(node)) do
    if upper.link == link.name and not upper.link_netnsid and stacked[upper.type] then
      local tagged = upper.type == "vlan"
      if not upper.up and (not tagged or upper.id == vid) then
        trouble(self, node, "%s is down", upper.name)
      elseif (tagged and upper.id == vid) or (not tagged and not vid) then
        receive(self, node, upper, nil)
      end
    end
  end
end

local leave

-- Through a bridge: to its other ports, and to itself.
local function through(self, node, bridge, from, vid)
  if not bridge.up then
    trouble(self, node, "the bridge %s is down", bridge.name)
    return
  end
  self.bridges[#self.bridges + 1] = node
  if from ~= bridge then
    receive(self, node, bridge, vid)
  end
  for _, port in ipairs(self.world:links(node)) do
    if port.master == bridge.name and port ~= from then
      leave(self, node, port, vid)
    end
  end
end

local function port_blocks(port)
  local state = port.bridge_slave and port.bridge_slave.state
  return state and state ~= "forwarding" and state ~= 3 and state or nil
end

local function arrive(self, node, link, vid)
  if seen(self, node, link, vid) then
    return
  end
  if not link.up then
    trouble(self, node, "%s is down", link.name)
    return
  end
  local master = link.master and self.world:link(node, link.master)
  if not master or master.type == "vrf" then
    receive(self, node, link, vid)
  elseif master.type == "bridge" then
    if master.up and port_blocks(link) then
      trouble(self, node, "the port %s of %s does not forward (%s)", link.name, master.name, port_blocks(link))
    else
      through(self, node, master, link, vid)
    end
  else
    arrive(self, node, master, vid) -- bond, team
  end
end

function leave(self, node, link, vid)
  if not link.up then
    trouble(self, node, "%s is down", link.name)
  elseif port_blocks(link) then
    trouble(self, node, "the port %s of %s does not forward (%s)", link.name, link.master, port_blocks(link))
  elseif link.type == "bridge" then
    through(self, node, link, link, vid)
  elseif stacked[link.type] then
    local lower = link.link and self.world:link(node, link.link)
    if lower then
      leave(self, node, lower, link.type == "vlan" and link.id or vid)
    end
  elseif link.type == "bond" or link.type == "team" then
    for _, port in ipairs(self.world:links(node)) do
      if port.master == link.name then
        leave(self, node, port, vid)
      end
    end
  elseif link.type == "veth" then
    local other, peer = self.world:peer(node, link)
    if other then
      arrive(self, other, peer, vid)
    else
      self.open = true
    end
  else
    self.open = true -- a tunnel, or a link to elsewhere
  end
end

--- Who hears what a link sends.
-- @treturn table `ends`: `{ node =, link = }` each; `troubles`: what is in the way; `bridges`: nodes it passes;
--   `open`: true where it leaves what is known
function World:wire(node, link)
  local wire = setmetatable({ world = self, ends = {}, troubles = {}, bridges = {}, visited = {} }, Wire)
  seen(wire, node, link)
  leave(wire, node, link)
  return wire
end

-- Addresses --------------------------------------------------------------------------------------------------------

--- The node's address row for an address; nil where it has not got it.
function World.address(_, node, address)
  node.addresses = node.addresses or node.ns.addr:list()
  for _, addr in ipairs(node.addresses) do
    if addr.address:gsub("/.*", "") == address then
      return addr
    end
  end
end

--- All nodes that have an address: `{ node =, addr = }` each.
function World:owners(address)
  local list = {}
  for _, node in ipairs(self.nodes) do
    local addr = self:address(node, address)
    if addr then
      list[#list + 1] = { node = node, addr = addr }
    end
  end
  return list
end

--- A sysctl's value, nil where there is none.
function World.sysctl(_, node, name)
  local ok, value = pcall(function()
    return node.ns.sysctl[name]
  end)
  return ok and value or nil
end

return world
