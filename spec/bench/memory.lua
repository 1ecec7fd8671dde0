--- How much private memory of this process things take while they are held: memory.lua WORK N, prints bytes.
-- In a process of its own, as what a heap once had it keeps.
local netns = require "netns"
local topology = require "netns.topology"

local works = {}

local function filled(n)
  local ns = netns.new()
  ns.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth1", up = true } }
  ns.addr:add { dev = "eth0", address = "10.0.0.1/24" }
  ns:batch(function(b)
    for i = 0, n - 1 do
      b.route:add { dst = ("20.%d.%d.0/24"):format(i >> 8, i & 255), via = "10.0.0.2" }
    end
  end)
  return ns
end

function works.namespaces(n)
  return function()
    local list = {}
    for i = 1, n do
      list[i] = netns.new()
    end
    return list
  end
end

function works.links(n)
  local ns = netns.new()
  ns:batch(function(b)
    for i = 1, n do
      b.link:add { name = "br" .. i, type = "bridge" }
    end
  end)
  return function()
    return ns.link:list()
  end
end

function works.routes(n)
  local ns = filled(n)
  return function()
    return ns.route:list { family = "inet" }
  end
end

function works.lab(n)
  return function()
    return topology.star({ hosts = n }):up()
  end
end

local function memory()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/smaps_rollup")
  return tonumber(file:read("a"):match "Private_Dirty:%s+(%d+)") * 1024
end

local make = works[arg[1]](tonumber(arg[2]))
memory() -- what reading it takes is there already
local before = memory()
local held = make()
print(("%d"):format(math.max(memory() - before, 0)))
return held
