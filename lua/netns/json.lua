--- JSON, as other programs speak it: Lua values to text and back.
--
-- Integers stay integers. `null` is `json.null`; an empty array is told from an empty object by its metatable:
-- `decode` sets it, and so does `json.array`.
-- @module netns.json
local core = require "netns.core"

local json = {
  --- What stands for null (a light userdata, which is true).
  null = core.null,
}

local DEPTH_MAX = 200

--- Text to a value.
-- @tparam string text one JSON value
-- @return the value; or nil, what is wrong and where
-- @usage local conf = assert(json.decode '{"name": "pods", "mtu": 1450}')
function json.decode(text)
  local value, wrong, at = core.json_decode(text)
  if wrong then
    return nil, ("not JSON: %s at byte %d"):format(wrong, at)
  end
  return value
end

--- Make a list an array in JSON also where it is empty.
-- @tparam[opt] table list an empty or other list (default: a new one)
-- @treturn table the list
-- @usage print(json.encode(json.array()))   -- []
function json.array(list)
  return setmetatable(list or {}, core.EmptyArray)
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function string_text(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function number_text(number)
  if math.type(number) == "integer" then
    return ("%d"):format(number)
  elseif number ~= number or number == math.huge or number == -math.huge then
    error("json: not a number that JSON has: " .. tostring(number), 0)
  end
  local short = ("%.14g"):format(number)
  return tonumber(short) == number and short or ("%.17g"):format(number)
end

local value_text

local function array_text(list, depth)
  local parts = {}
  for i, item in ipairs(list) do
    parts[i] = value_text(item, depth)
  end
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #parts then
      error(("json: a table with both a list and a key %s"):format(tostring(key)), 0)
    end
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object_text(object, depth)
  local keys, parts = {}, {}
  for key in pairs(object) do
    if type(key) ~= "string" then
      error(("json: a key must be a string, got %s"):format(tostring(key)), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = string_text(key) .. ":" .. value_text(object[key], depth)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function value_text(value, depth)
  local kind = type(value)
  if kind == "string" then
    return string_text(value)
  elseif kind == "number" then
    return number_text(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif value == json.null then
    return "null"
  elseif kind ~= "table" then
    error("json: a " .. kind .. " cannot be written", 0)
  elseif depth >= DEPTH_MAX then
    error("json: nested too deep, or within itself", 0)
  elseif value[1] ~= nil or (next(value) == nil and getmetatable(value) == core.EmptyArray) then
    return array_text(value, depth + 1)
  end
  return object_text(value, depth + 1)
end

--- A value to text, on one line, keys in order.
-- @param value strings, numbers, booleans, `json.null`, and tables of them: lists or objects
-- @treturn string
-- @raise where it is nothing that JSON has
-- @usage print(json.encode { name = "pods", ranges = { 1, 2 } })   -- {"name":"pods","ranges":[1,2]}
function json.encode(value)
  local ok, text = pcall(value_text, value, 0)
  if not ok then
    error(text, 2)
  end
  return text
end

return json
