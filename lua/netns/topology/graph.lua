--- Shortest paths between routers, with all that are equally short.
--
-- Vertices are routers and segments: from a router to a segment costs what the router's link says, from a segment to
-- its routers nothing. So a shared segment costs one step for each of its routers, not one for each pair.
--
-- First hops are sets of far interfaces. A set of one is the interface itself; a larger one is a table that is made
-- once for each combination, so that sets are compared by `==`.
-- @module netns.topology.graph
local graph = {}

-- Sets of first hops -------------------------------------------------------------------------------------------------

local Sets = {}
Sets.__index = Sets

--- Where sets are made and remembered.
function graph.sets()
  return setmetatable({ by_key = {}, unions = {} }, Sets)
end

local function members(set)
  return set.set or { set }
end

-- The set of a list of interfaces (by their `rank`), which may have doubles.
function Sets:of(list)
  table.sort(list, function(a, b)
    return a.rank < b.rank
  end)
  local unique, key = {}, {}
  for i, iface in ipairs(list) do
    if iface ~= list[i - 1] then
      unique[#unique + 1], key[#key + 1] = iface, iface.rank
    end
  end
  if #unique == 1 then
    return unique[1]
  end
  key = table.concat(key, " ")
  local set = self.by_key[key]
  if not set then
    set = { set = unique }
    self.by_key[key] = set
  end
  return set
end

--- The union of two sets.
function Sets:union(a, b)
  local row = self.unions[a]
  if not row then
    row = {}
    self.unions[a] = row
  end
  local result = row[b]
  if not result then
    local list = table.move(members(a), 1, #members(a), 1, {})
    table.move(members(b), 1, #members(b), #list + 1, list)
    result = self:of(list)
    row[b] = result
  end
  return result
end

--- The interfaces of a set, in order.
graph.members = members

-- A queue by distance ------------------------------------------------------------------------------------------------

-- Buckets by distance, and a heap of the distances that there are: with equal costs these are few.
local Queue = {}
Queue.__index = Queue

local function new_queue()
  return setmetatable({ buckets = {}, n = 0 }, Queue)
end

function Queue:push(distance, vertex)
  local bucket = self.buckets[distance]
  if bucket then
    bucket[#bucket + 1] = vertex
    return
  end
  self.buckets[distance] = { vertex }
  local i = self.n + 1
  self.n = i
  while i > 1 and self[i // 2] > distance do
    self[i] = self[i // 2]
    i = i // 2
  end
  self[i] = distance
end

--- The nearest bucket: its vertices and distance.
function Queue:pop()
  local nearest, n = self[1], self.n
  if n == 0 then
    return nil
  end
  local last = self[n]
  self[n], self.n = nil, n - 1
  n = n - 1
  local i = 1
  while 2 * i <= n do
    local child = 2 * i
    if child < n and self[child + 1] < self[child] then
      child = child + 1
    end
    if self[child] >= last then
      break
    end
    self[i] = self[child]
    i = child
  end
  if n > 0 then
    self[i] = last
  end
  local bucket = self.buckets[nearest]
  self.buckets[nearest] = nil
  return bucket, nearest
end

-- Searches -----------------------------------------------------------------------------------------------------------

-- Going on over a segment that the source touches itself: there the segment stands for the router gone on to.
local function going_on(sets, set, far, segment)
  if set == segment then
    return far
  elseif not set.set then
    return set
  end
  local list = {}
  for i, member in ipairs(set.set) do
    list[i] = member == segment and far or member
  end
  return sets:of(list)
end

-- Numbers for vertices and lists of their neighbours: { segment, cost, ... } of a node, { router, far, ... } of a
-- segment. Numbers index arrays, which is several times faster than tables as keys.
local function compile(g)
  local number, out = {}, {}
  local function number_of(vertex)
    if not number[vertex] then
      number[vertex], out[#out + 1] = #out + 1, {}
    end
    return number[vertex]
  end
  for node, ways in pairs(g.ways) do
    local list = out[number_of(node)]
    for i = 1, #ways, 2 do
      list[i], list[i + 1] = number_of(ways[i]), ways[i + 1]
    end
  end
  for segment, routers in pairs(g.routers) do
    local list = number[segment] and out[number[segment]]
    for i = 1, list and #routers or 0 do
      if g.ways[routers[i].node] then
        list[#list + 1], list[#list + 2] = number[routers[i].node], routers[i]
      end
    end
  end
  g.number, g.out, g.far_of, g.hops, g.own, g.done, g.round = number, out, {}, {}, {}, {}, 0
  for i = 1, #out do
    g.far_of[i], g.hops[i], g.own[i], g.done[i] = 0, false, false, false
  end
end

-- From segments at a distance to their routers; those reached for the first time.
local function enter_routers(g, sets, bucket, distance)
  local out, far_of, hops, done, own = g.out, g.far_of, g.hops, g.done, g.own
  local reached, n = {}, 0
  for _, segment in ipairs(bucket) do
    if far_of[segment] == distance and not done[segment] then
      done[segment] = true
      local list, set = out[segment], hops[segment]
      for i = 1, #list, 2 do
        local node = list[i]
        if not done[node] then
          local first = own[segment] and going_on(sets, set, list[i + 1], own[segment]) or set
          if not hops[node] then
            hops[node] = first
            n = n + 1
            reached[n] = node
          elseif hops[node] ~= first then
            hops[node] = sets:union(hops[node], first)
          end
        end
      end
    end
  end
  return reached
end

-- From a router on to its segments.
local function leave_router(g, sets, queue, node, distance)
  local out, far_of, hops, done = g.out[node], g.far_of, g.hops, g.done
  local set = hops[node]
  done[node] = true
  for i = 1, #out, 2 do
    local segment, next_distance = out[i], distance + out[i + 1]
    if not hops[segment] or next_distance < far_of[segment] then
      far_of[segment], hops[segment] = next_distance, set
      queue:push(next_distance, segment)
    elseif next_distance == far_of[segment] and hops[segment] ~= set and not done[segment] then
      hops[segment] = sets:union(hops[segment], set)
    end
  end
end

--- Shortest paths from a node to all segments and routers.
-- @tparam table g `ways[node]`: a flat list { segment, cost, ... }; `routers[segment]`: the interfaces of routers there
-- @tparam table sets
-- @tparam table source a node; it need not be a router
-- @treturn function the set of first hops to a segment or router; nil where there is none, or none is needed
function graph.search(g, sets, source)
  if not g.number then
    compile(g)
  end
  local hops, done, own, queue, number = g.hops, g.done, g.own, new_queue(), g.number
  for i = 1, #hops do
    hops[i], done[i], own[i] = false, false, false
  end
  local ways = g.ways[source]
  for i = 1, #ways, 2 do
    local segment = number[ways[i]]
    g.far_of[segment], own[segment] = ways[i + 1], ways[i]
    hops[segment] = ways[i] -- the segment itself stands for "whoever is gone on to there"
    queue:push(ways[i + 1], segment)
  end
  done[number[source]] = true
  local bucket, distance = queue:pop()
  while bucket do
    for _, node in ipairs(enter_routers(g, sets, bucket, distance)) do
      leave_router(g, sets, queue, node, distance)
    end
    bucket, distance = queue:pop()
  end
  return function(vertex)
    local i = number[vertex]
    return i and not own[i] and hops[i] or nil
  end
end

--- Distances of all routers to the nearest of some, against the direction of travel.
-- @treturn table distance by node
function graph.distances(g, goals)
  local distance, queue = {}, new_queue()
  for _, node in ipairs(goals) do
    distance[node] = 0
    queue:push(0, node)
  end
  local bucket, d = queue:pop()
  while bucket do
    for _, node in ipairs(bucket) do
      if distance[node] == d then
        for i = 1, #g.ways[node], 2 do
          for _, far in ipairs(g.routers[g.ways[node][i]]) do
            local next_distance = d + (far.link.opts.cost or 1)
            local known = distance[far.node]
            if not known or next_distance < known then
              distance[far.node] = next_distance
              queue:push(next_distance, far.node)
            end
          end
        end
      end
    end
    bucket, d = queue:pop()
  end
  return distance
end

return graph
