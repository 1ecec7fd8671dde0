--- Tables, chains, sets, maps, named objects and flowtables, as Lua tables, into nft's text.
--
-- A kind of object is a row of `object.kinds`: the keys it knows and a function that gives the
-- lines of its block. The keys are those of libnftables-json(5), with a few of nft(8)'s own words
-- beside them (`priority` for prio, `device` for dev).
-- @module netns.nft.object
local expr = require "netns.nft.expr"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local stmt = require "netns.nft.stmt"

local object = {}

local function comma_words(value, what)
  return expr.list_of(type(value) == "table" and value or { value }, ",", what, function(word)
    return quote.keyword(word, what)
  end)
end

local function type_words(value, what)
  if type(value) == "table" then
    return expr.list_of(value, " . ", what, function(word)
      return quote.keyword(word, what)
    end)
  elseif type(value) ~= "string" or not value:find "^[%a_][%w_ .]*$" then
    check.refuse("%s must be a type of nft such as \"ipv4_addr\" or a list of them, got %s", what, check.show(value))
  end
  return value
end

--- "filter", "srcnat + 5", -300
local function priority(value)
  if math.type(value) == "integer" then
    return ("%d"):format(value)
  elseif type(value) == "string" and value:find "^%s*%-?%d+%s*$" or type(value) == "string"
    and value:find "^%a+%s*$" or type(value) == "string" and value:find "^%a+%s*[+-]%s*%d+%s*$" then
    return value
  end
  check.refuse("priority must be an integer or a word such as \"filter\" or \"dstnat + 5\", got %s", check.show(value))
end

local function devices(value)
  local names = type(value) == "table" and value or { value }
  local quoted = expr.list_of(names, ", ", "a list of devices", function(name)
    return object.ifname(name)
  end)
  return #names == 1 and quoted or "{ " .. quoted .. " }", #names
end

--- The name of an interface between quotation marks.
function object.ifname(name)
  if type(name) ~= "string" or #name == 0 or #name > 15 or name:find '[/%s%c"]' then
    check.refuse("the name of an interface has 1 to 15 bytes, without blanks, slashes and quotation marks, got %s",
      check.show(name))
  end
  return '"' .. name .. '"'
end

local function add_comment(lines, o)
  if o.comment ~= nil then
    lines[#lines + 1] = "comment " .. quote.comment(o.comment)
  end
end

local function table_lines(lines, o)
  if o.flags ~= nil then
    lines[#lines + 1] = "flags " .. comma_words(o.flags, "flags")
  end
end

local function chain_lines(lines, o)
  local hook, prio = o.hook, o.priority == nil and o.prio or o.priority
  local dev = o.device == nil and o.dev or o.device
  if hook == nil then
    for _, key in ipairs { "type", "priority", "prio", "policy", "device", "dev" } do
      if o[key] ~= nil then
        check.refuse("chain: %s needs a hook (prerouting, input, forward, output, postrouting, ingress or egress)", key)
      end
    end
    return
  end
  local line = ("type %s hook %s"):format(
    quote.word(o.type == nil and "filter" or o.type, { "filter", "nat", "route" }, "chain: type"),
    quote.word(hook, { "prerouting", "input", "forward", "output", "postrouting", "ingress", "egress" }, "chain: hook"))
  if dev ~= nil then
    local names, count = devices(dev)
    line = line .. (count == 1 and " device " or " devices = ") .. names
  end
  lines[#lines + 1] = line .. " priority " .. priority(prio == nil and 0 or prio)
  if o.flags ~= nil then
    lines[#lines + 1] = "flags " .. comma_words(o.flags, "chain: flags")
  end
  if o.policy ~= nil then
    lines[#lines + 1] = "policy " .. quote.word(o.policy, { "accept", "drop" }, "chain: policy")
  end
end

local function key_type(o, kind)
  if (o.type == nil) == (o.typeof == nil) then
    check.refuse("%s: exactly one of type and typeof must be given", kind)
  end
  if o.typeof then
    local text = o.typeof
    if type(text) ~= "string" or text:find '[^%w_ .,@:&|()<>%-]' then
      check.refuse("%s: typeof must be an expression of nft such as \"ip saddr\", got %s", kind, check.show(text))
    end
    return "typeof " .. text
  end
  return "type " .. type_words(o.type, kind .. ": type")
end

local function set_options(lines, o, kind)
  if o.flags ~= nil then
    lines[#lines + 1] = "flags " .. comma_words(o.flags, kind .. ": flags")
  end
  for _, key in ipairs { "timeout", "gc-interval" } do
    if o[key] ~= nil then
      lines[#lines + 1] = key .. " " .. quote.time(o[key], kind .. ": " .. key)
    end
  end
  if o.size ~= nil then
    lines[#lines + 1] = "size " .. quote.integer(o.size, kind .. ": size", 1, 0xffffffff)
  end
  if o.policy ~= nil then
    lines[#lines + 1] = "policy " .. quote.word(o.policy, { "performance", "memory" }, kind .. ": policy")
  end
  if o["auto-merge"] then
    lines[#lines + 1] = "auto-merge"
  end
  for _, statement in ipairs(o.stmt or {}) do
    lines[#lines + 1] = stmt.text(statement)
  end
end

local function set_lines(lines, o)
  lines[#lines + 1] = key_type(o, "set")
  set_options(lines, o, "set")
end

local function map_lines(lines, o)
  local value = o.map == nil and o.data or o.map
  if o.typeof then
    lines[#lines + 1] = key_type(o, "map") .. (o.typeof:find ":" and "" or " : " .. type_words(value, "map: map"))
  else
    lines[#lines + 1] = key_type(o, "map") .. " : " .. type_words(value, "map: map")
  end
  set_options(lines, o, "map")
end

local function counter_lines(lines, o)
  if o.packets ~= nil or o.bytes ~= nil then
    lines[#lines + 1] = ("packets %s bytes %s"):format(quote.integer(o.packets or 0, "counter: packets", 0),
      quote.integer(o.bytes or 0, "counter: bytes", 0))
  end
end

local function quota_lines(lines, o)
  lines[#lines + 1] = stmt.quota(o)
end

local function limit_lines(lines, o)
  lines[#lines + 1] = stmt.limit(o)
end

local function need(o, key, kind)
  if o[key] == nil then
    check.refuse("%s: %s is missing", kind, key)
  end
  return o[key]
end

local function l3proto(lines, o, kind)
  if o.l3proto ~= nil then
    lines[#lines + 1] = "l3proto " .. quote.word(o.l3proto, { "ip", "ip6", "inet" }, kind .. ": l3proto")
  end
end

local function helper_lines(lines, o)
  lines[#lines + 1] = ("type %s protocol %s"):format(quote.string(need(o, "type", "ct helper"), "ct helper: type"),
    quote.word(need(o, "protocol", "ct helper"), { "tcp", "udp" }, "ct helper: protocol"))
  l3proto(lines, o, "ct helper")
end

local function timeout_lines(lines, o)
  lines[#lines + 1] = "protocol "
    .. quote.word(need(o, "protocol", "ct timeout"), { "tcp", "udp" }, "ct timeout: protocol")
  l3proto(lines, o, "ct timeout")
  local states = {}
  for state, seconds in pairs(need(o, "policy", "ct timeout")) do
    states[#states + 1] = quote.keyword(state, "ct timeout: policy") .. " : "
      .. quote.integer(seconds, "ct timeout: policy", 0)
  end
  table.sort(states)
  lines[#lines + 1] = "policy = { " .. table.concat(states, ", ") .. " }"
end

local function expectation_lines(lines, o)
  local function add(text, ...)
    lines[#lines + 1] = text:format(...)
  end
  add("protocol %s", quote.word(need(o, "protocol", "ct expectation"), { "tcp", "udp" }, "ct expectation: protocol"))
  add("dport %s", quote.integer(need(o, "dport", "ct expectation"), "ct expectation: dport", 0, 65535))
  add("timeout %sms", quote.integer(need(o, "timeout", "ct expectation"), "ct expectation: timeout", 0))
  add("size %s", quote.integer(need(o, "size", "ct expectation"), "ct expectation: size", 1, 255))
  l3proto(lines, o, "ct expectation")
end

local function synproxy_lines(lines, o)
  lines[#lines + 1] = stmt.synproxy(o, "; ")
end

local function secmark_lines(lines, o)
  lines[#lines + 1] = quote.string(need(o, "context", "secmark"), "secmark: context")
end

local function flowtable_lines(lines, o)
  local prio = o.priority == nil and o.prio or o.priority
  local dev = o.devices or o.device or o.dev
  lines[#lines + 1] = ("hook %s priority %s"):format(
    quote.word(o.hook == nil and "ingress" or o.hook, { "ingress" }, "flowtable: hook"), priority(prio or 0))
  if dev ~= nil then
    local names, count = devices(dev)
    lines[#lines + 1] = "devices = " .. (count == 1 and "{ " .. names .. " }" or names)
  end
  for _, flag in ipairs(type(o.flags) == "table" and o.flags or { o.flags }) do
    lines[#lines + 1] = quote.word(flag, { "offload", "counter" }, "flowtable: flags") == "offload" and "flags offload"
      or "counter"
  end
end

local common = " family table name handle comment"
local set_keys = " type typeof flags timeout gc-interval size policy auto-merge stmt elem"

-- keys, lines of the block, and whether nft 1.0.6 takes a comment for it
object.kinds = {
  table = { keys = quote.set("flags" .. common), lines = table_lines },
  chain = { keys = quote.set("type hook prio priority policy dev device flags" .. common), lines = chain_lines },
  set = { keys = quote.set(common .. set_keys), lines = set_lines },
  map = { keys = quote.set("map data" .. common .. set_keys), lines = map_lines },
  counter = { keys = quote.set("packets bytes" .. common), lines = counter_lines },
  quota = { keys = quote.set("bytes val val_unit used used_unit inv" .. common), lines = quota_lines },
  limit = { keys = quote.set("rate rate_unit per burst burst_unit inv" .. common), lines = limit_lines },
  ["ct helper"] = { keys = quote.set("type protocol l3proto" .. common), lines = helper_lines },
  ["ct timeout"] = { keys = quote.set("protocol l3proto policy" .. common), lines = timeout_lines },
  ["ct expectation"] = { keys = quote.set("protocol dport timeout size l3proto" .. common), lines = expectation_lines },
  synproxy = { keys = quote.set("mss wscale flags" .. common), lines = synproxy_lines },
  secmark = { keys = quote.set("context" .. common), lines = secmark_lines },
  flowtable = { keys = quote.set("hook prio priority dev device devices flags" .. common), lines = flowtable_lines },
}

--- "inet filter input": where an object is.
function object.path(kind, o)
  local name = quote.name(o.name, kind)
  if kind == "table" then
    return quote.family(o.family) .. " " .. name
  end
  return quote.table(o.family, o.table) .. " " .. name
end

--- The command that creates an object (without the elements of a set).
-- @tparam string kind "table", "chain", "set" ...
-- @tparam table o its keys, with family, table and name
-- @tparam[opt="add"] string verb "add" or "create"
function object.add(kind, o, verb)
  local row = object.kinds[kind]
  check.keys(o, row.keys, kind)
  local lines = {}
  row.lines(lines, o)
  add_comment(lines, o)
  local block = #lines > 0 and " { " .. table.concat(lines, "; ") .. "; }" or ""
  return ("%s %s %s%s"):format(verb or "add", kind, object.path(kind, o), block)
end

--- The command that deletes an object, by name.
function object.delete(kind, o)
  return ("delete %s %s"):format(kind, object.path(kind, o))
end

return object
