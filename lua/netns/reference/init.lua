--- The reference: what there is, put together with what its comments say.
--
-- One source, the LDoc comments of the Lua part (those of functions written in C stand in
-- lua/netns/reference/core.lua), read when somebody asks, from the files the program itself was loaded from.
-- `netns.help`, the editor definitions, the pages of `make docs` and the manual page all come from here.
--
-- An **entry** is `{ name = "Namespace:run", key = "run", owner =, fn =, doc = block, aliases = { names } }`, a block
-- being what `netns.reference.parse` gives; `doc` is nil where nothing is written. Owners are the modules and
-- classes of `netns.reference.live`, with `entries`, sorted by name, and `doc`.
-- @module netns.reference
local live = require "netns.reference.live"
local parse = require "netns.reference.parse"
require "netns.reference.core"

local reference = {}

-- The comments of all files of this module that are loaded.
local function read_all()
  local found = { lines = {}, names = {}, own = {}, modules = {}, classes = {}, blocks = {} }
  local names = {}
  for name in pairs(package.loaded) do
    if name == "netns" or name:find "^netns%." then
      names[#names + 1] = name
    end
  end
  names[#names + 1] = not package.loaded["netns.repl"] and "netns.repl" or nil -- which to load has effects
  table.sort(names)
  for _, name in ipairs(names) do
    local path = package.searchpath(name, package.path)
    local own = { lines = {}, names = {} }
    for _, block in ipairs(path and parse.file(path) or {}) do
      block.path, block.module = path, name
      found.blocks[#found.blocks + 1] = block
      if block.kind == "module" then
        found.modules[name] = block
      elseif block.kind == "class" then
        found.classes[block.name] = block
      else
        own.lines[block.last + 1] = block
        if block.name then
          own.names[block.name], found.names[block.name] = block, block
        end
      end
    end
    if path then
      found.own[name], found.lines["@" .. path] = own, own.lines
    end
  end
  return found
end

-- The comment right above the function, where it is written in Lua.
local function above(found, fn)
  local info = debug.getinfo(fn, "S")
  local lines = found.lines[info.source]
  local block = lines and lines[info.linedefined]
  return block and not block.name and block or nil
end

-- Names of one function with one comment are one entry; the first by the alphabet that is written about names it.
local function entries_of(found, owner, functions, name_of, named)
  local keys, entries, by_block = {}, {}, {}
  for key, fn in pairs(functions) do
    if type(key) == "string" and not key:find "^__" and type(fn) == "function" then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  for pass = 1, 2 do -- first those that are named, then what has their comment
    for _, key in ipairs(keys) do
      local fn = functions[key]
      local block = named(key)
      local shared = not block and above(found, fn) or nil
      local name = name_of(key)
      if pass == 1 and block and not block["local"] then
        local entry = { name = name, key = key, owner = owner, fn = fn, doc = block, aliases = {} }
        entries[#entries + 1], by_block[block], by_block[fn] = entry, entry, entry
      elseif pass == 2 and not block and not (shared and shared["local"]) then
        local entry = by_block[fn] or (shared and by_block[shared])
        if entry then
          table.insert(entry.aliases, name)
        else
          entry = { name = name, key = key, owner = owner, fn = fn, doc = shared, aliases = {} }
          entries[#entries + 1], by_block[fn] = entry, entry
          if shared then
            by_block[shared] = entry
          end
        end
      end
    end
  end
  table.sort(entries, function(a, b)
    return a.name < b.name
  end)
  return entries
end

local function module_owner(found, module)
  local own = found.own[module.require] or { names = {} }
  local owner = { kind = "module", name = module.name, require = module.require, doc = found.modules[module.require] }
  owner.entries = entries_of(found, owner, module.functions, function(key)
    return module.name .. "." .. key
  end, function(key)
    return own.names[key] or found.names[module.name .. "." .. key]
  end)
  return owner
end

local function class_owner(found, class)
  local owner = { kind = "class", name = class.name, tag = class.tag, parent = class.parent,
    doc = found.classes[class.name] }
  owner.entries = entries_of(found, owner, class.methods, function(key)
    return class.name .. ":" .. key
  end, function(key)
    return found.names[class.name .. ":" .. key]
  end)
  return owner
end

local function index(book, entry)
  for _, name in ipairs { entry.name, table.unpack(entry.aliases) } do
    book.by_name[name] = entry
  end
  book.by_function[entry.fn] = entry
end

local book

--- All of it; read once.
-- @treturn table `owners`: modules, then classes; `by_name`: entries by "Namespace:run" or "netns.open";
--   `by_function`; `by_tag`: classes by the `__name` of their objects; `topics`: further texts by their modules;
--   `blocks`: every comment
function reference.book()
  if book then
    return book
  end
  local found = read_all()
  local made = { owners = {}, by_name = {}, by_function = {}, by_tag = {}, by_owner = {}, topics = {},
    blocks = found.blocks }
  for _, module in ipairs(live.modules) do
    table.insert(made.owners, module_owner(found, module))
  end
  for _, class in ipairs(live.classes) do
    local owner = class_owner(found, class)
    table.insert(made.owners, owner)
    made.by_tag[class.tag] = owner
  end
  for _, name in ipairs(live.topics) do
    made.topics[name] = found.modules[name]
  end
  for _, owner in ipairs(made.owners) do
    made.by_owner[owner.name] = owner
    for _, entry in ipairs(owner.entries) do
      index(made, entry)
    end
  end
  book = made -- as a whole: memory may end in the middle
  return book
end

--- How an entry is called: "ns:run(argv [, opts])" with the names of its parameters.
-- @tparam table entry
-- @treturn string
function reference.signature(entry)
  local text, open = "", 0
  for i, p in ipairs(entry.doc and entry.doc.params or {}) do
    if p.opt then
      text, open = text .. (i > 1 and " [, " or "[") .. p.name, open + 1
    else
      text = text .. (i > 1 and ", " or "") .. p.name
    end
  end
  return ("%s(%s%s)"):format(entry.name, text, ("]"):rep(open))
end

return reference
