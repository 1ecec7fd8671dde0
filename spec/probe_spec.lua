require("spec.support.leaks").gate { warm = function()
  require("spec.support.luv").loop_mode()
end }
local netns = require "netns"
local core = require "netns.core"
local nets = require "spec.support.nets"
local sh = require "spec.support.sh"

local net, a, r1, r2, b

setup(function()
  net = nets.line { "a", "r1", "r2", "b" }
  a, r1, r2, b = net.a, net.r1, net.r2, net.b
end)

teardown(function()
  net:close()
end)

local function nft(ns, text)
  ns:run({ "nft", "-f", "-" }, { stdin = text, check = true })
end

after_each(function()
  for _, ns in ipairs(net.list) do
    nft(ns, "flush ruleset")
  end
end)

local far = { inet = "10.0.3.2", inet6 = "fd00:3::2" }
local first = { inet = "10.0.1.2", inet6 = "fd00:1::2" }

local function packets(ns, name)
  return sh.decode(ns:run({ "nft", "-j", "list", "counter", "inet", "t", name }).stdout).nftables[2].counter.packets
end

for _, family in ipairs { "inet", "inet6" } do
  local icmp = family == "inet" and "icmp" or "icmpv6"
  local function rules(ns, hook, text)
    nft(ns, ([[table inet t {
      counter hit {}
      chain c {
        type filter hook %s priority 0
        %s
      }
    }]]):format(hook, text))
  end

  describe("ping, " .. family, function()
    it("counts what ping(8) counts", function()
      local r = assert(a:ping(far[family], { count = 5, interval = 0.01 }))
      local seen = sh.inside(a, { "ping", "-c5", "-i0.01", far[family] })
      assert.matches("5 packets transmitted, 5 received, 0%% packet loss", seen)
      assert.equal(5, r.sent)
      assert.equal(5, r.received)
      assert.equal(0, r.loss)
      assert.equal(tonumber(seen:match "ttl=(%d+)"), r.shots[1].ttl)
      assert.equal(far[family], r.shots[5].from)
      assert.is_true(0 < r.min and r.min <= r.avg and r.avg <= r.max and r.max < 2)
    end)

    it("takes every size that fits a packet", function()
      for _, size in ipairs { 0, 1, 7, 8, 9, 56, 1000, 1400, 9000, 65000 } do
        local r = assert(a:ping(far[family], { size = size }))
        assert.equal(1, r.received)
      end
    end)

    it("tells lost packets apart", function()
      rules(r1, "forward", icmp .. " type echo-request " .. icmp .. " sequence { 2, 4 } drop")
      local r = a:ping(far[family], { count = 5, interval = 0, timeout = 0.3 })
      assert.equal(3, r.received)
      assert.equal(0.4, r.loss)
      local states = {}
      for i, shot in ipairs(r.shots) do
        states[i] = shot.state
      end
      assert.same({ "answered", "silent", "answered", "silent", "answered" }, states)
    end)

    it("gives ICMP errors with their sender", function()
      local ok, r = a:ping(far[family], { ttl = 2 })
      assert.is_nil(ok)
      assert.equal("error", r.shots[1].state)
      assert.equal(family == "inet" and "10.0.2.2" or "fd00:2::2", r.shots[1].from)
      assert.matches(family == "inet" and "^Time to live exceeded$" or "^Hop limit exceeded$", r.shots[1].error)
      local ping = sh.try_inside(a, { "ping", "-c1", "-t2", far[family] }).stdout
      assert.truthy(ping:find(r.shots[1].from, 1, true))
      assert.matches(family == "inet" and "Time to live exceeded" or "Time exceeded: Hop limit", ping)

      rules(r2, "forward", "reject with icmpx admin-prohibited")
      ok, r = a:ping(far[family])
      assert.is_nil(ok)
      assert.equal(family == "inet" and "Packet filtered" or "Administratively prohibited", r.shots[1].error)
      assert.matches("0 of 1 answered: .*, from ", tostring(r))
    end)

    it("keeps packets whole with df, and says who cannot pass them", function()
      r1.link:set { dev = "right", mtu = 1300 }
      r2.link:set { dev = "left", mtu = 1300 }
      local whole, r = a:ping(far[family], { size = 1400, df = true })
      local pieces = a:ping(far[family], { size = 1400 })
      r1.link:set { dev = "right", mtu = 1500 }
      r2.link:set { dev = "left", mtu = 1500 }
      assert.is_nil(whole)
      assert.equal("error", r.shots[1].state)
      assert.equal(1300, r.shots[1].mtu)
      assert.equal(first[family], r.shots[1].from)
      if family == "inet" then
        assert.equal(1, pieces.received)
      end
      local _, big = a:ping(far[family], { size = 2000, df = true })
      assert.equal("EMSGSIZE", big.shots[1].errno)
    end)

    it("marks packets, sets their traffic class, fills them", function()
      rules(a, "output", "meta mark 7 counter name hit")
      local dscp = family == "inet" and "ip dscp 46" or "ip6 dscp 46"
      rules(b, "input", dscp .. " @th,128,32 0x61626162 counter name hit")
      assert(a:ping(far[family], { mark = 7, tos = 184, pattern = "ab", size = 30 }))
      assert.equal(1, packets(a, "hit"))
      assert.equal(1, packets(b, "hit"))
    end)

    it("leaves from the address and by the link it is told to", function()
      local own = family == "inet" and "10.0.9.1" or "fd00:9::1"
      r1.addr:add { dev = "lo", address = own .. (family == "inet" and "/32" or "/128") }
      sh.eventually(function() -- an IPv6 address becomes one's own in a work of the kernel's
        return r1.route:get(own).type == "local"
      end)
      local ok, r = r1:ping(far[family], { source = own, timeout = 0.2 })
      assert.is_nil(ok) -- nobody knows the way back
      assert.equal("silent", r.shots[1].state)
      b.route:add { dst = own, via = family == "inet" and "10.0.3.1" or "fd00:3::1" }
      r2.route:add { dst = own, via = family == "inet" and "10.0.2.1" or "fd00:2::1" }
      assert(r1:ping(far[family], { source = own }))
      ok, r = r1:ping(far[family], { dev = "left", timeout = 0.2 })
      assert.is_nil(ok)
      assert.not_equal("answered", r.shots[1].state)
      local none
      none, r = r1:ping(far[family], { source = family == "inet" and "10.9.9.9" or "fd99::1" })
      assert.is_nil(none)
      assert.equal("unsent", r.shots[1].state)
    end)

    it("goes on while somebody else pings in the same namespace", function()
      local other <close> = a:spawn({ "ping", "-i0.002", "-q", far[family] }, { stdout = "discard" })
      local r = assert(a:ping(far[family], { count = 100, interval = 0.002 }))
      assert.equal(100, r.received)
      assert.equal(0, r.duplicates)
      assert.is_nil(other:wait(0))
    end)
  end)

  describe("traceroute, " .. family, function()
    local function way(r)
      local hops = {}
      for i, hop in ipairs(r.hops) do
        hops[i] = hop.from or "*"
      end
      return hops
    end
    local routers = family == "inet" and { "10.0.1.2", "10.0.2.2", "10.0.3.2" }
      or { "fd00:1::2", "fd00:2::2", "fd00:3::2" }

    it("names the routers on the way", function()
      assert.same(routers, way(assert(a:traceroute(far[family]))))
      local r = assert(a:traceroute(far[family], { first_ttl = 2 }))
      assert.equal(2, r.hops[1].hop)
      assert.same({ routers[2], routers[3] }, way(r))
      local ok, short = a:traceroute(far[family], { max_ttl = 2 })
      assert.is_nil(ok)
      assert.same({ routers[1], routers[2] }, way(short))
    end)

    it("shows a silent router as such, and goes on", function()
      rules(r1, "output", icmp .. " type " .. "time-exceeded drop")
      local r = assert(a:traceroute(far[family], { timeout = 0.2 }))
      assert.same({ "*", routers[2], routers[3] }, way(r))
      assert.matches("\n 1  %*\n", tostring(r))
    end)

    it("ends where somebody objects, and where nobody answers", function()
      rules(r2, "forward", "reject with icmpx admin-prohibited")
      local ok, r = a:traceroute(far[family])
      assert.is_nil(ok)
      assert.same({ routers[1], routers[2], routers[2] }, way(r))
      nft(r2, "flush ruleset")
      rules(r2, "forward", "drop")
      ok, r = a:traceroute(far[family], { timeout = 0.2, max_ttl = 6 })
      assert.is_nil(ok)
      assert.same({ routers[1], routers[2], "*" }, way(r))
    end)
  end)

  describe("path_mtu, " .. family, function()
    after_each(function()
      r1.link:set { dev = "right", mtu = 1500 }
      a.link:set { dev = "right", mtu = 1500 }
    end)

    it("is what the narrowest link takes", function()
      assert.equal(1500, assert(a:path_mtu(far[family])).mtu)
      r1.link:set { dev = "right", mtu = 1337 }
      local r = assert(a:path_mtu(far[family]))
      assert.equal(1337, r.mtu)
      assert.same({ { from = first[family], mtu = 1337 } }, r.hops)
      assert.is_nil(r.silent)
      assert.equal(1290, assert(a:path_mtu(far[family], { max = 1290 })).mtu)
    end)

    it("is found where errors are filtered, too", function()
      r1.link:set { dev = "right", mtu = 1337 }
      rules(r1, "output", family == "inet" and "icmp type destination-unreachable drop"
        or "icmpv6 type packet-too-big drop")
      local r = assert(a:path_mtu(far[family], { timeout = 0.2 }))
      assert.equal(1337, r.mtu)
      assert.is_true(r.silent)
      assert.matches("vanish", tostring(r))
    end)

    it("is that of the own link, and the loopback's", function()
      a.link:set { dev = "right", mtu = 1290 }
      assert.equal(1290, assert(a:path_mtu(far[family])).mtu)
      assert.equal(65535, assert(a:path_mtu(family == "inet" and "127.0.0.1" or "::1")).mtu)
    end)

    it("is unknown where nothing answers", function()
      local ok, r = a:path_mtu(family == "inet" and "10.77.0.1" or "fd77::1")
      assert.is_nil(ok)
      assert.equal("unsent", r.shots[1].state)
      rules(r1, "forward", "drop")
      ok, r = a:path_mtu(far[family], { timeout = 0.1 })
      assert.is_nil(ok)
      assert.is_nil(r.mtu)
    end)
  end)

  describe("reach, " .. family, function()
    local serve = [[
      local socket = require "socket"
      local kind, host, port = ...
      local s = assert(socket[kind .. (host:find ":" and "6" or "4")]())
      assert((s.setsockname or s.bind)(s, host, port))
      if kind == "tcp" then assert(s:listen(9)) end
      print "ready"
      io.stdout:flush()
      while true do
        if kind == "tcp" then
          local c = s:accept()
          c:close()
        else
          local text, from, fport = s:receivefrom()
          s:sendto("you said " .. text, from, fport)
        end
      end]]
    local function server(ns, kind, port)
      return ns:spawn({ os.getenv "LUA" or "lua5.4", "-", kind, far[family], port }, { stdin = serve })
    end

    it("tells what a port says", function()
      local tcp <close> = server(b, "tcp", 80)
      local udp <close> = server(b, "udp", 53)
      assert.equal("ready", tcp:read("l", 10))
      assert.equal("ready", udp:read("l", 10))
      local r = assert(a:reach(far[family], { tcp = 80 }))
      assert.equal("open", r.state)
      r = assert(a:reach(far[family], { udp = 53, payload = "hello\0there" }))
      assert.equal("you said hello\0there", r.reply)
      for _, kind in ipairs { "tcp", "udp" } do
        local ok
        ok, r = a:reach(far[family], { [kind] = 9 })
        assert.is_nil(ok)
        assert.equal("closed", r.state)
        assert.equal(far[family], r.shots[1].from)
      end
    end)

    it("gives the sender of an error", function()
      rules(r2, "forward", "meta l4proto { tcp, udp } reject with icmpx host-unreachable")
      for _, kind in ipairs { "tcp", "udp" } do
        local ok, r = a:reach(far[family], { [kind] = 80 })
        assert.is_nil(ok)
        assert.equal("rejected", r.state)
        assert.equal(family == "inet" and "10.0.2.2" or "fd00:2::2", r.shots[1].from)
        assert.matches("[Uu]nreachable", r.shots[1].error)
      end
    end)

    it("knows silence and what cannot be sent", function()
      rules(r2, "forward", "meta l4proto { tcp, udp } drop")
      for _, kind in ipairs { "tcp", "udp" } do
        local ok, r = a:reach(far[family], { [kind] = 80, timeout = 0.1, tries = 2 })
        assert.is_nil(ok)
        assert.equal("silent", r.state)
        assert.equal(2, #r.shots)
        ok, r = a:reach(family == "inet" and "10.77.0.1" or "fd77::1", { [kind] = 80 })
        assert.is_nil(ok)
        assert.equal("unsent", r.state)
        assert.equal("ENETUNREACH", r.shots[1].errno)
      end
    end)

    it("uses the hop limit, mark, class, source and link it is given", function()
      rules(a, "output", ("meta mark 3 %s dscp 8 meta l4proto { tcp, udp } counter name hit"):format(
        family == "inet" and "ip" or "ip6"))
      for i, kind in ipairs { "tcp", "udp" } do
        local _, r = a:reach(far[family], { [kind] = 80, mark = 3, tos = 32, ttl = 1, dev = "right",
          source = family == "inet" and "10.0.1.1" or "fd00:1::1" })
        assert.equal("rejected", r.state)
        assert.equal(first[family], r.shots[1].from)
        assert.equal(i, packets(a, "hit"))
      end
    end)
  end)
end

describe("link-local addresses", function()
  it("take their link from the address or from dev", function()
    local address
    for _, addr in ipairs(r1.addr:list { dev = "left" }) do
      address = addr.address:match "^(fe80.*)/" or address
    end
    assert(a:ping(address .. "%right"))
    assert(a:ping(address, { dev = "right" }))
  end)
end)

describe("a broadcast", function()
  it("counts further answers as duplicates", function()
    local star <close> = nets.star(3)
    for i = 2, 3 do
      star["h" .. i].sysctl["net.ipv4.icmp_echo_ignore_broadcasts"] = 0
    end
    star.h1.addr:add { dev = "eth0", address = "10.9.0.1/24", broadcast = "10.9.0.255" }
    for i = 2, 3 do
      star["h" .. i].addr:add { dev = "eth0", address = ("10.9.0.%d/24"):format(i), broadcast = "10.9.0.255" }
    end
    local r = assert(star.h1:ping("10.9.0.255", { count = 3, interval = 0.05 }))
    assert.equal(3, r.received)
    assert.equal(3, r.duplicates)
  end)
end)

describe("many probes", function()
  it("run together, of all kinds", function()
    local probes <close> = netns.probes()
    local n1 = probes:ping(a, far.inet, { count = 3, interval = 0.01 })
    local n2 = probes:traceroute(a, far.inet6)
    local n3 = probes:path_mtu(b, "10.0.1.1")
    local n4 = probes:tcp(b, "10.0.1.1", { port = 80 })
    local n5 = probes:udp(r1, far.inet6, { port = 80 })
    assert.equal(5, #probes)
    assert.is_false(probes:result(n1).ok)
    assert.is_false(probes:result(n1).done)
    local seen = 0
    for number, result in probes:run() do
      seen = seen + 1
      assert.equal(seen, number)
      assert.is_true(result.done)
    end
    assert.equal(5, seen)
    assert.equal(3, probes:result(n1).received)
    assert.is_true(probes:result(n2).ok)
    assert.equal(1500, probes:result(n3).mtu)
    assert.equal("closed", probes:result(n4).state)
    assert.equal("closed", probes:result(n5).state)
    probes:ping(a, far.inet) -- and more, later
    probes:run()
    assert.is_true(probes:result(6).ok)
  end)

  it("are more than the kernel's neighbour table holds", function()
    local star <close> = nets.star(40)
    local nodes = {}
    for i = 1, 40 do
      nodes[i] = { name = "h" .. i, netns = star["h" .. i], address = star.addresses[i] }
    end
    local m = netns.matrix(nodes)
    assert.equal(1560, m.pairs)
    assert.equal(1560, m.reached)
    assert.is_true(m.ok)
    -- in an order that learns each neighbour twice, with the table still full
    local probes <close> = netns.probes()
    for _, from in ipairs(nodes) do
      for _, to in ipairs(nodes) do
        if from ~= to then
          probes:ping(from.netns, to.address)
        end
      end
    end
    for _, result in probes:run() do
      assert.is_true(result.ok)
    end
    assert.is_true(netns.matrix(nodes, { icmp = true, family = "inet6" }).ok)

    star.sw.link:set { dev = "p7", up = false }
    m = netns.matrix(nodes, { timeout = 0.3 })
    assert.is_false(m.ok)
    assert.equal(1560 - 2 * 39, m.reached)
    assert.equal(2 * 39, #m.failures)
    assert.is_false(m.h7.h1)
    assert.is_false(m.h1.h7)
    assert.is_true(m.h1.h2 > 0)
    assert.is_nil(m.h1.h1)
    assert.matches("\n1482 of 1560 reached", tostring(m))
  end)

  it("leave permanent neighbours alone", function()
    local star <close> = nets.star(16)
    star.h1.neigh:add { dev = "eth0", dst = star.addresses[2], lladdr = star.h2.link:get("eth0").address,
      state = "permanent" }
    local nodes = {}
    for i = 1, 16 do
      nodes[i] = { name = "h" .. i, netns = star["h" .. i], address = star.addresses[i] }
    end
    assert.is_true(netns.matrix(nodes).ok)
    assert.equal("permanent", star.h1.neigh:list({ dst = star.addresses[2] })[1].state)
  end)

  it("connect in numbers beyond the limit of descriptors at once", function()
    local probes <close> = netns.probes()
    for port = 1, 1500 do
      probes:tcp(a, far.inet, { port = port })
    end
    for _, result in probes:run() do
      assert.equal("closed", result.state)
    end
  end)

  it("are driven by luv", function()
    local uv = require "spec.support.luv"
    local probes <close> = netns.probes()
    probes:ping(a, far.inet, { count = 3, interval = 0.02 })
    probes:ping(a, "10.0.1.99", { timeout = 0.1 })
    local poll, left = uv.new_poll(probes:fd()), nil
    poll:start("r", function()
      left = probes:step(0)
      if left == 0 then
        poll:close()
      end
    end)
    uv.run()
    assert.equal(0, left)
    assert.equal(3, probes:result(1).received)
    assert.equal("silent", probes:result(2).shots[1].state)
  end)

  it("are driven by cqueues", function()
    local cqueues = require "cqueues"
    local probes <close> = netns.probes()
    for _ = 1, 300 do
      probes:ping(a, far.inet)
    end
    local loop, others = cqueues.new(), 0
    loop:wrap(function()
      while probes:step(0) > 0 do
        cqueues.poll { pollfd = probes:fd(), events = "r" }
      end
    end)
    loop:wrap(function()
      others = others + 1
    end)
    assert(loop:loop())
    assert.equal(1, others)
    assert.equal(1, probes:result(300).received)
  end)
end)

describe("misuse", function()
  local function refused(pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches(pattern, tostring(err))
  end

  it("is refused by name", function()
    refused('probe_spec.lua:%d+: ping: unknown key "cuont" %(did you mean "count"%?%)', function()
      a:ping(far.inet, { cuont = 1 })
    end)
    refused('ping: the destination must be an IPv4 or IPv6 address, got "example.com"', a.ping, a, "example.com")
    refused("ping: an address or a Namespace expected, got nil", a.ping, a)
    refused("ping: count must be an integer from 1 to 65535, got 0", a.ping, a, far.inet, { count = 0 })
    refused("ping: interval must be a number from", a.ping, a, far.inet, { interval = -1 })
    refused("ping: timeout must be a number", a.ping, a, far.inet, { timeout = 0 / 0 })
    refused("ping: size must be an integer from 0 to 65507, got 65508", a.ping, a, far.inet, { size = 65508 })
    refused("ping: ttl must be an integer from 1 to 255", a.ping, a, far.inet, { ttl = 256 })
    refused("ping: df must be true or false", a.ping, a, far.inet, { df = 1 })
    refused("ping: pattern must be a string", a.ping, a, far.inet, { pattern = 7 })
    refused("ping: source and destination must be of one family", a.ping, a, far.inet, { source = far.inet6 })
    refused("ping: source must be an IPv4 or IPv6 address", a.ping, a, far.inet, { source = "10.0.0.0/8" })
    refused("ping: dev must be the name of a link", a.ping, a, far.inet, { dev = "" })
    refused('ping: family must be "inet" or "inet6"', a.ping, a, b, { family = 4 })
    refused("ping: options must be a table, got number", a.ping, a, far.inet, 5)
    refused("traceroute: max_ttl must be an integer from 3 to 255", a.traceroute, a, far.inet,
      { first_ttl = 3, max_ttl = 2 })
    refused("path_mtu: min must be an integer from 1280", a.path_mtu, a, far.inet6, { min = 100 })
    refused("reach: either tcp or udp, not both", a.reach, a, far.inet, { tcp = 1, udp = 1 })
    refused("reach: icmp must be true", a.reach, a, far.inet, { icmp = 1 })
    refused("tcp: port must be an integer from 1 to 65535, got \"http\"", a.reach, a, far.inet, { tcp = "http" })
    refused("unknown key \"count\"", a.reach, a, far.inet, { tcp = 80, count = 2 })
  end)

  it("of closed things, and of none", function()
    local gone = netns.new()
    gone:close()
    refused("the namespace is closed", gone.ping, gone, far.inet)
    local probes = netns.probes()
    assert.equal(0, probes:step())
    refused("there is no such probe", probes.result, probes, 1)
    refused("number expected", probes.step, probes, {})
    refused("port is missing", probes.tcp, probes, a, far.inet)
    probes:close()
    probes:close()
    refused("the probes are closed", probes.step, probes)
    refused("the probes are closed", probes.ping, probes, a, far.inet)
    refused("invalid option", core.probes().add, core.probes(), "pong", a, far.inet)
  end)

  it("a link that is not there is the system's error", function()
    local _, err = netns.try(a.ping, a, far.inet, { dev = "nowhere" })
    assert.equal("ENODEV", err.code)
    assert.matches("^probe by nowhere in ", tostring(err))
  end)

  it("a namespace without addresses has none to be reached by", function()
    local empty <close> = netns.new()
    refused("ping: netns:%[%d+%] has no global address", a.ping, a, empty)
    assert(a:ping(b))
    assert(a:ping(b, { family = "inet6" }))
  end)
end)
