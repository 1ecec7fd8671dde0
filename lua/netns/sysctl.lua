--- Network sysctls of a namespace, as fields of `ns.sysctl`.
--
-- Names are written as sysctl(8) takes them: "net.ipv4.ip_forward" or "net/ipv4/ip_forward".
-- Where the first separator is a dot, a slash stands for a dot within a name, as in
-- "net.ipv4.conf.eth0/1.forwarding" for the link eth0.1. Only names below "net" belong to a
-- network namespace; others are the whole machine's and are refused.
-- @module netns.sysctl
local check = require "netns.check"
local core = require "netns.core"

local swap = { ["."] = "/", ["/"] = "." }

-- A name in a message: what was handed over may be of any length.
local function short(name)
  return #name <= 100 and name or name:sub(1, 100) .. " ..."
end

-- "net.ipv4.ip_forward" -> "net/ipv4/ip_forward"
local function path_of(name)
  if type(name) ~= "string" then
    check.refuse("sysctl: a name must be a string such as \"net.ipv4.ip_forward\", got %s", type(name))
  end
  local path = name:match "[./]" == "." and name:gsub("[./]", swap) or name
  if path ~= "net" and not path:find "^net/." then
    check.refuse("sysctl: \"%s\" does not belong to a network namespace: names begin with \"net.\"", short(name))
  end
  if ("/" .. path .. "/"):find "/%.*/" or path:find "\0" then
    check.refuse("sysctl: \"%s\" is not the name of a sysctl", short(name))
  end
  return path
end

-- "net/ipv4/conf/eth0.1/x" -> "net.ipv4.conf.eth0/1.x"
local function name_of(path)
  return (path:gsub("[./]", swap))
end

-- A value that is one integer is a number in Lua, everything else text.
local function value_of(text)
  return text:find "^%-?%d+$" and math.tointeger(tonumber(text)) or text
end

local function text_of(name, value)
  local kind = math.type(value) or type(value)
  if kind == "integer" or (kind == "string" and not value:find "\0") then
    return tostring(value)
  elseif kind == "boolean" then
    return value and "1" or "0"
  end
  check.refuse("sysctl: %s must be an integer, a string or a boolean, got %s", name, kind)
end

local namespaces = setmetatable({}, { __mode = "k" }) -- of each Sysctl
local methods = {}
local meta = { __name = "netns.Sysctl", __metatable = "netns.Sysctl" }

local function namespace_of(sysctl)
  return check.object(namespaces[sysctl], "Namespace", "sysctl")
end

--- All sysctls below a prefix.
-- @tparam[opt="net"] string prefix such as "net.ipv4.conf.eth0"
-- @treturn table values by name; what may not be read is left out
-- @raise a netns.Error, ENOENT where there is no such prefix
-- @usage for name, value in pairs(ns.sysctl:list "net.ipv4.conf.lo") do print(name, value) end
function methods.list(self, prefix)
  local values = {}
  for path, text in pairs(core.sysctl_list(namespace_of(self), path_of(prefix or "net"))) do
    values[name_of(path)] = value_of(text)
  end
  return values
end

-- Reading a field asks the kernel: an integer where the value is one, else text.
function meta:__index(name)
  return methods[name] or value_of(core.sysctl_read(namespace_of(self), path_of(name)))
end

function meta:__newindex(name, value)
  core.sysctl_write(namespace_of(self), path_of(name), text_of(name, value))
end

function meta:__tostring()
  return "sysctl of " .. tostring(namespaces[self])
end

function core.properties.sysctl(ns)
  local sysctl = {}
  namespaces[sysctl] = ns
  return setmetatable(sysctl, meta)
end

return methods
