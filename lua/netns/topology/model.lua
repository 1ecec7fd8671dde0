--- What a description means: interfaces, segments, addresses.
--
-- A segment is what shares a subnet: the two ends of a direct link, or all that is attached to switches that are
-- joined. Everything is done in the natural order of names, so that the same description always gives the same
-- addresses, whoever wrote it down in what order.
-- @module netns.topology.model
local check = require "netns.check"
local addressing = require "netns.topology.addressing"
local realms = require "netns.topology.realms"
local words = require "netns.topology.words"

local model = {}

local IFNAME_MAX = 15
local IPV6_MTU = 1280
local PORTS_MAX = 1023 -- of a bridge: 1024 numbers, and 0 is none

local function note(m, path, message, ...)
  m.findings[#m.findings + 1] = { path = path, message = message:format(...) }
end

-- Nodes and links ------------------------------------------------------------------------------------------------

local function add_nodes(m, data)
  for i, name in ipairs(words.sorted(data.nodes)) do
    local node = { name = name, data = data.nodes[name], number = i, ifaces = {}, path = "nodes." .. name, names = {} }
    node.kind = node.data.kind
    node.forwards = node.kind == "router"
    if node.data.forwarding ~= nil then
      node.forwards = node.data.forwarding
    end
    node.switch = node.kind == "switch"
    m.nodes[i], m.by_name[name] = node, node
    if node.switch then
      node.names.br0 = true
    end
  end
end

-- A name for an interface: a long one is shortened, and kept as an alternative name.
local function claim(m, node, wanted, given, path)
  local name, long = wanted, nil
  if #name > IFNAME_MAX then
    long = name
    name = name:sub(1, IFNAME_MAX)
    local n = 0
    while node.names[name] do
      n = n + 1
      local suffix = "~" .. n
      name = long:sub(1, IFNAME_MAX - #suffix) .. suffix
    end
  end
  if node.names[name] then
    if given then
      note(m, path, "the name %s is taken by another interface of %s", name, node.name)
    end
    local base, n = name:gsub("%d+$", ""), 0
    repeat
      n = n + 1
      name = (base .. n):sub(-IFNAME_MAX)
    until not node.names[name]
  end
  node.names[name] = true
  return name, long
end

local function next_eth(node)
  local n = node.next_eth or 0
  while node.names["eth" .. n] or (node.reserved and node.reserved["eth" .. n]) do
    n = n + 1
  end
  node.next_eth = n + 1
  return "eth" .. n
end

local function add_iface(m, node, peer, given, path)
  local wanted = given or (node.switch and peer.name) or next_eth(node)
  local iface = { node = node, peer_node = peer, addrs = {}, path = path }
  iface.name, iface.altname = claim(m, node, wanted, given ~= nil, path)
  node.ifaces[#node.ifaces + 1] = iface
  -- lo is 1, a switch's bridge 2
  iface.slot = #node.ifaces + (node.switch and 2 or 1)
  iface.index = iface.slot -- but for tunnels: see netns.topology.split
  return iface
end

local function add_links(m)
  for _, node in ipairs(m.nodes) do
    for i, opts in ipairs(node.data.links or {}) do
      local path = ("%s.links[%d]"):format(node.path, i)
      local other = m.by_name[opts.to]
      if not other then
        note(m, path .. ".to", "there is no node %s%s", opts.to, check.hint(opts.to, words.sorted(m.by_name)))
      elseif other == node then
        note(m, path .. ".to", "a node cannot be linked to itself")
      else
        m.links[#m.links + 1] = { a = node, b = other, opts = opts, path = path }
      end
    end
  end
  -- names that are given come first, so that others keep out of their way
  for _, link in ipairs(m.links) do
    for _, given in ipairs { { link.a, link.opts.name }, { link.b, link.opts.to_name } } do
      if given[2] and #given[2] <= IFNAME_MAX then
        given[1].reserved = given[1].reserved or {}
        given[1].reserved[given[2]] = true
      end
    end
  end
  for _, link in ipairs(m.links) do
    link.ia = add_iface(m, link.a, link.b, link.opts.name, link.path .. ".name")
    link.ib = add_iface(m, link.b, link.a, link.opts.to_name, link.path .. ".to_name")
    link.ia.peer, link.ib.peer = link.ib, link.ia
    link.ends = { link.ia, link.ib } -- those that are here: see netns.topology.split
    link.ia.link, link.ib.link = link, link
    link.ia.given, link.ib.given = link.opts.address, link.opts.to_address
    link.ia.given_path, link.ib.given_path = link.path .. ".address", link.path .. ".to_address"
  end
end

local function find_crowds(m)
  for _, node in ipairs(m.nodes) do
    if node.switch and #node.ifaces > PORTS_MAX then
      note(m, node.path, "%d links to a switch; a bridge of the kernel has at most %d ports (join several switches)",
        #node.ifaces, PORTS_MAX)
    end
  end
end

-- Segments ---------------------------------------------------------------------------------------------------------

local function root(node)
  while node.joined do
    node = node.joined
  end
  return node
end

local function join_switches(m)
  for _, link in ipairs(m.links) do
    if link.a.switch and link.b.switch then
      local a, b = root(link.a), root(link.b)
      if a == b then
        note(m, link.path, "the switches %s and %s are joined already: this would be a loop", link.a.name, link.b.name)
      elseif a.number < b.number then
        b.joined = a
      else
        a.joined = b
      end
    end
  end
end

local function new_segment(m, kind, number)
  local segment = { kind = kind, ifaces = {}, links = {}, number = number }
  m.segments[#m.segments + 1] = segment
  return segment
end

local function add_segments(m)
  local of_switch = {}
  for _, node in ipairs(m.nodes) do
    if node.switch and not node.joined then
      of_switch[node] = new_segment(m, "lan", node.number)
    end
  end
  for i, link in ipairs(m.links) do
    local switch = link.a.switch and link.a or link.b.switch and link.b or nil
    local segment
    if switch then
      segment = of_switch[root(switch)]
    else
      segment = new_segment(m, "link", #m.nodes + i)
    end
    segment.links[#segment.links + 1] = link
    link.segment = segment
    for _, iface in ipairs { link.ia, link.ib } do
      if not iface.node.switch then
        iface.segment = segment
        segment.ifaces[#segment.ifaces + 1] = iface
      end
    end
  end
end

-- The kernel takes IPv6 off a link that is too narrow for it.
local function find_narrow(m)
  for _, link in ipairs(m.links) do
    if m.families[6] and link.opts.mtu and link.opts.mtu < IPV6_MTU then
      note(m, link.path .. ".mtu", "%d, but IPv6 needs %d (or ipv6 = false)", link.opts.mtu, IPV6_MTU)
    end
  end
end

-- What a node itself has besides its links: devices of any kind, and settings of those that are there.
-- A device that is made; the far end of a pair is one, too.
local function add_device(node, row, path)
  local peer = row.type and type(row.peer) == "table" and row.peer
  for _, made in ipairs { row, peer or nil } do
    node.names[made.name or false] = true
  end
  local index = #node.ifaces + (node.switch and 2 or 1) + node.more + 1
  node.more = node.more + (peer and 2 or 1)
  node.devices[#node.devices + 1] = { row = row, path = path, index = index, peer_index = peer and index + 1 or nil }
end

local function add_devices(m)
  for _, node in ipairs(m.nodes) do
    node.devices, node.settings, node.settings_of, node.more = {}, {}, {}, 0
    node.names.lo = true
    for i, row in ipairs(node.data.devices or {}) do
      local path = ("%s.devices[%d]"):format(node.path, i)
      if row.type and node.names[row.name] then
        note(m, path .. ".name", "the name %s is taken by another interface of %s", row.name, node.name)
      elseif row.type then
        add_device(node, row, path)
      elseif not node.names[row.name] then
        note(m, path, "%s has no interface %s%s (one that is made needs a type)", node.name, row.name,
          check.hint(tostring(row.name), words.sorted(node.names)))
      else
        node.settings[row.name] = row
        table.insert(node.settings_of, { row = row, path = path })
      end
    end
  end
end

local function find_strangers(m)
  for _, node in ipairs(m.nodes) do
    for _, key in ipairs { "addresses", "neighbours", "routes", "qdiscs", "classes", "vlans", "fdb" } do
      for i, row in ipairs(node.data[key] or {}) do
        if row.dev ~= nil and not node.names[row.dev] then
          note(m, ("%s.%s[%d].dev"):format(node.path, key, i), "%s has no interface %s%s", node.name,
            tostring(row.dev), check.hint(tostring(row.dev), words.sorted(node.names)))
        end
      end
    end
  end
end

--- Build the model of a well-formed description.
-- @tparam table data a plain description
-- @treturn table `nodes` (in order), `by_name`, `links`, `segments`, `findings`
function model.build(data)
  local m = { nodes = {}, by_name = {}, links = {}, segments = {}, findings = {}, data = data }
  m.families = { [4] = data.ipv4 ~= false, [6] = data.ipv6 ~= false }
  if not (m.families[4] or m.families[6]) then
    note(m, "ipv4", "ipv4 and ipv6 cannot both be switched off")
  end
  add_nodes(m, data)
  add_links(m)
  add_devices(m)
  find_strangers(m)
  find_crowds(m)
  find_narrow(m)
  join_switches(m)
  add_segments(m)
  realms.add(m)
  addressing.add(m)
  return m
end

return model
