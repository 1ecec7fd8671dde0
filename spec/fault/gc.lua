--- The operations of spec/fault/ops.lua, undisturbed, under a Lua that collects garbage wherever it may, fully and with
-- finalizers (HARDMEMTESTS). Whoever holds on to something that nothing refers to any more does not get far. Run by
-- `make test-gc`. (EMERGENCYGCTESTS is not for Lua 5.4.4, which fails an assertion of its own with it; in `make
-- test-fault` Lua collects at the n-th allocation, which fails at first.)
local shim = assert(package.loadlib(os.getenv "NETNS_BUILD" .. "/fault/shim.so", "luaopen_shim"))()
local api = require "spec.fault.ops"
local trials = require "spec.fault.trials"

local words = { ... }
local SECONDS = 200 -- for one
-- tens of thousands of allocations, each after a full collection: minutes
local slow = { ["netns.help"] = true, ["netns.compare"] = true, ["Namespace.dump"] = true,
  ["Namespace.counters"] = true, ["Namespace.drops"] = true }

local function chosen(name)
  for _, word in ipairs(words) do
    if name:find(word, 1, true) then
      return true
    end
  end
  return #words == 0
end

io.stdout:setvbuf "line"
local passed, failed, skipped = 0, 0, 0
local from = trials.now()
for _, op in ipairs(api.order) do
  if chosen(op) and slow[op] and words[1] ~= op then
    skipped = skipped + 1
    print(("  skipped %s: it takes minutes, FAULT=\"%s\" runs it"):format(op, op))
  elseif chosen(op) then
    local start = trials.now()
    local result, stderr, signal = shim.child(function()
      return trials.run(shim, op, { kind = "Lua allocation", nth = -1 })
    end, SECONDS)
    local took = trials.now() - start
    if signal == 0 and result == "unfired" then
      passed = passed + 1
      print(("  %-45s passed (%.1f s)"):format(op, took))
    else
      failed = failed + 1
      print(("  FAILED %s: signal %d, %s %s"):format(op, signal, result, stderr))
    end
  end
end
print(("%d operations with a full collection wherever there may be one, in %.0f s"):format(passed + failed,
  trials.now() - from))
print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0)
