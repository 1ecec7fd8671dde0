--- Results of CNI plugins, of all versions that are spoken here.
--
-- Here they are as version 1.1 has them: `interfaces` (`name`, `mac`, `sandbox` ...), `ips` (`address`, `gateway`,
-- `interface`, counted from 0), `routes` (`dst`, `gw` ...), `dns`. Lists that are missing are empty.
-- @module netns.cni.result
local json = require "netns.json"
local protocol = require "netns.cni.protocol"
local ip = require "netns.topology.ip"

local result = {}

-- what version 1.1 brought
local new_keys = { interfaces = { "mtu", "socketPath", "pciID" },
  routes = { "mtu", "advmss", "priority", "table", "scope" } }

local function list_of(raw, key, what)
  local list = raw[key]
  if list == nil or list == json.null then
    return {}
  elseif type(list) ~= "table" then
    protocol.fail("decoding_failure", ("%s: %s must be a list"):format(what, key))
  end
  for i, item in ipairs(list) do
    if type(item) ~= "table" then
      protocol.fail("decoding_failure", ("%s: %s[%d] must be an object"):format(what, key, i - 1))
    end
  end
  return list
end

--- A result as a plugin printed it, or as a prevResult.
-- @tparam table raw decoded JSON
-- @tparam string what stands before what is wrong, such as "prevResult"
-- @treturn table a copy, as version 1.1 has it
function result.read(raw, what)
  if type(raw) ~= "table" then
    protocol.fail("decoding_failure", what .. " must be an object")
  end
  local r = protocol.copy(raw)
  for _, key in ipairs { "interfaces", "ips", "routes" } do
    r[key] = list_of(r, key, what)
  end
  r.dns = type(r.dns) == "table" and r.dns or {}
  for i, item in ipairs(r.ips) do
    item.version = nil
    if not ip.prefix(item.address or "", true) then
      protocol.fail("decoding_failure", ("%s: ips[%d].address: %q is not an address with its length"):format(what,
        i - 1, tostring(item.address)))
    end
  end
  for i, route in ipairs(r.routes) do
    if not ip.prefix(route.dst or "", true) then
      protocol.fail("decoding_failure", ("%s: routes[%d].dst: %q is not a prefix"):format(what, i - 1,
        tostring(route.dst)))
    end
  end
  return r
end

--- A result as a version has it.
-- @tparam table r
-- @tparam string version
-- @treturn table a copy
function result.write(r, version)
  local out = protocol.copy(r)
  out.cniVersion = version
  if not protocol.at_least(version, "1.1.0") then
    for list, keys in pairs(new_keys) do
      for _, item in ipairs(out[list] or {}) do
        for _, key in ipairs(keys) do
          item[key] = nil
        end
      end
    end
  end
  if not protocol.at_least(version, "1.0.0") then
    for _, item in ipairs(out.ips or {}) do
      item.version = item.address:find(":", 1, true) and "6" or "4"
    end
  end
  for _, key in ipairs { "interfaces", "ips", "routes" } do
    if out[key] and #out[key] == 0 then
      out[key] = nil
    end
  end
  out.dns = out.dns or {}
  return out
end

--- The family of an address or prefix: 4 or 6.
-- @tparam string text
-- @treturn integer
-- @usage local family = netns.cni.family "10.22.0.2/24"
function result.family(text)
  return text:find(":", 1, true) and 6 or 4
end

return result
