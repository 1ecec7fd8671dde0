--- Completion at the prompt: what the word before the cursor may become, from what is there and from the reference.
--
-- Nothing is called, and no object of the kernel asked: fields lead from class to class as the reference says.
-- @module netns.repl.complete
local core = require "netns.core"
local keys = require "netns.reference.keys"
local reference = require "netns.reference"

local complete = {}

-- What is known of a value: `{ value = }` of a plain table, or `{ class = owner, noun = }` of an object.
local function known(value)
  local meta = getmetatable(value)
  local tag = type(meta) == "string" and meta or type(meta) == "table" and rawget(meta, "__name")
  local class = tag and reference.book().by_tag[tag]
  if class then
    return { class = class, noun = class.name == "Noun" and tostring(value):match "^%S+" or nil, object = value }
  elseif type(value) == "table" then
    return { value = value }
  end
end

-- One step further: the field of a table, or of an object as the reference types it.
local function step(from, name)
  if from.value then
    return known(rawget(from.value, name))
  end
  if from.class.name == "Lab" then
    return from.object and known(from.object:node(name))
  end
  for _, field in ipairs(from.class.doc.fields) do
    if field.name == name then
      local class = reference.book().by_owner[field.type:match "^%??(%w+)"]
      return class and { class = class, noun = class.name == "Noun" and name or nil }
    end
  end
end

-- "a.b:c" before its last name: what it leads to.
local function resolve(path)
  local at = { value = _G }
  for name in path:gmatch "[%w_]+" do
    at = at and step(at, name)
  end
  return at
end

local function members(at, separator)
  local names = {}
  if at.value then
    for name in pairs(at.value) do
      names[#names + 1] = type(name) == "string" and name:find "^[%a_][%w_]*$" and name or nil
    end
    return names
  end
  local class = at.class
  while class do
    for _, entry in ipairs(class.entries) do
      for _, name in ipairs { entry.name, table.unpack(entry.aliases) } do
        names[#names + 1] = name:match "[%w_]+$"
      end
    end
    if separator == "." then
      for _, field in ipairs(class.doc.fields) do
        names[#names + 1] = field.name
      end
    end
    class = class.parent and reference.book().by_owner[class.parent]
  end
  if class == nil and at.class.name == "Lab" and at.object then
    table.move(at.object:names(), 1, #at.object:names(), #names + 1, names)
  end
  return names
end

local function matching(names, prefix, before)
  local found, seen = {}, {}
  for _, name in ipairs(names) do
    if name:sub(1, #prefix) == prefix and not seen[name] then
      seen[name] = true
      found[#found + 1] = before .. name
    end
  end
  table.sort(found)
  return found
end

-- In the braces of a noun's verb, `ns.route:add { ds`: the keys.
local function keys_for(before, word)
  local path = before:match "([%w_.]+):%a+%s*%(?%s*{[^{}]*$"
  local at = path and word:find "^[%w_]*$" and resolve(path)
  if at and at.noun then
    local names = {}
    for _, key in ipairs(keys.of(keys.table_of(at.noun)) or {}) do
      names[#names + 1] = not key.row.readonly and key.name or nil
    end
    return matching(names, word, "")
  end
end

-- Names that begin with what stands in the string already: what they have from the word on.
local function within(names, lead, word)
  local rest = {}
  for _, name in ipairs(names) do
    rest[#rest + 1] = name:sub(1, #lead) == lead and name:sub(#lead + 1) or nil
  end
  return matching(rest, word, "")
end

-- In the string of `netns.open "re`: names of namespaces; of `help "ro`: names of the reference.
local function strings_for(before, word)
  local fn, lead = before:match "([%w_.]+)%s*%(?%s*[\"']([^\"']*)$"
  if not fn then
    return nil
  elseif fn:find "open$" or fn:find "delete$" then
    return within(core.list(), lead, word)
  elseif fn:find "help$" then
    local names = keys.nouns()
    local list = table.move(names, 1, #names, 1, {})
    for name in pairs(reference.book().by_name) do
      list[#list + 1] = name
    end
    for name in pairs(reference.book().by_owner) do
      list[#list + 1] = name
    end
    return within(list, lead, word)
  end
end

--- What a word may become.
-- @tparam string line the line up to the cursor
-- @tparam integer start where the word begins in it
-- @treturn {string,...} sorted
function complete.words(line, start)
  local before, word = line:sub(1, start - 1), line:sub(start)
  local special = strings_for(before, word) or keys_for(before, word)
  if special and #special > 0 then
    return special
  end
  local path, separator, last = word:match "^([%w_.:]-)([.:])([%w_]*)$"
  if not path then
    return matching(members({ value = _G }, "."), word, "")
  end
  local at = resolve(path)
  return at and matching(members(at, separator), last, path .. separator) or {}
end

return complete
