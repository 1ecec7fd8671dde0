--- A machine as a container runtime sees it, in namespaces: `host`, containers `c1` and `c2`, and `outside`, which
-- knows nothing of the containers' addresses.
--
--    c1, c2 (whatever a plugin makes of them) ---- host eth0 198.51.100.1 ---- 198.51.100.2 outside
--                                                       2001:db8::1            2001:db8::2
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"

local world = {}
world.__index = world

--- Where the plugins are: ours first.
world.path = sh.run { "pwd" }:gsub("\n", "") .. "/examples/cni:/usr/lib/cni"

function world.new()
  local w = setmetatable({ dir = sh.run { "mktemp", "-d" }:gsub("\n", "") }, world)
  for _, name in ipairs { "host", "c1", "c2", "outside" } do
    w[name] = netns.new()
    w[name].link:set { dev = "lo", up = true }
    w[name].sysctl["net.ipv6.conf.default.accept_dad"] = 0
  end
  w.host.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = w.outside, up = true } }
  for name, address in pairs { host = "1", outside = "2" } do
    w[name].addr:add { dev = "eth0", address = "198.51.100." .. address .. "/24" }
    w[name].addr:add { dev = "eth0", address = "2001:db8::" .. address .. "/64", nodad = true }
  end
  w.host:wait { link = "eth0", state = "up" }
  return w
end

function world:__close()
  for _, name in ipairs { "host", "c1", "c2", "outside" } do
    self[name]:close()
  end
  sh.run { "rm", "-rf", self.dir }
end

--- A configuration of the plugin `kind`, with host-local for the addresses.
function world:conf(kind, more)
  local conf = { cniVersion = "1.0.0", name = "pods", type = kind, bridge = "cni0",
    ipam = { type = "host-local", dataDir = self.dir .. "/ipam",
      ranges = { { { subnet = "10.22.0.0/24" } }, { { subnet = "fd22::/64" } } } } }
  for key, value in pairs(more or {}) do
    conf[key] = value ~= json.null and value or nil
  end
  return conf
end

--- The path by which a plugin finds a namespace of ours.
function world.path_of(ns)
  return sh.netns_path(ns)
end

--- Run one plugin as a runtime does.
-- @treturn table `ok`, `code`, `answer` (decoded, nil where nothing was printed)
function world:plugin(command, conf, env)
  env = env or {}
  local container = env.netns == nil and self.c1 or env.netns
  local r = self.host:run({ env.exe or sh.run { "sh", "-c", ("PATH=%s command -v %s"):format(sh.quote(world.path),
    sh.quote(conf.type)) }:gsub("\n", "") }, { stdin = type(conf) == "string" and conf or json.encode(conf),
    env = { CNI_COMMAND = command, CNI_CONTAINERID = env.id or "c1", CNI_IFNAME = env.ifname or "eth0",
      CNI_NETNS = type(container) == "userdata" and self.path_of(container) or container,
      CNI_PATH = env.path or world.path, CNI_ARGS = env.args or false } })
  return { ok = r.ok, code = r.code, stderr = r.stderr, answer = r.stdout:find "%S" and assert(json.decode(r.stdout)) or
    nil }
end

--- A plugin's answer, which must be no error.
function world:must(command, conf, env)
  local r = self:plugin(command, conf, env)
  if not r.ok then
    error(("%s failed: %s %s"):format(command, json.encode(r.answer or ""), r.stderr), 2)
  end
  return r.answer
end

return world
