--- Routes of a model: shortest paths by cost, equal costs as multipath.
--
-- Only nodes that forward pass packets on. A NAT node is a border: what is behind it is not known outside, and
-- inside there is a default route towards it.
--
-- In a graph of more than EXACT_MAX segments, prefixes that lie side by side behind the same next hops are put
-- together, exactly: no route covers an address that is not there. And only the part of the graph that has more than
-- one way is searched: what hangs on it by one link (all of it, in a line or a tree) needs no search, as there is one
-- way down to each branch and one way up to all the rest.
-- @module netns.topology.routing
local graph = require "netns.topology.graph"
local ip = require "netns.topology.ip"
local ranges = require "netns.topology.ranges"

local routing = {}

--- Segments up to which every subnet has a route of its own.
routing.EXACT_MAX = 64

-- What is where ------------------------------------------------------------------------------------------------------

-- The segments that a node is on, with the cost of leaving by them: { segment, cost, ... }.
local function ways_of(node)
  local ways, seen = {}, {}
  for _, iface in ipairs(node.ifaces) do
    local segment, cost = iface.segment, iface.link.opts.cost or 1
    if segment and not iface.outside then
      local at = seen[segment]
      if not at then
        seen[segment] = #ways + 1
        ways[#ways + 1], ways[#ways + 2] = segment, cost
      elseif cost < ways[at + 1] then
        ways[at + 1] = cost
      end
    end
  end
  return ways
end

-- The graph of all routers; numbers for sets; far.back[node] is node's own end on the segment of far.
local function build_graph(m)
  local g, rank = { ways = {}, routers = {} }, 0
  for _, segment in ipairs(m.segments) do
    local routers, own = {}, {}
    rank = rank + 1
    segment.rank = rank
    for _, iface in ipairs(segment.ifaces) do
      rank = rank + 1
      iface.rank = rank
      own[iface.node] = own[iface.node] or iface
      iface.back = own
      if iface.node.forwards and not iface.outside then
        routers[#routers + 1] = iface
      end
    end
    g.routers[segment] = routers
  end
  for _, node in ipairs(m.nodes) do
    g.ways[node] = ways_of(node)
  end
  return g
end

-- Ranges of segments, in order: { space, first, past, vertex }.
local function sort_items(items)
  table.sort(items, function(a, b)
    if a[1] ~= b[1] then
      return a[1] < b[1]
    end
    return a[2] < b[2]
  end)
  return items
end

local function segment_items(m, spaces)
  local items = {}
  for _, segment in ipairs(m.segments) do
    segment.ranges = {}
    for family = 4, 6, 2 do
      local p = m.families[family] and segment.subnets[family]
      if p then
        local space, first, past = spaces:range(p)
        items[#items + 1] = { space, first, past, segment, p = p }
        segment.ranges[#segment.ranges + 1] = { space, first, past }
      end
    end
    segment.ranges = ranges.list(segment.ranges)
  end
  return sort_items(items)
end

-- Writing routes down ------------------------------------------------------------------------------------------------

-- The hops of a node towards a set of far interfaces, in a family; made once for each.
local function hops_of(node, set, family)
  local memo = node.hops_of[set]
  if not memo then
    memo = {}
    node.hops_of[set] = memo
  end
  local hops = memo[family]
  if not hops then
    hops = {}
    for _, far in ipairs(graph.members(set)) do
      local via = far.addrs[family]
      if via then
        via.text = via.text or ip.format(family, via.hi, via.lo)
        hops[#hops + 1] = { via = via.text, iface = far.back[node] }
      end
    end
    table.sort(hops, function(a, b)
      if a.iface.index ~= b.iface.index then
        return a.iface.index < b.iface.index
      end
      return a.via < b.via
    end)
    memo[family] = hops
  end
  return hops
end

local function add_route(dst, node, set, family, metric)
  local hops = hops_of(node, set, family)
  if #hops > 0 then
    node.routes[#node.routes + 1] = { dst = dst, family = family, hops = hops, metric = metric }
    node.multipath = node.multipath or #hops > 1
  end
end

local function add_default(m, node, set, preference)
  for family = 4, 6, 2 do
    if m.families[family] then
      -- the kernel's own metrics are 0 for IPv4 and 1024 for IPv6
      add_route("default", node, set, family, preference > 1 and (family == 4 and 0 or 1024) + 100 * preference or nil)
    end
  end
end

-- Routes to a list of ranges, all by the same hops.
local function add_ranges(spaces, node, list, set)
  for i = 1, #list, 3 do
    spaces:each_prefix(list[i], list[i + 1], list[i + 2], add_route, node, set, spaces:family(list[i]))
  end
end

-- Routes to items by the hops of their vertices; neighbours by the same hops put together.
local function add_items(spaces, node, items, hop_to)
  local space, first, past, set = nil, nil, nil, nil
  for _, item in ipairs(items) do
    local hop = hop_to(item[4])
    if hop ~= set or item[2] ~= past or item[1] ~= space then
      if set then
        spaces:each_prefix(space, first, past, add_route, node, set, spaces:family(space))
      end
      space, first, set = item[1], item[2], hop
    end
    past = item[3]
  end
  if set then
    spaces:each_prefix(space, first, past, add_route, node, set, spaces:family(space))
  end
end

-- Small graphs -------------------------------------------------------------------------------------------------------

-- Every node by a search of its own, every subnet by a route of its own (or put together, where there are many).
local function add_by_search(w, node)
  local hop_to = graph.search(w.graph, w.sets, node)
  if w.exact then
    for _, item in ipairs(w.items) do
      local set = hop_to(item[4])
      if set then
        add_route(ip.text(item.p), node, set, item.p.family)
      end
    end
  else
    add_items(w.spaces, node, w.items, hop_to)
  end
end

-- Only what is one router further.
local function add_neighbours(w, node)
  local hops, own = {}, {}
  local ways = w.graph.ways[node]
  for i = 1, #ways, 2 do
    own[ways[i]] = true
  end
  for i = 1, #ways, 2 do
    for _, far in ipairs(w.graph.routers[ways[i]]) do
      local theirs = far.node ~= node and w.graph.ways[far.node] or {}
      for k = 1, #theirs, 2 do
        local segment = theirs[k]
        if not own[segment] then
          hops[segment] = hops[segment] and w.sets:union(hops[segment], far) or far
        end
      end
    end
  end
  local reached = {}
  for segment in pairs(hops) do
    reached[#reached + 1] = segment
  end
  table.sort(reached, function(a, b)
    return a.rank < b.rank
  end)
  for _, segment in ipairs(reached) do
    for family = 4, 6, 2 do
      local p = w.m.families[family] and segment.subnets[family]
      if p then
        add_route(ip.text(p), node, hops[segment], family)
      end
    end
  end
end

-- Large graphs -------------------------------------------------------------------------------------------------------

-- Take away, again and again, routers that have one way on. For each its `parent` (an interface there), `branches`
-- (the first interface of each) and `below` (what is on it and behind it).
local function peel(w)
  local g, count, degree, queue, order = w.graph, {}, {}, {}, {}
  for segment, routers in pairs(g.routers) do
    count[segment] = #routers
  end
  for _, node in ipairs(w.m.nodes) do
    local ways = g.ways[node]
    if node.forwards then
      degree[node], node.below, node.branches = 0, {}, {}
      local stubs = {}
      for i = 1, #ways, 2 do
        degree[node] = degree[node] + count[ways[i]] - 1
        if count[ways[i]] == 1 then
          for k = 1, #ways[i].ranges, 3 do
            stubs[#stubs + 1] = table.move(ways[i].ranges, k, k + 2, 1, {})
          end
        end
      end
      node.below = ranges.list(stubs)
      if degree[node] == 1 then
        queue[#queue + 1] = node
      end
    end
  end
  local gone = {}
  for _, node in ipairs(queue) do -- which grows
    local ways = g.ways[node]
    for i = 1, degree[node] == 1 and #ways or 0, 2 do
      local segment = ways[i]
      if count[segment] == 2 then
        for _, far in ipairs(g.routers[segment]) do
          if far.node ~= node and not gone[far.node] then
            local up = far.node
            node.parent, gone[node], order[#order + 1] = far, true, node
            count[segment], degree[node], degree[up] = 1, 0, degree[up] - 1
            up.branches[#up.branches + 1] = far.back[node]
            up.below = ranges.union(up.below, ranges.union(node.below, segment.ranges))
            if degree[up] == 1 then
              queue[#queue + 1] = up
            end
          end
        end
        break
      end
    end
  end
  return gone, order
end

-- The routers that are left, and the segments that join them.
local function core_graph(w, gone)
  local core, items, seen = { ways = {}, routers = w.graph.routers }, {}, {}
  for _, node in ipairs(w.m.nodes) do
    local ways = w.graph.ways[node]
    if node.forwards and not gone[node] then
      local kept = {}
      for i = 1, #ways, 2 do
        local segment = ways[i]
        local others = #w.graph.routers[segment] > 1
        for _, far in ipairs(others and w.graph.routers[segment] or {}) do
          others = others and not gone[far.node]
        end
        if others then
          kept[#kept + 1], kept[#kept + 2] = segment, ways[i + 1]
          for k = 1, seen[segment] and 0 or #segment.ranges, 3 do
            items[#items + 1] = { segment.ranges[k], segment.ranges[k + 1], segment.ranges[k + 2], segment }
          end
          seen[segment] = true
        end
      end
      core.ways[node] = kept
      for k = 1, #node.below, 3 do
        items[#items + 1] = { node.below[k], node.below[k + 1], node.below[k + 2], node }
      end
    end
  end
  return core, sort_items(items)
end

-- All that there is in the part of the graph that a router is in.
local function whole_of(core, router, wholes)
  if not wholes[router] then
    local list, todo, seen = {}, { router }, { [router] = true }
    for _, node in ipairs(todo) do -- which grows
      list = ranges.union(list, node.below)
      for i = 1, #core.ways[node], 2 do
        local segment = core.ways[node][i]
        if not seen[segment] then
          seen[segment] = true
          list = ranges.union(list, segment.ranges)
          for _, far in ipairs(core.routers[segment]) do
            if not seen[far.node] then
              seen[far.node], todo[#todo + 1] = true, far.node
            end
          end
        end
      end
    end
    for _, node in ipairs(todo) do
      wholes[node] = list
    end
  end
  return wholes[router]
end

-- Down to each branch, up to all the rest; and the core by search.
local function add_large(w, wanted)
  local gone, order = peel(w)
  local core, items = core_graph(w, gone)
  local wholes = {}
  for i = #order, 1, -1 do -- from the core outwards
    wholes[order[i]] = wholes[order[i].parent.node] or whole_of(core, order[i].parent.node, wholes)
  end
  for _, node in ipairs(w.m.nodes) do
    if wanted(node) and node.forwards then
      for _, far in ipairs(node.branches) do
        add_ranges(w.spaces, node, far.node.below, far)
      end
      if gone[node] then
        local rest = ranges.difference(wholes[node], node.below)
        add_ranges(w.spaces, node, ranges.difference(rest, node.parent.segment.ranges), node.parent)
      else
        add_items(w.spaces, node, items, graph.search(core, w.sets, node))
      end
    end
  end
end

-- Ways out -----------------------------------------------------------------------------------------------------------

-- The neighbours that a NAT node gives its packets to.
local function add_outside(w, node)
  for preference, iface in ipairs(node.outs) do
    for _, far in ipairs(iface.segment and iface.segment.ifaces or {}) do
      if far.node ~= node and (far.node.forwards or iface.segment.kind == "link") then
        add_default(w.m, node, far, preference)
        break
      end
    end
  end
end

-- A host with one link has a default route and needs no other.
local function is_leaf(node)
  return not node.forwards and #node.ifaces == 1
end

-- The routers next to a node that are nearest to a way out; where there is none, a leaf takes the first one.
local function add_way_out(w, node)
  local ways, best, set = w.graph.ways[node], nil, nil
  for i = 1, #ways, 2 do
    for _, far in ipairs(w.graph.routers[ways[i]]) do
      local d = w.nearest[far.node] or (is_leaf(node) and math.huge)
      if d and far.node ~= node then
        d = d + ways[i + 1]
        if not best or d < best then
          best, set = d, far
        elseif d == best and d < math.huge then
          set = w.sets:union(set, far)
        end
      end
    end
  end
  if set then
    add_default(w.m, node, set, 1)
  end
end

local function add_defaults(w, node)
  if #node.outs > 0 then
    add_outside(w, node)
  elseif is_leaf(node) or w.mode ~= "neighbours" then
    add_way_out(w, node)
  end
end

--- Fill `routes` of every node: `{ dst =, family =, hops = { { via =, iface = }, ... }, metric = }`.
function routing.add(m)
  local goals, spaces = {}, ranges.spaces()
  local w = { m = m, mode = m.data.routing, graph = build_graph(m), sets = graph.sets(), spaces = spaces }
  w.items, w.exact = segment_items(m, spaces), #m.segments <= routing.EXACT_MAX
  for _, node in ipairs(m.nodes) do
    node.routes, node.hops_of = {}, {}
    goals[#goals + 1] = #node.outs > 0 and node or nil
  end
  w.nearest = graph.distances(w.graph, goals)
  local function wanted(node)
    return not node.switch and node.data.routing ~= false and (w.mode ~= false or is_leaf(node))
  end
  local searched = w.mode ~= false and w.mode ~= "neighbours"
  if searched and not w.exact then
    add_large(w, wanted)
  end
  for _, node in ipairs(m.nodes) do
    if wanted(node) then
      if w.mode == "neighbours" and not is_leaf(node) then
        add_neighbours(w, node)
      elseif searched and not is_leaf(node) and (w.exact or not node.forwards) then
        add_by_search(w, node)
      end
      add_defaults(w, node)
    end
  end
end

return routing
