--- What plugins and runtimes of the Container Network Interface agree upon: versions, error codes, names.
-- See the specification, https://www.cni.dev/docs/spec/.
-- @module netns.cni.protocol
local protocol = {}

--- The versions of the specification that are spoken here, oldest first.
protocol.versions = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" }

--- Error codes of the specification; from 100 on they are a plugin's own.
protocol.codes = {
  incompatible_version = 1, unsupported_field = 2, unknown_container = 3, invalid_environment = 4, io_failure = 5,
  decoding_failure = 6, invalid_config = 7, try_again = 11, not_available = 50, limited_connectivity = 51,
  system = 100, mismatch = 101, internal = 110,
}

--- Which version brought an operation.
protocol.since = { CHECK = "0.4.0", GC = "1.1.0", STATUS = "1.1.0" }

local Failure = { __name = "netns.cni.Failure" }
protocol.Failure = Failure

function Failure:__tostring()
  return self.details and ("%s: %s"):format(self.msg, self.details) or self.msg
end

--- Raise what becomes the plugin's error.
-- @tparam string|integer code a name among `protocol.codes`, or a number
-- @tparam string msg
-- @tparam[opt] string details
-- @raise it
-- @usage netns.cni.fail("invalid_config", "mtu must be an integer from 68 to 65535")
function protocol.fail(code, msg, details)
  error(setmetatable({ code = protocol.codes[code] or code, msg = msg, details = details }, Failure), 0)
end

local function numbers(version)
  local major, minor, patch = tostring(version):match "^(%d+)%.(%d+)%.?(%d*)$"
  return tonumber(major), tonumber(minor) or 0, tonumber(patch) or 0
end

--- Is version a at least b?
function protocol.at_least(a, b)
  local a1, a2, a3 = numbers(a)
  local b1, b2, b3 = numbers(b)
  if not (a1 and b1) then
    return false
  elseif a1 ~= b1 then
    return a1 > b1
  elseif a2 ~= b2 then
    return a2 > b2
  end
  return a3 >= b3
end

--- The newest of the versions that stand in both lists; nil where there is none.
function protocol.newest_common(ours, theirs)
  local there, best = {}, nil
  for _, version in ipairs(theirs) do
    there[version] = true
  end
  for _, version in ipairs(ours) do
    if there[version] and (not best or protocol.at_least(version, best)) then
      best = version
    end
  end
  return best
end

--- What is wrong with the name of a network or the id of a container; nil where it is right.
function protocol.bad_id(id)
  if type(id) ~= "string" or not id:find "^%w[%w_.-]*$" then
    return "must begin with a letter or digit and have only letters, digits, \"_\", \".\" and \"-\""
  end
end

--- What is wrong with the name of an interface; nil where it is right.
-- @tparam string name
-- @treturn ?string
-- @usage local wrong = netns.cni.bad_ifname "eth0/1"
function protocol.bad_ifname(name)
  if type(name) ~= "string" or name == "" or name == "." or name == ".." then
    return "is not a name"
  elseif #name > 15 then
    return "is longer than 15 characters"
  elseif name:find "[/:%s%c]" then
    return "must not contain \"/\", \":\" or blanks"
  end
end

-- FNV-1a in 64 bits
local function hash(text)
  local h = 0xcbf29ce484222325
  for i = 1, #text do
    h = (h ~ text:byte(i)) * 0x100000001b3
  end
  return h
end

--- A short name for an attachment, the same at every call: "veth" and 11 hexadecimal digits, a host interface's name.
-- @tparam string network its name
-- @tparam string id the container's
-- @tparam string ifname the interface in the container
-- @treturn string
-- @usage local name = netns.cni.attachment_key("pods", "web", "eth0")
function protocol.attachment_key(network, id, ifname)
  return ("veth%011x"):format(hash(table.concat({ network, id, ifname }, "\0")) >> 20)
end

--- A name made of any text: itself where it is short and plain, else its beginning and a hash.
function protocol.plain_name(text)
  if #text <= 48 and text:find "^[%w_]+$" then
    return text
  end
  return ("%s_%016x"):format(text:gsub("[^%w_]", "_"):sub(1, 32), hash(text))
end

--- A copy of plain data.
function protocol.copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = setmetatable({}, getmetatable(value))
  for key, item in pairs(value) do
    result[key] = protocol.copy(item)
  end
  return result
end

return protocol
