--- What mends a difference: one function for each kind of finding.
--
-- A remedy is `{ order =, fix = function(state, step, ns) end }`. Lower orders come first: addresses and routes come
-- and go with links, so they are looked at again when links are right.
-- @module netns.topology.remedies
local core = require "netns.core"
local up = require "netns.topology.up"

local remedies = {}

local SYSCTL, EXTRA, LOST, LINK, ADDR, RULE, ROUTE, QDISC, NFT, PROCESS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

--- Up to this order only the lowest one is mended before looking again.
remedies.FIRST = LINK
remedies.LINK, remedies.PROCESS = LINK, PROCESS

-- What went by itself meanwhile is fine: a route with its link, an address that came with another.
local vanished = { ESRCH = true, ENOENT = true, EADDRNOTAVAIL = true, ENODEV = true, EEXIST = true }

--- Call fn; errors that say that something is gone, or there already, do not count.
function remedies.quietly(fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok and not vanished[type(err) == "table" and err.code or ""] then
    error(err, 0)
  end
end
local quietly = remedies.quietly

-- Links ----------------------------------------------------------------------------------------------------------

local function delete_there(ns, ...)
  for _, which in ipairs { ... } do
    local there = ns.link:get(which)
    if there then
      quietly(there.del, there)
    end
  end
end

-- Make a link of the plan again, from the end that makes it.
local function remake(state, iface)
  local link = iface.link
  local sides = link.ends
  for _, side in ipairs(sides) do -- a remnant of the pair, or something in its place
    delete_there(state.spaces[side.node.name], side.name, side.index)
  end
  for _, side in ipairs(sides) do
    local step = state.plan.by_name[side.node.name]
    for _, op in ipairs(step.links) do
      if op.path == link.path then
        up.batch(step, { op }, state.spaces)
      end
    end
  end
  for _, side in ipairs(sides) do
    if not side.node.switch and state.plan.model.families[6] then -- before it is up, or it makes itself an address
      state.spaces[side.node.name].link:set { dev = side.index, addrgenmode = "none" }
    end
  end
end

--- A link that is not there, or is of another kind.
function remedies.lost_link(link)
  return { order = LOST, fix = function(state, step, ns)
    if link.iface then
      remake(state, link.iface)
    elseif link.op then
      delete_there(ns, link.name, link.index)
      up.batch(step, { link.op }, state.spaces)
    elseif link.make then
      if not ns.link:get(link.index) then -- or it came with its far end
        link.make(state, ns)
      end
    else
      error(("link %s cannot be made again"):format(link.name), 0)
    end
  end }
end

--- A link that is too much.
function remedies.extra_link(row)
  return { order = EXTRA, fix = function(_, _, ns)
    delete_there(ns, row.ifindex)
  end }
end

-- How to say that there is none.
local nothing = { alias = "", master = "none" }

local function change_altnames(ns, index, wanted, found)
  local link, there = ns.link:get(index), {}
  for _, name in ipairs(found or {}) do
    there[name] = true
  end
  for _, name in ipairs(wanted or {}) do
    if not there[name] then
      link:altname_add(name)
    end
    there[name] = nil
  end
  for name in pairs(there) do
    link:altname_del(name)
  end
end

-- Names are given to links that are down.
local function rename(ns, index, name)
  delete_there(ns, name)
  local was_up = ns.link:get(index).up
  if was_up then
    ns.link:set { dev = index, up = false }
  end
  ns.link:set { dev = index, name = name }
  if was_up then
    ns.link:set { dev = index, up = true }
  end
end

--- A property that is another; `wanted` nil: is to have none.
function remedies.link_prop(link, key, wanted, found)
  return { order = LINK, fix = function(_, _, ns)
    if key == "altnames" then
      change_altnames(ns, link.index, wanted, found)
    elseif key == "name" then
      rename(ns, link.index, wanted)
    else
      local value = wanted
      if value == nil then
        value = nothing[key] or false
      end
      ns.link:set { dev = link.index, [key] = value }
    end
  end }
end

function remedies.port_prop(link, key, wanted)
  return { order = LINK, fix = function(_, _, ns)
    ns.link:set { dev = link.index, bridge_slave = { [key] = wanted } }
  end }
end

-- Rows -----------------------------------------------------------------------------------------------------------

-- Rules come before routes: gateways are looked up by them.
local orders = { addr = ADDR, rule = RULE, route = ROUTE, neigh = ROUTE }

-- What makes a row the one to delete, where that is less than all of it.
local identity = {
  addr = function(row)
    return { dev = row.dev, address = row.address, peer = row.peer }
  end,
  route = function(row)
    return { dst = row.dst, family = row.family, type = row.type, metric = row.metric, via = row.via, dev = row.dev,
      table = row.table, nhid = row.nhid, nexthops = row.nexthops, tos = row.tos }
  end,
  neigh = function(row)
    return { dev = row.dev, dst = row.dst, proxy = row.proxy }
  end,
  rule = function(row)
    return row
  end,
}

--- A row that is missing, or (`again`) is to be made anew.
function remedies.row(noun, fact, again)
  return { order = orders[noun], fix = function(_, _, ns)
    local args = fact.op and fact.op.args or fact.row
    if again then
      quietly(ns[noun].del, ns[noun], identity[noun](args))
    end
    quietly(ns[noun].add, ns[noun], args)
  end }
end

function remedies.extra_row(noun, row)
  return { order = orders[noun], fix = function(_, _, ns)
    quietly(ns[noun].del, ns[noun], identity[noun](row))
  end }
end

-- Rows that are looked for one by one.
local single = {
  nexthop = function(row)
    return { id = row.id }
  end,
  fdb = function(row)
    return { dev = row.dev, lladdr = row.lladdr, vlan = row.vlan }
  end,
  vlan = function(row)
    return { dev = row.dev, vid = tonumber(tostring(row.vid):match "^%d+") }
  end,
}

--- Is the row of an operation there?
function remedies.is_there(ns, op)
  local ok, row = pcall(ns[op.noun].get, ns[op.noun], single[op.noun](op.args))
  if not ok and getmetatable(row) ~= core.Error then -- the kernel has many ways to say that it is not
    error(row, 0)
  end
  return ok and row ~= nil
end

--- Delete it, quietly.
function remedies.delete_single(ns, op)
  local args = single[op.noun](op.args)
  args.vid, args.master, args.self = op.args.vid, op.args.master, op.args.self
  quietly(ns[op.noun].del, ns[op.noun], args)
end

function remedies.single(op)
  return { order = RULE, fix = function(_, _, ns)
    quietly(ns[op.noun][op.verb], ns[op.noun], op.args)
  end }
end

-- The rest -------------------------------------------------------------------------------------------------------

function remedies.sysctl(name, value)
  return { order = SYSCTL, fix = function(_, _, ns)
    ns.sysctl[name] = value
  end }
end

function remedies.qdisc(item)
  return { order = QDISC, fix = function(_, _, ns)
    up.impair(ns, item.name, nil) -- one that is changed keeps what is not said
    if item.args then
      up.impair(ns, item.name, item.args)
    end
  end }
end

--- The ruleset, as a whole: what the step says, or the text that was there before.
function remedies.nft(want)
  return { order = NFT, fix = function(_, step, ns)
    if want.nft_text then
      up.ruleset(ns, "flush ruleset\n" .. want.nft_text)
    else
      up.rulesets(step, ns, true)
    end
  end }
end

--- A process that has ended (`item`), or was never started.
function remedies.process(number, item)
  return { order = PROCESS, fix = function(state, step, ns)
    if item then
      up.forget_process(state.spawned, item)
    end
    up.process(step, number, ns, state.spawned)
  end }
end

return remedies
