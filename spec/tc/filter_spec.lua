--- Filters and actions: what we make, what `tc` makes and what is made from our list are the same.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local function case(kind, options, words, more)
  local t = { dev = "e0", parent = "ingress", pref = 10, kind = kind }
  for key, value in pairs(options) do
    t[key] = value
  end
  return {
    t, ("filter add dev e0 ingress pref 10%s %s %s"):format(options.protocol and " protocol " .. options.protocol or "",
      (more and more.handle or "") .. kind, words),
    needs = { "cls-" .. kind, table.unpack(more and more.needs or {}) },
    name = kind .. " " .. words,
  }
end

local function action(options, words, need)
  return case("matchall", { actions = { options } }, "action " .. words, { needs = { "act-" .. need } })
end

local function flower(protocol, options, words)
  options.protocol, options.action = protocol, "drop"
  return case("flower", options, words .. " action drop")
end

local function u32(match, words)
  return case("u32", { protocol = "ip", match = match, action = "drop" }, words .. " action drop")
end

-- What tc prints of filters is not always JSON; numbers of actions and times go their own way.
local function still(rows)
  for _, row in ipairs(rows) do
    row.text = row.text:gsub("index %d+", "index"):gsub("police 0x%x+", "police"):gsub("installed.*$", "")
      :gsub("success %d+ ", "")
  end
  return rows
end

twins.describe {
  noun = "filter",
  tool = "tc",
  show = { { "filter show dev e0 ingress", text = true } },
  ip_rows = still,
  prepare = function(ns)
    ns.link:add { name = "e0", type = "veth", peer = { name = "p0" } }
    ns.qdisc:add { dev = "e0", kind = "clsact" }
  end,
  cases = {
    case("matchall", { action = "pass" }, "action pass"),
    case("matchall", { classid = "1:5", skip_hw = true, chain = 7, action = "drop" },
      "skip_hw classid 1:5 action drop", { handle = "chain 7 " }),
    case("fw", { handle = 5, classid = "1:5", indev = "p0" }, "classid 1:5 indev p0", { handle = "handle 5 " }),
    case("fw", { handle = 0x10, mask = "0xff", action = "drop" }, "action drop", { handle = "handle 0x10/0xff " }),
    case("basic", { action = "drop", protocol = "arp" }, "action drop"),

    u32({ "ip dst 10.0.0.1/32" }, "match ip dst 10.0.0.1/32"),
    u32({ "ip src 10.0.0.0/8", "ip protocol 6 0xff", "ip dport 80 0xffff" },
      "match ip src 10.0.0.0/8 match ip protocol 6 0xff match ip dport 80 0xffff"),
    u32("ip tos 0x10 0xfc", "match ip tos 0x10 0xfc"),
    u32({ "u32 0x12345678 0xffff00ff at 8", "u16 0x800 0xff00 at 2", "u8 6 0xff at 13" },
      "match u32 0x12345678 0xffff00ff at 8 match u16 0x800 0xff00 at 2 match u8 6 0xff at 13"),
    u32({ "u32 0 0" }, "match u32 0 0"),
    case("u32", { protocol = "ipv6", match = { "ip6 dst 2001:db8::/40", "ip6 dport 53 0xffff" }, classid = "1:2" },
      "match ip6 dst 2001:db8::/40 match ip6 dport 53 0xffff classid 1:2"),

    flower("ip", { ip_proto = "tcp", dst_port = 80, dst_ip = "10.0.0.0/24", src_ip = "10.1.1.1",
        src_mac = "02:00:00:00:00:01", dst_mac = "02:00:00:00:00:00/ff:ff:ff:00:00:00" },
      "ip_proto tcp dst_port 80 dst_ip 10.0.0.0/24 src_ip 10.1.1.1 src_mac 02:00:00:00:00:01 "
        .. "dst_mac 02:00:00:00:00:00/ff:ff:ff:00:00:00"),
    flower("ip", { ip_proto = "udp", src_port = "100-200", dst_port = 53, ip_tos = "0x10/0xfc", ip_ttl = 64 },
      "ip_proto udp src_port 100-200 dst_port 53 ip_tos 0x10/0xfc ip_ttl 64"),
    flower("ip", { ip_proto = "sctp", dst_port = 9, ip_flags = "nofrag" }, "ip_proto sctp dst_port 9 ip_flags nofrag"),
    flower("ip", { ip_flags = "frag/firstfrag" }, "ip_flags frag/firstfrag"),
    flower("ip", { ip_proto = "tcp", tcp_flags = "0x2/0x12" }, "ip_proto tcp tcp_flags 0x2/0x12"),
    flower("ip", { ip_proto = "icmp", type = 8, code = 0 }, "ip_proto icmp type 8 code 0"),
    flower("ipv6", { ip_proto = "icmpv6", type = 128, src_ip = "2001:db8::/32" },
      "ip_proto icmpv6 type 128 src_ip 2001:db8::/32"),
    flower("ipv6", { ip_proto = "udp", dst_ip = "fd00::1", src_port = 68 }, "ip_proto udp dst_ip fd00::1 src_port 68"),
    flower("arp", { arp_op = "request", arp_tip = "10.0.0.0/8", arp_sip = "10.0.0.9", arp_sha = "02:00:00:00:00:09" },
      "arp_op request arp_tip 10.0.0.0/8 arp_sip 10.0.0.9 arp_sha 02:00:00:00:00:09"),
    flower("802.1Q", { vlan_id = 7, vlan_prio = 3, vlan_ethtype = "ip", ip_proto = "udp", dst_port = 9 },
      "vlan_id 7 vlan_prio 3 vlan_ethtype ip ip_proto udp dst_port 9"),
    flower("802.1ad", { vlan_id = 7, vlan_ethtype = "802.1Q", cvlan_id = 8, cvlan_ethtype = "ip" },
      "vlan_id 7 vlan_ethtype 802.1q cvlan_id 8 cvlan_ethtype ip"),
    flower("mpls_uc", { mpls_label = 55, mpls_tc = 3, mpls_bos = 1, mpls_ttl = 9 },
      "mpls_label 55 mpls_tc 3 mpls_bos 1 mpls_ttl 9"),
    flower("ip", { enc_key_id = 77, enc_dst_ip = "10.9.0.1", enc_src_ip = "10.9.0.2", enc_dst_port = 4789,
        enc_tos = 16, enc_ttl = 9 },
      "enc_key_id 77 enc_dst_ip 10.9.0.1 enc_src_ip 10.9.0.2 enc_dst_port 4789 enc_tos 16 enc_ttl 9"),
    flower("ip", { ct_state = "+est+trk", ct_zone = 5, ct_mark = "0x10/0xff" },
      "ct_state +trk+est ct_zone 5 ct_mark 0x10/0xff"),
    flower("ip", { indev = "p0" }, "indev p0"),

    action("drop", "drop", "gact"),
    action({ kind = "gact", control = "pass", random = "determ", random_control = "drop", random_val = 7 },
      "gact pass random determ drop 7", "gact"),
    action({ kind = "gact", control = "goto chain 7" }, "gact goto chain 7", "gact"),
    action("continue", "gact continue", "gact"),
    action("reclassify", "gact reclassify", "gact"),
    action({ kind = "mirred", direction = "egress", action = "redirect", dev = "p0" },
      "mirred egress redirect dev p0", "mirred"),
    action({ kind = "mirred", action = "mirror", dev = "p0" }, "mirred egress mirror dev p0", "mirred"),
    action({ kind = "mirred", direction = "ingress", action = "mirror", dev = "p0", control = "drop" },
      "mirred ingress mirror dev p0 drop", "mirred"),
    action({ kind = "police", rate = "1mbit", burst = "10k", control = "drop" }, "police rate 1mbit burst 10k drop",
      "police"),
    action({ kind = "police", rate = "10mbit", burst = "20k", mtu = 1500, peakrate = "20mbit", overhead = 14,
        linklayer = "atm", control = "drop", conform = "pipe" },
      "police rate 10mbit burst 20k mtu 1500 peakrate 20mbit overhead 14 linklayer atm conform-exceed drop/pipe",
      "police"),
    action({ kind = "police", rate = "64gbit", burst = 1600000 }, "police rate 64gbit burst 1600000", "police"),
    action({ kind = "police", pkts_rate = 1000, pkts_burst = 20, control = "drop" },
      "police pkts_rate 1000 pkts_burst 20 drop", "police"),
    action({ kind = "skbedit", priority = "1:3", mark = 4, mask = 15, ptype = "host" },
      "skbedit priority 1:3 mark 4/15 ptype host", "skbedit"),
    action({ kind = "skbedit", inheritdsfield = true }, "skbedit inheritdsfield", "skbedit"),
    action({ kind = "vlan", action = "push", id = 5, priority = 3 }, "vlan push id 5 priority 3", "vlan"),
    action({ kind = "vlan", action = "modify", id = 5, protocol = "802.1ad" }, "vlan modify id 5 protocol 802.1ad",
      "vlan"),
    action({ kind = "vlan", action = "pop" }, "vlan pop", "vlan"),
    action({ kind = "vlan", action = "push_eth", dst_mac = "02:00:00:00:00:01", src_mac = "02:00:00:00:00:02" },
      "vlan push_eth dst_mac 02:00:00:00:00:01 src_mac 02:00:00:00:00:02", "vlan"),
    action({ kind = "nat", old = "10.0.0.0/24", new = "192.0.2.0" }, "nat ingress 10.0.0.0/24 192.0.2.0", "nat"),
    action({ kind = "nat", egress = true, old = "10.0.0.1", new = "192.0.2.7" }, "nat egress 10.0.0.1 192.0.2.7",
      "nat"),
    action({ kind = "csum", ip4h = true, tcp = true, udp = true }, "csum ip4h and tcp and udp", "csum"),
    action({ kind = "connmark", zone = 3 }, "connmark zone 3", "connmark"),
    action({ kind = "simple", sdata = "hello" }, "simple sdata hello", "simple"),
    action({ kind = "sample", rate = 9, group = 1, trunc = 100 }, "sample rate 9 group 1 trunc 100", "sample"),
    action({ kind = "pedit", control = "pipe", munge = { "ip ttl set 9" } }, "pedit ex munge ip ttl set 9 pipe",
      "pedit"),
    action({ kind = "pedit", munge = { "eth dst set 02:00:00:00:00:07", "ip src set 10.0.0.9", "tcp dport set 80" } },
      "pedit ex munge eth dst set 02:00:00:00:00:07 munge ip src set 10.0.0.9 munge tcp dport set 80", "pedit"),
    action({ kind = "pedit", munge = { "ip ttl add 255", "ip6 dst set fd00::9" } },
      "pedit ex munge ip ttl add 255 munge ip6 dst set fd00::9", "pedit"),
    case("matchall", { actions = { { kind = "skbedit", mark = 4 }, { kind = "mirred", action = "mirror", dev = "p0" },
        "pass" } },
      "action skbedit mark 4 action mirred egress mirror dev p0 action pass",
      { needs = { "act-skbedit", "act-mirred" } }),
  },
}

describe("ns.filter", function()
  local ns, link

  setup(function()
    features.need("cls-matchall", "cls-flower", "cls-u32", "cls-fw", "act-mirred", "act-police", "qdisc-htb")
  end)

  before_each(function()
    ns = netns.new "tc"
    for i = 0, 1 do
      ns.link:add { name = "e" .. i, type = "veth", up = true, addrgenmode = "none",
        peer = { name = "p" .. i, up = true, addrgenmode = "none" } }
    end
    link = ns.link:get "e0"
  end)

  after_each(function()
    ns:close()
  end)

  it("lists those of all links and parents, of one, of a chain, without what the kernel made by itself", function()
    ns:batch(function(b)
      b.qdisc:add { dev = "e0", kind = "clsact" }
      b.qdisc:add { dev = "e1", handle = "1:", kind = "htb" }
      b.class:add { dev = "e1", classid = "1:1", kind = "htb", rate = "1mbit" }
      b.filter:add { dev = "e0", parent = "ingress", pref = 1, kind = "matchall", action = "pass" }
      b.filter:add { dev = "e0", parent = "egress", pref = 2, protocol = "ip", kind = "u32", match = "ip dst 10.0.0.1",
        action = "drop" }
      b.filter:add { dev = "e1", parent = "1:", pref = 3, kind = "fw", handle = 7, classid = "1:1" }
      b.filter:add { dev = "e1", parent = "1:1", pref = 4, kind = "matchall", chain = 5, action = "goto chain 6" }
    end)
    local seen = {}
    for i, filter in ipairs(ns.filter:list()) do
      seen[i] = ("%s %s %d %s %s"):format(filter.dev, filter.parent, filter.pref, filter.kind, filter.handle)
    end
    table.sort(seen)
    assert.same({ "e0 egress 2 u32 800::800", "e0 ingress 1 matchall 1", "e1 1: 3 fw 7", "e1 1:1 4 matchall 1" }, seen)
    assert.equal(2, #link.filter:list())
    assert.equal(1, #link.filter:list { parent = "egress" })
    assert.equal(1, #ns.filter:list { chain = 5 })
    assert.equal("goto chain 6", ns.filter:get({ pref = 4 }).actions[1].control)
    local count = 0
    for filter in ns.filter:each { kind = "matchall" } do
      count = count + (filter.kind == "matchall" and 1 or 0)
    end
    assert.equal(2, count)
    assert.equal(2, ns.filter:flush { kind = "matchall" })
    assert.equal(2, #ns.filter:list())
    link.filter:del { parent = "egress" }
    assert.equal(0, #link.filter:list())
    assert.equal("", sh.tc("tc", "filter show dev e0 egress"))
  end)

  it("adds again elsewhere what it lists, changes, replaces, refuses what is there", function()
    link.qdisc:add { kind = "clsact" }
    local filter = { parent = "ingress", pref = 9, protocol = "ip", kind = "flower", ip_proto = "tcp", dst_port = 80,
      handle = 3, actions = { { kind = "police", rate = "1mbit", burst = "10k", control = "drop" } } }
    link.filter:add(filter)
    local _, err = netns.try(link.filter.add, link.filter, filter)
    assert.equal("EEXIST", err.code)
    link.filter:set { parent = "ingress", pref = 9, handle = 3, dst_port = 443 }
    local listed = link.filter:get { pref = 9 }
    assert.same({ 443, "tcp", 1000000 }, { listed.dst_port, listed.ip_proto, listed.actions[1].rate })
    local other <close> = netns.new()
    other.link:add { name = "e0", type = "veth", peer = { name = "p0" } }
    other.qdisc:add { dev = "e0", kind = "clsact" }
    other.filter:add(listed)
    other.filter:replace { dev = "e0", parent = "ingress", pref = 9, protocol = "ip", handle = 3, kind = "flower",
      ip_proto = "tcp", dst_port = 22, action = "drop" } -- the kernel changes values, not masks
    local replaced = other.filter:get { pref = 9 }
    assert.same({ 22, "drop", 1 }, { replaced.dst_port, replaced.actions[1].control, #replaced.actions })
  end)

  it("u32 has hash tables", function()
    link.qdisc:add { kind = "clsact" }
    link.filter:add { parent = "ingress", pref = 5, protocol = "ip", kind = "u32", handle = "1:", divisor = 4 }
    link.filter:add { parent = "ingress", pref = 5, protocol = "ip", kind = "u32", ht = "1:2:",
      match = "ip dst 10.0.0.2", action = "pass" }
    link.filter:add { parent = "ingress", pref = 5, protocol = "ip", kind = "u32", match = { { value = 0, mask = 0 } },
      link = "1:", hashkey_mask = "0x3", hashkey_at = 16 }
    local function show()
      return (sh.tc("tc", "filter show dev e0 ingress"):gsub("index %d+[^\n]*", ""))
    end
    local shown = show()
    assert.matches("fh 1: ht divisor 4", shown)
    assert.matches("link 1:", shown)
    assert.matches("hash mask 00000003 at 16", shown)
    local listed = link.filter:list { kind = "u32" }
    assert.equal(3, #listed)
    link.filter:flush { kind = "u32" }
    for _, filter in ipairs(listed) do
      filter.dev = nil
    end
    table.sort(listed, function(a, b)
      return (a.divisor or 0) > (b.divisor or 0)
    end)
    for _, filter in ipairs(listed) do
      link.filter:add(filter)
    end
    assert.equal(shown, show())
  end)

  it("a block is shared by qdiscs", function()
    ns.qdisc:add { dev = "e0", kind = "clsact", ingress_block = 5 }
    ns.qdisc:add { dev = "e1", kind = "clsact", ingress_block = 5 }
    ns.filter:add { block = 5, pref = 1, kind = "matchall", action = "drop" }
    local listed = ns.filter:list { block = 5 }
    assert.equal(1, #listed)
    assert.same({ 5, "drop" }, { listed[1].block, listed[1].actions[1].control })
    assert.is_nil(listed[1].dev)
    assert.matches("action drop", sh.tc("tc", "filter show block 5"))
    ns.filter:del { block = 5, pref = 1 }
    assert.equal("", sh.tc("tc", "filter show block 5"))
  end)

  it("in effect: classifies, counts, redirects, polices", function()
    local far <close> = netns.new()
    ns.link:add { name = "out", type = "veth", up = true, addrgenmode = "none",
      peer = { name = "in", netns = far, up = true, addrgenmode = "none" } }
    ns.addr:add { dev = "out", address = "10.0.0.1/24" }
    far.addr:add { dev = "in", address = "10.0.0.2/24" }
    sh.eventually(function()
      return ns:ping("10.0.0.2", { timeout = 0.2 })
    end)
    ns.qdisc:replace { dev = "out", handle = "1:", kind = "htb", default = "20" }
    for minor = 10, 20, 10 do
      ns.class:add { dev = "out", classid = "1:" .. minor, parent = "1:", kind = "htb", rate = "10mbit" }
    end
    ns.filter:add { dev = "out", parent = "1:", pref = 1, protocol = "ip", kind = "flower", ip_proto = "icmp",
      classid = "1:10" }
    assert(ns:ping("10.0.0.2", { count = 5, interval = 0.01 }))
    assert.equal(5, ns.class:get({ classid = "1:10", stats = true }).stats.packets)
    ns.qdisc:add { dev = "out", kind = "clsact" }
    ns.filter:add { dev = "out", parent = "egress", pref = 1, protocol = "ip", kind = "flower", ip_proto = "icmp",
      actions = { { kind = "mirred", action = "mirror", dev = "e0" } } }
    local before = ns.link:get("p0").stats.rx_packets
    assert(ns:ping("10.0.0.2", { count = 3, interval = 0.01 }))
    sh.eventually(function()
      return ns.link:get("p0").stats.rx_packets == before + 3
    end)
    assert.equal(3, ns.filter:get({ pref = 1, parent = "egress", stats = true }).actions[1].stats.packets)
    ns.filter:flush { parent = "egress", dev = "out" }
    ns.filter:add { dev = "out", parent = "egress", pref = 1, protocol = "ip", kind = "matchall",
      actions = { { kind = "police", rate = "1kbit", burst = 250, control = "drop" } } }
    local r = ns:ping("10.0.0.2", { count = 10, interval = 0.01, timeout = 0.5 })
    assert.is_true(r.received >= 1 and r.received <= 3, r.received .. " came through")
  end)
end)

describe("ns.filter", function()
  local ns <const> = netns.new()

  teardown(function()
    ns:close()
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      args.dev, args.kind = "lo", args.kind or "flower"
      assert.error_matches(function()
        ns.filter:add(args)
      end, words, nil, true)
    end
    refuses({ dst_prot = 80 }, 'filter add: unknown key "dst_prot" (did you mean "dst_port"?)')
    refuses({ dst_port = 80 }, 'ports need ip_proto: "tcp", "udp" or "sctp"')
    refuses({ type = 8, ip_proto = "tcp" }, 'type and code need ip_proto: "icmp" or "icmpv6"')
    refuses({ dst_port = "9-8", ip_proto = "tcp" }, 'dst_port must be a port, or a range such as "100-200"')
    refuses({ ip_tos = "x" }, 'ip_tos must be a number, perhaps with a mask')
    refuses({ src_ip = "10.0.0.0/33" }, "src_ip must be a prefix")
    refuses({ arp_tip = "fd00::1" }, "arp_tip must be an IPv4 prefix")
    refuses({ src_mac = "02:00" }, "src_mac must be a link-layer address")
    refuses({ ct_state = "+odd" }, 'ct_state must be states such as "+trk+est"')
    refuses({ parent = "up" }, 'parent must be "root", "ingress", "egress" or a qdisc or class')
    refuses({ pref = 0 }, "pref must be an integer from 1 to 65535")
    refuses({ protocol = "ipv5" }, "protocol must be a protocol")
    refuses({ action = "dorp" }, 'action: unknown action "dorp"')
    refuses({ actions = { { kind = "mirrd" } } }, 'unknown action "mirrd" (did you mean "mirred"?)')
    refuses({ actions = { { dev = "lo" } } }, "actions[1].kind is missing")
    refuses({ actions = { "pass", 5 } }, "actions[2] must be a word such as")
    refuses({ actions = { { kind = "mirred", action = "copy", dev = "lo" } } },
      "actions[1].action must be redirect or mirror")
    refuses({ actions = { { kind = "mirred", action = "mirror" } } }, "dev is missing")
    refuses({ actions = { { kind = "mirred", dve = "lo" } } }, 'unknown key "actions[1].dve" (did you mean "dev"?)')
    refuses({ actions = { { kind = "police" } } }, "rate is missing")
    refuses({ actions = { { kind = "police", rate = 8 } } }, "burst is missing")
    refuses({ actions = { { kind = "gact", control = "jump far" } } }, 'control must be "pass"')
    refuses({ actions = { { kind = "nat", new = "10.0.0.1" } } }, "old and new are needed")
    refuses({ actions = { { kind = "pedit", munge = { "ip ttl be 9" } } } }, "munge must be a change such as")
    refuses({ actions = { { kind = "pedit" } } }, "munge must have 1 to 32 changes")
    refuses({ kind = "u32", match = { "ip dst" } }, "match must be a comparison such as")
    refuses({ kind = "u32", match = { { vlaue = 1 } } }, 'unknown key "match[1].vlaue" (did you mean "value"?)')
    refuses({ kind = "u32", divisor = 4, match = "ip tos 1" }, "a hash table (divisor) compares nothing")
    refuses({ kind = "fw", handle = "x" }, "handle must be a number")
  end)
end)
