--- Rules at work: real packets between namespaces.
--
--     left 10.0.0.2 -- 10.0.0.1 router 10.1.0.1 -- 10.1.0.2 right        (and fd00:1::, fd00:2::)
require("spec.support.leaks").gate()
local core = require "netns.core"
local firewall = require "netns.firewall"
local netns = require "netns"
local socket = require "socket"

local left, router, right

-- a link from `host` to the router
local function connect(host, name, net)
  router.link:add { name = name, type = "veth", up = true, peer = { name = "eth0", netns = host, up = true } }
  host.link:set { name = "lo", up = true }
  router.addr:add { dev = name, address = ("10.%d.0.1/24"):format(net) }
  router.addr:add { dev = name, address = ("fd00:%d::1/64"):format(net + 1), nodad = true }
  host.addr:add { dev = "eth0", address = ("10.%d.0.2/24"):format(net) }
  host.addr:add { dev = "eth0", address = ("fd00:%d::2/64"):format(net + 1), nodad = true }
  host.route:add { dst = "default", via = ("10.%d.0.1"):format(net) }
  host.route:add { dst = "default", via = ("fd00:%d::1"):format(net + 1) }
end

before_each(function()
  left, router, right = netns.new(), netns.new(), netns.new()
  for _, ns in ipairs { left, router, right } do
    ns.sysctl["net.ipv6.conf.default.accept_dad"] = 0 -- link-local addresses are there at once
  end
  router.sysctl["net.ipv4.ip_forward"] = 1
  router.sysctl["net.ipv6.conf.all.forwarding"] = 1
  router.link:set { name = "lo", up = true }
  connect(left, "l", 0)
  connect(right, "r", 1)
end)

after_each(function()
  left:close()
  router:close()
  right:close()
  core.nft_stop()
end)

local function pings(from, address)
  return from:run({ "ping", "-c1", "-W3", "-n", address }).ok
end

local function is_silent(from, address)
  return not from:run({ "ping", "-c1", "-W0.3", "-n", address }).ok
end

-- A server in `ns` that tells each client its address; the port is free to choose.
local function serve(ns, port, kind)
  return ns:call(function()
    local make = kind == 6 and socket.tcp6 or socket.tcp4
    local server = assert(make())
    assert(server:setoption("reuseaddr", true))
    assert(server:bind(kind == 6 and "::" or "0.0.0.0", port))
    assert(server:listen(4))
    server:settimeout(2)
    return server
  end)
end

-- Connect from `ns`: the address the server sees, or nil and why.
local function visit(ns, server, address, port, kind, patience)
  local client = ns:call(function()
    return assert(kind == 6 and socket.tcp6() or socket.tcp4())
  end)
  client:settimeout(patience or 3)
  local ok, why = client:connect(address, port)
  local seen
  if ok then
    local peer = assert(server:accept())
    seen = peer:getpeername()
    peer:close()
  end
  client:close()
  return seen, why
end

local function is_refused(ns, server, address, port, kind)
  return visit(ns, server, address, port, kind, 0.3) == nil
end

describe("rules", function()
  it("drop what they shall drop, and pass the rest", function()
    assert.is_true(pings(left, "10.1.0.2"))
    local fw = router.nft:table { family = "inet", name = "f" }
    local forward = fw:chain { name = "forward", hook = "forward", policy = "accept" }
    local rule = forward:rule "icmp type echo-request counter drop"
    assert.is_true(is_silent(left, "10.1.0.2"))
    assert.equal(1, rule.counter.packets)
    assert.equal(84, rule.counter.bytes)
    assert.is_true(pings(left, "fd00:2::2"))
    rule:del()
    assert.is_true(pings(left, "10.1.0.2"))
  end)

  it("count what passes", function()
    local fw = router.nft:table { family = "inet", name = "f" }
    local named = fw:counter { name = "pings" }
    fw:chain({ name = "forward", hook = "forward" }):rule 'icmp type echo-request counter name "pings"'
    for _ = 1, 3 do
      assert.is_true(pings(left, "10.1.0.2"))
    end
    assert.equal(3, named:reset().packets)
    assert.equal(0, named.packets)
  end)

  it("with sets follow their elements", function()
    local fw = router.nft:table { family = "ip", name = "f" }
    local bad = fw:set { name = "bad", type = "ipv4_addr", flags = "interval" }
    fw:chain({ name = "forward", hook = "forward" }):rule "ip saddr @bad drop"
    assert.is_true(pings(left, "10.1.0.2"))
    bad:add { "10.0.0.0/24" }
    assert.is_true(is_silent(left, "10.1.0.2"))
    bad:flush()
    assert.is_true(pings(left, "10.1.0.2"))
  end)

  it("of quotas stop what exceeds them", function()
    local fw = router.nft:table { family = "ip", name = "f" }
    local quota = fw:quota { name = "q", bytes = 200, inv = true }
    fw:chain({ name = "forward", hook = "forward" }):rule 'icmp type echo-request quota name "q" drop'
    assert.is_true(pings(left, "10.1.0.2"))
    assert.is_true(pings(left, "10.1.0.2"))
    assert.is_true(is_silent(left, "10.1.0.2"))
    assert.equal(200, quota.used) -- the kernel tells no more than the quota
  end)

  it("rewrite addresses", function()
    local nat = router.nft:table { family = "inet", name = "nat" }
    nat:chain({ name = "post", type = "nat", hook = "postrouting", priority = "srcnat" })
      :rule 'oifname "r" meta nfproto ipv4 snat ip to 10.1.0.77'
    router.addr:add { dev = "r", address = "10.1.0.77/24" }
    nat:chain({ name = "pre", type = "nat", hook = "prerouting", priority = "dstnat" })
      :rule "tcp dport 8080 dnat ip to 10.1.0.2:80"
    local server = serve(right, 80)
    assert.equal("10.1.0.77", visit(left, server, "10.0.0.1", 8080))
    server:close()
  end)
end)

describe("the recipe", function()
  it("default_deny lets replies pass and nothing else, and allow opens", function()
    local deny = firewall.default_deny(router, { forward = true })
    assert.is_true(is_silent(left, "10.0.0.1"))
    assert.is_true(is_silent(left, "10.1.0.2"))
    assert.is_true(pings(router, "10.0.0.2"))
    local ping = firewall.allow(router, { proto = "icmp", chain = "forward" })
    assert.is_true(pings(left, "10.1.0.2"))
    assert.is_true(pings(left, "fd00:2::2"))
    assert.is_true(is_silent(left, "10.0.0.1"))
    ping:undo()
    assert.is_true(is_silent(left, "10.1.0.2"))
    deny:undo()
    assert.is_true(pings(left, "10.0.0.1"))
    assert.is_true(pings(left, "10.1.0.2"))
  end)

  it("allow and deny are of ports, addresses and interfaces", function()
    firewall.default_deny(router)
    local server = serve(router, 22)
    assert.is_true(is_refused(left, server, "10.0.0.1", 22))
    firewall.allow(router, { proto = "tcp", port = 22, from = "10.0.0.0/24", iface = "l" })
    assert.equal("10.0.0.2", visit(left, server, "10.0.0.1", 22))
    assert.is_true(is_refused(right, server, "10.1.0.1", 22))
    local deny = firewall.deny(router, { from = "10.0.0.2" })
    assert.is_true(is_refused(left, server, "10.0.0.1", 22))
    deny:undo()
    assert.equal("10.0.0.2", visit(left, server, "10.0.0.1", 22))
    server:close()
  end)

  for _, kind in ipairs { 4, 6 } do
    local function address(net, host)
      return kind == 6 and ("fd00:%d::%d"):format(net + 1, host) or ("10.%d.0.%d"):format(net, host)
    end

    it("masquerade hides what is behind, IPv" .. kind, function()
      local server = serve(right, 80, kind)
      assert.equal(address(0, 2), visit(left, server, address(1, 2), 80, kind))
      local masquerade = firewall.masquerade(router, { out = "r" })
      assert.equal(address(1, 1), visit(left, server, address(1, 2), 80, kind))
      masquerade:undo()
      assert.equal(address(0, 2), visit(left, server, address(1, 2), 80, kind))
      server:close()
    end)

    it("publish forwards a port, from outside and from inside (hairpin), IPv" .. kind, function()
      local server = serve(right, 80, kind)
      local to = kind == 6 and "[fd00:2::2]:80" or "10.1.0.2:80"
      local publish = firewall.publish(router, { port = 8080, to = to })
      assert.equal(address(0, 2), visit(left, server, address(0, 1), 8080, kind))
      assert.equal(address(1, 1), visit(right, server, address(1, 1), 8080, kind)) -- hairpin: by the router
      assert.equal(address(1, 1), visit(router, server, address(1, 1), 8080, kind)) -- from the router itself
      publish:undo()
      assert.is_true(is_refused(left, server, address(0, 1), 8080, kind))
      server:close()
    end)

    it("isolate keeps two interfaces apart, IPv" .. kind, function()
      assert.is_true(pings(left, address(1, 2)))
      local isolate = firewall.isolate(router, { "l", "r" })
      assert.is_true(is_silent(left, address(1, 2)))
      assert.is_true(is_silent(right, address(0, 2)))
      assert.is_true(pings(left, address(0, 1)))
      isolate:undo()
      assert.is_true(pings(left, address(1, 2)))
    end)

    it("rate_limit drops what is too much, IPv" .. kind, function()
      firewall.rate_limit(router, { proto = "icmp", rate = "1/minute", burst = 2 })
      local passed = 0
      for _ = 1, 5 do
        passed = passed + (is_silent(left, address(0, 1)) and 0 or 1)
      end
      assert.equal(2, passed)
    end)
  end

  it("publish works behind default_deny", function()
    firewall.default_deny(router, { forward = true })
    local server = serve(right, 80)
    assert.is_true(is_refused(left, server, "10.1.0.2", 80))
    firewall.publish(router, { port = 8080, to = "10.1.0.2:80" })
    assert.equal("10.0.0.2", visit(left, server, "10.0.0.1", 8080))
    assert.is_true(is_refused(left, server, "10.1.0.2", 80))
    server:close()
  end)

  it("log counts and lets pass", function()
    local log = firewall.log(router, { prefix = "ping: ", proto = "icmp", group = 5 })
    assert.is_true(pings(left, "10.0.0.1"))
    assert.equal(1, log.rules[1].counter.packets)
  end)
end)
