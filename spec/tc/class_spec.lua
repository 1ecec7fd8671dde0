--- Classes: what we make, what `tc` makes and what is made from our list are the same.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local qdiscs = { htb = "qdisc-htb", hfsc = "qdisc-hfsc", drr = "qdisc-drr", qfq = "qdisc-qfq" }

local function case(kind, options, words)
  local t = { dev = "e0", parent = "7:", classid = "7:1", kind = kind }
  for key, value in pairs(options) do
    t[key] = value
  end
  return {
    t, "class add dev e0 parent 7: classid 7:1 " .. kind .. " " .. words, needs = qdiscs[kind],
    name = kind .. " " .. words, setup = { "qdisc add dev e0 root handle 7: " .. kind },
  }
end

twins.describe {
  noun = "class",
  tool = "tc",
  setup_tool = "tc",
  show = { { "class show dev e0", text = true } },
  prepare = function(ns)
    ns.link:add { name = "e0", type = "veth", peer = { name = "p0" } }
  end,
  made_by_kernel = function(row) -- hfsc's own
    return row.classid == "7:"
  end,
  cases = {
    case("htb", { rate = "1mbit" }, "rate 1mbit"),
    case("htb", { rate = 5000000, ceil = "10mbit", burst = "15k", cburst = 3000, prio = 3, quantum = 3000 },
      "rate 5mbit ceil 10mbit burst 15k cburst 3000 prio 3 quantum 3000"),
    case("htb", { rate = "1mbit", ceil = "10mbit", mtu = 9000, overhead = 24, linklayer = "atm" },
      "rate 1mbit ceil 10mbit mtu 9000 overhead 24 linklayer atm"),
    case("htb", { rate = "40gbit", ceil = "100gbit", burst = 1000000, cburst = 2500000, quantum = 60000 },
      "rate 40gbit ceil 100gbit burst 1000000 cburst 2500000 quantum 60000"),
    case("hfsc", { sc = "1mbit" }, "sc rate 1mbit"),
    case("hfsc", { rt = { m1 = "2mbit", d = "10ms", m2 = "1mbit" }, ls = { m2 = "3mbit" }, ul = { m2 = "5mbit" } },
      "rt m1 2mbit d 10ms m2 1mbit ls m2 3mbit ul m2 5mbit"),
    case("hfsc", { sc = { umax = 1500, dmax = "10ms", rate = "1mbit" } }, "sc umax 1500 dmax 10ms rate 1mbit"),
    case("hfsc", { rt = { umax = 100, dmax = "10ms", rate = "1mbit" } }, "rt umax 100 dmax 10ms rate 1mbit"),
    case("drr", { quantum = 3000 }, "quantum 3000"),
    case("qfq", { weight = 7, maxpkt = 2000 }, "weight 7 maxpkt 2000"),
  },
}

describe("ns.class", function()
  local ns, link

  setup(function()
    features.need("qdisc-htb", "qdisc-fq_codel")
  end)

  before_each(function()
    ns = netns.new "tc"
    for i = 0, 1 do
      ns.link:add { name = "e" .. i, type = "veth", peer = { name = "p" .. i } }
      ns.qdisc:add { dev = "e" .. i, handle = "1:", kind = "htb", default = "10" }
      ns.class:add { dev = "e" .. i, classid = "1:1", kind = "htb", rate = "10mbit" }
      ns.class:add { dev = "e" .. i, classid = "1:10", parent = "1:1", kind = "htb", rate = "1mbit", ceil = "5mbit" }
    end
    link = ns.link:get "e1"
  end)

  after_each(function()
    ns:close()
  end)

  it("lists those of all links, of one, of a parent", function()
    assert.equal(4, #ns.class:list())
    assert.equal(2, #link.class:list())
    assert.equal(2, #ns.class:list { dev = "e0" })
    assert.equal(1, #link.class:list { parent = "1:1" })
    assert.equal("e1", link.class:get({ classid = "1:10" }).dev)
    assert.equal(5000000, link.class:get({ classid = "1:10" }).ceil)
    assert.is_nil(link.class:get { classid = "1:99" })
    local seen = 0
    for class in ns.class:each { parent = "root" } do
      assert.equal("1:1", class.classid)
      seen = seen + 1
    end
    assert.equal(2, seen)
  end)

  it("changes what it is given, replaces, deletes", function()
    link.class:set { classid = "1:10", rate = "2mbit" }
    local class = link.class:get { classid = "1:10" }
    assert.same({ 2000000, 5000000, "1:1" }, { class.rate, class.ceil, class.parent })
    link.class:replace { classid = "1:10", parent = "1:1", kind = "htb", rate = "3mbit" }
    assert.equal(3000000, link.class:get({ classid = "1:10" }).ceil)
    local _, err = netns.try(link.class.add, link.class, { classid = "1:10", parent = "1:1", kind = "htb", rate = 8 })
    assert.equal("EEXIST", err.code)
    local _, busy = netns.try(link.class.del, link.class, { classid = "1:1" })
    assert.equal("EBUSY", busy.code)
    link.class:del { classid = "1:10" }
    assert.equal(1, #link.class:list())
    assert.equal(1, #sh.run("ip netns exec tc tc class show dev e1"):gsub("[^\n]", ""))
  end)

  it("has statistics of its own", function()
    local class = link.class:get { classid = "1:10", stats = true }
    assert.equal(0, class.stats.bytes)
    assert.equal("integer", math.type(class.stats.xstats.tokens))
    assert.equal(0, class.stats.xstats.borrows)
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        link.class:add(args)
      end, words, nil, true)
    end
    refuses({ kind = "htb", classid = "1:5", rat = 1 }, 'class add: unknown key "rat" (did you mean "rate"?)')
    refuses({ kind = "htb", classid = "1:5" }, "rate is missing")
    refuses({ kind = "htb", rate = 8 }, "classid is missing")
    refuses({ kind = "htb", classid = "1:5", rate = 80, ceil = 8 }, "ceil is less than rate")
    refuses({ kind = "htb", classid = 5, rate = 8 }, 'classid must be an identifier such as "1:10", got 5')
    refuses({ kind = "htb", classid = "1:5", rate = 8, prio = 9 }, "prio must be an integer from 0 to 7")
    refuses({ kind = "hfsc", classid = "1:5" }, "rt, ls or sc is missing")
    refuses({ kind = "hfsc", classid = "1:5", rt = 1e6, ul = 1e6 }, "ul needs ls or sc")
    refuses({ kind = "hfsc", classid = "1:5", sc = { dmax = "1ms" } }, "sc.dmax needs rate")
    refuses({ kind = "hfsc", classid = "1:5", sc = { m3 = 1 } }, 'unknown key "sc.m3"')
    refuses({ kind = "hfsc", classid = "1:5", sc = "fast" }, "sc must be a rate")
    refuses({ classid = "1:5" }, "kind is missing")
  end)
end)
