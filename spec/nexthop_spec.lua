require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local hops = { "nexthop add id 1 via 10.0.0.2 dev e0", "nexthop add id 2 via 10.0.0.3 dev e0" }

twins.describe {
  noun = "nexthop",
  show = { "nexthop show" },
  prepare = twins.pair,
  volatile = {},
  ip_rows = function(rows)
    for _, row in ipairs(rows) do
      if row.resilient_args then
        row.resilient_args.unbalanced_time = nil
      end
    end
    return rows
  end,
  cases = {
    { { id = 5, via = "10.0.0.2", dev = "e0" }, "nexthop add id 5 via 10.0.0.2 dev e0" },
    { { id = 5, via = "fd00::2", dev = "e0" }, "nexthop add id 5 via fd00::2 dev e0" },
    { { id = 5, dev = "e0" }, "nexthop add id 5 dev e0" },
    { { id = 5, family = "inet6", dev = "e0" }, "-6 nexthop add id 5 dev e0" },
    { { id = 5, blackhole = true }, "nexthop add id 5 blackhole" },
    { { id = 5, via = "172.16.0.1", dev = "e0", onlink = true }, "nexthop add id 5 via 172.16.0.1 dev e0 onlink" },
    { { id = 5, via = "10.0.0.2", dev = "e0", proto = "static" },
      "nexthop add id 5 via 10.0.0.2 dev e0 proto static" },
    { { id = 5, via = "10.0.0.9", fdb = true }, "nexthop add id 5 via 10.0.0.9 fdb" },
    { { id = 5, group = { 1, { id = 2, weight = 20 } } }, "nexthop add id 5 group 1/2,20", setup = hops },
    { { id = 5, group = { 1, 2 }, type = "resilient", resilient = { buckets = 8, idle_timer = 6000 } },
      "nexthop add id 5 group 1/2 type resilient buckets 8 idle_timer 60", setup = hops },
  },
}

describe("ns.nexthop", function()
  local ns

  before_each(function()
    ns = netns.new "nexthop"
    twins.pair(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("carries routes, is replaced under them, and gets, deletes and flushes", function()
    ns.nexthop:add { id = 1, via = "10.0.0.2", dev = "e0" }
    ns.route:add { dst = "10.9.0.0/16", nhid = 1 }
    assert.equal("10.0.0.2", ns.route:get("10.9.0.1").via)
    ns.nexthop:replace { id = 1, via = "10.0.0.3", dev = "e0" }
    assert.equal("10.0.0.3", ns.route:get("10.9.0.1").via)
    assert.equal("10.0.0.3", sh.ip("nexthop", "-j nexthop get id 1")[1].gateway)
    assert.equal("10.0.0.3", ns.nexthop:get({ id = 1 }).via)
    assert.is_nil(ns.nexthop:get { id = 9 })
    ns.nexthop:del { id = 1 }
    assert.equal(0, #ns.route:list { dst = "10.9.0.0/16" })
    ns.nexthop:add { id = 2, blackhole = true }
    assert.equal(1, ns.nexthop:flush())
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.nexthop:add(args)
      end, words, nil, true)
    end
    refuses({ id = 0 }, "id must be an integer from 1 to 4294967295, got 0")
    refuses({ id = 1, group = {} }, "group must be a list of ids")
    refuses({ id = 1, group = { { wieght = 1 } } }, "group[1] may have id and weight only")
    refuses({ id = 1, group = { { id = 1, weight = 257 } } }, "weight must be an integer from 1 to 256")
    refuses({ id = 1, group = { "1" } }, "group[1] must be an id or")
    assert.error_matches(function()
      ns.nexthop:del { via = "10.0.0.2" }
    end, "nexthop del: id is missing", nil, true)
  end)
end)
