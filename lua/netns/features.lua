--- What the running kernel can do, asked of the kernel: each thing is tried in a namespace made for it, which goes at
-- once. Nothing of the machine's is touched; the kernel may load the modules that are asked for, as it does for
-- `ip link add`.
-- @module netns.features
local check = require "netns.check"
local core = require "netns.core"
require "netns.nft"
require "netns.sysctl"

local features = {}

-- What there is to try: words (tried with nothing but their name) and ways of trying ------------------------------

-- p0 and p1, up, with addresses on p0
local function pair(ns)
  ns.link:add { name = "p0", type = "veth", up = true, peer = { name = "p1", up = true } }
  ns.addr:add { dev = "p0", address = "10.0.0.1/24" }
  ns.addr:add { dev = "p0", address = "fd00::1/64", nodad = true }
end

-- A link of the kind: `lower` makes p0 and p1 first.
local function link(options, lower)
  return function(ns, kind)
    if lower then
      pair(ns)
    end
    local t = { name = "x", type = kind }
    for key, value in pairs(options) do
      t[key] = value
    end
    ns.link:add(t)
  end
end

local four = { ["local"] = "10.0.0.1", remote = "10.0.0.2" }
local six = { ["local"] = "fd00::1", remote = "fd00::2" }

local function with(options, more)
  local t = {}
  for key, value in pairs(options) do
    t[key] = value
  end
  for key, value in pairs(more) do
    t[key] = value
  end
  return t
end

local simple = link {}
local links = {
  dummy = simple, veth = link { peer = { name = "y" } }, bridge = simple, bond = simple, team = simple, ifb = simple,
  vlan = link({ link = "p0", id = 5 }, true), macvlan = link({ link = "p0", mode = "bridge" }, true),
  macvtap = link({ link = "p0", mode = "bridge" }, true), ipvlan = link({ link = "p0" }, true),
  ipvtap = link({ link = "p0" }, true), macsec = link({ link = "p0" }, true),
  vrf = link { table = 10 }, vxlan = link { id = 9, dstport = 4789 }, geneve = link { id = 9, remote = "10.0.0.2" },
  bareudp = link { dstport = 6635, ethertype = "mpls_uc" }, gre = link(four), gretap = link(four),
  erspan = link(with(four, { seq = true, key = 1, erspan_ver = 1, erspan = 5 })),
  ip6gre = link(six), ip6gretap = link(six),
  ip6erspan = link(with(six, { seq = true, key = 1, erspan_ver = 1, erspan = 5 })),
  ipip = link(four), sit = link(four),
  ip6tnl = link(six), vti = link(with(four, { key = 3 })), vti6 = link(with(six, { key = 3 })),
  xfrm = link({ dev = "p0", if_id = 7 }, true), wireguard = simple, netkit = link { peer = { name = "y" } },
  nlmon = simple, vcan = simple, vxcan = link { peer = { name = "y" } },
  hsr = link({ slave1 = "p0", slave2 = "p1" }, true),
  tun = link { mode = "tun" }, tap = function(ns)
    ns.link:add { name = "x", type = "tun", mode = "tap" }
  end,
}

-- Options that a qdisc cannot do without.
local qdisc_options = {
  tbf = { rate = "1mbit", burst = "10k", latency = "10ms" }, netem = { delay = "1ms" },
  red = { limit = 400000, min = 30000, max = 90000, avpkt = 1000 },
  choke = { limit = 1000, min = 83, max = 250, avpkt = 500, bandwidth = "10mbit" }, ets = { bands = 3 },
}

local function qdisc(ns, kind)
  pair(ns)
  ns.qdisc:add(with({ dev = "p0", kind = kind }, qdisc_options[kind] or {}))
end

-- The kinds of qdisc that have keys of their own, and those without.
local function qdiscs()
  local found = { ingress = qdisc, clsact = qdisc }
  for name in pairs(core.schema()) do
    local kind = name:match "^qdisc ([%w_]+)$"
    if kind and kind ~= "stats" then
      found[kind] = qdisc
    end
  end
  return found
end

-- A filter that is tried on what arrives at p0.
local function filter(options)
  return function(ns)
    pair(ns)
    ns.qdisc:add { dev = "p0", kind = "clsact" }
    ns.filter:add(with({ dev = "p0", parent = "ingress", pref = 1 }, options))
  end
end

local filters = {
  matchall = filter { kind = "matchall", action = "drop" },
  flower = filter { kind = "flower", protocol = "ip", ip_proto = "tcp", dst_port = 80, action = "drop" },
  u32 = filter { kind = "u32", protocol = "ip", match = "ip dst 10.0.0.1/32", action = "drop" },
  fw = filter { kind = "fw", handle = 1, action = "drop" },
  basic = filter { kind = "basic", action = "drop" },
}

-- By u32, which kernels have more often than matchall.
local function action(options)
  return filter { kind = "u32", protocol = "ip", match = "ip dst 10.0.0.1/32", actions = { options } }
end

local actions = {
  gact = action { kind = "gact", control = "drop" },
  mirred = action { kind = "mirred", action = "mirror", dev = "p1" },
  police = action { kind = "police", rate = "1mbit", burst = "10k", control = "drop" },
  skbedit = action { kind = "skbedit", mark = 4 },
  vlan = action { kind = "vlan", action = "push", id = 5 },
  nat = action { kind = "nat", old = "10.0.0.1", new = "192.0.2.7" },
  csum = action { kind = "csum", ip4h = true },
  pedit = action { kind = "pedit", munge = { "ip ttl set 9" } },
}

local function nft(text)
  return function(ns)
    ns.nft:run(text)
  end
end

local function in_chain(family, hook, rule)
  return nft(("table %s t { chain c { type %s priority 0; %s; }; }"):format(family, hook, rule))
end

local firewall = {
  tables = nft "table inet t { }",
  ct = in_chain("inet", "filter hook input", "ct state established accept"),
  nat = in_chain("ip", "nat hook postrouting", "masquerade"),
  reject = in_chain("inet", "filter hook input", "reject"),
  log = in_chain("ip", "filter hook input", 'log prefix "x" group 1'),
  limit = in_chain("inet", "filter hook input", "limit rate 5/second accept"),
  fib = in_chain("inet", "filter hook prerouting", "fib daddr type local accept"),
  queue = in_chain("ip", "filter hook input", "queue num 3 bypass"),
  synproxy = in_chain("ip", "filter hook input", "tcp dport 9 synproxy mss 1460 wscale 7"),
  tproxy = in_chain("ip", "filter hook prerouting", "tcp dport 80 tproxy to 127.0.0.1:99"),
  bridge = nft "table bridge t { chain c { type filter hook forward priority 0; }; }",
  sets = nft "table inet t { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }; }",
  flowtable = function(ns)
    pair(ns)
    ns.nft:run "table inet t { flowtable f { hook ingress priority 0; devices = { p0 }; }; }"
  end,
  egress = function(ns)
    pair(ns)
    ns.nft:run 'table netdev t { chain c { type filter hook egress device "p0" priority 0; }; }'
  end,
}

local function route(options)
  return function(ns)
    pair(ns)
    ns.route:add(with({ dev = "p0" }, options))
  end
end

local routing = {
  rule = function(ns)
    ns.rule:add { from = "10.0.0.0/8", table = 100 }
  end,
  multipath = function(ns)
    pair(ns)
    ns.route:add { dst = "10.9.0.0/16", nexthops = { { via = "10.0.0.2" }, { via = "10.0.0.3" } } }
  end,
  nexthop = function(ns)
    pair(ns)
    ns.nexthop:add { id = 5, via = "10.0.0.2", dev = "p0" }
  end,
  mpls = function(ns)
    pair(ns)
    ns.route:add { dst = "10.9.0.0/16", via = "10.0.0.2", encap = { type = "mpls", labels = 99 } }
    ns.sysctl["net.mpls.platform_labels"] = 100 -- is there with the module that the former loads
    ns.route:add { family = "mpls", dst = 99, via = "10.0.0.2" }
  end,
  encap_ip = route { dst = "10.9.0.0/16", encap = { type = "ip", id = 5, dst = "10.0.0.9" } },
  seg6 = route { dst = "fd09::/64", encap = { type = "seg6", segs = { "fd00::8" } } },
  seg6local = route { dst = "fd09::1", encap = { type = "seg6local", action = "End.X", nh6 = "fd00::9" } },
  ipsec = function(ns)
    ns.xfrm_state:add { src = "10.0.0.1", dst = "10.0.0.2", proto = "esp", spi = 1, aead = {
      name = "rfc4106(gcm(aes))", key = "0x0102030405060708090a0b0c0d0e0f1011121314", icv = 128 } }
    ns.xfrm_policy:add { src = "10.0.0.0/24", dst = "10.0.1.0/24", dir = "out", tmpl = { { proto = "esp" } } }
  end,
}

local bridging = {
  vlan_filtering = function(ns)
    pair(ns)
    ns.link:add { name = "x", type = "bridge", vlan_filtering = true }
    ns.link:set { dev = "p0", master = "x" }
    ns.vlan:add { dev = "p0", vid = 5 }
  end,
  multicast = function(ns)
    pair(ns)
    ns.link:add { name = "x", type = "bridge", up = true }
    ns.link:set { dev = "p0", master = "x" }
    ns.mdb:add { dev = "x", port = "p0", grp = "239.1.1.1" }
  end,
}

-- Areas, in the order in which they are printed.
local areas = {
  { "link", function() return links end },
  { "qdisc", qdiscs },
  { "filter", function() return filters end },
  { "action", function() return actions end },
  { "nft", function() return firewall end },
  { "route", function() return routing end },
  { "bridge", function() return bridging end },
}

-- Trying ----------------------------------------------------------------------------------------------------------

local function sorted(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function words_of(err)
  if getmetatable(err) ~= core.Error then
    return (tostring(err):gsub("\n.*", ""))
  end
  local words = (err.kernel or err.message):gsub("\n.*", ""):gsub("^line %d+, columns? [%d-]+: ", "")
  return ("%s (%s)"):format(words, err.code)
end

local function try(name, fn)
  local ns <close> = core.new()
  local ok, err = pcall(fn, ns, name)
  return ok, not ok and words_of(err) or nil
end

local Features = { __name = "netns.Features" }

-- "word word word", broken into lines behind a margin
local function fold(out, head, list)
  local line = head
  for _, word in ipairs(list) do
    if #line + 1 + #word > 100 then
      out[#out + 1] = line
      line = (" "):rep(#head)
    end
    line = line .. " " .. word
  end
  out[#out + 1] = line
end

-- What is missing by area and reason: lists of names.
local function reasons(missing)
  local groups, by_key = {}, {}
  for _, one in ipairs(missing) do
    local key = one.area .. "\0" .. one.why
    if not by_key[key] then
      by_key[key] = { area = one.area, why = one.why }
      groups[#groups + 1] = by_key[key]
    end
    table.insert(by_key[key], one.name)
  end
  return groups
end
features.reasons = reasons

function Features:__tostring()
  local out = {}
  for _, area in ipairs(areas) do
    local name, there = area[1], {}
    for _, word in ipairs(self[name] and sorted(self[name]) or {}) do
      there[#there + 1] = self[name][word] and word or nil
    end
    if self[name] then
      fold(out, ("%-8s"):format(name), there)
    end
  end
  for i, group in ipairs(reasons(self.missing)) do
    out[#out + 1] = ("%-8s %s, %s"):format(i == 1 and "missing" or "", group.area, group.why)
    fold(out, "          ", group)
  end
  return table.concat(out, "\n")
end

--- What this kernel can do.
-- Prints as a page. It takes a tenth of a second or two, and the right to make namespaces.
-- @tparam[opt] string ... areas to look at: "link", "qdisc", "filter", "action", "nft", "route", "bridge" (all, unless
--   given)
-- @treturn table a table of booleans for each area, by name (`link.vlan`, `qdisc.netem`, `nft.flowtable`,
--   `route.mpls`, `route.ipsec`, `bridge.vlan_filtering` ...), and `missing`, a list of `{ area =, name =, why = }`
--   where `why` is what the kernel said
-- @raise a netns.Error where namespaces may not be made; an argument error for an area that is none
-- @usage if not netns.features("link").link.wireguard then print "no WireGuard here" end
function features.features(...)
  local wanted, any = {}, select("#", ...) > 0
  for i = 1, select("#", ...) do
    local name, known = (select(i, ...)), false
    for _, area in ipairs(areas) do
      known = known or area[1] == name
    end
    if not known then
      check.refuse("features: there is no area %s; there are link, qdisc, filter, action, nft, route and bridge",
        check.show(name))
    end
    wanted[name] = true
  end
  local found = setmetatable({ missing = {} }, Features)
  for _, area in ipairs(areas) do
    local name, probes = area[1], area[2]()
    if not any or wanted[name] then
      found[name] = {}
      for _, word in ipairs(sorted(probes)) do
        local ok, why = try(word, probes[word])
        found[name][word] = ok
        if not ok then
          found.missing[#found.missing + 1] = { area = name, name = word, why = why }
        end
      end
    end
  end
  return found
end

return features
