--- Makes calls and allocations of the core fail, one after the other, in everything that the module does.
--
--    run.lua [WORD]...     trials whose name holds one of the words; FAULT_STEP=4 makes every fourth only
--
-- Run by `make test-fault`, under spec/fault/shim.c. A trial is one operation in a child process with one failure in
-- it. It passes if the operation raises that failure in words (or does without what failed), the thread is in its own
-- namespace, the operation works when it is repeated, and after all is closed nothing is left.
local lfs = require "lfs"
local shim = assert(package.loadlib(os.getenv "NETNS_BUILD" .. "/fault/shim.so", "luaopen_shim"))()
local trials = require "spec.fault.trials"

local words = { ... }
local step = tonumber(os.getenv "FAULT_STEP") or 1

local function chosen(name)
  for _, word in ipairs(words) do
    if name:find(word, 1, true) then
      return true
    end
  end
  return #words == 0
end

local counts = { skipped = 0, passed = 0, failed = 0, faults = 0, refused = 0, tolerated = 0, aborts = 0, leaks = 0 }
local shown = {}

local function fail(what, why)
  counts.leaks = counts.leaks + (why:find "^lea" and 1 or 0)
  counts.failed = counts.failed + 1
  local text = ("  FAILED %s: %s"):format(what, why)
  if not shown[why] or shown[why] < 3 then -- the same again and again says nothing new
    print(text)
  end
  shown[why] = (shown[why] or 0) + 1
end

-- Processes of this pid namespace, but this one and its parent; what ends by itself is waited for.
local function strangers()
  local found = {}
  for name in lfs.dir "/proc" do
    local f = name:find "^%d+$" and io.open("/proc/" .. name .. "/stat")
    local stat = f and f:read "a"
    if f then
      f:close()
    end
    if stat and not stat:find "^%d+ %(lua" and name ~= "1" and not stat:find "^%d+ %b() Z" then
      found[#found + 1] = stat:match "^%d+ %b()"
    end
  end
  return found
end

local function names()
  local found = {}
  for name in lfs.dir "/run/netns" do
    if name ~= "." and name ~= ".." then
      found[#found + 1] = name
    end
  end
  return found
end

-- What a trial leaves outside of its process.
local function left_behind()
  local left = names()
  if #left > 0 then
    for _, name in ipairs(left) do
      trials.remove_name(name)
    end
    return "leaves names: " .. table.concat(left, " ")
  end
  local deadline = trials.now() + 5
  local others
  repeat
    others = strangers()
  until #others == 0 or trials.now() > deadline
  return #others > 0 and "leaves processes: " .. table.concat(others, " ") or nil
end

-- One trial; true if its failure came about.
local function trial(what, setup, op)
  local result, stderr, signal = shim.child(setup.run or function() return trials.run(shim, op, setup) end)
  local aborted = signal == 6 and stderr:find("cannot return to the thread's network namespace", 1, true)
  local left = left_behind()
  if aborted and setup.kind == "setns" then -- names of a program that is gone wait for whoever sweeps
    counts.aborts = counts.aborts + 1
    counts.faults = counts.faults + 1
    return true
  end
  local verdict, more = result:match "^(%l+) ?(.*)"
  if signal ~= 0 then
    fail(what, ("killed by signal %d: %s"):format(signal, stderr))
  elseif verdict ~= "refused" and verdict ~= "tolerated" and verdict ~= "unfired" then
    fail(what, result .. stderr)
  elseif left then
    fail(what, left)
  end
  if verdict == "unfired" then
    return false
  end
  counts.faults = counts.faults + 1
  if counts[verdict] then
    counts[verdict] = counts[verdict] + 1
  end
  if verdict == "tolerated" then
    local key = ("%s does without %s"):format(op, setup.kind)
    trials.tolerated[key] = more
  end
  return true
end

-- Allocations: the first ones one by one, then further and further apart.
local function allocations(op, kind, all)
  local n, fired, failed = 1, true, counts.failed
  while fired and counts.failed < failed + 10 do
    fired = trial(("%s, %s %d%s"):format(op, kind, n, all and " and all behind it" or ""),
      { kind = kind, nth = n, all = all }, op)
    n = n + step * (1 + n // (n < 300 and 30 or 8))
  end
end

local function calls(op)
  local seen = shim.child(function() return trials.count(shim, op) end)
  local turn, failed = 0, counts.failed
  for kind, number in seen:gmatch "(%S+)=(%d+)" do
    number = tonumber(number)
    local errnos, stride = trials.errnos[kind], 1 + number // 30
    for n = 1, number do
      -- the first and the last calls fail with each errno, those between in turn with one
      local edge = n <= 3 or n == number
      for _, code in ipairs(edge and errnos or n % stride == 0 and { errnos[n // stride % #errnos + 1] } or {}) do
        turn = turn + 1
        if turn % step == 0 and counts.failed < failed + 20 then
          trial(("%s, %s %d of %d: %s"):format(op, kind, n, number, code), { kind = kind, nth = n, code = code }, op)
        end
      end
    end
  end
end

-- The worker's own calls.
local function worker()
  local kinds = { "setns", "unshare", "mount", "open", "socket", "recv", "recvmsg", "sendmsg", "fstat", "ftruncate",
    "setsockopt", "malloc" }
  for _, kind in ipairs(kinds) do
    for n = 1, 4 do
      for _, code in ipairs(trials.errnos[kind] or { "ENOMEM" }) do
        for _, op in ipairs { "nft.run", "nft.list" } do
          trial(("%s, the worker's %s %d: %s"):format(op, kind, n, code),
            { kind = kind, nth = n, code = code, worker = true }, op)
        end
      end
    end
  end
end

-- netns.rootless, which is tried in a copy of the process first.
local function rootless()
  local kinds = { "clone", "unshare", "open", "opendir", "mount", "mkdir", "write", "malloc" }
  for _, kind in ipairs(kinds) do
    for n = 1, 5 do
      for _, code in ipairs(trials.errnos[kind] or { "ENOMEM" }) do
        local setup = { kind = kind, nth = n, code = code }
        setup.run = function() return trials.rootless(shim, setup) end
        trial(("netns.rootless, %s %d: %s"):format(kind, n, code), setup, "netns.rootless")
      end
    end
  end
end

local function states()
  for _, all in ipairs { false, true } do
    local n, fired = 1, true
    while fired and counts.failed < 10 do
      local text, stderr, signal = shim.child(function() return trials.state(shim, n, all) end)
      fired = text ~= "unfired"
      if signal ~= 0 or text ~= "refused" and text ~= "unfired" and text ~= "tolerated" then
        fail("require, allocation " .. n, text .. stderr)
      end
      counts.faults = counts.faults + 1
      n = n + step * (1 + n // (n < 300 and 30 or 8))
    end
  end
end

-- Run a part, and say how it went.
local function part(name, fn)
  if not chosen(name) then
    return
  end
  local failed, faults, from = counts.failed, counts.faults, trials.now()
  fn()
  print(("  %-45s %5d faults, %d failed (%.1f s)"):format(name, counts.faults - faults, counts.failed - failed,
    trials.now() - from))
  counts.passed = counts.passed + (counts.failed == failed and 1 or 0)
end

local function run_all()
  local api = require "spec.fault.ops"
  for _, name in ipairs(#words == 0 and api.forgotten() or {}) do
    counts.skipped = counts.skipped + 1
    print(("  skipped %s: it has no trial in spec/fault/ops.lua"):format(name))
  end
  part("require", states)
  part("netns.rootless", rootless)
  part("the firewall's worker", worker)
  for _, op in ipairs(api.order) do
    part(op, function()
      allocations(op, "Lua allocation", false)
      allocations(op, "Lua allocation", true)
      allocations(op, "malloc", false)
      calls(op)
    end)
  end
end

io.stdout:setvbuf "line"
run_all()
local tolerated = {}
for text, how in pairs(trials.tolerated) do
  tolerated[#tolerated + 1] = "  " .. text .. " " .. how
end
table.sort(tolerated)
print(table.concat(tolerated, "\n"))
print(("%d faults injected: %d refused in words, %d done without, %d failing restores that aborted; leaks %d"):format(
  counts.faults, counts.refused, counts.tolerated, counts.aborts, counts.leaks))
print(("%d passed, %d failed, %d skipped"):format(counts.passed, counts.failed, counts.skipped))
os.exit(counts.failed == 0)
