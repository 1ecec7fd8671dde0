--- Routes of a model: shortest paths by cost, equal costs as multipath.
--
-- Only nodes that forward pass packets on. A NAT node is a border: what is behind it is not known outside, and
-- inside there is a default route towards it. In large graphs, prefixes that lie side by side behind the same next
-- hops are put together, so that the number of routes stays small.
-- @module netns.topology.routing
local ip = require "netns.topology.ip"

local routing = {}

local EXACT_MAX = 64 -- segments up to which every subnet has a route of its own

-- A queue of nodes by distance: buckets, as distances are small integers.
local function new_queue()
  return { buckets = {}, at = 0, top = 0 }
end

local function push(queue, distance, node)
  local bucket = queue.buckets[distance]
  if not bucket then
    bucket = {}
    queue.buckets[distance] = bucket
  end
  bucket[#bucket + 1] = node
  queue.top = math.max(queue.top, distance)
end

local function pop(queue)
  while queue.at <= queue.top do
    local bucket = queue.buckets[queue.at]
    if bucket and #bucket > 0 then
      return table.remove(bucket), queue.at
    end
    queue.at = queue.at + 1
  end
end

-- The union of two lists of hops; the first itself where nothing is new.
local function union(a, b)
  local result = a
  for _, hop in ipairs(b) do
    local known = false
    for _, other in ipairs(a) do
      known = known or other == hop
    end
    if not known then
      if result == a then
        result = table.move(a, 1, #a, 1, {})
      end
      result[#result + 1] = hop
    end
  end
  return result
end

-- Shortest paths from a node: distance and first hops (far interfaces) of every node reached; with a limit, no
-- further than that many nodes on.
local function paths(source, limit)
  local distance, hops, done, queue, reached = { [source] = 0 }, { [source] = {} }, {}, new_queue(), {}
  push(queue, 0, source)
  while true do
    local node, d = pop(queue)
    if not node then
      return distance, hops, reached
    end
    if not done[node] and d == distance[node] and (node == source or node.forwards) and not (limit and d >= limit) then
      done[node] = true
      for _, iface in ipairs(node.ifaces) do
        if iface.segment and iface ~= node.nat_out then
          local next_distance = d + (limit and 1 or iface.link.opts.cost or 1)
          for _, far in ipairs(iface.segment.ifaces) do
            local other = far.node
            if other ~= node and far ~= other.nat_out then
              local first = node == source and { far } or hops[node]
              local known = distance[other]
              if not known or next_distance < known then
                if not known then
                  reached[#reached + 1] = other
                end
                distance[other], hops[other] = next_distance, first
                push(queue, next_distance, other)
              elseif next_distance == known and other ~= source then
                hops[other] = hops[other] == first and first or union(hops[other], first)
              end
            end
          end
        end
      end
    end
  end
end

-- The best first hops to each segment that a node reaches and does not touch itself.
local function targets(source, distance, hops, reached)
  local set_of, best_of = {}, {}
  for _, node in ipairs(reached) do
    local d, set = distance[node], hops[node]
    for _, iface in ipairs(node.forwards and node.ifaces or {}) do
      local segment = iface.segment
      if segment and iface ~= node.nat_out then
        local best = best_of[segment]
        if not best or d < best then
          best_of[segment], set_of[segment] = d, set
        elseif d == best and set_of[segment] ~= set then
          set_of[segment] = union(set_of[segment], set)
        end
      end
    end
  end
  for _, iface in ipairs(source.ifaces) do
    if iface.segment then
      set_of[iface.segment] = nil
    end
  end
  return set_of
end

-- A text for a set of hops, so that sets can be compared; kept with the set.
local function key_of(set)
  if not set.key then
    local parts = {}
    for i, far in ipairs(set) do
      parts[i] = far.node.number .. "." .. far.index
    end
    table.sort(parts)
    set.key = table.concat(parts, " ")
  end
  return set.key
end

-- Put neighbours with the same hops together. `list` is sorted by address.
local function aggregate(list, family)
  local shortest, result, i = family == 4 and 8 or 16, {}, 1
  while i <= #list do
    local first, block, last = list[i], list[i].p, i
    while block.len > shortest do
      local wider, stop = ip.network(block, block.len - 1), last
      while list[stop + 1] and list[stop + 1].key == first.key and ip.contains(wider, list[stop + 1].p) do
        stop = stop + 1
      end
      local before, after = list[i - 1], list[stop + 1]
      if (before and ip.contains(wider, before.p)) or (after and ip.contains(wider, after.p)) then
        break
      elseif stop == last and not (after and after.key == first.key) then
        break -- nothing more to gain
      end
      block, last = wider, stop
    end
    result[#result + 1] = last == i and first or { p = block, hops = first.hops }
    i = last + 1
  end
  return result
end

local function add_route(node, dst, set, family)
  local hops = {}
  for _, far in ipairs(set) do
    local via = far.addrs[family]
    if via then
      via.text = via.text or ip.format(family, via.hi, via.lo)
      hops[#hops + 1] = { via = via.text, iface = far.back[node] }
    end
  end
  if #hops > 0 then
    if #hops > 1 then
      table.sort(hops, function(a, b)
        return a.iface.index < b.iface.index
      end)
    end
    node.routes[#node.routes + 1] = { dst = dst, family = family, hops = hops }
    node.multipath = node.multipath or #hops > 1
  end
end

local function add_targets(m, node, set_of)
  for family, order in pairs(m.in_order) do
    local entries = {}
    for _, item in ipairs(order) do
      local set = set_of[item.segment]
      if set then
        entries[#entries + 1] = { p = item.p, text = item.text, hops = set, key = key_of(set) }
      end
    end
    if #m.segments > EXACT_MAX then
      entries = aggregate(entries, family)
    end
    for _, entry in ipairs(entries) do
      add_route(node, entry.text or ip.text(entry.p), entry.hops, family)
    end
  end
end

-- The segments of each family by address, with their text.
local function order_segments(m)
  m.in_order = {}
  for _, family in ipairs { 4, 6 } do
    local order = {}
    for _, segment in ipairs(m.families[family] and m.segments or {}) do
      local p = segment.subnets[family]
      if p then
        order[#order + 1] = { segment = segment, p = p, text = ip.text(p) }
      end
    end
    table.sort(order, function(x, y)
      return ip.less(x.p, y.p)
    end)
    m.in_order[family] = order
  end
end

local function add_default(m, node, set)
  for family, on in pairs(m.families) do
    if on then
      add_route(node, "default", set, family)
    end
  end
end

-- Which interface of each neighbour leads back: far.back[node] is node's own end.
local function note_ways_back(m)
  for _, segment in ipairs(m.segments) do
    local own = {}
    for _, iface in ipairs(segment.ifaces) do
      own[iface.node] = own[iface.node] or iface
      iface.back = own
    end
  end
end

-- The outside neighbour of a NAT node.
local function outside(node)
  for _, iface in ipairs(node.nat_out.segment.ifaces) do
    if iface.node ~= node and (iface.node == node.nat_out.peer_node or node.nat_out.peer_node.switch) then
      return { iface }
    end
  end
end

-- Nearest way to a NAT node: distances from all of them, once.
local function nat_distances(m)
  local nearest = nil
  for _, node in ipairs(m.nodes) do
    if node.nat_out then
      nearest = nearest or {}
      for other, d in pairs((paths(node))) do
        if not nearest[other] or d < nearest[other] then
          nearest[other] = d
        end
      end
    end
  end
  return nearest
end

-- A host with one link: the router there that is nearest to the way out.
local function host_default(m, node, nearest)
  local best, far = nil, nil
  for _, iface in ipairs(node.ifaces) do
    for _, other in ipairs(iface.segment and iface.segment.ifaces or {}) do
      local d = nearest and (nearest[other.node] or math.huge) or 0
      if other.node ~= node and other.node.forwards and other ~= other.node.nat_out and (not best or d < best) then
        best, far = d, other
      end
    end
  end
  if far then
    add_default(m, node, { far })
  end
end

local function route_node(m, node, mode, nearest)
  local limit = mode == "neighbours" and 1 or nil
  if not node.forwards and #node.ifaces == 1 then
    host_default(m, node, nearest)
    return
  end
  local distance, hops, reached = paths(node, limit)
  add_targets(m, node, targets(node, distance, hops, reached))
  if node.nat_out then
    local set = outside(node)
    if set then
      add_default(m, node, set)
    end
  elseif nearest and nearest[node] then
    local best, set = nil, {}
    for _, other in ipairs(m.nodes) do
      local d = other.nat_out and other ~= node and distance[other]
      if d and (not best or d < best) then
        best, set = d, hops[other]
      elseif d and d == best then
        set = union(set, hops[other])
      end
    end
    add_default(m, node, set)
  end
end

--- Fill `routes` of every node: `{ dst =, family =, hops = { { via =, iface = }, ... } }`.
function routing.add(m)
  local mode = m.data.routing
  note_ways_back(m)
  order_segments(m)
  local nearest = nat_distances(m)
  for _, node in ipairs(m.nodes) do
    node.routes = {}
    if not node.switch and mode ~= false and node.data.routing ~= false then
      route_node(m, node, mode, nearest)
    end
  end
end

return routing
