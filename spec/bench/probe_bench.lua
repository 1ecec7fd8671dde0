--- Probes: all pairs of 100 hosts on one switch, beside ping(8) for as many as it takes the same time.
local bench = require "spec.bench.bench"
local netns = require "netns"
local program = require "spec.bench.program"
local nets = require "spec.support.nets"

local HOSTS = 100

local function star()
  local net = nets.star(HOSTS)
  local nodes = {}
  for i = 1, HOSTS do
    nodes[i] = { name = "h" .. i, netns = net["h" .. i], address = net.addresses[i] }
  end
  return { net = net, nodes = nodes }
end

local function close(state)
  state.net:close()
end

bench.work {
  name = "9,900 pings, 100 hosts",
  count = HOSTS * (HOSTS - 1),
  by = {
    {
      "netns.matrix",
      setup = star,
      run = function(state)
        assert(netns.matrix(state.nodes).ok)
      end,
      teardown = close,
    },
    program("Mininet", { "ping_all", HOSTS }, 1, true),
  },
}

bench.work {
  name = "100 pings, one after the other",
  count = HOSTS,
  by = {
    {
      "ns:ping",
      setup = star,
      run = function(state)
        for i = 2, HOSTS do
          assert(state.nodes[1].netns:ping(state.nodes[i].address))
        end
      end,
      teardown = close,
    },
    {
      "ping(8) in ns:run",
      setup = star,
      run = function(state)
        for i = 2, HOSTS do
          assert(state.nodes[1].netns:run({ "ping", "-qc1", state.nodes[i].address }, { mounts = false }).ok)
        end
      end,
      teardown = close,
    },
  },
}
