--- What all handles and nouns of nftables share.
--
-- A handle stands for an object in the kernel: a Table, Chain, Set ... A noun makes and finds them:
-- `fw.chain` has add, get, list, del, replace, and called as a method, `fw:chain{...}`, gives the
-- handle of a chain that is created unless it is there.
-- @module netns.nft.handle
local core = require "netns.core"
local commit = require "netns.nft.commit"
local listing = require "netns.nft.listing"
local object = require "netns.nft.object"
local check = require "netns.check"

local handle = {}

-- Classes by kind: what the noun of that kind gives.
handle.classes = {}

--- "inet filter input"
local function path_of(h)
  return object.path(h.kind, h.spec)
end

local function same(a, b)
  return type(b) == "table" and a.kind == b.kind and a.nft and b.nft and a.nft.ns == b.nft.ns
    and path_of(a) == path_of(b) and a.handle == b.handle
end

--- A new class of handles.
-- @tparam string kind "chain"
-- @tparam string name "netns.Chain"
-- @tparam table methods
-- @tparam[opt] table properties functions of the handle; reading one asks the kernel
-- @tparam[opt] {string,...} nouns kinds of objects inside
function handle.class(kind, name, methods, properties, nouns)
  local contains = {}
  for _, noun in ipairs(nouns or {}) do
    contains[noun] = true
  end
  local meta = { __name = name, __metatable = name, __eq = same, methods = methods }
  function meta.__index(h, key)
    if methods[key] then
      return methods[key]
    elseif properties and properties[key] then
      return properties[key](h)
    elseif contains[key] then
      local noun = handle.noun(rawget(h, "nft"), key, h)
      rawset(h, key, noun)
      return noun
    end
    return rawget(h, "spec")[key]
  end
  function meta.__tostring(h)
    return ("%s %s in %s"):format(h.kind, path_of(h), tostring(h.nft.ns))
  end
  handle.classes[kind] = meta
  return meta
end

--- The handle of an object.
-- @tparam table nft
-- @tparam string kind
-- @tparam table spec at least family, table and name
function handle.new(nft, kind, spec)
  return setmetatable({ nft = nft, kind = kind, spec = spec, handle = false }, handle.classes[kind])
end

--- Its keys as the kernel has them now; nil where it is gone.
function handle.fetch(nft, kind, spec)
  local command = ("list %s %s"):format(kind, object.path(kind, spec))
  local ok, list = pcall(listing.list, nft.ns, command, { op = kind .. " get" })
  if not ok then
    if getmetatable(list) == core.Error and list.code == "ENOENT" then
      return nil
    end
    error(list, 0)
  end
  for _, entry in ipairs(list) do
    local o = entry[kind]
    if o and o.name == spec.name and o.family == spec.family then
      return o, list
    end
  end
end

--- The same; an error where it is gone.
function handle.need(h)
  local o, list = handle.fetch(h.nft, h.kind, h.spec)
  if not o then
    local errno, code, words = core.nft_errno "No such file or directory"
    error(setmetatable({ op = h.kind .. " get", object = path_of(h), netns = tostring(h.nft.ns), code = code,
      errno = errno, message = words }, core.Error), 0)
  end
  return o, list
end

function handle.write(h, text, op, opts)
  return commit.write(h.nft, { text = text, op = op, object = path_of(h) }, opts)
end

-- ---- nouns ------------------------------------------------------------------------------

local noun_methods = {}
local noun_meta = { __name = "netns.NftNoun", __metatable = "netns.NftNoun" }

noun_meta.__index = noun_methods

--- The noun of objects of a kind, in `parent` (a Table), or of the whole ruleset for tables.
function handle.noun(nft, kind, parent)
  local meta = handle.classes[kind].noun or noun_meta
  return setmetatable({ nft = nft, kind = kind, parent = parent }, meta)
end

-- The object's keys with family and table filled in. A string is a name.
local function complete(noun, given, op)
  local spec = {}
  if type(given) == "string" then
    given = { name = given }
  elseif type(given) ~= "table" then
    check.refuse("%s %s: expected a name or a table, got %s", noun.kind, op, type(given))
  elseif getmetatable(given) == handle.classes[noun.kind].__metatable then
    given = given.spec
  end
  for key, value in pairs(given) do
    spec[key] = value
  end
  if noun.parent then
    for key, value in pairs { family = noun.parent.spec.family, table = noun.parent.spec.name } do
      if spec[key] ~= nil and spec[key] ~= value then
        check.refuse("%s %s: %s is %s here, got %s", noun.kind, op, key, value, check.show(spec[key]))
      end
      spec[key] = value
    end
  else
    spec.family = spec.family == nil and "ip" or spec.family
  end
  if spec.name == nil then
    check.refuse("%s %s: name is missing", noun.kind, op)
  end
  return spec
end

local element_kinds = { set = true, map = true }

local function create(noun, given, op, commands)
  local spec = complete(noun, given, op)
  local h = handle.new(noun.nft, noun.kind, spec)
  local elem = spec.elem or spec.elements
  spec.elem, spec.elements = nil, nil
  local text = commands(spec)
  if elem and element_kinds[noun.kind] and h:fits(elem) then
    text = text .. "\n" .. h:add_text(elem)
    elem = nil
  end
  commit.write(noun.nft, { text = text, op = noun.kind .. " " .. op, object = path_of(h) })
  if elem then
    h:add(elem)
  end
  return h
end

--- `fw:chain{...}`: created unless it is there.
function noun_meta.__call(noun, parent, given)
  if parent ~= (noun.parent or noun.nft) then
    error(("call it as a method: %s{...} with a colon before the name"):format(noun.kind), 2)
  end
  return create(noun, given, "add", function(spec)
    return object.add(noun.kind, spec)
  end)
end

function noun_meta.__tostring(noun)
  return ("%s of %s"):format(noun.kind, tostring(noun.parent or noun.nft))
end

--- Create one that must not exist.
-- @tparam table|string spec its keys, or its name
-- @return the handle
-- @raise netns.Error, EEXIST where it is there
-- @usage fw.chain:add { name = "input", type = "filter", hook = "input", priority = 0 }
function noun_methods:add(spec)
  return create(self, spec, "add", function(full)
    return object.add(self.kind, full, "create")
  end)
end

-- Tables and chains are changed in place, for what they hold would be lost.
local changed_in_place = { table = true, chain = true }

--- Create one, or change the one that is there. What a table or chain holds stays; other objects
-- are made anew, which nft refuses while a rule uses them.
-- @tparam table|string spec its keys, or its name
-- @treturn Handle
-- @usage fw.counter:replace { name = "hits", packets = 0, bytes = 0 }
function noun_methods:replace(spec)
  return create(self, spec, "replace", function(full)
    local text = object.add(self.kind, full)
    if changed_in_place[self.kind] then
      return text
    end
    return table.concat({ text, object.delete(self.kind, full), text }, "\n")
  end)
end

--- The handle of one that exists; nil where there is none.
-- @tparam table|string name its keys, or its name
-- @treturn ?Handle
-- @usage local input = fw.chain:get "input"
function noun_methods:get(name)
  local spec = complete(self, name, "get")
  local o = handle.fetch(self.nft, self.kind, spec)
  return o and handle.new(self.nft, self.kind, o)
end

--- A handle, without asking whether there is such an object.
-- @tparam table|string spec its keys, or its name
-- @treturn Handle
-- @usage local input = fw.chain:handle "input"
function noun_methods:handle(spec)
  return handle.new(self.nft, self.kind, complete(self, spec, "handle"))
end

--- All of them, as plain data.
-- @treturn {table,...} keys as in libnftables-json(5)
-- @usage for _, chain in ipairs(fw.chain:list()) do print(chain.name, chain.hook) end
function noun_methods:list()
  local where = self.parent and " table " .. object.path("table", self.parent.spec) or ""
  local command = self.parent and "list" .. where or "list tables"
  local found = {}
  for _, entry in ipairs(listing.list(self.nft.ns, command, { op = self.kind .. " list" })) do
    if entry[self.kind] then
      found[#found + 1] = entry[self.kind]
    end
  end
  return found
end

--- The handles of all of them, for a loop: `for chain in fw.chain:each() do`.
-- @treturn function the iterator
-- @usage for chain in fw.chain:each() do print(chain.name) end
function noun_methods:each()
  local list, i = self:list(), 0
  return function()
    i = i + 1
    return list[i] and handle.new(self.nft, self.kind, list[i])
  end
end

--- Delete one, by name.
-- @tparam table|string name its keys, or its name
-- @raise netns.Error: ENOENT where there is none, EBUSY where something uses it
-- @usage fw.set:del "bad"
function noun_methods:del(name)
  local spec = complete(self, name, "del")
  handle.write(handle.new(self.nft, self.kind, spec), object.delete(self.kind, spec), self.kind .. " del")
end

-- ---- what every handle can --------------------------------------------------------------

local common = {}

--- Delete it.
-- @raise netns.Error: ENOENT where it is gone, EBUSY where something uses it
-- @usage fw:del()
function common:del()
  handle.write(self, object.delete(self.kind, self.spec), self.kind .. " del")
end

common.delete = common.del

--- Its keys as the kernel has them now, as plain data.
-- @treturn table as in libnftables-json(5)
-- @raise netns.Error, ENOENT where it is gone
-- @usage print(input:get().policy)
function common:get()
  return (handle.need(self))
end

--- Whether it is there.
-- @treturn boolean
-- @usage if fw:exists() then fw:del() end
function common:exists()
  return handle.fetch(self.nft, self.kind, self.spec) ~= nil
end

--- Methods for a class: its own and those every handle has.
function handle.methods(own)
  return setmetatable(own, { __index = common })
end

handle.path_of, handle.noun_methods, handle.common = path_of, noun_methods, common

return handle
