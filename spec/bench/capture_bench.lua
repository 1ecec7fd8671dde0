--- Captures beside tcpdump(8): packets to a file while they are sent as fast as luasocket can; and to Lua.
local bench = require "spec.bench.bench"
local netns = require "netns"
local nets = require "spec.support.nets"
local sh = require "spec.support.sh"

local PACKETS = 100000

local function open()
  local net = nets.line { "a", "b" }
  net.a.neigh:add { dev = "right", dst = "10.0.1.9", lladdr = "02:00:00:00:00:09" }
  return { net = net, file = os.tmpname() }
end

local function close(state)
  state.net:close()
  os.remove(state.file)
end

local code = ([[
  local u = require("socket").udp4()
  u:setpeername("10.0.1.9", 9)
  local data = ("x"):rep(200)
  for _ = 1, %d do u:send(data) end
]]):format(PACKETS)

local function send(state)
  return state.net.a:spawn({ "lua5.4", "-e", code }, { mounts = false })
end

bench.work {
  name = "100,000 packets captured to a file",
  count = PACKETS,
  by = {
    {
      "link:capture",
      setup = open,
      run = function(state)
        local cap <close> = state.net.a.link:get("right"):capture { filter = "udp port 9", limit = PACKETS,
          file = state.file, buffer = 64 * 1024 * 1024 }
        local sender <close> = send(state)
        repeat
          cap:write(5)
        until cap.stopped
        assert(cap:stats().dropped == 0 and sender:wait(5).ok)
      end,
      teardown = close,
    },
    {
      "tcpdump -w",
      setup = function()
        local state = open()
        local argv = { "tcpdump", "-Z", "root", "-B", "65536", "-i", "right", "-U", "-w", state.file, "-c",
          tostring(PACKETS), "udp", "port", "9" }
        state.tcpdump = state.net.a:spawn(argv, { mounts = false, ready = { check = function()
          return #sh.read_file(state.file) >= 24
        end } })
        return state
      end,
      run = function(state)
        local sender <close> = send(state)
        local status = state.tcpdump:wait(30)
        assert(status and status.ok and sender:wait(5).ok, "tcpdump lost packets")
      end,
      teardown = function(state)
        state.tcpdump:close()
        close(state)
      end,
    },
    {
      "the sender alone",
      setup = open,
      run = function(state)
        local sender <close> = send(state)
        assert(sender:wait(30).ok)
      end,
      teardown = close,
    },
  },
}

-- What waits is read: nobody sends meanwhile.
local function waiting()
  local state = open()
  state.cap = state.net.a.link:get("right"):capture { filter = "udp port 9", buffer = 256 * 1024 * 1024, snaplen = 128 }
  local sender <close> = send(state)
  assert(sender:wait(30).ok)
  return state
end

local function reader(look)
  return function(state)
    local count = 0
    for p in state.cap:each(0) do
      count = count + (look(p) and 1 or 0)
    end
    assert(count == PACKETS, count)
  end
end

local function done(state)
  state.cap:close()
  close(state)
end

bench.work {
  name = "100,000 packets read as Lua values",
  count = PACKETS,
  by = {
    { "their bytes", setup = waiting, run = reader(function(p) return p.bytes end), teardown = done },
    { "their headers", setup = waiting, run = reader(function(p) return p.udp.dport == 9 end), teardown = done },
  },
}

local EVENTS = 100000

local function routes()
  local ns = netns.new()
  ns.link:set { dev = "lo", up = true }
  return { ns = ns, file = os.tmpname() }
end

local function burst(state)
  state.ns:batch(function(b)
    for i = 1, EVENTS do
      b.route:add { dst = ("10.%d.%d.%d/32"):format(1 + (i >> 16), i >> 8 & 255, i & 255), dev = "lo" }
    end
  end)
end

bench.work {
  name = "100,000 routes added in a burst, and told as events",
  count = EVENTS,
  by = {
    {
      "ns:monitor",
      setup = routes,
      run = function(state)
        local m <close> = state.ns:monitor { "route" }
        burst(state)
        local count = 0
        for e in m:each(0) do
          count = count + (e.event == "new" and 1 or 0)
        end
        assert(count >= EVENTS, count)
      end,
      teardown = function(state)
        state.ns:close()
        os.remove(state.file)
      end,
    },
    {
      "ip monitor",
      setup = function()
        local state = routes()
        state.ip = state.ns:spawn({ "sh", "-c", "exec ip -rcvbuf 268435456 monitor route >$0", state.file },
          { mounts = false })
        sh.eventually(function() -- it listens
          local sockets = sh.read_file(("/proc/%d/net/netlink"):format(state.ip.pid))
          return sockets:find(("\n%%S+ +0 +%d "):format(state.ip.pid))
        end, 10, "ip monitor")
        return state
      end,
      run = function(state)
        burst(state)
        local last = ("10.%d.%d.%d dev"):format(1 + (EVENTS >> 16), EVENTS >> 8 & 255, EVENTS & 255)
        sh.eventually(function()
          local f = assert(io.open(state.file))
          f:seek("end", -200)
          local found = f:read("a"):find(last, 1, true)
          f:close()
          return found
        end, 30, "the last event")
      end,
      teardown = function(state)
        state.ip:close()
        state.ns:close()
        os.remove(state.file)
      end,
    },
    {
      "the burst alone",
      setup = routes,
      run = burst,
      teardown = function(state)
        state.ns:close()
        os.remove(state.file)
      end,
    },
  },
}
