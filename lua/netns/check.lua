--- Arguments: what is refused, and how it is said.
--
-- A refusal is an ordinary error with the position of the first function on the stack that is not
-- of this library, however deep in it the mistake is found.
-- @module netns.check
local core = require "netns.core"
local spelling = require "netns.spelling"

local check = {}

local ours = debug.getinfo(1, "S").source:match "^@.*netns[/\\]" or "@"

local function position()
  for level = 3, 200 do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return ""
    elseif info.what ~= "C" and info.source:sub(1, #ours) ~= ours then
      return ("%s:%d: "):format(info.short_src, info.currentline)
    end
  end
  return ""
end

--- Raise an error at the user's line.
-- @tparam string format as string.format takes it
function check.refuse(format, ...)
  error(position() .. format:format(...), 0)
end

local shown = 60 -- bytes of a value, in a message
local longest = 255 -- bytes of a word that may be a name

--- A value in a message: text quoted and cut, control characters replaced; otherwise what kind of value.
function check.show(value)
  if type(value) == "table" or type(value) == "userdata" then
    local class = getmetatable(value)
    return type(class) == "string" and class:match "^netns%.(%a+)$" or type(value)
  elseif type(value) ~= "string" then
    return tostring(value)
  end
  local text = value:gsub("%c", "?")
  if #text > shown then
    text = text:sub(1, shown) .. "..."
  end
  return '"' .. text .. '"'
end

--- The names in a table, sorted.
function check.names(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

--- ' (did you mean "x"?)', or "" where nothing is near.
-- @tparam string word
-- @tparam {string,...} candidates
function check.hint(word, candidates)
  local nearest, best = nil, #word // 3 + 2
  for _, candidate in ipairs(#word <= longest and candidates or {}) do
    local d = spelling.distance(word, candidate)
    if d < best and (d < 2 or candidate:sub(1, 1) == word:sub(1, 1)) then
      nearest, best = candidate, d
    end
  end
  return nearest and (' (did you mean "%s"?)'):format(nearest) or ""
end

--- Refuse keys that are not known, with the nearest one or all that there are.
-- @tparam table t
-- @tparam table known its keys are the names that there are
-- @tparam string what the operation, for the message
function check.keys(t, known, what)
  for key in next, t do
    if known[key] == nil then
      local names = check.names(known)
      local hint = type(key) == "string" and check.hint(key, names) or ""
      check.refuse("%s: unknown key %s%s", what, check.show(key),
        hint ~= "" and hint or "; there are " .. table.concat(names, ", "))
    end
  end
end

--- fn(...); a misuse that the core found while we stood between gets the user's position.
function check.relay(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then
    return table.unpack(results, 2, results.n)
  elseif type(results[2]) == "string" then
    check.refuse("%s", (results[2]:gsub("^[^\n:]*:%d+: ", "")))
  end
  error(results[2], 0)
end

--- The entries of a table as a table of their own, whatever metatable it has.
function check.plain(t)
  local plain = {}
  for key, value in next, t do
    plain[key] = value
  end
  return plain
end

--- Refuse all but a table of known keys, each of its type; nil is an empty one.
-- @tparam table|nil opts
-- @tparam table known from a key to its Lua type, or to several ("string table")
-- @tparam string what the operation, for the message
-- @treturn table opts, as a plain table
function check.options(opts, known, what)
  if opts == nil then
    return {}
  elseif type(opts) ~= "table" then
    check.refuse("%s: options must be a table, got %s", what, check.show(opts))
  end
  check.keys(opts, known, what)
  for key, value in next, opts do
    if not known[key]:find(type(value), 1, true) then
      check.refuse("%s: %s must be a %s, got %s", what, key, (known[key]:gsub(" ", " or ")), check.show(value))
    end
  end
  return check.plain(opts)
end

--- Refuse what is not an object of a class, and a Namespace that is closed.
-- @param value
-- @tparam string class such as "Namespace"
-- @tparam string what the operation, for the message
-- @return value
function check.object(value, class, what)
  if type(value) ~= "userdata" or getmetatable(value) ~= "netns." .. class then
    check.refuse("%s: a %s expected, got %s", what, class, check.show(value))
  elseif class == "Namespace" and not core.is_open(value) then
    check.refuse("%s: the namespace is closed", what)
  end
  return value
end

--- Refuse what is not a list of nodes: `{ name =, netns = }` each.
function check.nodes(nodes, what)
  if type(nodes) ~= "table" or getmetatable(nodes) ~= nil then
    check.refuse("%s: a list of nodes, { name =, netns = } each, expected, got %s", what, check.show(nodes))
  end
  for i, node in ipairs(nodes) do
    if type(node) ~= "table" or type(node.name) ~= "string" then
      check.refuse("%s: node %d must be { name =, netns = }, got %s", what, i, check.show(node))
    end
    check.object(node.netns, "Namespace", ("%s: node %d"):format(what, i))
  end
  return nodes
end

--- Refuse what is not a function.
function check.callable(value, what)
  if type(value) ~= "function" then
    check.refuse("%s: a function expected, got %s", what, check.show(value))
  end
  return value
end

return check
