--- Elements of sets and maps: what people write, nft's text, and libnftables' JSON.
--
-- An element is a scalar ("10.0.0.1", 80, "10.0.0.0/24", "10.0.0.1-10.0.0.9"), or a table of the
-- parts of a concatenation with what hangs on the element: { "10.0.0.1", 80, timeout = "1h",
-- comment = "x" }. The elements of a map have a `value`.
-- @module netns.nft.elements
local expr = require "netns.nft.expr"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local stmt = require "netns.nft.stmt"

local elements = {}

local options = quote.set "timeout expires comment counter limit quota value stmt"

-- "10.0.0.0/24" and "1-9" are prefixes and ranges, except where a name may look like that.
local function scalar(part, kind)
  if type(part) == "string" and part:find "^[%w.:_]+$" then -- most are
    return '"' .. part .. '"'
  elseif type(part) == "string" and kind ~= "ifname" and kind ~= "string" then
    local addr, len = part:match "^([%x.:]+)/(%d+)$"
    if addr then
      len = quote.integer(math.tointeger(tonumber(len)), "a prefix length", 0, 128)
      return quote.string(addr, "an address") .. "/" .. len
    end
    local first, last = part:match "^([%x.:]+)%-([%x.:]+)$"
    if first and (first:find "[.:]" and last:find "[.:]" or (first .. last):find "^%d+$") then
      return quote.string(first, "a value") .. "-" .. quote.string(last, "a value")
    end
  end
  return expr.text(part)
end

local function is_expression(part)
  return type(part) == "table" and part[1] == nil and next(part) ~= nil
end

-- The parts of a concatenation, joined.
local function key_text(item, types)
  if type(item) ~= "table" or (is_expression(item) and item.value == nil and expr.kinds[next(item)]) then
    return scalar(item, types[1])
  end
  local parts = {}
  for i, part in ipairs(item) do
    parts[i] = scalar(part, types[i])
  end
  if #parts == 0 then
    check.refuse("an element has at least one part, as in { \"10.0.0.1\", timeout = \"1h\" }")
  end
  return table.concat(parts, " . ")
end

local verdicts = { accept = true, drop = true, continue = true, ["return"] = true }

local function value_text(value, types)
  if types[1] == "verdict" and type(value) == "string" then
    local verb, target = value:match "^(%l+)%s+(%S+)$"
    if verdicts[value] then
      return value
    elseif verb == "jump" or verb == "goto" then
      return verb .. " " .. quote.name(target, "chain")
    end
    check.refuse("a verdict is accept, drop, continue, return, \"jump CHAIN\" or \"goto CHAIN\", got %s",
      check.show(value))
  end
  return key_text(value, types)
end

local function hanging(item)
  local parts = {}
  local function say(text)
    parts[#parts + 1] = text
  end
  for _, kind in ipairs { "counter", "limit", "quota" } do
    if item[kind] ~= nil then
      say(stmt.text { [kind] = item[kind] })
    end
  end
  for _, statement in ipairs(item.stmt or {}) do
    say(stmt.text(statement))
  end
  if item.timeout ~= nil then
    say("timeout " .. quote.time(item.timeout, "timeout"))
  end
  if item.expires ~= nil then
    say("expires " .. quote.time(item.expires, "expires"))
  end
  if item.comment ~= nil then
    say("comment " .. quote.comment(item.comment))
  end
  return #parts > 0 and " " .. table.concat(parts, " ") or ""
end

--- One element as nft's text.
-- @param item a scalar or a table
-- @tparam table types of the key's parts: { "ipv4_addr", "inet_service" }; {} where not known
-- @tparam[opt] table values types of the value's parts, for a map
-- @tparam[opt] boolean bare only the key, as `delete` takes it
function elements.text(item, types, values, bare)
  if type(item) ~= "table" or is_expression(item) and expr.kinds[next(item)] then
    if values and not bare then
      check.refuse("an element of a map is a table with a `value`, as in { %s, value = ... }", check.show(item))
    end
    return scalar(item, types[1])
  end
  for key in pairs(item) do
    if math.type(key) ~= "integer" and not options[key] then
      check.keys({ [key] = true }, options, "element")
    end
  end
  local text = key_text(item, types)
  if bare then
    return text
  end
  text = text .. hanging(item)
  if values then
    if item.value == nil then
      check.refuse("an element of a map needs a value: { %s, value = ... }", check.show(item[1]))
    end
    return text .. " : " .. value_text(item.value, values)
  elseif item.value ~= nil then
    check.refuse "an element of a set has no value"
  end
  return text
end

--- What people may write, as a list: { "10.0.0.1" = "accept" } for maps, and single elements.
function elements.list(items, is_map)
  if type(items) ~= "table" then
    items = { items }
  end
  if is_map and items[1] == nil then
    local list = {}
    for key, value in pairs(items) do
      list[#list + 1] = { key, value = value }
    end
    return list
  elseif not is_map and items[1] == nil and next(items) ~= nil then
    check.refuse "elements must be a list"
  end
  return items
end

--- "ipv4_addr . inet_service" or { "ipv4_addr", "inet_service" } -> the latter
function elements.types(kind)
  if type(kind) == "table" then
    return kind
  end
  local types = {}
  for name in (kind or ""):gmatch "[^%s.]+" do
    types[#types + 1] = name
  end
  return types
end

-- JSON's { prefix = } and { range = } as people write them; other expressions stay.
local function plain(value)
  if type(value) == "table" then
    if value.prefix then
      return ("%s/%d"):format(value.prefix.addr, value.prefix.len)
    elseif value.range then
      return ("%s-%s"):format(value.range[1], value.range[2])
    end
  end
  return value
end

local function parts_of(value)
  if type(value) ~= "table" or not value.concat then
    return { plain(value) }
  end
  local parts = {}
  for i, part in ipairs(value.concat) do
    parts[i] = plain(part)
  end
  return parts
end

local function verdict(value)
  local key, argument = next(value)
  return argument == true and key or key .. " " .. argument.target
end

local function value_of(value)
  if type(value) ~= "table" then
    return value
  elseif value.concat then
    return parts_of(value)
  elseif value.accept or value.drop or value["return"] or value["continue"] or value.jump or value["goto"] then
    return verdict(value)
  end
  return plain(value)
end

--- An element of libnftables' JSON as `elements.text` takes it.
function elements.from_json(json, is_map)
  local key, value = json, nil
  if is_map then
    key, value = json[1], json[2]
  end
  local extra = type(key) == "table" and key.elem
  local item = parts_of(extra and extra.val or key)
  if extra then
    for name, argument in pairs(extra) do
      if name ~= "val" then
        item[name] = argument
      end
    end
  elseif not is_map and #item == 1 then
    return item[1]
  end
  if is_map then
    item.value = value_of(value)
  end
  return item
end

return elements
