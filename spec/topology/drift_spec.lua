-- Everything that a description sets is compared with the kernel, mended, changed, and put back when a change fails.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local function site()
  local t = topology.new "site"
  local lan, gw, isp = t:switch "lan", t:router "gw", t:router "isp"
  gw:attach(lan):connect(isp):nat { out = isp }
  t:host("pc1", { rules = { { priority = 100, from = "10.0.0.0/24", table = 100 } },
    routes = { { dst = "192.0.2.0/24", via = "10.0.0.1", table = 100, metric = 7 } } }):attach(lan)
  t:host("a-host-with-a-long-name"):attach(lan)
  t:node("pc1"):run({ "sleep", "1000" }):sysctl { ["net.ipv4.conf.default.arp_ignore"] = 1 }
  t:node("gw"):firewall [[
    table inet filter {
      set seen { type ipv4_addr; flags dynamic; size 100; }
      set bad { type ipv4_addr; elements = { 192.0.2.66 } }
      chain forward {
        type filter hook forward priority filter; policy accept;
        ip saddr @bad counter drop
        counter update @seen { ip saddr }
      }
    }]]
  return t
end

-- Just started, a process has no command line for a moment; on its way out it has none, either.
local function assert_runs(ns, ...)
  local wanted = table.concat({ ... }, ", ")
  sh.eventually(function()
    local list = {}
    for _, pid in ipairs(ns:pids()) do
      local text = sh.read_file(("/proc/%d/cmdline"):format(pid)):gsub("%z", " "):gsub(" $", "")
      list[#list + 1] = text ~= "" and text or nil
    end
    table.sort(list)
    return table.concat(list, ", ") == wanted
  end, 10, "the processes to be those wanted")
end

local function sleeper(ns)
  for _, pid in ipairs(ns:pids()) do
    if sh.read_file(("/proc/%d/cmdline"):format(pid)):find "sleep" then
      return pid
    end
  end
end

describe("a lab's diff and repair", function()
  local lab
  setup(function()
    lab = site():up()
  end)
  teardown(function()
    lab:close()
  end)

  -- What is done behind the lab's back, and what the diff says of it.
  local drifts = {
    { "an alternative name", "lan: link a%-host%-with%-a%-l altnames", function()
      local name = lab.lan.link:get "pc1".name
      lab.lan.link:get(name):altname_add "other"
      lab.lan.link:get("a-host-with-a-l"):altname_del "a-host-with-a-long-name"
    end },
    { "an alias", "pc1: link eth0 alias: expected none, found uplink", function()
      lab.pc1.link:set { dev = "eth0", alias = "uplink" }
    end },
    { "a name", "pc1: link eth0 name: expected eth0, found eth9", function()
      lab.pc1.link:set { dev = "eth0", up = false }
      lab.pc1.link:set { dev = "eth0", name = "eth9" }
      lab.pc1.link:set { dev = "eth9", up = true }
    end },
    { "flags", "pc1: link eth0 promisc", function()
      lab.pc1.link:set { dev = "eth0", promisc = true, arp = false, multicast = false, txqlen = 5, group = 3 }
    end },
    { "a queue's length", "isp: link eth0 txqlen: expected 1000, found 7", function()
      lab.isp.link:set { dev = "eth0", txqlen = 7 }
    end },
    { "a bridge's options", "lan: link br0 stp_state: expected 0, found 1", function()
      lab.lan.link:set { dev = "br0", type = "bridge", stp_state = 1, ageing_time = 500 }
    end },
    { "a port's options", "lan: link pc1 port isolated: expected false, found true", function()
      lab.lan.link:set { dev = "pc1", bridge_slave = { isolated = true, hairpin = true } }
    end },
    { "an address's label", "pc1: addr eth0 10.0.0.9/24", function()
      lab.pc1.addr:add { dev = "eth0", address = "10.0.0.9/24", label = "eth0:1" }
    end },
    { "a metric", "pc1: route inet default via 10.0.0.1 dev eth0: expected present, found missing", function()
      lab.pc1.route:del { dst = "default", family = "inet" }
      lab.pc1.route:add { dst = "default", via = "10.0.0.1", metric = 50 }
    end },
    { "a metric of IPv6", "pc1: route inet6 default .*metric 50: expected missing, found present", function()
      lab.pc1.route:add { dst = "default", family = "inet6", via = "fd00::1", metric = 50 }
    end },
    { "a route of another table", "pc1: route inet 192.0.2.0/24 table 100 .*metric 7: expected present", function()
      lab.pc1.route:flush { table = 100 }
    end },
    { "a strange table", "pc1: route inet 198.51.100.0/24 table 77", function()
      lab.pc1.route:add { dst = "198.51.100.0/24", dev = "eth0", table = 77 }
    end },
    { "a route's kind", "gw: route inet unreachable 203.0.113.0/24", function()
      lab.gw.route:add { dst = "203.0.113.0/24", type = "unreachable" }
    end },
    { "a rule that is gone", "pc1: rule inet 100: .*from 10.0.0.0/24.*: expected present, found missing", function()
      lab.pc1.rule:del { priority = 100 }
    end },
    { "a rule that is too much", "isp: rule inet 50: .*: expected missing, found present", function()
      lab.isp.rule:add { priority = 50, from = "10.9.0.0/16", table = 9 }
    end },
    { "the kernel's own rule", "isp: rule inet 32767:", function()
      lab.isp.rule:del { priority = 32767 }
    end },
    { "a neighbour that is set", "pc1: neigh 10.0.0.1 dev eth0 02:00:00:00:00:01", function()
      lab.pc1.neigh:replace { dev = "eth0", dst = "10.0.0.1", lladdr = "02:00:00:00:00:01" }
    end },
    { "rules of nft", "gw: nft: expected .*masquerade.*, found nothing", function()
      lab.gw.nft:run "flush chain inet topology_nat postrouting"
    end },
    { "elements of a set", "gw: nft: expected .*192.0.2.66.*, found nothing", function()
      lab.gw.nft:run "delete element inet filter bad { 192.0.2.66 }"
    end },
    { "a table of nft", "isp: nft: expected nothing, found table ip strange", function()
      lab.isp.nft:run "add table ip strange"
    end },
    { "a sysctl of a link", "pc1: sysctl net.ipv4.conf.eth0.arp_ignore: expected 1, found 0", function()
      lab.pc1.sysctl["net.ipv4.conf.eth0.arp_ignore"] = 0
    end },
    { "a process that was killed", "pc1: run sleep 1000: expected running, found killed by SIGKILL", function()
      local pid = sleeper(lab.pc1)
      sh.run { "kill", "-9", tostring(pid) }
      sh.eventually(function()
        return not sleeper(lab.pc1)
      end, 10, "the process to be gone")
    end },
    { "a qdisc", "pc1: qdisc eth0: expected noqueue, found pfifo", function()
      if not lab.pc1:run({ "tc", "qdisc", "add", "dev", "eth0", "root", "pfifo" }).ok then
        return "this kernel has no pfifo"
      end
    end },
  }

  it("agree with what is up", function()
    assert.equal("", tostring(lab:diff()))
    assert.equal(0, lab:repair())
  end)

  for _, drift in ipairs(drifts) do
    it("see " .. drift[1], function()
      local reason = drift[3]()
      if reason then
        pending(reason)
        return
      end
      local found = lab:diff()
      assert.matches(drift[2], tostring(found))
      assert.equal(#found, lab:repair())
      assert.equal("", tostring(lab:diff()))
      assert.is_true(lab:reach("pc1", "isp"))
    end)
  end

  it("do not take for drift what packets do", function()
    assert.is_true(lab:ping_all({ nodes = { "pc1", "gw", "isp" } }).reached > 0)
    assert.is_true(lab:reach("pc1", "isp"))
    assert.matches("10%.0%.0%.%d+", lab.gw.nft:text { family = "inet", table = "filter" })
    assert.equal("", tostring(lab:diff()))
  end)

  it("mend everything at once", function()
    for _, drift in ipairs(drifts) do
      pcall(drift[3])
    end
    assert.is_true(#lab:diff() > 20)
    lab:repair()
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("pc1", "isp"))
  end)
end)

-- Everything that the kernel says of all nodes, but what changes by itself.
local function dump(lab)
  local all = {}
  for _, name in ipairs(lab:names()) do
    local facts = lab:node(name):dump()
    facts.socket, facts.neigh, facts.fdb, facts.mdb = nil, nil, nil, nil
    for _, link in pairs(facts.link) do
      if link.bridge_slave then
        link.bridge_slave.mcast_n_groups = nil -- reports come when they come
      end
    end
    facts.nft = lab:node(name).nft:text()
    all[name] = facts
  end
  return all
end

local function assert_unchanged(before, lab)
  local after = dump(lab)
  for name, facts in pairs(before) do
    local found = netns.compare(facts, after[name], { ignore = { "link.operstate", "link.fdb_n_learned",
      "link.bridge_id", "link.root_id" } })
    assert.equal("no difference", tostring(found), name)
  end
  for name in pairs(after) do
    assert.is_not_nil(before[name])
  end
end

describe("apply", function()
  it("starts, ends and keeps processes", function()
    local function with(...)
      local t = topology.pair()
      for _, argv in ipairs { ... } do
        t:node("h1"):run(argv)
      end
      return t
    end
    local lab <close> = with({ "sleep", "1001" }, { "sleep", "1002" }, { "sleep", "1002" }):up()
    local kept = lab.h1:pids()
    lab:apply(with({ "sleep", "1001" }, { "sleep", "1003" }))
    assert_runs(lab.h1, "sleep 1001", "sleep 1003")
    local still = {}
    for _, pid in ipairs(lab.h1:pids()) do
      still[pid] = true
    end
    local same = 0
    for _, pid in ipairs(kept) do
      same = same + (still[pid] and 1 or 0)
    end
    assert.equal(1, same)
    local fails = with({ "sleep", "1001" }, { "/no/such/program" })
    local _, err = netns.try(lab.apply, lab, fails)
    assert.same({ "ENOENT", "h1", "nodes.h1.run[2]" }, { err.code, err.node, err.path })
    assert_runs(lab.h1, "sleep 1001", "sleep 1003")
    assert.equal("", tostring(lab:diff()))
    lab:apply(topology.pair())
    assert_runs(lab.h1)
  end)

  it("takes back sysctls, rules, rulesets and kinds of nodes", function()
    local full = site()
    full:node("isp"):sysctl { ["net.ipv4.ip_default_ttl"] = 9, ["net.ipv4.conf.eth0.arp_ignore"] = 2 }
    local plain = topology.new "site"
    local lan, gw, isp = plain:switch "lan", plain:router "gw", plain:router "isp"
    gw:attach(lan):connect(isp)
    plain:host("pc1"):attach(lan)
    plain:host("a-host-with-a-long-name"):attach(lan)
    local lab <close> = plain:up()
    local before = dump(lab)
    lab:apply(full)
    assert.equal("", tostring(lab:diff()))
    assert.equal(9, lab.isp.sysctl["net.ipv4.ip_default_ttl"])
    lab:apply(plain)
    assert.equal("", tostring(lab:diff()))
    assert_unchanged(before, lab)
    local other = topology.new "site" -- the same names, other kinds
    other:switch "pc1"
    other:host("gw"):attach "pc1"
    other:router("lan"):attach "pc1"
    lab:apply(other)
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("gw", "lan"))
    lab:apply(full)
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("pc1", "isp"))
    assert.is_false(lab:reach("isp", "pc1", { timeout = 0.2 }))
  end)

  it("puts everything back when it fails late, also what others made", function()
    local lab <close> = site():up()
    lab.gw.nft:run "add table ip by_hand; add chain ip by_hand c { type filter hook input priority 5; }"
    lab.gw.nft:run "add rule ip by_hand c ip saddr 192.0.2.9 counter packets 7 bytes 77 drop"
    lab.pc1.route:add { dst = "198.51.100.0/24", via = "10.0.0.1", metric = 3 }
    lab.pc1.rule:add { priority = 60, from = "10.8.0.0/16", table = 8 }
    lab.pc1.addr:add { dev = "eth0", address = "10.0.0.77/24" }
    lab.pc1.neigh:replace { dev = "eth0", dst = "10.0.0.50", lladdr = "02:00:00:00:00:50" }
    lab.pc1.link:set { dev = "eth0", alias = "by hand", mtu = 1400 }
    lab.isp.link:add { name = "br7", type = "bridge", up = true, stp_state = 1 }
    lab.isp.addr:add { dev = "br7", address = "10.70.0.1/24" }
    lab.isp.link:add { name = "tap", type = "veth", up = true, addrgenmode = "none",
      peer = { name = "tap", netns = lab.pc1, up = true, addrgenmode = "none" } }
    lab.isp.sysctl["net.ipv4.ip_default_ttl"] = 33
    local before, pid = dump(lab), sleeper(lab.pc1)

    local bad = site()
    bad:node("isp"):sysctl { ["net.ipv4.ip_default_ttl"] = 99 }
    bad:node("gw"):firewall "table inet other {\n chain c { type filter hook input priority 0; }\n}"
    bad:node("gw"):connect("isp", { name = "second" })
    bad.data.nodes["a-host-with-a-long-name"].links = { { to = "lan", mtu = 1300 }, { to = "gw" } }
    bad:host("new"):attach "lan"
    bad:node("isp"):run { "/no/such/program" }
    local _, err = netns.try(lab.apply, lab, bad)
    assert.same({ "ENOENT", "isp" }, { err.code, err.node })
    assert.is_nil(lab.new)
    assert.equal(pid, sleeper(lab.pc1))
    assert_unchanged(before, lab)

    local refused = site() -- fails in the firewall, where all links have changed already
    refused:node("gw"):firewall "table inet t {\n chain c { nonsense }\n}"
    refused:node("pc1"):connect "isp"
    assert.is_false((pcall(lab.apply, lab, refused)))
    assert_unchanged(before, lab)
    assert.is_true(#lab:diff() > 0)
    lab:repair()
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("pc1", "isp"))
  end)
end)

describe("what a description says in ip's words", function()
  local function described()
    return topology.from { name = "words", addressing = false, routing = false, nodes = {
      a = { kind = "host", links = { { to = "b", name = "up0", to_name = "down0" } },
        devices = { { name = "br1", type = "bridge", forward_delay = 400, ageing_time = 1000,
            altnames = { "the-bridge" } },
          { name = "up0", master = "br1", alias = "uplink", bridge_slave = { isolated = true } },
          { name = "v1", type = "veth", peer = { name = "v2" }, address = "02:00:00:00:00:77" } },
        addresses = { { dev = "br1", address = "10.1.0.1/24", label = "br1:x" },
          { dev = "v1", address = "10.2.0.1/24" },
          { dev = "br1", address = "fd01::1/64", nodad = true } },
        routes = { { dst = "10.9.0.0/16", via = "10.1.0.2", metric = 20, table = 9 },
          { dst = "default", dev = "br1" } },
        rules = { { priority = 9, from = "10.1.0.0/24", table = 9 },
          { priority = 10, fwmark = 5, action = "prohibit" } },
        neighbours = { { dev = "br1", dst = "10.1.0.9", lladdr = "02:00:00:00:00:09" } } },
      b = { kind = "host", addresses = { { dev = "down0", address = "10.1.0.2/24" } } },
    } }
  end

  it("comes up, is compared and mended", function()
    local t = described()
    assert.same({}, t:check())
    local lab <close> = t:up()
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("a", "10.1.0.2"))
    lab.a.link:get("v1"):del()
    lab.a.link:set { dev = "br1", type = "bridge", forward_delay = 500 }
    lab.a.link:set { dev = "up0", alias = "", master = "none" }
    lab.a.neigh:flush {}
    assert.matches("a: link v1: expected present, found missing", tostring(lab:diff()))
    lab:repair()
    assert.equal("", tostring(lab:diff()))
    local other = described()
    other.data.nodes.a.devices[1].ageing_time = 2000
    other.data.nodes.a.rules[1].from = "10.1.0.0/25"
    lab:apply(other)
    assert.equal("", tostring(lab:diff()))
    assert.equal(2000, lab.a.link:get("br1").ageing_time)
    lab:apply(topology.from { name = "words", nodes = { a = { kind = "host" }, b = { kind = "host" } } })
    assert.equal("", tostring(lab:diff()))
  end)

  it("is checked for links that are not there", function()
    local t = described()
    t.data.nodes.a.addresses[1].dev = "br2"
    t.data.nodes.a.devices[2].name = "up1"
    t.data.nodes.b.devices = { { name = "down0", type = "bridge" } }
    t.data.nodes.b.rules = { { from = "10.0.0.0/8" } }
    local found = {}
    for _, finding in ipairs(t:check()) do
      found[#found + 1] = finding.path
    end
    assert.same({ "nodes.b.rules[1]" }, found)
    t.data.nodes.b.rules = nil
    found = {}
    for _, finding in ipairs(t:check()) do
      found[#found + 1] = finding.path
    end
    table.sort(found)
    assert.same({ "nodes.a.addresses[1].dev", "nodes.a.devices[2]", "nodes.b.devices[1].name" }, found)
  end)
end)
