--- Linux network namespaces as Lua objects.
--
-- A namespace is an object that is held, asked and closed; so are its links, addresses, routes and firewall. The words
-- are those of iproute2: `ns.route:add{ dst = "default", via = "10.0.0.1" }` is `ip -n NS route add default via
-- 10.0.0.1`.
-- What the system refuses is raised as an object with `op`, `object`, `netns`, `code`, `errno`, `message`, `kernel` and
-- `attr`; misuse is an ordinary error at the caller's line.
--
--    local netns = require "netns"
--    local red <close> = netns.new()
--    local blue <close> = netns.new()
--    red.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = blue, up = true } }
--    red.addr:add { dev = "eth0", address = "10.0.0.1/24" }
--    blue.addr:add { dev = "eth0", address = "10.0.0.2/24" }
--    assert(red:ping "10.0.0.2")
--
-- @module netns
local core = require "netns.core"
require "netns.namespace"
local cni = require "netns.cni"
local container = require "netns.container"
local capture = require "netns.capture"
local explain = require "netns.explain"
local facts = require "netns.facts"
local probe = require "netns.probe"
local recorder = require "netns.recorder"

local netns = {
  version = require "netns.version",
  new = core.new,
  open = core.open,
  current = core.current,
  list = core.list,
  delete = core.delete,
  cni = cni,
  container = container.open,
  containers = container.list,
  print = require "netns.print",
  wireguard = require "netns.wireguard",
  features = require("netns.features").features,
  doctor = require("netns.doctor").doctor,
  probes = probe.new,
  matrix = probe.matrix,
  explain = explain.explain,
  compare = facts.compare,
  capture = capture.open,
  packet = capture.packet,
  record = recorder.record,
}

--- Become root without being it.
-- From here on the process is root in a user namespace of its own, with a network namespace that has only lo (up), and
-- a /run/netns that nobody else sees: scripts run without sudo. What belongs to the machine is out of reach: its
-- links, the namespaces it has, its sysctls. Called again, it does nothing.
-- @raise netns.Error with the reason and the remedy, and nothing changed: threads are running, namespaces are open
--   already, or the system does not allow it (sysctls, AppArmor, limits)
-- @usage local netns = require "netns"
--   netns.rootless()
function netns.rootless()
  core.rootless()
  local here <close> = core.current()
  here.link:set { dev = "lo", up = true }
end

--- Remove what killed programs have left: labs with names, and names of `netns.new`.
-- Everything else is left alone: what living programs hold, names that are kept, and those that others made, with
-- `ip netns` for example. Names of programs in other pid namespaces stay, as nobody can tell whether these live.
-- @treturn {string,...} the labs and the names that are gone, sorted
-- @raise netns.Error where a name cannot be removed
-- @usage for _, name in ipairs(netns.sweep()) do print("removed", name) end
function netns.sweep()
  local swept = require("netns.topology.named").sweep()
  local labs = core.records()
  local function of_lab(name)
    for _, lab in ipairs(labs) do
      if name:sub(1, #lab + 1) == lab .. "." then
        return true
      end
    end
  end
  for _, name in ipairs(core.list()) do
    if not of_lab(name) and core.sweep_name(name) then
      swept[#swept + 1] = name
    end
  end
  table.sort(swept)
  return swept
end

--- Call a function and give its error back as values instead of raising it.
-- Only errors of the system (netns.Error objects) are given back; misuse and every other error
-- goes on up, because it is a mistake in the program.
-- @tparam function fn the function to call
-- @param ... its arguments
-- @return what fn returns; or nil, the error object, its errno
-- @usage local ns, err, errno = netns.try(netns.open, "nowhere")
function netns.try(fn, ...)
  local function finish(ok, err, ...)
    if ok then
      return err, ...
    end
    if getmetatable(err) == core.Error then
      return nil, err, err.errno
    end
    error(err, 0)
  end
  return finish(pcall(fn, ...))
end

--- Show every operation as the command that does the same, as it happens.
-- The lines are a script that builds the same network; namespaces without a name get one. What the library asks for
-- itself, and what probes do, does not appear. While nobody traces, it costs nothing.
-- @tparam[opt] file|function out where to: a file, an object with a method `write`, a function that is called with each
--   line; nil stops it
-- @usage netns.trace(io.stderr)
--   netns.trace(nil)
function netns.trace(out)
  require("netns.trace").set(netns, out)
end

--- Explain a function, an object, or a name, from the reference.
-- @param[opt] x a function or object of this module, or a name: of a module or class ("Namespace"), of a function or
--   method ("topology.star", "Namespace:run", or just "run"), of a noun ("route"), its verb ("route:add"), a key
--   ("route.metric"), a kind of link ("vxlan"); without it, everything there is
-- @treturn string text, within the terminal's width
-- @raise an error that names what is near, where nothing is known of it
-- @usage print(netns.help "route:add")
function netns.help(...)
  return require("netns.reference.help").help(...)
end

return netns
