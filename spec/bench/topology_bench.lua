-- Topologies beside the floor (floor.c), their own plan typed into `ip -batch` and a shell, and peers.
local bench = require "spec.bench.bench"
local netns = require "netns"
local program = require "spec.bench.program"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

-- From description to a network that answers.
local function up(make)
  return {
    "netns",
    setup = function()
      return {}
    end,
    run = function(state)
      state.lab = make():up()
    end,
    teardown = function(state)
      state.lab:close()
    end,
  }
end

local function close(name, make, opts)
  return {
    name,
    setup = function()
      return make():up(opts)
    end,
    run = function(lab)
      lab:close()
    end,
  }
end

-- The plan's commands, as fast as iproute2 takes them: one batch for each namespace, what is no ip as it is.
local function ip_batch(make)
  return {
    "ip -batch",
    setup = function()
      local state = { names = {}, dir = sh.run("mktemp -d"):gsub("%s", "") }
      local spaces, batches, order, rest = {}, {}, {}, {}
      local plan = make():plan()
      for _, step in ipairs(plan.steps) do
        spaces[#spaces + 1] = "netns add bench." .. step.name
        state.names[#state.names + 1] = "bench." .. step.name
      end
      for _, line in ipairs(plan:commands "bench") do
        local ns, command = line:match "^ip %-n (%S+) (.*)$"
        if ns then
          if order[#order] ~= ns then
            order[#order + 1] = ns
            batches[#order] = {}
          end
          -- a batch has one family; ip finds it out by the addresses
          table.insert(batches[#order], (command:gsub("^%-[46] ", "")))
        elseif not line:find "^ip netns add " then
          rest[#rest + 1] = line
        end
      end
      local script = { "set -e" }
      local function batch(name, lines, ns)
        local path = state.dir .. "/" .. name
        sh.write_file(path, table.concat(lines, "\n") .. "\n")
        script[#script + 1] = ("ip %s -batch %s"):format(ns and "-n " .. ns or "", path)
      end
      batch("spaces", spaces)
      for i, lines in ipairs(batches) do
        batch(tostring(i), lines, order[i])
      end
      table.move(rest, 1, #rest, #script + 1, script)
      sh.write_file(state.dir .. "/script", table.concat(script, "\n") .. "\n")
      return state
    end,
    run = function(state)
      sh.run({ "sh", state.dir .. "/script" }, { timeout = 300 })
    end,
    teardown = function(state)
      for _, name in ipairs(state.names) do
        netns.delete(name)
      end
      sh.run { "rm", "-r", state.dir }
    end,
  }
end

-- The star once more, without topologies: by the objects of the core.
local function hub(n)
  local nodes = { netns.new() }
  for i = 1, n do
    nodes[i + 1] = netns.new()
  end
  nodes[1]:batch(function(b)
    b.link:add { name = "br0", type = "bridge", index = 2 }
    for i = 1, n do
      b.link:add {
        name = "p" .. i,
        type = "veth",
        index = i + 2,
        peer = { name = "eth0", netns = nodes[i + 1], index = 2 },
      }
      b.link:set { dev = i + 2, master = 2, up = true }
    end
    b.link:set { dev = 2, up = true }
  end)
  for i = 1, n do
    nodes[i + 1]:batch(function(b)
      b.link:set { dev = 1, up = true }
      b.link:set { dev = 2, up = true }
      b.addr:add { dev = 2, address = ("10.0.%d.%d/16"):format(i // 250, i % 250 + 1) }
      b.route:add { dst = "default", via = "10.0.255.254" }
    end)
  end
  return nodes
end

local function by_batches(n)
  return {
    "netns, by batches",
    setup = function()
      return {}
    end,
    run = function(state)
      state.nodes = hub(n)
    end,
    teardown = function(state)
      for _, ns in ipairs(state.nodes) do
        ns:close()
      end
    end,
  }
end

local MOST = 250 -- namespaces for which a shell script is waited for in every round

local function works(name, size, nodes, make, args)
  local slow = nodes > MOST
  local ups, closes = { up(make) }, { close("netns", make), close("netns, named", make, { name = "bench" }) }
  if args and args[1] == "star" then
    ups[2] = by_batches(size)
  end
  if args then
    ups[#ups + 1], closes[#closes + 1] = program("floor", args, 1), program("floor", args, 2)
  end
  local batch = ip_batch(make)
  batch.once = slow
  ups[#ups + 1] = batch
  for _, peer in ipairs(args and { "go netlink", "pyroute2", "Mininet" } or {}) do
    ups[#ups + 1] = program(peer, args, 1, slow)
    closes[#closes + 1] = program(peer, args, 2, slow)
  end
  bench.work { name = name .. ": up", count = nodes, rounds = 3, by = ups }
  bench.work { name = name .. ": close", count = nodes, rounds = 3, by = closes }
end

for _, n in ipairs { 10, 100, 1000 } do
  works(("star of %d hosts"):format(n), n, n, function()
    return topology.star { hosts = n, ipv6 = false }
  end, { "star", n })
end

for _, n in ipairs { 10, 100, 1000 } do
  works(("line of %d routers"):format(n), n, n, function()
    return topology.line { routers = n, ipv6 = false, routing = "neighbours" }
  end, { "line", n })
end

for _, k in ipairs { 4, 6, 8 } do
  works(("fat_tree k=%d, both families"):format(k), k, k * k * 5 // 4 + k * k * k // 4, function()
    return topology.fat_tree { k = k }
  end)
end

bench.work {
  name = "star of 1000 hosts: plan",
  count = 1000,
  rounds = 3,
  by = { { "netns", run = function() topology.star({ hosts = 1000, ipv6 = false }):plan() end } },
}
