--- Being a CNI runtime: a network's plugins run one after another for a namespace.
-- @module netns.cni.exec
local cache = require "netns.cni.cache"
local check = require "netns.check"
local core = require "netns.core"
local invoke = require "netns.cni.invoke"
local json = require "netns.json"
local network = require "netns.cni.network"
local protocol = require "netns.cni.protocol"
local words = require "netns.topology.words"

local runtime = {}

local known = { command = "string", id = "string", ifname = "string", path = "string table", args = "table",
  host = "userdata", capabilities = "table", cache = "string", conf_dir = "string", timeout = "number",
  attachments = "table" }

-- Namespaces --------------------------------------------------------------------------------------------------------

local function own_pid()
  local file = assert(io.open "/proc/self/stat")
  local pid = file:read "n"
  file:close()
  return pid
end

-- A path by which other processes find a namespace: its name where it has one, else a descriptor of ours; nil where
-- that is closed, as its number may be something else's by now.
local function path_of(ns)
  if not ns or (ns.closed and not ns.name) then
    return nil
  end
  return ns.name and "/run/netns/" .. ns.name or ("/proc/%d/fd/%d"):format(own_pid(), ns.fd)
end

local function id_of(ns)
  return ns.name and not protocol.bad_id(ns.name) and ns.name or ("netns-%d"):format(ns.inode)
end

-- Errors ------------------------------------------------------------------------------------------------------------

-- A plugin's error as one of ours, so that netns.try knows it.
local function raise(err, run)
  if getmetatable(err) == protocol.Failure then
    err = setmetatable({ op = "cni " .. (err.command or run.command):lower(), object = err.plugin or run.net and
      run.net.name, netns = run.label, message = err.msg, code = "CNI " .. err.code, kernel = err.details,
      cni_code = err.code, plugin = err.plugin }, core.Error)
  end
  error(err, 0)
end

-- One plugin after another ------------------------------------------------------------------------------------------

local function run_plugin(run, i, command, prev)
  return invoke.run(run.host, { kind = run.net.plugins[i].type, command = command, folders = run.folders,
    conf = network.conf(run.net, i, run.capabilities, prev), id = run.key.id, ifname = run.key.ifname,
    netns = path_of(run.ns),
    args = run.args_text, timeout = run.timeout, mounts = run.mounts })
end

local function need_version(run, command)
  local since = protocol.since[command]
  if not protocol.at_least(run.net.version, since) then
    protocol.fail("incompatible_version", ("there is no %s in version %s: it came with %s"):format(command,
      run.net.version, since))
  end
end

-- In reverse; what the plugins cannot undo now is told at the end.
local function delete(run)
  local entry = cache.read(run.cache, run.key)
  local prev = entry and protocol.at_least(run.net.version, "0.4.0") and entry.result or nil
  local first
  for i = #run.net.plugins, 1, -1 do
    local ok, err = pcall(run_plugin, run, i, "DEL", prev)
    first = first or not ok and err or nil
  end
  if first then
    error(first, 0)
  end
  cache.remove(run.cache, run.key)
end

local Attachment = {}

local function add(run)
  if cache.read(run.cache, run.key) then
    protocol.fail("invalid_config", ("%s is attached to the network %s by %s already"):format(run.key.id, run.net.name,
      run.key.ifname))
  end
  local answer
  for i = 1, #run.net.plugins do
    local ok, err = pcall(run_plugin, run, i, "ADD", answer)
    if ok and type(err) ~= "table" then
      ok, err = false, setmetatable({ code = protocol.codes.decoding_failure, plugin = run.net.plugins[i].type,
        msg = "it gave no result" }, protocol.Failure)
    end
    if not ok then
      pcall(delete, run)
      error(err, 0)
    end
    answer = err
  end
  local ok, err = pcall(cache.write, run.cache, run.key, { conf = run.net.raw, args = run.args_list,
    netns = path_of(run.ns), capabilities = run.capabilities, result = answer }, run.host)
  if not ok then
    pcall(delete, run)
    error(err, 0)
  end
  return Attachment.new(answer, run)
end

local function check_all(run)
  need_version(run, "CHECK")
  local entry = cache.read(run.cache, run.key)
  if not entry then
    protocol.fail("unknown_container", ("%s is not attached to the network %s by %s: there is no result in %s"):format(
      run.key.id, run.net.name, run.key.ifname, run.cache))
  end
  for i = 1, run.net.disable_check and 0 or #run.net.plugins do
    run_plugin(run, i, "CHECK", entry.result)
  end
  return true
end

local function with_key(run, key)
  return setmetatable({ key = key }, { __index = run })
end

-- What has a result here and is valid no more is deleted; then the plugins may look for more.
local function gc(run)
  local valid, list = {}, json.array()
  for i, attachment in ipairs(run.attachments) do
    local id, ifname = attachment.id or attachment.containerID, attachment.ifname or "eth0"
    valid[protocol.attachment_key(run.net.name, id, ifname)] = true
    list[i] = { containerID = id, ifname = ifname }
  end
  for _, key in ipairs(cache.list(run.cache, run.net.name)) do
    if not valid[protocol.attachment_key(key.network, key.id, key.ifname)] then
      delete(with_key(run, key))
    end
  end
  if protocol.at_least(run.net.version, "1.1.0") and not run.net.disable_gc then
    for i = 1, #run.net.plugins do
      run.net.plugins[i]["cni.dev/valid-attachments"], run.net.plugins[i]["cni.dev/attachments"] = list, list
      run_plugin(with_key(run, {}), i, "GC")
    end
  end
  return true
end

local commands = {
  ADD = add, CHECK = check_all, GC = gc,
  DEL = function(run)
    delete(run)
    return true
  end,
  STATUS = function(run)
    need_version(run, "STATUS")
    for i = 1, #run.net.plugins do
      run_plugin(with_key(run, {}), i, "STATUS")
    end
    return true
  end,
  VERSION = function(run)
    local versions = {}
    for _, plugin in ipairs(run.net.plugins) do
      versions[plugin.type] = invoke.versions(run.host, plugin.type, run.folders, run.net.version)
    end
    return versions
  end,
}

-- Results that know how to undo themselves -------------------------------------------------------------------------

local runs = setmetatable({}, { __mode = "k" }) -- of each Attachment

local methods = {}
runtime.methods = methods
Attachment.meta = { __index = methods, __name = "netns.cni.Attachment" }

function Attachment.new(answer, run)
  runs[answer] = run
  return setmetatable(answer, Attachment.meta)
end

local function perform(run)
  local ok, answer = pcall(commands[run.command], run)
  if not ok then
    raise(answer, run)
  end
  return answer
end

--- Ask the plugins whether all is as they left it.
-- @treturn boolean true
-- @raise netns.Error: what a plugin found to be wrong
-- @usage assert(eth0:check())
function methods:check()
  return perform(setmetatable({ command = "CHECK" }, { __index = runs[self] }))
end

--- Detach. Twice is fine.
-- @treturn boolean true
-- @raise netns.Error: what a plugin could not undo, after the others had their turn
-- @usage eth0:del()
function methods:del()
  return perform(setmetatable({ command = "DEL" }, { __index = runs[self] }))
end

Attachment.meta.__close = methods.del

function Attachment.meta:__tostring()
  local parts = {}
  for i, item in ipairs(self.ips or {}) do
    parts[i] = item.address
  end
  local run = runs[self]
  return ("%s of %s on %s: %s"):format(run.key.ifname, run.key.id, run.net.name, table.concat(parts, " "))
end

-- The one function -------------------------------------------------------------------------------------------------

local function args_of(args)
  local list, texts = {}, {}
  for _, key in ipairs(words.sorted(args)) do
    local pair = ("%s=%s"):format(key, tostring(args[key]))
    if tostring(key):find "[;=]" or tostring(args[key]):find ";" then
      check.refuse('cni.exec: args: %s has a ";" or "=" in it', check.show(pair))
    end
    list[#list + 1], texts[#texts + 1] = json.array { key, tostring(args[key]) }, pair
  end
  return list, #texts > 0 and table.concat(texts, ";") or nil
end

-- Which container by which name: what ADD, DEL and CHECK must have.
local function key_of(run, ns, opts)
  local key = { network = run.net.name, id = opts.id or ns and id_of(ns), ifname = opts.ifname or "eth0" }
  if not key.id then
    protocol.fail("invalid_config", "without a namespace, id must say which container it was")
  end
  for name, bad in pairs { id = protocol.bad_id, ifname = protocol.bad_ifname } do
    local wrong = bad(key[name])
    if wrong then
      protocol.fail("invalid_config", ("%s %q %s"):format(name, key[name], wrong))
    end
  end
  return key
end

local function prepare(run, conf, ns, opts)
  run.net = network.load(conf, opts.conf_dir or "/etc/cni/net.d")
  run.key = run.per_container and key_of(run, ns, opts) or {}
  if not ns and (run.command == "ADD" or run.command == "CHECK") then
    protocol.fail("invalid_config", run.command .. " needs a namespace")
  end
end

--- Run a network's CNI plugins for a namespace.
-- @param conf the network: a table, JSON text, the path of a .conf or .conflist, or a name looked for in `conf_dir`
-- @tparam ?Namespace|string ns the namespace, or its name or path; nil where DEL is for one that is gone
-- @tparam[opt] table opts
--
--   - `command`: "ADD" (the default), "DEL", "CHECK", "GC", "STATUS" or "VERSION"
--   - `id` (default: the namespace's name or inode) and `ifname` ("eth0"): which attachment it is
--   - `path`: folders of plugins, a list or "a:b"; default CNI_PATH, else /opt/cni/bin and /usr/lib/cni
--   - `args`: names and values for CNI_ARGS; `capabilities`: what plugins that have such a capability are told, by
--     name, as in `{ portMappings = { { hostPort = 8080, containerPort = 80 } } }`
--   - `cache`: results are kept in its folder `results`, as libcni does (/var/lib/cni); `conf_dir` (/etc/cni/net.d)
--   - `host`: the Namespace that plugins run in; default: the calling thread's; `timeout`: seconds for each plugin
--   - `attachments`: for GC, those that are valid: `{ id =, ifname = }` each
--
-- @return of ADD the result of the last plugin, with the methods `check`, `del` and `<close>`; of VERSION the
--   versions by plugin; true otherwise
-- @raise netns.Error with `cni_code` and `plugin`; what ADD had done is undone
-- @usage local eth0 <close> = netns.cni.exec("/etc/cni/net.d/10-pods.conflist", ns)
--   print(eth0.ips[1].address)
function runtime.exec(conf, ns, opts)
  opts = check.options(opts, known, "cni.exec")
  if opts.host then
    check.object(opts.host, "Namespace", "cni.exec: host")
  end
  local command = opts.command or "ADD"
  if not commands[command] then
    check.refuse("cni.exec: command must be one of ADD, CHECK, DEL, GC, STATUS, VERSION; got %s", check.show(command))
  end
  if type(ns) == "string" then
    ns = core.open(ns)
  elseif ns ~= nil and type(ns) ~= "userdata" then
    check.refuse("cni.exec: expected a Namespace, its name or its path, got %s", check.show(ns))
  end
  local here = core.current()
  local run = { command = command, host = opts.host or here, capabilities = opts.capabilities or {}, ns = ns,
    cache = opts.cache or "/var/lib/cni", timeout = opts.timeout, attachments = opts.attachments or {},
    folders = invoke.folders(opts.path or os.getenv "CNI_PATH" or { "/opt/cni/bin", "/usr/lib/cni" }),
    label = ns and tostring(ns), per_container = command == "ADD" or command == "DEL" or
    command == "CHECK" }
  run.mounts = run.host ~= here and nil or false
  run.args_list, run.args_text = args_of(opts.args or {})
  local ok, err = pcall(prepare, run, conf, ns, opts)
  if not ok then
    raise(err, run)
  end
  return perform(run)
end

return runtime
