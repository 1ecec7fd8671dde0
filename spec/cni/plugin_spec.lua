--- examples/cni/netns-bridge, driven as a container runtime drives it, beside containernetworking-plugins' `bridge`.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"
local world = require "spec.cni.world"

local function with(fn)
  return function()
    local w <close> = world.new()
    fn(w)
  end
end

-- What `ip` says of a namespace, without what two plugins (or two runs of one) choose for themselves: the names,
-- numbers and addresses of the host's ends, and whether DAD is still going on.
local function seen(ns, keep)
  local out = { links = {}, addresses = {}, routes = {} }
  local name_of = function(name)
    return name:find "^veth" and "veth" or name
  end
  for _, link in ipairs(sh.ip(ns, "-j -d link show")) do
    local port = link.linkinfo and link.linkinfo.info_slave_data or {}
    out.links[#out.links + 1] = json.encode { name = name_of(link.ifname), mtu = link.mtu, master = link.master,
      up = link.flags[1] ~= nil and table.concat(link.flags, " "):find "%f[%u]UP%f[%U]" ~= nil, hairpin = port.hairpin,
      kind = link.linkinfo and link.linkinfo.info_kind, promiscuity = link.promiscuity, allmulti = link.allmulti,
      mac = keep == "mac" and link.ifname == "eth0" and link.address or nil }
  end
  for _, link in ipairs(sh.ip(ns, "-j addr show")) do
    for _, a in ipairs(link.addr_info or {}) do
      if a.scope ~= "link" and link.ifname ~= "lo" then
        out.addresses[#out.addresses + 1] = json.encode { dev = name_of(link.ifname), address = a["local"],
          length = a.prefixlen, broadcast = a.broadcast, scope = a.scope }
      end
    end
  end
  for _, family in ipairs { "-4", "-6" } do
    for _, r in ipairs(sh.ip(ns, "-j " .. family .. " route show table all")) do
      if r.type ~= "local" and r.type ~= "multicast" and r.type ~= "broadcast" and r.type ~= "anycast"
        and not r.dst:find "^f[ef]" and r.table ~= "local" then
        out.routes[#out.routes + 1] = json.encode { dst = r.dst, via = r.gateway, dev = name_of(r.dev), scope = r.scope,
          metric = r.metric, source = r.prefsrc }
      end
    end
  end
  for _, list in pairs(out) do
    table.sort(list)
  end
  return out
end

-- What a result says, but for names and addresses that are chosen by the way.
local function plain_result(answer)
  local r = json.decode(json.encode(answer))
  for _, interface in ipairs(r.interfaces) do
    assert.matches("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$", interface.mac)
    interface.mac, interface.sandbox = nil, interface.sandbox and "sandbox"
    interface.name = interface.name:gsub("^veth.*", "veth")
  end
  table.sort(r.routes or {}, function(a, b) return a.dst < b.dst end)
  return r
end

local lua_server = [[
  local socket = require "socket"
  local server = assert(socket[arg[1] == "6" and "tcp6" or "tcp4"]())
  server:setoption("reuseaddr", true)
  assert(server:bind(arg[1] == "6" and "::" or "0.0.0.0", tonumber(arg[2])))
  assert(server:listen())
  while true do
    local client = server:accept()
    client:send((client:getpeername()) .. "\n")
    client:close()
  end
]]

local function serve(ns, family, port)
  return ns:spawn({ os.getenv "LUA" or "lua5.4", "-", family, tostring(port) },
    { stdin = lua_server, ready = { tcp = port }, stdout = "discard" })
end

-- Who a server believes its client to be; nil and why where there is no answer.
local function peer_seen(ns, address, port)
  local code = ([[local s = require("socket").connect(%q, %d) print(s and s:receive() or "nobody")]]):format(address,
    port)
  local r = ns:run({ os.getenv "LUA" or "lua5.4", "-e", code }, { timeout = 10 })
  return r.stdout:match "%S+"
end

local function reach(w)
  local names, matrix, probes <close> = {}, {}, netns.probes()
  for _, to in ipairs { "10.22.0.1", "10.22.0.2", "10.22.0.3", "198.51.100.2", "fd22::1", "fd22::2", "fd22::3",
    "2001:db8::2" } do
    for _, from in ipairs { "host", "c1", "c2" } do
      probes:ping(w[from], to, { timeout = 0.3 })
      names[#names + 1] = from .. " to " .. to
    end
  end
  for number, result in probes:run() do
    matrix[names[number]] = result.ok
  end
  return matrix
end

describe("netns-bridge beside bridge", function()
  setup(function()
    features.need "nft"
  end)

  local cases = {
    ["an isolated bridge"] = {},
    ["no addresses"] = { ipam = json.null },
    ["a gateway"] = { isGateway = true },
    ["a default gateway with masquerading"] = { isDefaultGateway = true, ipMasq = true },
    ["hairpin mode and an MTU"] = { isDefaultGateway = true, hairpinMode = true, mtu = 1400 },
    ["promiscuous mode"] = { isGateway = true, promiscMode = true },
    ["the default bridge and a version of 0.3.1"] = { bridge = json.null, cniVersion = "0.3.1", isGateway = true },
    ["version 0.4.0 and DNS"] = { cniVersion = "0.4.0", dns = { nameservers = { "192.0.2.1" }, search = { "x" } } },
    ["a MAC address from the runtime"] = { isGateway = true, runtimeConfig = { mac = "c2:11:22:33:44:55" } },
    ["a MAC address from the arguments"] = { isGateway = true, args = { cni = { mac = "c2:11:22:33:44:66" } } },
    ["routes of IPAM's"] = { isGateway = true, routes = true },
  }
  for name, more in pairs(cases) do
    it("makes the same of " .. name, function()
      local views = {}
      for _, kind in ipairs { "netns-bridge", "bridge" } do
        local w <close> = world.new()
        local conf = w:conf(kind, more)
        if conf.routes then
          conf.routes, conf.ipam.routes = nil, { { dst = "10.99.0.0/16" }, { dst = "10.98.0.0/16", gw = "10.22.0.9" },
            { dst = "fd99::/64" } }
        end
        local answers = { plain_result(w:must("ADD", conf)) }
        conf.runtimeConfig, conf.args = nil, nil
        answers[2] = plain_result(w:must("ADD", conf, { id = "c2", netns = w.c2 }))
        local view = { answers = answers, c1 = seen(w.c1, "mac"), c2 = seen(w.c2), host = seen(w.host) }
        if not (more.runtimeConfig or more.args) then
          view.c1 = seen(w.c1)
        end
        view.reach = reach(w)
        view.forward = { w.host.sysctl["net.ipv4.ip_forward"], w.host.sysctl["net.ipv6.conf.all.forwarding"] }
        if more.ipMasq then
          local s4 <close> = serve(w.outside, "4", 80)
          local s6 <close> = serve(w.outside, "6", 81)
          view.masqueraded = { peer_seen(w.c1, "198.51.100.2", 80), peer_seen(w.c1, "2001:db8::2", 81),
            s4:wait(0) == nil, s6:wait(0) == nil }
        end
        w:must("DEL", conf)
        w:must("DEL", conf, { id = "c2", netns = w.c2 })
        view.after = { c1 = seen(w.c1), c2 = seen(w.c2), host = seen(w.host).addresses }
        views[kind] = view
      end
      assert.same(views.bridge, views["netns-bridge"])
      if more.ipMasq then
        assert.same({ "198.51.100.1", "2001:db8::1", true, true }, views.bridge.masqueraded)
        assert.is_true(views.bridge.reach["c1 to 198.51.100.2"])
      end
    end)
  end

  it("makes the same of a VLAN", function()
    features.need "bridge-vlan"
    local views = {}
    for _, kind in ipairs { "netns-bridge", "bridge" } do
      local w <close> = world.new()
      local answers = { plain_result(w:must("ADD", w:conf(kind, { vlan = 100, isGateway = true }))),
        plain_result(w:must("ADD", w:conf(kind, { vlan = 200 }), { id = "c2", netns = w.c2 })) }
      local vlans = {}
      for _, port in ipairs(sh.bridge(w.host, "-j vlan show")) do
        vlans[#vlans + 1] = { port.ifname:gsub("^veth.*", "veth"), json.encode(port.vlans) }
      end
      table.sort(vlans, function(a, b) return a[1] .. a[2] < b[1] .. b[2] end)
      views[kind] = { answers = answers, vlans = vlans, gateway = w.c1:ping "10.22.0.1" ~= nil,
        apart = w.c1:ping("10.22.0.3", { timeout = 0.3 }) == nil, c1 = seen(w.c1), c2 = seen(w.c2) }
    end
    assert.same(views.bridge, views["netns-bridge"])
    assert.same({ true, true }, { views.bridge.gateway, views.bridge.apart })
  end)

  it("says the same about what is wrong with a container", function()
    for _, kind in ipairs { "netns-bridge", "bridge" } do
      local w <close> = world.new()
      local conf = w:conf(kind, { isDefaultGateway = true })
      conf.prevResult = w:must("ADD", conf)
      assert.is_nil(w:must("CHECK", conf))
      local function wrong(undo, how)
        how()
        assert.is_false(w:plugin("CHECK", conf).ok)
        undo()
        assert.is_true(w:plugin("CHECK", conf).ok)
      end
      wrong(function() w.c1.route:add { dst = "default", via = "10.22.0.1" } end, function()
        w.c1.route:del { dst = "default", family = "inet" }
      end)
      wrong(function()
        w.c1.addr:add { dev = "eth0", address = "fd22::2/64", nodad = true }
        w.c1.route:add { dst = "default", via = "fd22::1" }
      end, function()
        w.c1.addr:del { dev = "eth0", address = "fd22::2/64" }
        w.c1.route:flush { family = "inet6" }
      end)
      local port = conf.prevResult.interfaces[2].name
      wrong(function() w.host.link:set { dev = port, master = "cni0" } end, function()
        sh.ip(w.host, { "link", "set", port, "nomaster" })
      end)
    end
  end)
end)

describe("netns-bridge", function()
  setup(function()
    features.need "nft"
  end)

  it("says which versions it speaks", with(function(w)
    local answer = w:must("VERSION", { cniVersion = "0.4.0", type = "netns-bridge" })
    assert.same({ cniVersion = "0.4.0", supportedVersions = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" } }, answer)
  end))

  it("gives a result as its version has it", with(function(w)
    local keys = { ["0.3.1"] = { "4" }, ["0.4.0"] = { "4" }, ["1.0.0"] = {}, ["1.1.0"] = { nil, 1500 } }
    for version, wanted in pairs(keys) do
      local conf = w:conf("netns-bridge", { cniVersion = version, isGateway = true })
      local answer = w:must("ADD", conf)
      assert.equal(version, answer.cniVersion)
      assert.same(wanted, { answer.ips[1].version, answer.interfaces[3].mtu })
      w:must("DEL", conf)
    end
  end))

  it("has the specification's errors, each with its number", with(function(w)
    local base = w:conf "netns-bridge"
    local function conf(more)
      return w:conf("netns-bridge", more)
    end
    local exe = world.path:match "^[^:]+" .. "/netns-bridge"
    local cases = {
      { 1, "0.9.9", "ADD", conf { cniVersion = "0.9.9" } },
      { 1, "CHECK", "CHECK", conf { cniVersion = "0.3.1" } },
      { 1, "GC", "GC", conf { cniVersion = "1.0.0" } },
      { 3, "/run/netns/nowhere", "ADD", base, { netns = "/run/netns/nowhere" } },
      { 4, "CNI_NETNS", "ADD", base, { netns = "" } },
      { 4, "FROB", "FROB", base },
      { 4, "CNI_COMMAND", "", base },
      { 4, "CNI_CONTAINERID", "ADD", base, { id = "-x" } },
      { 4, "CNI_IFNAME", "ADD", base, { ifname = "a/b" } },
      { 4, "own network namespace", "ADD", base, { netns = world.path_of(w.host) } },
      { 4, "CNI_ARGS", "ADD", base, { args = "x" } },
      { 5, "no plugin \"frob\"", "ADD", conf { ipam = { type = "frob" } } },
      { 6, "not JSON", "ADD", "{", { exe = exe } },
      { 6, "prevResult", "ADD", conf { prevResult = { ips = { { address = "x" } } } } },
      { 7, "name", "ADD", conf { name = json.null } },
      { 7, "isGateway", "ADD", conf { isGateway = "yes" } },
      { 7, "vlan", "ADD", conf { vlan = 4095 } },
      { 7, "hairpinMode and promiscMode", "ADD", conf { hairpinMode = true, promiscMode = true } },
      { 7, "bridge", "ADD", conf { bridge = "much too long a name" } },
      { 7, "no bridge", "ADD", conf { bridge = "eth0" } },
      { 7, "prevResult", "CHECK", base },
      { 7, "hostPort", "ADD", conf { runtimeConfig = { portMappings = { { hostPort = 70000, containerPort = 1 } } } } },
      { 7, "hostIP", "ADD", conf { runtimeConfig = { portMappings = { { hostPort = 1, containerPort = 1,
        hostIP = "x" } } } } },
    }
    for _, case in ipairs(cases) do
      local r = w:plugin(case[3], case[4], case[5])
      local what = ("%s %s: %s"):format(case[3], case[2], json.encode(r.answer or "nothing"))
      assert.is_false(r.ok, what)
      assert.equal(case[1], r.answer.code, what)
      assert.is_truthy((r.answer.msg .. (r.answer.details or "")):find(case[2], 1, true), what)
      assert.is_string(r.answer.cniVersion)
    end
    assert.same({}, w.c1.link:list { type = "veth" }, "nothing is left behind")
  end))

  it("leaves no address taken and no link behind when ADD fails late", with(function(w)
    w:must("ADD", w:conf("netns-bridge", { isGateway = true }))
    w.c2.route:add { dst = "10.99.0.0/16", dev = "lo" }
    local conf = w:conf("netns-bridge", { isGateway = true })
    conf.ipam.routes = { { dst = "10.99.0.0/16" } }
    local r = w:plugin("ADD", conf, { id = "c2", netns = w.c2 })
    assert.same({ false, 100 }, { r.ok, r.answer.code })
    assert.matches("route add 10.99.0.0/16", r.answer.msg)
    assert.is_nil(w.c2.link:get "eth0")
    assert.equal(1, #w.host.link:list { type = "veth" } - 1)
    assert.equal("", sh.run { "sh", "-c", ("grep -l '^c2' %s/ipam/pods/* || true"):format(w.dir) })
  end))

  it("deletes as often as it is asked to, also where the namespace is gone", with(function(w)
    local conf = w:conf("netns-bridge", { isGateway = true, ipMasq = true })
    w:must("ADD", conf)
    for _, path in ipairs { world.path_of(w.c1), world.path_of(w.c1), "/run/netns/gone", "" } do
      assert.is_nil(w:must("DEL", conf, { netns = path }))
    end
    w:must("ADD", conf)
    w:must("DEL", conf, { netns = "" }) -- the host's end is known by the attachment
    assert.is_nil(w.c1.link:get "eth0")
    assert.not_matches("c1/eth0", w.host.nft:text())
    assert.equal(1, #w.host.link:list { type = "veth" })
  end))

  it("keeps one bridge's gateway, unless it may be replaced", with(function(w)
    w:must("ADD", w:conf("netns-bridge", { isGateway = true }))
    local other = w:conf("netns-bridge", { name = "other", isGateway = true })
    other.ipam.ranges = { { { subnet = "10.23.0.0/24" } } }
    local r = w:plugin("ADD", other, { id = "c2", netns = w.c2 })
    assert.same({ false, 101 }, { r.ok, r.answer.code })
    assert.matches("forceAddress", r.answer.msg)
    other.forceAddress = true
    w:must("ADD", other, { id = "c2", netns = w.c2 })
    assert.equal("10.23.0.1/24", w.host.addr:list({ dev = "cni0", family = "inet" })[1].address)
  end))

  it("adds to what came before it in a chain", with(function(w)
    local conf = w:conf("netns-bridge", { isGateway = true, prevResult = { cniVersion = "1.0.0",
      interfaces = { { name = "first0", sandbox = "x" } }, ips = { { address = "192.0.2.9/24", interface = 0 } },
      dns = { domain = "x.test" } } })
    local answer = w:must("ADD", conf)
    assert.same({ "192.0.2.9/24", "10.22.0.2/24", "fd22::2/64" }, { answer.ips[1].address, answer.ips[2].address,
      answer.ips[3].address })
    assert.same({ 0, 3, "eth0", "x.test" }, { answer.ips[1].interface, answer.ips[2].interface,
      answer.interfaces[4].name, answer.dns.domain })
  end))

  it("publishes ports: from outside, from the host, from a neighbour, from the container itself", with(function(w)
    local conf = w:conf("netns-bridge", { isDefaultGateway = true, ipMasq = true, hairpinMode = true })
    w:must("ADD", conf, { id = "c2", netns = w.c2 })
    conf.runtimeConfig = { portMappings = { { hostPort = 8080, containerPort = 80, protocol = "TCP" },
      { hostPort = 8081, containerPort = 80, hostIP = "198.51.100.1" }, { hostPort = 0, containerPort = 80 } } }
    conf.prevResult = w:must("ADD", conf)
    local first = w.c1.addr:list({ dev = "eth0", family = "inet" })[1].address:match "[^/]+"
    assert.equal("10.22.0.3", first)
    local s4 <close> = serve(w.c1, "4", 80)
    local function ask(from, address, port)
      return peer_seen(w[from], address, port)
    end
    assert.equal("198.51.100.2", ask("outside", "198.51.100.1", 8080))
    assert.equal("198.51.100.2", ask("outside", "198.51.100.1", 8081))
    assert.equal("nobody", ask("outside", "198.51.100.1", 8082))
    assert.equal("10.22.0.1", ask("host", "127.0.0.1", 8080))
    assert.equal("nobody", ask("host", "127.0.0.1", 8081))
    assert.not_equal("nobody", ask("c1", "198.51.100.1", 8080))
    assert.not_equal("nobody", ask("c2", "198.51.100.1", 8080))
    s4:close()
    local s6 <close> = serve(w.c1, "6", 80)
    assert.equal("2001:db8::2", ask("outside", "2001:db8::1", 8080))
    s6:close()

    local taken = w:conf("netns-bridge", { isGateway = true,
      runtimeConfig = { portMappings = { { hostPort = 8080, containerPort = 1 } } } })
    local r = w:plugin("ADD", taken, { id = "c3", netns = w.outside, ifname = "pod0" })
    assert.same({ false, 101 }, { r.ok, r.answer.code })
    assert.is_true(w:plugin("CHECK", conf).ok)
    w.host.nft:run "delete element inet cni_pods ports4 { tcp . 8080 }"
    r = w:plugin("CHECK", conf)
    assert.same({ false, 101 }, { r.ok, r.answer.code })
    assert.matches("tcp . 8080", r.answer.msg)
    w:must("DEL", conf)
    assert.equal("nobody", ask("outside", "198.51.100.1", 8080))
  end))

  it("is run for many containers at once", with(function(w)
    local conf = w:conf("netns-bridge", { isDefaultGateway = true, ipMasq = true })
    local spaces, exe = {}, world.path:match "^[^:]+" .. "/netns-bridge"
    local function all(command)
      local running = {}
      for i = 1, 8 do
        spaces[i] = spaces[i] or netns.new("many" .. i)
        running[i] = w.host:spawn({ exe }, { stdin = true, env = { CNI_COMMAND = command, CNI_CONTAINERID = "many" .. i,
          CNI_IFNAME = "eth0", CNI_NETNS = "/run/netns/many" .. i, CNI_PATH = world.path } })
      end
      for i, process in ipairs(running) do
        conf.runtimeConfig = { portMappings = { { hostPort = 8000 + i, containerPort = 80 } } }
        process:write(json.encode(conf))
        process:close_stdin()
      end
      for _, process in ipairs(running) do
        local said = process:read("a", 60)
        assert.is_true(process:wait(60).ok, said)
        process:close()
      end
    end
    local function ports()
      return select(2, w.host.nft:text { family = "inet", table = "cni_pods" }:gsub("tcp %. 80%d%d", ""))
    end
    all "ADD"
    assert.same({ 9, 16 }, { #w.host.link:list { type = "veth" }, ports() })
    assert.is_truthy(spaces[1]:ping(spaces[8].addr:list({ dev = "eth0", family = "inet" })[1].address:match "[^/]+"))
    all "DEL"
    assert.same({ 1, 0 }, { #w.host.link:list { type = "veth" }, ports() })
    for _, ns in ipairs(spaces) do
      ns:close()
    end
  end))

  it("collects what is not among the valid attachments", with(function(w)
    local conf = w:conf("netns-bridge", { cniVersion = "1.1.0", isGateway = true, ipMasq = true })
    w:must("ADD", conf)
    w:must("ADD", conf, { id = "c2", netns = w.c2 })
    conf["cni.dev/valid-attachments"] = { { containerID = "c2", ifname = "eth0" } }
    w:must("GC", conf)
    assert.is_nil(w.c1.link:get "eth0")
    assert.is_not_nil(w.c2.link:get "eth0")
    assert.not_matches("c1/eth0", w.host.nft:text())
    assert.matches("c2/eth0", w.host.nft:text())
    assert.equal("", sh.run { "sh", "-c", ("grep -l '^c1' %s/ipam/pods/* || true"):format(w.dir) })
    w.c2:close() -- the veth goes with it, the rest is found in the firewall
    w.host:wait({ link = netns.cni.attachment_key("pods", "c2", "eth0"), gone = true }, 10)
    conf["cni.dev/valid-attachments"] = json.array()
    w:must("GC", conf)
    assert.not_matches("cni_pods", w.host.nft:text())
    assert.equal("", sh.run { "sh", "-c", ("grep -l '^c2' %s/ipam/pods/* || true"):format(w.dir) })
  end))

  it("tells whether it is ready", with(function(w)
    local conf = w:conf("netns-bridge", { cniVersion = "1.1.0" })
    assert.is_nil(w:must("STATUS", conf))
    conf.ipam.type = "frob"
    assert.equal(5, w:plugin("STATUS", conf).answer.code)
  end))
end)
