--- Podman with its CNI backend runs examples/cni/netns-bridge, and netns.container finds its containers.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"
local world = require "spec.cni.world"

describe("podman", function()
  -- in a user namespace it is rootless, keeps its things elsewhere, and wants more uids than there are
  if not sh.read_file("/proc/self/uid_map"):find "4294967295" then
    it("loads the plugin", function()
      pending "podman's own networks need the machine's root"
    end)
    return
  end

  local w, mounted

  setup(function()
    features.need "nft"
    sh.run "mount -t tmpfs tmpfs /var/lib && mount -t tmpfs tmpfs /dev/shm" -- libcni's cache and podman's locks
    -- crun 1.8 does not start where /sys/fs/cgroup is of both versions
    mounted = sh.run([[awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts]]):match "%S+"
    mounted = mounted and mounted ~= "/sys/fs/cgroup" and sh.run { "mount", "--bind", mounted, "/sys/fs/cgroup" }
  end)

  teardown(function()
    if mounted then
      sh.run { "umount", "/sys/fs/cgroup" }
    end
    sh.run "umount /var/lib /dev/shm"
  end)

  local function podman(argv, check)
    local command = { "podman", "--root", w.dir .. "/storage", "--runroot", w.dir .. "/run",
      "--tmpdir", w.dir .. "/tmp", "--storage-driver", "vfs", "--runtime-flag",
      "root=" .. w.dir .. "/crun", "--network-config-dir", w.dir .. "/net" }
    return w.host:run(table.move(argv, 1, #argv, #command + 1, command), { check = check ~= false, timeout = 120,
      mounts = false, env = { CONTAINERS_CONF = w.dir .. "/containers.conf" } })
  end

  before_each(function()
    w = world.new()
  end)

  after_each(function()
    podman({ "rm", "-f", "-t", "0", "--all" }, false)
    w:__close()
  end)

  local function prepare()
    -- the plugin is also run by conmon, which does not hand on where this tree's modules are
    local exe = w.dir .. "/plugins/netns-bridge"
    sh.run { "mkdir", w.dir .. "/plugins" }
    sh.write_file(exe, ("#!/bin/sh\nLUA_PATH=%s LUA_CPATH=%s exec %s %s\n"):format(sh.quote(package.path),
      sh.quote(package.cpath), os.getenv "LUA" or "lua5.4", sh.quote(world.path:match "^[^:]+" .. "/netns-bridge")))
    sh.run { "chmod", "+x", exe }
    local plugins = ('%s/plugins", "/usr/lib/cni'):format(w.dir)
    sh.write_file(w.dir .. "/containers.conf", ('[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["%s"]\n'
      .. '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "crun"\n'):format(plugins))
    sh.run(([[cd %s && mkdir -p net rootfs/bin rootfs/proc rootfs/dev rootfs/sys rootfs/etc rootfs/run rootfs/tmp &&
      cp "$(command -v busybox)" rootfs/bin && for name in sh sleep ip nc; do ln -s busybox rootfs/bin/$name; done]])
      :format(w.dir))
    local conf = w:conf("netns-bridge", { isDefaultGateway = true, ipMasq = true, hairpinMode = true,
      capabilities = { portMappings = true } })
    sh.write_file(w.dir .. "/net/10-pods.conflist", json.encode { cniVersion = "0.4.0", name = "pods",
      plugins = { conf } })
  end

  it("loads the plugin, publishes a port by it, and takes all down", function()
    prepare()
    assert.matches("pods +netns%-bridge", podman({ "network", "ls" }).stdout)
    podman { "run", "-d", "--name", "web", "--network", "pods", "--cgroups=disabled", "--security-opt",
      "seccomp=unconfined", "-p", "8080:80", "--rootfs", w.dir .. "/rootfs", "sh", "-c",
      "while true; do echo hello | nc -l -p 80; done" }
    local roots = { storage = w.dir .. "/storage/*-containers", crun = w.dir .. "/crun" }
    local web <close> = netns.container("web", { roots = roots })
    web:wait({ addr = "10.22.0.2/24" }, 10)
    web:wait(function()
      return #web:sockets { proto = "tcp", listening = true } > 0
    end, 30)
    assert.matches("inet 10.22.0.2/24", podman({ "exec", "web", "ip", "addr", "show", "eth0" }).stdout)
    assert.is_truthy(web:ping "198.51.100.2")
    local fetched = w.outside:run({ "busybox", "nc", "198.51.100.1", "8080" }, { timeout = 20 })
    assert.equal("hello\n", fetched.stdout)
    assert.matches("8080", w.host.nft:text { family = "inet", table = "cni_pods" })
    local removed = podman { "rm", "-f", "-t", "0", "web" }
    w.host:wait(function() -- by podman, or by conmon, whichever was faster
      return not w.host.nft:text({ family = "inet", table = "cni_pods" }):find "8080"
    end, 30)
    assert.equal("web\n", removed.stdout)
    w.host:wait(function()
      return #w.host.link:list { type = "veth" } == 1
    end, 30)
    assert.equal("", sh.run { "sh", "-c", ("cd %s/ipam/pods && ls | grep '^10' || true"):format(w.dir) })
    local _, err = netns.try(netns.container, "web", { roots = roots })
    assert.equal("ENOENT", err.code)
  end)
end)
