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
local early = { rate = 1, peakrate = 2, burst = 3, limit = 4 }

local function put_options(words, noun, kind, args)
  if makers[kind] then
    return makers[kind](words, args)
  end
  local keys = {}
  for key in pairs(args) do
    keys[#keys + 1] = not common[key] and key or nil
  end
  table.sort(keys, function(a, b)
    local x, y = early[a] or 9, early[b] or 9
    if x ~= y then
      return x < y
    end
    return a < b
  end)
  for _, key in ipairs(keys) do
    local value = args[key]
    if type(value) == "boolean" then
      text.put(words, value and key or key ~= "offload" and "no" .. key or nil)
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
