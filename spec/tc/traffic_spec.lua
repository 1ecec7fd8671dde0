--- What qdiscs and filters do to traffic: delays, losses and rates are those that were asked for.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local socket = require "socket"

describe("traffic", function()
  local net, link

  setup(function()
    features.need("netem", "tbf", "qdisc-htb", "qdisc-hfsc", "qdisc-cake")
  end)

  before_each(function()
    net = { a = netns.new(), b = netns.new() }
    link = net.a.link:add { name = "right", type = "veth", up = true, addrgenmode = "none",
      peer = { name = "left", netns = net.b, up = true, addrgenmode = "none" } }
    link.addr:add "10.0.1.1/24"
    net.b.addr:add { dev = "left", address = "10.0.1.2/24" }
    sh.eventually(function() -- addresses are resolved
      return net.a:ping("10.0.1.2", { timeout = 0.2 })
    end)
  end)

  after_each(function()
    net.a:close()
    net.b:close()
  end)

  local function sockets(port)
    local from, to = net.a:call(socket.udp4), net.b:call(socket.udp4)
    assert(to:setsockname("10.0.1.2", port or 9000))
    assert(from:setpeername("10.0.1.2", port or 9000))
    from:setoption("send-buffer-size", 100000)
    to:setoption("recv-buffer-size", 200000)
    to:settimeout(5)
    return from, to
  end

  -- bit/s of packets of 1,000 bytes; `burst` bytes go at once, and what goes takes `delay` seconds.
  local function rate_of(count, burst, delay)
    local from, to = sockets()
    local payload = ("x"):rep(1000 - 42) -- with Ethernet, IPv4 and UDP
    local start, last, arrived = socket.gettime(), nil, 0
    for _ = 1, count do
      from:send(payload)
    end
    to:settimeout(0.5)
    while arrived < count and to:receive() do
      arrived, last = arrived + 1, socket.gettime()
    end
    from:close()
    to:close()
    return (arrived * 1000 - burst) * 8 / (last - start - (delay or 0))
  end

  -- A machine that is busy can only be too slow: of three tries the best counts.
  local function assert_rate(expected, ...)
    local got = 0
    for _ = 1, 3 do
      got = math.max(got, rate_of(...))
      if got >= expected * 0.9 then
        break
      end
    end
    assert.is_true(math.abs(got - expected) <= expected * 0.1, ("%.0f bit/s instead of %.0f"):format(got, expected))
  end

  it("netem delays by what it is told, with the jitter that it is told", function()
    link.qdisc:add { kind = "netem", delay = "60ms", jitter = "20ms", distribution = "uniform" }
    local r = net.a:ping("10.0.1.2", { count = 50, interval = 0.01, timeout = 5 })
    assert.equal(50, r.received)
    assert.is_true(r.min >= 0.04, "least " .. r.min)
    assert.is_true(math.abs(r.avg - 0.06) < 0.012, "average " .. r.avg)
    assert.is_true(r.max - r.min > 0.015, ("from %g to %g"):format(r.min, r.max))
  end)

  it("netem drops the share that it is told, the same again with the same seed", function()
    local function losses()
      link.qdisc:replace { kind = "netem", loss = "20%", seed = 4711, limit = 10000 }
      local from, to = sockets()
      local seen = {}
      local function drain(timeout)
        to:settimeout(timeout)
        for data in to.receive, to do
          seen[#seen + 1] = data
        end
      end
      for i = 1, 1000 do
        from:send(tostring(i))
        drain(0)
      end
      drain(0.2)
      from:close()
      to:close()
      link.qdisc:del { parent = "root" }
      return seen
    end
    local first = losses()
    assert.is_true(math.abs(#first - 800) < 60, #first .. " of 1000 arrived")
    assert.same(first, losses())
  end)

  it("tbf holds its rate within 10 %", function()
    link.qdisc:add { kind = "tbf", rate = "4mbit", burst = 5000, limit = "1m" }
    assert_rate(4e6, 150, 5000)
  end)

  it("an impaired link holds its rate within 10 %, alone and with a delay", function()
    link:impair { rate = "4mbit", delay = "10ms" }
    assert_rate(4e6, 150, 1000, 0.01)
    link:impair { rate = "4mbit" }
    assert_rate(4e6, 150, link.qdisc:get({ parent = "root" }).burst)
  end)

  it("htb gives each class its rate, and lets it borrow up to its ceil", function()
    net.a:batch(function(b)
      b.qdisc:add { dev = "right", handle = "1:", kind = "htb", default = "20" }
      b.class:add { dev = "right", classid = "1:1", kind = "htb", rate = "8mbit", burst = 10000, cburst = 10000 }
      b.class:add { dev = "right", classid = "1:20", parent = "1:1", kind = "htb", rate = "2mbit", burst = 5000,
        cburst = 10000 }
    end)
    assert_rate(2e6, 100, 5000)
    link.class:set { classid = "1:20", ceil = "4mbit" }
    assert_rate(4e6, 200, 10000)
    local stats = link.class:get({ classid = "1:20", stats = true }).stats
    assert.is_true(stats.packets >= 300)
    assert.is_true(stats.xstats.borrows > 0)
  end)

  it("hfsc and cake hold their rates within 10 %", function()
    link.qdisc:replace { kind = "cake", bandwidth = "4mbit", memlimit = "4m" }
    assert_rate(4e6, 150, 0)
    link.qdisc:replace { kind = "hfsc", handle = "1:", default = "10" }
    link.class:add { kind = "hfsc", classid = "1:10", parent = "1:", sc = "4mbit", ul = "4mbit" }
    assert_rate(4e6, 150, 0)
  end)
end)
