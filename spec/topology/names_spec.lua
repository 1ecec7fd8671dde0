-- Processes in a node find the other nodes by their names; nothing of it is on disk.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local lua = os.getenv "LUA" or "lua5.4"

local function resolve(ns, name, database)
  local r = ns:run { "getent", database or "ahostsv4", name }
  return r.ok and r.stdout:match "^(%S+)" or nil
end

local function is_one_of(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

describe("names of nodes", function()
  it("resolve in every node, in both families, and in what runs from the start", function()
    local out = os.tmpname()
    local t = topology.dumbbell { left = 2, right = 1 }
    t:node("h1"):run { "sh", "-c", ("getent ahostsv4 h3 > %s; exec sleep 1000"):format(out) }
    local lab <close> = t:up()
    for _, from in ipairs { "h1", "h2", "h3", "r1" } do
      for _, to in ipairs { "h1", "h2", "h3", "r2" } do
        assert.is_true(is_one_of(lab[to].addresses, resolve(lab[from], to)))
        assert.matches("^fd00:", resolve(lab[from], to, "ahostsv6"))
      end
    end
    assert.is_true(lab.h1:run({ "ping", "-4", "-c1", "-W5", "h3" }).ok)
    assert.is_true(lab.h1:run({ "ping", "-6", "-c1", "-W5", "h3" }).ok)
    assert.equal("127.0.0.1", resolve(lab.h1, "localhost"))
    assert.is_nil(resolve(lab.h1, "s1")) -- a switch has no address
    assert.is_nil(resolve(lab.h1, "h4"))
    sh.eventually(function()
      return sh.read_file(out):find(lab.h3.address, 1, true)
    end, 10, "the first process to have found h3")
    os.remove(out)
  end)

  it("are those of the nearest address", function()
    local t = topology.new "two"
    t:router("r"):connect("a"):connect("b")
    t:host "a"
    t:host "b"
    local lab <close> = t:up()
    for _, name in ipairs { "a", "b" } do
      assert.is_true(lab[name]:run({ "ping", "-4", "-c1", "-W5", "r" }).ok)
      assert.is_not_nil(lab[name].route:get(resolve(lab[name], "r")))
      assert.is_nil(lab[name].route:get(resolve(lab[name], "r")).via)
    end
  end)

  it("change with the lab", function()
    local lab <close> = topology.star({ hosts = 2 }):up()
    assert.is_nil(resolve(lab.h1, "h3"))
    lab:apply(topology.star { hosts = 3 })
    assert.equal(lab.h3.address, resolve(lab.h1, "h3"))
    local bad = topology.star { hosts = 4 }
    bad:node("h1"):run { "/no/such/program" }
    assert.is_false((pcall(lab.apply, lab, bad)))
    assert.is_nil(resolve(lab.h1, "h4"))
    assert.equal(lab.h3.address, resolve(lab.h1, "h3"))
  end)

  it("mean one's own side where two sites have the same addresses", function()
    local t = topology.new "two"
    t:router "isp"
    for i = 1, 2 do
      local site = topology.new "site"
      site:switch "lan"
      site:router("gw"):attach("lan", { subnet = "192.168.1.0/24" })
      site:host("pc"):attach "lan"
      t:include("s" .. i, site, { at = "gw" }):connect("isp"):nat { out = "isp" }
    end
    local lab <close> = t:up()
    assert.equal("192.168.1.2", resolve(lab["s1.pc"], "s1.pc"))
    assert.is_nil(resolve(lab["s1.pc"], "s2.pc"))
    assert.is_not_nil(resolve(lab["s1.pc"], "isp"))
    assert.equal("192.168.1.2", resolve(lab["s2.pc"], "s2.pc"))
  end)

  it("are there for who attaches, and give way to /etc/netns", function()
    features.need_root "write to /etc/netns"
    local lab <close> = topology.pair():up { name = "named" }
    local there <close> = topology.attach "named"
    assert.equal(lab.h2.address, resolve(there.h1, "h2"))
    sh.run "mkdir -p /etc/netns/named.h1 && echo '192.0.2.7 elsewhere' > /etc/netns/named.h1/hosts"
    assert.equal("192.0.2.7", resolve(lab.h1, "elsewhere"))
    assert.is_nil(resolve(lab.h1, "h2"))
    sh.run "rm -r /etc/netns/named.h1"
    assert.equal(lab.h2.address, resolve(lab.h1, "h2"))
  end)

  it("are for nodes only, and not without mounts", function()
    local lab <close> = topology.pair():up()
    local other <close> = netns.new()
    local here <close> = netns.current()
    for _, ns in ipairs { other, here } do
      assert.is_nil(resolve(ns, "h2"))
    end
    assert.is_false(lab.h1:run({ "getent", "hosts", "h2" }, { mounts = false }).ok)
    assert.equal(sh.read_file "/etc/hosts", other:run({ "cat", "/etc/hosts" }).stdout)
  end)

  it("can be read by everybody, whatever the umask", function()
    local out = sh.run { "sh", "-c", ("umask 077; exec %s -"):format(lua) .. [[ <<'EOF'
      local topology = require "netns.topology"
      local lab <close> = topology.pair():up()
      io.write(lab.h1:run({ "stat", "-c", "%a", "/etc/hosts" }).stdout)
EOF
]] }
    assert.equal("644\n", out)
  end)

  it("leave nothing behind when the program is killed", function()
    local mounts, hosts = sh.read_file "/proc/self/mountinfo", sh.read_file "/etc/hosts"
    local here <close> = netns.current()
    local p <close> = here:spawn({ lua, "-" }, { mounts = false, stdin = [[
      local topology = require "netns.topology"
      local lab = topology.pair():up()
      local p = lab.h1:spawn { "sh", "-c", "getent hosts h2 && exec sleep 1003" }
      print(p:read())
      io.stdout:flush()
      p:wait()]] })
    assert.matches("h2", p:read("l", 20))
    p:kill "KILL"
    p:wait(10)
    sh.eventually(function()
      return not sh.try("ps -C sleep -o args=").stdout:find "1003"
    end, 10, "the process of the lab to be gone")
    assert.same({}, netns.list())
    assert.equal(mounts, sh.read_file "/proc/self/mountinfo")
    assert.equal(hosts, sh.read_file "/etc/hosts")
  end)
end)
