-- The core beside iproute2 and beside the floor (floor.c): routes, addresses, namespaces, a hub.
local bench = require "spec.bench.bench"
local netns = require "netns"
local program = require "spec.bench.floor"
local sh = require "spec.support.sh"

local function floor(work, n, column)
  return program("floor", { work, n }, column)
end

-- A file of commands for `ip -batch`, with how to run it.
local function ip_batch(name, lines)
  local path = os.tmpname()
  sh.write_file(path, table.concat(lines, "\n") .. "\n")
  return path, { "ip", "-n", name, "-batch", path }
end

local function routed_pair()
  local a, b = netns.new "bench_a", netns.new "bench_b"
  a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
  a.addr:add { address = "10.0.0.1/24", dev = "eth0" }
  return { a = a, b = b }
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
    routes[i + 1] = { dst = ("20.%d.%d.0/24"):format(i // 256, i % 256), via = "10.0.0.2" }
  end
  return routes
end

local function add_routes(ns, routes)
  ns:batch(function(b)
    local noun = b.route
    for _, route in ipairs(routes) do
      noun:add(route)
    end
  end)
end

local function with_routes(n)
  return function()
    local pair = routed_pair()
    add_routes(pair.a, route_table(n))
    return pair
  end
end

for _, n in ipairs { 10000, 50000 } do
  bench.work {
    name = ("%d routes: add"):format(n),
    count = n,
    by = {
      {
        "netns",
        setup = function()
          local pair = routed_pair()
          pair.routes = route_table(n)
          return pair
        end,
        run = function(pair)
          add_routes(pair.a, pair.routes)
        end,
        teardown = close_pair,
      },
      floor("routes", n, 1),
      {
        "ip -batch",
        setup = function()
          local pair, lines = routed_pair(), {}
          for i, route in ipairs(route_table(n)) do
            lines[i] = ("route add %s via %s"):format(route.dst, route.via)
          end
          pair.path, pair.command = ip_batch("bench_a", lines)
          return pair
        end,
        run = function(pair)
          sh.run(pair.command)
        end,
        teardown = close_pair,
      },
    },
  }

  bench.work {
    name = ("%d routes: list into tables"):format(n),
    count = n,
    by = {
      {
        "netns",
        setup = with_routes(n),
        run = function(pair)
          assert(#pair.a.route:list { family = "inet" } == n + 1)
        end,
        teardown = close_pair,
      },
      {
        "netns each",
        setup = with_routes(n),
        run = function(pair)
          local count = 0
          for _ in pair.a.route:each { family = "inet" } do
            count = count + 1
          end
          assert(count == n + 1)
        end,
        teardown = close_pair,
      },
      floor("routes", n, 2),
      {
        "ip route (text)",
        setup = with_routes(n),
        run = function()
          sh.run "ip -n bench_a route > /dev/null"
        end,
        teardown = close_pair,
      },
    },
  }
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
            b.addr:add { address = ("10.1.%d.%d/32"):format(i // 250, i % 250 + 1), dev = "eth0" }
          end
        end)
      end,
      teardown = close_pair,
    },
    {
      "ip -batch",
      setup = function()
        local pair, lines = routed_pair(), {}
        for i = 0, 999 do
          lines[i + 1] = ("addr add 10.1.%d.%d/32 dev eth0"):format(i // 250, i % 250 + 1)
        end
        pair.path, pair.command = ip_batch("bench_a", lines)
        return pair
      end,
      run = function(pair)
        sh.run(pair.command)
      end,
      teardown = close_pair,
    },
  },
}

local function close_all(list)
  for _, ns in ipairs(list) do
    ns:close()
  end
end

bench.work {
  name = "1000 namespaces: create",
  count = 1000,
  rounds = 3,
  by = {
    {
      "netns",
      setup = function()
        return {}
      end,
      run = function(list)
        for i = 1, 1000 do
          list[i] = netns.new()
        end
      end,
      teardown = close_all,
    },
    {
      "netns, named",
      setup = function()
        return {}
      end,
      run = function(list)
        for i = 1, 1000 do
          list[i] = netns.new("bench" .. i)
        end
      end,
      teardown = close_all,
    },
    floor("netns", 1000, 1),
    {
      "ip -batch, named",
      setup = function()
        local lines = {}
        for i = 1, 1000 do
          lines[i] = "netns add bench" .. i
        end
        local path = os.tmpname()
        sh.write_file(path, table.concat(lines, "\n") .. "\n")
        return path
      end,
      run = function(path)
        sh.run { "ip", "-batch", path }
      end,
      teardown = function(path)
        os.remove(path)
        for i = 1, 1000 do
          netns.delete("bench" .. i)
        end
      end,
    },
  },
}

-- A hub: a bridge with a veth to each of n hosts, which have an address and a route.
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

for _, n in ipairs { 100 } do
  bench.work {
    name = ("a hub of %d hosts: up"):format(n),
    count = n,
    rounds = 3,
    by = {
      {
        "netns",
        setup = function()
          return {}
        end,
        run = function(state)
          state.nodes = hub(n)
        end,
        teardown = function(state)
          close_all(state.nodes)
        end,
      },
      floor("star", n, 1),
      {
        "ip -batch",
        setup = function()
          -- as fast as iproute2 can: born in place, a batch for each namespace
          local files = { main = {}, hub = { "link add br0 type bridge" } }
          for i = 0, n do
            files.main[#files.main + 1] = "netns add bench" .. i
          end
          local state = { n = n, paths = {} }
          for i = 1, n do
            table.insert(files.hub, ("link add p%d type veth peer name eth0 netns bench%d"):format(i, i))
            table.insert(files.hub, ("link set p%d master br0 up"):format(i))
            state[i] = os.tmpname()
            sh.write_file(state[i], ("link set lo up\nlink set eth0 up\naddr add 10.0.%d.%d/16 dev eth0\n"
              .. "route add default via 10.0.255.254\n"):format(i // 250, i % 250 + 1))
          end
          table.insert(files.hub, "link set br0 up")
          state.main, state.hub = os.tmpname(), os.tmpname()
          sh.write_file(state.main, table.concat(files.main, "\n") .. "\n")
          sh.write_file(state.hub, table.concat(files.hub, "\n") .. "\n")
          local script = { "ip -batch " .. state.main, "ip -n bench0 -batch " .. state.hub }
          for i = 1, n do
            script[#script + 1] = ("ip -n bench%d -batch %s"):format(i, state[i])
          end
          state.script = os.tmpname()
          sh.write_file(state.script, "set -e\n" .. table.concat(script, "\n") .. "\n")
          return state
        end,
        run = function(state)
          sh.run { "sh", state.script }
        end,
        teardown = function(state)
          for i = 0, n do
            netns.delete("bench" .. i)
          end
          for _, path in ipairs { state.main, state.hub, state.script, table.unpack(state) } do
            os.remove(path)
          end
        end,
      },
    },
  }
end

bench.work {
  name = "ns:call of an empty function, 10000 times",
  count = 10000,
  by = {
    {
      "netns",
      setup = netns.new,
      run = function(ns)
        local function f() end
        for _ = 1, 10000 do
          ns:call(f)
        end
      end,
      teardown = function(ns)
        ns:close()
      end,
    },
  },
}
