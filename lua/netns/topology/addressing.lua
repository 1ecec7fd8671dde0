--- Subnets of segments and addresses of interfaces, given or from pools.
-- @module netns.topology.addressing
local ip = require "netns.topology.ip"
local realms = require "netns.topology.realms"
local words = require "netns.topology.words"

local addressing = {}

--- Where addresses come from unless the description says otherwise.
addressing.pools = { lan4 = "10.0.0.0/9", link4 = "10.128.0.0/9", lan6 = "fd00::/48", link6 = "fd00:0:1::/64" }

local function note(m, path, message, ...)
  m.findings[#m.findings + 1] = { path = path, message = message:format(...) }
end

-- Subnets ---------------------------------------------------------------------------------------------------------

local function given_subnets(m)
  for _, segment in ipairs(m.segments) do
    segment.subnets, segment.subnet_paths = {}, {}
    for _, link in ipairs(segment.links) do
      for _, text in words.each(link.opts.subnet) do
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
        for _, text in words.each(not iface.node.switch and iface.given or nil) do
          local p = ip.prefix(text, true)
          if text:find("/", 1, true) and not segment.subnets[p.family] then
            segment.subnets[p.family], segment.subnet_paths[p.family] = ip.network(p), iface.given_path
          end
        end
      end
    end
  end
end

-- Two that overlap, where somebody sees both.
local function find_overlaps(m)
  local given, wider = {}, {}
  for _, segment in ipairs(m.segments) do
    for family, p in pairs(segment.subnets) do
      given[#given + 1] = { p = p, path = segment.subnet_paths[family], segment = segment }
    end
  end
  table.sort(given, function(a, b)
    if ip.less(a.p, b.p) or ip.less(b.p, a.p) then
      return ip.less(a.p, b.p)
    end
    return a.segment.number < b.segment.number
  end)
  for _, item in ipairs(given) do
    while #wider > 0 and not ip.contains(wider[#wider].p, item.p) do
      wider[#wider] = nil
    end
    for _, other in ipairs(wider) do
      if realms.conflict(other.segment, item.segment) then
        note(m, item.path, "%s overlaps %s of %s", ip.text(item.p), ip.text(other.p), other.path)
        break
      end
    end
    wider[#wider + 1] = item
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
  for name, text in pairs(addressing.pools) do
    local given = data.pools and data.pools[name]
    pools[name] = { p = ip.prefix(given or text), next = 0 }
  end
  for _, segment in ipairs(m.segments) do
    for _, family in ipairs { 4, 6 } do
      if segment.subnets[family] and not m.families[family] then
        note(m, segment.subnet_paths[family], "IPv%d is switched off (ipv%d = false)", family, family)
      elseif m.families[family] and not segment.subnets[family] and #segment.ifaces > 0
        and data.addressing ~= false then
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
    for _, text in words.each(iface.given) do
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
        if not iface.addrs[family] and room > 0 and m.data.addressing ~= false then
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
  local owners = {}
  for _, node in ipairs(m.nodes) do
    for _, iface in ipairs(node.ifaces) do
      for family, p in pairs(iface.addrs) do
        local key = ip.format(family, p.hi, p.lo)
        owners[key] = owners[key] or {}
        for _, other in ipairs(owners[key]) do
          if iface.given and other ~= iface and realms.conflict(other.segment, iface.segment) then
            note(m, iface.given_path, "%s is the address of %s already", key, other.node.name)
            break
          end
        end
        table.insert(owners[key], iface)
      end
    end
  end
end

--- Give every segment its subnets and every interface its addresses.
function addressing.add(m)
  given_subnets(m)
  find_overlaps(m)
  assign_subnets(m, m.data)
  assign_addresses(m)
  find_duplicates(m)
end

return addressing
