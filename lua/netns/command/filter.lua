--- `tc filter` of the tables that `ns.filter` takes, with their actions.
-- @module netns.command.filter
local text = require "netns.command.text"

local filter = {}

-- Numbers are in bit/s and bytes; what is text already is tc's.
local function rate(value)
  return type(value) == "number" and ("%.0fbit"):format(value) or value
end

local function split(words, value)
  for word in tostring(value):gmatch "%S+" do
    text.put(words, word)
  end
end

-- Actions ----------------------------------------------------------------------------------------------------------

local function put_keys(words, args, keys)
  for key in keys:gmatch "%S+" do
    if args[key] ~= nil then
      text.put(words, key, args[key])
    end
  end
end

local actions = {}

function actions.gact(words, a)
  split(words, a.control or "pass")
  if a.random then
    text.put(words, "random", a.random)
    split(words, a.random_control)
    text.put(words, a.random_val)
  end
  return true
end

function actions.mirred(words, a)
  text.put(words, a.direction or "egress", a.action, "dev", a.dev)
end

function actions.police(words, a)
  for key in ("rate burst mtu peakrate avrate overhead linklayer pkts_rate pkts_burst"):gmatch "%S+" do
    if a[key] ~= nil then
      text.put(words, key, key:find "^%l*rate$" and rate(a[key]) or a[key])
    end
  end
  if a.conform then
    text.put(words, "conform-exceed", ("%s/%s"):format(a.control or "reclassify", a.conform))
    return true
  end
end

function actions.skbedit(words, a)
  put_keys(words, a, "priority queue_mapping ptype")
  if a.mark then
    text.put(words, "mark", a.mask and ("%s/%s"):format(a.mark, a.mask) or a.mark)
  end
  text.put(words, a.inheritdsfield and "inheritdsfield" or nil)
end

function actions.vlan(words, a)
  text.put(words, a.action)
  put_keys(words, a, "id protocol priority dst_mac src_mac")
end

function actions.nat(words, a)
  text.put(words, a.egress and "egress" or "ingress", a.old, a.new)
end

function actions.csum(words, a)
  local first = true
  for key in ("ip4h icmp igmp tcp udp udplite sctp"):gmatch "%S+" do
    if a[key] then
      text.put(words, not first and "and" or nil)
      text.put(words, key)
      first = false
    end
  end
end

function actions.connmark(words, a)
  put_keys(words, a, "zone")
end

function actions.simple(words, a)
  put_keys(words, a, "sdata")
end

function actions.sample(words, a)
  put_keys(words, a, "rate group trunc")
end

function actions.pedit(words, a)
  text.put(words, "ex")
  for _, munge in ipairs(type(a.munge) == "table" and a.munge or { a.munge }) do
    text.put(words, "munge")
    split(words, munge)
  end
end

local function put_action(words, a)
  text.put(words, "action")
  if type(a) == "string" then
    return split(words, a)
  end
  text.put(words, a.kind)
  local done = actions[a.kind] and actions[a.kind](words, a)
  if a.control and not done then
    split(words, a.control)
  end
  if a.index then
    text.put(words, "index", a.index)
  end
end

-- Classifiers ------------------------------------------------------------------------------------------------------

local common = {}
for key in ("dev kind parent pref protocol handle chain block mask action actions stats in_hw ht"):gmatch "%S+" do
  common[key] = true
end

-- flower understands some keys only behind others.
local early = { indev = 1, vlan_id = 2, vlan_prio = 2, num_of_vlans = 1, vlan_ethtype = 3, cvlan_id = 4, cvlan_prio = 4,
  cvlan_ethtype = 5, ip_proto = 6, divisor = 1 }

local function put_options(words, args)
  for _, key in ipairs(text.options(args, common, early)) do
    local value = args[key]
    if key == "match" then
      for _, match in ipairs(type(value) == "table" and value or { value }) do
        text.put(words, "match")
        split(words, match)
      end
    elseif type(value) == "boolean" then
      text.put(words, value and key or nil)
    else
      text.put(words, key, value)
    end
  end
end

local places = { ingress = true, egress = true, root = true }

--- The commands of an operation.
function filter.filter(ctx, verb, args)
  local words = { "tc", table.unpack(ctx.n("filter", verb == "flush" and "del" or verb)) }
  put_keys(words, args, "block")
  put_keys(words, args, "dev")
  local parent = args.parent
  if places[parent] then
    text.put(words, parent)
  elseif parent then
    text.put(words, "parent", parent)
  end
  put_keys(words, args, "pref protocol")
  if args.handle then
    text.put(words, "handle", args.mask and ("%s/%s"):format(args.handle, args.mask) or args.handle)
  end
  put_keys(words, args, "chain")
  text.put(words, args.kind)
  if verb ~= "show" and verb ~= "del" and verb ~= "flush" then
    put_options(words, args)
    for _, a in ipairs(args.actions or { args.action }) do
      put_action(words, a)
    end
  end
  return { text.line(words) }
end

return filter
