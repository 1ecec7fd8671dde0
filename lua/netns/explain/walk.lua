--- One direction of `explain`: the way a packet goes, node by node, until it arrives or something stops it.
-- @module netns.explain.walk
local trace = require "netns.explain.trace"

local walk = {}

local HOPS_MAX = 64

local function is_v6(address)
  return address:find(":", 1, true) ~= nil
end

-- A walk in progress -----------------------------------------------------------------------------------------------

local function say(self, node, format, ...)
  self.hops[#self.hops + 1] = { node = node.name, direction = self.direction, text = format:format(...) }
end

-- What stops it: the first one counts. Returns true, for `return stop(...)`.
local function stop(self, node, what, format, ...)
  local text = format:format(...)
  self.problem = { node = node.name, what = what, text = text, direction = self.direction }
  self.hops[#self.hops + 1] = { node = node.name, direction = self.direction, text = text, stops = true }
  return true
end

local function packet_words(self)
  return ("from %s to %s"):format(self.src or "?", self.dst)
end

-- Routes -----------------------------------------------------------------------------------------------------------

local refusals = {
  EINVAL = "a blackhole route",
  EACCES = "a prohibit route or rule",
  EHOSTUNREACH = "an unreachable route",
  ENETUNREACH = "no route",
}

local function ask(node, query)
  local ok, route = pcall(node.ns.route.get, node.ns.route, query)
  if ok then
    return route
  end
  return nil, type(route) == "table" and route.code or "?", route
end

local function sysctl_max(self, node, format, dev)
  local all = self.world:sysctl(node, format:format "all")
  local own = self.world:sysctl(node, format:format(dev:gsub("%.", "/")))
  return math.max(tonumber(all) or 0, tonumber(own) or 0)
end

-- Why a router that knows the way does not take the packet.
local function refuses_to_forward(self, node, code)
  local dev = self.iif
  local name = ("net.ipv4.conf.%s.forwarding"):format(dev:gsub("%.", "/"))
  if self.world:sysctl(node, name) == 0 then
    return stop(self, node, "forwarding", "forwarding is off (%s = 0), so packets %s end here", name,
      packet_words(self))
  end
  local filter = sysctl_max(self, node, "net.ipv4.conf.%s.rp_filter", dev)
  if filter > 0 then
    local back = ask(node, { dst = self.src })
    local way = back and ("by %s"):format(back.dev or "?") or "nowhere"
    return stop(self, node, "rp_filter",
      "rp_filter = %d drops packets from %s that come in by %s: the way back there goes %s", filter, self.src, dev,
      way)
  end
  return stop(self, node, "route", "the kernel refuses packets %s that come in by %s (%s)", packet_words(self), dev,
    code)
end

local function no_route(self, node, code, err)
  local why = refusals[code]
  if why == "no route" then
    return stop(self, node, "route", "there is no route to %s", self.dst)
  elseif why then
    return stop(self, node, "route", "%s keeps packets %s", why, packet_words(self))
  end
  return stop(self, node, "route", "no way to %s: %s", self.dst, tostring(err))
end

-- The kernel's decision; nil where it stops here.
local function route_of(self, node)
  local query = { dst = self.dst, from = self.src, iif = self.iif }
  local route, code, err = ask(node, query)
  if route then
    return route
  end
  local plain, plain_code, plain_err = ask(node, { dst = self.dst })
  if not plain then
    no_route(self, node, plain_code, plain_err)
  elseif self.iif then
    refuses_to_forward(self, node, code)
  elseif self.src and not self.world:address(node, self.src) then
    stop(self, node, "address", "%s is not an address of this node", self.src)
  else
    no_route(self, node, code, err)
  end
end

-- IPv6 asks nobody whether it may forward: its sysctl is for all links.
local function v6_forwarding(self, node)
  if self.iif and is_v6(self.dst) and self.world:sysctl(node, "net.ipv6.conf.all.forwarding") == 0 then
    return not stop(self, node, "forwarding",
      "forwarding is off (net.ipv6.conf.all.forwarding = 0), so packets %s end here", packet_words(self))
  end
  return true
end

-- Firewalls --------------------------------------------------------------------------------------------------------

-- True where one of this node drops the packet; NAT changes what goes on.
local function firewall(self, node)
  if not self.trace then
    return false
  end
  local drop, last = self.trace:fate(node, self.src, self.dst)
  if drop then
    return stop(self, node, "firewall", "%s drops packets %s", trace.words(node, drop), packet_words(self))
  end
  self.after = last and (last.src ~= self.src or last.dst ~= self.dst) and last or nil
  return false
end

-- After routing: what leaves is what the firewall made of it.
local function translate(self, node)
  local after = self.after
  self.after = nil
  if not after then
    return
  end
  if after.src ~= self.src then
    say(self, node, "NAT: the source %s becomes %s", self.src, after.src)
    self.src = after.src
  end
  if after.dst ~= self.dst then
    say(self, node, "NAT: the destination %s becomes %s", self.dst, after.dst)
    self.dst, self.port = after.dst, after.dport or self.port
  end
end

-- DNAT comes before the route.
local function translate_destination(self, node)
  local after = self.after
  if after and after.dst ~= self.dst then
    say(self, node, "NAT: the destination %s becomes %s", self.dst, after.dst)
    self.dst, self.port = after.dst, after.dport or self.port
  end
end

-- The wire ---------------------------------------------------------------------------------------------------------

local function link_is_fine(self, node, link)
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

-- To the next node; nil where it stops.
local function cross(self, node, link, address)
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

-- Arrival ----------------------------------------------------------------------------------------------------------

local function listens(socket, dst)
  if socket.family == "inet" then
    return not is_v6(dst) and (socket.src == "0.0.0.0" or socket.src == dst)
  end
  return socket.src == dst or (socket.src == "::" and (is_v6(dst) or not socket.v6only))
end

local function check_port(self, node)
  local elsewhere
  for _, socket in ipairs(node.ns:sockets { proto = self.proto, listening = true }) do
    if socket.sport == self.port and listens(socket, self.dst) then
      if socket.dev and self.iif and socket.dev ~= self.iif then
        elsewhere = ("on the link %s only"):format(socket.dev)
      else
        say(self, node, "a socket listens on %s port %d", self.proto, self.port)
        return true
      end
    elseif socket.sport == self.port then
      elsewhere = ("on %s only"):format(socket.src)
    end
  end
  if elsewhere then
    return not stop(self, node, "socket", "what listens on %s port %d does so %s, and packets come to %s", self.proto,
      self.port, elsewhere, self.dst)
  end
  return not stop(self, node, "socket", "nothing listens on %s port %d", self.proto, self.port)
end

local function check_echo(self, node)
  local name = is_v6(self.dst) and "net.ipv6.icmp.echo_ignore_all" or "net.ipv4.icmp_echo_ignore_all"
  if self.world:sysctl(node, name) == 1 then
    return not stop(self, node, "icmp", "it does not answer echo requests (%s = 1)", name)
  end
  return true
end

local function deliver(self, node)
  translate(self, node)
  say(self, node, "packets %s arrive", packet_words(self))
  if self.direction == "back" then
    return
  end
  if self.proto then
    check_port(self, node)
  else
    check_echo(self, node)
  end
end

-- The walk ---------------------------------------------------------------------------------------------------------

-- The source that the kernel chooses where none is given.
local function choose_source(self, node, route)
  if self.src then
    return true
  end
  self.src = route.src
  if self.src then
    return true
  end
  for _, addr in ipairs(node.ns.addr:list { family = is_v6(self.dst) and "inet6" or "inet" }) do
    if addr.dev == route.dev and addr.scope == "global" and not addr.dadfailed then
      self.src = addr.address:gsub("/.*", "")
      return true
    end
  end
  return not stop(self, node, "address", "%s has no address to send from", route.dev or "it")
end

local function next_hop(route, dst)
  local via = route.via
  if type(via) == "table" then
    via = via.address or via[2] or via[1]
  end
  return via and via:gsub("^inet6? ", "") or dst
end

local function way_words(route, address, dst)
  return ("to %s %sby %s"):format(dst, address ~= dst and ("via %s "):format(address) or "", route.dev)
end

-- One node; gives the next place { node =, link = }, or nil.
local function step(self, node)
  if self.src and firewall(self, node) then
    return nil
  end
  translate_destination(self, node)
  local route = route_of(self, node)
  if not route or not choose_source(self, node, route) then
    return nil
  end
  if route.type == "local" then
    deliver(self, node)
    return nil
  end
  if not v6_forwarding(self, node) or (not self.iif and firewall(self, node)) then
    return nil
  end
  if self.after and self.after.dst ~= self.dst then -- NAT of what the node itself sends: it is routed again
    translate_destination(self, node)
    return { node = node, link = self.iif and { name = self.iif } or nil }
  end
  translate(self, node)
  local link = route.dev and self.world:link(node, route.dev)
  local address = next_hop(route, self.dst)
  if not link then
    stop(self, node, "route", "the route %s leads to no link", way_words(route, address, self.dst))
    return nil
  end
  say(self, node, "%s", way_words(route, address, self.dst))
  if not link_is_fine(self, node, link) then
    return nil
  end
  return cross(self, node, link, address)
end

--- Walk from a node towards an address.
-- @tparam table what `world`, `trace` (or nil), `direction` "there" or "back", `from` (a node of the world), `src`
--   (or nil), `dst`, `proto` "tcp", "udp" or nil, `port`
-- @treturn table `hops`, `problem` (or nil), `node`, `src`, `dst`, `port` at the end, `way`, `left`
function walk.go(what)
  local self = { hops = {}, way = {} }
  for key, value in pairs(what) do
    self[key] = value
  end
  local place, visited = { node = self.from }, {}
  for _ = 1, HOPS_MAX do
    self.node = place.node
    local key = ("%s %s %s"):format(place.node.name, self.src or "", self.dst)
    if visited[key] then
      stop(self, place.node, "loop", "packets %s come back here: a routing loop with %s", packet_words(self),
        visited[key])
      return self
    end
    local next_place = step(self, place.node)
    if not next_place then
      return self
    end
    visited[key] = next_place.node.name
    place = next_place
    self.iif = place.link and place.link.name
  end
  stop(self, self.node, "loop", "packets %s pass more than %d nodes", packet_words(self), HOPS_MAX)
  return self
end

return walk
