require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"

local a, b

before_each(function()
  a, b = netns.new(), netns.new()
end)

after_each(function()
  a:close()
  b:close()
end)

local function configure(ns, with)
  local commands = {
    "link add eth0 address 02:00:00:00:00:01 type veth peer name eth1 address 02:00:00:00:00:02",
    "link set eth0 addrgenmode none mtu " .. (with.mtu or 1500),
    "link set eth1 addrgenmode none",
    "link set eth0 up",
    "link set eth1 up",
    "addr add 10.0.0.1/24 dev eth0",
    "route add 10.9.0.0/16 via " .. (with.via or "10.0.0.2"),
    "rule add from 10.0.0.0/8 lookup 100 pref 50",
    "neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0",
  }
  for _, command in ipairs(commands) do
    sh.ip(ns, command)
  end
  ns:wait { link = "eth0", state = "up" }
end

local function paths(list)
  local found = {}
  for i, d in ipairs(list) do
    found[i] = d.path
  end
  return found
end

describe("ns:dump", function()
  it("holds what ip(8), nft(8) and ss(8) show, as plain data", function()
    configure(a, {})
    a.nft:run "add table inet t"
    local server <close> = a:spawn({ os.getenv "LUA" or "lua5.4", "-e",
      "s = require 'socket'.bind('10.0.0.1', 80) s:accept()" }, { ready = { tcp = 80 } })
    local all = a:dump()
    assert.equal(#sh.ip(a, "-j link show"), #all.link)
    assert.equal(#sh.ip(a, "-j route show table all"), #all.route)
    assert.same(a.route:list { table = "all" }, all.route)
    assert.same(a.addr:list(), all.addr)
    assert.equal("permanent", all.neigh[1].state)
    assert.matches("table inet t", all.nft)
    assert.equal(80, all.socket[1].sport)
    assert.equal(tonumber((sh.inside(a, "sysctl -n net.ipv4.ip_forward"))), all.sysctl["net.ipv4.ip_forward"])
    assert.is_nil(server:wait(0))
    local function plain(value)
      assert.not_equal("userdata", type(value))
      assert.not_equal("function", type(value))
      for _, v in pairs(type(value) == "table" and value or {}) do
        plain(v)
      end
    end
    plain(all)
  end)
end)

describe("netns.compare", function()
  it("finds nothing between equals", function()
    configure(a, {})
    configure(b, {})
    local d = netns.compare(a, b)
    assert.same({}, paths(d))
    assert.equal("no difference", tostring(d))
    assert.equal(0, #netns.compare(a:dump(), a))
  end)

  it("names what is different", function()
    configure(a, {})
    configure(b, { mtu = 1400, via = "10.0.0.3" })
    sh.ip(b, "addr add 10.1.0.1/24 dev eth1")
    sh.ip(a, "rule add from 10.1.0.0/16 lookup 9 pref 60")
    b.nft:run "add table inet t"
    b.sysctl["net.ipv4.conf.eth0.rp_filter"] = 2
    local d = netns.compare(a, b)
    local text = tostring(d)
    assert.matches("~ link eth0 mtu: 1500 %-> 1400", text)
    assert.matches("~ route inet main unicast 10.9.0.0/16 eth0 via: 10.0.0.2 %-> 10.0.0.3", text)
    assert.matches("%+ addr eth1 10.1.0.1/24: {", text)
    assert.matches("%- rule inet 60 10.1.0.0/16", text)
    assert.matches("~ sysctl net.ipv4.conf.eth0.rp_filter: 0 %-> 2", text)
    assert.matches("%+ nft: table inet t {", text)
    local back = netns.compare(b, a)
    assert.equal(#d, #back)
    assert.matches("%- addr eth1 10.1.0.1/24", tostring(back))
    assert.same({ "sysctl net.ipv4.conf.eth0.rp_filter" }, paths(netns.compare(a, b, { ignore = { "link", "route",
      "addr", "rule", "nft", "sysctl net.ipv6.conf.eth0.mtu" } })))
  end)

  it("refuses what cannot be compared", function()
    assert.error_matches(function()
      netns.compare(a)
    end, "compare: argument 2 must be a Namespace or what its dump gave, got nil")
    assert.error_matches(function()
      netns.compare(a, b, { ignored = {} })
    end, "compare: unknown key \"ignored\"")
  end)
end)
