--- Words of descriptions: natural order of names, units.
-- @module netns.topology.words
local words = {}

-- "pc10" as "pc", 10: digits compare as numbers. Made once per name.
local function natural_key(name)
  return (name:gsub("%d+", function(digits)
    return ("%020d"):format(tonumber(digits) or 0)
  end))
end

--- The keys of a table in natural order: pc2 before pc10.
function words.sorted(t)
  local names, key_of = {}, {}
  for name in pairs(t) do
    names[#names + 1] = name
    key_of[name] = natural_key(tostring(name))
  end
  table.sort(names, function(a, b)
    if key_of[a] == key_of[b] then
      return tostring(a) < tostring(b)
    end
    return key_of[a] < key_of[b]
  end)
  return names
end

--- Iterate over one value or a list of them; over nothing where it is nil.
function words.each(value)
  return ipairs(type(value) == "table" and value or value ~= nil and { value } or {})
end

local swap = { ["."] = "/", ["/"] = "." }

--- The name of a sysctl with dots between its parts (a slash stands for a dot within one), and the link it is of.
-- @treturn string
-- @treturn ?string nil where it is of no link; "all" and "default" are none
-- @usage words.sysctl "net/ipv4/conf/eth0.1/forwarding" --> "net.ipv4.conf.eth0/1.forwarding", "eth0.1"
function words.sysctl(name)
  if name:match "[./]" == "/" then
    name = name:gsub("[./]", swap)
  end
  local link = name:match "^net%.ipv[46]%.%l+%.([^.]+)%.[%w_]+$"
  return name, link ~= "all" and link ~= "default" and link and link:gsub("/", ".") or nil
end

local times = { s = 1, sec = 1, secs = 1, ms = 1e-3, msec = 1e-3, msecs = 1e-3, us = 1e-6, usec = 1e-6, usecs = 1e-6,
  ns = 1e-9 }

--- "10ms" to seconds, as tc(8) takes times; a number is seconds. nil where it is neither.
function words.time(value)
  if type(value) == "number" then
    return value >= 0 and value or nil
  end
  local number, unit = tostring(value):match "^([%d.]+)%s*(%a+)$"
  local factor = times[unit]
  return factor and tonumber(number) and tonumber(number) * factor
end

local rates = { bit = 1, kbit = 1e3, mbit = 1e6, gbit = 1e9, tbit = 1e12, bps = 8, kbps = 8e3, mbps = 8e6, gbps = 8e9,
  kibit = 1024, mibit = 1024 ^ 2, gibit = 1024 ^ 3 }

--- "50mbit" to bit/s, as tc(8) takes rates (bps are bytes per second); a number is bit/s.
function words.rate(value)
  if type(value) == "number" then
    return value > 0 and value or nil
  end
  local number, unit = tostring(value):lower():match "^([%d.]+)%s*(%a+)$"
  local factor = rates[unit]
  return factor and tonumber(number) and tonumber(number) * factor
end

--- "1%" or 0.01 to a fraction from 0 to 1.
function words.share(value)
  local number = type(value) == "number" and value or nil
  if not number then
    number = tonumber(tostring(value):match "^([%d.]+)%%$")
    number = number and number / 100
  end
  return number and number >= 0 and number <= 1 and number or nil
end

return words
