--- Facts: everything about a namespace as one plain table, and what is different between two of them.
-- @module netns.facts
local check = require "netns.check"
local core = require "netns.core"
local plain = require "netns.plain"
require "netns.nft"
require "netns.sysctl"
require "netns.wait"

local facts = {}

local nouns = { "link", "addr", "route", "rule", "neigh", "nexthop", "qdisc", "class", "filter", "fdb", "vlan",
  "mdb", "xfrm_state", "xfrm_policy" }
local filters = { route = { table = "all" } }

--- Everything about the namespace, as plain data without handles.
-- Counters are left out: they are `ns:counters()`.
-- @function Namespace:dump
-- @treturn table a list for each noun (`link`, `addr`, `route` of all tables, `rule`, `neigh`, `nexthop` ...),
--   `sysctl` (by name, what is below net), `nft` (text without counters), `socket`
-- @usage local before = ns:dump()
function core.Namespace.dump(ns)
  check.object(ns, "Namespace", "dump")
  local all = {}
  for _, noun in ipairs(nouns) do
    local object = ns[noun] -- nil where this version has not got it
    local ok, list = pcall(function()
      return object and object:list(filters[noun])
    end)
    all[noun] = ok and list or nil -- a kernel may lack a noun's listing
  end
  all.sysctl = ns.sysctl:list "net"
  all.nft = #core.nft_tables(ns) > 0 and ns.nft:text { stateless = true } or ""
  all.socket = ns:sockets()
  return all
end

-- Comparing --------------------------------------------------------------------------------------------------------

-- What makes a row the same thing in both.
local identity = {
  link = { "name" },
  addr = { "dev", "address" },
  route = { "family", "table", "type", "dst", "metric", "tos", "dev" },
  rule = { "family", "priority", "from", "to", "iif", "oif", "fwmark", "table", "action" },
  neigh = { "dev", "dst", "proxy" },
  nexthop = { "id" },
  qdisc = { "dev", "parent", "kind" },
  class = { "dev", "parent", "handle" },
  filter = { "dev", "parent", "priority", "handle" },
  fdb = { "dev", "lladdr", "vlan", "dst", "self" },
  mdb = { "dev", "port", "grp", "src", "vid" },
  xfrm_state = { "dst", "proto", "spi", "mark" },
  xfrm_policy = { "src", "dst", "dir", "proto", "sport", "dport", "priority", "mark", "if_id" },
  vlan = { "dev", "vid" },
  socket = { "proto", "family", "src", "sport", "dst", "dport" },
}

-- What changes by itself.
local volatile = {
  link = { "ifindex", "link_index", "link_netnsid", "carrier_up_count", "carrier_down_count", "stats" },
  addr = { "valid_lft", "preferred_lft" },
  route = { "expires" },
  mdb = { "timer" },
  xfrm_policy = { "index" },
  neigh = { "used", "confirmed", "updated", "refcnt", "probes" },
  socket = { "inode", "recv_q", "send_q" },
}

local Difference = { __name = "netns.Difference" }

local function text(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for i, key in ipairs(keys) do
    parts[i] = ("%s %s"):format(key, text(value[key]))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function Difference:__tostring()
  local lines = {}
  for i, d in ipairs(self) do
    if d.b == nil then
      lines[i] = ("- %s: %s"):format(d.path, text(d.a))
    elseif d.a == nil then
      lines[i] = ("+ %s: %s"):format(d.path, text(d.b))
    else
      lines[i] = ("~ %s: %s -> %s"):format(d.path, text(d.a), text(d.b))
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or "no difference"
end

local function key_of(noun, row)
  local parts = {}
  for _, name in ipairs(identity[noun] or {}) do
    if row[name] ~= nil then
      parts[#parts + 1] = tostring(row[name])
    end
  end
  return #parts > 0 and table.concat(parts, " ") or text(row)
end

-- Rows by what they are; the second of a kind gets a number.
local function index(noun, list)
  local rows, order = {}, {}
  for _, row in ipairs(list or {}) do
    local key, n = key_of(noun, row), 2
    while rows[key] do
      key, n = ("%s #%d"):format(key_of(noun, row), n), n + 1
    end
    rows[key], order[#order + 1] = row, key
  end
  return rows, order
end

local function without(row, ignored, noun)
  local copy = {}
  for key, value in pairs(row) do
    if not ignored[noun .. "." .. key] then
      copy[key] = value
    end
  end
  return copy
end

local function sorted_keys(a, b)
  local keys, seen = {}, {}
  for _, t in ipairs { a, b } do
    for key in pairs(t) do
      if not seen[key] then
        keys[#keys + 1], seen[key] = key, true
      end
    end
  end
  table.sort(keys, function(x, y)
    return tostring(x) < tostring(y)
  end)
  return keys
end

local function add(found, path, a, b)
  found[#found + 1] = { path = path, a = a, b = b }
end

local function compare_rows(found, noun, key, a, b, ignored)
  local path = noun .. " " .. key
  a, b = a and without(a, ignored, noun), b and without(b, ignored, noun)
  if not a or not b then
    add(found, path, a, b)
    return
  end
  for _, name in ipairs(sorted_keys(a, b)) do
    if not plain.equal(a[name], b[name]) then
      if a[name] == nil or b[name] == nil then
        add(found, path, { [name] = a[name] }, { [name] = b[name] })
      else
        add(found, path .. " " .. name, a[name], b[name])
      end
    end
  end
end

local function compare_lists(found, noun, a, b, ignored)
  local rows_a, order_a = index(noun, a)
  local rows_b, order_b = index(noun, b)
  for _, key in ipairs(order_a) do
    compare_rows(found, noun, key, rows_a[key], rows_b[key], ignored)
  end
  for _, key in ipairs(order_b) do
    if not rows_a[key] then
      compare_rows(found, noun, key, nil, rows_b[key], ignored)
    end
  end
end

local function lines_of(listing)
  local lines = {}
  for line in (listing or ""):gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return lines
end

-- Lines that only one of them has, in order (the longest common part is kept).
local function compare_text(found, path, a, b)
  local x, y = lines_of(a), lines_of(b)
  local first, last_x, last_y = 1, #x, #y
  while first <= last_x and first <= last_y and x[first] == y[first] do
    first = first + 1
  end
  while last_x >= first and last_y >= first and x[last_x] == y[last_y] do
    last_x, last_y = last_x - 1, last_y - 1
  end
  for i = first, last_x do
    add(found, path, (x[i]:gsub("^%s+", "")), nil)
  end
  for i = first, last_y do
    add(found, path, nil, (y[i]:gsub("^%s+", "")))
  end
end

local function dump_of(what, n)
  if type(what) == "userdata" and getmetatable(what) == "netns.Namespace" then
    return what:dump()
  elseif type(what) ~= "table" or getmetatable(what) ~= nil then
    check.refuse("compare: argument %d must be a Namespace or what its dump gave, got %s", n, check.show(what))
  end
  return what
end

local function ignored_of(opts)
  local ignored = {}
  for noun, names in pairs(volatile) do
    for _, name in ipairs(names) do
      ignored[noun .. "." .. name] = true
    end
  end
  opts = check.options(opts, { ignore = "table" }, "compare")
  for _, path in ipairs(opts.ignore or {}) do
    ignored[path] = true
  end
  return ignored
end

--- What is different between two namespaces, or two dumps.
-- @tparam Namespace|table a a Namespace, or what its `dump` gave
-- @tparam Namespace|table b the same
-- @tparam[opt] table opts `ignore`: what does not count: nouns, fields, sysctls, as { "neigh", "link.address",
--   "sysctl net.ipv4.ip_forward" }
-- @treturn {table,...} `{ path =, a =, b = }` each, nil where one has not got it; prints as lines with "-" (only in a),
--   "+" (only in b) and "~"; empty where nothing differs
-- @usage
-- local before = ns:dump()
-- do_something(ns)
-- print(netns.compare(before, ns))
function facts.compare(a, b, opts)
  local ignored = ignored_of(opts)
  a, b = dump_of(a, 1), dump_of(b, 2)
  local found = setmetatable({}, Difference)
  for _, noun in ipairs(nouns) do
    if not ignored[noun] then
      compare_lists(found, noun, a[noun], b[noun], ignored)
    end
  end
  if not ignored.socket then
    compare_lists(found, "socket", a.socket, b.socket, ignored)
  end
  for _, name in ipairs(ignored.sysctl and {} or sorted_keys(a.sysctl or {}, b.sysctl or {})) do
    local x, y = (a.sysctl or {})[name], (b.sysctl or {})[name]
    if x ~= y and not ignored["sysctl " .. name] then
      add(found, "sysctl " .. name, x, y)
    end
  end
  if not ignored.nft then
    compare_text(found, "nft", a.nft, b.nft)
  end
  return found
end

return facts
