--- What no noise can touch: system calls, bytes sent and instructions of an operation.
--
--    counts.lua [--write] [WORD...]     works whose name holds one of the words
--
-- Each work (counted.lua) is done for two sizes; what the larger takes more, divided by what there is more of it, is
-- one operation's. System calls and bytes are strace's, of all processes; instructions are callgrind's, of this program
-- alone. Fails where a figure is more than a tenth above the one kept in counts.txt; with --write, keeps these.
local bench = require "spec.bench.bench"
local sh = require "spec.support.sh"

local KEPT = "spec/bench/counts.txt"
local ALLOWED = 1.1

-- Their order is the table's. Small and large size; no instructions (false) where they depend on how long it waits.
local works = {
  { "route in a batch", 500, 1500 },
  { "route listed, and added", 500, 1500 },
  { "address, one by one", 100, 400 },
  { "namespace, made and closed", 200, 800 },
  { "host of a star", 20, 60 },
  { "router in a row", 20, 60 },
  { "call", 1000, 4000 },
  { "run { \"true\" }", 10, 30, false },
  { "nft rule, 20 at a time", 100, 300, false },
}

local function run(tool, work, n)
  local argv = { "sh", "-c", 'exec "$@" 2>&1', "sh", "setarch", "-R" }
  table.move(tool, 1, #tool, #argv + 1, argv)
  table.move({ "lua5.4", "spec/bench/counted.lua", work, tostring(n) }, 1, 4, #argv + 1, argv)
  return sh.run(argv, { timeout = 300 })
end

local function strace(work, n)
  local calls, bytes = 0, 0
  for line in run({ "strace", "-f", "-qq", "-e", "signal=none", "-s", "0" }, work, n):gmatch "[^\n]+" do
    if line:find "%(" and not line:find "resumed>" then
      calls = calls + 1
    end
    if line:find "= %? ERESTART" then -- the kernel's lock was taken: it does it once more
      calls = calls - 1
    end
    if line:find "send%a* resumed>" or line:find "send%a*%(" then
      bytes = bytes + (math.tointeger(tonumber(line:match "= (%d+)$")) or 0)
    end
  end
  return calls, bytes
end

local function callgrind(work, n)
  local text = run({ "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null" }, work, n)
  return assert(tonumber(text:match "Collected : (%d+)"), text)
end

local function count(work)
  local name, small, large, exact = table.unpack(work, 1, 4)
  local figures = {}
  local function each(n, a, b)
    figures[n] = (b - a) / (large - small)
  end
  local calls_a, bytes_a = strace(name, small)
  local calls_b, bytes_b = strace(name, large)
  each(1, calls_a, calls_b)
  each(2, bytes_a, bytes_b)
  if exact ~= false then
    each(3, callgrind(name, small), callgrind(name, large))
  end
  return figures
end

local function read_kept()
  local kept = {}
  local file = io.open(KEPT)
  for line in file and file:lines() or function() end do
    local name, rest = line:match "^(%S.-)  +(.*)$"
    if name and not line:find "^#" then
      kept[name] = {}
      for word in rest:gmatch "%S+" do
        table.insert(kept[name], tonumber(word) or false)
      end
    end
  end
  return kept
end

local function row(name, figures)
  local cells = { ("%-28s"):format(name) }
  for i = 1, 3 do
    cells[i + 1] = ("%14s"):format(figures[i] and ("%.2f"):format(figures[i]) or "-")
  end
  return table.concat(cells)
end

local write, words = false, {}
for _, word in ipairs(arg) do
  if word == "--write" then
    write = true
  else
    words[#words + 1] = word
  end
end

local head = ("%-28s%14s%14s%14s"):format("# each", "system calls", "bytes sent", "instructions")
local kept, lines, passed, failed = read_kept(), { head }, 0, 0
print(head)
for _, work in ipairs(works) do
  local name = work[1]
  if bench.wanted(name, words) then
    local figures = count(work)
    lines[#lines + 1] = row(name, figures)
    print(lines[#lines])
    for i, what in ipairs { "system calls", "bytes sent", "instructions" } do
      local figure, limit = figures[i], kept[name] and kept[name][i]
      if figure and limit and figure > limit * ALLOWED + 0.01 then
        print(("  FAILED: %s: %.2f instead of %.2f"):format(what, figure, limit))
        failed = failed + 1
      elseif figure then
        passed = passed + 1
      end
    end
  end
end
if write then
  sh.write_file(KEPT, table.concat(lines, "\n") .. "\n")
end
print(("%d passed, %d failed, 0 skipped"):format(passed, failed))
os.exit(failed == 0)
