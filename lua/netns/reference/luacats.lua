--- The reference as LuaCATS definitions, for editors (https://luals.github.io/wiki/annotations).
--
-- For each module a file, as `require` names it; the classes stand in that of `netns`. What editors complete within the
-- tables that nouns take comes from the rows of the core.
-- @module netns.reference.luacats
local keys = require "netns.reference.keys"
local prose = require "netns.reference.prose"
local reference = require "netns.reference"

local luacats = {}

local plain = { string = true, number = true, integer = true, boolean = true, table = true, any = true,
  ["function"] = true, ["nil"] = true, ["true"] = true, ["false"] = true, userdata = true }

local function capital(name)
  return (name:gsub("^%l", string.upper):gsub("[ _](%w)", string.upper))
end

local function one_type(word)
  if plain[word] then
    return word
  end
  local owner = reference.book().by_owner[word]
  return owner and owner.tag or (word:find "^netns%." and word) or ("netns." .. word)
end

local type_of

-- "string|{integer,...}" to its parts, braces kept together.
local function union(text)
  local parts, depth, start = {}, 0, 1
  for i = 1, #text do
    local c = text:sub(i, i)
    depth = depth + (c == "{" and 1 or c == "}" and -1 or 0)
    if c == "|" and depth == 0 then
      parts[#parts + 1], start = text:sub(start, i - 1), i + 1
    end
  end
  parts[#parts + 1] = text:sub(start)
  for i, part in ipairs(parts) do
    local inner = part:match "^{(.*),%.%.%.}$"
    if inner then
      local of = type_of(inner)
      parts[i] = (of:find "[|?]" and "(" .. of .. ")" or of) .. "[]"
    else
      parts[i] = one_type(part)
    end
  end
  return table.concat(parts, "|")
end

--- A type of LDoc as one of LuaCATS: "?{string,...}" is "string[]|nil".
-- @tparam string text
-- @treturn string
function type_of(text)
  local rest = text:match "^%?(.*)$"
  return rest and union(rest) .. "|nil" or union(text)
end
luacats.type_of = type_of

local function comment(out, text)
  for _, line in ipairs(prose.plain(text, 110)) do
    out[#out + 1] = "---" .. line
  end
end

local function function_lines(out, entry, prefix)
  local doc = entry.doc
  comment(out, doc.text)
  for _, usage in ipairs(doc.usage) do
    out[#out + 1] = "---```lua"
    for line in (usage .. "\n"):gmatch "([^\n]*)\n" do
      out[#out + 1] = "---" .. line
    end
    out[#out + 1] = "---```"
  end
  local names = {}
  for i, p in ipairs(doc.params) do
    names[i] = p.name
    out[#out + 1] = ("---@param %s%s %s %s"):format(p.name, p.opt and "?" or "", type_of(p.type), p.text)
  end
  for _, r in ipairs(doc.returns) do
    out[#out + 1] = ("---@return %s%s"):format(type_of(r.type), r.text ~= "" and " # " .. r.text or "")
  end
  for _, name in ipairs { entry.name, table.unpack(entry.aliases) } do
    local key = name:match "[%w_]+$"
    out[#out + 1] = ("function %s%s(%s) end"):format(prefix, key, table.concat(names, ", "))
  end
  out[#out + 1] = ""
end

-- Nouns and their keys --------------------------------------------------------------------------------------------

local row_types = { unsigned = "integer", signed = "integer", boolean = "boolean", string = "string",
  ifname = "string", lladdr = "string", ipv4 = "string", ipv6 = "string", ip = "string", prefix = "string",
  dev = "string|integer", time = "string|number", rate = "string|number", size = "string|number",
  share = "string|number" }

local function class_of(name)
  return "netns.keys." .. capital(name):gsub("[^%w]", "")
end

local function row_type(row)
  if row.schema then
    return class_of(row.schema)
  elseif row.type == "name" then
    local names = {}
    for i, name in ipairs(row.names) do
      names[i] = ('"%s"'):format(name)
    end
    names[#names + 1] = #names == 0 and "string" or nil
    names[#names + 1] = "integer"
    return table.concat(names, "|")
  end
  return row_types[row.type] or "any"
end

local function keys_lines(out, name)
  local parents = {}
  for _, inner in ipairs(name == "link" and keys.nested "link" or {}) do
    if not inner:find " " and not inner:find "_slave$" then
      parents[#parents + 1] = class_of(inner)
    end
  end
  out[#out + 1] = ("---@class %s%s"):format(class_of(name), #parents > 0 and ": " .. table.concat(parents, ", ") or "")
  for _, key in ipairs(keys.of(name)) do
    local field = key.name:find "^[%a_][%w_]*$" and key.name or ('["%s"]'):format(key.name)
    out[#out + 1] = ("---@field %s? %s %s"):format(field, row_type(key.row), keys.words(key))
  end
  out[#out + 1] = ""
end

local function noun_lines(out, noun)
  local name = capital(noun)
  out[#out + 1] = "---" .. keys.about(noun)
  out[#out + 1] = ("---@class netns.nouns.%s: netns.Noun"):format(name)
  out[#out + 1] = ("local %s = {}"):format(name)
  out[#out + 1] = ""
  for _, entry in ipairs(reference.book().by_owner.Noun.entries) do
    local first = entry.doc.params[1]
    local own = { text = entry.doc.text, usage = {}, returns = entry.doc.returns, params = { {
      name = first.name, opt = first.opt, text = first.text,
      type = first.type:gsub("table", class_of(keys.table_of(noun))),
    } } }
    function_lines(out, { name = entry.name, aliases = {}, doc = own }, name .. ":")
  end
end

-- Files -----------------------------------------------------------------------------------------------------------

local function class_lines(out, owner)
  comment(out, owner.doc.text)
  out[#out + 1] = ("---@class %s%s"):format(owner.tag, owner.parent and ": " .. one_type(owner.parent) or "")
  for _, field in ipairs(owner.doc.fields) do
    local noun = field.type == "Noun" and keys.is_noun(field.name)
    local of = noun and "netns.nouns." .. capital(field.name) or type_of(field.type)
    out[#out + 1] = ("---@field %s %s %s"):format(field.name, of, field.text)
  end
  out[#out + 1] = ("local %s = {}"):format(owner.name)
  out[#out + 1] = ""
  for _, entry in ipairs(owner.entries) do
    function_lines(out, entry, owner.name .. ":")
  end
end

local function module_lines(out, owner)
  comment(out, owner.doc.text)
  out[#out + 1] = "local M = {}"
  out[#out + 1] = ""
  for _, entry in ipairs(owner.entries) do
    function_lines(out, entry, "M.")
  end
end

--- The definitions.
-- @treturn table texts by the path of their files: "netns.lua", "netns/topology.lua" ...
function luacats.files()
  local files = {}
  for _, owner in ipairs(reference.book().owners) do
    if owner.kind == "module" then
      local out = { "---@meta " .. owner.require, "" }
      module_lines(out, owner)
      if owner.require == "netns" then
        for _, other in ipairs(reference.book().owners) do
          if other.kind == "class" then
            class_lines(out, other)
          end
        end
        for _, noun in ipairs(keys.nouns()) do
          noun_lines(out, noun)
        end
        for _, name in ipairs(keys.tables()) do
          keys_lines(out, name)
        end
      end
      out[#out + 1] = "return M"
      for i, line in ipairs(out) do
        out[i] = line:gsub("%s+$", "")
      end
      files[owner.require:gsub("%.", "/") .. ".lua"] = table.concat(out, "\n") .. "\n"
    end
  end
  return files
end

return luacats
