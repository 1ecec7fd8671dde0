--- ns.nft:monitor(): changes by anyone, as events, by file descriptor.
require("spec.support.leaks").gate()
local core = require "netns.core"
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("nft:monitor", function()
  local ns, monitor

  before_each(function()
    ns = netns.new "watched"
    monitor = ns.nft:monitor()
  end)

  after_each(function()
    monitor:close()
    ns:close()
    core.nft_stop()
  end)

  -- Events until the commit's end.
  local function commit()
    local events = {}
    repeat
      local event = assert(monitor:next(5), "no event")
      events[#events + 1] = event
    until event.kind == "generation"
    return events
  end

  local function brief(events)
    local lines = {}
    for i, e in ipairs(events) do
      lines[i] = ("%s %s %s"):format(e.event, e.kind, e.kind == "rule" and e.chain or e.set or e.name or "")
    end
    return lines
  end

  it("tells what nft(8) does", function()
    sh.nft("watched", [['add table inet t { comment "tc"; }
      add chain inet t c { type filter hook input priority 5; policy drop; comment "cc"; }
      add counter inet t k
      add set inet t s { type ipv4_addr; flags timeout; }
      add element inet t s { 10.0.0.1 timeout 1h comment "one" }
      add rule inet t c ip saddr @s counter accept comment "rc"']])
    local events = commit()
    assert.same({ "new table t", "new chain c", "new counter k", "new set s", "new element s", "new rule c",
      "new generation " }, brief(events))
    local t, c, _, s, e, r, g = table.unpack(events)
    assert.same({ "inet", "tc" }, { t.family, t.comment })
    assert.same({ "filter", "input", 5, "drop", "cc" }, { c.type, c.hook, c.prio, c.policy, c.comment })
    assert.same({ "timeout" }, s.flags)
    assert.equal("10.0.0.1", e.elements[1].value)
    assert.equal("one", e.elements[1].comment)
    assert.equal(3600000, e.elements[1].timeout_ms)
    assert.equal("rc", r.comment)
    assert.equal(sh.nft("watched", "-j list chain inet t c").nftables[3].rule.handle, r.handle)
    assert.same({ "payload", "lookup", "counter", "immediate" },
      table.move(r.expressions, #r.expressions - 3, #r.expressions, 1, {}))
    assert.equal("nft", g.process)
    assert.equal("integer", math.type(g.id))
  end)

  it("tells what we do, and deletions", function()
    local t = ns.nft:table { family = "ip", name = "t" }
    assert.same({ "new table t", "new generation " }, brief(commit()))
    local rule = t:chain("c"):rule "accept"
    commit()
    commit()
    rule:del()
    assert.same({ "del rule c", "new generation " }, brief(commit()))
    t:del()
    local events = brief(commit())
    assert.equal("new generation ", events[#events])
    assert.equal("del table t", events[#events - 1])
  end)

  it("reads elements of each type", function()
    for _, case in ipairs {
      { "ipv4_addr", "10.1.2.3", "10.1.2.3" },
      { "ipv6_addr", "fd00::1:0:0:2", "fd00::1:0:0:2" },
      { "ipv6_addr", "::1", "::1" },
      { "ipv6_addr", "fd00::", "fd00::" },
      { "ipv6_addr", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
      { "inet_service", "80", 80 },
      { "inet_proto", "tcp", 6 },
      { "mark", "0x10", 16 },
      { "ifname", "eth0", "eth0" },
      { "ether_addr", "02:00:00:00:00:0a", "02:00:00:00:00:0a" },
      { "ipv4_addr . inet_service", "10.0.0.1 . 80", { "10.0.0.1", 80 } },
      { "inet_proto . ipv6_addr . inet_service", "udp . fd00::1 . 53", { 17, "fd00::1", 53 } },
    } do
      ns.nft:run(("table ip t { set s { type %s; }; }\nadd element ip t s { %s }"):format(case[1], case[2]))
      local value
      for _, event in ipairs(commit()) do
        if event.kind == "element" then
          value = event.elements[1].value
        end
      end
      assert.same(case[3], value, case[1])
      ns.nft:flush()
      commit()
    end
  end)

  it("knows sets that were there before", function()
    ns.nft:run "table ip t { set s { type ipv4_addr; }; }"
    local late <close> = ns.nft:monitor()
    ns.nft:run "add element ip t s { 10.0.0.9 }"
    assert.equal("10.0.0.9", late:next(5).elements[1].value)
  end)

  it("has verdicts of maps", function()
    ns.nft:run "table ip t { chain o { }; map m { type ipv4_addr : verdict; elements = { 10.0.0.1 : jump o }; }; }"
    for _, event in ipairs(commit()) do
      if event.kind == "element" then
        assert.equal("jump o", event.elements[1].data)
      end
    end
  end)

  it("waits no longer than it is told", function()
    assert.is_nil(monitor:next(0))
    assert.is_nil(monitor:next(0.05))
    assert.is_nil(monitor:each(0)())
    assert.has_error(function()
      monitor:next(-1)
    end)
  end)

  it("has a descriptor for event loops", function()
    local cqueues = require "cqueues"
    local got
    local loop = cqueues.new()
    loop:wrap(function()
      cqueues.poll { pollfd = monitor:fd(), events = "r" }
      got = monitor:next(0)
    end)
    loop:wrap(function()
      ns.nft:run "add table ip t"
    end)
    assert(loop:loop(5))
    assert.equal("table", got.kind)
  end)

  it("tells of an overrun", function()
    features.need_root "make nft transactions larger than net.core.wmem_max"
    local text = {}
    for i = 1, 40000 do
      text[i] = ("add chain ip t c%d_%s"):format(i, ("x"):rep(200))
    end
    ns.nft:run("add table ip t\n" .. table.concat(text, "\n"), nil, { echo = false })
    ns.nft:flush()
    local kinds = {}
    for event in monitor:each(0) do
      kinds[event.kind] = (kinds[event.kind] or 0) + 1
    end
    assert.is_true((kinds.overrun or 0) > 0 or kinds.chain == 80000, "neither all events nor an overrun")
  end)

  it("is closed once, and says so", function()
    assert.equal("nft monitor of watched", tostring(monitor))
    monitor:close()
    monitor:close()
    assert.equal("nft monitor of watched (closed)", tostring(monitor))
    assert.has_error(function()
      monitor:next(0)
    end)
  end)
end)
