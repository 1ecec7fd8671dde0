--- One description for several machines: each brings up its own nodes, and the links that are cut become tunnels.
--
-- What a machine gets is the whole description and which part is its own (`data.split`), so that addresses and routes
-- are worked out as ever, and alike everywhere. Of the model, `localize` then leaves the machine's own nodes.
--
-- A cut link is a VXLAN tunnel with one remote: Ethernet, like the veth pair it stands for, so that switches can be cut
-- too. Its device is born in the node's namespace by a request from the machine's, which makes it send and receive
-- there. With WireGuard, these tunnels run through another one between each two machines.
-- @module netns.topology.split
local check = require "netns.check"
local description = require "netns.topology.description"
local ip = require "netns.topology.ip"
local model = require "netns.topology.model"
local words = require "netns.topology.words"

local split = {}

local VNI_MAX = 16777215
-- Up to some Linux 6.x, a number that the machine has a link of is refused for one that is born elsewhere: numbers
-- of tunnels are far above any machine's.
split.INDEX_BASE = 1 << 20
-- outer addresses, UDP and WireGuard's own
local WIREGUARD_BYTES = { [4] = 20 + 8 + 32, [6] = 40 + 8 + 32 }
-- outer addresses, UDP, VXLAN and the inner Ethernet header
local VXLAN_BYTES = { [4] = 20 + 8 + 8 + 14, [6] = 40 + 8 + 8 + 14 }

-- What a machine's part looks like ----------------------------------------------------------------------------------

local function note(m, path, message, ...)
  m.findings[#m.findings + 1] = { path = path, message = message:format(...) }
end

-- The host of each node; findings where the nodes are not divided among the hosts.
local function hosts_of(m, s)
  local host_of = {}
  for _, host in ipairs(words.sorted(s.hosts)) do
    for i, name in ipairs(s.hosts[host].nodes or {}) do
      local path = ("split.hosts.%s.nodes[%d]"):format(host, i)
      if not m.by_name[name] then
        note(m, path, "there is no node %s%s", tostring(name), check.hint(tostring(name), words.sorted(m.by_name)))
      elseif host_of[name] then
        note(m, path, "%s is on %s already", name, host_of[name])
      end
      host_of[name] = host
    end
  end
  local missing = {}
  for _, node in ipairs(m.nodes) do
    missing[#missing + 1] = not host_of[node.name] and node.name or nil
  end
  if #missing > 0 then
    note(m, "split.hosts", "on no host: %s", table.concat(missing, ", "))
  end
  return host_of
end

-- What a tunnel takes of the underlay's MTU.
local function overhead(s, family)
  local _, any = next(s.hosts)
  return any.public_key and WIREGUARD_BYTES[family] + VXLAN_BYTES[4] or VXLAN_BYTES[family]
end

-- Either all machines have a key, or none.
local function examine_keys(m, s)
  local with, without
  for _, host in ipairs(words.sorted(s.hosts)) do
    local key = s.hosts[host].public_key
    with, without = with or key and host, without or not key and host
    if key and not (#key == 44 and key:find "^[%w+/]+=$") then
      note(m, ("split.hosts.%s.public_key"):format(host), "is no key of WireGuard, which is 44 characters of base64")
    end
  end
  if with and without then
    note(m, ("split.hosts.%s.public_key"):format(without), "is missing, and %s has one", with)
  end
end

-- The family of the underlay, which is one for all.
local function underlay_family(m, s)
  local family
  for _, host in ipairs(words.sorted(s.hosts)) do
    local path = ("split.hosts.%s.underlay"):format(host)
    local own = ip.parse(s.hosts[host].underlay)
    if not own then
      note(m, path, "the address by which other machines reach this one, such as \"192.0.2.1\", is needed")
    elseif family and own ~= family then
      note(m, path, "all underlay addresses must be of one family")
    end
    family = family or own
  end
  return family or 4
end

--- What is wrong with a split, added to the findings of the whole model.
function split.examine(m)
  local s = m.data.split
  if s == nil or #m.findings > 0 then
    return
  end
  if not s.hosts[s.host] then
    note(m, "split.host", "%s is none of the hosts%s", s.host, check.hint(s.host, words.sorted(s.hosts)))
  end
  local host_of, family = hosts_of(m, s), underlay_family(m, s)
  local most = (s.underlay_mtu or 1500) - overhead(s, family)
  examine_keys(m, s)
  local count = 0
  for _, link in ipairs(m.links) do
    if host_of[link.a.name] ~= host_of[link.b.name] then
      count = count + 1
      if (link.opts.mtu or most) > most then
        note(m, link.path .. ".mtu", "%d is more than a tunnel over an underlay of %d bytes takes: %d", link.opts.mtu,
          s.underlay_mtu or 1500, most)
      end
    end
  end
  if (s.id or 1) + count - 1 > VNI_MAX then
    note(m, "split.id", "there are no %d VXLAN identifiers from %d on", count, s.id or 1)
  end
end

-- The part of one machine -------------------------------------------------------------------------------------------

-- The address of each machine in the namespaces that WireGuard joins, which have no others.
local function inner_addresses(s)
  local inner = {}
  for i, host in ipairs(words.sorted(s.hosts)) do
    inner[host] = ("169.254.%d.%d"):format(i >> 8, i & 255)
  end
  return inner
end

-- What WireGuard is to be on a machine that has tunnels to some others.
local function transport_of(s, others)
  local inner, port, peers = inner_addresses(s), s.wireguard_port or 51820, {}
  for _, host in ipairs(words.sorted(others)) do
    local part = s.hosts[host]
    local endpoint = (ip.parse(part.underlay) == 6 and "[%s]:%d" or "%s:%d"):format(part.underlay, port)
    peers[#peers + 1] = { public_key = part.public_key, endpoint = endpoint, allowed_ips = { inner[host] .. "/32" } }
  end
  local own = s.hosts[s.host]
  return { address = inner[s.host], port = port, peers = peers, public_key = own.public_key,
    index = split.INDEX_BASE, mtu = (s.underlay_mtu or 1500) - WIREGUARD_BYTES[ip.parse(own.underlay)] }
end

-- The local side first: what is done to a link is done at `ends`, and what it is called begins at `a`.
local function turn(link, host_of, host)
  if host_of[link.a.name] ~= host then
    link.a, link.b, link.ia, link.ib = link.b, link.a, link.ib, link.ia
  end
  link.ends = { link.ia }
end

--- Leave of a model, with its routes, what is one machine's own: `nodes`, `links`, and as `remote` the far ends of
-- tunnels, each with the `host` that it is on.
function split.localize(m)
  local s = m.data.split
  if not s then
    return
  end
  local host_of, links, nodes, id, others = hosts_of(m, s), {}, {}, s.id or 1, {}
  local has_keys = s.hosts[s.host].public_key ~= nil
  local inner = has_keys and inner_addresses(s)
  for _, link in ipairs(m.links) do
    local a, b = host_of[link.a.name], host_of[link.b.name]
    if a == s.host or b == s.host then
      links[#links + 1] = link
    end
    if a ~= b then
      if a == s.host or b == s.host then
        local other = a == s.host and b or a
        others[other] = true
        turn(link, host_of, s.host)
        link.tunnel = { type = "vxlan", id = id, dstport = s.port or 4789,
          ["local"] = inner and inner[s.host] or s.hosts[s.host].underlay,
          remote = inner and inner[other] or s.hosts[other].underlay }
        link.ia.index = split.INDEX_BASE + 1 + id
      end
      id = id + 1
    end
  end
  local remote, seen = {}, {}
  for _, link in ipairs(links) do
    if link.tunnel and not seen[link.b] then
      seen[link.b], remote[#remote + 1] = true, link.b
      link.b.host = host_of[link.b.name]
    end
  end
  for _, node in ipairs(m.nodes) do
    nodes[#nodes + 1] = host_of[node.name] == s.host and node or nil
  end
  m.links, m.nodes, m.remote = links, nodes, remote
  m.transport = has_keys and transport_of(s, others) or nil
end

--- The names of the nodes of a description that come up here, as keys.
function split.own_nodes(data)
  local s = data.split
  if not s then
    return data.nodes
  end
  local own = {}
  for _, name in ipairs(s.hosts[s.host].nodes) do
    own[name] = true
  end
  return own
end

-- Dividing ----------------------------------------------------------------------------------------------------------

local options = { underlay = "table", wireguard = "table", id = "number", port = "number", underlay_mtu = "number",
  wireguard_port = "number" }

-- { name = { "n1", underlay = "..." } } or { name = {...} } with the addresses (and keys) beside it.
local function read_hosts(hosts, underlay, keys)
  if type(hosts) ~= "table" or next(hosts) == nil then
    check.refuse("split: the hosts must be a table such as { host_a = { \"r1\", \"h1\" }, host_b = { \"r2\" } }")
  end
  local result = {}
  for name, nodes in pairs(hosts) do
    if type(name) ~= "string" or type(nodes) ~= "table" then
      check.refuse("split: a host is a name and the list of its nodes, got %s = %s", check.show(name),
        check.show(nodes))
    end
    result[name] = { underlay = nodes.underlay or underlay[name], public_key = nodes.public_key or keys[name],
      nodes = {} }
    for key, node in pairs(nodes) do
      local is_option = key == "underlay" or key == "public_key"
      if is_option then
        node = nil
      elseif type(node) == "table" and type(node.name) == "string" then
        node = node.name
      end
      if not is_option and (math.type(key) ~= "integer" or type(node) ~= "string") then
        check.refuse("split: %s: nodes, or their names, underlay and public_key; got %s = %s", name, check.show(key),
          check.show(node))
      elseif node then
        result[name].nodes[key] = node
      end
    end
  end
  for option, given in pairs { underlay = underlay, wireguard = keys } do
    for name in pairs(given) do
      if not result[name] then
        check.refuse("split: %s: there is no host %s%s", option, check.show(name), check.hint(tostring(name),
          check.names(result)))
      end
    end
  end
  return result
end

-- The links of segments that have a tunnel in them are as narrow as it is, or large packets would end at it.
local function narrow(data, s)
  local m = model.build(data)
  local host_of, count = hosts_of(m, s), #m.findings
  local family = underlay_family(m, s)
  if #m.findings > count then
    return
  end
  local most = (s.underlay_mtu or 1500) - overhead(s, family)
  for _, segment in ipairs(m.segments) do
    local is_cut = false
    for _, link in ipairs(segment.links) do
      is_cut = is_cut or host_of[link.a.name] ~= host_of[link.b.name]
    end
    for _, link in ipairs(is_cut and segment.links or {}) do
      link.opts.mtu = link.opts.mtu or most -- the model's links are the description's own
    end
  end
end

--- Give each machine its part of a description.
-- @function topology.split
-- @tparam Topology|table t a Topology, or a description as `topology.from` takes it
-- @tparam table hosts from a machine's name to the list of its nodes; every node must be on one
-- @tparam table opts `underlay`: from a machine's name to the address by which the others reach it (or in its list, as
--   `underlay = "192.0.2.1"`); `wireguard`: from a machine's name to its public key (or in its list, as `public_key`),
--   where all is to run through WireGuard, and `wireguard_port` (51820); `id`: the first VXLAN identifier (1); `port`:
--   its UDP port (4789); `underlay_mtu` (1500)
-- @treturn table from a machine's name to its Topology, which that machine brings up
-- @raise with all that is wrong, as `check` finds it
-- @usage local parts = topology.split(office, { a = { "gw", "pc1" }, b = { "isp" } },
--   { underlay = { a = "192.0.2.1", b = "192.0.2.2" } })
--   local lab <close> = parts.a:up()
function split.split(t, hosts, opts)
  opts = check.options(opts, options, "split")
  local data = description.from(t).data
  if data.split then
    check.refuse("split: this is one machine's part of a description already")
  end
  local s = { hosts = read_hosts(hosts, opts.underlay or {}, opts.wireguard or {}), id = opts.id, port = opts.port,
    underlay_mtu = opts.underlay_mtu, wireguard_port = opts.wireguard_port }
  local parts, first = {}, nil
  local well_formed = #description.from(data):check() == 0
  if well_formed then
    narrow(data, s)
  end
  for _, host in ipairs(words.sorted(s.hosts)) do
    local part = description.from(data)
    part.data.split = description.copy(s)
    part.data.split.host = host
    first = first or part
    parts[host] = part
  end
  first:model() -- raises with all that is wrong
  return parts
end

return split
