--- netns.trace: the commands that it shows, run by sh, build the same network; and off is off.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local command = require "netns.command"
local core = require "netns.core"
local features = require "spec.support.features"
local keys = require "netns.reference.keys"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

-- What fn's operations are traced as.
local function traced(fn)
  local lines = {}
  netns.trace(function(line)
    lines[#lines + 1] = line
  end)
  local r = table.pack(pcall(fn))
  netns.trace(nil)
  if not r[1] then
    error(r[2], 0)
  end
  return lines, table.unpack(r, 2, r.n)
end

-- What differs by nature between two networks that are the same.
local volatile = { "neigh", "link.address", "link.ifindex", "link.link_netnsid", "link.carrier_up_count",
  "link.carrier_down_count", "link.link_index", "link.permaddr", "addr.label", "link.broadcast",
  "fdb", "mdb", "link.fdb_n_learned", "link.bridge_id", "link.root_id", "link.bridge_slave", "link.operstate",
  "qdisc.handle", "qdisc.seed" }

-- Everything about a namespace, once it is settled, but for addresses that are made of random ones.
local function dump_of(ns)
  sh.eventually(function()
    return #ns.addr:list { tentative = true } == 0
  end)
  local dump = ns:dump()
  for _, noun in ipairs { "addr", "route" } do
    local kept = {}
    for _, row in ipairs(dump[noun]) do
      local address = row.address or row.dst or ""
      if not (address:find "^fe80:" and address:find "ff:fe") then
        kept[#kept + 1] = row
      end
    end
    dump[noun] = kept
  end
  return dump
end

-- Run the lines in an empty /run/netns: the network must be as the dumps (by name) say.
local function replays(lines, dumps)
  local script = "set -e\n" .. table.concat(lines, "\n") .. "\n"
  local ok, err = pcall(function()
    sh.run({ "sh", "-s" }, { stdin = script })
    for name, dump in pairs(dumps) do
      local ns <close> = netns.open(name)
      local difference = netns.compare(dump, dump_of(ns), { ignore = volatile })
      if #difference > 0 then
        error(("%s:\n%s\n%s"):format(name, tostring(difference), script), 0)
      end
    end
  end)
  for _, name in ipairs(netns.list()) do
    netns.delete(name)
  end
  if not ok then
    error(err, 0)
  end
end

describe("netns.trace", function()
  after_each(function()
    netns.trace(nil)
  end)

  it("shows commands that build the same network", function()
    local red, blue
    local lines = traced(function()
      red, blue = netns.new(), netns.new "blue"
      local eth0 = red.link:add { name = "eth0", type = "veth", up = true, mtu = 1400, alias = "it's up",
        altnames = { "the-uplink" }, peer = { name = "eth0", netns = blue, up = true, address = "02:00:00:00:00:07" } }
      eth0.addr:add "10.0.0.1/24"
      blue.addr:add { dev = "eth0", address = "10.0.0.2/24", broadcast = "+" }
      eth0.addr:add { address = "fd00::1/64", nodad = true }
      eth0:set { txqlen = 77, name = "up0" }
      red:batch(function(b)
        b.link:set { dev = "lo", up = true }
        b.route:add { dst = "default", via = "10.0.0.2" }
        b.route:add { dst = "10.9.0.0/16", nexthops = { { via = "10.0.0.2", weight = 3 }, { via = "10.0.0.3" } } }
        b.rule:add { priority = 100, from = "10.0.0.0/8", fwmark = "0x1/0xff", table = 100 }
        b.neigh:add { dst = "10.0.0.9", dev = "up0", lladdr = "02:00:00:00:00:09" }
        b.route:add { dst = "10.8.0.0/16", via = "10.0.0.2" }
      end)
      red.route:del "10.8.0.0/16"
      red.nexthop:add { id = 5, via = "10.0.0.2", dev = "up0" }
      red.route:replace { dst = "10.7.0.0/16", nhid = 5, metric = 9 }
      red.route:add { dst = "10.6.0.0/16", type = "blackhole" }
      red.addr:add { dev = "lo", address = "10.5.0.1/32" }
      red.addr:flush { dev = "lo", scope = "global" }
      red.sysctl["net.ipv4.ip_forward"] = true
      local fw = red.nft:table { family = "inet", name = "filter" }
      local input = fw:chain { name = "input", type = "filter", hook = "input", priority = 0, policy = "drop" }
      local ssh = input:rule "tcp dport 22 counter accept"
      fw:set { name = "bad", type = "ipv4_addr" }:add { "192.0.2.1", "192.0.2.2" }
      ssh:replace "tcp dport 2222 accept"
      blue:run({ "sh", "-c", "read name && ip link set eth0 alias \"$name\"" }, { stdin = "far end\n" })
    end)
    local dumps = { ns1 = dump_of(red), blue = dump_of(blue) }
    assert.equal("far end", blue.link:get("eth0").alias)
    red:close()
    blue:close()
    assert.same({ "ip netns add ns1", "ip netns add blue" }, { lines[1], lines[2] })
    replays(lines, dumps)
  end)

  it("shows a lab", function()
    local office = topology.new "office"
    local lan, gw, isp = office:switch "lan", office:router "gw", office:router "isp"
    for i = 1, 3 do
      office:host("pc" .. i):attach(lan)
    end
    gw:attach(lan):connect(isp):nat { out = isp }
    isp:firewall "table inet f {\n  chain forward { type filter hook forward priority 0; policy drop; }\n}"
    for _, t in ipairs { office, topology.ring { routers = 4 } } do
      local lines, lab = traced(function()
        return t:up { name = "traced" }
      end)
      local dumps = {}
      for _, name in ipairs(lab:names()) do
        dumps["traced." .. name] = dump_of(lab:node(name))
      end
      lab:close()
      replays(lines, dumps)
    end
  end)

  it("shows impairments, and networks of every kind of link", function()
    features.need("netem", "bridge-vlan", "wireguard", "vxlan")
    local a, b
    local lines = traced(function()
      a, b = netns.new "one", netns.new "two"
      local eth0 = a.link:add { name = "eth0", type = "veth", up = true,
        peer = { name = "eth0", netns = b, up = true } }
      eth0:impair { delay = "10ms", loss = "1%", direction = "egress" }
      b.qdisc:replace { dev = "eth0", handle = "7:", kind = "tbf", rate = "1mbit", burst = "10k", latency = "50ms" }
      a.link:add { name = "br0", type = "bridge", vlan_filtering = true, up = true, addrgenmode = "none" }
      a.link:add { name = "vx0", type = "vxlan", id = 7, dstport = 4789, ["local"] = "10.0.0.1", master = "br0" }
      a.vlan:add { dev = "vx0", vid = 10, pvid = true, untagged = true }
      a.link:get("br0"):set { ageing_time = 1000 }
      a.fdb:add { dev = "vx0", lladdr = "02:00:00:00:00:05", dst = "10.0.0.2" }
      a.link:add { name = "wg0", type = "wireguard", private_key = netns.wireguard.genkey(), listen_port = 5000,
        peers = { { public_key = netns.wireguard.pubkey(netns.wireguard.genkey()), allowed_ips = { "10.9.0.0/16" } } } }
    end)
    local dumps = { one = dump_of(a), two = dump_of(b) }
    a:close()
    b:close()
    replays(lines, dumps)
  end)

  it("shows what is asked by hand, and nothing of what the library asks for itself", function()
    local ns <close> = netns.new "asked"
    local lines = traced(function()
      ns.link:list()
      ns.link:get "lo"
      ns.addr:list { dev = "lo" }
      for _ in ns.rule:each() do -- luacheck: ignore
      end
      ns:dump()
      ns:wait { link = "lo" }
    end)
    assert.same({ "ip -n asked link show", "ip -n asked link show dev lo", "ip -n asked addr show dev lo",
      "ip -4 -n asked rule show", "ip -6 -n asked rule show" }, lines)
  end)

  it("shows lists and flushes of both families, as commands that work", function()
    local ns <close> = netns.new "asked"
    ns.link:add { name = "d0", type = "veth", up = true, peer = { name = "d1", up = true } }
    local function fill()
      ns.addr:replace { dev = "d0", address = "10.0.0.1/24" }
      ns.addr:replace { dev = "d0", address = "fd00::1/64", nodad = true }
      ns.route:replace { dst = "10.9.0.0/16", type = "blackhole" }
      ns.route:replace { dst = "2001:db8::/32", type = "blackhole" }
      ns.neigh:replace { dst = "10.0.0.9", dev = "d0", lladdr = "02:00:00:00:00:09" }
    end
    local function left()
      return { #ns.addr:list { scope = "global" }, #ns.route:list { type = "blackhole" }, #ns.neigh:list() }
    end
    fill()
    local lines = traced(function()
      ns.addr:list { address = "10.0.0.1/24" }
      ns.addr:list { family = "inet6" }
      ns.route:list { dst = "10.9.0.0/16" }
      ns.route:list { table = "all" }
      ns.neigh:list { dev = "d0" }
      ns.nexthop:list()
      ns.addr:flush { dev = "d0", scope = "global" }
      ns.route:flush()
      ns.neigh:flush { dst = "10.0.0.9", dev = "d0" }
    end)
    assert.same({ 0, 0, 0 }, left())
    fill()
    sh.run({ "sh", "-es" }, { stdin = table.concat(lines, "\n") })
    assert.same({ 0, 0, 0 }, left())
  end)

  it("shows what failed as comments, and raises the same as without it", function()
    local ns <close> = netns.new "fails"
    local bare, with = {}, {}
    local function all(into)
      for i, fn in ipairs {
        function() ns.link:add { name = "lo", type = "bridge" } end,
        function() ns.route:add { dst = "10.0.0.0/8", vai = "10.0.0.1" } end,
        function() ns.addr:add(nil) end,
        function() ns.nft:run "add rule inet nowhere input accept" end,
        function() ns:batch(function(b) b.route:add { dst = "10.0.0.0/8", via = "10.0.0.1" } end) end,
        function() ns:batch(function() error "mine" end) end,
      } do
        local _, err = pcall(fn)
        into[i] = tostring(err)
      end
    end
    all(bare)
    local lines = traced(function()
      all(with)
    end)
    assert.same(bare, with)
    for _, line in ipairs(lines) do
      assert.matches("^#", line)
    end
    local text = table.concat(lines, "\n")
    assert.matches("# failed: ip %-n fails link add name lo type bridge\n"
      .. "# link add lo type bridge in fails: File exists", text)
    assert.matches("# failed: ip netns exec fails nft %-f %- <<'EOF'\n# add rule inet nowhere input accept\n# EOF",
      text)
  end)

  it("shows links that move, and the end of namespaces", function()
    local lines = traced(function()
      local a, b <close> = netns.new "a", netns.new()
      a.link:add { name = "d0", type = "veth", peer = { name = "d1" } }
      a.link:get("d0"):move(b)
      b.link:get("d0"):altname_add "other"
      b.link:get("other"):del()
      netns.new("kept", { keep = true }):close()
      netns.delete "kept"
      a:close()
    end)
    assert.same({
      "ip netns add a", "ip netns add ns1",
      "ip -n a link add name d0 numtxqueues 1 numrxqueues 1 type veth peer name d1 numtxqueues 1 numrxqueues 1",
      "ip -n a link show dev d0", "ip -n a link set d0 netns ns1",
      "ip -n ns1 link show dev d0", "ip -n ns1 link property add dev d0 altname other",
      "ip -n ns1 link show dev other", "ip -n ns1 link del d0",
      "ip netns add kept", "ip netns del kept", "ip netns del a", "ip netns del ns1",
    }, lines)
    sh.run({ "sh", "-es" }, { stdin = table.concat(lines, "\n") })
    assert.same({}, netns.list())
  end)

  it("knows every noun", function()
    local ctx = command.context "x"
    for _, noun in ipairs(keys.nouns()) do
      for _, verb in ipairs { "add", "set", "del", "show" } do
        local args = { dev = "d", type = "dummy", name = "n", vid = 5, mtu = noun == "link" and 1400 or nil,
          state = noun == "vlan" and "forwarding" or nil }
        local line = command.of(ctx, noun, verb, args)[1]:gsub("^ip %-%d", "ip")
        assert.matches("^%l+ %-n x ", line, noun .. " " .. verb)
      end
    end
  end)

  it("needs no name for the namespace that one is in", function()
    local here <close> = netns.current()
    local lines = traced(function()
      here.link:set { dev = "lo", up = true }
      here:run { "true" }
    end)
    assert.same({ "ip link set lo up", "true" }, lines)
  end)

  it("writes to files and objects; nil stops it and leaves everything as it was", function()
    local before = {}
    for _, place in ipairs { core, core.Noun, core.Link, core.Namespace, netns } do
      before[place] = {}
      for key, value in pairs(place) do
        before[place][key] = value
      end
    end
    local file = assert(io.tmpfile())
    netns.trace(file)
    netns.new("filed"):close()
    local written = {}
    netns.trace { write = function(_, text)
      written[#written + 1] = text
    end }
    netns.new("filed"):close()
    netns.trace(nil)
    netns.trace(nil)
    file:seek "set"
    assert.equal("ip netns add filed\nip netns del filed\n", file:read "a")
    assert.equal("ip netns add filed\nip netns del filed\n", table.concat(written))
    file:close()
    for place, values in pairs(before) do
      for key, value in pairs(values) do
        assert.equal(value, place[key], key)
      end
      for key in pairs(place) do
        assert.is_not_nil(values[key], key)
      end
    end
  end)

  it("leaves functions known to netns.help", function()
    local plain = netns.help(core.Namespace.run)
    netns.trace(function() end)
    assert.equal(plain, netns.help(core.Namespace.run))
    assert.equal(netns.help "netns.new", netns.help(netns.new))
    netns.trace(nil)
    assert.equal(plain, netns.help(core.Namespace.run))
  end)

  it("refuses what cannot be written to", function()
    for _, out in ipairs { 5, "x", {}, true } do
      local ok, err = pcall(netns.trace, out)
      assert.is_false(ok)
      assert.matches("trace: a file, an object with a method write, a function or nil expected, got", err, nil, true)
    end
  end)
end)
