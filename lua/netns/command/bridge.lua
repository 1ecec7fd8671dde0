--- `bridge fdb`, `vlan` and `mdb` of the tables that the nouns take.
-- @module netns.command.bridge
local text = require "netns.command.text"

local bridge = {}

local function words_of(ctx, ...)
  return { "bridge", table.unpack(ctx.n(...)) }
end

local fdb_rows = text.rows [[
  dev          value
  vlan         value
  dst          value
  port         value
  vni          value
  src_vni      value
  via          value
  nhid         value
  sticky       flag
  router       flag
  use          flag
  extern_learn flag
]]

local fdb_states = { static = "static", dynamic = "dynamic", permanent = "permanent", stale = "dynamic" }

function bridge.fdb(ctx, verb, args)
  local words = words_of(ctx, "fdb", verb, args.lladdr)
  text.fields(words, fdb_rows, args)
  text.put(words, args.master and "master" or nil)
  text.put(words, args.self and "self" or nil)
  local state = fdb_states[args.state]
  for _, key in ipairs { "static", "dynamic", "permanent", "local" } do
    state = args[key] and key or state
  end
  text.put(words, state)
  return { text.line(words) }
end

local vlan_rows = text.rows [[
  dev      value
  vid      value
  pvid     flag
  untagged flag
  self     flag
]]

-- `bridge vlan set` has these, one VLAN or range each.
local vlan_options = text.rows [[
  state            value
  mcast_router     value
  mcast_max_groups value
  neigh_suppress   onoff
]]

function bridge.vlan(ctx, verb, args)
  local out = {}
  if verb ~= "set" then
    local words = words_of(ctx, "vlan", verb)
    text.fields(words, vlan_rows, args)
    text.put(words, args.master == true and not args.self and "master" or nil)
    if args.tunnel_id and verb == "add" then
      local more = words_of(ctx, "vlan", "add", "dev", args.dev, "vid", args.vid, "tunnel_info", "id")
      local first, last = tostring(args.vid):match "^(%d+)%-(%d+)$"
      local id = args.tunnel_id
      text.put(more, first and ("%d-%d"):format(id, id + tonumber(last) - tonumber(first)) or id)
      out[2] = text.line(more)
    end
    out[1] = text.line(words)
  end
  if verb == "del" then
    return out
  end
  local set = words_of(ctx, "vlan", "set", "dev", args.dev, "vid", args.vid)
  local bare = #set
  text.fields(set, vlan_options, args)
  if #set > bare then
    out[#out + 1] = text.line(set)
  end
  return out
end

local mdb_rows = text.rows [[
  dev         value
  port        value
  grp         value
  src         value
  vid         value
  filter_mode value
  source_list list
  proto       value
]]

function bridge.mdb(ctx, verb, args)
  local words = words_of(ctx, "mdb", verb)
  text.fields(words, mdb_rows, args)
  text.put(words, (args.permanent or args.state == "permanent") and "permanent" or nil)
  text.put(words, (args.temp or args.state == "temp") and "temp" or nil)
  return { text.line(words) }
end

return bridge
