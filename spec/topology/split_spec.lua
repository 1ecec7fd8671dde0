--- topology.split: one description on several machines, each of them a namespace here, beside the same one unsplit.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local function sixes(i)
  return "2001:db8::" .. i
end

local function fours(i)
  return "192.0.2." .. i
end

-- Machines on one wire, a and b and so on, each reached by address(number).
local function machines(names, address)
  local list, underlay = {}, {}
  local wire = netns.new()
  wire.link:add { name = "br0", type = "bridge", up = true }
  for i, name in ipairs(names) do
    local ns = netns.new()
    list[name], underlay[name] = ns, address(i)
    ns.link:set { dev = "lo", up = true }
    ns.link:add { name = "eth0", type = "veth", up = true, peer = { name = "p" .. i, netns = wire, up = true } }
    wire.link:set { dev = "p" .. i, master = "br0" }
    ns.addr:add { dev = "eth0", address = address(i) .. (address == sixes and "/64" or "/24"),
      nodad = address == sixes or nil }
  end
  list.wire = wire
  return list, underlay
end

local function close(list)
  for _, thing in pairs(list) do
    thing:close()
  end
end

-- What `ip` says of a node: addresses and routes, without what only says how a link is made.
local function seen(ns)
  local lines = {}
  for _, link in ipairs(sh.ip(ns, "-j addr show")) do
    for _, a in ipairs(link.addr_info or {}) do
      if link.ifname ~= "lo" then
        lines[#lines + 1] = ("%s %s/%d"):format(link.ifname, a["local"], a.prefixlen)
      end
    end
  end
  for _, family in ipairs { "-4", "-6" } do
    for line in sh.ip(ns, family .. " route show"):gmatch "[^\n]+" do
      lines[#lines + 1] = line:gsub("%s+$", "")
    end
  end
  table.sort(lines)
  return lines
end

local function all_nodes(labs)
  local nodes = {}
  for _, lab in pairs(labs) do
    for _, name in ipairs(lab:names()) do
      nodes[#nodes + 1] = { name = name, netns = lab:node(name), address = lab:node(name).address }
    end
  end
  table.sort(nodes, function(a, b) return a.name < b.name end)
  return nodes
end

-- Who reaches whom, as text. Switches have no address.
local function reach(labs)
  local nodes, lines = {}, {}
  for _, node in ipairs(all_nodes(labs)) do
    nodes[#nodes + 1] = node.address and node or nil
  end
  local matrix = netns.matrix(nodes, { timeout = 1 })
  for _, from in ipairs(nodes) do
    for _, to in ipairs(nodes) do
      if from ~= to then
        lines[#lines + 1] = ("%s %s %s"):format(from.name, to.name, matrix[from.name][to.name] and "yes" or "no")
      end
    end
  end
  return lines
end

local function office()
  local t = topology.new "office"
  local lan, gw, isp = t:switch "lan", t:router "gw", t:router "isp"
  for i = 1, 4 do
    t:host("pc" .. i):attach(lan)
  end
  gw:attach(lan):connect(isp):nat { out = isp }
  t:host "a-host-with-a-name-that-is-long":attach(lan)
  t:host "web":connect(isp)
  return t
end

local cases = {
  ["a switch and a NAT gateway"] = { office, { a = { "lan", "pc1", "pc2", "gw", "a-host-with-a-name-that-is-long" },
    b = { "pc3", "pc4", "isp", "web" } } },
  ["a ring"] = { function() return topology.ring { routers = 4 } end, { a = { "r1", "r3" }, b = { "r2", "r4" } } },
  ["leaves and spines on three machines"] = { function() return topology.leaf_spine { leaves = 3, spines = 2 } end,
    { a = { "r1", "h1", "r4" }, b = { "r2", "h2", "r5" }, c = { "r3", "h3" } } },
  ["hosts of a switch elsewhere"] = { function() return topology.star { hosts = 3 } end, { a = { "s1" },
    b = { "h1", "h2" }, c = { "h3" } } },
}

describe("split", function()
  for name, case in pairs(cases) do
    for family, address in pairs { IPv4 = fours, IPv6 = sixes } do
      it(("gives %s the addresses, routes and reachability of the whole, over %s"):format(name, family), function()
        local t, hosts = case[1](), case[2]
        local names = {}
        for host in pairs(hosts) do
          names[#names + 1] = host
        end
        table.sort(names)
        local whole <close> = t:up()
        local list, underlay = machines(names, address)
        local parts, labs = topology.split(t, hosts, { underlay = underlay }), {}
        local ok, err = pcall(function()
          for _, host in ipairs(names) do
            labs[host] = parts[host]:up { underlay = list[host] }
          end
          for host, lab in pairs(labs) do
            assert.same({}, { table.unpack(lab:diff()) })
            assert.equal(#hosts[host], #lab:names())
            for _, node in ipairs(lab:names()) do
              assert.same(seen(whole:node(node)), seen(lab:node(node)), node)
            end
          end
          assert.same(reach { whole }, reach(labs))
        end)
        close(labs)
        close(list)
        assert(ok, err)
      end)
    end
  end

  local list, underlay, parts, a, b

  local function up_pair(t, opts)
    list, underlay = machines({ "a", "b" }, fours)
    parts = topology.split(t or topology.line { routers = 3 }, { a = { "r1", "r2" }, b = { "r3" } },
      opts or { underlay = underlay })
    a, b = parts.a:up { underlay = list.a }, parts.b:up { underlay = list.b }
  end

  after_each(function()
    for _, thing in ipairs { a or false, b or false } do
      if thing then
        thing:close()
      end
    end
    close(list or {})
    list, a, b = nil, nil, nil
  end)

  it("knows the nodes of other machines by name", function()
    up_pair()
    assert.is_true(a:reach("r1", "r3"))
    assert.is_true((b:reach("r3", "r1")))
    assert.same({ "r1", "r2" }, a:names())
    assert.is_nil(a.r3)
    assert.is_true(a:ping_all().ok)
    assert.matches("r2 .* %-%- r3:eth0 on b", a:draw():gsub("\n", " "))
    assert.matches('"r3" %[shape=ellipse, style=dashed, label="r3\\non b"%]', a:draw "dot")
    assert.matches('n3%(%["r3<br>on b"%]%)', a:draw "mermaid")
  end)

  it("takes packets as large as links say, and no larger", function()
    up_pair()
    assert.equal(1450, a.r1:path_mtu(b.r3.address).mtu)
    assert.is_truthy(a.r2:ping(b.r3.address, { size = 1450 - 28, df = true }))
    local t = topology.line { routers = 3 }
    t.data.nodes.r2.links = { { to = "r3", mtu = 1451 } }
    t.data.nodes.r3.links = nil
    t.data.nodes.r1.links = { { to = "r2" } }
    assert.error_matches(function()
      topology.split(t, { a = { "r1", "r2" }, b = { "r3" } }, { underlay = underlay })
    end, "nodes.r2.links%[1%].mtu: 1451 is more than a tunnel over an underlay of 1500 bytes takes: 1450")
    topology.split(t, { a = { "r1", "r2" }, b = { "r3" } }, { underlay = underlay, underlay_mtu = 1501 })
  end)

  it("cuts, impairs, mends and changes a tunnel as any link", function()
    up_pair()
    local to = b.r3.address
    a:cut("r2", "r3")
    assert.is_nil(a.r1:ping(to, { timeout = 0.2 }))
    assert.equal(0, #a:diff())
    a:restore("r2", "r3")
    assert.is_truthy(a.r1:ping(to, { timeout = 5 }))
    local port = parts.a:model().by_name.r2.ifaces[2].name
    a.r2.link:get(port):del()
    assert.is_true(#a:diff() > 0)
    a:repair()
    assert.same({ "vxlan", "192.0.2.2" }, { a.r2.link:get(port).type, a.r2.link:get(port).remote })
    assert.is_truthy(a.r1:ping(to, { timeout = 5 }))

    local more = topology.line { routers = 3 }
    more:host "h1":connect "r3"
    local again = topology.split(more, { a = { "r1", "r2", "h1" }, b = { "r3" } }, { underlay = underlay })
    a:apply(again.a)
    b:apply(again.b)
    assert.same({ "h1", "r1", "r2" }, a:names())
    assert.is_truthy(a.h1:ping(a.r1.address))
    assert.is_truthy(a.h1:ping(b.r3.address))
    assert.same({ 0, 0 }, { #a:diff(), #b:diff() })
  end)

  it("is saved, loaded, named and attached to like any other", function()
    sh.with_dir(function(dir)
      up_pair()
      a:close()
      topology.save(parts.a, dir .. "/a.topology")
      a = topology.load(dir .. "/a.topology"):up { underlay = list.a, name = "lab1" }
      assert.same({ "lab1.r1", "lab1.r2" }, (function()
        local names = netns.list()
        table.sort(names)
        return names
      end)())
      local other <close> = topology.attach "lab1"
      assert.same({ "r1", "r2" }, other:names())
      assert.is_truthy(other.r1:ping(b.r3.address))
    end)
  end)

  it("has a plan that a shell carries out", function()
    up_pair()
    b:close()
    local script = table.concat(parts.b:plan():commands "s", "\n")
    sh.inside(list.b, ("set -e\n%s"):format(script))
    local r3 <close> = netns.open "s.r3"
    assert.is_truthy(r3:ping(a.r1.address))
    netns.delete "s.r3"
    b = nil
  end)

  describe("through WireGuard", function()
    local keys, public

    setup(function()
      features.need "wireguard"
      keys, public = {}, {}
      for _, host in ipairs { "a", "b", "c" } do
        keys[host] = netns.wireguard.genkey()
        public[host] = netns.wireguard.pubkey(keys[host])
      end
    end)

    for family, address in pairs { IPv4 = fours, IPv6 = sixes } do
      it("joins three machines, and hides what it carries, over " .. family, function()
        local t = topology.star { hosts = 3 }
        local whole <close> = t:up()
        local labs = {}
        list, underlay = machines({ "a", "b", "c" }, address)
        parts = topology.split(t, { a = { "s1", "h1" }, b = { "h2" }, c = { "h3" } }, { underlay = underlay,
          wireguard = public })
        local ok, err = pcall(function()
          for _, host in ipairs { "a", "b", "c" } do
            labs[host] = parts[host]:up { underlay = list[host], private_key = keys[host] }
          end
          local wire <close> = list.wire.link:get("p1"):capture()
          assert.same(reach { whole }, reach(labs))
          local ports = {}
          local packet = wire:next(0.5)
          while packet do
            if packet.udp then
              ports[packet.udp.dport] = true
            end
            assert.is_nil(packet.icmp)
            packet = wire:next(0.5)
          end
          assert.is_true(ports[51820])
          assert.is_nil(ports[4789])
          for _, lab in pairs(labs) do
            assert.same({}, { table.unpack(lab:diff()) })
          end
          local mtu = family == "IPv4" and 1390 or 1370
          assert.equal(mtu, labs.a.h1:path_mtu(labs.b.h2.address).mtu)
          assert.is_truthy(labs.a.h1:ping(labs.c.h3.address, { size = mtu - 28, df = true }))
          -- the machine has nothing more of it than a port
          assert.same({ "eth0", "lo" }, (function()
            local names = {}
            for _, link in ipairs(list.a.link:list()) do
              names[#names + 1] = link.name
            end
            table.sort(names)
            return names
          end)())
        end)
        close(labs)
        assert(ok, err)
      end)
    end

    it("refuses another key, changes its peers, and comes back when it is taken over", function()
      local t = topology.pair()
      list, underlay = machines({ "a", "b" }, fours)
      local hosts = { a = { "h1" }, b = { "h2" } }
      local opts = { underlay = underlay, wireguard = { a = public.a, b = public.b } }
      parts = topology.split(t, hosts, opts)
      assert.error_matches(function() parts.a:up { underlay = list.a } end, "private_key is needed")
      assert.error_matches(function() parts.a:up { underlay = list.a, private_key = keys.b } end,
        "private_key is not that of the public key " .. public.a:gsub("%p", "%%%0"))
      a = parts.a:up { underlay = list.a, private_key = keys.a }
      b = parts.b:up { underlay = list.b, private_key = keys.b }
      assert.is_truthy(a.h1:ping(b.h2.address, { timeout = 5 }))
      b:close()
      assert.is_nil(a.h1:ping("10.128.0.1", { timeout = 0.3 }))
      opts.wireguard.b = public.c -- b has lost its key
      parts = topology.split(t, hosts, opts)
      a:apply(parts.a)
      b = parts.b:up { underlay = list.b, private_key = keys.c }
      assert.is_truthy(a.h1:ping(b.h2.address, { timeout = 5 }))
      assert.is_truthy(table.concat(parts.a:plan():commands(), "\n"):find("ip -n '~wireguard' link add", 1, true))
    end)

    it("says what is wrong with keys", function()
      local two = { a = "192.0.2.1", b = "192.0.2.2" }
      for wrong, given in pairs {
        ["split.hosts.b.public_key: is missing, and a has one"] = { a = public.a },
        ["split.hosts.b.public_key: is no key of WireGuard"] = { a = public.a, b = "x" },
        ['wireguard: there is no host "z"'] = { a = public.a, z = public.b },
      } do
        assert.error_matches(function()
          topology.split(topology.pair(), { a = { "h1" }, b = { "h2" } }, { underlay = two, wireguard = given })
        end, wrong)
      end
    end)
  end)

  it("says all that is wrong", function()
    local t = topology.line { routers = 3 }
    local underlays = { a = "192.0.2.1", b = "192.0.2.2" }
    local ab = { a = { "r1", "r2" }, b = { "r3" } }
    for wrong, args in pairs {
      ["split.hosts: on no host: r2, r3"] = { t, { a = { "r1" } }, { underlay = { a = "192.0.2.1" } } },
      ["hosts.b.nodes%[2%]: r1 is on a already"] = { t, { a = { "r1", "r2" }, b = { "r3", "r1" } },
        { underlay = underlays } },
      ["hosts.b.nodes%[1%]: there is no node r33 %(did you mean \"r3\"%?%)"] = { t, { a = { "r1", "r2", "r3" },
        b = { "r33" } }, { underlay = underlays } },
      ["hosts.b.underlay: the address by which other machines reach"] = { t, ab, { underlay = { a = "192.0.2.1" } } },
      ["hosts.b.underlay: all underlay addresses must be of one family"] = { t, ab, { underlay = { a = "192.0.2.1",
        b = "2001:db8::1" } } },
      ["there is no host \"c\""] = { t, ab, { underlay = { a = "1.1.1.1", c = "1.1.1.2" } } },
      ["unknown key \"underlai\" %(did you mean \"underlay\"%?%)"] = { t, ab, { underlai = underlays } },
      ["split.id: must be an integer from 0 to 16777215"] = { t, ab, { underlay = underlays, id = 1 << 24 } },
      ["there are no 2 VXLAN identifiers from 16777215 on"] = { topology.ring { routers = 3 }, ab,
        { underlay = underlays, id = 16777215 } },
      ["the hosts must be a table"] = { t, nil, { underlay = underlays } },
      ["nodes.x.kind"] = {
        { nodes = { x = { kind = "rooter" } } }, { a = { "x" } }, { underlay = { a = "192.0.2.1" } } },
    } do
      assert.error_matches(function() topology.split(args[1], args[2], args[3]) end, wrong)
    end
    local part = topology.split(t, ab, { underlay = underlays }).a
    assert.error_matches(function() topology.split(part, ab, { underlay = underlays }) end, "one machine's part")
    part.data.split.host = "z"
    assert.same("split.host", part:check()[1].path)
  end)

  it("names the line of a tunnel that cannot be made", function()
    up_pair()
    local _, err = pcall(parts.a.up, parts.a, { underlay = list.a }) -- its identifiers are taken
    assert.matches("EEXIST", tostring(err))
    assert.equal("nodes.r2.links[1]", err.path)
  end)
end)
