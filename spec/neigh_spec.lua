require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local mac = "02:00:00:00:00:77"

twins.describe {
  noun = "neigh",
  show = { "neigh show nud all", "neigh show proxy" },
  prepare = twins.pair,
  ip_rows = function(rows)
    local kept = {}
    for _, row in ipairs(rows) do
      if not (row.state and row.state[1] == "NOARP") then -- the kernel's own notes
        row.used, row.confirmed, row.updated, row.refcnt, row.probes = nil, nil, nil, nil, nil
        kept[#kept + 1] = row
      end
    end
    return kept
  end,
  cases = {
    { { dst = "10.0.0.77", lladdr = mac, dev = "e0" }, "neigh add 10.0.0.77 lladdr " .. mac .. " dev e0" },
    { { dst = "10.0.0.77", lladdr = mac, dev = "e0", state = "reachable" },
      "neigh add 10.0.0.77 lladdr " .. mac .. " dev e0 nud reachable" },
    { { dst = "10.0.0.77", lladdr = mac, dev = "e0", state = "stale" },
      "neigh add 10.0.0.77 lladdr " .. mac .. " dev e0 nud stale" },
    { { dst = "fd00::77", lladdr = mac, dev = "e0", router = true },
      "neigh add fd00::77 lladdr " .. mac .. " dev e0 router" },
    { { dst = "fd00::77", lladdr = mac, dev = "e0", extern_learn = true, proto = "static" },
      "neigh add fd00::77 lladdr " .. mac .. " dev e0 extern_learn protocol static" },
  },
}

describe("ns.neigh", function()
  local ns

  before_each(function()
    ns = netns.new "neigh"
    twins.pair(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("has proxies, listed when asked for, as ip does", function()
    ns.neigh:add { dst = "10.0.0.88", dev = "e0", proxy = true }
    assert.equal("10.0.0.88", sh.ip("neigh", "-j neigh show proxy")[1].dst)
    sh.run "ip -n neigh neigh add proxy fd00::88 dev e0"
    local proxies = ns.neigh:list { proxy = true }
    assert.equal(2, #proxies)
    assert.equal(0, #ns.neigh:list())
    local other <close> = netns.new()
    twins.pair(other)
    for _, proxy in ipairs(proxies) do
      other.neigh:add(proxy)
    end
    assert.same(proxies, other.neigh:list { proxy = true })
    ns.neigh:del { dst = "10.0.0.88", dev = "e0", proxy = true }
    assert.equal(1, #ns.neigh:list { proxy = true })
  end)

  it("replaces, changes, deletes and flushes", function()
    local neigh = ns.link:get("e0").neigh
    neigh:add { dst = "10.0.0.77", lladdr = mac }
    neigh:replace { dst = "10.0.0.77", lladdr = "02:00:00:00:00:78" }
    assert.equal("02:00:00:00:00:78", neigh:get("10.0.0.77").lladdr)
    neigh:change { dst = "10.0.0.77", lladdr = mac, state = "stale" }
    assert.equal("stale", neigh:get("10.0.0.77").state)
    neigh:add { dst = "fd00::77", lladdr = mac }
    assert.equal(1, #ns.neigh:list { family = "inet6" })
    assert.equal(0, #ns.neigh:list { dev = "p0" })
    neigh:del "10.0.0.77"
    assert.is_nil(neigh:get "10.0.0.77")
    neigh:flush()
    assert.same({}, sh.ip("neigh", "-j neigh show dev e0"))
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.neigh:add(args)
      end, words, nil, true)
    end
    refuses({ dst = "10.0.0.77", dev = "e0", lladr = mac }, 'unknown key "lladr" (did you mean "lladdr"?)')
    refuses({ dst = "10.0.0.77", dev = "e0", lladdr = "02:00:zz" }, "lladdr must be a link-layer address")
    refuses({ dst = "10.0.0.77", dev = "e0", lladdr = "02:" }, "lladdr must be a link-layer address")
    refuses({ dst = "10.0.0.77", lladdr = mac }, "dev is missing")
    refuses({ dev = "e0", lladdr = mac }, "dst is missing")
    refuses({ dst = "10.0.0.77", dev = "e0", state = "reacheable" }, 'did you mean "reachable"?')
  end)
end)
