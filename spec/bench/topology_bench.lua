-- Topologies beside the floor (floor.c) and beside their own plan, typed into `ip -batch` and a shell.
local bench = require "spec.bench.bench"
local floor = require "spec.bench.floor"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local function close(state)
  if state.lab then
    state.lab:close()
  end
end

-- From description to a network that answers.
local function up_from(make)
  return {
    "netns",
    setup = function()
      return {}
    end,
    run = function(state)
      state.lab = make():up()
    end,
    teardown = close,
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

local works = {
  { "star of 100 hosts: up", 100, function() return topology.star { hosts = 100, ipv6 = false } end, { "star", 100 } },
  { "star of 1000 hosts: up", 1000, function() return topology.star { hosts = 1000, ipv6 = false } end,
    { "star", 1000 } },
  { "line of 100 routers: up", 100,
    function() return topology.line { routers = 100, ipv6 = false, routing = "neighbours" } end, { "line", 100 } },
  { "line of 1000 routers: up", 1000,
    function() return topology.line { routers = 1000, ipv6 = false, routing = "neighbours" } end, { "line", 1000 } },
  { "fat_tree k=8, both families: up", 208, function() return topology.fat_tree { k = 8 } end },
}

for _, work in ipairs(works) do
  local by = { up_from(work[3]) }
  if work[4] then
    by[#by + 1] = floor("floor", work[4])
  end
  if work[2] <= 208 then
    by[#by + 1] = ip_batch(work[3])
  end
  bench.work { name = work[1], count = work[2], rounds = 3, by = by }
end

bench.work {
  name = "star of 1000 hosts: plan",
  count = 1000,
  rounds = 3,
  by = { { "netns", run = function() topology.star({ hosts = 1000, ipv6 = false }):plan() end } },
}

bench.work {
  name = "star of 1000 hosts: close",
  count = 1000,
  rounds = 3,
  by = {
    {
      "netns",
      setup = function()
        return topology.star({ hosts = 1000, ipv6 = false }):up()
      end,
      run = function(lab)
        lab:close()
      end,
    },
    floor("floor", { "star", 1000 }, 2),
  },
}
