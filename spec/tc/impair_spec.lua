--- link:impair, the one call that labs use.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local nets = require "spec.support.nets"
local sh = require "spec.support.sh"

local function refuses(fn, words)
  local ok, err = pcall(fn)
  assert.is_false(ok)
  assert.matches(words, tostring(err), nil, true)
  assert.matches("impair_spec.lua:%d+: ", tostring(err))
end

describe("link:impair", function()
  local net, link, peer

  setup(function()
    features.need("netem", "tbf")
  end)

  before_each(function()
    net = nets.line { "a", "b" }
    link, peer = net.a.link:get "right", net.b.link:get "left"
  end)

  after_each(function()
    for _, ns in ipairs(net.list) do
      ns:close()
    end
  end)

  local function root(at)
    return at.qdisc:get { parent = "root" }
  end

  local function assert_plain(at)
    assert.same({ dev = at.name, kind = "noqueue", parent = "root" }, root(at))
  end

  it("impairs both directions, each by what is said", function()
    assert.equal(link, link:impair { delay = "30ms", jitter = "1ms", loss = 0.01, rate = "10mbit", duplicate = "2%",
      reorder = "3%", corrupt = "4%", seed = 7 })
    for _, at in ipairs { link, peer } do
      local q = root(at)
      assert.same({ "netem", 0.03, 0.001, 0.01, 10000000, 0.02, 0.03, 0.04, 7 }, { q.kind, q.delay, q.jitter, q.loss,
        q.rate, q.duplicate, q.reorder, q.corrupt, q.seed })
      local seen = sh.tc(at.netns, "-j qdisc show dev " .. at.name .. " root")[1]
      assert.equal(0.03, seen.options.delay.delay)
    end
  end)

  it("changes when applied again, and goes without a trace", function()
    link:impair { delay = "30ms", jitter = "5ms", distribution = "normal", loss = "1%" }
    link:impair { delay = "40ms", jitter = "1ms" }
    assert.same({ 0.04, 0.001 }, { root(peer).delay, root(peer).jitter })
    assert.is_nil(root(link).loss)
    link:impair { rate = "8mbit" }
    assert.same({ "tbf", 8000000 }, { root(link).kind, root(link).rate })
    link:impair { loss = 0.5 }
    assert.equal("netem", root(peer).kind)
    link:impair(nil)
    link:impair(nil)
    assert_plain(link)
    assert_plain(peer)
    link:impair { loss = 0.5 }
    link:impair(false)
    assert_plain(peer)
    link:impair { loss = 0.5 }
    link:impair {}
    assert_plain(link)
  end)

  it("impairs one way if said, and leaves the other as it is", function()
    link:impair { loss = 1, direction = "ingress" }
    assert.equal("noqueue", root(link).kind)
    assert.equal(1.0, root(peer).loss)
    link:impair { delay = "1ms", direction = "egress" }
    assert.equal(0.001, root(link).delay)
    assert.equal(1.0, root(peer).loss)
    link:impair { direction = "ingress" }
    assert.equal("noqueue", root(peer).kind)
    assert.equal(0.001, root(link).delay)
  end)

  it("takes the impairment away, but no other qdisc", function()
    link.qdisc:replace { kind = "fq_codel" }
    link:impair(nil)
    assert.equal("fq_codel", root(link).kind)
  end)

  it("finds the other end: here, in a namespace with a name, and where it is told", function()
    local ns <close> = netns.new()
    local named <close> = netns.new "named"
    ns.link:add { name = "x0", type = "veth", peer = { name = "x1" } }
    ns.link:add { name = "y0", type = "veth", peer = { name = "y1", netns = named } }
    ns.link:get("x0"):impair { loss = 0.5 }
    assert.equal(0.5, root(ns.link:get "x1").loss)
    ns.link:get("y0"):impair { loss = 0.5, peer = named.link:get "y1" }
    assert.equal(0.5, root(named.link:get "y1").loss)
    local code = [[
      local netns = require "netns"
      local ns = netns.open "a2"
      ns.link:get("y0"):impair { loss = 0.25 }
      print(ns.link:get("y0").qdisc:get({ parent = "root" }).loss)]]
    local a2 <close> = netns.new "a2"
    a2.link:add { name = "y0", type = "veth", peer = { name = "y9", netns = named } }
    sh.run { "lua5.4", "-e", code } -- another program, which has no handle of `named`
    assert.equal(0.25, root(named.link:get "y9").loss)
  end)

  it("says what it cannot do", function()
    local hidden = netns.new()
    local ns <close> = netns.new()
    ns.link:add { name = "z0", type = "veth", up = true, peer = { name = "z1", netns = hidden } }
    local keeper <close> = hidden:spawn { "cat" }
    hidden:close()
    assert.is_nil(keeper.code)
    refuses(function()
      ns.link:get("z0"):impair { loss = 0.5 }
    end, "z0 has its other end in a namespace that this program has no handle of")
    ns.link:get("z0"):impair { loss = 0.5, direction = "egress" }
    ns.link:get("z0"):impair(nil)
    assert.equal("noqueue", root(ns.link:get "z0").kind)
    ns.link:add { name = "br0", type = "bridge", up = true }
    ns.link:get("br0"):impair { delay = "1ms" }
    assert.equal(0.001, root(ns.link:get "br0").delay)
    refuses(function()
      ns.link:get("br0"):impair { delay = "1ms", direction = "ingress" }
    end, "br0 is a bridge and has no other end")
  end)

  it("in effect: a round trip takes both delays, all are lost one way", function()
    link:impair { delay = "50ms" }
    local r = net.a:ping("10.0.1.2", { count = 4, interval = 0.05, timeout = 5 })
    assert.equal(4, r.received)
    assert.is_true(r.min >= 0.1 and r.min < 0.15, "shortest round trip " .. r.min)
    link:impair { loss = "100%", direction = "ingress" }
    assert.is_nil((net.a:ping("10.0.1.2", { count = 2, interval = 0.05, timeout = 0.3 })))
    assert.is_true(peer.qdisc:get({ parent = "root", stats = true }).stats.drops > 0)
  end)
end)

describe("a lab", function()
  local topology = require "netns.topology"

  setup(function()
    features.need("netem", "tbf")
  end)

  local function root(ns, dev)
    return ns.qdisc:get { dev = dev, parent = "root" }
  end

  it("impairs its links as its description says, and as it is told", function()
    local t = topology.new "wan"
    local a, b, c = t:host "a", t:router "b", t:host "c"
    a:connect(b, { delay = "10ms", loss = "1%" })
    b:connect(c, { rate = "10mbit" })
    local lab <close> = t:up()
    for _, at in ipairs { { lab.a, "eth0" }, { lab.b, "eth0" } } do
      local q = root(at[1], at[2])
      assert.same({ "netem", 0.01, 0.01 }, { q.kind, q.delay, q.loss })
    end
    assert.same({ "tbf", 10000000 }, { root(lab.c, "eth0").kind, root(lab.c, "eth0").rate })
    assert.equal(0, #lab:diff())
    lab:impair("a", "b", { delay = "5ms" })
    assert.same({ 0.005, nil }, { root(lab.b, "eth0").delay, root(lab.b, "eth0").loss })
    lab:impair("b", "c", {})
    assert.equal("noqueue", root(lab.c, "eth0").kind)
    lab.c.qdisc:replace { dev = "eth0", kind = "fq_codel" }
    assert.equal("fq_codel", lab:diff()[1].found)
    lab:repair()
    assert.equal("noqueue", root(lab.c, "eth0").kind)
    assert.equal(0, #lab:diff())
  end)

  it("names the line of its description where the kernel refuses", function()
    local t = topology.new "bad"
    t:host("a"):connect(t:host "b", { reorder = "5%" })
    local ok, err = pcall(t.up, t)
    assert.is_false(ok)
    assert.matches("reorder needs a delay", tostring(err))
    assert.matches("node a", tostring(err))
  end)
end)

describe("link:impair", function()
  it("refuses what cannot be", function()
    local ns <close> = netns.new()
    local lo = ns.link:get "lo"
    local function bad(opts, words)
      refuses(function()
        lo:impair(opts)
      end, words)
    end
    bad({ dealy = "1ms" }, 'link impair: unknown key "dealy" (did you mean "delay"?)')
    bad({ direction = "up" }, 'direction must be "both", "egress" or "ingress", got "up"')
    bad({ peer = "eth0" }, "link impair: peer: a Link expected")
    bad({ delay = "soon" }, 'delay must be a time such as "10ms", or seconds, got "soon"')
    bad({ rate = "fast" }, 'rate must be a rate such as "1mbit", or bit/s, got "fast"')
    bad({ loss = 2 }, "loss must be a share")
    bad("10ms", "link impair: expected a table, or nil")
  end)
end)
