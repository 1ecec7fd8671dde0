--- `netns.help`: explains functions, objects and names, from the reference.
-- @module netns.reference.help
local check = require "netns.check"
local keys = require "netns.reference.keys"
local live = require "netns.reference.live"
local printing = require "netns.print"
local prose = require "netns.reference.prose"
local reference = require "netns.reference"

local help = {}

local function width()
  return math.max(40, math.min(printing.width() or 80, 100))
end

local function append(out, lines)
  table.move(lines, 1, #lines, #out + 1, out)
end

-- Names to the left, words to the right of them.
local function columns(rows, indent)
  local out, widest = {}, 0
  for _, row in ipairs(rows) do
    widest = math.max(widest, math.min(#row[1], 30))
  end
  local further = indent .. (" "):rep(widest + 2)
  for _, row in ipairs(rows) do
    local first = indent .. row[1] .. (" "):rep(math.max(widest - #row[1], 0) + 2)
    append(out, prose.wrap(row[2], width(), first, further))
  end
  return out
end

-- Functions -------------------------------------------------------------------------------------------------------

local function typed(item)
  local kind = item.type
  if item.default then
    kind = kind .. ", default " .. item.default
  elseif item.opt then
    kind = kind .. ", optional"
  end
  return item.text ~= "" and ("(%s) %s"):format(kind, item.text) or ("(%s)"):format(kind)
end

local function function_text(entry)
  local doc = entry.doc
  local out = { reference.signature(entry) }
  if #entry.aliases > 0 then
    out[#out + 1] = "also: " .. table.concat(entry.aliases, ", ")
  end
  out[#out + 1] = ""
  append(out, prose.plain(doc.text, width()))
  local rows = {}
  for _, p in ipairs(doc.params) do
    rows[#rows + 1] = { p.name, typed(p) }
  end
  for _, r in ipairs(doc.returns) do
    rows[#rows + 1] = { "returns", typed(r) }
  end
  for _, text in ipairs(doc.raises) do
    rows[#rows + 1] = { "raises", text }
  end
  if #rows > 0 then
    out[#out + 1] = ""
    append(out, columns(rows, "  "))
  end
  for _, usage in ipairs(doc.usage) do
    out[#out + 1] = ""
    append(out, prose.plain("    " .. usage:gsub("\n", "\n    "), width()))
  end
  return table.concat(out, "\n")
end

-- Modules and classes ---------------------------------------------------------------------------------------------

local function owner_text(owner)
  local doc = owner.doc
  local out = { owner.kind == "class" and owner.tag or owner.require, "" }
  append(out, prose.plain(doc.text, width()))
  local rows = {}
  for _, field in ipairs(doc.fields) do
    rows[#rows + 1] = { field.name, typed(field) }
  end
  if #rows > 0 then
    append(out, { "", "Fields" })
    append(out, columns(rows, "  "))
  end
  rows = {}
  for _, entry in ipairs(owner.entries) do
    rows[#rows + 1] = { reference.signature(entry), entry.doc and entry.doc.summary or "" }
  end
  if #rows > 0 then
    append(out, { "", owner.kind == "class" and "Methods" or "Functions" })
    append(out, columns(rows, "  "))
  end
  if owner.parent then
    append(out, { "", ("and what a %s can: netns.help \"%s\""):format(owner.parent, owner.parent) })
  end
  for _, usage in ipairs(doc.usage) do
    out[#out + 1] = ""
    append(out, prose.plain("    " .. usage:gsub("\n", "\n    "), width()))
  end
  return table.concat(out, "\n")
end

local function topic_text(name, block)
  local out = { name, "" }
  append(out, prose.plain(block.text, width()))
  return table.concat(out, "\n")
end

-- Keys ------------------------------------------------------------------------------------------------------------

local function key_rows(list)
  local rows = {}
  for i, key in ipairs(list) do
    rows[i] = { key.name, keys.words(key) }
  end
  return rows
end

local function keys_text(name)
  local out = { "keys of " .. name, "" }
  append(out, columns(key_rows(keys.of(name)), "  "))
  return table.concat(out, "\n")
end

local function noun_text(noun)
  local out = { "ns." .. noun, "", keys.about(noun), "" }
  local verbs = {}
  for _, entry in ipairs(reference.book().by_owner.Noun.entries) do
    verbs[#verbs + 1] = entry.key
  end
  append(out, prose.wrap("Verbs: " .. table.concat(verbs, " "), width(), "", "  "))
  out[#out + 1] = ""
  append(out, columns(key_rows(keys.of(keys.table_of(noun))), "  "))
  local nested = keys.nested(noun)
  if #nested > 0 then
    out[#out + 1] = ""
    append(out, prose.wrap("Further tables of keys: " .. table.concat(nested, " "), width(), "", "  "))
  end
  if keys.table_of(noun) ~= noun and keys.of(noun) then
    append(out, { "", keys_text(noun) }) -- the kind of link of that name
  end
  return table.concat(out, "\n")
end

-- Finding ---------------------------------------------------------------------------------------------------------

local function owner_of(object)
  local book = reference.book()
  for _, module in ipairs(live.modules) do
    if rawequal(module.functions, object) then
      return book.by_owner[module.name]
    end
  end
  local meta = getmetatable(object)
  local tag = type(meta) == "string" and meta or type(meta) == "table" and rawget(meta, "__name")
  return tag and book.by_tag[tag]
end

local function overview()
  local rows = {}
  for _, owner in ipairs(reference.book().owners) do
    rows[#rows + 1] = { owner.name, owner.doc and owner.doc.summary or "" }
  end
  for _, noun in ipairs(keys.nouns()) do
    rows[#rows + 1] = { noun, keys.about(noun) }
  end
  local out = { "netns.help(x)", "", "x is a function, an object, or a name: one of these, "
    .. "\"Namespace:run\", \"route:add\", \"route.metric\".", "" }
  append(out, columns(rows, "  "))
  return table.concat(out, "\n")
end

-- "route:add": the verb, and the keys of the noun.
local function verb_text(noun, verb)
  local entry = reference.book().by_name["Noun:" .. verb]
  if entry and keys.is_noun(noun) then
    return function_text(entry) .. "\n\n" .. noun_text(noun)
  end
end

-- "route.metric", "vlan.id"
local function key_text(name, key)
  for _, of in ipairs { keys.table_of(name), name } do
    for _, row in ipairs(keys.of(of) or {}) do
      if row.name == key then
        return ("%s\n\n%s"):format(name .. "." .. key, keys.words(row))
      end
    end
  end
end

-- Names of functions whatever they belong to: "run".
local function loose(name)
  local found = {}
  for _, owner in ipairs(reference.book().owners) do
    for _, entry in ipairs(owner.entries) do
      if entry.key == name then
        found[#found + 1] = function_text(entry)
      end
    end
  end
  return #found > 0 and table.concat(found, "\n\n") or nil
end

-- Variables that examples use for objects.
local usual = { ns = "Namespace", fw = "Table", process = "Process", server = "Process", probes = "Probes",
  t = "Topology" }

local function capital(name)
  return usual[name] or (name:gsub("^%l", string.upper))
end

local function entry_named(name)
  local by_name = reference.book().by_name
  local owner, separator, key = name:match "^([%w_.]-)([:.])([%w_]+)$"
  if not owner then
    return nil
  end
  local last = owner:match "[^.]+$" or owner
  return by_name[name] or by_name[last .. separator .. key] or by_name[capital(last) .. ":" .. key]
    or by_name[last .. "." .. key]
end

local function by_name(name)
  local book = reference.book()
  local entry = entry_named(name)
  if entry then
    return function_text(entry)
  end
  local owner, key = name:match "^([%w_ ]+)[:.]([%w_]+)$"
  local text = owner and (verb_text(owner, key) or key_text(owner, key))
  if text then
    return text
  elseif keys.is_noun(name) then
    return noun_text(name)
  elseif book.by_owner[name] or book.by_owner[capital(name)] then
    return owner_text(book.by_owner[name] or book.by_owner[capital(name)])
  end
  local topic = book.topics[name] or book.topics["netns." .. name]
  if topic then
    return topic_text(topic.name, topic)
  end
  return keys.of(name) and keys_text(name) or loose(name)
end

-- All names there are, for hints and for completion.
local function names()
  local list, book = {}, reference.book()
  for name in pairs(book.by_name) do
    list[#list + 1] = name
  end
  for _, owner in ipairs(book.owners) do
    list[#list + 1] = owner.name
  end
  for name in pairs(book.topics) do
    list[#list + 1] = name
  end
  for _, name in ipairs(keys.tables()) do
    list[#list + 1] = name
    for _, key in ipairs(keys.of(name)) do
      list[#list + 1] = name .. "." .. key.name
    end
  end
  for _, noun in ipairs(keys.nouns()) do
    for _, entry in ipairs(book.by_owner.Noun.entries) do
      list[#list + 1] = noun .. ":" .. entry.key
    end
  end
  table.sort(list)
  return list
end

-- The entry of a function: as it was when the reference was read, or as it is now (a trace puts others in its place).
local function entry_of(fn)
  local book = reference.book()
  local entry = book.by_function[fn]
  for _, kind in ipairs(entry and {} or { { live.modules, "functions", "." }, { live.classes, "methods", ":" } }) do
    for _, owner in ipairs(kind[1]) do
      for key, value in pairs(owner[kind[2]]) do
        entry = entry or rawequal(value, fn) and book.by_name[owner.name .. kind[3] .. tostring(key)] or nil
      end
    end
  end
  return entry
end

--- What x is: see `netns.help`.
function help.help(...)
  local x = ...
  if select("#", ...) == 0 then
    return overview()
  elseif type(x) == "string" then
    local text = by_name(x)
    if not text then
      check.refuse("help: nothing is known of %s%s", check.show(x), check.hint(x, names()))
    end
    return text
  elseif type(x) == "function" then
    local entry = entry_of(x)
    if not entry then
      check.refuse "help: this function is not one of netns"
    end
    return function_text(entry)
  end
  local owner = owner_of(x)
  if not owner then
    check.refuse("help: a function, an object or a name of netns expected, got %s", check.show(x))
  elseif owner.tag == "netns.Noun" then
    return noun_text(tostring(x):match "^%S+")
  end
  return owner_text(owner)
end

return help
