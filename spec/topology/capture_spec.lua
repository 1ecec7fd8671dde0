-- Networks that others built, read into a description that brings up the same: the kernels' answers are compared.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

-- What is each kernel object's own, or changes by itself.
local volatile = {}
for name in ([[ifindex link_index link_netnsid link link_pointtopoint operstate stats stats64 hello_timer tcn_timer
  topology_change_timer gc_timer message_age_timer forward_delay_timer hold_timer fdb_n_learned mcast_n_groups
  used confirmed probes refcnt updated topology_change topology_change_detected
  tentative bridge_id root_id]]):gmatch "%S+" do
  volatile[name] = true
end

local function text(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for key, item in pairs(value) do
    if not volatile[key] then
      parts[#parts + 1] = (type(key) == "number" and "" or key .. "=") .. text(item)
    end
  end
  table.sort(parts)
  return "{" .. table.concat(parts, " ") .. "}"
end

local questions = { "-j -d link show", "-j -d addr show", "-j -4 -d route show table all",
  "-j -6 -d route show table all", "-j -4 rule show", "-j -6 rule show", "-j neigh show nud permanent",
  "-j -6 neigh show proxy", "-j nexthop show" }

-- What ip, tc and nft say of a namespace, line by line.
local function answers(ns)
  local lines = {}
  for _, question in ipairs(questions) do
    for _, row in ipairs(sh.ip(ns, question) or {}) do
      lines[#lines + 1] = question .. " " .. text(row)
    end
  end
  for _, line in ipairs { "tc -n " .. ns .. " qdisc show", "tc -n " .. ns .. " class show dev wan",
    "ip netns exec " .. ns .. " nft -s list ruleset" } do
    lines[#lines + 1] = line:gsub(ns, "NS") .. "\n" .. (sh.try(line).stdout:gsub("dev (%S+)[^\n]*noqueue[^\n]*\n", ""))
  end
  for _, name in ipairs { "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv6.conf.all.forwarding",
    "net.ipv4.ip_default_ttl", "net.ipv4.conf.lo.arp_announce" } do
    lines[#lines + 1] = name .. sh.run { "ip", "netns", "exec", ns, "sysctl", "-n", name }
  end
  lines[#lines + 1] = "vlan " .. sh.try("bridge -n " .. ns .. " vlan show").stdout
  for line in sh.try("bridge -n " .. ns .. " fdb show").stdout:gmatch "[^\n]+" do
    lines[#lines + 1] = line:find "static" and "fdb " .. line or nil
  end
  table.sort(lines)
  return lines
end

-- Lines that only one of them says; nothing where they agree.
local function assert_same_answers(a, b)
  local count, found = {}, {}
  for sign, list in pairs { ["-"] = answers(a), ["+"] = answers(b) } do
    for _, line in ipairs(list) do
      count[line] = (count[line] or 0) + (sign == "-" and -1 or 1)
    end
  end
  for line, n in pairs(count) do
    if n ~= 0 then
      found[#found + 1] = (n < 0 and "only in " .. a or "only in " .. b) .. ": " .. line
    end
  end
  table.sort(found)
  assert.equal("", table.concat(found, "\n"))
end

local built = [[
  set -e
  for ns in client router server; do ip netns add $ns; ip -n $ns link set lo up; done
  ip -n client link add eth0 numtxqueues 1 numrxqueues 1 type veth peer name lan0 netns router \
    numtxqueues 1 numrxqueues 1
  ip -n router link add wan numtxqueues 1 numrxqueues 1 mtu 1400 type veth peer name eth0 netns server \
    numtxqueues 1 numrxqueues 1 mtu 1400
  ip -n client link add v0 numtxqueues 1 numrxqueues 1 type veth peer name v1 numtxqueues 1 numrxqueues 1
  ip -n router link add br0 type bridge forward_delay 400 ageing_time 9000 mcast_snooping 0
  ip -n router link set lan0 master br0
  ip -n router link set lan0 type bridge_slave isolated on cost 9
  ip -n router link add port1 type bridge
  ip -n router link set wan alias "to the server" txqueuelen 77
  ip -n router link property add dev wan altname a-long-name-for-this-interface
  ip -n client link set eth0 address 02:00:00:00:00:11
  ip -n client link set v1 group 5
  ip -n client link set eth0 addrgenmode none
  for x in "client eth0" "client v0" "router lan0" "router wan" "router br0" "server eth0"; do
    set -- $x; ip -n $1 link set $2 up
  done
  ip -n client addr add 10.1.0.2/24 dev eth0 label eth0:main
  ip -n client addr add 10.1.0.3/24 dev eth0
  ip -n client addr add 10.3.0.1 peer 10.3.0.2/32 dev v0
  ip -n client addr add fd01::2/64 dev eth0 nodad
  ip -n router addr add 10.1.0.1/24 brd + dev br0
  ip -n router addr add fd01::1/64 dev br0 nodad
  ip -n router addr add 192.0.2.1/30 dev wan
  ip -n router addr add fd02::1/64 dev wan
  ip -n server addr add 192.0.2.2/30 dev eth0
  ip -n server addr add fd02::2/64 dev eth0 nodad
  ip -n client route add default via 10.1.0.1 metric 50
  ip -n client route add default via 10.1.0.1 src 10.1.0.3 table 100
  ip -n client route add 198.51.100.0/24 nexthop via 10.1.0.1 weight 2 nexthop via 10.3.0.2 weight 3
  ip -n client route add 203.0.113.7 via 10.9.9.9 dev eth0 onlink mtu 1300
  ip -n client -6 route add default via fd01::1 metric 33
  ip -n server route add 10.0.0.0/8 via 192.0.2.1 proto static
  ip -n server -6 route add fd01::/64 via fd02::1
  ip -n router route add blackhole 10.99.0.0/16
  ip -n router route add unreachable 10.98.0.0/16 metric 9
  ip -n client rule add pref 100 from 10.1.0.3 table 100
  ip -n client rule add pref 101 fwmark 0x5/0xff iif eth0 prohibit
  ip -n client -6 rule add pref 102 to fd09::/64 lookup 7
  ip -n client neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
  ip -n router -6 neigh add proxy fd01::99 dev br0
  ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.ip_default_ttl=99
  ip netns exec client sysctl -qw net.ipv4.conf.eth0.arp_ignore=2 net.ipv4.conf.lo.arp_announce=2
  ip netns exec router nft -f - <<'EOF'
table inet filter {
  set bad { type ipv4_addr; flags interval; elements = { 198.18.0.0/15 } }
  counter seen { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ip saddr @bad drop
    iifname "br0" oifname "wan" counter name seen accept
    iif "wan" ct state established,related accept
    meta l4proto ipv6-icmp accept
  }
}
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
EOF
]]

-- What only some kernels have.
local extras = {
  { "router", "link add link wan name wan.7 type vlan id 7 protocol 802.1Q reorder_hdr off",
    "link set wan.7 addrgenmode none up", "addr add 10.70.0.1/24 dev wan.7" },
  { "client", "link add name dummy0 type dummy", "addr add 10.80.0.1/32 dev dummy0" },
  { "router", "link set br0 type bridge vlan_filtering 1" },
  { "client", "nexthop add id 5 via 10.1.0.1 dev eth0", "route add 10.55.0.0/16 nhid 5" },
}

local nodes = { "client", "router", "server" }

local function destroy(prefix)
  for _, name in ipairs(nodes) do
    netns.try(netns.delete, prefix .. name)
  end
end

-- Duplicate addresses are looked for only where nobody said "nodad".
local function await_addresses(prefix)
  for _, name in ipairs(nodes) do
    sh.eventually(function()
      for _, row in ipairs(sh.ip(prefix .. name, "-j addr show tentative") or {}) do
        if #(row.addr_info or {}) > 0 then
          return false
        end
      end
      return true
    end, 10, "the addresses of " .. name .. " to be usable")
  end
end

local function build()
  sh.run { "sh", "-c", built:gsub("EOF\n$", "EOF\n") }
  for _, extra in ipairs(extras) do
    local had = sh.try(("ip -n %s %s"):format(extra[1], extra[2])).ok
    for i = 3, had and #extra or 2 do
      sh.run(("ip -n %s %s"):format(extra[1], extra[i]))
    end
  end
  for _, words in ipairs { "server qdisc add dev eth0 root handle 5: pfifo limit 77",
    "router qdisc add dev wan root handle 1: netem delay 10ms 2ms loss 1% limit 500" } do
    sh.try("tc -n " .. words)
  end
  for _, words in ipairs { "fdb add 02:00:00:00:00:99 dev lan0 master static", "vlan add vid 20-22 dev lan0",
    "vlan add vid 30 dev lan0 untagged", "vlan add vid 20 dev br0 self" } do
    sh.try("bridge -n router " .. words)
  end
  await_addresses ""
end

describe("capture", function()
  after_each(function()
    destroy ""
    destroy "typed."
  end)

  it("reads a network that was built by hand, and the copy is the same", function()
    build()
    local router <close> = netns.open "router"
    local t, left = topology.capture { client = "client", router = router, server = "/run/netns/server" }
    assert.same({}, left)
    assert.same({}, t:check())
    local path = os.tmpname()
    topology.save(t, path)
    t = topology.load(path)
    os.remove(path)
    local lab <close> = t:up { name = "copy" }
    for _, name in ipairs(nodes) do
      assert_same_answers(name, "copy." .. name)
    end
    assert.equal("", tostring(lab:diff()))
    destroy ""
    for _, family in ipairs { "inet", "inet6" } do
      assert.is_true(lab:reach("client", family == "inet" and "192.0.2.2" or "fd02::2", { timeout = 5 }), family)
    end
    assert.is_false(lab:reach("server", "10.1.0.2", { timeout = 0.2 }))
    lab.client.route:flush { table = 100 }
    lab.router.link:get("br0"):del()
    assert.is_true(#lab:diff() > 2)
    lab:repair()
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("client", "192.0.2.2", { timeout = 5 }))
  end)

  it("prints the commands that build the same", function()
    build()
    local t = topology.capture { client = "client", router = "router", server = "server" }
    sh.run { "sh", "-c", "set -e\n" .. table.concat(t:plan():commands "typed", "\n") }
    await_addresses "typed."
    for _, name in ipairs(nodes) do
      assert_same_answers(name, "typed." .. name)
    end
  end)

  it("reads labs, whatever they are", function()
    for _, original in ipairs { topology.ring { routers = 4 }, topology.dumbbell { left = 2, right = 1 },
      topology.container_host { containers = 2, publish = { { port = 8080, to = "c1", to_port = 80 } } } } do
      local lab <close> = original:up()
      local spaces = {}
      for _, name in ipairs(lab:names()) do
        spaces[name] = lab:node(name)
      end
      local copy <close> = topology.capture(spaces):up()
      for name, ns in pairs(spaces) do
        local found = netns.compare(ns, copy[name], { ignore = { "neigh", "fdb", "mdb", "socket", "link.operstate",
          "link.fdb_n_learned", "link.bridge_slave" } })
        assert.equal("no difference", tostring(found), name)
      end
      assert.equal("", tostring(copy:diff()))
    end
  end)

  it("puts far ends that are elsewhere into a node of their own", function()
    local one <close> = netns.new()
    local other <close> = netns.new()
    one.link:add { name = "up0", type = "veth", up = true, peer = { name = "x", netns = other, up = true } }
    one.addr:add { dev = "up0", address = "192.0.2.1/24" }
    one.link:set { dev = "lo", up = true }
    local lab <close> = topology.capture({ one = one }):up()
    assert.same({ "elsewhere", "one" }, lab:names())
    assert.equal("up", lab.one.link:get("up0").operstate)
    assert.equal("192.0.2.1/24", lab.one.addr:list({ dev = "up0", family = "inet" })[1].address)
  end)

  it("says what it was given wrongly", function()
    assert.error_matches(function()
      topology.capture {}
    end, "capture: namespaces by the names of their nodes expected", nil, true)
    assert.error_matches(function()
      topology.capture { netns.current() }
    end, "capture: a node needs a name", nil, true)
    local _, err = netns.try(topology.capture, { a = "no-such-namespace" })
    assert.equal("ENOENT", err.code)
  end)
end)
