--- What a description means: interfaces, segments, addresses.
--
-- A segment is what shares a subnet: the two ends of a direct link, or all that is attached to switches that are
-- joined. Everything is done in the natural order of names, so that the same description always gives the same
-- addresses, whoever wrote it down in what order.
-- @module netns.topology.model
local ip = require "netns.topology.ip"
local words = require "netns.topology.words"

local model = {}

--- Where addresses come from unless the description says otherwise.
model.pools = { lan4 = "10.0.0.0/9", link4 = "10.128.0.0/9", lan6 = "fd00::/48", link6 = "fd00:0:1::/64" }

local IFNAME_MAX = 15

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
  iface.index = #node.ifaces + (node.switch and 2 or 1)
  return iface
end

local function add_links(m)
  for _, node in ipairs(m.nodes) do
    for i, opts in ipairs(node.data.links or {}) do
      local path = ("%s.links[%d]"):format(node.path, i)
      local other = m.by_name[opts.to]
      if not other then
        note(m, path .. ".to", "there is no node %s%s", opts.to, words.hint(opts.to, words.sorted(m.by_name)))
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
    link.ia.link, link.ib.link = link, link
    link.ia.given, link.ib.given = link.opts.address, link.opts.to_address
    link.ia.given_path, link.ib.given_path = link.path .. ".address", link.path .. ".to_address"
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

-- Subnets ---------------------------------------------------------------------------------------------------------

local function each_text(value)
  return ipairs(type(value) == "table" and value or value ~= nil and { value } or {})
end

local function given_subnets(m)
  for _, segment in ipairs(m.segments) do
    segment.subnets, segment.subnet_paths = {}, {}
    for _, link in ipairs(segment.links) do
      for _, text in each_text(link.opts.subnet) do
        local p = ip.prefix(text)
        local path, before = link.path .. ".subnet", segment.subnets[p.family]
        if before and ip.text(before) ~= ip.text(p) then
          note(m, path, "%s, but %s says %s for the same segment", text, segment.subnet_paths[p.family],
            ip.text(before))
        else
          segment.subnets[p.family], segment.subnet_paths[p.family] = p, path
        end
      end
      -- an address with its length gives the subnet too
      for _, iface in ipairs { link.ia, link.ib } do
        for _, text in each_text(not iface.node.switch and iface.given or nil) do
          local p = ip.prefix(text, true)
          if text:find("/", 1, true) and not segment.subnets[p.family] then
            segment.subnets[p.family], segment.subnet_paths[p.family] = ip.network(p), iface.given_path
          end
        end
      end
    end
  end
end

local function find_overlaps(m)
  local given = {}
  for _, segment in ipairs(m.segments) do
    for family, p in pairs(segment.subnets) do
      given[#given + 1] = { p = p, path = segment.subnet_paths[family], segment = segment }
    end
  end
  table.sort(given, function(a, b)
    return ip.less(a.p, b.p)
  end)
  local widest
  for _, item in ipairs(given) do
    if widest and ip.contains(widest.p, item.p) then
      note(m, item.path, "%s overlaps %s of %s", ip.text(item.p), ip.text(widest.p), widest.path)
    else
      widest = item
    end
  end
  m.given_subnets = given
end

-- How long the prefix of a segment is made.
local function wanted_length(segment, family)
  if segment.kind == "link" then
    return ip.bits(family) - 1
  elseif family == 6 then
    return 64
  end
  local len = 24
  while (1 << (32 - len)) - 2 < #segment.ifaces do
    len = len - 1
  end
  return len
end

-- Next free network of a length in a pool; nil when the pool is used up.
local function allocate(m, pool, len)
  local p = pool.p
  if len < p.len then
    return nil
  end
  while true do
    local candidate
    if p.family == 4 then
      local size = 1 << (32 - len)
      local at = (pool.next + size - 1) // size * size
      candidate = { family = 4, hi = 0, lo = p.lo + at, len = len }
      pool.next = at + size
      if pool.next > 1 << (32 - p.len) then
        return nil
      end
    elseif len <= 64 then
      candidate = { family = 6, hi = p.hi + (pool.next << (64 - len)), lo = 0, len = len }
      pool.next = pool.next + 1
    else
      candidate = { family = 6, hi = p.hi, lo = p.lo + (pool.next << (128 - len)), len = len }
      pool.next = pool.next + 1
    end
    if not ip.contains(p, candidate) then
      return nil
    end
    local free = true
    for _, item in ipairs(m.given_subnets) do
      free = free and not ip.overlaps(item.p, candidate)
    end
    if free then
      return candidate
    end
  end
end

local function assign_subnets(m, data)
  local pools = {}
  for name, text in pairs(model.pools) do
    local given = data.pools and data.pools[name]
    pools[name] = { p = ip.prefix(given or text), next = 0 }
  end
  for _, segment in ipairs(m.segments) do
    for _, family in ipairs { 4, 6 } do
      if segment.subnets[family] and not m.families[family] then
        note(m, segment.subnet_paths[family], "IPv%d is switched off (ipv%d = false)", family, family)
      elseif m.families[family] and not segment.subnets[family] and #segment.ifaces > 0 then
        local name = segment.kind .. family
        segment.subnets[family] = allocate(m, pools[name], wanted_length(segment, family))
        if not segment.subnets[family] then
          note(m, "pools." .. name, "%s has no room for another /%d", ip.text(pools[name].p),
            wanted_length(segment, family))
        end
      end
    end
  end
end

-- Addresses --------------------------------------------------------------------------------------------------------

-- Routers first, then hosts, in natural order.
local function in_order(segment)
  table.sort(segment.ifaces, function(a, b)
    if a.node.forwards ~= b.node.forwards then
      return a.node.forwards
    elseif a.node.number ~= b.node.number then
      return a.node.number < b.node.number
    end
    return a.index < b.index
  end)
end

local function take_given(m, segment, family, subnet, taken)
  for _, iface in ipairs(segment.ifaces) do
    for _, text in each_text(iface.given) do
      local p = ip.prefix(text, true)
      if p.family == family then
        local key = ip.format(family, p.hi, p.lo)
        if not ip.contains(subnet, { family = family, hi = p.hi, lo = p.lo, len = ip.bits(family) }) then
          note(m, iface.given_path, "%s is not in %s, the subnet of the segment", text, ip.text(subnet))
        elseif taken[key] then
          note(m, iface.given_path, "%s is the address of %s already", key, taken[key].node.name)
        end
        taken[key] = iface
        iface.addrs[family] = { family = family, hi = p.hi, lo = p.lo, len = subnet.len }
      end
    end
  end
end

local function assign_addresses(m)
  for _, segment in ipairs(m.segments) do
    in_order(segment)
    for family, subnet in pairs(segment.subnets) do
      local taken = {}
      take_given(m, segment, family, subnet, taken)
      local room, first = ip.capacity(subnet)
      local n, any_given = first, next(taken) ~= nil
      if #segment.ifaces > room then
        note(m, segment.subnet_paths[family] or "pools", "%s has room for %d addresses, %d are needed", ip.text(subnet),
          room, #segment.ifaces)
        room = 0
      end
      for _, iface in ipairs(segment.ifaces) do
        if not iface.addrs[family] and room > 0 then
          local address = ip.host(subnet, n)
          while any_given and taken[ip.format(family, address.hi, address.lo)] do
            n = n + 1
            address = ip.host(subnet, n)
          end
          iface.addrs[family] = address
          n = n + 1
        end
      end
    end
  end
end

local function find_duplicates(m)
  local owner = {}
  for _, node in ipairs(m.nodes) do
    for _, iface in ipairs(node.ifaces) do
      for family, p in pairs(iface.addrs) do
        local key = ip.format(family, p.hi, p.lo)
        if owner[key] and owner[key] ~= iface and iface.given then
          note(m, iface.given_path, "%s is the address of %s already", key, owner[key].node.name)
        end
        owner[key] = iface
      end
    end
  end
end

-- NAT ----------------------------------------------------------------------------------------------------------------

-- The interfaces of a NAT node that lead outside, in the order of preference.
local function find_outs(m, node, nat)
  for i, name in each_text(nat.out) do
    local path = type(nat.out) == "table" and ("%s.nat.out[%d]"):format(node.path, i) or node.path .. ".nat.out"
    local out, found = m.by_name[name], false
    for _, iface in ipairs(out and node.ifaces or {}) do
      if iface.peer_node == out and not iface.outside then
        iface.outside, found = true, true
        node.outs[#node.outs + 1] = iface
      end
    end
    if not out then
      note(m, path, "there is no node %s%s", name, words.hint(name, words.sorted(m.by_name)))
    elseif not found then
      note(m, path, "%s has no link to %s", node.name, name)
    end
  end
end

local function check_publish(m, node, publish)
  local taken = {}
  for i, p in ipairs(publish) do
    local path = ("%s.nat.publish[%d]"):format(node.path, i)
    local target, key = m.by_name[p.to], ("%s %s"):format(p.proto or "tcp", p.port)
    if not (p.port and p.to) then
      note(m, path, "port and to are needed")
    elseif not target then
      note(m, path .. ".to", "there is no node %s%s", p.to, words.hint(p.to, words.sorted(m.by_name)))
    elseif target.switch or target == node or #target.ifaces == 0 then
      note(m, path .. ".to", "%s is not behind %s", p.to, node.name)
    elseif taken[key] then
      note(m, path .. ".port", "%s port %d is published by publish[%d] already", p.proto or "tcp", p.port, taken[key])
    end
    taken[key] = taken[key] or i
  end
end

local function find_nat(m)
  for _, node in ipairs(m.nodes) do
    local nat = node.data.nat
    node.outs = {}
    if nat then
      find_outs(m, node, nat)
      if not node.forwards then
        note(m, node.path .. ".nat", "a %s does not forward; NAT needs a router", node.kind)
      end
      check_publish(m, node, nat.publish or {})
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
  join_switches(m)
  add_segments(m)
  given_subnets(m)
  find_overlaps(m)
  assign_subnets(m, data)
  assign_addresses(m)
  find_duplicates(m)
  find_nat(m)
  return m
end

return model
