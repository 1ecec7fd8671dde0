-- Commands inside a namespace, beside `ip netns exec`, what Lua has for commands, and the floor.
local bench = require "spec.bench.bench"
local program = require "spec.bench.program"
local netns = require "netns"
local sh = require "spec.support.sh"

local executable = sh.run("command -v true || echo /bin/true"):match "/%S+" or "/bin/true"

local function new()
  return netns.new "bench"
end

local function close(ns)
  ns:close()
end

local function times(n, fn)
  return function(ns)
    for _ = 1, n do
      fn(ns)
    end
  end
end

bench.work {
  name = "run { \"true\" }, mounts = false",
  count = 200,
  rounds = 11,
  by = {
    { "netns", setup = new, teardown = close, run = times(200, function(ns)
      ns:run({ executable }, { mounts = false })
    end) },
    { "netns, nothing captured", setup = new, teardown = close, run = times(200, function(ns)
      ns:run({ executable }, { mounts = false, stdout = "discard", stderr = "discard" })
    end) },
    program("floor, processes", { "plain", 200, executable }),
    { "os.execute", run = times(200, function()
      os.execute(executable)
    end) },
    { "io.popen", run = times(200, function()
      io.popen(executable):close()
    end) },
  },
}

bench.work {
  name = "run { \"true\" } with its own /sys",
  count = 100,
  rounds = 11,
  by = {
    { "netns", setup = new, teardown = close, run = times(100, function(ns)
      ns:run { executable }
    end) },
    program("floor, processes", { "netns", 100, executable }),
    { "ip netns exec", setup = new, teardown = close, run = times(100, function()
      os.execute("ip netns exec bench " .. executable)
    end) },
  },
}

local text = ("x"):rep(100000000)

bench.work {
  name = "100 MB through cat and back",
  by = {
    { "netns", setup = new, teardown = close, run = function(ns)
      assert(#ns:run({ "cat" }, { stdin = text, mounts = false }).stdout == #text)
    end },
    { "sh: head | cat | wc", run = function()
      os.execute "head -c 100000000 /dev/zero | cat | wc -c >/dev/null"
    end },
  },
}
