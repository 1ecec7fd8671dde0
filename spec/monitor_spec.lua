require("spec.support.leaks").gate { warm = function()
  require("spec.support.luv").loop_mode()
end }
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"

local ns

before_each(function()
  ns = netns.new()
end)

after_each(function()
  ns:close()
end)

-- The first event that fits, within 5 s.
local function expect(m, event, kind, data)
  for e in m:each(5) do
    local fits = e.event == event and e.kind == kind
    for key, value in pairs(data or {}) do
      fits = fits and e.data[key] == value
    end
    if fits then
      return e.data
    end
  end
  error(("no event %s %s"):format(event, kind), 2)
end

describe("a monitor", function()
  it("tells what ip(8) does, as tables that list gives", function()
    local m <close> = ns:monitor()
    sh.ip(ns, "link add eth0 type veth peer name eth1")
    local data = expect(m, "new", "link", { name = "eth0" })
    local listed = ns.link:get("eth0")
    assert.equal(listed.ifindex, data.ifindex)
    assert.equal("veth", data.type)
    sh.ip(ns, "link set eth0 up")
    sh.ip(ns, "link set eth1 up")
    expect(m, "new", "link", { name = "eth0", operstate = "up" })
    sh.ip(ns, "addr add 10.0.0.1/24 dev eth0")
    local addr = expect(m, "new", "addr", { address = "10.0.0.1/24" })
    assert.same(ns.addr:list({ dev = "eth0", family = "inet" })[1], addr)
    sh.ip(ns, "route add 10.9.0.0/16 via 10.0.0.2 metric 5")
    assert.same(ns.route:list({ dst = "10.9.0.0/16" })[1], expect(m, "new", "route", { dst = "10.9.0.0/16" }))
    sh.ip(ns, "neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev eth0")
    assert.same(ns.neigh:list({ dst = "10.0.0.7" })[1], expect(m, "new", "neigh", { dst = "10.0.0.7" }))
    sh.ip(ns, "rule add from 10.0.0.0/8 lookup 100 pref 77")
    assert.same(ns.rule:list({ priority = 77 })[1], expect(m, "new", "rule", { priority = 77 }))
    sh.ip(ns, "nexthop add id 5 via 10.0.0.2 dev eth0")
    assert.same(ns.nexthop:list({ id = 5 })[1], expect(m, "new", "nexthop", { id = 5 }))

    sh.ip(ns, "rule del pref 77")
    expect(m, "del", "rule", { priority = 77 })
    sh.ip(ns, "route del 10.9.0.0/16")
    expect(m, "del", "route", { dst = "10.9.0.0/16", dev = "eth0" })
    sh.ip(ns, "link del eth0")
    expect(m, "del", "addr", { address = "10.0.0.1/24", dev = "eth0" }) -- by name, though it is gone
    expect(m, "del", "link", { name = "eth0" })
  end)

  it("gives what can be added elsewhere", function()
    local m <close> = ns:monitor { "addr", "route" }
    ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    ns.link:set { dev = "eth0", up = true }
    ns.addr:add { dev = "eth0", address = "10.0.0.1/24" }
    ns.route:add { dst = "10.9.0.0/16", via = "10.0.0.2", metric = 7 }
    local addr = expect(m, "new", "addr", { address = "10.0.0.1/24" })
    local route = expect(m, "new", "route", { dst = "10.9.0.0/16" })
    local other <close> = netns.new()
    other.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    other.link:set { dev = "eth0", up = true }
    other.addr:add(addr)
    other.route:add(route)
    assert.same(ns.route:list({ dst = "10.9.0.0/16" })[1], other.route:list({ dst = "10.9.0.0/16" })[1])
  end)

  it("listens to what it is told to only", function()
    local m <close> = ns:monitor { "addr" }
    ns.link:set { dev = "lo", up = true }
    ns.addr:add { dev = "lo", address = "10.0.0.1/32" }
    for e in m:each(0) do
      assert.equal("addr", e.kind)
    end
    assert.is_nil(m:next(0))
    assert.is_nil(m:next(0.02))
  end)

  it("tells of the firewall, too", function()
    local m <close> = ns:monitor { "nft", "link" }
    sh.nft(ns, "add table inet t")
    ns.link:set { dev = "lo", up = true }
    local seen = {}
    for e in m:each(5) do
      seen[e.kind .. " " .. (e.data.name or "")] = true
      if seen["link lo"] and seen["nft t"] then
        break
      end
    end
    assert.is_true(seen["nft t"])
    assert.is_true(seen["link lo"])
    assert.matches("table inet t", m:resync().nft)
  end)

  it("loses nothing of 100,000 events, or says so", function()
    ns.link:set { dev = "lo", up = true }
    local function burst(m)
      ns:batch(function(b)
        for i = 1, 100000 do
          b.route:add { dst = ("10.%d.%d.%d/32"):format(1 + (i >> 16), i >> 8 & 255, i & 255), dev = "lo" }
        end
      end)
      local events, overruns = 0, 0
      for e in m:each(0) do
        if e.event == "overrun" then
          overruns = overruns + 1
        else
          events = events + 1
        end
      end
      return events, overruns
    end
    local m <close> = ns:monitor { "route" }
    m:resync()
    local events, overruns = burst(m)
    assert.is_true(events == 100000 or overruns > 0)
    ns.route:flush { proto = "boot" }

    local small <close> = ns:monitor { "route", buffer = 8192 }
    events, overruns = burst(small)
    assert.is_true(events < 100000)
    assert.is_true(overruns > 0)
    local now = small:resync()
    assert.equal(100000, #now.route)
    sh.ip(ns, "route add 192.0.2.1 dev lo")
    expect(small, "new", "route", { dst = "192.0.2.1" })
  end)

  it("is driven by luv and cqueues", function()
    local uv, cqueues = require "spec.support.luv", require "cqueues"
    for _, kinds in ipairs { { "addr" }, { "addr", "nft" } } do
      local m <close> = ns:monitor(kinds)
      local poll, seen = uv.new_poll(m:fd()), nil
      poll:start("r", function()
        for e in m:each(0) do
          if e.kind == "addr" then
            seen = e.data.address
            poll:close()
            return
          end
        end
      end)
      ns.addr:add { dev = "lo", address = "10.0.0.1/32" }
      uv.run()
      assert.equal("10.0.0.1/32", seen)

      local loop = cqueues.new()
      loop:wrap(function()
        cqueues.poll { pollfd = m:fd(), events = "r" }
        seen = m:next(0)
      end)
      loop:wrap(function()
        ns.addr:del { dev = "lo", address = "10.0.0.1/32" }
      end)
      assert(loop:loop())
      assert.equal("del", seen.event)
    end
  end)

  it("refuses what has no events", function()
    local function refused(pattern, ...)
      local ok, err = pcall(ns.monitor, ns, ...)
      assert.is_false(ok)
      assert.matches(pattern, err)
    end
    refused('monitor: "links" has no events', { "links" })
    refused("monitor: kind 1 must be a string, got number", { 7 })
    refused('monitor: unknown key "route"', { route = true })
    refused("monitor: a list of kinds expected, got \"link\"", "link")
    refused("monitor: buffer must be an integer", { buffer = 1 })
    local m = ns:monitor()
    assert.matches("^monitor of netns:%[%d+%]$", tostring(m))
    assert.error_matches(function() m:next(-1) end, "a timeout is a number of seconds, got %-1")
    m:close()
    m:close()
    assert.error_matches(function() m:next() end, "the monitor is closed")
    assert.error_matches(function() m:fd() end, "the monitor is closed")
    local n = ns:monitor()
    ns:close()
    assert.error_matches(function() n:next(0) end, "the monitor's namespace is closed")
    n:close()
  end)
end)
