--- `ip addr`, `route`, `rule`, `neigh` and `nexthop` of the tables that the nouns take.
-- @module netns.command.net
local plain = require "netns.plain"
local text = require "netns.command.text"

local net = {}

local function is_six(value)
  return type(value) == "string" and value:find(":", 1, true) ~= nil and not value:find "^inet "
end

-- "-6", "-M" or "-4" where the words do not tell the family.
local function family_word(args, keys)
  local by_name = { inet = "-4", inet6 = "-6", mpls = "-M", bridge = "-B" }
  if args.family then
    return by_name[args.family]
  end
  for _, key in ipairs(keys) do
    local value = args[key]
    if type(value) == "string" and value:find "%x[.:]%x*" or value == "::/0" then
      return is_six(value) and "-6" or nil
    end
  end
end

local function command(ctx, family, ...)
  local words = { "ip" }
  text.put(words, family)
  for _, word in ipairs(ctx.n(...)) do
    words[#words + 1] = word
  end
  return words
end

-- Not said: `proto`, which ip(8) has no word for before 2023.

-- Addresses --------------------------------------------------------------------------------------------------------

local addr_rows = text.rows [[
  peer          value
  broadcast     value
  anycast       value
  label         value
  scope         value
  metric        value
  dev           value
  valid_lft     value
  preferred_lft value
  nodad         flag
  home          flag
  mngtmpaddr    flag
  noprefixroute flag
  autojoin      flag
  optimistic    flag
]]

-- Verbs whose words are a filter.
local filtering = { show = true, flush = true }

local addr_filters = text.rows [[
  dev        value
  scope      value
  label      value
  dynamic    flag
  tentative  flag
  deprecated flag
]]

-- `ip addr show` and `flush` take an address as "to", and to flush is to say what.
local function addr_filter(ctx, verb, args)
  local commands = {}
  local to = args.address and args.address:match "^[^/]+"
  local nothing = verb == "flush" and next(args) == nil
  for _, family in ipairs(nothing and { "-4", "-6" } or { family_word(args, {}) or false }) do
    local words = command(ctx, family or nil, "addr", verb)
    if to or nothing then
      text.put(words, "to", to or family == "-6" and "::/0" or "0.0.0.0/0")
    end
    text.fields(words, addr_filters, args)
    commands[#commands + 1] = text.line(words)
  end
  return commands
end

function net.addr(ctx, verb, args)
  if filtering[verb] then
    return addr_filter(ctx, verb, args)
  end
  local words = { "ip", table.unpack(ctx.n("addr", verb, args.address)) }
  text.fields(words, addr_rows, args)
  return { text.line(words) }
end

-- Routes -----------------------------------------------------------------------------------------------------------

local route_rows = text.rows [[
  from               value
  as                 value
  tos                hex
  via                split
  dev                value
  table              value
  proto              value
  scope              value
  metric             value
  src                value
  realms             value
  onlink             flag
  pref               value
  expires            value
  nhid               value
  congctl            value
  hoplimit           value
  advmss             value
  window             value
  rtt                value
  rttvar             value
  rto_min            value
  cwnd               value
  initcwnd           value
  initrwnd           value
  ssthresh           value
  reordering         value
  quickack           value
  fastopen_no_cookie value
]]

local lockable = { mtu = true, rtt = true, rttvar = true, window = true, cwnd = true, ssthresh = true,
  reordering = true, hoplimit = true, advmss = true, rto_min = true }

local encap_rows = {
  xfrm = text.rows "if_id value\nlink_dev value",
  ip = text.rows "id value\ndst value\nsrc value\ntos hex\nttl value",
  ip6 = text.rows "id value\ndst value\nsrc value\ntc hex\nhoplimit value",
}

local seg6_rows = text.rows [[
  action  value
  count   flag
  flavors list
  lblen   value
  nflen   value
  nh4     value
  nh6     value
  iif     value
  oif     value
  table   value
  vrftable value
]]

local function put_segments(words, encap)
  local segs = encap.segs
  text.put(words, "segs", type(segs) == "table" and table.concat(segs, ",") or segs)
  if encap.hmac then
    text.put(words, "hmac", encap.hmac)
  end
end

local function put_trace(words, encap)
  for _, key in ipairs { "freq", "mode", "tundst" } do
    if encap[key] then
      text.put(words, key, encap[key])
    end
  end
  local trace = encap.trace
  text.put(words, "trace", "prealloc", "type", ("0x%x"):format(trace.type), "ns", trace.ns, "size", trace.size)
end

local function put_encap(words, encap)
  text.put(words, "encap", encap.type)
  if encap.type == "seg6" then
    text.put(words, "mode", encap.mode or "encap")
    return put_segments(words, encap)
  elseif encap.type == "seg6local" then
    text.fields(words, seg6_rows, encap)
    if encap.segs then
      text.put(words, "srh")
      put_segments(words, encap)
    end
    return
  end
  if encap.type == "mpls" then
    local labels = encap.labels
    text.put(words, type(labels) == "table" and table.concat(labels, "/") or labels)
    if encap.ttl then
      text.put(words, "ttl", encap.ttl)
    end
    return
  end
  if encap.type == "rpl" then
    return put_segments(words, encap)
  elseif encap.type == "ioam6" then
    return put_trace(words, encap)
  end
  text.fields(words, encap_rows[encap.type] or {}, encap)
end

-- The metrics that the kernel may not change carry the word "lock".
local function put_metrics(words, args)
  local locked = {}
  for _, name in ipairs(type(args.lock) == "table" and args.lock or { args.lock }) do
    locked[name] = true
  end
  if args.mtu then
    text.put(words, "mtu", locked.mtu and "lock" or args.mtu, locked.mtu and args.mtu or nil)
  end
  if args.features then
    text.put(words, "features", args.features == 1 and "ecn" or args.features)
  end
  if args.ttl_propagate ~= nil then
    text.put(words, "ttl-propagate", args.ttl_propagate == 1 and "enabled" or "disabled")
  end
  return locked
end

local hop_rows = text.rows "as value\nvia split\ndev value\nweight value\nonlink flag\nrealms value"

-- An IPv4 route by an IPv6 gateway says so, and one of MPLS always.
local function via_of(via, family)
  if family == "-M" and type(via) == "string" and not via:find "^inet" then
    return (is_six(via) and "inet6 " or "inet ") .. via
  end
  local six = family == "-6"
  return type(via) == "string" and is_six(via) and not via:find "^inet" and not six and "inet6 " .. via or via
end

local function put_hops(words, hops, family)
  for _, hop in ipairs(hops) do
    text.put(words, "nexthop")
    if hop.encap then
      put_encap(words, hop.encap)
    end
    text.fields(words, hop_rows, plain.copy(hop, { via = via_of(hop.via, family) }))
  end
end

-- Of a route to "default", what its gateways are.
local function route_family(args)
  local word = family_word(args, { "dst", "from", "src" })
  if word or (args.dst and args.dst ~= "default") then
    return word
  end
  local hops = args.nexthops or {}
  return is_six(args.via or (hops[1] or {}).via) and "-6" or nil
end

-- Do addresses among the words tell the family?
local function tells_family(args)
  for _, key in ipairs { "dst", "from", "to", "src", "via" } do
    if type(args[key]) == "string" and args[key]:find "%x[.:]" then
      return true
    end
  end
  return args.family ~= nil
end

-- Lists are of both families, where iproute2's are of one.
local function both_families(maker, ctx, verb, args)
  local commands = {}
  for _, family in ipairs { "inet", "inet6" } do
    commands[#commands + 1] = maker(ctx, verb, plain.copy(args, { family = family }))[1]
  end
  return commands
end

function net.route(ctx, verb, args)
  local family = route_family(args)
  if filtering[verb] and not tells_family(args) then
    return both_families(net.route, ctx, verb, args)
  elseif verb == "flush" and args.table == nil then
    args = plain.copy(args, { table = "main" })
  end
  local words = command(ctx, family, "route", verb)
  if args.type and args.type ~= "unicast" then
    text.put(words, args.type)
  end
  text.put(words, args.dst or not filtering[verb] and "default" or nil)
  local late = args.encap and args.encap.type == "xfrm" -- iproute2 takes no word behind it
  if args.encap and not late then
    put_encap(words, args.encap)
  end
  local locked = put_metrics(words, args)
  for _, row in ipairs(route_rows) do
    local value = row.key == "via" and via_of(args.via, family) or args[row.key]
    if value ~= nil and locked[row.key] and lockable[row.key] then
      text.put(words, row.word, "lock", value)
    elseif value ~= nil then
      text.field(words, row, value)
    end
  end
  if late then
    put_encap(words, args.encap)
  end
  put_hops(words, args.nexthops or {}, family)
  return { text.line(words) }
end

-- Rules ------------------------------------------------------------------------------------------------------------

local rule_rows = text.rows [[
  not                   flag
  from                  value
  to                    value
  iif                   value
  oif                   value
  fwmark                value
  tos                   hex
  ipproto               value
  sport                 value
  dport                 value
  uidrange              value
  tun_id                value
  l3mdev                flag
  priority              value
  proto                 value protocol
  table                 value
  goto                  value
  suppress_prefixlength value
  suppress_ifgroup      value
  realms                value
]]

function net.rule(ctx, verb, args)
  local family = family_word(args, { "from", "to" })
  if filtering[verb] and not tells_family(args) then
    return both_families(net.rule, ctx, verb, args)
  end
  local words = command(ctx, family, "rule", verb)
  local mark = args.fwmask and args.fwmark and ("%s/%s"):format(args.fwmark, args.fwmask) or args.fwmark
  text.fields(words, rule_rows, plain.copy(args, { fwmark = mark }))
  local action = args.action
  if action and action ~= "lookup" and action ~= "goto" then
    text.put(words, action)
  end
  return { text.line(words) }
end

-- Neighbours -------------------------------------------------------------------------------------------------------

local neigh_rows = text.rows [[
  lladdr       value
  dev          value
  state        value nud
  router       flag
  use          flag
  managed      flag
  extern_learn flag
  proto        value protocol
]]

function net.neigh(ctx, verb, args)
  local words = { "ip", table.unpack(ctx.n("neigh", verb)) }
  text.put(words, args.proxy and "proxy" or nil)
  text.put(words, args.dst)
  text.put(words, verb == "flush" and next(args) == nil and "all" or nil)
  text.fields(words, neigh_rows, args)
  return { text.line(words) }
end

-- Nexthops ---------------------------------------------------------------------------------------------------------

local nexthop_rows = text.rows [[
  id        value
  via       value
  dev       value
  onlink    flag
  blackhole flag
  fdb       flag
]]

local function group_word(group)
  local parts = {}
  for i, item in ipairs(group) do
    local id, weight = item, nil
    if type(item) == "table" then
      id, weight = item.id, item.weight
    end
    parts[i] = weight and weight ~= 1 and ("%s,%s"):format(id, weight) or tostring(id)
  end
  return table.concat(parts, "/")
end

local timers = { "idle_timer", "unbalanced_timer" }

function net.nexthop(ctx, verb, args)
  local words = command(ctx, family_word(args, { "via" }), "nexthop", verb)
  text.fields(words, nexthop_rows, args)
  if args.group then
    text.put(words, "group", group_word(args.group))
    if args.type then
      text.put(words, "type", args.type)
    end
    local resilient = args.resilient or {}
    if resilient.buckets then
      text.put(words, "buckets", resilient.buckets)
    end
    for _, key in ipairs(timers) do -- ip takes seconds
      if resilient[key] then
        text.put(words, key, resilient[key] // 100)
      end
    end
  end
  if args.proto then
    text.put(words, "proto", args.proto)
  end
  return { text.line(words) }
end

return net
