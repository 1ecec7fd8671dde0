require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

-- What differs by nature between two links of the same make.
local by_nature = {
  "ifindex", "link_index", "link_netnsid", "carrier_up_count", "carrier_down_count", "operstate", "carrier",
  "linkmode", "qdisc",
}
local mac = "02:00:00:00:00:99"

-- The timers of a bridge run.
local function still(rows)
  for _, row in ipairs(rows) do
    row.ifindex, row.link_index, row.link_netnsid, row.operstate, row.flags, row.qdisc = nil, nil, nil, nil, nil, nil
    for _, part in pairs(row.linkinfo or {}) do
      if type(part) == "table" then
        for key in pairs(part) do
          if key:find "timer" then
            part[key] = nil
          end
        end
      end
    end
  end
  return rows
end

local function fixed(t)
  t.address = t.address or mac
  return t
end

twins.describe {
  noun = "link",
  show = { "link show" },
  prepare = function(ns)
    ns.link:add {
      name = "e0",
      type = "veth",
      address = "02:00:00:00:00:01",
      peer = { name = "p0", address = "02:00:00:00:00:02" },
    }
  end,
  volatile = by_nature,
  ip_rows = still,
  cases = {
    { fixed { name = "x", type = "bridge" }, "link add x address " .. mac .. " type bridge" },
    { fixed { name = "x", type = "bridge", mtu = 1400, txqlen = 500, group = 7 },
      "link add x address " .. mac .. " mtu 1400 txqlen 500 group 7 type bridge" },
    { fixed { name = "x", type = "bridge", numtxqueues = 3, numrxqueues = 2 },
      "link add x address " .. mac .. " numtxqueues 3 numrxqueues 2 type bridge" },
    { fixed { name = "x", type = "bridge", forward_delay = 400, hello_time = 300, max_age = 1000, ageing_time = 9000 },
      "link add x address " .. mac .. " type bridge forward_delay 400 hello_time 300 max_age 1000 ageing_time 9000" },
    { fixed { name = "x", type = "bridge", stp_state = 1, priority = 4096, group_fwd_mask = 8 },
      "link add x address " .. mac .. " type bridge stp_state 1 priority 4096 group_fwd_mask 8" },
    { fixed { name = "x", type = "bridge", vlan_filtering = true, vlan_default_pvid = 9, vlan_protocol = "802.1ad" },
      "link add x address " .. mac .. " type bridge vlan_filtering 1 vlan_default_pvid 9 vlan_protocol 802.1ad",
      needs = "bridge-vlan" },
    { fixed { name = "x", type = "bridge", mcast_snooping = false, mcast_querier = true, mcast_router = 2,
        mcast_hash_max = 1024, mcast_last_member_count = 4, mcast_startup_query_count = 3,
        mcast_query_interval = 9000, mcast_query_response_interval = 900, mcast_igmp_version = 3,
        mcast_mld_version = 2 },
      "link add x address " .. mac .. " type bridge mcast_snooping 0 mcast_querier 1 mcast_router 2 "
        .. "mcast_hash_max 1024 mcast_last_member_count 4 mcast_startup_query_count 3 mcast_query_interval 9000 "
        .. "mcast_query_response_interval 900 mcast_igmp_version 3 mcast_mld_version 2", needs = "bridge-vlan" },
    { fixed { name = "x", type = "vxlan", id = 42, remote = "10.0.0.9", ["local"] = "10.0.0.1", dstport = 4789,
        dev = "e0", ttl = 9, tos = 16, ageing = 77, maxaddress = 5, learning = false },
      "link add x address " .. mac .. " type vxlan id 42 remote 10.0.0.9 local 10.0.0.1 dstport 4789 dev e0 ttl 9 "
        .. "tos 0x10 ageing 77 maxaddress 5 nolearning" },
    { fixed { name = "x", type = "vxlan", id = 42, remote = "fd00::9", ["local"] = "fd00::1", dstport = 8472,
        flowlabel = 5, udp6zerocsumtx = true, udp6zerocsumrx = true },
      "link add x address " .. mac .. " type vxlan id 42 remote fd00::9 local fd00::1 dstport 8472 flowlabel 5 "
        .. "udp6zerocsumtx udp6zerocsumrx" },
    { fixed { name = "x", type = "vxlan", id = 42, remote = "239.1.1.1", dev = "e0", dstport = 4789,
        srcport = "1000-2000", proxy = true, rsc = true, l2miss = true, l3miss = true, udpcsum = true, gbp = true },
      "link add x address " .. mac .. " type vxlan id 42 group 239.1.1.1 dev e0 dstport 4789 srcport 1000 2000 proxy "
        .. "rsc l2miss l3miss udpcsum gbp" },
    { fixed { name = "x", type = "vxlan", external = true, dstport = 4789, learning = false },
      "link add x address " .. mac .. " type vxlan external dstport 4789" },
    { fixed { name = "x", type = "vxlan", id = 9, dstport = 4789, df = "set", ttl = "inherit" },
      "link add x address " .. mac .. " type vxlan id 9 dstport 4789 df set ttl inherit" },
    { fixed { name = "x", type = "ifb", numtxqueues = 2, numrxqueues = 2 },
      "link add x address " .. mac .. " numtxqueues 2 numrxqueues 2 type ifb" },
    { fixed { name = "x", type = "bridge", master = nil, arp = false, allmulticast = true, promisc = true, up = true },
      "link add x address " .. mac .. " type bridge", after = "link set x arp off allmulticast on promisc on up" },
    { fixed { name = "x", type = "bridge", alias = "up link", addrgenmode = "none",
        altnames = { "xx", ("y"):rep(60) } },
      "link add x address " .. mac .. " type bridge", after = {
        "link set x alias 'up link' addrgenmode none",
        "link property add dev x altname xx altname " .. ("y"):rep(60),
      } },
  },
}

describe("ns.link", function()
  local ns, other

  before_each(function()
    ns, other = netns.new "link", netns.new "other"
  end)

  after_each(function()
    ns:close()
    other:close()
  end)

  local function ip_link(name, dev)
    return sh.ip(name, "-j -d link show dev " .. dev)[1]
  end

  it("gives birth to both ends of a veth where they belong, up, by one call", function()
    local e0 = ns.link:add {
      name = "eth0",
      type = "veth",
      up = true,
      mtu = 1400,
      address = "02:00:00:00:00:01",
      peer = { name = "eth0", netns = other, up = true, mtu = 1400, alias = "far", altnames = { "there" } },
    }
    local near, far = ip_link("link", "eth0"), ip_link("other", "eth0")
    assert.equal("UP", near.operstate)
    assert.equal("UP", far.operstate)
    assert.equal(1400, far.mtu)
    assert.equal("far", far.ifalias)
    assert.same({ "there" }, far.altnames)
    assert.equal("02:00:00:00:00:01", near.address)
    assert.equal(1, near.num_tx_queues)
    assert.equal(1, far.num_tx_queues)
    assert.equal(1, far.num_rx_queues or 1) -- a kernel for one processor does not count them
    assert.equal(near.ifindex, e0.ifindex)
    assert.equal(far.ifindex, other.link:get("there").ifindex)
  end)

  it("takes a link back whose creation did not come to its end", function()
    local _, err = netns.try(ns.link.add, ns.link, {
      name = "eth0",
      type = "veth",
      altnames = { "same", "same" },
      peer = { name = "eth0", netns = other, up = true },
    })
    assert.equal("EEXIST", err.code)
    assert.is_nil(ns.link:get "eth0")
    assert.is_nil(other.link:get "eth0")
  end)

  it("has properties that ask the kernel", function()
    local e0 = ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    assert.equal(1500, e0.mtu)
    sh.run "ip -n link link set eth0 mtu 1300 alias 'a b'"
    assert.equal(1300, e0.mtu)
    assert.equal("a b", e0.alias)
    assert.equal("eth0", e0.name)
    assert.is_false(e0.up)
    assert.is_nil(e0.master)
    assert.equal(0, e0.stats.rx_packets)
    assert.equal("veth", e0.type)
    assert.equal(ns, e0.netns)
    assert.matches("^link %d+ eth0 in link$", tostring(e0))
    assert.is_true(e0 == ns.link:get "eth0")
    assert.is_false(e0 == ns.link:get "eth1")
    sh.run "ip -n link link set eth0 name renamed"
    assert.equal("renamed", e0.name)
    e0:del()
    assert.matches("gone", tostring(e0))
    local _, err = netns.try(function()
      return e0.mtu
    end)
    assert.equal("ENODEV", err.code)
  end)

  it("is set by one message: all or nothing", function()
    local e0 = ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    local br = ns.link:add { name = "br0", type = "bridge" }
    e0:set { mtu = 1280, alias = "uplink", master = "br0", up = true, group = 4, txqlen = 9 }
    local seen = ip_link("link", "eth0")
    assert.same({ 1280, "uplink", "br0", "4", 9 }, { seen.mtu, seen.ifalias, seen.master, seen.group, seen.txqlen })
    assert.equal("br0", e0.master)
    e0:set { nomaster = true, up = false, name = "eth9" }
    assert.is_nil(ip_link("link", "eth9").master)
    assert.is_false(e0.up)
    br:set { ageing_time = 1234, stp_state = 1 }
    assert.equal(1234, ip_link("link", "br0").linkinfo.info_data.ageing_time)
    ns.link:set { name = "br0", hello_time = 500 }
    assert.equal(500, br.hello_time)
    ns.link:set { dev = "br0", name = "br1" }
    assert.equal("br1", br.name)
    local _, err = netns.try(e0.set, e0, { mtu = 1300, master = e0.ifindex })
    assert.is_not_nil(err)
    assert.equal(1280, e0.mtu)
    _, err = netns.try(ns.link.set, ns.link, { dev = "eth9", name = "eth8", mtu = 1290, master = e0.ifindex })
    assert.is_not_nil(err)
    assert.same({ "eth9", 1280 }, { e0.name, e0.mtu })
  end)

  it("sets what a port of a bridge has", function()
    local e0 = ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    ns.link:add { name = "br0", type = "bridge" }
    e0:set { master = "br0" }
    e0:set { bridge_slave = { cost = 7, hairpin = true, isolated = true, learning = false, priority = 9 } }
    local port = ip_link("link", "eth0").linkinfo.info_slave_data
    assert.same({ 7, true, true, false, 9 }, { port.cost, port.hairpin, port.isolated, port.learning, port.priority })
    local listed = e0.bridge_slave
    assert.same({ 7, true, true, false, 9 },
      { listed.cost, listed.hairpin, listed.isolated, listed.learning, listed.priority })
    ns.link:add { name = "eth2", type = "veth", master = "br0", bridge_slave = { cost = 5 }, peer = { name = "eth3" } }
    assert.equal(5, ip_link("link", "eth2").linkinfo.info_slave_data.cost)
  end)

  it("moves to another namespace, and is renamed and found by its other names", function()
    local e0 = ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    e0:altname_add("first", "second")
    assert.equal(e0, ns.link:get "second")
    local there = e0:move(other)
    assert.equal("eth0", there.name)
    assert.equal(other, there.netns)
    assert.is_nil(ns.link:get "eth0")
    there:altname_del "first"
    assert.same({ "second" }, ip_link("other", "eth0").altnames)
    other.link:del "second"
    assert.is_nil(other.link:get "eth0")
    assert.is_nil(ns.link:get "eth1")
  end)

  it("knows links whose other end is elsewhere", function()
    ns.link:add { name = "eth0", type = "veth", peer = { name = "far", netns = other } }
    local near = ns.link:list({ name = "eth0" })[1]
    assert.equal(other.link:get("far").ifindex, near.link_index)
    assert.is_nil(near.link)
    ns.link:add { name = "a", type = "veth", peer = { name = "b" } }
    assert.equal("b", ns.link:get("a").link)
  end)

  it("lists by any key, and counters when asked for", function()
    ns.link:add { name = "br0", type = "bridge", up = true }
    ns.link:add { name = "a", type = "veth", master = "br0", peer = { name = "b", mtu = 1300 } }
    local function names(filter)
      local found = {}
      for _, link in ipairs(ns.link:list(filter)) do
        found[#found + 1] = link.name
      end
      table.sort(found)
      return found
    end
    assert.same({ "a", "b", "br0", "lo" }, names())
    assert.same({ "a" }, names { master = "br0" })
    assert.same({ "a", "b" }, names { type = "veth" })
    assert.same({ "b" }, names { mtu = 1300 })
    assert.same({ "br0" }, names { up = true })
    assert.is_nil(ns.link:list({ name = "lo" })[1].stats)
    assert.equal(0, ns.link:list({ name = "lo", stats = true })[1].stats.rx_bytes)
  end)

  it("refuses what cannot be before anything is sent", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.link:add(args)
      end, words, nil, true)
    end
    refuses({ name = "x", type = "veth", mut = 5 }, 'link add: unknown key "mut" (did you mean "mtu"?)')
    refuses({ name = "x", type = "veth", peer = { naem = "y" } }, 'unknown key "peer.naem" (did you mean "name"?)')
    refuses({ name = "x", type = "bridge", peer = { name = "y" } }, "only veth, vxcan and netkit links have a peer")
    refuses({ name = "x", type = "bridge", id = 5 }, 'unknown key "id"')
    refuses({ name = "x", type = "veth", peer = "y" }, "peer must be a table")
    refuses({ name = "x", type = "veth", peer = { name = "y", netns = "z" } }, "peer.netns must be a Namespace")
    refuses({ name = "x" }, "type is missing")
    refuses({ type = "bridge" }, "name is missing")
    refuses({ name = ("x"):rep(16), type = "bridge" }, 'name must be 1 to 15 bytes without spaces, "/", ":" or "%"')
    refuses({ name = "a/b", type = "bridge" }, "name must be 1 to 15 bytes")
    refuses({ name = "eth%d", type = "bridge" }, "name must be 1 to 15 bytes")
    refuses({ name = "x", type = "bridge", bond_slave = { nosuch = 1 } }, "bond_slave")
    refuses({ name = "x", type = "bridge", mtu = 2 ^ 40 }, "mtu must be an integer from 0 to 4294967295")
    refuses({ name = "x", type = "bridge", up = 1 }, "up must be true or false, got 1")
    refuses({ name = "x", type = "bridge", address = "nonsense" }, "address must be a link-layer address")
    refuses({ name = "x", type = "bridge", bridge_slave = { cost = 0 } }, "bridge_slave.cost must be an integer from 1")
    local closed = netns.new()
    closed:close()
    refuses({ name = "x", type = "veth", peer = { name = "y", netns = closed } }, "peer.netns is closed")
    assert.equal(1, #ns.link:list())
    local lo = ns.link:get "lo"
    assert.error_matches(function()
      lo:set { operstate = "up" }
    end, "link set: operstate is read-only", nil, true)
    assert.error_matches(function()
      lo:set { numtxqueues = 2 }
    end, "numtxqueues can only be given when it is created", nil, true)
    for _, key in ipairs { true, 1, 1.5, print } do -- what is no name was once compared as one
      assert.error_matches(function()
        lo:set { [key] = 1, mtu = 3000, txqlen = 7 }
      end, "link set: keys must be names", nil, true)
    end
    assert.error_matches(function()
      lo.mtu = 5
    end, "a Link's properties are changed with link:set", nil, true)
  end)

  it("says in whose name the kernel refused", function()
    local _, err = netns.try(ns.link.add, ns.link, { name = "x", type = "nonesuch" })
    assert.equal("link add x type nonesuch in link: Operation not supported (EOPNOTSUPP): Unknown device type",
      tostring(err))
  end)
end)
