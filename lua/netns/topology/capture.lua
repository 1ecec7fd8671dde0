--- Networks that are there, read into a description that brings the same up again.
--
-- Links between the namespaces become links of the description; all else is said in rows: devices, settings of links,
-- addresses, routes, rules, neighbours, qdiscs, and the sysctls that differ from those of a new namespace.
-- @module netns.topology.capture
local core = require "netns.core"
local kernel = require "netns.topology.kernel"
local links = require "netns.topology.capture_links"
local words = require "netns.topology.words"

local capture = {}

-- Reading --------------------------------------------------------------------------------------------------------

local function list_of(ns, noun, filter)
  local object = ns[noun]
  local ok, list = pcall(function()
    return object:list(filter)
  end)
  return ok and list or {} -- a kernel may lack a noun
end

local function read(ns)
  local all = { ns = ns, links = {} }
  for _, row in ipairs(ns.link:list()) do
    all.links[row.ifindex] = row
  end
  for _, noun in ipairs { "addr", "rule", "neigh", "nexthop", "fdb", "vlan", "qdisc", "class" } do
    all[noun] = list_of(ns, noun)
  end
  for _, row in ipairs(list_of(ns, "neigh", { proxy = true })) do
    table.insert(all.neigh, row)
  end
  all.route = list_of(ns, "route", { table = "all" })
  all.sysctl = ns.sysctl:list "net"
  all.nft = kernel.ruleset(ns)
  return all
end

-- Rows -----------------------------------------------------------------------------------------------------------

local noise = { valid_lft = "forever", preferred_lft = "forever", pref = "medium", scope = "global", type = "unicast",
  table = "main", proto = "boot", action = "lookup", from = "all", state = "permanent" }
local passing = { expires = true, dead = true, linkdown = true, offload = true, tentative = true, dadfailed = true,
  deprecated = true, dynamic = true, secondary = true, iif_detached = true, oif_detached = true, unresolved = true,
  stable_privacy = true }

-- A row without what goes without saying.
local function concise(row)
  local kept = {}
  for key, value in pairs(row) do
    local unsaid = value == noise[key] or passing[key] or (key == "state" and row.proxy)
      or (row.vid and (key == "mcast_router" and value == 1 or key == "state" and value == "forwarding"))
      or (key == "metric" and value == 1024 and row.family == "inet6") or (key == "label" and value == row.dev)
    if not unsaid then
      kept[key] = value
    end
  end
  return kept
end

local function is_own_addr(row)
  return row.dev == "lo" and (row.address == "127.0.0.1/8" or row.address == "::1/128")
end

-- Entries that a link has by itself: its own address, and the groups it listens to.
local function is_own_lladdr(links_of, lladdr)
  local first = tonumber(tostring(lladdr):sub(1, 2), 16)
  if first and first % 2 == 1 then
    return true
  end
  for _, row in pairs(links_of) do
    if row.address == lladdr then
      return true
    end
  end
  return false
end

local learned = { kernel = true, redirect = true, ra = true }

-- Routes on links come before those by gateways, which must be reached.
local function routes_of(list)
  local direct, others = {}, {}
  for _, row in ipairs(list) do
    if row.table ~= "local" and not learned[row.proto] then
      local route = concise(row)
      if row.nhid then -- which says where they lead
        route.via, route.dev, route.nexthops = nil, nil, nil
      end
      table.insert((row.via or row.nexthops or row.nhid) and others or direct, route)
    end
  end
  return table.move(others, 1, #others, #direct + 1, direct)
end

local function some(list)
  return #list > 0 and list or nil
end

local function chosen(list, wanted)
  local kept = {}
  for _, row in ipairs(list) do
    if wanted(row) then
      kept[#kept + 1] = concise(row)
    end
  end
  return some(kept)
end

-- Qdiscs that links have by themselves; children of classless ones come with these.
local usual = { noqueue = true, pfifo_fast = true, mq = true }

local function add_rows(c, name)
  local node, all = c.data.nodes[name], c.all[name]
  node.addresses = chosen(all.addr, function(row)
    return not is_own_addr(row) and not row.dynamic
  end)
  node.routes = some(routes_of(all.route))
  node.rules = chosen(all.rule, function(row)
    return not c.base.rule[kernel.rule_key(row)]
  end)
  node.neighbours = chosen(all.neigh, function(row)
    return row.proxy or (row.state == "permanent" and row.lladdr)
  end)
  local filters = false
  for _, link in pairs(c.links[name]) do
    filters = filters or link.vlan_filtering == true
  end
  node.vlans = chosen(all.vlan, function(row)
    return filters or not (row.vid == 1 and row.pvid) -- which every port has
  end)
  for _, row in ipairs(node.vlans or {}) do
    for _, link in pairs(c.links[name]) do -- bridge(8) wants to be told that it is the bridge's own
      row.self = row.self or (link.name == row.dev and link.type == "bridge") or nil
    end
  end
  node.fdb = chosen(all.fdb, function(row)
    return row.state ~= "dynamic" and not is_own_lladdr(c.links[name], row.lladdr)
  end)
  node.nexthops = chosen(all.nexthop, function()
    return true
  end)
  node.qdiscs = chosen(all.qdisc, function(row)
    return not usual[row.kind]
  end)
  node.classes = chosen(all.class, function(row)
    return row.kind == "htb"
  end)
  node.firewall = all.nft ~= "" and all.nft .. "\n" or nil
  for key in pairs(c.base.rule) do
    local there = false
    for _, row in ipairs(all.rule) do
      there = there or kernel.rule_key(row) == key
    end
    if not there then
      links.leave_out(c, name, "rule " .. key, "a new namespace has it, and this one has not")
    end
  end
end

-- Sysctls --------------------------------------------------------------------------------------------------------

-- Their values are read, or follow from others.
local derived = { mtu = true, addr_gen_mode = true, mc_forwarding = true, nf_conntrack_count = true, forwarding = true,
  base_reachable_time = true, retrans_time = true, unres_qlen = true, stable_secret = true }

local function add_sysctls(c, name)
  local values, fresh, found = c.all[name].sysctl, c.fresh, {}
  for key, value in pairs(values) do
    local _, link = words.sysctl(key)
    local last = key:match "[^.]+$"
    local of_default = link and link ~= "lo" and key:gsub("^(net%.ipv[46]%.%l+%.)[^.]+", "%1default")
    local usual_value = fresh[key]
    if of_default then
      usual_value = values[of_default]
    end
    if usual_value ~= nil and usual_value ~= value and not (derived[last] and (link or last ~= "forwarding")) then
      found[key] = value
    end
  end
  local forwards = values["net.ipv4.ip_forward"] == 1 or values["net.ipv6.conf.all.forwarding"] == 1
  if forwards then -- said also where they are as ever, as a router has others
    for _, key in ipairs { "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter",
      "net.ipv6.conf.all.forwarding" } do
      found[key] = values[key]
    end
  end
  c.data.nodes[name].kind = forwards and "router" or "host"
  c.data.nodes[name].sysctl = next(found) and found or nil
end

-- All ------------------------------------------------------------------------------------------------------------

local function open_all(given)
  if type(given) ~= "table" or next(given) == nil then
    error("capture: namespaces by the names of their nodes expected, as { a = ns, b = \"name\" }", 4)
  end
  local spaces, opened = {}, {}
  for name, which in pairs(given) do
    if type(name) ~= "string" then
      error("capture: a node needs a name, as in { a = ns }", 4)
    end
    if getmetatable(which) == "netns.Namespace" then
      spaces[name] = which
    else
      spaces[name] = core.open(which)
      opened[#opened + 1] = spaces[name]
    end
  end
  return spaces, opened
end

local function run(spaces)
  local base = kernel.defaults()
  local ns <close> = base.ns
  local c = {
    data = { name = "captured", addressing = false, routing = false, nodes = {} }, left = {},
    spaces = spaces, all = {}, links = {}, taken = {}, base = base, fresh = ns.sysctl:list "net",
    elsewhere = "elsewhere", outside = 0,
  }
  local names = words.sorted(spaces)
  for _, name in ipairs(names) do
    c.all[name] = read(spaces[name])
    c.links[name] = c.all[name].links
    c.data.nodes[name] = links.new_node()
  end
  while spaces[c.elsewhere] do
    c.elsewhere = c.elsewhere .. "_"
  end
  for _, name in ipairs(names) do
    links.add(c, name)
  end
  for _, name in ipairs(names) do
    links.add_addrgenmodes(c, name)
    add_rows(c, name)
    add_sysctls(c, name)
  end
  for _, node in pairs(c.data.nodes) do
    table.move(node.settings, 1, #node.settings, #node.devices + 1, node.devices)
    node.links, node.devices, node.settings = some(node.links), some(node.devices), nil
  end
  return c.data, c.left
end

--- Read namespaces.
-- @tparam table given by the names that their nodes are to have: a Namespace, or what netns.open takes
-- @treturn table a plain description
-- @treturn {table,...} what it cannot say: `{ path =, message = }` each
function capture.read(given)
  local spaces, opened = open_all(given)
  local result = table.pack(pcall(run, spaces))
  for _, ns in ipairs(opened) do
    ns:close()
  end
  if not result[1] then
    error(result[2], 0)
  end
  return result[2], result[3]
end

return capture
