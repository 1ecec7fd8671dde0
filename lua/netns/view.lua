--- What a person wants to see of an object: `netns.repl` prints so.
--
-- A Namespace shows its links with their addresses, a Link all of its properties, a noun its list, firewall objects
-- what is in them; lists, labs and results show what they show everywhere. Lines keep within the terminal's width.
-- @module netns.view
local printing = require "netns.print"

local view = {}

local function indent(text)
  return "  " .. text:gsub("\n", "\n  ")
end

local function count(list, one, many)
  return ("%d %s"):format(#list, #list == 1 and one or many)
end

-- Addresses of all links, by name, with their lengths.
local function addresses_of(ns)
  local by_dev = {}
  for _, addr in ipairs(ns.addr:list()) do
    by_dev[addr.dev] = by_dev[addr.dev] or {}
    table.insert(by_dev[addr.dev], addr.address)
  end
  return by_dev
end

local views = {}

views["netns.Namespace"] = function(ns)
  if ns.closed then
    return nil
  end
  local rows, addresses = {}, addresses_of(ns)
  for i, link in ipairs(ns.link:list()) do
    rows[i] = { ifindex = link.ifindex, name = link.name, type = link.type or link.link_type,
      state = link.up and link.operstate or "down", mtu = link.mtu,
      addresses = table.concat(addresses[link.name] or {}, " ") }
  end
  local links = printing.table(rows, { "ifindex", "name", "type", "state", "mtu", "addresses" })
  return ("%s, netns:[%d]\n%s\n  %s, %s"):format(ns.name or "namespace without a name", ns.inode, indent(links),
    count(ns.route:list(), "route", "routes"), count(ns:pids(), "process", "processes"))
end

-- Properties that one looks for first.
local first = { "ifindex", "name", "type", "up", "operstate", "mtu", "address", "master", "link", "qdisc", "alias" }

local function properties(t)
  local rows, seen = {}, { stats = true }
  local function add(key)
    if not seen[key] and t[key] ~= nil then
      seen[key] = true
      rows[#rows + 1] = { property = key, value = t[key] }
    end
  end
  for _, key in ipairs(first) do
    add(key)
  end
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    add(key)
  end
  return rows
end

views["netns.Link"] = function(link)
  local now = link:get()
  local rows = properties(now)
  local list = {}
  for _, addr in ipairs(link.addr:list()) do
    list[#list + 1] = addr.address
  end
  rows[#rows + 1] = #list > 0 and { property = "addresses", value = table.concat(list, " ") } or nil
  local stats = now.stats
  rows[#rows + 1] = { property = "received", value = ("%d bytes, %d packets"):format(stats.rx_bytes, stats.rx_packets) }
  rows[#rows + 1] = { property = "sent", value = ("%d bytes, %d packets"):format(stats.tx_bytes, stats.tx_packets) }
  for _, row in ipairs(rows) do -- numbers to the left, as they have nothing to do with each other
    row.value = type(row.value) == "number" and tostring(row.value) or row.value
  end
  return printing.table(rows, { "property", "value" })
end

views["netns.Noun"] = function(noun)
  local list = noun:list()
  return #list > 0 and tostring(list) or ("no %s"):format(tostring(noun))
end

views["netns.Nft"] = function(nft)
  local text = nft:text():gsub("%s+$", "")
  return text ~= "" and text or "no rules"
end

views["netns.Table"] = function(t)
  return (t.nft:text({ family = t.family, table = t.name }):gsub("%s+$", ""))
end

views["netns.Chain"] = function(chain)
  local lines = { tostring(chain) }
  for _, rule in ipairs(chain:rules()) do
    lines[#lines + 1] = ("  %s # handle %d"):format(rule.text, rule.handle)
  end
  return table.concat(lines, "\n")
end

views["netns.Rule"] = function(rule)
  return ("%s # handle %d"):format(rule.text, rule.handle)
end

local function elements(set)
  local rows = {}
  for i, element in ipairs(set:list()) do
    rows[i] = type(element) == "table" and table.move(element, 1, #element, 1, {}) or { element }
    for key, value in pairs(type(element) == "table" and element or {}) do
      rows[i][key] = value
    end
    rows[i].key = table.concat(rows[i], " . ")
  end
  local list = printing.table(rows, { "key", "value", "timeout", "expires", "comment", "counter" })
  return ("%s\n%s"):format(tostring(set), #rows > 0 and indent(list) or "  empty")
end
views["netns.Set"], views["netns.Map"] = elements, elements

-- Tables without a class: rows as a table, others key by key.
local function plain(t)
  if #t > 0 and type(t[1]) == "table" then
    return printing.table(t)
  elseif next(t) == nil then
    return "{}"
  end
  local rows = {}
  for key, value in pairs(t) do
    rows[#rows + 1] = { key = tostring(key), value = type(value) == "number" and tostring(value)
      or type(value) ~= "table" and tostring(value) or value }
  end
  table.sort(rows, function(a, b)
    return a.key < b.key
  end)
  return printing.table(rows, { "key", "value" })
end

--- The text to show of a value.
-- @param value anything
-- @treturn string
-- @raise netns.Error where the kernel is asked and refuses
function view.text(value)
  local meta = getmetatable(value)
  local tag = type(meta) == "string" and meta or type(meta) == "table" and rawget(meta, "__name")
  local show = type(value) ~= "string" and tag and views[tag]
  local text = show and show(value)
  if not text and type(value) == "table" and meta == nil then
    text = plain(value)
  end
  return text or tostring(value)
end

return view
