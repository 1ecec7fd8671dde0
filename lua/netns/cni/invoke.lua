--- Running a CNI plugin: one executable, one operation.
-- @module netns.cni.invoke
require "netns.process"
local json = require "netns.json"
local protocol = require "netns.cni.protocol"

local invoke = {}

--- The folders of a search path: "a:b" or a list.
function invoke.folders(path)
  if type(path) == "table" then
    return path
  end
  local list = {}
  for dir in (path or ""):gmatch "[^:]+" do
    list[#list + 1] = dir
  end
  return list
end

local function is_file(path)
  local file = io.open(path, "rb")
  local readable = file and file:read(0) ~= nil -- nil for a directory and for an empty file
  if file then
    file:close()
  end
  return readable
end

--- Where a plugin is.
-- @tparam string kind its name
-- @tparam {string,...} folders
function invoke.find(kind, folders)
  if type(kind) ~= "string" or kind == "" or kind:find "[/%z]" or kind == "." or kind == ".." then
    protocol.fail("invalid_config", ("%q is not the name of a plugin"):format(tostring(kind)))
  end
  for _, dir in ipairs(folders) do
    if is_file(dir .. "/" .. kind) then
      return dir .. "/" .. kind
    end
  end
  protocol.fail("io_failure", ("there is no plugin %q in %s"):format(kind,
    #folders > 0 and table.concat(folders, ":") or "CNI_PATH, which is empty"))
end

-- What a plugin that failed says: its error object, or else what it printed.
local function failure(kind, command, r)
  local answer = json.decode(r.stdout)
  if type(answer) == "table" and math.type(answer.code) == "integer" and answer.code ~= 0 then
    local details = answer.details ~= json.null and answer.details ~= "" and answer.details or nil
    return setmetatable({ code = answer.code, msg = tostring(answer.msg), details = details, plugin = kind,
      command = command }, protocol.Failure)
  end
  local said = (r.stderr .. r.stdout):gsub("%s+$", ""):sub(-2000)
  local how = r.timeout and "it took too long" or r.signal and "signal " .. r.signal or "exit status " .. r.code
  return setmetatable({ code = protocol.codes.internal, plugin = kind, command = command,
    msg = ("plugin %s failed: %s"):format(kind, how), details = said ~= "" and said or nil }, protocol.Failure)
end

--- Run a plugin.
-- @tparam Namespace host where it runs
-- @tparam table call `kind`, `command`, `conf`, `folders`; `id`, `netns`, `ifname`, `args` (texts); `timeout` (s)
-- @return what it printed, decoded; nil where that was nothing
-- @raise a protocol.Failure with what the plugin says
function invoke.run(host, call)
  local r = host:run({ invoke.find(call.kind, call.folders) }, {
    stdin = json.encode(call.conf), timeout = call.timeout or 120, mounts = call.mounts,
    env = { CNI_COMMAND = call.command, CNI_CONTAINERID = call.id or false, CNI_NETNS = call.netns or false,
      CNI_IFNAME = call.ifname or false, CNI_ARGS = call.args or false,
      CNI_PATH = table.concat(call.folders, ":") },
  })
  if not r.ok then
    error(failure(call.kind, call.command, r), 0)
  elseif not r.stdout:find "%S" then
    return nil
  end
  local answer, wrong = json.decode(r.stdout)
  if answer == nil then
    protocol.fail("decoding_failure", ("plugin %s: what it printed is %s"):format(call.kind, wrong),
      r.stdout:sub(1, 200))
  end
  return answer
end

--- The versions a plugin speaks.
function invoke.versions(host, kind, folders, version)
  local answer = invoke.run(host, { kind = kind, command = "VERSION", folders = folders,
    conf = { cniVersion = version } })
  if type(answer) ~= "table" or type(answer.supportedVersions) ~= "table" then
    protocol.fail("decoding_failure", ("plugin %s does not say which versions it speaks"):format(kind))
  end
  return answer.supportedVersions
end

return invoke
