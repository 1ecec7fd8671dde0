--- Results that a runtime keeps between ADD and DEL, as libcni does: DIR/results/NETWORK-CONTAINER-IFNAME.
-- @module netns.cni.cache
local core = require "netns.core"
local json = require "netns.json"

local cache = {}

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  return (text:gsub("..?.?", function(part)
    local a, b, c = part:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local out = {}
    for i = 0, 3 do
      local at = bits >> (18 - 6 * i) & 63
      out[i + 1] = i <= #part and alphabet:sub(at + 1, at + 1) or "="
    end
    return table.concat(out)
  end))
end

local function path_of(dir, key)
  return ("%s/results/%s-%s-%s"):format(dir, key.network, key.id, key.ifname)
end

local function system_error(op, path, why, errno)
  error(setmetatable({ op = op, object = path, message = why, errno = errno }, core.Error), 0)
end

--- Keep a result.
-- @tparam string dir
-- @tparam table key `network`, `id`, `ifname`
-- @tparam table entry `conf` (the network's), `args` (pairs), `capabilities`, `netns`, `result`
-- @tparam Namespace host where mkdir runs
function cache.write(dir, key, entry, host)
  local path = path_of(dir, key)
  local temporary = path .. ".new"
  local file, why, errno = io.open(temporary, "wb")
  if not file then
    host:run({ "mkdir", "-p", dir .. "/results" }, { check = true, mounts = false })
    file, why, errno = io.open(temporary, "wb")
  end
  if not file then
    system_error("cni cache", path, why, errno)
  end
  local written = file:write(json.encode {
    kind = "cniCacheV1", containerId = key.id, ifName = key.ifname, networkName = key.network, netns = entry.netns,
    config = base64(json.encode(entry.conf)), cniArgs = json.array(entry.args), capabilityArgs = entry.capabilities,
    result = entry.result,
  })
  if not (file:close() and written and os.rename(temporary, path)) then
    system_error("cni cache", path, "could not be written")
  end
end

--- The result that was kept; nil where there is none.
function cache.read(dir, key)
  local file = io.open(path_of(dir, key), "rb")
  local entry = file and json.decode(file:read "a")
  if file then
    file:close()
  end
  return type(entry) == "table" and entry.kind == "cniCacheV1" and entry or nil
end

function cache.remove(dir, key)
  os.remove(path_of(dir, key))
end

--- The attachments of a network that have a result here.
-- @treturn {table,...} `network`, `id`, `ifname` each
function cache.list(dir, network)
  local found = {}
  for _, name in ipairs(core.directory(dir .. "/results") or {}) do
    local file = io.open(dir .. "/results/" .. name, "rb")
    local entry = file and json.decode(file:read "a")
    if file then
      file:close()
    end
    if type(entry) == "table" and entry.kind == "cniCacheV1" and entry.networkName == network then
      found[#found + 1] = { network = network, id = entry.containerId, ifname = entry.ifName }
    end
  end
  return found
end

return cache
