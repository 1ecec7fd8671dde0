--- Every kind of link with every option that `ip link help KIND` knows: what we make, what `ip` makes and
-- what is made from our list are the same.
require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local mac = "02:00:00:00:00:99"
local by_nature = {
  "ifindex", "link_index", "link_netnsid", "carrier_up_count", "carrier_down_count", "operstate", "carrier",
  "linkmode", "qdisc", "seq_nr", "permaddr",
}

-- What `ip` shows without what runs by itself.
local function still(rows)
  for _, row in ipairs(rows) do
    row.ifindex, row.link_index, row.link_netnsid, row.operstate, row.flags = nil, nil, nil, nil, nil
    row.qdisc, row.permaddr = nil, nil
    local data = row.linkinfo and row.linkinfo.info_data or {}
    data.seq_nr = nil
    for key in pairs(data) do
      if key:find "timer" then
        data[key] = nil
      end
    end
  end
  return rows
end

local function ground(ns)
  ns.link:add {
    name = "e0", type = "veth", address = "02:00:00:00:00:01", addrgenmode = "none",
    peer = { name = "p0", address = "02:00:00:00:00:02", addrgenmode = "none" },
  }
  ns.link:set { dev = "lo", up = true }
end

-- { kind, our options, ip's words, needs... }
local function case(kind, options, words, more)
  more = more or {}
  local t = { name = "x", type = kind, addrgenmode = more.addrgenmode }
  local head = "link add "
  if options.link then
    head = head .. "link " .. options.link .. " "
  end
  head = head .. "name x "
  if not more.no_address then
    t.address = mac
    head = head .. "address " .. mac .. " "
  end
  for key, value in pairs(options) do
    t[key] = value
  end
  return {
    t, head .. "type " .. kind .. " " .. words, needs = more.needs or kind, setup = more.setup, after = more.after,
    name = kind .. " " .. words,
  }
end

local l3 = { no_address = true }
local function tunnel(kind, options, words, setup)
  return case(kind, options, words, { no_address = true, setup = setup })
end

twins.describe {
  noun = "link",
  show = { "link show" },
  prepare = ground,
  volatile = by_nature,
  ip_rows = still,
  made_by_kernel = function(row) -- not made: changed, by what stands on it
    return row.name ~= "x"
  end,
  cases = {
    case("dummy", {}, ""),
    case("ifb", {}, ""),
    case("nlmon", {}, "", l3),
    case("vcan", {}, "", l3),
    case("team", {}, ""),
    case("wireguard", {}, "", l3),

    case("vlan", { link = "e0", id = 5 }, "id 5"),
    case("vlan", { link = "e0", id = 5, protocol = "802.1ad", reorder_hdr = false, gvrp = true, mvrp = true,
        loose_binding = true, ingress_qos_map = { [1] = 5, [3] = 2 }, egress_qos_map = "2:3 7:1" },
      "protocol 802.1ad id 5 reorder_hdr off gvrp on mvrp on loose_binding on ingress-qos-map 1:5 3:2 "
        .. "egress-qos-map 2:3 7:1"),
    case("vlan", { link = "e0", id = 6, reorder_hdr = false }, "id 6 reorder_hdr off"),
    case("vlan", { link = "bb", id = 7, bridge_binding = true }, "id 7 bridge_binding on",
      { setup = { "link add name bb address 02:00:00:00:00:77 type bridge" } }),

    case("macvlan", { link = "e0", mode = "bridge" }, "mode bridge"),
    case("macvlan", { link = "e0", mode = "private" }, "mode private"),
    case("macvlan", { link = "e0", mode = "vepa", bcqueuelen = 77 }, "mode vepa bcqueuelen 77"),
    case("macvlan", { link = "e0", mode = "passthru", nopromisc = true, address = "02:00:00:00:00:01" },
      "mode passthru nopromisc", { no_address = true }),
    case("macvlan", { link = "e0", mode = "source", macaddr = { "02:00:00:00:01:01", "02:00:00:00:01:02" },
        nodst = true },
      "mode source flag nodst macaddr set 02:00:00:00:01:01 02:00:00:00:01:02"),
    case("macvtap", { link = "e0", mode = "bridge" }, "mode bridge"),
    case("ipvlan", { link = "e0", mode = "l3" }, "mode l3", l3),
    case("ipvlan", { link = "e0", mode = "l3s", flags = "private" }, "mode l3s private", l3),
    case("ipvlan", { link = "e0", mode = "l2", flags = "vepa" }, "mode l2 vepa", l3),
    case("ipvtap", { link = "e0", mode = "l2" }, "mode l2 bridge", l3),

    case("vrf", { table = 10 }, "table 10"),
    case("vxcan", { peer = { name = "y" } }, "peer name y", l3),

    case("bond", { mode = "balance-rr", packets_per_slave = 3, miimon = 100, updelay = 200, downdelay = 300,
        peer_notify_delay = 400, use_carrier = false, resend_igmp = 4, num_grat_arp = 5, all_slaves_active = 1,
        min_links = 2, lp_interval = 6 },
      "mode balance-rr packets_per_slave 3 miimon 100 updelay 200 downdelay 300 peer_notify_delay 400 use_carrier 0 "
        .. "resend_igmp 4 num_grat_arp 5 all_slaves_active 1 min_links 2 lp_interval 6"),
    case("bond", { mode = "active-backup", arp_interval = 100, arp_ip_target = { "10.0.0.2", "10.0.0.3" },
        ns_ip6_target = { "fd00::2", "fd00::3" }, arp_validate = "filter_active", arp_all_targets = "all",
        arp_missed_max = 7, primary_reselect = "better", fail_over_mac = "follow", primary = "e0" },
      "mode active-backup arp_interval 100 arp_ip_target 10.0.0.2,10.0.0.3 ns_ip6_target fd00::2,fd00::3 "
        .. "arp_validate filter_active arp_all_targets all arp_missed_max 7 primary_reselect better "
        .. "fail_over_mac follow primary e0"),
    case("bond", { mode = "balance-xor", xmit_hash_policy = "vlan+srcmac" },
      "mode balance-xor xmit_hash_policy vlan+srcmac"),
    case("bond", { mode = "broadcast" }, "mode broadcast"),
    case("bond", { mode = "802.3ad", lacp_rate = "fast", lacp_active = false, ad_select = "bandwidth",
        ad_actor_sys_prio = 99, ad_user_port_key = 77, ad_actor_system = "02:00:00:00:00:55",
        xmit_hash_policy = "encap3+4" },
      "mode 802.3ad lacp_rate fast lacp_active off ad_select bandwidth ad_actor_sys_prio 99 ad_user_port_key 77 "
        .. "ad_actor_system 02:00:00:00:00:55 xmit_hash_policy encap3+4"),
    case("bond", { mode = "balance-tlb", tlb_dynamic_lb = false, xmit_hash_policy = "layer2+3" },
      "mode balance-tlb tlb_dynamic_lb 0 xmit_hash_policy layer2+3"),
    case("bond", { mode = "balance-alb", miimon = 50 }, "mode balance-alb miimon 50"),

    case("bridge", { no_linklocal_learn = true, mcast_vlan_snooping = false, vlan_filtering = true,
        vlan_stats_enabled = true, vlan_stats_per_port = true, mcast_stats_enabled = true, nf_call_iptables = true,
        nf_call_ip6tables = true, nf_call_arptables = true, mcast_query_use_ifaddr = true,
        mcast_last_member_interval = 200, mcast_membership_interval = 30000, mcast_querier_interval = 20000,
        mcast_startup_query_interval = 3000, group_address = "01:80:c2:00:00:0e" },
      "no_linklocal_learn 1 mcast_vlan_snooping 0 vlan_filtering 1 vlan_stats_enabled 1 vlan_stats_per_port 1 "
        .. "mcast_stats_enabled 1 nf_call_iptables 1 nf_call_ip6tables 1 nf_call_arptables 1 "
        .. "mcast_query_use_ifaddr 1 mcast_last_member_interval 200 mcast_membership_interval 30000 "
        .. "mcast_querier_interval 20000 mcast_startup_query_interval 3000 group_address 01:80:c2:00:00:0e",
      { needs = "bridge-vlan" }),

    case("vxlan", { id = 42, remote = "10.0.0.9", dstport = 4789, tos = "inherit", ttl = "inherit" },
      "id 42 remote 10.0.0.9 dstport 4789 tos inherit ttl inherit"),
    case("vxlan", { external = true, dstport = 4790, vnifilter = true, learning = false },
      "external vnifilter dstport 4790"),
    case("vxlan", { dstport = 4790, gpe = true, external = true, learning = false },
      "dstport 4790 gpe external"),
    case("vxlan", { id = 42, dstport = 4789, remcsumtx = true, remcsumrx = true, udpcsum = false },
      "id 42 dstport 4789 remcsumtx remcsumrx noudpcsum"),
    case("geneve", { id = 9, remote = "10.0.0.2" }, "id 9 remote 10.0.0.2"),
    case("geneve", { id = 9, remote = "10.0.0.2", ttl = 7, tos = 16, df = "set", dstport = 6082, udpcsum = true },
      "id 9 remote 10.0.0.2 ttl 7 tos 0x10 df set dstport 6082 udpcsum"),
    case("geneve", { id = 9, remote = "fd00::2", ttl = "inherit", tos = "inherit", flowlabel = 77,
        udp6zerocsumtx = true, udp6zerocsumrx = true },
      "id 9 remote fd00::2 ttl inherit tos inherit flowlabel 77 udp6zerocsumtx udp6zerocsumrx"),
    case("geneve", { external = true }, "external"),
    tunnel("geneve", { id = 3, remote = "10.0.0.2", innerprotoinherit = true },
      "id 3 remote 10.0.0.2 innerprotoinherit"),
    case("bareudp", { dstport = 6635, ethertype = "mpls_uc", srcportmin = 4000, multiproto = true },
      "dstport 6635 ethertype mpls_uc srcportmin 4000 multiproto", l3),
    case("gtp", { role = "sgsn", hsize = 1024, restart_count = 7 }, "role sgsn hsize 1024 restart_count 7", l3),
    case("amt", { mode = "gateway", discovery = "10.0.0.9", ["local"] = "10.0.0.1", dev = "e0", relay_port = 2269,
        gateway_port = 2270 },
      "discovery 10.0.0.9 local 10.0.0.1 dev e0 mode gateway relay_port 2269 gateway_port 2270"),
    case("amt", { mode = "relay", ["local"] = "10.0.0.1", dev = "e0", max_tunnels = 9 },
      "local 10.0.0.1 dev e0 mode relay max_tunnels 9"),

    tunnel("gre", { ["local"] = "10.0.0.1", remote = "10.0.0.2" }, "local 10.0.0.1 remote 10.0.0.2"),
    tunnel("gre", { ["local"] = "10.0.0.1", remote = "10.0.0.2", seq = true, csum = true, key = 7, ttl = 9,
        tos = "inherit", dev = "e0", fwmark = 5 },
      "local 10.0.0.1 remote 10.0.0.2 seq csum key 7 ttl 9 tos inherit dev e0 fwmark 5"),
    tunnel("gre", { remote = "10.0.0.2", iseq = true, ocsum = true, ikey = "0.0.1.2", okey = 9, tos = 16,
        pmtudisc = false, ignore_df = true },
      "remote 10.0.0.2 iseq ocsum ikey 0.0.1.2 okey 9 tos 0x10 nopmtudisc ignore-df"),
    tunnel("gre", { external = true }, "external"),
    case("gretap", { ["local"] = "10.0.0.1", remote = "10.0.0.2", key = 1, encap = "fou", encap_sport = 5555,
        encap_dport = 5556, encap_csum = true },
      "local 10.0.0.1 remote 10.0.0.2 key 1 encap fou encap-sport 5555 encap-dport 5556 encap-csum"),
    case("gretap", { remote = "10.0.0.2", encap = "gue", encap_sport = "auto", encap_dport = 5556,
        encap_remcsum = true },
      "remote 10.0.0.2 encap gue encap-sport auto encap-dport 5556 encap-remcsum"),
    case("erspan", { ["local"] = "10.0.0.1", remote = "10.0.0.2", seq = true, key = 1, erspan_ver = 1, erspan = 5 },
      "local 10.0.0.1 remote 10.0.0.2 seq key 1 erspan_ver 1 erspan 5"),
    case("erspan", { ["local"] = "10.0.0.1", remote = "10.0.0.2", seq = true, key = 1, erspan_ver = 2,
        erspan_dir = "egress", erspan_hwid = 17 },
      "local 10.0.0.1 remote 10.0.0.2 seq key 1 erspan_ver 2 erspan_dir egress erspan_hwid 17"),
    tunnel("ip6gre", { ["local"] = "fd00::1", remote = "fd00::2" }, "local fd00::1 remote fd00::2"),
    tunnel("ip6gre", { ["local"] = "fd00::1", remote = "fd00::2", hoplimit = 9, encaplimit = 3, tclass = 0x20,
        flowlabel = 0x12345, dev = "e0", fwmark = 8, key = 3, csum = true, seq = true, allow_localremote = true },
      "local fd00::1 remote fd00::2 hoplimit 9 encaplimit 3 tclass 0x20 flowlabel 0x12345 dev e0 fwmark 8 key 3 "
        .. "csum seq allow-localremote"),
    case("ip6gretap", { ["local"] = "fd00::1", remote = "fd00::2", encaplimit = "none", tclass = "inherit",
        flowlabel = "inherit", dscp = "inherit", fwmark = "inherit" },
      "local fd00::1 remote fd00::2 encaplimit none tclass inherit flowlabel inherit dscp inherit fwmark inherit"),
    case("ip6erspan", { ["local"] = "fd00::1", remote = "fd00::2", seq = true, key = 1, erspan_ver = 1, erspan = 5 },
      "local fd00::1 remote fd00::2 seq key 1 erspan_ver 1 erspan 5"),
    tunnel("ipip", { ["local"] = "10.0.0.1", remote = "10.0.0.2" }, "local 10.0.0.1 remote 10.0.0.2"),
    tunnel("ipip", { ["local"] = "10.0.0.1", remote = "10.0.0.2", ttl = 9, tos = 8, mode = "any", dev = "e0",
        fwmark = 3, encap = "fou", encap_sport = 1, encap_dport = 2 },
      "local 10.0.0.1 remote 10.0.0.2 ttl 9 tos 8 mode any dev e0 fwmark 3 encap fou encap-sport 1 encap-dport 2"),
    tunnel("ipip", { remote = "10.0.0.2", mode = "mplsip", pmtudisc = false },
      "remote 10.0.0.2 mode mplsip nopmtudisc"),
    tunnel("ipip", { external = true }, "external"),
    tunnel("sit", { ["local"] = "10.0.0.1", remote = "10.0.0.2", ttl = 9, mode = "any" },
      "local 10.0.0.1 remote 10.0.0.2 ttl 9 mode any"),
    tunnel("sit", { ["local"] = "10.0.0.1", isatap = true, mode = "ip6ip" }, "local 10.0.0.1 isatap mode ip6ip"),
    tunnel("sit", { ["local"] = "10.0.0.1", ttl = 64, ["6rd_prefix"] = "2001:db8::/32",
        ["6rd_relay_prefix"] = "10.0.0.0/8" },
      "local 10.0.0.1 ttl 64 6rd-prefix 2001:db8::/32 6rd-relay_prefix 10.0.0.0/8"),
    tunnel("ip6tnl", { ["local"] = "fd00::1", remote = "fd00::2" }, "local fd00::1 remote fd00::2"),
    tunnel("ip6tnl", { ["local"] = "fd00::1", remote = "fd00::2", mode = "ipip6", hoplimit = 5, encaplimit = "none",
        tclass = "inherit", flowlabel = 5, dscp = "inherit", allow_localremote = true, dev = "e0" },
      "local fd00::1 remote fd00::2 mode ipip6 hoplimit 5 encaplimit none tclass inherit flowlabel 5 dscp inherit "
        .. "allow-localremote dev e0"),
    tunnel("ip6tnl", { external = true }, "external"),
    tunnel("vti", { ["local"] = "10.0.0.1", remote = "10.0.0.2", key = 3, dev = "e0", fwmark = 4 },
      "local 10.0.0.1 remote 10.0.0.2 key 3 dev e0 fwmark 4"),
    tunnel("vti", { ["local"] = "10.0.0.1", remote = "10.0.0.2", ikey = 3, okey = 4 },
      "local 10.0.0.1 remote 10.0.0.2 ikey 3 okey 4"),
    tunnel("vti6", { ["local"] = "fd00::1", remote = "fd00::2", key = 3, fwmark = 4 },
      "local fd00::1 remote fd00::2 key 3 fwmark 4"),
    tunnel("xfrm", { dev = "e0", if_id = 7 }, "dev e0 if_id 7"),
    tunnel("xfrm", { external = true }, "external"),

    case("hsr", { slave1 = "e0", slave2 = "p0", supervision = 45, proto = 1 },
      "slave1 e0 slave2 p0 supervision 45 proto 1", { no_address = true }),
    case("hsr", { slave1 = "e0", slave2 = "p0", version = 1 }, "slave1 e0 slave2 p0 version 1",
      { no_address = true }),
    case("macsec", { link = "e0" }, "", { no_address = true }),
    case("macsec", { link = "e0", sci = "0200000000010007", encrypt = true, cipher = "gcm-aes-256", icvlen = 12,
        send_sci = true, protect = false, replay = true, window = 32, validate = "check", encodingsa = 2 },
      "sci 0200000000010007 encrypt on cipher gcm-aes-256 icvlen 12 send_sci on protect off replay on window 32 "
        .. "validate check encodingsa 2", { no_address = true }),
    case("macsec", { link = "e0", port = 17, send_sci = false, end_station = true, scb = false },
      "port 17 send_sci off end_station on scb off", { no_address = true }),
  },
}

describe("kinds of link", function()
  local features = require "spec.support.features"
  local ns

  before_each(function()
    ns = netns.new "kinds"
    ground(ns)
  end)

  after_each(function()
    ns:close()
  end)

  local function shown(dev)
    return sh.ip("kinds", "-j -d link show dev " .. dev)[1].linkinfo
  end

  it("make a netkit pair, its other end elsewhere", function()
    features.need "netkit"
    local other <close> = netns.new()
    local near = ns.link:add { name = "nk0", type = "netkit", mode = "l2", policy = "blackhole", up = true,
      peer = { name = "nk1", netns = other, up = true } }
    local far = other.link:get "nk1"
    assert.same({ "l2", "blackhole", "forward", true }, { near.mode, near.policy, near.peer_policy, near.primary })
    assert.same({ "l2", "forward", "blackhole", false }, { far.mode, far.policy, far.peer_policy, far.primary })
    near:set { policy = "forward" }
    assert.equal("forward", far.peer_policy)
    -- what is listed can be added
    local third <close> = netns.new()
    local row = ns.link:list({ name = "nk0" })[1]
    row.name = "copy"
    local copy = third.link:add(row)
    assert.same({ row.mode, row.policy, row.peer_policy }, { copy.mode, copy.policy, copy.peer_policy })
  end)

  it("keep the options of a tunnel that a change does not name", function()
    features.need("gre", "ip6tnl", "vti")
    local gre = ns.link:add { name = "g", type = "gre", ["local"] = "10.0.0.1", remote = "10.0.0.2", key = 7,
      csum = true, ttl = 9 }
    gre:set { ttl = 12 }
    ns.link:set { dev = "g", iseq = true }
    local seen = shown("g").info_data
    assert.same({ "10.0.0.1", "10.0.0.2", "0.0.0.7", 12, true, true },
      { seen["local"], seen.remote, seen.ikey, seen.ttl, seen.icsum, seen.iseq })
    local six = ns.link:add { name = "s", type = "ip6tnl", ["local"] = "fd00::1", remote = "fd00::2", tclass = 32 }
    six:set { flowlabel = 5, encaplimit = "none" }
    assert.same({ "fd00::1", 32, 5, "none" }, { six["local"], six.tclass, six.flowlabel, six.encaplimit })
    six:set { encaplimit = 6 }
    assert.equal(6, six.encaplimit)
    local vti = ns.link:add { name = "v", type = "vti", ["local"] = "10.0.0.1", remote = "10.0.0.2", key = 3 }
    vti:set { okey = 4 }
    assert.same({ 3, 4, "10.0.0.2" }, { vti.ikey, vti.okey, vti.remote })
  end)

  it("say which option the kernel refused", function()
    local _, err = netns.try(ns.link.add, ns.link, { name = "v", type = "vxlan", id = 5, dstport = 4789, df = 9 })
    assert.same({ "EINVAL", "df" }, { err.code, err.attr })
  end)

  it("change what a macvlan in mode source lets in", function()
    features.need "macvlan"
    local mv = ns.link:add { name = "mv", type = "macvlan", link = "e0", mode = "source",
      macaddr = { "02:00:00:00:01:01" } }
    mv:set { macaddr_add = "02:00:00:00:01:02" }
    assert.equal(2, #mv.macaddr)
    mv:set { macaddr_del = "02:00:00:00:01:01" }
    assert.same({ "02:00:00:00:01:02" }, mv.macaddr)
    mv:set { macaddr = {} }
    assert.is_nil(mv.macaddr)
  end)

  it("give ports of a bond their options", function()
    features.need "bond"
    ns.link:add { name = "b0", type = "bond", mode = "active-backup", miimon = 100 }
    local e0 = ns.link:get "e0"
    e0:set { master = "b0" }
    ns.link:set { dev = "p0", master = "b0" }
    e0:set { bond_slave = { queue_id = 3, prio = -5 } }
    assert.same({ 3, -5 }, { e0.bond_slave.queue_id, e0.bond_slave.prio })
    assert.same({ 3, -5 }, { shown("e0").info_slave_data.queue_id, shown("e0").info_slave_data.prio })
    ns.link:set { dev = "b0", up = true }
    ns.link:set { dev = "p0", up = true }
    e0:set { up = true }
    ns.link:set { name = "b0", active_slave = "p0" }
    sh.eventually(function()
      return ns.link:get("b0").active_slave == "p0"
    end)
  end)

  it("refuse words that mean nothing, naming those that do", function()
    local function refuses(args, words)
      args.name = "x"
      assert.error_matches(function()
        ns.link:add(args)
      end, words, nil, true)
    end
    refuses({ type = "bond", mode = "active-backpu" }, 'did you mean "active-backup"')
    refuses({ type = "vlan", id = 4096 }, "id must be an integer from 0 to 4095, got 4096")
    refuses({ type = "vlan", egress_qos_map = "a:b" }, "egress_qos_map must be priorities")
    refuses({ type = "vlan", egress_qos_map = { "a" } }, "egress_qos_map must be priorities")
    refuses({ type = "macvlan", macaddr = "x" }, "macaddr must be a list of link-layer addresses")
    refuses({ type = "gre", key = "a" }, "key must be a number or a dotted quad")
    refuses({ type = "ip6tnl", tclass = "x" }, 'tclass must be a number or "inherit"')
    refuses({ type = "ip6tnl", encaplimit = "inherit" }, 'encaplimit must be a number or "none"')
    refuses({ type = "sit", ["6rd_prefix"] = "2001::" }, "6rd_prefix must be an IPv6 prefix")
    refuses({ type = "macsec", sci = "12" }, "sci must be 16 hexadecimal digits")
    refuses({ type = "bond", arp_ip_target = { "fd00::1" } }, "arp_ip_target must be IPv4 addresses")
    refuses({ type = "vxlan", ttl = "none" }, 'ttl must be an integer from 0 to 255, "auto" or "inherit"')
    refuses({ type = "dummy", id = 5 }, 'unknown key "id"')
  end)
end)
