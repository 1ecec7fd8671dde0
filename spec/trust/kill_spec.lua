--- SIGKILL at random moments of a program that uses everything: after a sweep nothing of it is left, and what others
-- made is untouched. NETNS_KILLS says how many rounds (default 20).
local features = require "spec.support.features"
local leaks = require "spec.support.leaks"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

leaks.gate()

local rounds = (tonumber(os.getenv "NETNS_KILLS" or "") or 10) * 2
local lua = os.getenv "LUA" or "lua5.4"

local script = [[
  local netns = require "netns"
  local topology = require "netns.topology"
  local firewall = require "netns.firewall"
  io.stdout:setvbuf "no"
  print "ready"
  for _ = 1, 1000 do
    local t = topology.new "victim"
    local sw, gw = t:switch "sw", t:router "gw"
    for i = 1, 2 do t:host("h" .. i):attach(sw) end
    gw:attach(sw):connect(t:host "far")
    gw:firewall "table inet f { chain c { type filter hook forward priority 0; }; }"
    local lab = t:up { name = "victim" }
    print "up"
    local here = lab.h1
    local sleeper = here:spawn { "sleep", "4242" }
    local shell = here:spawn { "sh", "-c", "sleep 4242 & sleep 4242" }
    local m = here:monitor()
    local nft = here.nft:monitor()
    local anonymous, name = netns.new(), netns.new "victim's own"
    anonymous.link:add { name = "v0", type = "veth", up = true, peer = { name = "v1", netns = here } }
    here:batch(function(b)
      for i = 1, 50 do b.route:replace { dst = ("10.99.%d.0/24"):format(i), via = "10.0.0.1" } end
    end)
    firewall.default_deny(lab.far)
    firewall.reset(lab.far)
    lab:ping_all { timeout = 0.05 }
    here:run { "true" }
    print "used"
    here:call(function() local f = io.open "/proc/net/dev" f:close() end)
    nft:close() m:close() sleeper:close() shell:close() anonymous:close() name:close()
    lab:close()
    print "closed"
  end]]

describe("a program that uses everything, killed at a random moment", function()
  local here = netns.current()

  teardown(function()
    here:close()
    require("netns.core").nft_stop()
  end)

  local function workers()
    local pids = {}
    for pid in sh.try("ps -C nft_worker -o pid=").stdout:gmatch "%d+" do
      pids[pid] = true
    end
    return pids
  end

  -- Let it get to the n-th word, then a random part of the next step further.
  local function kill_once(words, part)
    local p <close> = here:spawn({ lua, "-" }, { stdin = script, mounts = false, stderr = "inherit" })
    for _ = 1, words do
      assert.is_string(p:read("l", 30))
    end
    assert.is_nil(p:wait(part))
    p:kill "KILL"
    assert.equal("KILL", p:wait(20).signal)
  end

  it(("leaves no name, mount, process, link or worker, %d times"):format(rounds), function()
    features.need "nft"
    local seed = os.time()
    math.randomseed(seed)
    sh.run "ip netns add others; mkdir -p /etc/netns/others"
    local bystander <close> = topology.pair():up { name = "bystander" }
    bystander.h1.nft:run "add table inet mine"
    local own = workers()
    local before = leaks.snapshot()
    for round = 1, rounds do
      kill_once(1 + round % 4, math.random() * 0.15)
      local left
      -- a child that the program was about to start holds the lab's lock until it has got so far
      local swept = pcall(sh.eventually, function()
        netns.sweep()
        left = leaks.compare(before, leaks.snapshot())
        return #left == 0
      end, 10)
      assert(swept, ("round %d, seed %d: %s"):format(round, seed, table.concat(left, "\n")))
    end
    sh.eventually(function()
      for pid in pairs(workers()) do
        if not own[pid] then
          return false
        end
      end
      return not sh.try("ps -C sleep -o args=").stdout:find "4242"
    end, 15, "the end of the programs' workers and processes")
    assert.is_true(bystander:ping_all().ok)
    assert.matches("table inet mine", bystander.h1.nft:text())
    assert.matches("others", sh.run "ip netns list")
    sh.run "ip netns del others; rmdir /etc/netns/others"
  end)
end)
