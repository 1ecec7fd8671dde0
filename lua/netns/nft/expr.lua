--- Expressions of libnftables-json(5), as Lua tables, into nft's text.
-- @module netns.nft.expr
local check = require "netns.check"
local quote = require "netns.nft.quote"

local expr = {}

-- by the key of the JSON object: function(argument) -> text, whether it binds loosely
local kinds = {}
local text_of, operand

--- The only key and value of a table such as { payload = {...} }.
function expr.single(t, what)
  local key, value = next(t)
  if type(key) ~= "string" or next(t, key) ~= nil then
    check.refuse("%s must be a table with one key, as in libnftables-json(5)", what)
  end
  return key, value
end

local function field(t, key, kind)
  if type(t) ~= "table" then
    check.refuse("%s must be a table, got %s", kind, check.show(t))
  end
  if t[key] == nil then
    check.refuse("%s: %s is missing", kind, key)
  end
  return t[key]
end

local function list_of(t, separator, what, each)
  if type(t) ~= "table" then
    check.refuse("%s must be a list, got %s", what, check.show(t))
  end
  local parts = {}
  for i, item in ipairs(t) do
    parts[i] = (each or text_of)(item)
  end
  if #parts == 0 then
    check.refuse("%s is empty", what)
  end
  return table.concat(parts, separator)
end

local function optional(t, key, format, kind)
  return t[key] ~= nil and format:format(quote.integer(t[key], kind .. ": " .. key, 0)) or ""
end

local function scalar(value)
  local kind = math.type(value) or type(value)
  if kind == "integer" or kind == "float" then
    return quote.integer(value, "a value")
  elseif kind == "boolean" then
    return value and "exists" or "missing"
  elseif value:find "^@" then
    return "@" .. quote.name(value:sub(2), "set")
  elseif value == "*" then
    return "*"
  elseif value:find "^0x%x+ %[invalid type%]$" then -- how libnftables 1.0.6 lists ports it cannot tell
    return value:match "^0x%x+"
  end
  return quote.string(value, "a value")
end

function text_of(value)
  if type(value) ~= "table" then
    if value == nil then
      check.refuse "a value is missing"
    elseif type(value) == "function" or type(value) == "userdata" or type(value) == "thread" then
      check.refuse("a value cannot be a %s", type(value))
    end
    return scalar(value)
  elseif #value > 0 then
    return list_of(value, ",", "a list of flags")
  end
  local key, argument = expr.single(value, "an expression")
  local kind = kinds[key]
  if not kind then
    check.refuse("unknown expression %s%s", check.show(key), check.hint(key, check.names(kinds)))
  end
  return kind(argument)
end

local binary = { "|", "^", "&", "<<", ">>" }

-- Flags in an arithmetic expression are one number; nested operations get parentheses.
function operand(value)
  if type(value) == "table" then
    if #value > 0 then
      return "(" .. list_of(value, " | ", "a list of flags") .. ")"
    end
    for _, op in ipairs(binary) do
      if value[op] then
        return "(" .. text_of(value) .. ")"
      end
    end
  end
  return text_of(value)
end

for _, op in ipairs(binary) do
  kinds[op] = function(operands)
    return list_of(operands, " " .. op .. " ", "the operands of " .. op, operand)
  end
end

function kinds.concat(parts)
  return list_of(parts, " . ", "a concatenation")
end

function kinds.range(ends)
  if type(ends) ~= "table" or #ends ~= 2 then
    check.refuse "a range must be a list of two values"
  end
  return text_of(ends[1]) .. "-" .. text_of(ends[2])
end

function kinds.prefix(p)
  return text_of(field(p, "addr", "prefix")) .. "/" .. quote.integer(field(p, "len", "prefix"), "prefix: len", 0, 128)
end

local function set_of(elements, separator)
  if type(elements) ~= "table" then
    return text_of(elements) -- "@name"
  elseif not elements[1] then
    if next(elements) then -- one expression
      return "{ " .. text_of(elements) .. " }"
    end
    return "{ }"
  end
  local parts = {}
  for i, element in ipairs(elements) do
    if separator and type(element) == "table" and #element == 2 then
      parts[i] = expr.element(element[1]) .. " : " .. text_of(element[2])
    else
      parts[i] = expr.element(element)
    end
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function kinds.set(elements)
  return set_of(elements, true)
end

local function map_data(data)
  if type(data) == "table" and data.set then
    data = data.set
  end
  return set_of(data, true)
end

function kinds.map(m)
  return text_of(field(m, "key", "map")) .. " map " .. map_data(field(m, "data", "map"))
end

--- "KEY vmap { ... }", for the statement.
function expr.vmap(m)
  return text_of(field(m, "key", "vmap")) .. " vmap " .. map_data(field(m, "data", "vmap"))
end

local elem_keys = quote.set "val timeout expires comment counter limit quota last stmt"

--- An element with what hangs on it: { elem = { val = ..., timeout = ..., comment = ... } }.
function kinds.elem(e)
  field(e, "val", "elem")
  check.keys(e, elem_keys, "elem")
  local parts = { text_of(e.val) }
  for _, name in ipairs { "counter", "limit", "quota", "ct count" } do
    if e[name] ~= nil then
      parts[#parts + 1] = expr.statement { [name] = e[name] }
    end
  end
  for _, statement in ipairs(e.stmt or {}) do
    parts[#parts + 1] = expr.statement(statement)
  end
  if e.timeout then
    parts[#parts + 1] = "timeout " .. quote.time(e.timeout, "timeout")
  end
  if e.expires then
    parts[#parts + 1] = "expires " .. quote.time(e.expires, "expires")
  end
  if e.comment then
    parts[#parts + 1] = "comment " .. quote.comment(e.comment)
  end
  return table.concat(parts, " ")
end

function expr.element(element)
  return text_of(element)
end

function kinds.payload(p)
  if p.base then
    return ("@%s,%s,%s"):format(quote.word(p.base, { "ll", "nh", "th", "ih" }, "payload: base"),
      quote.integer(field(p, "offset", "payload"), "payload: offset", 0),
      quote.integer(field(p, "len", "payload"), "payload: len", 1))
  end
  return quote.keyword(field(p, "protocol", "payload"), "payload: protocol") .. " "
    .. quote.keyword(field(p, "field", "payload"), "payload: field")
end

function kinds.exthdr(e)
  local name = quote.keyword(field(e, "name", "exthdr"), "exthdr: name")
  if not e.field then
    return "exthdr " .. name
  end
  local index = e.offset and "[" .. quote.integer(e.offset, "exthdr: offset", 0) .. "]" or ""
  return name .. " " .. quote.keyword(e.field, "exthdr: field") .. index
end

kinds["tcp option"] = function(o)
  if o.base then
    return ("tcp option @%s,%s,%s"):format(quote.integer(o.base, "tcp option: base", 0, 255),
      quote.integer(field(o, "offset", "tcp option"), "tcp option: offset", 0),
      quote.integer(field(o, "len", "tcp option"), "tcp option: len", 1))
  end
  local name = field(o, "name", "tcp option")
  name = math.type(name) == "integer" and quote.integer(name, "tcp option: name", 0, 255)
    or quote.keyword(name, "tcp option: name")
  return "tcp option " .. name .. (o.field and " " .. quote.keyword(o.field, "tcp option: field") or "")
end

for _, kind in ipairs { "ip option", "sctp chunk" } do
  kinds[kind] = function(o)
    return kind .. " " .. quote.keyword(field(o, "name", kind), kind .. ": name")
      .. (o.field and " " .. quote.keyword(o.field, kind .. ": field") or "")
  end
end

kinds["dccp option"] = function(o)
  return "dccp option " .. quote.integer(field(o, "type", "dccp option"), "dccp option: type", 0, 255)
end

function kinds.meta(m)
  return "meta " .. quote.keyword(field(m, "key", "meta"), "meta: key")
end

function kinds.rt(r)
  return "rt " .. (r.family and quote.family(r.family) .. " " or "") .. quote.keyword(field(r, "key", "rt"), "rt: key")
end

function kinds.ct(c)
  local dir = c.dir and quote.word(c.dir, { "original", "reply" }, "ct: dir") .. " " or ""
  local family = c.family and quote.family(c.family) .. " " or ""
  return "ct " .. dir .. family .. quote.keyword(field(c, "key", "ct"), "ct: key")
end

function kinds.numgen(n)
  return "numgen " .. quote.word(field(n, "mode", "numgen"), { "inc", "random" }, "numgen: mode")
    .. " mod " .. quote.integer(field(n, "mod", "numgen"), "numgen: mod", 1)
    .. optional(n, "offset", " offset %s", "numgen")
end

function kinds.jhash(h)
  return "jhash " .. text_of(field(h, "expr", "jhash")) .. " mod "
    .. quote.integer(field(h, "mod", "jhash"), "jhash: mod", 1) .. optional(h, "seed", " seed %s", "jhash")
    .. optional(h, "offset", " offset %s", "jhash")
end

function kinds.symhash(h)
  return "symhash mod " .. quote.integer(field(h, "mod", "symhash"), "symhash: mod", 1)
    .. optional(h, "offset", " offset %s", "symhash")
end

function kinds.fib(f)
  local flags = field(f, "flags", "fib")
  if type(flags) == "string" then
    flags = { flags }
  end
  return "fib " .. list_of(flags, " . ", "fib: flags", function(flag)
    return quote.keyword(flag, "fib: flags")
  end) .. " " .. quote.keyword(field(f, "result", "fib"), "fib: result")
end

function kinds.socket(s)
  local level = s.level and " level " .. quote.integer(s.level, "socket: level", 0) or ""
  return "socket " .. quote.keyword(field(s, "key", "socket"), "socket: key") .. level
end

function kinds.osf(o)
  local ttl = o.ttl and "ttl " .. quote.word(o.ttl, { "loose", "skip" }, "osf: ttl") .. " " or ""
  return "osf " .. ttl .. quote.keyword(field(o, "key", "osf"), "osf: key")
end

function kinds.ipsec(i)
  return "ipsec " .. quote.word(field(i, "dir", "ipsec"), { "in", "out" }, "ipsec: dir")
    .. optional(i, "spnum", " spnum %s", "ipsec") .. " " .. (i.family and quote.family(i.family) .. " " or "")
    .. quote.keyword(field(i, "key", "ipsec"), "ipsec: key")
end

for _, verdict in ipairs { "accept", "drop", "continue", "return" } do
  kinds[verdict] = function()
    return verdict
  end
end

for _, verdict in ipairs { "jump", "goto" } do
  kinds[verdict] = function(v)
    local target = type(v) == "string" and v or field(v, "target", verdict)
    return verdict .. " " .. quote.name(target, "chain")
  end
end

expr.text, expr.operand, expr.list_of, expr.field, expr.kinds = text_of, operand, list_of, field, kinds

return expr
