--- Sets and maps.
-- @module netns.nft.sets
local core = require "netns.core"
local commit = require "netns.nft.commit"
local elements = require "netns.nft.elements"
local handle = require "netns.nft.handle"
local session = require "netns.nft.session"

-- Elements in a transaction, so that the worker's memory stays small. A set of intervals is read by
-- libnftables for every piece, so that few pieces are better.
local PIECE, PIECE_OF_INTERVALS = 32768, 65536

local methods = handle.methods {}

-- Types of the key's and the value's parts; asked of the kernel where the handle does not say.
local function types_of(set)
  local spec = set.spec
  if not set.types then
    if not spec.type and not spec.typeof then
      local now = handle.fetch(set.nft, set.kind, spec) or {}
      spec.type, spec.typeof, spec.map, spec.flags = now.type, now.typeof, now.map, now.flags
    end
    set.types = elements.types(spec.type)
    set.values = set.kind == "map" and elements.types(spec.map or spec.data) or nil
  end
  return set.types, set.values
end

-- The elements from `first` to `last` as the braces of a command.
local function braces(set, items, first, last, bare)
  local types, values = types_of(set)
  local parts = {}
  for i = first, last do
    parts[#parts + 1] = elements.text(items[i], types, values, bare)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function command(set, verb, items, first, last, bare)
  return ("%s element %s %s"):format(verb, handle.path_of(set), braces(set, items, first, last, bare))
end

local function is_emsgsize(err)
  return getmetatable(err) == core.Error and (err.code == "EMSGSIZE" or err.code == "ENOBUFS" and err.committed == nil)
end

local function is_of_intervals(set)
  local flags = set.spec.flags
  for _, flag in ipairs(type(flags) == "table" and flags or { flags }) do
    if flag == "interval" then
      return true
    end
  end
  return false
end

-- In pieces; a piece that the socket does not take (nothing was sent then) is halved.
local function send(set, verb, items, bare, opts)
  local op = set.kind .. " " .. verb
  if commit.collecting(set.nft) then
    handle.write(set, command(set, verb, items, 1, #items, bare), op)
    return
  end
  local first, piece = 1, is_of_intervals(set) and PIECE_OF_INTERVALS or PIECE
  while first <= #items do
    local last = math.min(first + piece - 1, #items)
    local ok, err = pcall(handle.write, set, command(set, verb, items, first, last, bare), op,
      { events = false, timeout = opts and opts.timeout })
    if ok then
      first = last + 1
    elseif is_emsgsize(err) and last > first then
      piece = (last - first + 1) // 2
    else
      if getmetatable(err) == core.Error and first > 1 then
        err.done = first - 1
        err.kernel = ("%s\n  (%d of %d elements were dealt with before)"):format(err.kernel or "", first - 1, #items)
      end
      error(err, 0)
    end
  end
end

--- Whether so few elements can be part of the set's own creation.
-- @local
function methods.fits(_, items)
  return type(items) ~= "table" or #items <= PIECE
end

--- The command that adds them, in nft's text.
-- @local
function methods:add_text(items)
  items = elements.list(items, self.kind == "map")
  if #items == 0 then
    return ""
  end
  return command(self, "add", items, 1, #items)
end

--- Add elements. Those that are there already stay as they are.
-- More than 32,768 elements (65,536 of a set of intervals) travel in several transactions: bounded
-- memory, but not all or nothing; `done` of the error says how many are in. In a transaction they
-- are all one commit.
-- @tparam table items a list of elements: scalars ("10.0.0.1", 80, "10.0.0.0/24", "10.0.0.1-10.0.0.9"),
--   tables of the parts of a concatenation with `timeout`, `expires`, `comment`, `counter`, and
--   for maps `value`; or for maps a table from keys to values
-- @tparam[opt] table opts `timeout` in seconds for each piece
-- @return the set
-- @usage set:add{ "10.0.0.1", { "10.0.0.2", timeout = "1h", comment = "guest" } }
function methods:add(items, opts)
  items = elements.list(items, self.kind == "map")
  if #items > 0 then
    send(self, "add", items, false, opts)
  end
  return self
end

--- Remove elements; all must be there.
-- @tparam[opt] table items as for `add`; left out: the set itself is deleted
-- @tparam[opt] table opts `timeout` in seconds for each piece
-- @raise netns.Error, ENOENT where one is not there
-- @usage bad:del { "10.0.0.1" }
function methods:del(items, opts)
  if items == nil then
    handle.write(self, ("delete %s %s"):format(self.kind, handle.path_of(self)), self.kind .. " del")
    return self
  end
  local keys = {}
  if type(items) == "table" and items[1] == nil and self.kind == "map" then
    for key in pairs(items) do
      keys[#keys + 1] = key
    end
  else
    keys = elements.list(items, false)
  end
  if #keys > 0 then
    send(self, "delete", keys, true, opts)
  end
  return self
end

methods.delete = methods.del

local function listed(set)
  local o = handle.need(set)
  local is_map, list = set.kind == "map", {}
  for i, item in ipairs(o.elem or {}) do
    list[i] = elements.from_json(item, is_map)
  end
  return list
end

--- All elements, as `add` takes them.
-- @treturn {table,...}
-- @usage other:add(bad:list())
function methods:list()
  return listed(self)
end

--- All elements in a loop.
-- @treturn function the iterator
-- @usage for element in bad:each() do print(element) end
function methods:each()
  local list, i = self:list(), 0
  return function()
    i = i + 1
    return list[i]
  end
end

--- Remove all elements.
-- @treturn Set itself
-- @usage bad:flush()
function methods:flush()
  handle.write(self, ("flush %s %s"):format(self.kind, handle.path_of(self)), self.kind .. " flush")
  return self
end

--- Put these elements in place of those that are there, in one commit.
-- @tparam table items as for `add`
-- @treturn Set itself
-- @usage bad:replace { "192.0.2.1", "192.0.2.2" }
function methods:replace(items)
  local text = ("flush %s %s\n%s"):format(self.kind, handle.path_of(self), self:add_text(items))
  handle.write(self, text, self.kind .. " replace", { events = false })
  return self
end

local unit_seconds = { d = 86400, h = 3600, m = 60, s = 1, ms = 0 }

-- "1h59m3s20ms" -> 7143
local function seconds(text)
  local sum = 0
  for number, unit in (text or ""):gmatch "(%d+)(%l+)" do
    sum = sum + math.tointeger(tonumber(number)) * unit_seconds[unit]
  end
  return text and sum
end

-- What hangs on an element, in nft's text: " timeout 1h expires 59m comment \"x\" counter packets 1 bytes 2 : drop"
local function parse_hanging(text)
  local item = {}
  local packets, bytes = text:match " counter packets (%d+) bytes (%d+)"
  if packets then
    item.counter = { packets = math.tointeger(tonumber(packets)), bytes = math.tointeger(tonumber(bytes)) }
  end
  item.timeout, item.expires = seconds(text:match " timeout ([%ddhms]+)"), seconds(text:match " expires ([%ddhms]+)")
  item.comment = text:match ' comment "([^"]*)"'
  item.value = text:match '^.* : "?(.-)"?$'
  return item
end

-- nft 1.0.6 does not find the prefixes and ranges of a map: look among all.
local function find_listed(map, key)
  local types = types_of(map)
  local text = elements.text(key, types, nil, true)
  for _, item in ipairs(listed(map)) do
    if elements.text(item, types, nil, true) == text then
      return item
    end
  end
end

--- The element that holds a key (in a set of intervals, the interval); nil where there is none.
-- @tparam string|number|table key as for `add`
-- @treturn ?table its parts, with timeout, expires (seconds), comment, counter and value
-- @usage print(bad:find("203.0.113.7").expires)
function methods:find(key)
  local text = command(self, "get", { key }, 1, 1, true)
  local ok, answer = pcall(session.run, self.nft.ns, text .. "\n", {}, self.kind .. " find")
  if not ok then
    if getmetatable(answer) == core.Error and answer.nft == "Could not process rule: No such file or directory" then
      return self.kind == "map" and find_listed(self, key) or nil
    end
    error(answer, 0)
  end
  local found = answer:match "elements = { (.-) }\n" or ""
  local bare = found:match "^(.-) timeout " or found:match "^(.-) expires " or found:match "^(.-) counter "
    or found:match "^(.-) comment " or found:match "^(.-) : " or found
  local item = parse_hanging(found:sub(#bare + 1))
  for part in (bare .. " . "):gmatch '"?(.-)"? %. ' do
    item[#item + 1] = math.tointeger(tonumber(part)) or part
  end
  return item
end

--- Whether a key is in it.
-- @tparam string|number|table key as for `add`
-- @treturn boolean
-- @usage assert(bad:has "192.0.2.77")
function methods:has(key)
  return self:find(key) ~= nil
end

--- Set the counters of all elements to zero; nft 1.0.6 can only put them anew, so that what passes
-- between reading and writing is not counted.
-- @treturn {table,...} the elements as they were
-- @usage for _, was in ipairs(bad:reset()) do print(was[1], was.counter.packets) end
function methods:reset()
  local was, fresh = listed(self), {}
  for i, item in ipairs(was) do
    local copy = item
    if type(item) == "table" then
      copy = {}
      for key, value in pairs(item) do
        copy[key] = value
      end
      copy.counter = item.counter and { packets = 0, bytes = 0 }
    end
    fresh[i] = copy
  end
  self:replace(fresh)
  return was
end

local properties = {
  count = function(set)
    return #(handle.need(set).elem or {})
  end,
}

handle.class("set", "netns.Set", methods, properties)
handle.class("map", "netns.Map", methods, properties)
