--- Is a description well formed? Every key, type and range, before anything is computed of it.
--
-- All findings at once, each `{ path = "nodes.gw.links[2].delay", message = "..." }`. What can only be known when
-- addresses are assigned (overlaps, duplicates, names that clash) is found by netns.topology.model.
-- @module netns.topology.check
local hint_of = require("netns.check").hint
local ip = require "netns.topology.ip"
local words = require "netns.topology.words"

local check = {}

-- Kinds of values: each returns nil, or what the value must be -------------------------------------------------

local function is(kind, what)
  return function(value)
    return type(value) ~= kind and what or nil
  end
end

local function integer(min, max)
  return function(value)
    if math.type(value) ~= "integer" or value < min or value > max then
      return ("an integer from %d to %d"):format(min, max)
    end
  end
end

local function one_of(...)
  local allowed = { ... }
  return function(value)
    for _, candidate in ipairs(allowed) do
      if candidate == value then
        return nil
      end
    end
    local hint = type(value) == "string" and hint_of(value, allowed) or ""
    return "one of " .. table.concat(allowed, ", ") .. hint
  end
end

local function node_name(value)
  if type(value) ~= "string" or #value > 64 or not value:match "^[%w_][%w_.-]*$" or value:find("..", 1, true) then
    return 'a name of 1 to 64 letters, digits, "_", "-" or "." that begins with a letter, a digit or "_"'
  end
end

local function interface_name(value)
  if type(value) ~= "string" or value == "" or #value > 128 or value:find "[/:%s]" or value == "." or value == ".." then
    return 'a name of an interface, without "/", ":" or spaces'
  end
end

-- One text, or a list of two of different families.
local function of_families(parse)
  return function(value)
    local list = type(value) == "table" and value or { value }
    local seen = {}
    if #list == 0 or #list > 2 then
      return "one, or a list of one IPv4 and one IPv6"
    end
    for _, text in ipairs(list) do
      local p, why = parse(text)
      if not p then
        return why
      elseif seen[p.family] then
        return "one of each family"
      end
      seen[p.family] = true
    end
  end
end

local subnet = of_families(function(text)
  local p, why = ip.prefix(text)
  if not p or not tostring(text):find("/", 1, true) then
    return nil, 'a prefix such as "10.1.0.0/24"' .. (p and "" or ("; %s %s"):format(tostring(text), why or ""))
  end
  return p
end)

local address = of_families(function(text)
  local p = ip.prefix(text, true)
  return p, 'an address such as "10.1.0.1" or "10.1.0.1/24"'
end)

local function unit(read, what)
  return function(value)
    return not read(value) and what or nil
  end
end

local time = unit(words.time, 'a time such as "10ms", or seconds as a number')
local rate = unit(words.rate, 'a rate such as "50mbit", or bit/s as a number')
local share = unit(words.share, 'a share such as "1%", or a fraction from 0 to 1')

local boolean = is("boolean", "true or false")
local text = is("string", "a string")

-- The shapes of tables ------------------------------------------------------------------------------------------

local link = {
  to = node_name, subnet = subnet, address = address, to_address = address, cost = integer(1, 65535),
  mtu = integer(68, 65535), name = interface_name, to_name = interface_name,
  delay = time, jitter = time, loss = share, rate = rate, duplicate = share, reorder = share, corrupt = share,
}
--- The keys of a link that impair it.
check.impairments = { "delay", "jitter", "loss", "rate", "duplicate", "reorder", "corrupt" }

local publish = {
  proto = one_of("tcp", "udp"), port = integer(1, 65535), to = node_name, to_port = integer(1, 65535),
}

-- Names below net with plain values.
local function sysctls(value)
  if type(value) ~= "table" then
    return 'a table such as { ["net.ipv4.ip_forward"] = 1 }'
  end
  for _, name in ipairs(words.sorted(value)) do
    local item = value[name]
    if type(name) ~= "string" or not name:find "^net[./]" then
      return ('a table of sysctls below net by name, such as ["net.ipv4.ip_forward"] = 1; it has %s'):format(
        tostring(name))
    elseif type(item) ~= "string" and type(item) ~= "number" and type(item) ~= "boolean" then
      return ("a table of sysctls with strings, numbers or booleans; %s is a %s"):format(name, type(item))
    end
  end
end

local function argv(value)
  for i = 1, type(value) == "table" and #value or 0 do
    if type(value[i]) ~= "string" and type(value[i]) ~= "number" then
      return "a list of strings"
    end
  end
  return (type(value) ~= "table" or #value == 0) and "a list of strings: a program and its arguments" or nil
end

local process = {
  argv = argv, env = is("table", "a table"), cwd = text,
  ready = is("table", "a table such as { tcp = 80 }"),
}

local pools = { lan4 = subnet, link4 = subnet, lan6 = subnet, link6 = subnet }

local function outside(value)
  if type(value) ~= "table" then
    return node_name(value)
  elseif #value == 0 then
    return "a node, or a list of nodes in the order of preference"
  end
  for _, name in ipairs(value) do
    if node_name(name) then
      return node_name(name)
    end
  end
end

local nat = { out = outside, publish = "list of publish" }

-- What is said in ip(8)'s own words: the keys are those of ns.link:add, ns.addr:add and so on, which check the rest.
local function row(...)
  local needed = { ... }
  return function(value)
    if type(value) ~= "table" then
      return "a table"
    end
    for _, key in ipairs(needed) do
      if value[key] == nil then
        return ("a table with %s; %s is missing"):format(table.concat(needed, ", "), key)
      end
    end
  end
end

local rows = { devices = row "name", addresses = row("dev", "address"), routes = row "dst", rules = row "priority",
  neighbours = row("dev", "dst"), nexthops = row "id",
  vlans = row("dev", "vid"), fdb = row("dev", "lladdr"), qdiscs = row("dev", "kind"), classes = row("dev", "kind") }
--- The keys of a node that are lists of rows in ip(8)'s words.
check.rows = rows

local node = {
  kind = one_of("host", "router", "switch"), links = "list of link", nat = "table nat",
  firewall = text, sysctl = sysctls, run = "list of process",
  routing = boolean, forwarding = boolean, devices = "list of devices", addresses = "list of addresses",
  routes = "list of routes", rules = "list of rules", neighbours = "list of neighbours",
  nexthops = "list of nexthops", vlans = "list of vlans", fdb = "list of fdb",
  qdiscs = "list of qdiscs", classes = "list of classes",
}

local top = {
  name = node_name, nodes = is("table", "a table of nodes by name"), pools = "table pools", ipv4 = boolean,
  ipv6 = boolean, addressing = boolean, split = "table split",
}
top.routing = function(value)
  if value ~= true and value ~= false and value ~= "neighbours" then
    return 'true, false or "neighbours"'
  end
end

local split = {
  host = node_name, hosts = is("table", "a table of machines by name"), id = integer(0, 16777215),
  port = integer(1, 65535), underlay_mtu = integer(576, 65535), wireguard_port = integer(1, 65535),
}

local machine = { nodes = is("table", "a list of nodes"), underlay = text, public_key = text }

local shapes = { devices = rows.devices, addresses = rows.addresses, routes = rows.routes, rules = rows.rules,
  neighbours = rows.neighbours, nexthops = rows.nexthops, qdiscs = rows.qdiscs, classes = rows.classes,
  vlans = rows.vlans, fdb = rows.fdb,
  link = link, publish = publish, process = process, pools = pools, nat = nat, node = node, top = top, split = split,
  machine = machine }

local check_table

local function check_value(findings, path, rule, value)
  local container, shape = nil, nil
  if type(rule) == "string" then
    container, shape = rule:match "^(%a+) o?f? ?(%a+)$"
  end
  if container == "list" then
    if type(value) ~= "table" then
      findings[#findings + 1] = { path = path, message = "must be a list of tables" }
      return
    end
    for key, item in pairs(value) do
      if math.type(key) ~= "integer" then
        findings[#findings + 1] = { path = path, message = ("must be a list; it has a key %s"):format(tostring(key)) }
      else
        check_table(findings, ("%s[%d]"):format(path, key), shape, item)
      end
    end
  elseif container == "table" then
    check_table(findings, path, shape, value)
  else
    local must = rule(value)
    if must then
      local got = type(value) == "string" and ("%q"):format(value) or type(value) == "table" and "a table"
        or tostring(value)
      findings[#findings + 1] = { path = path, message = ("must be %s; got %s"):format(must, got) }
    end
  end
end

function check_table(findings, path, shape, value)
  local rules = shapes[shape]
  if type(rules) == "function" then
    check_value(findings, path, rules, value)
    return
  end
  if type(value) ~= "table" then
    findings[#findings + 1] = { path = path, message = "must be a table; got " .. type(value) }
    return
  end
  for _, key in ipairs(words.sorted(value)) do
    local here = path == "" and tostring(key) or path .. "." .. tostring(key)
    if rules[key] then
      check_value(findings, here, rules[key], value[key])
    else
      local hint = hint_of(tostring(key), words.sorted(rules))
      findings[#findings + 1] = { path = here, message = "unknown key" .. hint }
    end
  end
end

local function required(findings, path, t, key)
  if type(t) == "table" and t[key] == nil then
    findings[#findings + 1] = { path = path, message = ("%s is missing"):format(key) }
  end
end

--- The findings about a description's form.
-- @tparam table data a plain description
-- @treturn {table,...} empty if it is well formed
function check.form(data)
  local findings = {}
  check_table(findings, "", "top", data)
  local machines = type(data.split) == "table" and data.split.hosts
  for host, part in pairs(type(machines) == "table" and machines or {}) do
    check_table(findings, "split.hosts." .. tostring(host), "machine", part)
  end
  if type(data.nodes) ~= "table" then
    return findings
  end
  if data.split ~= nil then
    required(findings, "split", data.split, "host")
    required(findings, "split", data.split, "hosts")
  end
  for _, name in ipairs(words.sorted(data.nodes)) do
    local path, value = "nodes." .. tostring(name), data.nodes[name]
    local must = node_name(name)
    if must then
      findings[#findings + 1] = { path = path, message = "a node must have " .. must }
    end
    check_table(findings, path, "node", value)
    if type(value) == "table" then
      required(findings, path, value, "kind")
      for i, l in ipairs(type(value.links) == "table" and value.links or {}) do
        required(findings, ("%s.links[%d]"):format(path, i), l, "to")
      end
      if value.nat ~= nil then
        required(findings, path .. ".nat", value.nat, "out")
      end
      for i, p in ipairs(type(value.run) == "table" and value.run or {}) do
        required(findings, ("%s.run[%d]"):format(path, i), p, "argv")
      end
    end
  end
  return findings
end

return check
