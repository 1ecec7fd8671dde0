--- The statements and expressions of nft(8), as text, section by section, for the specs that
-- bring each of them in and out. A row has a name and `text`, a whole ruleset: what stands
-- behind rules() becomes a ruleset for each rule. `beside` is what a row needs beside the kernel.

local INPUT = "type filter hook input priority 0; policy accept;"
local PREROUTING = "type filter hook prerouting priority -150;"
local NAT_PRE = "type nat hook prerouting priority dstnat;"
local NAT_POST = "type nat hook postrouting priority srcnat;"

local rows = {}

local function add(name, text, beside)
  rows[#rows + 1] = { name = name, text = text, beside = beside }
end

local function rules(name, list, opts)
  opts = opts or {}
  for _, rule in ipairs(list) do
    local text = "table %s t {\n%s\nchain c { %s\n%s\n}\n}"
    add(name .. ": " .. rule, text:format(opts.family or "inet", opts.extra or "", opts.chain or INPUT, rule))
  end
end

-- tables and chains
add("empty ruleset", "")
add("tables of each family", "table ip a {}\ntable ip6 a {}\ntable inet a {}\ntable arp a {}\n"
  .. "table netdev a {}")
add("a table of the bridge family", "table bridge a {}")
add("a dormant table", "table inet t { flags dormant; chain c { type filter hook input priority 0; }; }")
add("a table with a comment", 'table inet t { comment "the table"; }')
add("chains of each type and hook", [[
  table inet t {
    chain a { type filter hook prerouting priority raw; policy accept; }
    chain b { type filter hook input priority filter; policy drop; }
    chain c { type filter hook forward priority mangle + 5; policy accept; }
    chain d { type filter hook output priority security - 1; policy accept; }
    chain e { type filter hook postrouting priority 300; policy accept; }
    chain f { type route hook output priority -5; }
    chain g { }
    chain h { comment "with a comment"; }
  }]])
add("nat chains", [[
  table inet t {
    chain a { type nat hook prerouting priority dstnat; }
    chain b { type nat hook input priority 100; }
    chain c { type nat hook output priority -100; }
    chain d { type nat hook postrouting priority srcnat; policy accept; }
  }]])
add("a netdev ingress chain", 'table netdev t { chain c { type filter hook ingress device "lo" priority 0; }; }')
add("a netdev egress chain", 'table netdev t { chain c { type filter hook egress device "lo" priority 0; }; }')
add("an inet ingress chain", 'table inet t { chain c { type filter hook ingress device "lo" priority 0; }; }')
add("an arp chain", "table arp t { chain c { type filter hook input priority 0; arp operation request drop; }; }")

-- verdicts
rules("verdicts", { "accept", "drop", "continue", "return", "jump other", "goto other" },
  { extra = "chain other { }" })
rules("a rule's comment", { 'tcp dport 22 accept comment "ssh, says \'she\'"' })

-- matches on packet headers
rules("ethernet", {
  "ether saddr 02:00:00:00:00:01 accept", "ether daddr != 02:00:00:00:00:01 drop", "ether type ip accept",
  "ether type vlan drop", "ether saddr { 02:00:00:00:00:01, 02:00:00:00:00:02 } accept",
}, { family = "netdev", chain = 'type filter hook ingress device "lo" priority 0;' })
rules("vlan", { "vlan id 5 accept", "vlan pcp 3 drop", "vlan type ip accept", "vlan dei 1 drop" },
  { family = "netdev", chain = 'type filter hook ingress device "lo" priority 0;' })
rules("arp", { "arp htype 1 accept", "arp ptype ip drop", "arp operation { request, reply } accept",
  "arp saddr ip 10.0.0.1 drop", "arp daddr ether 02:00:00:00:00:01 accept", "arp hlen 6 accept",
  "arp plen 4 accept" },
  { family = "arp", chain = "type filter hook input priority 0;" })
rules("ipv4", {
  "ip saddr 10.0.0.1 accept", "ip daddr 10.0.0.0/24 drop", "ip saddr != 10.0.0.1-10.0.0.9 accept",
  "ip protocol tcp accept", "ip protocol { tcp, udp, icmp } drop", "ip ttl 64 accept", "ip ttl < 5 drop",
  "ip id 7 accept",
  "ip length 20-1500 accept", "ip dscp ef accept", "ip dscp { cs1, af11 } drop", "ip ecn ce accept",
  "ip version 4 accept",
  "ip hdrlength 5 accept", "ip checksum 0 drop", "ip frag-off & 0x1fff != 0 drop",
  "ip saddr & 255.0.0.255 == 10.0.0.1 accept", "ip saddr . ip daddr { 10.0.0.1 . 10.0.0.2 } accept",
  "ip saddr . tcp dport { 10.0.0.0/24 . 80-90, 10.0.1.1 . 22 } accept",
})
rules("ipv4 options", { "ip option rr exists drop", "ip option lsrr missing accept", "ip option ra value 1 accept" })
rules("ipv6", {
  "ip6 saddr fd00::1 accept", "ip6 daddr fd00::/64 drop", "ip6 nexthdr tcp accept", "ip6 hoplimit 64 accept",
  "ip6 flowlabel 5 drop", "ip6 dscp cs1 accept", "ip6 length 40-1500 accept", "ip6 version 6 accept",
  "ip6 ecn not-ect accept",
  "ip6 saddr { fd00::1, fd00::2-fd00::9, fd01::/16 } accept",
})
rules("ipv6 extension headers", {
  "hbh hdrlength 1 accept", "frag id 5 drop", "frag more-fragments 1 accept", "frag frag-off 8 accept",
  "rt type 0 drop", "rt seg-left 1 accept", "dst nexthdr tcp accept", "mh type 1 drop", "exthdr frag exists drop",
  "exthdr hbh missing accept", "srh tag 5 drop", "srh flags 1 accept",
})
rules("tcp", {
  "tcp dport 22 accept", "tcp sport 1024-65535 accept", "tcp dport { 80, 443, 8000-8100 } accept",
  "tcp dport != 25 drop",
  "tcp flags syn accept", "tcp flags & (fin | syn | rst | ack) == syn accept", "tcp flags != syn drop",
  "tcp flags { syn, ack } accept", "tcp sequence 5 drop", "tcp ackseq 6 accept", "tcp window 1000 accept",
  "tcp doff 5 accept", "tcp urgptr 1 drop", "tcp checksum 0 drop",
})
rules("tcp flags with a mask", { "tcp flags syn / fin,syn,rst,ack accept", "tcp flags ! syn,rst accept" })
rules("tcp options", { "tcp option maxseg size 500-1460 accept", "tcp option sack-perm exists accept",
  "tcp option timestamp missing drop", "tcp option window count 7 accept",
  "tcp option maxseg size set 1360",
  "tcp option maxseg size set rt mtu" }, { chain = "type filter hook forward priority 0;" })
rules("a tcp option is cleared", { "reset tcp option sack-perm" })
rules("udp, udplite", { "udp sport 53 accept", "udp length 8-100 drop", "udp checksum 0 accept",
  "udplite dport 5 accept",
  "udplite checksum 0 drop", "udp dport 67-68 accept" })
rules("sctp, dccp, ah, esp, comp", {
  "sctp dport 5 accept", "sctp vtag 7 drop", "sctp chunk init exists accept", "sctp chunk data tsn 5 drop",
  "dccp dport 9 accept", "dccp type request drop", "ah spi 5 accept", "ah hdrlength 4 drop", "esp spi 7 accept",
  "esp sequence 9 drop", "comp cpi 5 accept", "comp flags 0 drop",
})
rules("icmp", { "icmp type echo-request accept", "icmp type { echo-reply, destination-unreachable } accept",
  "icmp code 1 drop", "icmp id 5 accept", "icmp sequence 7 accept", "icmp mtu 1400 drop",
  "icmp code { host-unreachable, admin-prohibited } drop", "icmp gateway 5 accept", })
rules("icmpv6", { "icmpv6 type echo-request accept", "icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept",
  "icmpv6 code 1 drop", "icmpv6 id 5 accept", "icmpv6 mtu 1400 accept", "icmpv6 max-delay 5 accept",
  "icmpv6 code { no-route, admin-prohibited } drop" })
rules("igmp", { "igmp type membership-query accept", "igmp checksum 5 drop", "igmp mrt 5 accept" })
rules("th, l4proto", { "th dport 53 accept", "meta l4proto { tcp, udp } th dport 53 accept",
  "meta l4proto tcp th sport 1024-2000 drop" })
rules("raw payload", { "@th,16,16 53 accept", "@nh,8,16 & 0xff != 5 drop", "@ll,0,48 1 accept",
  "@th,0,8 set 0 accept" })
rules("inner payload offsets", { "@ih,0,32 5 drop" })
rules("gre", { "ip protocol gre accept", "meta l4proto gre accept" })

-- meta, socket, fib, rt, ct, ipsec, numgen, hash, osf
rules("meta", {
  "meta length 100-1000 accept", "meta protocol ip drop", "meta nfproto ipv6 accept", "meta l4proto icmp accept",
  "meta priority 1:5 accept", "meta mark 0x10 accept", "meta mark & 0xff == 0x10 drop", "iif lo accept",
  'iifname "lo" accept',
  'iifname { "eth0", "wg*" } drop', "iiftype loopback accept", 'iifname != "eth*" drop', "meta skuid 1000 accept",
  "meta skgid { 5, 6 } accept", "meta pkttype broadcast drop", "meta cpu 1 accept", "iifgroup 0 accept",
  "meta cgroup 5 accept", "meta random < 1000000 accept", "rtclassid 5 accept", "meta iifkind \"veth\" accept",
  "meta secpath exists accept",
  "meta time < \"2030-01-02 03:04:05\" accept", 'meta day { "Monday", "Friday" } accept',
  "meta hour \"09:00\"-\"17:00\" accept",
})
rules("meta on output", { 'oif lo accept', 'oifname "lo" accept', "oiftype loopback accept", "oifgroup 0 drop",
  'meta oifkind "veth" drop' },
  { chain = "type filter hook output priority 0;" })
rules("meta as a statement", { "meta mark set 5", "meta priority set 1:2", "meta nftrace set 1",
  "meta pkttype set host",
  "meta mark set meta mark | 0x10", "meta mark set ct mark" }, { chain = PREROUTING })
rules("meta bridge", { 'meta ibrname "br0" accept', 'meta obrname "br0" accept', "meta ibrpvid 5 accept",
  "meta ibrvproto vlan accept" }, { family = "bridge", chain = "type filter hook forward priority 0;" })
rules("socket", { "socket transparent 1 accept", "socket mark 5 accept", "socket wildcard 0 accept" },
  { chain = PREROUTING })
rules("fib", { "fib daddr type local accept", "fib saddr . iif oif missing drop", "fib saddr . iif oif 0 drop",
  "fib daddr . iif type != { local, broadcast, multicast } drop", 'fib saddr oifname "lo" accept' },
  { chain = PREROUTING })
rules("routing", { "rt classid 5 accept", "rt ip nexthop 10.0.0.1 accept", "rt ip6 nexthop fd00::1 accept",
  "rt mtu 1400 accept", "rt ipsec exists accept" }, { chain = "type filter hook output priority 0;" })
rules("conntrack", {
  "ct state established,related accept", "ct state new accept", "ct state { new, invalid } drop", "ct state vmap { "
    .. "established : accept, related : accept, invalid : drop }", "ct direction original accept",
  "ct status dnat accept",
  "ct status snat,assured accept", "ct mark 5 accept", "ct mark & 0xf == 5 drop", "ct expiration 30s-60s accept",
  'ct helper "ftp" accept', "ct l3proto ipv4 accept", "ct protocol tcp accept", "ct original ip saddr 10.0.0.1 accept",
  "ct original ip daddr 10.0.0.0/8 drop", "meta l4proto tcp ct reply proto-src 80 accept",
  "meta l4proto tcp ct original proto-dst { 80, 443 } accept",
  "ct bytes > 100000 drop", "ct original packets 5-10 accept", "ct reply avgpkt > 100 accept", "ct id 5 accept",
  "ct zone 3 accept", "ct original zone 4 accept", "ct event set new,related", "ct label 5 accept",
})
rules("conntrack as a statement", { "ct mark set 5", "ct mark set meta mark", "ct event set new,destroy",
  "ct zone set 5", "ct original zone set 6", "notrack" },
  { chain = "type filter hook prerouting priority -300;" })
rules("ct count", { "ct count over 10 drop", "ct count 5 accept" })
rules("ct label as a statement", { "ct label set 5" })
rules("ipsec", { "ipsec in reqid 5 accept", "ipsec in spi 7 accept", "ipsec in ip saddr 10.0.0.1 accept",
  "ipsec in spnum 1 ip6 daddr fd00::1 drop" })
rules("numgen", { "numgen inc mod 2 0 accept", "numgen random mod 10 < 5 drop",
  "numgen inc mod 3 offset 100 101 accept",
  "meta mark set numgen random mod 4", "meta mark set numgen inc mod 2 map { 0 : 5, 1 : 6 }" })
rules("hashes", { "jhash ip saddr mod 4 0 accept", "jhash ip saddr . tcp dport mod 8 seed 0xabcd offset 3 5 drop",
  "symhash mod 2 1 accept", "symhash mod 2 offset 5 6 drop" })
rules("osf", { 'osf name "Linux" accept', 'osf ttl skip name "Windows" drop', 'osf version "Linux:4.20" drop' })

-- sets, maps and vmaps in rules
rules("anonymous sets, maps and vmaps", {
  "tcp dport vmap { 22 : accept, 80 : drop, 443 : jump other, 1000-2000 : goto other }",
  "ip saddr . tcp dport vmap { 10.0.0.1 . 22 : accept, 10.0.0.0/24 . 80 : drop }",
  "meta mark set tcp dport map { 22 : 1, 80 : 2 }", 'meta mark set iifname map { "lo" : 7, "eth0" : 8 }',
  "tcp dport { 1 } drop", "meta l4proto . th dport { tcp . 53, udp . 53 } accept", "tcp dport != { 1, 2 } drop",
}, { extra = "chain other { }" })
add("named sets", [[
  table inet t {
    set a { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 } }
    set b { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.1.0.1-10.1.0.9 } }
    set c { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80, 10.0.0.2 . 443 } }
    set d { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/24 . 80-90 } }
    set e { type ipv6_addr; flags timeout; timeout 1h; gc-interval 10m; }
    set f { typeof ip saddr . tcp dport; size 100; policy memory; elements = { 10.0.0.9 . 22 } }
    set g { type ether_addr; elements = { 02:00:00:00:00:01 } }
    set h { type inet_proto; elements = { tcp, udp } }
    set i { type mark; elements = { 0x10, 0x20 } }
    set j { type ifname; elements = { "eth0", "lo" } }
    set k { type ipv4_addr; flags constant; elements = { 1.2.3.4 } }
    set l { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/25, 10.0.0.128/25 } }
    set m { type inet_service; comment "ports"; elements = { 22 comment "ssh", 80 comment "web" } }
    set n { type ipv4_addr; counter; elements = { 10.0.0.1 counter packets 5 bytes 6, 10.0.0.2 } }
    set o { type ipv4_addr; size 1000; flags dynamic,timeout; timeout 30s; }
    set p { typeof vlan id; elements = { 5, 6 } }
    set q { type ifname; flags interval; elements = { "eth*", "wg0" } }
    set r { type icmp_type; elements = { echo-request, echo-reply } }
    set s { type ct_state; elements = { established } }
    set u { type inet_service; flags interval; elements = { 22, 1024-2000 } }
    chain c { ip saddr @a accept; ip saddr . tcp dport @c drop; ip saddr != @b accept; iifname @j accept; }
  }]])
add("elements with a timeout", [[
  table inet t {
    set e { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 1d, 10.0.0.2 timeout 2h comment "x" } }
  }]])
add("named maps and vmaps", [[
  table inet t {
    map a { type inet_service : ipv4_addr; elements = { 80 : 10.0.0.1, 443 : 10.0.0.2 } }
    map b { type ipv4_addr : verdict; elements = { 10.0.0.1 : accept, 10.0.0.2 : jump other } }
    map c { type ipv4_addr . inet_service : mark; elements = { 10.0.0.1 . 80 : 0x5 } }
    map d { type inet_service : ipv4_addr . inet_service; elements = { 80 : 10.0.0.1 . 8080 } }
    map e { type ipv4_addr : mark; flags interval; elements = { 10.0.0.0/24 : 1, 10.1.0.0-10.1.0.9 : 2 } }
    map f { typeof ip saddr : meta mark; elements = { 10.0.0.7 : 7 } }
    map g { type ifname : verdict; elements = { "lo" : accept } }
    map h { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 comment "ten" : drop } }
    chain other { }
    chain c {
      ip saddr vmap @b
      meta mark set ip saddr map @e
      iifname vmap @g
    }
  }]])
add("sets filled by rules", [[
  table inet t {
    set seen { type ipv4_addr; size 1000; flags dynamic,timeout; timeout 1m; }
    set limited { type ipv4_addr; size 1000; flags dynamic; }
    map marks { type ipv4_addr : mark; size 100; flags dynamic,timeout; timeout 5m; }
    chain c { type filter hook input priority 0;
      add @seen { ip saddr } accept
      update @seen { ip saddr timeout 30s }
      delete @seen { ip saddr }
      update @limited { ip saddr limit rate over 10/second burst 5 packets } drop
      update @limited { ip saddr counter } accept
      add @limited { ip saddr ct count over 5 } drop
      update @marks { ip saddr : meta mark }
    }
  }]])
rules("meters", { "meter m1 size 100 { ip saddr limit rate 10/second } accept",
  "meter m2 { ip saddr . tcp dport timeout 60s limit rate over 1 mbytes/second } drop" }, { chain = INPUT })

-- statements
rules("counters", { "counter", "counter packets 5 bytes 600 accept", "tcp dport 22 counter drop" })
rules("limits", {
  "limit rate 10/second accept", "limit rate over 5/minute drop", "limit rate 10/hour burst 20 packets accept",
  "limit rate 1 mbytes/second accept", "limit rate over 500 kbytes/second burst 1 mbytes drop",
  "limit rate 1/day accept", "limit rate 100 bytes/second accept", "limit rate 400/week accept",
})
rules("quotas", { "quota 100 mbytes accept", "quota over 5 kbytes drop", "quota over 1 mbytes used 200 kbytes drop",
  "quota 1000 bytes accept" })
rules("logs", {
  "log", 'log prefix "in: " accept', 'log prefix "x" level debug', "log level emerg flags all",
  'log prefix "p" level warn flags tcp sequence,options flags ip options flags skuid flags ether',
})
rules("logs to nflog", { "log group 1", 'log prefix "y" group 5 snaplen 100 queue-threshold 10' })
rules("reject", {
  "reject", "reject with icmpx type admin-prohibited", "reject with icmp type host-unreachable",
  "reject with icmpv6 type no-route", "meta l4proto tcp reject with tcp reset",
  "reject with icmpx type port-unreachable",
  "ip protocol tcp reject with tcp reset",
})
rules("reject of one family", { "reject", "reject with icmp type net-unreachable", "reject with tcp reset" },
  { family = "ip" })
rules("snat and masquerade", {
  'ip saddr 10.0.0.0/8 snat ip to 192.0.2.1', "snat ip to 192.0.2.1-192.0.2.9",
  "meta l4proto tcp snat ip to 192.0.2.1:1000-2000",
  "ip6 saddr fd00::/8 snat ip6 to fd01::1", "meta l4proto tcp snat ip6 to [fd01::1]:100", 'oifname "lo" masquerade',
  "meta l4proto tcp masquerade to :1024-2000", "masquerade random", "masquerade persistent,fully-random",
  "snat ip to 192.0.2.1 random,persistent", "snat ip to ip saddr map { 10.0.0.1 : 192.0.2.1, 10.0.0.2 : 192.0.2.2 }",
}, { chain = NAT_POST })
rules("snat of prefixes", { "snat ip prefix to ip saddr map { 10.0.0.0/24 : 192.0.2.0/24 }" },
  { chain = NAT_POST, family = "ip" })
rules("dnat and redirect", {
  "tcp dport 80 dnat ip to 10.0.0.1:8080", "dnat ip to 10.0.0.1-10.0.0.9", "udp dport 53 dnat ip6 to [fd00::1]:53",
  "dnat ip6 to fd00::1", "tcp dport 22 redirect to :2222", "redirect", "tcp dport 1-9 redirect to :1000-1009",
  "dnat ip to tcp dport map { 80 : 10.0.0.1, 443 : 10.0.0.2 }", "redirect random",
  "dnat ip to 10.0.0.1 persistent", "tcp dport 443 redirect to :8443",
  "meta l4proto tcp dnat ip to tcp dport map { 80 : 10.0.0.1 . 8080, 443 : 10.0.0.2 . 8443 }",
  "dnat ip to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }",
}, { chain = NAT_PRE })
rules("tproxy", { "meta l4proto tcp tproxy ip to 127.0.0.1:50080", "tcp dport 80 tproxy to :50080",
  "meta l4proto tcp tproxy ip6 to [::1]:50080", "meta l4proto udp tproxy ip to :500" },
  { chain = PREROUTING })
rules("synproxy", { "tcp dport 80 synproxy mss 1460 wscale 7 timestamp sack-perm", "tcp dport 81 synproxy mss 1460" })
rules("queue", { "queue num 3 bypass", "queue", "queue num 1-3 fanout", "queue num 1-4 fanout,bypass" })
rules("queue of an expression", { "queue to symhash mod 2", "queue flags bypass to numgen inc mod 3" })
rules("dup", { "dup to 10.0.0.9", 'dup to 10.0.0.9 device "lo"', "dup to ip saddr map { 10.0.0.1 : 10.0.0.2 }" },
  { family = "ip" })
rules("fwd and dup of devices", { 'fwd to "lo"', 'dup to "lo"', 'fwd ip to 10.0.0.1 device "lo"' },
  { family = "netdev", chain = 'type filter hook ingress device "lo" priority 0;' })
rules("packets are changed", {
  "ip ttl set 5", "ip dscp set cs1", "ip daddr set 10.0.0.1", "ip6 hoplimit set 9", "tcp dport set 80",
  "ip6 dscp set ef", "udp sport set 53", "ether daddr set 02:00:00:00:00:01", "ip ecn set ect0", "tcp sport set 5",
  "ip id set 7", "ip6 flowlabel set 5",
})
add("named counters, quotas and limits", [[
  table inet t {
    counter a { packets 5 bytes 600; }
    counter b { comment "with a comment"; }
    quota c { 100 mbytes; }
    quota d { over 5 kbytes used 1 kbytes; }
    limit e { rate 10/second; }
    limit f { rate over 1 mbytes/second burst 2 mbytes; }
    limit g { rate 5/minute burst 9 packets; comment "slow"; }
    map m { type ipv4_addr : counter; elements = { 10.0.0.1 : "a", 10.0.0.2 : "b" } }
    map q { type ipv4_addr : quota; elements = { 10.0.0.1 : "c" } }
    chain c { type filter hook input priority 0;
      counter name "a"
      quota name "c" accept
      limit name "e" drop
      counter name tcp dport map { 22 : "a", 80 : "b" }
      counter name ip saddr map @m
    }
  }]])
add("ct helpers, timeouts and expectations", [[
  table inet t {
    ct helper ftp { type "ftp" protocol tcp; l3proto ip; }
    ct timeout short { protocol tcp; l3proto ip; policy = { established : 100, close : 4 }; }
    ct expectation e { protocol udp; dport 9876; timeout 2m; size 12; l3proto ip; }
    chain c { type filter hook prerouting priority 0;
      tcp dport 21 ct helper set "ftp"
      tcp dport 22 ct timeout set "short"
      tcp dport 23 ct expectation set "e"
    }
  }]])
add("named synproxy", [[
  table inet t {
    synproxy s { mss 1460; wscale 7; timestamp sack-perm; }
    chain c { type filter hook input priority 0; tcp dport 80 synproxy name "s"; }
  }]])
add("secmarks", [[
  table inet t {
    secmark s { "system_u:object_r:ssh_server_packet_t:s0"; }
    chain c { type filter hook input priority -225; tcp dport 22 meta secmark set "s"; }
  }]], "a security policy that is loaded")
add("flowtables", [[
  table inet t {
    flowtable f { hook ingress priority filter + 5; devices = { lo }; counter; }
    chain c { type filter hook forward priority 0;
      ip protocol { tcp, udp } flow add @f
    }
  }]])
rules("bits", { "meta mark set meta mark & 0xff", "meta mark set meta mark ^ 5", "meta mark set meta mark << 8",
  "meta mark set meta mark >> 8", "meta mark set ct mark & 0xffff0000 | 0x10", "ct mark & 0xff 5 accept" },
  { chain = PREROUTING })
rules("comparisons", { "tcp dport < 1024 accept", "tcp dport <= 80 accept", "tcp dport > 80 drop",
  "tcp dport >= 8080 drop",
  "meta mark != 5 accept", "ip saddr != { 10.0.0.1, 10.0.0.2 } drop" })

return rows
