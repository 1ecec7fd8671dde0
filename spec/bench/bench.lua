--- The benchmark harness: the same work done by several contenders, side by side.
--
-- A file spec/bench/NAME_bench.lua declares works; `make bench` runs them all and prints a table.
--
--    local bench = require "spec.bench.bench"
--    bench.work {
--      name = "10,000 routes: add",
--      count = 10000,                               -- operations in one run, for the time of each
--      by = {
--        { "netns", setup = f, run = f, teardown = f },   -- the first is what the others are put against
--        { "ip -batch", run = f, needs = function() return has_ip, "no ip" end },
--        { "a slow peer", run = f, once = true },         -- one sample is enough
--      },
--    }
--
-- `setup()` gives a value that is handed to `run` and `teardown`; only `run` is timed (or, where it
-- returns a number, that many seconds, or of the work's `unit`, were measured by the contender itself). All
-- contenders of a work take turns within each round, so that what else the machine does hits all
-- alike; the round before the first is thrown away; what is printed are medians.
local system = require "system"

local bench = { works = {} }

local known_keys = {
  work = { name = "string", count = "number", rounds = "number", unit = "string", by = "table" },
  contender = { "string", setup = "function", run = "function", teardown = "function", needs = "function",
    once = "boolean" },
}

local function check_keys(what, t)
  for key, value in pairs(t) do
    local expected = known_keys[what][key]
    if type(value) ~= expected then
      error(("%s: %s must be %s, not %s"):format(what, key, expected or "left out", type(value)), 3)
    end
  end
end

--- Declare a work. The order of declaration is the order of the table.
-- @tparam table work `name`, `count` (default 1), `rounds` (default: the run's), `unit` of what is measured ("s", the
--   default, or "B"), `by`
function bench.work(work)
  check_keys("work", work)
  for _, contender in ipairs(work.by) do
    check_keys("contender", contender)
    assert(contender[1] and contender.run, "a contender has a name and `run`")
  end
  bench.works[#bench.works + 1] = work
end

--- The value that a share of the samples is not above, between the two nearest.
-- @tparam {number,...} samples at least one, in any order
-- @tparam number share 0.5 for the median
function bench.quantile(samples, share)
  local sorted = table.move(samples, 1, #samples, 1, {})
  table.sort(sorted)
  local place = 1 + (#sorted - 1) * share
  local low = math.floor(place)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low)
end

local function run_once(contender, clock)
  local state = contender.setup and contender.setup()
  collectgarbage()
  collectgarbage()
  local start = clock()
  local ok, err = xpcall(contender.run, debug.traceback, state)
  local seconds = ok and err or clock() - start
  if contender.teardown then
    contender.teardown(state)
  end
  if not ok then
    error(("%s: %s"):format(contender[1], err), 0)
  end
  return seconds
end

--- Run one work.
-- @tparam table work as declared
-- @tparam[opt] table opts `rounds` (default 5), `clock` (a function to seconds)
-- @treturn table `name`, `count`, `rounds` and a row for each contender: `name` and `samples`
--   (seconds, in the order of the rounds), `median`, `low` and `high` (quartiles), `ratio` (to the
--   first contender that ran), or `skipped` (why)
function bench.run(work, opts)
  opts = opts or {}
  local clock = opts.clock or system.monotime
  local result = { name = work.name, count = work.count or 1, rounds = work.rounds or opts.rounds or 5,
    unit = work.unit }
  for i, contender in ipairs(work.by) do
    local ready, why = true, nil
    if contender.needs then
      ready, why = contender.needs()
    end
    result[i] = { name = contender[1], samples = {}, skipped = not ready and (why or "not available") or nil }
  end
  for round = 0, result.rounds do
    for i, contender in ipairs(work.by) do
      if not result[i].skipped and (round == 1 or not contender.once) then
        local seconds = run_once(contender, clock)
        if round > 0 then
          result[i].samples[round] = seconds
        end
      end
    end
  end
  local first
  for _, row in ipairs(result) do
    if not row.skipped then
      row.median = bench.quantile(row.samples, 0.5)
      row.low, row.high = bench.quantile(row.samples, 0.25), bench.quantile(row.samples, 0.75)
      first = first or row.median
      row.ratio = row.median / first
    end
  end
  return result
end

--- Is a work asked for? Without words, all are.
-- @tparam string name
-- @tparam {string,...} words parts of names
function bench.wanted(name, words)
  for _, word in ipairs(words) do
    if name:find(word, 1, true) then
      return true
    end
  end
  return #words == 0
end

--- Seconds for people: three digits and the unit.
function bench.seconds(t)
  for _, unit in ipairs { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "µs" } } do
    if t >= unit[1] then
      local n = t / unit[1]
      return ("%s %s"):format(("%.3g"):format(n):find "e" and ("%.0f"):format(n) or ("%.3g"):format(n), unit[2])
    end
  end
  return ("%.3g ns"):format(t * 1e9)
end

--- Bytes for people.
function bench.bytes(n)
  for _, unit in ipairs { { 2 ^ 20, "MiB" }, { 2 ^ 10, "KiB" } } do
    if n >= unit[1] then
      return ("%.3g %s"):format(n / unit[1], unit[2])
    end
  end
  return ("%.0f B"):format(n)
end

local columns = { "work", "by", "median", "quartiles", "each", "ratio" }

-- The rows of the table, as text cells.
local function cells(results)
  local rows = {}
  for _, result in ipairs(results) do
    local write = result.unit == "B" and bench.bytes or bench.seconds
    for i, row in ipairs(result) do
      local name = i == 1 and result.name or ""
      if row.skipped then
        rows[#rows + 1] = { name, row.name, "-", row.skipped, "", "" }
      else
        rows[#rows + 1] = {
          name,
          row.name,
          write(row.median),
          ("%s .. %s"):format(write(row.low), write(row.high)),
          result.count > 1 and write(row.median / result.count) or "",
          ("%.2f x"):format(row.ratio),
        }
      end
    end
  end
  return rows
end

--- A table for the terminal.
function bench.text(results)
  local rows, widths = cells(results), {}
  table.insert(rows, 1, columns)
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell))
    end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(row) do
      local fill = (" "):rep(widths[i] - utf8.len(cell))
      line[i] = i <= 2 and cell .. fill or fill .. cell
    end
    lines[#lines + 1] = table.concat(line, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The same as Markdown.
function bench.markdown(results)
  local lines = { "| " .. table.concat(columns, " | ") .. " |", "|---|---|---:|---:|---:|---:|" }
  for _, row in ipairs(cells(results)) do
    lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |"
  end
  return table.concat(lines, "\n") .. "\n"
end

return bench
