--- The same, for a long time: labs and everything else made, changed and closed, with memory and descriptors watched.
--
--    soak.lua            SOAK_SECONDS (600) of it
--
-- The first tenth is warming up. After it a sample is taken every few seconds: what the process has in memory, the
-- firewall's worker has, and the number of descriptors, names, children and network namespaces of the kernel. Flat is
-- what does not grow from the first third of the samples to the last one.
local core = require "netns.core"
local firewall = require "netns.firewall"
local lfs = require "lfs"
local netns = require "netns"
local topology = require "netns.topology"

local seconds = tonumber(os.getenv "SOAK_SECONDS") or 600
local here <close> = netns.current()

local function read(path)
  local f = io.open(path)
  local text = f and f:read "a"
  if f then
    f:close()
  end
  return text or ""
end

local function entries(dir)
  local n = 0
  for name in lfs.dir(dir) do
    n = n + (name:find "^%." and 0 or 1)
  end
  return n
end

local function resident(pid) -- KiB, its own
  return tonumber(read(("/proc/%s/status"):format(pid)):match "RssAnon:%s*(%d+)") or 0
end

-- Works, each of which leaves nothing.
local works = {}

function works.lab(i)
  local t = topology.new "soak"
  local sw, gw = t:switch "sw", t:router "gw"
  for h = 1, 3 do
    t:host("h" .. h):attach(sw)
  end
  gw:attach(sw):connect(t:host "far")
  gw:firewall "table inet f { chain c { type filter hook forward priority 0; counter; }; }"
  local lab <close> = t:up(i % 2 == 0 and { name = "soak" } or nil)
  assert(lab.h1:ping(lab.far, { timeout = 10 }))
  t:host("h4"):attach(sw)
  lab:apply(t)
  assert(lab:ping_all({ timeout = 10 }).ok)
  lab:cut("gw", "far")
  lab:restore("gw", "far")
  lab.h2.link:set { dev = "eth0", mtu = 1400 }
  assert(#lab:diff() > 0)
  lab:repair()
  topology.sweep()
end

function works.nouns()
  local a <close> = netns.new()
  local b <close> = netns.new "soak-b"
  a.link:add { name = "e0", type = "veth", up = true, peer = { name = "e0", netns = b, up = true } }
  a.addr:add { dev = "e0", address = "10.0.0.1/24" }
  a:batch(function(batch)
    for k = 0, 499 do
      batch.route:add { dst = ("10.%d.%d.0/24"):format(1 + k // 250, k % 250), via = "10.0.0.2" }
    end
  end)
  local n = 0
  for _ in a.route:each() do
    n = n + 1
  end
  assert(n > 500 and #a.route:list() == n)
  assert(not netns.try(a.route.add, a.route, { dst = "10.1.0.0/24", via = "10.0.0.2" }))
  a.route:flush { via = "10.0.0.2" }
  local monitor <close> = b:monitor()
  b.link:set { dev = "e0", mtu = 1400 }
  assert(monitor:next(10))
  assert(a:call(function() return io.open("/proc/thread-self/net/dev"):read "a" end))
end

function works.processes()
  local ns <close> = netns.new()
  local r = ns:run({ "cat" }, { stdin = ("x"):rep(100000), timeout = 30 })
  assert(#r.stdout == 100000)
  local p <close> = ns:spawn { "sleep", "1000" }
  assert(not pcall(ns.run, ns, { "/nonexistent" }))
  return p
end

function works.firewall()
  local ns <close> = netns.new()
  local t = ns.nft:table { family = "inet", name = "t" }
  local c = t:chain { name = "c", type = "filter", hook = "input", priority = 0 }
  ns.nft:transaction(function()
    for port = 1, 50 do
      c:rule(("tcp dport %d accept"):format(port))
    end
  end)
  assert(#ns.nft:list() > 50 and not pcall(ns.nft.run, ns.nft, "add rule nonsense"))
  firewall.default_deny(ns)
  firewall.reset(ns)
end

local order = { "lab", "nouns", "processes", "firewall" }

local function children()
  local path = ("/proc/self/task/%d/children"):format(read("/proc/self/stat"):match "^%d+")
  return select(2, read(path):gsub("%d+", ""))
end

local function sample()
  collectgarbage()
  collectgarbage()
  local worker = core.nft_worker()
  return {
    memory = resident "self",
    lua = math.floor(collectgarbage "count"),
    worker = worker and resident(worker) or 0,
    descriptors = entries "/proc/self/fd",
    names = entries "/run/netns",
    children = children(),
  }
end

-- Allowed growth between the first and the last third: KiB of slack for allocators, nothing for what is counted.
local slack = { memory = 2048, lua = 256, worker = 16384, descriptors = 0, names = 0, children = 0 }

local function mean(samples, key, from, to)
  local sum = 0
  for i = from, to do
    sum = sum + samples[i][key]
  end
  return sum / (to - from + 1)
end

local function report(samples)
  local third, failed = #samples // 3, 0
  for _, key in ipairs { "memory", "lua", "worker", "descriptors", "names", "children" } do
    local first, last = mean(samples, key, 1, third), mean(samples, key, #samples - third + 1, #samples)
    local flat = last - first <= slack[key]
    failed = failed + (flat and 0 or 1)
    print(("  %-12s %9.1f at first, %9.1f at last: %s"):format(key, first, last, flat and "flat" or "GROWS"))
  end
  print(("%d passed, %d failed, 0 skipped"):format(6 - failed, failed))
  os.exit(failed == 0)
end

local start, cycles, samples = core.now(), 0, {}
local warm, next_sample = start + seconds / 10, start + seconds / 10
while core.now() < start + seconds do
  for _, name in ipairs(order) do
    works[name](cycles)
  end
  cycles = cycles + 1
  if core.now() >= next_sample then
    samples[#samples + 1] = sample()
    next_sample = next_sample + seconds / 60
  end
end
assert(#samples >= 9, "too short to say anything: " .. #samples .. " samples")
print(("%d cycles in %d s, %d samples after %d s of warming up; %s's namespace unchanged"):format(cycles, seconds,
  #samples, math.floor(warm - start), tostring(here)))
local now <close> = netns.current()
assert(now == here)
report(samples)
