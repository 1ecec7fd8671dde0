require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"

local ns
local lua = os.getenv "LUA" or "lua5.4"

before_each(function()
  ns = netns.new()
  ns.link:set { dev = "lo", up = true }
end)

local helpers = {}

after_each(function()
  for i, helper in ipairs(helpers) do
    helper:close()
    helpers[i] = nil
  end
  ns:close()
end)

-- Something that another process does to the namespace a little later.
local function later(command)
  local process = ns:spawn({ "sh", "-c", "read x; " .. command }, { stdin = true })
  helpers[#helpers + 1] = process:write "go\n"
end

local function fails(pattern, ...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  assert.matches(pattern, tostring(err))
  return err
end

describe("ns:wait", function()
  it("waits for links", function()
    later("ip link add eth0 type veth peer name eth1; ip link set eth1 up; ip link set eth0 up")
    local link = ns:wait({ link = "eth0", state = "up" }, 10)
    assert.equal("eth0", link.name)
    assert.is_true(link.carrier)
    later("ip link set eth1 down")
    link:wait { carrier = false }
    later("ip link del eth0")
    assert.is_true(ns:wait { link = "eth0", gone = true })
    assert.is_true(ns:wait({ link = "lo", state = "up" }).up)
  end)

  it("waits for addresses, routes, rules and neighbours", function()
    ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    later("ip addr add 10.0.0.1/24 dev eth0; ip link set eth1 up; ip link set eth0 up")
    assert.equal("10.0.0.1/24", ns:wait({ addr = "10.0.0.1/24" }).address)
    assert.equal("eth0", ns:wait({ route = "10.0.0.0/24" }).dev)
    ns:wait { link = "eth0", route = "10.0.0.0/24" }
    later("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0; ip rule add pref 7 lookup 9")
    assert.equal("02:00:00:00:00:09", ns:wait({ neigh = "10.0.0.9" }).lladdr)
    assert.equal(9, math.tointeger(ns:wait({ rule = { priority = 7 } }).table))
    later("ip route del 10.0.0.0/24")
    ns:wait { route = "10.0.0.0/24", gone = true }
  end)

  it("waits until no address is tentative, and tells a duplicate", function()
    ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    ns.link:set { dev = "eth1", up = true }
    ns.link:set { dev = "eth0", up = true }
    ns.addr:add { dev = "eth0", address = "fd00::1/64" }
    ns.link:get("eth0"):wait { dad_done = true }
    for _, addr in ipairs(sh.ip(ns, "-j -6 addr show dev eth0")[1].addr_info) do
      assert.is_nil(addr.tentative)
    end

    local other <close> = netns.new()
    ns.link:add { name = "left", type = "veth", peer = { name = "right", netns = other } }
    other.link:set { dev = "right", up = true }
    ns.link:set { dev = "left", up = true }
    other.addr:add { dev = "right", address = "fd01::1/64", nodad = true }
    other:wait { link = "right", dad_done = true }
    ns:wait { link = "left", dad_done = true }
    ns.addr:add { dev = "left", address = "fd01::1/64" }
    fails("fd01::1/64 on left is used by somebody else", ns.wait, ns, { link = "left", dad_done = true })
  end)

  it("waits for ports, by the kernel's tables and not by connecting", function()
    local serve = [[
      local socket = require "socket"
      local tcp = assert(socket.bind("127.0.0.1", 8080))
      local udp = assert(socket.udp4())
      assert(udp:setsockname("127.0.0.2", 53))
      local c = tcp:accept()
      print "somebody connected"
    ]]
    local p <close> = ns:spawn({ lua, "-" }, { stdin = serve })
    assert.equal("127.0.0.1", ns:wait({ tcp = 8080, process = p }).src)
    ns:wait { port = { udp = 53 } }
    ns:wait { udp = 53, address = "127.0.0.2" }
    assert.is_nil(p:wait(0))
    fails("wait udp port 53 at 127.0.0.1 in .*last seen: nothing listens there", ns.wait, ns,
      { udp = 53, address = "127.0.0.1" }, 0.05)
    local list = ns:sockets { proto = "tcp", listening = true }
    assert.equal(1, #list)
    assert.same({ "tcp", "inet", "listening", "127.0.0.1", 8080 },
      { list[1].proto, list[1].family, list[1].state, list[1].src, list[1].sport })
    assert.equal(2, #ns:sockets())
    assert.matches("8080", sh.inside(ns, "ss -Hltn"))
    assert.matches("8080", tostring(list))
  end)

  it("waits for files and functions", function()
    sh.with_dir(function(dir)
      later("touch " .. dir .. "/there")
      ns:wait { file = dir .. "/there" }
      fails("wait file .*/not in .*last seen: it does not exist", ns.wait, ns, { file = dir .. "/not" }, 0.02)
    end)
    local n = 0
    assert.equal("three", ns:wait(function(where)
      assert.equal(ns, where)
      n = n + 1
      return n == 3 and "three"
    end))
    fails("function at .*wait_spec.lua:%d+ in .*last seen: only half", ns.wait, ns, function()
      return nil, "only half"
    end, 0.03)
    fails("a bug in it", ns.wait, ns, function()
      error "a bug in it"
    end)
  end)

  it("says what was awaited and what was seen last", function()
    ns.link:add { name = "eth0", type = "veth", peer = { name = "eth1" } }
    local err = fails("^wait link eth0 state up in netns:%[%d+%]: Connection timed out %(ETIMEDOUT%): "
      .. "after 0.05 s; last seen: down, no carrier$", ns.wait, ns, { link = "eth0", state = "up" }, 0.05)
    assert.equal("ETIMEDOUT", err.code)
    local _, caught = netns.try(ns.wait, ns, { link = "eth7", state = "up" }, 0)
    assert.matches("there is no link eth7", caught.kernel)
    fails("last seen: there is none", ns.wait, ns, { route = { dst = "10.0.0.0/8" }, timeout = 0 })
    fails("last seen: it is still there", ns.wait, ns, { link = "lo", gone = true }, 0)
  end)

  it("raises when a process ends meanwhile", function()
    local p <close> = ns:spawn { "sh", "-c", "echo oops >&2; exit 3" }
    local err = fails("ended %(status 3%) before tcp port 80.*oops", ns.wait, ns, { tcp = 80, process = p })
    assert.equal(3, err.result.code)
  end)

  it("refuses what it does not know", function()
    fails('wait: unknown key "lnk" %(did you mean "link"%?%)', ns.wait, ns, { lnk = "eth0" })
    fails("wait: tcp must be a port, got 70000", ns.wait, ns, { tcp = 70000 })
    fails("wait: port is { tcp = 1 to 65535 }", ns.wait, ns, { port = { sctp = 9 } })
    fails("wait: nothing to wait for", ns.wait, ns, {})
    fails("wait: a table or a function expected, got string", ns.wait, ns, "eth0")
    fails("wait: the time%-out is a number of seconds, got %-1", ns.wait, ns, { link = "lo" }, -1)
    fails("wait: state must be a string, got true", ns.wait, ns, { link = "lo", state = true })
    fails("sockets: unknown key \"tcp\"", ns.sockets, ns, { tcp = true })
    fails("sockets: proto must be \"tcp\" or \"udp\", got \"sctp\"", ns.sockets, ns, { proto = "sctp" })
  end)
end)

describe("ns:spawn with ready", function()
  local serve = [[
    local socket = require "socket"
    local s = assert(socket.bind("127.0.0.1", tonumber((...))))
    s:accept()
  ]]

  it("returns when the process is ready", function()
    local p <close> = ns:spawn({ lua, "-", 5201 }, { stdin = serve, ready = { tcp = 5201 } })
    assert.is_nil(p:wait(0))
    assert.equal("open", ns:reach("127.0.0.1", { tcp = 5201 }).state)
  end)

  it("raises with its output when it ends first", function()
    local err = fails("spawn .*: ended %(status 7%) before tcp port 5201.*out\nwent wrong", ns.spawn, ns,
      { "sh", "-c", "echo out; echo went wrong >&2; exit 7" }, { ready = { tcp = 5201 } })
    assert.equal(7, err.result.code)
    fails("ended %(signal KILL%)", ns.spawn, ns, { "sh", "-c", "kill -9 $$" }, { ready = { tcp = 5201 } })
  end)

  it("ends the process when it does not become ready in time", function()
    fails("ETIMEDOUT", ns.spawn, ns, { "cat" }, { stdin = true, ready = { tcp = 5201, timeout = 0.05 } })
    assert.same({}, ns:pids())
  end)

  it("refuses a mistake before it starts anything", function()
    fails('unknown key "tpc"', ns.spawn, ns, { "cat" }, { ready = { tpc = 5201 } })
    assert.same({}, ns:pids())
  end)
end)
