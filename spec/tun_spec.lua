require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("tun links", function()
  local ns

  setup(function()
    features.need_root "open /dev/net/tun, unless its mode says otherwise"
  end)

  before_each(function()
    ns = netns.new "tun"
  end)

  after_each(function()
    ns:close()
  end)

  local function seen(name)
    return sh.ip("tun", "-j -d link show dev " .. name)[1]
  end

  it("are made as ip tuntap makes them, and what is listed can be added", function()
    local cases = {
      { { mode = "tun" }, "mode tun" },
      { { mode = "tap" }, "mode tap" },
      { { mode = "tap", owner = 1000, tun_group = 1001 }, "mode tap user 1000 group 1001" },
      { { mode = "tun", pi = true }, "mode tun pi" },
      { { mode = "tap", vnet_hdr = true, multi_queue = true }, "mode tap vnet_hdr multi_queue" },
    }
    for _, case in ipairs(cases) do
      case[1].name, case[1].type = "ours", "tun"
      ns.link:add(case[1])
      sh.run("ip -n tun tuntap add dev theirs " .. case[2])
      assert.same(seen("theirs").linkinfo, seen("ours").linkinfo, case[2])
      local listed = ns.link:list({ name = "theirs" })[1]
      local other <close> = netns.new()
      other.link:add(listed)
      local again = other.link:list({ name = "theirs" })[1]
      local keys = { "type", "mode", "pi", "vnet_hdr", "multi_queue", "owner", "tun_group", "persist", "mtu" }
      for _, key in ipairs(keys) do
        assert.equal(listed[key], again[key], key)
      end
      ns.link:del "ours"
      ns.link:del "theirs"
    end
  end)

  it("take what every link takes, all or nothing", function()
    ns.link:add { name = "br0", type = "bridge" }
    local tap = ns.link:add { name = "tap0", type = "tun", mode = "tap", mtu = 1400, master = "br0", up = true,
      alias = "guest", index = 77 }
    assert.same({ 1400, "br0", true, "guest", 77 }, { tap.mtu, tap.master, tap.up, tap.alias, tap.ifindex })
    local _, err = netns.try(ns.link.add, ns.link, { name = "tap1", type = "tun", mode = "tap", mtu = 10000000 })
    assert.equal("EINVAL", err.code)
    assert.is_nil(ns.link:get "tap1")
    _, err = netns.try(ns.link.add, ns.link, { name = "tap0", type = "tun", mode = "tap" })
    assert.equal("EEXIST", err.code)
  end)

  it("hand their packets to Lua", function()
    local tun <close> = ns:tun { name = "tun0", mode = "tun" }
    assert.equal("tun0", tun:name())
    assert.is_number(tun:fd())
    ns.link:set { name = "tun0", up = true, addrgenmode = "none" }
    ns.addr:add { dev = "tun0", address = "10.8.0.1", peer = "10.8.0.2/32" }
    ns:run { "ping", "-c1", "-W0.1", "10.8.0.2" }
    local request
    repeat
      request = tun:read()
    until not request or (request:byte(1) == 0x45 and request:byte(10) == 1)
    assert.equal("10.8.0.2", table.concat({ request:byte(17, 20) }, "."))
    assert.equal(8, request:byte(21)) -- an echo request
    tun:close()
    tun:close()
    assert.is_nil(ns.link:get "tun0") -- gone with its fd
    assert.error_matches(function()
      tun:read()
    end, "the tun is closed", nil, true)
  end)

  it("refuse what cannot be", function()
    local function refuses(words, fn, ...)
      local args = table.pack(...)
      assert.error_matches(function()
        fn(table.unpack(args))
      end, words, nil, true)
    end
    refuses('mode must be "tun" or "tap", got nothing', ns.link.add, ns.link, { name = "x", type = "tun" })
    refuses('mode must be "tun" or "tap", got vlan', ns.tun, ns, { mode = "vlan" })
    refuses('unknown key "nmae" (did you mean "name"?)', ns.tun, ns, { mode = "tun", nmae = "x" })
    refuses("name must be 1 to 15 bytes", ns.tun, ns, { mode = "tun", name = ("x"):rep(16) })
    refuses("pi must be true or false", ns.tun, ns, { mode = "tun", pi = 1 })
    refuses("not in a batch", ns.batch, ns, function(b)
      b.link:add { name = "x", type = "tun", mode = "tun" }
    end)
    refuses('unknown key "mut" (did you mean "mtu"?)', ns.link.add, ns.link,
      { name = "x", type = "tun", mode = "tun", mut = 5 })
    assert.equal(1, #ns.link:list())
  end)
end)
