local topology = require "netns.topology"
local ip = require "netns.topology.ip"
local literal = require "netns.topology.literal"
local words = require "netns.topology.words"
local sh = require "spec.support.sh"

local function office()
  local t = topology.new "office"
  local lan, gw, isp = t:switch "lan", t:router "gw", t:router "isp"
  for i = 1, 3 do
    t:host("pc" .. i):attach(lan)
  end
  gw:attach(lan):connect(isp, { delay = "10ms", rate = "50mbit" }):nat { out = isp }
  return t
end

local function findings(data)
  local list = {}
  for i, finding in ipairs(topology.from(data):check()) do
    list[i] = finding.path .. ": " .. finding.message
  end
  return table.concat(list, "\n")
end

describe("netns.topology.ip", function()
  it("reads and writes addresses as the kernel's tools do", function()
    for text, canonical in pairs {
      ["10.0.0.1"] = "10.0.0.1", ["255.255.255.255"] = "255.255.255.255", ["::"] = "::", ["::1"] = "::1",
      ["2001:DB8:0:0:1:0:0:1"] = "2001:db8::1:0:0:1", ["fd00:0:1::"] = "fd00:0:1::",
      ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8",
      ["::ffff:10.0.0.1"] = "::ffff:a00:1", ["1::8:0:0"] = "1::8:0:0", ["0:0:1:0:0:0:0:0"] = "0:0:1::",
    } do
      assert.equal(canonical, ip.format(ip.parse(text)), text)
    end
    for _, text in ipairs { "", "10.0.0", "10.0.0.256", "10.0.0.01", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9", "g::", "10.0.0.1 ", "1:2:3:4:5:6:7::8:9" } do
      assert.is_nil(ip.parse(text), text)
    end
  end)

  it("knows networks", function()
    assert.equal("10.0.0.0/24", ip.text(ip.network(ip.prefix("10.0.0.77/24", true))))
    assert.equal("fd00::/65", ip.text(ip.network(ip.prefix("fd00::1:2:3/65", true))))
    assert.is_true(ip.contains(ip.prefix "10.0.0.0/8", ip.prefix "10.9.0.0/16"))
    assert.is_false(ip.contains(ip.prefix "10.0.0.0/24", ip.prefix "10.0.0.0/8"))
    assert.is_true(ip.overlaps(ip.prefix "::/0", ip.prefix "fd00::/64"))
    assert.is_false(ip.overlaps(ip.prefix "0.0.0.0/0", ip.prefix "::/0"))
    assert.same({ 254, 1 }, { ip.capacity(ip.prefix "10.0.0.0/24") })
    assert.same({ 2, 0 }, { ip.capacity(ip.prefix "10.0.0.0/31") })
    local p, why = ip.prefix "10.0.0.1/24"
    assert.is_nil(p)
    assert.equal("has host bits set: 10.0.0.0/24 would be right", why)
  end)
end)

describe("netns.topology.words", function()
  it("reads the units of tc", function()
    assert.equal(0.01, words.time "10ms")
    assert.equal(2, words.time(2))
    assert.is_nil(words.time "10 parsecs")
    assert.equal(50e6, words.rate "50mbit")
    assert.equal(8000, words.rate "1kbps")
    assert.is_nil(words.rate "fast")
    assert.equal(0.25, words.share "25%")
    assert.is_nil(words.share "101%")
    assert.is_nil(words.share(-0.1))
  end)

  it("sorts names as people do", function()
    assert.same({ "a", "pc2", "pc10", "pc10b", "r1" }, words.sorted { r1 = 1, pc10 = 1, pc2 = 1, a = 1, pc10b = 1 })
  end)
end)

describe("netns.topology.literal", function()
  it("reads what Lua writes, and what it wrote itself", function()
    local value = { 1, -2.5, "a\n\"b\\\0", true, { x = { y = {} }, ["odd key"] = 0x10, [5] = "five" }, ["end"] = false }
    assert.same(value, literal.read(literal.write(value)))
    assert.same({ 1, 2, x = "é\u{20AC}z", y = [[
long]] }, literal.read "-- comment\nreturn --[==[ long ]] ]==] { 1; 2, x = 'é\\u{20AC}\\z   z', y = [=[\nlong]=], }")
    assert.same({ 255, 1e3, 0x1p4, -1 }, literal.read "{ 0xff, 1e3, 0x1p4, -1 }")
  end)

  it("runs nothing and says in which line it stopped", function()
    for text, words_ in pairs {
      ["return os.exit()"] = "expected a table",
      ["{ x = f() }"] = "expected a string, number, true, false or table",
      ["{\n1,\n2 3 }"] = "expected , or } in a table",
      ["{ x = 1, x = 2 }"] = "the key x stands twice",
      ["{ 'a"] = "the string does not end on its line",
      ["{} {}"] = "expected nothing after the table",
      ["{ [{}] = 1 }"] = "a key must be a name",
      ["{ --[[ "] = "the comment does not end",
      [("{"):rep(200)] = "nested more than 100 deep",
      ["{ '\\q' }"] = "unknown escape",
      [""] = "expected a table",
    } do
      assert.error_matches(function()
        literal.read(text)
      end, words_, nil, true)
    end
    assert.error_matches(function()
      literal.write { print }
    end, "cannot save a function", nil, true)
  end)
end)

describe("a description", function()
  it("is the same data, built or written down, saved or loaded", function()
    local built = office()
    local written = topology.from {
      name = "office",
      nodes = {
        pc1 = { kind = "host", links = { { to = "lan" } } },
        pc2 = { kind = "host", links = { { to = "lan" } } },
        pc3 = { kind = "host", links = { { to = "lan" } } },
        lan = { kind = "switch" },
        isp = { kind = "router" },
        gw = { kind = "router", nat = { out = "isp" },
          links = { { to = "lan" }, { to = "isp", delay = "10ms", rate = "50mbit" } } },
      },
    }
    assert.same(built.data, written.data)
    local path = os.tmpname()
    topology.save(built, path)
    local loaded = topology.load(path)
    os.remove(path)
    assert.same(built.data, loaded.data)
    assert.equal(tostring(built:plan()), tostring(loaded:plan()))
  end)

  it("gives the same addresses every time, routers first", function()
    local m = office():model()
    local function address(name, family)
      local a = m.by_name[name].ifaces[1].addrs[family]
      return ip.text(a)
    end
    assert.equal("10.0.0.1/24", address("gw", 4))
    assert.equal("10.0.0.2/24", address("pc1", 4))
    assert.equal("fd00::4/64", address("pc3", 6))
    assert.equal("10.128.0.1/31", address("isp", 4))
    assert.equal("fd00:0:1::1/127", address("isp", 6))
  end)

  it("takes addresses by hand, mixed with its own", function()
    local t = topology.new "mixed"
    t:switch "s"
    t:router("r"):attach("s", { address = "10.1.0.9/24" })
    t:host("a"):attach("s", { address = { "10.1.0.1", "fd00:9::5/64" } })
    t:host("b"):attach "s"
    t:host("c"):connect("b", { subnet = "10.0.0.0/30" })
    local m = t:model()
    local function texts(name, i)
      local addrs = m.by_name[name].ifaces[i or 1].addrs
      return { ip.text(addrs[4]), ip.text(addrs[6]) }
    end
    assert.same({ "10.1.0.9/24", "fd00:9::1/64" }, texts "r")
    assert.same({ "10.1.0.1/24", "fd00:9::5/64" }, texts "a")
    assert.same({ "10.1.0.2/24", "fd00:9::2/64" }, texts "b")
    assert.equal("10.0.0.1/30", texts("b", 2)[1])
    assert.equal("10.0.0.2/30", texts("c")[1])
  end)

  it("is refused with all mistakes at once, each with its path", function()
    local text = findings {
      routing = "sometimes",
      colour = "red",
      nodes = {
        gw = { kind = "rooter", links = { { to = "lan" }, { to = "lan", dleay = "1ms", delay = "soon", mtu = 9 } } },
        lan = { kind = "switch", links = "x" },
        ["../x"] = { kind = "host" },
        h = { kind = "host", links = { {} }, nat = {} },
      },
    }
    for _, line in ipairs {
      'colour: unknown key',
      'routing: must be true, false or "neighbours"; got "sometimes"',
      'nodes.gw.kind: must be one of host, router, switch (did you mean "router"?); got "rooter"',
      'nodes.gw.links[2].dleay: unknown key (did you mean "delay"?)',
      'nodes.gw.links[2].delay: must be a time such as "10ms", or seconds as a number; got "soon"',
      "nodes.gw.links[2].mtu: must be an integer from 68 to 65535; got 9",
      "nodes.lan.links: must be a list of tables",
      "nodes.h.links[1]: to is missing",
      "nodes.h.nat: out is missing",
    } do
      assert.is_truthy(text:find(line, 1, true), line .. "\n--- not in\n" .. text)
    end
    assert.matches('nodes%.%.%./x: a node must have a name', text)
  end)

  it("is refused where it contradicts itself", function()
    local function has(data, words_)
      local text = findings(data)
      assert.is_truthy(text:find(words_, 1, true), words_ .. "\n--- not in\n" .. text)
    end
    has({ nodes = { a = { kind = "host", links = { { to = "bb" } } }, b = { kind = "host" } } },
      'nodes.a.links[1].to: there is no node bb (did you mean "b"?)')
    has({ nodes = { a = { kind = "host", links = { { to = "a" } } } } }, "a node cannot be linked to itself")
    has({ nodes = {
      a = { kind = "host", links = { { to = "s", address = "10.0.0.5/24" } } },
      b = { kind = "host", links = { { to = "s", address = "10.0.0.5" } } }, s = { kind = "switch" },
    } }, "nodes.b.links[1].address: 10.0.0.5 is the address of a already")
    has({ nodes = {
      a = { kind = "host", links = { { to = "b", subnet = "10.0.0.0/24" }, { to = "c", subnet = "10.0.0.128/25" } } },
      b = { kind = "host" }, c = { kind = "host" },
    } }, "nodes.a.links[2].subnet: 10.0.0.128/25 overlaps 10.0.0.0/24 of nodes.a.links[1].subnet")
    has({ nodes = { a = { kind = "host", links = { { to = "b", subnet = "10.0.0.0/24", address = "10.1.0.1" } } },
      b = { kind = "host" } } }, "10.1.0.1 is not in 10.0.0.0/24")
    has({ nodes = { a = { kind = "host", links = { { to = "b", name = "x" }, { to = "b", name = "x" } } },
      b = { kind = "host" } } }, "the name x is taken by another interface of a")
    has({ nodes = { a = { kind = "router", nat = { out = "b" } }, b = { kind = "host" } } }, "a has no link to b")
    has({ nodes = { a = { kind = "host", nat = { out = "b" }, links = { { to = "b" } } }, b = { kind = "host" } } },
      "a host does not forward; NAT needs a router")
    has({ nodes = { s = { kind = "switch", links = { { to = "t" } } },
      t = { kind = "switch", links = { { to = "s" } } } } },
      "are joined already: this would be a loop")
    has({ ipv4 = false, ipv6 = false, nodes = {} }, "cannot both be switched off")
    has({ pools = { lan4 = "10.0.0.0/30" }, nodes = {
      a = { kind = "host", links = { { to = "s" } } }, s = { kind = "switch" } } }, "has no room for another /24")
    has({ nodes = { a = { kind = "host", links = { { to = "s", subnet = "10.0.0.0/30" } } },
      b = { kind = "host", links = { { to = "s" } } }, c = { kind = "host", links = { { to = "s" } } },
      s = { kind = "switch" } } }, "has room for 2 addresses, 3 are needed")
    assert.error_matches(function()
      topology.from({ name = "x", nodes = { a = { kind = "host", links = { { to = "z" } } } } }):plan()
    end, "topology x: 1 mistake\n  nodes.a.links[1].to: there is no node z", nil, true)
  end)

  it("nests in another, by a port", function()
    local function branch(pcs)
      local t = topology.new "branch"
      t:switch "lan"
      t:router("gw"):attach "lan"
      for i = 1, pcs do
        t:host("pc" .. i):attach "lan"
      end
      return t
    end
    local t = topology.new "company"
    t:router "hub"
    t:include("berlin", branch(2), { at = "gw" }):connect "hub"
    t:include("paris", branch(1), { at = "gw" }):connect("hub", { delay = "8ms" })
    assert.same({}, t:check())
    assert.equal("hub", t.data.nodes["paris.gw"].links[2].to)
    assert.equal("berlin.lan", t.data.nodes["berlin.pc2"].links[1].to)
    assert.error_matches(function()
      t:include("rome", branch(1), { at = "nowhere" })
    end, "is no node of what is included", nil, true)
  end)

  it("shortens long names and keeps them as alternative ones", function()
    local t = topology.new "long"
    t:switch "s"
    for i = 1, 3 do
      t:host("a-host-with-a-very-long-name-" .. i):attach "s"
    end
    local seen = {}
    for _, iface in ipairs(t:model().by_name.s.ifaces) do
      assert.is_true(#iface.name <= 15)
      assert.is_nil(seen[iface.name])
      seen[iface.name] = true
      assert.matches("^a%-host%-with%-a%-very%-long%-name%-%d$", iface.altname)
    end
  end)
end)

describe("routes", function()
  local function routes(t, name)
    local list = {}
    for _, route in ipairs(t:model().by_name[name].routes) do
      local vias = {}
      for i, hop in ipairs(route.hops) do
        vias[i] = hop.via
      end
      if route.family == 4 then
        list[route.dst] = table.concat(vias, " ")
      end
    end
    return list
  end

  it("take the cheapest way, all of them where they are equal", function()
    local t = topology.ring { routers = 4 }
    local r1 = routes(t, "r1")
    local multi = 0
    for _, vias in pairs(r1) do
      multi = multi + (vias:find " " and 1 or 0)
    end
    assert.equal(0, multi) -- both subnets beyond are nearer one way
    local square = topology.new "square"
    for _, name in ipairs { "a", "b", "c", "d" } do
      square:router(name)
    end
    square:node("a"):connect("b"):connect "c"
    square:node("d"):connect("b"):connect "c"
    square:host("h"):connect "d"
    local to_h = routes(square, "a")
    local count = 0
    for dst, vias in pairs(to_h) do
      count = count + (select(2, vias:gsub("%S+", "")) == 2 and dst and 1 or 0)
    end
    assert.equal(1, count)
    square.data.nodes.a.links[1].cost = 10
    for _, vias in pairs(routes(square, "a")) do
      assert.is_nil(vias:find " ")
    end
  end)

  it("are left to others, or end at the neighbours, where that is asked for", function()
    assert.same({}, routes(topology.line { routers = 5, routing = false }, "r1"))
    local count = 0
    for _ in pairs(routes(topology.line { routers = 9, routing = "neighbours" }, "r5")) do
      count = count + 1
    end
    assert.equal(2, count)
  end)

  it("do not know what is behind NAT from outside, and lead out from inside", function()
    local t = office()
    assert.same({}, routes(t, "isp"))
    assert.same({ default = "10.128.0.1" }, routes(t, "gw"))
    assert.same({ default = "10.0.0.1" }, routes(t, "pc1"))
  end)

  it("stay few in large graphs", function()
    local plan = topology.line({ routers = 200 }):plan()
    local most = 0
    for _, step in ipairs(plan.steps) do
      most = math.max(most, #step.node.routes)
    end
    assert.is_true(most <= 40, tostring(most))
  end)
end)

describe("pictures", function()
  it("are accepted by Graphviz", function()
    if not sh.try("command -v dot").ok then
      return pending "Graphviz is not installed"
    end
    for _, t in ipairs { office(), topology.fat_tree(), topology.container_host { containers = 3 } } do
      local svg = sh.run({ "dot", "-Tsvg" }, { stdin = t:draw "dot" })
      assert.matches("<svg", svg)
      for name in pairs(t.data.nodes) do
        assert.is_truthy(svg:find(">" .. name .. "<", 1, true), name)
      end
    end
  end)

  it("show names, addresses and impairments", function()
    for _, format in ipairs { "text", "dot", "mermaid" } do
      local picture = office():draw(format)
      for _, word in ipairs { "pc3", "10.0.0.4/24", "fd00::4/64", "10ms", "50mbit" } do
        assert.is_truthy(picture:find(word, 1, true), format .. " " .. word)
      end
    end
    assert.error_matches(function()
      office():draw "gif"
    end, 'the format must be "text", "dot" or "mermaid"', nil, true)
  end)
end)

describe("patterns", function()
  local function kinds(t)
    local count = { host = 0, router = 0, switch = 0, links = 0 }
    for _, node in pairs(t.data.nodes) do
      count[node.kind] = count[node.kind] + 1
      count.links = count.links + #(node.links or {})
    end
    return { count.host, count.router, count.switch, count.links }
  end

  it("have the nodes and links they are known for", function()
    assert.same({ 2, 0, 0, 1 }, kinds(topology.pair()))
    assert.same({ 0, 7, 0, 6 }, kinds(topology.line { routers = 7 }))
    assert.same({ 0, 5, 0, 5 }, kinds(topology.ring { routers = 5 }))
    assert.same({ 9, 0, 1, 9 }, kinds(topology.star { hosts = 9 }))
    assert.same({ 0, 5, 0, 10 }, kinds(topology.mesh { routers = 5 }))
    assert.same({ 27, 13, 0, 39 }, kinds(topology.tree { depth = 3, fanout = 3 }))
    assert.same({ 5, 2, 2, 8 }, kinds(topology.dumbbell { left = 2, right = 3 }))
    assert.same({ 12, 7, 0, 24 }, kinds(topology.leaf_spine { leaves = 4, spines = 3, hosts = 3 }))
    assert.same({ 16, 20, 0, 48 }, kinds(topology.fat_tree { k = 4 }))
    assert.same({ 4, 1, 1, 5 }, kinds(topology.container_host { containers = 3 }))
  end)

  it("refuse parameters they do not have or that are out of range", function()
    for _, case in ipairs {
      { "star", { hosts = 0 }, "hosts must be an integer from 1 to 1023, got 0" },
      { "star", { host = 3 }, 'unknown key "host" (did you mean "hosts"?)' },
      { "fat_tree", { k = 5 }, "k must be an even integer" },
      { "line", { routers = 2.5 }, "routers must be an integer" },
    } do
      assert.error_matches(function()
        topology[case[1]](case[2])
      end, case[3], nil, true)
    end
  end)
end)
