--- The frame of a CNI plugin: environment, configuration, versions, errors, delegation.
-- @module netns.cni.plugin
local core = require "netns.core"
local invoke = require "netns.cni.invoke"
local json = require "netns.json"
local protocol = require "netns.cni.protocol"
local result = require "netns.cni.result"
require "netns.sysctl"
require "netns.wait"

local plugin = {}

local Call = {}
Call.__index = Call

-- What each operation must be given.
local needed = {
  ADD = { "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH" },
  CHECK = { "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH" },
  DEL = { "CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH" },
  GC = { "CNI_PATH" }, STATUS = {}, VERSION = {},
}

local function env(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function check_environment(command)
  if not command then
    protocol.fail("invalid_environment", "CNI_COMMAND is missing: this is a CNI plugin, run by a container runtime")
  elseif not needed[command] then
    protocol.fail("invalid_environment", ("unknown CNI_COMMAND %q: it is one of ADD, CHECK, DEL, GC, STATUS, VERSION")
      :format(command))
  end
  local missing = {}
  for _, name in ipairs(needed[command]) do
    if not env(name) then
      missing[#missing + 1] = name
    end
  end
  if #missing > 0 then
    protocol.fail("invalid_environment", ("%s needs %s in the environment"):format(command,
      table.concat(missing, ", ")))
  end
  for name, bad in pairs { CNI_CONTAINERID = protocol.bad_id, CNI_IFNAME = protocol.bad_ifname } do
    local wrong = env(name) and command ~= "VERSION" and bad(env(name))
    if wrong then
      protocol.fail("invalid_environment", ("%s %q %s"):format(name, env(name), wrong))
    end
  end
end

-- "A=1;B=2" of CNI_ARGS
local function parse_args(text)
  local args = {}
  for pair in (text or ""):gmatch "[^;]+" do
    local key, value = pair:match "^%s*([^=]+)=(.*)$"
    if not key then
      protocol.fail("invalid_environment", ("CNI_ARGS: %q is not KEY=VALUE"):format(pair))
    end
    args[key] = value
  end
  return args
end

local function read_conf(text)
  local conf, wrong = json.decode(text)
  if type(conf) ~= "table" then
    protocol.fail("decoding_failure", "the network configuration is " .. (wrong or "no object"))
  end
  return conf
end

local function check_conf(conf, command, versions)
  local version = conf.cniVersion
  local spoken = false
  for _, ours in ipairs(versions) do
    spoken = spoken or ours == version
  end
  if not spoken then
    protocol.fail("incompatible_version", ("incompatible CNI versions: the configuration is for %s"):format(
      version == nil and "none (0.1.0)" or tostring(version)), "this plugin speaks " .. table.concat(versions, ", "))
  elseif protocol.since[command] and not protocol.at_least(version, protocol.since[command]) then
    protocol.fail("incompatible_version", ("there is no %s in version %s: it came with %s"):format(command, version,
      protocol.since[command]))
  end
  local wrong = protocol.bad_id(conf.name)
  if wrong then
    protocol.fail("invalid_config", ("name: the name of a network %s; got %s"):format(wrong,
      json.encode(conf.name or json.null)))
  end
end

local function new_call(command, conf)
  return setmetatable({
    command = command, conf = conf, version = conf.cniVersion, network = conf.name,
    id = env "CNI_CONTAINERID", netns = env "CNI_NETNS", ifname = env "CNI_IFNAME", args = parse_args(env "CNI_ARGS"),
    folders = invoke.folders(env "CNI_PATH"), host = core.current(),
    prev = conf.prevResult ~= nil and conf.prevResult ~= json.null and result.read(conf.prevResult, "prevResult")
      or nil,
  }, Call)
end

--- A name for the attachment, for whatever a plugin makes on the host: `veth` and 11 digits.
function Call:key()
  return protocol.attachment_key(self.network, self.id, self.ifname)
end

--- The container's Namespace.
-- @tparam[opt] boolean may_be_gone give nil where there is none, instead of an error (code 3)
function Call:container(may_be_gone)
  if not self.netns and may_be_gone then
    return nil
  end
  local ok, ns = pcall(core.open, self.netns)
  if not ok and may_be_gone then
    return nil
  elseif not ok then
    protocol.fail("unknown_container", ("CNI_NETNS %s is no network namespace"):format(self.netns), tostring(ns))
  elseif ns == self.host then
    protocol.fail("invalid_environment", ("CNI_NETNS %s is the plugin's own network namespace"):format(self.netns))
  end
  return ns
end

-- The newest version that a delegate speaks: 1.1 is young, and IPAM plugins may be older than this one.
local function version_for(call, kind)
  local theirs = invoke.versions(call.host, kind, call.folders, call.version)
  if protocol.newest_common({ call.version }, theirs) then
    return call.version
  end
  local best = protocol.newest_common(protocol.versions, theirs)
  if not best then
    protocol.fail("incompatible_version", ("plugin %s speaks none of %s"):format(kind, table.concat(protocol.versions,
      ", ")))
  end
  return best
end

local NEWEST = protocol.versions[#protocol.versions]

local function is_incompatible(err)
  return getmetatable(err) == protocol.Failure and err.code == protocol.codes.incompatible_version
end

local function run_delegate(call, kind, command, version, opts)
  local conf = protocol.copy(call.conf)
  conf.cniVersion = version
  if conf.prevResult and version ~= call.version then
    conf.prevResult = result.write(call.prev, version)
  end
  return invoke.run(call.host, { kind = kind, command = command, conf = conf, folders = call.folders,
    id = opts.id or call.id, netns = call.netns, ifname = opts.ifname or call.ifname, args = env "CNI_ARGS",
    mounts = false })
end

--- Run another plugin with this one's configuration, as for IPAM.
-- @tparam string kind its name
-- @tparam[opt] table opts `command` (default this call's), `id`, `ifname`: of another attachment
-- @treturn ?table its result (of ADD); nil also where it does not know the operation (GC and STATUS of 1.1)
function Call:delegate(kind, opts)
  opts = opts or {}
  local command = opts.command or self.command
  local is_new = protocol.since[command] == NEWEST
  local ok, answer = not is_new, nil
  if ok then -- most speak our version: ask only those that do not
    ok, answer = pcall(run_delegate, self, kind, command, self.version, opts)
    if not ok and not is_incompatible(answer) then
      error(answer, 0)
    end
  end
  if not ok then
    local version = version_for(self, kind)
    if is_new and not protocol.at_least(version, NEWEST) then
      return nil
    end
    answer = run_delegate(self, kind, command, version, opts)
  end
  return command == "ADD" and result.read(answer, "the result of " .. kind) or nil
end

-- Any error as the specification's: its number and texts.
local function error_object(err, version)
  local object = { cniVersion = version or protocol.versions[#protocol.versions] }
  if getmetatable(err) == protocol.Failure then
    object.code, object.msg, object.details = err.code, err.msg, err.details
  elseif getmetatable(err) == core.Error then
    local busy = err.code == "EAGAIN" or err.code == "EBUSY" or err.code == "ENOBUFS" or err.code == "ENOMEM"
    object.code = busy and protocol.codes.try_again or protocol.codes.system
    object.msg = tostring(err)
  else
    object.code, object.msg = protocol.codes.internal, "internal error: " .. tostring(err)
  end
  return object
end

local function version_answer(conf, versions)
  local version = versions[#versions]
  for _, ours in ipairs(versions) do
    version = ours == conf.cniVersion and ours or version
  end
  return { cniVersion = version, supportedVersions = json.array(versions) }
end

local function perform(handlers, state)
  local command = env "CNI_COMMAND"
  check_environment(command)
  local text = io.read "a"
  local conf = command == "VERSION" and not text:find "%S" and {} or read_conf(text)
  state.version = type(conf.cniVersion) == "string" and conf.cniVersion or nil
  local versions = handlers.versions or protocol.versions
  if command == "VERSION" then
    return version_answer(conf, versions)
  end
  check_conf(conf, command, versions)
  local call = new_call(command, conf)
  if command == "CHECK" and not call.prev then
    protocol.fail("invalid_config", "CHECK needs the prevResult of the ADD")
  end
  local handler = handlers[command:lower()]
  local answer = handler and handler(call)
  return command == "ADD" and result.write(answer or call.prev or result.read({}, "result"), call.version) or nil
end

--- Be a CNI plugin: read the environment and the configuration, do the operation, print the result or the error.
-- @tparam table handlers `add`, `del`, `check`, `gc`, `status`: functions of a Call with `conf`, `network`, `id`,
--   `ifname`, `netns` (a path), `args`, `prev` (the prevResult), `host` (the Namespace it runs in) and the methods
--   `container`, `delegate`, `key`; `add` returns the result, as version 1.1 has it. `versions`: those it speaks
-- @treturn integer the exit status: 0, or 1 after an error object
-- @usage os.exit(netns.cni.plugin {
--     add = function(call)
--       local container <close> = call:container()
--       container.link:set { dev = "lo", up = true }
--       return call.prev
--     end,
--     del = function() end,
--   })
function plugin.main(handlers)
  local state = {}
  local ok, answer = pcall(perform, handlers, state)
  if not ok then
    answer = error_object(answer, state.version)
  end
  if answer then
    io.write(json.encode(answer), "\n")
  end
  return ok and 0 or 1
end

return plugin
