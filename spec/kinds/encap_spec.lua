--- Encapsulation by routes, and routes of MPLS: what we make, what `ip route` makes and what is made from our list are
-- the same; and packets go the way they say.
require("spec.support.leaks").gate()
local capture = require "spec.support.capture"
local features = require "spec.support.features"
local nets = require "spec.support.nets"
local netns = require "netns"
local twins = require "spec.support.twins"

local function labels(ns)
  features.need "mpls"
  ns.sysctl["net.mpls.platform_labels"] = 1000
end

twins.describe {
  noun = "route",
  show = { "-f mpls route show" },
  filter = { family = "mpls" },
  prepare = function(ns)
    labels(ns)
    twins.pair(ns)
  end,
  cases = {
    { { family = "mpls", dst = 100, via = "10.0.0.2", as = "200" }, "-f mpls route add 100 via inet 10.0.0.2 as 200" },
    { { family = "mpls", dst = "101", via = "10.0.0.2", as = "200/300" },
      "-f mpls route add 101 via inet 10.0.0.2 as 200/300" },
    { { family = "mpls", dst = 102, via = "fd00::2", dev = "e0" }, "-f mpls route add 102 via inet6 fd00::2 dev e0" },
    { { family = "mpls", dst = 103, dev = "lo", proto = "static" }, "-f mpls route add 103 dev lo proto static" },
    { { family = "mpls", dst = 104, via = "10.0.0.2", ttl_propagate = 0 },
      "-f mpls route add 104 via inet 10.0.0.2 ttl-propagate disabled" },
    { { family = "mpls", dst = 105, nexthops = { { via = "10.0.0.2", as = 200 }, { via = "10.0.0.3", as = "7/8" } } },
      "-f mpls route add 105 nexthop as 200 via inet 10.0.0.2 nexthop as 7/8 via inet 10.0.0.3" },
  },
}

twins.describe {
  noun = "route",
  show = { "-6 route show", "-4 route show" },
  prepare = twins.pair,
  cases = {
    { { dst = "fd09::/64", dev = "e0", encap = { type = "seg6", segs = { "fd00::8", "fd00::9" } } },
      "-6 route add fd09::/64 dev e0 encap seg6 mode encap segs fd00::8,fd00::9", needs = "seg6" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "seg6", mode = "inline", segs = { "fd00::8", "fd00::9" } } },
      "-6 route add fd09::/64 dev e0 encap seg6 mode inline segs fd00::8,fd00::9", needs = "seg6" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "seg6", mode = "l2encap", segs = { "fd00::8" } } },
      "-6 route add fd09::/64 dev e0 encap seg6 mode l2encap segs fd00::8", needs = "seg6" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "seg6", mode = "encap.red", segs = { "fd00::8", "fd00::7" } } },
      "-6 route add fd09::/64 dev e0 encap seg6 mode encap.red segs fd00::8,fd00::7", needs = "seg6" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "seg6", segs = { "fd00::8" }, hmac = 7 } },
      "-6 route add fd09::/64 dev e0 encap seg6 mode encap segs fd00::8 hmac 7", needs = "seg6" },
    { { dst = "10.9.0.0/16", dev = "e0", encap = { type = "seg6", segs = { "fd00::8" } } },
      "route add 10.9.0.0/16 dev e0 encap seg6 mode encap segs fd00::8", needs = "seg6" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End" } },
      "-6 route add fd09::1 dev e0 encap seg6local action End", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End", count = true } },
      "-6 route add fd09::1 dev e0 encap seg6local action End count", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End", flavors = { "psp" } } },
      "-6 route add fd09::1 dev e0 encap seg6local action End flavors psp", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End", flavors = { "next-csid" },
        lblen = 48, nflen = 16 } },
      "-6 route add fd09::1 dev e0 encap seg6local action End flavors next-csid lblen 48 nflen 16",
      needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.X", nh6 = "fd00::9" } },
      "-6 route add fd09::1 dev e0 encap seg6local action End.X nh6 fd00::9", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.T", table = 100 } },
      "-6 route add fd09::1 dev e0 encap seg6local action End.T table 100", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.DX2", oif = "p0" } },
      "-6 route add fd09::1 dev e0 encap seg6local action End.DX2 oif p0", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.DX4", nh4 = "10.0.0.9" } },
      "-6 route add fd09::1 dev e0 encap seg6local action End.DX4 nh4 10.0.0.9", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.DT6", table = "main" } },
      "-6 route add fd09::1 dev e0 encap seg6local action End.DT6 table main", needs = "seg6local" },
    { { dst = "fd09::1", dev = "e0", encap = { type = "seg6local", action = "End.B6.Encaps",
        segs = { "fd00::7", "fd00::8" } } },
      "-6 route add fd09::1 encap seg6local action End.B6.Encaps srh segs fd00::7,fd00::8 dev e0",
      needs = "seg6local" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "rpl", segs = { "fd00::8", "fd00::9", "fd00::7" } } },
      "-6 route add fd09::/64 encap rpl segs fd00::8,fd00::9,fd00::7 dev e0", needs = "rpl" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "ioam6", trace = { type = 0x800000, ns = 1, size = 12 } } },
      "-6 route add fd09::/64 encap ioam6 trace prealloc type 0x800000 ns 1 size 12 dev e0", needs = "ioam6" },
    { { dst = "fd09::/64", dev = "e0", encap = { type = "ioam6", mode = "encap", tundst = "fd00::5", freq = "2/5",
        trace = { type = 0xc00000, ns = 77, size = 244 } } },
      "-6 route add fd09::/64 encap ioam6 freq 2/5 mode encap tundst fd00::5 trace prealloc type 0xc00000 ns 77 "
        .. "size 244 dev e0", needs = "ioam6" },
    { { dst = "10.9.0.0/16", dev = "x", encap = { type = "xfrm", if_id = 5, link_dev = "e0" } },
      "route add 10.9.0.0/16 dev x encap xfrm if_id 5 link_dev e0", needs = "xfrm",
      setup = { "link add x type xfrm external", "link set x up" } },
  },
}

describe("routes of MPLS", function()
  it("are deleted, replaced, flushed and refused", function()
    features.need "mpls"
    local ns <close> = netns.new()
    labels(ns)
    twins.pair(ns)
    ns.route:add { family = "mpls", dst = 100, via = "10.0.0.2", as = 200 }
    ns.route:replace { family = "mpls", dst = 100, via = "10.0.0.2", as = 300 }
    assert.equal(300, ns.route:list({ family = "mpls" })[1].as)
    ns.route:add { family = "mpls", dst = 101, via = "10.0.0.2" }
    assert.equal(1, #ns.route:list { family = "mpls", dst = 101 })
    ns.route:del { family = "mpls", dst = 100 }
    assert.equal(1, ns.route:flush { family = "mpls" })
    local function refuses(route, words)
      assert.error_matches(function()
        ns.route:add(route)
      end, words, nil, true)
    end
    refuses({ family = "mpls", dst = "10.0.0.0/8", via = "10.0.0.2" }, "dst must be a label of MPLS")
    refuses({ family = "mpls", dst = "100/200", via = "10.0.0.2" }, "dst must be one label of MPLS")
    refuses({ family = "mpls", dst = 1 << 20, via = "10.0.0.2" }, "dst must be an integer from 0 to 1048575")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "seg6" } }, "encap.segs is missing")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "seg6", segs = { "10.0.0.1" } } },
      "encap.segs must be a list of IPv6 addresses")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "seg6", segs = { "fd00::1" }, mode = "encaps" } },
      'did you mean "encap"?')
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "seg6local" } }, "encap.action is missing")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "ioam6", trace = { type = 1, ns = 1, size = 5 } } },
      "encap.trace.size must be a multiple of 4")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "ioam6", trace = { type = 1, ns = 1 } } },
      "encap.trace.size is missing")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "rpl" } }, "encap.segs is missing")
    refuses({ dst = "fd09::/64", dev = "e0", encap = { type = "seg7" } }, "encap.type must be")
  end)

  it("carry packets along their labels", function()
    features.need "mpls"
    local net <close> = nets.line { "a", "r1", "r2", "b" }
    for _, name in ipairs { "r1", "r2" } do
      labels(net[name])
      net[name].sysctl["net.mpls.conf.left.input"] = 1
      net[name].sysctl["net.ipv4.ip_forward"] = 0
    end
    net.a.sysctl["net.mpls.platform_labels"] = 1000
    net.r2.sysctl["net.ipv4.ip_forward"] = 1 -- for the way back
    net.r1.sysctl["net.ipv4.ip_forward"] = 1
    net.r1.route:del { dst = "10.0.3.0/24" }
    assert.is_nil((net.a:ping("10.0.3.2", { timeout = 0.3 })))
    net.a.route:replace { dst = "10.0.3.0/24", via = "10.0.1.2", encap = { type = "mpls", labels = 100 } }
    net.r1.route:add { family = "mpls", dst = 100, via = "10.0.2.2", as = 200 }
    net.r2.route:add { family = "mpls", dst = 200, via = "10.0.3.2" }
    local seen <close> = capture.start(net.r1, "right")
    assert(net.a:ping("10.0.3.2", { count = 3 }))
    assert.is_true(#seen:await("mpls 200", 3) >= 3)
  end)
end)

it("segment routing by seg6 and seg6local carries packets", function()
  features.need("seg6", "seg6local")
  local net <close> = nets.line { "a", "r", "b" }
  for _, name in ipairs { "all", "default", "left", "right" } do
    net.r.sysctl["net.ipv6.conf." .. name .. ".seg6_enabled"] = 1
  end
  net.a.route:add { dst = "fc00::/16", via = "fd00:1::2" }
  net.r.route:add { dst = "fc00::e", dev = "right", encap = { type = "seg6local", action = "End.DT6", table = "main",
    count = true } }
  net.a.route:replace { dst = "fd00:2::/64", dev = "right", encap = { type = "seg6", mode = "encap",
    segs = { "fc00::e" } } }
  local seen <close> = capture.start(net.r, "left")
  assert(net.a:ping("fd00:2::2", { count = 3 }))
  assert.is_true(#seen:await("dst host fc00::e", 3) >= 3)
  local counters
  for _, route in ipairs(net.r.route:list { family = "inet6" }) do
    counters = route.encap and route.encap.counters or counters
  end
  assert.equal(3, counters.packets)
end)

it("encapsulation by ip carries packets through an external VXLAN", function()
  features.need("lwt-ip", "vxlan")
  local net <close> = nets.line { "a", "b" }
  for i, ns in ipairs(net.list) do
    ns.link:add { name = "vx", type = "vxlan", external = true, dstport = 4789, up = true,
      address = ("02:00:00:00:00:0%d"):format(i) }
    ns.addr:add { dev = "vx", address = ("10.5.0.%d/32"):format(i) }
    ns.route:add { dst = ("10.5.0.%d"):format(3 - i), dev = "vx",
      encap = { type = "ip", id = 7, dst = ("10.0.1.%d"):format(3 - i) } }
    ns.neigh:add { dev = "vx", dst = ("10.5.0.%d"):format(3 - i), lladdr = ("02:00:00:00:00:0%d"):format(3 - i) }
  end
  local seen <close> = capture.start(net.a, "right")
  assert(net.a:ping("10.5.0.2", { count = 2 }))
  assert.is_true(#seen:await("udp dst port 4789", 4) >= 4)
end)
