require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local assertions = require "netns.assert"
local netns = require "netns"
local topology = require "netns.topology"

local lab

setup(function()
  local t = topology.new "t"
  local lan = t:switch "lan"
  local gw = t:router "gw"
  gw:attach(lan):connect(t:host "srv")
  t:host("pc"):attach(lan)
  gw:firewall [[
    table inet guard {
      chain c {
        type filter hook forward priority 0
        tcp dport 22 drop
        tcp dport 23 reject with tcp reset
      }
    }
  ]]
  lab = t:up()
end)

teardown(function()
  lab:close()
end)

-- What a failing assertion prints.
local function message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(type(err) == "table" and err.message or err)
end

describe("assert", function()
  it("reaches", function()
    assert.reaches(lab.pc, lab.srv)
    assert.reaches(lab.pc, lab.srv.address, { icmp = true })
    local text = message(function()
      assert.reaches(lab.pc, lab.srv, { tcp = 22, timeout = 0.2 })
    end)
    assert.matches("expected pc to reach srv %(tcp port 22%): tcp [%d.]+ port 22: silent", text)
    assert.matches("gw: rule \"tcp dport 22 drop\" of chain inet guard c drops packets", text)
    assert.matches("%(x%) gw ", text) -- the picture
    assert.not_reaches(lab.pc, lab.srv, { tcp = 22, timeout = 0.2 })
    assert.matches("expected pc not to reach srv %(ping%), but it does", message(function()
      assert.is_not.reaches(lab.pc, lab.srv)
    end))
  end)

  it("blocked", function()
    assert.blocked(lab.pc, lab.srv, { tcp = 22, timeout = 0.2 })
    assert.blocked(lab.pc, lab.srv, { tcp = 23 }) -- a reset, and it is the firewall's
    local text = message(function()
      assert.blocked(lab.pc, lab.srv)
    end)
    assert.matches("expected pc to be blocked from srv %(ping%), but it gets there", text)
    text = message(function()
      assert.blocked(lab.pc, lab.srv, { tcp = 80 })
    end)
    assert.matches("nothing is in the way, only nobody listens", text)
    assert.matches("srv: nothing listens on tcp port 80", text)
    assert.matches("expected pc not to be blocked", message(function()
      assert.not_blocked(lab.pc, lab.srv, { tcp = 22, timeout = 0.2 })
    end))
  end)

  it("route", function()
    assert.route(lab.pc, "default", lab.gw.address)
    assert.route(lab.pc, lab.srv, lab.gw.address)
    assert.route(lab.pc, lab.srv.address, "eth0")
    assert.route(lab.gw, "10.0.0.0/24", "eth0")
    assert.not_route(lab.gw, "10.99.0.0/16")
    assert.not_route(lab.gw, "203.0.113.1")
    local text = message(function()
      assert.route(lab.pc, "default", "10.0.0.77")
    end)
    assert.matches("expected pc to have a route to default by 10.0.0.77, but it has: default via 10.0.0.1 dev eth0",
      text)
    assert.matches("but it has none", message(function()
      assert.route(lab.gw, "10.99.0.0/16")
    end))
  end)

  it("no_drift", function()
    lab:repair() -- of what the others did
    assert.no_drift(lab)
    lab.pc.link:set { dev = "eth0", mtu = 1400 }
    local text = message(function()
      assert.no_drift(lab)
    end)
    assert.matches("expected the lab to be as described, but:\n.*pc.*mtu", text)
    lab:repair()
    assert.no_drift(lab)
  end)
end)

describe("without busted", function()
  it("they are functions that raise", function()
    local ns, dst = assertions.reaches(lab.pc, lab.srv)
    assert.equal(lab.pc, ns)
    assert.equal(lab.srv, dst)
    local ok, err = pcall(assertions.reaches, lab.pc, lab.srv, { tcp = 80 })
    assert.is_false(ok)
    assert.matches("nothing listens on tcp port 80", tostring(err))
  end)

  it("they work on plain namespaces", function()
    local a <close> = netns.new()
    local b <close> = netns.new()
    a.link:add { name = "eth0", type = "veth", peer = { name = "eth0", netns = b } }
    for i, ns in ipairs { a, b } do
      ns.link:set { dev = "eth0", up = true }
      ns.addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
    end
    a:wait { link = "eth0", state = "up" }
    assertions.reaches(a, "10.0.0.2")
    assertions.reaches(a, b)
    b.link:set { dev = "eth0", up = false }
    local _, err = pcall(assertions.reaches, a, "10.0.0.2", { timeout = 0.2 })
    assert.matches("has no carrier", tostring(err))
  end)

  it("refuse what they cannot judge", function()
    for _, name in ipairs { "reaches", "blocked", "route" } do
      assert.error_matches(function()
        assertions[name]("pc", "srv")
      end, name .. ": argument 1 must be a node or a Namespace, got string")
    end
    assert.error_matches(function()
      assertions.route(lab.pc, 7)
    end, "route: a node, a destination and a next hop")
    assert.error_matches(function()
      assertions.no_drift(lab.pc)
    end, "no_drift: a lab expected, got userdata")
  end)
end)
