require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

-- pc1, pc2 -- lan (switch) -- gw -- isp -- srv (10.0.0.0/24 on the lan; links of routers elsewhere)
local function office()
  local t = topology.new "office"
  local lan, gw, isp, srv = t:switch "lan", t:router "gw", t:router "isp", t:host "srv"
  t:host("pc1"):attach(lan)
  t:host("pc2"):attach(lan)
  gw:attach(lan):connect(isp)
  isp:connect(srv)
  return t
end

local function ip(ns, args)
  return sh.ip(ns, args)
end

local function v6(ns)
  return ns.addresses[2]
end

-- nft text in a node; statements on lines of their own
local function nft(ns, text)
  ns:run({ "nft", "-f", "-" }, { stdin = text, check = true })
end

local function filter(ns, hook, rules, family)
  nft(ns, ("table %s guard {\n chain c {\n type filter hook %s priority 0\n %s\n }\n}\n"):format(family or "inet", hook,
    rules))
end

-- A name for lists: who, to whom, how; what is broken; what is to be found.
local faults = {
  -- addresses and links
  { "the sender has no address", function(lab) ip(lab.pc1, "addr flush dev eth0") end,
    { node = "pc1", what = "route", text = "no route" } },
  { "the target's address is missing", function(lab)
    lab.target = lab.srv.address
    ip(lab.srv, "addr flush dev eth0")
  end, { node = "isp", what = "address", text = "nobody on the wire of eth1 has" } },
  { "the sender's link is down", function(lab) ip(lab.pc1, "link set eth0 down") end,
    { node = "pc1", what = "route", text = "no route" } },
  { "a link further on is down", function(lab)
    ip(lab.srv, "link set eth0 down")
  end, { node = "isp", what = "link", text = "no carrier: its other end, eth0 of srv, is down" } },
  { "the switch's port is down", function(lab) ip(lab.lan, "link set gw down") end,
    { node = "lan", what = "link", text = "gw is down, so pc1 cannot reach 10.0.0.1, the next hop to" } },
  { "the bridge is down", function(lab) ip(lab.lan, "link set br0 down") end,
    { node = "lan", what = "link", text = "the bridge br0 is down" } },
  { "a port is not in the bridge", function(lab) ip(lab.lan, "link set gw nomaster") end,
    { node = "pc1", what = "route", text = "nobody on the wire of eth0 has 10.0.0.1.*; gw has it, on another wire" } },
  { "the port of the bridge waits for the spanning tree", function(lab)
    ip(lab.lan, "link set br0 type bridge stp_state 1")
    ip(lab.lan, "link set gw down")
    ip(lab.lan, "link set gw up")
  end, { node = "lan", what = "link", text = "the port gw of br0 does not forward %(listening%)" } },
  { "a duplicate address on the switch", function(lab) ip(lab.pc2, "addr add 10.0.0.1/24 dev eth0") end,
    { node = "pc1", what = "duplicate", text = "10.0.0.1 is a duplicate address: .*gw.* both have it" } },
  { "the link's interface is a bridge port", function(lab)
    ip(lab.pc1, "link add br9 type bridge")
    ip(lab.pc1, "link set br9 up")
    ip(lab.pc1, "link set eth0 master br9")
  end, { node = "pc1", what = "link", text = "eth0 is a port of the bridge br9" } },

  -- routes
  { "no default route", function(lab) ip(lab.pc1, "route del default") end,
    { node = "pc1", what = "route", text = "there is no route to" } },
  { "a wrong next hop", function(lab) ip(lab.pc1, "route replace default via 10.0.0.99") end,
    { node = "pc1", what = "address", text = "nobody on the wire of eth0 has 10.0.0.99, the next hop to" } },
  { "the next hop is a host, which does not forward", function(lab)
    ip(lab.pc1, "route replace default via 10.0.0.3")
  end, { node = "pc2", what = "forwarding", text = "forwarding is off %(net.ipv4.conf.eth0.forwarding = 0%)" } },
  { "the router does not forward", function(lab) lab.gw.sysctl["net.ipv4.ip_forward"] = 0 end,
    { node = "gw", what = "forwarding", text = "forwarding is off" } },
  { "a router lacks the route", function(lab) ip(lab.gw, "route flush proto boot") end,
    { node = "gw", what = "route", text = "there is no route to" } },
  { "a blackhole route", function(lab) ip(lab.gw, "route add blackhole " .. lab.srv.address) end,
    { node = "gw", what = "route", text = "a blackhole route keeps packets" } },
  { "a prohibiting rule", function(lab) ip(lab.isp, "rule add from 10.0.0.0/24 prohibit pref 5") end,
    { node = "isp", what = "route", text = "EACCES" } },
  { "an unreachable route", function(lab) ip(lab.isp, "route add unreachable " .. lab.srv.address) end,
    { node = "isp", what = "route", text = "an unreachable route keeps packets" } },
  { "a routing loop", function(lab)
    lab.isp.route:replace { dst = lab.srv.address, via = lab.gw.addresses[2] }
  end, { node = "gw", what = "loop", text = "routing loop with isp" } },
  { "rp_filter and another way back", function(lab)
    lab.gw.sysctl["net.ipv4.conf.all.rp_filter"] = 1
    ip(lab.gw, "route add 10.0.0.2 via " .. lab.isp.address)
  end, { node = "gw", what = "rp_filter", text = "rp_filter = 1 drops packets from 10.0.0.2 that come in by eth0" } },
  { "the way back is missing (no NAT)", function(lab) ip(lab.srv, "route flush proto boot") end,
    { node = "srv", what = "route", text = "there is no route to 10.0.0.2", direction = "back" } },
  { "a router does not know the way back", function(lab)
    ip(lab.isp, "route flush proto boot")
  end, { node = "isp", what = "route", text = "there is no route to 10.0.0.2", direction = "back" } },
  { "a wrong netmask at the target", function(lab)
    lab.target = lab.srv.address
    ip(lab.srv, "addr add 10.0.0.77/8 dev eth0")
  end, { node = "srv", what = "route", text = "nobody on the wire of eth0 has 10.0.0.2; pc1 has it, on another wire",
    direction = "back" } },

  -- neighbours
  { "a permanent neighbour with a wrong address", function(lab)
    ip(lab.pc1, "neigh replace 10.0.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent")
  end, { node = "pc1", what = "neighbour", text = "permanent neighbour entry sends packets for 10.0.0.1 to 02:00" } },
  { "ARP is off", function(lab) ip(lab.gw, "link set eth0 arp off") end,
    { node = "gw", what = "neighbour", text = "ARP is off on eth0" } },
  { "ARP is not answered", function(lab) lab.gw.sysctl["net.ipv4.conf.eth0.arp_ignore"] = 8 end,
    { node = "gw", what = "neighbour", text = "arp_ignore = 8 on eth0" } },
  { "a firewall drops ARP", function(lab) filter(lab.gw, "input", "arp operation request drop", "arp") end,
    { node = "gw", what = "firewall", text = "operation request drop\" of chain arp guard c drops the ARP" } },

  -- firewalls
  { "the sender's firewall", function(lab) filter(lab.pc1, "output", "icmp type echo-request drop") end,
    { node = "pc1", what = "firewall", text = "icmp type echo%-request drop\" of chain inet guard c drops packets" } },
  { "the router's firewall", function(lab) filter(lab.gw, "forward", "ip daddr " .. lab.srv.address .. " drop") end,
    { node = "gw", what = "firewall", text = "\"ip daddr [%d.]+ drop\" of chain inet guard c drops packets" } },
  { "the router's policy", function(lab)
    filter(lab.isp, "forward", "policy drop\n tcp dport 22 accept")
  end, { node = "isp", what = "firewall", text = "the policy of chain inet guard c drops packets" } },
  { "a rule that rejects", function(lab) filter(lab.isp, "forward", "reject with icmpx admin-prohibited") end,
    { node = "isp", what = "firewall", text = "reject with icmpx admin%-prohibited" } },
  { "a rule in a chain that is jumped to, before routing", function(lab)
    nft(lab.gw, "table ip guard {\n chain deep {\n icmp type echo-request drop\n }\n chain c {\n"
      .. " type filter hook prerouting priority -300\n jump deep\n }\n}\n")
  end, { node = "gw", what = "firewall", text = "chain ip guard deep drops" } },
  { "the target's firewall", function(lab) filter(lab.srv, "input", "policy drop") end,
    { node = "srv", what = "firewall", text = "the policy of chain inet guard c drops packets" } },
  { "the answer is dropped by the target", function(lab)
    filter(lab.srv, "output", "icmp type echo-reply drop")
  end, { node = "srv", what = "firewall", text = "echo%-reply drop", direction = "back" } },
  { "the answer is dropped on the way", function(lab)
    filter(lab.gw, "forward", "policy drop\n iifname \"eth0\" accept")
  end, { node = "gw", what = "firewall", text = "the policy of chain inet guard c drops packets from .* to 10.0.0.2",
    direction = "back" } },
  { "the switch's firewall", function(lab) filter(lab.lan, "forward", "ether type ip drop", "bridge") end,
    { node = "lan", what = "firewall", text = "chain bridge guard c drops packets" }, needs = "nft-bridge" },

  -- the end
  { "no answer to pings", function(lab) lab.srv.sysctl["net.ipv4.icmp_echo_ignore_all"] = 1 end,
    { node = "srv", what = "icmp", text = "it does not answer echo requests" } },
  { "nothing listens", function() end, { node = "srv", what = "socket", text = "nothing listens on tcp port 80" },
    how = { tcp = 80 } },
  { "nothing listens, udp", function() end, { node = "srv", what = "socket", text = "nothing listens on udp port 53" },
    how = { udp = 53 } },
  { "it listens on the loopback only", function(lab)
    lab.server = lab.srv:spawn({ os.getenv "LUA" or "lua5.4", "-e",
      "s = require 'socket'.bind('127.0.0.1', 80) s:accept()" }, { ready = { tcp = 80 } })
  end, { node = "srv", what = "socket", text = "on 127.0.0.1 only, and packets come to" }, how = { tcp = 80 } },
  { "the firewall drops one port", function(lab) filter(lab.isp, "forward", "tcp dport 80 drop") end,
    { node = "isp", what = "firewall", text = "\"tcp dport 80 drop\"" }, how = { tcp = 80 } },

  -- MTU
  { "an MTU hole", function(lab)
    lab.isp.link:set { dev = "eth1", mtu = 1300 }
    lab.srv.link:set { dev = "eth0", mtu = 1300 }
    filter(lab.isp, "output", "icmp type destination-unreachable drop")
  end, { node = "isp", what = "mtu", text = "eth1 takes 1300 bytes only, and the errors .* do not reach pc1" } },
  { "two ends with different MTUs", function(lab)
    lab.isp.link:set { dev = "eth0", mtu = 1300 }
  end, { node = "isp", what = "mtu", text = "eth0 takes 1300 bytes and its other end, eth1 of gw, sends 1500" } },

  -- NAT
  { "NAT, and then nothing listens", function(lab)
    nft(lab.gw, "table ip nat {\n chain post {\n type nat hook postrouting priority 100\n"
      .. " oifname \"eth1\" masquerade\n }\n}\n")
    ip(lab.srv, "route flush proto boot")
    ip(lab.srv, "route add " .. lab.gw.addresses[2] .. " via " .. lab.isp.addresses[2])
  end, { node = "srv", what = "socket", text = "nothing listens" }, how = { tcp = 80 } },
  { "a published port that leads nowhere", function(lab)
    nft(lab.gw, "table ip nat {\n chain pre {\n type nat hook prerouting priority -100\n"
      .. " tcp dport 8080 dnat to 10.0.0.3:80\n }\n}\n")
    lab.from, lab.target = lab.srv, lab.gw.addresses[2]
  end, { node = "pc2", what = "socket", text = "nothing listens on tcp port 80" }, how = { tcp = 8080 } },
}

local faults_v6 = {
  { "the router does not forward", function(lab) lab.gw.sysctl["net.ipv6.conf.all.forwarding"] = 0 end,
    { node = "gw", what = "forwarding", text = "net.ipv6.conf.all.forwarding = 0" } },
  { "neighbour discovery is dropped", function(lab)
    filter(lab.gw, "input", "policy drop\n ct state established accept")
  end, { node = "gw", what = "firewall", text = "drops the neighbour discovery that would find fd00::1" } },
  { "the firewall on the way", function(lab) filter(lab.isp, "forward", "icmpv6 type echo-request drop") end,
    { node = "isp", what = "firewall", text = "icmpv6 type echo%-request drop" } },
  { "no route", function(lab) ip(lab.gw, "-6 route flush proto boot") end,
    { node = "gw", what = "route", text = "there is no route to" } },
  { "nothing listens", function() end, { node = "srv", what = "socket", text = "nothing listens on tcp port 80" },
    how = { tcp = 80 } },
}

local function check(fault, family)
  if fault.needs then
    require("spec.support.features").need(fault.needs)
  end
  local lab <close> = office():up()
  local place = setmetatable({}, { __index = lab })
  fault[2](place)
  local how = { timeout = 0.2, family = family }
  for key, value in pairs(fault.how or {}) do
    how[key] = value
  end
  local before = lab.gw:run({ "nft", "list", "ruleset" }).stdout
  local e = lab:explain(place.from or "pc1", place.target or "srv", how)
  assert.is_false(e.ok, tostring(e))
  local expected = fault[3]
  local found = e.problem or {}
  assert.equal(expected.node, found.node, tostring(e))
  assert.equal(expected.what, found.what, tostring(e))
  assert.matches(expected.text, found.text)
  assert.equal(expected.direction or "there", found.direction)
  assert.matches("^%w+ to .* %(.*%): " .. found.node .. ": ", tostring(e))
  assert.equal(before, lab.gw:run({ "nft", "list", "ruleset" }).stdout) -- its tables are gone
  if place.server then
    place.server:close()
  end
end

describe("explain finds", function()
  for _, fault in ipairs(faults) do
    it(fault[1], function()
      check(fault)
    end)
  end
end)

describe("explain finds, with IPv6,", function()
  for _, fault in ipairs(faults_v6) do
    it(fault[1], function()
      check(fault, "inet6")
    end)
  end
end)

describe("explain", function()
  it("says that all is fine, and which way it goes", function()
    local lab <close> = office():up()
    for _, family in ipairs { "inet", "inet6" } do
      local e = lab:explain(lab.pc1, lab.srv, { family = family })
      assert.is_true(e.ok, tostring(e))
      assert.is_nil(e.problem)
      local way = {}
      for i, hop in ipairs(e.hops) do
        way[i] = hop.node .. (hop.direction == "there" and ">" or "<")
      end
      assert.equal("pc1> gw> isp> srv> srv< isp< gw< pc1<", table.concat(way, " "))
      assert.matches(": fine\n", tostring(e))
    end
    assert.is_true(lab:explain("pc1", "pc2").ok)
    assert.is_true(lab:explain("pc1", lab.pc1.address).ok)
    assert.is_true(lab:explain("srv", v6(lab.isp)).ok)
  end)

  it("follows NAT both ways", function()
    local t = office()
    t.data.nodes.gw.nat = { out = "isp" }
    local lab <close> = t:up()
    local server <close> = lab.srv:spawn({ os.getenv "LUA" or "lua5.4", "-e",
      "s = require 'socket'.bind('*', 80) while true do s:accept() end" }, { ready = { tcp = 80 } })
    for _, how in ipairs { { icmp = true }, { tcp = 80 } } do
      local e = lab:explain("pc1", "srv", how)
      assert.is_true(e.ok, tostring(e))
      assert.matches("> gw: NAT: the source 10.0.0.2 becomes [%d.]+\n", tostring(e))
      assert.matches("< gw: NAT: the destination [%d.]+ becomes 10.0.0.2\n", tostring(e))
    end
    assert.is_nil(server:wait(0))
  end)

  it("works on plain namespaces, and says where it leaves them", function()
    local a <close> = netns.new()
    local b <close> = netns.new()
    a.link:add { name = "eth0", type = "veth", peer = { name = "eth0", netns = b } }
    for i, ns in ipairs { a, b } do
      ns.link:set { dev = "lo", up = true }
      ns.link:set { dev = "eth0", up = true }
      ns.addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
    end
    a:wait { link = "eth0", state = "up" }
    b:wait { link = "eth0", state = "up" }
    local both = { { name = "a", netns = a }, { name = "b", netns = b } }
    assert.is_true(netns.explain(both, a, b).ok)
    assert.equal("b: nothing listens on tcp port 1",
      tostring(netns.explain(both, a, b, { tcp = 1 })):match "%): ([^\n]*)")
    local e = netns.explain({ both[1] }, a, "10.0.0.2")
    assert.is_true(e.ok)
    assert.matches("leave by eth0, beyond what is known here", tostring(e))
    b.addr:flush()
    e = netns.explain(both, a, b)
    assert.is_false(e.ok)
    assert.equal("it has no address", e.problem.text)
  end)

  it("refuses what it does not know", function()
    local lab <close> = topology.pair():up()
    local function refused(pattern, ...)
      local ok, err = pcall(lab.explain, lab, ...)
      assert.is_false(ok)
      assert.matches(pattern, err)
    end
    refused('explain: a node of the lab %(or its name%) expected, got "h9"', "h9", "h1")
    refused("explain: there is no node \"nowhere\", and it is no address", "h1", "nowhere")
    refused("explain: unknown key \"port\"", "h1", "h2", { port = 80 })
    refused("explain: options must be a table, got \"tcp\"", "h1", "h2", "tcp")
  end)
end)
