--- Forwarding entries, VLANs and multicast groups of bridges: what we make, what `bridge` makes and what is made from
-- our list are the same, as `bridge -j` sees them and as we list them.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local mac = "02:00:00:00:00:77"

-- br0 with the port e0, whose other end is p0, up; vx0, a VXLAN that is no port
local function ground(ns, filtering)
  ns.link:add { name = "br0", type = "bridge", address = "02:00:00:00:00:0b", addrgenmode = "none",
    vlan_filtering = filtering, vlan_default_pvid = not filtering and features.has "bridge-vlan" and 0 or nil,
    mcast_igmp_version = 3 }
  twins.pair(ns)
  ns.link:set { dev = "e0", master = "br0" }
  ns.link:add { name = "vx0", type = "vxlan", id = 7, dstport = 4789, address = "02:00:00:00:00:0a",
    addrgenmode = "none", external = false }
  ns.link:set { dev = "br0", up = true }
end

local function plain(ns)
  ground(ns)
end

local function filtering(ns)
  ground(ns, true)
end

twins.describe {
  noun = "fdb",
  tool = "bridge",
  show = { "fdb show" },
  prepare = plain,
  made_by_kernel = function(row)
    return row.lladdr ~= mac and row.lladdr ~= "00:00:00:00:00:00"
  end,
  cases = {
    { { lladdr = mac, dev = "e0", master = true }, "fdb add " .. mac .. " dev e0 master", needs = "bridge" },
    { { lladdr = mac, dev = "e0", master = true, static = true }, "fdb add " .. mac .. " dev e0 master static" },
    { { lladdr = mac, dev = "e0", master = true, dynamic = true }, "fdb add " .. mac .. " dev e0 master dynamic" },
    { { lladdr = mac, dev = "e0", master = true, static = true, sticky = true },
      "fdb add " .. mac .. " dev e0 master static sticky" },
    { { lladdr = mac, dev = "e0", master = true, dynamic = true, extern_learn = true },
      "fdb add " .. mac .. " dev e0 master dynamic extern_learn" },
    { { lladdr = mac, dev = "br0", self = true, ["local"] = true }, "fdb add " .. mac .. " dev br0 self local" },
    { { lladdr = mac, dev = "e0" }, "fdb add " .. mac .. " dev e0", name = "self is understood" },
    { { lladdr = mac, dev = "vx0", dst = "10.0.0.9", port = 4790, vni = 9, via = "e0" },
      "fdb add " .. mac .. " dev vx0 dst 10.0.0.9 port 4790 vni 9 via e0", needs = "vxlan" },
    { { lladdr = mac, dev = "vx0", self = true, dst = "fd00::9" }, "fdb add " .. mac .. " dev vx0 dst fd00::9 self",
      needs = "vxlan", setup = { "link set vx0 down", "link del vx0",
        "link add vx0 address 02:00:00:00:00:0a type vxlan id 7 dstport 4789 remote fd00::8 local fd00::1" } },
    { { lladdr = "00:00:00:00:00:00", dev = "vx0", dst = "10.0.0.8", state = "permanent" },
      "fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.8 permanent", needs = "vxlan" },
    { { lladdr = mac, dev = "vx0", nhid = 5 }, "fdb add " .. mac .. " dev vx0 nhid 5", needs = { "vxlan", "nexthop" },
      setup = { "nexthop add id 6 via 10.0.0.6 fdb", "nexthop add id 5 group 6 fdb" } },
  },
}

twins.describe {
  noun = "fdb",
  tool = "bridge",
  show = { "fdb show" },
  prepare = function(ns)
    features.need "bridge-vlan"
    filtering(ns)
  end,
  made_by_kernel = function(row)
    return row.lladdr ~= mac
  end,
  cases = {
    { { lladdr = mac, dev = "e0", master = true, static = true, vlan = 1 },
      "fdb add " .. mac .. " dev e0 master static vlan 1" },
  },
}

-- what `bridge vlan` shows, the VLANs by name of the device
local function vlans(rows)
  local flat = {}
  for _, row in ipairs(rows) do
    for _, vlan in ipairs(row.vlans or row.tunnels or {}) do
      vlan.ifname = row.ifname
      flat[#flat + 1] = vlan
    end
  end
  return flat
end

twins.describe {
  noun = "vlan",
  tool = "bridge",
  show = { "-c vlan show", "vlan tunnelshow" },
  prepare = function(ns)
    features.need "bridge-vlan"
    filtering(ns)
  end,
  ip_rows = vlans,
  cases = {
    { { dev = "e0", vid = 10 }, "vlan add dev e0 vid 10" },
    { { dev = "e0", vid = 10, untagged = true, pvid = true, master = true },
      "vlan add dev e0 vid 10 pvid untagged master" },
    { { dev = "e0", vid = "10-20" }, "vlan add dev e0 vid 10-20" },
    { { dev = "e0", vid = "4000-4094", untagged = true }, "vlan add dev e0 vid 4000-4094 untagged" },
    { { dev = "br0", vid = "10-20", self = true }, "vlan add dev br0 vid 10-20 self" },
    { { dev = "br0", vid = 10, self = true, pvid = true, untagged = true },
      "vlan add dev br0 vid 10 self pvid untagged" },
    { { dev = "e0", vid = 30, state = "blocking" }, "vlan add dev e0 vid 30",
      after = "vlan set dev e0 vid 30 state blocking", name = "vlan set state blocking" },
    { { dev = "vx0", vid = "30-35", tunnel_id = 3000 }, "vlan add dev vx0 vid 30-35",
      setup = { "link set vx0 master br0", "link set vx0 type bridge_slave vlan_tunnel on" },
      after = "vlan add dev vx0 vid 30-35 tunnel_info id 3000-3005", name = "vlan add vid 30-35 tunnel_info" },
  },
}

describe("ns.vlan", function()
  local ns

  before_each(function()
    features.need "bridge-vlan"
    ns = netns.new "vlans"
    filtering(ns)
  end)

  after_each(function()
    if ns then
      ns:close()
    end
  end)

  it("deletes ranges, finds a VLAN in one, sets options, counts", function()
    local e0 = ns.link:get "e0"
    e0.vlan:add { vid = "10-20" }
    assert.equal("10-20", e0.vlan:get { vid = 15 }.vid)
    e0.vlan:del { vid = "12-14" }
    assert.same({ 1, "10-11", "15-20" }, { e0.vlan:list()[1].vid, e0.vlan:list()[2].vid, e0.vlan:list()[3].vid })
    e0.vlan:set { vid = 10, state = "blocking" }
    assert.equal("blocking", e0.vlan:get { vid = 10 }.state)
    assert.equal(0, ns.vlan:list({ dev = "e0", vid = 10, stats = true })[1].stats.rx_bytes)
    local seen = {}
    for row in ns.vlan:each { dev = "e0" } do
      seen[#seen + 1] = row.vid
    end
    assert.same({ 1, 10, 11, "15-20" }, seen)
    assert.equal(4, e0.vlan:flush())
    assert.equal(0, #e0.vlan:list())
    assert.equal(1, #ns.vlan:list { dev = "br0" })
  end)

  it("takes many in a batch", function()
    ns:batch(function(b)
      for vid = 2, 200, 2 do
        b.vlan:add { dev = "e0", vid = vid, untagged = true }
      end
    end)
    assert.equal(101, #vlans(sh.bridge("vlans", "-j vlan show dev e0")))
  end)

  it("refuses what cannot be", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.vlan:add(args)
      end, words, nil, true)
    end
    refuses({ dev = "e0", vid = 4095 }, "vid must be an integer from 1 to 4094")
    refuses({ dev = "e0", vid = "20-10" }, "vid must be a VLAN from 1 to 4094, or a range")
    refuses({ dev = "e0", vid = "10-20", pvid = true }, "only one VLAN can be the pvid")
    refuses({ dev = "e0", vid = 10, self = true }, "dev is no bridge: say master, not self")
    refuses({ dev = "br0", vid = 10, master = true }, "dev is a bridge: say self, not master")
    refuses({ dev = "e0" }, "vid is missing")
    refuses({ vid = 3 }, "dev is missing")
    refuses({ dev = "e0", vid = 3, untaged = true }, 'did you mean "untagged"?')
    assert.error_matches(function()
      ns.vlan:set { dev = "e0", vid = 1, pvid = true }
    end, "pvid and untagged are changed by replace", nil, true)
    assert.error_matches(function()
      ns.vlan:flush { vid = 1 }
    end, "use del", nil, true)
    assert.equal("ENODEV", select(2, netns.try(ns.vlan.add, ns.vlan, { dev = "nowhere", vid = 3 })).code)
  end)
end)

-- what `bridge mdb` shows, one row a group
local function groups(rows)
  local flat = {}
  for _, row in ipairs(rows) do
    for _, group in ipairs(row.mdb or {}) do
      group.index, group.timer = nil, nil
      if group.grp ~= "ff02::6a" then -- the bridge's own, some time after it is up
        flat[#flat + 1] = group
      end
    end
  end
  return flat
end

twins.describe {
  noun = "mdb",
  tool = "bridge",
  show = { "mdb show" },
  prepare = plain,
  ip_rows = groups,
  volatile = { "timer" },
  ignore = function(row)
    return row.grp == "ff02::6a"
  end,
  cases = {
    { { dev = "br0", port = "e0", grp = "239.1.1.1", state = "permanent" },
      "mdb add dev br0 port e0 grp 239.1.1.1 permanent", needs = "bridge" },
    { { dev = "br0", port = "e0", grp = "239.1.1.1" }, "mdb add dev br0 port e0 grp 239.1.1.1" },
    { { dev = "br0", port = "e0", grp = "ff05::7", permanent = true },
      "mdb add dev br0 port e0 grp ff05::7 permanent" },
    { { dev = "br0", port = "e0", grp = "239.1.1.1", src = "10.0.0.7", temp = true },
      "mdb add dev br0 port e0 grp 239.1.1.1 src 10.0.0.7 temp" },
    { { dev = "br0", port = "e0", grp = "01:02:03:04:05:06", permanent = true },
      "mdb add dev br0 port e0 grp 01:02:03:04:05:06 permanent" },
    { { dev = "br0", port = "br0", grp = "239.1.1.1" }, "mdb add dev br0 port br0 grp 239.1.1.1" },
  },
}

describe("ns.mdb", function()
  local ns

  before_each(function()
    features.need "bridge"
    ns = netns.new "groups"
    plain(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("deletes, flushes, finds", function()
    local mdb = ns.link:get("br0").mdb
    mdb:add { port = "e0", grp = "239.1.1.1", permanent = true }
    mdb:add { port = "e0", grp = "239.1.1.2", src = "10.0.0.7" }
    mdb:add { port = "e0", grp = "ff05::7", permanent = true }
    assert.equal("permanent", mdb:get({ grp = "239.1.1.1" }).state)
    assert.equal(2, #mdb:list { permanent = true })
    mdb:del(mdb:get { grp = "239.1.1.2" })
    mdb:del { port = "e0", grp = "ff05::7" }
    assert.same({ "239.1.1.1" }, { groups(sh.bridge("groups", "-j mdb show"))[1].grp })
    assert.equal(1, mdb:flush { port = "e0" })
    assert.equal(0, #groups(sh.bridge("groups", "-j mdb show")))
  end)

  it("has lists of sources", function()
    local group = { dev = "br0", port = "e0", grp = "239.1.1.3", permanent = true, filter_mode = "include",
      source_list = { "10.0.0.7", "10.0.0.8" } }
    ns.mdb:add(group)
    local listed
    for _, row in ipairs(ns.mdb:list { grp = "239.1.1.3" }) do
      listed = not row.src and row or listed
    end
    table.sort(listed.source_list)
    assert.same(group.source_list, listed.source_list)
    assert.equal(3, #ns.mdb:list { grp = "239.1.1.3" }) -- and one of each source
    local copy <close> = netns.new()
    plain(copy)
    copy.mdb:add(listed)
    assert.equal(3, #copy.mdb:list { grp = "239.1.1.3" })
  end)

  it("refuses what cannot be", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.mdb:add(args)
      end, words, nil, true)
    end
    refuses({ dev = "br0", port = "e0", grp = "one" }, "grp must be a multicast address")
    refuses({ dev = "br0", port = "e0" }, "grp is missing")
    refuses({ dev = "br0", grp = "239.1.1.1" }, "port is missing")
    refuses({ port = "e0", grp = "239.1.1.1" }, "dev is missing")
    refuses({ dev = "br0", port = "e0", grp = "239.1.1.1", source_list = { "x" } }, "source_list must be a list")
  end)
end)

describe("ns.fdb", function()
  local ns

  before_each(function()
    features.need("bridge", "vxlan")
    ns = netns.new "entries"
    plain(ns)
  end)

  after_each(function()
    ns:close()
  end)

  it("appends, replaces, deletes, finds and flushes", function()
    local zero = "00:00:00:00:00:00"
    ns.fdb:append { lladdr = zero, dev = "vx0", dst = "10.0.0.8" }
    ns.fdb:append { lladdr = zero, dev = "vx0", dst = "10.0.0.9" }
    assert.equal(2, #ns.fdb:list { dev = "vx0", lladdr = zero })
    ns.fdb:del { lladdr = zero, dev = "vx0", dst = "10.0.0.8" }
    assert.equal("10.0.0.9", ns.fdb:get({ dev = "vx0", lladdr = zero }).dst)
    ns.fdb:add { lladdr = mac, dev = "vx0", dst = "10.0.0.8" }
    ns.fdb:replace { lladdr = mac, dev = "vx0", dst = "10.0.0.9" }
    assert.equal("10.0.0.9", ns.fdb:get({ lladdr = mac, dev = "vx0" }).dst)
    local _, err = netns.try(ns.fdb.add, ns.fdb, { lladdr = mac, dev = "vx0", dst = "10.0.0.8" })
    assert.equal("EEXIST", err.code)
    ns.link:get("e0").fdb:add { lladdr = mac, master = true, static = true }
    assert.equal(1, #ns.fdb:list { master = "br0", state = "static" })
    assert.equal(1, #ns.fdb:list { master = "br0", static = true })
    assert.equal("static", ns.fdb:get({ lladdr = mac, master = "br0" }).state)
    assert.equal(1, ns.fdb:flush { master = "br0" })
    assert.equal(2, ns.fdb:flush { dev = "vx0" })
    -- what the kernel needs is still there
    assert.is_true(#ns.fdb:list { dev = "e0", master = "br0", permanent = true } > 0)
  end)

  it("is told by the monitor", function()
    local monitor <close> = ns:monitor { "fdb" }
    ns.fdb:add { lladdr = mac, dev = "e0", master = true, static = true }
    local event = monitor:next(5)
    assert.same({ "new", "fdb", mac, "e0" }, { event.event, event.kind, event.data.lladdr, event.data.dev })
  end)

  it("and groups and VLANs are told by the monitor", function()
    local monitor <close> = ns:monitor { "mdb", "vlan" }
    local function awaits(event, kind, key, value)
      local e
      repeat
        e = assert(monitor:next(5))
      until e.kind == kind and e.data[key] == value
      assert.equal(event, e.event)
      return e.data
    end
    ns.mdb:add { dev = "br0", port = "e0", grp = "239.1.1.1", permanent = true }
    assert.same({ "br0", "e0", "permanent" }, (function(data)
      return { data.dev, data.port, data.state }
    end)(awaits("new", "mdb", "grp", "239.1.1.1")))
    ns.mdb:del { dev = "br0", port = "e0", grp = "239.1.1.1" }
    awaits("del", "mdb", "grp", "239.1.1.1")
    if features.has "bridge-vlan" then
      ns.vlan:add { dev = "e0", vid = "10-20", untagged = true }
      assert.is_true(awaits("new", "vlan", "vid", "10-20").untagged)
      ns.vlan:del { dev = "e0", vid = "10-20" }
      awaits("del", "vlan", "vid", "10-20")
    end
  end)

  it("takes what is listed, whoever made it, by replace", function()
    local copy <close> = netns.new()
    plain(copy)
    ns.fdb:add { lladdr = mac, dev = "e0", master = true }
    ns.fdb:add { lladdr = "02:00:00:00:00:78", dev = "br0", self = true }
    ns.fdb:add { lladdr = mac, dev = "vx0", dst = "10.0.0.8" }
    sh.eventually(function() -- the bridges hear of their own groups some time after they are up
      for _, row in ipairs(ns.fdb:list()) do
        copy.fdb:replace(row)
      end
      for _, row in ipairs(copy.fdb:list()) do
        ns.fdb:replace(row)
      end
      return #ns.fdb:list() == #copy.fdb:list()
    end)
    local function sorted(rows)
      local texts = {}
      for i, row in ipairs(rows) do
        texts[i] = table.concat({ row.lladdr, row.dev, row.master or "", row.state, tostring(row.self), row.dst or "" },
          " ")
      end
      table.sort(texts)
      return texts
    end
    assert.same(sorted(ns.fdb:list()), sorted(copy.fdb:list()))
  end)

  it("refuses what cannot be", function()
    local function refuses(args, words)
      assert.error_matches(function()
        ns.fdb:add(args)
      end, words, nil, true)
    end
    refuses({ lladdr = mac }, "dev is missing")
    refuses({ dev = "e0" }, "lladdr is missing")
    refuses({ lladdr = "02:00:00:00", dev = "e0" }, "lladdr must be an Ethernet address")
    refuses({ lladdr = mac, dev = "e0", static = true, dynamic = true }, "static")
    refuses({ lladdr = mac, dev = "e0", static = 1 }, "static must be true or false")
    refuses({ lladdr = mac, dev = "e0", state = "statik" }, 'did you mean "static"?')
    refuses({ lladdr = mac, dev = "e0", vlan = 4095 }, "vlan must be an integer from 1 to 4094")
    refuses({ lladdr = mac, dev = "e0", vln = 3 }, 'did you mean "vlan"?')
  end)
end)

it("the state of a bridge's port is told as bridge tells it", function()
  features.need "bridge"
  local ns <close> = netns.new "states"
  plain(ns)
  local function both(state)
    return ns.link:get("e0").bridge_slave.state == state
      and sh.bridge("states", "-j link show dev e0")[1].state == state
  end
  sh.eventually(function()
    return both "forwarding"
  end)
  ns.link:set { dev = "e0", master = "none" }
  ns.link:set { dev = "br0", stp_state = 1, forward_delay = 3000 }
  ns.link:set { dev = "e0", master = "br0" }
  sh.eventually(function()
    return both "listening"
  end)
  ns.link:set { dev = "e0", up = false }
  assert.is_true(both "disabled")
end)
