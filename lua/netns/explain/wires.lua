--- The wires of a walk: from a link to the node that takes the packet, and what is in between.
-- @module netns.explain.wires
local report = require "netns.explain.report"
local trace = require "netns.explain.trace"

local wires = {}

local ask, say, stop, packet_words = report.ask, report.say, report.stop, report.packet_words
local sysctl_max, is_v6 = report.sysctl_max, report.is_v6

--- Whether a link may send.
function wires.link_is_fine(self, node, link)
  if not link.up then
    return not stop(self, node, "link", "the link %s is down", link.name)
  elseif not link.carrier then
    local other, peer = self.world:peer(node, link)
    local why = not other and "its other end is gone or elsewhere"
      or not peer.up and ("its other end, %s of %s, is down"):format(peer.name, other.name)
      or "nobody is at its other end"
    return not stop(self, node, "link", "the link %s has no carrier: %s", link.name, why)
  end
  local master = link.master and self.world:link(node, link.master)
  if master and master.type == "bridge" then
    return not stop(self, node, "link", "%s is a port of the bridge %s, which takes all its packets", link.name,
      master.name)
  end
  return true
end

-- Ends of the wire whose node takes packets to an address.
local function takers(self, wire, address)
  local list, nodes = {}, {}
  for _, at in ipairs(wire.ends) do
    local addr = self.world:address(at.node, address)
    local other = not addr and ask(at.node, { dst = address })
    if (addr or (other and other.type == "local")) and not nodes[at.node] then
      nodes[at.node] = true
      list[#list + 1] = { node = at.node, link = at.link, addr = addr }
    end
  end
  return list
end

local function names(list)
  local parts = {}
  for i, item in ipairs(list) do
    parts[i] = item.node.name
  end
  return table.concat(parts, " and ")
end

-- Nobody on the wire has the address: where is it, and what is in the way?
local function nobody(self, node, link, wire, address)
  local role = address == self.dst and "" or (", the next hop to %s,"):format(self.dst)
  local first = wire.troubles[1]
  local owners = self.world:owners(address)
  if first and (#owners > 0 or #wire.ends == 0) then
    return stop(self, first.node, "link", "%s, so %s cannot reach %s%s by %s", first.text, node.name, address,
      role:gsub(",$", ""), link.name)
  end
  local where = #owners > 0 and ("; %s has it, on another wire"):format(names(owners)) or ""
  return stop(self, node, #owners > 0 and "route" or "address", "nobody on the wire of %s has %s%s%s", link.name,
    address, role:gsub(",$", ""), where)
end

local function duplicate(self, node, link, address, list)
  return stop(self, node, "duplicate", "%s is a duplicate address: %s both have it on the wire of %s", address,
    names(list), link.name)
end

-- What this node and that one think of each other's link-layer addresses.
local function neighbours_fine(self, node, link, at, address)
  local entry = node.ns.neigh:list({ dst = address, dev = link.name })[1]
  if entry and entry.state == "permanent" and entry.lladdr ~= at.link.address then
    return not stop(self, node, "neighbour", "a permanent neighbour entry sends packets for %s to %s; %s has %s",
      address, entry.lladdr or "nowhere", at.node.name, at.link.address)
  end
  if entry and entry.state == "permanent" then
    return true
  end
  for _, side in ipairs { { node = node, link = link }, at } do
    if side.link.arp == false then
      return not stop(self, side.node, "neighbour", "ARP is off on %s, so %s and %s do not find each other",
        side.link.name, node.name, at.node.name)
    end
  end
  local ignore = not is_v6(address) and sysctl_max(self, at.node, "net.ipv4.conf.%s.arp_ignore", at.link.name) or 0
  if ignore == 8 or (ignore > 0 and at.addr and at.addr.dev ~= at.link.name) then
    return not stop(self, at.node, "neighbour", "arp_ignore = %d on %s: it does not answer for %s", ignore,
      at.link.name, address)
  end
  if at.addr and (at.addr.dadfailed or (at.addr.tentative and not at.addr.optimistic)) then
    return not stop(self, at.node, at.addr.dadfailed and "duplicate" or "address", "%s is %s on %s, so it is not used",
      address, at.addr.dadfailed and "a duplicate address" or "still tentative", at.link.name)
  end
  return true
end

-- Firewalls that drop the search for the neighbour, or the packet on the switches in between.
local function wire_is_fine(self, node, wire, at, address)
  if not self.trace then
    return true
  end
  for _, bridge in ipairs(wire.bridges) do
    local drop = self.trace:fate(bridge, self.src, self.dst)
    if drop then
      return not stop(self, bridge, "firewall", "%s drops packets %s", trace.words(bridge, drop), packet_words(self))
    end
  end
  local places = { node, at.node }
  table.move(wire.bridges, 1, #wire.bridges, 3, places)
  for _, place in ipairs(places) do
    local drop = self.trace:lost_search(place, address)
    if drop then
      return not stop(self, place, "firewall", "%s drops the %s that would find %s", trace.words(place, drop),
        is_v6(address) and "neighbour discovery" or "ARP", address)
    end
  end
  return true
end

local function narrow(self, node, link, at)
  if at.link.mtu < link.mtu then
    self.mismatch = self.mismatch or { node = at.node, link = at.link, mtu = at.link.mtu, from = node, near = link }
  end
  self.way[#self.way + 1] = { node = node, link = link, at = at }
end

--- To the next node, `{ node =, link = }`; nil where it stops.
function wires.cross(self, node, link, address)
  local wire = self.world:wire(node, link)
  local list = takers(self, wire, address)
  if #list == 0 and wire.open then
    self.left = true
    say(self, node, "packets %s leave by %s, beyond what is known here", packet_words(self), link.name)
    return nil
  elseif #list == 0 then
    nobody(self, node, link, wire, address)
    return nil
  elseif #list > 1 then
    duplicate(self, node, link, address, list)
    return nil
  end
  local at = list[1]
  if not neighbours_fine(self, node, link, at, address) or not wire_is_fine(self, node, wire, at, address) then
    return nil
  end
  narrow(self, node, link, at)
  return at
end

return wires
