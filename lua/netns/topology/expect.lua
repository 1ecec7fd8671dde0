--- What a plan wants a node to have: facts that can be compared with the kernel's.
--
-- As a namespace that was just built has it: what the plan says, and for all else what the kernel gives by itself
-- (netns.topology.kernel.defaults).
-- @module netns.topology.expect
local impair = require "netns.impair"
local ip = require "netns.topology.ip"
local kernel = require "netns.topology.kernel"
local words = require "netns.topology.words"

local expect = {}

--- Stands for "not there".
expect.NONE = setmetatable({}, { __tostring = function() return "none" end })
local NONE = expect.NONE

-- Links ----------------------------------------------------------------------------------------------------------

local function overlay(...)
  local all = {}
  for i = 1, select("#", ...) do
    for key, value in pairs(select(i, ...) or {}) do
      all[key] = value
    end
  end
  return all
end

-- What a link that the plan makes is to be: all its properties.
local function whole(index, name, defaults, values)
  return { index = index, name = name, whole = true, props = overlay(defaults, { name = name, up = false, master = NONE,
    altnames = NONE }, values) }
end

local function altnames(names)
  if not names or #names == 0 then
    return NONE
  end
  names = table.move(names, 1, #names, 1, {})
  table.sort(names)
  return names
end

-- Properties of a row of the description, as they are listed.
local function given(row)
  local props = {}
  for key, value in pairs(row) do
    if not (key == "index" or key == "dev" or key == "peer" or key == "nomaster") then
      props[key] = value
    end
  end
  props.altnames = row.altnames and altnames(row.altnames)
  props.address = type(row.address) == "string" and row.address:lower() or nil
  return props
end

local function planned_links(step, base)
  local node, links = step.node, {}
  links[1] = whole(1, "lo", base.lo)
  links[1].props.mtu = 65536
  if node.switch then
    links[2] = whole(2, "br0", base.bridge)
    links[2].op = step.links[1]
  end
  for _, iface in ipairs(node.ifaces) do
    local tunnel = iface.link.tunnel
    local link = whole(iface.index, iface.name, tunnel or base.veth, { mtu = iface.link.opts.mtu or 1500 })
    link.iface, link.whole = iface, not tunnel -- of a tunnel, what is said of it
    links[iface.index] = link
  end
  for _, list in ipairs { step.links, step.devices } do
    for _, op in ipairs(list) do
      for _, made in ipairs { op.args, op.args.peer } do
        local link = made.index and (made == op.args or made.node == node.name) and links[made.index]
        if link then
          link.props.altnames = altnames(made.altnames)
          link.props.addrgenmode = made.addrgenmode or link.props.addrgenmode
        end
      end
    end
  end
  return links
end

local function add_devices(step, links, names)
  for _, op in ipairs(step.devices) do
    local args = op.args
    if op.verb == "add" then
      for _, made in ipairs { args, args.peer } do
        local link = { index = made.index, name = made.name, op = op, props = given(made) }
        link.props.altnames = link.props.altnames or NONE
        link.props.master = link.props.master or NONE
        link.props.type, link.props.up = args.type, false
        links[made.index] = link
      end
    else
      for _, link in pairs(links) do
        if link.name == args.dev then
          link.props = overlay(link.props, given(args))
        end
      end
    end
  end
  for index, link in pairs(links) do
    names[index] = link.name
  end
end

local function is_cut(link)
  return link and link.iface and link.iface.link.cut
end

-- Ports, what is up, how addresses are made.
local function configure(step, links, names, base)
  for _, list in ipairs { step.config, step.rows } do
    for _, op in ipairs(list) do
      if op.noun == "link" then
        local args, link = op.args, nil
        for index, candidate in pairs(links) do
          link = (index == args.dev or candidate.name == args.dev) and candidate or link
        end
        for _, key in ipairs { "up", "addrgenmode" } do
          if args[key] ~= nil then
            link.props[key] = args[key]
          end
        end
        link.props.master = args.master and names[args.master] or link.props.master
      end
    end
  end
  for _, link in pairs(links) do
    if is_cut(link) then
      link.props.up = false
    end
    if link.whole and link.props.master ~= NONE then
      link.props.bridge_slave = overlay(base.port, link.props.bridge_slave)
    end
  end
end

-- Addresses, routes and rows -------------------------------------------------------------------------------------

local function family_name(p)
  return p.family == 4 and "inet" or "inet6"
end

local function row_of(op, names)
  local row = overlay(op.args)
  row.dev = names[row.dev] or row.dev
  return row
end

local function add_addr(want, op, names, links)
  local row = row_of(op, names)
  local p = ip.prefix(row.address, true)
  row.address = p and ip.text(p, row.peer ~= nil) or row.address
  row.family = p and family_name(p)
  -- a link that is down loses its IPv6 addresses
  local link = type(op.args.dev) == "number" and links[op.args.dev]
  local fact = { op = op, row = row, excused = row.family == "inet6" and is_cut(link) }
  want.addr[kernel.addr_key(row)] = fact
  if p and p.len < ip.bits(p.family) and row.scope ~= "link" and not row.noprefixroute and not row.peer and link then
    want.connected[kernel.connected_key(row.family, ip.text(ip.network(p)), row.dev)] =
      { address = fact, key = kernel.addr_key(row), excused = is_cut(link) or link.props.up == false }
  end
end

-- The link that the kernel finds for a gateway: the one that has the narrowest subnet around it.
local function link_to(via, want)
  local p, best, dev = type(via) == "string" and ip.prefix(via, true), -1, nil
  for _, fact in pairs(p and want.addr or {}) do
    local subnet = ip.prefix(fact.row.address, true)
    if subnet and subnet.family == p.family and subnet.len > best and ip.contains(ip.network(subnet), p) then
      best, dev = subnet.len, fact.row.dev
    end
  end
  return dev
end

-- The family of a route, its prefix and its hops, as they are listed.
local function canonical_route(row, want)
  if row.via and not row.dev then
    row.dev = link_to(row.via, want)
  end
  local p = row.dst ~= "default" and ip.prefix(row.dst, true)
  local via = row.via or row.nexthops and row.nexthops[1] and row.nexthops[1].via
  if p then
    row.dst = (p.len == ip.bits(p.family) and ip.text(p, true)) or ip.text(ip.network(p))
    row.family = row.family or family_name(p)
  elseif type(via) == "string" then
    row.family = row.family or (via:find ":" and "inet6" or "inet")
  end
  row.family = row.family or "inet"
  return row
end

local function add_route(want, op, names, links)
  local row = canonical_route(overlay(op.args), want)
  local excused = false
  for _, hop in ipairs(row.nexthops or { row }) do
    local link = links[hop.dev]
    excused = excused or is_cut(link)
  end
  want.route[kernel.route_key(row, names)] = { op = op, row = row, excused = excused }
end

-- The key that a rule is listed under: the kernel knows, and needs no links for it.
local function listed_rule(base, op)
  local known = base.known or {}
  base.known = known
  if not known[op] then
    local before = {}
    for _, row in ipairs(base.ns.rule:list()) do
      before[kernel.rule_key(row)] = true
    end
    base.ns.rule:add(op.args)
    for _, row in ipairs(base.ns.rule:list()) do
      local key = kernel.rule_key(row)
      known[op] = not before[key] and { key, row } or known[op]
    end
    if not known[op] then -- as one that is there already
      known[op] = { kernel.rule_key(op.args), op.args }
    else
      base.ns.rule:del(known[op][2])
    end
  end
  return known[op][1], known[op][2]
end

local function add_rows(want, step, names, links, base)
  for key, row in pairs(base.rule) do
    want.rule[key] = { op = { noun = "rule", args = row }, row = row }
  end
  for _, list in ipairs { step.config, step.rows } do
    for _, op in ipairs(list) do
      if op.noun == "addr" and op.verb == "add" then
        add_addr(want, op, names, links)
      end
    end
  end
  for _, list in ipairs { step.config, step.rows } do
    for _, op in ipairs(list) do
      if op.noun == "route" then
        add_route(want, op, names, links)
      elseif op.noun == "rule" then
        local key, row = listed_rule(base, op)
        want.rule[key] = { op = op, row = row }
      elseif op.noun == "neigh" then
        want.neigh[kernel.neigh_key(op.args)] = { op = op, row = op.args }
      end
    end
  end
end

-- Sysctls --------------------------------------------------------------------------------------------------------

-- The links that take a family's defaults: those that are made when these are said; and in IPv4 lo, which keeps what
-- it has only once it has an address.
local function heirs(node, family)
  local list = { family == "4" and "lo" or nil }
  if node.switch then
    list[#list + 1] = "br0"
  end
  for _, iface in ipairs(node.ifaces) do
    list[#list + 1] = iface.name
  end
  for _, device in ipairs(node.devices) do
    list[#list + 1] = device.row.name
    list[#list + 1] = device.peer_index and device.row.peer.name or nil
  end
  return list
end

--- The sysctls of a step, and what they mean for each link: it takes the defaults when it is made.
-- @treturn table value by name
function expect.sysctls(step)
  local values, said = {}, {}
  for name, value in pairs(step.sysctls) do
    said[words.sysctl(name)] = value
  end
  for name, value in pairs(said) do
    local before, family, key = name:match "^(net%.ipv([46])%.conf%.)default%.([%w_]+)$"
    for _, link in ipairs(before and key ~= "forwarding" and heirs(step.node, family) or {}) do
      local of_link = before .. link:gsub("%.", "/") .. "." .. key
      values[of_link] = said[of_link] == nil and value or nil
    end
  end
  return overlay(values, said)
end

-- All ------------------------------------------------------------------------------------------------------------

-- A qdisc as the kernel lists it, which knows the units and fills in the rest.
local function listed_qdisc(base, qdisc)
  qdisc = kernel.qdisc_facts(qdisc) -- wherever it is
  local key = kernel.text(qdisc)
  base.qdiscs = base.qdiscs or {}
  if not base.qdiscs[key] then
    base.ns.qdisc:replace(impair.at(base.dev, qdisc))
    base.qdiscs[key] = kernel.qdisc_facts(base.ns.qdisc:get { dev = base.dev, parent = "root" })
  end
  return base.qdiscs[key]
end

-- Root qdiscs by link: impairments, as described or as they were changed since, and those that are said as rows.
local function qdiscs(step, base)
  local list, by_name = {}, {}
  for _, iface in ipairs(step.node.ifaces) do
    list[iface.index] = { name = iface.name }
    by_name[iface.name] = list[iface.index]
  end
  for _, item in ipairs(step.impair) do
    list[item.iface.index].args = item.qdisc
  end
  for _, op in ipairs(step.rows) do
    local item = op.noun == "qdisc" and (op.args.parent or "root") == "root" and by_name[op.args.dev]
    if item then
      item.args = op.args
    end
  end
  for _, iface in ipairs(step.node.ifaces) do
    if iface.link.bent ~= nil then
      list[iface.index].args = iface.link.bent or nil
    end
  end
  for _, item in pairs(list) do
    item.facts = item.args and listed_qdisc(base, item.args)
  end
  return list
end

local single = { nexthop = true, fdb = true, vlan = true }

--- Rows that are looked for one by one, as what else there is of them is nobody's or the kernel's.
-- @tparam table step
-- @treturn {table,...} operations
function expect.single(step)
  local list = {}
  for _, op in ipairs(step.rows) do
    list[#list + 1] = single[op.noun] and op or nil
  end
  return list
end

--- What a step wants.
-- @tparam table step of a plan
-- @tparam table base netns.topology.kernel.defaults
-- @treturn table `links` by number; `addr`, `route`, `connected`, `rule`, `neigh` by key: `{ op =, row =, excused = }`;
--   `sysctl`, `nft`, `qdisc` by number of the link, `single` (operations)
function expect.of(step, base)
  local want = { addr = {}, route = {}, connected = {}, rule = {}, neigh = {}, names = {} }
  want.links = planned_links(step, base)
  add_devices(step, want.links, want.names)
  configure(step, want.links, want.names, base)
  add_rows(want, step, want.names, want.links, base)
  want.sysctl = expect.sysctls(step)
  want.nft = step.loaded or not (step.pending or step.nft or step.firewall) and "" or nil
  want.qdisc = qdiscs(step, base)
  want.single = expect.single(step)
  return want
end

return expect
