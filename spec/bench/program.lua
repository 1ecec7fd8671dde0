--- Contenders that are programs of their own and print what they measured: the floor in C, peers, memory.lua.
--
--    program("floor", { "star", 100 })          -- spec/bench/floor.c
--    program("go netlink", { "star", 100 }, 2)  -- the second of the times that it prints
--
-- What has to be compiled is, when it is first needed. Peers that are not installed (`make bench-peers` does) are
-- skipped with the package that is missing.
local sh = require "spec.support.sh"

local function compiled(source)
  local path = "build/" .. source
  return {
    argv = { path },
    make = ("mkdir -p build && ${CC:-cc} -O2 -o %s spec/bench/%s.c"):format(path, source),
  }
end

local function python(module, source, package)
  return {
    argv = { "/usr/bin/python3", "spec/bench/peers/" .. source },
    package = package,
    there = ("/usr/bin/python3 -c 'import %s'"):format(module),
  }
end

local programs = {
  netns = { argv = { "lua5.4", "spec/bench/memory.lua" } },
  floor = compiled "floor",
  ["floor, setns alone"] = compiled "floor",
  ["floor, processes"] = compiled "floor_exec",
  ["go netlink"] = {
    argv = { "build/peer_netlink" },
    package = "golang-github-vishvananda-netlink-dev",
    there = "command -v go && test -d /usr/share/gocode/src/github.com/vishvananda/netlink",
    make = "mkdir -p build && GO111MODULE=off GOPATH=/usr/share/gocode go build -o build/peer_netlink "
      .. "spec/bench/peers/netlink.go",
  },
  pyroute2 = python("pyroute2", "pyroute2_peer.py", "python3-pyroute2"),
  Mininet = python("mininet.net", "mininet_peer.py", "mininet"),
}

local function runs(command)
  return (sh.try { "sh", "-c", command .. " >/dev/null 2>&1" })
end

-- Once for each program: whether it can run, or what is missing.
local function prepare(program)
  if program.ready == nil then
    program.ready = not program.there or runs(program.there)
    if program.ready and program.make then
      sh.run({ "sh", "-c", program.make }, { timeout = 300 })
    end
  end
  return program.ready, program.package and program.package .. " is not installed"
end

--- A contender of that name.
-- @tparam string name
-- @tparam {string|number,...} args the work
-- @tparam[opt=1] integer column which of the times that it prints
-- @tparam[opt=false] boolean once one sample is enough: it is slow
return function(name, args, column, once)
  local program = assert(programs[name], name)
  return {
    name,
    once = once,
    run = function()
      local argv, seconds = { "unshare", "-n" }, {}
      table.move(program.argv, 1, #program.argv, #argv + 1, argv)
      for _, arg in ipairs(args) do
        argv[#argv + 1] = tostring(arg)
      end
      for word in sh.run(argv, { timeout = 600 }):gmatch "%S+" do
        seconds[#seconds + 1] = tonumber(word)
      end
      return seconds[column or 1]
    end,
    needs = function()
      return prepare(program)
    end,
  }
end
