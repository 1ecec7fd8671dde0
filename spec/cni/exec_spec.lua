--- netns.cni.exec, with the plugins of containernetworking-plugins and with ours.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"
local world = require "spec.cni.world"

describe("cni.exec", function()
  setup(function()
    features.need "nft"
  end)

  local w, opts

  before_each(function()
    w = world.new()
    opts = { host = w.host, path = world.path, cache = w.dir .. "/cache" }
  end)

  after_each(function()
    w:__close()
  end)

  local function with(more)
    local copy = {}
    for _, list in ipairs { opts, more or {} } do
      for key, value in pairs(list) do
        copy[key] = value
      end
    end
    return copy
  end

  local function list(...)
    local conf = w:conf("bridge", { isDefaultGateway = true, ipMasq = true })
    conf.name, conf.cniVersion = nil, nil
    return { cniVersion = "1.0.0", name = "pods", plugins = { conf, ... } }
  end

  local function tuning(conf)
    conf.type, conf.dataDir = "tuning", w.dir .. "/tuning"
    return conf
  end

  local function cached()
    local names = sh.run { "sh", "-c", ("ls %s/cache/results 2>/dev/null || true"):format(w.dir) }
    return (names:gsub("%s+$", ""))
  end

  for _, kind in ipairs { "bridge", "netns-bridge" } do
    it("attaches namespaces by " .. kind, function()
      local a = netns.cni.exec(w:conf(kind, { isDefaultGateway = true }), w.c1, with { id = "c1" })
      local b <close> = netns.cni.exec(json.encode(w:conf(kind, { isDefaultGateway = true })), w.c2, opts)
      assert.equal("10.22.0.2/24", a.ips[1].address)
      assert.equal(world.path_of(w.c1), a.interfaces[3].sandbox)
      assert.matches("^eth0 of c1 on pods: 10.22.0.2/24 fd22::2/64$", tostring(a))
      assert.is_truthy(w.c1:ping "10.22.0.3")
      assert.is_true(a:check() and b:check())
      w.c1.link:set { dev = "eth0", up = false }
      local _, err = netns.try(a.check, a)
      assert.same({ kind, "cni check" }, { err.plugin, err.op })
      a:del()
      a:del()
      assert.is_nil(w.c1.link:get "eth0")
      assert.matches("^pods%-netns%-%d+%-eth0$", cached())
    end)
  end

  it("does not take another namespace for one that was closed, and whose number may be taken", function()
    sh.write_file(w.dir .. "/tell", "#!/bin/sh\n" .. ([[
      echo "$CNI_COMMAND ${CNI_NETNS-none}" >>%s/told
      test $CNI_COMMAND != ADD || echo '{"cniVersion": "1.0.0"}']]):format(w.dir))
    sh.run { "chmod", "+x", w.dir .. "/tell" }
    local gone = netns.new()
    local path = world.path_of(gone)
    local attached = netns.cni.exec(w:conf "tell", gone, with { path = { w.dir } })
    gone:close()
    attached:del()
    assert.equal(("ADD %s\nDEL none\n"):format(path), sh.read_file(w.dir .. "/told"))
  end)

  it("chains plugins, keeps their result as libcni does, and undoes them in reverse", function()
    local conf = list(tuning { sysctl = { ["net.ipv4.conf.eth0.log_martians"] = "1" }, mtu = 1400 }, {
      type = "portmap", capabilities = { portMappings = true } })
    conf.disableCheck = true -- portmap 1.1.1 always fails its own CHECK: it looks for a chain of IPv6 where none is
    local eth0 = netns.cni.exec(conf, w.c1, with { id = "c1", args = { IgnoreUnknown = 1, POD = "x" },
      capabilities = { portMappings = { { hostPort = 8080, containerPort = 80, protocol = "tcp" } }, other = 1 } })
    assert.equal(1, w.c1.sysctl["net.ipv4.conf.eth0.log_martians"])
    assert.equal(1400, w.c1.link:get "eth0".mtu)
    assert.matches("dport 8080", sh.inside(w.host, "iptables-save"))
    local entry = sh.decode(sh.read_file(w.dir .. "/cache/results/pods-c1-eth0"))
    assert.same({ "cniCacheV1", "c1", "eth0", "pods", { { "IgnoreUnknown", "1" }, { "POD", "x" } } },
      { entry.kind, entry.containerId, entry.ifName, entry.networkName, entry.cniArgs })
    assert.equal(eth0.ips[1].address, entry.result.ips[1].address)
    assert.same(sh.decode(json.encode(conf)), sh.decode(sh.run({ "base64", "-d" }, { stdin = entry.config })))
    assert.is_true(netns.cni.exec(conf, w.c1, with { command = "CHECK", id = "c1",
      capabilities = { portMappings = { { hostPort = 8080, containerPort = 80, protocol = "tcp" } } } }))
    local _, err = netns.try(netns.cni.exec, conf, w.c1, with { id = "c1" })
    assert.matches("is attached to the network pods by eth0 already", tostring(err))
    -- by another program, which only has the name
    assert.is_true(netns.cni.exec(conf, nil, with { command = "DEL", id = "c1",
      capabilities = { portMappings = { { hostPort = 8080, containerPort = 80, protocol = "tcp" } } } }))
    assert.equal("", cached())
    assert.not_matches("dport 8080", sh.inside(w.host, "iptables-save"))
  end)

  it("checks a chain", function()
    local conf = list(tuning { mtu = 1400 })
    local eth0 <close> = netns.cni.exec(conf, w.c1, with { id = "c1" })
    assert.is_true(eth0:check())
    w.c1.link:set { dev = "eth0", mtu = 1300 }
    local _, err = netns.try(eth0.check, eth0)
    assert.same({ "tuning", "cni check" }, { err.plugin, err.op })
    conf.disableCheck = true
    assert.is_true(netns.cni.exec(conf, w.c1, with { command = "CHECK", id = "c1" }))
  end)

  it("undoes what was done when a later plugin fails", function()
    local conf = list(tuning { sysctl = { ["net.ipv4.conf.eth0.frobnicate"] = "1" } })
    local _, err = netns.try(netns.cni.exec, conf, w.c1, with { id = "c1" })
    assert.same({ "tuning", "cni add" }, { err.plugin, err.op })
    assert.matches("frobnicate", tostring(err))
    assert.is_nil(w.c1.link:get "eth0")
    assert.equal("", cached())
    assert.equal("", sh.run { "sh", "-c", ("grep -l '^c1' %s/ipam/pods/* || true"):format(w.dir) })
  end)

  it("finds networks by file and by name", function()
    sh.write_file(w.dir .. "/10-pods.conflist", json.encode(list()))
    sh.write_file(w.dir .. "/20-other.conf", json.encode(w:conf("netns-bridge", { name = "other", ipam = json.null })))
    sh.write_file(w.dir .. "/05-broken.conf", "{")
    local a <close> = netns.cni.exec(w.dir .. "/10-pods.conflist", w.c1, opts)
    local b <close> = netns.cni.exec("other", w.c1, with { conf_dir = w.dir, ifname = "eth1" })
    assert.same({ "eth0", "eth1" }, { a.interfaces[3].name, b.interfaces[3].name })
    local versions = netns.cni.exec("other", nil, with { command = "VERSION", conf_dir = w.dir })
    assert.equal("1.1.0", versions["netns-bridge"][5])
    local _, err = netns.try(netns.cni.exec, "frob", w.c1, with { conf_dir = w.dir })
    assert.matches('there is no network "frob" in ', tostring(err))
  end)

  it("collects garbage and asks for readiness", function()
    local conf = w:conf("netns-bridge", { cniVersion = json.null, cniVersions = { "0.4.0", "1.1.0", "9.9.9" } })
    assert.is_true(netns.cni.exec(conf, nil, with { command = "STATUS" }))
    netns.cni.exec(conf, w.c1, with { id = "c1" })
    local b = netns.cni.exec(conf, w.c2, with { id = "c2" })
    assert.equal("1.1.0", b.cniVersion)
    assert.is_true(netns.cni.exec(conf, nil, with { command = "GC", attachments = { { id = "c2" } } }))
    assert.is_nil(w.c1.link:get "eth0")
    assert.is_not_nil(w.c2.link:get "eth0")
    assert.equal("pods-c2-eth0", cached())
    b:del()
  end)

  it("names namespaces by their names, where they have one", function()
    local pod <close> = netns.new "pod"
    local a <close> = netns.cni.exec(w:conf "netns-bridge", "pod", opts)
    assert.equal("/run/netns/pod", a.interfaces[3].sandbox)
    assert.equal("pods-pod-eth0", cached())
    assert.is_not_nil(pod.link:get "eth0")
  end)

  it("says what is wrong", function()
    local function err_of(...)
      return tostring(select(2, pcall(netns.cni.exec, ...)))
    end
    local conf = w:conf "netns-bridge"
    for wrong, args in pairs {
      ['unknown key "comand" %(did you mean "command"%?%)'] = { conf, w.c1, { comand = "ADD" } },
      ["command must be one of ADD, CHECK, DEL"] = { conf, w.c1, { command = "FROB" } },
      ["ifname must be a string, got 1"] = { conf, w.c1, { ifname = 1 } },
      ["expected a Namespace, its name or its path, got table"] = { conf, {}, {} },
      ["ADD needs a namespace"] = { conf, nil, { id = "x" } },
      ["id must say which container"] = { conf, nil, { command = "DEL" } },
      ["cniVersion 9.9.9 is not spoken here"] = { w:conf("x", { cniVersion = "9.9.9" }), w.c1 },
      ["there is no STATUS in version 1.0.0"] = { conf, nil, { command = "STATUS" } },
      ['there is no plugin "frob" in /nowhere'] = { w:conf "frob", w.c1, { path = "/nowhere" } },
      ["type is missing"] = { { name = "x", cniVersion = "1.0.0", plugins = { {} } }, w.c1 },
      ["the name of a network must begin"] = { { name = "-", type = "x" }, w.c1 },
      ["not JSON"] = { "{", w.c1 },
      ["No such file"] = { w.dir .. "/x.conf", w.c1 },
    } do
      assert.matches(wrong, err_of(args[1], args[2], args[3] and with(args[3]) or opts))
    end
  end)

  it("tells what a plugin says that breaks the rules", function()
    for text, wrong in pairs { ["echo hello"] = "what it printed is not JSON", ["exit 3"] = "exit status 3",
      ["echo oops >&2; exit 1"] = "oops", [":"] = "it gave no result" } do
      sh.write_file(w.dir .. "/bad", "#!/bin/sh\n" .. text .. "\n")
      sh.run { "chmod", "+x", w.dir .. "/bad" }
      local _, err = netns.try(netns.cni.exec, w:conf "bad", w.c1, with { path = { w.dir } })
      assert.matches(wrong, tostring(err))
    end
  end)
end)
