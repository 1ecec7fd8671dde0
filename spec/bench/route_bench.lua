-- Routes and addresses beside iproute2, libraries of other languages and the floor (floor.c).
local bench = require "spec.bench.bench"
local netns = require "netns"
local program = require "spec.bench.program"
local sh = require "spec.support.sh"

-- With lines for `ip -batch` where some are given.
local function routed_pair(lines)
  local a, b = netns.new "bench_a", netns.new "bench_b"
  a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
  a.addr:add { address = "10.0.0.1/24", dev = "eth0" }
  local pair = { a = a, b = b }
  if lines then
    pair.path = os.tmpname()
    sh.write_file(pair.path, table.concat(lines, "\n") .. "\n")
  end
  return pair
end

local function close_pair(pair)
  pair.a:close()
  pair.b:close()
  if pair.path then
    os.remove(pair.path)
  end
end

local function route_table(n)
  local routes = {}
  for i = 0, n - 1 do
    routes[i + 1] = { dst = ("%d.%d.%d.0/24"):format(20 + (i >> 16), i >> 8 & 255, i & 255), via = "10.0.0.2" }
  end
  return routes
end

local function each_route(ns, verb, routes)
  ns:batch(function(b)
    local noun = b.route
    for _, route in ipairs(routes) do
      noun[verb](noun, route)
    end
  end)
end

local function with_routes(n, lines)
  local pair = routed_pair(lines)
  pair.routes = route_table(n)
  each_route(pair.a, "add", pair.routes)
  return pair
end

local function lines_of(n, verb)
  local lines = {}
  for i, route in ipairs(route_table(n)) do
    lines[i] = ("route %s %s via %s"):format(verb, route.dst, route.via)
  end
  return lines
end

-- netns and `ip -batch` doing a verb to n routes, and the programs whose times have it in a column.
local function changing(n, verb, setup, column)
  return {
    {
      "netns",
      setup = setup,
      run = function(pair)
        each_route(pair.a, verb, pair.routes)
      end,
      teardown = close_pair,
    },
    program("floor", { "routes", n }, column),
    {
      "ip -batch",
      setup = function()
        return setup(lines_of(n, verb))
      end,
      run = function(pair)
        sh.run { "ip", "-n", "bench_a", "-batch", pair.path }
      end,
      teardown = close_pair,
    },
    program("go netlink", { "routes", n }, column),
    program("pyroute2", { "routes", n }, column, n > 10000),
  }
end

for _, n in ipairs { 10000, 100000 } do
  local full = function(lines)
    return with_routes(n, lines)
  end

  bench.work {
    name = ("%d routes: add"):format(n),
    count = n,
    by = changing(n, "add", function(lines)
      local pair = routed_pair(lines)
      pair.routes = route_table(n)
      return pair
    end, 1),
  }

  bench.work {
    name = ("%d routes: list"):format(n),
    count = n,
    by = {
      {
        "netns, tables",
        setup = full,
        run = function(pair)
          assert(#pair.a.route:list { family = "inet" } == n + 1)
        end,
        teardown = close_pair,
      },
      {
        "netns, each",
        setup = full,
        run = function(pair)
          local count = 0
          for _ in pair.a.route:each { family = "inet" } do
            count = count + 1
          end
          assert(count == n + 1)
        end,
        teardown = close_pair,
      },
      program("floor", { "routes", n }, 2),
      {
        "ip route (text)",
        setup = full,
        run = function()
          sh.run "ip -n bench_a route > /dev/null"
        end,
        teardown = close_pair,
      },
      program("go netlink", { "routes", n }, 2),
      program("pyroute2", { "routes", n }, 2, n > 10000),
    },
  }

  bench.work { name = ("%d routes: delete"):format(n), count = n, by = changing(n, "del", full, 3) }
end

local function address(i)
  return ("10.1.%d.%d/32"):format(i // 250, i % 250 + 1)
end

bench.work {
  name = "1000 addresses: add",
  count = 1000,
  by = {
    {
      "netns",
      setup = routed_pair,
      run = function(pair)
        pair.a:batch(function(b)
          for i = 0, 999 do
            b.addr:add { address = address(i), dev = "eth0" }
          end
        end)
      end,
      teardown = close_pair,
    },
    {
      "ip -batch",
      setup = function()
        local lines = {}
        for i = 0, 999 do
          lines[i + 1] = ("addr add %s dev eth0"):format(address(i))
        end
        return routed_pair(lines)
      end,
      run = function(pair)
        sh.run { "ip", "-n", "bench_a", "-batch", pair.path }
      end,
      teardown = close_pair,
    },
  },
}
