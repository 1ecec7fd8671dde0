--- The output handler and the runner: busted on small files written here.
local sh = require "spec.support.sh"

--- Run `spec/support/run` on files with these texts; gives back all that was printed, and how it ended.
local function run_specs(files, args, opts)
  return sh.with_dir(function(dir)
    for name, text in pairs(files) do
      sh.write_file(dir .. "/" .. name, text)
    end
    local r = sh.try(("spec/support/run %s %s 2>&1"):format(args or "", sh.quote(dir)), opts)
    return r.stdout, r
  end)
end

local function last_line(text)
  assert.equal("\n", text:sub(-1))
  return text:match "([^\n]*)\n$"
end

describe("the closing line", function()
  it("counts passes, failures, errors and skips", function()
    local out, r = run_specs { ["a_spec.lua"] = [[
      describe("block", function()
        it("passes", function() end)
        it("fails", function() assert.equal(1, 2) end)
        it("raises", function() error("boom") end)
        it("raises a table", function() error({ x = 1 }) end)
        it("skips", function() pending("no vlan here") end)
        pending("is for later", function() end)
      end)
    ]] }
    assert.equal("1 passed, 3 failed, 2 skipped", last_line(out))
    assert.equal(1, r.code)
    assert.matches("FAILED [^\n]*/a_spec.lua:3: block fails\n", out)
    assert.matches("Expected:%s+%(number%) 1", out)
    assert.matches("a_spec.lua:4: boom\n%s+stack traceback:\n%s+[^\n]*a_spec.lua:4: in function", out)
    assert.matches("skipped [^\n]*/a_spec.lua:6: block skips: no vlan here\n", out)
    assert.matches("skipped [^\n]*/a_spec.lua:7: block is for later\n", out)
  end)

  it("is alone and true when all is well", function()
    local out, r = run_specs { ["a_spec.lua"] = 'it("a", function() end)', ["b_spec.lua"] = 'it("b", function() end)' }
    assert.equal("2 passed, 0 failed, 0 skipped", last_line(out))
    assert.is_true(r.ok)
  end)

  it("counts every failure, past what an exit status holds", function()
    local out, r = run_specs { ["a_spec.lua"] = 'for i = 1, 256 do it("x" .. i, function() error "no" end) end' }
    assert.equal("0 passed, 256 failed, 0 skipped", last_line(out))
    assert.equal(1, r.code)
  end)
end)

describe("what counts as a failure", function()
  local function fails(name, expected, message, files, args, opts)
    it(name, function()
      local out, r = run_specs(files, args, opts)
      assert.equal(expected, last_line(out))
      assert.is_false(r.ok)
      assert.matches(message, out)
    end)
  end

  fails("a file that does not load", "1 passed, 1 failed, 0 skipped", "bad_spec.lua:1: unexpected symbol",
    { ["bad_spec.lua"] = "x = = 1", ["good_spec.lua"] = 'it("a", function() end)' })
  fails("an error outside the tests", "1 passed, 1 failed, 0 skipped", "bad_spec.lua:1: top",
    { ["bad_spec.lua"] = 'error "top"', ["good_spec.lua"] = 'it("a", function() end)' })
  fails("set-up", "0 passed, 1 failed, 0 skipped", "in setup of block",
    { ["a_spec.lua"] = 'describe("block", function() setup(function() error "s" end) it("x", function() end) end)' })
  fails("tear-down", "1 passed, 1 failed, 0 skipped", "in teardown of block",
    { ["a_spec.lua"] = 'describe("block", function() teardown(function() error "s" end) it("x", function() end) end)' })
  fails("before a test", "0 passed, 1 failed, 0 skipped", "in before_each",
    { ["a_spec.lua"] = 'before_each(function() error "s" end) it("x", function() end)' })
  fails("a test and its `finally`: once", "0 passed, 1 failed, 0 skipped", "second",
    { ["a_spec.lua"] = 'it("x", function() finally(function() error "second" end) error "first" end)' })
  fails("no test in the file", "0 passed, 1 failed, 0 skipped", "no test was run", { ["a_spec.lua"] = "local _" })
  fails("no file", "0 passed, 1 failed, 0 skipped", "No test files found", {})
  fails("no test that the filter lets through", "0 passed, 1 failed, 0 skipped", "no test was run",
    { ["a_spec.lua"] = 'it("x", function() end)' }, "--filter=unknown")
  fails("leaving early with status 0", "0 passed, 1 failed, 0 skipped",
    "before its end.*while running [^\n]*: leaves\n",
    { ["a_spec.lua"] = 'it("leaves", function() os.exit(0) end)' })
  fails("a crash", "0 passed, 1 failed, 0 skipped", "by signal 6\nwhile running [^\n]*: crashes\n",
    { ["a_spec.lua"] = 'it("crashes", function() os.execute("kill -ABRT $PPID") end)' })
  fails("a run that hangs", "0 passed, 1 failed, 0 skipped", "stopped after 1 seconds\nwhile running [^\n]*: hangs\n",
    { ["a_spec.lua"] = 'it("hangs", function() while true do end end)' }, nil, { env = { TIMEOUT = 1 } })
  fails("an option busted does not know", "0 passed, 1 failed, 0 skipped", "unknown",
    { ["a_spec.lua"] = 'it("x", function() end)' }, "--no-such-option")
end)

it("a skipped block is one skip, with its reason", function()
  local out, r = run_specs { ["a_spec.lua"] = [[
    local features = require "spec.support.features"
    describe("block", function()
      setup(function() features.skip("kernel without vlan") end)
      it("one", function() end)
      it("two", function() end)
    end)
    it("three", function() end)
  ]] }
  assert.equal("1 passed, 0 failed, 1 skipped", last_line(out))
  assert.matches("skipped [^\n]*: in setup of block: kernel without vlan\n", out)
  assert.is_true(r.ok)
end)

it("repeated and shuffled runs count all of it", function()
  local out = run_specs({ ["a_spec.lua"] = 'it("a", function() end) it("b", function() error "no" end)' },
    "--repeat=3 --shuffle")
  assert.equal("3 passed, 3 failed, 0 skipped", last_line(out))
end)
