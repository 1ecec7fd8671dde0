require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

-- Addresses of `ip -j` stand in lists by link: here each is a row of its own.
twins.describe {
  noun = "addr",
  show = { "addr show" },
  prepare = twins.pair,
  volatile = { "valid_lft", "preferred_lft", "tentative" },
  ip_volatile = { "link_netnsid", "ifindex", "link_index" },
  ip_rows = function(links)
    local rows = {}
    for _, link in ipairs(links) do
      for _, addr in ipairs(link.addr_info) do
        addr.dev = link.ifname
        -- lifetimes run; whether there is one does not
        addr.valid = addr.valid_life_time == 4294967295 or "some"
        addr.preferred = addr.preferred_life_time == 4294967295 or "some"
        addr.valid_life_time, addr.preferred_life_time, addr.tentative = nil, nil, nil
        rows[#rows + 1] = addr
      end
    end
    return rows
  end,
  cases = {
    { { dev = "e0", address = "10.1.0.1/24" }, "addr add 10.1.0.1/24 dev e0" },
    { { dev = "e0", address = "10.1.0.1" }, "addr add 10.1.0.1 dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", broadcast = "+" }, "addr add 10.1.0.1/24 broadcast + dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", broadcast = "10.1.0.7" },
      "addr add 10.1.0.1/24 broadcast 10.1.0.7 dev e0" },
    { { dev = "e0", address = "10.1.0.1", peer = "10.1.0.2/32" }, "addr add 10.1.0.1 peer 10.1.0.2/32 dev e0" },
    { { dev = "e0", address = "10.1.0.1", peer = "10.1.0.2/24" }, "addr add 10.1.0.1 peer 10.1.0.2/24 dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", label = "e0:x" }, "addr add 10.1.0.1/24 label e0:x dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", scope = "link" }, "addr add 10.1.0.1/24 scope link dev e0" },
    { { dev = "lo", address = "127.0.0.9/8" }, "addr add 127.0.0.9/8 dev lo" },
    { { dev = "e0", address = "10.1.0.1/24", metric = 50 }, "addr add 10.1.0.1/24 metric 50 dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", noprefixroute = true }, "addr add 10.1.0.1/24 noprefixroute dev e0" },
    { { dev = "e0", address = "224.1.0.1/32", autojoin = true }, "addr add 224.1.0.1/32 autojoin dev e0" },
    { { dev = "e0", address = "10.1.0.1/24", valid_lft = 1000, preferred_lft = 900 },
      "addr add 10.1.0.1/24 valid_lft 1000 preferred_lft 900 dev e0" },
    { { dev = "e0", address = "10.0.0.9/24" }, "addr add 10.0.0.9/24 dev e0" },
    { { dev = "e0", address = "fd01::1/64", nodad = true }, "addr add fd01::1/64 nodad dev e0" },
    { { dev = "e0", address = "fd01::1", nodad = true }, "addr add fd01::1 nodad dev e0" },
    { { dev = "e0", address = "fd01::1", peer = "fd01::2/128", nodad = true },
      "addr add fd01::1 peer fd01::2/128 nodad dev e0" },
    { { dev = "e0", address = "fd01::1/64", nodad = true, home = true }, "addr add fd01::1/64 nodad home dev e0" },
    { { dev = "e0", address = "fd01::1/64", nodad = true, mngtmpaddr = true, valid_lft = 5000, preferred_lft = 0 },
      "addr add fd01::1/64 nodad mngtmpaddr valid_lft 5000 preferred_lft 0 dev e0" },
    { { dev = "e0", address = "fe80::9/64", nodad = true, scope = "link" }, "addr add fe80::9/64 nodad dev e0" },
    { { dev = "e0", address = "fd01::1/64", nodad = true, metric = 77, noprefixroute = true },
      "addr add fd01::1/64 nodad metric 77 noprefixroute dev e0" },
  },
}

describe("ns.addr", function()
  local ns

  before_each(function()
    ns = netns.new "addr"
    twins.pair(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("changes, replaces and deletes", function()
    local addr = ns.link:get("e0").addr
    addr:add { address = "10.1.0.1/24", valid_lft = 100, preferred_lft = 100 }
    addr:change { address = "10.1.0.1/24", valid_lft = "forever", preferred_lft = "forever" }
    assert.equal("forever", addr:get({ address = "10.1.0.1/24" }).valid_lft)
    addr:replace { address = "10.1.0.1/24" }
    addr:del "10.1.0.1/24"
    assert.is_nil(addr:get { address = "10.1.0.1/24" })
  end)

  it("lists one link's, one family's, by any key", function()
    assert.equal(2, #ns.link:get("e0").addr:list())
    assert.equal(0, #ns.addr:list { dev = "p0" })
    assert.equal("fd00::1/64", ns.addr:list({ family = "inet6", dev = "e0" })[1].address)
    assert.equal("e0", ns.addr:get({ address = "fd00:0::1/64" }).dev)
    assert.equal(1, #ns.addr:list { dev = "e0", nodad = true })
  end)

  it("flushes what it would list", function()
    for i = 1, 20 do
      ns.addr:add { dev = "e0", address = ("10.1.0.%d/24"):format(i) } -- secondaries go with the first
    end
    ns.addr:flush { dev = "e0", family = "inet" }
    local left = sh.ip("addr", "-j -4 addr show dev e0")
    assert.equal(0, #(left[1] and left[1].addr_info or {}))
    assert.equal(1, #ns.addr:list { dev = "e0" })
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.addr:add(args)
      end, words, nil, true)
    end
    refuses({ dev = "e0", adress = "10.0.0.1" }, 'addr add: unknown key "adress" (did you mean "address"?)')
    refuses({ dev = "e0" }, "addr add: address is missing")
    refuses("10.0.0.1/24", "addr add: dev is missing")
    refuses({ dev = "e0", address = "10.0.0.1/33" }, "address must be an address such as")
    refuses({ dev = "e0", address = "10.0.0.1/" }, "address must be an address such as")
    refuses({ dev = "e0", address = "10.0.0.256" }, "address must be an address such as")
    refuses({ dev = "e0", address = "10.1.0.1", peer = "fd00::2" }, "is IPv")
    refuses({ dev = "e0", address = "fd00::2", broadcast = "+" }, "broadcast is for IPv4 only")
    refuses({ dev = "e0", address = "10.1.0.1", valid_lft = "soon" }, 'valid_lft must be seconds or "forever"')
    refuses({ dev = "e0", address = "10.1.0.1", scope = "globe" }, 'did you mean "global"?')
    refuses({ dev = "e0", address = "10.1.0.1", label = ("x"):rep(16) }, "label must be at most 15 bytes long")
    refuses({ dev = "nope", address = "10.1.0.1" }, 'No such device (ENODEV): no interface "nope"')
    assert.equal(2, #ns.addr:list { dev = "e0" })
  end)
end)
