--- Statements of libnftables-json(5), as Lua tables, into nft's text; and whole rules.
-- @module netns.nft.stmt
local expr = require "netns.nft.expr"
local check = require "netns.check"
local quote = require "netns.nft.quote"

local stmt = {}

-- by the key of the JSON object: function(argument) -> text. `true` is JSON's null.
local kinds = {}
local field = expr.field

-- The argument as a table: true and {} are "no arguments".
local function arguments(value, kind, keys)
  if value == true then
    return {}
  elseif type(value) ~= "table" then
    check.refuse("%s must be a table, got %s", kind, check.show(value))
  end
  check.keys(value, quote.set(keys), kind)
  return value
end

local function word_list(value, separator, what)
  if type(value) == "string" then
    value = { value }
  end
  return expr.list_of(value, separator, what, function(word)
    return quote.keyword(word, what)
  end)
end

local function is_set(value)
  return type(value) == "table" and value.set ~= nil or type(value) == "string" and value:find "^@" ~= nil
end

local operators = { "==", "!=", "<", ">", "<=", ">=", "in", "!" }

function kinds.match(m)
  local op = quote.word(m.op == nil and "==" or m.op, operators, "match: op")
  local left, right = expr.operand(field(m, "left", "match")), field(m, "right", "match")
  if op == "in" or (op == "==" and (is_set(right) or type(right) == "boolean")) then
    return left .. " " .. expr.text(right)
  elseif type(right) == "table" and #right > 0 and op ~= "!" and op ~= "!=" then
    return left .. " " .. op .. " " .. expr.operand(right)
  end
  return left .. " " .. op .. " " .. expr.text(right)
end

-- What may be a number, the name of an object ("counter name x"), or a map to such names.
local function named(kind, anonymous)
  return function(value)
    if type(value) == "string" then
      return kind .. " name " .. quote.string(value, kind)
    elseif type(value) == "table" and value.map then
      return kind .. " name " .. expr.text(value)
    end
    return anonymous(value)
  end
end

kinds.counter = named("counter", function(value)
  local c = arguments(value, "counter", "packets bytes")
  if c.packets == nil and c.bytes == nil then
    return "counter"
  end
  return ("counter packets %s bytes %s"):format(quote.integer(c.packets or 0, "counter: packets", 0),
    quote.integer(c.bytes or 0, "counter: bytes", 0))
end)

local units = { "bytes", "kbytes", "mbytes" }
local function unit(value, default, what)
  return quote.word(value == nil and default or value, units, what)
end

local function over(inv)
  return inv and "over " or ""
end

--- "over 5 mbytes used 1 kbytes", for the statement and the object.
function stmt.quota(q)
  local used = ""
  if q.used and q.used ~= 0 then
    used = (" used %s %s"):format(quote.integer(q.used, "quota: used", 0),
      unit(q.used_unit, "bytes", "quota: used_unit"))
  end
  return ("%s%s %s%s"):format(over(q.inv), quote.integer(q.val or q.bytes, "quota: val", 0),
    unit(q.val_unit, "bytes", "quota: val_unit"), used)
end

kinds.quota = named("quota", function(value)
  return "quota " .. stmt.quota(arguments(value, "quota", "val val_unit used used_unit inv"))
end)

local periods = { "second", "minute", "hour", "day", "week" }

--- "rate over 10/second burst 5 packets", for the statement and the object.
function stmt.limit(l)
  local rate_unit = l.rate_unit and l.rate_unit ~= "packets" and " " .. unit(l.rate_unit, nil, "limit: rate_unit") or ""
  local burst = ""
  if l.burst and (l.burst ~= 0 or rate_unit == "") then
    burst = (" burst %s %s"):format(quote.integer(l.burst, "limit: burst", 0),
      rate_unit == "" and "packets" or unit(l.burst_unit, "bytes", "limit: burst_unit"))
  end
  return ("rate %s%s%s/%s%s"):format(over(l.inv), quote.integer(field(l, "rate", "limit"), "limit: rate", 0), rate_unit,
    quote.word(l.per == nil and "second" or l.per, periods, "limit: per"), burst)
end

kinds.limit = named("limit", function(value)
  return "limit " .. stmt.limit(arguments(value, "limit", "rate rate_unit per burst burst_unit inv"))
end)

function kinds.mangle(m)
  return expr.text(field(m, "key", "mangle")) .. " set " .. expr.text(field(m, "value", "mangle"))
end

function kinds.reset(value)
  return "reset " .. expr.text(value)
end

-- Where to, for snat, dnat, tproxy, redirect and masquerade: "to ADDRESS:PORT".
local function destination(n)
  local addr = n.addr ~= nil and expr.text(n.addr) or ""
  local port = n.port ~= nil and ":" .. expr.text(n.port) or ""
  return (addr ~= "" or port ~= "") and " to " .. addr .. port or ""
end

local nat_flags = { random = true, ["fully-random"] = true, persistent = true }

local function flags_of(n, kind)
  local flags = n.flags
  if flags == nil then
    return ""
  end
  local shown = {}
  for _, flag in ipairs(type(flags) == "table" and flags or { flags }) do
    if nat_flags[flag] then
      shown[#shown + 1] = flag
    elseif flag ~= "netmap" then -- said by "prefix to"
      quote.word(flag, { "random", "fully-random", "persistent" }, kind .. ": flags")
    end
  end
  return #shown > 0 and " " .. table.concat(shown, ",") or ""
end

for _, kind in ipairs { "snat", "dnat" } do
  kinds[kind] = function(value)
    local n = arguments(value, kind, "addr family port flags type_flags")
    local family = n.family and " " .. quote.word(n.family, { "ip", "ip6" }, kind .. ": family") or ""
    local kinds_of = n.type_flags and " " .. word_list(n.type_flags, " ", kind .. ": type_flags") or ""
    return kind .. family .. kinds_of .. destination(n) .. flags_of(n, kind)
  end
end

for _, kind in ipairs { "masquerade", "redirect" } do
  kinds[kind] = function(value)
    local n = arguments(value, kind, "port flags")
    return kind .. destination(n) .. flags_of(n, kind)
  end
end

function kinds.tproxy(value)
  local n = arguments(value, "tproxy", "addr family port")
  local family = n.family and " " .. quote.word(n.family, { "ip", "ip6" }, "tproxy: family") or ""
  return "tproxy" .. family .. destination(n)
end

function kinds.reject(value)
  local r = arguments(value, "reject", "type expr")
  if not r.type then
    return "reject"
  elseif r.type == "tcp reset" then
    return "reject with tcp reset"
  end
  return ("reject with %s type %s"):format(quote.word(r.type, { "icmp", "icmpv6", "icmpx" }, "reject: type"),
    type(r.expr) == "string" and quote.keyword(r.expr, "reject: expr") or expr.text(field(r, "expr", "reject")))
end

local log_flags = {
  ["tcp sequence"] = "flags tcp sequence", ["tcp options"] = "flags tcp options", ["ip options"] = "flags ip options",
  skuid = "flags skuid", ether = "flags ether", all = "flags all",
}

function kinds.log(value)
  local l = arguments(value, "log", "prefix group snaplen queue-threshold level flags")
  local parts = { "log" }
  local function say(text, ...)
    parts[#parts + 1] = text:format(...)
  end
  if l.prefix ~= nil then
    say("prefix %s", quote.log_prefix(l.prefix))
  end
  for _, key in ipairs { "group", "snaplen", "queue-threshold" } do
    if l[key] ~= nil then
      say("%s %s", key, quote.integer(l[key], "log: " .. key, 0))
    end
  end
  if l.level ~= nil then
    say("level %s", quote.word(l.level, { "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit" },
      "log: level"))
  end
  for _, flag in ipairs(type(l.flags) == "table" and l.flags or { l.flags }) do
    if not log_flags[flag] then
      check.refuse("log: unknown flag %s", check.show(flag))
    end
    parts[#parts + 1] = log_flags[flag]
  end
  return table.concat(parts, " ")
end

function kinds.notrack()
  return "notrack"
end

function kinds.fwd(value)
  local f = arguments(value, "fwd", "dev family addr")
  if f.addr == nil then
    return "fwd to " .. expr.text(field(f, "dev", "fwd"))
  end
  return ("fwd %s to %s device %s"):format(quote.word(f.family, { "ip", "ip6" }, "fwd: family"), expr.text(f.addr),
    expr.text(field(f, "dev", "fwd")))
end

function kinds.dup(value)
  local d = arguments(value, "dup", "addr dev")
  return "dup to " .. expr.text(field(d, "addr", "dup")) .. (d.dev ~= nil and " device " .. expr.text(d.dev) or "")
end

local function statements(list)
  if type(list) == "table" and #list == 0 and next(list) then
    list = { list }
  end
  return expr.list_of(list, " ", "a list of statements", stmt.text)
end

function kinds.set(value)
  local s = arguments(value, "set", "op elem set stmt data")
  local name = field(s, "set", "set")
  if type(name) ~= "string" or not name:find "^@" then
    check.refuse("set: set must be \"@name\", got %s", check.show(name))
  end
  return ("%s %s { %s%s%s }"):format(quote.word(field(s, "op", "set"), { "add", "update", "delete" }, "set: op"),
    expr.text(name), expr.text(field(s, "elem", "set")), s.stmt and " " .. statements(s.stmt) or "",
    s.data ~= nil and " : " .. expr.text(s.data) or "")
end

-- Other names of the same statement with data: { map = { op, elem, data, map = "@m" } }.
function kinds.map(value)
  local m = arguments(value, "map", "op elem map data stmt")
  return kinds.set { op = m.op, elem = m.elem, set = m.map, data = m.data, stmt = m.stmt }
end

function kinds.meter(value)
  local m = arguments(value, "meter", "name key stmt size")
  return ("meter %s%s { %s %s }"):format(quote.name(field(m, "name", "meter"), "meter"),
    m.size and " size " .. quote.integer(m.size, "meter: size", 1) or "", expr.text(field(m, "key", "meter")),
    statements(field(m, "stmt", "meter")))
end

function kinds.queue(value)
  local q = arguments(value, "queue", "num flags")
  local flags = q.flags and " flags " .. word_list(q.flags, ",", "queue: flags") or ""
  return "queue" .. flags .. (q.num ~= nil and " to " .. expr.text(q.num) or "")
end

function kinds.vmap(value)
  return expr.vmap(value)
end

kinds["ct count"] = function(value)
  local c = arguments(value, "ct count", "val inv")
  return "ct count " .. over(c.inv) .. quote.integer(field(c, "val", "ct count"), "ct count: val", 0)
end

for _, kind in ipairs { "ct helper", "ct timeout", "ct expectation" } do
  kinds[kind] = function(value)
    return kind .. " set " .. (type(value) == "string" and quote.string(value, kind) or expr.text(value))
  end
end

function kinds.secmark(value)
  return "meta secmark set " .. (type(value) == "string" and quote.string(value, "secmark") or expr.text(value))
end

function kinds.flow(value)
  local f = arguments(value, "flow", "op flowtable")
  quote.word(f.op == nil and "add" or f.op, { "add" }, "flow: op")
  local name = field(f, "flowtable", "flow")
  return "flow add @" .. quote.name(type(name) == "string" and name:gsub("^@", "") or name, "flowtable")
end

--- "mss 1460 wscale 7 timestamp sack-perm", for the statement and the object.
function stmt.synproxy(s, separator)
  local parts = {}
  for _, key in ipairs { "mss", "wscale" } do
    if s[key] ~= nil then
      parts[#parts + 1] = key .. " " .. quote.integer(s[key], "synproxy: " .. key, 0, 65535)
    end
  end
  if s.flags then
    parts[#parts + 1] = word_list(s.flags, " ", "synproxy: flags")
  end
  return table.concat(parts, separator)
end

kinds.synproxy = named("synproxy", function(value)
  return ("synproxy " .. stmt.synproxy(arguments(value, "synproxy", "mss wscale flags"), " ")):gsub(" $", "")
end)

function kinds.last(value)
  local l = arguments(value, "last", "used")
  return "last" .. (l.used and " used " .. quote.time(l.used // 1000, "last: used") or "")
end

for _, verdict in ipairs { "accept", "drop", "continue", "return", "jump", "goto" } do
  kinds[verdict] = expr.kinds[verdict]
end

--- One statement as text. A string is nft's text already, and trusted.
-- @tparam table|string statement
function stmt.text(statement)
  if type(statement) == "string" then
    return stmt.check_text(statement)
  elseif type(statement) ~= "table" then
    check.refuse("a statement must be a table or nft text, got %s", type(statement))
  end
  local key, argument = expr.single(statement, "a statement")
  local kind = kinds[key]
  if kind then
    return kind(argument)
  end
  if key == "xt" then
    check.refuse("an xt statement is of iptables-nft and can only be made by it")
  end
  check.refuse("unknown statement %s%s", check.show(key), check.hint(key, check.names(kinds)))
end

--- Text that must be one rule: no line break, and no ";" or unbalanced "}" that would end it.
function stmt.check_text(text)
  local depth, bare = 0, text:gsub('"[^"\n]*"', '""')
  if bare:find "[\n\r%z]" then
    check.refuse("a rule is one line, got %s", check.show(text))
  end
  for char in bare:gmatch "[{};#]" do
    depth = depth + (char == "{" and 1 or char == "}" and -1 or 0)
    if depth < 0 or (char == ";" and depth == 0) then
      check.refuse("a rule must not end within its text: unexpected \"%s\" in %s", char, check.show(text))
    elseif char == "#" then
      check.refuse("a rule must not contain a comment (#), got %s", check.show(text))
    end
  end
  if depth ~= 0 then
    check.refuse("a rule must close its braces, got %s", check.show(text))
  elseif not text:find "%S" then
    check.refuse "a rule must not be empty"
  end
  return text
end

--- A rule as text: from text, or from a list of statements.
-- @tparam table|string rule
function stmt.rule(rule)
  if type(rule) == "string" then
    return stmt.check_text(rule)
  elseif type(rule) ~= "table" then
    check.refuse("a rule must be nft text or a list of statements, got %s", type(rule))
  end
  return statements(rule)
end

expr.statement = stmt.text

return stmt
