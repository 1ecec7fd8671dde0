--- `tc qdisc` and `tc class` of the tables that the nouns take.
-- @module netns.command.tc
local core = require "netns.core"
local text = require "netns.command.text"

local tc = {}

-- Numbers are in seconds, bit/s, bytes and shares of one; what is text already is tc's.
local units = {}

function units.time(value)
  return ("%.12gs"):format(value)
end

function units.rate(value)
  return ("%.0fbit"):format(value)
end

function units.size(value)
  return ("%.0f"):format(value)
end

function units.share(value)
  return ("%.12g%%"):format(value * 100)
end

local schema

-- The type of a key of a kind: what the core's rows say.
local function type_of(noun, kind, key)
  schema = schema or core.schema()
  for _, name in ipairs { ("%s %s"):format(noun, kind), noun } do
    local row = (schema[name] or {})[key]
    if row then
      return row.type
    end
  end
end

local function spell(value, kind)
  return type(value) == "number" and units[kind] and units[kind](value) or value
end

-- tc has the options of netem in groups, whose members stand by their places.
local groups = {
  { "delay", "delay", "jitter", "correlation" },
  { "loss", "loss", "loss_correlation" },
  { "duplicate", "duplicate", "duplicate_correlation" },
  { "corrupt", "corrupt", "corrupt_correlation" },
  { "reorder", "reorder", "reorder_correlation" },
  { "rate", "rate", "packet_overhead", "cell_size", "cell_overhead" },
}
local netem_types = { delay = "time", jitter = "time", rate = "rate" }
for _, key in ipairs { "correlation", "loss", "duplicate", "corrupt", "reorder" } do
  netem_types[key] = "share"
  netem_types[key .. "_correlation"] = "share"
end

local function put_group(words, group, args)
  local last = 0
  for i = 2, #group do
    last = args[group[i]] ~= nil and i or last
  end
  if last == 0 then
    return
  end
  text.put(words, group[1])
  for i = 2, last do
    local kind = netem_types[group[i]]
    text.put(words, spell(args[group[i]] or 0, kind))
  end
end

local models = {
  { "loss_state", "state", { "p13", "p31", "p32", "p23", "p14" } },
  { "loss_gemodel", "gemodel", { "p", "r", "1-h", "1-k" } },
}

local function put_slot(words, slot, distribution)
  text.put(words, "slot")
  if distribution then
    text.put(words, "distribution", distribution, spell(slot.delay or 0, "time"), spell(slot.jitter or 0, "time"))
  else
    text.put(words, spell(slot.min_delay or 0, "time"))
    text.put(words, slot.max_delay and spell(slot.max_delay, "time") or nil)
  end
  for _, key in ipairs { "packets", "bytes" } do
    if slot[key] then
      text.put(words, key, slot[key])
    end
  end
end

local makers = {}

function makers.netem(words, args)
  if args.limit then
    text.put(words, "limit", args.limit)
  end
  if args.reorder and not (args.delay or args.jitter) then
    text.put(words, "delay", "0s") -- without, tc(8) does not reorder
  end
  for _, group in ipairs(groups) do
    put_group(words, group, args)
    if group[1] == "delay" and args.distribution then
      text.put(words, "distribution", args.distribution)
    elseif group[1] == "reorder" and args.gap then
      text.put(words, "gap", args.gap)
    end
  end
  for _, model in ipairs(models) do
    local given = args[model[1]]
    if given then
      text.put(words, "loss", model[2])
      for _, key in ipairs(model[3]) do
        text.put(words, given[key] and spell(given[key], "share") or nil)
      end
    end
  end
  if args.slot then
    put_slot(words, args.slot, args.slot_distribution)
  end
  text.put(words, args.ecn and "ecn" or nil)
end

local common = { dev = true, kind = true, parent = true, root = true, handle = true, classid = true, stats = true,
  leaf = true, offloaded = true, ingress_block = true, egress_block = true }

-- The rate comes first: others are worked out from it.
local early = { bandwidth = 1, rate = 1, peakrate = 2, burst = 3, limit = 4, bands = 4, strict = 5, rt = 5 }

local function put_all(words, list)
  for _, word in ipairs(list) do
    text.put(words, word)
  end
end

local function words_of(words, key, value)
  text.put(words, key)
  put_all(words, type(value) == "table" and value or { value })
end

local function bare(words, _, value)
  text.put(words, value)
end

-- In milliseconds, percent or bytes, as a number.
local function number(kind, per)
  return function(words, key, value)
    local given = spell(value, kind)
    local amount, unit = tostring(given):match "^([%d.]+)(%a*%%?)$"
    local factor = ({ s = 1000, ms = 1, k = 1024, m = 1048576, ["%"] = 1 })[unit:lower()] or per or 1
    text.put(words, key, ("%.0f"):format(tonumber(amount) * factor))
  end
end

local function choice(yes, no)
  return function(words, _, value)
    text.put(words, value and yes or no)
  end
end

local filters = { enabled = "ack-filter", aggressive = "ack-filter-aggressive", disabled = "no-ack-filter" }

-- A curve of hfsc: a rate, or { m1 =, d =, m2 = }, or { umax =, dmax =, rate = }.
local function curve(words, key, value)
  text.put(words, key)
  if type(value) ~= "table" then
    return text.put(words, "rate", spell(value, "rate"))
  end
  for _, row in ipairs { { "m1", "rate" }, { "umax", "size" }, { "d", "time" }, { "dmax", "time" }, { "m2", "rate" },
    { "rate", "rate" } } do
    if value[row[1]] then
      text.put(words, row[1], spell(value[row[1]], row[2]))
    end
  end
end

-- What kinds write otherwise than "key value" and "key" or "nokey".
local odd = {
  fq = { horizon_drop = choice("horizon_drop", "horizon_cap") },
  fq_pie = { ecn_prob = number "share" },
  hhf = { admit_bytes = number "size" },
  sfb = { rehash = number("time", 1000), db = number("time", 1000), increment = words_of, decrement = words_of },
  sfq = { perturb = words_of },
  prio = { priomap = words_of },
  ets = { priomap = words_of, quanta = words_of },
  hfsc = { sc = curve, rt = curve, ls = curve, ul = curve },
  cake = {
    diffserv = bare, flowmode = bare, atm = bare,
    ack_filter = function(words, _, value)
      text.put(words, filters[value] or value)
    end,
    rtt = function(words, key, value)
      if type(value) == "string" and not value:find "^%d" then
        return text.put(words, value)
      end
      text.put(words, key, spell(value, "time"))
    end,
    bandwidth = function(words, key, value)
      if value == "unlimited" then
        return text.put(words, value)
      end
      text.put(words, key, spell(value, "rate"))
    end,
    nat = choice("nat", "nonat"), wash = choice("wash", "nowash"), ingress = choice("ingress", "egress"),
    split_gso = choice("split-gso", "no-split-gso"), autorate = choice "autorate-ingress", raw = choice "raw",
  },
}

-- Kinds whose booleans are words only where they are true.
local only_true = { red = true, choke = true, sfq = true, pie = true, fq_pie = true }

-- Where no max is given, it is three times min; tc(8) has another rule.
local function with_max(kind, args)
  if (kind ~= "red" and kind ~= "choke" and kind ~= "sfq") or args.max or not args.min then
    return args
  end
  local copy = {}
  for key, value in pairs(args) do
    copy[key] = value
  end
  local amount, unit = tostring(args.min):match "^([%d.]+)(%a*)$"
  copy.max = ("%.0f%s"):format(3 * tonumber(amount), unit)
  return copy
end

local function put_options(words, noun, kind, args)
  if makers[kind] then
    return makers[kind](words, args)
  end
  args = with_max(kind, args)
  for _, key in ipairs(text.options(args, common, early)) do
    local value = args[key]
    local special = odd[kind] and odd[kind][key]
    if special then
      special(words, key, value)
    elseif type(value) == "boolean" then
      text.put(words, value and key or key ~= "offload" and not only_true[kind] and "no" .. key or nil)
    elseif key == "default" and math.type(value) == "integer" then
      text.put(words, key, ("%x"):format(value))
    else
      text.put(words, key, spell(value, type_of(noun, kind, key)))
    end
  end
end

-- Kinds that have a place of their own.
local places = { ingress = true, clsact = true }

-- Verbs that mean the root where no parent is given.
local implied = { add = true, replace = true, change = true }

local function make(noun, id)
  return function(ctx, verb, args)
    local words = { "tc", table.unpack(ctx.n(noun, verb)) }
    if args.dev then
      text.put(words, "dev", args.dev)
    end
    local kind = args.kind
    for _, key in ipairs { "ingress_block", "egress_block" } do
      if args[key] then
        text.put(words, key, args[key])
      end
    end
    if places[kind] then
      text.put(words, kind)
      return { text.line(words) }
    end
    local parent = args.parent or (args.root or implied[verb] and noun == "qdisc") and "root" or nil
    if parent == "root" then
      text.put(words, "root")
    elseif parent then
      text.put(words, "parent", parent)
    end
    if args[id] then
      text.put(words, id, args[id])
    end
    text.put(words, kind)
    put_options(words, noun, kind, args)
    return { text.line(words) }
  end
end

tc.qdisc, tc.class = make("qdisc", "handle"), make("class", "classid")

return tc
