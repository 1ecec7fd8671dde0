--- Values that nobody should hand over, and a call that must refuse them well.
--
--    misuse.call(fn, ...)                 -- may work or be refused; a refusal must be one
--    for name, value in misuse.each() do  -- all of them; nobody may change them
--
-- A refusal is a netns.Error, or a string that begins with the caller's position and is no slip of
-- ours ("attempt to index a nil value").
local busted = require "busted"
local core = require "netns.core"
local netns = require "netns"

local misuse = {}

local function cyclic()
  local t = { name = "x" }
  t.peer, t[1], t.self = t, t, t
  return t
end

local function deep()
  local t = {}
  for _ = 1, 300 do
    t = { peer = t, nexthops = { t }, t }
  end
  return t
end

-- Everything about it fails.
local function hostile()
  local function refuse()
    error("a metamethod was called", 0)
  end
  return setmetatable({}, {
    __index = refuse,
    __newindex = refuse,
    __pairs = refuse,
    __len = refuse,
    __eq = refuse,
    __call = refuse,
    __name = "netns.Namespace",
    __metatable = "netns.Namespace",
  })
end

local makers = {
  { "nil", function() return nil end },
  { "true", function() return true end },
  { "false", function() return false end },
  { "0", function() return 0 end },
  { "-1", function() return -1 end },
  { "2^31", function() return 1 << 31 end },
  { "2^32", function() return 1 << 32 end },
  { "the largest integer", function() return math.maxinteger end },
  { "the smallest integer", function() return math.mininteger end },
  { "1.5", function() return 1.5 end },
  { "1e300", function() return 1e300 end },
  { "NaN", function() return 0 / 0 end },
  { "infinity", function() return math.huge end },
  { "-infinity", function() return -math.huge end },
  { "an empty string", function() return "" end },
  { "a string with NUL", function() return "a\0b" end },
  { "only NUL", function() return "\0" end },
  { "a string of 1 MB", function() return ("x"):rep(1 << 20) end },
  { "a string of formats", function() return "%s%n%d" end },
  { "a string that is no UTF-8", function() return "\xff\xfe/\x80" end },
  { "a number as a string", function() return "99999999999999999999" end },
  { "an empty table", function() return {} end },
  { "a list", function() return { 1, 2, 3 } end },
  { "a list of tables", function() return { {}, { {} }, "x" } end },
  { "strange keys", function() return { [true] = 1, [1.5] = 2, [print] = 3, [1] = 4, mtu = 1400 } end },
  { "an unknown key", function() return { nosuchkey = 1 } end },
  { "a key with NUL", function() return { ["dst\0x"] = 1 } end },
  { "a key of 1 MB", function() return { [("k"):rep(1 << 20)] = 1 } end },
  { "an empty key", function() return { [""] = 1 } end },
  { "a cyclic table", cyclic },
  { "a deep table", deep },
  { "a hostile table", hostile },
  { "a function", function() return function() end end },
  { "a coroutine", function() return coroutine.create(print) end },
  { "another userdata", function() return io.stdout end },
  { "a closed Namespace", function()
    local ns = netns.new()
    ns:close()
    return ns
  end },
  { "a Noun of a closed Namespace", function()
    local ns = netns.new()
    local noun = ns.route
    ns:close()
    return noun
  end },
}

--- Iterate over the values: name, value.
function misuse.each()
  local i = 0
  return function()
    i = i + 1
    local maker = makers[i]
    if maker then
      if not maker.made then
        maker.value, maker.made = maker[2](), true
      end
      return maker[1], maker.value
    end
  end
end

local slips = {
  "attempt to index", "attempt to call a nil", "attempt to compare", "attempt to concatenate",
  "attempt to perform", "attempt to get length", "attempt to iterate", "a metamethod was called",
  "assertion failed", "stack traceback", "invalid key to 'next'", "index is N", "not enough memory",
}

--- What is wrong with an error, or nil.
local function complaint(err)
  if getmetatable(err) == core.Error then
    for _, field in ipairs { "op", "code", "message" } do
      if type(err[field]) ~= "string" or err[field] == "" then
        return "an Error without " .. field
      end
    end
    return math.type(err.errno) ~= "integer" and "an Error without errno" or nil
  elseif type(err) ~= "string" then
    return "an error that is a " .. type(err)
  end
  for _, slip in ipairs(slips) do
    if err:find(slip, 1, true) then
      return "a slip"
    end
  end
  if not err:find "^[^\n]*misuse[_%w]*%.lua:%d+: ." then
    return "an error without the caller's position"
  end
  return #err > 1000 and "an endless error" or nil
end

--- Call fn(...): whether it worked, then its results or the error, which must be a proper one.
function misuse.call(what, fn, ...)
  local args = table.pack(...)
  local result = table.pack(pcall(function()
    local r = table.pack(fn(table.unpack(args, 1, args.n))) -- no tail call: this is the caller's line
    return table.unpack(r, 1, r.n)
  end))
  if not result[1] then
    local wrong = complaint(result[2])
    if wrong then
      busted.fail(("%s: %s: %s"):format(what, wrong, tostring(result[2]):sub(1, 300)))
    end
  end
  return table.unpack(result, 1, result.n)
end

return misuse
