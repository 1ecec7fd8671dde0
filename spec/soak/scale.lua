--- Much at once: 10,000 namespaces, a million routes, a fat tree of 1,024 hosts. SCALE=10 makes a tenth of each.
local core = require "netns.core"
local netns = require "netns"
local topology = require "netns.topology"

local scale = tonumber(os.getenv "SCALE") or 1
local lua = os.getenv "LUA" or "lua5.4"

local passed, failed, skipped = 0, 0, 0

local function test(name, fn)
  local from = core.now()
  local ok, text = pcall(fn)
  if ok then
    passed = passed + 1
    print(("  %s: %s (%.1f s)"):format(name, text, core.now() - from))
  elseif tostring(text):find "^skip: " then
    skipped = skipped + 1
    print(("  skipped %s: %s"):format(name, tostring(text):sub(7)))
  else
    failed = failed + 1
    print(("  FAILED %s: %s"):format(name, tostring(text)))
  end
  collectgarbage()
end

local function resident()
  for line in io.lines "/proc/self/status" do
    if line:find "^RssAnon" then
      return tonumber(line:match "%d+") / 1024
    end
  end
end

-- A script in a process of its own, after a shell's command.
local function run(command, script)
  local here <close> = netns.current()
  local r = here:run({ "sh", "-c", command .. ' && exec "$0" -', lua }, { stdin = script, timeout = 900 })
  if not r.ok then
    error(r.stderr .. r.stdout, 0)
  end
  return r.stdout:gsub("\n$", "")
end

local count = 10000 // scale

local many = ([[
  local netns = require "netns"
  local list = {}
  for i = 1, %d do list[i] = netns.new() end
  for i = 1, #list, 97 do -- more of them are used than sessions are kept open
    list[i].link:set { dev = "lo", up = true }
  end
  for i = 1, #list, 97 do assert(list[i].link:get "lo".up) end
  print(#list .. " namespaces open in one process, every 97th used")
  for i = 1, #list do list[i]:close() end
]]):format(count)

io.stdout:setvbuf "line"

test("namespaces", function()
  return run(("ulimit -S -n $(ulimit -H -n) && [ $(ulimit -n) = unlimited ] || ulimit -n | awk '$1 < %d { exit 1 }'")
    :format(count + 100), many)
end)

test("namespaces beyond the limit of descriptors", function()
  return run("ulimit -n 256", [[
    local netns = require "netns"
    local list = {}
    local ok, err
    repeat
      ok, err = pcall(netns.new)
      list[#list + 1] = ok and err or nil
    until not ok
    assert(err.code == "EMFILE" and tostring(err):find("RLIMIT_NOFILE is 256", 1, true), tostring(err))
    assert(tostring(err):find("ulimit -n", 1, true))
    for i = 1, #list do list[i]:close() end
    assert(netns.new())
    print(("after %d: %s"):format(#list, tostring(err)))
  ]])
end)

test("routes", function()
  local routes = 1000000 // scale
  local ns <close> = netns.new()
  ns.link:set { dev = "lo", up = true }
  local base = 0x0b000000 -- 11.0.0.0, by /32
  for from = 0, routes - 1, 50000 do
    ns:batch(function(b)
      for i = from, math.min(from + 50000, routes) - 1 do
        local a = base + i
        b.route:add { dst = ("%d.%d.%d.%d"):format(a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255), dev = "lo" }
      end
    end)
    collectgarbage()
  end
  collectgarbage()
  local before, seen, most = resident(), 0, 0
  for route in ns.route:each() do
    assert(route.dst)
    seen = seen + 1
    if seen % 50000 == 0 then
      most = math.max(most, resident() - before)
    end
  end
  assert(seen >= routes, seen)
  assert(most < 16, ("listing takes %.1f MiB"):format(most))
  return ("%d of them listed by each, in %.1f MiB beyond what there was"):format(seen, most)
end)

test("fat tree", function()
  local k = scale == 1 and 16 or 8
  local from = core.now()
  local lab <close> = topology.fat_tree { k = k, ipv6 = false }:up()
  local up = core.now() - from
  local hosts = k ^ 3 // 4
  for i = 1, 16 do
    local a, b = lab["h" .. math.random(hosts)], lab["h" .. math.random(hosts)]
    assert(a:ping(b, { timeout = 20 }), i)
  end
  return ("k = %d, %d hosts, up in %.1f s; pings across it"):format(k, hosts, up)
end)

print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0)
