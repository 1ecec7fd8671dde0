--- The benchmark harness: turns, medians, ratios, with a clock of ours.
local bench = require "spec.bench.bench"

local function work(log)
  local now = 0
  local function contender(name, times)
    local turn = 0
    return {
      name,
      setup = function()
        now = now + 100 -- not counted
        turn = turn + 1
        return turn
      end,
      run = function(state)
        log[#log + 1] = name .. state
        now = now + times[state]
      end,
      teardown = function(state)
        assert.equal(turn, state)
        now = now + 100
      end,
    }
  end
  local declared = {
    name = "some work",
    count = 10,
    rounds = 3,
    by = {
      contender("ours", { 50, 2, 1, 3 }), -- the first is thrown away
      contender("theirs", { 50, 4, 60, 6 }),
      { "absent", run = error, needs = function() return false, "not installed" end },
    },
  }
  return declared, function() return now end
end

describe("the benchmark harness", function()
  it("lets the contenders take turns, and times `run` only", function()
    local log = {}
    local declared, clock = work(log)
    local result = bench.run(declared, { clock = clock })
    assert.same({ "ours1", "theirs1", "ours2", "theirs2", "ours3", "theirs3", "ours4", "theirs4" }, log)
    assert.same({ 2, 1, 3 }, result[1].samples)
    assert.equal(2, result[1].median)
    assert.equal(6, result[2].median)
    assert.equal(3, result[2].ratio)
    assert.equal("not installed", result[3].skipped)
  end)

  it("takes quantiles between the nearest samples", function()
    assert.equal(2.5, bench.quantile({ 4, 1, 3, 2 }, 0.5))
    assert.equal(7, bench.quantile({ 7 }, 0.25))
    assert.equal(1.75, bench.quantile({ 4, 1, 3, 2 }, 0.25))
  end)

  it("writes times for people", function()
    assert.equal("1.5 s", bench.seconds(1.5))
    assert.equal("1234 s", bench.seconds(1234))
    assert.equal("12.3 ms", bench.seconds(0.01234))
    assert.equal("250 µs", bench.seconds(0.00025))
    assert.equal("30 ns", bench.seconds(3e-8))
  end)

  it("prints a table, and the same as Markdown", function()
    local declared, clock = work {}
    local results = { bench.run(declared, { clock = clock }) }
    local text = bench.text(results)
    assert.matches("some work  ours%s+2 s%s+1.5 s .. 2.5 s%s+200 ms%s+1.00 x\n", text)
    assert.matches("\n%s+theirs%s+6 s%s+5 s .. 33 s%s+600 ms%s+3.00 x\n", text)
    assert.matches("\n%s+absent%s+%-%s+not installed\n", text)
    assert.matches("\n| some work | ours | 2 s | 1.5 s .. 2.5 s | 200 ms | 1.00 x |\n", bench.markdown(results))
  end)

  it("refuses what it does not know", function()
    assert.error_matches(function() bench.work { name = "x", by = {}, round = 3 } end,
      "work: round must be left out, not number")
    assert.error_matches(function() bench.work { name = "x", by = { { "ours", run = 3 } } } end,
      "contender: run must be function, not number")
    assert.same({}, bench.works)
  end)

  it("says which contender failed, after its teardown", function()
    local down
    local bad = { "bad", run = function() error "no route" end, teardown = function() down = true end }
    local ok, err = pcall(bench.run, { name = "x", by = { bad } })
    assert.is_false(ok)
    assert.matches("^bad: .*no route\nstack traceback:", err)
    assert.is_true(down)
  end)
end)
