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
  io.stdout:setvbuf "no"
  for _ = 1, 1000 do
    print "up"
    local lab = small:up { name = name }
    print "apply"
    lab:apply(big)
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
      kill_once("", 1 + i % 7, (i % 10) * 0.003)
    end
    assert.same({}, netns.list())
    assert.same({}, topology.sweep())
  end)

  it(("leaves nothing after a sweep when they have names, %d times"):format(rounds), function()
    local bystander <close> = topology.pair():up { name = "bystander" }
    for i = 1, rounds do
      kill_once("victim", 1 + i % 7, (i % 10) * 0.003)
      topology.sweep()
      for _, left in ipairs(netns.list()) do
        assert.matches("^bystander%.", left)
      end
    end
    assert.is_true(bystander:ping_all().ok)
    sh.eventually(function()
      return not sh.try("ps -C sleep -o args=").stdout:find "1000"
    end, 10, "the processes of the labs to be gone")
  end)

  teardown(function()
    here:close()
  end)
end)
