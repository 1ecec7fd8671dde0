--- Real containers for specs: crun and runc on a root file system of busybox.
--
--    local box <close> = containers.new()
--    box:start("crun", "c1")                        -- its state is below box.dir .. "/crun"
--    box:exec("crun", "c1", { "ip", "addr" })       -- its output
local json = require "netns.json"
local sh = require "spec.support.sh"

local containers = {}
containers.__index = containers

local config = {
  ociVersion = "1.0.2", hostname = "box", root = { path = "rootfs" },
  process = { terminal = false, user = { uid = 0, gid = 0 }, cwd = "/", args = { "sleep", "600" },
    env = { "PATH=/bin" },
    capabilities = { bounding = { "CAP_NET_RAW" }, effective = { "CAP_NET_RAW" }, permitted = { "CAP_NET_RAW" } } },
  mounts = { { destination = "/proc", type = "proc", source = "proc" } },
  linux = { namespaces = { { type = "pid" }, { type = "network" }, { type = "mount" }, { type = "uts" },
    { type = "ipc" } } },
}

-- crun 1.8 refuses a /sys/fs/cgroup that is of both versions: show it the one of version 2, and use neither.
local function crun(arguments)
  return [[sh -c 'unified=$(awk "\$3 == \"cgroup2\" { print \$2; exit }" /proc/self/mounts)
    case $unified in "" | /sys/fs/cgroup) ;; *) mount --bind "$unified" /sys/fs/cgroup || exit ;; esac
    exec crun --cgroup-manager=disabled "$@"' crun ]] .. arguments
end

local runtimes = {
  crun = function(arguments)
    return "unshare -m " .. crun(arguments)
  end,
  runc = function(arguments)
    return "runc " .. arguments
  end,
}

--- Folders for containers, and the root file system.
function containers.new()
  local box = setmetatable({ dir = sh.run { "mktemp", "-d" }:gsub("\n", ""), started = {} }, containers)
  sh.run(([[cd %s && mkdir -p rootfs/bin rootfs/proc rootfs/dev rootfs/sys && cp "$(command -v busybox)" rootfs/bin &&
    for name in sh sleep ip cat ping nc; do ln -s busybox rootfs/bin/$name; done]]):format(box.dir))
  return box
end

local function command(box, runtime, text, ...)
  return runtimes[runtime](("--root %s/%s "):format(box.dir, runtime) .. text:format(...))
end

--- Start a container; its first process sleeps.
-- @tparam[opt] string netns the path of a network namespace to be in
function containers:start(runtime, id, netns)
  local spec = json.decode(json.encode(config))
  spec.linux.namespaces[2].path = netns
  sh.write_file(self.dir .. "/config.json", json.encode(spec))
  local log = ("%s/%s.log"):format(self.dir, id)
  sh.run(("cd %s && %s </dev/null >%s 2>&1 || { cat %s; false; }"):format(self.dir,
    command(self, runtime, "run -d %s", id), log, log))
  self.started[#self.started + 1] = { runtime, id }
end

--- What a command inside prints.
function containers:exec(runtime, id, argv)
  return sh.run(command(self, runtime, "exec %s %s", id, sh.command_line(argv)))
end

--- Kill a container's processes, and keep what its runtime knows of it.
function containers:kill(runtime, id)
  sh.run(command(self, runtime, "kill %s KILL", id))
  sh.eventually(function()
    return sh.run(command(self, runtime, "state %s", id)):find '"status": "stopped"'
  end, 10, "the container's end")
end

function containers:__close()
  for _, started in ipairs(self.started) do
    sh.try(command(self, started[1], "delete -f %s", started[2]))
  end
  sh.run { "rm", "-rf", self.dir }
end

return containers
