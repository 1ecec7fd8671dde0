--- What the trials do: every public function, by its name. Each gets an environment with `ns`, a namespace with a veth
-- pair e0 (10.0.0.1/24) and e1, and `n`, another number each time; it closes what it makes.
local core = require "netns.core"
local firewall = require "netns.firewall"
local netns = require "netns"
local topology = require "netns.topology"

local ops, order = {}, {}

-- def("name", fn), or def("name", prepare, fn): what prepare does is not disturbed.
local function def(name, prepare, fn)
  order[#order + 1] = name
  local keeps = name:find "keep" or name:find "delete"
  ops[name] = { prepare = fn and prepare or function() end, run = fn or prepare, keeps = keeps }
end

local function all_reached(matrix)
  local failure = matrix.failures[1]
  if failure then
    error(failure.result, 0)
  end
end

-- Namespaces -------------------------------------------------------------------------------------------------------

def("netns.new", function()
  local ns <close> = netns.new()
  return ns
end)
def("netns.new named", function(env)
  local ns <close> = netns.new("fault" .. env.n)
  return ns
end)
def("netns.new keep", function(env)
  netns.new("fault" .. env.n, { keep = true }):close()
  netns.delete("fault" .. env.n)
end)
def("netns.open", function(env)
  env.named = netns.new "pod"
end, function(env)
  local a <close> = netns.open "pod"
  local b <close> = netns.open { pid = 1 }
  local c <close> = netns.open { fd = env.ns.fd }
  local d <close> = netns.open "/proc/self/ns/net"
  return a, b, c, d
end)
def("netns.current", function()
  local ns <close> = netns.current()
  return ns
end)
def("netns.list", function(env)
  env.named = netns.new "pod"
end, function()
  assert(#netns.list() >= 1)
end)
def("netns.delete", function(env)
  env.named = netns.new("pod", { keep = true })
end, function()
  if #netns.list() == 0 then
    netns.new("pod", { keep = true }):close()
  end
  netns.delete "pod"
end)
def("netns.sweep", function(env)
  env.named = netns.new "pod"
end, function()
  assert(#netns.sweep() == 0)
end)
def("netns.try", function(env)
  assert(not netns.try(env.ns.addr.add, env.ns.addr, { dev = "nosuch", address = "10.0.0.1/24" }))
end)
def("netns.help", function()
  assert(tostring(netns.help "route:add"))
end)
def("netns.probes", function(env)
  local probes <close> = netns.probes()
  probes:ping(env.ns, "10.0.0.1")
  for _, result in probes:run() do
    assert(result.ok, result)
  end
end)
def("netns.matrix", function(env)
  env.lab = topology.pair():up()
end, function(env)
  all_reached(netns.matrix({ { name = "a", netns = env.lab.h1 }, { name = "b", netns = env.lab.h2 } },
    { timeout = 0.2 }))
end)
def("netns.compare", function(env)
  assert(netns.compare(env.ns, env.ns))
end)
def("netns.explain", function(env)
  env.lab = topology.pair():up()
end, function(env)
  netns.explain({ { name = "a", netns = env.lab.h1 }, { name = "b", netns = env.lab.h2 } }, env.lab.h1, env.lab.h2,
    { timeout = 0.2 })
end)

def("Namespace.close", function(env)
  env.other = netns.new("other" .. env.n)
end, function(env)
  env.other:close()
end)
def("Namespace.call", function(env)
  assert(env.ns:call(function(...) return select("#", ...) end, 1, 2, 3) == 3)
end)
def("Namespace.call in a coroutine", function(env)
  local ok, err = coroutine.resume(coroutine.create(function() return env.ns:call(function() return {} end) end))
  if not ok then
    error(err, 0)
  end
end)
def("Namespace.wrap", function(env)
  local step = env.ns:wrap(function()
    for i = 1, 3 do
      coroutine.yield({ i })
    end
  end)
  for i = 1, 3 do
    assert(step()[1] == i)
  end
end)
def("Namespace.batch", function(env)
  env.ns:batch(function(b)
    for i = 1, 3 do
      b.route:replace { dst = ("10.9.%d.0/24"):format(i), via = "10.0.0.2" }
    end
    b.addr:replace { dev = "e0", address = "10.8.0.1/24" }
  end)
end)
def("Namespace.pids", function(env)
  assert(#env.ns:pids() == 0)
end)
def("Namespace.dump", function(env)
  assert(env.ns:dump())
end)
def("Namespace.counters", function(env)
  assert(env.ns:counters())
end)
def("Namespace.drops", function(env)
  assert(env.ns:drops(function() end))
end)
def("Namespace.sockets", function(env)
  assert(env.ns:sockets())
end)
def("Namespace.sysctl", function(env)
  env.ns.sysctl["net.ipv4.ip_forward"] = 1
  assert(env.ns.sysctl["net.ipv4.ip_forward"] == 1)
  assert(env.ns.sysctl:list "net.ipv4.conf.e0")
end)
def("Namespace.monitor", function(env)
  local m <close> = env.ns:monitor { "link", "addr", "route", "neigh" }
  env.ns.link:set { dev = "e1", mtu = 1300 + env.n }
  assert(m:next(1))
end)
def("Namespace.wait", function(env)
  env.ns:wait({ link = "e0", carrier = true }, 2)
  env.ns:wait({ addr = "10.0.0.1/24" }, 2)
end)
def("Namespace.tun", function(env)
  local tun <close> = env.ns:tun { name = "tun" .. env.n, mode = "tap" }
  assert(tun:name())
end)
def("Namespace.ping", function(env)
  assert(env.ns:ping("10.0.0.1", { timeout = 0.5 }))
end)
def("Namespace.traceroute", function(env)
  assert(env.ns:traceroute("10.0.0.1", { timeout = 0.5 }))
end)
def("Namespace.path_mtu", function(env)
  assert(env.ns:path_mtu("10.0.0.1", { timeout = 0.5 }))
end)
def("Namespace.reach", function(env)
  assert(env.ns:reach("10.0.0.1", { timeout = 0.5 }))
  assert(not env.ns:reach("10.0.0.1", { tcp = 9, timeout = 0.5 }))
end)
def("Namespace.run", function(env)
  local r = env.ns:run({ "cat" }, { stdin = "some text", env = { A = "b" }, timeout = 5 })
  assert(r.ok and r.stdout == "some text")
end)
def("Namespace.spawn", function(env)
  local p <close> = env.ns:spawn({ "cat" }, { mounts = false })
  p:write "a\nb\n"
  assert(p:read("l", 5) == "a")
  p:kill "TERM"
  assert(p:wait(5).signal == "TERM")
end)

def("Namespace.spawn, ready", function(env)
  local p <close> = env.ns:spawn({ "sh", "-c", "echo; exec cat" }, { ready = function() return true end })
  assert(p.fd)
end)

-- Processes ----------------------------------------------------------------------------------------------------------

local function spawns(env)
  env.process = env.ns:spawn({ "cat" }, { mounts = false })
end
def("Process.write", spawns, function(env)
  env.process:write "x\n"
end)
def("Process.read", function(env)
  spawns(env)
  env.process:write(("x\n"):rep(20))
end, function(env)
  assert(env.process:read("l", 5) == "x")
end)
def("Process.lines", function(env)
  env.process = env.ns:spawn({ "yes" }, { mounts = false })
end, function(env)
  local next_line = env.process:lines()
  assert(next_line() == "y" and next_line() == "y")
end)
def("Process.kill", spawns, function(env)
  env.process:kill "CONT"
end)
def("Process.fd", spawns, function(env)
  assert(env.process:fd() and env.process:fd "stdout")
end)
def("Process.close_stdin", spawns, function(env)
  env.process:close_stdin()
end)
def("Process.wait", function(env)
  env.process = env.ns:spawn({ "sh", "-c", "echo x; exit 3" }, { mounts = false })
end, function(env)
  assert(env.process:wait(5).code == 3)
end)
def("Process.close", spawns, function(env)
  env.process:close()
end)

-- Nouns ------------------------------------------------------------------------------------------------------------

def("Noun.add", function(env)
  local n = env.n
  env.ns.link:add { name = "v" .. n, type = "veth", up = true, peer = { name = "w" .. n, up = true } }
  env.ns.addr:add { dev = "v" .. n, address = ("10.1.%d.1/24"):format(n) }
  env.ns.route:add { dst = ("10.2.%d.0/24"):format(n), via = "10.0.0.2", metric = 5 }
  env.ns.rule:add { priority = 100 + n, from = "10.0.0.0/8", table = 7 }
  env.ns.neigh:add { dev = "e0", dst = ("10.0.0.%d"):format(10 + n), lladdr = "02:00:00:00:00:09" }
  env.ns.nexthop:add { id = n, via = "10.0.0.2", dev = "e0" }
end)
def("Noun.add link in two namespaces", function(env)
  env.other = netns.new()
end, function(env)
  env.ns.link:add { name = "v" .. env.n, type = "veth", up = true, peer = { name = "w" .. env.n, netns = env.other,
    up = true } }
end)
def("Noun.add multipath", function(env)
  local hops = { { via = "10.0.0.2", weight = 2 }, { via = "10.0.0.3" } }
  env.ns.route:replace { dst = "10.3.0.0/24", nexthops = hops }
end)
def("Noun.replace", function(env)
  env.ns.route:replace { dst = "10.4.0.0/24", via = "10.0.0.2" }
  env.ns.neigh:replace { dev = "e0", dst = "10.0.0.9", lladdr = "02:00:00:00:00:09" }
end)
def("Noun.append", function(env)
  env.ns.route:append { dst = "10.5.0.0/24", via = "10.0.0." .. env.n + 1 }
end)
def("Noun.prepend", function(env)
  env.ns.route:prepend { dst = "10.5.0.0/24", via = "10.0.0." .. env.n + 1 }
end)
def("Noun.set", function(env)
  env.ns.link:set { dev = "e1", mtu = 1300 + env.n, alias = "x" }
end)
def("Noun.change", function(env)
  env.ns.link:change { dev = "e1", alias = "y" .. env.n }
end)
def("Noun.del", function(env)
  for i = 1, 9 do
    env.ns.route:add { dst = ("10.6.%d.0/24"):format(i), via = "10.0.0.2" }
  end
end, function(env)
  env.ns.route:del { dst = ("10.6.%d.0/24"):format(env.n) }
end)
def("Noun.get", function(env)
  assert(env.ns.link:get "e0")
  assert(env.ns.route:get("10.0.0.2").dev == "e0")
  assert(env.ns.addr:get { dev = "e0", address = "10.0.0.1/24" })
end)
def("Noun.list", function(env)
  for _, noun in ipairs { "link", "addr", "route", "rule", "neigh", "nexthop" } do
    tostring(env.ns[noun]:list())
  end
  assert(#env.ns.route:list { dev = "e0", table = "all" } > 0)
end)
def("Noun.each", function(env)
  for _, noun in ipairs { "link", "addr", "route", "rule" } do
    for row in env.ns[noun]:each() do
      assert(row)
    end
  end
end)
def("Noun.flush", function(env)
  env.ns.route:replace { dst = "10.7.0.0/24", via = "10.0.0.2" }
  assert(env.ns.route:flush { dst = "10.7.0.0/24" } == 1)
end)
def("Link.get", function(env)
  assert(env.e0:get().name == "e0")
end)
def("Link properties", function(env)
  assert(env.e0.mtu and env.e0.stats.rx_bytes and tostring(env.e0))
  assert(env.e0.addr:list())
end)
def("Link.set", function(env)
  env.e0:set { mtu = 1300 + env.n, alias = "z", up = true }
end)
def("Link.del", function(env)
  for i = 1, 5 do
    env["l" .. i] = env.ns.link:add { name = "l" .. i, type = "veth", peer = { name = "m" .. i } }
  end
end, function(env)
  env["l" .. env.n]:del()
end)
def("Link.move", function(env)
  env.other = netns.new()
  for i = 1, 5 do
    env["l" .. i] = env.ns.link:add { name = "l" .. i, type = "veth", peer = { name = "m" .. i } }
  end
end, function(env)
  assert(env["l" .. env.n]:move(env.other).name == "l" .. env.n)
end)
def("Link.altname_add", function(env)
  env.e0:altname_add("a-long-name-of-e0-" .. env.n)
end)
def("Link.altname_del", function(env)
  for i = 1, 5 do
    env.e0:altname_add("a-long-name-of-e0-" .. i)
  end
end, function(env)
  env.e0:altname_del("a-long-name-of-e0-" .. env.n)
end)
def("Link.wait", function(env)
  env.e0:wait({ carrier = true }, 2)
end)

def("Link.capture", function(env)
  local capture <close> = env.e0:capture()
  env.ns:ping("10.0.0.2", { timeout = 0.01 })
  assert(capture:next(1))
end)
def("netns.capture", function(env)
  local capture <close> = netns.capture { env.e0, env.ns.link:get "e1" }
  assert(capture:stats())
end)
def("Link.impair", function(env)
  local ok, err = pcall(env.e0.impair, env.e0, { rate = "10mbit" })
  if not ok and not tostring(err):find "kind is unknown" then -- this kernel may not have it
    error(err, 0)
  end
end)
def("netns.features", function()
  assert(netns.features "bridge")
end)
def("netns.trace", function(env)
  local out = assert(io.open("/dev/null", "w"))
  local lines <close> = setmetatable({}, { __close = function()
    netns.trace(nil)
    out:close()
  end })
  netns.trace(out)
  env.ns.link:set { dev = "e1", mtu = 1300 }
  return lines
end)
def("netns.container", function()
  local ok, err = pcall(netns.container, "no-such-container")
  if not tostring(err):find("no-such-container", 1, true) then
    error(err, 0)
  end
  assert(not ok)
end)
def("netns.containers", function()
  assert(netns.containers())
end)

-- Firewall ----------------------------------------------------------------------------------------------------------

local rules = [[
  add table inet t
  add chain inet t c { type filter hook input priority 0; }
  add rule inet t c tcp dport 22 counter accept
]]
def("nft.run", function(env)
  assert(env.ns.nft:run(rules))
end)
def("nft.check", function(env)
  env.ns.nft:check(rules)
end)
def("nft.list", function(env)
  env.ns.nft:run(rules)
end, function(env)
  assert(#env.ns.nft:list() > 0 and env.ns.nft:text() ~= "")
end)
def("nft objects", function(env)
  local t = env.ns.nft:table { family = "inet", name = "o" .. env.n }
  local c = t:chain { name = "c", type = "filter", hook = "input", priority = 0 }
  local r = c:rule "tcp dport 80 counter accept"
  assert(r.counter.packets == 0)
  r:delete()
  local s = t:set { name = "s", type = "ipv4_addr" }
  s:add { "192.0.2.1" }
  assert(s:has "192.0.2.1")
end)
def("nft.transaction", function(env)
  env.ns.nft:transaction(function()
    env.ns.nft:table { family = "inet", name = "x" .. env.n }
  end)
end)
def("nft.flush", function(env)
  env.ns.nft:run(rules)
  env.ns.nft:flush()
end)
def("nft.monitor", function(env)
  local m <close> = env.ns.nft:monitor()
  env.ns.nft:run(("add table inet m%d"):format(env.n))
  assert(m:next(2))
end)
def("firewall", function(env)
  firewall.default_deny(env.ns)
  firewall.allow(env.ns, { proto = "tcp", port = 22 })
  firewall.reset(env.ns)
end)

-- Topologies --------------------------------------------------------------------------------------------------------

local function describe()
  local t = topology.new "fault"
  local sw, gw = t:switch "sw", t:router "gw"
  t:host("a"):attach(sw)
  gw:attach(sw):connect(t:host "b")
  gw:firewall "table inet f { chain c { type filter hook forward priority 0; }; }"
  gw:nat { out = "b" }
  return t
end
def("topology: check, plan, draw, save, load", function()
  local path = os.tmpname()
  local t = describe()
  t:check()
  assert(tostring(t:plan()) and t:draw "dot" and t:draw "text")
  topology.save(t, path)
  topology.load(path)
  os.remove(path)
end)
def("topology up", function()
  describe():up():close()
end)
def("topology up, named", function(env)
  local lab <close> = describe():up { name = "lab" .. env.n } -- luacheck: ignore 211
  topology.attach("lab" .. env.n):close()
  topology.sweep()
end)
local function labs(env)
  env.lab = describe():up()
end
def("Lab.ping_all", labs, function(env)
  all_reached(env.lab:ping_all { nodes = { "a", "gw" }, timeout = 1 })
end)
def("Lab.apply", labs, function(env)
  local t = describe()
  t:host("c" .. env.n):attach "sw"
  env.lab:apply(t)
end)
def("Lab.diff and repair", labs, function(env)
  env.lab.a.link:set { dev = "eth0", up = false }
  assert(#env.lab:diff() > 0)
  env.lab:repair()
end)
def("Lab.explain", labs, function(env)
  env.lab:explain("a", "b", { timeout = 0.2 })
end)
def("Lab.cut and restore", labs, function(env)
  env.lab:cut("gw", "b")
  env.lab:restore("gw", "b")
end)

-- Packets and sockets ----------------------------------------------------------------------------------------------

local function loopback(env)
  env.lo = env.ns.link:get "lo"
  env.path = ("/tmp/fault-%d"):format(env.ns.inode)
end

-- A ping's request and reply.
local function two(list)
  assert(#list == 2 and list[1].icmp.name == "echo-request" and list[2].icmp.name == "echo-reply")
end

def("netns.packet", function()
  assert(netns.packet("\69\0" .. ("\0"):rep(30), "ip").ipv4.header_length == 20)
end)
def("Link.capture", loopback, function(env)
  local cap <close> = env.lo:capture { filter = "icmp" }
  assert(env.ns:ping("127.0.0.1", { timeout = 0.5 }))
  two { cap:next(1), cap:next(1) }
  assert(cap:stats().dropped == 0)
end)
def("netns.capture", loopback, function(env)
  local cap <close> = netns.capture { env.lo, env.e0, filter = "icmp or vlan", file = env.path }
  assert(env.ns:ping("127.0.0.1", { timeout = 0.5 }))
  cap:stop()
  os.remove(env.path)
  assert(cap:stats().written == 2)
end)
def("netns.record", loopback, function(env)
  local rec <close> = netns.record { env.lo, env.e0, filter = "icmp" }
  assert(env.ns:ping("127.0.0.1", { timeout = 0.5 }))
  two(rec:packets())
  assert(rec:save(env.path) == 2)
  os.remove(env.path)
end)
def("Namespace.tcp_listen", function(env)
  local server <close> = env.ns:tcp_listen { port = 0, address = "127.0.0.1" }
  assert(server:name() == "127.0.0.1")
end)
def("Namespace.tcp_connect", function(env)
  local server <close> = env.ns:tcp_listen { port = 0, address = "127.0.0.1" }
  local client <close> = env.ns:tcp_connect("127.0.0.1", select(2, server:name()), { timeout = 0.5 })
  assert(client:peer() == "127.0.0.1")
end)
def("Namespace.udp", function(env)
  local u <close> = env.ns:udp { peer = "127.0.0.1", peer_port = 9 }
  assert(u:peer() == "127.0.0.1")
end)

-- Public functions that are covered by others' names, or do nothing that could fail.
local also = {
  ["netns.print"] = true, -- printing: Lua only, in "Noun.list"
  ["netns.doctor"] = true, -- asks all of netns.features, for seconds
  ["netns.rootless"] = true, -- has trials of its own (trials.rootless)
  ["Process.await_ready"] = true, -- spawn calls it: "Namespace.spawn, ready"
}

--- Public functions of the module without a trial.
local function forgotten()
  local missing = {}
  local classes = { netns = netns, Namespace = core.Namespace, Noun = core.Noun, Link = core.Link,
    Process = core.Process }
  for class, functions in pairs(classes) do
    for name, value in pairs(functions) do
      local key = class .. "." .. name
      if type(value) == "function" and not ops[key] and not also[key] then
        missing[#missing + 1] = key
      end
    end
  end
  table.sort(missing)
  return missing
end

return { ops = ops, order = order, forgotten = forgotten }
