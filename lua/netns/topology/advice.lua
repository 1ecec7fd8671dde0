--- What may be meant and yet does not do what one thinks: warnings, where `check` finds no mistakes.
-- @module netns.topology.advice
local words = require "netns.topology.words"

local advice = {}

local TTL = 64 -- what the kernel gives packets
local NEIGHBOURS = 1024 -- gc_thresh3, for all namespaces together
local SEARCHES = 64 -- more are not made to find a path that is too long

local function warn(m, path, message, ...)
  m.warnings[#m.warnings + 1] = { path = path, message = message:format(...), warning = true }
end

-- Links ----------------------------------------------------------------------------------------------------------

local function of_links(m)
  for _, link in ipairs(m.links) do
    local o = link.opts
    local delay = o.delay and words.time(o.delay) or 0
    if o.jitter and delay == 0 then
      warn(m, link.path .. ".jitter", "does nothing without a delay: packets cannot come earlier than at once")
    elseif o.jitter and words.time(o.jitter) > delay then
      warn(m, link.path .. ".jitter", "%s is more than the delay of %s: packets cannot come earlier than at once",
        o.jitter, o.delay)
    end
    if o.reorder and delay == 0 then
      warn(m, link.path .. ".reorder", "does nothing without a delay: packets that are sent at once overtake none")
    end
    for _, key in ipairs { "loss", "corrupt" } do
      if o[key] and words.share(o[key]) == 1 then
        warn(m, ("%s.%s"):format(link.path, key), "%s: nothing gets through", o[key])
      end
    end
  end
end

-- Segments -------------------------------------------------------------------------------------------------------

local function of_segments(m)
  for _, segment in ipairs(m.segments) do
    local first = segment.links[1]
    for _, link in ipairs(segment.links) do
      local a, b = first.opts.mtu or 1500, link.opts.mtu or 1500
      if a ~= b then
        warn(m, link.path .. ".mtu", "%d, but %d at %s on the same switch: large packets between them are lost", b, a,
          first.path)
        break
      end
    end
    if #segment.ifaces > NEIGHBOURS then
      warn(m, first.path, "%d nodes on one segment; the kernel remembers %d neighbours in all namespaces together "
        .. "(sysctl net.ipv4.neigh.default.gc_thresh3 of the first namespace)", #segment.ifaces, NEIGHBOURS)
    end
  end
end

-- Paths ----------------------------------------------------------------------------------------------------------

-- How many segments away every node is, and the farthest.
local function distances(source)
  local distance, todo, crossed = { [source] = 0 }, { source }, {}
  for _, node in ipairs(todo) do -- which grows
    for _, iface in ipairs((node == source or node.forwards) and node.ifaces or {}) do
      local segment = iface.segment
      for _, far in ipairs(segment and not crossed[segment] and segment.ifaces or {}) do
        if not distance[far.node] then
          distance[far.node] = distance[node] + 1
          todo[#todo + 1] = far.node
        end
      end
      crossed[segment or false] = true
    end
  end
  return distance, todo[#todo]
end

-- A router next to a host says more about all the rest than the host does.
local function informative(node, done)
  for _, iface in ipairs(node.forwards and {} or node.ifaces) do
    for _, far in ipairs(iface.segment and iface.segment.ifaces or {}) do
      if far.node.forwards and not done[far.node] then
        return far.node
      end
    end
  end
  return node
end

-- The node with the largest bound on how far it is to the farthest from it, if that may be too far.
local function suspect(m, bound)
  local worst, most = nil, TTL
  for _, node in ipairs(m.nodes) do
    if not node.switch and bound[node] > most then
      worst, most = node, bound[node]
    end
  end
  return worst
end

-- Is there a path of more routers than a packet may pass? Each search also bounds what others can find: whoever is d
-- from a router, from which the farthest is e away, has it not farther than d + e.
local function of_paths(m)
  if #m.segments <= TTL then
    return
  end
  local bound, done = {}, {}
  for _, node in ipairs(m.nodes) do
    bound[node] = math.huge
  end
  for _ = 1, SEARCHES do
    local node = suspect(m, bound)
    node = node and informative(node, done)
    if not node then
      return
    end
    local distance, farthest = distances(node)
    local far = distance[farthest]
    done[node] = true
    if far > TTL then
      warn(m, node.path, "%d routers between %s and %s; packets pass %d with the kernel's TTL of %d (sysctl "
        .. "net.ipv4.ip_default_ttl, net.ipv6.conf.all.hop_limit)", far - 1, node.name, farthest.name, TTL - 1, TTL)
      return
    end
    for other, d in pairs(distance) do
      bound[other] = node.forwards and math.min(bound[other], d + far) or bound[other]
    end
    bound[node] = far
  end
end

--- Fill `m.warnings`: findings with `warning = true`.
function advice.add(m)
  m.warnings = {}
  of_links(m)
  of_segments(m)
  of_paths(m)
end

return advice
