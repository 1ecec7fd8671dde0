--- Mending differences, until none is left.
-- @module netns.topology.mend
local drift = require "netns.topology.drift"
local kernel = require "netns.topology.kernel"
local remedies = require "netns.topology.remedies"
local up = require "netns.topology.up"

local mend = {}

local ROUNDS = 12 -- each kind of links, then what comes with them, twice over

--- Neighbours that were learned may be others by now: a link that was made again has another link-layer address, an
-- address may have moved.
function mend.forget_neighbours(state)
  for _, step in ipairs(state.plan.steps) do
    local ns = state.spaces[step.name]
    for _, neigh in ipairs(ns and not step.node.switch and ns.neigh:list() or {}) do
      if neigh.state ~= "permanent" then
        remedies.quietly(ns.neigh.del, ns.neigh, { dst = neigh.dst, dev = neigh.dev })
      end
    end
  end
end

local function lowest_order(findings)
  local lowest = math.huge
  for _, finding in ipairs(findings) do
    lowest = math.min(lowest, findings.remedies[finding].order)
  end
  return lowest
end

-- One round; whether links were changed.
local function fix(state, findings)
  local lowest, changed, place = lowest_order(findings), false, {}
  local sorted = table.move(findings, 1, #findings, 1, {})
  for i, finding in ipairs(findings) do
    place[finding] = i
  end
  table.sort(sorted, function(a, b)
    local x, y = findings.remedies[a].order, findings.remedies[b].order
    if x ~= y then
      return x < y
    end
    return place[a] < place[b]
  end)
  for _, finding in ipairs(sorted) do
    local r = findings.remedies[finding]
    if r.order == lowest or (lowest > remedies.FIRST and r.order < remedies.PROCESS) then
      changed = changed or r.order <= remedies.LINK
      r.fix(state, state.plan.by_name[finding.node], state.spaces[finding.node])
    end
  end
  return changed
end

local function settle(state, nodes)
  for _, step in ipairs(state.plan.steps) do
    if not nodes or nodes[step.name] then
      up.settle(step, state.spaces[step.name])
    end
  end
end

--- Mend every difference.
-- @tparam table state of a lab
-- @tparam[opt] table opts as for netns.topology.drift.examine
-- @treturn integer how many differences there were at first
-- @raise where something cannot be mended
function mend.mend(state, opts)
  local base = kernel.defaults()
  local _ <close> = base.ns
  local first, changed
  for _ = 1, ROUNDS do
    local findings = drift.examine(state, base, opts)
    first = first or #findings
    if #findings == 0 then
      if changed then
        mend.forget_neighbours(state)
      end
      if first > 0 and not (opts and opts.want) then
        settle(state, opts and opts.nodes)
      end
      return first
    end
    changed = fix(state, findings) or changed
  end
  local left = drift.examine(state, base, opts)
  if #left > 0 then
    error("repair: cannot mend\n" .. tostring(left), 0)
  end
  return first
end

--- Start the processes that are missing or have failed.
function mend.processes(state)
  for _, step in ipairs(state.plan.steps) do
    local todo = {}
    drift.compare_processes(state, step, function(_, _, _, remedy)
      todo[#todo + 1] = remedy
    end)
    for _, remedy in ipairs(todo) do
      remedy.fix(state, step, state.spaces[step.name])
    end
  end
end

return mend
