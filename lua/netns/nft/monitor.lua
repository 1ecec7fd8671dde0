--- Watching nftables: changes by anyone.
--
-- An event is a table with `event` ("new" or "del"), `kind` ("table", "chain", "rule", "set",
-- "element", "flowtable", "counter" ..., "generation"), `family`, `table`, and what else the
-- kernel tells: name, handle, chain, comment, flags. A commit ends with a "generation", which
-- tells its `id` and the `pid` and name of the `process`. Elements are raw bytes in `key`, and
-- where the type of the set is known, readable in `value`. An event of kind "overrun" stands for
-- those that were lost because they came faster than they were read.
-- @module netns.nft.monitor
local core = require "netns.core"
local session = require "netns.nft.session"

local monitor = {}

local methods = core.NftMonitor
local sets = setmetatable({}, { __mode = "k" }) -- by monitor: types of keys by "family table set"

local function ipv6(bytes)
  local groups = {}
  for i = 1, 16, 2 do
    groups[#groups + 1] = ("%x"):format((">I2"):unpack(bytes, i))
  end
  local text, best = table.concat(groups, ":"), ""
  for zeros in (":" .. text .. ":"):gmatch ":([0:]*0):" do
    if #zeros > #best and #zeros > 1 then
      best = zeros
    end
  end
  if best == "" then
    return text
  end
  local from, to = (":" .. text .. ":"):find(":" .. best .. ":", 1, true)
  local all = ":" .. text .. ":"
  return ((all:sub(2, from - 1) .. "::" .. all:sub(to + 1, -2)))
end

local function number(bytes)
  return #bytes <= 8 and (">I" .. #bytes):unpack(bytes) or nil
end

-- Numbers of libnftables' data types, and how a value of it reads.
local readers = {
  [7] = function(bytes)
    return ("%d.%d.%d.%d"):format(bytes:byte(1, 4))
  end,
  [8] = ipv6,
  [9] = function(bytes)
    return (("%02x:"):rep(#bytes):sub(1, -2):format(bytes:byte(1, -1)))
  end,
  [12] = number,
  [13] = number,
  [19] = function(bytes)
    return (("=I" .. #bytes):unpack(bytes))
  end,
  [41] = function(bytes)
    return (bytes:gsub("%z+$", ""))
  end,
}
local sizes = { [7] = 4, [8] = 16, [9] = 6, [12] = 1, [13] = 2, [19] = 4, [41] = 16 }

-- A concatenation's type has six bits for each part; each part fills whole words.
local function value_of(bytes, kind)
  local kinds = {}
  while kind > 0 do
    table.insert(kinds, 1, kind & 63)
    kind = kind >> 6
  end
  if #kinds == 1 then
    local reader = readers[kinds[1]]
    return reader and #bytes >= sizes[kinds[1]] and reader(bytes) or nil
  end
  local parts, at = {}, 1
  for i, part in ipairs(kinds) do
    local size = sizes[part]
    if not size or #bytes < at + size - 1 then
      return nil
    end
    parts[i] = readers[part](bytes:sub(at, at + size - 1))
    at = at + (size + 3) // 4 * 4
  end
  return parts
end

local function path(event)
  return table.concat({ event.family or "", event.table or "", event.set or event.name or "" }, " ")
end

local function explain(self, event)
  local known = sets[self]
  if event.kind == "set" then
    known[path(event)] = event.event == "new" and event.key_type or nil
  elseif event.kind == "element" then
    local kind = known[path(event)]
    for _, element in ipairs(event.elements or {}) do
      if kind and element.key then
        element.value = value_of(element.key, kind)
      end
    end
  end
  return event
end

--- Start watching.
-- @tparam Namespace ns
-- @treturn Monitor
function monitor.new(ns)
  local self = core.nft_monitor(ns)
  local known = {}
  for _, set in ipairs(session.dump(ns)) do
    if set.kind == "set" then
      known[path(set)] = set.key_type
    end
  end
  sets[self] = known
  return self
end

--- The next event, waiting for it at most `timeout` seconds.
-- @tparam[opt] number timeout default: for ever; 0: only what is there
-- @treturn ?table nil when none came
-- @usage local event = monitor:next(0.5)
function methods:next(timeout)
  local event = self:receive(timeout)
  return event and explain(self, event)
end

--- Events in a loop, until none comes for `timeout` seconds.
-- @usage for event in monitor:each(1) do print(event.event, event.kind) end
-- @tparam[opt] number timeout default: for ever
-- @treturn function the iterator
function methods:each(timeout)
  return function()
    return methods.next(self, timeout)
  end
end

return monitor
