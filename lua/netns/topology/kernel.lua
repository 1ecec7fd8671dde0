--- What the kernel has in a namespace, as facts that can be compared with what a description wants.
--
-- Facts are rows under keys. A key says all that makes two rows the same thing, so that a row that differs in any of
-- it is another one: missing here, too much there.
-- @module netns.topology.kernel
local core = require "netns.core"
require "netns.nft"
local words = require "netns.topology.words"

local kernel = {}

-- Routes ---------------------------------------------------------------------------------------------------------

-- What says nothing of where packets go, or comes and goes by itself.
local idle = { scope = true, expires = true, proto = true, pref = true, dead = true, linkdown = true, offload = true,
  family = true, type = true, table = true, dst = true, metric = true, via = true, dev = true, nexthops = true }

local function hop_text(hop, names)
  local weight = hop.weight and hop.weight > 1 and (" weight %d"):format(hop.weight) or ""
  local dev = names and names[hop.dev] or hop.dev
  return (hop.via and "via " .. tostring(type(hop.via) == "table" and hop.via.address or hop.via) .. " " or "")
    .. (dev and "dev " .. dev or "") .. weight
end

local function text_of(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for _, key in ipairs(words.sorted(value)) do
    parts[#parts + 1] = ("%s=%s"):format(key, text_of(value[key]))
  end
  return "{" .. table.concat(parts, " ") .. "}"
end
kernel.text = text_of

-- "10.0.0.0/24 via 10.1.0.1 dev eth0 metric 5": what a route is, with what is not said as the kernel takes it.
-- @tparam table route as listed, or as given
-- @tparam[opt] table names of links by number, for routes that are given by numbers
function kernel.route_key(route, names)
  local parts = { route.family, route.type ~= "unicast" and route.type or nil }
  parts[#parts + 1] = route.dst
  if route.table and route.table ~= "main" and route.table ~= 254 then
    parts[#parts + 1] = "table " .. route.table
  end
  if not route.nhid then
    local hops = {}
    for i, hop in ipairs(route.nexthops or { route }) do
      hops[i] = hop_text(hop, names)
    end
    table.sort(hops)
    parts[#parts + 1] = table.concat(hops, ", ")
  end
  local metric = route.metric or 0
  if metric ~= (route.family == "inet6" and 1024 or 0) and not (route.family == "inet6" and metric == 0) then
    parts[#parts + 1] = "metric " .. metric
  end
  for _, key in ipairs(words.sorted(route)) do
    if not idle[key] then
      parts[#parts + 1] = ("%s %s"):format(key, text_of(route[key]))
    end
  end
  return table.concat(parts, " ")
end

--- What is on a link, by the kernel's own doing: "inet 10.0.0.0/24 dev eth0".
function kernel.connected_key(family, dst, dev)
  return ("%s %s dev %s"):format(family, dst, dev)
end

-- Other nouns ----------------------------------------------------------------------------------------------------

-- As listed: what is "all", and what nothing was said of.
local unsaid = { proto = true, iif_detached = true, oif_detached = true, unresolved = true }

--- "inet 100: from 10.0.0.0/8 lookup 7"
function kernel.rule_key(rule)
  local parts = { ("%s %s:"):format(rule.family, rule.priority) }
  for _, key in ipairs(words.sorted(rule)) do
    if not unsaid[key] and key ~= "family" and key ~= "priority" and not (key == "from" and rule[key] == "all") then
      parts[#parts + 1] = ("%s %s"):format(key, text_of(rule[key]))
    end
  end
  return table.concat(parts, " ")
end

function kernel.addr_key(addr)
  return ("%s %s%s"):format(addr.dev, addr.address, addr.peer and " peer " .. addr.peer or "")
end

function kernel.neigh_key(neigh)
  return ("%s dev %s %s"):format(neigh.dst, neigh.dev, neigh.proxy and "proxy" or neigh.lladdr or "")
end

-- Rulesets -------------------------------------------------------------------------------------------------------

-- Elements that packets put into sets, or that go by themselves, are no drift.
local function without_dynamic(text)
  local lines, dynamic, skipping = {}, false, false
  for line in text:gmatch "[^\n]+" do
    if line:find "^\t%l+ " then
      dynamic = false
    end
    local flags = line:match "^\t\tflags (.*)$"
    dynamic = dynamic or (flags and (flags:find "dynamic" or flags:find "timeout")) ~= nil and flags ~= nil
    skipping = skipping or (dynamic and line:find "^\t\telements = {" ~= nil)
    if not skipping then
      lines[#lines + 1] = line
    end
    skipping = skipping and not line:find "}$"
  end
  return table.concat(lines, "\n")
end

--- The ruleset without what counts or comes by itself; "" where there is none, which needs no worker.
function kernel.ruleset(ns)
  if #core.nft_tables(ns) == 0 then
    return ""
  end
  return without_dynamic(ns.nft:text { stateless = true })
end

-- Qdiscs ---------------------------------------------------------------------------------------------------------

--- What a root qdisc is, apart from where it is and from what it draws its lots.
function kernel.qdisc_facts(row)
  local facts = {}
  for key, value in pairs(row) do
    if not (key == "dev" or key == "handle" or key == "parent" or key == "stats" or key == "refcnt"
      or key == "seed") then
      facts[key] = value
    end
  end
  return facts
end

local usual = { noqueue = true, noop = true }

-- Root qdiscs by the name of the link, but those that links have by themselves.
local function root_qdiscs(ns, links)
  local any = false
  for _, link in pairs(links) do
    any = any or not usual[link.qdisc]
  end
  local found = {}
  for _, row in ipairs(any and ns.qdisc:list() or {}) do
    if row.parent == "root" and not usual[row.kind] then
      found[row.dev] = kernel.qdisc_facts(row)
    end
  end
  return found
end

-- All ------------------------------------------------------------------------------------------------------------

local function by_key(list, key_of, wanted)
  local rows = {}
  for _, row in ipairs(list) do
    if wanted(row) then
      rows[key_of(row)] = row
    end
  end
  return rows
end

local function any()
  return true
end

-- Routes that the kernel makes and learns by itself are not asked for.
local own = { kernel = true, redirect = true, ra = true }

--- Everything that a description can set, but sysctls and processes.
-- @tparam Namespace ns
-- @tparam[opt] table opts `link_local`: count IPv6 addresses of the kernel's own, too; `only_links`: no more
--   than links, addresses and routes
-- @treturn table `links` by number; `addr`, `route`, `connected`, `rule`, `neigh` by key; `qdisc` by link; `nft`
function kernel.read(ns, opts)
  local facts = { links = {}, route = {}, connected = {} }
  local only_links = opts and opts.only_links
  local link_local = opts and opts.link_local
  for _, link in ipairs(ns.link:list()) do
    facts.links[link.ifindex] = link
  end
  facts.addr = by_key(ns.addr:list(), kernel.addr_key, function(addr)
    return (link_local or not (addr.scope == "link" and addr.family == "inet6"))
      and not (addr.dev == "lo" and (addr.address == "127.0.0.1/8" or addr.address == "::1/128"))
  end)
  for _, route in ipairs(ns.route:list { table = "all" }) do
    if own[route.proto] and route.table ~= "local" then
      facts.connected[kernel.connected_key(route.family, route.dst, route.dev)] = route
    elseif route.table ~= "local" then
      facts.route[kernel.route_key(route)] = route
    end
  end
  if not only_links then
    facts.rule = by_key(ns.rule:list(), kernel.rule_key, any)
    facts.neigh = by_key(ns.neigh:list(), kernel.neigh_key, function(neigh)
      return neigh.state == "permanent" and neigh.lladdr ~= nil
    end)
    for _, proxy in ipairs(ns.neigh:list { proxy = true }) do
      facts.neigh[kernel.neigh_key(proxy)] = proxy
    end
    facts.nft = kernel.ruleset(ns)
    facts.qdisc = root_qdiscs(ns, facts.links)
  end
  return facts
end

-- What is there where nobody did anything ------------------------------------------------------------------------

-- What is each link's own, or changes by itself.
local volatile = {}
for name in ([[ifindex index name address broadcast link link_index link_netnsid carrier carrier_up_count
  carrier_down_count operstate promiscuity allmulti qdisc stats root_id bridge_id root_port root_path_cost
  topology_change topology_change_detected fdb_n_learned hello_timer tcn_timer topology_change_timer gc_timer
  bridge_slave master mtu up altnames addrgenmode min_mtu max_mtu
  tso_max_size tso_max_segs link_type new_netnsid new_ifindex permaddr numtxqueues numrxqueues]]):gmatch "%S+" do
  volatile[name] = true
end
kernel.volatile = volatile

local volatile_port = {}
for name in ([[state root_id bridge_id designated_port designated_cost id no topology_change_ack config_pending
  mcast_n_groups mcast_eht_hosts_cnt message_age_timer forward_delay_timer hold_timer]]):gmatch "%S+" do
  volatile_port[name] = true
end
kernel.volatile_port = volatile_port

local function settled(row, ignored)
  local kept = {}
  for key, value in pairs(row) do
    if not ignored[key] then
      kept[key] = value
    end
  end
  return kept
end

--- What the kernel gives links, ports and rules by itself, seen in a namespace of its own.
-- @treturn table `lo`, `veth`, `bridge`, `port`: properties; `rule`: by key; `ns`: the namespace, to be closed; `dev`:
--   a link there to try things with
function kernel.defaults()
  local ns = core.new()
  local ok, err = pcall(function()
    local base = { ns = ns, dev = "p", rule = by_key(ns.rule:list(), kernel.rule_key, any) }
    local on = { name = "b", type = "bridge", addrgenmode = "none" }
    ns.link:add(on)
    ns.link:add { name = "v", type = "veth", master = "b", addrgenmode = "none",
      peer = { name = "p", netns = ns } }
    for _, link in ipairs(ns.link:list()) do
      if link.name == "v" then
        base.port = settled(link.bridge_slave or {}, volatile_port)
      end
      local kind = link.name == "lo" and "lo" or link.name ~= "p" and link.type
      if kind then
        base[kind] = settled(link, volatile)
      end
    end
    return base
  end)
  if not ok then
    ns:close()
    error(err, 0)
  end
  return err
end

return kernel
