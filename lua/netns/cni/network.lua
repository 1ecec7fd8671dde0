--- Network configurations as a runtime reads them: single ones and lists, from tables, texts, files and names.
-- @module netns.cni.network
local json = require "netns.json"
local protocol = require "netns.cni.protocol"

local network = {}

local function read_file(path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, why
  end
  local text = file:read "a"
  file:close()
  return text
end

local function decode(text, what)
  local conf, wrong = json.decode(text)
  if type(conf) ~= "table" then
    protocol.fail("decoding_failure", ("%s is %s"):format(what, wrong or "no object"))
  end
  return conf
end

-- The configuration of a name, among the files of a folder.
local function named(name, dir)
  local names = require "netns.core".directory(dir) or {}
  table.sort(names)
  for _, file in ipairs(names) do
    if file:find "%.conflist$" or file:find "%.conf$" or file:find "%.json$" then
      local conf = json.decode(read_file(dir .. "/" .. file) or "")
      if type(conf) == "table" and conf.name == name then
        return conf
      end
    end
  end
  protocol.fail("invalid_config", ("there is no network %q in %s"):format(name, dir))
end

local function raw(conf, dir)
  if type(conf) == "table" then
    return protocol.copy(conf)
  elseif type(conf) ~= "string" then
    protocol.fail("invalid_config", "a configuration is a table, JSON, the path of a file or the name of a network, "
      .. "not a " .. type(conf))
  elseif conf:find "^%s*{" then
    return decode(conf, "the configuration")
  elseif conf:find "/" then
    local text, why = read_file(conf)
    if not text then
      protocol.fail("io_failure", why)
    end
    return decode(text, conf)
  end
  return named(conf, dir)
end

-- The newest version that the configuration allows and that is spoken here.
local function version_of(conf)
  local version = conf.cniVersion
  if type(conf.cniVersions) == "table" then
    local offered = protocol.copy(conf.cniVersions)
    offered[#offered + 1] = version
    version = protocol.newest_common(protocol.versions, offered) or version
  end
  if not protocol.newest_common(protocol.versions, { version }) then
    protocol.fail("incompatible_version", ("cniVersion %s is not spoken here: %s are"):format(tostring(version),
      table.concat(protocol.versions, ", ")))
  end
  return version
end

--- A network, checked.
-- @param conf a table, JSON text, the path of a file (with a "/") or the name of a network
-- @tparam string dir where names are looked for
-- @treturn table `name`, `version`, `plugins` (list of tables), `raw`, `disable_check`, `disable_gc`
function network.load(conf, dir)
  local data = raw(conf, dir)
  local wrong = protocol.bad_id(data.name)
  if wrong then
    protocol.fail("invalid_config", "name: the name of a network " .. wrong)
  end
  local plugins = data.plugins
  if plugins == nil then
    plugins = { data }
  elseif type(plugins) ~= "table" or #plugins == 0 then
    protocol.fail("invalid_config", "plugins must be a list of one or more objects")
  end
  for i, plugin in ipairs(plugins) do
    if type(plugin) ~= "table" or type(plugin.type) ~= "string" or plugin.type == "" then
      protocol.fail("invalid_config", (data.plugins and ("plugins[%d]."):format(i - 1) or "") .. "type is missing")
    end
  end
  return { name = data.name, version = version_of(data), plugins = plugins, raw = data,
    disable_check = data.disableCheck == true, disable_gc = data.disableGC == true }
end

--- What one plugin of a network is given.
-- @tparam table net of `load`
-- @tparam integer i which plugin
-- @tparam table capabilities what the runtime can say, by name
-- @param prev the prevResult, or nil
function network.conf(net, i, capabilities, prev)
  local conf = protocol.copy(net.plugins[i])
  conf.name, conf.cniVersion, conf.prevResult = net.name, net.version, prev
  conf.cniVersions = nil
  local runtime
  for name, wanted in pairs(type(conf.capabilities) == "table" and conf.capabilities or {}) do
    if wanted == true and capabilities[name] ~= nil then
      runtime = runtime or {}
      runtime[name] = capabilities[name]
    end
  end
  if net.raw.plugins then -- a configuration that is no list goes as it is
    conf.capabilities = nil
  end
  if runtime then
    conf.runtimeConfig = runtime
  end
  return conf
end

return network
