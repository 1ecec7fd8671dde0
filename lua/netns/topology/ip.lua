--- Arithmetic on addresses and prefixes, in pure Lua.
--
-- An address is a pair of 64-bit integers, high and low half (0 and the number itself for IPv4); a
-- prefix is a table `{ family = 4 | 6, hi =, lo =, len = }`.
-- @module netns.topology.ip
local ip = {}

local function parse4(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if not a then
    return nil
  end
  local number = 0
  for _, part in ipairs { a, b, c, d } do
    local value = tonumber(part)
    if value > 255 or (#part > 1 and part:sub(1, 1) == "0") then
      return nil
    end
    number = number << 8 | value
  end
  return number
end

-- "1:2:3" to a list of numbers; nil where a group is malformed.
local function groups_of(text)
  local groups = {}
  if text == "" then
    return groups
  end
  for group in (text .. ":"):gmatch "([^:]*):" do
    if not group:match "^%x%x?%x?%x?$" then
      return nil
    end
    groups[#groups + 1] = tonumber(group, 16)
  end
  return groups
end

local function parse6(text)
  local dotted = text:match "[^:]*%.[^:]*$"
  if dotted then
    local number = parse4(dotted)
    if not number then
      return nil
    end
    text = text:sub(1, #text - #dotted) .. ("%x:%x"):format(number >> 16, number & 0xffff)
  end
  local left, right = text:match "^(.-)::(.*)$"
  local groups = groups_of(left or text)
  local tail = left and groups_of(right)
  if not groups or (left and not tail) then
    return nil
  end
  if left then
    if #groups + #tail > 7 then
      return nil
    end
    for _ = 1, 8 - #groups - #tail do
      groups[#groups + 1] = 0
    end
    table.move(tail, 1, #tail, #groups + 1, groups)
  end
  if #groups ~= 8 then
    return nil
  end
  local hi, lo = 0, 0
  for i = 1, 4 do
    hi, lo = hi << 16 | groups[i], lo << 16 | groups[i + 4]
  end
  return hi, lo
end

--- An address in text to its family (4 or 6) and halves; nil where it is none.
function ip.parse(text)
  if type(text) ~= "string" then
    return nil
  end
  if text:find(":", 1, true) then
    local hi, lo = parse6(text)
    if hi then
      return 6, hi, lo
    end
    return nil
  end
  local number = parse4(text)
  if number then
    return 4, 0, number
  end
end

-- Where the longest run of zero groups is (RFC 5952): its first group and length.
local function longest_zeros(groups)
  local best, best_len, start = 0, 1, nil
  for i = 1, 9 do
    if groups[i] == 0 then
      start = start or i
    elseif start then
      if i - start > best_len then
        best, best_len = start, i - start
      end
      start = nil
    end
  end
  return best, best_len
end

--- The text of an address, as the kernel's tools write it.
function ip.format(family, hi, lo)
  if family == 4 then
    return ("%d.%d.%d.%d"):format(lo >> 24 & 255, lo >> 16 & 255, lo >> 8 & 255, lo & 255)
  end
  local groups, words = {}, {}
  for i = 1, 4 do
    groups[i], groups[i + 4] = hi >> (64 - 16 * i) & 0xffff, lo >> (64 - 16 * i) & 0xffff
  end
  local zeros, len = longest_zeros(groups)
  for i = 1, 8 do
    words[i] = ("%x"):format(groups[i])
  end
  if zeros == 0 then
    return table.concat(words, ":")
  end
  return table.concat(words, ":", 1, zeros - 1) .. "::" .. table.concat(words, ":", zeros + len, 8)
end

local function masks(family, len)
  if family == 4 then
    return 0, len == 0 and 0 or (0xffffffff << (32 - len)) & 0xffffffff
  end
  if len <= 64 then
    return len == 0 and 0 or -1 << (64 - len), 0
  end
  return -1, -1 << (128 - len)
end

--- The bits of a family: 32 or 128.
function ip.bits(family)
  return family == 4 and 32 or 128
end

--- "10.0.0.0/24" to a prefix; host bits may be set where `host` is true (an address with its length).
-- nil and the reason where it is none.
function ip.prefix(text, host)
  local address, len = tostring(text):match "^([^/]+)/(%d+)$"
  local family, hi, lo = ip.parse(address or text)
  if not family then
    return nil, "is not an address or prefix"
  end
  len = tonumber(len) or ip.bits(family)
  if len > ip.bits(family) then
    return nil, ("has a length over %d"):format(ip.bits(family))
  end
  local mask_hi, mask_lo = masks(family, len)
  if not host and (hi & ~mask_hi ~= 0 or lo & ~mask_lo ~= 0) then
    return nil, ("has host bits set: %s/%d would be right"):format(ip.format(family, hi & mask_hi, lo & mask_lo), len)
  end
  return { family = family, hi = hi, lo = lo, len = len }
end

--- The network of a prefix, host bits cleared.
function ip.network(p, len)
  len = len or p.len
  local mask_hi, mask_lo = masks(p.family, len)
  return { family = p.family, hi = p.hi & mask_hi, lo = p.lo & mask_lo, len = len }
end

--- Does prefix a hold address or prefix b?
function ip.contains(a, b)
  if a.family ~= b.family or a.len > b.len then
    return false
  end
  local mask_hi, mask_lo = masks(a.family, a.len)
  return a.hi & mask_hi == b.hi & mask_hi and a.lo & mask_lo == b.lo & mask_lo
end

function ip.overlaps(a, b)
  return ip.contains(a, b) or ip.contains(b, a)
end

--- "10.0.0.0/24" of a prefix; hosts without their length when `short`.
function ip.text(p, short)
  local text = ip.format(p.family, p.hi, p.lo)
  return short and p.len == ip.bits(p.family) and text or text .. "/" .. p.len
end

--- The n-th address of a network (0: the network itself), as a host prefix of the network's length.
function ip.host(network, n)
  return { family = network.family, hi = network.hi, lo = network.lo + n, len = network.len }
end

--- How many addresses hosts may have: with network and broadcast address left out for IPv4 networks that have
-- them, at most 2^40.
function ip.capacity(network)
  local host_bits = ip.bits(network.family) - network.len
  if host_bits <= 1 then
    return 1 << host_bits, 0
  end
  if host_bits > 40 then
    return 1 << 40, 1
  end
  return (1 << host_bits) - (network.family == 4 and 2 or 1), 1
end

--- Order: by family, address, length.
function ip.less(a, b)
  if a.family ~= b.family then
    return a.family < b.family
  elseif a.hi ~= b.hi then
    return math.ult(a.hi, b.hi)
  elseif a.lo ~= b.lo then
    return math.ult(a.lo, b.lo)
  end
  return a.len < b.len
end

return ip
