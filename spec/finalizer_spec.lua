--- Finalizers run Lua code wherever Lua allocates, also in the middle of our operations.
--
-- In a process of its own: these specs collect garbage thousands of times, which takes as long as the heap is large,
-- and a cycle must end within one operation.
require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"

if not os.getenv "NETNS_ALONE" then
  it("finalizers do no harm", function()
    local r = sh.try({ os.getenv "LUA" or "lua5.4", "spec/support/busted.lua", "--output=spec/support/handler.lua",
      "spec/finalizer_spec.lua" }, { env = { NETNS_ALONE = "1" }, timeout = 3000 })
    assert.is_true(r.ok, r.stdout .. r.stderr)
  end)
  return
end

-- Cause: operations kept the pointer to their namespace's netlink session while they built tables.
-- A collection there may run finalizers, and one that closes the namespace (a Lab's, say) frees the
-- session: a use after free. Fix: the session is asked for again after whatever may allocate.
describe("a finalizer that closes the namespace in the middle of an operation", function()
  local operations = {
    list = function(_, addrs) return #addrs:list() end,
    ["list with a filter"] = function(_, addrs) return #addrs:list { dev = "lo" } end,
    each = function(_, addrs)
      local n = 0
      for _ in addrs:each() do
        n = n + 1
      end
      return n
    end,
    flush = function(_, addrs) return addrs:flush { scope = "global" } end,
    ["read of a property"] = function(_, _, lo) return lo.mtu end,
    ["change of a link"] = function(_, _, lo) lo:set { mtu = 4000, txqlen = 5 } end,
    ["add of a string"] = function(_, _, lo) lo.addr:add "10.9.0.1" end,
    ["get of a route"] = function(ns) return ns.route:get "10.0.0.1" end,
    ["get of a link"] = function(ns) return tostring(ns.link:get "lo") end,
    tostring = function(_, _, lo) return tostring(lo) end,
    batch = function(ns)
      return ns:batch(function(b)
        for i = 1, 20 do
          b.route:add { dst = ("10.1.%d.0/24"):format(i), dev = "lo" }
        end
      end)
    end,
    call = function(ns) return ns:call(netns.current):close() end,
    wrap = function(ns) return ns:wrap(netns.current)():close() end,
    pids = function(ns) return #ns:pids() end,
    run = function(ns) return ns:run { "true" } end,
  }

  -- The operation with a collection under way that closes its namespace, some allocations later.
  local function attempt(operation, garbage)
    local ns <close> = netns.new()
    ns.link:set { name = "lo", up = true }
    for i = 1, 4 do
      ns.addr:add { dev = "lo", address = ("10.0.0.%d/32"):format(i) }
    end
    local addrs, lo, closed = ns.addr, ns.link:get "lo", false
    collectgarbage()
    collectgarbage()
    collectgarbage "stop"
    setmetatable({}, {
      __gc = function()
        closed = true
        ns:close()
      end,
    })
    collectgarbage("incremental", 1, 1000, 1)
    collectgarbage "restart"
    for _ = 1, garbage do
      local _ = {}
    end
    local ok, err = pcall(operation, ns, addrs, lo)
    collectgarbage("incremental", 200, 100, 13)
    return ok, err, closed
  end

  local here <close> = netns.current()
  for name, operation in pairs(operations) do
    it("does no harm: " .. name, function()
      for garbage = 0, 40 do
        local ok, err, closed = attempt(operation, garbage)
        assert.is_true(ok or closed, tostring(err))
        if not ok then
          assert.matches("closed", tostring(err):gsub("EBADF", "closed"))
        end
        local now <close> = netns.current()
        assert.is_true(here.inode == now.inode)
      end
    end)
  end
end)

-- Cause: the filter of list was decoded from the buffer that all operations of a Lua state share.
-- Fix: from a copy.
describe("a finalizer that does an operation of its own", function()
  it("does not disturb the one it falls into", function()
    local ns <close> = netns.new()
    ns.link:set { name = "lo", up = true }
    for i = 1, 5 do
      ns.route:add { dst = ("10.%d.0.0/16"):format(i), dev = "lo" }
    end
    for garbage = 0, 40 do
      collectgarbage()
      collectgarbage "stop"
      local ran = false
      setmetatable({}, {
        __gc = function()
          ran = true
          ns.route:replace { dst = "2001:db8::/32", dev = "lo", metric = 77, mtu = 1300, table = 200 }
          assert(#ns.route:list { dst = "2001:db8::/32", table = "all" } == 1)
        end,
      })
      collectgarbage("incremental", 1, 1000, 1)
      collectgarbage "restart"
      for _ = 1, garbage do
        local _ = {}
      end
      local found = ns.route:list { dst = "10.3.0.0/16", dev = "lo" }
      collectgarbage("incremental", 200, 100, 13)
      assert.equal(1, #found)
      assert.equal("10.3.0.0/16", found[1].dst)
      collectgarbage()
      assert.is_true(ran)
    end
  end)
end)
