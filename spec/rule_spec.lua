require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

twins.describe {
  noun = "rule",
  show = { "-4 rule show", "-6 rule show" },
  prepare = twins.pair,
  cases = {
    { { priority = 100, table = 50 }, "rule add priority 100 table 50" },
    { { priority = 100, from = "10.0.0.0/8", table = "main" }, "rule add priority 100 from 10.0.0.0/8 table main" },
    { { priority = 100, from = "10.0.0.1", to = "10.9.0.0/16", table = 70000 },
      "rule add priority 100 from 10.0.0.1 to 10.9.0.0/16 table 70000" },
    { { priority = 100, family = "inet6", table = 50 }, "-6 rule add priority 100 table 50" },
    { { priority = 100, to = "2001:db8::/32", table = 50 }, "-6 rule add priority 100 to 2001:db8::/32 table 50" },
    { { priority = 100, iif = "e0", oif = "p0", table = 50 }, "rule add priority 100 iif e0 oif p0 table 50" },
    { { priority = 100, iif = "nowhere", table = 50 }, "rule add priority 100 iif nowhere table 50" },
    { { priority = 100, fwmark = 5, table = 50 }, "rule add priority 100 fwmark 5 table 50" },
    { { priority = 100, fwmark = "0x10/0xf0", table = 50 }, "rule add priority 100 fwmark 0x10/0xf0 table 50" },
    { { priority = 100, fwmark = 1, fwmask = 3, table = 50 }, "rule add priority 100 fwmark 1/3 table 50" },
    { { priority = 100, tos = 16, table = 50 }, "rule add priority 100 tos 0x10 table 50" },
    { { priority = 100, ["not"] = true, from = "10.0.0.1", table = 50 },
      "rule add not priority 100 from 10.0.0.1 table 50" },
    { { priority = 100, action = "blackhole" }, "rule add priority 100 blackhole" },
    { { priority = 100, action = "unreachable", iif = "e0" }, "rule add priority 100 unreachable iif e0" },
    { { priority = 100, action = "prohibit" }, "rule add priority 100 prohibit" },
    { { priority = 100, action = "nop" }, "rule add priority 100 nop" },
    { { priority = 100, ["goto"] = 200 }, "rule add priority 100 goto 200",
      setup = { "rule add priority 200 table 9" } },
    { { priority = 100, ["goto"] = 300 }, "rule add priority 100 goto 300" },
    { { priority = 100, table = "main", suppress_prefixlength = 0 },
      "rule add priority 100 table main suppress_prefixlength 0" },
    { { priority = 100, table = 50, suppress_prefixlength = 24 },
      "rule add priority 100 table 50 suppress_prefixlength 24" },
    { { priority = 100, table = 50, suppress_ifgroup = 7 }, "rule add priority 100 table 50 suppress_ifgroup 7" },
    { { priority = 100, ipproto = "tcp", dport = 80, table = 50 },
      "rule add priority 100 ipproto tcp dport 80 table 50" },
    { { priority = 100, ipproto = "udp", sport = "1000-2000", dport = "53-54", table = 50 },
      "rule add priority 100 ipproto udp sport 1000-2000 dport 53-54 table 50" },
    { { priority = 100, uidrange = "1000-1999", table = 50 }, "rule add priority 100 uidrange 1000-1999 table 50",
      root = "name users other than oneself" },
    { { priority = 100, tun_id = 77, table = 50 }, "rule add priority 100 tun_id 77 table 50" },
    { { priority = 100, l3mdev = true }, "rule add priority 100 l3mdev", needs = "vrf" },
    { { priority = 100, proto = "static", table = 50 }, "rule add priority 100 protocol static table 50" },
    { { priority = 0, table = 50 }, "rule add priority 0 table 50" },
  },
}

describe("ns.rule", function()
  local ns

  before_each(function()
    ns = netns.new "rule"
  end)

  after_each(function()
    ns:close()
  end)

  it("chooses the priority as ip does where none is given", function()
    ns.rule:add { from = "10.0.0.1", table = 5 }
    ns.rule:add { from = "10.0.0.2", table = 5 }
    local found = {}
    for _, rule in ipairs(sh.ip("rule", "-j rule show")) do
      found[rule.src] = rule.priority
    end
    assert.equal(32765, found["10.0.0.1"])
    assert.equal(32764, found["10.0.0.2"])
  end)

  it("deletes by what it is given, lists by any key, flushes what it lists", function()
    for i = 1, 9 do
      ns.rule:add { priority = i, table = 100 + i, family = i % 2 == 0 and "inet6" or "inet" }
    end
    ns.rule:del { priority = 3 }
    assert.is_nil(ns.rule:get { priority = 3 })
    assert.equal("105", tostring(ns.rule:get({ priority = 5 }).table))
    assert.equal(4, ns.rule:flush { family = "inet", proto = "unspec" })
    assert.equal(3, #sh.ip("rule", "-j rule show"))
    assert.equal(4, #ns.rule:list { family = "inet6", proto = "unspec" })
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.rule:add(args)
      end, words, nil, true)
    end
    refuses({ priorty = 5 }, 'rule add: unknown key "priorty" (did you mean "priority"?)')
    refuses({ priority = -1 }, "priority must be an integer from 0 to 4294967295, got -1")
    refuses({ fwmark = "0x1/" }, "fwmark must be a mark")
    refuses({ dport = "90-80" }, "dport must be a number, or a range")
    refuses({ dport = 65536 }, "dport must be an integer from 0 to 65535")
    refuses({ action = "drop" }, "action must be what a rule does (one of lookup, goto, nop, blackhole")
    refuses({ iif = ("x"):rep(16) }, "iif must be 1 to 15 bytes")
    refuses("100", "rule add: expected a table, got string")
  end)
end)
