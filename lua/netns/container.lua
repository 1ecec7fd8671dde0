--- The network namespaces of containers, found by what their runtimes leave on disk: `netns.container(id)`.
--
-- Read, never run: state files of runc and crun (also below Docker, containerd and rootless Podman), Docker's and
-- containers/storage's (Podman, CRI-O) configurations for names, containerd's bundles, and the namespaces that Docker,
-- Podman and CRI runtimes pin as files.
-- @module netns.container
local check = require "netns.check"
local core = require "netns.core"
local json = require "netns.json"
local printing = require "netns.print"

local container = {}

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then
    file:close()
  end
  return text
end

local function read_json(path)
  local text = read_file(path)
  local value = text and json.decode(text)
  return type(value) == "table" and value or nil
end

local function field(t, ...)
  for _, key in ipairs { ... } do
    t = type(t) == "table" and t[key] or nil
  end
  return t
end

-- What is in an OCI configuration: the path of a network namespace that was made by somebody else.
local function netns_of(spec)
  for _, ns in ipairs(field(spec, "linux", "namespaces") or {}) do
    if type(ns) == "table" and ns.type == "network" and type(ns.path) == "string" and ns.path ~= "" then
      return ns.path
    end
  end
end

-- Readers: of a container's folder or file, to { id =, names =, pid =, start =, netns = } ---------------------------

local readers = {}

function readers.crun(dir, id)
  local status = read_json(dir .. "/status")
  return status and { id = id, pid = status.pid, start = status["process-start-time"],
    netns = netns_of(read_json(dir .. "/config.json")) }
end

function readers.runc(dir, id)
  local state = read_json(dir .. "/state.json")
  local record = state and { id = state.id or id, pid = state.init_process_pid, start = state.init_process_start }
  for _, ns in ipairs(field(state, "config", "namespaces") or {}) do
    if ns.type == "NEWNET" and ns.path ~= "" then
      record.netns = ns.path
    end
  end
  return record
end

function readers.docker(dir, id)
  local config = read_json(dir .. "/config.v2.json")
  if not config then
    return nil
  end
  local key = field(config, "NetworkSettings", "SandboxKey")
  local pid = field(config, "State", "Pid")
  local name = tostring(config.Name or ""):gsub("^/", "")
  return { id = config.ID or id, names = { name }, pid = pid ~= 0 and pid or nil,
    stopped = field(config, "State", "Running") == false, netns = key ~= "" and key or nil }
end

function readers.storage(dir, id)
  local names = {}
  for _, known in ipairs(read_json(dir:match "^(.*)/" .. "/containers.json") or {}) do
    if known.id == id then
      names = known.names or names
    end
  end
  local spec = read_json(dir .. "/userdata/config.json")
  return (spec or #names > 0) and { id = id, names = names, netns = netns_of(spec) } or nil
end

function readers.containerd(dir, id)
  local spec = read_json(dir .. "/config.json")
  local name = field(spec, "annotations", "io.kubernetes.cri.container-name")
  return spec and { id = id, names = { name }, pid = math.tointeger(tonumber(read_file(dir .. "/init.pid") or "")),
    netns = netns_of(spec) } or nil
end

-- A namespace that is pinned as a file.
function readers.sandbox(path, id)
  return { id = id, netns = path }
end

-- Where runtimes keep what: "*" stands for any (part of a) name, "$NAME" for a variable of the environment.
local places = {
  { runtime = "crun", roots = { "/run/crun", "$XDG_RUNTIME_DIR/crun", "/run/user/*/crun" } },
  { runtime = "runc", roots = { "/run/runc", "$XDG_RUNTIME_DIR/runc", "/run/user/*/runc",
    "/run/docker/runtime-runc/moby", "/run/containerd/runc/*" } },
  { runtime = "docker", roots = { "/var/lib/docker/containers" } },
  { runtime = "storage", roots = { "/var/lib/containers/storage/*-containers",
    "$HOME/.local/share/containers/storage/*-containers" } },
  { runtime = "containerd", roots = { "/run/containerd/io.containerd.runtime.v2.task/*" } },
  { runtime = "sandbox", roots = { "/run/netns", "/run/docker/netns" } },
}
local known_runtimes = {}
for _, place in ipairs(places) do
  known_runtimes[place.runtime] = "string table"
end

-- The folders of a pattern.
local function expand(pattern)
  local unset = false
  local path = pattern:gsub("^%$([%w_]+)", function(name)
    local value = os.getenv(name)
    unset = not value or value == ""
    return value
  end)
  if unset then
    return {}
  end
  local before, part, after = path:match "^(.*)/([^/]*%*[^/]*)(.*)$"
  if not before then
    return { path }
  end
  local found, fits = {}, "^" .. part:gsub("[^%w*]", "%%%0"):gsub("%*", ".*") .. "$"
  for _, name in ipairs(core.directory(before) or {}) do
    found[#found + 1] = name:find(fits) and before .. "/" .. name .. after or nil
  end
  table.sort(found)
  return found
end

-- All records -------------------------------------------------------------------------------------------------------

-- The records of one container, from several places, as one.
local function merge(into, record, runtime)
  for _, key in ipairs { "pid", "start", "netns" } do
    if into[key] == nil and not (key == "start" and into.pid ~= record.pid) then
      into[key] = record[key]
    end
  end
  into.stopped = into.stopped or record.stopped
  into.runtimes[#into.runtimes + 1] = runtime
  for _, name in ipairs(record.names or {}) do
    into.names[#into.names + 1] = name ~= "" and name or nil
  end
end

local sandbox_names = { "^cni%-", "^netns%-" } -- what runtimes call those in /run/netns, where people keep theirs too

local function is_sandbox(root, name)
  if root ~= "/run/netns" then
    return name ~= "default"
  end
  return name:find(sandbox_names[1]) ~= nil or name:find(sandbox_names[2]) ~= nil
end

local function gather(opts)
  local by_id, list, looked = {}, {}, {}
  local function add(root, name, runtime)
    local record = (runtime ~= "sandbox" or is_sandbox(root, name)) and readers[runtime](root .. "/" .. name, name)
    if record then
      local into = by_id[record.id]
      if not into then
        into = { id = record.id, names = {}, runtimes = {} }
        by_id[record.id], list[#list + 1] = into, into
      end
      merge(into, record, runtime)
    end
  end
  for _, place in ipairs(places) do
    local roots = opts.roots and opts.roots[place.runtime] or place.roots
    for _, pattern in ipairs(type(roots) == "table" and roots or { roots }) do
      for _, root in ipairs((opts.runtime or place.runtime) == place.runtime and expand(pattern) or {}) do
        looked[#looked + 1] = root
        for _, name in ipairs(core.directory(root) or {}) do
          add(root, name, place.runtime)
        end
      end
    end
  end
  return list, looked
end

-- Processes ---------------------------------------------------------------------------------------------------------

-- When a process started, in clock ticks since boot: a number that is given again has another.
local function start_of(pid)
  local text = read_file(("/proc/%d/stat"):format(pid))
  local state, rest = (text or ""):match "^.*%) (%S) (.*)$"
  if not state or state == "Z" or state == "X" then
    return nil
  end
  local n = 3 -- the state was the third
  for word in rest:gmatch "%S+" do
    n = n + 1
    if n == 22 then
      return math.tointeger(tonumber(word))
    end
  end
end

local function is_running(record)
  local start = math.type(record.pid) == "integer" and record.pid > 0 and start_of(record.pid)
  return start and (not record.start or record.start == 0 or record.start == start) or false
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

-- "running": a process holds the namespace; "pinned": a file does; "stopped".
local function status_of(record)
  if is_running(record) then
    return "running"
  elseif not record.pid and not record.stopped and record.netns and exists(record.netns) then
    return "pinned"
  end
  return "stopped"
end

-- Looking one up ----------------------------------------------------------------------------------------------------

local function raise(id, code, errno, message)
  error(setmetatable({ op = "container", object = id, code = code, errno = errno, message = message }, core.Error), 0)
end

local function names_of(records)
  local names = {}
  for i, record in ipairs(records) do
    names[i] = #record.names > 0 and ("%s (%s)"):format(record.id, table.concat(record.names, ", ")) or record.id
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function matching(list, fits)
  local found = {}
  for _, record in ipairs(list) do
    found[#found + 1] = fits(record) and record or nil
  end
  return found
end

-- By its whole id, else by its name, else by the beginning of its id.
local function find(list, id)
  local tests = {
    function(record)
      return record.id == id
    end,
    function(record)
      for _, name in ipairs(record.names) do
        if name == id then
          return true
        end
      end
    end,
    function(record)
      return record.id:sub(1, #id) == id
    end,
  }
  for _, fits in ipairs(tests) do
    local found = matching(list, fits)
    if #found > 1 then
      raise(id, "ENOTUNIQ", 76, "several containers are called so: " .. names_of(found))
    elseif found[1] then
      return found[1]
    end
  end
end

local options = { runtime = "string", roots = "table" }

local function checked(opts, what)
  opts = check.options(opts, options, what)
  check.options(opts.roots, known_runtimes, what .. ": roots")
  if opts.runtime and not known_runtimes[opts.runtime] then
    check.refuse("%s: runtime must be one of %s; got %s%s", what, table.concat(check.names(known_runtimes), ", "),
      check.show(opts.runtime), check.hint(opts.runtime, check.names(known_runtimes)))
  end
  return opts
end

local function hint_of_path(record)
  local path = record.netns
  return path and exists(path) and ("; its network namespace is still there: netns.open \"%s\""):format(path) or ""
end

--- The network namespace of a container.
-- @tparam string id its id, its name (Docker, Podman, CRI), or the beginning of its id where only one begins so; also a
--   namespace that a runtime has pinned, such as "cni-1234..."
-- @tparam[opt] table opts `runtime`: look only at what that one leaves: "crun", "runc", "docker", "storage" (Podman,
--   CRI-O), "containerd", "sandbox"; `roots`: folders by runtime, in place of the usual ones
-- @treturn Namespace
-- @raise netns.Error: ENOENT (there is none), ENOTUNIQ (several), ESRCH (it is stopped)
-- @usage local web <close> = netns.container "web"
--   local c <close> = netns.container("c1", { roots = { crun = "/srv/crun" } })
function container.open(id, opts)
  opts = checked(opts, "container")
  if type(id) ~= "string" or id == "" then
    check.refuse("container: expected the id or name of a container, got %s", check.show(id))
  end
  local list, looked = gather(opts)
  local record = find(list, id)
  if not record then
    raise(id, "ENOENT", 2, "there is no such container; looked in " .. table.concat(looked, ", "))
  end
  local status = status_of(record)
  if status == "pinned" then
    return core.open(record.netns)
  elseif status == "running" then
    local ok, ns = pcall(core.open, { pid = record.pid })
    if ok and is_running(record) then
      return ns
    end
  end
  raise(id, "ESRCH", 3, ("the container is stopped%s%s"):format(record.pid and record.pid ~= 0 and
    (" (its process %d is gone)"):format(record.pid) or "", hint_of_path(record)))
end

local List = { __name = "netns.Containers" }

function List:__tostring()
  return printing.table(self, { "id", "names", "runtimes", "status", "pid", "netns" })
end

--- The containers that runtimes have left traces of.
-- @tparam[opt] table opts as for `netns.container`
-- @treturn {table,...} `id`, `names`, `runtimes`, `status` ("running"; "pinned": a file holds its namespace;
--   "stopped"), `pid`, `netns`: rows that print as a table
-- @usage print(netns.containers())
function container.list(opts)
  local list = gather(checked(opts, "containers"))
  for _, record in ipairs(list) do
    record.status = status_of(record)
    record.start, record.stopped = nil, nil
  end
  table.sort(list, function(a, b)
    return a.id < b.id
  end)
  return setmetatable(list, List)
end

return container
