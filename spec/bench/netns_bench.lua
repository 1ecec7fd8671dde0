-- Namespaces: made, closed, entered; what starting costs, and how much memory things take.
local bench = require "spec.bench.bench"
local netns = require "netns"
local program = require "spec.bench.program"
local sh = require "spec.support.sh"

local function close_all(list)
  for _, ns in ipairs(list) do
    ns:close()
  end
end

local function new_list()
  return {}
end

local function make(n, named)
  return function(list)
    for i = 1, n do
      list[i] = netns.new(named and "bench" .. i or nil)
    end
    return nil
  end
end

-- A file of commands for `ip -batch` about benchN, N = 1 .. n.
local function ip_lines(n, command)
  local lines, path = {}, os.tmpname()
  for i = 1, n do
    lines[i] = command .. " bench" .. i
  end
  sh.write_file(path, table.concat(lines, "\n") .. "\n")
  return path
end

local function ip_batch(path)
  sh.run { "ip", "-batch", path }
end

for _, n in ipairs { 10, 100, 1000 } do
  local slow = n >= 1000
  bench.work {
    name = ("%d namespaces: create"):format(n),
    count = n,
    by = {
      { "netns", setup = new_list, run = make(n), teardown = close_all },
      { "netns, named", setup = new_list, run = make(n, true), teardown = close_all },
      program("floor", { "netns", n }, 1),
      {
        "ip -batch, named",
        setup = function()
          return ip_lines(n, "netns add")
        end,
        run = ip_batch,
        teardown = function(path)
          os.remove(path)
          for i = 1, n do
            netns.delete("bench" .. i)
          end
        end,
      },
      program("go netlink", { "netns", n }, 1),
      program("pyroute2", { "netns", n }, 1, slow),
      program("Mininet", { "netns", n }, 1, slow),
    },
  }

  local function filled(named)
    return function()
      local list = {}
      make(n, named)(list)
      list.path = named and ip_lines(n, "netns delete")
      return list
    end
  end
  local function forget(list)
    if list.path then
      os.remove(list.path)
    end
    close_all(list)
  end
  bench.work {
    name = ("%d namespaces: close"):format(n),
    count = n,
    by = {
      { "netns", setup = filled(), run = close_all },
      { "netns, named", setup = filled(true), run = close_all, teardown = forget },
      program("floor", { "netns", n }, 2),
      {
        "ip -batch, named",
        setup = filled(true),
        run = function(list)
          ip_batch(list.path)
        end,
        teardown = function(list)
          os.remove(list.path)
          for i = 1, n do
            list[i]:close()
          end
        end,
      },
      program("pyroute2", { "netns", n }, 2, slow),
      program("Mininet", { "netns", n }, 2, slow),
    },
  }
end

local CALLS = 10000

bench.work {
  name = ("ns:call of an empty function, %d times"):format(CALLS),
  count = CALLS,
  by = {
    {
      "netns",
      setup = netns.new,
      run = function(ns)
        local function f() end
        for _ = 1, CALLS do
          ns:call(f)
        end
      end,
      teardown = function(ns)
        ns:close()
      end,
    },
    program("floor", { "call", CALLS }, 1),
    program("floor, setns alone", { "call", CALLS }, 2),
  },
}

local function starting(name, command)
  return { name, run = function()
    sh.run(command)
  end }
end

bench.work {
  name = "start",
  by = {
    starting("lua5.4, require \"netns\"", { "lua5.4", "-e", "require 'netns'" }),
    starting("lua5.4, with topology", { "lua5.4", "-e", "require 'netns.topology'" }),
    starting("lua5.4 alone", { "lua5.4", "-e", "" }),
    starting("ip -V", { "ip", "-V" }),
  },
}

for _, work in ipairs {
  { "1000 namespaces", "namespaces", 1000 },
  { "1000 listed links", "links", 1000 },
  { "10000 listed routes", "routes", 10000 },
  { "a star of 1000 hosts", "lab", 1000 },
} do
  bench.work { name = "memory: " .. work[1], count = work[3], unit = "B", rounds = 3,
    by = { program("netns", { work[2], work[3] }) } }
end
