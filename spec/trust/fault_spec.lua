--- Faults (spec/fault): that the lane sees what it is to see, and the one failure that ends the program.
require("spec.support.leaks").gate()
local sh = require "spec.support.sh"

-- A script in a program whose calls can fail: `shim`, `trials` and `api` as in spec/fault/run.lua.
local function with_shim(script)
  local shim = os.getenv "NETNS_BUILD" .. "/fault/shim.so"
  local prelude = ([[
    local shim = assert(package.loadlib("%s", "luaopen_shim"))()
    local netns = require "netns"
    local trials, api = require "spec.fault.trials", require "spec.fault.ops"
  ]]):format(shim)
  -- beside what the lane preloads
  return sh.try({ "sh", "-c", ('LD_PRELOAD="$LD_PRELOAD %s" exec "$0" -'):format(shim), "lua5.4" },
    { stdin = prelude .. script })
end

describe("a failure", function()
  it("to get back to the thread's namespace aborts the program, with a message", function()
    local r = with_shim [[
      local ns = netns.new()
      shim.calls("setns", 2, 1)
      ns:call(print, "inside")
      print "not reached"]]
    assert.equal("inside\n", r.stdout)
    assert.matches("netns: cannot return to the thread's network namespace: Operation not permitted; aborting",
      r.stderr)
    assert.is_true(r.signal == 6 or r.code == 134, tostring(r.code))
  end)

  it("to enter a namespace, or to make one, is an error, and the thread has not moved", function()
    local r = with_shim [[
      local home <close> = netns.current()
      local ns <close> = netns.new()
      for _, call in ipairs { "setns", "unshare" } do
        shim.calls(call, 1, 1)
        local ok, err = pcall(call == "setns" and function() ns:call(print) end or netns.new)
        assert(shim.off() and not ok and err.code == "EPERM")
        local now <close> = netns.current()
        assert(now == home)
      end]]
    assert.is_true(r.ok, r.stderr)
  end)

  it("is found by the lane where it leaks, says something else, or breaks what it befell", function()
    local r = with_shim [[
      local held = {}
      local function try(fn)
        api.ops.test = { prepare = function() end, run = fn }
        return (shim.child(function()
          return trials.run(shim, "test", { kind = "socket", nth = 1, code = "ENOMEM" })
        end))
      end
      local function list() netns.new().addr:list() end
      assert(try(list) == "refused", try(list))
      assert(try(function() held[1] = io.open "/dev/null" list() end):find "leaks")
      assert(try(function(env) netns.new("left" .. env.n, { keep = true }):close() list() end):find "leaks")
      assert(try(function() pcall(list) error "something else" end):find "says: .*something else")
      assert(try(function() if held.broken then error "broken" end held.broken = true list() end):find "when repeated")
      assert(try(function() end) == "unfired")
      assert(try(function() pcall(list) end) == "tolerated")
      netns.delete "left1"
      netns.delete "left2"]]
    assert.is_true(r.ok, r.stderr)
  end)
end)

describe("found by faults:", function()
  -- One operation with one failure; what trials.run says of it.
  local function verdict(op, kind, nth, code)
    local r = with_shim(([[
      print((shim.child(function()
        return trials.run(shim, "%s", { kind = "%s", nth = %d, code = "%s" })
      end)))]]):format(op, kind, nth, code))
    assert.is_true(r.ok, r.stderr)
    return r.stdout:gsub("\n$", "")
  end

  -- Cause: the errno was read after the last of several files had been asked for, whichever had failed.
  -- Fix: each is checked when it is made.
  it("files that nft cannot have are told by their own errno", function()
    for nth = 1, 4 do
      assert.equal("refused", verdict("nft.check", "memfd_create", nth, "EMFILE"))
    end
  end)

  -- Cause: an answer whose size could not be had was an empty one.
  -- Fix: it is an error.
  it("an answer of nft that cannot be read is not an empty one", function()
    assert.equal("refused", verdict("nft.list", "fstat", 1, "ENOMEM"))
  end)

  -- Cause: whatever was wrong with the answer of the worker, it was said to have died; EINTR, too.
  -- Fix: the errno is told; after EINTR it is read again.
  it("an answer of the worker that does not come is told by its errno", function()
    for nth = 1, 2 do
      assert.equal("refused", verdict("nft.run", "recv", nth, "ENOMEM"))
      assert.equal("tolerated", verdict("nft.run", "recv", nth, "EINTR"))
    end
  end)

  -- Cause: the socket's error counted as none where it could not be asked for.
  -- Fix: it counts as what kept it.
  it("a TCP probe whose outcome cannot be had is not answered", function()
    assert.equal("tolerated", verdict("Namespace.reach", "getsockopt", 1, "ENOPROTOOPT"))
  end)

  -- Cause: the table was in its place before it was filled, and half of it stayed there.
  -- Fix: it is put there when it is whole.
  it("netns.help is whole after memory has ended in the middle", function()
    local r = with_shim [[
      for _, nth in ipairs { 20000, 40000, 60000 } do
        local text = shim.child(function()
          return trials.run(shim, "netns.help", { kind = "Lua allocation", nth = nth })
        end)
        assert(text == "refused" or text == "unfired", text)
      end]]
    assert.is_true(r.ok, r.stderr)
  end)

  -- Cause: a handle was closed although its name could not be removed, which nobody did any more then.
  -- Fix: it stays open, to be closed again.
  it("a name that cannot be removed at once can be removed later", function()
    assert.equal("refused", verdict("netns.new named", "umount2", 1, "EBUSY"))
  end)

  -- Cause: a process whose /proc/PID/stat could not be opened, for whatever reason, counted as dead.
  -- Fix: dead is who is not there; what cannot be found out is left alone.
  it("a sweep that cannot look takes no living program's name", function()
    for _, code in ipairs { "EACCES", "EMFILE", "ENOENT" } do
      assert.is_not_equal("says", (verdict("netns.sweep", "open", 1, code):match "^%l+"), code)
    end
  end)
end)
