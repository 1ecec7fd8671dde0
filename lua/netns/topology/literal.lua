--- Plain tables to text and back, without running what is read.
--
-- The text is a Lua table constructor (with an optional `return` before it): strings, numbers, booleans and
-- tables, comments allowed. It is parsed here, never executed, so a file from elsewhere can do no harm.
-- @module netns.topology.literal
local words = require "netns.topology.words"

local literal = {}

local DEPTH_MAX = 100

-- Writing ----------------------------------------------------------------------------------------------

local reserved = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch "%a+" do
  reserved[word] = true
end

local function write_key(key)
  if type(key) == "string" and key:match "^[%a_][%w_]*$" and not reserved[key] then
    return key
  end
  return ("[%s]"):format(type(key) == "string" and ("%q"):format(key) or tostring(key))
end

-- In decimal, with as many digits as it takes.
local function write_float(value)
  if value ~= value or value == math.huge or value == -math.huge then
    error(("cannot save %s"):format(value), 0)
  end
  for digits = 14, 17 do
    local text = ("%." .. digits .. "g"):format(value)
    if tonumber(text) == value then
      return text:find "[%.e]" and text or text .. ".0"
    end
  end
end

local function write(value, indent, depth)
  local kind = type(value)
  if kind == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"))
  elseif kind == "number" or kind == "boolean" then
    return math.type(value) == "float" and write_float(value) or tostring(value)
  elseif kind ~= "table" or depth > DEPTH_MAX then
    error(("cannot save a %s: a description has strings, numbers, booleans and tables"):format(kind), 0)
  end
  local inner, parts, simple = indent .. "  ", {}, true
  for _, item in ipairs(value) do
    parts[#parts + 1] = write(item, inner, depth + 1)
    simple = simple and type(item) ~= "table"
  end
  for _, key in ipairs(words.sorted(value)) do
    if not (math.type(key) == "integer" and key >= 1 and key <= #value) then
      parts[#parts + 1] = write_key(key) .. " = " .. write(value[key], inner, depth + 1)
      simple = simple and type(value[key]) ~= "table"
    end
  end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #parts == 0 then
    return "{}"
  elseif simple and #line + #indent < 100 then
    return line
  end
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. ",\n" .. indent .. "}"
end

--- A plain table as Lua text, keys in natural order.
function literal.write(value)
  return "return " .. write(value, "", 1) .. "\n"
end

-- Reading ----------------------------------------------------------------------------------------------

local function fail(state, what)
  local _, line = state.text:sub(1, state.at - 1):gsub("\n", "")
  error(("%s:%d: %s"):format(state.name, line + 1, what), 0)
end

local function skip(state)
  while true do
    local at = state.text:match("^%s*()", state.at)
    local open = state.text:match("^%-%-%[(=*)%[", at)
    if open then
      local _, stop = state.text:find("]" .. open .. "]", at, true)
      if not stop then
        fail(state, "the comment does not end")
      end
      state.at = stop + 1
    elseif state.text:sub(at, at + 1) == "--" then
      state.at = state.text:match("^[^\n]*()", at)
    else
      state.at = at
      return
    end
  end
end

local function accept(state, token)
  skip(state)
  if state.text:sub(state.at, state.at + #token - 1) == token then
    state.at = state.at + #token
    return true
  end
end

local escapes = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v", ["\\"] = "\\", ['"'] = '"',
  ["'"] = "'", ["\n"] = "\n" }

local function read_escape(state, at)
  local c = state.text:sub(at, at)
  local decimal = state.text:match("^%d%d?%d?", at)
  local hex = state.text:match("^x(%x%x)", at)
  local code = state.text:match("^u{(%x+)}", at)
  if escapes[c] then
    return escapes[c], at + 1
  elseif decimal and tonumber(decimal) < 256 then
    return string.char(tonumber(decimal)), at + #decimal
  elseif hex then
    return string.char(tonumber(hex, 16)), at + 3
  elseif code and #code <= 6 then
    return utf8.char(tonumber(code, 16)), at + #code + 3
  elseif c == "z" then
    return "", state.text:match("^z%s*()", at)
  end
  state.at = at
  fail(state, "unknown escape in a string")
end

local function read_quoted(state, quote)
  local parts, at = {}, state.at + 1
  while true do
    local plain, stop = state.text:match("^([^\\\n" .. quote .. "]*)()", at)
    parts[#parts + 1] = plain
    local c = state.text:sub(stop, stop)
    if c == quote then
      state.at = stop + 1
      return table.concat(parts)
    elseif c ~= "\\" then
      state.at = stop
      fail(state, "the string does not end on its line")
    end
    parts[#parts + 1], at = read_escape(state, stop + 1)
  end
end

local function read_long(state, level)
  local start = state.at + #level + 2
  local stop, last = state.text:find("]" .. level .. "]", start, true)
  if not stop then
    fail(state, "the string does not end")
  end
  state.at = last + 1
  return (state.text:sub(start, stop - 1):gsub("^\n", ""))
end

local read_value

local function read_key(state)
  local name = state.text:match("^[%a_][%w_]*", state.at)
  if name and state.text:match("^%s*=[^=]", state.at + #name) then
    state.at = state.at + #name
    return name
  elseif state.text:sub(state.at, state.at) == "[" and not state.text:match("^%[=*%[", state.at) then
    state.at = state.at + 1
    local key = read_value(state)
    if type(key) == "table" or key ~= key or not accept(state, "]") then
      fail(state, "a key must be a name or [string or number]")
    end
    return key
  end
end

local function read_table(state)
  local result, n = {}, 0
  state.depth = state.depth + 1
  if state.depth > DEPTH_MAX then
    fail(state, ("tables are nested more than %d deep"):format(DEPTH_MAX))
  end
  state.at = state.at + 1
  while not accept(state, "}") do
    local key = read_key(state)
    if key ~= nil then
      if not accept(state, "=") then
        fail(state, "expected = after the key")
      end
      if result[key] ~= nil then
        fail(state, ("the key %s stands twice"):format(tostring(key)))
      end
      result[key] = read_value(state)
    else
      n = n + 1
      result[n] = read_value(state)
    end
    if not (accept(state, ",") or accept(state, ";")) then
      if not accept(state, "}") then
        fail(state, "expected , or } in a table")
      end
      break
    end
  end
  state.depth = state.depth - 1
  return result
end

function read_value(state)
  skip(state)
  local c = state.text:sub(state.at, state.at)
  if c == "{" then
    return read_table(state)
  elseif c == '"' or c == "'" then
    return read_quoted(state, c)
  elseif state.text:match("^%[=*%[", state.at) then
    return read_long(state, state.text:match("^%[(=*)%[", state.at))
  end
  for word, value in pairs { ["true"] = true, ["false"] = false } do
    if state.text:match("^" .. word .. "%f[^%w_]", state.at) then
      state.at = state.at + #word
      return value
    end
  end
  local number = state.text:match("^%-?0[xX][%x.]+[pP]?[%d+-]*", state.at)
    or state.text:match("^%-?[%d.]+[eE]?[+-]?%d*", state.at)
  if number and tonumber(number) then
    state.at = state.at + #number
    return tonumber(number)
  end
  fail(state, "expected a string, number, true, false or table")
end

--- The table that a text holds. Raises with the line where the text is something else.
-- @tparam string text a table constructor, perhaps with `return` before it
-- @tparam[opt="description"] string name what messages call it
function literal.read(text, name)
  local state = { text = text, at = 1, name = name or "description", depth = 0 }
  skip(state)
  if text:match("^return%f[^%w_]", state.at) then
    state.at = state.at + 6
  end
  skip(state)
  if text:sub(state.at, state.at) ~= "{" then
    fail(state, "expected a table")
  end
  local value = read_value(state)
  skip(state)
  if state.at <= #text then
    fail(state, "expected nothing after the table")
  end
  return value
end

return literal
