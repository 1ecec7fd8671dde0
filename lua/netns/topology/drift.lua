--- The kernel against the description: what drifted, mending it, and changing to another description.
-- @module netns.topology.drift
local ip = require "netns.topology.ip"
local plain = require "netns.plain"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local drift = {}

-- What the plan says ----------------------------------------------------------------------------------------------

-- A text that names a route by what makes it one.
local function route_key(route, names)
  local hops = {}
  for i, hop in ipairs(route.nexthops or { route }) do
    hops[i] = ("%s %s"):format(hop.via or "", names[hop.dev] or hop.dev or "")
  end
  table.sort(hops)
  return ("%s %s via %s"):format(route.family, route.dst, table.concat(hops, ", "))
end

-- Facts of a node by the plan: links by index, addresses and routes as sets of texts.
local function expected(step)
  local facts = { links = {}, addr = {}, route = {}, connected = {}, sysctl = step.sysctls }
  local names = { "lo" }
  local function link(index, values)
    facts.links[index] = facts.links[index] or { up = false }
    for key, value in pairs(values) do
      facts.links[index][key] = value
    end
  end
  link(1, { name = "lo" })
  if step.node.switch then
    link(2, { name = "br0" })
    names[2] = "br0"
  end
  for _, iface in ipairs(step.node.ifaces) do
    link(iface.index, { name = iface.name, mtu = iface.link.opts.mtu or 1500, iface = iface })
    names[iface.index] = iface.name
    if iface.link.cut then
      facts.has_cut = true
    end
  end
  for _, op in ipairs(step.config) do
    local args = op.args
    if op.noun == "link" then
      link(args.dev, { up = args.up, master = args.master and names[args.master], addrgenmode = args.addrgenmode })
    elseif op.noun == "addr" then
      facts.addr[("%s %s"):format(names[args.dev], args.address)] = op
      local p = ip.prefix(args.address, true)
      if p.len < ip.bits(p.family) and args.scope ~= "link" then
        local network = { family = p.family == 4 and "inet" or "inet6", dst = ip.text(ip.network(p)), dev = args.dev }
        facts.connected[route_key(network, names)] = op
      end
    elseif op.noun == "route" then
      facts.route[route_key(args, names)] = op
    end
  end
  for _, values in pairs(facts.links) do
    if values.iface and values.iface.link.cut then
      values.up = false
    end
  end
  return facts
end

-- What the kernel says --------------------------------------------------------------------------------------------

-- With IPv6 off in the description, link-local addresses are the kernel's own business.
local function listed(ns, link_local)
  local facts = { links = {}, addr = {}, route = {}, connected = {} }
  for _, link in ipairs(ns.link:list()) do
    facts.links[link.ifindex] = link
  end
  for _, addr in ipairs(ns.addr:list()) do
    if (link_local or not (addr.scope == "link" and addr.family == "inet6")) and addr.dev ~= "lo" then
      facts.addr[("%s %s"):format(addr.dev, addr.address)] = addr
    end
  end
  for _, route in ipairs(ns.route:list()) do
    local set = route.proto == "kernel" and facts.connected or facts.route
    set[route_key(route, {})] = route
  end
  return facts
end

-- What cannot be there while a link is cut is not missed: routes over it, its IPv6 addresses.
local function is_excused(op, facts)
  if op.noun == "addr" then
    local link = facts.links[op.args.dev]
    return op.args.nodad and link and link.iface and link.iface.link.cut
  end
  for _, hop in ipairs(op.args.nexthops or { op.args }) do
    local link = facts.links[hop.dev]
    if link and link.iface and link.iface.link.cut then
      return true
    end
  end
  return false
end

local function is_excused_link(op, facts)
  local link = facts.links[op.args.dev]
  return link.iface and link.iface.link.cut
end

local Diff = { __name = "netns.Diff" }

function Diff:__tostring()
  local lines = {}
  for i, finding in ipairs(self) do
    lines[i] = ("%s: %s: expected %s, found %s"):format(finding.node, finding.what, tostring(finding.expected),
      tostring(finding.found))
  end
  return table.concat(lines, "\n")
end

-- Compare sets: add(kind, key, what is expected, what is found).
local function compare_sets(noun, want, have, facts, add)
  for _, key in ipairs(words.sorted(want)) do
    local op = want[key]
    if not have[key] and not is_excused(op, facts) then
      add(noun .. " " .. key, "present", "missing", { noun = noun, op = op })
    end
  end
  for _, key in ipairs(words.sorted(have)) do
    if not want[key] then
      add(noun .. " " .. key, "missing", "present", { noun = noun, extra = have[key] })
    end
  end
end

local function compare_links(want, have, add)
  for _, index in ipairs(words.sorted(want)) do
    local values, link = want[index], have[index]
    if not link then
      add("link " .. values.name, "present", "missing", { noun = "link", lost = values })
    else
      for _, key in ipairs { "name", "mtu", "addrgenmode", "up", "master" } do
        local value = values[key]
        local same = link[key] == value or (key == "mtu" and not values.iface)
        if not same and (value ~= nil or key == "master") then
          add(("link %s %s"):format(values.name, key), value == nil and "none" or value,
            link[key] == nil and "none" or link[key], { noun = "link", index = index, key = key, value = value })
        end
      end
    end
  end
  for _, index in ipairs(words.sorted(have)) do
    local link = have[index]
    if not want[index] then
      add("link " .. link.name, "missing", "present", { noun = "link", extra = link })
    end
  end
end

local function diff_node(step, ns, findings, link_local)
  local want, have = expected(step), listed(ns, link_local)
  local function add(what, wanted, found, remedy)
    findings[#findings + 1] = { node = step.name, what = what, expected = wanted, found = found }
    findings.remedies[findings[#findings]] = remedy
  end
  compare_links(want.links, have.links, add)
  compare_sets("addr", want.addr, have.addr, want, add)
  for _, key in ipairs(words.sorted(want.connected)) do
    local op = want.connected[key]
    local address = ("%s %s"):format(want.links[op.args.dev].name, op.args.address)
    if not have.connected[key] and have.addr[address] and not is_excused_link(op, want) then
      -- the kernel's own route to what is on the link comes with the address: make that anew
      add("route " .. key, "present", "missing", { noun = "addr", op = op, again = true })
    end
  end
  compare_sets("route", want.route, have.route, want, add)
  for _, name in ipairs(words.sorted(want.sysctl)) do
    local value = want.sysctl[name]
    local ok, now = pcall(function()
      return ns.sysctl[name]
    end)
    if not ok or tostring(now) ~= tostring(value == true and 1 or value == false and 0 or value) then
      add("sysctl " .. name, value, ok and now or "missing", { noun = "sysctl", name = name, value = value })
    end
  end
end

local function examine(state, only)
  local findings = setmetatable({ remedies = {} }, Diff)
  for _, step in ipairs(state.plan.steps) do
    if not only or only[step.name] then
      diff_node(step, state.spaces[step.name], findings, state.plan.model.families[6])
    end
  end
  return findings
end

--- Every difference between the kernel and the plan.
function drift.diff(state)
  local findings = examine(state)
  findings.remedies = nil
  return findings
end

-- Mending ---------------------------------------------------------------------------------------------------------

-- Make a link that was lost again, from the end that makes it.
local function remake(state, iface)
  local link = iface.link
  local sides = { link.ia, link.ib }
  for _, side in ipairs(sides) do -- a remnant of the pair, or something in its place
    local ns = state.spaces[side.node.name]
    local there = ns.link:get(side.name) or ns.link:get(side.index)
    if there then
      there:del()
    end
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
    local ns = state.spaces[side.node.name]
    if not side.node.switch and state.plan.model.families[6] then -- before it is up, or it makes itself an address
      ns.link:set { dev = side.index, addrgenmode = "none" }
    end
    for _, impair in ipairs(state.plan.by_name[side.node.name].impair) do
      if impair.iface == side then
        up.impair(ns, side.name, impair.qdisc)
      end
    end
  end
end

local function remedy_link(state, ns, step, r)
  if r.lost and r.lost.iface then
    remake(state, r.lost.iface)
  elseif r.lost and r.lost.name == "br0" then
    up.batch(step, { step.links[1] }, state.spaces)
  elseif r.extra then
    local there = ns.link:get(r.extra.ifindex)
    if there then
      there:del()
    end
  elseif r.index then
    ns.link:set { dev = r.index, [r.key] = r.key == "master" and (r.value or "none") or r.value }
  end
end

-- What went by itself meanwhile is fine: a route with its link, an address that came with another.
local function quietly(fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok then
    local code = type(err) == "table" and err.code
    if not (code == "ESRCH" or code == "ENOENT" or code == "EADDRNOTAVAIL" or code == "ENODEV" or code == "EEXIST") then
      error(err, 0)
    end
  end
end

local function remedy(state, finding, r)
  local ns, step = state.spaces[finding.node], state.plan.by_name[finding.node]
  if r.noun == "link" then
    remedy_link(state, ns, step, r)
  elseif r.noun == "sysctl" then
    ns.sysctl[r.name] = r.value
  elseif r.extra then
    local row = r.extra
    if r.noun == "route" then
      row = { dst = row.dst, family = row.family, type = row.type, metric = row.metric, via = row.via, dev = row.dev,
        table = row.table, nhid = row.nhid, nexthops = row.nexthops }
    end
    quietly(ns[r.noun].del, ns[r.noun], r.noun == "addr" and { dev = row.dev, address = row.address, peer = row.peer }
      or row)
  else
    if r.again then
      quietly(ns.addr.del, ns.addr, { dev = r.op.args.dev, address = r.op.args.address })
    end
    quietly(ns[r.noun].add, ns[r.noun], r.op.args)
  end
end

-- Neighbours that were learned may be others by now: a link that was made again has another link-layer address, an
-- address may have moved.
local function forget_neighbours(state)
  for _, step in ipairs(state.plan.steps) do
    local ns = state.spaces[step.name]
    for _, neigh in ipairs(not step.node.switch and ns.neigh:list() or {}) do
      if neigh.state ~= "permanent" then
        quietly(ns.neigh.del, ns.neigh, { dst = neigh.dst, dev = neigh.dev })
      end
    end
  end
end

local order = { sysctl = 1, link = 2, addr = 3, route = 4 }

--- Mend every difference. Links come first, as addresses and routes go and come with them; so it looks again
-- until nothing is found.
-- @treturn integer how many differences there were at first
function drift.repair(state, only)
  local first, remade
  for _ = 1, 5 do
    local findings = examine(state, only)
    first = first or #findings
    if #findings == 0 and remade then
      forget_neighbours(state)
    end
    if #findings == 0 then
      for _, step in ipairs(first > 0 and state.plan.steps or {}) do
        if not only or only[step.name] then
          up.settle(step, state.spaces[step.name])
        end
      end
      return first
    end
    local lowest = math.huge
    for _, finding in ipairs(findings) do
      lowest = math.min(lowest, order[findings.remedies[finding].noun])
    end
    for _, finding in ipairs(findings) do
      local r = findings.remedies[finding]
      remade = remade or r.lost ~= nil
      if order[r.noun] == lowest or lowest > 2 then
        remedy(state, finding, r)
      end
    end
  end
  local left = examine(state, only)
  if #left > 0 then
    error("repair: cannot mend\n" .. tostring(left), 0)
  end
  return first
end

-- Another description ---------------------------------------------------------------------------------------------

-- What a link is, apart from what can be changed while it is there.
local function link_identity(link)
  local a, b = link.ia, link.ib
  return ("%s:%s:%d %s:%s:%d"):format(a.node.name, a.name, a.index, b.node.name, b.name, b.index)
end

-- Links that the other plan does not have go first, so that their names and numbers are free.
local function drop_links(state, old, new)
  local kept = {}
  for _, link in ipairs(new.model.links) do
    kept[link_identity(link)] = true
  end
  for _, link in ipairs(old.model.links) do
    local ns = state.spaces[link.a.name]
    if not kept[link_identity(link)] and ns then
      local there = ns.link:get(link.ia.index)
      if there and there.name == link.ia.name then
        there:del()
      end
    end
  end
end

local function change_rules(state, old_step, step)
  local ns = state.spaces[step.name]
  if old_step and not (old_step.nft == step.nft and old_step.firewall == step.firewall) then
    up.ruleset(ns, "flush ruleset\n")
    old_step = nil
  end
  for _, text in ipairs { step.nft or false, step.firewall or false } do
    if text and not old_step then
      up.ruleset(ns, text)
    end
  end
end

local function change_impairments(state, old, new)
  local before = {}
  for _, link in ipairs(old.model.links) do
    before[link_identity(link)] = link
  end
  local function of(p, link)
    for _, step in ipairs(p.steps) do
      for _, impair in ipairs(step.impair) do
        if impair.iface.link == link then
          return impair.qdisc
        end
      end
    end
  end
  for _, link in ipairs(new.model.links) do
    local past = before[link_identity(link)]
    local was, is = past and of(old, past), of(new, link)
    if not plain.equal(was, is) then
      for _, iface in ipairs { link.ia, link.ib } do
        up.impair(state.spaces[iface.node.name], iface.name, is)
      end
    end
  end
end

-- A link that was cut stays cut.
local function carry_cuts(old, new)
  local cut = {}
  for _, link in ipairs(old.model.links) do
    cut[link_identity(link)] = link.cut
  end
  for _, link in ipairs(new.model.links) do
    link.cut = cut[link_identity(link)]
  end
end

local function change(state, old, new)
  carry_cuts(old, new)
  local old_steps, new_steps = old.by_name, new.by_name
  for _, step in ipairs(new.steps) do
    local before = old_steps[step.name]
    if before and before.node.switch ~= step.node.switch then
      error(("apply: %s cannot become a %s while it is up"):format(step.name, step.node.kind), 0)
    end
  end
  for _, step in ipairs(new.steps) do
    if not state.spaces[step.name] then
      state.spaces[step.name] = state.new_space(step.name)
    end
  end
  drop_links(state, old, new)
  state.plan = new
  for _, step in ipairs(new.steps) do
    up.sysctls(step, state.spaces[step.name])
  end
  drift.repair(state)
  forget_neighbours(state)
  change_impairments(state, old, new)
  for _, step in ipairs(new.steps) do
    change_rules(state, old_steps[step.name], step)
    if not old_steps[step.name] then
      up.processes(step, state.spaces[step.name], state.spawned)
    end
  end
  return old_steps, new_steps
end

-- Let go of the nodes that a plan does not have; those whose names are left are noted down for the record.
local function let_go(state, p)
  local failed = {}
  for name in next, state.spaces do
    if not p.by_name[name] and not up.close_one(state.spaces, name, failed) then
      state.left = state.left or {}
      state.left[name] = true
    end
  end
  if #failed > 0 then
    error("apply: " .. table.concat(failed, "; "), 0)
  end
end

--- Become another plan.
function drift.apply(state, new)
  local old = state.plan
  local ok, err = pcall(change, state, old, new)
  if ok then
    let_go(state, new)
    return
  end
  local back, why = pcall(function()
    drop_links(state, new, old)
    state.plan = old
    drift.repair(state)
    change_impairments(state, new, old)
  end)
  state.plan = old
  local gone, left = pcall(let_go, state, old)
  if not back or not gone then
    error(("%s; and going back failed: %s"):format(tostring(err), tostring(not back and why or left)), 0)
  end
  error(err, 0)
end

return drift
