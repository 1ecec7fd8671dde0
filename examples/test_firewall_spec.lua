#!/usr/bin/env lua5.4
-- A firewall, tested: busted runs it (`busted examples/test_firewall_spec.lua`), and so does lua5.4 alone.
--
--   pc ----+
--          +--- [lan] --- gw --------- outside
--   web ---+              firewall
--
--   lan         10.0.0.0/24, fd00::/64: gw .1, then the hosts in the order of their names
--   gw-outside  10.128.0.0/31, fd00:0:1::/127
--
-- What is wanted: inside may go out; outside may only reach the web server's port 80.
require "busted.runner"()
require "netns.assert"
local topology = require "netns.topology"

local function office()
  local t = topology.new "office"
  local lan, gw = t:switch "lan", t:router "gw"
  t:host("pc"):attach(lan)
  t:host("web"):attach(lan)
  gw:attach(lan):connect(t:host "outside")
  gw:firewall [[
    table inet filter {
      chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "eth0" accept comment "from inside"
        ip daddr 10.0.0.3 tcp dport 80 accept comment "the web server"
      }
    }
  ]]
  return t
end

describe("the office's firewall", function()
  local lab, server, recorder

  setup(function()
    lab = office():up()
    recorder = lab:record { failures = os.getenv "TMPDIR" or "/tmp" } -- what fails leaves its packets there
    local code = "local s = require('socket').bind('*', 80) while true do s:accept():close() end"
    server = lab.web:spawn({ "lua5.4", "-e", code }, { ready = { tcp = 80 } }) -- returns when it listens
  end)

  teardown(function()
    recorder:close()
    server:close()
    lab:close()
  end)

  it("lets those inside out", function()
    assert.reaches(lab.pc, lab.outside)
    assert.route(lab.pc, lab.outside, lab.gw.address)
  end)

  it("lets those outside reach the web server only", function()
    assert.reaches(lab.outside, lab.web, { tcp = 80 })
    assert.blocked(lab.outside, lab.web, { tcp = 22, timeout = 0.2 })
    assert.blocked(lab.outside, lab.pc, { timeout = 0.2 })
  end)

  it("counts no other losses on the way", function()
    local lost = lab:drops(function()
      assert.reaches(lab.pc, lab.outside, { count = 10, interval = 0.01 })
    end)
    assert.equal("nothing was counted", tostring(lost))
  end)

  it("leaves the network as it was described", function()
    assert.no_drift(lab)
  end)
end)
