--- Plans: a model as ordered operations, which can be printed as commands or carried out.
--
-- For each node, in order: `links` (born in the namespace of one end, the other end's named by `peer.node`), `devices`
-- (the node's own, and settings), `config` (ports, up, addresses, routes), `rows` (what is given in ip(8)'s words, by
-- names). Numbers of interfaces are chosen here, which spares every look-up: a node is then one stream of messages.
-- @module netns.topology.plan
local impair = require "netns.impair"
local ip = require "netns.topology.ip"
local nat = require "netns.topology.nat"
local words = require "netns.topology.words"

local plan = {}
local Plan = {}
Plan.__index = Plan
Plan.__name = "netns.Plan"
plan.methods = Plan

local function op(list, noun, verb, args, path)
  list[#list + 1] = { noun = noun, verb = verb, args = args, path = path }
end

local function altnames(iface)
  local list = { iface.altname }
  local given = iface.node.settings[iface.name]
  for _, name in ipairs(given and given.altnames or {}) do
    list[#list + 1] = name
  end
  return #list > 0 and list or nil
end

-- Which end's namespace a link is made from: the switch's, where there is one.
local function ends(link)
  if link.b.switch and not link.a.switch then
    return link.ib, link.ia
  end
  return link.ia, link.ib
end

-- The device of a tunnel, whose other end is on another machine.
local function plan_tunnel(step, link)
  local iface, args = link.ends[1], {}
  for key, value in pairs(link.tunnel) do
    args[key] = value
  end
  args.name, args.index, args.mtu, args.altnames = iface.name, iface.index, link.opts.mtu, altnames(iface)
  args.addrgenmode = iface.node.switch and "none" or nil
  op(step.links, "link", "add", args, link.path)
  step.links[#step.links].tunnel = true
end

local function plan_link(steps, link)
  if link.tunnel then
    plan_tunnel(steps[link.ends[1].node], link)
    return
  end
  local near, far = ends(link)
  local mtu = link.opts.mtu
  local addrgenmode = "none"
  op(steps[near.node].links, "link", "add", {
    name = near.name, index = near.index, type = "veth", mtu = mtu, altnames = altnames(near),
    addrgenmode = near.node.switch and addrgenmode or nil,
    peer = { name = far.name, index = far.index, mtu = mtu, altnames = altnames(far), node = far.node.name },
  }, link.path)
end

local function plan_switch(step, node)
  op(step.links, "link", "add", { name = "br0", index = 2, type = "bridge", addrgenmode = "none" }, node.path)
  for _, iface in ipairs(node.ifaces) do
    op(step.config, "link", "set", { dev = iface.index, name = nil, master = 2, up = true }, iface.path)
  end
  -- last: choosing ports costs as many steps as there are ports, at every event of a bridge that is up
  op(step.config, "link", "set", { dev = 2, up = true }, node.path)
end

local function nexthops(hops)
  local list = {}
  for i, hop in ipairs(hops) do
    list[i] = { via = hop.via, dev = hop.iface.index }
  end
  return list
end

local function plan_routes(step, node)
  for _, route in ipairs(node.routes) do
    local args = { dst = route.dst, family = route.family == 4 and "inet" or "inet6", metric = route.metric }
    local hops = route.hops
    if #hops == 1 then
      args.via, args.dev = hops[1].via, hops[1].iface.index
    else
      hops.nexthops = hops.nexthops or nexthops(hops) -- many routes go by the same
      args.nexthops = hops.nexthops
    end
    op(step.config, "route", "add", args, node.path)
  end
end

-- Is an interface brought up? Unless its settings say otherwise.
local function comes_up(node, name)
  return not (node.settings[name] and node.settings[name].up == false)
end

local function plan_addresses(step, node, m)
  if comes_up(node, "lo") then
    op(step.config, "link", "set", { dev = 1, up = true }, node.path)
  end
  for _, iface in ipairs(node.ifaces) do
    if m.families[6] then
      op(step.config, "link", "set", { dev = iface.index, addrgenmode = "none" }, iface.path)
    end
    if comes_up(node, iface.name) then
      op(step.config, "link", "set", { dev = iface.index, up = true }, iface.path)
    end
    if iface.addrs[4] then
      op(step.config, "addr", "add", { dev = iface.index, address = ip.text(iface.addrs[4]) }, iface.path)
    end
    if iface.addrs[6] and node.forwards then
      -- a router asks for neighbours in its link-local name, and none is made with addrgenmode none
      op(step.config, "addr", "add", { dev = iface.index, address = ("fe80::%x:%x/64"):format(node.number, iface.slot),
        nodad = true, scope = "link" }, iface.path)
    end
    if iface.addrs[6] then
      op(step.config, "addr", "add", { dev = iface.index, address = ip.text(iface.addrs[6]), nodad = true }, iface.path)
    end
  end
end

local function copy(row, ...)
  local result = {}
  for key, value in pairs(row) do
    result[key] = value
  end
  for _, key in ipairs { ... } do
    result[key] = nil
  end
  return result
end

-- Devices, and settings of links that are there: how addresses are made comes last, when all that are said are there.
local function plan_devices(step, node)
  for _, device in ipairs(node.devices) do
    local args = copy(device.row)
    args.index, args.up = device.index, nil
    if device.peer_index then
      args.peer = copy(args.peer, "up")
      args.peer.index = device.peer_index
    end
    op(step.devices, "link", "add", args, device.path)
  end
  for _, device in ipairs(node.settings_of) do
    local name = device.row.name
    local args = copy(device.row, "name", "up", "altnames", "addrgenmode", "bridge_slave", "bond_slave")
    if next(args) then
      args.dev = name
      op(step.devices, "link", "set", args, device.path)
    end
    for _, port in ipairs { "bridge_slave", "bond_slave" } do -- which only a port has
      if device.row[port] then
        op(step.devices, "link", "set", { dev = name, [port] = device.row[port] }, device.path)
      end
    end
    if device.row.addrgenmode then
      op(step.rows, "link", "set", { dev = device.row.name, addrgenmode = device.row.addrgenmode }, device.path)
    end
  end
end

-- Devices come up when the links that they may stand on are up; some do so by themselves (VLANs).
local function plan_devices_up(step, node)
  for _, device in ipairs(node.devices) do
    op(step.config, "link", "set", { dev = device.index, up = device.row.up ~= false }, device.path)
    if device.peer_index then
      op(step.config, "link", "set", { dev = device.peer_index, up = device.row.peer.up ~= false }, device.path)
    end
  end
end

-- Forwarding entries of no VLAN get into all VLANs that there are, so they come before these, the others behind.
local row_nouns = { { "addresses", "addr" }, { "fdb", "fdb", "replace", vlan = false }, { "vlans", "vlan", "replace" },
  { "fdb", "fdb", "replace", vlan = true }, { "nexthops", "nexthop" }, { "routes", "route" }, { "rules", "rule" },
  { "neighbours", "neigh" } }

-- An IPv6 address is usable at once if it is not looked for first; then it is changed to what is said.
local function is_to_be_quick(noun, row)
  return noun == "addr" and row.nodad == nil and tostring(row.address):find(":", 1, true)
end

local function plan_row(step, noun, verb, row, path)
  local args = copy(row)
  if is_to_be_quick(noun, row) then
    args.nodad = true
    op(step.rows, noun, "add", args, path)
    op(step.rows, noun, "replace", copy(row), path)
  else
    op(step.rows, noun, verb, args, path)
  end
end

local function plan_rows(step, node)
  for _, kind in ipairs(row_nouns) do
    for i, row in ipairs(node.data[kind[1]] or {}) do
      if kind.vlan == nil or kind.vlan == (row.vlan ~= nil) then
        plan_row(step, kind[2], kind[3] or "add", row, ("%s.%s[%d]"):format(node.path, kind[1], i))
      end
    end
  end
end

-- What a qdisc or a class stands on is there already: nothing, its parent, or the qdisc of the parent where
-- nobody says the parent (some make their classes themselves).
local function stands(item, said, done)
  local dev, parent = item.row.dev, item.row.parent or "root"
  if item.noun == "class" and parent == "root" then
    parent = (item.row.classid or ""):match "^%x*:"
  end
  if not parent or not parent:find "^%x*:" or parent:find "^ffff:" then
    return true
  end
  local major = parent:match "^%x*:"
  if said[dev .. " " .. parent] then
    return done[dev .. " " .. parent]
  end
  return done[dev .. " " .. major] or not said[dev .. " " .. major]
end

-- Qdiscs and classes: each behind what it stands on.
local function plan_queues(step, node)
  local items, said, done = {}, {}, {}
  for _, pair in ipairs { { "qdiscs", "qdisc" }, { "classes", "class" } } do
    for i, row in ipairs(node.data[pair[1]] or {}) do
      local name = row.dev .. " " .. (row.classid or row.handle or "")
      local path = ("%s.%s[%d]"):format(node.path, pair[1], i)
      items[#items + 1] = { noun = pair[2], row = row, name = name, path = path }
      said[name] = true
    end
  end
  while #items > 0 do
    local at = 1 -- where none stands, the kernel says so
    for i, item in ipairs(items) do
      if stands(item, said, done) then
        at = i
        break
      end
    end
    local item = table.remove(items, at)
    done[item.name] = true
    op(step.rows, item.noun, "add", copy(item.row), item.path)
  end
end

local function sysctls(node, m)
  local values = {}
  if node.forwards then
    if m.families[4] then
      values["net.ipv4.ip_forward"] = 1
      values["net.ipv4.conf.all.rp_filter"] = 0
      values["net.ipv4.conf.default.rp_filter"] = 0
    end
    if m.families[6] then
      values["net.ipv6.conf.all.forwarding"] = 1
    end
    if node.multipath then
      values["net.ipv4.fib_multipath_hash_policy"] = 1
      values["net.ipv6.fib_multipath_hash_policy"] = m.families[6] and 1 or nil
    end
  end
  for name, value in pairs(node.data.sysctl or {}) do
    values[name] = value
  end
  return values
end

--- The qdisc that impairs what leaves an interface: `{ kind =, ... }` in SI base units; nil where nothing does.
function plan.impairment(opts)
  return impair.qdisc {
    delay = opts.delay and words.time(opts.delay), jitter = opts.jitter and words.time(opts.jitter),
    loss = opts.loss and words.share(opts.loss), rate = opts.rate and words.rate(opts.rate),
    duplicate = opts.duplicate and words.share(opts.duplicate), reorder = opts.reorder and words.share(opts.reorder),
    corrupt = opts.corrupt and words.share(opts.corrupt),
  }
end

--- The plan of a model with its routes.
function plan.make(m)
  local steps, list, by_name = {}, {}, {}
  for i, node in ipairs(m.nodes) do
    local step = { node = node, name = node.name, links = {}, devices = {}, config = {}, rows = {},
      impair = {} }
    steps[node], list[i], by_name[node.name] = step, step, step
    if node.switch then
      plan_switch(step, node)
    end
  end
  for _, link in ipairs(m.links) do
    plan_link(steps, link)
    local q = plan.impairment(link.opts)
    if q then
      for _, iface in ipairs(link.ends) do
        local those = steps[iface.node].impair
        those[#those + 1] = { iface = iface, qdisc = q, path = link.path }
      end
    end
  end
  for _, step in ipairs(list) do
    local node = step.node
    if not node.switch then
      plan_addresses(step, node, m)
      plan_routes(step, node)
    end
    plan_devices_up(step, node)
    plan_rows(step, node)
    plan_queues(step, node)
    plan_devices(step, node)
    step.sysctls = sysctls(node, m)
    step.nft = #node.outs > 0 and nat.rules(node, m) or nil
    step.firewall = node.data.firewall
    step.run = node.data.run
  end
  return setmetatable({ model = m, steps = list, by_name = by_name }, Plan)
end

return plan
