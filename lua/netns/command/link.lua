--- `ip link` of the tables that `ns.link` takes.
-- @module netns.command.link
local text = require "netns.command.text"
local wireguard = require "netns.command.wireguard"

local link = {}

-- What `ip link add` takes before the kind.
local born = text.rows [[
  link          value
  name          value
  index         value
  address       value
  broadcast     value
  mtu           value
  txqlen        value   txqueuelen
  numtxqueues   value
  numrxqueues   value
  gso_max_size  value
  gso_max_segs  value
  gro_max_size  value
]]

-- What `ip link set` takes besides; some only then.
local changed = text.rows [[
  link          skip
  address       value
  broadcast     value
  mtu           value
  txqlen        value   txqueuelen
  gso_max_size  value
  gso_max_segs  value
  gro_max_size  value
  addrgenmode   value
  alias         value
  group         value
  arp           onoff
  multicast     onoff
  allmulticast  onoff
  promisc       onoff
  dynamic       onoff
  protodown     onoff
  linkmode      value   mode
  carrier       onoff
  master        value
  netns         value
]]

-- What is said of the link itself, and not of its kind.
local own = {}
for key in ([[name dev type up peer altnames nomaster bridge_slave bond_slave vrf_slave ifindex operstate stats qdisc
  permaddr carrier_up_count carrier_down_count link_index link_netnsid link_type min_mtu max_mtu promiscuity allmulti
  parentbus parentdev phys_port_name tso_max_size tso_max_segs new_netnsid new_ifindex]]):gmatch "%S+" do
  own[key] = true
end
for _, rows in ipairs { born, changed } do
  for _, row in ipairs(rows) do
    own[row.key] = true
  end
end

-- How a kind writes its booleans.
local booleans = { bridge = "bit", bond = "bit", vlan = "onoff", macsec = "onoff", bridge_slave = "onoff",
  bond_slave = "onoff", netkit = "onoff" }

-- What is written otherwise than "key value": by kind, and for all.
local odd = {
  any = text.rows [[
    external          flag
    tos               hex
    tclass            hex
    flowlabel         hex
    key               value
    encap_sport       value  encap-sport
    encap_dport       value  encap-dport
    encap_csum        no     encap-csum
    encap_csum6       no     encap-csum6
    encap_remcsum     no     encap-remcsum
    ignore_df         no     ignore-df
    allow_localremote no     allow-localremote
    isatap            flag
    innerprotoinherit flag
    multiproto        flag
    gbp               flag
    gpe               flag
    vnifilter         flag
    flags             bare
    nopromisc         flag
    srcport           range
    6rd_prefix        value  6rd-prefix
    6rd_relay_prefix  value  6rd-relay_prefix
    ingress_qos_map   map    ingress-qos-map
    egress_qos_map    map    egress-qos-map
    arp_ip_target     list
    ns_ip6_target     list
    ageing            value
    remote            value
  ]],
  bond = text.rows [[
    lacp_active       onoff
  ]],
  bridge_slave = text.rows [[
    state             value
    fdb_flush         flag
  ]],
  bridge = text.rows [[
    fdb_flush         flag
  ]],
}

-- A VXLAN's group is a remote that is multicast.
local function is_multicast(value)
  local first = type(value) == "string" and tonumber(value:match "^(%d+)%.")
  return first and first >= 224 and first <= 239 or type(value) == "string" and value:find "^[fF][fF]" ~= nil
end

local function row_for(kind, key, value)
  if key == "remote" and is_multicast(value) then
    return { key = key, word = "group", style = "value" }
  end
  local row = odd[kind] and odd[kind][key] or odd.any[key]
  if row then
    return row
  end
  return { key = key, word = key, style = type(value) == "boolean" and (booleans[kind] or "no") or "value" }
end

-- Keys in an order that iproute2 understands: a bond's mode decides of the others, macvlan's of its flags.
local early = { sci = 1, port = 1, mode = 1, type = 1, protocol = 1, external = 2, encap = 2 }
local late = { flags = 9, nopromisc = 9, bridge_binding = 9 }

local function sorted(args)
  local keys = {}
  for key in pairs(args) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    local x, y = early[a] or late[a] or 5, early[b] or late[b] or 5
    if x ~= y then
      return x < y
    end
    return a < b
  end)
  return keys
end

-- The sources that a macvlan lets in: its keys macaddr, macaddr_add, macaddr_del.
local function put_sources(words, key, value, nodst)
  local list = type(value) == "table" and value or { value }
  text.put(words, nodst and "flag" or nil)
  text.put(words, nodst and "nodst" or nil)
  text.put(words, "macaddr", key:match "_(%l+)$" or #list > 0 and "set" or "flush", table.unpack(list))
end

-- The options of a kind. (`dev` names the link below where one is made, and the link itself where it is changed.)
local function put_options(words, kind, args, all)
  local elsewhere = kind == "wireguard" and wireguard.keys or {}
  for _, key in ipairs(sorted(args)) do
    local value = args[key]
    if (all or not own[key] or key == "dev") and key ~= "nodst" and not elsewhere[key] then
      if key:find "^macaddr" and kind:find "^macv" then
        put_sources(words, key, value, args.nodst)
      else
        text.field(words, row_for(kind, key, value), value)
      end
    end
  end
end

-- Every change that `ip link set` makes in one command.
local function put_changes(words, args, skip)
  for _, row in ipairs(changed) do
    local value = args[row.key]
    if value ~= nil and not skip[row.key] and row.style ~= "skip" then
      text.field(words, row, value)
    end
  end
  if args.nomaster then
    text.put(words, "nomaster")
  end
  if args.up ~= nil then
    text.put(words, args.up and "up" or "down")
  end
end

local born_with = { netns = true }
for _, row in ipairs(born) do
  born_with[row.key] = true
end

-- What wg(8) does for a link.
local function put_wireguard(out, ctx, name, args)
  table.move(wireguard.commands(function(words)
    return text.line(ctx.inside(table.unpack(words)))
  end, name, args), 1, 100, #out + 1, out)
end

local born_with_mode = { addrgenmode = true }
for key in pairs(born_with) do
  born_with_mode[key] = true
end

local function is_port(args)
  return args.bridge_slave and "bridge_slave" or args.bond_slave and "bond_slave"
end

-- What a link that was made still needs. How it makes addresses is said before it goes up: in one message the kernel
-- looks at the flags first.
local function finish(out, ctx, name, args)
  if args.addrgenmode and args.up then
    out[#out + 1] = text.line { "ip", table.unpack(ctx.n("link", "set", name, "addrgenmode", args.addrgenmode)) }
  end
  local set = { "ip", table.unpack(ctx.n("link", "set", name)) }
  local bare = #set
  put_changes(set, args, args.up and born_with_mode or born_with)
  if #set > bare then
    out[#out + 1] = text.line(set)
  end
  for _, alt in ipairs(args.altnames or {}) do
    out[#out + 1] = text.line { "ip", table.unpack(ctx.n("link", "property", "add", "dev", name, "altname", alt)) }
  end
  local port = is_port(args)
  if port then
    local words = { "ip", table.unpack(ctx.n("link", "set", name, "type", port)) }
    put_options(words, port, args[port], true)
    out[#out + 1] = text.line(words)
  end
end

-- A pair of these has a queue each way unless more are asked for: that is what `add` does.
local lean = { veth = true }

local function put_born(words, args, kind)
  text.fields(words, born, args)
  for _, key in ipairs(lean[kind] and { "numtxqueues", "numrxqueues" } or {}) do
    if args[key] == nil then
      text.put(words, key, 1)
    end
  end
end

--- Make a link.
-- @tparam table ctx `n(words...)`: after "ip", the namespace and the words; `ns`: its name or nil; `of(netns)`: the
--   context of another Namespace
-- @tparam table args
-- @treturn {string,...} commands
function link.add(ctx, args)
  local kind, peer = args.type, args.peer
  if kind == "tun" then
    return link.add_tun(ctx, args)
  end
  local words = { "ip", table.unpack(ctx.n("link", "add")) }
  put_born(words, args, kind)
  if args.netns and ctx.of(args.netns).ns then
    text.put(words, "netns", ctx.of(args.netns).ns)
  end
  text.put(words, "type", kind)
  put_options(words, kind, args)
  local there = peer and (peer.netns and ctx.of(peer.netns) or ctx)
  if peer then
    text.put(words, "peer")
    put_born(words, peer, kind)
    if peer.netns and there.ns then
      text.put(words, "netns", there.ns)
    end
    put_options(words, kind, peer)
  end
  local out = { text.line(words) }
  local where = args.netns and ctx.of(args.netns) or ctx
  if kind == "wireguard" then
    put_wireguard(out, where, args.name, args)
  end
  finish(out, where, args.name, args)
  if peer then
    finish(out, there, peer.name, peer)
  end
  return out
end

--- A TUN or TAP device that stays.
function link.add_tun(ctx, args)
  local words = { "ip", table.unpack(ctx.n("tuntap", "add", "dev", args.name, "mode", args.mode)) }
  for _, key in ipairs { "pi", "vnet_hdr", "multi_queue" } do
    text.put(words, args[key] and key or nil)
  end
  if args.owner then
    text.put(words, "user", args.owner)
  end
  local out = { text.line(words) }
  local rest = {}
  for key, value in pairs(args) do
    rest[key] = value
  end
  rest.netns = nil
  local set = { "ip", table.unpack(ctx.n("link", "set", args.name)) }
  local bare = #set
  put_changes(set, rest, {})
  if #set > bare then
    out[#out + 1] = text.line(set)
  end
  return out
end

--- Change a link.
-- @tparam table ctx as for `add`, and `kind(name)`: its kind
-- @tparam table args
function link.set(ctx, args)
  local out = {}
  local name = args.dev or args.name
  local options = {}
  for key, value in pairs(args) do
    options[key] = not own[key] and value or nil
  end
  if args.dev and args.name and args.name ~= args.dev then
    out[#out + 1] = text.line { "ip", table.unpack(ctx.n("link", "set", name, "name", args.name)) }
    name = args.name
  end
  local plain = {}
  for key, value in pairs(args) do
    plain[key] = value
  end
  plain.netns = args.netns and (ctx.of(args.netns).ns or ctx.of(args.netns).pid) or nil
  local words = { "ip", table.unpack(ctx.n("link", "set", name)) }
  local bare = #words
  put_changes(words, plain, {})
  if #words > bare then
    out[#out + 1] = text.line(words)
  end
  if next(options) then
    local kind = args.type or ctx.kind(name)
    words = { "ip", table.unpack(ctx.n("link", "set", name, "type", kind)) }
    if kind == "wireguard" then
      put_wireguard(out, ctx, name, options)
    else
      put_options(words, kind, options)
      out[#out + 1] = text.line(words)
    end
  end
  local port = is_port(args)
  if port then
    words = { "ip", table.unpack(ctx.n("link", "set", name, "type", port)) }
    put_options(words, port, args[port], true)
    out[#out + 1] = text.line(words)
  end
  return out
end

--- Show links.
function link.show(ctx, args)
  local words = { "ip", table.unpack(ctx.n("link", "show")) }
  for _, key in ipairs { "type", "master", "dev" } do
    local value = args[key] or key == "dev" and args.name or nil
    if value then
      text.put(words, key, value)
    end
  end
  text.put(words, args.up and "up" or nil)
  return { text.line(words) }
end

--- Move a link.
function link.move(ctx, name, there)
  return text.line { "ip", table.unpack(ctx.n("link", "set", name, "netns", there)) }
end

--- Add or delete another name.
function link.altname(ctx, verb, name, altname)
  return text.line { "ip", table.unpack(ctx.n("link", "property", verb, "dev", name, "altname", altname)) }
end

--- Delete a link.
function link.del(ctx, args)
  return { text.line { "ip", table.unpack(ctx.n("link", "del", args.dev or args.name)) } }
end

return link
