-- SIGKILL at random moments of up, apply and close: anonymous labs leave nothing, named ones nothing after sweep.
-- NETNS_KILLS says how many rounds (default 10).
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local rounds = tonumber(os.getenv "NETNS_KILLS" or "") or 10
local lua = os.getenv "LUA" or "lua5.4"

local script = [[
  local topology = require "netns.topology"
  local name = arg[1] ~= "" and arg[1] or nil
  local small, big = topology.dumbbell { left = 1, right = 1 }, topology.dumbbell { left = 3, right = 2 }
  small:node("h1"):run { "sleep", "1000" }
  big:node("r2"):firewall "table inet f {\n chain c {\n type filter hook forward priority 0;\n }\n}"
  big:node("h2"):sysctl { ["net.ipv4.ip_default_ttl"] = 9 }:run { "sleep", "1000" }
  big.data.nodes.h1.devices = { { name = "br1", type = "bridge" } }
  big.data.nodes.h1.rules = { { priority = 9, from = "10.0.0.0/8", table = 9 } }
  io.stdout:setvbuf "no"
  for _ = 1, 1000 do
    print "up"
    local lab = small:up { name = name }
    print "apply"
    lab:apply(big)
    print "back"
    lab:apply(small)
    lab.h1:spawn { "sleep", "1000" }
    print "close"
    lab:close()
  end]]

describe("a script killed at a random moment", function()
  local here = netns.current()

  -- Run the script, read some of its words, wait a random part of the next step, kill it.
  local function kill_once(name, words, part)
    local p <close> = here:spawn({ lua, "-", name }, { stdin = script, mounts = false, stderr = "inherit" })
    for _ = 1, words do
      assert.is_string(p:read("l", 20))
    end
    assert.is_nil(p:wait(part)) -- a bounded part of what comes next
    p:kill "KILL"
    assert.equal("KILL", p:wait(20).signal)
  end

  it(("leaves nothing when its labs are anonymous, %d times"):format(rounds), function()
    for i = 1, rounds do
      kill_once("", 1 + i % 9, (i % 10) * 0.003)
    end
    assert.same({}, netns.list())
    assert.same({}, topology.sweep())
  end)

  -- A child that was about to become another program holds the lock until it is one, or is killed, too.
  local function swept()
    topology.sweep()
    for _, left in ipairs(netns.list()) do
      if not left:find "^bystander%." then
        return false
      end
    end
    return true
  end

  it(("leaves nothing after a sweep when they have names, %d times"):format(rounds), function()
    local bystander <close> = topology.pair():up { name = "bystander" }
    for i = 1, rounds do
      kill_once("victim", 1 + i % 9, (i % 10) * 0.003)
      sh.eventually(swept, 10, "a sweep that leaves nothing of the victim")
    end
    assert.is_true(bystander:ping_all().ok)
    sh.eventually(function()
      return not sh.try("ps -C sleep -o args=").stdout:find "1000"
    end, 10, "the processes of the labs to be gone")
  end)

  teardown(function()
    here:close()
  end)

  it(("leaves what another takes over, whole, with its processes, %d times"):format(rounds), function()
    for i = 1, rounds do
      kill_once("heir", 1 + i % 9, (i % 10) * 0.003)
      local ok, lab
      sh.eventually(function()
        ok, lab = pcall(topology.attach, "heir", { own = true })
        return ok or not tostring(lab):find "lives$"
      end, 10, "the end of the heir's owner")
      if not ok then -- it was closed, or had not begun
        assert.equal('attach: there is no lab "heir"', lab)
      else
        assert.equal(0, #lab:diff())
        assert.is_true(lab:ping_all().ok)
        assert.error_matches(function() topology.attach("heir", { own = true }) end,
          'the owner of the lab "heir" lives')
        lab:apply(topology.dumbbell { left = 2, right = 1 })
        assert.is_truthy(lab.h1:ping(lab.h3))
        lab:close()
      end
      sh.eventually(swept, 10, "a sweep that leaves nothing")
      assert.same({}, topology.sweep())
    end
  end)

  it("leaves processes that start anew, and nothing of those that ran", function()
    local code = [[
      local t = require("netns.topology").pair()
      t:node "h1":run({ "sleep", "1001" })
      local lab = t:up { name = "heir" }
      lab.h2:spawn { "sleep", "1002" }
      print "up"
      io.read "a"]]
    local p <close> = here:spawn({ lua, "-e", code }, { mounts = false, stderr = "inherit" })
    assert.equal("up", p:read("l", 20))
    local first = sh.run("pgrep -f '^sleep 1001'")
    p:kill "KILL"
    p:wait(20)
    local lab <close> = topology.attach("heir", { own = true })
    assert.not_equal(first, sh.run("pgrep -f '^sleep 1001'"))
    assert.equal(1, #lab.h1:pids())
    sh.eventually(function() return #lab.h2:pids() == 0 end)
    lab:close()
    assert.same({}, netns.list())
    assert.error_matches(function() topology.attach("heir", { own = true }) end, 'there is no lab "heir"')
    assert.error_matches(function() topology.attach("heir", { own = 1 }) end, "own must be a boolean, got 1")
  end)
end)
