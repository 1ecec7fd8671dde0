require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local socket = require "socket"
local topology = require "netns.topology"

local function office(pcs)
  local t = topology.new "office"
  local lan, gw, isp = t:switch "lan", t:router "gw", t:router "isp"
  for i = 1, pcs or 3 do
    t:host("pc" .. i):attach(lan)
  end
  gw:attach(lan):connect(isp):nat { out = isp }
  return t
end

-- Every host and router reaches every other, in both families, and nothing drifted.
local function assert_all_reach(lab)
  for _, family in ipairs { "inet", "inet6" } do
    local matrix = lab:ping_all { family = family }
    assert.is_true(matrix.ok, tostring(matrix))
  end
  assert.equal("", tostring(lab:diff()))
end

describe("patterns come up, and all reach each other:", function()
  local sizes = {
    pair = { {}, { link = { mtu = 1280 } }, { link = { mtu = 9000, subnet = { "10.9.0.0/30", "fd09::/126" } } } },
    line = { { routers = 2 }, { routers = 5 }, { routers = 20 } },
    ring = { { routers = 3 }, { routers = 6 }, { routers = 12 } },
    star = { { hosts = 1 }, { hosts = 8 }, { hosts = 30 } },
    mesh = { { routers = 2 }, { routers = 4 }, { routers = 7 } },
    tree = { { depth = 1, fanout = 2 }, { depth = 2, fanout = 3 }, { depth = 3, fanout = 2 } },
    dumbbell = { { left = 1, right = 1 }, { left = 3, right = 2 }, { left = 8, right = 9 } },
    leaf_spine = { { leaves = 1, spines = 1 }, { leaves = 2, spines = 3, hosts = 2 },
      { leaves = 4, spines = 2, hosts = 3 } },
    fat_tree = { { k = 2 }, { k = 4 } },
  }
  for _, name in ipairs { "pair", "line", "ring", "star", "mesh", "tree", "dumbbell", "leaf_spine", "fat_tree" } do
    for i, parameters in ipairs(sizes[name]) do
      it(("%s, size %d"):format(name, i), function()
        local lab <close> = topology[name](parameters):up()
        assert_all_reach(lab)
      end)
    end
  end

  it("fat_tree, size 3: some of them, as the kernel remembers too few neighbours for all", function()
    local lab <close> = topology.fat_tree({ k = 6 }):up()
    for _, family in ipairs { "inet", "inet6" } do
      local matrix = lab:ping_all { family = family, nodes = { "h1", "h2", "h28", "h54", "r1", "r45" }, timeout = 5 }
      assert.is_true(matrix.ok, tostring(matrix))
    end
    assert.equal("", tostring(lab:diff()))
  end)

  it("with one family only", function()
    local four <close> = topology.ring({ routers = 4, ipv6 = false }):up()
    assert.is_true(four:ping_all().ok)
    assert.is_nil(four.r1:run({ "ip", "-6", "route" }).stdout:find "fd00")
    local six <close> = topology.ring({ routers = 4, ipv4 = false }):up()
    assert.is_true(six:ping_all().ok)
    assert.equal(1, #six.r1.addr:list { family = "inet" }) -- lo
  end)
end)

describe("a container host", function()
  -- What is inside reaches everything; from outside there are the published ports only, in both families.
  local function assert_reaches(lab, containers, family)
    local c1, last = "c1", "c" .. containers
    local how = { family = family }
    assert.is_true(lab:reach(c1, "outside", how))
    assert.is_true(lab:reach(last, "host", how))
    assert.is_true(lab:reach(c1, last, how))
    assert.is_true(lab:reach("outside", "host", how))
    assert.is_false(lab:reach("outside", c1, { family = family, timeout = 0.2 }))
    for _, from in ipairs { "outside", "host", c1, last } do
      assert.is_true(lab:reach(from, "host", { family = family, tcp = 8080 }), from .. " " .. family)
    end
    assert.is_false(lab:reach("outside", "host", { family = family, tcp = 8081, timeout = 1 }))
  end

  for _, containers in ipairs { 1, 3, 12 } do
    it(("with %d containers hides them, and publishes ports"):format(containers), function()
      local last = "c" .. containers
      local lab <close> = topology.container_host({
        containers = containers,
        publish = { { port = 8080, to = last, to_port = 80 } },
      }):up()
      for _, family in ipairs { "inet", "inet6" } do
        local server = lab[last]:call(function()
          local listener = assert(family == "inet" and socket.tcp4() or socket.tcp6())
          listener:setoption("reuseaddr", true)
          assert(listener:bind(family == "inet" and "*" or "::", 80))
          assert(listener:listen(16))
          return listener
        end)
        assert_reaches(lab, containers, family)
        server:close()
      end
      assert.equal("", tostring(lab:diff()))
    end)
  end
end)

describe("NAT", function()
  it("lets the inside out and hides it from outside", function()
    local lab <close> = office():up()
    for _, family in ipairs { "inet", "inet6" } do
      assert.is_true(lab:reach("pc1", "isp", { family = family }))
      assert.is_true(lab:reach("pc1", "pc2", { family = family }))
      assert.is_false(lab:reach("isp", "pc1", { family = family, timeout = 0.2 }))
    end
  end)

  it("publishes ports of what is behind it", function()
    local lab <close> = topology.container_host({
      containers = 2,
      publish = { { port = 8080, to = "c2", to_port = 80 } },
    }):up()
    local server = lab.c2:call(socket.bind, "*", 80)
    assert.is_true(lab:reach("outside", "host", { tcp = 8080 }))
    assert.is_false(lab:reach("outside", "host", { tcp = 8081 }))
    server:close()
    assert.is_false(lab:reach("outside", lab.c1.address, { timeout = 0.2 }))
  end)
end)

describe("a plan", function()
  it("prints the script that builds the same network", function()
    for _, t in ipairs { office(), topology.ring { routers = 4 }, topology.dumbbell { left = 2, right = 1 } } do
      local lab <close> = t:up { name = "ours" }
      local script = "set -e\n" .. table.concat(t:plan():commands "theirs", "\n")
      sh.run { "sh", "-c", script }
      local function facts(prefix, name)
        local ns = prefix .. "." .. name
        local rows = {}
        for _, row in ipairs(sh.ip(ns, "-j -d addr show")) do
          for _, addr in ipairs(row.addr_info) do
            rows[#rows + 1] = ("%s %s/%s %s"):format(row.ifname, addr["local"], addr.prefixlen, addr.scope)
          end
          rows[#rows + 1] = ("%s %s %s %s %s"):format(row.ifindex, row.ifname, row.mtu,
            (table.concat(row.flags, " "):match "%f[%w]UP%f[^%w]"), tostring(row.master))
        end
        for _, family in ipairs { "-4", "-6" } do
          rows[#rows + 1] = sh.run { "ip", family, "-n", ns, "route", "show" }
        end
        rows[#rows + 1] = sh.run { "ip", "netns", "exec", ns, "nft", "list", "ruleset" }
        rows[#rows + 1] = sh.run { "ip", "netns", "exec", ns, "sysctl", "net.ipv4.ip_forward" }
        return rows
      end
      for _, name in ipairs(lab:names()) do
        assert.same(facts("ours", name), facts("theirs", name))
      end
      for _, name in ipairs(lab:names()) do
        netns.delete("theirs." .. name)
      end
    end
  end)
end)

describe("up", function()
  it("leaves nothing when a step fails, and says which node and line it was", function()
    local t = office()
    t:node("pc2"):sysctl { ["net.ipv4.no_such_thing"] = 1 }
    local _, err = netns.try(t.up, t)
    assert.equal("ENOENT", err.code)
    assert.same({ "pc2", "nodes.pc2.sysctl" }, { err.node, err.path })
    local fw = office()
    fw:node("pc1"):firewall "table inet t { chain c { nonsense } }"
    local ok, why = pcall(fw.up, fw)
    assert.is_false(ok)
    assert.is_not_nil(why)
    local bad = office()
    bad:node("pc3"):run { "/no/such/program" }
    _, err = netns.try(bad.up, bad)
    assert.same({ "ENOENT", "pc3", "nodes.pc3.run[1]" }, { err.code, err.node, err.path })
    assert.same({}, netns.list())
  end)

  it("leaves nothing whichever operation of the plan fails", function()
    local t = topology.dumbbell { left = 1, right = 1 }
    local steps = t:plan().steps
    for s = 1, #steps do
      for _, part in ipairs { "links", "config" } do
        for i = 1, #steps[s][part] do
          local plan = t:plan()
          local op = plan.steps[s][part][i]
          -- a link that is its own master, an address no link has, a route to nowhere
          op.args = op.noun == "link" and { dev = 4000, up = true } or op.noun == "addr" and
            { dev = 4000, address = "10.9.9.9" } or { dst = "10.9.0.0/16", via = "192.0.2.1" }
          op.verb = op.noun == "link" and "set" or "add"
          local named = require "netns.topology.named"
          local ok, err = pcall(named.up, plan, t.data, {})
          assert.is_false(ok)
          assert.is_string(err.code or err, tostring(err))
        end
      end
    end
    assert.same({}, netns.list())
  end)

  it("tells its progress", function()
    local last, total = 0, 0
    local lab <close> = office():up {
      progress = function(done, of)
        assert.equal(last + 1, done)
        last, total = done, of
      end,
    }
    assert.equal(total, last)
    assert.equal("10.0.0.1", lab.gw.address)
    assert.error_matches(function()
      office():up { progres = print }
    end, 'up: unknown key "progres" (did you mean "progress"?)', nil, true)
  end)

  it("brings one description up many times side by side", function()
    local t = office()
    local first <close> = t:up()
    local second <close> = t:up()
    assert.is_false(first.pc1 == second.pc1)
    assert.is_true(first:ping_all({ nodes = { "pc1", "pc2" } }).ok)
    assert.is_true(second:ping_all({ nodes = { "pc1", "pc2" } }).ok)
  end)
end)

describe("a lab", function()
  it("has nodes that are namespaces with more", function()
    local lab <close> = office():up()
    assert.equal("10.0.0.2", lab.pc1.address)
    assert.same({ "10.0.0.1", "10.128.0.0", "fd00::1", "fd00:0:1::" }, lab.gw.addresses)
    assert.is_truthy(lab.pc1:ping(lab.gw))
    assert.is_nil(lab.nobody)
    assert.equal("eth0", lab.pc1.link:get("eth0").name)
    assert.is_nil(netns.current().address)
    assert.same({ "gw", "isp", "lan", "pc1", "pc2", "pc3" }, lab:names())
    lab:close()
    lab:close()
    assert.equal("lab (closed)", tostring(lab))
    assert.error_matches(function()
      lab:diff()
    end, "the lab is closed", nil, true)
  end)

  it("finds every drift and mends it", function()
    local lab <close> = office():up()
    local drifts = {
      function() lab.pc1.link:get("eth0"):set { up = false } end,
      function() lab.pc2.addr:del { dev = "eth0", address = "10.0.0.3/24" } end,
      function() lab.pc2.addr:add { dev = "eth0", address = "10.77.0.3/24" } end,
      function() lab.gw.route:del { dst = "default" } end,
      function() lab.gw.route:add { dst = "192.0.2.0/24", dev = "eth0" } end,
      function() lab.isp.sysctl["net.ipv4.ip_forward"] = 0 end,
      function() lab.lan.link:get("pc3"):del() end,
      function() lab.lan.link:get("pc2"):set { nomaster = true } end,
      function() lab.pc3.link:get("eth0"):set { mtu = 1400 } end,
      function() lab.lan.link:get("br0"):set { up = false } end,
      function() lab.pc1.link:add { name = "extra", type = "veth" } end,
    }
    for i, drift in ipairs(drifts) do
      drift()
      local found = lab:diff()
      assert.is_true(#found > 0, "drift " .. i)
      assert.matches("^%w+: %S+ .*: expected .*, found ", tostring(found))
      assert.equal(#found, lab:repair())
      assert.equal("", tostring(lab:diff()), "after drift " .. i)
      assert.is_true(lab:reach("pc3", "isp"), "after drift " .. i)
    end
    for _, drift in ipairs(drifts) do
      pcall(drift) -- some need what others took away
    end
    lab:repair()
    assert.equal("", tostring(lab:diff()))
    assert.equal(0, lab:repair())
  end)

  it("becomes another description, keeping what is the same", function()
    local lab <close> = office(3):up()
    local process <close> = lab.pc1:spawn { "sleep", "100" }
    local pc1 = lab.pc1
    local eth0 = pc1.link:get("eth0").ifindex
    local new = office(4)
    new:node("pc1"):sysctl { ["net.ipv4.ip_default_ttl"] = 9 }
    lab:apply(new)
    assert.is_true(pc1 == lab.pc1)
    assert.equal(eth0, pc1.link:get("eth0").ifindex)
    assert.is_nil(process:wait(0))
    assert.equal(9, pc1.sysctl["net.ipv4.ip_default_ttl"])
    assert.is_true(lab:reach("pc4", "isp"))
    assert.equal("", tostring(lab:diff()))
    lab:apply(office(1))
    assert.is_nil(lab.pc2)
    assert.is_true(lab:reach("pc1", "isp"))
    assert.equal("", tostring(lab:diff()))
  end)

  it("goes back as a whole when it cannot become another", function()
    local lab <close> = office(2):up()
    local bad = office(3)
    bad:node("gw"):sysctl { ["net.ipv4.no_such_thing"] = 1 }
    assert.is_false((pcall(lab.apply, lab, bad)))
    assert.is_nil(lab.pc3)
    assert.equal("", tostring(lab:diff()))
    assert.is_true(lab:reach("pc2", "isp"))
    assert.error_matches(function()
      lab:apply(topology.from { nodes = { a = { kind = "host", links = { { to = "b" } } } } })
    end, "there is no node b", nil, true)
  end)

  it("cuts links and restores them, and shows them as they are", function()
    local lab <close> = topology.ring({ routers = 4 }):up()
    lab:cut("r1", "r2")
    assert.matches("DOWN", lab:draw())
    assert.matches("style=dashed", lab:draw "dot")
    assert.equal("", tostring(lab:diff()))
    lab:restore("r1", "r2")
    assert.is_nil(lab:draw():find "DOWN")
    assert_all_reach(lab)
    assert.error_matches(function()
      lab:cut("r1", "r3")
    end, "there is no link between r1 and r3", nil, true)
    assert.error_matches(function()
      lab:cut("r1", "r9")
    end, 'there is no node "r9"', nil, true)
  end)
end)

describe("a named lab", function()
  local lua = os.getenv "LUA" or "lua5.4"

  it("is there for ip netns exec, and for other processes", function()
    local lab <close> = topology.star({ hosts = 2 }):up { name = "lab1" }
    assert.matches("lab1%.h1", sh.run "ip netns list")
    assert.equal("10.0.0.1", (sh.run("ip netns exec lab1.h1 hostname -I || ip -n lab1.h1 -br -4 addr show eth0")
      :match "10%.0%.0%.1"))
    local out = sh.run { lua, "-e", [[
      local topology = require "netns.topology"
      local lab <close> = topology.attach "lab1"
      print(lab.h2.address, lab:ping_all().ok, #lab:diff(), #topology.sweep())]] }
    assert.equal("10.0.0.2\ttrue\t0\t0\n", out)
    assert.error_matches(function()
      topology.pair():up { name = "lab1" }
    end, 'a lab "lab1" is up already', nil, true)
    assert.error_matches(function()
      topology.attach "lab2"
    end, 'there is no lab "lab2"', nil, true)
    assert.is_true(lab:ping_all().ok)
  end)

  it("is swept when its owner was killed, and nothing else is", function()
    local live <close> = topology.pair():up { name = "live" }
    sh.run "ip netns add dead.h9" -- somebody else's, whatever it is called
    local script = [[
      local topology = require "netns.topology"
      local lab = topology.star { hosts = 2 }:up { name = "dead" }
      lab.h1:spawn({ "sleep", "1000" }, { detach = true })
      io.stdout:write "up\n" io.stdout:flush()
      io.stdin:read()]]
    local owner <close> = netns.current():spawn({ lua, "-e", script }, { mounts = false })
    assert.equal("up\n", owner:read "L")
    assert.same({}, topology.sweep())
    owner:kill "KILL"
    assert.equal("KILL", owner:wait(30).signal)
    assert.same({ "dead" }, topology.sweep())
    local left = netns.list()
    table.sort(left)
    assert.same({ "dead.h9", "live.h1", "live.h2" }, left)
    assert.is_true(live:ping_all().ok)
    netns.delete "dead.h9"
    assert.same({}, topology.sweep())
  end)
end)
