--- netns.container, with containers of crun and runc, and with the files that other runtimes leave.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local containers = require "spec.support.containers"
local features = require "spec.support.features"
local firewall = require "netns.firewall"
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("container", function()
  local box

  before_each(function()
    box = containers.new()
  end)

  after_each(function()
    box:__close()
  end)

  local function roots(more)
    local all = { crun = box.dir .. "/crun", runc = box.dir .. "/runc" }
    for _, runtime in ipairs { "docker", "storage", "containerd", "sandbox" } do
      all[runtime] = box.dir .. "/none"
    end
    for runtime, root in pairs(more or {}) do
      all[runtime] = root
    end
    return { roots = all }
  end

  local function refused(...)
    local _, err = netns.try(netns.container, ...)
    return err.code, tostring(err)
  end

  it("connects those of crun and runc, and the host, behind a firewall that is seen from inside", function()
    features.need "nft"
    box:start("crun", "c1")
    box:start("runc", "c2")
    local c1 <close> = netns.container("c1", roots())
    local c2 <close> = netns.container("c2", roots())
    local host <close> = netns.new()
    host.link:add { name = "br0", type = "bridge", up = true }
    host.addr:add { dev = "br0", address = "10.0.0.254/24" }
    for i, c in ipairs { c1, c2 } do
      host.link:add { name = "p" .. i, type = "veth", up = true, peer = { name = "eth0", netns = c, up = true } }
      host.link:set { dev = "p" .. i, master = "br0" }
      c.addr:add { dev = "eth0", address = ("10.0.0.%d/24"):format(i) }
      c:wait { link = "eth0", state = "up" }
    end
    assert.matches("inet 10.0.0.1/24", box:exec("crun", "c1", { "ip", "addr", "show", "eth0" }))
    assert.matches("inet 10.0.0.2/24", box:exec("runc", "c2", { "ip", "addr", "show", "eth0" }))
    assert.matches("1 packets received", box:exec("crun", "c1", { "ping", "-c1", "-w5", "10.0.0.2" }))
    assert.matches("1 packets received", box:exec("runc", "c2", { "ping", "-c1", "-w5", "10.0.0.254" }))
    assert.is_truthy(host:ping "10.0.0.1")

    firewall.default_deny(c2)
    firewall.allow(c2, { proto = "icmp", from = "10.0.0.254" })
    assert.error_matches(function()
      box:exec("crun", "c1", { "ping", "-c1", "-w1", "10.0.0.2" })
    end, "0 packets received")
    assert.is_truthy(host:ping "10.0.0.2")
    -- the same from the container's own processes: what nft says inside it
    local ruleset = sh.run(("nsenter -t %d -n nft list ruleset"):format(netns.containers(roots())[2].pid))
    assert.matches("10.0.0.254", ruleset)
    assert.matches("counter packets [1-9]%d* bytes %d+ drop", ruleset)
  end)

  it("lists them", function()
    box:start("crun", "aa1")
    box:start("runc", "bb2")
    box:kill("runc", "bb2")
    local list = netns.containers(roots())
    assert.same({ "aa1", { "crun" }, "running", "bb2", { "runc" }, "stopped" },
      { list[1].id, list[1].runtimes, list[1].status, list[2].id, list[2].runtimes, list[2].status })
    assert.matches("aa1 .*crun .*running", tostring(list))
    assert.same({}, netns.containers { runtime = "runc", roots = { runc = box.dir .. "/none" } })
  end)

  it("finds them by the beginning of an id, and says what is not so", function()
    for _, id in ipairs { "aa1", "aa2", "b" } do
      box:start("runc", id)
    end
    box:start("crun", "aa1x")
    local pid = netns.containers(roots())[1].pid
    local by_pid <close> = netns.open { pid = pid }
    local exact <close> = netns.container("aa1", roots())
    local prefix <close> = netns.container("aa1x", roots())
    assert.is_true(exact == by_pid and exact ~= prefix)
    local code, text = refused("aa", roots())
    assert.equal("ENOTUNIQ", code)
    assert.matches("several containers are called so: aa1, aa1x, aa2", text)
    code, text = refused("frob", roots())
    assert.equal("ENOENT", code)
    assert.matches("container frob: there is no such container; looked in .*/crun, .*/runc", text)
    box:kill("runc", "aa2")
    code, text = refused("aa2", roots())
    assert.equal("ESRCH", code)
    assert.matches("is stopped %(its process %d+ is gone%)", text)
    for wrong, args in pairs {
      ["expected the id or name of a container, got nil"] = {},
      ['unknown key "root" %(did you mean "roots"%?%)'] = { "x", { root = "/" } },
      ['roots: unknown key "crum" %(did you mean "crun"%?%)'] = { "x", { roots = { crum = "/" } } },
      ['runtime must be one of containerd, crun, .*; got "frob"'] = { "x", { runtime = "frob" } },
    } do
      assert.error_matches(function() netns.container(args[1], args[2]) end, wrong)
    end
  end)

  it("does not take another process for a container's", function()
    box:start("runc", "c1")
    local path = box.dir .. "/runc/c1/state.json"
    local text = sh.read_file(path)
    sh.write_file(path, (text:gsub('"init_process_start":%d+', '"init_process_start":1')))
    assert.equal("ESRCH", (refused("c1", roots())))
    sh.write_file(path, text)
    netns.container("c1", roots()):close()
  end)

  -- What others leave, as their sources have it, around a real namespace.
  local function write(path, value)
    sh.run { "mkdir", "-p", (box.dir .. "/" .. path):match "^(.*)/" }
    sh.write_file(box.dir .. "/" .. path, type(value) == "string" and value or json.encode(value))
  end

  it("knows Docker's containers by their names, and its sandboxes", function()
    local id = ("0123456789abcdef"):rep(4)
    box:start("runc", id)
    local pid = netns.containers(roots())[1].pid
    write(("docker/%s/config.v2.json"):format(id), { ID = id, Name = "/web", State = { Running = true, Pid = pid },
      NetworkSettings = { SandboxKey = "/var/run/docker/netns/0123456789ab" } })
    local stopped = ("f"):rep(64)
    write(("docker/%s/config.v2.json"):format(stopped), { ID = stopped, Name = "/db",
      State = { Running = false, Pid = 0 }, NetworkSettings = { SandboxKey = "" } })
    local opts = roots { docker = box.dir .. "/docker" }
    local web <close> = netns.container("web", opts)
    local same <close> = netns.container("0123", opts)
    assert.is_true(web == same)
    assert.same({ "runc", "docker" }, netns.containers(opts)[1].runtimes)
    assert.equal("ESRCH", (refused("db", opts)))
  end)

  it("knows containers/storage's names and CRI's namespaces", function()
    local pod <close> = netns.new "cni-5d4a"
    sh.run { "ip", "netns", "add", "mine" }
    box:start("crun", "abc1", "/run/netns/cni-5d4a")
    write("storage/containers.json", { { id = "abc1", names = { "web" } }, { id = "abd2", names = { "db" } } })
    for _, id in ipairs { "abc1", "abd2" } do
      write(("storage/%s/userdata/config.json"):format(id), { linux = { namespaces = { { type = "network",
        path = "/run/netns/cni-5d4a" } } } })
    end
    write("task/k8s.io/abe3/config.json", { annotations = { ["io.kubernetes.cri.container-name"] = "app" },
      linux = { namespaces = { { type = "network", path = "/run/netns/cni-5d4a" } } } })
    write("task/k8s.io/abe3/init.pid", "999999999")
    local opts = roots { storage = box.dir .. "/storage", containerd = box.dir .. "/task/*", sandbox = "/run/netns" }
    for _, id in ipairs { "web", "abc1", "db", "cni-5d4a", "cni" } do
      local ns <close> = netns.container(id, opts)
      assert.is_true(ns == pod, id)
    end
    assert.equal("ENOENT", (refused("mine", opts)))
    local code, text = refused("app", opts)
    assert.equal("ESRCH", code)
    assert.matches('is still there: netns.open "/run/netns/cni%-5d4a"', text)
    sh.run { "ip", "netns", "del", "mine" }
  end)

  it("is not confused by files that are broken or of other kinds", function()
    write("runc/x/state.json", "{")
    write("runc/y/state.json", "[]")
    write("crun/z/status", '{"pid": "1"}')
    write("crun/file", "")
    assert.equal("ENOENT", (refused("x", roots())))
    assert.equal("ESRCH", (refused("z", roots())))
  end)
end)
