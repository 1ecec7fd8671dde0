--- One direction of `explain`: the way a packet goes, node by node, until it arrives or something stops it.
-- @module netns.explain.walk
local report = require "netns.explain.report"
local routes = require "netns.explain.routes"
local trace = require "netns.explain.trace"
local wires = require "netns.explain.wires"

local walk = {}

local HOPS_MAX = 64

local is_v6, say, stop, packet_words = report.is_v6, report.say, report.stop, report.packet_words

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
  local route = routes.of(self, node)
  if not route or not choose_source(self, node, route) then
    return nil
  end
  if route.type == "local" then
    deliver(self, node)
    return nil
  end
  if not routes.v6_forwarding(self, node) or (not self.iif and firewall(self, node)) then
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
  if not wires.link_is_fine(self, node, link) then
    return nil
  end
  return wires.cross(self, node, link, address)
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
