require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local function prefix(i)
  return ("%d.%d.%d.0/24"):format(20 + i // 65536, i // 256 % 256, i % 256)
end

describe("ns:batch", function()
  local ns

  before_each(function()
    ns = netns.new "batch"
    twins.pair(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("sends many changes of all nouns, and says how many", function()
    local count = ns:batch(function(b)
      b.addr:add { dev = "e0", address = "10.1.0.1/24" }
      b.route:add { dst = "10.9.0.0/16", via = "10.1.0.2" }
      b.rule:add { priority = 5, table = 7 }
      b.neigh:add { dev = "e0", dst = "10.1.0.2", lladdr = "02:00:00:00:00:09" }
      b.nexthop:add { id = 3, via = "10.1.0.2", dev = "e0" }
      b.route:del { dst = "10.9.0.0/16" }
      b.link:set { dev = "e0", mtu = 1400 }
    end)
    assert.equal(7, count)
    assert.equal(1400, ns.link:get("e0").mtu)
    assert.equal(0, #ns.route:list { dst = "10.9.0.0/16" })
    assert.equal(1, #sh.ip("batch", "-j nexthop show"))
    assert.equal(0, ns:batch(function() end))
  end)

  it("knows links that are made in it, with and without a number of their own", function()
    local other <close> = netns.new "other"
    ns:batch(function(b)
      b.link:add { name = "br0", type = "bridge" }
      b.addr:add { dev = "br0", address = "10.2.0.1/24" }
      b.link:add {
        name = "v0",
        type = "veth",
        index = 77,
        master = "br0",
        alias = "port",
        peer = { name = "v0", netns = other, up = true, addrgenmode = "none", altnames = { "far" } },
      }
      b.link:set { dev = "v0", up = true }
      b.link:set { dev = "br0", up = true }
      b.route:add { dst = "10.9.0.0/16", via = "10.2.0.2" }
    end)
    assert.equal("br0", ns.link:get(77).master)
    assert.equal("port", ns.link:get("v0").alias)
    assert.is_true(other.link:get("far").up)
    assert.equal("br0", ns.route:list({ dst = "10.9.0.0/16" })[1].dev)
  end)

  it("never loses an answer: 100,000 routes in one", function()
    local n = 100000
    assert.equal(n, ns:batch(function(b)
      for i = 0, n - 1 do
        b.route:add { dst = prefix(i), via = "10.0.0.2" }
      end
    end))
    local count = 0
    for _ in ns.route:each { via = "10.0.0.2" } do
      count = count + 1
    end
    assert.equal(n, count)
    assert.equal(n, ns.route:flush { via = "10.0.0.2" })
    assert.equal(1, #ns.route:list { family = "inet" })
  end)

  it("never loses an answer when all of them are refusals", function()
    local n = 20000
    local ok, err = pcall(ns.batch, ns, function(b)
      for i = 0, n - 1 do
        b.route:add { dst = prefix(i), via = "192.0.2.1" }
      end
    end)
    assert.is_false(ok)
    assert.equal(n, err.failed)
    assert.equal(0, err.done)
    assert.equal("ENETUNREACH", err.failures[1].code)
    assert.equal(1000, #err.failures) -- as many as are kept
    assert.equal(1, #ns.route:list { family = "inet" })
  end)

  it("names what failed by its position, and tells the others' outcome", function()
    local ok, err = pcall(ns.batch, ns, function(b)
      b.route:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
      b.route:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
      b.addr:add { dev = "e0", address = "10.0.0.1/24" }
      b.route:add { dst = "10.8.0.0/16", via = "10.0.0.2" }
    end)
    assert.is_false(ok)
    assert.equal("EEXIST", err.code)
    assert.equal("route add", err.op)
    assert.equal("10.9.0.0/16 via 10.0.0.2", err.object:match "^%S+ via %S+")
    assert.same({ 2, 3 }, { err.failures[1].index, err.failures[2].index })
    assert.equal("addr add", err.failures[2].op)
    assert.same({ 2, 2 }, { err.failed, err.done })
    assert.matches("File exists %(EEXIST%).*; operation 2 of 4 failed; 2 of 4 messages were done, 2 failed$",
      tostring(err))
    assert.equal(1, #ns.route:list { dst = "10.8.0.0/16" })
    local _, caught, errno = netns.try(ns.batch, ns, function(b)
      b.route:del { dst = "10.7.0.0/16" }
    end)
    assert.same({ "ESRCH", 3 }, { caught.code, errno })
  end)

  it("sends nothing when the function fails", function()
    for _, fail in ipairs {
      function() error "stop" end,
      function(b) b.route:add { dst = "nonsense" } end,
      function(b) b.route:list() end,
      function(b) b.nothing:add {} end,
    } do
      assert.is_false((pcall(ns.batch, ns, function(b)
        b.route:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
        fail(b)
      end)))
      assert.equal(0, #ns.route:list { dst = "10.9.0.0/16" })
    end
  end)

  it("is over when its function returns", function()
    local kept, noun
    ns:batch(function(b)
      kept, noun = b, b.route
    end)
    assert.error_matches(function()
      noun:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
    end, "the batch is over")
    assert.error_matches(function()
      kept.addr:add { dev = "e0", address = "10.9.0.1" }
    end, "the batch is over")
    assert.error_matches(function()
      ns:batch()
    end, "function expected, got no value")
  end)

  -- Cause: a message names a namespace by descriptor; only those of peers were kept, and nothing was
  -- when they were closed by hand, so that a link could move to whatever had the number by then.
  -- Fix: all that are named are kept, and a batch that names a closed one is not sent.
  it("keeps namespaces that links move to or are born in", function()
    for i = 1, 10 do
      ns.link:add { name = "v" .. i, type = "veth", peer = { name = "w" .. i } }
    end
    ns:batch(function(b)
      for i = 1, 10 do
        b.link:set { dev = "v" .. i, netns = netns.new() }
        b.link:add { name = "x" .. i, type = "bridge", netns = netns.new() }
      end
      collectgarbage()
      collectgarbage()
    end)
    assert.equal(13, #ns.link:list()) -- lo, e0, p0 and ten w
  end)

  it("sends nothing when a namespace that an operation names was closed", function()
    for _, make in ipairs {
      function(b, to) b.link:set { dev = "e0", netns = to } end,
      function(b, to) b.link:add { name = "v", type = "veth", peer = { name = "w", netns = to } } end,
      function(b, to) b.link:add { name = "v", type = "veth", peer = { name = "w", netns = to, up = true } } end,
    } do
      assert.error_matches(function()
        ns:batch(function(b)
          local to = netns.new "gone"
          b.route:add { dst = "10.9.0.0/16", via = "10.0.0.2" }
          make(b, to)
          to:close()
        end)
      end, "batch: gone, which an operation names, was closed meanwhile", nil, true)
      assert.equal(0, #ns.route:list { dst = "10.9.0.0/16" })
      assert.is_not_nil(ns.link:get "e0")
    end
  end)

  it("keeps the namespaces of peers until it has sent", function()
    local ok, err = pcall(ns.batch, ns, function(b)
      for i = 1, 20 do
        b.link:add { name = "v" .. i, type = "veth", peer = { name = "w", netns = netns.new(), up = true } }
      end
      collectgarbage()
      collectgarbage()
    end)
    assert.is_true(ok, tostring(err))
  end)
end)
