--- Keys: what the nouns take and list, from the rows of the core, with words and units.
--
-- Types, limits and names are the core's own (`core.schema`), so that they cannot be wrong here; the words say what a
-- key means and in which unit. Where there are none, the key is the one that iproute2's manual pages explain.
-- @module netns.reference.keys
local core = require "netns.core"
local words = require "netns.reference.words"

local keys = {}

local nouns = {}

--- The nouns of a namespace, in the order of the reference.
-- @treturn {string,...}
function keys.nouns()
  if #nouns == 0 then
    for noun in words.about:gmatch "%f[^\n%z](%S+)" do
      nouns[#nouns + 1] = noun
    end
  end
  return nouns
end

-- "key  words" lines as a table.
local function lines_of(text)
  local found = {}
  for key, meaning in (text or ""):gmatch "(%S+)[ ]+([^\n]+)" do
    found[key] = meaning
  end
  return found
end

local about = lines_of(words.about)

--- What a noun is, in one line.
function keys.about(noun)
  return about[noun] or ""
end

--- Is that a noun?
function keys.is_noun(name)
  return about[name] ~= nil
end

--- The table of keys of a noun.
function keys.table_of(noun)
  return words.table_of[noun] or noun
end

local schema

local function rows()
  schema = schema or core.schema()
  return schema
end

--- The names of all tables of keys: nouns, kinds of links, tables within.
-- @treturn {string,...} sorted
function keys.tables()
  local names = {}
  for name in pairs(rows()) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Is it the table of a noun?
local function of_noun(name)
  for _, noun in ipairs(keys.nouns()) do
    if keys.table_of(noun) == name then
      return true
    end
  end
  return false
end

--- Those that stand within a noun's: the kinds of links, "route nexthop" ...
-- @tparam string noun
-- @treturn {string,...}
function keys.nested(noun)
  local found = {}
  for _, name in ipairs(keys.tables()) do
    local first = name:match "^(%S+) "
    local owner = first and (words.within[first] or first)
    if not of_noun(name) and (keys.is_noun(owner) and owner or "link") == noun then
      found[#found + 1] = name
    end
  end
  return found
end

local texts = {}

local function meaning(name, key)
  texts[name] = texts[name] or lines_of(words.keys[name])
  local own = texts[name][key]
  if not own and not of_noun(name) then
    texts.any = texts.any or lines_of(words.keys.any)
    own = texts.any[key]
  end
  return own
end

--- The keys of a table, sorted: `{ name =, row =, text = }` each; nil where there is no such table.
-- @tparam string name "route", "vlan" (the kind of link), "route nexthop"
-- @treturn ?{table,...}
function keys.of(name)
  local found = rows()[name]
  if not found then
    return nil
  end
  local list = {}
  for key, row in pairs(found) do
    list[#list + 1] = { name = key, row = row, text = meaning(name, key) }
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

--- All words that are written about keys: `fn(table, key)` for each.
function keys.each_meaning(fn)
  for name, text in pairs(words.keys) do
    for key in pairs(lines_of(text)) do
      fn(name, key)
    end
  end
end

local of_type = {
  ifname = "name of an interface", lladdr = "link-layer address", ipv4 = "IPv4 address", ipv6 = "IPv6 address",
  ip = "address", prefix = "prefix", dev = "name or index of a link", custom = nil, table = "table",
  boolean = "boolean", string = "text", time = 'time: "10ms", or seconds', rate = 'rate: "1mbit", or bit/s',
  size = 'size: "10k", or bytes', share = 'share: "1%", or 0 .. 1',
}

-- The least and the greatest number of a row.
local function limits(row)
  local bits = (row.size or 4) * 8
  local signed = row.type == "signed"
  local least = row.min or (signed and -(1 << (bits - 1)) or 0)
  local greatest = row.max or (bits == 64 and math.maxinteger) or (signed and (1 << (bits - 1)) - 1 or (1 << bits) - 1)
  return least, greatest
end

local function names_of(row)
  local quoted = {}
  for i, name in ipairs(row.names) do
    quoted[i] = ('"%s"'):format(name)
  end
  return table.concat(quoted, " ")
end

--- The type of a key with its limits, in words.
-- @tparam table row of core.schema
-- @treturn ?string nil where the core does not tell
function keys.type(row)
  if row.type == "unsigned" or row.type == "signed" then
    return ("integer %d .. %d"):format(limits(row))
  elseif row.type == "name" then
    return #row.names > 0 and "one of " .. names_of(row) or "name or number"
  elseif row.type == "string" and row.max then
    return ("text of at most %d bytes"):format(row.max)
  end
  return of_type[row.type]
end

local flags = {
  { "readonly", "listed only" }, { "create", "only when creating" }, { "given", "given, never listed" },
  { "set", "given only to change" },
}

--- Everything about a key: what it means, its type and limits, when it counts.
-- @tparam table key of `keys.of`
-- @treturn string
function keys.words(key)
  local parts = { key.text }
  parts[#parts + 1] = keys.type(key.row)
  for _, flag in ipairs(flags) do
    if key.row[flag[1]] then
      parts[#parts + 1] = flag[2]
    end
  end
  if key.row.schema then
    parts[#parts + 1] = ('keys: netns.help "%s"'):format(key.row.schema)
  end
  return table.concat(parts, "; ")
end

return keys
