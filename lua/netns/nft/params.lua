--- Parameters of nft texts: `$name` becomes a checked, quoted value.
--
-- What stands before a parameter tells what it must be: an address behind `ip saddr`, a port
-- behind `tcp dport`, an interface behind `iifname`, a name behind `jump` or `@`. Elsewhere it is
-- an integer or a string, quoted. A list becomes a set of its values.
-- @module netns.nft.params
local object = require "netns.nft.object"
local check = require "netns.check"
local quote = require "netns.nft.quote"

local params = {}

local function is_ipv4(text)
  local a, b, c, d = text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$"
  if not a then
    return false
  end
  for _, part in ipairs { a, b, c, d } do
    if tonumber(part) > 255 then
      return false
    end
  end
  return true
end

-- Groups of up to four hexadecimal digits, one "::" at most, perhaps an IPv4 address at the end.
local function is_ipv6(text)
  local head, v4 = text:match "^(.*:)([%d.]+%.[%d.]+)$"
  if head then
    if not is_ipv4(v4) then
      return false
    end
    text = head .. "0:0"
  end
  if not text:find "^[%x:]+$" or text:find ":::" or text:find "^:[^:]" or text:find "[^:]:$" then
    return false
  end
  local _, doubles = text:gsub("::", "")
  local groups = 0
  for group in text:gmatch "%x+" do
    groups = groups + 1
    if #group > 4 then
      return false
    end
  end
  return doubles == 1 and groups <= 7 or doubles == 0 and groups == 8
end

local address_kinds = {
  ip = { "an IPv4 address", is_ipv4, 32 },
  ip6 = { "an IPv6 address", is_ipv6, 128 },
}

-- "10.0.0.1", "10.0.0.0/24", "10.0.0.1-10.0.0.9" -> nft's text, or nil
local function address(value, family)
  local _, suits, bits = table.unpack(address_kinds[family])
  if type(value) ~= "string" then
    return nil
  elseif suits(value) then
    return value
  end
  local addr, len = value:match "^(.-)/(%d%d?%d?)$"
  if addr then
    return suits(addr) and tonumber(len) <= bits and value or nil
  end
  local first, last = value:match "^([^-]+)%-([^-]+)$"
  return first and suits(first) and suits(last) and value or nil
end

--- "ip" or "ip6" for an address, prefix or range; nil for anything else.
function params.address_family(value)
  return address(value, "ip") and "ip" or address(value, "ip6") and "ip6" or nil
end

local checks = {}

for family, row in pairs(address_kinds) do
  checks[family] = function(value, name)
    return address(value, family)
      or check.refuse("$%s must be %s, a prefix or a range, got %s", name, row[1], check.show(value))
  end
end

function checks.address(value, name)
  return address(value, "ip") or address(value, "ip6")
    or check.refuse("$%s must be an IPv4 or IPv6 address, got %s", name, check.show(value))
end

function checks.port(value, name)
  local function one(port)
    local n = math.type(port) == "integer" and port or type(port) == "string" and port:find "^%d+$" and tonumber(port)
    return n and n >= 0 and n <= 65535
  end
  if one(value) then
    return tostring(value)
  elseif type(value) == "string" then
    local first, last = value:match "^(%d+)%-(%d+)$"
    if first and one(first) and one(last) then
      return value
    elseif value:find "^%a[%w-]*$" and #value <= 32 then
      return quote.string(value, "$" .. name)
    end
  end
  check.refuse("$%s must be a port (0 to 65535), a range of ports or the name of a service, got %s", name,
    check.show(value))
end

-- An interface by its name and no other: a * at the end is not a pattern.
function checks.ifname(value, name)
  if type(value) ~= "string" or #value == 0 or #value > 15 or value:find '[/%s%c"\\]' then
    check.refuse("$%s must be the name of an interface (1 to 15 bytes, without blanks, slashes and quotation marks), "
      .. "got %s", name, check.show(value))
  end
  return (object.ifname(value):gsub("%*", "\\*"))
end

function checks.name(value, name)
  if type(value) ~= "string" then
    check.refuse("$%s must be a name, got %s", name, check.show(value))
  end
  return quote.name(value, "parameter $" .. name)
end

function checks.family(value)
  return quote.family(value)
end

function checks.comment(value)
  return quote.comment(value)
end

function checks.prefix(value)
  return quote.log_prefix(value)
end

function checks.other(value, name)
  local kind = math.type(value) or type(value)
  if kind == "integer" or kind == "float" then
    return quote.integer(value, "$" .. name)
  elseif kind == "string" then
    return address(value, "ip") or address(value, "ip6") or quote.string(value, "$" .. name)
  end
  check.refuse("$%s must be a string, an integer or a list of them, got %s", name, kind)
end

-- Patterns of what stands before, the first that fits counts.
local contexts = {
  { "@$", "name" },
  { "%f[%w]jump%s+$", "name" },
  { "%f[%w]goto%s+$", "name" },
  { "%f[%w]flowtable%s+$", "name" },
  { "%f[%w]comment%s+$", "comment" },
  { "%f[%w]prefix%s+$", "prefix" },
  { "%f[%w][io]ifname%s*$", "ifname" },
  { "%f[%w][io]if%s*$", "ifname" },
  { "%f[%w][io]brname%s*$", "ifname" },
  { "%f[%w]device%s+$", "ifname" },
  { "%f[%w]ip%s+[sd]addr%s*$", "ip" },
  { "%f[%w]ip6%s+[sd]addr%s*$", "ip6" },
  { "%f[%w]arp%s+[sd]addr%s+ip%s*$", "ip" },
  { "%f[%w][sd]port%s*$", "port" },
  { "%f[%w]nat%s+to%s+$", "address" },
  { "%f[%w]nat%s+ip%s+to%s+$", "ip" },
  { "%f[%w]nat%s+ip6%s+to%s+$", "ip6" },
  { "%f[%w]tproxy%s+ip%s+to%s+$", "ip" },
  { "%f[%w]tproxy%s+ip6%s+to%s+$", "ip6" },
  { "%f[%w]to%s+:$", "port" },
  { "%f[%w]to%s+%S+:$", "port" },
}

local verbs = quote.set "add create insert delete destroy replace flush list reset get rename"
local name_words = {
  table = 1, chain = 2, rule = 2, set = 2, map = 2, element = 2, counter = 2, quota = 2, limit = 2, flowtable = 2,
  synproxy = 2, secmark = 2,
}
local family_words = quote.set "ip ip6 inet arp bridge netdev"

-- Within a command's head ("add rule inet filter input"): is the next word a family or a name?
local function head_context(before)
  local words = {}
  for word in (before:match "[^\n;{]*$"):gmatch "%S+" do
    words[#words + 1] = word
  end
  if not verbs[words[1]] or not before:find "%s$" then
    return nil
  end
  local names = name_words[words[2]]
  if not names then
    return nil
  end
  local seen = #words - 2
  if family_words[words[3]] or (words[3] or ""):find "^\1" then
    seen = seen - 1
  elseif seen == 0 then
    return "first"
  end
  return seen >= 0 and seen < names and "name" or nil
end

local function context_of(before)
  local head = head_context(before)
  if head then
    return head
  end
  local text = before:gsub("%s*[!=<>]=?%s*$", " ")
  for _, row in ipairs(contexts) do
    if text:find(row[1]) then
      return row[2]
    end
  end
  return "other"
end

local function value_text(value, context, name)
  if context == "first" then
    context = family_words[value] and "family" or "name"
  end
  local text_of = checks[context]
  if type(value) ~= "table" then
    return text_of(value, name), context
  end
  local parts = {}
  for i, item in ipairs(value) do
    parts[i] = text_of(item, name)
  end
  if #parts == 0 then
    check.refuse("$%s is an empty list: nft knows no empty set in a rule", name)
  end
  return "{ " .. table.concat(parts, ", ") .. " }", context
end

-- Pieces of the text: quoted strings and comments apart from the rest.
local function scan(text, inside, outside)
  local at = 1
  while at <= #text do
    local stop = text:find('["#]', at) or #text + 1
    outside(text:sub(at, stop - 1))
    if stop > #text then
      return
    end
    local last
    if text:sub(stop, stop) == "#" then
      last = (text:find("\n", stop, true) or #text + 1) - 1
    else
      last = text:find('"', stop + 1, true) or #text
    end
    inside(text:sub(stop, last))
    at = last + 1
  end
end

--- Put values in for their `$name`.
-- @tparam string text
-- @tparam table values by name
-- @treturn string
function params.apply(text, values)
  local out, used = {}, {}
  for name in pairs(values) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      check.refuse("the name of a parameter is letters, digits and _, got %s", check.show(name))
    end
  end
  local function put(piece)
    out[#out + 1] = piece
  end
  scan(text, function(quoted)
    for name in quoted:gmatch "%$([%a_][%w_]*)" do
      if quoted:find '^"' and values[name] ~= nil then
        check.refuse("write $%s without quotation marks around it: it is quoted already", name)
      end
    end
    put(quoted)
  end, function(piece)
    local at = 1
    for start, name, stop in piece:gmatch "()%$([%a_][%w_]*)()" do
      put(piece:sub(at, start - 1))
      if values[name] == nil then
        put("$" .. name) -- perhaps one that the text defines
      else
        local value, context = value_text(values[name], context_of(table.concat(out)), name)
        put((context == "family" and "\1" or "") .. value)
        used[name] = true
      end
      at = stop
    end
    put(piece:sub(at))
  end)
  for name in pairs(values) do
    if not used[name] then
      check.refuse("there is no $%s in the text", name)
    end
  end
  return (table.concat(out):gsub("\1", ""))
end

return params
