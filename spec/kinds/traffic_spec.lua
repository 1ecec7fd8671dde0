--- Links do with packets what their kinds say: VLANs and VXLANs carry frames, bonds fail over, VRFs separate, macvlans
-- let through what their modes let through.
require("spec.support.leaks").gate()
local capture = require "spec.support.capture"
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

-- Namespaces that are closed with the test that made them.
local function spaces(n)
  local list = setmetatable({}, { __close = function(self)
    for _, ns in ipairs(self) do
      ns:close()
    end
  end })
  for i = 1, n do
    list[i] = netns.new()
    list[i].link:set { dev = "lo", up = true }
    list[i].sysctl["net.ipv6.conf.default.disable_ipv6"] = 1 -- nothing but what a test sends
  end
  return list
end

local function wire(a, name, b, other)
  a.link:add { name = name, type = "veth", up = true, peer = { name = other, netns = b, up = true } }
  a:wait { link = name, state = "up" }
  b:wait { link = other, state = "up" }
end

local function give(ns, dev, address)
  ns.link:set { dev = dev, up = true }
  ns.addr:add { dev = dev, address = address }
end

local function reaches(ns, address)
  return (ns:ping(address, { count = 3, interval = 0.2, timeout = 2 })) ~= nil
end

local function is_cut_off(ns, address)
  return (ns:ping(address, { timeout = 0.4 })) == nil
end

it("a VLAN carries tagged frames, and only to its own", function()
  features.need "vlan"
  local net <close> = spaces(2)
  wire(net[1], "eth0", net[2], "eth0")
  for i, ns in ipairs(net) do
    for _, id in ipairs { 5, i + 5 } do
      ns.link:add { name = "vlan" .. id, type = "vlan", link = "eth0", id = id }
      give(ns, "vlan" .. id, ("10.%d.0.%d/24"):format(id == 5 and 5 or 6, i))
    end
  end
  local seen <close> = capture.start(net[1], "eth0")
  assert.is_true(reaches(net[1], "10.5.0.2"))
  assert.is_true(is_cut_off(net[1], "10.6.0.2")) -- 6 here, 7 there
  assert.is_true(#seen:await("vlan 5 and icmp", 2) >= 2)
  assert.equal(0, #seen:packets "icmp")
end)

it("a bridge with VLANs separates its ports, and joins them over a trunk", function()
  features.need("bridge-vlan", "vlan")
  -- a1 and b1 are in VLAN 10, a2 in 20; between the bridges both go tagged
  local net <close> = spaces(5)
  local left, right, a1, a2, b1 = table.unpack(net)
  for _, ns in ipairs { left, right } do
    ns.link:add { name = "br0", type = "bridge", vlan_filtering = true, vlan_default_pvid = 0, up = true,
      vlan_stats_enabled = true, mcast_snooping = false }
  end
  wire(left, "trunk", right, "trunk")
  for i, ns in ipairs { left, right } do
    ns.link:set { dev = "trunk", master = "br0" }
    ns.vlan:add { dev = "trunk", vid = i == 1 and "10-20" or 10 }
  end
  for i, port in ipairs { { left, "p1", a1, 10 }, { left, "p2", a2, 20 }, { right, "p1", b1, 10 } } do
    local bridge, name, host, vid = table.unpack(port)
    wire(bridge, name, host, "eth0")
    bridge.link:set { dev = name, master = "br0" }
    bridge.vlan:add { dev = name, vid = vid, pvid = true, untagged = true }
    give(host, "eth0", ("10.0.0.%d/24"):format(i))
  end
  local seen <close> = capture.start(right, "trunk")
  assert.is_true(reaches(a1, "10.0.0.3"))
  assert.is_true(is_cut_off(a1, "10.0.0.2"))
  assert.is_true(is_cut_off(a2, "10.0.0.3"))
  assert.is_true(#seen:await("vlan 10 and icmp", 2) >= 2)
  local stats = left.vlan:list({ dev = "trunk", vid = 10, stats = true })[1].stats
  assert.is_true(stats.tx_packets > 0 and stats.rx_packets > 0)
  assert.equal("p1", right.fdb:get({ lladdr = b1.link:get("eth0").address, vlan = 10 }).dev) -- learned
end)

it("a VXLAN carries frames to whom its forwarding entries name", function()
  features.need("vxlan", "bridge")
  local net <close> = spaces(2)
  wire(net[1], "eth0", net[2], "eth0")
  for i, ns in ipairs(net) do
    give(ns, "eth0", ("192.0.2.%d/24"):format(i))
    ns.link:add { name = "vx", type = "vxlan", id = 42, dstport = 4789, ["local"] = "192.0.2." .. i,
      address = "02:00:00:00:00:0" .. i }
    give(ns, "vx", ("10.8.0.%d/24"):format(i))
  end
  assert.is_true(is_cut_off(net[1], "10.8.0.2"))
  for i, ns in ipairs(net) do
    ns.fdb:append { lladdr = "00:00:00:00:00:00", dev = "vx", dst = "192.0.2." .. 3 - i }
  end
  net[1].neigh:flush()
  local seen <close> = capture.start(net[1], "eth0")
  assert.is_true(reaches(net[1], "10.8.0.2"))
  assert.is_true(#seen:await("udp dst port 4789", 2) >= 2)
  assert.equal(0, #seen:packets "icmp")
end)

it("a bond fails over", function()
  features.need "bond"
  local net <close> = spaces(2)
  for i, ns in ipairs(net) do
    ns.link:add { name = "bond0", type = "bond", mode = "active-backup", miimon = 10 }
    give(ns, "bond0", ("10.0.0.%d/24"):format(i))
  end
  for _, port in ipairs { "eth0", "eth1" } do
    net[1].link:add { name = port, type = "veth", master = "bond0",
      peer = { name = port, netns = net[2] } }
    net[2].link:set { dev = port, master = "bond0" }
    for _, ns in ipairs(net) do
      ns.link:set { dev = port, up = true }
    end
  end
  for _, ns in ipairs(net) do
    ns:wait { link = "bond0", state = "up" }
    ns.link:set { dev = "bond0", active_slave = "eth0" }
  end
  assert.is_true(reaches(net[1], "10.0.0.2"))
  for _, cut in ipairs { "eth0", "eth1" } do
    local other = cut == "eth0" and "eth1" or "eth0"
    net[2].link:set { dev = cut, up = false }
    for _, ns in ipairs(net) do
      sh.eventually(function()
        return ns.link:get("bond0").active_slave == other
      end)
    end
    assert.is_true(reaches(net[1], "10.0.0.2"))
    net[2].link:set { dev = cut, up = true }
    sh.eventually(function()
      return net[1].link:get(cut).bond_slave.mii_status == "up" and net[2].link:get(cut).bond_slave.mii_status == "up"
    end)
  end
  net[2].link:set { dev = "eth0", up = false }
  net[2].link:set { dev = "eth1", up = false }
  assert.is_true(is_cut_off(net[1], "10.0.0.2"))
end)

it("VRFs keep apart what has the same addresses", function()
  features.need "vrf"
  -- one router, twice the same two networks
  local net <close> = spaces(5)
  local router = net[1]
  router.sysctl["net.ipv4.ip_forward"] = 1
  for v, vrf in ipairs { "red", "blue" } do
    router.link:add { name = vrf, type = "vrf", table = 100 + v, up = true }
    for side = 1, 2 do
      local host, name = net[1 + (v - 1) * 2 + side], vrf .. side
      wire(router, name, host, "eth0")
      router.link:set { dev = name, master = vrf }
      router.addr:add { dev = name, address = ("10.0.%d.1/24"):format(side) }
      give(host, "eth0", ("10.0.%d.2/24"):format(side))
      host.route:add { dst = "default", via = ("10.0.%d.1"):format(side) }
    end
  end
  local red1, red2, blue1, blue2 = net[2], net[3], net[4], net[5]
  assert.is_true(reaches(red1, "10.0.2.2"))
  assert.is_true(reaches(blue1, "10.0.2.2"))
  local seen <close> = capture.start(blue2, "eth0")
  local before = red2.link:get("eth0").stats.rx_packets
  assert.is_true(reaches(red1, "10.0.2.2"))
  assert.is_true(red2.link:get("eth0").stats.rx_packets > before)
  red2.link:set { dev = "eth0", up = false }
  assert.is_true(is_cut_off(red1, "10.0.2.2")) -- though blue2 has the address, too
  assert.is_true(reaches(blue1, "10.0.2.2"))
  seen:await("icmp", 2)
  assert.same({ "red1", "red2" }, { router.route:list({ table = 101, dst = "10.0.1.0/24" })[1].dev,
    router.route:list({ table = 101, dst = "10.0.2.0/24" })[1].dev })
end)

describe("macvlans", function()
  -- two of the mode on one link, whose other end has an address
  local function two(mode, more)
    local net = spaces(4)
    local host, outside = net[1], net[2]
    wire(host, "eth0", outside, "eth0")
    give(outside, "eth0", "10.0.0.9/24")
    for i = 1, 2 do
      local options = { name = "mv" .. i, type = "macvlan", link = "eth0", mode = mode, netns = net[2 + i],
        address = "02:00:00:00:01:0" .. i }
      for key, value in pairs(more or {}) do
        options[key] = value
      end
      if mode ~= "passthru" or i == 1 then
        host.link:add(options)
        give(net[2 + i], "mv" .. i, ("10.0.0.%d/24"):format(i))
      end
    end
    return net, net[3], net[4]
  end

  local function knows(mode, siblings, more)
    it(("of mode %s reach the outside, %s"):format(mode, siblings and "and each other" or "not each other"), function()
      features.need "macvlan"
      local net, a = two(mode, more)
      local closing <close> = net -- luacheck: ignore
      assert.is_true(reaches(a, "10.0.0.9"))
      if siblings then
        assert.is_true(reaches(a, "10.0.0.2"))
      else
        assert.is_true(is_cut_off(a, "10.0.0.2"))
      end
    end)
  end
  knows("bridge", true)
  knows("private", false)
  knows("vepa", false)

  it("of mode vepa reach each other where the switch outside sends frames back", function()
    features.need "macvlan"
    local net, a = two "vepa"
    local closing <close> = net -- luacheck: ignore
    local outside = net[2]
    outside.link:add { name = "br0", type = "bridge", up = true, mcast_snooping = false }
    outside.link:set { dev = "eth0", master = "br0" }
    outside.link:set { dev = "eth0", bridge_slave = { hairpin = true } }
    sh.eventually(function()
      return outside.link:get("eth0").bridge_slave.state == "forwarding"
    end)
    assert.is_true(reaches(a, "10.0.0.2"))
  end)

  it("of mode passthru are alone, and have the link's address", function()
    features.need "macvlan"
    local net, a = two "passthru"
    local closing <close> = net -- luacheck: ignore
    assert.is_true(reaches(a, "10.0.0.9"))
    local _, err = netns.try(net[1].link.add, net[1].link, { name = "x", type = "macvlan", link = "eth0",
      mode = "bridge" })
    assert.is_truthy(err)
    assert.equal(a.link:get("mv1").address, net[1].link:get("eth0").address)
  end)

  it("of mode source hear only whom they are told to", function()
    features.need "macvlan"
    local net <close> = spaces(3)
    local host, outside, inner = table.unpack(net)
    wire(host, "eth0", outside, "eth0")
    give(outside, "eth0", "10.0.0.9/24")
    host.link:add { name = "mv", type = "macvlan", link = "eth0", mode = "source", netns = inner,
      macaddr = { "02:00:00:00:99:99" } }
    give(inner, "mv", "10.0.0.1/24")
    inner.neigh:add { dev = "mv", dst = "10.0.0.9", lladdr = outside.link:get("eth0").address }
    outside.neigh:add { dev = "eth0", dst = "10.0.0.1", lladdr = inner.link:get("mv").address }
    assert.is_true(is_cut_off(inner, "10.0.0.9"))
    inner.link:set { dev = "mv", macaddr_add = outside.link:get("eth0").address }
    assert.is_true(reaches(inner, "10.0.0.9"))
  end)
end)
