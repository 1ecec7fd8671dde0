--- The recipes of netns.firewall: what rules they make, once, and that undo takes exactly them out.
-- spec/nft/traffic_spec.lua has what they do to packets.
require("spec.support.leaks").gate()
local core = require "netns.core"
local features = require "spec.support.features"
local firewall = require "netns.firewall"
local netns = require "netns"
local sh = require "spec.support.sh"

local ns

before_each(function()
  ns = netns.new "fw"
end)

after_each(function()
  ns:close()
  core.nft_stop()
end)

local function ruleset()
  return sh.nft("fw", "-s list ruleset")
end

-- The rules of a chain, without counters and comments.
local function rules(chain, family)
  local r = sh.try_inside("fw", ("nft -s list chain %s netns %s"):format(family or "inet", chain))
  local found = {}
  for line in r.stdout:gmatch "\n\t\t([^\n]+)" do
    if not line:find "^type " then
      found[#found + 1] = line:gsub(' comment "[^"]*"', ""):gsub("counter ", "")
    end
  end
  return found
end

local function fails(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

-- Each recipe with options, for what holds of all.
local every = {
  { "default_deny" },
  { "default_deny", { input = true, forward = true, output = true, reject = true } },
  { "allow", { proto = "tcp", port = 22 } },
  { "allow", { from = { "10.0.0.0/8", "fd00::/8" }, chain = "forward" } },
  { "deny", { from = "10.0.0.1", iface = "eth0" } },
  { "deny", { proto = "ping" } },
  { "rate_limit", { proto = "icmp", rate = "10/second", burst = 5 } },
  { "rate_limit", { proto = "tcp", port = 22, rate = 3, per_source = true } },
  { "log", { prefix = "in: ", level = "info" } },
  { "masquerade", { out = "eth0" } },
  { "publish", { port = 8080, to = "10.0.0.2:80" } },
  { "isolate", { "a", "b", "c" } },
}

describe("every recipe", function()
  for _, case in ipairs(every) do
    local name, opts = table.unpack(case)

    it(name .. " is there once, and undo leaves nothing", function()
      sh.nft("fw", "'add table ip theirs; add chain ip theirs c; add rule ip theirs c counter'")
      local before = ruleset()
      local first = firewall[name](ns, opts)
      local once = ruleset()
      assert.is_not.equal(before, once)
      local second = firewall[name](ns, opts)
      assert.equal(once, ruleset())
      assert.equal(#first.rules, #second.rules)
      for i, rule in ipairs(first.rules) do
        assert.equal(rule, second.rules[i])
      end
      assert.equal(("recipe %s in fw"):format(name), tostring(first))
      second:undo()
      assert.equal(before, ruleset())
      first:undo()
      assert.equal(before, ruleset())
    end)
  end

  it("undone in any order leaves the others as they are", function()
    local applied = {}
    for i, case in ipairs(every) do
      applied[i] = firewall[case[1]](ns, case[2])
    end
    assert.equal(#every, #firewall.list(ns))
    for i = 1, #every, 2 do
      applied[i]:undo()
    end
    assert.equal(#every // 2, #firewall.list(ns))
    for i = 2, #every, 2 do
      applied[i]:undo()
    end
    assert.equal("", ruleset())
  end)

  it("is found and undone by another handle", function()
    firewall.allow(ns, { proto = "tcp", port = 22 })
    local again <close> = netns.open "fw"
    local list = firewall.list(again)
    assert.equal("allow", list[1].name)
    list[1]:undo()
    assert.equal("", ruleset())
  end)

  it("that somebody has taken a part of is made whole", function()
    local recipe = firewall.default_deny(ns)
    local whole = ruleset()
    recipe.rules[2]:del()
    firewall.default_deny(ns)
    assert.equal(whole, ruleset())
  end)

  it("reset undoes all", function()
    sh.nft("fw", "add table inet theirs")
    firewall.default_deny(ns)
    firewall.allow(ns, { proto = "tcp", port = 22 })
    firewall.reset(ns)
    assert.equal("table inet theirs {\n}\n", ruleset())
    firewall.reset(ns)
  end)
end)

describe("the chains", function()
  it("stand in their order, whatever the order of the recipes", function()
    firewall.default_deny(ns)
    firewall.allow(ns, { proto = "tcp", port = 22 })
    firewall.deny(ns, { from = "10.0.0.1" })
    firewall.log(ns, { prefix = "x" })
    assert.same({ "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
      "jump input_log", "jump input_deny", "jump input_allow", "jump input_default" }, rules "input")
    assert.same({ "ct state established,related accept", 'iifname "lo" accept', "drop" }, rules "input_default")
  end)
end)

describe("matches", function()
  it("become rules, one for each family that is needed", function()
    for _, case in ipairs {
      { { proto = "tcp", port = 22 }, { "tcp dport 22 accept" } },
      { { port = 53 }, { "meta l4proto { tcp, udp } th dport 53 accept" } },
      { { proto = "udp", port = "1000-2000" }, { "udp dport 1000-2000 accept" } },
      { { proto = "tcp", port = { 22, 80 } }, { "tcp dport { 22, 80 } accept" } },
      { { proto = "tcp", port = "ssh" }, { "tcp dport 22 accept" } },
      { { proto = "icmp" }, { "meta l4proto { icmp, ipv6-icmp } accept" } },
      { { proto = "ping" }, { "icmp type echo-request accept", "icmpv6 type echo-request accept" } },
      { { proto = "ping", from = "fd00::1" }, { "ip6 saddr fd00::1 icmpv6 type echo-request accept" } },
      { { proto = "gre" }, { "meta l4proto gre accept" } },
      { { proto = 47 }, { "meta l4proto gre accept" } },
      { { from = "10.0.0.0/8" }, { "ip saddr 10.0.0.0/8 accept" } },
      { { from = { "10.0.0.1", "10.0.0.2", "fd00::1" } },
        { "ip saddr { 10.0.0.1, 10.0.0.2 } accept", "ip6 saddr fd00::1 accept" } },
      { { from = { "10.0.0.1", "fd00::1" }, to = "10.0.0.2" }, { "ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept" } },
      { { iface = "eth0", proto = "tcp", port = 1 }, { 'iifname "eth0" tcp dport 1 accept' } },
      { { iface = { "a", "b" }, out = "c", chain = "forward" }, { 'iifname { "a", "b" } oifname "c" accept' } },
      { {}, { "accept" } },
    } do
      firewall.allow(ns, case[1])
      local found = rules((case[1].chain or "input") .. "_allow")
      for i, rule in ipairs(found) do
        found[i] = rule:gsub("meta l4proto tcp tcp", "tcp")
      end
      assert.same(case[2], found)
      firewall.reset(ns)
    end
  end)

  it("that cannot be are refused, at the caller's line", function()
    for _, case in ipairs {
      { "allow", { prot = "tcp" },
        '^spec/nft/firewall_spec.lua:%d+: firewall.allow: unknown key "prot" %(did you mean' },
      { "allow", { proto = "tcp; drop" }, "proto must be a word" },
      { "allow", { port = 65536 }, "%$port must be a port" },
      { "allow", { proto = "icmp", port = 1 }, "proto with a port must be one of tcp, udp" },
      { "allow", { from = "example.com" }, "from must be an IPv4 or IPv6 address" },
      { "allow", { from = {} }, "from is an empty list" },
      { "allow", { from = "10.0.0.1", to = "fd00::1" }, "from and to have no family in common" },
      { "allow", { iface = "no such name" }, "%$iface must be the name of an interface" },
      { "allow", { chain = "sideways" }, "chain must be one of input, forward, output" },
      { "allow", "tcp", 'options must be a table, got "tcp"' },
      { "default_deny", { input = false }, "at least one of input, forward and output" },
      { "rate_limit", { proto = "icmp" }, "rate must be packets a second" },
      { "rate_limit", { rate = "5/fortnight" }, "rate per must be one of second" },
      { "rate_limit", { rate = "5/second; drop" }, "rate must be packets a second" },
      { "rate_limit", { rate = 5, burst = 0 }, "burst must be an integer" },
      { "log", { prefix = 'a"b' }, "must not contain quotation marks" },
      { "log", { level = "loud" }, "log: level must be one of" },
      { "masquerade", {}, "out %(the interface through which it leaves%) is missing" },
      { "publish", { port = 0, to = "10.0.0.1" }, "port must be an integer from 1 to 65535" },
      { "publish", { port = 80, to = "10.0.0.1:99999" }, "to must be \"ADDRESS:PORT\"" },
      { "publish", { port = 80, to = "10.0.0.0/24" }, "to must be \"ADDRESS:PORT\"" },
      { "publish", { port = 80, to = "10.0.0.1", proto = "icmp" }, "proto must be one of tcp, udp" },
      { "isolate", { "a" }, "expected a list of two or more interfaces" },
      { "isolate", { "a", "a" }, '"a" is named twice' },
      { "isolate", { "a", "b", c = 1 }, 'unknown key "c"' },
    } do
      assert.matches(case[3], tostring(fails(firewall[case[1]], ns, case[2])))
      assert.equal("", ruleset())
    end
    assert.matches('a Namespace expected, got "fw"', fails(firewall.allow, "fw", {}))
  end)
end)

describe("publish", function()
  it("translates, accepts, and serves the namespace itself", function()
    firewall.publish(ns, { port = 8080, to = "10.0.0.2:80", proto = { "tcp", "udp" } })
    local translate = "meta nfproto ipv4 fib daddr type local meta l4proto { tcp, udp } th dport 8080 "
      .. "dnat ip to 10.0.0.2:80"
    assert.same({ translate }, rules "prerouting")
    assert.same({ translate }, rules "nat_output")
    assert.same({ "ct status dnat ip daddr 10.0.0.2 meta l4proto { tcp, udp } th dport 80 accept" },
      rules "forward_allow")
  end)

  it("can be of an interface, an address, and without hairpin", function()
    firewall.publish(ns, { port = 80, to = "fd00::2", iface = "eth0", address = "fd01::1", hairpin = false })
    assert.same({ 'iifname "eth0" ip6 daddr fd01::1 tcp dport 80 dnat ip6 to [fd00::2]:80' }, rules "prerouting")
    assert.same({}, rules "nat_output")
    assert.same({}, rules "postrouting")
  end)
end)

describe("isolate", function()
  it("keeps ports of one bridge apart too", function()
    features.need "nft-bridge"
    ns.link:add { name = "br", type = "bridge", up = true }
    for _, name in ipairs { "a", "b" } do
      ns.link:add { name = name, type = "veth", peer = { name = name .. "1" }, up = true }
      ns.link:set { name = name, master = "br" }
    end
    firewall.isolate(ns, { "a", "b" })
    assert.same({ 'iifname "a" oifname "b" drop', 'iifname "b" oifname "a" drop' }, rules("bridge_forward", "bridge"))
    firewall.reset(ns)
    assert.equal("", ruleset())
  end)
end)

describe("rate_limit per source", function()
  it("keeps a bucket for each address", function()
    firewall.rate_limit(ns, { proto = "tcp", port = 22, rate = "3/minute", burst = 2, per_source = true })
    local found = rules "input_deny"
    assert.equal(2, #found)
    assert.matches("update @rate_ip_%x+ { ip saddr limit rate over 3/minute burst 2 packets } drop", found[1])
    assert.matches("update @rate_ip6_%x+ { ip6 saddr limit rate over 3/minute burst 2 packets } drop", found[2])
  end)
end)
