--- What becomes of packets in the firewalls, seen by nft's own trace while a probe is sent.
--
-- Nodes that have nft tables get one more for the time of the probe, netns_explain, which sets the nftrace flag
-- early and looks again late: so it is seen which rule drops a packet, and how NAT changes one.
-- @module netns.explain.trace
local core = require "netns.core"
require "netns.nft"

local trace = {}

local Trace = { __name = "netns.Trace" }
Trace.__index = Trace

local TABLE = "netns_explain"
local families = { [1] = "inet", [2] = "ip", [3] = "arp", [5] = "netdev", [7] = "bridge", [10] = "ip6" }

local function chain(name, hook, priority, rule, device)
  return ("  chain %s {\n    type filter hook %s%s priority %d\n    %s\n  }\n"):format(name, hook,
    device and (' device "%s"'):format(device) or "", priority, rule)
end

local SET = "meta nftrace set 1"

local texts = {}

function texts.inet()
  return chain("early", "prerouting", -500, SET) .. chain("sent", "output", -500, SET)
    .. chain("late", "postrouting", 500, "") .. chain("taken", "input", 500, "")
end

function texts.bridge()
  return chain("early", "prerouting", -500, SET) .. chain("sent", "output", -500, SET)
end

function texts.arp()
  return chain("early", "input", -500, SET) .. chain("sent", "output", -500, SET)
end

function texts.netdev(world, node)
  local parts = {}
  for i, link in ipairs(world:links(node)) do
    parts[i] = chain("early" .. i, "ingress", -500, SET, link.name)
  end
  return table.concat(parts)
end

local needs = { ip = "inet", ip6 = "inet", inet = "inet", bridge = "bridge", arp = "arp", netdev = "netdev" }

local function install(self, node)
  local wanted = {}
  for _, t in ipairs(core.nft_tables(node.ns)) do
    local family = needs[t.family]
    if family and t.name ~= TABLE then
      wanted[family] = true
    end
  end
  for family in pairs(wanted) do
    local text = ("table %s %s {\n%s}\n"):format(family, TABLE, texts[family](self.world, node))
    if pcall(node.ns.nft.run, node.ns.nft, text) then
      self.tables[#self.tables + 1] = { node = node, family = family }
    end
  end
  if next(wanted) then
    self.sources[#self.sources + 1] = { node = node, trace = core.nft_trace(node.ns) }
  end
end

--- Begin to trace in all nodes that have a firewall. To be closed.
function trace.start(world)
  local self = setmetatable({ world = world, sources = {}, tables = {}, events = {} }, Trace)
  local ok, err = pcall(function()
    for _, node in ipairs(world.nodes) do
      install(self, node)
    end
  end)
  if not ok then
    self:close()
    error(err, 0)
  end
  return self
end

-- Headers ----------------------------------------------------------------------------------------------------------

local function ip4(bytes, at)
  return ("%d.%d.%d.%d"):format(bytes:byte(at, at + 3))
end

-- As the kernel writes it, so that it compares with addresses in listings.
local function ip6(bytes, at)
  return core.format_ip(bytes:sub(at, at + 15))
end

-- { src, dst, sport, dport, arp = true where it is one; solicits: the neighbour an IPv6 packet looks for }
local function headers(event)
  local nh, th = event.nh or "", event.th or ""
  local packet = {}
  local first = (nh:byte(1) or 0) >> 4
  if #nh >= 28 and nh:sub(1, 6) == "\0\1\8\0\6\4" then
    packet = { arp = true, src = ip4(nh, 15), dst = ip4(nh, 25) }
  elseif first == 4 and #nh >= 20 then
    packet = { src = ip4(nh, 13), dst = ip4(nh, 17), proto = nh:byte(10) }
  elseif first == 6 and #nh >= 40 then
    packet = { src = ip6(nh, 9), dst = ip6(nh, 25), proto = nh:byte(7) }
  end
  if packet.proto == 58 and (th:byte(1) == 135 or th:byte(1) == 136) then
    packet.nd, packet.tail = true, nh:sub(38, 40)
  elseif (packet.proto == 6 or packet.proto == 17) and #th >= 4 then
    packet.sport, packet.dport = (">I2I2"):unpack(th)
  end
  return packet
end

--- Take what was seen so far.
function Trace:collect()
  for _, source in ipairs(self.sources) do
    local events = self.events[source.node] or {}
    self.events[source.node] = events
    for _, event in ipairs(source.trace:read()) do
      event.packet = event.nh and headers(event) or nil
      events[#events + 1] = event
    end
  end
end

-- Events of one packet in order; the headers come with the first event of each chain.
local function by_id(events)
  local packets, order = {}, {}
  for _, event in ipairs(events or {}) do
    local list = packets[event.id]
    if not list then
      list = {}
      packets[event.id], order[#order + 1] = list, list
    end
    list[#list + 1] = event
  end
  return order
end

local function drop_of(list)
  for _, event in ipairs(list) do
    if event.verdict == "drop" and event.table ~= TABLE then
      return event
    end
  end
end

--- What became of packets from src to dst in a node.
-- @treturn ?table the event that dropped one
-- @treturn ?table source, destination and ports as they were at the end, where a firewall saw the packet
function Trace:fate(node, src, dst)
  local last
  for _, list in ipairs(by_id(self.events[node])) do
    local mine = false
    for _, event in ipairs(list) do
      local p = event.packet
      if p and not p.arp then
        mine = mine or (p.src == src and p.dst == dst)
        last = mine and p or last
      end
    end
    local drop = mine and drop_of(list)
    if drop then
      return drop, last
    end
  end
  return nil, last
end

--- Did a firewall drop the search for a neighbour?
-- @treturn ?table the event that did
function Trace:lost_search(node, address)
  local tail = core.parse_ip(address):sub(-3)
  for _, list in ipairs(by_id(self.events[node])) do
    local drop = drop_of(list)
    local p = drop and list[1].packet
    local mine = p and (p.arp or p.nd) and (p.dst == address or p.src == address or (p.nd and p.tail == tail))
    if mine then
      return drop
    end
  end
end

-- Words ------------------------------------------------------------------------------------------------------------

--- The rule or policy that an event stands for, as text: "inet filter forward: tcp dport 80 drop".
function trace.words(node, event)
  local family = families[event.family] or tostring(event.family)
  local where = ("%s %s %s"):format(family, event.table, event.chain)
  if event.type ~= "rule" then
    return ("the policy of chain %s"):format(where)
  end
  local ok, text = pcall(node.ns.nft.text, node.ns.nft,
    { family = family, table = event.table, handle = true, stateless = true })
  local rule = ok and text:match("\n%s*([^\n]-)%s*# handle " .. tostring(event.handle) .. "\n")
  return ("rule \"%s\" of chain %s"):format(rule or "handle " .. tostring(event.handle), where)
end

--- Stop tracing, and take the tables away.
function Trace:close()
  for _, source in ipairs(self.sources) do
    source.trace:close()
  end
  for _, t in ipairs(self.tables) do
    pcall(t.node.ns.nft.run, t.node.ns.nft, ("delete table %s %s"):format(t.family, TABLE))
  end
  self.sources, self.tables = {}, {}
end

Trace.__close = Trace.close

return trace
