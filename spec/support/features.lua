--- What the running kernel can do, asked of the kernel in a throw-away namespace.
--
--    local features = require "spec.support.features"
--    features.need "vlan"          -- in a test, in setup, or at the top of a file
--    if features.has "netem" then ... end
--
-- Without the feature the test, block or file is skipped, and the reason names the feature. In the
-- lane that has a full kernel (NETNS_FULL_KERNEL=1) it fails instead.
local busted = require "busted"
local sh = require "spec.support.sh"

local features = {}

-- p0 and p1: a veth pair that is up, with addresses on p0
local pair = "ip link add p0 type veth peer name p1 && ip link set p0 up && ip link set p1 up && "
  .. "ip addr add 10.0.0.1/24 dev p0 && ip addr add fd00::1/64 dev p0 nodad && "
local clsact = pair .. "tc qdisc add dev p0 clsact && tc filter add dev p0 ingress "
local action = clsact .. "protocol ip u32 match u32 0 0 action "

--- Kinds of link that need more than `ip link add x type KIND`.
local links = {
  vlan = pair .. "ip link add link p0 name x type vlan id 5",
  macvlan = pair .. "ip link add link p0 name x type macvlan mode bridge",
  macvtap = pair .. "ip link add link p0 name x type macvtap mode bridge",
  ipvlan = pair .. "ip link add link p0 name x type ipvlan mode l2",
  ipvtap = pair .. "ip link add link p0 name x type ipvtap mode l2",
  macsec = pair .. "ip link add link p0 name x type macsec",
  veth = "ip link add x type veth peer name y",
  vxcan = "ip link add x type vxcan peer name y",
  vrf = "ip link add x type vrf table 10",
  vxlan = "ip link add x type vxlan id 9 dstport 4789",
  geneve = "ip link add x type geneve id 9 remote 10.0.0.2",
  bareudp = "ip link add x type bareudp dstport 6635 ethertype mpls_uc",
  gtp = "ip link add x type gtp role sgsn",
  gre = "ip link add x type gre local 10.0.0.1 remote 10.0.0.2",
  gretap = "ip link add x type gretap local 10.0.0.1 remote 10.0.0.2",
  erspan = "ip link add x type erspan seq key 1 local 10.0.0.1 remote 10.0.0.2 erspan_ver 1 erspan 5",
  ip6gre = "ip link add x type ip6gre local fd00::1 remote fd00::2",
  ip6gretap = "ip link add x type ip6gretap local fd00::1 remote fd00::2",
  ip6erspan = "ip link add x type ip6erspan seq key 1 local fd00::1 remote fd00::2 erspan_ver 1 erspan 5",
  ipip = "ip link add x type ipip local 10.0.0.1 remote 10.0.0.2",
  sit = "ip link add x type sit local 10.0.0.1 remote 10.0.0.2",
  ip6tnl = "ip link add x type ip6tnl local fd00::1 remote fd00::2",
  vti = "ip link add x type vti local 10.0.0.1 remote 10.0.0.2 key 3",
  vti6 = "ip link add x type vti6 local fd00::1 remote fd00::2 key 3",
  xfrm = pair .. "ip link add x type xfrm dev p0 if_id 7",
  hsr = pair .. "ip link set p0 down && ip link set p1 down && ip link add x type hsr slave1 p0 slave2 p1",
  amt = pair .. "ip link add x type amt discovery 10.0.0.2 local 10.0.0.1 dev p0 mode gateway relay_port 2268",
  netdevsim = "{ ip link add x type netdevsim || echo '77 1' >/sys/bus/netdevsim/new_device; }",
  wireguard = "ip link add x type wireguard && wg show x dump >/dev/null",
  tun = "ip tuntap add x mode tun",
  tap = "ip tuntap add x mode tap",
}

--- Queueing disciplines with options they cannot do without.
local qdiscs = {
  ingress = "ingress",
  clsact = "clsact",
  tbf = "root tbf rate 1mbit burst 10k latency 10ms",
  netem = "root netem delay 10ms",
  red = "root red limit 400000 min 30000 max 90000 avpkt 1000",
  ets = "root ets bands 3",
  choke = "root choke limit 1000 bandwidth 10mbit min 83 max 250 avpkt 500 burst 150",
  gred = "root gred setup DPs 3 default 1",
  cbs = "root cbs idleslope 1 sendslope -1 hicredit 1 locredit -1",
  etf = "root etf clockid CLOCK_TAI delta 500000",
  hfsc = "root hfsc default 1",
}

--- Everything else: a shell command that works where the feature is there.
local others = {
  ["bridge-vlan"] = pair .. "ip link add x type bridge vlan_filtering 1 vlan_default_pvid 0 && "
    .. "ip link set p0 master x && bridge vlan add dev p0 vid 5 pvid untagged && bridge vlan show | grep -q PVID",
  ["nft"] = "nft add table inet t",
  ["nft-flowtable"] = pair .. "nft 'table inet t { flowtable f { hook ingress priority 0; devices = { p0 }; }; }'",
  ["nft-queue"] = "nft 'table ip t { chain c { type filter hook input priority 0; queue num 3 bypass; }; }'",
  ["nft-egress"] = pair .. "nft 'table netdev t { chain c { type filter hook egress device p0 priority 0; }; }'",
  ["nft-fib"] =
    "nft 'table inet t { chain c { type filter hook prerouting priority 0; fib daddr type local accept; }; }'",
  ["nft-nat"] = "nft 'table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }'",
  ["nft-ct"] = "nft 'table inet t { chain c { type filter hook input priority 0; ct state established accept; }; }'",
  ["nft-log"] = "nft 'table ip t { chain c { type filter hook input priority 0; log prefix \"x\" group 1; }; }'",
  ["nft-reject"] = "nft 'table inet t { chain c { type filter hook input priority 0; reject; }; }'",
  ["nft-bridge"] = "nft 'table bridge t { chain c { type filter hook forward priority 0; }; }'",
  ["nft-synproxy"] =
    "nft 'table ip t { chain c { type filter hook input priority 0; tcp dport 9 synproxy mss 1460 wscale 7; }; }'",
  ["nft-tproxy"] =
    "nft 'table ip t { chain c { type filter hook prerouting priority -150; tcp dport 80 tproxy to 127.0.0.1:99; }; }'",
  ["mpls"] = "{ modprobe -q -a mpls_router mpls_iptunnel || :; } && sysctl -qw net.mpls.platform_labels=1000 && "
    .. pair .. "ip route add 10.9.0.0/16 encap mpls 300 via 10.0.0.2",
  ["seg6"] = pair .. "ip -6 route add fd09::/64 encap seg6 mode encap segs fd00::8,fd00::9 dev p0",
  ["seg6local"] = pair .. "ip -6 route add fd09::/64 encap seg6local action End.X nh6 fd00::9 dev p0",
  ["lwt-ip"] = pair .. "ip route add 10.9.0.0/16 encap ip id 5 dst 10.0.0.9 dev p0",
  ["ioam6"] = pair .. "ip -6 route add fd09::/64 encap ioam6 trace prealloc type 0x800000 ns 1 size 12 dev p0",
  ["rpl"] = pair .. "ip -6 route add fd09::/64 encap rpl segs fd00::8,fd00::9 dev p0",
  ["nexthop"] = pair .. "ip nexthop add id 5 via 10.0.0.2 dev p0",
  ["mptcp"] = "ip mptcp endpoint add 10.0.0.5 id 3 signal",
  ["ipsec"] = pair .. "ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mode tunnel "
    .. "aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128",
  ["mroute"] = "ip mroute show",
  ["userns"] = "unshare --user --map-root-user --net true",
  ["cgroup2"] = "grep -qw cgroup2 /proc/filesystems",
}

--- Classifiers and actions of traffic control.
local filters = {
  matchall = "matchall action drop",
  flower = "protocol ip flower ip_proto tcp dst_port 80 action drop",
  u32 = "protocol ip u32 match ip dst 10.0.0.1/32 action drop",
  basic = "basic match 'meta(priority eq 0)' action drop",
  fw = "handle 1 fw action drop",
  bpf = "bpf bytecode '1,6 0 0 0' action drop",
}
local actions = {
  gact = "gact pass",
  drop = "drop",
  police = "police rate 1mbit burst 10k drop",
  pedit = "pedit munge ip ttl set 9",
  mirred = "mirred egress redirect dev p1",
  skbedit = "skbedit priority 3 mark 4",
  vlan = "vlan push id 5",
  csum = "csum ip",
  nat = "nat ingress 10.0.0.1/32 10.0.0.2",
  connmark = "connmark",
  ct = "ct",
  mpls = "mpls push label 5",
  sample = "sample rate 9 group 1",
  tunnel_key = "tunnel_key set src_ip 1.1.1.1 dst_ip 2.2.2.2 id 5",
  skbmod = "skbmod set dmac 02:00:00:00:00:01",
  simple = "simple sdata hi",
}

--- The probe of a feature: a name of the tables above, "qdisc-NAME", "cls-NAME", "act-NAME", or
-- the kind of a link.
local function probe(name)
  local area, what = name:match "^(%l+)%-(.+)$"
  if others[name] then
    return others[name]
  elseif area == "qdisc" then
    return pair .. "tc qdisc add dev p0 " .. (qdiscs[what] or "root " .. what)
  elseif area == "cls" then
    return clsact .. assert(filters[what], "no probe for the classifier " .. what)
  elseif area == "act" then
    return action .. assert(actions[what], "no probe for the action " .. what)
  elseif qdiscs[name] then
    return pair .. "tc qdisc add dev p0 " .. qdiscs[name]
  end
  return links[name] or "ip link add x type " .. name
end

local known = {}

--- Whether the running kernel has a feature.
-- @tparam string name "vlan" (a kind of link), "netem" or "qdisc-fq_codel", "cls-flower",
--   "act-mirred", "nft-flowtable", "mpls" ...
-- @treturn boolean
-- @treturn string what the kernel said, where it has not
function features.has(name)
  if known[name] == nil then
    local r = sh.try { "unshare", "--net", "--mount", "sh", "-c", "ip link set lo up && " .. probe(name) }
    known[name] = { r.ok, (r.stderr:gsub("%s+$", "")) }
  end
  return table.unpack(known[name])
end

--- Skip the test, block or file that calls this.
-- @tparam string reason
function features.skip(reason)
  -- busted hands its `pending` to tests only; every block can use the one of its core
  for i = 1, math.huge do
    local name, core = debug.getupvalue(busted.it, i)
    assert(name, "this busted hides its core")
    if name == "busted" then
      core.pending(reason)
    end
  end
end

--- Skip (or fail, with NETNS_FULL_KERNEL=1) unless the kernel has all these features. The features
-- that a lane's kernel is known to lack (NETNS_KERNEL_LACKS="amt rpl") are skipped there, too.
-- @tparam string ... names as for `features.has`
function features.need(...)
  for _, name in ipairs { ... } do
    local there, why = features.has(name)
    if not there then
      local reason = ("this kernel has no %s (%s)"):format(name, why)
      local lacks = (" %s "):format(os.getenv "NETNS_KERNEL_LACKS" or "")
      if os.getenv "NETNS_FULL_KERNEL" == "1" and not lacks:find((" %s "):format(name), 1, true) then
        error(reason .. ", and this lane must have it", 2)
      end
      features.skip(reason)
    end
  end
end

--- Skip the test, block or file that calls this where the specs run without root (NETNS_ROOTLESS=1).
-- @tparam string what what a user that is nobody cannot: "open /dev/net/tun"
function features.need_root(what)
  if os.getenv "NETNS_ROOTLESS" == "1" then
    features.skip("without root, one cannot " .. what)
  end
end

return features
