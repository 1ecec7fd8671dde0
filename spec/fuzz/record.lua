--- Seeds for the fuzz targets, made of what this kernel really says and of our own examples.
--
--    make fuzz-seeds        (spec/fuzz/record.c is preloaded and keeps what sockets receive)
local netns = require "netns"
local core = require "netns.core"
local lfs = require "lfs"

local root, recording = assert(arg[1]), assert(os.getenv "NETNS_RECORD")

local function write(target, name, text)
  lfs.mkdir(root)
  lfs.mkdir(root .. "/" .. target)
  local f = assert(io.open(("%s/%s/seed-%s"):format(root, target, name:gsub("[^%w]+", "-")), "wb"))
  f:write(text)
  f:close()
end

-- Short inputs are mutated faster: one seed for each message of the first datagram.
local function write_messages(target, name, head, text, most)
  local size = #text >= 2 and (">I2"):unpack(text) or 0
  local at, n = 3, 0
  while at + 16 <= size + 2 and n < most do
    local len = ("<I4"):unpack(text, at)
    n = n + 1
    write(target, name .. n, head .. (">I2"):pack(len) .. text:sub(at, at + len - 1))
    at = at + (len + 3) // 4 * 4
  end
end

-- What the kernel said while fn ran.
local function heard(fn)
  io.open(recording, "w"):close()
  pcall(fn)
  local f = assert(io.open(recording, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

local ns <close> = netns.new()
local function run(argv)
  return ns:run(argv, { mounts = false, env = { LD_PRELOAD = false } }).stdout
end
local function shell(line)
  run { "sh", "-c", line }
end

-- some of everything: what this kernel does not have is left out
shell "ip link set lo up"
for _, kind in ipairs { "bridge", "dummy", "ifb", "vrf table 10", "veth peer name vp", "vxlan id 9 dstport 4789",
  "gre local 10.0.0.1 remote 10.0.0.2", "ipip remote 10.0.0.9", "sit remote 10.0.0.9", "vlan id 5", "macvlan",
  "ipvlan", "wireguard", "bond", "team", "geneve id 5 remote 10.0.0.2", "xfrm if_id 3", "ip6tnl remote fd00::9" } do
  local name = kind:match "^%w+" .. "0"
  shell(("ip link add %s type %s || ip link add link dummy0 name %s type %s"):format(name, kind, name, kind))
end
shell [[
ip link add e0 type veth peer name p0; ip link set e0 up; ip link set p0 up; ip link set dummy0 up master bridge0
ip addr add 10.0.0.1/24 broadcast + dev e0; ip addr add fd00::1/64 dev e0 nodad
ip addr add 10.2.0.1 peer 10.2.0.2 dev p0
ip route add 10.9.0.0/16 via 10.0.0.2 metric 5 mtu 1400 rto_min 20ms
ip route add 10.8.0.0/16 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.3; ip route add blackhole 10.7.0.0/16
ip route add fd09::/64 via fd00::2 dev e0 pref low; ip -6 route add default nexthop via fd00::2 nexthop via fd00::3
ip route add 10.6.0.0/16 encap mpls 300 via 10.0.0.2
ip -6 route add fd08::/64 encap seg6 mode encap segs fd00::8 dev e0
ip rule add from 10.0.0.0/8 fwmark 3/0xff ipproto tcp dport 80-90 table 100 priority 100
ip -6 rule add to fd00::/16 table 9
ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev e0; ip neigh add proxy 10.0.0.8 dev e0
ip nexthop add id 1 via 10.0.0.2 dev e0; ip nexthop add id 2 via 10.0.0.3 dev e0
ip nexthop add id 3 group 1,5/2,6 type resilient buckets 8; ip nexthop add id 4 group 1/2
ip link property add dev e0 altname a-long-name-for-e0; bridge fdb add 02:00:00:00:00:09 dev dummy0 master
ip link set bridge0 up type bridge vlan_filtering 1; bridge vlan add dev dummy0 vid 10-20 untagged
bridge mdb add dev bridge0 port dummy0 grp 239.1.1.1 permanent; bridge mdb add dev bridge0 port dummy0 grp ff05::7
bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 10.0.0.9 port 4790 vni 7 via e0
ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 enc 'cbc(aes)' 0x00112233445566778899aabbccddeeff \
  auth-trunc 'hmac(sha256)' 0x0011 96 sel src 10.0.0.0/24 proto tcp dport 80 encap espinudp 4500 4500 10.0.0.9
ip xfrm policy add src 10.0.0.0/24 dst 10.1.0.0/24 dir out tmpl proto esp mode tunnel src 10.0.0.1 dst 10.0.0.2
sysctl -qw net.mpls.platform_labels=100; ip -f mpls route add 50 as 60/70 via inet 10.0.0.2
ip -6 route add fd07::1 dev e0 encap seg6local action End count
wg set wireguard0 listen-port 7 peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= endpoint '[fd00::9]:7' \
  allowed-ips 10.0.0.0/8,fd00::/8
tc qdisc add dev e0 root handle 1: htb default 1; tc class add dev e0 parent 1: classid 1:1 htb rate 1mbit
tc filter add dev e0 parent 1: protocol ip flower ip_proto tcp dst_port 80 classid 1:1 action drop
tc qdisc add dev p0 root netem delay 10ms 1ms loss 1% rate 1mbit; tc qdisc add dev p0 clsact
tc filter add dev p0 ingress protocol ip u32 match ip dst 10.0.0.1/32 action mirred egress mirror dev e0 action pass
tc filter add dev p0 ingress matchall action police rate 1mbit burst 10k drop
tc filter add dev p0 egress protocol ip flower ip_proto udp src_port 100-200 ip_flags frag ct_state +trk action drop
tc filter add dev p0 egress matchall action pedit ex munge ip ttl set 9 pipe action vlan push id 5
tc filter add dev p0 egress basic match 'meta(priority eq 0)' action nat ingress 10.0.0.1/32 10.0.0.2
i=0; for q in "tbf rate 1mbit burst 10k latency 9ms" "red limit 400000 avpkt 1000" "cake bandwidth 1mbit" fq fq_codel
sfq prio "ets bands 4 strict 2 quanta 1000 2000" "hfsc default 1" "netem loss gemodel 1% slot 1ms 2ms"; do
  i=$((i + 1)); ip link add q$i type veth peer name r$i; ip link set q$i up; tc qdisc add dev q$i root handle 9: $q
done; tc class add dev q9 parent 9: classid 9:1 hfsc sc rate 1mbit]]

local nouns = {}
for name, make in pairs(core.properties) do
  local ok, noun = pcall(make, ns)
  if ok and debug.getmetatable(noun) == debug.getregistry()["netns.Noun"] then
    nouns[name] = noun
  end
end
for name, noun in pairs(nouns) do
  local schema = core.schema and core.schema()[name] or {}
  for _, head in ipairs { name .. " list", name .. " list all", name .. " each", name .. " flush" } do
    local all = head:find "all" and { table = "all" } or nil
    write_messages("decode", head, head .. "\n", heard(function()
      if head:find "each" then
        for _ in noun:each() do
        end
      else
        noun:list(all)
      end
    end), head == name .. " list" and 40 or 2)
  end
  for _, verb in ipairs { "add", "set", "replace", "del", "get" } do
    write("encode", name .. " " .. verb, ("%s %s\n\3\0\1\1\255\0\2\1\7\0\3\13\4\0\0\0\1"):format(name, verb))
    write("encode", name .. " " .. verb .. " batch", ("%s %s batch\n\2\0\4\1\9\0\5\15\3"):format(name, verb))
  end
  for key in pairs(schema) do
    write("text", name .. " " .. key, ("%s add %s\n10.0.0.1/24"):format(name, key))
  end
end
write("decode", "route get", "route get\n" .. heard(function()
  ns.route:get "10.9.1.1"
end))
write("decode", "link", "!\n" .. heard(function()
  local link = ns.link:get "e0"
  return link.mtu, tostring(link), link:get()
end))
for i, text in ipairs { "10.0.0.1", "10.0.0.0/8", "fd00::1/64", "default", "02:00:00:00:00:01", "80-90", "0x3/0xff",
  "1mbit", "10ms", "main", "static", "255.255.255.255/33", "::ffff:1.2.3.4", "fe80::1%e0" } do
  write("text", "text" .. i, "route add dst\n" .. text)
  write("text", "rule" .. i, "rule add dport\n" .. text)
end

write("decode", "sockets", "sockets\n" .. heard(function()
  core.sockets(ns, "tcp")
  core.sockets(netns.current(), "tcp")
end))
write("decode", "monitor", "monitor\n" .. heard(function()
  local monitor <close> = core.monitor(ns, { "link", "addr", "route" }, {}, 100000)
  ns.link:add { name = "seen", type = "dummy", up = true }
  ns.addr:add { dev = "seen", address = "10.99.0.1/24" }
  ns.link:set { name = "seen", up = false }
  repeat
    local event = monitor:read()
  until not event
end))

-- conversations, as the session sees them
local kinds = { "\0", "\1", "\2", "\3", "\4" }
for i, kind in ipairs(kinds) do
  write("rtnl", "refused" .. i, kind .. heard(function()
    ns.route:add { dst = "10.8.0.0/16", via = "192.0.2.1" }
  end))
  write("rtnl", "bad" .. i, kind .. heard(function()
    ns.link:add { name = "x", type = "nonsense" }
  end))
  write("rtnl", "done" .. i, kind .. heard(function()
    ns.link:set { name = "e0", mtu = 1400 }
  end))
  write("rtnl", "dump" .. i, kind .. heard(function()
    ns.rule:list()
  end))
  write("rtnl", "get" .. i, kind .. heard(function()
    ns.link:get "lo"
  end))
end

-- the firewall: what nft answers, and what nf_tables tells
local ruleset = [[
table inet t { comment "x"; counter c { }; quota q { over 10 mbytes };
  set s { type ipv4_addr; flags interval, timeout; comment "y"
    elements = { 10.0.0.0/8 timeout 9s, 11.0.0.1 comment "z" } }
  map m { type ipv4_addr : verdict; elements = { 1.2.3.4 : jump d, 1.2.3.5 : drop } }
  chain i { type filter hook input priority 0; policy accept; tcp dport { 22, 80-90 } counter accept comment "c"
    ip saddr @s limit rate 5/second log prefix "a \"b" drop; ip saddr vmap @m; meta mark set 0x7 ct state established }
  chain d { return } }]]
local answers, sequence = {}, 0
do
  local nft = ns.nft
  local events = heard(function()
    local monitor <close> = nft:monitor()
    nft:run(ruleset)
    for _ in monitor:each(0.5) do -- luacheck: ignore
    end
  end)
  write("decode", "nft_monitor", "nft_monitor\n" .. events)
  write("nft_event", "ruleset", (events:gsub("^..", "")))
  for _, kind in ipairs { "table", "chain", "rule", "set", "object", "flowtable", "element" } do
    write("nft_event", kind, heard(function()
      core.nft_dump(ns, kind)
    end):gsub("^..", ""))
  end
  local _, text = pcall(function()
    return select(2, core.nft_run(ns, "list ruleset", { json = false }))
  end)
  answers[#answers + 1] = tostring(text)
  answers[#answers + 1] = run { "nft", "-j", "list", "ruleset" }
end
for _, text in ipairs { '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"a": [], "b": -1.5e3, "c": null}]}',
  [["\u00e9\ud83d\ude00\n" ]], '[true,false,{"x":[[[]]]}]', "9223372036854775808" } do
  answers[#answers + 1] = text
end
for _, text in ipairs(answers) do
  sequence = sequence + 1
  write("json", "answer" .. sequence, text)
end

-- descriptions
local topology = require "netns.topology"
for _, name in ipairs { "pair", "star", "line", "leaf_spine", "container_host" } do
  local path = os.tmpname()
  topology.save(topology[name] {}, path)
  local f = assert(io.open(path))
  write("literal", name, f:read "a")
  f:close()
  os.remove(path)
end
write("literal", "words", [==[-- a comment
return { a = 'x\u{e9}\065\x41\z
  y', [1] = 0x1p4, [-2.5e3] = true; "list", [[long]], --[=[ inner ]=] { {} }, nodes = { h = { kind = "host" } } }]==])

-- packets: a byte for what they begin with, one of each kind, and what rarely happens by hand
local written = {}
do
  local cap <close> = netns.capture { ns.link:get "lo", ns.link:get "e0" }
  ns:ping "127.0.0.1"
  ns:ping("::1", { size = 8 })
  ns:ping("10.0.0.99", { timeout = 0.05 }) -- ARP
  ns:ping("fd00::99", { timeout = 0.05 }) -- neighbour discovery
  ns:reach("127.0.0.1", { tcp = 9 })
  ns:reach("127.0.0.1", { udp = 9 })
  ns:reach("::1", { udp = 9 })
  for p in cap:each(0.2) do
    local last = p.layers[#p.layers]
    local kind = last.header .. (last.type or last.op or "")
    if not written[kind] then
      written[kind] = true
      write("packet", kind, "\0" .. p.bytes)
      write("packet", "ip " .. kind, "\1" .. p.bytes:sub(15))
    end
  end
end
local udp, addresses = string.pack(">I2I2I2I2", 1, 2, 8, 0), ("\2"):rep(32)
local function ipv6(next_header, payload)
  return "\1" .. string.pack(">I4I2BB", 0x60000000, #payload, next_header, 64) .. addresses .. payload
end
local function zeros(n)
  return ("\0"):rep(n)
end
write("packet", "extensions", ipv6(0, "\43\0" .. zeros(6) .. "\60\1" .. zeros(14) .. "\17\0" .. zeros(6) .. udp))
write("packet", "fragment", ipv6(44, "\17\0\0\1\0\0\0\7" .. udp))
write("packet", "authentication", ipv6(51, "\17\4" .. zeros(22) .. udp))
write("packet", "tunnel", ipv6(41, ipv6(17, udp):sub(2)))
write("packet", "vlans", "\0" .. ("\2"):rep(12) .. "\x88\xa8\0\7\x81\0\0\7" .. "\8\6" .. zeros(28))
