require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local socket = require "socket"
local topology = require "netns.topology"

local function probe(kind, ns, dst, opts)
  local probes <close> = core.probes()
  probes:add(kind, ns, dst, opts)
  repeat
    local left = probes:step()
  until left == 0
  return probes:result(1)
end

describe("probes", function()
  local lab

  setup(function()
    lab = topology.line({ routers = 3 }):up()
  end)

  teardown(function()
    lab:close()
  end)

  it("ping, in both families: what ping(8) counts", function()
    for i = 1, 2 do
      local dst = lab.r3.addresses[i]
      local r = probe("ping", lab.r1, dst, { count = 3, interval = 0.01 })
      assert.same({ 3, 3, 0 }, { r.sent, r.received, r.duplicates })
      assert.is_true(r.min <= r.avg and r.avg <= r.max and r.min > 0)
      assert.equal(dst, r.shots[1].from)
      assert.is_true(lab.r1:run({ "ping", "-c1", dst }).ok)
    end
  end)

  it("tell ICMP errors with their sender", function()
    local r = probe("ping", lab.r1, lab.r3.address, { ttl = 1, timeout = 1 })
    assert.equal(0, r.received)
    assert.equal("error", r.shots[1].state)
    assert.equal(lab.r2.address, r.shots[1].from)
  end)

  it("tell what was never sent, and what nobody answered", function()
    local r = probe("ping", lab.r1, "192.0.2.1", { timeout = 0.2 })
    assert.same({ "unsent", "ENETUNREACH" }, { r.shots[1].state, r.shots[1].errno })
    lab.r1.route:add { dst = "192.0.2.1", via = lab.r2.address }
    lab.r2.route:add { dst = "192.0.2.1", type = "blackhole" }
    r = probe("ping", lab.r1, "192.0.2.1", { timeout = 0.1 })
    assert.equal("silent", r.shots[1].state)
    lab.r1.route:del { dst = "192.0.2.1" }
    lab.r2.route:del { dst = "192.0.2.1", type = "blackhole" }
  end)

  it("trace the way", function()
    local hops = {}
    for _, shot in ipairs(probe("traceroute", lab.r1, lab.r3.address).shots) do
      if hops[#hops] ~= shot.from then
        hops[#hops + 1] = shot.from
      end
    end
    assert.same({ lab.r2.address, lab.r3.address }, hops)
  end)

  it("find the path's MTU", function()
    assert.equal(1500, probe("path_mtu", lab.r1, lab.r3.address).mtu)
    lab.r2.link:get("eth1"):set { mtu = 1400 }
    lab.r3.link:get("eth0"):set { mtu = 1400 }
    assert.equal(1400, probe("path_mtu", lab.r1, lab.r3.address).mtu)
    lab.r2.link:get("eth1"):set { mtu = 1500 }
    lab.r3.link:get("eth0"):set { mtu = 1500 }
  end)

  it("connect by TCP: answered, refused, silent", function()
    local server = lab.r3:call(socket.bind, "*", 7000)
    assert.equal("answered", probe("tcp", lab.r1, lab.r3.address, { port = 7000 }).shots[1].state)
    server:close()
    assert.equal("refused", probe("tcp", lab.r1, lab.r3.address, { port = 7001 }).shots[1].state)
    assert.is_true((lab:reach("r1", "r2")))
    assert.is_false((lab:reach("r1", "r3", { tcp = 7001 })))
  end)

  it("run by the hundred, from many namespaces at once", function()
    local probes <close> = core.probes()
    for _ = 1, 50 do
      for _, pair in ipairs { { "r1", "r2" }, { "r2", "r3" }, { "r3", "r1" } } do
        probes:add("ping", lab[pair[1]], lab[pair[2]].address, { timeout = 1 })
      end
    end
    assert.equal(150, #probes)
    assert.is_number(probes:fd())
    repeat
      local left = probes:step(0.1)
    until left == 0
    for i = 1, 150 do
      assert.equal(1, probes:result(i).received)
    end
  end)

  it("refuse what cannot be", function()
    local probes <close> = core.probes()
    local ns <close> = netns.new()
    local function refuses(words, ...)
      local args = table.pack(...)
      assert.error_matches(function()
        probes:add(table.unpack(args, 1, args.n))
      end, words, nil, true)
    end
    refuses("invalid option 'pong'", "pong", ns, "10.0.0.1")
    refuses("Namespace expected", "ping", {}, "10.0.0.1")
    refuses("address", "ping", ns, "nowhere")
    refuses('unknown key "cuont" (did you mean "count"?)', "ping", ns, "10.0.0.1", { cuont = 1 })
    refuses("count must be an integer", "ping", ns, "10.0.0.1", { count = 0 })
    refuses("port", "tcp", ns, "10.0.0.1", { port = 65536 })
    assert.error_matches(function()
      probes:result(1)
    end, "there is no such probe", nil, true)
    probes:close()
    probes:close()
    assert.error_matches(function()
      probes:step()
    end, "the probes are closed", nil, true)
  end)
end)
