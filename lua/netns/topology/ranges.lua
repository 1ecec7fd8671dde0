--- Sorted lists of address ranges: union, difference, and the fewest prefixes that cover them exactly.
--
-- A list is flat: { space, first, past, space, first, past, ... }, without overlaps, neighbours put together. A space
-- is where a prefix's variable bits fit into one integer: all of IPv4; IPv6 prefixes of up to 64 bits by their upper
-- half; longer ones by their lower half, a space for each upper half. Its number is given by a Spaces.
-- @module netns.topology.ranges
local ip = require "netns.topology.ip"

local ranges = {}

-- Spaces ---------------------------------------------------------------------------------------------------------

local Spaces = {}
Spaces.__index = Spaces

--- Numbers for the spaces of prefixes, and the texts of prefixes made.
function ranges.spaces()
  return setmetatable({ { family = 4, top = 32 }, { family = 6, top = 64 }, lower = {}, texts = {} }, Spaces)
end

--- The range of a prefix: space, first, past.
function Spaces:range(p)
  if p.family == 4 then
    return 1, p.lo, p.lo + (1 << (32 - p.len))
  elseif p.len <= 64 then
    return 2, p.hi, p.hi + (p.len == 0 and math.maxinteger or 1 << (64 - p.len))
  end
  local number = self.lower[p.hi]
  if not number then
    number = #self + 1
    self[number] = { family = 6, top = 128, hi = p.hi }
    self.lower[p.hi] = number
  end
  return number, p.lo, p.lo + (1 << (128 - p.len))
end

--- The family of a space.
function Spaces:family(space)
  return self[space].family
end

local exponent = {}
for i = 0, 62 do
  exponent[1 << i] = i
end

-- The text of the prefix that is 2^bits wide; made once.
function Spaces:text(space, first, bits)
  local texts = self.texts[space << 6 | bits]
  if not texts then
    texts = {}
    self.texts[space << 6 | bits] = texts
  end
  local text = texts[first]
  if not text then
    local s = self[space]
    if s.top == 64 then
      text = ("%s/%d"):format(ip.format(6, first, 0), 64 - bits)
    else
      text = ("%s/%d"):format(ip.format(s.family, s.hi or 0, first), s.top - bits)
    end
    texts[first] = text
  end
  return text
end

--- Call fn(text, ...) with each of the fewest prefixes that make up a range.
function Spaces:each_prefix(space, first, past, fn, ...)
  while first ~= past do
    local size = first & -first
    if size <= 0 then -- 0 is aligned to everything
      size = 1 << 62
    end
    while size > past - first do
      size = size >> 1
    end
    fn(self:text(space, first, exponent[size]), ...)
    first = first + size
  end
end

-- Lists ----------------------------------------------------------------------------------------------------------

--- The union of two lists that have nothing in common.
function ranges.union(a, b)
  if #a == 0 then
    return b
  elseif #b == 0 then
    return a
  end
  local out, n, i, j = {}, 0, 1, 1
  while a[i] or b[j] do
    local from, at = a, i
    if not a[i] or b[j] and (b[j] < a[i] or b[j] == a[i] and b[j + 1] < a[i + 1]) then
      from, at, j = b, j, j + 3
    else
      i = i + 3
    end
    if n > 0 and out[n - 2] == from[at] and out[n] == from[at + 1] then
      out[n] = from[at + 2]
    else
      out[n + 1], out[n + 2], out[n + 3] = from[at], from[at + 1], from[at + 2]
      n = n + 3
    end
  end
  return out
end

--- What is in `a` and not in `b`.
function ranges.difference(a, b)
  local out, n, j = {}, 0, 1
  for i = 1, #a, 3 do
    local space, first, past = a[i], a[i + 1], a[i + 2]
    while b[j] and (b[j] < space or b[j] == space and b[j + 2] <= first) do
      j = j + 3
    end
    local k = j
    while b[k] == space and b[k + 1] < past do
      if b[k + 1] > first then
        out[n + 1], out[n + 2], out[n + 3] = space, first, b[k + 1]
        n = n + 3
      end
      first = math.max(first, b[k + 2])
      k = k + 3
    end
    if first < past then
      out[n + 1], out[n + 2], out[n + 3] = space, first, past
      n = n + 3
    end
  end
  return out
end

--- A list of ranges { space, first, past } in any order.
function ranges.list(items)
  table.sort(items, function(x, y)
    if x[1] ~= y[1] then
      return x[1] < y[1]
    end
    return x[2] < y[2]
  end)
  local out = {}
  for _, item in ipairs(items) do
    local n = #out
    if n > 0 and out[n - 2] == item[1] and out[n] >= item[2] then
      out[n] = math.max(out[n], item[3])
    else
      table.move(item, 1, 3, n + 1, out)
    end
  end
  return out
end

return ranges
