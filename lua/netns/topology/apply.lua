--- A lab becomes another description: only what differs is changed, and all of it goes back if a step fails.
--
-- Before anything is changed, everything in the namespaces that can change is read (netns.topology.snapshot). Links
-- that the other plan does not have go first, so that their names and numbers are free; mending then does the rest, as
-- what is still different from the new plan is drift. Rulesets come when links are there, processes when all else is.
-- @module netns.topology.apply
local expect = require "netns.topology.expect"
local kernel = require "netns.topology.kernel"
local mend = require "netns.topology.mend"
local names = require "netns.topology.names"
local plain = require "netns.plain"
local remedies = require "netns.topology.remedies"
local snapshot = require "netns.topology.snapshot"
local tunnels = require "netns.topology.tunnels"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local apply = {}

-- Links ----------------------------------------------------------------------------------------------------------

-- What a link is, apart from what can be changed while it is there.
local function link_identity(link)
  local a, b = link.ia, link.ib
  return ("%s:%s:%d %s:%s:%d"):format(a.node.name, a.name, a.index, b.node.name, b.name, b.index)
end

local function links_by_identity(plan)
  local links = {}
  for _, link in ipairs(plan.model.links) do
    links[link_identity(link)] = link
  end
  return links
end

local function delete_link(ns, index, name)
  local there = ns and ns.link:get(index)
  if there and there.name == name then
    there:del()
  end
end

local function devices_of(step)
  local devices = {}
  for _, op in ipairs(step and step.devices or {}) do
    if op.verb == "add" then
      devices[kernel.text(op.args)] = op.args
    end
  end
  return devices
end

-- Links and devices of one plan that another does not have.
local function drop_links(state, old, new)
  local kept = links_by_identity(new)
  for _, link in ipairs(old.model.links) do
    if not kept[link_identity(link)] then
      delete_link(state.spaces[link.a.name], link.ia.index, link.ia.name)
    end
  end
  for _, step in ipairs(old.steps) do
    local same = devices_of(new.by_name[step.name])
    for text, args in pairs(devices_of(step)) do
      if not same[text] then
        delete_link(state.spaces[step.name], args.index, args.name)
      end
    end
  end
end

-- Rows that are looked for one by one, and are not in another plan.
local function drop_rows(state, old, new)
  for _, step in ipairs(old.steps) do
    local kept, after = {}, new.by_name[step.name]
    for _, op in ipairs(after and expect.single(after) or {}) do
      kept[op.noun .. kernel.text(op.args)] = true
    end
    for _, op in ipairs(after and expect.single(step) or {}) do
      if not kept[op.noun .. kernel.text(op.args)] then
        remedies.delete_single(state.spaces[step.name], op)
      end
    end
  end
end

-- A link that was cut stays cut, one that was impaired while the lab was up stays so.
local function carry_bends(old, new)
  local before = links_by_identity(old)
  for _, link in ipairs(new.model.links) do
    local past = before[link_identity(link)]
    link.cut = past and past.cut
    if past and plain.equal(past.opts, link.opts) then
      link.bent = past.bent
    end
  end
end

-- Sysctls --------------------------------------------------------------------------------------------------------

-- What no longer is said goes back to what a new namespace has.
local function reset_sysctls(state, old, new)
  local base = kernel.defaults()
  local fresh <close> = base.ns
  for _, step in ipairs(new.steps) do
    local before = old.by_name[step.name]
    local still = expect.sysctls(step)
    for name in pairs(before and expect.sysctls(before) or {}) do
      if still[name] == nil then
        local _, link = words.sysctl(name)
        local usual = link and name:gsub("^(net%.ipv[46]%.%l+%.)[^.]+", "%1default") or name
        local ok, value = pcall(function()
          return fresh.sysctl[usual]
        end)
        if ok and value ~= nil then
          pcall(function() -- that of a link goes with the link
            state.spaces[step.name].sysctl[name] = value
          end)
        end
      end
    end
  end
end

local function sysctl_names(old, new)
  return function(name)
    local changing = {}
    for _, plan in ipairs { old, new } do
      for key in pairs(plan.by_name[name] and expect.sysctls(plan.by_name[name]) or {}) do
        changing[key] = true
      end
    end
    return changing
  end
end

-- Rulesets and processes -----------------------------------------------------------------------------------------

local function same_rules(a, b)
  return a and a.nft == b.nft and a.firewall == b.firewall
end

-- Rulesets that stay are known already; the others are left alone until their links are there.
local function carry_rules(old, new)
  for _, step in ipairs(new.steps) do
    local before = old.by_name[step.name]
    if same_rules(before, step) then
      step.loaded = before.loaded
    else
      step.pending = before or step.nft or step.firewall
    end
  end
end

local function change_rules(state, new)
  for _, step in ipairs(new.steps) do
    if step.pending then
      local ns = state.spaces[step.name]
      up.rulesets(step, ns, true)
      step.pending = nil
    end
  end
end

-- End the processes that are not in the plan; start those that are missing.
local function change_processes(state, new)
  names.provide(new, state.spaces)
  local wanted = {}
  for _, step in ipairs(new.steps) do
    for _, process in ipairs(step.run or {}) do
      local key = step.name .. "\0" .. up.process_key(process)
      wanted[key] = (wanted[key] or 0) + 1
    end
  end
  for _, item in ipairs(table.move(state.spawned, 1, #state.spawned, 1, {})) do
    local key = item.node .. "\0" .. item.key
    if (wanted[key] or 0) > 0 then
      wanted[key] = wanted[key] - 1
    else
      up.forget_process(state.spawned, item)
    end
  end
  mend.processes(state)
end

-- All ------------------------------------------------------------------------------------------------------------

local function change(state, old, new)
  for _, step in ipairs(new.steps) do
    if not state.spaces[step.name] then
      state.spaces[step.name] = state.new_space(step.name)
    end
  end
  drop_rows(state, old, new)
  drop_links(state, old, new)
  tunnels.change(state.spaces, new)
  state.plan = new
  reset_sysctls(state, old, new)
  mend.mend(state, { processes = false })
  mend.forget_neighbours(state)
  change_rules(state, new)
  if state.spawned then
    change_processes(state, new)
  end
end

-- Let go of the nodes that a plan does not have; those whose names are left are noted down for the record.
local function let_go(state, plan)
  local failed = {}
  for name in next, state.spaces do
    if not plan.by_name[name] and not up.close_one(state.spaces, name, failed) then
      state.left = state.left or {}
      state.left[name] = true
    end
  end
  if #failed > 0 then
    error("apply: " .. table.concat(failed, "; "), 0)
  end
end

local function go_back(state, old, new, before)
  drop_rows(state, new, old)
  drop_links(state, new, old)
  tunnels.change(state.spaces, old)
  state.plan = old
  mend.mend(state, { processes = false, want = function(step)
    return snapshot.want(before, step)
  end })
  mend.forget_neighbours(state)
  if state.spawned then
    change_processes(state, old)
  end
end

--- Become another plan.
-- @tparam table state of a lab
-- @tparam Plan new
-- @raise what failed, when all is as it was before
function apply.apply(state, new)
  local old = state.plan
  carry_bends(old, new)
  carry_rules(old, new)
  local before = snapshot.take(state.spaces, old, sysctl_names(old, new))
  local ok, err = pcall(change, state, old, new)
  if ok then
    let_go(state, new)
    return
  end
  local back, why = pcall(go_back, state, old, new, before)
  state.plan = old
  local gone, left = pcall(let_go, state, old)
  if not back or not gone then
    error(("%s; and going back failed: %s"):format(tostring(err), tostring(not back and why or left)), 0)
  end
  error(err, 0)
end

return apply
